"""``GenerationRequest``: everything that defines a batch, validated once, at the door.

Belongs here: the fields with their limits, the split into content and delivery, the content hash, and the
exact counts of every shard, which follow from the content alone. Does not belong here: where a request is
stored (``sgf_pipeline.batches``) and how doors read it.
"""

import hashlib
import json
import re
import reprlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import pycountry
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.money import UNITS_PER_EUR, round_half_up, split_largest_remainder
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES, ScenarioName

BATCH_ID_PATTERN = r"^[a-z0-9][a-z0-9_]{2,62}$"
TENANT_PATTERN = r"^[a-z0-9]{1,24}$"
MAX_COUNT = 1_000_000_000
MAX_SEED = 2**63 - 1
MAX_PERIOD = timedelta(days=3 * 366)

_ADDED_LATER = ("hard_negative_share",)

_COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries)

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


def check_batch_id(value: str) -> str:
    """Return the batch id, or raise ``InvalidRequestError``. Every entrance calls this."""
    if not re.fullmatch(BATCH_ID_PATTERN, value):
        raise InvalidRequestError(
            f"batch_id {shown(value)} is malformed: use 3 to 63 lower-case letters, digits and underscores,"
            " starting with a letter or digit"
        )
    return value


def check_tenant(value: str) -> str:
    """Return the tenant, or raise ``InvalidRequestError``."""
    if not re.fullmatch(TENANT_PATTERN, value):
        raise InvalidRequestError(f"tenant {shown(value)} is malformed: use 1 to 24 lower-case letters and digits")
    return value


def check_scenario(value: str) -> ScenarioName:
    """Return the scenario name, or raise ``InvalidRequestError``."""
    if value not in SCENARIO_NAMES:
        raise InvalidRequestError(f"scenario {shown(value)} is unknown: use one of {', '.join(SCENARIO_NAMES)}")
    return value


def _whole_second_utc(value: datetime, info: ValidationInfo) -> datetime:
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise InvalidRequestError(
            f"{info.field_name} {value.isoformat()} is out of range: use a year between 1970 and 2200"
        ) from None


Moment = Annotated[datetime, AfterValidator(_whole_second_utc)]


@dataclass(frozen=True)
class ShardCounts:
    """Exported rows of one shard: ``fraudulent`` + ``legit`` = ``rows``."""

    fraudulent: int
    legit: int

    @property
    def rows(self) -> int:
        return self.fraudulent + self.legit


class RequestContent(BaseModel):
    """The part of a request that defines the data. Equal content, equal bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    tenant: Annotated[str, AfterValidator(check_tenant)] = "default"
    count: int = Field(default=1000, ge=1, le=MAX_COUNT, description="exported transactions, all shards together")
    fraud_ratio: float = Field(default=0.1, ge=0, le=1, description="share of fraudulent transactions")
    scenarios: tuple[ScenarioName, ...] = Field(default=SCENARIO_NAMES, min_length=1)
    weights: dict[ScenarioName, float] | None = Field(
        default=None, description="relative weight of each requested scenario; equal when absent"
    )
    currency: str = "EUR"
    countries: tuple[str, ...] = Field(default=("FR",), min_length=1, max_length=30)
    start_date: Moment
    end_date: Moment = Field(description="last moment of the period, inclusive to the second")
    seed: Seed
    population_seed: Seed = Field(description="defaults to the seed")
    population_size: int | None = Field(
        default=None, ge=1, le=5_000_000, description="customers a shard; implied by count and period when absent"
    )
    difficulty: float = Field(default=0.5, ge=0, le=1)
    hard_negative_share: float = Field(
        default=0.015, ge=0, le=0.2, description="share of each shard's legitimate rows that look like its fraud"
    )
    language: Literal["en", "fr"] = "en"
    profile: str | None = Field(default=None, max_length=512, description="a profile of a user's own data")
    provider: Literal["peft", "openai"] = "peft"
    model: str | None = Field(default=None, max_length=128, description="the provider's default when absent")

    @model_validator(mode="before")
    @classmethod
    def _population_seed_follows_seed(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("population_seed") is None and "seed" in data:
            return {**data, "population_seed": data["seed"]}
        return data

    @field_validator("scenarios", mode="before")
    @classmethod
    def _known_scenarios(cls, value: Any) -> Any:
        asked = [check_scenario(name) for name in _listed("scenarios", value)]
        return tuple(name for name in SCENARIO_NAMES if name in asked)

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        if value not in UNITS_PER_EUR:
            raise InvalidRequestError(
                f"currency {shown(value)} is not supported: use one of {', '.join(UNITS_PER_EUR)}"
            )
        return value

    @field_validator("countries", mode="before")
    @classmethod
    def _known_countries(cls, value: Any) -> Any:
        for code in _listed("countries", value):
            if code not in _COUNTRIES:
                raise InvalidRequestError(
                    f"country {shown(code)} is unknown: use ISO 3166 alpha-2 codes in capitals, such as FR or DE"
                )
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.end_date <= self.start_date:
            raise InvalidRequestError(
                f"end_date {_iso(self.end_date)} must be later than start_date {_iso(self.start_date)}"
            )
        if self.end_date - self.start_date > MAX_PERIOD:
            raise InvalidRequestError(
                f"end_date {_iso(self.end_date)} is more than {MAX_PERIOD.days} days after start_date"
                f" {_iso(self.start_date)}: shorten the period"
            )
        if not 1970 <= self.start_date.year <= 2200:
            raise InvalidRequestError(
                f"start_date {_iso(self.start_date)} is out of range: use a year between 1970 and 2200"
            )
        if self.weights is not None:
            foreign = [name for name in self.weights if name not in self.scenarios]
            bad = [name for name, weight in self.weights.items() if weight < 0]
            if foreign or bad or sum(self.weights.values()) <= 0:
                raise InvalidRequestError(
                    f"weights {shown(self.weights)} must give a number ≥ 0, one of them positive, to requested"
                    f" scenarios only ({', '.join(self.scenarios)})"
                )
        return self

    @property
    def content_sha(self) -> str:
        """SHA-256 over the canonical JSON of the content: sorted keys, no spaces, UTC times.

        A field of ``_ADDED_LATER`` counts only where it differs from its default, so that records of requests from
        before it existed keep their hash.
        """
        content = self.model_dump(mode="json")
        for name in _ADDED_LATER:
            if content[name] == type(self).model_fields[name].default:
                del content[name]
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    @property
    def fraudulent(self) -> int:
        """``round_half_up(count × fraud_ratio)``, in decimals."""
        return round_half_up(Decimal(self.count) * Decimal(str(self.fraud_ratio)))

    def shard_counts(self) -> dict[ScenarioName, ShardCounts]:
        """Exact rows of each requested shard: frauds and legitimate rows each split by largest remainder."""
        weights = {name: (self.weights or {}).get(name, 0.0 if self.weights else 1.0) for name in self.scenarios}
        fraud = split_largest_remainder(self.fraudulent, weights)
        legit = split_largest_remainder(self.count - self.fraudulent, weights)
        return {name: ShardCounts(fraud[name], legit[name]) for name in self.scenarios}


class RequestDelivery(BaseModel):
    """The part of a request that never changes a byte of the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    save: bool = Field(default=True, description="load the rows into the warehouse (DATABASE_URL)")
    s3: bool = Field(default=True, description="export the Hive dataset to the storage")
    kafka: bool = Field(default=True, description="publish to Kafka where KAFKA_BOOTSTRAP_SERVERS is set")
    max_cost_usd: float | None = Field(default=None, ge=0, description="cap on the model's cost for the batch")
    requested_by: str = Field(default="unknown", max_length=128)


class GenerationRequest(BaseModel):
    """One request. Build it with ``parse_request``, which turns every refusal into one sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_id: Annotated[str, AfterValidator(check_batch_id)]
    content: RequestContent
    delivery: RequestDelivery = RequestDelivery()

    def record(self) -> str:
        """The JSON that is registered: canonical, so that equal requests are equal files."""
        return canonical_json({**self.model_dump(mode="json"), "content_sha": self.content.content_sha})

    @classmethod
    def from_record(cls, text: str | bytes) -> "GenerationRequest":
        """Read what ``record`` wrote. Raises ``InvalidRequestError`` if it was edited or cut short."""
        try:
            data = json.loads(text)
            if not isinstance(data, dict):
                raise ValueError("no JSON object")
            stated = data.pop("content_sha", None)
            request = cls.model_validate(data)
        except (ValueError, RecursionError) as error:  # pydantic's and json's errors are ValueErrors
            raise InvalidRequestError(
                f"a recorded request cannot be read ({str(error).splitlines()[0]}): register it under another batch_id"
            ) from error
        if stated != request.content.content_sha:
            raise InvalidRequestError(
                f"content_sha of batch {request.batch_id!r} does not match its content: the record was edited;"
                " register the request again under another batch_id"
            )
        return request


def parse_request(batch_id: str, content: dict[str, Any], delivery: dict[str, Any]) -> GenerationRequest:
    """Validate raw values. Raises ``InvalidRequestError`` with one sentence naming field, value and remedy."""
    try:
        return GenerationRequest(
            batch_id=batch_id,
            content=RequestContent.model_validate(content),
            delivery=RequestDelivery.model_validate(delivery),
        )
    except ValidationError as error:
        first = error.errors()[0]
        field = " ".join(".".join(str(part) for part in first["loc"]).split())[:80] or "request"
        raise InvalidRequestError(f"{field} {shown(first['input'])} is not allowed: {first['msg']}") from None


class _Shown(reprlib.Repr):
    """Short and in one line, also for what has no end, is nested without one, or has 5,000 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 2, 80, 80

    def repr_int(self, value: int, level: int) -> str:
        return super().repr_int(value, level) if value.bit_length() < 256 else "(a number of hundreds of digits)"


shown = _Shown().repr
"""A refused value as it is repeated to whoever gave it."""


def _listed(field: str, value: Any) -> list[str] | tuple[str, ...]:
    """A list of texts. A set would be another request each time: it has no order."""
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return value
    raise InvalidRequestError(f"{field} {shown(value)} is not allowed: use a list of texts")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _iso(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")
