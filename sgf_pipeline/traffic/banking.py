"""Banking: cash out and in, transfers to and from elsewhere, transfers between customers of the bank.

Belongs here: irregular movements of an account. Does not belong here: standing payments (``standing``).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import CHANNELS, HARD_NEGATIVES, RESPONSE_CODES, code
from sgf_pipeline.population.filling import BOOKING_LEAST_US, BOOKING_MEAN_US, cash, external_accounts, transfers
from sgf_pipeline.population.places import COUNTRY_CODES, country_index
from sgf_pipeline.population.world import DESTINATIONS
from sgf_pipeline.traffic.rhythm import BANKING, SHOPS, soon_after
from sgf_pipeline.traffic.scene import Parts, Scene
from sgf_pipeline.traffic.spending import draw_words, sessions

Array = NDArray[Any]

# Notes that machines give out: units, share.
WITHDRAWALS = ((10, 0.05), (20, 0.20), (30, 0.10), (40, 0.10), (50, 0.19), (60, 0.08), (70, 0.04), (80, 0.05),
               (100, 0.12), (150, 0.04), (200, 0.03))  # fmt: skip
COUNTER = 0.09  # of withdrawals are made at a branch
_WHY = {"51": 0.55, "55": 0.25, "61": 0.12, "65": 0.08}
_WHY_NOT_SENT = {"51": 0.7, "61": 0.3}

NEAR = 5  # neighbours in the block, on either side, with whom money goes to and fro
ABROAD = 0.06  # of transfers


def withdrawals(scene: Scene, random: np.random.Generator, parts: Parts, who: Array, luck: Array) -> None:
    """Cash from machines near home or abroad on a journey; larger sums over the counter of a branch."""
    world, population = scene.population.world, scene.population
    customers = scene.customers(who)
    times = scene.times(random, who, luck, SHOPS)
    away, place = scene.episodes.journey(who, times)
    machines = world.pick_in_city(random, np.where(away, place, population.city[customers]), atm=True)
    notes, shares = np.array([n for n, _ in WITHDRAWALS]), np.cumsum([share for _, share in WITHDRAWALS])
    amounts = notes[np.searchsorted(shares / shares[-1], random.random(len(who)), side="right").clip(0, len(notes) - 1)]
    counter = ~away & (random.random(len(who)) < COUNTER)
    tens = np.maximum(np.rint(np.exp(random.normal(np.log(38), 0.9, len(who)))), 1).astype(np.int64)
    amounts = np.where(counter, tens * 10, amounts)
    declined = random.random(len(who)) < np.where(counter, 0.01, 0.05)
    columns = cash(
        population, random, customers, times, amounts * world.unit,
        np.where(counter, code(CHANNELS, "branch"), code(CHANNELS, "atm")), "withdrawal",
        machines=machines,
        response_code=np.where(
            declined,
            np.where(counter, code(RESPONSE_CODES, "51"), draw_words(random, len(who), RESPONSE_CODES, _WHY)),
            code(RESPONSE_CODES, "00"),
        ),
    )  # fmt: skip
    columns["hard_negative"] = np.where(away, code(HARD_NEGATIVES, "travel"), -1)
    parts.add(columns)


def cash_deposits(scene: Scene, random: np.random.Generator, parts: Parts, who: Array, luck: Array) -> None:
    """Cash paid in: presents and sold things, and the takings of small businesses."""
    world = scene.population.world
    takings = random.random(len(who)) < 0.35
    euros = np.where(
        takings, np.exp(random.normal(np.log(2200), 0.85, len(who))), np.exp(random.normal(np.log(160), 0.9, len(who)))
    )
    step = np.where(takings, 10, 5) * world.unit
    amounts = np.maximum(np.rint(euros * world.eur / step), 1).astype(np.int64) * step
    channel = np.where(random.random(len(who)) < 0.5, code(CHANNELS, "atm"), code(CHANNELS, "branch"))
    times = scene.times(random, who, luck, BANKING)
    parts.add(cash(scene.population, random, scene.customers(who), times, amounts, channel, "deposit"))


def outside_transfers(
    scene: Scene, random: np.random.Generator, parts: Parts, who: Array, luck: Array, direction: str
) -> None:
    """Transfers to (debit) or from (credit) accounts elsewhere, now and then in another country."""
    customers = scene.customers(who)
    times = scene.times(random, who, luck, BANKING)
    amounts = _amounts(scene, random, len(who), 62)
    abroad = random.random(len(who)) < ABROAD
    targets = np.array([country_index(name) for name in DESTINATIONS if name in COUNTRY_CODES])
    country = np.where(abroad, targets[random.integers(0, len(targets), len(who))], scene.population.country[customers])
    # One's own circle: numbers 0 to 2 are the landlord and the standing payments; abroad it is another account.
    number = 3 + np.minimum(random.geometric(0.22, len(who)), 28) + np.where(abroad, 30, 0)
    declined = (random.random(len(who)) < 0.025) & (direction == "debit")
    channel, session = _session(scene, random, who, times)
    columns = transfers(
        scene.population, random, customers, times, amounts, channel, direction,
        external_accounts(customers, number), country,
        response_code=np.where(declined, draw_words(random, len(who), RESPONSE_CODES, _WHY_NOT_SENT), 0),
        device=session[0],
        ip=session[1],
        ip_country=session[2],
    )  # fmt: skip
    columns["hard_negative"] = np.where(session[3] & (columns["device"] >= 0), code(HARD_NEGATIVES, "new_device"), -1)
    parts.add(columns)


def inside_transfers(scene: Scene, random: np.random.Generator, parts: Parts, who: Array, luck: Array) -> None:
    """Transfers between two customers of the block: a debit leg each, and a credit leg a moment later."""
    population = scene.population
    steps = random.integers(1, NEAR + 1, len(who)) * np.where(random.random(len(who)) < 0.5, 1, -1)
    other = (who + steps) % scene.size
    other = np.where(other == who, (who + 1) % scene.size, other)
    payer, payee = scene.customers(who), scene.customers(other)
    times = scene.times(random, who, luck, BANKING)
    amounts = _amounts(scene, random, len(who), 34)
    channel, session = _session(scene, random, who, times)
    debit = transfers(
        population, random, payer, times, amounts, channel, "debit",
        population.account[payee], population.country[payee],
        device=session[0],
        ip=session[1],
        ip_country=session[2],
    )  # fmt: skip
    first = len(parts)
    parts.add(debit)
    arrival = soon_after(random, times, BOOKING_LEAST_US, BOOKING_MEAN_US, scene.end_us)
    _, session = _session(scene, random, other, arrival)
    parts.add(
        transfers(
            population, random, payee, arrival, amounts, channel, "credit",
            population.account[payer], population.country[payer],
            device=session[0],
            ip=session[1],
            ip_country=session[2],
        ),
        link=first + np.arange(len(who)),
    )  # fmt: skip


def _session(
    scene: Scene, random: np.random.Generator, who: Array, times: Array
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    """(channel codes, session) of transfers."""
    mobile = random.random(len(who)) < 0.48
    away, place = scene.episodes.journey(who, times)
    channel = np.where(mobile, code(CHANNELS, "mobile"), code(CHANNELS, "online_banking"))
    return channel, sessions(scene, random, who, times, mobile, away, place)


def _amounts(scene: Scene, random: np.random.Generator, n: int, median_eur: float) -> Array:
    """Amounts of private transfers: most are round, a few are large (a car, a kitchen)."""
    world = scene.population.world
    euros = median_eur * np.exp(random.normal(0, 1.1, n)) * np.where(random.random(n) < 0.03, 25, 1)
    cents = max(1, world.unit // 100)
    free = np.maximum(np.rint(euros * world.eur / cents), 1).astype(np.int64) * cents
    step = np.where(euros < 15, 1, np.where(euros < 100, 5, np.where(euros < 1000, 10, 50))) * world.unit
    round_ = np.maximum(np.rint(euros * world.eur / step), 1).astype(np.int64) * step
    return np.where(random.random(n) < 0.45, round_, free)
