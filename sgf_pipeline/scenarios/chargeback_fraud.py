"""Chargeback fraud: customers buy with their own cards and later deny, falsely, what they bought or got.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public descriptions by card
schemes, acquirers and merchants' associations (friendly fraud, refund abuse, double dipping, family purchases).

The victim is the shop. Nobody broke in: the customer pays with his own card, on his own devices and from his own
addresses, so that ``devices`` and ``addresses`` of a case count what he himself uses. ``authorised_by_victim`` says,
as in all scenarios, whether the account's holder made the payment: here he did, and that is the point of the crime;
only what a member of his household bought without him is not his own payment.
"""

from dataclasses import replace

import numpy as np

from sgf_pipeline.domain.cases import CaseStep, FraudCase
from sgf_pipeline.domain.events import CHANNELS, DISPUTE_REASONS, ENTRY_MODES, EventBlock
from sgf_pipeline.population.customers import (
    ADDRESSES_PER_CUSTOMER,
    DEVICES_PER_CUSTOMER,
    MEAN_ACTIVITY,
    MEDIAN_HABIT_EUR,
)
from sgf_pipeline.population.filling import card_payments, returns, usual_entry_mode
from sgf_pipeline.population.places import DAY_US
from sgf_pipeline.population.world import FREE, TRADES
from sgf_pipeline.scenarios.base import Incident, Scenario, StepKind, Vector
from sgf_pipeline.scenarios.playing import (
    SECOND_US,
    Array,
    assembled,
    between,
    care,
    gang_merchants,
    merchant_country,
    step_times,
    usual_shops,
    victims,
)

ONLINE = ("ecommerce", "mobile")
ANYWHERE = (*ONLINE, "pos")
NEAR = ("domestic", "cross_border")

VECTORS = {
    "not_received_claim": Vector("delivered parcels are claimed not to have come", ONLINE),
    "digital_goods_denial": Vector("downloads, games and credit are used up and then denied", ONLINE),
    "cancelled_subscription_claim": Vector("a service is said to be cancelled and is used on", ONLINE),
    "family_purchase_denial": Vector(
        "what a member of the household bought is reported as unknown", ANYWHERE, geographies=NEAR
    ),
    "serial_disputer": Vector("the same customer disputes again and again, as a habit", ANYWHERE, geographies=NEAR),
    "quality_pretext": Vector("sound goods are claimed to be defective and are kept", ANYWHERE, geographies=NEAR),
    "double_dip": Vector("a purchase is refunded by the shop and disputed as well", ANYWHERE, geographies=NEAR),
    "travel_no_show": Vector("journeys and stays that were used are claimed cancelled", ANYWHERE, geographies=NEAR),
    "resale_of_disputed_goods": Vector(
        "goods are bought to be sold on, and their price is claimed back", ANYWHERE, geographies=NEAR
    ),
}  # fmt: skip

STEP_KINDS = {
    "goods_purchase": StepKind(
        "goods or services bought by the customer, received, and later disputed", True, True, "purchase", ANYWHERE,
        ("habit",),
    ),
    "digital_purchase": StepKind(
        "downloads, games or credit that are used up, and later disputed", True, True, "purchase", ONLINE, ("habit",)
    ),
    "travel_purchase": StepKind(
        "tickets, journeys or stays that are used, and later disputed", True, True, "purchase", ANYWHERE, ("habit",)
    ),
    "subscription_charge": StepKind(
        "a service's regular charge, used and later disputed as cancelled", True, True, "purchase", ONLINE, ("habit",)
    ),
    "family_purchase": StepKind(
        "bought with the holder's card by a member of his household, later disputed", True, False, "purchase",
        ANYWHERE, ("habit",),
    ),
    "kept_purchase": StepKind(
        "a purchase at the same kind of shop that is never disputed", False, True, "purchase", ANYWHERE, ("habit",)
    ),
    "merchant_refund": StepKind(
        "the shop pays back a share of a purchase that is disputed all the same", False, True, "refund", ANYWHERE,
        ("carry",),
    ),
    "dispute": StepKind(
        "the bank's chargeback of a share of an open purchase, on the customer's false claim; the last dispute of a"
        " case takes every purchase that is still open", False, True, "chargeback", ANYWHERE, ("carry",),
    ),
}  # fmt: skip

BOUGHT = tuple(name for name, kind in STEP_KINDS.items() if kind.is_fraud)
PURCHASES = (*BOUGHT, "kept_purchase")

# What a vector is not without, besides a dispute.
NEEDS = {
    "digital_goods_denial": "digital_purchase",
    "cancelled_subscription_claim": "subscription_charge",
    "family_purchase_denial": "family_purchase",
    "double_dip": "merchant_refund",
    "travel_no_show": "travel_purchase",
    "resale_of_disputed_goods": "goods_purchase",
}

# ISO 18245 categories of what is bought: marketplaces, department stores, clothes, electronics, sports, furniture,
# toys, mail order, groceries, meals; apps, games, media; hotels, flights, trains, tickets; streaming, phones, gyms.
_SHELVES = "5399 5311 5651 5621 5661 5732 5045 5941 5977 5712 5719 5945 5944 5942 5964 5331 5200 5411 5812 5814 5912"
_GOODS = {
    "goods_purchase": _SHELVES,
    "kept_purchase": _SHELVES,
    "digital_purchase": "5815 5816 5817 5818 5734",
    "travel_purchase": "7011 4722 4511 4112 7512 7922 4131 4121 4111",
    "subscription_charge": "4899 5815 5817 5968 4814 7997 8299",
    "family_purchase": "5816 5817 5815 5399 5945 5641 5651 5814 5812 5411 5311 7832 5941",
}
GOODS = {kind: tuple(categories.split()) for kind, categories in _GOODS.items()}
# Where customers buy such things most days, online and at a counter; written as often as they do.
_ONLINE = (*["5399"] * 6, "5411", "5411", "5814", "5968", "5964", "5621", "5651")
USUAL = {
    "goods_purchase": _ONLINE,
    "kept_purchase": _ONLINE,
    "family_purchase": ("5399", "5399", "5817", "5816", "5815", "5814", "5411"),
    "digital_purchase": ("5817", "5815", "5817", "5815", "5816"),
    "travel_purchase": ("4111", "4111", "4111", "4112", "4121"),
    "subscription_charge": ("4899", "5815", "4899", "5817", "4814"),
}
COUNTER = (*["5411"] * 4, "5812", "5812", "5814", "5311", "5651", "5912", "5499", "5331")
DEARER = 2  # articles that a careless offender passes over for a dearer one
MOST_CARE = 0.7  # at the lowest difficulty
FULL = 6  # times as much, at the most, fill the baskets of the loud
HASTE = 0.8  # by how much the loud shorten what a plan takes
# Of the loud are among the fiftieth, and at least the six, who disputed most of so many customers.
HABITUAL, FEWEST_HABITUAL, ASKED = 0.5, 6, 2000
ROWS_A_SHOP = 3  # of one step, that the most careful buy at one shop on the web
# Kinds that may be bought at a counter as well, where the vector says so, and at any shop that a customer likes.
EVERYDAY = ("goods_purchase", "kept_purchase", "family_purchase")
MOBILE = 0.38  # of honest purchases online are made on a phone, see traffic.spending
COUNTER_SHARE = 0.5  # of honest purchases are made at a counter
# Categories of which counters sell a good part; the counters of the others are hardly visited. So are shops with so few
# visits in a month.
AT_COUNTERS = frozenset(trade.mcc for trade in TRADES if trade.online <= 0.6)
FEW_VISITS = 10
CATEGORIES = frozenset(mcc for categories in GOODS.values() for mcc in categories)

# Why a dispute is raised, in the order of DISPUTE_REASONS (fraud, not_received, not_as_described, duplicate,
# cancelled). Our judgement: the pretext follows the vector, and "it was not me" serves any of them.
REASONS = {
    "not_received_claim": (0.12, 0.76, 0.06, 0.03, 0.03),
    "digital_goods_denial": (0.55, 0.12, 0.20, 0.05, 0.08),
    "cancelled_subscription_claim": (0.12, 0.02, 0.06, 0.08, 0.72),
    "family_purchase_denial": (0.82, 0.05, 0.05, 0.05, 0.03),
    "serial_disputer": (0.30, 0.32, 0.20, 0.08, 0.10),
    "quality_pretext": (0.05, 0.05, 0.82, 0.04, 0.04),
    "double_dip": (0.10, 0.36, 0.14, 0.26, 0.14),
    "travel_no_show": (0.10, 0.18, 0.14, 0.04, 0.54),
    "resale_of_disputed_goods": (0.28, 0.50, 0.16, 0.03, 0.03),
}

# A chargeback follows its purchase within the term of the card schemes' shorter reason codes.
FIRST_DAY, LAST_DAY = 10, 60

HOUSEHOLD = 8  # a household's members live within so many customers of each other


def check(case: FraudCase) -> list[str]:
    """Purchases are within reason and each is followed by a dispute, weeks later; the vector shows in the steps."""
    found: list[str] = []
    kinds = [step.kind for step in case.steps]
    bought = [number for number, kind in enumerate(kinds) if kind in BOUGHT]
    disputes = [number for number, kind in enumerate(kinds) if kind == "dispute"]
    if kinds[0] not in PURCHASES:
        found.append("the first step must buy something")
    if not bought:
        found.append("nothing is bought that is disputed later")
    if not disputes or (bought and disputes[-1] < bought[-1]):
        found.append("the last purchase is never disputed: a dispute must follow it")
    if not 14_400 <= case.duration_minutes() <= 144_000:
        found.append("a case lasts 14400 to 144000 minutes: chargebacks come 10 to 60 days after their purchases")
    for number, step in enumerate(case.steps):
        if step.kind in PURCHASES:
            if step.low < 0.3 or step.high > 10:
                found.append(f"step {number}: a purchase must lie between 0.3 and 10 times the habit")
        elif step.low < 0.1 or step.high > 1:
            found.append(f"step {number}: at most the purchase itself comes back (0.1 to 1)")
        elif not bought or number < bought[0]:
            found.append(f"step {number}: {step.kind} before anything was bought to be disputed")
    needed = NEEDS.get(case.vector)
    if needed and needed not in kinds:
        found.append(f"{case.vector} needs a {needed}")
    if case.vector == "serial_disputer" and len(disputes) < 2:
        found.append("serial_disputer needs at least 2 dispute steps")
    used = {step.channel for step in case.steps if step.kind in PURCHASES}
    if any(step.channel not in used for step in case.steps if step.kind not in PURCHASES):
        found.append("a refund or dispute must name a channel on which something was bought")
    if not 1 <= case.customers <= 6:
        found.append(f"customers is {case.customers}: 1 to 6 take part")
    if not 1 <= case.devices <= 3 or not 1 <= case.addresses <= 3:
        found.append("devices and addresses are the customer's own: 1 to 3 of each")
    if case.outsiders < 1:
        found.append("at least 1 outsider: the shop that is robbed")
    if case.merchant_category not in CATEGORIES:
        found.append(f"merchant_category must be one of {', '.join(sorted(CATEGORIES))}")
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    """Each customer buys with his own card as the steps say; the shops' refunds and the chargebacks follow.

    Rows, in time order: all of the case's purchases, at most its refunds, and one chargeback for each purchase of
    the kinds in ``BOUGHT``, 10 to 60 days after it: a dispute step takes its ``count`` of the oldest open ones, the
    last dispute step all that are left. A refund or chargeback links to its purchase and never exceeds it.
    """
    rng, population = incident.rng, incident.population
    # Who buys in his own name needs little care to look honest: below the highest difficulty nobody takes all of it.
    careful = care(incident) * (MOST_CARE + (1 - MOST_CARE) * incident.difficulty)
    loud = (1 - careful) * np.sqrt(1 - incident.difficulty)
    who = _disputers(case, incident, loud)
    moments = step_times(case, incident, int(who[0]), frozenset(), 1 - HASTE * loud)
    buying = [number for number, step in enumerate(case.steps) if step.kind in PURCHASES]
    step = np.repeat(buying, [case.steps[number].count for number in buying])
    times = np.concatenate([moments[number] for number in buying])
    n = len(step)
    false = np.array([s.kind in BOUGHT for s in case.steps])[step]
    customers = who[np.arange(n) % len(who)]
    channels = _channels(case, incident, step, careful)
    shops, known = _shops(case, incident, step, channels, customers, careful, loud)
    # A shop at which he is known has often stored his card, and with some luck another, too.
    stored = (channels != CHANNELS.index("pos")) & (rng.random(n) < np.where(known, 0.5, 0.2 * careful))
    stored |= np.array([s.kind == "subscription_charge" for s in case.steps])[step]
    family = np.array([s.kind == "family_purchase" for s in case.steps])[step]
    device, ip = _sessions(case, incident, customers, channels, family)
    second = (rng.random(len(who)) < 0.22)[np.arange(n) % len(who)]  # as often as honest customers take another card
    amounts = _amounts(case, incident, step, customers, shops, careful, loud)
    columns = card_payments(
        population, rng, customers, shops, times, amounts, channels,
        card=population.card[customers] + np.where(second, population.cards[customers] - 1, 0),
        entry_mode=np.where(stored, ENTRY_MODES.index("stored_credential"), usual_entry_mode(rng, channels)),
        device=device,
        ip=ip,
    )  # fmt: skip

    refunds, disputes = _claims(case, incident, moments, times, np.flatnonzero(false), step)
    parts = [(np.arange(n), columns)]
    length = n
    steps = [step]
    for claims, kind in ((refunds, "refund"), (disputes, "chargeback")):
        rows, when, of_step, share = claims
        if not len(rows):
            continue
        paid = columns["amount"][rows]
        part = population.world.snap(rng, paid * share, np.full(len(rows), FREE, dtype=np.int8))
        why = _reasons(case, incident, channels[rows]) if kind == "chargeback" else None
        back = returns(
            population, rng, columns, rows, when, np.where(share >= 1, paid, np.minimum(part, paid)),
            transaction_type=kind, dispute_reason=why,
        )  # fmt: skip
        parts.append((length + np.arange(len(rows)), back))
        steps.append(of_step)
        length += len(rows)
    rows, when, _, _ = disputes
    # Weeks after the dispute the shop's proof of delivery, log or signature shows that the claim was false; much the
    # same time for all claims of one customer.
    weeks = between(rng, 14 * 86_400, 75 * 86_400, len(who))[rows % len(who)] * rng.uniform(0.9, 1.1, len(rows))
    delay = np.full(length, -1, dtype=np.int64)
    delay[rows] = (when - times[rows]) // SECOND_US + weeks.astype(np.int64)
    block = assembled(
        length,
        parts,
        {
            "is_fraud": np.concatenate([false, np.zeros(length - n, dtype=bool)]),
            "case_step": np.concatenate(steps),
            "incident": incident.number,
            "label_delay_s": delay,
        },
    )
    return block.take(np.argsort(block["time"], kind="stable"))


def _reasons(case: FraudCase, incident: Incident, channels: Array) -> Array:
    """Why each purchase is disputed; what was carried out of a shop cannot be called not received."""
    why = incident.rng.choice(len(DISPUTE_REASONS), len(channels), p=REASONS[case.vector])
    carried = (channels == CHANNELS.index("pos")) & (why == DISPUTE_REASONS.index("not_received"))
    return np.where(carried, DISPUTE_REASONS.index("not_as_described"), why)


def _disputers(case: FraudCase, incident: Incident, loud: float) -> Array:
    """The customers who claim falsely: rather ones who disputed before or share a device, in families of one household.

    A serial disputer comes back: half of his gang's incidents are his. The loud are mostly those of all customers who
    dispute as a habit.
    """
    rng, population = incident.rng, incident.population
    serial = case.vector == "serial_disputer"
    if serial and rng.random() < 0.5:
        rng = incident.campaign_rng()
    pool = victims(replace(incident, rng=rng), 6 * case.customers, (case.victim_segment,))
    # Honest customers dispute, too: what they did before may only weigh.
    weight = 1 + (8 if serial else 2) * (1 - 0.8 * incident.difficulty) * population.prior_disputes[pool]
    # Who shares a device with his family has somebody to blame.
    shares = (population.device[pool] != DEVICES_PER_CUSTOMER * pool) | (
        population.device[(pool + 1) % population.size] == population.device[pool]
    )
    weight = weight * np.where(shares, 4, 1)
    family = case.vector == "family_purchase_denial"
    if family:
        weight = weight * np.array([4 if len(_household(incident, int(one))) > 1 else 1 for one in pool])
    chosen = pool[np.argsort(rng.exponential(size=len(pool)) / weight)]
    if family and case.customers > 1:
        home = _household(incident, int(chosen[0]))
        chosen = np.concatenate([chosen[:1], home[home != chosen[0]], chosen[1:][~np.isin(chosen[1:], home)]])
    chosen = chosen[: case.customers]
    known = rng.permutation(population.size) if population.size < ASKED else rng.integers(0, population.size, ASKED)
    often = np.argsort(-population.prior_disputes[known], kind="stable")[: max(FEWEST_HABITUAL, len(known) // 50)]
    drawn = known[often[rng.integers(0, len(often), len(chosen))]]
    chosen = np.where(rng.random(len(chosen)) < HABITUAL * loud, drawn, chosen)
    return np.fromiter(dict.fromkeys(chosen.tolist()), dtype=np.int64)


def _household(incident: Incident, customer: int) -> Array:
    """The customers who live at the same address, the customer among them."""
    population = incident.population
    first = max(customer - HOUSEHOLD, 0)
    near = population.ip[first : customer + HOUSEHOLD + 1]
    return np.asarray(first + np.flatnonzero(near == population.ip[customer]))


def _channels(case: FraudCase, incident: Incident, step: Array, careful: float) -> Array:
    """Codes of the channels: as planned, and with care mixed as everybody's are.

    What is planned online may be bought on the phone or not, and what any counter sells at a counter.
    """
    rng = incident.rng
    planned = np.array([CHANNELS.index(s.channel) for s in case.steps])[step]
    pos = CHANNELS.index("pos")
    mobile = rng.random(len(step)) < MOBILE
    mixed = np.where(mobile, CHANNELS.index("mobile"), CHANNELS.index("ecommerce"))
    if "pos" in VECTORS[case.vector].channels:
        counter = np.array([s.kind in EVERYDAY for s in case.steps])[step]
        mixed = np.where(counter & (rng.random(len(step)) < COUNTER_SHARE), pos, mixed)
    free = (planned != pos) & (rng.random(len(step)) < careful)
    return np.where(free, mixed, planned)


def _shops(
    case: FraudCase, incident: Incident, step: Array, channels: Array, customers: Array, careful: float, loud: float
) -> tuple[Array, Array]:
    """(merchant positions, whether the customer is known there).

    Each step keeps to few shops of its category, some of which the whole campaign visits. With care there are more of
    them, and more comes from categories of every day, and from wherever the customer goes anyway.
    Shops at a counter are near home.
    """
    rng = incident.rng
    home = int(incident.population.country[customers[0]])
    pos = channels == CHANNELS.index("pos")
    shops = np.zeros(len(step), dtype=np.int64)
    for number in dict.fromkeys(step.tolist()):
        kind = case.steps[number].kind
        mcc = case.merchant_category if case.merchant_category in GOODS[kind] else None
        if mcc is None:
            mcc = GOODS[kind][rng.integers(0, len(GOODS[kind]))]
        for here in (False, True):
            rows = np.flatnonzero((step == number) & (pos == here))
            if not len(rows):
                continue
            everyday = COUNTER if here and kind != "travel_purchase" else USUAL[kind]
            sold = [one for one in GOODS[kind] if one in AT_COUNTERS or not here]
            planned = mcc if mcc in sold else sold[rng.integers(0, len(sold))]
            usual = rng.random(len(rows)) < 0.3 * (1 - loud) + 0.7 * careful
            for some, category in ((rows[usual], everyday[rng.integers(0, len(everyday))]), (rows[~usual], planned)):
                if here and len(some):
                    shops[some] = _near(incident, some, customers, category)
                elif len(some):
                    abroad = rng.random() < 0.6 * (1 - careful)
                    country = merchant_country(case, incident, home) if abroad else home
                    n = max(min(case.outsiders, 4), round(careful * len(some) / ROWS_A_SHOP))
                    few = gang_merchants(incident, n, online=True, mcc=category, country=country)
                    shops[some] = few[(rng.random(len(some)) ** (1.5 + 8 * loud) * len(few)).astype(np.int64)]
    known = np.array([s.kind in EVERYDAY for s in case.steps])[step] & (rng.random(len(step)) < 0.9 * careful)
    shops[known] = usual_shops(incident, customers[known], ~pos[known])
    return shops, known


def _near(incident: Incident, rows: Array, customers: Array, mcc: str) -> Array:
    """One shop of the category for each row, the nearer to the customer's home the rather."""
    rng, population, world = incident.rng, incident.population, incident.population.world
    near = np.zeros(len(rows), dtype=np.int64)
    for one in dict.fromkeys(customers[rows].tolist()):
        places, cumulated = world.pool(False, mcc, int(population.country[one]))
        north = world.merchant_latitude[places] - population.latitude[one]
        east = (world.merchant_longitude[places] - population.longitude[one]) * 0.7
        chance = np.diff(cumulated, prepend=0.0) / (0.02 + north**2 + east**2) ** 2
        # Others buy there as well: what hardly anybody visits in a month is passed over.
        visits = world.merchant_popularity[places] * population.size * MEAN_ACTIVITY
        chance *= visits / (FEW_VISITS + visits)
        his = np.flatnonzero(customers[rows] == one)
        near[his] = rng.choice(places, len(his), p=chance / chance.sum())
    return near


def _amounts(
    case: FraudCase, incident: Incident, step: Array, customers: Array, shops: Array, careful: float, loud: float
) -> Array:
    """What the customer usually pays at such a shop, times the step's range, which care draws to 1.

    The loud fill their baskets.
    """
    rng, population, world = incident.rng, incident.population, incident.population.world
    low, high = np.array([(s.low, s.high) for s in case.steps])[step].T
    factor = (low * (high / low) ** rng.random(len(step))) ** (1 - careful)
    usual = population.habit[customers] / (MEDIAN_HABIT_EUR * world.eur)
    factor = factor * FULL ** (loud**2 * rng.random(len(step)))
    amounts = world.amounts(rng, shops, usual * factor)
    # Who means to claim the price back takes the dearest of several articles, unless he hides among his habits.
    for _ in range(DEARER):
        another = np.where(rng.random(len(step)) < 1 - careful, world.amounts(rng, shops, usual * factor), 0)
        amounts = np.maximum(amounts, another)
    amounts = np.minimum(amounts, population.card_limit[customers])
    # A subscription costs the same each time.
    charged = np.flatnonzero(np.array([s.kind == "subscription_charge" for s in case.steps])[step])
    contract = customers[charged] * (len(world.merchant_key) + 1) + shops[charged]
    _, first, same = np.unique(contract, return_index=True, return_inverse=True)
    amounts[charged] = amounts[charged][first][same]
    return amounts


def _sessions(
    case: FraudCase, incident: Incident, customers: Array, channels: Array, family: Array
) -> tuple[Array, Array]:
    """(device, address) of each row: the customer's phone, laptop and household; his home, carrier and workplace."""
    rng, population = incident.rng, incident.population
    mobile = channels == CHANNELS.index("mobile")
    luck = rng.random(len(customers))
    own = population.device[customers]
    laptop = ~mobile & (case.devices > 1) & (luck < 0.4)
    device = np.where(laptop, own + 2, own)
    for row in np.flatnonzero(family | ((case.devices > 2) & (luck > 0.9))):
        members = _household(incident, int(customers[row]))
        device[row] = population.device[members[rng.integers(0, len(members))]]
    away = rng.random(len(customers))
    first = customers * ADDRESSES_PER_CUSTOMER
    carrier = (case.addresses > 1) & (away < np.where(mobile, 0.55, 0.10))
    work = (case.addresses > 2) & (away > 0.9)
    return device, np.where(carrier, first + 1, np.where(work, first + 3, population.ip[customers]))


Claims = tuple[Array, Array, Array, Array]  # positions of purchases, moments, steps, shares of the purchase


def _claims(
    case: FraudCase, incident: Incident, moments: list[Array], times: Array, false: Array, step: Array
) -> tuple[Claims, Claims]:
    """The refunds and the chargebacks of the purchases at the positions ``false``, which are in time order."""
    rng = incident.rng
    last = max(number for number, s in enumerate(case.steps) if s.kind == "dispute")
    found: dict[str, list[Claims]] = {"merchant_refund": [], "dispute": []}
    done = {"merchant_refund": 0, "dispute": 0}
    for number, s in enumerate(case.steps):
        if s.kind not in found:
            continue
        before = int(np.searchsorted(step[false], number))  # purchases made in earlier steps
        # What is disputed already is not refunded any more.
        start = max(done["dispute"], done[s.kind])
        stop = before if number == last else min(start + s.count, before)
        done[s.kind] = max(start, stop)
        rows = false[start : done[s.kind]]
        if not len(rows):
            continue
        when = _spread(incident, s, moments[number], len(rows))
        if s.kind == "dispute":
            when = _in_term(incident, times[rows], when)
        share = rng.uniform(s.low, s.high, len(rows))
        found[s.kind].append((rows, when, np.full(len(rows), number), share))
    none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    joined = [tuple(np.concatenate(parts) for parts in zip(*(found[kind] or [none]), strict=True)) for kind in found]
    return joined[0], joined[1]  # type: ignore[return-value]  # zip forgets that there are four


def _spread(incident: Incident, step: CaseStep, planned: Array, n: int) -> Array:
    """``n`` moments over those planned; several claims made in one sitting come some minutes apart."""
    if n <= step.count:
        return planned[:n]
    even = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, step.count), planned.astype(np.float64))
    return np.asarray(even.astype(np.int64) + np.cumsum(incident.rng.exponential(480 * SECOND_US, n)).astype(np.int64))


def _in_term(incident: Incident, bought: Array, planned: Array) -> Array:
    """The planned moments, but those outside the term of 10 to 60 days after their purchase move into it."""
    rng = incident.rng
    after = planned - bought
    soon = np.minimum(FIRST_DAY + rng.exponential(6, len(bought)), LAST_DAY) * DAY_US
    late = rng.uniform(LAST_DAY / 2, LAST_DAY, len(bought)) * DAY_US
    after = np.where(after < FIRST_DAY * DAY_US, soon, np.where(after > LAST_DAY * DAY_US, late, after))
    return np.asarray(bought + after.astype(np.int64))


SCENARIO = Scenario(
    name="chargeback_fraud",
    title="Chargeback fraud",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=8.0,
)
