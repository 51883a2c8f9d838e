"""When things happen: the hours of the day and the days of the week, in local time.

Belongs here: rhythms, and drawing moments that follow them inside a period. Does not belong here: what happens.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.population.calendars import weekday
from sgf_pipeline.population.customers import Region
from sgf_pipeline.population.places import DAY_US, MINUTE_US, utc_offset_minutes

Array = NDArray[Any]

CELL_US = 30 * MINUTE_US  # a rhythm is constant within half an hour

SHOPS, ONLINE, BANKING = range(3)

# Relative weight of each local hour 0–23, and of Monday to Sunday; a public holiday is as a Sunday, and where the
# weekend falls on other days the week begins after it. Shape: nights quiet, peaks at lunch and early
# evening in shops, in the late evening online, mornings and evenings for transfers: our judgement, set so that the
# busiest hour of all rows has 5 to 15 times the rows of the quietest.
_HOURS = {
    SHOPS: (
        1.15, 0.83, 0.69, 0.65, 0.69, 0.92, 1.6, 2.8, 3.8, 4.3, 4.9, 5.8,
        7.3, 6.2, 4.8, 4.8, 5.5, 6.9, 7.4, 6.0, 4.4, 3.2, 2.1, 1.2,
    ),
    ONLINE: (
        2.2, 1.35, 0.93, 0.73, 0.68, 0.90, 1.6, 2.7, 3.6, 4.4, 4.8, 5.0,
        5.4, 5.2, 4.7, 4.6, 4.7, 5.1, 5.6, 6.4, 7.2, 6.9, 5.3, 3.6,
    ),
    BANKING: (
        0.85, 0.60, 0.50, 0.50, 0.65, 1.2, 2.6, 4.2, 5.6, 6.4, 6.4, 6.0,
        5.6, 5.2, 5.0, 4.9, 5.0, 5.4, 5.9, 6.2, 6.2, 5.2, 3.4, 1.8,
    ),
}  # fmt: skip
_WEEKDAYS = {
    SHOPS: (0.90, 0.92, 0.95, 1.00, 1.18, 1.30, 0.75),
    ONLINE: (1.00, 0.98, 0.98, 1.00, 0.95, 0.98, 1.12),
    BANKING: (1.15, 1.05, 1.00, 1.05, 1.15, 0.65, 0.50),
}


@lru_cache(maxsize=64)
def _cells(rhythm: int, region: Region, start_us: int, end_us: int) -> tuple[Array, Array, Array]:
    """(first microsecond, length, cumulated weight ending at 1) of each half hour within [start, end)."""
    edges = np.arange(start_us // CELL_US, -(-end_us // CELL_US) + 1) * CELL_US
    low, high = np.maximum(edges[:-1], start_us), np.minimum(edges[1:], end_us)
    local = edges[:-1] + CELL_US // 2
    local = local + utc_offset_minutes(region.timezone, local) * MINUTE_US
    hours = (local % DAY_US) / (60 * MINUTE_US)
    profile = np.array(_HOURS[rhythm])
    weight = np.interp(hours, np.arange(25) + 0.5, np.append(profile, profile[0]), period=24)
    weight = weight * np.array(_WEEKDAYS[rhythm])[weekday(region.country, local // DAY_US)] * (high - low)
    cumulated = np.cumsum(weight)
    return low, high - low, cumulated / cumulated[-1]


def moments(
    random: np.random.Generator,
    luck: Array,
    rhythm: Array,
    region: Array,
    regions: tuple[Region, ...],
    start_us: int,
    end_us: int,
) -> Array:
    """One moment (µs, UTC) in [start, end) for each entry of ``luck`` (numbers in [0, 1)).

    Equal luck falls into the same half hour, larger luck never into an earlier one; the microsecond within it is
    drawn. ``rhythm`` (SHOPS, ONLINE, BANKING) and ``region`` (index into ``regions``) have one entry a row.
    """
    times = np.empty(len(luck), dtype=np.int64)
    within = random.random(len(luck))
    group = np.asarray(region, dtype=np.int64) * len(_HOURS) + rhythm
    for number in np.unique(group):
        rows = np.flatnonzero(group == number)
        low, length, cumulated = _cells(number % len(_HOURS), regions[number // len(_HOURS)], start_us, end_us)
        cell = np.minimum(np.searchsorted(cumulated, luck[rows], side="right"), len(low) - 1)
        times[rows] = low[cell] + (within[rows] * length[cell]).astype(np.int64)
    return times


def soon_after(random: np.random.Generator, times: Array, least_us: float, mean_us: float, end_us: int) -> Array:
    """For each moment (< end) one soon after it, exponentially, never at it and never after ``end_us``.

    Where the wanted moment lies beyond the end, one is drawn uniformly from what is left.
    """
    wait = least_us + random.exponential(mean_us, len(times))
    room = end_us - times
    wait = np.where(wait > room, random.random(len(times)) * room, wait)
    return np.asarray(times + np.clip(wait.astype(np.int64), 1, np.maximum(room, 1)))
