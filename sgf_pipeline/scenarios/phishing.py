"""Phishing: somebody is talked into paying, or into giving away the credentials with which he is then robbed.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public reports on authorised push
payments and social engineering (UK Finance, the EBA and ECB on payment fraud, Europol, consumer associations); the
average of such transfers exceeds 2,000 EUR there.

Both legs of a payment between two customers of the bank belong to one step, and ``authorised_by_victim`` says who
made that payment. So the mule's receipt of what a victim sent counts as authorised, like the leg that paid it;
what the mule then does with the money never does.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from sgf_pipeline.domain.cases import CaseStep, FraudCase
from sgf_pipeline.domain.events import CHANNELS, DIRECTIONS, ENTRY_MODES, RESPONSE_CODES, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.population.customers import SEGMENTS
from sgf_pipeline.population.filling import card_payments, cash, external_accounts, transfers, usual_entry_mode
from sgf_pipeline.scenarios.base import Incident, Scenario, StepKind, Vector
from sgf_pipeline.scenarios.playing import (
    SECOND_US,
    Array,
    assembled,
    at_home_when_careful,
    between,
    booking_lags,
    care,
    chosen_sum,
    countries_seen,
    drawn_towards,
    gang_machines,
    gang_merchants,
    merchant_country,
    notes_given,
    offender,
    outside_accounts,
    own_addresses,
    step_times,
    usual_amounts,
    usual_cash,
    usual_shops,
    usual_sum,
    usual_transfers,
    victims,
)

REMOTE = ("online_banking", "mobile")
SHOPS = ("ecommerce", "mobile")
ANYWHERE = ("online_banking", "mobile", "ecommerce")

VECTORS = {
    "invoice_redirection": Vector("a real bill is paid to an account that the offender put on it", REMOTE),
    "romance_scam": Vector("an invented beloved asks for help again and again", REMOTE, tempos=("steady", "slow")),
    "investment_scam": Vector(
        "an invented broker shows gains and asks for more", ANYWHERE, tempos=("steady", "slow")
    ),
    "bank_impersonation": Vector(
        "the bank's alleged fraud desk has money moved to a safe account", REMOTE, tempos=("burst", "steady")
    ),
    "police_impersonation": Vector(
        "alleged police or court officers frighten the victim into paying", REMOTE, tempos=("burst", "steady")
    ),
    "purchase_scam": Vector("goods or a flat are paid for that do not exist", ANYWHERE),
    "smishing_credentials": Vector(
        "a text message about a parcel or a toll collects card and bank credentials", SHOPS, tempos=("burst", "steady")
    ),
    "fake_login_page": Vector("a copy of the bank's page collects log-in and codes", REMOTE),
    "family_emergency": Vector(
        "a message from a child's alleged new number begs for an urgent payment", REMOTE, tempos=("burst", "steady")
    ),
}  # fmt: skip

STEP_KINDS = {
    "savings_in": StepKind(
        "the victim moves savings from another bank to his account", False, True, "transfer", REMOTE, ("balance",)
    ),
    "victim_try": StepKind("the victim's first, small payment", True, True, "transfer", REMOTE, ("habit",)),
    "victim_payment": StepKind(
        "the victim's payment to the offender's account", True, True, "transfer", REMOTE, ("balance",)
    ),
    "victim_purchase": StepKind(
        "the victim pays a fake shop or buys gift codes by card", True, True, "purchase", SHOPS, ("habit",)
    ),
    "credential_try": StepKind(
        "a small transfer with stolen credentials, to see whether they work", True, False, "transfer", REMOTE,
        ("habit",),
    ),
    "credential_transfer": StepKind(
        "a transfer with stolen credentials", True, False, "transfer", REMOTE, ("balance",)
    ),
    "credential_purchase": StepKind(
        "a purchase with stolen card details", True, False, "purchase", SHOPS, ("habit",)
    ),
    "mule_transfer": StepKind(
        "the mule, a customer of the bank, sends money on to elsewhere", True, False, "transfer", REMOTE, ("carry",)
    ),
    "mule_withdrawal": StepKind(
        "the mule, a customer of the bank, takes money out in cash", True, False, "withdrawal", ("atm", "branch"),
        ("carry",),
    ),
}  # fmt: skip

BY_VICTIM = ("victim_try", "victim_payment", "victim_purchase")
BY_CREDENTIALS = ("credential_try", "credential_transfer", "credential_purchase")
TRIES = ("victim_try", "credential_try")
PAYMENTS = ("victim_try", "victim_payment", "credential_try", "credential_transfer")  # they reach the mule, if any
PURCHASES = ("victim_purchase", "credential_purchase")
BY_MULE = ("mule_transfer", "mule_withdrawal")

# In these the victim never pays himself; in the two impersonations he may also have read out a code.
CREDENTIAL_VECTORS = ("smishing_credentials", "fake_login_page")
MIXED_VECTORS = ("bank_impersonation", "police_impersonation")

# Step kind → what its low and high may be.
BOUNDS = {
    "savings_in": (0.2, 5.0),
    "victim_try": (0.2, 20.0),
    "victim_payment": (0.02, 1.0),
    "victim_purchase": (0.5, 40.0),
    "credential_try": (0.02, 5.0),
    "credential_transfer": (0.02, 1.0),
    "credential_purchase": (0.1, 40.0),
    "mule_transfer": (0.05, 1.0),
    "mule_withdrawal": (0.05, 1.0),
}

TRANSFER, PURCHASE = TRANSACTION_TYPES.index("transfer"), TRANSACTION_TYPES.index("purchase")
DEBIT, CREDIT = DIRECTIONS.index("debit"), DIRECTIONS.index("credit")
# Why a payment is stopped: the account or the day's limit does not reach, or (of purchases) the issuer doubts.
PAYMENT_DECLINES = tuple(RESPONSE_CODES.index(word) for word in ("51", "51", "61"))
PURCHASE_DECLINES = tuple(RESPONSE_CODES.index(word) for word in ("51", "51", "05", "59", "61", "65"))

APPROACHED = 12  # customers for each that pays, of whom the richest does; two where nobody is to notice
GANG_MULES = 4  # of this bank, that a gang runs
SAVINGS_ACCOUNT = 1  # number of one's own savings account elsewhere, see traffic.habits
CLAIM_DAYS = 9.0  # after the last row a victim has noticed, at the latest


def check(case: FraudCase) -> list[str]:
    """Somebody pays first, and by the vector's way; mules follow what they can have received; sizes are possible."""
    found: list[str] = []
    kinds = [step.kind for step in case.steps]
    paying = [kind for kind in kinds if kind in BY_VICTIM or kind in BY_CREDENTIALS]
    if kinds[0] in BY_MULE or not paying:
        found.append("the victim's account must pay before a mule has anything")
    by_victim = any(kind in BY_VICTIM for kind in kinds)
    by_credentials = any(kind in BY_CREDENTIALS for kind in kinds)
    if case.vector in CREDENTIAL_VECTORS and (by_victim or not by_credentials):
        found.append(f"{case.vector} uses stolen credentials, the victim pays nothing himself")
    if case.vector not in CREDENTIAL_VECTORS and not by_victim:
        found.append(f"{case.vector} makes the victim pay himself")
    if case.vector not in (*CREDENTIAL_VECTORS, *MIXED_VECTORS) and by_credentials:
        found.append(f"{case.vector} steals no credentials")
    if by_credentials and (case.devices < 1 or case.addresses < 1):
        found.append("who uses stolen credentials has at least 1 device and 1 address")
    seen_payment = seen_large = False
    for number, step in enumerate(case.steps):
        least, most = BOUNDS[step.kind]
        if not least <= step.low <= step.high <= most:
            found.append(f"step {number}: {step.kind} must lie between {least} and {most} times its basis")
        if step.kind in TRIES and seen_large:
            found.append(f"step {number}: a try after the large payments")
        if step.kind in BY_MULE and not seen_payment:
            found.append(f"step {number}: {step.kind} before any transfer can have reached the mule")
        if step.kind == "savings_in" and not any(kind in PAYMENTS for kind in kinds[number:]):
            found.append(f"step {number}: savings are moved in, and no payment follows")
        seen_payment |= step.kind in PAYMENTS
        seen_large |= step.kind in ("victim_payment", "credential_transfer")
    mule = any(kind in BY_MULE for kind in kinds)
    if mule and case.customers < 2:
        found.append("a victim and a mule need at least 2 customers")
    if case.outsiders < 1 and ("mule_transfer" in kinds or (not mule and any(kind in PAYMENTS for kind in kinds))):
        found.append("a payment to elsewhere needs at least 1 outsider")
    if any(kind in PURCHASES for kind in kinds) != (case.merchant_category is not None):
        found.append("merchant_category must be set where a card is used, and only there")
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    """Takes money from the victims' accounts, and out again at the mules', step by step.

    Payments go to mules of this bank if the case has steps of a mule (two rows each: debit, and credit at the mule),
    else to accounts elsewhere. No account sends more than it holds, no mule more than reached him; what finds nothing
    worth sending has no row, but for a victim's first payment. In a population of one there is no mule, and his
    steps fall away.
    """
    rng, population = incident.rng, incident.population
    kinds = [step.kind for step in case.steps]
    inside = any(kind in BY_MULE for kind in kinds) and population.size > 1
    mules = _mules(incident, min(1 + (case.customers >= 5), population.size - 1)) if inside else np.empty(0, np.int64)
    most = max(step.count for step in case.steps if step.kind in BY_VICTIM or step.kind in BY_CREDENTIALS)
    careful = care(incident)
    robbed = _robbed(case, incident, min(max(case.customers - len(mules), 1), most), mules, careful)
    people = np.concatenate([robbed, mules])
    outsiders = outside_accounts(incident, max(case.outsiders, 1))
    home = int(population.country[robbed[0]])
    moments = step_times(case, incident, int(robbed[0]), frozenset(BY_CREDENTIALS), 1 + careful)
    legs = _legs(case, incident, robbed, mules, len(outsiders), careful)
    times = np.concatenate(moments)[[leg.row for leg in legs]]

    own = np.array([leg.own for leg in legs])
    other = np.array([leg.other for leg in legs])  # number of a mule among the people, −1: elsewhere or none
    inner = other >= 0
    first = np.arange(len(legs)) + np.cumsum(inner) - inner
    second = first[inner] + 1  # credit legs stand right after their debit legs
    n = len(legs) + len(second)
    leg_of_row = np.repeat(np.arange(len(legs)), 1 + inner)
    booked = booking_lags(rng, times)
    when = times[leg_of_row]
    when[second] += booked[inner]

    step = np.array([leg.step for leg in legs])[leg_of_row]
    kind_of_row = np.array(kinds)[step]
    types = np.array([TRANSACTION_TYPES.index(STEP_KINDS[kind].transaction_type) for kind in kinds])[step]
    channels = np.array([CHANNELS.index(s.channel) for s in case.steps])[step]
    amounts = np.array([leg.amount for leg in legs], dtype=np.int64)[leg_of_row]
    response = np.array([leg.response for leg in legs])[leg_of_row]
    receipt = np.zeros(n, dtype=bool)
    receipt[second] = True
    customers = people[np.where(receipt, other[leg_of_row], own[leg_of_row])]
    savings = kind_of_row == "savings_in"
    partner = people[np.where(receipt, own[leg_of_row], other[leg_of_row])]
    outside = np.array([leg.outsider for leg in legs])[leg_of_row]
    abroad = countries_seen(case, incident, home, len(outsiders))
    abroad = at_home_when_careful(incident, abroad, home, 0.9 * careful)
    among_us = inner[leg_of_row]
    counterparty = np.where(among_us, population.account[partner], outsiders[outside])
    counterparty = np.where(savings, external_accounts(customers, SAVINGS_ACCOUNT), counterparty)
    counterparty_country = np.where(among_us, population.country[partner], abroad[outside])
    counterparty_country = np.where(savings, population.country[customers], counterparty_country)
    link = np.full(n, -1, dtype=np.int64)
    link[second] = second - 1

    by_mule = receipt | np.isin(kind_of_row, BY_MULE)
    stolen = np.isin(kind_of_row, BY_CREDENTIALS)
    session = _sessions(case, incident, customers, channels, by_mule, stolen, home, careful)
    parts = []
    wired = np.flatnonzero(types == TRANSFER)
    if len(wired):
        filled = transfers(
            population, rng, customers[wired], when[wired], amounts[wired], channels[wired],
            np.where(receipt | savings, CREDIT, DEBIT)[wired], counterparty[wired], counterparty_country[wired],
            response_code=response[wired], link=link[wired],
            device=session.device[wired], ip=session.ip[wired], ip_country=session.ip_country[wired],
        )  # fmt: skip
        parts.append((wired, filled))
    bought = np.flatnonzero(types == PURCHASE)
    if len(bought):
        shops = _shops(case, incident, customers[bought], home, careful)
        endings = population.world.merchant_ending[shops]
        paid = drawn_towards(amounts[bought], usual_amounts(incident, customers[bought], shops), careful)
        paid = np.minimum(paid, population.card_limit[customers[bought]])
        # Whose details are used where he buys himself is not asked for them again.
        stored = rng.random(len(bought)) < 0.5 * careful
        entry = np.where(stored, ENTRY_MODES.index("stored_credential"), usual_entry_mode(rng, channels[bought]))
        # One of his cards, the same throughout.
        card = population.card[people] + (rng.random(len(people)) * population.cards[people]).astype(np.int64)
        filled = card_payments(
            population, rng, customers[bought], shops, when[bought],
            population.world.snap(rng, paid, endings), channels[bought],
            card=card[own[leg_of_row[bought]]],
            entry_mode=entry,
            response_code=response[bought],
            device=session.device[bought], ip=session.ip[bought], ip_country=session.ip_country[bought],
            latitude=session.latitude[bought], longitude=session.longitude[bought],
        )  # fmt: skip
        parts.append((bought, filled))
    counted = np.flatnonzero((types != TRANSFER) & (types != PURCHASE))
    if len(counted):
        filled = cash(
            population, rng, customers[counted], when[counted], amounts[counted], channels[counted], types[counted],
            machines=gang_machines(incident, customers[counted]),
        )  # fmt: skip
        parts.append((counted, filled))
    return assembled(
        n,
        parts,
        {
            "is_fraud": np.array([STEP_KINDS[kind].is_fraud for kind in kinds])[step],
            "case_step": step,
            "incident": incident.number,
            "label_delay_s": np.where(savings, -1, _known_after(rng, when, kinds)),
        },
    )


@dataclass(frozen=True)
class _Leg:
    """One movement: ``own`` and ``other`` number the people (robbed first, then mules), ``other`` −1 is elsewhere."""

    row: int
    step: int
    own: int
    other: int
    outsider: int
    amount: int
    response: int


def _mules(incident: Incident, n: int) -> Array:
    """``n`` different customers whose accounts the gang runs, most of them young or with young accounts."""
    population, gang = incident.population, incident.campaign_rng()
    drawn = np.array(list(dict.fromkeys(gang.integers(0, population.size, 8 * GANG_MULES).tolist())))
    likely = np.isin(population.segment[drawn], [SEGMENTS.index(name) for name in ("student", "young_account")])
    run = np.concatenate([drawn[likely], drawn[~likely]])[:GANG_MULES]
    return np.asarray(incident.rng.permutation(run)[:n])


def _robbed(case: FraudCase, incident: Incident, n: int, mules: Array, careful: float) -> Array:
    """Up to ``n`` victims who are no mules: of the customers approached, the ones with most money pay."""
    each = round(APPROACHED - (APPROACHED - 2) * careful)
    approached = victims(incident, each * n + len(mules), (case.victim_segment,))
    approached = approached[~np.isin(approached, mules)]
    n = min(n, len(approached))
    rounds = approached[: len(approached) // n * n][: each * n].reshape(-1, n)
    richest = np.argmax(incident.population.balance[rounds], axis=0)
    return np.asarray(rounds[richest, np.arange(n)])


def _legs(
    case: FraudCase, incident: Incident, robbed: Array, mules: Array, outsiders: int, careful: float
) -> list[_Leg]:
    """The movements of a case in order, each covered by what its account holds at that moment.

    A loop over legs, since each depends on what the ones before left on the accounts.
    """
    rng, unit = incident.rng, incident.population.world.unit
    rows = sum(step.count for step in case.steps)
    luck, rounding, refusal, code = rng.random((4, rows)).tolist()
    # Large round sums strike; who is careful asks for such sums as everybody sends.
    sums = [usual_sum if hides else chosen_sum for hides in (rng.random(rows) < careful).tolist()]
    purse = _Purse(incident, robbed, mules, rows, careful)
    least = int(20 * unit * (1 - 0.75 * careful))
    payees = len(mules) or outsiders
    turns = [0] * len(robbed)
    legs: list[_Leg] = []
    row = 0
    for number, step in enumerate(case.steps):
        start = row
        row += step.count
        if step.kind in BY_MULE:
            paying = purse.holders(step.count, least)
            payments = Counter(paying)
            for i, mule in zip(range(start, row), paying, strict=False):
                amount = purse.carried(mule, step, luck[i], payments[mule])
                if step.kind == "mule_withdrawal":
                    amount = notes_given(amount, purse.notes[i], purse.limits[mule], careful, step.channel, unit)
                else:
                    amount = sums[i](amount, rounding[i], unit)
                if amount >= min(least, 10 * unit):
                    purse.held[mule] -= amount
                    legs.append(_Leg(i, number, mule, -1, outsiders - 1 - i % outsiders, amount, 0))
            continue
        whole = list(purse.held)
        payments = Counter(i % len(robbed) for i in range(step.count))
        for i in range(start, row):
            victim = (i - start) % len(robbed)
            if step.kind in PURCHASES:
                amount = purse.bought(victim, step, luck[i])
                response = _response(refusal[i], code[i], step.kind, careful, PURCHASE_DECLINES)
                legs.append(_Leg(i, number, victim, -1, 0, amount, response))
                continue
            if step.kind == "savings_in":
                amount = sums[i](purse.saved(i, victim, step, luck[i]), rounding[i], unit)
                purse.held[victim] += amount
                legs.append(_Leg(i, number, victim, -1, 0, amount, 0))
                continue
            if step.kind in TRIES:
                amount = purse.tried(victim, step, luck[i])
            else:
                amount = purse.paid(i, victim, step, luck[i], whole[victim], payments[victim])
            amount = max(sums[i](amount, rounding[i], unit), unit)
            if amount < least // 2 and turns[victim] and step.kind not in TRIES:
                continue  # nothing left that is worth sending
            # The account is changed now and then, when the first one gets known.
            payee = (victim + turns[victim] // 3) % payees
            turns[victim] += 1
            response = 0
            if not len(mules):
                response = _response(refusal[i], code[i], step.kind, careful, PAYMENT_DECLINES)
            if response == 0:
                purse.held[victim] -= amount
                if len(mules):
                    purse.held[len(robbed) + payee] += amount
            other = len(robbed) + payee if len(mules) else -1
            legs.append(_Leg(i, number, victim, other, 0 if len(mules) else payee, amount, response))
    return legs


class _Purse:
    """What every account of an incident holds, and how much of it a step takes. Accounts are numbered as people."""

    def __init__(self, incident: Incident, robbed: Array, mules: Array, rows: int, careful: float) -> None:
        population = incident.population
        people = np.concatenate([robbed, mules])
        self.unit = population.world.unit
        self.balance: list[int] = population.balance[people].tolist()
        self.habit: list[int] = population.habit[people].tolist()
        # What the victims might send, and the mules draw, on an ordinary day: one for each row of the case.
        self.usual: list[float] = usual_transfers(incident, robbed[np.arange(rows) % len(robbed)]).tolist()
        self.notes: list[float] = usual_cash(incident, rows).tolist()
        self.limits: list[int] = population.card_limit[people].tolist()
        self.robbed = len(robbed)
        # Mules carry on what reached them, not their own money.
        self.held: list[int] = self.balance[: self.robbed] + [0] * len(mules)
        self.careful = careful

    def tried(self, victim: int, step: CaseStep, luck: float) -> int:
        """A small payment, drawn towards the victim's own habit by care."""
        return min(int(self._of_habit(victim, step, luck)), max(self.held[victim] // 2, self.unit))

    def bought(self, victim: int, step: CaseStep, luck: float) -> int:
        return max(min(int(self._of_habit(victim, step, luck)), self.limits[victim]), 1)

    def saved(self, row: int, victim: int, step: CaseStep, luck: float) -> int:
        return max(int(self._drawn(row, self.balance[victim] * _inside(step, luck))), 10 * self.unit)

    def paid(self, row: int, victim: int, step: CaseStep, luck: float, whole: int, payments: int) -> int:
        """A share of what the account held before the step, never more than is left."""
        amount = self._drawn(row, whole * min(_inside(step, luck), 0.97 / payments))
        return max(min(int(amount), int(0.98 * self.held[victim])), 0)

    def carried(self, mule: int, step: CaseStep, luck: float, payments: int) -> int:
        return int(self.held[mule] * min(_inside(step, luck), 0.97 if payments == 1 else 1.5 / payments))

    def holders(self, count: int, least: int) -> list[int]:
        """Which mule makes each of ``count`` movements: those with money, the fullest account first."""
        mules = range(self.robbed, len(self.held))
        full = sorted((mule for mule in mules if self.held[mule] >= least), key=lambda mule: -self.held[mule])
        return [full[i % len(full)] for i in range(count)] if full else []

    def _drawn(self, row: int, amount: float) -> float:
        """An amount drawn by care towards what the victim is used to sending at once.

        Less than other sums are: who talks a victim into paying wants all that he has.
        """
        share = self.careful**1.3
        return float(max(amount, 1.0) ** (1 - share) * self.usual[row] ** share)

    def _of_habit(self, victim: int, step: CaseStep, luck: float) -> float:
        return self.habit[victim] * float(_inside(step, luck) ** (1 - 0.6 * self.careful))


def _inside(step: CaseStep, luck: float) -> float:
    """A number in the step's range, evenly by ratio."""
    return float(step.low * (step.high / step.low) ** luck)


def _response(refusal: float, luck: float, kind: str, careful: float, codes: tuple[int, ...]) -> int:
    """The response code: the victim's own payments are seldom stopped, those of strangers more often."""
    stopped = 0.16 - 0.10 * careful if kind in BY_CREDENTIALS else 0.035
    return codes[int(luck * len(codes))] if refusal < stopped else 0


@dataclass(frozen=True)
class _Sessions:
    """Who was where with what, for each row."""

    device: Array
    ip: Array
    ip_country: Array
    latitude: Array
    longitude: Array


def _sessions(
    case: FraudCase, incident: Incident, customers: Array, channels: Array, by_mule: Array, stolen: Array, home: int,
    careful: float,
) -> _Sessions:  # fmt: skip
    """The customer's own device and address, or the offender's: with stolen credentials, and on accounts he runs.

    Where the victim was made to install remote control, stolen credentials are used from his own device.
    """
    rng, population = incident.rng, incident.population
    device = population.device[customers]
    ip = own_addresses(incident, customers, channels)
    ip_country = population.country[customers]
    gang = offender(case, incident, home)
    countries = at_home_when_careful(incident, gang.address_country, home, careful)
    strange = stolen & (rng.random() < 1 - 0.6 * careful)
    strange = np.where(by_mule, rng.random(len(customers)) < 0.6 - 0.4 * careful, strange)
    if len(gang.devices):
        device = np.where(strange, gang.devices[rng.integers(0, len(gang.devices), len(customers))], device)
    if len(gang.addresses):
        used = rng.integers(0, len(gang.addresses), len(customers))
        ip = np.where(strange, gang.addresses[used], ip)
        ip_country = np.where(strange, countries[used], ip_country)
    # A careful thief says where his victim lives.
    far = strange & (rng.random(len(customers)) > careful)
    return _Sessions(
        device=device,
        ip=ip,
        ip_country=ip_country,
        latitude=np.where(far, gang.latitude, population.latitude[customers]),
        longitude=np.where(far, gang.longitude, population.longitude[customers]),
    )


def _shops(case: FraudCase, incident: Incident, customers: Array, home: int, careful: float) -> Array:
    """Merchant positions: the gang's fake shops or the sellers of its codes, and whatever is easily sold on.

    With care, more and more of it is bought where these customers buy anyway.
    """
    rng = incident.rng
    country = merchant_country(case, incident, home)
    few = gang_merchants(
        incident, min(max(case.outsiders, 1), 4), online=True, mcc=case.merchant_category, country=country
    )
    gang = few[(rng.random(len(customers)) ** 1.7 * len(few)).astype(np.int64)]
    usual = usual_shops(incident, customers, np.ones(len(customers), dtype=bool))
    return np.asarray(np.where(rng.random(len(customers)) < 0.8 * careful, usual, gang))


def _known_after(rng: np.random.Generator, when: Array, kinds: list[str]) -> Array:
    """Seconds until the bank knows of each row. One report ends an incident, and leads to the mules.

    It is an alert, within hours, in half of the cases of stolen credentials; else the victim's claim, within days.
    """
    claim, alert = between(rng, 6 * 3600, CLAIM_DAYS * 86_400, 1), between(rng, 600, 12 * 3600, 1)
    alerted = rng.random() < 0.5 and any(kind in BY_CREDENTIALS for kind in kinds)
    return np.asarray((when[-1] - when) // SECOND_US + int((alert if alerted else claim)[0]))


SCENARIO = Scenario(
    name="phishing",
    title="Phishing",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=12.0,
)
