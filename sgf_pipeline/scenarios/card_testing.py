"""Card testing: stolen card numbers are tried with tiny or zero amounts, and the live ones are then spent.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public descriptions by card
schemes and acquirers (enumeration attacks, account testing, donation-page probing).
"""

import numpy as np

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import (
    AUTHENTICATIONS,
    CHANNELS,
    ENTRY_MODES,
    RESPONSE_CODES,
    TRANSACTION_TYPES,
    EventBlock,
)
from sgf_pipeline.population.filling import card_payments, usual_entry_mode
from sgf_pipeline.scenarios.base import Incident, Scenario, StepKind, Vector
from sgf_pipeline.scenarios.playing import (
    Array,
    Offender,
    between,
    care,
    gang_merchants,
    known_shops,
    merchant_country,
    offender,
    own_addresses,
    proxies,
    step_times,
    usual_amounts,
    usual_shops,
    victims,
)

ONLINE = ("ecommerce", "mobile")

VECTORS = {
    "bin_enumeration": Vector(
        "a bot runs through card numbers of one issuer range", ONLINE, tempos=("burst", "steady")
    ),
    "stolen_list_validation": Vector("a bought list of card numbers is checked before use", ONLINE),
    "donation_probe": Vector("a charity's payment page is misused as a checker", ONLINE),
    "zero_amount_probe": Vector("account verifications of zero find live cards without a charge", ONLINE),
    "digital_goods_trial": Vector("cheap downloads and credits prove that a card works", ONLINE),
    "wallet_enrolment_probe": Vector("cards are enrolled in a wallet, each with a small charge", ("mobile",)),
    "subscription_trial": Vector("free or one-unit trials are opened with each card", ONLINE),
    "merchant_gateway_takeover": Vector(
        "a small shop's stolen gateway key is used to send authorisations", ("ecommerce",),
        sophistications=("medium", "high"),
    ),
    "unattended_terminal_probe": Vector(
        "cloned cards are tried at unattended terminals before larger use", ("pos",),
        tempos=("steady", "slow"), geographies=("domestic", "cross_border"),
    ),
}  # fmt: skip

STEP_KINDS = {
    "verification": StepKind("zero or one-unit account verification", True, False, "verification", ONLINE, ("unit",)),
    "unit_test": StepKind("purchase of exactly one unit", True, False, "purchase", (*ONLINE, "pos"), ("unit",)),
    "micro_purchase": StepKind("purchase of 0.05 to 2 units", True, False, "purchase", (*ONLINE, "pos"), ("unit",)),
    "spend": StepKind(
        "real purchase on a card that passed", True, False, "purchase", (*ONLINE, "pos"), ("habit",)
    ),
}  # fmt: skip

TESTS = ("verification", "unit_test", "micro_purchase")

TYPES = {name: TRANSACTION_TYPES.index(kind.transaction_type) for name, kind in STEP_KINDS.items()}
APPROVED = RESPONSE_CODES.index("00")
MANUAL, STORED = ENTRY_MODES.index("manual"), ENTRY_MODES.index("stored_credential")
CHALLENGE, FRICTIONLESS = (AUTHENTICATIONS.index(f"three_ds_{word}") for word in ("challenge", "frictionless"))

# Why a tested card is refused: do not honour, wrong security code, no funds, expired, and rarer ones. Our judgement.
_TEST_DECLINES = {"05": 0.42, "N7": 0.18, "51": 0.17, "54": 0.13, "59": 0.04, "65": 0.03, "61": 0.02, "55": 0.01}
_HONEST_DECLINES = {"05": 0.26, "N7": 0.10, "51": 0.36, "54": 0.09, "59": 0.06, "65": 0.07, "61": 0.05, "55": 0.01}
TEST_DECLINES = np.array([RESPONSE_CODES.index(word) for word in _TEST_DECLINES])
SPEND_DECLINES = np.array([RESPONSE_CODES.index(word) for word in ("51", "51", "05", "59", "61", "65")])

# Of the most careful: how often a row looks like everyday shopping, how often a session shows the holder's device, and
# how often an address in his country; others less, the careless never. And how many units a test may cost.
HIDDEN, CLONED, NEAR = 0.9, 0.7, 0.95
MOST_TESTED = 20

# What tests of at most this many units are like in any shard, whatever its cases: how many ask for exactly one unit,
# for nothing (terminals cannot), and how many cards are live. Our judgement, within what the realism report wants.
TINY_UNITS = 2
ONE, ZERO, LIVE = 0.3, 0.088, 0.51
STAY_TINY = 0.36  # of an incident's tests, at least, however careful the offender

# Fractional parts of the multiples of these spread any number of incidents evenly, in all three at once.
EVEN_STEPS = (0.8191725134, 0.6710436067, 0.5497004779)

# ISO 18245 categories whose goods are easily sold on: electronics, computers, jewellery, sports shoes, perfume,
# department stores, marketplaces, game credits, gift codes.
RESALE_GOODS = ("5732", "5045", "5944", "5661", "5941", "5977", "5311", "5399", "5816", "5818")


def check(case: FraudCase) -> list[str]:
    """Tests come first and are tiny; spending follows, at least as large as half the victim's habit."""
    found: list[str] = []
    if case.steps[0].kind not in TESTS:
        found.append("the first step must be a test")
    if case.customers < 3:
        found.append(f"customers is {case.customers}: at least 3 cards are tried")
    if not 1 <= case.devices <= 8 or not 1 <= case.addresses <= 12:
        found.append("devices must be 1 to 8 and addresses 1 to 12")
    if case.merchant_category is None:
        found.append("merchant_category must be set")
    seen_spend = False
    for number, step in enumerate(case.steps):
        if step.kind in TESTS:
            if seen_spend:
                found.append(f"step {number}: a test after spending")
            if step.high > 2:
                found.append(f"step {number}: a test of {step.high} units is no test: at most 2")
            if step.kind == "unit_test" and (step.low != 1 or step.high != 1):
                found.append(f"step {number}: unit_test must be exactly 1 unit")
            if step.kind == "micro_purchase" and step.low < 0.05:
                found.append(f"step {number}: micro_purchase starts at 0.05 units")
            if step.kind == "verification" and (step.low, step.high) not in ((0, 0), (1, 1), (0, 1)):
                found.append(f"step {number}: verification must be 0 or 1 unit")
        else:
            seen_spend = True
            if step.low < 0.5 or step.high > 30:
                found.append(f"step {number}: spend must lie between 0.5 and 30 times the habit")
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    """Tries every card in turn, some of them twice, and spends on those that passed.

    Rows: those of the case's steps, in time order; fewer cards where the population has fewer customers. About
    half of the tests pass. The more careful the offender, the more tests look like small purchases in shops that
    everybody uses, and the more spends are made in the victim's own shops, for what he pays there, from his city.
    """
    rng, population = incident.rng, incident.population
    careful = care(incident)
    cards = victims(incident, case.customers, (case.victim_segment,))
    home = int(population.country[cards[0]])
    gang = offender(case, incident, home)
    moments = step_times(case, incident, int(cards[0]), frozenset(TESTS), 1 + 3 * careful)
    counts = [step.count for step in case.steps]
    step = np.repeat(np.arange(len(counts)), counts)
    test = np.array([s.kind in TESTS for s in case.steps])[step]
    n, tests = len(step), int(np.count_nonzero(test))

    tried, passed, codes = _tests(incident, careful, tests, len(cards), spends=n > tests)
    # Only what passed is worth spending on; a few cards get most of it.
    live = np.array(sorted(set(tried[passed].tolist())), dtype=np.int64)
    rng.shuffle(live)
    used = live[: max(1, round(0.7 * (n - tests)))]
    card = np.concatenate([tried, used[rng.integers(0, len(used), n - tests)] if n > tests else tried[:0]])
    declined = rng.random(n - tests) > 0.82 + 0.12 * careful
    spend_codes = np.where(declined, SPEND_DECLINES[rng.integers(0, len(SPEND_DECLINES), n - tests)], APPROVED)
    response = np.concatenate([np.where(passed, APPROVED, codes), spend_codes])

    channels = np.array([CHANNELS.index(s.channel) for s in case.steps])[step]
    customers = cards[card]
    hidden = rng.random(n) < HIDDEN * careful
    hidden[0] = False  # the shop that gives the case its name is tried in any case
    shops = _shops(case, incident, customers, channels, test, hidden, merchant_country(case, incident, home))
    device, address, address_country, north, east = _sessions(incident, careful, gang, customers, channels)
    amounts = _amounts(case, incident, careful, step, customers, shops, hidden, channels)
    columns = card_payments(
        population, rng, customers, shops, np.concatenate(moments),
        amounts, channels,
        transaction_type=_types(case, step, test, amounts, population.world.unit),
        card=population.card[customers] + _card_number(rng, population.cards[cards])[card],
        entry_mode=_entry_modes(incident, channels, hidden),
        response_code=response,
        device=device,
        ip=address,
        ip_country=address_country,
        latitude=north,
        longitude=east,
    )  # fmt: skip
    # Whoever holds a stolen number cannot answer a challenge: what was challenged and passed was not challenged.
    challenged = (columns["authentication"] == CHALLENGE) & (response == APPROVED)
    columns["authentication"] = np.where(challenged, FRICTIONLESS, columns["authentication"])
    alert, claim = between(rng, 600, 8 * 3600, n), between(rng, 6 * 3600, 9 * 86_400, n)
    return EventBlock.of(
        n,
        columns
        | {
            "is_fraud": True,
            "case_step": step,
            "incident": incident.number,
            "label_delay_s": np.where(test, alert, claim).astype(np.int64),
        },
    )


def _entry_modes(incident: Incident, channels: Array, hidden: Array) -> Array:
    """Codes: as usual, but whoever hides keeps the card in the shop, as most of its customers do."""
    entry = usual_entry_mode(incident.rng, channels)
    kept = hidden & (entry == MANUAL) & (incident.rng.random(len(entry)) < 0.7)
    return np.where(kept, STORED, entry)


def _types(case: FraudCase, step: Array, test: Array, amounts: Array, unit: int) -> Array:
    """Codes: what the steps say, but a test of nothing is a verification, and one that is neither that nor of one
    unit is a purchase.
    """
    types = np.array([TYPES[s.kind] for s in case.steps])[step]
    types = np.where(test & (amounts == 0), TYPES["verification"], types)
    return np.where(test & (amounts != 0) & (amounts != unit), TYPES["micro_purchase"], types)


def _amounts(
    case: FraudCase, incident: Incident, careful: float, step: Array, customers: Array, shops: Array, hidden: Array,
    channels: Array,
) -> Array:  # fmt: skip
    """Minor units. Tests are of nothing, of one unit, or tiny, growing with care; spends sized by the habit, or,
    where hidden, by what the victim pays in such a shop.

    The case says which tests ask for nothing or one unit first, not how many do: a shard has too few cases for that.
    """
    rng, population, world = incident.rng, incident.population, incident.population.world
    n = len(step)
    low, high = np.array([(s.low, s.high) for s in case.steps])[step].T
    kinds = np.array([s.kind for s in case.steps])[step]
    test, verified = kinds != "spend", kinds == "verification"
    luck = rng.random(n)
    ending = world.merchant_ending[shops]
    usual = usual_amounts(incident, customers, shops)
    free = np.zeros(n, dtype=np.int8)

    # Shops have prices of their own: what is not of exactly one unit is somewhat less or more.
    around = (0.2 + 1.6 * luck) * world.unit
    tiny = np.where(kinds == "micro_purchase", (low + luck * (high - low)) * world.unit, around)
    share = careful * rng.random(n) ** 0.5
    most = MOST_TESTED * world.unit
    dear = np.maximum(tiny, 1) ** (1 - share) * usual**share
    dear = np.where(dear < most, dear, most * (0.2 + 0.8 * luck))
    dear = np.minimum(world.snap(rng, dear, np.where(hidden, ending, free)), most)
    grown = _grown(rng, test, verified, dear > TINY_UNITS * world.unit)
    tiny = np.where(dear <= TINY_UNITS * world.unit, dear, world.snap(rng, tiny, free))
    # Only as many as wanted are of exactly one unit.
    tiny = np.where(tiny == world.unit, world.snap(rng, around, free), tiny)
    tiny = np.where(tiny == world.unit, world.unit - max(1, world.unit // 100), tiny)
    zero, one = _nothing_or_one(incident, np.flatnonzero(test & ~grown), kinds, high, channels)
    tested = np.where(grown, dear, tiny)
    tested[zero] = 0
    tested[one] = world.unit

    # Wide draws are pulled towards the victim's own habit.
    factor = np.maximum(low, 0.01) * (np.maximum(high, 0.01) / np.maximum(low, 0.01)) ** luck
    of_habit = np.where(hidden, usual * factor ** (1 - 0.85 * careful), population.habit[customers] * factor)
    spent = world.snap(rng, np.minimum(of_habit, population.card_limit[customers]), ending)
    return np.where(test, tested, spent).astype(np.int64)


def _grown(rng: np.random.Generator, test: Array, verified: Array, dear: Array) -> Array:
    """Which of the tests that might be dear are so: enough others stay, that verifications can be what they are."""
    tests = int(np.count_nonzero(test))
    # Two more than that: the shares of one unit and of nothing are rounded down as well as up.
    stay = min(tests, max(STAY_TINY * tests, (np.count_nonzero(verified) + 2) / (ONE + ZERO)))
    candidates = rng.permutation(np.flatnonzero(test & ~verified & dear))
    grown = np.zeros(len(test), dtype=bool)
    grown[candidates[: int(tests - stay)]] = True
    return grown


def _nothing_or_one(incident: Incident, tiny: Array, kinds: Array, high: Array, channels: Array) -> tuple[Array, Array]:
    """Which of the ``tiny`` rows ask for nothing, and which for one unit: verifications first, then unit tests."""
    turn = np.select([kinds == "verification", kinds == "unit_test"], [-1.0, 0.0], 0.5) - (high == 0)
    turn = turn[tiny] + incident.rng.random(len(tiny))
    tiny = tiny[np.argsort(turn)]
    remote = tiny[channels[tiny] != CHANNELS.index("pos")]
    zero = remote[: _evenly(incident, ZERO * len(remote), 0)]
    rest = tiny[~np.isin(tiny, zero)]
    return zero, rest[: _evenly(incident, ONE * len(tiny), 1)]


def _evenly(incident: Incident, wanted: float, what: int) -> int:
    """``wanted`` rounded up or down, so that the incidents of a shard together have what they want."""
    return int(wanted + (0.5 + (incident.number + 1) * EVEN_STEPS[what]) % 1.0)


def _sessions(
    incident: Incident, careful: float, gang: Offender, customers: Array, channels: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Device, address, its country, latitude and longitude of each row.

    The gang's own; the more careful, the more often made up to look like the holder's device, and behind a proxy in
    his country.
    """
    rng, population, n = incident.rng, incident.population, len(customers)
    cloned = rng.random(n) < CLONED * careful
    near = cloned | (rng.random(n) < NEAR * careful)
    device = np.where(cloned, population.device[customers], gang.devices[rng.integers(0, len(gang.devices), n)])
    address = rng.integers(0, len(gang.addresses), n)
    country = population.country[customers]
    ip = np.where(near, proxies(incident, country), gang.addresses[address])
    # Malware on the holder's device sends through his own line.
    through = cloned & (rng.random(n) < 0.5)
    return (
        device,
        np.where(through, own_addresses(incident, customers, channels), ip),
        np.where(near, country, gang.address_country[address]),
        np.where(near, population.latitude[customers], gang.latitude),
        np.where(near, population.longitude[customers], gang.longitude),
    )


def _tests(incident: Incident, careful: float, tests: int, cards: int, *, spends: bool) -> tuple[Array, Array, Array]:
    """For each test in order: the card (numbered as they are first tried), whether it passed, its decline code.

    A card that passed is tried again less often than one that did not; if anything is to be spent, one passes. The
    more careful, the fresher the numbers: what is refused is refused for honest reasons.
    """
    rng = incident.rng
    again = rng.random(tests) < 0.1
    again[0] = False
    known = np.minimum(np.cumsum(~again), cards)  # cards tried up to and including this test
    again |= np.cumsum(~again) > cards
    tried = int(known[-1])
    live = np.zeros(cards, dtype=bool)
    live[rng.permutation(tried)[: _evenly(incident, (LIVE + 0.02 * careful) * tried, 2)]] = True
    pick = (rng.random(tests) * known).astype(np.int64)
    other = (rng.random(tests) * known).astype(np.int64)
    card = np.where(again, np.where(live[pick], other, pick), known - 1)
    # A second look sometimes succeeds where the first failed: funds arrived, another expiry date was guessed.
    passed = np.where(live[card], rng.random(tests) < 0.96, again & (rng.random(tests) < 0.3))
    if spends and not passed.any():
        passed[0] = True
    shares = np.array([list(_TEST_DECLINES.values()), list(_HONEST_DECLINES.values())])
    shares = np.cumsum(shares[0] + (shares[1] - shares[0]) * careful)[:-1]
    return card, passed, TEST_DECLINES[np.searchsorted(shares, rng.random(cards))][card]


def _card_number(rng: np.random.Generator, cards: Array) -> Array:
    """Which of each customer's cards was stolen, counted from 0."""
    return (rng.random(len(cards)) * cards).astype(np.int64)


def _shops(
    case: FraudCase, incident: Incident, customers: Array, channels: Array, test: Array, hidden: Array,
    country: int | None,
) -> Array:  # fmt: skip
    """Merchant positions: tests stay with one or a few shops of the case's category, spends go for resale goods.

    Hidden tests use a few shops that everybody knows or the holder's own, hidden spends his own.
    """
    rng, world = incident.rng, incident.population.world
    shops = np.zeros(len(test), dtype=np.int64)
    pos = channels == CHANNELS.index("pos")
    few = min(max(case.outsiders, 1), 4)
    for here, online in ((pos, False), (~pos, True)):
        trying = np.flatnonzero(test & here)
        if len(trying):
            tried = gang_merchants(incident, few, online=online, mcc=case.merchant_category, country=country)
            shops[trying] = tried[(rng.random(len(trying)) ** 1.7 * few).astype(np.int64)]
        buying = np.flatnonzero(~test & here)
        half = len(buying) // 2
        for part in (buying[:half], buying[half:]):
            if len(part):
                mcc = RESALE_GOODS[rng.integers(0, len(RESALE_GOODS))]
                shops[part] = world.pick_merchants(rng, len(part), online=online, mcc=mcc, country=country)
    # Who hides does not go to shops abroad that the victims do not know.
    home = int(incident.population.country[customers[0]])
    known = known_shops(incident, 4, home)
    few_known = test & ~pos & (rng.random(len(test)) < 0.5)
    usual = np.where(few_known, known[rng.integers(0, len(known), len(test))], usual_shops(incident, customers, ~pos))
    return np.where(hidden, usual, shops)


SCENARIO = Scenario(
    name="card_testing",
    title="Card testing",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=14.0,
)
