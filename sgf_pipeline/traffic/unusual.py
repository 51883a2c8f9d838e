"""Unusual but honest: the kinds of hard negative that bring rows of their own.

Belongs here: cards put through several checks, subscriptions renewed at once, wages shared out over accounts, large
first payments, money that only passes through. Does not belong here: how many rows each kind gets, and kinds that
ordinary rows are turned into (``hard_negatives``).

Every function takes the customer (of the block) of each episode and how many rows the episode has; it adds exactly
those rows. All sums in this module are our own judgement.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import CHANNELS, DIRECTIONS, HARD_NEGATIVES, RESPONSE_CODES, TRANSACTION_TYPES, code
from sgf_pipeline.population.customers import MEDIAN_INCOME_EUR
from sgf_pipeline.population.filling import Columns, card_payments, companies, external_accounts, transfers
from sgf_pipeline.traffic.banking import abroad_or_home, online_session, rounded_sums
from sgf_pipeline.traffic.rhythm import BANKING, ONLINE
from sgf_pipeline.traffic.scene import Parts, Scene, Visits
from sgf_pipeline.traffic.spending import draw_words, micro_amounts, sessions, shops_online

Array = NDArray[Any]

HOUR_US = 3600e6

# Rows of one episode of each kind, at least and at most.
EPISODE_ROWS = {
    "card_verification": (2, 5),
    "subscription_burst": (3, 6),
    "salary_split": (3, 5),
    "large_transfer": (1, 2),
    "pass_through": (3, 6),
}

# What a large payment is for: share, median (EUR), sigma of ln(amount), whether it is paid to a firm.
_PURPOSES = (
    ("a house", 0.10, 14_000, 0.70, True),
    ("a used car", 0.20, 6_000, 0.60, False),
    ("a tradesman's bill", 0.22, 1_700, 0.80, True),
    ("savings moved", 0.20, 3_500, 0.90, False),
    ("an invoice", 0.16, 800, 0.70, True),
    ("help in the family", 0.12, 1_400, 0.90, False),
)
_WHY_CHECKED = {"05": 0.4, "N7": 0.25, "54": 0.15, "51": 0.2}
_WHY_NOT_SENT = {"61": 0.6, "51": 0.4}


def add(scene: Scene, random: np.random.Generator, parts: Parts, weight: Array, wanted: dict[str, int]) -> None:
    """Exactly the wanted rows of every kind; ``weight`` is the customers' cumulated weight, ending at 1."""
    for kind, (least, most) in EPISODE_ROWS.items():
        rows = wanted[kind]
        if not rows:
            continue
        sizes = random.integers(least, most + 1, rows)
        sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), rows)) + 1]
        sizes[-1] -= sizes.sum() - rows
        episode = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        who = np.searchsorted(weight, random.random(len(sizes)), side="right").clip(0, scene.size - 1)[episode]
        columns = _MAKERS[kind](scene, random, who, episode, place, sizes)
        columns["hard_negative"] = np.full(rows, code(HARD_NEGATIVES, kind))
        parts.add(columns)


def _in_turn(
    scene: Scene, random: np.random.Generator, who: Array, episode: Array, place: Array, rhythm: int, mean_us: float
) -> Array:
    """Moments of each episode's rows, one after the other, ``mean_us`` apart on the mean (exponential)."""
    first = np.flatnonzero(place == 0)
    start = scene.times(random, who[first], random.random(len(first)), rhythm)[episode]
    gaps = np.where(place == 0, 0.0, random.exponential(mean_us, len(place)) + 1e6)
    passed = np.cumsum(gaps)
    passed -= passed[first][episode]
    last = np.append(first[1:], len(place)) - 1
    # An episode that begins late in the period goes faster.
    room = (scene.end_us - start) / (passed[last][episode] + 1.0)
    return np.asarray(start + (passed * np.minimum(room, 1.0)).astype(np.int64))


def _card_checks(
    scene: Scene, random: np.random.Generator, who: Array, episode: Array, place: Array, sizes: Array
) -> Columns:
    """A new card is entered in a wallet and some shops within the hour: checks of zero or one unit, tiny purchases."""
    population, world, n = scene.population, scene.population.world, len(who)
    customers = scene.customers(who)
    times = _in_turn(scene, random, who, episode, place, ONLINE, HOUR_US / 4)
    mobile = (random.random(len(sizes)) < 0.5)[episode]
    check = random.random(n) < 0.6
    amounts = np.where(check, np.where(random.random(n) < 0.5, 0, world.unit), micro_amounts(scene, random, n))
    refused = random.random(n) < 0.25
    device, ip, ip_country = sessions(scene, random, _visits(who, times), mobile)
    return card_payments(
        population, random, customers, shops_online(scene, random, customers), times, amounts,
        np.where(mobile, code(CHANNELS, "mobile"), code(CHANNELS, "ecommerce")),
        transaction_type=np.where(check, code(TRANSACTION_TYPES, "verification"), code(TRANSACTION_TYPES, "purchase")),
        card=population.card[customers] + population.cards[customers] - 1,
        response_code=np.where(refused, draw_words(random, n, RESPONSE_CODES, _WHY_CHECKED), 0),
        device=device, ip=ip, ip_country=ip_country,
    )  # fmt: skip


def _renewals(
    scene: Scene, random: np.random.Generator, who: Array, episode: Array, place: Array, sizes: Array
) -> Columns:
    """All the subscriptions of a customer are charged within minutes, on the day on which he once took them."""
    population, world, n = scene.population, scene.population.world, len(who)
    customers = scene.customers(who)
    pool, popularity = world.subscription_sellers
    shops = pool[np.searchsorted(popularity, random.random(n), side="right").clip(0, len(pool) - 1)]
    times = _in_turn(scene, random, who, episode, place, ONLINE, HOUR_US / 8)
    refused = random.random(n) < 0.06
    device, ip, ip_country = sessions(scene, random, _visits(who, times), np.zeros(n, dtype=bool))
    return card_payments(
        population, random, customers, shops, times, world.amounts(random, shops), "ecommerce",
        entry_mode="stored_credential",
        response_code=np.where(refused, code(RESPONSE_CODES, "51"), 0),
        device=device, ip=ip, ip_country=ip_country,
    )  # fmt: skip


def _wages_shared_out(
    scene: Scene, random: np.random.Generator, who: Array, episode: Array, place: Array, sizes: Array
) -> Columns:
    """A bonus arrives and goes on the same day to the customer's own accounts elsewhere."""
    population, n = scene.population, len(who)
    customers = scene.customers(who)
    times = _in_turn(scene, random, who, episode, place, BANKING, 2 * HOUR_US)
    arrived = (population.income[customers[place == 0]] * random.uniform(0.4, 1.6, len(sizes)))[episode]
    share = random.uniform(0.5, 1.0, n) / np.maximum(sizes - 1, 1)[episode]
    sums = np.where(place == 0, arrived, rounded_sums(scene, random, arrived * share, 0.85)).astype(np.int64)
    country = population.country[customers]
    employer = companies("employer", country, random.random(len(sizes))[episode])
    channel, session = online_session(scene, random, _visits(who, times))
    return transfers(
        population, random, customers, times, np.maximum(sums, 1),
        np.where(place == 0, code(CHANNELS, "online_banking"), channel),
        np.where(place == 0, code(DIRECTIONS, "credit"), code(DIRECTIONS, "debit")),
        np.where(place == 0, employer, external_accounts(customers, OWN_ELSEWHERE + place)), country,
        transaction_type=np.where(place == 0, code(TRANSACTION_TYPES, "deposit"), code(TRANSACTION_TYPES, "transfer")),
        device=session[0], ip=session[1], ip_country=session[2],
    )  # fmt: skip


def _large_payments(
    scene: Scene, random: np.random.Generator, who: Array, episode: Array, place: Array, sizes: Array
) -> Columns:
    """A large sum for once, paid (or, one in four, received) by an account that was never seen before.

    In two parts where it has two rows: a deposit, and the rest.
    """
    population, n = scene.population, len(who)
    customers = scene.customers(who)
    share = np.cumsum([purpose[1] for purpose in _PURPOSES])
    purpose = np.searchsorted(share / share[-1], random.random(len(sizes)), side="right").clip(0, len(_PURPOSES) - 1)
    euros = np.array([p[2] for p in _PURPOSES])[purpose] * np.exp(
        np.array([p[3] for p in _PURPOSES])[purpose] * random.normal(0, 1, len(sizes))
    )
    # Who earns more spends more, but not in proportion.
    income = population.income[customers[place == 0]] / (MEDIAN_INCOME_EUR * population.world.eur)
    deposit = random.uniform(0.1, 0.5, len(sizes))[episode]
    part = np.where(sizes[episode] == 1, 1.0, np.where(place == 0, deposit, 1 - deposit))
    sums = rounded_sums(scene, random, (euros * income**0.6 * population.world.eur)[episode] * part, 0.6)
    firm = np.array([p[4] for p in _PURPOSES])[purpose][episode]
    country, far = abroad_or_home(scene, random, customers[place == 0])
    dealer = companies("dealer", population.country[customers], random.random(len(sizes))[episode])
    somebody = external_accounts(customers, NEW_PAYEES + (random.random(len(sizes)) * 12).astype(np.int64)[episode])
    received = ((random.random(len(sizes)) < 0.25) & ~np.array([p[4] for p in _PURPOSES])[purpose])[episode]
    refused = (random.random(n) < 0.06) & ~received
    times = _in_turn(scene, random, who, episode, place, BANKING, 20 * HOUR_US)
    channel, session = online_session(scene, random, _visits(who, times))
    return transfers(
        population, random, customers, times, sums, channel,
        np.where(received, code(DIRECTIONS, "credit"), code(DIRECTIONS, "debit")),
        np.where(firm & ~far[episode], dealer, somebody), country[episode],
        response_code=np.where(refused, draw_words(random, n, RESPONSE_CODES, _WHY_NOT_SENT), 0),
        device=session[0], ip=session[1], ip_country=session[2],
    )  # fmt: skip


def _money_passing(
    scene: Scene, random: np.random.Generator, who: Array, episode: Array, place: Array, sizes: Array
) -> Columns:
    """Money that is gone within a day: a present or a holiday home collected and paid, a rent that one pays for all."""
    population, world, n = scene.population, scene.population.world, len(who)
    customers = scene.customers(who)
    times = _in_turn(scene, random, who, episode, place, BANKING, 2.5 * HOUR_US)
    whole = 750 * np.exp(random.normal(0, 0.95, len(sizes))) * world.eur
    collects = random.random(len(sizes)) < 0.65
    others = np.maximum(sizes - 1, 1)
    # One row moves all, the others a part each: it comes last where money is collected, first where it is handed on.
    single = np.where(collects[episode], place == (sizes - 1)[episode], place == 0)
    uneven = np.where(random.random(n) < 0.5, 1.0, random.uniform(0.5, 1.5, n))
    sums = rounded_sums(scene, random, whole[episode] * np.where(single, 1.0, uneven / others[episode]), 0.6)
    credit = collects[episode] ^ single
    channel, session = online_session(scene, random, _visits(who, times))
    friend = external_accounts(customers, 3 + random.geometric(0.2, n).clip(1, 28))
    payee = external_accounts(customers, NEW_PAYEES + (random.random(len(sizes)) * 12).astype(np.int64)[episode])
    return transfers(
        population, random, customers, times, sums, channel,
        np.where(credit, code(DIRECTIONS, "credit"), code(DIRECTIONS, "debit")),
        np.where(single, payee, friend), population.country[customers],
        device=session[0], ip=session[1], ip_country=session[2],
    )  # fmt: skip


# Numbers of ``external_accounts``: 0 to 2 are standing payments, 4 to 31 friends, from 33 on accounts abroad.
OWN_ELSEWHERE = 44
NEW_PAYEES = 50

_MAKERS = {
    "card_verification": _card_checks,
    "subscription_burst": _renewals,
    "salary_split": _wages_shared_out,
    "large_transfer": _large_payments,
    "pass_through": _money_passing,
}


def _visits(who: Array, times: Array) -> Visits:
    n = len(who)
    return Visits.ordinary(who, times, np.zeros(n), np.ones(n, dtype=bool), np.zeros(n))
