"""What the drawing of one block looks at, and the lists in which it collects rows.

Belongs here: the block's customers with their habits and what might happen to them (``Episodes``), rows on their way
(``Visits``) and finished ones (``Parts``). Does not belong here: which episodes take place (``hard_negatives``).
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

JOURNEY_DAYS = (2.0, 9.0)
FURNISHING_DAYS = 3
LUCK = ("travel", "new_device", "shared_device", "gift_spree", "young_account")


@dataclass(frozen=True)
class Episodes:
    """What may happen to each of the block's ``n`` customers; moments are µs UTC.

    They are candidates: as many take place, those of the least ``luck`` first, as the share of hard negatives asks for.
    """

    journey_start: Array  # (k, n): one in every two months or part of them
    journey_end: Array
    journey_city: Array
    device_start: Array  # (n,): a new phone
    spree_start: Array  # (n,): a day of gifts
    furnishing_day: Array  # (n,): the day (since 1970-01-01) on which the holder of a young account starts to spend
    luck: Array  # (kinds, n) in [0, 1): of journeys, telephones, tablets, gifts and furnishing, in the order of LUCK


@dataclass(frozen=True)
class Sales:
    """The shops of a shard that have a sale: merchant positions, and on which day (since 1970-01-01)."""

    shops: Array
    days: Array


@dataclass(frozen=True)
class Scene:
    """One block in one period. ``who`` below always counts the customers of the block from 0."""

    population: Population
    habits: Habits
    episodes: Episodes
    sales: Sales
    start_us: int
    end_us: int
    phone_since: Array  # (n,): since when each customer has had a new phone, ``NEVER`` where he keeps his old one

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
        regions, region = self.population.regions
        rhythms = np.broadcast_to(rhythm, who.shape)
        return moments(random, luck, rhythms, self.own(region)[who], regions, self.start_us, self.end_us)


@dataclass
class Visits:
    """Rows that are to be made: equally long columns."""

    who: Array  # customer of the block
    times: Array  # µs UTC
    luck: Array  # place in the period, in [0, 1)
    online: Array  # whether he shops online
    mood: Array  # of ln(amount)
    claim: Array  # which kind of hard negative it is (index into HARD_NEGATIVES), -1 for none
    place: Array  # on a journey: the city where he is; at a sale: which one (index into ``Scene.sales``)

    def __len__(self) -> int:
        return len(self.who)

    def take(self, rows: Array) -> "Visits":
        """The rows at the given positions."""
        return Visits(**{name: column[rows] for name, column in vars(self).items()})

    @classmethod
    def ordinary(cls, who: Array, times: Array, luck: Array, online: Array, mood: Array) -> "Visits":
        """Rows of which none is a hard negative."""
        n = len(who)
        return cls(who, times, luck, online, mood, np.full(n, -1), np.zeros(n, dtype=np.int64))


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


def sales(random: np.random.Generator, population: Population, number: int, start_us: int, end_us: int) -> Sales:
    """``number`` sales on whole days of the period, half of them online; none where the period has no whole day.

    Drawn for a whole shard, so that its customers meet at the same shops.
    """
    first, last = -(-start_us // DAY_US), end_us // DAY_US
    if first >= last:
        return Sales(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    world = population.world
    online = world.pick_merchants(random, (number + 1) // 2, online=True)
    # Where many customers live: a sale is for those who can walk there.
    cities = population.city[random.integers(0, population.size, number // 2)]
    return Sales(
        np.concatenate([online, world.pick_in_city(random, cities)]),
        random.integers(first, last, (number + 1) // 2 + number // 2),
    )


def episodes(
    random: np.random.Generator, population: Population, habits: Habits, start_us: int, end_us: int
) -> Episodes:
    """Draw the episodes of a block."""
    n = len(habits.online)
    here = slice(habits.first, habits.first + n)
    days = (end_us - start_us) / DAY_US

    def somewhere(shape: tuple[int, ...], before_us: float | Array = 0) -> Array:
        return (start_us - before_us + random.random(shape) * (end_us - start_us + before_us)).astype(np.int64)

    shape = (max(1, round(days / 60)), n)
    length = random.uniform(*JOURNEY_DAYS, shape) * DAY_US
    start = somewhere(shape, length)
    targets = population.world.destinations()
    city = targets[(random.random(shape) * len(targets)).astype(np.int64)]
    # Who would travel within his own country goes to the next destination abroad instead.
    for _ in range(2):
        at_home = population.world.city_country[city] == population.country[here]
        following = targets[(np.searchsorted(targets, city) + 2) % len(targets)]
        city = np.where(at_home, following, city)
    regions, region = population.regions
    first_day, last_day = -(-start_us // DAY_US), end_us // DAY_US - FURNISHING_DAYS
    return Episodes(
        journey_start=start,
        journey_end=start + length.astype(np.int64),
        journey_city=city,
        device_start=somewhere((n,)),
        spree_start=moments(random, random.random(n), np.full(n, SHOPS), region[here], regions, start_us, end_us),
        furnishing_day=(random.integers(first_day, last_day + 1, n) if first_day <= last_day else np.full(n, NEVER)),
        luck=random.random((len(LUCK), n)),
    )
