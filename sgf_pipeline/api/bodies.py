"""Bodies and answers of the REST API, as the OpenAPI document describes them.

Belongs here: names, types and examples. Does not belong here: what a request means (``defaults``, ``domain.request``,
``previews``), which judges every value again; limits are repeated here only so that the document can say them.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sgf_pipeline.domain.request import MAX_COUNT, MAX_SEED, TENANT_PATTERN
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES, ScenarioName
from sgf_pipeline.previews import MAX_POPULATION, MAX_ROWS

# strict: a number is neither true nor "3"
Seed = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Moment = Annotated[str, Field(max_length=40, description="ISO 8601; UTC unless it says otherwise")]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]


class _Wanted(BaseModel):
    """What a preview and a batch have in common. What is left out has the default that docs/api.md states."""

    model_config = ConfigDict(extra="forbid")

    fraud_ratio: Share | None = Field(default=None, description="share of fraudulent transactions [0.1]")
    scenarios: list[ScenarioName] | None = Field(
        default=None, min_length=1, max_length=len(SCENARIO_NAMES), description="[all seven]"
    )
    weights: dict[ScenarioName, Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]] | None = Field(
        default=None, description="relative weight of each requested scenario [equal]"
    )
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$", description="ISO 4217 [EUR]")
    countries: list[Country] | None = Field(
        default=None, min_length=1, max_length=30, description="ISO 3166 alpha-2 [FR]"
    )
    start_date: Moment | None = None
    end_date: Moment | None = None
    seed: Seed | None = Field(default=None, description="[random; the answer names it]")
    population_seed: Seed | None = Field(default=None, description="the same customers in every request that names it")
    difficulty: Share | None = Field(default=None, description="0 (easy to find) to 1 [0.5]")
    hard_negative_share: Annotated[float, Field(strict=True, ge=0, le=0.2, allow_inf_nan=False)] | None = Field(
        default=None, description="of the legitimate rows that look like fraud [0.015]"
    )
    language: Literal["en", "fr"] | None = Field(default=None, description="of the explanations [en]")
    tenant: str | None = Field(default=None, pattern=TENANT_PATTERN, description="[the caller's own, or default]")

    def given(self) -> dict[str, Any]:
        """What the client really said."""
        return self.model_dump(mode="json", exclude_none=True)


class PreviewBody(_Wanted):
    """A handful of labelled rows at once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"count": 100, "fraud_ratio": 0.1, "countries": ["FR", "DE"], "seed": 7}]}
    )

    count: Annotated[int, Field(strict=True, ge=1, le=MAX_ROWS)] | None = Field(default=None, description="[100]")
    population_size: Annotated[int, Field(strict=True, ge=1, le=MAX_POPULATION)] | None = Field(
        default=None, description="customers a shard [implied]"
    )


class GenerateBody(_Wanted):
    """A batch, built through Dagster."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "count": 50000,
                    "fraud_ratio": 0.04,
                    "countries": ["FR", "DE", "IT"],
                    "start_date": "2025-01-01T00:00:00Z",
                    "end_date": "2025-01-31T23:59:59Z",
                    "seed": 12345,
                }
            ]
        }
    )

    count: Annotated[int, Field(strict=True, ge=1, le=MAX_COUNT)] | None = Field(default=None, description="[1000]")
    population_size: Annotated[int, Field(strict=True, ge=1, le=5_000_000)] | None = Field(
        default=None, description="customers a shard [implied]"
    )
    provider: Literal["peft", "openai"] | None = Field(default=None, description="who writes the cases [peft]")
    model: str | None = Field(default=None, min_length=1, max_length=128, description="the provider's [its default]")
    save: bool | None = Field(default=None, strict=True, description="load the warehouse [true]")
    s3: bool | None = Field(default=None, strict=True, description="export the dataset's files [true]")
    kafka: bool | None = Field(default=None, strict=True, description="publish to Kafka, where there is one [true]")
    max_cost_usd: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="the most that the model may cost"
    )


class PreviewAnswer(BaseModel):
    """Labelled rows. ``sha256`` is the hash of ``transactions`` as they were sent."""

    seed: int
    sha256: str
    latency_ms: int
    generated: int
    fraudulent: int
    legit: int
    model: str
    request: dict[str, JsonValue] = Field(description="what the request means: sent again, it gives the same rows")
    transactions: list[dict[str, JsonValue]]


class GenerateAnswer(BaseModel):
    """A finished batch."""

    batch_id: str
    generated: int
    fraudulent: int
    legit: int
    s3_uri: str | None = Field(description="the dataset's folder; null where no files were wanted")
    file_uris: list[str]
    latency_ms: int
    seed: int
    manifest: int | None


class AcceptedAnswer(BaseModel):
    """A batch that is on record and will be built, whatever becomes of this connection."""

    batch_id: str
    status_url: str
    run_ids: list[str] = Field(description="empty as long as nothing is launched")
    seed: int


class ShardAnswer(BaseModel):
    scenario: ScenarioName
    state: str
    rows: int | None
    fraudulent: int | None
    run_id: str | None
    stage: str | None
    error: str | None


class BatchAnswer(BaseModel):
    """Where a batch stands."""

    batch_id: str
    tenant: str
    state: str
    is_launched: bool
    count: int
    generated: int
    fraudulent: int
    legit: int
    seed: int
    manifest: int | None
    is_complete: bool
    s3_uri: str | None
    file_uris: list[str]
    error: str | None
    shards: list[ShardAnswer]


class BatchesAnswer(BaseModel):
    """A page of batches, newest first. ``next`` is the address of the next page."""

    batches: list[BatchAnswer]
    next: str | None


class CancelAnswer(BaseModel):
    """What was ended. ``refused``: runs that Dagster could not end, and why."""

    batch_id: str
    run_ids: list[str]
    backfill_ids: list[str]
    shared_backfill_ids: list[str]
    refused: dict[str, str]


class HealthAnswer(BaseModel):
    status: Literal["ok"]


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="one sentence: field, value, what is allowed or what to do")
    field: str | None = None
    value: str | None = None
    allowed: str | None = None
