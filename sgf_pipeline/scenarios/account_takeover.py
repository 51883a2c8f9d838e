"""Account takeover: somebody else gets hold of a known customer's account and takes what it holds.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public reports of banks, police
and card schemes (leaked passwords, swapped SIM cards, banking trojans, talked-over call centres, stolen phones).
"""

from collections import Counter
from dataclasses import dataclass
from math import ceil

import numpy as np

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import (
    AUTHENTICATIONS,
    CHANNELS,
    DIRECTIONS,
    ENTRY_MODES,
    RESPONSE_CODES,
    TRANSACTION_TYPES,
    EventBlock,
)
from sgf_pipeline.population.customers import ADDRESSES_PER_CUSTOMER
from sgf_pipeline.population.filling import card_payments, cash, transfers, usual_entry_mode
from sgf_pipeline.population.places import DAY_US
from sgf_pipeline.scenarios.base import SEGMENTS, Incident, Scenario, StepKind, Vector
from sgf_pipeline.scenarios.playing import (
    GANG,
    SECOND_US,
    Array,
    Offender,
    assembled,
    at_home_when_careful,
    between,
    booking_lags,
    care,
    chosen_sum,
    countries_seen,
    drawn_towards,
    gang_merchants,
    known_shops,
    merchant_country,
    notes_given,
    offender,
    outside_accounts,
    own_addresses,
    proxies,
    step_times,
    usual_cash,
    usual_shops,
    usual_transfers,
    victims,
)

ONLINE = ("ecommerce", "mobile")
BANK = ("online_banking", "mobile")

VECTORS = {
    "credential_stuffing": Vector(
        "passwords leaked elsewhere are tried on log-ins until one fits", ("ecommerce", "mobile", "online_banking")
    ),
    "sim_swap": Vector("the victim's phone number is moved to another SIM card, and his codes with it", BANK),
    "malware_remote_session": Vector(
        "a trojan or remote-control tool acts inside the victim's own session", BANK,
        sophistications=("medium", "high"),
    ),
    "session_hijack": Vector(
        "a stolen session cookie continues where the victim had logged in", ("ecommerce", "mobile", "online_banking"),
        tempos=("burst", "steady"),
    ),
    "call_centre_reset": Vector(
        "an impostor has the call centre reset the password or the phone number", ("online_banking", "mobile", "atm")
    ),
    "stolen_phone": Vector(
        "a phone is stolen unlocked or watched, with the bank's app and the wallet on it", ("mobile", "pos", "atm"),
        tempos=("burst", "steady"), geographies=("domestic", "cross_border"),
    ),
    "data_breach_reuse": Vector("a shop account with a stored card opens with a leaked password", ONLINE),
    "mailbox_takeover": Vector(
        "whoever reads the victim's mail resets one password after the other", ("ecommerce", "online_banking"),
        sophistications=("medium", "high"), tempos=("steady", "slow"),
    ),
}  # fmt: skip

STEP_KINDS = {
    "wallet_enrolment": StepKind(
        "the victim's card is added to the offender's wallet or shop: a check of zero or one unit",
        True, False, "verification", ONLINE, ("unit",),
    ),
    "probe": StepKind("small purchase that shows whether the account answers", True, False, "purchase", ONLINE,
                      ("unit",)),
    "purchase": StepKind("goods bought on the victim's card", True, False, "purchase", ONLINE, ("habit",)),
    "big_purchase": StepKind(
        "goods bought for a large part of what the account holds", True, False, "purchase", ONLINE, ("balance",)
    ),
    "wallet_purchase": StepKind(
        "purchase at a till with the victim's card in a phone", True, False, "purchase", ("pos",), ("habit",)
    ),
    "trial_transfer": StepKind(
        "small sum sent to an account elsewhere, to see whether it arrives", True, False, "transfer", BANK, ("unit",)
    ),
    "transfer_out": StepKind("money is sent to an account elsewhere", True, False, "transfer", BANK, ("balance",)),
    "own_mule_transfer": StepKind(
        "money is sent to a mule who is a customer of this bank (two rows)", True, False, "transfer", BANK,
        ("balance",),
    ),
    "cash_withdrawal": StepKind("cash is taken out", True, False, "withdrawal", ("atm", "branch"), ("balance",)),
}  # fmt: skip

WIRED_ELSEWHERE = ("trial_transfer", "transfer_out")
WIRED = (*WIRED_ELSEWHERE, "own_mule_transfer")
BOUGHT = ("probe", "purchase", "big_purchase", "wallet_purchase")
TRIALS = ("wallet_enrolment", "probe", "trial_transfer")
DRAINS = ("big_purchase", "transfer_out", "own_mule_transfer", "cash_withdrawal")
# ISO 18245 categories that sell dear things: electronics, computers, jewellery, department stores, marketplaces,
# furniture, flights, journeys, hotels, coins. Only there does anybody ask for as much as an account holds.
DEAR_GOODS = ("5732", "5045", "5944", "5311", "5399", "5712", "4511", "4722", "7011", "6051")
# What one can do at any hour: an offender in no need to hide works by night, when the victim sleeps.
BY_NIGHT = frozenset((*TRIALS, "purchase", "big_purchase", "transfer_out", "own_mule_transfer"))

# Vectors that act from the victim's own device and address, that can answer a challenge, that find a stored card,
# and that show the offender the balance.
ON_OWN_DEVICE = ("malware_remote_session", "stolen_phone")
ANSWERS_CHALLENGE = ("sim_swap", "malware_remote_session", "call_centre_reset", "stolen_phone")
STORED_CARD = ("session_hijack", "data_breach_reuse")

# By sophistication, our judgement: how often a session looks as if it came from the victim's city; how often more is
# tried than can be had.
NEAR = {"low": 0.1, "medium": 0.3, "high": 0.6}
GREEDY = {"low": 0.26, "medium": 0.18, "high": 0.11}

# Of the most careful: how often a session comes from what looks like the victim's device (of the unskilled; the skilled
# more), and how often a purchase is made where he buys himself.
CLONED, OWN_SHOPS = 0.6, 0.9

PACE = 0.2  # of the careless: times what the plan takes
MOST_PAYEES = 24  # beside those that the plan names

WIRE_LIMIT = 2  # times the card's limit may be transferred in a day
MOST_A_DAY = {
    "cash_withdrawal": 3,
    "purchase": 8,
    "big_purchase": 8,
    "wallet_purchase": 8,
}  # approved; more is declined with 65
MACHINE = 500  # units: the most that is asked of a cash machine at once

APPROVED, LIMIT, NO_FUNDS, FREQUENCY = (RESPONSE_CODES.index(word) for word in ("00", "61", "51", "65"))
SUSPECTED = [RESPONSE_CODES.index(word) for word in ("05", "59")]
CHALLENGE, FRICTIONLESS = (AUTHENTICATIONS.index(f"three_ds_{word}") for word in ("challenge", "frictionless"))
CONTACTLESS, STORED = ENTRY_MODES.index("contactless"), ENTRY_MODES.index("stored_credential")
DEBIT, CREDIT = DIRECTIONS.index("debit"), DIRECTIONS.index("credit")


def check(case: FraudCase) -> list[str]:
    """Probes are small, shares of the balance at most all of it; mules, accounts and shops are named where used."""
    found: list[str] = []
    kinds = [step.kind for step in case.steps]
    for number, step in enumerate(case.steps):
        if step.kind == "wallet_enrolment" and (step.low, step.high) not in ((0, 0), (1, 1), (0, 1)):
            found.append(f"step {number}: wallet_enrolment must be 0 or 1 unit")
        if step.kind == "probe" and not 0.5 <= step.low <= step.high <= 25:
            found.append(f"step {number}: a probe must lie between 0.5 and 25 units")
        if step.basis == "balance" and not 0.01 <= step.low <= step.high <= 1:
            found.append(f"step {number}: a share of the balance must lie between 0.01 and 1")
        if step.basis == "habit" and not 0.3 <= step.low <= step.high <= 40:
            found.append(f"step {number}: {step.kind} must lie between 0.3 and 40 times the habit")
        if step.kind == "trial_transfer" and not 1 <= step.low <= step.high <= 60:
            found.append(f"step {number}: a trial transfer must lie between 1 and 60 units")
    if all(kind in TRIALS for kind in kinds):
        found.append("something must be taken after the trials")
    if "own_mule_transfer" in kinds and case.customers < 2:
        found.append("own_mule_transfer needs at least 2 customers: the victim and a mule")
    if "own_mule_transfer" not in kinds and case.customers != 1:
        found.append(f"customers is {case.customers}: without an own_mule_transfer it is the victim alone")
    if case.outsiders < 1 and any(kind in WIRED_ELSEWHERE for kind in kinds):
        found.append("a transfer to elsewhere needs at least 1 outsider")
    if case.merchant_category is None and any(kind in (*BOUGHT, "wallet_enrolment") for kind in kinds):
        found.append("merchant_category must be set where a shop is used")
    if case.vector not in ON_OWN_DEVICE and (case.devices < 1 or case.addresses < 1):
        found.append(f"{case.vector} needs at least 1 device and 1 address of the offender")
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    """Takes from one customer's account, row by row, what the case says and the account holds.

    Rows: one for each try, approved or not, and a second one for each approved transfer to a mule of this bank, in
    time order, its two legs next to each other. Once two tries in a row were refused and nothing is left to be had
    that day, the rest of the day's rows fall away. Where the population has nobody else, mules are elsewhere. The
    more careful the offender, the more he takes what the victim moves anyhow, where and from where he would do it.
    """
    rng, population = incident.rng, incident.population
    careful = care(incident)
    # Who has several log-ins to choose from takes the account that holds most.
    choice = victims(incident, 3, (case.victim_segment,))
    victim = int(choice[np.argmax(population.balance[choice])])
    home = int(population.country[victim])
    mules = _mules(incident, victim, _payees(case, careful, case.customers - 1, ("own_mule_transfer",)))
    outside = outside_accounts(incident, max(_payees(case, careful, case.outsiders, WIRED_ELSEWHERE), 1))
    countries = _account_countries(case, incident, careful, home, len(outside))
    by_day = rng.random() < careful
    moments = step_times(case, incident, victim, frozenset() if by_day else BY_NIGHT, PACE + (4 - PACE) * careful)
    tries = _tries(case, incident, careful, victim, moments)

    kinds = np.array([case.steps[one.step].kind for one in tries])
    inner = (kinds == "own_mule_transfer") & (np.array([one.response for one in tries]) == APPROVED) & (len(mules) > 0)
    # Positions of the tries, and of the credit legs right after their debit legs.
    first = np.arange(len(tries)) + np.cumsum(inner) - inner
    second = first[inner] + 1
    n = len(tries) + len(second)
    try_of_row = np.repeat(np.arange(len(tries)), 1 + inner)
    times = np.array([one.time for one in tries])
    booked = booking_lags(rng, times)
    when = times[try_of_row]
    when[second] += booked[inner]
    kind = kinds[try_of_row]
    step = np.array([one.step for one in tries])[try_of_row]
    channels = np.array([CHANNELS.index(s.channel) for s in case.steps])[step]
    amounts = np.array([one.amount for one in tries], dtype=np.int64)[try_of_row]
    response = np.array([one.response for one in tries])[try_of_row]
    customers = np.full(n, victim)
    gang = offender(case, incident, home)
    device, ip, ip_country, latitude, longitude = _sessions(case, incident, careful, victim, gang, step, channels)

    parts = []
    wired = np.flatnonzero(np.isin(kind, WIRED))
    if len(wired):
        number = rng.integers(0, len(outside), n)
        counterparty, counterparty_country = outside[number], countries[number]
        link = np.full(n, -1)
        if len(mules):
            # A mule takes all parts of a step, or, if care is taken, each part goes to another one.
            one = mules[rng.integers(0, len(mules), len(case.steps))][step]
            each = mules[rng.integers(0, len(mules), len(tries))][try_of_row]
            mule = np.where((rng.random(len(case.steps)) < careful)[step], each, one)
            inside = kind == "own_mule_transfer"
            counterparty = np.where(inside, population.account[mule], counterparty)
            counterparty_country = np.where(inside, population.country[mule], counterparty_country)
            customers[second] = mule[second]
            counterparty[second] = population.account[victim]
            counterparty_country[second] = home
            link[second] = second - 1
            # Some mules have handed over their log-in: then the gang's device is seen on both sides.
            own = second[rng.random(len(second)) < 0.6 + 0.4 * careful]
            device[own], ip[own] = population.device[customers[own]], population.ip[customers[own]]
            ip_country[own] = population.country[customers[own]]
        direction = np.full(n, DEBIT)
        direction[second] = CREDIT
        filled = transfers(
            population, rng, customers[wired], when[wired], amounts[wired], channels[wired], direction[wired],
            counterparty[wired], counterparty_country[wired], response_code=response[wired], link=link[wired],
            device=device[wired], ip=ip[wired], ip_country=ip_country[wired],
        )  # fmt: skip
        parts.append((wired, filled))
    card = int(population.card[victim] + rng.integers(0, population.cards[victim]))
    city = _city(case, incident, careful, victim)
    drawn = np.flatnonzero(kind == "cash_withdrawal")
    if len(drawn):
        filled = cash(
            population, rng, customers[drawn], when[drawn], amounts[drawn], channels[drawn], "withdrawal",
            machines=population.world.pick_in_city(rng, np.full(len(drawn), city), atm=True),
            card=np.full(len(drawn), card), response_code=response[drawn],
        )  # fmt: skip
        parts.append((drawn, filled))
    paid = np.flatnonzero(np.isin(kind, (*BOUGHT, "wallet_enrolment")))
    if len(paid):
        world, everyday = population.world, amounts[paid] <= 4 * population.habit[victim]
        shops = _shops(case, incident, careful, victim, city, kind[paid], everyday)
        snapped = world.snap(rng, amounts[paid], world.merchant_ending[shops])
        filled = card_payments(
            population, rng, customers[paid], shops, when[paid],
            np.where(kind[paid] == "wallet_enrolment", amounts[paid], snapped), channels[paid],
            transaction_type=np.where(
                kind[paid] == "wallet_enrolment",
                TRANSACTION_TYPES.index("verification"),
                TRANSACTION_TYPES.index("purchase"),
            ),
            card=np.full(len(paid), card), entry_mode=_entry_modes(case, incident, careful, kind[paid], channels[paid]),
            response_code=response[paid], device=device[paid], ip=ip[paid], ip_country=ip_country[paid],
            latitude=latitude[paid], longitude=longitude[paid],
        )  # fmt: skip
        if case.vector not in ANSWERS_CHALLENGE:  # what was challenged and passed was not challenged
            challenged = (filled["authentication"] == CHALLENGE) & (response[paid] == APPROVED)
            filled["authentication"] = np.where(challenged, FRICTIONLESS, filled["authentication"])
        parts.append((paid, filled))

    # One discovery ends it: the bank's own alert, more likely for blunt cases, or the victim who looks at his account.
    alerted = rng.random() < 0.6 - 0.4 * careful
    least, most = (600, 8 * 3600) if alerted else (6 * 3600, 9 * 86_400)
    found_us = int(when[-1]) + int(between(rng, least, most, 1)[0]) * SECOND_US
    return assembled(
        n,
        parts,
        {
            "is_fraud": True,
            "case_step": step,
            "incident": incident.number,
            "label_delay_s": (found_us - when) // SECOND_US,
        },
    )


@dataclass(frozen=True)
class _Try:
    """One debit that the offender asks for: its step, moment (µs), amount (minor units) and response code."""

    step: int
    time: int
    amount: int
    response: int


def _tries(case: FraudCase, incident: Incident, careful: float, victim: int, moments: list[Array]) -> list[_Try]:
    """What is asked for in order, against what the account holds and may spend at that moment.

    A loop over rows, since each depends on what the ones before left. Purchases keep a unit's distance from what is
    left, for their prices are still to be rounded.
    """
    rng, population, unit = incident.rng, incident.population, incident.population.world.unit
    times = np.concatenate(moments)
    n = len(times)
    numbers = np.repeat(np.arange(len(case.steps)), [step.count for step in case.steps]).tolist()
    # What the victim himself moves at once: care draws the plan's sums towards it. (He is richer than most.)
    sent, cashed = 0.6 * usual_transfers(incident, np.full(n, victim)), usual_cash(incident, n).tolist()
    bought = population.habit[victim] * np.exp(rng.normal(0.3, population.habit_sigma[victim], n))
    # Who does not care takes as much at once as the plan allows.
    luck, rounding, part = rng.random(n) ** (0.5 + 0.5 * careful), rng.random(n).tolist(), rng.uniform(0.4, 0.95, n)
    greed = np.where(rng.random(n) < GREEDY[case.sophistication] * (1 - 0.8 * careful), luck + 0.1, 0)
    suspected = np.where(rng.random(n) < 0.02, rng.choice(SUSPECTED, n), APPROVED)
    limit, held = int(population.card_limit[victim]), int(population.balance[victim])
    habit = int(population.habit[victim])
    least = 5 * unit
    tries: list[_Try] = []
    approved: Counter[str] = Counter()
    day, spent, wired, refused, lessons = -1, 0, 0, 0, 0
    for row, (number, moment) in enumerate(zip(numbers, times.tolist(), strict=True)):
        step = case.steps[number]
        if moment // DAY_US != day:
            day, spent, wired, approved = moment // DAY_US, 0, 0, Counter()
        left = WIRE_LIMIT * limit - wired if step.kind in WIRED else limit - spent
        margin = unit if step.kind in BOUGHT else 0
        reach = min(held, left) - margin
        full = approved[step.kind] >= MOST_A_DAY.get(step.kind, n)
        if refused and (full or (reach < least and refused >= 2)):
            continue
        factor = step.low * (step.high / step.low) ** float(luck[row]) if step.low > 0 else step.low
        if step.basis == "unit":
            amount = factor * unit
        elif step.basis == "habit":
            amount = habit * factor
        else:
            amount = held * factor
        if step.basis != "unit" and step.kind != "cash_withdrawal":
            usual = sent[row] if step.kind in WIRED else bought[row]
            amount = float(drawn_towards(np.asarray(max(amount, 1)), usual, careful))
        if step.kind not in TRIALS:
            dear = step.kind in DRAINS or (step.kind == "purchase" and case.merchant_category in DEAR_GOODS)
            if dear and greed[row] and not refused and lessons < 2:  # more than can be had: the refusal is a lesson
                amount = max(reach, least) * (1 + float(greed[row]))
                lessons += 1
            elif amount > reach >= least:
                amount = reach * float(part[row])
        if step.kind == "wallet_enrolment":
            amount = (step.low if luck[row] < 0.5 else step.high) * unit
        elif step.kind == "cash_withdrawal":
            machine = round(MACHINE * unit * float(part[row]))
            amount = max(notes_given(int(amount), cashed[row], machine, careful, step.channel, unit), 20 * unit)
        elif step.kind in WIRED:
            amount = chosen_sum(int(max(amount, unit)), rounding[row], unit)
        else:
            amount = max(amount, unit // 2)
        amount = int(amount)
        if amount + margin > held:
            response = NO_FUNDS
        elif amount + margin > left:
            response = LIMIT
        elif full:
            response = FREQUENCY
        else:
            response = APPROVED if step.kind in WIRED else int(suspected[row])
        if response == APPROVED:
            refused = 0
            approved[step.kind] += 1
            held -= amount + margin
            if step.kind in WIRED:
                wired += amount
            else:
                spent += amount + margin
        else:
            refused += 1
        tries.append(_Try(number, moment, amount, response))
    return tries


def _payees(case: FraudCase, careful: float, planned: int, kinds: tuple[str, ...]) -> int:
    """How many accounts take the money that steps of these kinds send: half of the planned ones where everything is
    wanted at once; the more care, the more others besides, up to one a payment, for a payee paid again strikes.
    """
    payments = sum(step.count for step in case.steps if step.kind in kinds)
    return ceil(planned * (1 + careful) / 2) + min(round(careful * payments), MOST_PAYEES)


def _mules(incident: Incident, victim: int, n: int) -> Array:
    """Up to ``n`` customers who take money for the gang, out of the few it has; mostly young ones."""
    population = incident.population
    drawn = incident.campaign_rng().integers(0, population.size, 4 * GANG)
    young = np.isin(population.segment[drawn], [SEGMENTS.index("student"), SEGMENTS.index("young_account")])
    known = list(dict.fromkeys(np.concatenate([drawn[young], drawn[~young]]).tolist()))[:GANG]
    others = [mule for mule in known if mule != victim] or list(range(min(population.size, 2)))
    others = [mule for mule in others if mule != victim]
    return incident.rng.permutation(np.array(others, dtype=np.int64))[:n]


def _account_countries(case: FraudCase, incident: Incident, careful: float, home: int, n: int) -> Array:
    """Countries of ``n`` accounts elsewhere. Mules are hired where transfers arrive at once: at home or next door."""
    nearer = case.geography if case.geography == "domestic" else "cross_border"
    seen = countries_seen(case.model_copy(update={"geography": nearer}), incident, home, n)
    return at_home_when_careful(incident, seen, home, 0.4 + 0.5 * careful)


def _near(case: FraudCase, careful: float) -> float:
    """How often the offender seems to be where the victim lives."""
    return 1 - (1 - NEAR[case.sophistication] * (0.4 + 0.6 * careful)) * (1 - 0.9 * careful)


def _sessions(
    case: FraudCase, incident: Incident, careful: float, victim: int, gang: Offender, step: Array, channels: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Device, address, its country, latitude and longitude for each row: one session a step, mostly.

    Trojans and stolen phones act on the victim's own device. Others bring theirs, more often made up to look like his
    and behind a proxy in his country the more skilled and the more careful they are.
    """
    rng, population = incident.rng, incident.population
    steps, home = len(case.steps), population.country[victim]
    customers = np.full(len(step), victim)
    on_own = case.vector in ON_OWN_DEVICE
    cloned = careful * (CLONED + (1 - CLONED) * NEAR[case.sophistication])
    own = rng.random(steps) < (max(0.93, cloned) if on_own else cloned)
    near = own | (rng.random(steps) < _near(case, careful))
    device = np.full(steps, population.device[victim])
    if len(gang.devices):
        device = np.where(own, device, gang.devices[rng.integers(0, len(gang.devices), steps)])
    # A stolen phone talks over the victim's mobile carrier, a trojan from his home.
    carrier = ADDRESSES_PER_CUSTOMER * victim + 1
    ip = np.full(len(step), carrier if case.vector == "stolen_phone" else population.ip[victim])
    ip_country = np.full(len(step), home)
    if len(gang.addresses):
        number = rng.integers(0, len(gang.addresses), steps)[step]
        hops = rng.random(len(step)) < 0.2
        number = np.where(hops, rng.integers(0, len(gang.addresses), len(step)), number)
        # Who acts through the victim's own device mostly uses his line, too.
        through = own & (on_own | (rng.random(steps) < 0.7))
        if not on_own:
            ip = own_addresses(incident, customers, channels)
        from_elsewhere = np.where(near[step], proxies(incident, customers * 0 + home), gang.addresses[number])
        ip = np.where(through[step], ip, from_elsewhere)
        ip_country = np.where(near[step], home, gang.address_country[number])
    latitude = np.where(near, population.latitude[victim], gang.latitude)
    longitude = np.where(near, population.longitude[victim], gang.longitude)
    return device[step], ip, ip_country, latitude[step], longitude[step]


def _city(case: FraudCase, incident: Incident, careful: float, victim: int) -> int:
    """The city in which tills and machines are used: the victim's, or the gang's (abroad where that is the case)."""
    population, world = incident.population, incident.population.world
    own_city, home = int(population.city[victim]), int(population.country[victim])
    near = _near(case, careful) * (0.3 + 0.7 * careful if case.geography == "cross_border" else 1.0)
    if incident.rng.random() < near:
        return own_city
    # Who works from far away sends an accomplice of the victim's country.
    if case.geography == "cross_border":
        cities = world.destinations()
        cities = cities[world.city_country[cities] != home]
    else:
        cities = np.flatnonzero(world.city_country == home)
    return int(cities[incident.campaign_rng().integers(0, len(cities))]) if len(cities) else own_city


def _shops(
    case: FraudCase, incident: Incident, careful: float, victim: int, city: int, kind: Array, everyday: Array
) -> Array:
    """Merchant positions: online a few shops of the case's category that the gang knows, at tills those of the city.

    The more careful, the more purchases of everyday size go where the victim buys himself.
    """
    rng, population, world = incident.rng, incident.population, incident.population.world
    few = min(max(case.outsiders, 1), 4)
    country = merchant_country(case, incident, int(population.country[victim]))
    known = gang_merchants(incident, few, online=True, mcc=case.merchant_category, country=country)
    shops = known[rng.integers(0, len(known), len(kind))]
    # Large shops are plundered by everybody.
    popular = known_shops(incident, 2, country)
    popular = popular[rng.integers(0, len(popular), len(kind))]
    shops = np.where(rng.random(len(kind)) < 0.1 + 0.4 * careful, popular, shops)
    tills = kind == "wallet_purchase"
    own = usual_shops(incident, np.full(len(kind), victim), ~tills)
    usual = everyday & (rng.random(len(kind)) < OWN_SHOPS * careful)
    there, _ = world.pool(False, case.merchant_category, int(world.city_country[city]))
    there = there[world.merchant_city[there] == city]
    anywhere = world.pick_in_city(rng, np.full(len(kind), city))
    # Drawn without repetition, the busy ones first.
    waits = incident.campaign_rng().exponential(size=len(there)) / world.merchant_popularity[there]
    local = there[np.argsort(waits)[:few]]
    local = np.where(usual, anywhere, local[rng.integers(0, len(local), len(kind))]) if len(local) else anywhere
    # All tills of an incident lie in one city, be it the victim's or another one.
    at_home = tills & (world.merchant_city[own] == city)
    return np.where(usual & (at_home | ~tills), own, np.where(tills, local, shops))


def _entry_modes(case: FraudCase, incident: Incident, careful: float, kind: Array, channels: Array) -> Array:
    """Codes: a phone is tapped at tills; a shop account that was broken into pays with its stored card, and so do the
    careful where they can.
    """
    entry = usual_entry_mode(incident.rng, channels)
    often = 0.75 if case.vector in STORED_CARD else 0.4 * careful
    stored = (incident.rng.random(len(kind)) < often) & (kind != "wallet_enrolment")
    return np.where(kind == "wallet_purchase", CONTACTLESS, np.where(stored, STORED, entry))


SCENARIO = Scenario(
    name="account_takeover",
    title="Account takeover",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=9.0,
)
