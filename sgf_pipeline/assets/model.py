"""The bundled model, trained again: its corpus, its base, one adapter a scenario.

Belongs here: the assets' place in the graph and what they show. The training itself lives in ``sgf_pipeline.training``,
which is imported inside the functions: a run that only generates never loads it. Results lie under
``SGF_CACHE_DIR/models``; point SGF_PEFT_BASE and SGF_PEFT_ADAPTER there to use them.
"""

import json
from pathlib import Path

import dagster as dg
from pydantic import Field

from sgf_pipeline.assets.shard_context import failing_plainly
from sgf_pipeline.assets.shown import OWNERS
from sgf_pipeline.domain.request import check_scenario
from sgf_pipeline.partitions import scenarios
from sgf_pipeline.resources.llm import LLMResource
from sgf_pipeline.scenarios import scenario


class CorpusConfig(dg.Config):
    """Which corpus."""

    seed: int = Field(default=0, description="of the widening of the archetypes")


class BaseConfig(dg.Config):
    """How long to train the base on which corpus."""

    steps: int = Field(default=2000, description="optimiser steps")
    seed: int = Field(default=0, description="of corpus, weights and order")


class AdapterConfig(dg.Config):
    """How long to train an adapter on which corpus."""

    steps: int = Field(default=500, description="optimiser steps")
    seed: int = Field(default=0, description="of corpus, weights and order")


@dg.asset(
    group_name="model",
    code_version="1",
    kinds={"json"},
    owners=OWNERS,
    description="""What the bundled model learns from: hand-written archetypes of every scenario, widened over its
coverage matrix, as JSON lines of brief and case. A part is held out, by which the model is judged.
""",
)
def case_corpus(config: CorpusConfig, llm: LLMResource) -> dg.MaterializeResult[None]:
    """Write the corpus as JSON lines, for people to read; training builds it anew from the same seed."""
    from sgf_pipeline.training.corpus import build_corpus

    with failing_plainly():
        corpus = build_corpus(seed=config.seed)
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
    code_version="1",
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    description="""One LoRA adapter a scenario, trained on the base: what makes the base write that scenario's cases.
`SGF_PEFT_ADAPTER` can name the folder of all seven; cases that older adapters wrote are then marked as stale.
""",
)
def scenario_adapter(
    context: dg.AssetExecutionContext, config: AdapterConfig, llm: LLMResource
) -> dg.MaterializeResult[None]:
    """Train the partition's adapter."""
    from sgf_pipeline.training.adapters import train_adapter
    from sgf_pipeline.training.corpus import build_corpus

    with failing_plainly():
        name = scenario(check_scenario(context.partition_key)).name
        folder = _folder(llm) / "adapters" / name
        corpus = build_corpus([name], config.seed)
        figures = train_adapter(name, corpus, _folder(llm) / "base", folder, config.steps, config.seed)
    return dg.MaterializeResult(metadata={**figures, "folder": str(folder)})


def _folder(llm: LLMResource) -> Path:
    return Path(llm.cache_dir) / "models"
