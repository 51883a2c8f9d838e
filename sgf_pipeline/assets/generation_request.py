"""Stage 0: the request of a batch, as registered.

Belongs here: the asset that shows a registered request in the graph, and registers one from the launchpad.
"""

from datetime import datetime
from typing import Any

import dagster as dg
from pydantic import Field

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import failing_plainly
from sgf_pipeline.domain.request import GenerationRequest, parse_request
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES
from sgf_pipeline.partitions import batch_ids
from sgf_pipeline.resources.lake import LakeResource


class RequestConfig(dg.Config):
    """A request as the launchpad shows it. Leave ``register_new`` off to show a batch that is registered already."""

    register_new: bool = Field(default=False, description="register this request under the partition's batch_id")
    tenant: str = Field(default="default", description="1 to 24 lower-case letters and digits")
    count: int = Field(default=1000, description="transactions in all, 1 or more")
    fraud_ratio: float = Field(default=0.1, description="share of fraudulent transactions, 0 to 1")
    scenarios: list[str] = Field(default=list(SCENARIO_NAMES), description="names of the scenarios")
    currency: str = Field(default="EUR", description="ISO 4217 code of the billing currency")
    countries: list[str] = Field(default=["FR"], description="ISO 3166 alpha-2 codes")
    start_date: str = Field(default="2025-01-01T00:00:00Z", description="first moment, ISO 8601")
    end_date: str = Field(default="2025-01-31T23:59:59Z", description="last moment, ISO 8601")
    seed: int = Field(default=0, description="0 or more; the same seed gives the same data")
    population_seed: int | None = Field(default=None, description="the seed when empty")
    population_size: int | None = Field(default=None, description="customers a shard; implied when empty")
    difficulty: float = Field(default=0.5, description="0 (a junior's rules find most) to 1 (hidden in habits)")
    hard_negative_share: float = Field(default=0.015, description="of legitimate rows that look like fraud, 0 to 0.2")
    language: str = Field(default="en", description="of the explanations: en or fr")

    def content(self) -> dict[str, Any]:
        """The fields of the content."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "register_new"}
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
    owners=["team:fraud-data"],
    description="The request that defines a batch, as registered: everything downstream follows from its content.",
)
def generation_request(
    context: dg.AssetExecutionContext, config: RequestConfig, lake: LakeResource
) -> dg.MaterializeResult[None]:
    """Emit the registered request; register it first when the launchpad says so."""
    with failing_plainly():
        if config.register_new:
            request = batches.register(
                lake, parse_request(context.partition_key, config.content(), {"requested_by": "launchpad"})
            )
        else:
            request = batches.load(lake, context.partition_key)
    return dg.MaterializeResult(metadata=_metadata(request), data_version=dg.DataVersion(request.content.content_sha))


def _metadata(request: GenerationRequest) -> dict[str, Any]:
    content = request.content
    return {
        "rows": content.count,
        "fraudulent": content.fraudulent,
        "content_sha": content.content_sha,
        "request": dg.MetadataValue.json(request.model_dump(mode="json")),
        "shards": dg.MetadataValue.md(
            "| scenario | fraudulent | legitimate |\n| --- | --- | --- |\n"
            + "\n".join(f"| {name} | {c.fraudulent} | {c.legit} |" for name, c in content.shard_counts().items())
        ),
    }
