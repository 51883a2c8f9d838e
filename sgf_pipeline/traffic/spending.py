"""Spending with cards: purchases, the small checks around them, second tries, refunds and disputes.

Belongs here: where, how much, how, and whether it is approved. Does not belong here: how many rows of each kind
(``legitimate``), or how columns are filled (``population.filling``).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import (
    CHANNELS,
    DISPUTE_REASONS,
    ENTRY_MODES,
    HARD_NEGATIVES,
    RESPONSE_CODES,
    code,
)
from sgf_pipeline.population.customers import (
    ADDRESSES_PER_CUSTOMER,
    DEVICES_PER_CUSTOMER,
    MEDIAN_HABIT_EUR,
)
from sgf_pipeline.population.filling import Columns, card_payments, returns, usual_entry_mode
from sgf_pipeline.population.places import DAY_US, MINUTE_US
from sgf_pipeline.population.world import FREE, HALF, NINETY_NINE
from sgf_pipeline.traffic.habits import LOCAL_FAVOURITES, ONLINE_FAVOURITES
from sgf_pipeline.traffic.rhythm import ONLINE, SHOPS, soon_after
from sgf_pipeline.traffic.scene import NEW_DEVICE_DAYS, SPREE_US, Parts, Scene

Array = NDArray[Any]

# Outings, busy days, mood and wave are our choice. What they lead to (bursts of gaps, lag-1 correlation of amounts,
# exact repeats) was compared with aggregates of real purchase cards: Birmingham City Council, 2014-2018, Open
# Government Licence v3.0. Those are corporate cards, with day resolution.
NEW_OUTING = 0.70  # of rows start an outing, the others continue one
BUSY = 0.35  # of outings fall into a customer's busy days
BUSY_CENTRES = 4
BUSY_WIDTH = 0.02  # of the period
OUTING_MINUTES = 45.0  # mean distance of an outing's later rows from its first

MICRO = 0.012  # of purchases are tiny on purpose; some others are tiny by chance
TINY_DECLINED = 0.14  # of purchases of at most two units
DECLINED_PRESENT = 0.026
DECLINED_REMOTE = 0.052
SALE_PULL = 0.05  # of a shop's purchases fall on its sale day, where it has one
MOOD = 0.45  # sigma of ln(amount) that the purchases of one outing share
WAVE = 0.45  # amplitude of the slow ups and downs of a customer's spending

PUBLIC_NETWORK = 1 << 45  # address keys of public networks: PUBLIC_NETWORK + city * 16 + n; under ACTOR_BASE

# Why purchases are declined, card present and remote. Insufficient funds lead everywhere; wrong PINs need a PIN pad,
# wrong CVV2 (N7) a keyed number.
_WHY_PRESENT = {"51": 0.46, "05": 0.18, "55": 0.14, "54": 0.04, "61": 0.07, "65": 0.08, "59": 0.03}
_WHY_REMOTE = {"51": 0.34, "05": 0.25, "54": 0.08, "N7": 0.12, "59": 0.08, "61": 0.05, "65": 0.08}
_WHY_DISPUTED = {"not_received": 0.32, "not_as_described": 0.22, "cancelled": 0.20, "fraud": 0.16, "duplicate": 0.10}


def outings(scene: Scene, random: np.random.Generator, who: Array) -> tuple[Array, Array, Array]:
    """(position of each row in the period as a number in [0, 1), whether it is made online, mood of ln(amount)).

    ``who`` is sorted. Rows of one customer gather in outings, and outings in his busy days: that makes gaps bursty.
    """
    n = len(who)
    first = random.random(n) < NEW_OUTING
    first[1:] |= who[1:] != who[:-1]
    first[:1] = True
    outing = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    centres = random.random((scene.size, BUSY_CENTRES))
    busy = centres[who[starts], random.integers(0, BUSY_CENTRES, len(starts))]
    busy = busy + random.normal(0, BUSY_WIDTH, len(starts))
    luck = np.where(random.random(len(starts)) < BUSY, busy, random.random(len(starts)))[outing]
    later = random.exponential(OUTING_MINUTES * MINUTE_US / (scene.end_us - scene.start_us), n)
    luck = (luck + np.where(first, 0.0, later)) % 1.0
    online = (random.random(len(starts)) < scene.habits.online[who[starts]])[outing]
    # The modulo of a tiny negative number is 1.0 exactly.
    return np.minimum(luck, np.nextafter(1.0, 0.0)), online, random.normal(0, MOOD, len(starts))[outing]


def purchases(
    scene: Scene, random: np.random.Generator, who: Array, luck: Array, online: Array, mood: Array
) -> Columns:
    """One purchase a row by ``who`` (customers of the block); ``luck``, ``online`` and ``mood`` as from ``outings``."""
    world, habits, population = scene.population.world, scene.habits, scene.population
    n = len(who)
    customers = scene.customers(who)
    times = scene.times(random, who, luck, np.where(online, ONLINE, SHOPS))

    spree = _join_sprees(scene, random, who, times)
    away, place = scene.episodes.journey(who, times)
    away &= ~spree
    merchants, known = _shops(scene, random, who, online & ~spree, away, place)
    # A sale draws purchases of other days to its own, at the same hour.
    sale = scene.sale_day[merchants]
    at_sale = (sale >= 0) & ~spree & ~away & (random.random(n) < SALE_PULL)
    times = np.where(at_sale, sale * DAY_US + times % DAY_US, times)

    nine_days = luck * (scene.end_us - scene.start_us) / (9 * DAY_US)
    mood = mood + WAVE * np.sin(2 * np.pi * (nine_days + habits.loyalty[who] * 97))
    factor = population.habit[customers] / (MEDIAN_HABIT_EUR * world.eur) * np.exp(mood)
    factor = factor * np.where(away, 1.3, 1.0) * np.where(spree, 1.5, 1.0)
    amounts = world.amounts(random, merchants, factor)
    micro = random.random(n) < MICRO
    amounts[micro] = _micro_amounts(scene, random, int(micro.sum()))

    remote = world.merchant_online[merchants]
    mobile = random.random(n) < np.where(remote, 0.38, 0.06)
    channel = np.where(
        mobile, code(CHANNELS, "mobile"), np.where(remote, code(CHANNELS, "ecommerce"), code(CHANNELS, "pos"))
    )
    entry = usual_entry_mode(random, channel)
    kept = (channel != code(CHANNELS, "pos")) & known & (random.random(n) < 0.5)
    entry = np.where(kept, code(ENTRY_MODES, "stored_credential"), entry)
    second = random.random(n) < 0.22
    card = population.card[customers] + np.where(
        second, random.integers(0, 1 << 30, n) % population.cards[customers], 0
    )

    device, ip, ip_country, new_device = sessions(scene, random, who, times, mobile, away, place)
    columns = card_payments(
        population, random, customers, merchants, times, amounts, channel,
        card=card,
        entry_mode=entry,
        response_code=_responses(scene, random, who, channel, amounts <= 2 * world.unit),
        device=device,
        ip=ip,
        ip_country=ip_country,
        latitude=np.where(away, world.city_latitude[place], population.latitude[customers]),
        longitude=np.where(away, world.city_longitude[place], population.longitude[customers]),
    )  # fmt: skip
    shown = away & (world.merchant_country[merchants] != population.country[customers])
    young = (columns["account_age_days"] < 30) & (amounts > 4 * population.habit[customers])
    on_device = columns["device"] >= 0
    # The family's tablet: a purchase on a device that is another customer's first.
    shared = on_device & (columns["device"] == population.device[customers])
    shared &= (columns["device"] // DEVICES_PER_CUSTOMER != customers) & (amounts > 5 * population.habit[customers])
    marks = {
        "gift_spree": spree,
        "travel": shown,
        "sale_day": at_sale,
        "new_device": new_device & on_device,
        "young_account": young,
        "shared_device": shared,
    }
    columns["hard_negative"] = np.select(list(marks.values()), [code(HARD_NEGATIVES, word) for word in marks], -1)
    return columns


def _join_sprees(scene: Scene, random: np.random.Generator, who: Array, times: Array) -> Array:
    """Move about five purchases of each customer with a day of gifts into it, in place; returns which ones."""
    moved = np.zeros(len(who), dtype=bool)
    rate = np.minimum(0.5, 5.0 / np.maximum(np.bincount(who, minlength=scene.size), 1))
    for start in scene.episodes.spree_start:
        joins = np.flatnonzero((start[who] < scene.end_us) & (random.random(len(who)) < rate[who]))
        room = np.minimum(SPREE_US, scene.end_us - start[who[joins]])
        times[joins] = start[who[joins]] + (random.random(len(joins)) * room).astype(np.int64)
        moved[joins] = True
    return moved


def _shops(
    scene: Scene, random: np.random.Generator, who: Array, online: Array, away: Array, place: Array
) -> tuple[Array, Array]:
    """(merchant position, whether it is one of the customer's favourites) for each purchase."""
    world, habits = scene.population.world, scene.habits
    country = scene.own(scene.population.country)[who]
    merchants = np.empty(len(who), dtype=np.int64)
    known = random.random(len(who)) < habits.loyalty[who]
    rank = random.random(len(who)) ** 2.4

    for remote, favourites, slots in (
        (False, habits.local_favourites, LOCAL_FAVOURITES),
        (True, habits.online_favourites, ONLINE_FAVOURITES),
    ):
        rows = np.flatnonzero((online == remote) & known)
        merchants[rows] = favourites[who[rows], (rank[rows] * slots).astype(np.int64)]

    far = random.random(len(who)) < 0.14
    rows = np.flatnonzero(~online & ~known & ~far)
    merchants[rows] = world.pick_in_city(random, scene.own(scene.population.city)[who[rows]])
    wanders = np.flatnonzero(~known & (online | far))
    group = np.where(online[wanders] & far[wanders], -1, country[wanders]) * 2 + online[wanders]
    for number in np.unique(group):
        rows = wanders[group == number]
        merchants[rows] = world.pick_merchants(
            random, len(rows), online=bool(number % 2), country=int(number // 2) if number >= 0 else None
        )
    rows = np.flatnonzero(away & ~online)
    merchants[rows] = world.pick_in_city(random, place[rows])
    known[rows] = False
    return merchants, known


def _micro_amounts(scene: Scene, random: np.random.Generator, n: int) -> Array:
    """Amounts of 0.20 to 2.00 units, three in ten exactly one unit."""
    unit = scene.population.world.unit
    ending = np.array([FREE, FREE, NINETY_NINE, HALF], dtype=np.int8)[random.integers(0, 4, n)]
    drawn = scene.population.world.snap(random, random.uniform(0.2, 1.99, n) * unit, ending)
    return np.where(random.random(n) < 0.3, unit, np.minimum(drawn, 2 * unit))


def _responses(scene: Scene, random: np.random.Generator, who: Array, channel: Array, tiny: Array) -> Array:
    """Response codes. More often declined: tiny amounts (new merchants, untended machines), short accounts, and
    remote purchases.
    """
    balance, income = scene.own(scene.population.balance)[who], scene.own(scene.population.income)[who]
    present = channel == code(CHANNELS, "pos")
    chance = np.where(present, DECLINED_PRESENT, DECLINED_REMOTE) * np.where(balance < 0.4 * income, 2.0, 0.9)
    declined = random.random(len(who)) < np.where(tiny, TINY_DECLINED, chance)
    why = np.where(
        present,
        draw_words(random, len(who), RESPONSE_CODES, _WHY_PRESENT),
        draw_words(random, len(who), RESPONSE_CODES, _WHY_REMOTE),
    )
    return np.where(declined, why, code(RESPONSE_CODES, "00"))


def draw_words(random: np.random.Generator, n: int, words: tuple[str, ...], shares: dict[str, float]) -> Array:
    """Codes (indices into ``words``) drawn with the given shares."""
    codes = np.array([code(words, word) for word in shares], dtype=np.int8)
    cumulated = np.cumsum(list(shares.values()))
    drawn = np.searchsorted(cumulated / cumulated[-1], random.random(n), side="right")
    return codes[np.minimum(drawn, len(codes) - 1)]


def sessions(
    scene: Scene, random: np.random.Generator, who: Array, times: Array, mobile: Array, away: Array, place: Array
) -> tuple[Array, Array, Array, Array]:
    """(device, address, country of the address, whether the device is new) for rows made on a device.

    Phones change once in a while; half of the customers also have a laptop; addresses are the home's, the
    mobile carrier's, a public network's, or one abroad.
    """
    population = scene.population
    customers = scene.customers(who)
    world = population.world
    laptop = ~mobile & scene.habits.laptop[who] & (random.random(len(who)) < 0.55)
    start = scene.episodes.device_start[who]
    changed = ~laptop & (times >= start)
    own = customers * DEVICES_PER_CUSTOMER
    device = np.where(
        laptop, population.device[customers] + 2, np.where(changed, own + 1, population.device[customers])
    )
    luck = random.random(len(who))
    out = np.where(mobile, 0.55, 0.10)
    ip = np.where(luck < out, customers * ADDRESSES_PER_CUSTOMER + 1, population.ip[customers])
    public = luck > 0.965
    ip = np.where(public, PUBLIC_NETWORK + population.city[customers].astype(np.int64) * 16 + own // 8 % 16, ip)
    ip = np.where(away, customers * ADDRESSES_PER_CUSTOMER + 2, ip)
    country = np.where(away, world.city_country[place], population.country[customers])
    return device, ip, country, changed & (times < start + NEW_DEVICE_DAYS * DAY_US)


def verifications(scene: Scene, random: np.random.Generator, parts: Parts, who: Array, luck: Array) -> None:
    """Card checks of zero or one unit, as when a card is added to a wallet or a shop."""
    world, population = scene.population.world, scene.population
    customers = scene.customers(who)
    times = scene.times(random, who, luck, ONLINE)
    merchants = np.empty(len(who), dtype=np.int64)
    country = population.country[customers]
    for index in np.unique(country):
        rows = np.flatnonzero(country == index)
        merchants[rows] = world.pick_merchants(random, len(rows), online=True, country=int(index))
    mobile = random.random(len(who)) < 0.5
    channel = np.where(mobile, code(CHANNELS, "mobile"), code(CHANNELS, "ecommerce"))
    amounts = np.where(random.random(len(who)) < 0.62, 0, world.unit)
    nowhere = np.zeros(len(who), dtype=np.int64)
    device, ip, ip_country, _ = sessions(scene, random, who, times, mobile, nowhere > 0, nowhere)
    columns = card_payments(
        population, random, customers, merchants, times, amounts, channel,
        transaction_type="verification",
        response_code=_responses(scene, random, who, channel, random.random(len(who)) < 0.5),
        device=device,
        ip=ip,
        ip_country=ip_country,
    )  # fmt: skip
    marked = random.random(len(who)) < 0.3
    columns["hard_negative"] = np.where(marked, code(HARD_NEGATIVES, "card_verification"), -1)
    parts.add(columns)


def retries(scene: Scene, random: np.random.Generator, parts: Parts, bought: Columns, wanted: int) -> None:
    """Second tries, soon after up to ``wanted`` of the declined purchases; most are approved."""
    declined = np.flatnonzero(bought["response_code"] != code(RESPONSE_CODES, "00"))
    rows = random.permutation(declined)[:wanted]
    again = _again(scene, random, bought, rows, 8e6, 80e6)
    approved = random.random(len(rows)) < 0.7
    again["response_code"] = np.where(approved, code(RESPONSE_CODES, "00"), again["response_code"])
    tapped = again["entry_mode"] == code(ENTRY_MODES, "contactless")
    again["entry_mode"] = np.where(tapped, code(ENTRY_MODES, "chip"), again["entry_mode"])
    parts.add(again)


def repeats(scene: Scene, random: np.random.Generator, parts: Parts, bought: Columns, wanted: int) -> None:
    """The same small amount at the same shop again some hours later: the way back, the second coffee."""
    small = (bought["amount"] < 20 * scene.population.world.eur) & (bought["response_code"] == 0)
    rows = random.permutation(np.flatnonzero(small))[:wanted]
    parts.add(_again(scene, random, bought, rows, 6e8, 9e9))


def _again(
    scene: Scene, random: np.random.Generator, bought: Columns, rows: Array, least_us: float, mean_us: float
) -> Columns:
    again = {name: column[rows] for name, column in bought.items()}
    again["time"] = soon_after(random, again["time"], least_us, mean_us, scene.end_us)
    again["account_age_days"] = scene.population.age_days(again["customer"], again["time"])
    return again


def returns_of(
    scene: Scene, random: np.random.Generator, parts: Parts, bought: Columns, first: int, refunds: int, chargebacks: int
) -> None:
    """Refunds and honest disputes of approved purchases, which begin at ``first`` in the block."""
    approved = (bought["response_code"] == code(RESPONSE_CODES, "00")) & (bought["amount"] > 0)
    rows = random.permutation(np.flatnonzero(approved))
    # Goods come back after some days at much the same hour, or the same day.
    days = np.where(random.random(len(rows)) < 0.15, 0, random.geometric(0.16, len(rows)))
    wait = days * DAY_US + random.exponential(1.5 * 3600e6, len(rows)).astype(np.int64) + MINUTE_US
    in_time = bought["time"][rows] + wait <= scene.end_us
    order = np.argsort(~in_time, kind="stable")
    rows, wait = rows[order], wait[order]
    back, times = rows[:refunds], bought["time"][rows[:refunds]]
    room = scene.end_us - times
    hurried = np.clip((random.random(len(back)) * room).astype(np.int64), 1, None)
    times = times + np.where(wait[:refunds] <= room, wait[:refunds], hurried)
    full = bought["amount"][back]
    part = scene.population.world.snap(
        random, full * random.uniform(0.15, 0.9, len(back)), np.full(len(back), FREE, dtype=np.int8)
    )
    amounts = np.where(random.random(len(back)) < 0.78, full, np.minimum(part, full))
    parts.add(returns(scene.population, random, bought, back, times, amounts), link=first + back)

    # From the other end, so that no purchase is both refunded and disputed.
    disputed = random.permutation(rows[refunds:])[:chargebacks]
    columns = returns(
        scene.population, random, bought, disputed,
        soon_after(random, bought["time"][disputed], 4.0 * DAY_US, 9.0 * DAY_US, scene.end_us),
        bought["amount"][disputed],
        transaction_type="chargeback",
        dispute_reason=draw_words(random, len(disputed), DISPUTE_REASONS, _WHY_DISPUTED),
    )  # fmt: skip
    columns["hard_negative"] = np.full(len(disputed), code(HARD_NEGATIVES, "honest_dispute"))
    parts.add(columns, link=first + disputed)
