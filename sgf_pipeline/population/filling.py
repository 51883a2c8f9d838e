"""How an event's columns are filled, for honest and criminal rows alike.

Belongs here: which columns a kind of event has (``NULL_PATTERN``), and the one way to fill them. Traffic and
scenarios both go through these functions, so that no row can be told by its structure. Does not belong here:
when, where and how much (that is behaviour).

All functions take equally long arrays, one entry a row, or scalars where that is said; amounts in minor units,
times in µs UTC; they return columns for ``EventBlock.of``. ``device`` and ``ip`` default to the customer's own,
``ip_country`` to the country of his home. ``channel`` may be a word or an array of codes. Further columns
(``hard_negative``, ``is_fraud``, ...) are the caller's to add to the returned dictionary.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import (
    AUTHENTICATIONS,
    CHANNELS,
    COLUMNS,
    DIRECTIONS,
    ENTRY_MODES,
    EXTERNAL_BASE,
    RESPONSE_CODES,
    TRANSACTION_TYPES,
    code,
)
from sgf_pipeline.population.customers import Population

Array = NDArray[Any]
Columns = dict[str, Array]

CARD = ("card", "merchant", "entry_mode")
PLACE = ("latitude", "longitude")
SESSION = ("device", "ip", "ip_country")
OTHER_SIDE = ("counterparty", "counterparty_country")

NULLABLE = (*CARD, "authentication", *OTHER_SIDE, "link", "dispute_reason", *SESSION, *PLACE)


def _pattern(*always: str, **sometimes: float) -> dict[str, float]:
    return dict.fromkeys(always, 1.0) | sometimes


# A transfer inside the bank reaches the other account this long after it left (µs): at least, and beyond that on the
# mean (exponential). Honest and criminal transfers share the draw, because a lag of its own would tell fraud.
BOOKING_LEAST_US = 300_000
BOOKING_MEAN_US = 4_000_000


# For each (transaction_type, channel): the probability that a nullable column is set; a column that is not named
# is never set. Columns of one session or one place are set together. ``link`` of a transfer is set on the credit
# leg of two rows between our own accounts and only there.
#
# An incoming transfer also names a device and an address: those of the session in which its receiver was told.
# So the pattern does not depend on the direction, which differs between honest and criminal transfers.
NULL_PATTERN: dict[tuple[str, str], dict[str, float]] = {
    ("purchase", "pos"): _pattern(*CARD, "authentication", latitude=0.97, longitude=0.97),
    ("purchase", "ecommerce"): _pattern(*CARD, "authentication", device=0.92, ip=0.92, ip_country=0.92),
    ("purchase", "mobile"): _pattern(*CARD, "authentication", *SESSION, latitude=0.6, longitude=0.6),
    ("verification", "ecommerce"): _pattern(*CARD, "authentication", device=0.92, ip=0.92, ip_country=0.92),
    ("verification", "mobile"): _pattern(*CARD, "authentication", *SESSION, latitude=0.6, longitude=0.6),
    ("refund", "pos"): _pattern(*CARD, "link", latitude=0.97, longitude=0.97),
    ("refund", "ecommerce"): _pattern(*CARD, "link"),
    ("refund", "mobile"): _pattern(*CARD, "link"),
    ("chargeback", "pos"): _pattern(*CARD, "link", "dispute_reason"),
    ("chargeback", "ecommerce"): _pattern(*CARD, "link", "dispute_reason"),
    ("chargeback", "mobile"): _pattern(*CARD, "link", "dispute_reason"),
    ("withdrawal", "atm"): _pattern(*CARD, "authentication", *PLACE),
    ("withdrawal", "branch"): _pattern(*PLACE),
    ("deposit", "atm"): _pattern(*CARD, "authentication", *PLACE),
    ("deposit", "branch"): _pattern(*PLACE),
    ("deposit", "online_banking"): _pattern(*OTHER_SIDE),
    ("transfer", "online_banking"): _pattern(*OTHER_SIDE, device=0.85, ip=0.85, ip_country=0.85, link=0.0),
    ("transfer", "mobile"): _pattern(*OTHER_SIDE, *SESSION, link=0.0),
}

# Kinds that move money towards the account, whatever the caller says; transfers go both ways.
_CREDITS = ("refund", "chargeback", "deposit")

# Shares of how a card is read: our judgement, not a measured source. Card present: contactless leads in Europe,
# magstripe is a remnant.
_POS_ENTRY = (("contactless", 0.78), ("chip", 0.205), ("magstripe", 0.015))
_REMOTE_ENTRY = (("stored_credential", 0.42), ("manual", 0.58))
CONTACTLESS_LIMIT_EUR = 50  # above it a contactless payment asks for the PIN (PSD2 exemption for low values)


def apply_null_pattern(random: np.random.Generator, columns: Columns) -> Columns:
    """Set to null, in place, what ``NULL_PATTERN`` leaves out; returns ``columns``.

    ``columns`` holds ``transaction_type`` and ``channel`` as full arrays, and every column that the pattern may
    keep. Raises ``KeyError`` on a (transaction_type, channel) that does not exist.
    """
    kind, channel = columns["transaction_type"], columns["channel"]
    pair = kind.astype(np.int64) * len(CHANNELS) + channel
    used = np.unique(pair)
    keep = np.zeros((len(TRANSACTION_TYPES) * len(CHANNELS), len(NULLABLE)))
    for number in used:
        words = TRANSACTION_TYPES[number // len(CHANNELS)], CHANNELS[number % len(CHANNELS)]
        if words not in NULL_PATTERN:
            raise KeyError(f"no {words[0]} is made on channel {words[1]}")
        pattern = NULL_PATTERN[words]
        keep[number] = [pattern.get(column, 0.0) for column in NULLABLE]
    # One draw for a session, one for a place: their columns come and go together.
    luck = {"session": random.random(len(pair)), "place": random.random(len(pair))}
    for position, column in enumerate(NULLABLE):
        if column == "link" or column not in columns:
            continue  # a link is set where it is known, see above
        kept = keep[pair, position]
        group = luck["session" if column in SESSION else "place"]
        columns[column] = np.where(group < kept, columns[column], COLUMNS[column].null)
    return columns


def account_columns(population: Population, customers: Array, times: Array) -> Columns:
    """time, customer, account, account_age_days, prior_disputes: what every row has."""
    return {
        "time": times,
        "customer": customers,
        "account": population.account[customers],
        "account_age_days": population.age_days(customers, times),
        "prior_disputes": population.prior_disputes[customers],
    }


def card_payments(
    population: Population,
    random: np.random.Generator,
    customers: Array,
    merchants: Array,
    times: Array,
    amounts: Array,
    channel: str | Array,
    *,
    transaction_type: str | Array = "purchase",
    card: Array | None = None,
    entry_mode: str | Array | None = None,
    authentication: str | Array | None = None,
    response_code: str | Array = "00",
    device: Array | None = None,
    ip: Array | None = None,
    ip_country: Array | None = None,
    latitude: Array | None = None,
    longitude: Array | None = None,
) -> Columns:
    """Purchases and verifications with a card, at merchant positions (not keys).

    ``card`` defaults to the customer's first; ``entry_mode`` and ``authentication`` (words or codes) to what is
    usual for the channel; the position to the shop's (pos) or the customer's home (mobile), give it when he is
    elsewhere.
    """
    world = population.world
    channels = _codes(CHANNELS, channel, len(times))
    present = channels == code(CHANNELS, "pos")
    entry = usual_entry_mode(random, channels) if entry_mode is None else _codes(ENTRY_MODES, entry_mode, len(times))
    if authentication is None:
        authenticated = usual_authentication(random, population, entry, amounts)
    else:
        authenticated = _codes(AUTHENTICATIONS, authentication, len(times))
    near = population.latitude[customers] if latitude is None else latitude
    east = population.longitude[customers] if longitude is None else longitude
    columns = account_columns(population, customers, times) | {
        "transaction_type": _codes(TRANSACTION_TYPES, transaction_type, len(times)),
        "direction": _all(code(DIRECTIONS, "debit"), len(times)),
        "amount": amounts,
        "channel": channels,
        "card": population.card[customers] if card is None else card,
        "merchant": world.merchant_key[merchants],
        "entry_mode": entry,
        "authentication": authenticated,
        "response_code": _codes(RESPONSE_CODES, response_code, len(times)),
        "latitude": _rounded(random, np.where(present, world.merchant_latitude[merchants], near), ~present),
        "longitude": _rounded(random, np.where(present, world.merchant_longitude[merchants], east), ~present),
    }
    columns |= _session(population, customers, device, ip, ip_country)
    return apply_null_pattern(random, columns)


def returns(
    population: Population,
    random: np.random.Generator,
    purchases: Columns,
    rows: Array,
    times: Array,
    amounts: Array,
    *,
    transaction_type: str = "refund",
    dispute_reason: Array | None = None,
) -> Columns:
    """Refunds (or ``chargeback``s, then with ``dispute_reason`` codes) of the purchases at positions ``rows``.

    Customer, card, merchant, channel and entry mode are the purchase's; ``link`` is ``rows``: the caller shifts
    it to where the purchases lie in the block.
    """
    customers = purchases["customer"][rows]
    shop = population.world.position(purchases["merchant"][rows])
    columns = account_columns(population, customers, times) | {
        "transaction_type": _codes(TRANSACTION_TYPES, transaction_type, len(rows)),
        "direction": _all(code(DIRECTIONS, "credit"), len(rows)),
        "amount": amounts,
        "channel": purchases["channel"][rows],
        "card": purchases["card"][rows],
        "merchant": purchases["merchant"][rows],
        "entry_mode": purchases["entry_mode"][rows],
        "response_code": _all(code(RESPONSE_CODES, "00"), len(rows)),
        "link": np.asarray(rows, dtype=np.int64),
        "latitude": population.world.merchant_latitude[shop],
        "longitude": population.world.merchant_longitude[shop],
    }
    if dispute_reason is not None:
        columns["dispute_reason"] = dispute_reason
    return apply_null_pattern(random, columns)


def cash(
    population: Population,
    random: np.random.Generator,
    customers: Array,
    times: Array,
    amounts: Array,
    channel: str | Array,
    transaction_type: str | Array,
    *,
    machines: Array | None = None,
    card: Array | None = None,
    entry_mode: str | Array | None = None,
    response_code: str | Array = "00",
) -> Columns:
    """Cash taken out (``withdrawal``, debit) or paid in (``deposit``, credit), on channel atm or branch.

    ``machines`` are merchant positions of cash machines (for rows of a branch: of the quarter it lies in); by
    default one of the customer's city.
    """
    world = population.world
    kinds = _codes(TRANSACTION_TYPES, transaction_type, len(times))
    paid_in = kinds == code(TRANSACTION_TYPES, "deposit")
    if machines is None:
        machines = world.pick_in_city(random, population.city[customers], atm=True)
    if entry_mode is None:
        swiped = random.random(len(times)) < 0.01
        entry = np.where(swiped, code(ENTRY_MODES, "magstripe"), code(ENTRY_MODES, "chip"))
        tapped = ~swiped & (random.random(len(times)) < 0.12)
        entry = np.where(tapped, code(ENTRY_MODES, "contactless"), entry)
    else:
        entry = _codes(ENTRY_MODES, entry_mode, len(times))
    columns = account_columns(population, customers, times) | {
        "transaction_type": kinds,
        "direction": np.where(paid_in, code(DIRECTIONS, "credit"), code(DIRECTIONS, "debit")),
        "amount": amounts,
        "channel": _codes(CHANNELS, channel, len(times)),
        "card": population.card[customers] if card is None else card,
        "merchant": world.merchant_key[machines],
        "entry_mode": entry,
        "authentication": _all(code(AUTHENTICATIONS, "pin"), len(times)),
        "response_code": _codes(RESPONSE_CODES, response_code, len(times)),
        "latitude": world.merchant_latitude[machines],
        "longitude": world.merchant_longitude[machines],
    }
    return apply_null_pattern(random, columns)


def transfers(
    population: Population,
    random: np.random.Generator,
    customers: Array,
    times: Array,
    amounts: Array,
    channel: str | Array,
    direction: str | Array,
    counterparty: Array,
    counterparty_country: Array,
    *,
    transaction_type: str | Array = "transfer",
    response_code: str | Array = "00",
    link: Array | None = None,
    device: Array | None = None,
    ip: Array | None = None,
    ip_country: Array | None = None,
) -> Columns:
    """One leg of each transfer, seen from ``customers``; ``counterparty`` is an account key.

    With ``transaction_type="deposit"`` (channel online_banking, direction credit) it is a salary or pension. For
    money between two of our customers call it twice, the second time with ``link`` to the debit legs.
    """
    columns = account_columns(population, customers, times) | {
        "transaction_type": _codes(TRANSACTION_TYPES, transaction_type, len(times)),
        "direction": _codes(DIRECTIONS, direction, len(times)),
        "amount": amounts,
        "channel": _codes(CHANNELS, channel, len(times)),
        "response_code": _codes(RESPONSE_CODES, response_code, len(times)),
        "counterparty": counterparty,
        "counterparty_country": counterparty_country,
    }
    if link is not None:
        columns["link"] = link
    columns |= _session(population, customers, device, ip, ip_country)
    return apply_null_pattern(random, columns)


def external_accounts(customers: Array, number: Array | int) -> Array:
    """Account keys elsewhere that belong to a customer's own circle: his landlord, his friends (``number`` 0–63).

    Keys from ``EXTERNAL_BASE + (1 << 36)`` on are companies that many pay (``company_accounts``); scenarios use
    keys from ``EXTERNAL_BASE + (1 << 38)`` on.
    """
    return np.asarray(EXTERNAL_BASE + customers * 64 + number)


def company_accounts(country: Array, number: Array) -> Array:
    """Account keys of employers, utilities and insurers: ``number`` (0 to 2^20 - 1) within a country (its index)."""
    return np.asarray(EXTERNAL_BASE + (1 << 36) + (country.astype(np.int64) << 20) + number)


# Companies that many customers pay or are paid by, of each country: how many there are, and how business gathers at
# the first of them (the power of a uniform number). Their accounts are numbered in this order.
COMPANIES = {"employer": (4000, 5), "utility": (60, 2), "dealer": (400, 3), "landlord": (150, 2), "carer": (300, 1)}


def companies(trade: str, country: Array, luck: Array) -> Array:
    """Account keys of companies of one of the ``COMPANIES``; ``luck`` in [0, 1), equal luck is an equal company."""
    names = list(COMPANIES)
    first = sum(COMPANIES[name][0] for name in names[: names.index(trade)])
    number, power = COMPANIES[trade]
    return company_accounts(country, first + (number * luck**power).astype(np.int64))


OFFENDER_ACCOUNTS = EXTERNAL_BASE + (1 << 38)


def usual_entry_mode(random: np.random.Generator, channels: Array) -> Array:
    """Codes of how cards are usually read on the given channels (codes)."""
    luck = random.random(len(channels))
    present = np.where(
        luck < _POS_ENTRY[0][1],
        code(ENTRY_MODES, "contactless"),
        np.where(luck < _POS_ENTRY[0][1] + _POS_ENTRY[1][1], code(ENTRY_MODES, "chip"), code(ENTRY_MODES, "magstripe")),
    )
    stored, manual = code(ENTRY_MODES, "stored_credential"), code(ENTRY_MODES, "manual")
    remote = np.where(luck < _REMOTE_ENTRY[0][1], stored, manual)
    return np.where(channels == code(CHANNELS, "pos"), present, remote).astype(np.int8)


def usual_authentication(
    random: np.random.Generator, population: Population, entry_modes: Array, amounts: Array
) -> Array:
    """Codes of how holders are usually authenticated, by entry mode (codes) and amount.

    Chip: PIN nearly always. Contactless: PIN above the limit, none below. Keyed online: 3-D Secure, challenged more
    often for larger amounts, or exempt when small; stored credentials: mostly exempt (merchant initiated).
    """
    luck = random.random(len(entry_modes))
    euros = amounts / population.world.eur
    pin, none = code(AUTHENTICATIONS, "pin"), code(AUTHENTICATIONS, "none")
    challenge = code(AUTHENTICATIONS, "three_ds_challenge")
    frictionless, exempt = code(AUTHENTICATIONS, "three_ds_frictionless"), code(AUTHENTICATIONS, "exempt")
    tapped = np.where(euros > CONTACTLESS_LIMIT_EUR, np.where(luck < 0.9, pin, none), np.where(luck < 0.12, pin, none))
    small = euros < 30
    keyed = np.where(
        luck < 0.10,
        none,
        np.where(
            small,
            np.where(luck < 0.45, exempt, np.where(luck < 0.80, frictionless, challenge)),
            np.where(luck < 0.18, exempt, np.where(luck < 0.52, frictionless, challenge)),
        ),
    )
    stored = np.where(luck < 0.62, exempt, np.where(luck < 0.84, frictionless, np.where(luck < 0.92, challenge, none)))
    by_mode = {
        "chip": np.where(luck < 0.95, pin, none),
        "contactless": tapped,
        "magstripe": np.where(luck < 0.4, pin, none),
        "manual": keyed,
        "stored_credential": stored,
    }
    choices = np.stack([by_mode[mode] for mode in ENTRY_MODES])
    return choices[np.asarray(entry_modes, dtype=np.int64), np.arange(len(luck))].astype(np.int8)


def _session(
    population: Population, customers: Array, device: Array | None, ip: Array | None, ip_country: Array | None
) -> Columns:
    return {
        "device": population.device[customers] if device is None else device,
        "ip": population.ip[customers] if ip is None else ip,
        "ip_country": population.country[customers] if ip_country is None else ip_country,
    }


def _rounded(random: np.random.Generator, degrees: Array, wobbles: Array) -> Array:
    """Two decimals (about a kilometre), a phone's position wandering some kilometres about."""
    return np.round(degrees + np.where(wobbles, random.normal(0, 0.02, len(degrees)), 0.0), 2)


def _codes(words: tuple[str, ...], value: str | Array, n: int) -> Array:
    return _all(code(words, value), n) if isinstance(value, str) else np.broadcast_to(np.asarray(value, np.int8), (n,))


def _all(value: int, n: int) -> Array:
    return np.full(n, value, dtype=np.int8)
