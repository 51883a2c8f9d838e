"""Window features: what was known about a row's customer, card, device, merchant … before the row arrived.

Belongs here: ``WINDOW_FEATURES``, the one table of every feature (name, entity, window, meaning, how it is reckoned),
and the small engine of sorted keys and running sums that reckons them all at once. A feature of a row depends only on
that row and on rows of the same entity with a *strictly earlier* ``event_time``, so the same figure can be kept
online; nothing here looks at a label. Does not belong here: what stands in the row itself, or detectors.

Method: rows are sorted once per key by (key, time). A sum over an entity's past is then the difference of two places
in a running sum. Sums are kept in whole numbers (thousandths of the currency unit, 4096ths of a logarithm), so that
they are exact: no figure depends on rows that it does not count, not even in its last digit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sgf_pipeline.domain.errors import InvalidRequestError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US
WINDOWS = {"1h": HOUR_US, "24h": DAY_US, "7d": WEEK_US}

EARTH_RADIUS_KM = 6371.0
_THOUSANDTHS = 1000  # no currency has more than three minor digits
_FIXED_POINT = 4096  # of logarithms, sines and cosines

# The entities of a row, and the column that names each.
ENTITIES = {
    "customer": "customer_id",
    "account": "account_id",
    "card": "card_id",
    "device": "device_id",
    "ip": "ip_address",
    "merchant": "merchant_id",
    "counterparty": "counterparty_account_id",
}
_OTHER_COLUMNS = (
    "transaction_id", "event_time", "transaction_type", "direction", "amount", "channel", "response_code",
    "merchant_category_code", "merchant_country", "counterparty_country", "linked_transaction_id", "ip_country",
    "latitude", "longitude",
)  # fmt: skip


@dataclass(frozen=True)
class WindowFeature:
    """One column of ``window_features``.

    ``entity`` is whose past is looked at, ``window`` how far back (1h, 24h, 7d, "all" = since the log begins, "last"
    = the last earlier row alone). Undefined (NaN) where the row does not name the entity, or where there is no past
    to compare with.
    """

    name: str
    entity: str
    window: str
    meaning: str
    reckon: Callable[["_Log"], Floats]


def window_features(frame: pd.DataFrame, features: Sequence[WindowFeature] | None = None) -> pd.DataFrame:
    """The features of each row: a frame of float64 with ``frame``'s index and one column per feature.

    ``features`` are some of ``WINDOW_FEATURES``, all of them when absent. ``frame`` holds the observable columns of
    the transaction schema, rows in any order; history begins with the frame's own first row. Raises
    ``InvalidRequestError`` when a column is missing.
    """
    missing = [name for name in (*ENTITIES.values(), *_OTHER_COLUMNS) if name not in frame.columns]
    if missing:
        raise InvalidRequestError(f"columns of the frame lack {', '.join(missing)}; pass the transaction's FEATURES.")
    log = _Log(frame)
    wanted = WINDOW_FEATURES if features is None else features
    return pd.DataFrame({feature.name: feature.reckon(log) for feature in wanted}, index=frame.index)


class _Past:
    """Rows sorted by (key, time), and what each row's key had before the row's own microsecond."""

    def __init__(self, codes: Ints, log: "_Log") -> None:
        """``codes`` number the key of each row, -1 where the row has none."""
        self._log = log
        step = log.moments + 1
        place = codes * step + log.rank
        known = np.flatnonzero(codes >= 0)
        self._order = known[np.argsort(place[known], kind="stable")]
        self._sorted = place[self._order]
        self._floor = codes[self._order] * step
        self._first = np.searchsorted(self._sorted, self._floor)
        self._end = np.searchsorted(self._sorted, self._sorted)
        self._starts: dict[int, NDArray[np.intp]] = {}

    def _start(self, window_us: int | None) -> NDArray[np.intp]:
        if window_us is None:
            return self._first
        if window_us not in self._starts:
            since = self._floor + self._log.rank_before(window_us)[self._order]
            self._starts[window_us] = np.searchsorted(self._sorted, since)
        return self._starts[window_us]

    def _spread(self, values: Floats) -> Floats:
        out = np.full(len(self._log.time), np.nan)
        out[self._order] = values
        return out

    def count(self, window_us: int | None = None) -> Floats:
        """Earlier rows of the key within the window."""
        return self._spread((self._end - self._start(window_us)).astype(np.float64))

    def total(self, weights: Ints | Flags, window_us: int | None = None) -> Floats:
        """Sum of whole-number weights over the earlier rows of the key within the window."""
        running = np.concatenate([[0], np.cumsum(weights[self._order], dtype=np.int64)])
        return self._spread((running[self._end] - running[self._start(window_us)]).astype(np.float64))

    def last(self, values: Floats) -> Floats:
        """The value of the key's last earlier row."""
        before = values[self._order[np.maximum(self._end - 1, 0)]]
        return self._spread(np.where(self._end > self._first, before, np.nan))

    def first(self, values: Floats) -> Floats:
        """The value of the key's first row, where that is earlier."""
        return self._spread(np.where(self._end > self._first, values[self._order[self._first]], np.nan))

    def is_first(self) -> Flags:
        """Whether the row is the first of its key; of several in one microsecond the upper one."""
        out = np.zeros(len(self._log.time), bool)
        out[self._order] = np.arange(len(self._order)) == self._first
        return out

    def stretches(self, window_us: int) -> tuple[Flags, Flags]:
        """Rows that begin and rows that end a stretch of the key without a gap longer than the window."""
        moment = self._log.time[self._order]
        new_key = np.diff(self._floor, prepend=-1) != 0
        begins = new_key | (np.diff(moment, prepend=0) > window_us)
        ends = np.roll(begins, -1)
        starts_at, ends_at = np.zeros((2, len(self._log.time)), bool)
        starts_at[self._order], ends_at[self._order] = begins, ends
        return starts_at, ends_at


@dataclass
class _Log:
    """The frame as arrays, and its keys, each sorted once."""

    frame: pd.DataFrame
    _codes: dict[str, Ints] = field(default_factory=dict)
    _pasts: dict[tuple[str, ...], _Past] = field(default_factory=dict)
    _ranks: dict[int, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frame = self.frame
        time = frame["event_time"]
        self.time: Ints = time.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
        self._moments, self.rank = np.unique(self.time, return_inverse=True)
        self.moments = len(self._moments)
        self.seconds: Floats = self.time / 1e6
        amount = frame["amount"].to_numpy(np.float64)
        self.amount = amount
        self.thousandths: Ints = np.rint(amount * _THOUSANDTHS).astype(np.int64)
        self.log_amount: Ints = np.rint(np.log1p(amount) * _FIXED_POINT).astype(np.int64)
        angle = self.time % DAY_US / DAY_US * 2 * np.pi
        self.clock: tuple[Ints, Ints] = (
            np.rint(np.cos(angle) * _FIXED_POINT).astype(np.int64),
            np.rint(np.sin(angle) * _FIXED_POINT).astype(np.int64),
        )
        self.declined: Flags = (frame["response_code"] != "00").to_numpy(bool)
        self.incoming: Flags = (frame["direction"] == "credit").to_numpy(bool) & ~self.declined
        self.outgoing: Flags = (frame["direction"] == "debit").to_numpy(bool) & ~self.declined
        self.is_refund: Flags = (frame["transaction_type"] == "refund").to_numpy(bool)
        self.is_dispute: Flags = (frame["transaction_type"] == "chargeback").to_numpy(bool)
        self.is_verification: Flags = (frame["transaction_type"] == "verification").to_numpy(bool)
        self.located: Flags = frame["latitude"].notna().to_numpy(bool) & frame["longitude"].notna().to_numpy(bool)

    def rank_before(self, window_us: int) -> Ints:
        """For each row, the number of distinct moments that lie before its window opens."""
        if window_us not in self._ranks:
            self._ranks[window_us] = np.searchsorted(self._moments, self._moments - window_us)[self.rank]
        return self._ranks[window_us]

    def code(self, name: str) -> Ints:
        """Numbers for an entity, a column or one of the derived keys; -1 where null."""
        if name not in self._codes:
            if name == "country":
                values = self.frame["merchant_country"].astype(object)
                values = values.where(values.notna(), self.frame["counterparty_country"].astype(object))
            elif name == "amount":
                values = pd.Series(self.thousandths)
            else:
                values = self.frame[ENTITIES.get(name, name)]
            self._codes[name] = pd.factorize(values)[0].astype(np.int64)
        return self._codes[name]

    def by(self, *names: str) -> _Past:
        """The past of a key made of one or more names; rows that lack one of them are not in it."""
        if names not in self._pasts:
            codes = self.code(names[0])
            for name in names[1:]:
                other = self.code(name)
                pair = np.where((codes < 0) | (other < 0), -1, codes * (other.max(initial=0) + 1) + other)
                codes = pd.factorize(np.where(pair < 0, -1, pair))[0].astype(np.int64)
                codes = np.where(pair < 0, -1, codes)
            self._pasts[names] = _Past(codes, self)
        return self._pasts[names]

    def located_by(self, name: str) -> _Past:
        """The past of a key among rows with a place alone."""
        key = (name, "located")
        if key not in self._pasts:
            self._pasts[key] = _Past(np.where(self.located, self.code(name), -1), self)
        return self._pasts[key]

    # What several features share.

    def since_last(self, *names: str) -> Floats:
        """Seconds since the key's last row."""
        return self.seconds - self.by(*names).last(self.seconds)

    def since_first(self, *names: str) -> Floats:
        """Seconds since the key's first row."""
        return self.seconds - self.by(*names).first(self.seconds)

    def money(self, name: str, window_us: int | None = None, of: Flags | None = None) -> Floats:
        """Currency units that the key's earlier rows moved."""
        weights = self.thousandths if of is None else self.thousandths * of
        return self.by(name).total(weights, window_us) / _THOUSANDTHS

    def share(self, name: str, of: Flags, window_us: int | None = None) -> Floats:
        """Share of the key's earlier rows that carry a flag."""
        return _ratio(self.by(name).total(of, window_us), self.by(name).count(window_us))

    def habit(self, name: str, other: str) -> Floats:
        """Share of the key's earlier rows that agree with this row in another column."""
        return _ratio(self.by(name, other).count(), self.by(name).count())

    def distinct(self, name: str, of: str, window_us: int | None = None) -> Floats:
        """How many different values of ``of`` the key's earlier rows hold."""
        pair = self.by(name, of)
        if window_us is None:
            return self.by(name).total(pair.is_first())
        # A value is in the window while a stretch of its rows, each within a window's length of the next, goes on.
        begins, ends = pair.stretches(window_us)
        past = self.by(name)
        return past.total(begins) - (past.total(ends) - past.total(ends, window_us))

    def others(self, name: str, window_us: int | None = None) -> Floats:
        """How many customers other than the row's own used the key."""
        own = self.by(name, "customer_id").count(window_us) > 0
        return self.distinct(name, "customer_id", window_us) - own

    def oddity(self, *names: str) -> Floats:
        """ln(1 + amount) against the key's earlier rows, in their standard deviations (at least 0.1; from 3 rows)."""
        past = self.by(*names)
        rows = past.count()
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = past.total(self.log_amount) / rows
            spread = np.sqrt(np.maximum(past.total(self.log_amount**2) / rows - mean**2, 0))
            oddity = (self.log_amount - mean) / np.maximum(spread, 0.1 * _FIXED_POINT)
        return np.where(rows >= 3, oddity, np.nan)

    def times_mean(self, *names: str) -> Floats:
        """Amount over the mean amount of the key's earlier rows."""
        past = self.by(*names)
        return _ratio(self.amount, _ratio(past.total(self.thousandths) / _THOUSANDTHS, past.count()))

    def odd_hour(self, name: str) -> Floats:
        """0 = every earlier row at this hour of the day, 1 = no preference, 2 = all twelve hours away."""
        past = self.by(name)
        cosine, sine = self.clock
        agreement = cosine * past.total(cosine) + sine * past.total(sine)
        return 1 - _ratio(agreement, past.count() * _FIXED_POINT**2)

    def distance_km(self, name: str) -> Floats:
        """Great circle from the key's last located row."""
        latitude = np.radians(self.frame["latitude"].to_numpy(np.float64))
        longitude = np.radians(self.frame["longitude"].to_numpy(np.float64))
        past = self.located_by(name)
        latitude_0, longitude_0 = past.last(latitude), past.last(longitude)
        half = (
            np.sin((latitude - latitude_0) / 2) ** 2
            + np.cos(latitude) * np.cos(latitude_0) * np.sin((longitude - longitude_0) / 2) ** 2
        )
        return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1))))

    def speed_kmh(self, name: str) -> Floats:
        """Distance over the time since that row, of which at least a minute is taken."""
        elapsed = self.seconds - self.located_by(name).last(self.seconds)
        return np.asarray(self.distance_km(name) / np.maximum(elapsed, 60) * 3600)

    def linked(self, values: Floats) -> Floats:
        """The value of the row that ``linked_transaction_id`` names, where that row is earlier."""
        ids = pd.Index(self.frame["transaction_id"])
        place = ids.get_indexer(pd.Index(self.frame["linked_transaction_id"].astype(object)))
        known = (place >= 0) & (self.time[place] < self.time)
        return np.where(known, values[place], np.nan)


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.asarray(np.divide(over, under, out=np.full(len(under), np.nan), where=under > 0))


def _general(entity: str) -> list[WindowFeature]:
    """The features that every entity has."""
    features = [
        WindowFeature(
            f"{entity}_seconds_since_last", entity, "last", f"seconds since the {entity}'s last row",
            lambda log: log.since_last(entity),
        )
    ]  # fmt: skip
    for word, width in WINDOWS.items():
        features += [
            WindowFeature(
                f"{entity}_count_{word}", entity, word, f"rows of the {entity}",
                lambda log, width=width: log.by(entity).count(width),  # type: ignore[misc]
            ),
            WindowFeature(
                f"{entity}_sum_{word}", entity, word, f"amounts of the {entity}'s rows together",
                lambda log, width=width: log.money(entity, width),  # type: ignore[misc]
            ),
        ]  # fmt: skip
    return features


def _met(other: str) -> list[WindowFeature]:
    """How well the customer knows the row's merchant, device …"""
    return [
        WindowFeature(
            f"customer_{other}_count", "customer", "all", f"rows of the customer with this {other}; 0 = first time",
            lambda log: log.by("customer", other).count(),
        ),
        WindowFeature(
            f"customer_{other}_age_s", "customer", "all", f"seconds since the customer first met this {other}",
            lambda log: log.since_first("customer", other),
        ),
    ]  # fmt: skip


def _shared(entity: str) -> list[WindowFeature]:
    """How many other customers use the row's device, address …"""
    return [
        WindowFeature(
            f"{entity}_other_customers", entity, "all", f"other customers seen with this {entity}",
            lambda log: log.others(entity),
        ),
        WindowFeature(
            f"{entity}_other_customers_7d", entity, "7d", f"other customers seen with this {entity}",
            lambda log: log.others(entity, WEEK_US),
        ),
    ]  # fmt: skip


WINDOW_FEATURES: tuple[WindowFeature, ...] = (
    *(feature for entity in ENTITIES for feature in _general(entity)),
    *(feature for other in ("merchant", "device", "ip", "counterparty") for feature in _met(other)),
    *(feature for entity in ("device", "ip", "merchant", "counterparty") for feature in _shared(entity)),
    WindowFeature(
        "customer_count", "customer", "all", "rows of the customer", lambda log: log.by("customer").count()
    ),
    WindowFeature(
        "customer_country_count", "customer", "all", "rows with this merchant's or counterparty's country; 0 = new",
        lambda log: log.by("customer", "country").count(),
    ),
    WindowFeature(
        "customer_ip_country_count", "customer", "all", "rows from this country of the address; 0 = new",
        lambda log: log.by("customer", "ip_country").count(),
    ),
    WindowFeature(
        "customer_mcc_count", "customer", "all", "rows with this merchant category; 0 = new",
        lambda log: log.by("customer", "merchant_category_code").count(),
    ),
    WindowFeature(
        "customer_channel_share", "customer", "all", "share of rows on this channel",
        lambda log: log.habit("customer", "channel"),
    ),
    WindowFeature(
        "customer_type_share", "customer", "all", "share of rows of this transaction_type",
        lambda log: log.habit("customer", "transaction_type"),
    ),
    WindowFeature(
        "customer_odd_hour", "customer", "all", "0 = always at this hour, 1 = no preference, 2 = twelve hours away",
        lambda log: log.odd_hour("customer"),
    ),
    WindowFeature(
        "customer_amount_oddity", "customer", "all",
        "ln(1 + amount) in standard deviations from the customer's rows of this transaction_type",
        lambda log: log.oddity("customer", "transaction_type"),
    ),
    WindowFeature(
        "customer_times_mean", "customer", "all",
        "amount over the mean of the customer's rows of this transaction_type",
        lambda log: log.times_mean("customer", "transaction_type"),
    ),
    WindowFeature(
        "merchant_amount_oddity", "merchant", "all", "ln(1 + amount) in standard deviations from the merchant's rows",
        lambda log: log.oddity("merchant"),
    ),
    WindowFeature(
        "customer_km_from_last", "customer", "last", "great circle from the last located row",
        lambda log: log.distance_km("customer"),
    ),
    WindowFeature(
        "customer_speed_kmh", "customer", "last", "that distance over the time since (at least a minute)",
        lambda log: log.speed_kmh("customer"),
    ),
    WindowFeature(
        "customer_merchants_24h", "customer", "24h", "different merchants",
        lambda log: log.distinct("customer", "merchant_id", DAY_US),
    ),
    WindowFeature(
        "customer_countries_7d", "customer", "7d", "different countries of merchants and counterparties",
        lambda log: log.distinct("customer", "country", WEEK_US),
    ),
    WindowFeature(
        "customer_devices_7d", "customer", "7d", "different devices",
        lambda log: log.distinct("customer", "device_id", WEEK_US),
    ),
    WindowFeature(
        "account_counterparties_24h", "account", "24h", "different accounts on the other side",
        lambda log: log.distinct("account", "counterparty_account_id", DAY_US),
    ),
    WindowFeature(
        "account_counterparties_7d", "account", "7d", "different accounts on the other side",
        lambda log: log.distinct("account", "counterparty_account_id", WEEK_US),
    ),
    WindowFeature(
        "device_cards_24h", "device", "24h", "different cards on the device",
        lambda log: log.distinct("device", "card_id", DAY_US),
    ),
    WindowFeature(
        "merchant_cards_1h", "merchant", "1h", "different cards at the merchant",
        lambda log: log.distinct("merchant", "card_id", HOUR_US),
    ),
    WindowFeature(
        "account_in_24h", "account", "24h", "approved money in", lambda log: log.money("account", DAY_US, log.incoming)
    ),
    WindowFeature(
        "account_out_24h", "account", "24h", "approved money out",
        lambda log: log.money("account", DAY_US, log.outgoing),
    ),
    WindowFeature(
        "account_passed_24h", "account", "24h", "money out, this row's amount too, over money in",
        lambda log: _ratio(
            log.money("account", DAY_US, log.outgoing) + log.amount * log.outgoing,
            log.money("account", DAY_US, log.incoming),
        ),
    ),
    WindowFeature(
        "account_amount_over_in_7d", "account", "7d", "amount over the approved money in",
        lambda log: _ratio(log.amount, log.money("account", WEEK_US, log.incoming)),
    ),
    WindowFeature(
        "account_known_days", "account", "all", "days since the account's first row",
        lambda log: log.since_first("account") / 86_400,
    ),
    WindowFeature(
        "customer_decline_share_24h", "customer", "24h", "share of declined rows",
        lambda log: log.share("customer", log.declined, DAY_US),
    ),
    WindowFeature(
        "card_declines_24h", "card", "24h", "declined rows", lambda log: log.by("card").total(log.declined, DAY_US)
    ),
    WindowFeature(
        "merchant_decline_share_24h", "merchant", "24h", "share of declined rows",
        lambda log: log.share("merchant", log.declined, DAY_US),
    ),
    WindowFeature(
        "card_verifications_24h", "card", "24h", "verifications of the card",
        lambda log: log.by("card").total(log.is_verification, DAY_US),
    ),
    WindowFeature(
        "card_same_amount_24h", "card", "24h", "rows of exactly this amount",
        lambda log: log.by("card", "amount").count(DAY_US),
    ),
    WindowFeature(
        "merchant_same_amount_24h", "merchant", "24h", "rows of exactly this amount",
        lambda log: log.by("merchant", "amount").count(DAY_US),
    ),
    WindowFeature(
        "customer_refunds", "customer", "all", "refunds", lambda log: log.by("customer").total(log.is_refund)
    ),
    WindowFeature(
        "customer_disputes", "customer", "all", "chargebacks", lambda log: log.by("customer").total(log.is_dispute)
    ),
    WindowFeature(
        "merchant_refund_share", "merchant", "all", "share of refunds", lambda log: log.share("merchant", log.is_refund)
    ),
    WindowFeature(
        "merchant_dispute_share", "merchant", "all", "share of chargebacks",
        lambda log: log.share("merchant", log.is_dispute),
    ),
    WindowFeature(
        "linked_age_s", "linked row", "last", "seconds since the purchase or debit leg that this row is linked to",
        lambda log: log.seconds - log.linked(log.seconds),
    ),
    WindowFeature(
        "linked_amount_share", "linked row", "last", "amount over that row's",
        lambda log: _ratio(log.amount, log.linked(log.amount)),
    ),
)  # fmt: skip
