"""The bank's customers of one shard, as columns.

Belongs here: who the customers are — homes, habits, money, accounts, cards, devices. Does not belong here: what
they do (``sgf_pipeline.traffic``).
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.cases import VictimSegment
from sgf_pipeline.domain.events import ACCOUNTS_PER_CUSTOMER, CARDS_PER_CUSTOMER
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.population.places import COUNTRY_CODES, DAY_US, MINUTE_US, country_index, utc_offset_minutes
from sgf_pipeline.population.world import World

BLOCK = 1024  # customers drawn together; part of the bytes

SEGMENTS: tuple[str, ...] = get_args(VictimSegment)
# By segment, in that order: share of customers; median monthly income (EUR), usual purchase (EUR) and expected
# rows in 30 days, each relative to the whole. Our judgement of a retail bank in western Europe.
SEGMENT_SHARE = (0.14, 0.30, 0.31, 0.17, 0.08)
SEGMENT_INCOME = (0.42, 1.10, 1.45, 0.85, 0.75)
SEGMENT_HABIT = (0.62, 1.20, 1.20, 0.95, 0.85)
SEGMENT_ACTIVITY = (1.05, 1.10, 1.15, 0.60, 0.90)

MEDIAN_INCOME_EUR = 2000.0
MEDIAN_HABIT_EUR = 19.0
MEAN_ACTIVITY = 20.0  # exported rows a customer and 30 days
ACTIVITY_SIGMA = 0.95  # gives rows a card p95/p50 between 4 and 9
ALONE = 0.8  # of customers do not live with the customer before them; the others form families of two or three
MIN_POPULATION = 60  # so that even a tiny shard has some dozens of possible victims

DEVICES_PER_CUSTOMER = 8  # device keys: customer * 8 + n; n = 0 is the first phone, 1 its successor
ADDRESSES_PER_CUSTOMER = 8  # address keys: customer * 8 + n; n = 0 is the home, 1 the mobile carrier, 2 abroad


class Region(NamedTuple):
    """Where people share clock and calendar."""

    timezone: str  # IANA
    country: str  # ISO alpha-2


def default_population_size(rows: int, period_days: float) -> int:
    """Customers that ``rows`` exported rows in ``period_days`` imply: one for 20 rows in 30 days.

    At most one a row, but never under ``MIN_POPULATION``.
    """
    implied = ceil(rows / (MEAN_ACTIVITY * max(period_days, 1.0) / 30))
    return max(MIN_POPULATION, min(implied, rows))


@dataclass(frozen=True)
class Population:
    """``size`` customers. Every array has one entry a customer, and entry *i* depends on
    (population_seed, scenario, i) alone, whatever ``size`` is; only ``account`` and ``account_opened_day``
    also depend on the day on which the batch starts.
    """

    world: World
    size: int
    segment: NDArray[np.int8]  # index into scenarios.base.SEGMENTS
    city: NDArray[np.int32]  # home city, index into world.cities
    latitude: NDArray[np.float64]  # of the home
    longitude: NDArray[np.float64]
    country: NDArray[np.int16]  # index into places.COUNTRY_CODES
    activity: NDArray[np.float64]  # expected rows in 30 days
    habit: NDArray[np.int64]  # usual purchase, minor units (the median of the customer's own purchases)
    habit_sigma: NDArray[np.float64]  # sigma of ln(amount) around it
    income: NDArray[np.int64]  # monthly, minor units
    balance: NDArray[np.int64]  # of the account when the batch starts, minor units
    card_limit: NDArray[np.int64]  # what a card may spend in a day, minor units
    account: NDArray[np.int64]  # account key in use
    account_opened_day: NDArray[np.int32]  # days since 1970-01-01
    card: NDArray[np.int64]  # first card's key
    cards: NDArray[np.int8]  # number of cards, 1 to 3 (keys card, card + 1, ...)
    device: NDArray[np.int64]  # own main device's key (families share one)
    ip: NDArray[np.int64]  # home address's key
    prior_disputes: NDArray[np.int16]
    population_seed: int
    scenario: str

    @cached_property
    def regions(self) -> tuple[tuple[Region, ...], NDArray[np.int64]]:
        """The homes' regions (which share clock and calendar), sorted, and each customer's index into them."""
        used = np.unique(self.city)
        world = self.world
        lie_in = [Region(world.city_timezone[city], COUNTRY_CODES[world.city_country[city]]) for city in used]
        regions = sorted(set(lie_in))
        by_city = np.zeros(len(world.city_country), dtype=np.int64)
        by_city[used] = [regions.index(region) for region in lie_in]
        return tuple(regions), by_city[self.city]

    @cached_property
    def youngest_first(self) -> NDArray[np.int64]:
        """All customers by the age of their accounts, the youngest first; equal ages by number."""
        return np.argsort(-self.account_opened_day, kind="stable")

    @cached_property
    def _by_city(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        order = np.argsort(self.city, kind="stable")
        return order, self.city[order]

    def living_in(self, city: int) -> NDArray[np.int64]:
        """The customers whose home is in that city (index into ``world.cities``), by number."""
        order, cities = self._by_city
        return order[np.searchsorted(cities, city) : np.searchsorted(cities, city, side="right")]

    def local_minutes(self, customers: NDArray[np.int64], times_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Minutes after local midnight, at the customers' homes, of the given moments (µs, UTC)."""
        regions, region = self.regions
        offsets = np.zeros(len(times_us), dtype=np.int64)
        for number in np.unique(region[customers]):
            rows = np.flatnonzero(region[customers] == number)
            offsets[rows] = utc_offset_minutes(regions[number].timezone, times_us[rows])
        return np.asarray((times_us // MINUTE_US + offsets) % 1440)

    def age_days(self, customers: NDArray[np.int64], times_us: NDArray[np.int64]) -> NDArray[np.int32]:
        """Whole days since the customer's account was opened, at the given moments (µs, UTC); never negative."""
        days = times_us // DAY_US - self.account_opened_day[customers]
        return np.asarray(np.maximum(days, 0), dtype=np.int32)


def population(population_seed: int, scenario: str, size: int, world: World, start_day: int) -> Population:
    """The first ``size`` (≥ 0) customers of a shard, as they stand on ``start_day`` (days since 1970-01-01).

    Accounts: every customer starts over now and then, in a rhythm of his own (heavy-tailed), whatever batches are
    asked for. So each day has its share of young honest accounts, and an account lives on from batch to batch.
    """
    names = sorted(world.countries)
    weight = np.array([float(world.city_population[world.city_country == country_index(name)].sum()) for name in names])
    # By code, not by order of request, and less than in proportion, so that a small country is seen at all.
    homes = (np.array([country_index(name) for name in names]), np.cumsum(weight**0.7) / np.sum(weight**0.7))
    blocks = [
        _block(population_seed, scenario, number, world, homes, start_day) for number in range(ceil(size / BLOCK))
    ]
    columns = {
        name: np.concatenate([block[name] for block in blocks] or [column])[:size]
        for name, column in (blocks[0] if blocks else _block(0, scenario, 0, world, homes, start_day)).items()
    }
    return Population(world=world, size=size, population_seed=population_seed, scenario=scenario, **columns)


def _block(
    population_seed: int,
    scenario: str,
    number: int,
    world: World,
    homes: tuple[NDArray[np.int64], NDArray[np.float64]],
    start_day: int,
) -> dict[str, NDArray[Any]]:
    """Customers ``number * BLOCK`` to ``(number + 1) * BLOCK - 1``, always all of them."""
    random = rng(population_seed, "population", scenario, number)
    customer = number * BLOCK + np.arange(BLOCK)
    # A household is a run of neighbours; the first of a block starts one, so that blocks stay independent.
    alone = random.random(BLOCK) < ALONE
    alone[0] = True
    head = np.maximum.accumulate(np.where(alone, np.arange(BLOCK), 0))

    u_country, u_city = random.random(BLOCK)[head], random.random(BLOCK)[head]
    country = homes[0][np.searchsorted(homes[1], u_country, side="right").clip(0, len(homes[0]) - 1)]
    city = np.zeros(BLOCK, dtype=np.int32)
    for index in np.unique(country):
        here = np.flatnonzero(world.city_country == index)
        share = np.cumsum(world.city_population[here] ** 1.1)
        living = np.flatnonzero(country == index)
        drawn = np.searchsorted(share / share[-1], u_city[living], side="right")
        city[living] = here[drawn.clip(0, len(here) - 1)]
    north, east = random.normal(0, 0.03, BLOCK)[head], random.normal(0, 0.04, BLOCK)[head]

    segment = np.searchsorted(np.cumsum(SEGMENT_SHARE)[:-1], random.random(BLOCK), side="right").astype(np.int8)
    rich = random.normal(0, 1, BLOCK)
    income = MEDIAN_INCOME_EUR * np.array(SEGMENT_INCOME)[segment] * np.exp(0.42 * rich)
    # Who earns more spends somewhat more each time; the rest is taste.
    habit = MEDIAN_HABIT_EUR * np.array(SEGMENT_HABIT)[segment] * np.exp(0.2 * rich + random.normal(0, 0.62, BLOCK))
    activity = (
        MEAN_ACTIVITY
        * np.array(SEGMENT_ACTIVITY)[segment]
        * np.exp(random.normal(-(ACTIVITY_SIGMA**2) / 2, ACTIVITY_SIGMA, BLOCK))
    )
    balance = income * np.exp(random.normal(0.1, 0.9, BLOCK))
    # Tenure: median six years, one in ten beyond eighteen; a young account belongs to somebody who starts over.
    tenure = np.where(
        segment == SEGMENTS.index("young_account"),
        random.uniform(45, 240, BLOCK),
        np.exp(random.normal(np.log(2200), 0.85, BLOCK)).clip(120, 20_000),
    ).astype(np.int64)
    phase = (random.random(BLOCK) * tenure).astype(np.int64)
    generation, age = np.divmod(start_day + phase, tenure)
    shares_device = ~alone & (random.random(BLOCK) < 0.25)
    euro = world.eur
    return {
        "segment": segment,
        "city": city,
        "latitude": np.round((world.city_latitude[city] + north).clip(-90, 90), 4),
        "longitude": np.round((world.city_longitude[city] + east + 180) % 360 - 180, 4),
        "country": country.astype(np.int16),
        "activity": activity.clip(1.0, 600.0),
        "habit": np.maximum(np.rint(habit * euro), 1).astype(np.int64),
        "habit_sigma": random.uniform(0.75, 1.05, BLOCK),
        "income": np.rint(income).astype(np.int64) * round(euro),
        "balance": np.rint(balance * euro).astype(np.int64),
        "card_limit": np.rint((income * random.uniform(0.5, 1.6, BLOCK) / 100).clip(3, 80)).astype(np.int64)
        * round(100 * euro),
        "account": customer * ACCOUNTS_PER_CUSTOMER + generation % ACCOUNTS_PER_CUSTOMER,
        "account_opened_day": (start_day - age).astype(np.int32),
        "card": customer * CARDS_PER_CUSTOMER,
        "cards": (1 + (random.random(BLOCK) < 0.28) + (random.random(BLOCK) < 0.06)).astype(np.int8),
        "device": DEVICES_PER_CUSTOMER * (number * BLOCK + np.where(shares_device, head, np.arange(BLOCK))),
        "ip": ADDRESSES_PER_CUSTOMER * (number * BLOCK + head),
        "prior_disputes": np.minimum(random.geometric(0.88, BLOCK) - 1, 9).astype(np.int16),
    }
