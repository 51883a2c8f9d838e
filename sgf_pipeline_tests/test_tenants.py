"""The file of tenants, and what a night asks for."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.tenants import Tenant, read_tenants

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
    ("before", "after", "said"),
    [
        ('at: "02:30"', "at: 12:30", r"tenants\.0\.at is not allowed: .*quotes"),
        ('at: "02:30"', 'at: "02:30:15"', "whole minute"),
        ("Europe/Paris", "Paris", "IANA"),
        ("tenant: acme", "tenant: ACME", "malformed"),
        ("count: 700", "count: 0", "the request of 'acme': count 0"),
        ("count: 700", "seed: 3", "seed belongs beside request"),
        ("last: 0.32", "last: 0.1", "drifts away"),
        ("population_size: 400", "population_size: 0", "population_size"),
        ("    request:", "    requests:", "requests is not allowed"),
        ("tenants:", "tenants: [", "no YAML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, before: str, after: str, said: str) -> None:
    """Guards against a stack of paths, or a night that fails months later, for a slip in the file."""
    path = written(tmp_path, ACME.replace(before, after))
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_tenants(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tenant_stands_in_the_file_once(tmp_path: Path) -> None:
    """Guards against two schedules of one name."""
    with pytest.raises(ConfigurationError, match="twice"):
        read_tenants(written(tmp_path, ACME + ACME.replace("tenants:\n", "")))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_tenants(tmp_path / "nowhere.yaml")
