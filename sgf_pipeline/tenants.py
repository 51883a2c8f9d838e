"""Who gets a batch every night: the file of tenants, and the request of one tenant's night.

Belongs here: the file's fields with their limits, how date and tenant become a request, and registering it. Does not
belong here: what is launched for a night (``schedules``, ``launch``).

A night is called by the last day whose transactions it holds: ``nightly_acme_2025_01_30`` is built early on the 31st.
"""

import hashlib
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import ConfigurationError, ConflictError, InvalidRequestError, UnknownBatchError
from sgf_pipeline.domain.request import GenerationRequest, Seed, check_tenant, parse_request, shown
from sgf_pipeline.resources.lake import LakeResource

MAX_CATCH_UP = 31
SECOND_LOOKS = (30, 120)  # minutes after ``at``: a storage that was down then may be up again
# Wide enough for every night that is meant, and far enough from where a date, or a request's period, ends.
FIRST_DAY, LAST_DAY = date(1972, 1, 1), date(2199, 12, 31)
# zoneinfo lists them; they are what a machine happens to be set to, or nothing.
_NO_PLACES = ("Factory", "localtime", "posixrules")
# What differs from night to night, or is the tenant's own: no tenant's ``request`` may name it.
_OURS = ("tenant", "start_date", "end_date", "seed", "population_seed", "population_size", "difficulty")


def nightly_batch_id(tenant: str, night: date) -> str:
    """``nightly_<tenant>_YYYY_MM_DD``: the night's name, by the last day of its period."""
    return f"nightly_{tenant}_{night:%Y_%m_%d}"


class Difficulty(BaseModel):
    """How hard fraud is to find, night by night: fraudsters learn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: float = Field(default=0.5, ge=0, le=1, description="on the first night")
    a_night: float = Field(default=0.0, ge=-1, le=1, description="added every night")
    last: float | None = Field(default=None, ge=0, le=1, description="where the drift ends; 0 or 1 when absent")

    @model_validator(mode="after")
    def _ends_where_it_drifts_to(self) -> Self:
        if self.last is not None and (self.last - self.first) * self.a_night < 0:
            raise ValueError(f"difficulty drifts away from last {self.last}: change the sign of a_night")
        return self

    def on(self, night: int) -> float:
        """The difficulty of the night with this number, counted from 0."""
        low, high = sorted((self.first, float(self.a_night > 0) if self.last is None else self.last))
        return round(min(max(self.first + self.a_night * night, low), high), 6)


class Tenant(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Annotated[str, AfterValidator(check_tenant)]
    first_night: date = Field(
        ge=FIRST_DAY, le=LAST_DAY, description="nothing is built for earlier days, and drift counts from here"
    )
    at: time = Field(default=time(2), description="local time at which the night's batch is begun, HH:MM")
    time_zone: str = Field(default="UTC", description="of ``at`` and of the days")
    days: int = Field(default=1, ge=1, le=366, description="length of each batch's period, its last day included")
    catch_up_nights: int = Field(default=3, ge=0, le=MAX_CATCH_UP, description="missed nights that are built later")
    seed: Seed = Field(default=0, description="what the nights' own seeds are derived from")
    population_seed: Seed = Field(default=0, description="the same customers every night")
    population_size: int = Field(ge=1, le=5_000_000, description="customers a shard, the same every night")
    difficulty: Difficulty = Difficulty()
    request: dict[str, Any] = Field(default_factory=dict, description="count, fraud_ratio, scenarios, currency …")
    delivery: dict[str, Any] = Field(default_factory=dict, description="save, s3, kafka, max_cost_usd")

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        if value not in available_timezones() or value in _NO_PLACES:
            raise ValueError("use an IANA name such as Europe/Paris")
        return value

    @field_validator("first_night", mode="before")
    @classmethod
    def _written_as_a_day(cls, value: Any) -> Any:
        if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):  # pydantic takes seconds, too
            raise ValueError("use YYYY-MM-DD")
        return value

    @field_validator("at", mode="before")
    @classmethod
    def _written_as_a_minute(cls, value: Any) -> Any:
        if isinstance(value, str) and not re.fullmatch(r"\d{2}:\d{2}", value):  # pydantic takes seconds, zones, too
            raise ValueError("use a whole minute, HH:MM, in the tenant's time zone")
        return value

    @field_validator("request")
    @classmethod
    def _no_field_of_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        named = [name for name in _OURS if name in value]
        if named:
            raise ValueError(f"{named[0]} belongs beside request, or follows from the night: leave it out")
        return value

    @property
    def crons(self) -> list[str]:
        """When nights are looked after, in the tenant's time zone: at ``at``, and again in case that went wrong."""
        first = datetime.combine(self.first_night, self.at)
        moments = [first + timedelta(minutes=later) for later in (0, *SECOND_LOOKS)]
        return [f"{moment.minute} {moment.hour} * * *" for moment in moments]

    def night_of(self, moment: datetime) -> date:
        """The newest night that is due at this moment (with a time zone): the last full day before ``at``."""
        local = moment.astimezone(ZoneInfo(self.time_zone))
        return local.date() - timedelta(days=1 if local.time() >= self.at else 2)

    def nights_due(self, moment: datetime) -> list[date]:
        """The newest night and, before it, those that may still be caught up; oldest first."""
        newest = self.night_of(moment)
        nights = [newest - timedelta(days=back) for back in range(self.catch_up_nights, -1, -1)]
        return [night for night in nights if night >= self.first_night]

    def check_night(self, night: date, moment: datetime) -> date:
        """Return the night, or raise ``InvalidRequestError``: before the first one, or not over yet at this moment."""
        today = moment.astimezone(ZoneInfo(self.time_zone)).date()
        if night < self.first_night:
            raise InvalidRequestError(
                f"night {night} of tenant {self.tenant!r} is before its first_night {self.first_night}: use that one"
                " or a later one"
            )
        if night >= today:
            raise InvalidRequestError(
                f"night {night} of tenant {self.tenant!r} is not over yet in {self.time_zone}:"
                f" use {today - timedelta(days=1)} or an earlier one"
            )
        return night

    def night_request(self, night: date) -> GenerationRequest:
        """The request of one night. Raises ``InvalidRequestError`` as every door does."""
        zone = ZoneInfo(self.time_zone)
        first = datetime.combine(night - timedelta(days=self.days - 1), time(), zone)
        # A local day has 23 to 25 hours: the next midnight is asked for, not 24 hours later.
        end = datetime.combine(night + timedelta(days=1), time(), zone).astimezone(UTC) - timedelta(seconds=1)
        drawn = hashlib.sha256(f"{self.tenant}/{self.seed}/{night.isoformat()}".encode()).digest()
        content = {
            **self.request,
            "tenant": self.tenant,
            "start_date": first.astimezone(UTC),
            "end_date": end,
            "seed": int.from_bytes(drawn[:7], "big"),
            "population_seed": self.population_seed,
            "population_size": self.population_size,
            "difficulty": self.difficulty.on((night - self.first_night).days),
        }
        return parse_request(
            nightly_batch_id(self.tenant, night), content, {"requested_by": "nightly", **self.delivery}
        )


def registered_night(lake: LakeResource, tenant: Tenant, night: date) -> GenerationRequest:
    """The night as it was first registered, whatever the file of tenants has become since; registered where it was not.

    Raises as ``batches.load`` and ``batches.register`` do, and ``ConflictError`` where the name is another tenant's.
    """
    batch_id = nightly_batch_id(tenant.tenant, night)
    try:
        found = batches.load(lake, batch_id)
    except UnknownBatchError:
        return batches.register(lake, tenant.night_request(night))
    if found.content.tenant != tenant.tenant:
        raise ConflictError(
            f"batch_id {batch_id!r} is taken by a batch of tenant {found.content.tenant!r}: that night cannot be built"
            f" for {tenant.tenant!r} as long as requests/{batch_id}.json is there"
        )
    return found


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tenants: tuple[Tenant, ...]


_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_MADE = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", None)


class _Texts(yaml.SafeLoader):  # type: ignore[misc]
    """YAML whose scalars are texts, read by the fields as from every door; an empty one or ``null`` is None.

    What YAML itself makes of them are traps: NO is false, 02:30 is 150, and a day that does not exist a traceback.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [one for one in known if one[0] in _KEPT]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in _MADE}  # noqa: RUF012

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what ``<<`` names. A key that stands twice is refused: YAML lets the last one win in silence."""
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no plain word", key.start_mark)
            if key.value in keys:
                said = f"key {shown(key.value)} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            keys.add(key.value)
        super().flatten_mapping(node)
        node.value = list({key.value: (key, value) for key, value in node.value}.values())


def read_tenants(path: Path) -> tuple[Tenant, ...]:
    """The tenants of a YAML file, in its order.

    Raises ``ConfigurationError`` naming file, tenant, field, value and remedy; the requests of the first night and of a
    last one, whose difficulty has drifted as far as it does, are tried, too.
    """
    where = f"SGF_TENANTS {str(path)!r}"
    content = _content(path, where)
    try:
        tenants = _File.model_validate(content).tenants
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {_refusal(content, error)}") from None
    except InvalidRequestError as error:  # what the checks of a request say passes through pydantic
        raise ConfigurationError(f"{where}: {error}") from None
    for one in tenants:
        for night in (one.first_night, LAST_DAY):
            try:
                batches.check_buildable(one.night_request(night))
            except InvalidRequestError as error:
                raise ConfigurationError(f"{where}: the request of {one.tenant!r}: {error}") from None
    names = [one.tenant for one in tenants]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigurationError(f"{where}: tenant {twice!r} stands there twice: remove one")
    return tenants


def _content(path: Path, where: str) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text("utf-8-sig"), _Texts)  # noqa: S506 - a safe loader that makes less
    except OSError as error:
        raise ConfigurationError(f"{where} cannot be read ({error.strerror}): name a file") from None
    except RecursionError:
        raise ConfigurationError(f"{where} is no sound YAML (nested without end): mend it") from None
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise ConfigurationError(f"{where} is no sound YAML ({line}{error.problem}): mend it") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where} is no sound YAML ({' '.join(str(error).split())}): mend it") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where} names no tenants: begin it with 'tenants:' and list them below")
    return content


def _refusal(content: dict[str, Any], error: ValidationError) -> str:
    """What is wrong first, and with which tenant: by name where the entry has one, else by its place."""
    first = error.errors()[0]
    parts = list(first["loc"])
    who = ""
    if len(parts) > 1:
        entry = content["tenants"][parts[1]]
        name = entry.get("tenant") if isinstance(entry, dict) else None
        who = f"tenant {shown(name) if isinstance(name, str) else f'number {int(parts[1]) + 1}'}: "
        parts = parts[2:]
    field = ".".join(" ".join(str(part).split())[:80] for part in parts) or "the entry"
    if first["type"] == "missing":
        return f"{who}{field} is missing: add it"
    return f"{who}{field} {shown(first['input'])} is not allowed: {first['msg'].removeprefix('Value error, ')}"
