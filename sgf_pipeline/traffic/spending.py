"""Spending with cards: purchases, the small checks around them, second tries, refunds and disputes.

Belongs here: where, how much, how, and whether it is approved. Does not belong here: how many rows of each kind
(``legitimate``), or how columns are filled (``population.filling``).
"""

from math import erfc, sqrt
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
from sgf_pipeline.population.customers import ADDRESSES_PER_CUSTOMER, DEVICES_PER_CUSTOMER, MEDIAN_HABIT_EUR
from sgf_pipeline.population.filling import Columns, card_payments, returns, usual_entry_mode
from sgf_pipeline.population.places import DAY_US, MINUTE_US
from sgf_pipeline.population.world import FREE, HALF, NINETY_NINE, WHOLE, World
from sgf_pipeline.traffic.habits import LOCAL_FAVOURITES, ONLINE_FAVOURITES
from sgf_pipeline.traffic.rhythm import soon_after
from sgf_pipeline.traffic.scene import Parts, Scene, Visits

Array = NDArray[Any]

# Outings, busy days, mood and wave are our choice. What they lead to (bursts of gaps, lag-1 correlation of amounts,
# exact repeats) was compared with aggregates of real purchase cards: Birmingham City Council, 2014-2018, Open
# Government Licence v3.0. Those are corporate cards, with day resolution.
NEW_OUTING = 0.70  # of rows start an outing, the others continue one
BUSY = 0.55  # of outings fall into a customer's busy days
BUSY_EVERY = 30.0  # days: so often does he have some on the mean
BUSY_DAYS = 4.0  # sigma of when an outing of busy days is made
OUTING_MINUTES = 45.0  # mean distance of an outing's later rows from its first

# Purchases of at most two units: so many are wanted, of which at least and at most these shares are tiny on purpose.
TINY = 0.052
MICRO = (0.009, 0.016)
TINY_DECLINED = 0.17
DECLINED_PRESENT = 0.026
DECLINED_REMOTE = 0.052
MOOD = 0.45  # sigma of ln(amount) that the purchases of one outing share
WAVE = 0.45  # amplitude of the slow ups and downs of a customer's spending

PUBLIC_NETWORK = 1 << 45  # address keys of public networks: PUBLIC_NETWORK + city * 16 + n; under ACTOR_BASE

# Why purchases are declined, card present and remote. Insufficient funds lead everywhere; wrong PINs need a PIN pad,
# wrong CVV2 (N7) a keyed number.
_WHY_PRESENT = {"51": 0.46, "05": 0.18, "55": 0.14, "54": 0.04, "61": 0.07, "65": 0.08, "59": 0.03}
_WHY_REMOTE = {"51": 0.34, "05": 0.25, "54": 0.08, "N7": 0.12, "59": 0.08, "61": 0.05, "65": 0.08}
_WHY_DISPUTED = {"not_received": 0.32, "not_as_described": 0.22, "cancelled": 0.20, "fraud": 0.16, "duplicate": 0.10}

# A cardholder waits for his parcel, asks the shop, then his bank, which books the chargeback: at least, and beyond that
# on the mean (exponential). Our judgement; the term of the card schemes is 120 days.
DISPUTED_LEAST_US, DISPUTED_MEAN_US = 7 * DAY_US, 12 * DAY_US


TRAVEL, NEW_DEVICE, SHARED_DEVICE, GIFT_SPREE, SALE_DAY, YOUNG_ACCOUNT, HONEST_DISPUTE = (
    code(HARD_NEGATIVES, kind)
    for kind in ("travel", "new_device", "shared_device", "gift_spree", "sale_day", "young_account", "honest_dispute")
)
# ISO 18245. Gifts: toys, gifts, jewellery, perfume, games, vouchers; a first home: electronics, computers, furniture,
# kitchens, department stores, marketplaces.
GIFTS = ("5945", "5947", "5944", "5977", "5816", "5818", "5942")
FURNITURE = ("5732", "5045", "5712", "5719", "5311", "5399", "5944")


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
    days = (scene.end_us - scene.start_us) / DAY_US
    centres = random.random((scene.size, max(1, round(days / BUSY_EVERY))))
    busy = centres[who[starts], random.integers(0, centres.shape[1], len(starts))]
    busy = busy + random.normal(0, BUSY_DAYS / max(days, BUSY_DAYS), len(starts))
    luck = np.where(random.random(len(starts)) < BUSY, busy, random.random(len(starts)))[outing]
    later = random.exponential(OUTING_MINUTES * MINUTE_US / (scene.end_us - scene.start_us), n)
    luck = (luck + np.where(first, 0.0, later)) % 1.0
    online = (random.random(len(starts)) < scene.habits.online[who[starts]])[outing]
    # The modulo of a tiny negative number is 1.0 exactly.
    return np.minimum(luck, np.nextafter(1.0, 0.0)), online, random.normal(0, MOOD, len(starts))[outing]


def purchases(scene: Scene, random: np.random.Generator, visits: Visits) -> Columns:
    """One purchase a visit."""
    world, population = scene.population.world, scene.population
    n, who = len(visits), visits.who
    customers = scene.customers(who)
    away, spree = visits.claim == TRAVEL, visits.claim == GIFT_SPREE
    sale, furnishes = visits.claim == SALE_DAY, visits.claim == YOUNG_ACCOUNT
    merchants, known = _shops(scene, random, visits)

    nine_days = visits.luck * (scene.end_us - scene.start_us) / (9 * DAY_US)
    mood = visits.mood + WAVE * np.sin(2 * np.pi * (nine_days + scene.habits.loyalty[who] * 97))
    factor = population.habit[customers] / (MEDIAN_HABIT_EUR * world.eur) * np.exp(mood)
    for which, more in ((away, 1.3), (spree, 1.5), (sale, 1.2), (visits.claim == SHARED_DEVICE, 2.0)):
        factor[which] *= more
    amounts = world.amounts(random, merchants, factor)
    # Who furnishes a home spends as much as the card allows, whatever the shop usually sells.
    much = np.minimum(population.card_limit[customers] * 0.3, 25 * population.habit[customers])
    amounts = np.where(furnishes, _somewhat(scene, random, np.maximum(much, 20 * world.unit)), amounts)
    tiny = (random.random(n) < micro_share(world)) & (visits.claim < 0)
    amounts[tiny] = micro_amounts(scene, random, int(tiny.sum()))

    remote = world.merchant_online[merchants]
    mobile = random.random(n) < np.where(remote, 0.48, 0.06)
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

    device, ip, ip_country = sessions(scene, random, visits, mobile)
    columns = card_payments(
        population, random, customers, merchants, visits.times, amounts, channel,
        card=card,
        entry_mode=entry,
        response_code=_responses(scene, random, who, channel, amounts <= 2 * world.unit),
        device=device,
        ip=ip,
        ip_country=ip_country,
        latitude=np.where(away, world.city_latitude[visits.place * away], population.latitude[customers]),
        longitude=np.where(away, world.city_longitude[visits.place * away], population.longitude[customers]),
    )  # fmt: skip
    columns["hard_negative"] = shown(visits, columns)
    return columns


def shown(visits: Visits, columns: Columns) -> Array:
    """Which kind of hard negative each row is: the visit's, unless the row does not name the device it is about."""
    about_device = (visits.claim == NEW_DEVICE) | (visits.claim == SHARED_DEVICE)
    return np.where(about_device & (columns["device"] < 0), -1, visits.claim)


def _shops(scene: Scene, random: np.random.Generator, visits: Visits) -> tuple[Array, Array]:
    """(merchant position, whether it is one of the customer's favourites) for each purchase."""
    world, habits = scene.population.world, scene.habits
    who, online, n = visits.who, visits.online, len(visits)
    country = scene.own(scene.population.country)[who]
    merchants = np.empty(n, dtype=np.int64)
    known = random.random(n) < habits.loyalty[who]
    rank = random.random(n) ** 2.4

    for remote, favourites, slots in (
        (False, habits.local_favourites, LOCAL_FAVOURITES),
        (True, habits.online_favourites, ONLINE_FAVOURITES),
    ):
        rows = np.flatnonzero((online == remote) & known)
        merchants[rows] = favourites[who[rows], (rank[rows] * slots).astype(np.int64)]

    far = random.random(n) < 0.14
    rows = np.flatnonzero(~online & ~known & ~far)
    merchants[rows] = world.pick_in_city(random, scene.own(scene.population.city)[who[rows]])
    wanders = np.flatnonzero(~known & (online | far))
    group = np.where(online[wanders] & far[wanders], -1, country[wanders]) * 2 + online[wanders]
    for number in np.unique(group):
        rows = wanders[group == number]
        merchants[rows] = world.pick_merchants(
            random, len(rows), online=bool(number % 2), country=int(number // 2) if number >= 0 else None
        )

    rows = np.flatnonzero((visits.claim == TRAVEL) & ~online)
    merchants[rows] = world.pick_in_city(random, visits.place[rows])
    known[rows] = False
    rows = np.flatnonzero(visits.claim == SALE_DAY)
    merchants[rows] = scene.sales.shops[visits.place[rows]]
    for claim, categories in ((GIFT_SPREE, GIFTS), (YOUNG_ACCOUNT, FURNITURE)):
        chosen = visits.claim == claim
        category = random.integers(0, len(categories), n)
        for number in np.unique(category[chosen]):
            for index in np.unique(country[chosen]):
                rows = np.flatnonzero(chosen & online & (category == number) & (country == index))
                merchants[rows] = world.pick_merchants(
                    random, len(rows), online=True, mcc=categories[number], country=int(index)
                )
        known[chosen] = False
    return merchants, known


def micro_share(world: World) -> float:
    """Which share of purchases has to be tiny on purpose, so that ``TINY`` are: what chance leaves to be done."""
    return float(np.clip(TINY - tiny_by_chance(world), *MICRO))


def tiny_by_chance(world: World) -> float:
    """Which share of purchases costs at most two units, by their median (18 euros' worth) and sigma (1.28)."""
    z = np.log(18 * world.eur / (2 * world.unit)) / 1.28
    return 0.5 * erfc(z / sqrt(2))


def micro_amounts(scene: Scene, random: np.random.Generator, n: int) -> Array:
    """Amounts of 0.40 to 2.00 units, three in ten exactly one unit."""
    unit = scene.population.world.unit
    ending = np.array([FREE, FREE, NINETY_NINE, HALF], dtype=np.int8)[random.integers(0, 4, n)]
    drawn = scene.population.world.snap(random, random.uniform(0.4, 1.99, n) * unit, ending)
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


def sessions(scene: Scene, random: np.random.Generator, visits: Visits, mobile: Array) -> tuple[Array, Array, Array]:
    """(device, address, country of the address) for visits made on a device.

    Phones change now and then; half of the customers also have a laptop, some use a relative's tablet; addresses are
    the home's, the mobile carrier's, a public network's, or one abroad.
    """
    population = scene.population
    who, n = visits.who, len(visits)
    customers = scene.customers(who)
    world = population.world
    away, family = visits.claim == TRAVEL, visits.claim == SHARED_DEVICE
    laptop = ~mobile & scene.habits.laptop[who] & (random.random(n) < 0.55) & (visits.claim != NEW_DEVICE)
    changed = ~laptop & (visits.times >= scene.phone_since[who])
    own = customers * DEVICES_PER_CUSTOMER
    device = np.where(
        laptop, population.device[customers] + 2, np.where(changed, own + 1, population.device[customers])
    )
    device = np.where(family, population.device[population.ip[customers] // ADDRESSES_PER_CUSTOMER], device)
    luck = random.random(n)
    out = np.where(mobile, 0.55, 0.10)
    ip = np.where((luck < out) & ~family, customers * ADDRESSES_PER_CUSTOMER + 1, population.ip[customers])
    public = luck > 0.965
    ip = np.where(public, PUBLIC_NETWORK + population.city[customers].astype(np.int64) * 16 + own // 8 % 16, ip)
    ip = np.where(away, customers * ADDRESSES_PER_CUSTOMER + 2, ip)
    country = np.where(away, world.city_country[visits.place * away], population.country[customers])
    return device, ip, country


def verifications(scene: Scene, random: np.random.Generator, parts: Parts, visits: Visits) -> None:
    """Card checks of zero or one unit, as when a card is added to a wallet or a shop."""
    customers, n = scene.customers(visits.who), len(visits)
    mobile = random.random(n) < 0.5
    channel = np.where(mobile, code(CHANNELS, "mobile"), code(CHANNELS, "ecommerce"))
    device, ip, ip_country = sessions(scene, random, visits, mobile)
    parts.add(
        card_payments(
            scene.population, random, customers, shops_online(scene, random, customers), visits.times,
            np.where(random.random(n) < 0.75, 0, scene.population.world.unit), channel,
            transaction_type="verification",
            response_code=_responses(scene, random, visits.who, channel, random.random(n) < 0.6),
            device=device,
            ip=ip,
            ip_country=ip_country,
        )
    )  # fmt: skip


def shops_online(scene: Scene, random: np.random.Generator, customers: Array) -> Array:
    """A shop on the web of each customer's own country, by popularity."""
    country = scene.population.country[customers]
    shops = np.empty(len(customers), dtype=np.int64)
    for index in np.unique(country):
        rows = np.flatnonzero(country == index)
        shops[rows] = scene.population.world.pick_merchants(random, len(rows), online=True, country=int(index))
    return shops


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
    small &= bought["hard_negative"] < 0
    rows = random.permutation(np.flatnonzero(small))[:wanted]
    parts.add(_again(scene, random, bought, rows, 6e8, 9e9))


def _again(
    scene: Scene, random: np.random.Generator, bought: Columns, rows: Array, least_us: float, mean_us: float
) -> Columns:
    again = {name: column[rows] for name, column in bought.items()}
    again["time"] = soon_after(random, again["time"], least_us, mean_us, scene.end_us)
    again["account_age_days"] = scene.population.age_days(again["customer"], again["time"])
    return again


def refunded(
    scene: Scene, random: np.random.Generator, parts: Parts, bought: Columns, first: int, refunds: int
) -> None:
    """Refunds of approved purchases, which begin at ``first`` in the block; no disputed one is among them."""
    disputed = bought["hard_negative"] == HONEST_DISPUTE
    rows = random.permutation(np.flatnonzero(_settled(bought) & ~disputed))
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


def disputes(
    scene: Scene, random: np.random.Generator, parts: Parts, bought: Columns, first: int, disputed: Array
) -> None:
    """Honest disputes of the purchases at the positions ``disputed``, which begin at ``first`` in the block.

    Days to weeks later, within the period: where there is too little left of it for that, at any time.
    """
    room = scene.end_us - bought["time"][disputed]
    luck = random.random(len(disputed))
    in_time = 1 - np.exp(-np.maximum(room - DISPUTED_LEAST_US, 0) / DISPUTED_MEAN_US)
    wait = np.where(in_time > 0, DISPUTED_LEAST_US - DISPUTED_MEAN_US * np.log1p(-luck * in_time), luck * room)
    columns = returns(
        scene.population, random, bought, disputed,
        bought["time"][disputed] + np.clip(wait.astype(np.int64), 1, np.maximum(room, 1)),
        bought["amount"][disputed],
        transaction_type="chargeback",
        dispute_reason=draw_words(random, len(disputed), DISPUTE_REASONS, _WHY_DISPUTED),
    )  # fmt: skip
    columns["hard_negative"] = np.full(len(disputed), HONEST_DISPUTE)
    parts.add(columns, link=first + disputed)


def to_dispute(scene: Scene, random: np.random.Generator, bought: Columns, wanted: int) -> Array:
    """Positions of up to ``wanted`` approved purchases to dispute: mostly remote, and, if it can be, early enough."""
    rows: Array = random.permutation(np.flatnonzero(_settled(bought) & (bought["hard_negative"] < 0)))
    wait = DISPUTED_LEAST_US + random.exponential(DISPUTED_MEAN_US, len(rows))
    late = bought["time"][rows] + wait > scene.end_us
    remote = bought["channel"][rows] != code(CHANNELS, "pos")
    spared = ~remote & (random.random(len(rows)) < 0.6)
    order = np.argsort(late * 2 + spared, kind="stable")[:wanted]
    return rows[order]


def _settled(bought: Columns) -> Array:
    return np.asarray((bought["response_code"] == code(RESPONSE_CODES, "00")) & (bought["amount"] > 0))


def _somewhat(scene: Scene, random: np.random.Generator, sums: Array) -> Array:
    """Amounts of a fifth of the given ones to all of them."""
    n = len(sums)
    ending = np.array([FREE, FREE, NINETY_NINE, WHOLE], dtype=np.int8)[random.integers(0, 4, n)]
    return scene.population.world.snap(random, sums * 0.2 ** random.random(n), ending)
