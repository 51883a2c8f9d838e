"""Banking: cash out and in, transfers to and from elsewhere, transfers between customers of the bank.

Belongs here: irregular movements of an account. Does not belong here: standing payments (``standing``).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import CHANNELS, RESPONSE_CODES, code
from sgf_pipeline.population.filling import BOOKING_LEAST_US, BOOKING_MEAN_US, cash, external_accounts, transfers
from sgf_pipeline.population.places import country_index
from sgf_pipeline.population.world import DESTINATIONS
from sgf_pipeline.traffic.rhythm import soon_after
from sgf_pipeline.traffic.scene import Parts, Scene, Visits
from sgf_pipeline.traffic.spending import TRAVEL, YOUNG_ACCOUNT, draw_words, sessions, shown

Array = NDArray[Any]

# What machines give out: euros' worth, share.
WITHDRAWALS = ((10, 0.05), (20, 0.20), (30, 0.10), (40, 0.10), (50, 0.19), (60, 0.08), (70, 0.04), (80, 0.05),
               (100, 0.12), (150, 0.04), (200, 0.03))  # fmt: skip
COUNTER = 0.12  # of withdrawals are made at a branch
_WHY = {"51": 0.55, "55": 0.25, "61": 0.12, "65": 0.08}
_WHY_NOT_SENT = {"51": 0.7, "61": 0.3}

NEAR = 5  # neighbours in the block, on either side, with whom money goes to and fro
PARTNER = 0.6  # of transfers between customers are shared expenses with one and the same neighbour
CIRCLE = 20  # payees a customer has at home, and as many abroad; the first of them gets a third of what is sent
ABROAD = 0.06  # of transfers
LARGE = 0.024  # of private transfers are 25 times as large as others
INVOICE = 2.0  # times as large are a small trader's transfers
ROUND = 0.38  # of private transfers are round sums


def withdrawals(scene: Scene, random: np.random.Generator, parts: Parts, visits: Visits) -> None:
    """Cash from machines near home or abroad on a journey; larger sums over the counter of a branch."""
    world, population = scene.population.world, scene.population
    n = len(visits)
    customers = scene.customers(visits.who)
    away = visits.claim == TRAVEL
    machines = world.pick_in_city(random, np.where(away, visits.place, population.city[customers]), atm=True)
    notes, shares = np.array([n for n, _ in WITHDRAWALS]), np.cumsum([share for _, share in WITHDRAWALS])
    euros = notes[np.searchsorted(shares / shares[-1], random.random(n), side="right").clip(0, len(notes) - 1)]
    euros = np.where(visits.claim == YOUNG_ACCOUNT, np.minimum(2.5 * euros, 400), euros)
    counter = ~away & (random.random(n) < COUNTER)
    euros = np.where(counter, 10 * np.rint(np.exp(random.normal(np.log(38), 0.9, n))), euros)
    note = 10 * world.unit
    amounts = np.maximum(np.rint(euros * world.eur / note), 1).astype(np.int64) * note
    declined = random.random(n) < np.where(counter, 0.01, 0.05)
    columns = cash(
        population, random, customers, visits.times, amounts,
        np.where(counter, code(CHANNELS, "branch"), code(CHANNELS, "atm")), "withdrawal",
        machines=machines,
        response_code=np.where(
            declined,
            np.where(counter, code(RESPONSE_CODES, "51"), draw_words(random, n, RESPONSE_CODES, _WHY)),
            code(RESPONSE_CODES, "00"),
        ),
    )  # fmt: skip
    columns["hard_negative"] = visits.claim
    parts.add(columns)


def cash_deposits(scene: Scene, random: np.random.Generator, parts: Parts, visits: Visits) -> None:
    """Cash paid in: presents and sold things, and the takings of small businesses."""
    world, n = scene.population.world, len(visits)
    takings = random.random(n) < np.where(scene.habits.trader[visits.who], 0.85, 0.10)
    euros = np.where(takings, np.exp(random.normal(np.log(1900), 0.85, n)), np.exp(random.normal(np.log(160), 0.9, n)))
    step = np.where(takings, 10, 5) * world.unit
    amounts = np.maximum(np.rint(euros * world.eur / step), 1).astype(np.int64) * step
    channel = np.where(random.random(n) < 0.5, code(CHANNELS, "atm"), code(CHANNELS, "branch"))
    customers = scene.customers(visits.who)
    parts.add(cash(scene.population, random, customers, visits.times, amounts, channel, "deposit"))


def outside_transfers(scene: Scene, random: np.random.Generator, parts: Parts, visits: Visits, direction: str) -> None:
    """Transfers to (debit) or from (credit) accounts elsewhere, now and then in another country."""
    n = len(visits)
    customers = scene.customers(visits.who)
    amounts = _amounts(scene, random, visits, 62)
    country, far = abroad_or_home(scene, random, customers)
    # One's own circle: numbers 0 to 3 are the landlord and the standing payments; abroad it is another account.
    number = 4 + (CIRCLE * random.random(n) ** 3).astype(np.int64) + np.where(far, CIRCLE, 0)
    declined = (random.random(n) < 0.025) & (direction == "debit")
    channel, session = online_session(scene, random, visits)
    columns = transfers(
        scene.population, random, customers, visits.times, amounts, channel, direction,
        external_accounts(customers, number), country,
        response_code=np.where(declined, draw_words(random, n, RESPONSE_CODES, _WHY_NOT_SENT), 0),
        device=session[0],
        ip=session[1],
        ip_country=session[2],
    )  # fmt: skip
    columns["hard_negative"] = shown(visits, columns)
    parts.add(columns)


def inside_transfers(scene: Scene, random: np.random.Generator, parts: Parts, visits: Visits) -> None:
    """Transfers between two customers of the block: a debit leg each, and a credit leg a moment later."""
    population = scene.population
    who, n = visits.who, len(visits)
    steps = random.integers(1, NEAR + 1, n) * np.where(random.random(n) < 0.5, 1, -1)
    other = np.where(random.random(n) < PARTNER, who ^ 1, who + steps) % scene.size
    other = np.where(other == who, (who + 1) % scene.size, other)
    payer, payee = scene.customers(who), scene.customers(other)
    amounts = _amounts(scene, random, visits, 40)
    channel, session = online_session(scene, random, visits)
    debit = transfers(
        population, random, payer, visits.times, amounts, channel, "debit",
        population.account[payee], population.country[payee],
        device=session[0],
        ip=session[1],
        ip_country=session[2],
    )  # fmt: skip
    debit["hard_negative"] = shown(visits, debit)
    first = len(parts)
    parts.add(debit)
    arrival = soon_after(random, visits.times, BOOKING_LEAST_US, BOOKING_MEAN_US, scene.end_us)
    _, session = online_session(scene, random, Visits.ordinary(other, arrival, visits.luck, visits.online, visits.mood))
    parts.add(
        transfers(
            population, random, payee, arrival, amounts, channel, "credit",
            population.account[payer], population.country[payer],
            device=session[0],
            ip=session[1],
            ip_country=session[2],
        ),
        link=first + np.arange(n),
    )  # fmt: skip


def online_session(
    scene: Scene, random: np.random.Generator, visits: Visits
) -> tuple[Array, tuple[Array, Array, Array]]:
    """(channel codes, session) of transfers."""
    mobile = random.random(len(visits)) < 0.48
    channel = np.where(mobile, code(CHANNELS, "mobile"), code(CHANNELS, "online_banking"))
    return channel, sessions(scene, random, visits, mobile)


def abroad_or_home(scene: Scene, random: np.random.Generator, customers: Array) -> tuple[Array, Array]:
    """(country of the other account, whether it is abroad) of each transfer."""
    abroad = random.random(len(customers)) < ABROAD
    targets = np.array([country_index(name) for name in DESTINATIONS])
    elsewhere = targets[random.integers(0, len(targets), len(customers))]
    return np.where(abroad, elsewhere, scene.population.country[customers]), abroad


def rounded_sums(scene: Scene, random: np.random.Generator, sums: Array, round_share: float) -> Array:
    """Amounts (minor units) as people choose them: ``round_share`` of them round, the coarser the larger."""
    world = scene.population.world
    cents = max(1, world.unit // 100)
    free = np.maximum(np.rint(sums / cents), 1).astype(np.int64) * cents
    euros = sums / world.eur
    step = np.select([euros < 15, euros < 100, euros < 1000, euros < 8000], [1, 5, 10, 50], 500) * world.unit
    round_ = np.maximum(np.rint(sums / step), 1).astype(np.int64) * step
    return np.where(random.random(len(sums)) < round_share, round_, free)


def _amounts(scene: Scene, random: np.random.Generator, visits: Visits, median_eur: float) -> Array:
    """Amounts of transfers: about a third are round, a few are large (a car, a kitchen), traders' are larger."""
    n = len(visits)
    euros = median_eur * np.exp(random.normal(0, 1.1, n)) * np.where(random.random(n) < LARGE, 25, 1)
    euros *= np.where(scene.habits.trader[visits.who], INVOICE, 1.0)
    euros = np.where(visits.claim == YOUNG_ACCOUNT, np.maximum(6 * euros, 150), euros)
    return rounded_sums(scene, random, euros * scene.population.world.eur, ROUND)
