"""Merchant fraud: the shop is the thief, by what it charges, fails to send, captures or pays back to itself.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public descriptions by card
schemes, acquirers and consumer bodies (bust-out merchants, points of compromise, refund fraud, subscription traps,
transaction laundering).

Two words of this scenario: *usual* is what a victim usually pays at that shop (its price level, his habit); *carry* is
what the row that is paid back had cost.
"""

from dataclasses import dataclass

import numpy as np

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import (
    AUTHENTICATIONS,
    CHANNELS,
    DISPUTE_REASONS,
    ENTRY_MODES,
    RESPONSE_CODES,
    TRANSACTION_TYPES,
    EventBlock,
)
from sgf_pipeline.population.customers import MEAN_ACTIVITY, MEDIAN_HABIT_EUR
from sgf_pipeline.population.filling import Columns, card_payments, cash, returns, usual_entry_mode
from sgf_pipeline.population.world import ATM_MCC
from sgf_pipeline.scenarios.base import SEGMENTS, Incident, Scenario, StepKind, Vector
from sgf_pipeline.scenarios.playing import (
    SECOND_US,
    Array,
    Offender,
    assembled,
    between,
    care,
    drawn_towards,
    gang_merchants,
    merchant_country,
    offender,
    own_addresses,
    proxies,
    step_times,
    usual_amounts,
    usual_cash,
    usual_shops,
    victims,
)

ONLINE = ("ecommerce", "mobile")
SHOP = (*ONLINE, "pos")

VECTORS = {
    "bust_out_shop": Vector("an honest-looking shop takes as many orders as it can and vanishes", ONLINE),
    "skimming_terminal": Vector(
        "a shop's terminal captures the cards of its customers, which are used elsewhere", ("pos", "ecommerce", "atm")
    ),
    "self_refund": Vector("the shop pays refunds to cards of its own circle", ("pos", "ecommerce")),
    "overcharging": Vector("cards that a shop has on file or in hand are charged more than was agreed", SHOP),
    "duplicate_charges": Vector(
        "a genuine sale is charged again, as if by mistake", SHOP, tempos=("burst", "steady")
    ),
    "subscription_trap": Vector(
        "a cheap trial becomes a dear subscription that nobody ordered", ONLINE, tempos=("steady", "slow")
    ),
    "transaction_laundering": Vector(
        "payments for something forbidden run through a shop of a harmless category", ONLINE,
        sophistications=("medium", "high"),
    ),
    "fake_travel_agency": Vector(
        "journeys are sold, paid in advance and never booked", ONLINE, tempos=("steady", "slow")
    ),
}  # fmt: skip

STEP_KINDS = {
    "honest_sale": StepKind(
        "sale as it should be: ordered, delivered, charged once", False, True, "purchase", SHOP, ("habit",)
    ),
    "captured_purchase": StepKind(
        "genuine purchase during which the terminal copies the card", False, True, "purchase", ("pos",), ("habit",)
    ),
    "trial_charge": StepKind(
        "cheap trial that the customer did order", False, True, "purchase", ONLINE, ("unit",)
    ),
    "undelivered_order": StepKind(
        "order that the customer pays and the shop never delivers", True, True, "purchase", ONLINE, ("habit",)
    ),
    "skimmed_purchase": StepKind(
        "purchase elsewhere with a captured card", True, False, "purchase", SHOP, ("habit",)
    ),
    "skimmed_cash": StepKind(
        "cash from a machine elsewhere with a captured card", True, False, "withdrawal", ("atm",), ("habit",)
    ),
    "sham_sale": StepKind(
        "sale of nothing to a card of the shop's own circle", True, False, "purchase", SHOP, ("habit",)
    ),
    "self_refund": StepKind(
        "refund to a card of the shop's own circle, of a sham sale", True, False, "refund", SHOP, ("carry",)
    ),
    "inflated_charge": StepKind(
        "charge of more than the customer agreed to", True, False, "purchase", SHOP, ("habit",)
    ),
    "repeated_charge": StepKind(
        "genuine sale charged once more, to the cent", True, False, "purchase", SHOP, ("habit",)
    ),
    "hidden_renewal": StepKind(
        "subscription fee that the customer never agreed to", True, False, "purchase", ONLINE, ("unit",)
    ),
    "laundered_sale": StepKind(
        "payment for something else than the shop's category says", True, True, "purchase", ONLINE, ("habit",)
    ),
    "quieting_refund": StepKind(
        "refund to a victim who complained, so that the others hear nothing", False, False, "refund", SHOP, ("carry",)
    ),
    "victim_dispute": StepKind(
        "a victim's bank takes a false charge back", False, True, "chargeback", SHOP, ("carry",)
    ),
}  # fmt: skip

# What the shop takes by fraud from its customers, and may be asked to give back.
FALSE_CHARGES = ("undelivered_order", "inflated_charge", "repeated_charge", "hidden_renewal")
# What each kind of return gives back.
RETURNS = {"self_refund": ("sham_sale",), "quieting_refund": FALSE_CHARGES, "victim_dispute": FALSE_CHARGES}
# Charges on cards that the shop has seen, after which rows.
SEEN = {
    "skimmed_purchase": ("captured_purchase",),
    "skimmed_cash": ("captured_purchase",),
    "inflated_charge": ("honest_sale",),
    "repeated_charge": ("honest_sale",),
    "hidden_renewal": ("trial_charge",),
}
SKIMMED = ("skimmed_purchase", "skimmed_cash")
ON_FILE = ("inflated_charge", "repeated_charge", "hidden_renewal")

# The kinds of each vector; the first ones are those without which it would not be that vector.
KINDS_OF = {
    "bust_out_shop": (("undelivered_order",), ("honest_sale", "quieting_refund", "victim_dispute")),
    "skimming_terminal": (("captured_purchase",), SKIMMED),
    "self_refund": (("sham_sale", "self_refund"), ()),
    "overcharging": (("inflated_charge",), ("honest_sale", "quieting_refund", "victim_dispute")),
    "duplicate_charges": (("honest_sale", "repeated_charge"), ("quieting_refund", "victim_dispute")),
    "subscription_trap": (("hidden_renewal",), ("trial_charge", "quieting_refund", "victim_dispute")),
    "transaction_laundering": (("laundered_sale",), ("honest_sale",)),
    "fake_travel_agency": (
        ("undelivered_order",), ("honest_sale", "inflated_charge", "quieting_refund", "victim_dispute")
    ),
}  # fmt: skip
BEFORE = {
    kind: kinds for kind, kinds in {**SEEN, **RETURNS}.items() if kind not in ("inflated_charge", "hidden_renewal")
}

LIMITS = {
    "honest_sale": (0.2, 3.0), "captured_purchase": (0.2, 3.0), "trial_charge": (0.01, 3.0),
    "undelivered_order": (0.3, 12.0), "skimmed_purchase": (0.5, 30.0), "skimmed_cash": (2.0, 15.0),
    "sham_sale": (0.05, 3.0), "self_refund": (0.2, 1.0), "inflated_charge": (1.2, 10.0), "repeated_charge": (1.0, 1.0),
    "hidden_renewal": (5.0, 120.0), "laundered_sale": (0.5, 20.0), "quieting_refund": (0.2, 1.0),
    "victim_dispute": (0.5, 1.0),
}  # fmt: skip

TYPES = {name: TRANSACTION_TYPES.index(kind.transaction_type) for name, kind in STEP_KINDS.items()}
APPROVED = RESPONSE_CODES.index("00")
CHALLENGE, FRICTIONLESS = (AUTHENTICATIONS.index(f"three_ds_{word}") for word in ("challenge", "frictionless"))
CHIP, CONTACTLESS, MAGSTRIPE, MANUAL, STORED = (
    ENTRY_MODES.index(word) for word in ("chip", "contactless", "magstripe", "manual", "stored_credential")
)

# How often a fraud row of each kind is refused, by the careless and by the careful, and why. Our judgement: issuers
# watch captured cards, stored cards have expired, and a buyer of his own free will is seldom refused.
DECLINED = {
    "skimmed_purchase": (0.30, 0.10), "skimmed_cash": (0.30, 0.12), "inflated_charge": (0.15, 0.06),
    "repeated_charge": (0.10, 0.05), "hidden_renewal": (0.15, 0.08), "undelivered_order": (0.06, 0.03),
    "laundered_sale": (0.10, 0.04),
}  # fmt: skip
WHY_DECLINED = {
    kind: [RESPONSE_CODES.index(word) for word in words.split()]
    for kind, words in {
        "skimmed_purchase": "05 05 51 59 61 65", "skimmed_cash": "51 61 61 65 55", "inflated_charge": "51 51 05 61",
        "repeated_charge": "51 51 05", "hidden_renewal": "51 51 51 54 05", "undelivered_order": "51 51 05 61",
        "laundered_sale": "51 51 05 59",
    }.items()
}  # fmt: skip

# Seconds until the bank knows: alerts and claims after skimming, claims on statements, disputes of what never came.
KNOWN_AFTER = {
    "skimmed_purchase": (1200, 5 * 86_400), "skimmed_cash": (1200, 4 * 86_400),
    "inflated_charge": (43_200, 20 * 86_400),
    "repeated_charge": (21_600, 14 * 86_400), "hidden_renewal": (2 * 86_400, 45 * 86_400),
    "undelivered_order": (6 * 86_400, 42 * 86_400),
}  # fmt: skip
INVESTIGATION = (20 * 86_400, 120 * 86_400)  # by the acquirer, of what no victim complains about

# Of the most careful: how often the shop is of an everyday trade and captured cards are used where their holders buy;
# how often such a use shows the holder's device, or an address in his country.
EVERYDAY, CLONED, NEAR = 0.95, 0.7, 0.95

MOST_CARE = 0.6  # at the lowest difficulty
# The loud are done in this much less time, and take this many times as much.
HASTE, DEAR = 0.8, 3.0
ROWS_A_FRONT = 6  # of one incident, that the most careful let pass through one shop

HONEST_VISITS = 4  # in a month, that a crooked shop has at the least where its trade has such shops

# ISO 18245 categories in which captured cards are spent: electronics, computers, shoes, perfume, department stores; at
# counters also fuel, tobacco and jewellery, online marketplaces and game credits.
RESALE_GOODS = ("5732", "5045", "5661", "5977", "5311")
RESALE_AT_COUNTERS, RESALE_ONLINE = ("5541", "5993", "5944"), ("5399", "5816")

DISPUTED_AFTER = 2880  # minutes, at the least, until a bank takes a charge back

DISPUTE = {"duplicate_charges": "duplicate", "subscription_trap": "cancelled", "overcharging": "not_as_described"}


def check(case: FraudCase) -> list[str]:
    """Each vector has its kinds of step; what is charged again, used or paid back must have been paid before."""
    found: list[str] = []
    needed, allowed = KINDS_OF[case.vector]
    kinds = [step.kind for step in case.steps]
    found += [f"{case.vector} needs a {kind}" for kind in needed if kind not in kinds]
    if case.vector == "skimming_terminal" and not any(kind in SKIMMED for kind in kinds):
        found.append("skimming_terminal needs a skimmed_purchase or skimmed_cash")
    if case.vector != "self_refund" and case.customers < 3:
        found.append(f"customers is {case.customers}: a shop has at least 3")
    if not 1 <= case.devices <= 8 or not 1 <= case.addresses <= 12:
        found.append("devices must be 1 to 8 and addresses 1 to 12")
    if case.merchant_category is None:
        found.append("merchant_category must be set")
    before: list[str] = []
    owed = 0  # false charges that nobody has given back
    for number, step in enumerate(case.steps):
        low, high = LIMITS[step.kind]
        if step.kind not in (*needed, *allowed):
            found.append(f"step {number}: {step.kind} is no part of {case.vector}")
        if step.low < low or step.high > high:
            found.append(f"step {number}: {step.kind} must lie between {low} and {high}")
        if step.kind in BEFORE and not any(kind in before for kind in BEFORE[step.kind]):
            found.append(f"step {number}: {step.kind} must follow a {' or '.join(BEFORE[step.kind])}")
        if step.kind == "victim_dispute" and step.wait_minutes < DISPUTED_AFTER:
            found.append(f"step {number}: a dispute takes at least {DISPUTED_AFTER} minutes")
        if RETURNS.get(step.kind) == FALSE_CHARGES:
            owed -= step.count
            if owed < 0:
                found.append(f"step {number}: more is given back than was falsely charged")
        owed += step.count if step.kind in FALSE_CHARGES else 0
        before.append(step.kind)
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    """The shop sells, and steals by its vector.

    Rows: those of the case's steps, in time order; fewer victims where the population has fewer customers. The shop is
    a little-known one of the case's category, at a counter in the city of most of its victims. Refunds and disputes
    link to their purchase and never exceed it. Amounts are the victim's own usual ones there times the step's range,
    drawn towards 1 by care. The careful also choose a trade that everybody visits, and use what they captured where
    its holders buy themselves.
    """
    rng, population = incident.rng, incident.population
    # A shop's trade and its charges are there for all to see: below the highest difficulty nobody hides all of it.
    careful = care(incident) * (MOST_CARE + (1 - MOST_CARE) * incident.difficulty)
    loud = (1 - careful) * (1 - incident.difficulty)
    people, shops, home = _people_and_shops(case, incident, careful, loud)
    gang = offender(case, incident, home)
    # Cards on file are charged at any hour; whatever happens at a counter keeps its hours.
    machine = frozenset(ON_FILE) - {plan.kind for plan in case.steps if plan.channel == "pos"}
    times = np.concatenate(step_times(case, incident, int(people[0]), machine, 1 + 3 * careful - HASTE * loud))
    rows = _rows(case, incident, len(people))
    step, kinds, n = rows.step, rows.kinds, len(rows.step)
    customers = people[rows.who]
    channels = np.array([CHANNELS.index(s.channel) for s in case.steps])[step]
    at = shops[rows.who % len(shops)]
    skimmed = np.isin(kinds, SKIMMED)
    if skimmed.any():
        at[skimmed] = _elsewhere(case, incident, careful, customers[skimmed], channels[skimmed], at[0], home)
    fraud = np.isin(kinds, [kind for kind, of in STEP_KINDS.items() if of.is_fraud])
    response = _responses(incident, careful, kinds)
    paid_back = np.isin(kinds, list(RETURNS))
    response[rows.origin[paid_back]] = APPROVED  # nothing was paid where a charge was refused
    amounts = _amounts(case, incident, careful, loud, rows, customers, at)
    card = (population.card[people] + (rng.random(len(people)) * population.cards[people]).astype(np.int64))[rows.who]

    parts = []
    bought = np.flatnonzero(~paid_back & (kinds != "skimmed_cash"))
    columns = card_payments(
        population, rng, customers[bought], at[bought], times[bought], amounts[bought], channels[bought],
        transaction_type="purchase",
        card=card[bought],
        entry_mode=_entry_modes(incident, careful, kinds, channels)[bought],
        response_code=response[bought],
        **_sessions(incident, careful, gang, kinds[bought], customers[bought], channels[bought]),
    )  # fmt: skip
    # Who does not hold the phone cannot answer a challenge: what passed was not challenged.
    alone = np.isin(kinds[bought], (*SKIMMED, *ON_FILE)) & (response[bought] == APPROVED)
    challenged = alone & (columns["authentication"] == CHALLENGE)
    columns["authentication"] = np.where(challenged, FRICTIONLESS, columns["authentication"])
    parts.append((bought, columns))
    drawn = np.flatnonzero(kinds == "skimmed_cash")
    if len(drawn):
        luck = rng.random(len(drawn))
        copied = luck < 0.25 - 0.23 * careful
        read = np.where(copied, MAGSTRIPE, np.where(luck > 0.9, CONTACTLESS, CHIP))
        filled = cash(
            population, rng, customers[drawn], times[drawn], amounts[drawn], "atm", "withdrawal",
            machines=at[drawn], card=card[drawn], entry_mode=read,
            response_code=response[drawn],
        )  # fmt: skip
        parts.append((drawn, filled))
    place = np.full(n, -1)
    place[bought] = np.arange(len(bought))
    reason = DISPUTE_REASONS.index(DISPUTE.get(case.vector, "not_received"))
    for kind in RETURNS:
        back = np.flatnonzero(kinds == kind)
        if len(back):
            filled = returns(
                population, rng, columns, place[rows.origin[back]], times[back], amounts[back],
                transaction_type=STEP_KINDS[kind].transaction_type,
                dispute_reason=np.full(len(back), reason) if kind == "victim_dispute" else None,
            )  # fmt: skip
            parts.append((back, filled | {"link": rows.origin[back]}))
    return assembled(
        n,
        parts,
        {
            "is_fraud": fraud,
            "case_step": step,
            "incident": incident.number,
            "label_delay_s": np.where(fraud, _known_after(incident, kinds, times), -1),
        },
    )


@dataclass(frozen=True)
class _Rows:
    """For each row its step, its kind, whom it hits (counted from 0) and the row that it follows, repeats or pays back
    (−1 for none).
    """

    step: Array
    kinds: Array
    who: Array
    origin: Array


def _people_and_shops(case: FraudCase, incident: Incident, careful: float, loud: float) -> tuple[Array, Array, int]:
    """(customers hit, merchant positions of the crooked shops, country index of their neighbourhood).

    The careful run a shop of a trade in which the neighbourhood buys often, near home; only journeys are sold by
    travel agencies alone. A gang keeps its shops in one neighbourhood, the careful one less than others. The loud
    sell all under one name, the careful under several. At a counter most victims live around it, else
    in its country.
    """
    population, world, rng = incident.population, incident.population.world, incident.rng
    source = incident.campaign_rng() if rng.random() < 0.6 - 0.45 * careful else rng
    neighbour = int(source.random() * population.size)
    home, city = int(population.country[neighbour]), int(population.city[neighbour])
    selling = [step.channel for step in case.steps if step.kind not in (*SKIMMED, *RETURNS)]
    counter = "pos" in selling
    country, trade = merchant_country(case, incident, home), case.merchant_category
    if rng.random() < careful:
        country = home
        if rng.random() < EVERYDAY and case.vector != "fake_travel_agency":
            luck = np.array([source.random()])
            usual = (
                world.from_pool(luck, online=True, country=home)
                if not counter
                else world.in_city(luck, np.array([city]))
            )
            trade = str(world.merchant_mcc[usual[0]])
    shops, _ = world.pool(not counter, trade, country)
    if counter and country == home:
        there = shops[world.merchant_city[shops] == city]
        shops = there if len(there) else shops
    # Neither the shops that everybody knows nor those that nobody visits: it has some honest customers of its own.
    shops = shops[np.argsort(world.merchant_popularity[shops], kind="stable")]
    visits = world.merchant_popularity[shops] * population.size * MEAN_ACTIVITY
    least = min(int(np.searchsorted(visits, HONEST_VISITS)), len(shops) * 8 // 10)
    shops = shops[least : max(len(shops) * 95 // 100, least + 1)]
    fronts = 1 if counter or rng.random() < loud else min(max(case.outsiders, 1), 4)
    if case.vector != "skimming_terminal":
        fronts = max(fronts, round(careful * sum(step.count for step in case.steps) / ROWS_A_FRONT))
    fronts = min(fronts, case.customers, len(shops))
    busy = world.merchant_popularity[shops]
    shops = shops[source.choice(len(shops), fronts, replace=False, p=busy / busy.sum())]

    people = victims(incident, 2 * case.customers, (case.victim_segment,))
    people = people[np.argsort(population.country[people] != home, kind="stable")]
    near = population.living_in(int(world.merchant_city[shops[0]]))
    if counter and len(near):
        near = near[rng.integers(0, len(near), 2 * case.customers)]
        near = near[np.argsort(population.segment[near] != SEGMENTS.index(case.victim_segment), kind="stable")]
        people = np.fromiter(dict.fromkeys([*near.tolist(), *people.tolist()]), dtype=np.int64)
    return people[: case.customers], shops, home


def _rows(case: FraudCase, incident: Incident, people: int) -> _Rows:
    """Whom each row hits. Sales go round the customers; what follows a sale keeps its customer."""
    rng = incident.rng
    counts = [step.count for step in case.steps]
    step = np.repeat(np.arange(len(counts)), counts)
    kinds = np.array([s.kind for s in case.steps])[step]
    who, origin = np.zeros(len(step), dtype=np.int64), np.full(len(step), -1)
    turn, first = 0, 0
    for plan in case.steps:
        rows = np.arange(first, first + plan.count)
        first += plan.count
        earlier = np.flatnonzero(np.isin(kinds[: rows[0]], RETURNS.get(plan.kind) or SEEN.get(plan.kind) or ()))
        if RETURNS.get(plan.kind) == FALSE_CHARGES:
            earlier = np.setdiff1d(earlier, origin)  # nothing is given back twice, but by the shop to itself
        if plan.kind in SKIMMED:  # not every copy works
            earlier = rng.permutation(earlier)[: max(1, round(0.7 * len(earlier)))]
        if len(earlier):
            origin[rows] = rng.permutation(earlier)[np.arange(plan.count) % len(earlier)]
            who[rows] = who[origin[rows]]
        elif plan.kind == "laundered_sale":  # a few pay again and again
            who[rows] = (rng.random(plan.count) ** 1.6 * people).astype(np.int64)
        else:
            who[rows] = (turn + np.arange(plan.count)) % people
            turn += plan.count
    return _Rows(step, kinds, who, origin)


def _elsewhere(
    case: FraudCase, incident: Incident, careful: float, customers: Array, channels: Array, shop: int, home: int
) -> Array:
    """Merchant positions at which captured cards are used: a few shops and cash machines, none of them ``shop``; by the
    careful mostly the holders' own.
    """
    rng, world = incident.rng, incident.population.world
    country = merchant_country(case, incident, home)
    used = np.zeros(len(channels), dtype=np.int64)
    few = min(max(case.outsiders, 2), 8)
    for channel in np.unique(channels):
        here = np.flatnonzero(channels == channel)
        online = CHANNELS[channel] in ONLINE
        sold = (*RESALE_GOODS, *(RESALE_ONLINE if online else RESALE_AT_COUNTERS))
        goods = [mcc for mcc in sold if mcc != case.merchant_category]
        mcc = ATM_MCC if CHANNELS[channel] == "atm" else goods[incident.campaign_rng().integers(len(goods))]
        places = gang_merchants(incident, few, online=online, mcc=mcc, country=country)
        used[here] = places[(rng.random(len(here)) ** 1.5 * few).astype(np.int64)]
    atm, tills = channels == CHANNELS.index("atm"), channels == CHANNELS.index("pos")
    own = usual_shops(incident, customers, ~atm & ~tills)
    own = np.where(atm, world.pick_in_city(rng, incident.population.city[customers], atm=True), own)
    used = np.where(rng.random(len(used)) < EVERYDAY * careful, own, used)
    other = world.pick_merchants(rng, len(used), online=bool(world.merchant_online[shop]))
    return np.where(used == shop, other, used)


def _amounts(
    case: FraudCase, incident: Incident, careful: float, loud: float, rows: _Rows, customers: Array, at: Array
) -> Array:
    """Minor units, kind by kind in the order of the steps, since some follow from earlier rows. The loud take more."""
    rng, population, world = incident.rng, incident.population, incident.population.world
    calm = 1 - 0.8 * careful
    usual = population.habit[customers] / (MEDIAN_HABIT_EUR * world.eur)
    limit = population.card_limit[customers]
    luck = rng.random()
    prices: dict[tuple[str, float, float], Array] = {}
    amounts = np.zeros(len(customers), dtype=np.int64)
    for number, plan in enumerate(case.steps):
        here = np.flatnonzero(rows.step == number)
        origin, shop = rows.origin[here], at[here]
        low, high = plan.low, plan.high
        factor = between(rng, low, high, len(here))
        if plan.kind in RETURNS:
            full = amounts[origin]
            part = np.minimum(np.maximum(world.snap(rng, full * factor, np.zeros(len(here), np.int8)), 1), full)
            amount = np.where(factor > 0.95, full, part)
        elif plan.kind == "repeated_charge":
            amount = amounts[origin]
        elif plan.kind == "inflated_charge" and origin[0] >= 0:
            more = world.snap(rng, amounts[origin] * factor**calm * DEAR**loud, world.merchant_ending[shop])
            amount = np.maximum(more, amounts[origin] + max(1, world.unit // 100))
        elif plan.kind in ("trial_charge", "hidden_renewal"):  # one price for all
            if (plan.kind, low, high) not in prices:
                price = low * (high / low) ** luck * world.unit
                if plan.kind == "hidden_renewal":  # lower where it is to pass unnoticed
                    price *= 0.5**careful
                prices[plan.kind, low, high] = world.snap(rng, np.full(1, price), world.merchant_ending[shop[:1]])
            amount = np.repeat(prices[plan.kind, low, high], len(here))
        elif plan.kind == "skimmed_purchase":
            usual_there = usual_amounts(incident, customers[here], shop)
            wanted = drawn_towards(population.habit[customers[here]] * factor, usual_there, careful)
            amount = world.snap(rng, np.minimum(wanted, limit[here]), world.merchant_ending[shop])
        elif plan.kind == "skimmed_cash":
            wanted = np.minimum(population.habit[customers[here]] * factor, limit[here])
            notes = 10 * world.unit
            wanted = drawn_towards(wanted, usual_cash(incident, len(here)), careful)
            amount = np.maximum(np.rint(wanted / notes), 2).astype(np.int64) * notes
        else:
            stolen = STEP_KINDS[plan.kind].is_fraud
            wanted = factor**calm * DEAR**loud if stolen else factor
            amount = world.amounts(rng, shop, usual[here] * wanted)
        amounts[here] = np.minimum(amount, limit[here])
    return amounts


def _responses(incident: Incident, careful: float, kinds: Array) -> Array:
    """Response codes: fraud is refused now and then, what is genuine or within the shop's circle is not."""
    rng = incident.rng
    response = np.full(len(kinds), APPROVED)
    for kind, (blunt, hidden) in DECLINED.items():
        here = np.flatnonzero(kinds == kind)
        refused = here[rng.random(len(here)) < blunt + (hidden - blunt) * careful]
        response[refused] = np.array(WHY_DECLINED[kind])[rng.integers(0, len(WHY_DECLINED[kind]), len(refused))]
    return response


def _entry_modes(incident: Incident, careful: float, kinds: Array, channels: Array) -> Array:
    """How cards are read: captured ones are typed in or swiped (the careful let shops and machines read them as usual),
    those on file come from the file, others as usual.
    """
    rng = incident.rng
    entry = usual_entry_mode(rng, channels)
    present = channels == CHANNELS.index("pos")
    swiped = rng.random(len(kinds)) < 0.35 - 0.33 * careful
    entry = np.where((kinds == "skimmed_purchase") & present & swiped, MAGSTRIPE, entry)
    typed = (kinds == "skimmed_purchase") & (rng.random(len(kinds)) < 1 - 0.8 * careful)
    entry = np.where((typed | (kinds == "trial_charge")) & ~present, MANUAL, entry)
    return np.where(np.isin(kinds, ON_FILE) & ~present, STORED, entry)


def _sessions(
    incident: Incident, careful: float, gang: Offender, kinds: Array, customers: Array, channels: Array
) -> Columns:
    """Device, address, its country and the position of each row.

    Customers who pay use what is theirs. Captured cards are used on the offender's devices, by the careful mostly on
    what looks like the holder's; charges on file and sham sales come now from his, now with the data of the customer's
    last visit.
    """
    rng, population = incident.rng, incident.population
    n = len(kinds)
    theirs = np.isin(kinds, (*ON_FILE, "sham_sale")) & (rng.random(n) < 0.7 - 0.6 * careful)
    theirs |= np.isin(kinds, SKIMMED) & (rng.random(n) < 1 - CLONED * careful)
    near = ~theirs | (rng.random(n) < NEAR * careful)
    address = rng.integers(0, len(gang.addresses), n)
    home = population.country[customers]
    rented = np.where(near, proxies(incident, home), gang.addresses[address])
    return {
        "device": np.where(theirs, gang.devices[rng.integers(0, len(gang.devices), n)], population.device[customers]),
        "ip": np.where(theirs, rented, own_addresses(incident, customers, channels)),
        "ip_country": np.where(near, home, gang.address_country[address]),
        "latitude": np.where(near, population.latitude[customers], gang.latitude),
        "longitude": np.where(near, population.longitude[customers], gang.longitude),
    }


def _known_after(incident: Incident, kinds: Array, times: Array) -> Array:
    """Seconds until a bank would have known: each victim tells in his time, one investigation finds the rest."""
    found = int(times[-1]) + int(between(incident.rng, *INVESTIGATION, 1)[0]) * SECOND_US
    seconds = (found - times) // SECOND_US
    for kind, (low, high) in KNOWN_AFTER.items():
        here = np.flatnonzero(kinds == kind)
        seconds[here] = between(incident.rng, low, high, len(here)).astype(np.int64)
    return seconds


SCENARIO = Scenario(
    name="merchant_fraud",
    title="Merchant fraud",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=11.5,
)
