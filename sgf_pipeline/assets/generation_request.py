"""Stage 0: the request of a batch, as registered.

Belongs here: the asset that shows a registered request in the graph, and registers one from the launchpad.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
from pydantic import Field

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import failing_plainly
from sgf_pipeline.assets.shown import OWNERS
from sgf_pipeline.domain.errors import UnknownBatchError
from sgf_pipeline.domain.request import GenerationRequest, parse_request
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES, ScenarioName
from sgf_pipeline.llm.backend import Estimate, free_of_charge, total
from sgf_pipeline.partitions import batch_ids
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.llm import LLMResource

NOT_CONTENT = ("register_new", "max_cost_usd")


class RequestConfig(dg.Config):
    """A request as the launchpad shows it: every field has a default.

    Set register_new to register it under the partition's name; leave it off to show what is registered.
    """

    register_new: bool = Field(default=False, description="true registers this request under the partition's batch_id")
    tenant: str = Field(default="default", description="whose batch it is: 1 to 24 lower-case letters and digits")
    count: int = Field(default=1000, description="transactions in all, 1 or more, split evenly over the scenarios")
    fraud_ratio: float = Field(default=0.1, description="share of fraudulent transactions, 0 to 1; met exactly")
    scenarios: list[str] = Field(
        default=list(SCENARIO_NAMES), description="kinds of fraud, one shard each: take out what you do not want"
    )
    currency: str = Field(default="EUR", description="ISO 4217 code of the billing currency, such as EUR, USD, JPY")
    countries: list[str] = Field(default=["FR"], description="where customers live: ISO 3166 alpha-2 codes, FR, DE, …")
    start_date: str = Field(default="2025-01-01T00:00:00Z", description="first moment, ISO 8601; UTC unless it says so")
    end_date: str = Field(default="2025-01-31T23:59:59Z", description="last moment, ISO 8601, up to three years later")
    seed: int = Field(default=0, description="0 or more; the same seed gives the same data, byte for byte")
    population_seed: int | None = Field(
        default=None, description="0 or more: the same customers, merchants and cards in several batches; else the seed"
    )
    population_size: int | None = Field(
        default=None, description="customers a shard, 1 to 5,000,000; else as many as count and period imply"
    )
    difficulty: float = Field(
        default=0.5, description="0 (simple rules find most of the fraud) to 1 (hidden in habits)"
    )
    hard_negative_share: float = Field(
        default=0.015, description="share of legitimate rows that look like fraud (a trip, a new phone), 0 to 0.2"
    )
    language: str = Field(default="en", description="language of the explanations: en or fr")
    provider: str = Field(default="peft", description="who writes the cases: peft (a model on this machine) or openai")
    model: str | None = Field(default=None, description="of openai; else OPENAI_MODEL")
    max_cost_usd: float | None = Field(default=None, description="the most that the model may cost; the quote tells")

    def content(self) -> dict[str, Any]:
        """The fields of the content."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name not in NOT_CONTENT}
        return {**fields, "start_date": _moment(self.start_date), "end_date": _moment(self.end_date)}


def _moment(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text  # the request refuses it with a sentence that names the field


@dg.asset(
    group_name="request",
    partitions_def=batch_ids,
    code_version="1",
    kinds={"json"},
    owners=OWNERS,
    description="""The request that defines a batch, as registered. Everything downstream follows from its content:
the same content gives the same bytes.

**To register a batch here**: *Materialize ▾ → Open launchpad*, *Add new partition* (its name is the batch_id), set
`register_new: true`, change what you like, *Materialize*. Then build its shards with the job `build_shard`; the
manifest follows by itself. Without `register_new` the registered request is shown. `quote` says what the model may
take before a shard asks it.
""",
)
def generation_request(
    context: dg.AssetExecutionContext, config: RequestConfig, lake: LakeResource, llm: LLMResource
) -> dg.MaterializeResult[None]:
    """Emit the registered request; register it first when the launchpad says so."""
    with failing_plainly():
        if not config.register_new:
            _must_be_registered(lake, context.partition_key)
        # what was typed is held to what is registered, whether or not it is to be registered: it would else be ignored
        if config.register_new or config != RequestConfig():
            delivery = {"requested_by": "launchpad", "max_cost_usd": config.max_cost_usd}
            asked = parse_request(context.partition_key, config.content(), delivery)
            batches.check_buildable(asked)
            llm.check(asked)
            request = batches.register(lake, asked)
        else:
            request = batches.load(lake, context.partition_key)
        metadata = _metadata(request, llm.quote(request.content), llm.unpriced(request.content))
    return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(request.content.content_sha))


def _must_be_registered(lake: LakeResource, batch_id: str) -> None:
    try:
        batches.load(lake, batch_id)
    except UnknownBatchError:
        raise UnknownBatchError(
            f"batch_id {batch_id!r} is not registered: set register_new to true in the launchpad to register it"
        ) from None


def _metadata(
    request: GenerationRequest, quote: Mapping[ScenarioName, Estimate], unpriced: Sequence[str]
) -> dict[str, Any]:
    content = request.content
    in_all = total(quote.values())
    return {
        "rows": content.count,
        "fraudulent": content.fraudulent,
        "difficulty": content.difficulty,
        "requested_by": request.delivery.requested_by,
        "content_sha": content.content_sha,
        "request": dg.MetadataValue.json(request.model_dump(mode="json")),
        "shards": dg.MetadataValue.md(
            "| scenario | fraudulent | legitimate |\n| --- | --- | --- |\n"
            + "\n".join(f"| {name} | {c.fraudulent} | {c.legit} |" for name, c in content.shard_counts().items())
        ),
        "quoted_cases": in_all.cases,
        "quoted_calls": in_all.calls,
        "quoted_usd": round(in_all.cost_usd, 6),
        "quote": dg.MetadataValue.md(_table(quote) + "".join(f"\n\n{one}" for one in free_of_charge(unpriced))),
    }


def _table(quote: Mapping[ScenarioName, Estimate]) -> str:
    lines = ["| scenario | cases | calls | tokens in | tokens out | USD at most |", "|" + " --- |" * 6]
    for name, one in (*quote.items(), ("in all", total(quote.values()))):
        figures = (one.cases, one.calls, one.input_tokens or 0, one.output_tokens or 0, f"{one.cost_usd:.4f}")
        lines.append(f"| {name} | {' | '.join(map(str, figures))} |")
    return "\n".join(lines)
