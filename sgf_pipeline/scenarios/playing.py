"""What every play needs: when steps happen, whom they hit, what the offender brings, and how people choose sums.

Belongs here: shared helpers of the plays, each drawing from the incident's own generator. Does not belong here:
anything that only one scenario does, and how columns are filled (``sgf_pipeline.population.filling``).

Times are µs UTC, amounts minor units, countries indices into ``COUNTRY_CODES``, merchants positions in the world.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import ACTOR_BASE, COLUMNS, EventBlock
from sgf_pipeline.population.filling import BOOKING_LEAST_US, BOOKING_MEAN_US, OFFENDER_ACCOUNTS
from sgf_pipeline.population.places import COUNTRY_CODES, DAY_US, MINUTE_US, country_index
from sgf_pipeline.population.world import DESTINATIONS
from sgf_pipeline.scenarios.base import SEGMENTS, Incident

Array = NDArray[Any]

SECOND_US = 1_000_000

# A gang keeps this many devices, addresses, merchants and accounts; an incident takes half of its own from there.
GANG = 6
_OWN = 1 << 36  # keys of one incident alone start here, above those of any gang

# Local minutes within which people do such a thing: bank counters are closed on Sundays, too.
_OPEN = {
    "branch": (8 * 60 + 30, 17 * 60 + 30),
    "pos": (8 * 60, 22 * 60),
    "atm": (6 * 60, 24 * 60),
    "ecommerce": (6 * 60 + 30, 24 * 60),
    "mobile": (6 * 60 + 30, 24 * 60),
    "online_banking": (6 * 60 + 30, 24 * 60),
}

# How even the gaps between the rows of one step are: the shape of a gamma distribution (1: as chance has it).
_EVENNESS = {"burst": 9.0, "steady": 2.0, "slow": 0.8}

_SUMS = (5000, 1000, 500, 100, 50, 10, 5, 1)  # everyday units: what people round to


@dataclass(frozen=True)
class Offender:
    """What the offender works with: device and address keys, the addresses' countries, and where he is."""

    devices: Array
    addresses: Array
    address_country: Array
    latitude: float
    longitude: float


def victims(incident: Incident, n: int, segments: tuple[str, ...]) -> Array:
    """Up to ``n`` different customers (fewer only if the population has fewer), mostly of the given segments."""
    population, rng = incident.population, incident.rng
    if population.size <= 8 * n:
        drawn = rng.permutation(population.size)
    else:
        drawn = rng.integers(0, population.size, 6 * n)
        drawn = np.fromiter(dict.fromkeys(drawn.tolist()), dtype=np.int64)
        if len(drawn) < n:  # chance repeated itself: fall back on the exact way
            drawn = rng.permutation(population.size)
    preferred = np.array([segment in segments for segment in SEGMENTS])
    wanted = preferred[population.segment[drawn]]
    # One in four comes from anywhere: gangs do not get to choose all.
    wanted |= rng.random(len(drawn)) < 0.25
    chosen: Array = np.concatenate([drawn[wanted], drawn[~wanted]])[:n]
    rng.shuffle(chosen)
    return chosen


def step_times(
    case: FraudCase, incident: Incident, customer: int, by_machine: frozenset[str], pace: float
) -> list[Array]:
    """For each step the sorted moments of its rows.

    A step starts ``wait_minutes`` after the last row of the step before; its rows spread over ``span_minutes`` times
    ``pace``, evenly in a burst and irregularly when slow, at least a second apart. Unless its kind is in
    ``by_machine`` and the tempo is a burst, rows fall into the hours at which ``customer`` is up or the place open.
    """
    rng = incident.rng
    evenness = _EVENNESS[case.tempo]
    start = incident.start_us
    zone_us = int(incident.population.local_minutes(np.array([customer]), np.array([start]))[0]) * MINUTE_US
    zone_us -= start % DAY_US  # what turns UTC into local time; a change of clocks within an incident is ignored
    times: list[Array] = []
    for step in case.steps:
        gaps = rng.gamma(evenness, size=step.count + 1)
        gaps *= step.span_minutes * MINUTE_US * pace / gaps.sum()
        gaps += SECOND_US * (1 + rng.random(step.count + 1))
        moments = start + step.wait_minutes * MINUTE_US + np.cumsum(gaps)[: step.count].astype(np.int64)
        if not (case.tempo == "burst" and step.kind in by_machine):
            moments = _within_hours(rng, moments, zone_us, step.channel)
        times.append(moments)
        start = int(moments[-1])
    return times


def booking_lags(rng: np.random.Generator, times: Array) -> Array:
    """How long (µs) each transfer takes to reach the other account, as for honest ones; always before the next row."""
    gap = np.diff(times, append=times[-1] + 10 * BOOKING_MEAN_US)
    lags = BOOKING_LEAST_US + rng.exponential(BOOKING_MEAN_US, len(times))
    return np.asarray(np.minimum(lags, gap / 2).astype(np.int64))


def _within_hours(rng: np.random.Generator, moments: Array, zone_us: int, channel: str) -> Array:
    """Moments outside the hours of the channel move to some time in the next open ones; sorted again."""
    opens, closes = (minute * MINUTE_US for minute in _OPEN[channel])
    day, into_day = np.divmod(moments + zone_us, DAY_US)
    early, late = into_day < opens, into_day >= closes
    sunday = (day + 3) % 7 == 6 if channel == "branch" else np.zeros(len(day), dtype=bool)
    moved = early | late | sunday
    if not moved.any():
        return moments
    day = day + late
    if channel == "branch":
        day = day + ((day + 3) % 7 == 6)
    luck = opens + (rng.random(len(moments)) * (closes - opens)).astype(np.int64)
    return np.sort(np.where(moved, day * DAY_US + luck - zone_us, moments))


def countries_seen(case: FraudCase, incident: Incident, home: int, n: int) -> Array:
    """``n`` countries in which the offender's side sits: home when domestic, else mostly elsewhere.

    Cross-border means the other requested countries and usual destinations, remote the whole world. The more
    difficult, the more of them are at home.
    """
    if case.geography == "domestic" or n == 0:
        return np.full(n, home, dtype=np.int16)
    rng = incident.rng
    if case.geography == "cross_border":
        near = sorted({country_index(name) for name in (*incident.population.world.countries, *DESTINATIONS)} - {home})
    else:
        near = [index for index in range(len(COUNTRY_CODES)) if index != home]
    abroad = rng.random(n) < 0.9 - 0.4 * incident.difficulty
    return np.where(abroad, np.array(near)[rng.integers(0, len(near), n)], home).astype(np.int16)


def gang_and_own(incident: Incident, n: int) -> Array:
    """``n`` different numbers: half of them known to the whole gang, the rest of this incident alone.

    As addresses, a gang's numbers lie in one network (they share all but the last byte), each of the others in
    another one.
    """
    shared = min((n + 1) // 2, GANG)
    ours = (incident.campaign << 8) + incident.rng.permutation(GANG)[:shared]
    return np.concatenate([ours, _OWN + (incident.number * 64 + np.arange(n - shared) << 8)])


def offender(case: FraudCase, incident: Incident, home: int) -> Offender:
    """The offender of an incident: some of his devices and addresses are his gang's, the rest his own."""
    world = incident.population.world
    countries = countries_seen(case, incident, home, case.addresses)
    place = int(countries[0]) if len(countries) else home
    cities = np.flatnonzero(world.city_country == place)
    if not len(cities):  # a country whose places this world does not hold
        cities = np.arange(len(world.city_country))
    city = int(cities[incident.rng.integers(0, len(cities))])
    return Offender(
        devices=ACTOR_BASE + gang_and_own(incident, case.devices),
        addresses=ACTOR_BASE + gang_and_own(incident, case.addresses),
        address_country=countries,
        latitude=float(world.city_latitude[city]),
        longitude=float(world.city_longitude[city]),
    )


def outside_accounts(incident: Incident, n: int) -> Array:
    """``n`` different account keys elsewhere, some of them used by the whole gang."""
    return ACTOR_BASE + OFFENDER_ACCOUNTS + gang_and_own(incident, n)


def gang_merchants(incident: Incident, n: int, *, online: bool, mcc: str | None, country: int | None) -> Array:
    """``n`` ≥ 1 merchant positions: half of them known to the whole gang."""
    world = incident.population.world
    shared = world.pick_merchants(incident.campaign_rng(), (n + 1) // 2, online=online, mcc=mcc, country=country)
    return np.concatenate([shared, world.pick_merchants(incident.rng, n // 2, online=online, mcc=mcc, country=country)])


def merchant_country(case: FraudCase, incident: Incident, home: int) -> int | None:
    """The country in which the offender shops; ``None`` (any requested one) where it has no merchants."""
    country = int(countries_seen(case, incident, home, 1)[0])
    return country if country in incident.population.world.merchant_country else None


def chosen_sum(amount: int, luck: float, unit: int) -> int:
    """An amount as people choose it, never above the one given: round thousands, hundreds, tens; one in eight exact.

    ``luck`` (0 to 1) picks how much rounding is tolerated: up to 4 %, mostly below 1 %.
    """
    tolerance = 0.04 if luck < 0.5 else 0.01 if luck < 0.75 else 0.002 if luck < 0.875 else 0.0
    for whole in _SUMS:
        if whole * unit <= amount * tolerance:
            return amount // (whole * unit) * (whole * unit)
    return amount


def between(rng: np.random.Generator, low: float, high: float, n: int) -> Array:
    """``n`` numbers between ``low`` and ``high`` (≥ 0), evenly by ratio where low is positive."""
    if low <= 0:
        return rng.uniform(low, high, n)
    return np.asarray(low * (high / low) ** rng.random(n))


def assembled(length: int, parts: Iterable[tuple[Array, Mapping[str, Any]]], shared: Mapping[str, Any]) -> EventBlock:
    """A block of ``length`` rows from filled columns of some rows each (positions, columns) and columns of all."""
    columns: dict[str, Any] = dict(shared)
    for rows, filled in parts:
        for name, values in filled.items():
            if name not in columns:
                columns[name] = np.full(length, COLUMNS[name].null, dtype=COLUMNS[name].dtype)
            columns[name][rows] = values
    return EventBlock.of(length, columns)
