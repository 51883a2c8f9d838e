"""The file of tenants, and what a night asks for."""

from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from sgf_pipeline import batches
from sgf_pipeline.definitions import build_definitions, defs
from sgf_pipeline.domain.errors import ConfigurationError, ConflictError, InvalidRequestError
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import read_settings
from sgf_pipeline.tenants import Tenant, read_tenants, registered_night
from sgf_pipeline_tests.conftest import small_request

ACME = """
tenants:
  - tenant: acme
    first_night: 2025-03-29
    at: "02:30"
    time_zone: Europe/Paris
    population_size: 400
    population_seed: 11
    difficulty: {first: 0.3, a_night: 0.01, last: 0.32}
    request: {count: 700, fraud_ratio: 0.1, scenarios: [card_testing, phishing]}
    delivery: {kafka: false}
"""


@pytest.fixture
def acme(tmp_path: Path) -> Tenant:
    return read_tenants(written(tmp_path, ACME))[0]


def written(folder: Path, text: str) -> Path:
    path = folder / "tenants.yaml"
    path.write_text(text)
    return path


def test_a_night_is_the_tenants_own_day(acme: Tenant) -> None:
    """Guards against nights in UTC, and against days of 24 hours where clocks change."""
    request = acme.night_request(date(2025, 3, 30))
    assert request.batch_id == "nightly_acme_2025_03_30"
    assert request.content.start_date == datetime(2025, 3, 29, 23, tzinfo=UTC)
    assert request.content.end_date == datetime(2025, 3, 30, 21, 59, 59, tzinfo=UTC)  # a day of 23 hours
    assert request.delivery.kafka is False
    assert request.delivery.requested_by == "nightly"


def test_nights_share_customers_and_nothing_else(acme: Tenant) -> None:
    """Guards against nights that repeat one another, or whose customers are strangers every night."""
    first, second = (acme.night_request(date(2025, 3, day)).content for day in (29, 30))
    assert first.seed != second.seed
    for content in (first, second):
        assert (content.population_seed, content.population_size) == (11, 400)
    assert acme.night_request(date(2025, 3, 29)).content == first


def test_difficulty_drifts_to_its_end(acme: Tenant) -> None:
    """Guards against a drift that runs out of what a request allows."""
    nights = [acme.night_request(date(2025, month, 29)).content.difficulty for month in (3, 4)]
    assert nights == [0.3, 0.32]
    assert acme.night_request(date(2025, 3, 30)).content.difficulty == 0.31


@pytest.mark.parametrize(
    ("moment", "newest"),
    [
        (datetime(2025, 4, 2, 0, 30, tzinfo=UTC), date(2025, 4, 1)),  # 02:30 in Paris
        (datetime(2025, 4, 2, 0, 29, tzinfo=UTC), date(2025, 3, 31)),
        (datetime(2025, 4, 1, 22, 30, tzinfo=UTC), date(2025, 3, 31)),  # half past midnight there: not due yet
    ],
)
def test_a_night_is_due_at_its_local_time(acme: Tenant, moment: datetime, newest: date) -> None:
    """Guards against a night begun before its day is over, or a day late."""
    due = acme.nights_due(moment)
    assert due[-1] == newest
    assert len(due) == min(4, (newest - acme.first_night).days + 1)  # it and three to catch up, none before the first


def test_nights_before_the_first_are_never_due(acme: Tenant) -> None:
    """Guards against a new tenant getting batches of the time before."""
    assert acme.nights_due(datetime(2025, 3, 30, 1, tzinfo=UTC)) == [date(2025, 3, 29)]
    assert acme.nights_due(datetime(2025, 3, 29, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("moment", "night", "said"),
    [
        (datetime(2025, 4, 1, 22, tzinfo=UTC), date(2025, 4, 1), None),  # midnight in Paris: over, though not due
        (datetime(2025, 4, 1, 21, 59, tzinfo=UTC), date(2025, 4, 1), "not over yet in Europe/Paris: use 2025-03-31"),
        (datetime(2025, 4, 1, 22, tzinfo=UTC), date(2025, 3, 29), None),
        (datetime(2025, 4, 1, 22, tzinfo=UTC), date(2025, 3, 28), "before its first_night 2025-03-29"),
        (datetime(2025, 4, 1, 22, tzinfo=UTC), date(9999, 12, 31), "not over yet"),
    ],
)
def test_a_night_asked_for_by_hand_is_a_whole_one_of_the_tenants(
    acme: Tenant, moment: datetime, night: date, said: str | None
) -> None:
    """Guards against half a day that is registered for good, and against nights before the drift's first."""
    if said is None:
        assert acme.check_night(night, moment) == night
    else:
        with pytest.raises(InvalidRequestError, match=said):
            acme.check_night(night, moment)


def test_values_mean_what_they_look_like(tmp_path: Path) -> None:
    """Guards against YAML's own reading of 02:30 (150), NO (false) and 010 (8), and against losing what it merges."""
    text = ACME.replace('"02:30"', "12:30").replace("count: 700", "count: 0700, currency: NOK, countries: [NO]")
    text = text.replace("- tenant", "- &acme\n    tenant")
    text += "  - &other {<<: *acme, tenant: other, seed: 5}\n  - {<<: *other, tenant: third}\n"
    text = text.replace("kafka: false", "kafka: no, max_cost_usd: null")
    acme, *merged = read_tenants(written(tmp_path, text))
    assert (acme.at, acme.seed, acme.population_seed) == (time(12, 30), 0, 11)
    request = acme.night_request(acme.first_night)
    assert (request.content.count, request.content.currency, request.content.countries) == (700, "NOK", ("NO",))
    assert (request.delivery.kafka, request.delivery.max_cost_usd) == (False, None)
    assert [(one.tenant, one.at, one.seed, one.population_seed) for one in merged] == [
        ("other", time(12, 30), 5, 11),
        ("third", time(12, 30), 5, 11),
    ]


BOMB = "[&a0 [x, x], " + ", ".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)) + "]"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('at: "02:30"', 'at: "02:30:15"', "tenant 'acme': at '02:30:15' is not allowed: use a whole minute"),
        ('at: "02:30"', "at: 150", "at '150' is not allowed: use a whole minute"),
        ('at: "02:30"', "at: 25:00", "at '25:00'"),
        ("Europe/Paris", "Paris", "time_zone 'Paris' is not allowed: use an IANA name"),
        ("Europe/Paris", "Factory", "time_zone 'Factory' is not allowed: use an IANA name"),
        ("Europe/Paris", "localtime", "time_zone 'localtime' is not allowed: use an IANA name"),
        ("Europe/Paris", "../UTC", "time_zone '../UTC'"),
        ("tenant: acme", "tenant: ACME", "tenant 'ACME' is malformed"),
        ("tenant: acme", "tenant: [acme]", "tenant number 1: tenant .'acme'. is not allowed"),
        ("tenant: acme", "tenant:", "tenant number 1: tenant None"),
        ("first_night: 2025-03-29", "first_night: 2025-02-29", "acme.*first_night '2025-02-29' is not allowed"),
        ("first_night: 2025-03-29", "first_night: 0001-01-01", "first_night '0001-01-01' .* 1972"),
        ("first_night: 2025-03-29", "first_night: 9999-12-31", "first_night '9999-12-31' .* 2199"),
        ("first_night: 2025-03-29", "first_night: 1742342400", "use YYYY-MM-DD"),
        ("count: 700", "count: 0", "the request of 'acme': count '0'"),
        ("count: 700", f"count: {'9' * 5000}", "count '999"),
        ("count: 700", "count: 700, weights: {phishing: nan}", "weights.phishing 'nan'"),
        ("count: 700", "count: 700, countries: [[FR]]", "countries .*'FR'.* is not allowed"),
        ("count: 700", "count: 700, countries: [AQ]", "'AQ' has no city"),
        ("count: 700", "count: 700, model: gpt-4o", "model 'gpt-4o' goes with provider openai"),
        ("count: 700", "seed: 3", "seed belongs beside request"),
        ("count: 700", "count: 700, count: 7", "line 10: key 'count' stands there twice"),
        ("count: 700", "count: !!int ''", "line 10: .*tag"),
        ("count: 700", f"countries: {BOMB}", "countries"),
        ("count: 700", '"a\\nb": 700', "a b '700' is not allowed"),
        ("kafka: false", "max_cost_usd: inf", "max_cost_usd 'inf'"),
        ("kafka: false", 'requested_by: "\\ud800"', "requested_by"),
        ("first: 0.3", "first: nan", "difficulty.first 'nan'"),
        ("last: 0.32", "last: 0.1", "drifts away"),
        ("population_size: 400", "population_size: 0", "population_size '0'"),
        ("    population_size: 400\n", "", "tenant 'acme': population_size is missing: add it"),
        ("    request:", "    requests:", "requests .* is not allowed"),
        ("  - tenant: acme", "  - acme\n  - tenant: acme", "tenant number 1: the entry 'acme'"),
        ("tenants:", "tenants: [", "no sound YAML"),
        ("tenants:", "- tenants:", "names no tenants"),
        ("tenants:", "tenants: []\ntenants:", "key 'tenants' stands there twice"),
        ("tenants:", "a: &a [*a]\ntenants:", "a .* is not allowed"),
        ("tenants:", "[a]: b\ntenants:", "a key is no plain word"),
        ("tenants:", f"a: {'[' * 3000}\ntenants:", "nested without end"),
        (ACME, "", "names no tenants"),
        (ACME, "tenants:", "tenants None is not allowed"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, before: str, after: str, said: str) -> None:
    """Guards against a stack of paths, or a night that fails months later, for a slip in the file."""
    path = written(tmp_path, ACME.replace(before, after))
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_tenants(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_what_is_no_text_file_is_said(tmp_path: Path) -> None:
    """Guards against tracebacks for a folder, and for a file in another encoding."""
    with pytest.raises(ConfigurationError, match=r"cannot be read \(Is a directory\): name a file"):
        read_tenants(tmp_path)
    path = tmp_path / "latin.yaml"
    path.write_bytes("tenants: [] # é".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"no sound YAML .*utf-8"):
        read_tenants(path)


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the way in which a setting is switched off in a .env file: an empty path is the current folder."""
    monkeypatch.setenv("SGF_TENANTS", "")
    assert read_settings().sgf_tenants is None


def test_a_tenant_stands_in_the_file_once(tmp_path: Path) -> None:
    """Guards against two schedules of one name."""
    with pytest.raises(ConfigurationError, match="twice"):
        read_tenants(written(tmp_path, ACME + ACME.replace("tenants:\n", "")))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_tenants(tmp_path / "nowhere.yaml")


def test_a_mistake_in_the_file_stops_the_code_location_and_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards `sgf generate` against the minute in which somebody writes in the file of tenants."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants: [{tenant: acme, first_night: 2025-13-10}]")
    monkeypatch.setenv("SGF_TENANTS", str(file))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="first_night"):
        defs()
    assert build_definitions(with_nights=False)


def test_a_nights_name_that_is_another_tenants_is_refused(acme: Tenant, tmp_path: Path) -> None:
    """Guards a tenant's night against a batch that somebody else registered under its name."""
    lake = LakeResource(url=str(tmp_path))
    batches.register(lake, small_request("nightly_acme_2025_01_10"))
    with pytest.raises(ConflictError, match="is taken by a batch of tenant 'default'"):
        registered_night(lake, acme, date(2025, 1, 10))
