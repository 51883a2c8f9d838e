"""The bundled model, trained again: its corpus, its base, one adapter a scenario; or an adapter of a user's own fraud.

Belongs here: the assets' place in the graph and what they show. The training itself lives in ``sgf_pipeline.training``,
which is imported inside the functions: a run that only generates never loads it. Results lie under
``SGF_CACHE_DIR/models``; point SGF_PEFT_BASE and SGF_PEFT_ADAPTER there to use them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from sgf_pipeline.assets.shard_context import failing_plainly
from sgf_pipeline.assets.shown import OWNERS, check
from sgf_pipeline.domain.request import check_scenario
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.partitions import scenarios
from sgf_pipeline.resources.llm import LLMResource
from sgf_pipeline.scenarios import scenario
from sgf_pipeline.settings import read_settings

CHECKS = {
    "valid": "the taught adapter's first answers are valid, for own cells and for bundled ones",
    "learned": "it loses less on held-out own cases than the base alone",
    "memorisation": "its cases are as far from the taught ones as held-out cases are",
}
CASES = Field(default="", description="folder of one's own confirmed cases, .jsonl or .parquet; none when empty")


class CorpusConfig(dg.Config):
    """Which corpus."""

    seed: int = Field(default=0, description="of the widening of the archetypes")
    cases: str = CASES


class BaseConfig(dg.Config):
    """How long to train the base on which corpus."""

    steps: int = Field(default=2000, description="optimiser steps")
    seed: int = Field(default=0, description="of corpus, weights and order")


class AdapterConfig(dg.Config):
    """How long to train an adapter on which corpus."""

    steps: int = Field(default=0, description="optimiser steps; 500, or 300 with cases, when 0")
    seed: int = Field(default=0, description="of corpus, weights and order")
    cases: str = CASES
    share: float = Field(default=0.6, gt=0, le=1, description="of a batch's briefs that ask for own vectors")
    out: str = Field(default="", description="folder of the taught adapters; SGF_CACHE_DIR/models/taught when empty")


@dg.asset(
    group_name="model",
    code_version="1",
    kinds={"json"},
    owners=OWNERS,
    description="""What the bundled model learns from: hand-written archetypes of every scenario, widened over its
coverage matrix, as JSON lines of brief and case. A part is held out, by which the model is judged.

With `cases`, one's own confirmed cases are read and checked as well, and counted (`own_cases`, `duplicates`): every
problem is told, with file, line and field. They are not copied; `scenario_adapter` reads them where they lie.
""",
)
def case_corpus(config: CorpusConfig, llm: LLMResource) -> dg.MaterializeResult[None]:
    """Write the corpus as JSON lines, for people to read; training builds it anew from the same seed."""
    from sgf_pipeline.training.corpus import build_corpus

    own: dict[str, int] = {}
    with failing_plainly():
        corpus = build_corpus(seed=config.seed)
        if config.cases:
            from sgf_pipeline.training.own_cases import read_own_cases

            given = read_own_cases(Path(config.cases))
            own = {"own_cases": len(given.examples), "duplicates": given.duplicates, "files": given.files}
    folder = _folder(llm) / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, examples in corpus.train.items():
        text = "".join(
            json.dumps({"brief": example.brief.model_dump(), "case": example.case.model_dump()}) + "\n"
            for example in examples
        )
        (folder / f"{name}.jsonl").write_text(text)
        lines.append(f"| {name} | {len(examples)} | {len(corpus.held_out[name])} |")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(len(examples) for examples in corpus.train.values()),
            **own,
            "folder": str(folder),
            "cases": dg.MetadataValue.md("| scenario | train | held out |\n| --- | --- | --- |\n" + "\n".join(lines)),
        }
    )


@dg.asset(
    group_name="model",
    deps=[case_corpus],
    code_version="1",
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    description="""The small causal language model with its tokenizer, trained on the corpus of every scenario: a
folder that `SGF_PEFT_BASE` can name. No run that only generates needs it.
""",
)
def base_model(config: BaseConfig, llm: LLMResource) -> dg.MaterializeResult[None]:
    """Train tokenizer and base."""
    from sgf_pipeline.training.base_model import train_base
    from sgf_pipeline.training.corpus import build_corpus

    with failing_plainly():
        figures = train_base(build_corpus(seed=config.seed), _folder(llm) / "base", config.steps, config.seed)
    return dg.MaterializeResult(metadata={**figures, "folder": str(_folder(llm) / "base")})


@dg.asset(
    group_name="model",
    partitions_def=scenarios,
    deps=[case_corpus, base_model],
    code_version="2",
    check_specs=[check("scenario_adapter", name, text, scenarios, blocking=True) for name, text in CHECKS.items()],
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    description="""One LoRA adapter a scenario, trained on the base: what makes the base write that scenario's cases.
`SGF_PEFT_ADAPTER` can name the folder of all seven; cases that older adapters wrote are then marked as stale.

With `cases`, it is trained on the model in use and on one's own confirmed cases as well, vectors of one's own among
them (docs/teaching.md), and lies in a folder with the other scenarios' adapters. It is refused, and nothing of it
kept, where a check fails: when it answers badly, learned nothing, or repeats the cases that it was taught.

- `loss_held_out`, `loss_base`: nats a token on held-out cases, with the adapter and without
- `valid_own`, `valid_stock`: of first answers; `valid_own_bundled_adapter`: of one that never saw the own vectors
- `distinct`, `new_structure`: of its cases; `too_near`, `copied`, `longest_run`, `distance`: what they repeat, each
  beside what held-out cases have in common with the taught ones
""",
)
def scenario_adapter(context: dg.AssetExecutionContext, config: AdapterConfig, llm: LLMResource) -> Iterator[Any]:
    """Train the partition's adapter: on the bundled corpus, or on one's own cases as well."""
    from sgf_pipeline.training.adapters import train_adapter
    from sgf_pipeline.training.corpus import build_corpus

    with failing_plainly():
        name = scenario(check_scenario(context.partition_key)).name
        if config.cases:
            yield from _taught(name, config, llm)
            return
        folder = _folder(llm) / "adapters" / name
        corpus = build_corpus([name], config.seed)
        figures = train_adapter(name, corpus, _folder(llm) / "base", folder, config.steps or 500, config.seed)
    for check_name in CHECKS:
        yield dg.AssetCheckResult(
            passed=True, check_name=check_name, metadata={"status": "not assessed", "why": "no cases of one's own"}
        )
    yield dg.MaterializeResult(metadata={**figures, "folder": str(folder)})


def _taught(name: ScenarioName, config: AdapterConfig, llm: LLMResource) -> Iterator[Any]:
    """The adapter of a user's own cases: judged, then put in its place or refused."""
    from sgf_pipeline.llm.peft_backend import BUNDLED
    from sgf_pipeline.training.own_cases import read_own_cases
    from sgf_pipeline.training.teaching import STEPS, teach

    base = Path(llm.peft_base) if llm.peft_base else None
    lesson = teach(
        name,
        read_own_cases(Path(config.cases)),
        Path(config.out) if config.out else _folder(llm) / "taught",
        base=base,
        steps=config.steps or STEPS,
        share=config.share,
        seed=config.seed,
        key=read_settings().parquet_key,
    )
    for verdict in lesson.verdicts:
        yield dg.AssetCheckResult(passed=verdict.passed, check_name=verdict.name, metadata={"found": verdict.found})
    in_use = Path(llm.peft_adapter) if llm.peft_adapter else None if base else BUNDLED / "adapters"
    folder = lesson.accept(in_use)
    yield dg.MaterializeResult(metadata={**lesson.figures, "folder": str(folder)})


def _folder(llm: LLMResource) -> Path:
    return Path(llm.cache_dir) / "models"
