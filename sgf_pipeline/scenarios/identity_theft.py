"""Identity theft: an account opened in a stolen or invented name behaves for weeks, and is then emptied and more.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public descriptions by credit
bureaus, banking supervisors and consumer-protection bodies (bust-out fraud, synthetic identities, forged documents,
identities of the dead and of children, straw men, intercepted mail). Quiet building is not fraud: it is what an honest
young account does, too.
"""

from dataclasses import replace

import numpy as np

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import CHANNELS, DIRECTIONS, ENTRY_MODES, RESPONSE_CODES, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.population.filling import (
    card_payments,
    cash,
    company_accounts,
    external_accounts,
    transfers,
    usual_entry_mode,
)
from sgf_pipeline.population.places import DAY_US, MINUTE_US
from sgf_pipeline.population.world import ATM_MCC, World
from sgf_pipeline.scenarios.base import SEGMENTS, Incident, Scenario, StepKind, Vector
from sgf_pipeline.scenarios.playing import (
    SECOND_US,
    Array,
    assembled,
    at_home_when_careful,
    between,
    care,
    chosen_sum,
    countries_seen,
    drawn_towards,
    gang_merchants,
    merchant_country,
    notes_given,
    offender,
    outside_accounts,
    own_addresses,
    proxies,
    step_times,
    usual_amounts,
    usual_cash,
    usual_shops,
    usual_transfers,
)

ONLINE = ("ecommerce", "mobile")
SHOPS = ("pos", *ONLINE)
REMOTE = ("online_banking", "mobile")
CASH = ("atm", "branch")
NEARBY = ("domestic", "cross_border")

VECTORS = {
    "stolen_identity_card": Vector(
        "the account was opened with somebody's stolen identity card", ("pos", "ecommerce"), geographies=NEARBY
    ),
    "synthetic_identity": Vector(
        "a person who does not exist was put together from real and invented data", ONLINE,
        sophistications=("medium", "high"),
    ),
    "forged_documents": Vector("forged papers and pay slips opened the account", CASH, geographies=NEARBY),
    "deceased_identity": Vector(
        "the account is in the name of somebody who has died", REMOTE, segments=("family", "professional", "senior")
    ),
    "child_identity": Vector(
        "a child's clean record was used as if it were an adult's", ONLINE,
        segments=("student", "family", "young_account"),
    ),
    "recruited_front": Vector(
        "a straw man opened the account for others and handed over card and codes", CASH,
        segments=("student", "senior", "young_account"), geographies=NEARBY,
    ),
    "data_breach_application": Vector("leaked personal data filled in an online application", REMOTE),
    "mail_interception": Vector(
        "card and PIN of an account opened in a neighbour's name were taken from the letter box", ("pos", "ecommerce"),
        geographies=NEARBY,
    ),
}  # fmt: skip

STEP_KINDS = {
    "build_purchase": StepKind("everyday purchase, as anybody's", False, False, "purchase", SHOPS, ("habit",)),
    "build_subscription": StepKind("small monthly subscription", False, False, "purchase", ONLINE, ("unit",)),
    "build_wages": StepKind("wages, or what looks like them", False, False, "deposit", ("online_banking",), ("habit",)),
    "build_deposit": StepKind("some cash is paid in", False, False, "deposit", CASH, ("balance",)),
    "build_transfer_in": StepKind("some money comes from elsewhere", False, False, "transfer", REMOTE, ("balance",)),
    "repayment": StepKind("an instalment or a card bill is paid on time", False, False, "transfer", REMOTE,
                          ("balance",)),
    "goods_purchase": StepKind("goods that are easily sold on", True, False, "purchase", SHOPS, ("balance",)),
    "voucher_purchase": StepKind("gift cards, credits and codes", True, False, "purchase", SHOPS, ("balance",)),
    "cash_withdrawal": StepKind("the line is taken out in cash", True, False, "withdrawal", CASH, ("balance",)),
    "transfer_out": StepKind("the line is sent to an account elsewhere", True, False, "transfer", REMOTE,
                             ("balance",)),
    "false_repayment": StepKind("a payment that will be recalled frees the line once more", True, False, "transfer",
                                REMOTE, ("balance",)),
}  # fmt: skip

QUIET = tuple(name for name, kind in STEP_KINDS.items() if not kind.is_fraud)
DRAIN = ("goods_purchase", "voucher_purchase", "cash_withdrawal", "transfer_out")
BOUGHT = ("goods_purchase", "voucher_purchase")
WIRED = ("build_transfer_in", "transfer_out", "false_repayment")

TYPES = {name: TRANSACTION_TYPES.index(kind.transaction_type) for name, kind in STEP_KINDS.items()}
MANUAL, STORED = ENTRY_MODES.index("manual"), ENTRY_MODES.index("stored_credential")
DEBIT, CREDIT = DIRECTIONS.index("debit"), DIRECTIONS.index("credit")
APPROVED, REFUSED, NO_FUNDS, SUSPECTED, OVER_LIMIT, TOO_OFTEN = (
    RESPONSE_CODES.index(code) for code in ("00", "05", "51", "59", "61", "65")
)

# ISO 18245. Easily sold on: electronics, computers, jewellery, shoes, sports, perfume, fashion, department stores,
# marketplaces. Vouchers: gifts, game and digital credits, department stores. Subscriptions: telecoms, streaming, media,
# apps, boxes, fitness.
RESALE_GOODS = ("5732", "5045", "5944", "5661", "5941", "5977", "5621", "5311", "5399")
VOUCHERS = ("5947", "5816", "5818", "5311")
SUBSCRIPTIONS = ("4814", "4899", "5815", "5817", "5968", "7997")

# Where bust-outs may buy, for explanations call it goods that sell easily, or vouchers and credits. Beside the gang's
# own trades: supermarkets, variety and clothes shops, tools, furniture and homeware, pharmacies, wines, books, toys,
# mail order, tobacco; for vouchers every trade in whose shops they hang on a rack or which sells credits itself. In the
# order in which they are tried where a gang's own trade has no shop.
SELLS_GOODS = (
    "5399", "5311", "5732", "5045", "5944", "5661", "5941", "5977", "5621", "5651", "5641", "5945", "5912",
    "5331", "5411", "5964", "5251", "5719", "5712", "5921", "5942", "5993",
)  # fmt: skip
SELLS_VOUCHERS = (
    "5399", "5311", "5732", "5947", "5816", "5818", "5815", "5817", "5411", "5499", "5331", "5945", "5994", "5993",
    "5942", "5977", "5651", "5661", "5621", "4814", "9402",
)  # fmt: skip

EMPLOYERS, LENDERS = 4000, 60  # numbers of a country's company accounts: employers first, those one pays after them
USUAL_SHOPS = 5
# Of the bust-out's purchases, by the careless and by the careful, are made where the account buys anyhow.
SAME_SHOPS, OWN_SHOPS = 0.3, 0.9
OWN_SHOPS_TRIED = 8  # of the holder's shops, until one sells what is bought
GOLDEN_RATIO = 0.6180339887498949

# Days after the last row until the bank understands: a holder of the name complains soon, nobody complains for a dead
# or invented one until instalments stay unpaid. Our judgement.
FOUND_AFTER_DAYS = {
    "stolen_identity_card": (2, 45),
    "synthetic_identity": (30, 120),
    "forged_documents": (10, 75),
    "deceased_identity": (20, 120),
    "child_identity": (30, 120),
    "recruited_front": (15, 90),
    "data_breach_application": (3, 45),
    "mail_interception": (2, 30),
}

LIMITS = {
    "build_purchase": (0.1, 3.0),  # habits
    "build_subscription": (2.0, 40.0),  # units
    "build_wages": (0.3, 1.3),  # usual wages
    "build_deposit": (0.02, 0.5),  # of the line, as all below
    "build_transfer_in": (0.02, 0.8),
    "repayment": (0.01, 0.4),
    "goods_purchase": (0.02, 1.2),
    "voucher_purchase": (0.02, 0.6),
    "cash_withdrawal": (0.02, 0.8),
    "transfer_out": (0.03, 1.2),
    "false_repayment": (0.2, 1.0),
}


def check(case: FraudCase) -> list[str]:
    """Quiet building comes first, then the bust-out; a false repayment needs something that it repays."""
    found: list[str] = []
    if case.steps[0].kind not in QUIET:
        found.append("the first step must be quiet building")
    if not any(step.kind in DRAIN for step in case.steps):
        found.append("a bust-out needs purchases, cash or transfers out")
    if case.customers > 6:
        found.append(f"customers is {case.customers}: at most 6 accounts are opened together")
    if not 1 <= case.devices <= 8 or not 1 <= case.addresses <= 12:
        found.append("devices must be 1 to 8 and addresses 1 to 12")
    kinds = [step.kind for step in case.steps]
    if case.merchant_category is None and any(kind in BOUGHT for kind in kinds):
        found.append("merchant_category must be set where goods are bought")
    if case.outsiders < 1 and any(kind in WIRED for kind in kinds):
        found.append("a transfer needs at least 1 outsider")
    drained = False
    for number, step in enumerate(case.steps):
        if step.kind in QUIET and drained:
            found.append(f"step {number}: quiet building after the bust-out began")
        if step.kind == "false_repayment" and not drained:
            found.append(f"step {number}: nothing has been taken that could be repaid")
        drained |= step.kind in DRAIN
        low, high = LIMITS[step.kind]
        if step.low < low or step.high > high:
            found.append(f"step {number}: {step.kind} must lie between {low} and {high}")
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    """Lives quietly on one or a few of the youngest accounts, then takes their lines near to the end.

    Rows: those of the case's steps, in time order. The first quiet ones may lie before ``incident.start_us`` and even
    before the period, so that bust-outs are found all over it. The quiet ones carry no ``is_fraud`` and no
    ``label_delay_s``. Fewer accounts take part where the population has fewer customers. What an account can take is
    its line: the card's limit and half of what lies on it. The more careful the offender, the older the accounts, and
    the more the bust-out consists of what the account's holder might do in an expensive week.
    """
    careful = care(incident)
    incident = _opened_earlier(case, incident, careful)
    rng, population = incident.rng, incident.population
    accounts = _young_accounts(case, incident, careful)
    home = int(population.country[accounts[0]])
    gang = offender(case, incident, home)
    moments = step_times(case, incident, int(accounts[0]), frozenset(), _pace(careful))
    times = np.concatenate(moments)
    n = len(times)
    step = np.repeat(np.arange(len(case.steps)), [s.count for s in case.steps])
    channels = np.array([CHANNELS.index(s.channel) for s in case.steps])[step]
    types = np.array([TYPES[s.kind] for s in case.steps])[step]
    fraud = ~_of_kind(case, step, *QUIET)
    which = np.where(fraud, np.arange(n), rng.integers(0, len(accounts), n)) % len(accounts)
    customers = accounts[which]
    line = _lines(incident, careful, accounts)

    country = merchant_country(case, incident, home)
    bought = np.flatnonzero(types == TRANSACTION_TYPES.index("purchase"))
    shops = _shops(case, incident, step, which, accounts, country)
    own, sold = _own_shops(case, incident, step, customers, channels != CHANNELS.index("pos"))
    hidden = fraud & (rng.random(n) < SAME_SHOPS + (OWN_SHOPS - SAME_SHOPS) * careful)
    hidden &= sold | ~_of_kind(case, step, *BOUGHT)
    shops = np.where(hidden, own, shops)
    quiet = np.flatnonzero(~fraud)
    taken = np.flatnonzero(fraud)
    amounts = np.zeros(n, dtype=np.int64)
    response = np.full(n, APPROVED)
    amounts[quiet] = _quiet_amounts(case, incident, step[quiet], customers[quiet], shops[quiet], line[which[quiet]])
    short = (rng.random(n) < 0.03) & _of_kind(case, step, "build_purchase")
    response[short] = NO_FUNDS
    amounts[taken], response[taken] = _bust_out(
        case, incident, careful, step[taken], which[taken], times[taken], accounts, line, shops[taken], hidden[taken]
    )

    # The account has a telephone of its own; the gang's devices appear when there is something to take.
    run = rng.random(n) < np.where(fraud, 0.8 - 0.7 * careful, 0.2 if case.geography == "domestic" else 0.1)
    near = rng.random(n) < 0.9 * careful
    used = rng.integers(0, len(gang.addresses), n)
    device = np.where(run, gang.devices[rng.integers(0, len(gang.devices), n)], population.device[customers])
    theirs = np.where(near, proxies(incident, population.country[customers]), gang.addresses[used])
    ip = np.where(run, theirs, own_addresses(incident, customers, channels))
    ip_country = np.where(run & ~near, gang.address_country[used], population.country[customers])
    north = np.where(run & ~near, gang.latitude, population.latitude[customers])
    east = np.where(run & ~near, gang.longitude, population.longitude[customers])

    parts = []
    if len(bought):
        entry = usual_entry_mode(rng, channels[bought])
        kept = hidden[bought] & (entry == MANUAL) & (rng.random(len(bought)) < 0.6)
        columns = card_payments(
            population, rng, customers[bought], shops[bought], times[bought], amounts[bought], channels[bought],
            card=_cards(rng, population.card[customers[bought]], population.cards[customers[bought]]),
            entry_mode=np.where(kept, STORED, entry), response_code=response[bought],
            device=device[bought], ip=ip[bought], ip_country=ip_country[bought],
            latitude=north[bought], longitude=east[bought],
        )  # fmt: skip
        subscribed = _of_kind(case, step[bought], "build_subscription")
        columns["entry_mode"] = np.where(subscribed, STORED, columns["entry_mode"])
        parts.append((bought, columns))
    counted = np.flatnonzero(_of_kind(case, step, "cash_withdrawal", "build_deposit"))
    if len(counted):
        machines = population.world.pick_in_city(rng, population.city[customers[counted]], atm=True)
        if country is not None and country != home:
            abroad = gang_merchants(incident, 2, online=False, mcc=ATM_MCC, country=country)
            away = fraud[counted] & (channels[counted] == CHANNELS.index("atm"))
            away &= rng.random(len(counted)) < 1 - 0.9 * careful
            machines = np.where(away, abroad[rng.integers(0, len(abroad), len(counted))], machines)
        columns = cash(
            population, rng, customers[counted], times[counted], amounts[counted], channels[counted], types[counted],
            machines=machines, response_code=response[counted],
        )  # fmt: skip
        parts.append((counted, columns))
    wired = np.flatnonzero(_of_kind(case, step, *WIRED, "repayment", "build_wages"))
    if len(wired):
        outgoing = _of_kind(case, step[wired], "transfer_out", "repayment")
        other, other_country = _other_side(case, incident, careful, step[wired], customers[wired], home)
        columns = transfers(
            population, rng, customers[wired], times[wired], amounts[wired], channels[wired],
            np.where(outgoing, DEBIT, CREDIT), other, other_country,
            transaction_type=types[wired], response_code=response[wired],
            device=device[wired], ip=ip[wired], ip_country=ip_country[wired],
        )  # fmt: skip
        parts.append((wired, columns))

    # One discovery explains the whole account: an alert on the spot now and then, else a complaint or unpaid bills.
    alert = rng.random() < 0.3 - 0.25 * careful
    low, high = (1 / 24, 1.0) if alert else FOUND_AFTER_DAYS[case.vector]
    found_us = int(times[-1]) + int(between(rng, low * 86_400, high * 86_400, 1)[0]) * SECOND_US
    return assembled(
        n,
        parts,
        {
            "is_fraud": fraud,
            "case_step": step,
            "incident": incident.number,
            "label_delay_s": np.where(fraud, (found_us - times) // SECOND_US, -1),
        },
    )


def _pace(careful: float) -> float:
    """How much longer than planned steps take."""
    return 1 + careful


def _opened_earlier(case: FraudCase, incident: Incident, careful: float) -> Incident:
    """The incident begun before its start by part of the quiet time: all of it at the start of the period, none at
    its end. Otherwise no bust-out would fall into the period's first weeks.
    """
    quiet_us = 0.0
    for step in case.steps:
        quiet_us += step.wait_minutes * MINUTE_US
        if step.kind not in QUIET:
            break
        quiet_us += step.span_minutes * MINUTE_US * _pace(careful)
    left = (incident.period_end_us - incident.start_us) / (incident.period_end_us - incident.period_start_us)
    return replace(incident, start_us=incident.start_us - int(quiet_us * left))


def _of_kind(case: FraudCase, step: Array, *kinds: str) -> Array:
    """Which rows, given by their steps, are of one of the kinds."""
    return np.array([s.kind in kinds for s in case.steps])[step]


def _young_accounts(case: FraudCase, incident: Incident, careful: float) -> Array:
    """Customers with young accounts of about one age, mostly of the wanted segments, in one country if they can be.

    The hasty take the youngest quarter of all accounts, among which are honest ones enough; the careful let theirs lie
    for years, and are not seen to be younger than most. The golden ratio keeps incidents on different accounts as long
    as there are enough.
    """
    population, rng = incident.population, incident.rng
    pool = min(population.size, max(8 * case.customers, int(population.size * (0.25 + 0.45 * careful))))
    first = (incident.number * GOLDEN_RATIO + 0.05 * rng.random()) % 1.0
    near = (int(first * pool) + np.arange(min(pool, 6 * case.customers - 3))) % pool
    drawn = population.youngest_first[near]
    wanted = np.array([segment in (case.victim_segment, "young_account") for segment in SEGMENTS])
    fits = wanted[population.segment[drawn]] | (rng.random(len(drawn)) < 0.25)
    drawn = np.concatenate([drawn[fits], drawn[~fits]])
    together = population.country[drawn] == population.country[drawn[0]]
    return np.asarray(np.concatenate([drawn[together], drawn[~together]])[: case.customers])


def _lines(incident: Incident, careful: float, accounts: Array) -> Array:
    """What can be taken from each account, minor units; the careful content themselves with 25 usual purchases."""
    population = incident.population
    limit = population.card_limit[accounts]
    line = limit + np.minimum(population.balance[accounts], limit) / 2
    modest = np.minimum(1.0, 25 * population.habit[accounts] / line)
    return np.asarray(np.maximum(line * modest**careful, 100 * population.world.unit))


def _cards(rng: np.random.Generator, first: Array, cards: Array) -> Array:
    """Which card pays: mostly the first one."""
    other = (rng.random(len(first)) * cards).astype(np.int64)
    return first + np.where(rng.random(len(first)) < 0.22, other, 0)


def _shops(
    case: FraudCase, incident: Incident, step: Array, which: Array, accounts: Array, country: int | None
) -> Array:
    """Merchant positions of purchases (0 on other rows): a few usual shops near home while quiet, then the gang's."""
    rng, population = incident.rng, incident.population
    world, home = population.world, int(population.country[accounts[0]])
    shops = np.zeros(len(step), dtype=np.int64)
    few = min(max(case.outsiders, 1), 4)
    favourite = int(incident.campaign_rng().integers(0, 1 << 20))  # the trade in which the gang knows a buyer
    buyer = RESALE_GOODS[favourite % len(RESALE_GOODS)]
    wanted = case.merchant_category if case.merchant_category in SELLS_GOODS else buyer
    known: dict[tuple[str, bool], Array] = {}  # the shops of a kind of purchase, from one step to the next
    for number, (kind, channel, count) in enumerate((s.kind, s.channel, s.count) for s in case.steps):
        online = channel != "pos"
        if STEP_KINDS[kind].transaction_type != "purchase":
            continue
        if (kind, online) not in known:
            if kind == "build_purchase" and online:
                usual = world.pick_merchants(rng, USUAL_SHOPS, online=True, country=home)
            elif kind == "build_purchase":
                usual = world.pick_in_city(rng, np.repeat(population.city[accounts], USUAL_SHOPS))
            elif kind == "build_subscription":
                word = SUBSCRIPTIONS[rng.integers(0, len(SUBSCRIPTIONS))]
                mcc, where = _sold(world, (word, "5399", "5311", "5732"), online, home)
                usual = world.pick_merchants(rng, 3, online=True, mcc=mcc, country=where)
            elif kind == "goods_purchase":
                parts = []
                for word, many in ((buyer, 2), (wanted, few)):
                    mcc, where = _sold(world, (word, *SELLS_GOODS), online, country)
                    parts.append(gang_merchants(incident, many, online=online, mcc=mcc, country=where))
                usual = np.concatenate(parts)
            else:
                word = VOUCHERS[favourite % len(VOUCHERS)]
                mcc, where = _sold(world, (word, *SELLS_VOUCHERS), online, country)
                usual = gang_merchants(incident, few, online=online, mcc=mcc, country=where)
            known[kind, online] = usual
        usual, rows = known[kind, online], step == number
        luck = rng.random(count) ** 1.5
        if kind == "build_purchase" and not online:  # everyone in his own quarter
            shops[rows] = usual[which[rows] * USUAL_SHOPS + (luck * USUAL_SHOPS).astype(np.int64)]
        else:
            shops[rows] = usual[(luck * len(usual)).astype(np.int64)]
    return shops


def _own_shops(
    case: FraudCase, incident: Incident, step: Array, customers: Array, online: Array
) -> tuple[Array, Array]:
    """(a shop a row where its customer might buy himself, whether it sells what the row's step buys).

    The first of a few that does, the last one where none does.
    """
    goods, vouchers = (_of_kind(case, step, kind) for kind in BOUGHT)
    tried = usual_shops(incident, np.repeat(customers, OWN_SHOPS_TRIED), np.repeat(online, OWN_SHOPS_TRIED))
    tried = tried.reshape(len(step), OWN_SHOPS_TRIED)
    sells = incident.population.world.merchant_mcc[tried].astype("U4")
    fits = goods[:, None] & np.isin(sells, SELLS_GOODS)
    fits |= vouchers[:, None] & np.isin(sells, SELLS_VOUCHERS)
    sold = np.asarray(fits.any(axis=1))
    first = np.where(sold, fits.argmax(axis=1), OWN_SHOPS_TRIED - 1)
    return np.asarray(tried[np.arange(len(step)), first]), sold


def _sold(world: World, trades: tuple[str, ...], online: bool, country: int | None) -> tuple[str | None, int | None]:
    """The first of the categories that has shops of that kind (online or at a counter) in the country, else anywhere.

    Else a counter would seem to sell online, which no honest one does. Far countries have no online shops here. A
    world without any such shop, which none of a usual size is, gives (None, None): any shop.
    """
    for place in (country, None):
        for word in trades:
            first = world.pool(online, word, place)[0][0]
            here = place is None or world.merchant_country[first] == place
            if here and word == world.merchant_mcc[first] and world.merchant_online[first] == online:
                return word, place
    return None, None


def _drawn(case: FraudCase, luck: Array, step: Array) -> Array:
    """For each row a multiple of its basis, evenly by ratio between the step's bounds."""
    low, high = np.array([(s.low, s.high) for s in case.steps])[step].T
    return np.asarray(low * (high / low) ** luck)


def _quiet_amounts(
    case: FraudCase, incident: Incident, step: Array, customers: Array, shops: Array, line: Array
) -> Array:
    """Amounts of quiet rows: prices in shops, whole fees, wages to the cent, round sums of cash and transfers."""
    rng, population = incident.rng, incident.population
    world = population.world
    cents = max(1, world.unit // 100)
    factor = _drawn(case, rng.random(len(step)), step)
    # No two baskets are alike, even where the plan names one amount.
    baskets = population.habit[customers] * factor * np.exp(rng.normal(0, 0.4, len(step)))
    prices = world.snap(rng, baskets, world.merchant_ending[shops])
    fees = np.maximum(np.rint(factor), 1) * world.unit - np.where(rng.random(len(step)) < 0.5, cents, 0)
    wages = population.income[customers] * factor + (rng.random(len(step)) * 100).astype(np.int64) * cents
    small = line * factor < 50 * world.unit
    round_to = np.where(_of_kind(case, step, "repayment"), cents, np.where(small, 5, 10) * world.unit)
    sums = np.maximum(np.rint(line * factor / round_to), 1) * round_to
    which = [_of_kind(case, step, f"build_{word}") for word in ("purchase", "subscription", "wages")]
    chosen = np.select(which, [prices, fees, wages], sums)
    return np.asarray(np.rint(chosen), dtype=np.int64)


def _bust_out(
    case: FraudCase, incident: Incident, careful: float, step: Array, which: Array, times: Array, accounts: Array,
    line: Array, shops: Array, hidden: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """(amounts, response codes) of the bust-out's rows: together near the line, what is beyond it refused.

    A loop over rows, since each meets what the ones before left. Who is refused tries less the next time.
    """
    rng, population = incident.rng, incident.population
    world = population.world
    unit = world.unit
    n = len(step)
    # Who hides takes sums of all sizes.
    share = _drawn(case, rng.random(n), step)
    noise = np.exp(rng.normal(0, 0.7 * careful, n))
    kinds = [case.steps[s].kind for s in step]
    machine = [case.steps[s].channel == "atm" for s in step]
    carded = [kind in BOUGHT or atm for kind, atm in zip(kinds, machine, strict=True)]
    drains = _of_kind(case, step, *DRAIN)
    share = np.where(drains, share * noise, share)
    # The plan's shares are brought towards the whole line.
    planned = np.bincount(which, np.where(drains, share, 0), minlength=len(accounts))
    goal = rng.uniform(0.95, 1.55, len(accounts))
    share = np.where(drains, share * np.clip(goal / np.maximum(planned, 1e-9), 0.25, 4.0)[which], share)
    limits = population.card_limit[accounts].tolist()
    left, lines = line.tolist(), line.tolist()
    most_notes = 500 * unit  # of a machine at once
    suspicion = 0.05 - 0.03 * careful
    customers = accounts[which]
    # What the holder himself pays, draws and sends at once: care draws the plan's sums towards it.
    paid = usual_amounts(incident, customers, shops) * np.exp(0.4)
    usual = np.where(_of_kind(case, step, *BOUGHT), paid, usual_transfers(incident, customers)).tolist()
    cashed = usual_cash(incident, n).tolist()
    luck, courage = rng.random(n).tolist(), rng.random(n).tolist()
    doubt = rng.random(n).tolist()
    spent: dict[tuple[int, int], float] = {}
    refusals = [0] * len(accounts)
    amounts, codes = np.zeros(n), np.full(n, APPROVED)
    for i, account in enumerate(which.tolist()):
        if kinds[i] == "false_repayment":
            owed = lines[account] - left[account]
            amounts[i] = max(min(share[i], 1.0) * owed, 0.05 * lines[account])
            left[account] += amounts[i]
            continue
        want = share[i] * lines[account] * 0.6 ** refusals[account]
        if kinds[i] == "cash_withdrawal":
            most = round(most_notes * (0.5 + 0.5 * courage[i]))
            want = float(notes_given(int(want), cashed[i], most, careful, case.steps[step[i]].channel, unit))
        else:
            want = float(drawn_towards(np.asarray(max(want, unit)), usual[i], careful))
        code = APPROVED
        if want > left[account]:
            if luck[i] < 0.5 or left[account] < 0.04 * lines[account]:
                code = NO_FUNDS
            else:
                want = left[account] * (0.5 + 0.45 * courage[i])
        day = account, int(times[i]) // DAY_US
        if code == APPROVED and carded[i]:
            room = limits[account] - spent.get(day, 0.0)
            if want > room:
                if luck[i] < 0.5 or room < 0.05 * limits[account]:
                    code = OVER_LIMIT
                else:
                    want = room * (0.5 + 0.45 * courage[i])
            if doubt[i] < suspicion:
                code = TOO_OFTEN if machine[i] else SUSPECTED if doubt[i] < suspicion / 2 else REFUSED
        amounts[i], codes[i] = max(want, unit), code
        if code == APPROVED:
            left[account] -= want
            refusals[account] = 0
            if carded[i]:
                spent[day] = spent.get(day, 0.0) + want
        else:
            refusals[account] += 1
    goods, notes, vouchers = (
        _of_kind(case, step, kind) for kind in ("goods_purchase", "cash_withdrawal", "voucher_purchase")
    )
    ten = np.where(vouchers, 5, 10) * unit
    round_sums = np.maximum(np.rint(amounts / ten), 1) * ten
    wired = [chosen_sum(int(amount), fortune, unit) for amount, fortune in zip(amounts.tolist(), doubt, strict=True)]
    prices = world.snap(rng, amounts, world.merchant_ending[shops])
    priced = goods | (vouchers & hidden)
    return np.select([priced, notes | vouchers], [prices, round_sums], wired).astype(np.int64), codes


def _other_side(
    case: FraudCase, incident: Incident, careful: float, step: Array, customers: Array, home: int
) -> tuple[Array, Array]:
    """(account keys, countries) of the other side of transfers and wages.

    The bust-out goes to the gang's accounts, which fed some of the accounts before; bills go to companies as anyone's.
    """
    rng = incident.rng
    n = len(step)
    outsiders = outside_accounts(incident, max(case.outsiders, 1))
    abroad = at_home_when_careful(incident, countries_seen(case, incident, home, len(outsiders)), home, careful)
    if len(abroad) > 1:
        abroad[0] = home
    pick = (rng.random(n) ** 2 * len(outsiders)).astype(np.int64)  # mostly the accounts that the whole gang knows
    at_home = np.full(n, home, dtype=np.int16)
    employer = company_accounts(at_home, np.full(n, int(EMPLOYERS * rng.random() ** 2)))
    lender = company_accounts(at_home, np.full(n, EMPLOYERS + int(LENDERS * rng.random() ** 2)))
    friend = external_accounts(customers, 4 + rng.integers(0, 12, n))
    fed = rng.random() < 0.5  # whether the gang itself plays employer and friend, from its first account
    own = {"build_wages": employer, "build_transfer_in": friend, "repayment": lender}
    account, country = outsiders[pick], abroad[pick]
    for kind, others in own.items():
        rows, theirs = _of_kind(case, step, kind), fed and kind != "repayment"
        account = np.where(rows, outsiders[0] if theirs else others, account)
        country = np.where(rows, abroad[0] if theirs else home, country)
    return account, country


SCENARIO = Scenario(
    name="identity_theft",
    title="Identity theft",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=9.0,
)
