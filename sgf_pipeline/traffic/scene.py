"""What the drawing of one block looks at, and the list in which it collects rows.

Belongs here: the block's customers with their habits and episodes (a journey, a new phone, a day of gifts).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import EventBlock
from sgf_pipeline.population.customers import Population
from sgf_pipeline.population.filling import Columns
from sgf_pipeline.population.places import DAY_US
from sgf_pipeline.traffic.habits import Habits
from sgf_pipeline.traffic.rhythm import SHOPS, moments

Array = NDArray[Any]

NEVER = np.iinfo(np.int64).max // 2

JOURNEYS = 0.045  # a customer and 30 days
JOURNEY_DAYS = (2.0, 9.0)
NEW_DEVICES = 0.06  # a customer and 30 days
NEW_DEVICE_DAYS = 4  # for which a device counts as new
SPREES = 0.018  # a customer and 30 days
SPREE_US = 5 * 3600 * 1_000_000
SALES = 12  # merchants a shard with a sale day


@dataclass(frozen=True)
class Episodes:
    """Unusual stretches of the block's customers: µs UTC, ``NEVER`` where there is none."""

    journey_start: Array  # (k, n)
    journey_end: Array
    journey_city: Array
    device_start: Array  # (n,)
    spree_start: Array  # (k, n)

    def journey(self, who: Array, times: Array) -> tuple[Array, Array]:
        """(whether the customer is abroad at that moment, the city he is then in)."""
        away, city = np.zeros(len(who), dtype=bool), np.zeros(len(who), dtype=np.int64)
        for start, end, where in zip(self.journey_start, self.journey_end, self.journey_city, strict=True):
            there = (times >= start[who]) & (times < end[who])
            city[there] = where[who[there]]
            away |= there
        return away, city


@dataclass(frozen=True)
class Scene:
    """One block in one period. ``who`` below always counts the customers of the block from 0."""

    population: Population
    habits: Habits
    episodes: Episodes
    sale_day: Array  # of each merchant position: days since 1970-01-01, -1 where there is none
    start_us: int
    end_us: int

    @property
    def size(self) -> int:
        """Customers in the block."""
        return len(self.habits.online)

    def own(self, column: Array) -> Array:
        """The block's part of a population column."""
        return column[self.habits.first : self.habits.first + self.size]

    def customers(self, who: Array) -> Array:
        """Population indices."""
        return self.habits.first + who

    def times(self, random: np.random.Generator, who: Array, luck: Array, rhythm: int | Array) -> Array:
        """Moments in the period that follow a rhythm at the customers' homes; see ``rhythm.moments``."""
        names, zone = self.population.zones
        rhythms = np.broadcast_to(rhythm, who.shape)
        return moments(random, luck, rhythms, self.own(zone)[who], names, self.start_us, self.end_us)


class Parts:
    """Rows of one block, kind by kind; knows where each part begins."""

    def __init__(self) -> None:
        self._blocks: list[EventBlock] = []
        self._links: list[tuple[int, Array]] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, columns: Columns, link: Array | None = None) -> None:
        """Append rows; ``link`` are positions in the block as it will be."""
        if not len(columns["time"]):
            return
        columns.pop("link", None)
        part = EventBlock.of(len(columns["time"]), columns)
        if link is not None:
            self._links.append((self._length, link))
        self._blocks.append(part)
        self._length += len(part)

    def block(self) -> EventBlock:
        """All rows together."""
        joined = EventBlock.concat(self._blocks)
        for first, link in self._links:
            joined.columns["link"][first : first + len(link)] = link
        return joined


def sale_days(random: np.random.Generator, population: Population, start_us: int, end_us: int) -> Array:
    """Each merchant's sale day inside the period (days since 1970-01-01, UTC), -1 for nearly all.

    Drawn for a whole shard, so that its customers meet at the same shops. Periods without a whole day have none.
    """
    days = np.full(len(population.world.merchant_key), -1, dtype=np.int64)
    first, last = -(-start_us // DAY_US), end_us // DAY_US
    if first < last:
        shops = population.world.pick_merchants(random, SALES)
        days[shops] = random.integers(first, last, SALES)
    return days


def episodes(
    random: np.random.Generator, population: Population, habits: Habits, start_us: int, end_us: int
) -> Episodes:
    """Draw the episodes of a block: one chance of each kind in every two months or part of them."""
    n = len(habits.online)
    days = (end_us - start_us) / DAY_US
    chances = max(1, round(days / 60))
    months = days / 30 / chances

    def somewhere(shape: tuple[int, ...], before_us: float | Array = 0) -> Array:
        return (start_us - before_us + random.random(shape) * (end_us - start_us + before_us)).astype(np.int64)

    shape = (chances, n)
    length = random.uniform(*JOURNEY_DAYS, shape) * DAY_US
    start = np.where(random.random(shape) < JOURNEYS * months, somewhere(shape, length), NEVER)
    targets = population.world.destinations()
    country = population.country[habits.first : habits.first + n]
    city = targets[(random.random(shape) * len(targets)).astype(np.int64)]
    # Who would travel within his own country goes to the next destination abroad instead.
    for _ in range(2):
        at_home = population.world.city_country[city] == country
        following = targets[(np.searchsorted(targets, city) + 2) % len(targets)]
        city = np.where(at_home, following, city)
    names, zone = population.zones
    sprees = np.stack(
        [
            moments(
                random,
                random.random(n),
                np.full(n, SHOPS),
                zone[habits.first : habits.first + n],
                names,
                start_us,
                end_us,
            )
            for _ in range(chances)
        ]
    )
    return Episodes(
        journey_start=start,
        journey_end=start + length.astype(np.int64),
        journey_city=city,
        device_start=np.where(random.random(n) < min(0.5, NEW_DEVICES * days / 30), somewhere((n,)), NEVER),
        spree_start=np.where(random.random(shape) < SPREES * months, sprees, NEVER),
    )
