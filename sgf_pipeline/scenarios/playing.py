"""What every play needs: when steps happen, whom they hit, what the offender brings, and how people choose sums.

Belongs here: shared helpers of the plays, each drawing from the incident's own generator. Does not belong here:
anything that only one scenario does, and how columns are filled (``sgf_pipeline.population.filling``).

Times are µs UTC, amounts minor units, countries indices into ``COUNTRY_CODES``, merchants positions in the world.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import ACTOR_BASE, CHANNELS, COLUMNS, EventBlock
from sgf_pipeline.population.customers import ADDRESSES_PER_CUSTOMER, MEDIAN_HABIT_EUR
from sgf_pipeline.population.filling import BOOKING_LEAST_US, BOOKING_MEAN_US, OFFENDER_ACCOUNTS
from sgf_pipeline.population.places import COUNTRY_CODES, DAY_US, MINUTE_US, country_index
from sgf_pipeline.population.world import DESTINATIONS
from sgf_pipeline.scenarios.base import SEGMENTS, Incident

Array = NDArray[Any]

SECOND_US = 1_000_000

# A gang keeps this many devices, addresses, merchants and accounts; an incident takes half of its own from there.
GANG = 6
_OWN = 1 << 36  # keys of one incident alone start here, above those of any gang
_PROXIES = 1 << 49  # keys of addresses rented in the victims' countries start here

# Local minutes within which people do such a thing: bank counters are closed on Sundays, too.
_OPEN = {
    "branch": (8 * 60 + 30, 17 * 60 + 30),
    "pos": (8 * 60, 22 * 60),
    "atm": (6 * 60, 24 * 60),
    "ecommerce": (6 * 60 + 30, 24 * 60),
    "mobile": (6 * 60 + 30, 24 * 60),
    "online_banking": (6 * 60 + 30, 24 * 60),
}

# Where some people are busy at night, too: who keeps to the busy hours need not avoid the others.
_AT_ANY_HOUR = ("ecommerce", "mobile", "online_banking")

# How much is done in each local hour, whatever it is: people's days, not the clock, decide. Our judgement.
_BUSY = (1.3, 0.8, 0.6, 0.5, 0.5, 0.8, 1.8, 3.1, 4.4, 5.2, 5.6, 5.6, 6.0, 5.5, 5.0, 5.0, 5.2, 5.8, 6.3, 6.3, 6.1, 5.4,
         3.9, 2.3)  # fmt: skip
_BUSY_SO_FAR = np.concatenate([[0.0], np.cumsum(_BUSY)])
_HOURS_US = np.arange(25) * 60 * MINUTE_US

# How alike the offenders of one batch are: parameters of the beta distribution of their care add up to this.
_ALIKE = 0.9

TOGETHER_US = 120 * MINUTE_US  # rows that are less apart are one sitting

# How even the gaps between the rows of one step are: the shape of a gamma distribution (1: as chance has it).
_EVENNESS = {"burst": 9.0, "steady": 2.0, "slow": 0.8}

# Median of what is sent at once, as a share of a month's income; transfers to friends and rents lie on either side.
USUAL_TRANSFER = 0.065

COUNTER_TIMES = 7  # a usual sum at a bank's counter, in usual sums from a machine

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

    A step starts ``wait_minutes`` (times ``pace`` where that is under 1) after the last row of the step before; its
    rows spread over ``span_minutes`` times ``pace``, evenly in a burst and irregularly when slow, at least a second
    apart. Unless its kind is in ``by_machine`` and the tempo is a burst, rows fall into the hours at which ``customer``
    is up or the place open.
    The more difficult, the more incidents also keep to the busy ones among these hours.
    """
    rng = incident.rng
    evenness = _EVENNESS[case.tempo]
    start = incident.start_us
    zone_us = int(incident.population.local_minutes(np.array([customer]), np.array([start]))[0]) * MINUTE_US
    zone_us -= start % DAY_US  # what turns UTC into local time; a change of clocks within an incident is ignored
    times: list[Array] = []
    keeps_hours = rng.random() < incident.difficulty
    for step in case.steps:
        gaps = rng.gamma(evenness, size=step.count + 1)
        gaps *= step.span_minutes * MINUTE_US * pace / gaps.sum()
        gaps += SECOND_US * (1 + rng.random(step.count + 1))
        wait = int(step.wait_minutes * min(pace, 1.0) * MINUTE_US)
        moments = start + wait + np.cumsum(gaps)[: step.count].astype(np.int64)
        if not (case.tempo == "burst" and step.kind in by_machine):
            if keeps_hours:
                moments = _at_busy_hours(rng, moments, zone_us, step.channel, start)
            if not (keeps_hours and step.channel in _AT_ANY_HOUR):
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
    luck = busy_hours(rng.random(len(moments)), opens, closes)
    return np.sort(np.where(moved, day * DAY_US + luck - zone_us, moments))


def _at_busy_hours(rng: np.random.Generator, moments: Array, zone_us: int, channel: str, before_us: int) -> Array:
    """Sorted moments, each sitting moved to a busy hour of its day, or of the next where that would be too early.

    Rows that follow each other within two hours are one sitting and stay as far apart as they are; so do the first
    ones if they follow so soon on what happened at ``before_us``.
    """
    opens, closes = (0, DAY_US) if channel in _AT_ANY_HOUR else (minute * MINUTE_US for minute in _OPEN[channel])
    hours = busy_hours(rng.random(len(moments)), opens, closes)
    into_day = (moments + zone_us) % DAY_US
    first = np.flatnonzero(np.diff(moments, prepend=before_us) > TOGETHER_US)
    moved = moments.copy()
    for one, following in pairwise([*first.tolist(), len(moments)]):
        shift = hours[one] - into_day[one]
        last = moved[one - 1] if one else before_us
        late = max(int(last - moments[one] - shift), 0)
        moved[one:following] += shift + -(-late // DAY_US) * DAY_US
    return moved


def busy_hours(luck: Array, opens: int, closes: int) -> Array:
    """Moments of a day (µs after local midnight) between ``opens`` and ``closes``, more of them at busy hours.

    ``luck``: numbers in [0, 1); larger luck, later moment.
    """
    first, last = np.interp([opens, closes], _HOURS_US, _BUSY_SO_FAR)
    return np.asarray(np.interp(first + luck * (last - first), _BUSY_SO_FAR, _HOURS_US).astype(np.int64))


def care(incident: Incident) -> float:
    """How much the offender of this incident keeps to his victims' habits: 0 not at all, 1 wherever he can.

    Drawn anew by each call. The mean over incidents is the difficulty, and careless ones come beside careful ones,
    so that a batch in the middle has both; at 0 and 1 all are alike.
    """
    difficulty = incident.difficulty
    if not 0 < difficulty < 1:
        return difficulty
    return float(incident.rng.beta(_ALIKE * difficulty, _ALIKE * (1 - difficulty)))


def drawn_towards(planned: Array, usual: Array, careful: float) -> Array:
    """``planned`` amounts (> 0) moved, by ratio, to what is ``usual``: all the way at care 1, three quarters at half.

    Sums are what offenders learn to hide first.
    """
    left = (1 - careful) ** 2
    return np.asarray(planned**left * usual ** (1 - left))


def usual_transfers(incident: Incident, customers: Array) -> Array:
    """What each customer might send or get at once in the ordinary course of life (minor units, not rounded).

    The sums of one incident are of much the same size, those of different incidents are not.
    """
    spread = np.exp(incident.rng.normal(0, 0.85) + incident.rng.normal(0, 0.5, len(customers)))
    return np.asarray(USUAL_TRANSFER * incident.population.income[customers] * spread)


def usual_cash(incident: Incident, n: int) -> Array:
    """``n`` sums that people take from machines (minor units): rather 50 than 200 euros' worth."""
    drawn = 50 * np.exp(incident.rng.normal(0, 0.75, n))
    return np.asarray(np.minimum(drawn, 200) * incident.population.world.unit)


def notes_given(amount: int, usual: float, limit: int, careful: float, channel: str, unit: int) -> int:
    """Cash paid out for ``amount`` (minor units), never more: in tens, at a machine within the card's ``limit``.

    Care draws sums towards the ``usual`` one of a machine, or to some times that at a counter.
    """
    often = usual * (1 if channel == "atm" else COUNTER_TIMES)
    wanted = max(amount, 1) ** (1 - 0.95 * careful) * often ** (0.95 * careful)
    cash = min(amount, int(wanted), limit if channel == "atm" else amount)
    step = 50 if channel == "atm" and cash > 120 * unit else 10
    return cash // (step * unit) * step * unit


def own_addresses(incident: Incident, customers: Array, channels: Array) -> Array:
    """Addresses from which the customers themselves act: at home, or, half of the time on their phones, the carrier's.

    ``channels``: codes.
    """
    out = incident.rng.random(len(customers)) < np.where(channels == CHANNELS.index("mobile"), 0.55, 0.1)
    return np.where(out, customers * ADDRESSES_PER_CUSTOMER + 1, incident.population.ip[customers])


def at_home_when_careful(incident: Incident, countries: Array, home: int, careful: float) -> Array:
    """The countries, each replaced by ``home`` with the chance ``careful``."""
    return np.where(incident.rng.random(len(countries)) < careful, home, countries).astype(countries.dtype)


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
    numbers = gang_and_own(incident, case.addresses)
    known = countries_seen(case, replace(incident, rng=incident.campaign_rng()), home, GANG)
    countries = countries_seen(case, incident, home, case.addresses)
    gangs = numbers < _OWN
    countries[gangs] = known[numbers[gangs] & 255]
    place = int(countries[0]) if len(countries) else home
    cities = np.flatnonzero(world.city_country == place)
    if not len(cities):  # a country whose places this world does not hold
        cities = np.arange(len(world.city_country))
    city = int(cities[incident.rng.integers(0, len(cities))])
    return Offender(
        devices=ACTOR_BASE + gang_and_own(incident, case.devices),
        # An address lies in one country, whoever of the gang uses it: so its country is part of its key.
        addresses=ACTOR_BASE + (countries.astype(np.int64) << 40) + numbers,
        address_country=countries,
        latitude=float(world.city_latitude[city]),
        longitude=float(world.city_longitude[city]),
    )


def proxies(incident: Incident, countries: Array) -> Array:
    """One address key a row, in the country of that row: of the few that the gang rents there."""
    near = (incident.campaign << 8) + countries.astype(np.int64)
    return np.asarray(ACTOR_BASE + _PROXIES + (near << 8) + incident.rng.integers(0, GANG, len(countries)))


def outside_accounts(incident: Incident, n: int) -> Array:
    """``n`` different account keys elsewhere, some of them used by the whole gang."""
    return ACTOR_BASE + OFFENDER_ACCOUNTS + gang_and_own(incident, n)


def gang_merchants(incident: Incident, n: int, *, online: bool, mcc: str | None, country: int | None) -> Array:
    """``n`` ≥ 1 merchant positions: half of them known to the whole gang."""
    world = incident.population.world
    shared = world.pick_merchants(incident.campaign_rng(), (n + 1) // 2, online=online, mcc=mcc, country=country)
    return np.concatenate([shared, world.pick_merchants(incident.rng, n // 2, online=online, mcc=mcc, country=country)])


def known_shops(incident: Incident, n: int, country: int | None) -> Array:
    """Up to ``n`` ≥ 1 different online shops that many people know and the whole gang uses."""
    rng = incident.campaign_rng()
    drawn = np.unique(incident.population.world.pick_merchants(rng, 8 * n, online=True, country=country))
    return np.asarray(rng.permutation(drawn)[:n])


def gang_machines(incident: Incident, customers: Array) -> Array:
    """Positions of cash machines: some rows at the one at which the gang's runner draws with all cards, the others
    in the customers' own cities. The more difficult, the fewer are the runner's.
    """
    population, world = incident.population, incident.population.world
    gang = incident.campaign_rng()
    city = population.city[gang.integers(0, population.size, 1)]
    runners = incident.rng.random(len(customers)) < 0.6 - 0.4 * incident.difficulty
    own = world.pick_in_city(incident.rng, population.city[customers], atm=True)
    return np.where(runners, world.pick_in_city(gang, city, atm=True), own)


def merchant_country(case: FraudCase, incident: Incident, home: int) -> int | None:
    """The country in which the offender shops; ``None`` (any requested one) where it has no merchants."""
    country = int(countries_seen(case, incident, home, 1)[0])
    return country if country in incident.population.world.merchant_country else None


def usual_shops(incident: Incident, customers: Array, online: Array) -> Array:
    """One merchant position a row at which its customer might as well buy himself: a favourite of his, if he has any
    that is known, else one that is popular where he lives. ``online`` says where shops on the web are wanted.
    """
    population, world = incident.population, incident.population.world
    luck = incident.rng.random(len(customers))
    if incident.favourites is not None:
        return incident.favourites(customers, online, luck)
    shops = world.in_city(luck, population.city[customers])
    for country in np.unique(population.country[customers[online]]):
        rows = np.flatnonzero(online & (population.country[customers] == country))
        shops[rows] = world.from_pool(luck[rows], online=True, country=int(country))
    return shops


def usual_amounts(incident: Incident, customers: Array, shops: Array) -> Array:
    """What these customers would pay at these shops (minor units), drawn as for their honest purchases."""
    population, world = incident.population, incident.population.world
    usual = population.habit[customers] / (MEDIAN_HABIT_EUR * world.eur)
    return world.amounts(incident.rng, shops, usual)


def chosen_sum(amount: int, luck: float, unit: int) -> int:
    """An amount as people choose it, never above the one given: round thousands, hundreds, tens; one in three exact.

    ``luck`` (from 0) picks how much rounding is tolerated: up to 4 %, mostly below 1 %; from 0.66 on none is.
    """
    tolerance = 0.04 if luck < 0.4 else 0.01 if luck < 0.6 else 0.002 if luck < 0.66 else 0.0
    for whole in _SUMS:
        if whole * unit <= amount * tolerance:
            return amount // (whole * unit) * (whole * unit)
    # Nobody sends parts of the smallest step that prices have.
    step = max(1, unit // 100)
    return amount // step * step if amount >= step else amount


def usual_sum(amount: int, luck: float, unit: int) -> int:
    """An amount as everybody sends it, never above the one given: somewhat less than half are round, in small steps.

    ``luck``: 0 to 1. The shares are those of honest transfers.
    """
    if luck < 0.40:
        units = amount // unit
        step = (1 if units < 15 else 5 if units < 100 else 10 if units < 1000 else 50) * unit
    else:
        step = max(1, unit // 100)
    return amount // step * step if amount >= step else amount


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
