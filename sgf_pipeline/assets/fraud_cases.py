"""Stage 1: the model writes the shard's fraud cases. The only asset that needs the language model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from sgf_pipeline import pools
from sgf_pipeline.assets.generation_request import generation_request
from sgf_pipeline.assets.shard_context import Shard, failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, Stopwatch, check
from sgf_pipeline.assets.sinks import RETRIES
from sgf_pipeline.assets.stage_files import StageFiles
from sgf_pipeline.domain.cases import CaseBrief
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.prompts import PROMPT_VERSION
from sgf_pipeline.llm.recorded import record
from sgf_pipeline.llm.writer import WrittenCase
from sgf_pipeline.partitions import BATCH_TO_SHARDS, shards
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.llm import LLMResource
from sgf_pipeline.scenarios import scenario
from sgf_pipeline.simulation import cases_needed

JUDGED_FROM = 50  # of fewer cases, two that are alike by chance would already be a twentieth
COMPARED = 200
# sgf-mini's cases are .99 to 1.00 different and miss no vector and 2 % of the cells at most; a model that answers every
# brief of a kind alike, or not at all, falls below.
DIVERSITY = {"different": 0.9, "vectors": 1.0, "coverage": 0.9}


@dg.asset(
    group_name="generation",
    partitions_def=shards,
    deps=[dg.AssetDep(generation_request, partition_mapping=BATCH_TO_SHARDS)],
    io_manager_key="stage_files",
    code_version=f"prompt-{PROMPT_VERSION}",  # with the model's version behind it: ``definitions``
    pool=pools.MODEL,
    retry_policy=RETRIES,
    check_specs=[
        check(
            "fraud_cases", "diversity", "the shard's cases differ, and reach what was asked for", shards, blocking=True
        )
    ],
    kinds={"llm", "parquet"},
    owners=OWNERS,
    description="""The crimes of the shard, as the language model wrote them: short plans of 1 to 12 steps, one a row,
each with the brief that it answers.

The only asset that asks the model. Briefs are drawn by the seed; an answer that breaks the schema or its scenario's
rules is asked for again, then given up for a fresh brief; all answers are cached. Its code version names prompt
and model: another model, or another adapter, marks these cases as stale and, once they are written anew, what was
made of the old ones.

- `case_id`, `brief` and `case` (both JSON), `attempts`, `input_tokens`, `output_tokens`: the columns
- `valid_at_first_try_share`, `rejected_answers` (by reason in `rejected`): how well the model answered
- `calls`, tokens, `cost_usd`, `model_seconds`: what new answers took; `cache_hits`: the others, `cache_hit_share` of
  all
- `structurally_different`, `matrix_cells`, `vectors`, `coverage`: how varied the cases are; from 50 on it is a gate
- `quoted_…`: the most that these cases were reckoned to take, where a model is paid for
- `max_cost_usd`: the shard's part of the batch's cap, where it has one
""",
)
def fraud_cases(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    llm: LLMResource,
    stage_files: dg.ResourceParam[StageFiles],
) -> Iterator[Any]:
    """Draw briefs by the seed, let the model write, record what it wrote if it is varied enough."""
    watch = Stopwatch()
    with failing_plainly():
        shard = shard_of(context, lake)
        content = shard.request.content
        wanted = cases_needed(shard.scenario, shard.counts.fraudulent)
        facts: dict[str, object] = {"cases": wanted, "prompt_version": PROMPT_VERSION}
        if not wanted:
            yield _unjudged(0)
            yield stage_files.store(context, record([], facts), {"calls": 0, "cache_hits": 0}, watch)
            return
        table = scenario(shard.scenario)
        llm.check(shard.request)  # whoever registered it may have had other settings
        cap = llm.cap_of(shard.request, shard.scenario)
        is_again = context.retry_number > 0 or context.run.parent_run_id is not None
        writer = llm.writer(content.seed, cap, content, counts_cached=is_again)
        taught = llm.taught(shard.scenario, content)
        briefs = draw_briefs(table, wanted, content.seed, taught=taught)
        written = writer.write_cases(
            briefs, iter(draw_briefs(table, len(table.matrix), content.seed, start=wanted, taught=taught))
        )
        usage = writer.usage
        facts.update(
            provider=writer.backend.provider,
            model=writer.backend.name,
            fingerprint=writer.backend.fingerprint,
            input_tokens=sum(one.input_tokens for one in written),
            output_tokens=sum(one.output_tokens for one in written),
            cost_usd=round(sum(one.cost_usd for one in written), 9),
            structurally_different=len({one.case.signature() for one in written}) / len(written),
            matrix_cells=len({one.brief.prompt() for one in written}),
        )
        found = diversity(written, briefs)
        answer = _judged(found, len(written))
        yield answer
        if not answer.passed:
            raise ModelError(
                f"model {writer.backend.name} repeats itself in {shard.scenario}:"
                f" {', '.join(f'{name} {found[name]:.2f}, least {least:g}' for name, least in DIVERSITY.items())};"
                " use another model or adapter"
            )
        yield stage_files.store(
            context,
            record(written, facts),
            {
                "calls": usage.calls,
                "cache_hits": usage.cache_hits,
                "cache_hit_share": round(usage.cache_hits / max(1, sum(one.attempts for one in written)), 4),
                "vectors": len({one.case.vector for one in written}),
                "coverage": round(found["coverage"], 4),
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cost_usd": usage.cost_usd,
                "valid_at_first_try": usage.first_try_valid,
                "valid_at_first_try_share": round(usage.first_try_valid / usage.cases, 4),
                "rejected_answers": sum(usage.rejected.values()),
                "rejected": dg.MetadataValue.json(usage.rejected),
                "model_seconds": round(usage.seconds, 3),
                **_quoted(llm, shard, cap),
            },
            watch,
        )


def diversity(written: Sequence[WrittenCase], briefs: Sequence[CaseBrief]) -> dict[str, float]:
    """How varied cases are, as shares of what is possible.

    ``different``: structurally, among the first ``COMPARED`` (of more cases, plans that are alike are no fault: there
    are only so many); ``vectors`` and ``coverage``: vectors and cells with a case, of those that were asked for first.
    """
    first = written[:COMPARED]
    asked, answered = set(briefs), {one.brief for one in written}
    vectors = {brief.vector for brief in asked}
    return {
        "different": len({one.case.signature() for one in first}) / len(first),
        "vectors": len(vectors & {one.case.vector for one in written}) / len(vectors),
        "coverage": len(asked & answered) / len(asked),
    }


def _judged(found: Mapping[str, float], cases: int) -> dg.AssetCheckResult:
    if cases < JUDGED_FROM:
        return _unjudged(cases)
    return dg.AssetCheckResult(
        passed=all(found[name] >= least for name, least in DIVERSITY.items()),
        check_name="diversity",
        metadata={"status": "judged", **{name: round(value, 4) for name, value in found.items()}},
    )


def _unjudged(cases: int) -> dg.AssetCheckResult:
    why = f"{cases} cases say too little: it is judged from {JUDGED_FROM} on"
    return dg.AssetCheckResult(passed=True, check_name="diversity", metadata={"status": "not assessed", "why": why})


def _quoted(llm: LLMResource, shard: Shard, cap: float | None) -> dict[str, Any]:
    """What was reckoned before the model was asked; nothing for a model of one's own."""
    if shard.request.content.provider != "openai":
        return {}
    quote = llm.quote(shard.request.content)[shard.scenario]
    return {
        "quoted_calls": quote.calls,
        "quoted_input_tokens": quote.input_tokens,
        "quoted_output_tokens": quote.output_tokens,
        "quoted_usd": round(quote.cost_usd, 6),
        **({} if cap is None else {"max_cost_usd": cap}),
    }
