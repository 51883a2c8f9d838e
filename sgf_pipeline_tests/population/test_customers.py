from dataclasses import fields
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from sgf_pipeline.population.customers import MIN_POPULATION, SEGMENTS, Population, default_population_size, population
from sgf_pipeline.population.world import world
from sgf_pipeline.scenarios import base

START_DAY = 20_089  # 2025-01-01
COLUMNS = [
    field.name for field in fields(Population) if field.name not in ("world", "size", "population_seed", "scenario")
]


def people(size: int, seed: int = 3, start_day: int = START_DAY, scenario: str = "card_testing") -> Population:
    return population(seed, scenario, size, world(seed, ("FR", "US"), "EUR"), start_day)


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 2500])
def test_a_customer_does_not_depend_on_the_size(size: int) -> None:
    """Guards: a nightly batch that meets other customers because it asked for one more."""
    small, large = people(size), people(4000)
    for column in COLUMNS:
        assert len(getattr(small, column)) == size
        assert np.array_equal(getattr(small, column), getattr(large, column)[:size]), column


def test_only_the_account_depends_on_the_day() -> None:
    """Guards: customers who move, or change their income, from one nightly batch to the next."""
    today, later = people(3000), people(3000, start_day=START_DAY + 400)
    changed = {column for column in COLUMNS if not np.array_equal(getattr(today, column), getattr(later, column))}
    assert changed == {"account", "account_opened_day"}
    same = today.account == later.account
    assert 0.5 < same.mean() < 0.99
    # A key comes back after four new starts, so the same key may be a younger account, never an older one.
    assert np.mean(today.account_opened_day[same] == later.account_opened_day[same]) > 0.9
    assert np.all(later.account_opened_day >= today.account_opened_day)
    assert np.all(later.account_opened_day[~same] > START_DAY)


def test_other_seeds_and_scenarios_are_other_people() -> None:
    """Guards: two population seeds, or two shards, that share their customers."""
    one = people(1000)
    for other in (people(1000, seed=4), people(1000, scenario="phishing")):
        assert np.mean(one.habit == other.habit) < 0.05
        assert np.mean(one.account_opened_day == other.account_opened_day) < 0.05


@pytest.mark.parametrize("start_day", [0, 5000, START_DAY, 84_000])
def test_there_are_always_some_young_accounts(start_day: int) -> None:
    """Guards: account age as a tell-tale, because no honest account is young at some start date."""
    age = start_day - people(4000, start_day=start_day).account_opened_day
    assert age.min() >= 0
    assert 0.03 < np.mean(age < 60) < 0.15
    assert np.mean(age > 1000) > 0.4


def test_segments_are_those_of_the_cases() -> None:
    """Guards: a victim segment that the population numbers differently."""
    assert SEGMENTS == base.SEGMENTS
    one = people(4000)
    assert np.all(np.bincount(one.segment, minlength=len(SEGMENTS)) > 100)
    students, professionals = one.segment == 0, one.segment == 2
    assert np.median(one.income[students]) < np.median(one.income[professionals])


def test_families_share_a_home() -> None:
    """Guards: shared addresses and devices that only offenders have."""
    one = people(4000)
    _, sharing = np.unique(one.ip, return_counts=True)
    assert 0.12 < np.mean(sharing > 1) < 0.4
    devices = np.unique(one.device)
    assert 0.8 < len(devices) / one.size < 0.99
    assert np.array_equal(one.city[one.ip // 8], one.city)


def test_local_minutes_are_those_of_the_home() -> None:
    """Guards: nights that are days, for customers far from Greenwich or on the day the clocks change."""
    one = people(300)
    customers = np.arange(300)
    moments = np.int64(1_741_500_000_000_000) + customers * 600_000_000  # around 2025-03-09, the change in the US
    found = one.local_minutes(customers, moments)
    for customer, moment, minutes in zip(customers, moments, found, strict=True):
        zone = ZoneInfo(one.world.city_timezone[one.city[customer]])
        local = datetime.fromtimestamp(moment / 1e6, UTC).astimezone(zone)
        assert minutes == local.hour * 60 + local.minute


def test_the_default_size_follows_rows_and_period() -> None:
    """Guards: one customer with a thousand rows a day, or a thousand customers for ten rows."""
    assert default_population_size(0, 30) == default_population_size(10, 30) == MIN_POPULATION
    assert default_population_size(20_000, 30) == 1000
    assert default_population_size(20_000, 300) == 100
    assert default_population_size(20_000, 1 / 24) == 20_000
