"""Stage 1: the model writes the shard's fraud cases. The only asset that needs the language model."""

import dagster as dg

from sgf_pipeline import pools
from sgf_pipeline.assets.generation_request import generation_request
from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, Stopwatch
from sgf_pipeline.assets.sinks import RETRIES
from sgf_pipeline.assets.stage_files import StageFiles
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.prompts import PROMPT_VERSION
from sgf_pipeline.llm.recorded import record
from sgf_pipeline.partitions import BATCH_TO_SHARDS, shards
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.llm import LLMResource
from sgf_pipeline.scenarios import scenario
from sgf_pipeline.simulation import cases_needed


@dg.asset(
    group_name="generation",
    partitions_def=shards,
    deps=[dg.AssetDep(generation_request, partition_mapping=BATCH_TO_SHARDS)],
    io_manager_key="stage_files",
    code_version=f"prompt-{PROMPT_VERSION}",  # with the model's version behind it: ``definitions``
    pool=pools.MODEL,
    retry_policy=RETRIES,
    kinds={"llm", "parquet"},
    owners=OWNERS,
    description="""The crimes of the shard, as the language model wrote them: short plans of 1 to 12 steps, one a row,
each with the brief that it answers.

The only asset that asks the model. Briefs are drawn by the seed; an answer that breaks the schema or its scenario's
rules is asked for again, then given up for a fresh brief; accepted answers are cached. Its code version names prompt
and model: another model, or another adapter, marks these cases as stale and, once they are written anew, what was
made of the old ones.

- `case_id`, `brief` and `case` (both JSON), `attempts`, `input_tokens`, `output_tokens`: the columns
- `valid_at_first_try_share`, `rejected_answers` (by reason in `rejected`): how well the model answered
- `calls`, tokens, `cost_usd`, `model_seconds`: what new answers took; `cache_hits`: the others
""",
)
def fraud_cases(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    llm: LLMResource,
    stage_files: dg.ResourceParam[StageFiles],
) -> dg.MaterializeResult[None]:
    """Draw briefs by the seed, let the model write, record what it wrote."""
    watch = Stopwatch()
    with failing_plainly():
        shard = shard_of(context, lake)
        content = shard.request.content
        wanted = cases_needed(shard.scenario, shard.counts.fraudulent)
        facts: dict[str, object] = {"cases": wanted, "prompt_version": PROMPT_VERSION}
        if not wanted:
            return stage_files.store(context, record([], facts), {"calls": 0, "cache_hits": 0}, watch)
        table = scenario(shard.scenario)
        writer = llm.writer(content.seed)
        written = writer.write_cases(
            draw_briefs(table, wanted, content.seed),
            iter(draw_briefs(table, len(table.matrix), content.seed, start=wanted)),
        )
        usage = writer.usage
        facts.update(
            provider=writer.backend.provider,
            model=writer.backend.name,
            fingerprint=writer.backend.fingerprint,
            input_tokens=sum(one.input_tokens for one in written),
            output_tokens=sum(one.output_tokens for one in written),
            cost_usd=0.0,
            structurally_different=len({one.case.signature() for one in written}) / len(written),
            matrix_cells=len({one.brief.prompt() for one in written}),
        )
        return stage_files.store(
            context,
            record(written, facts),
            {
                "calls": usage.calls,
                "cache_hits": usage.cache_hits,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cost_usd": usage.cost_usd,
                "valid_at_first_try": usage.first_try_valid,
                "valid_at_first_try_share": round(usage.first_try_valid / usage.cases, 4),
                "rejected_answers": sum(usage.rejected.values()),
                "rejected": dg.MetadataValue.json(usage.rejected),
                "model_seconds": round(usage.seconds, 3),
            },
            watch,
        )
