"""Window features must say what was known before the row, and nothing else."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.features.windows import ENTITIES, WINDOW_FEATURES, window_features

HOUR, DAY, WEEK = 3_600, 86_400, 7 * 86_400
IDS = tuple(ENTITIES.values())
PARIS_TO_BERLIN_KM = 877.0


def log(rows: int = 150, seed: int = 3) -> pd.DataFrame:
    """A small log of few entities, with nulls, repeats and several rows in one microsecond, in no order of time."""
    deal = rng(seed, "test")

    def some(words: list[Any], nulls: float = 0.0) -> "pd.Series[Any]":
        drawn = pd.Series(deal.choice(np.array(words, dtype=object), rows), dtype=object)
        return drawn.where(pd.Series(deal.random(rows) >= nulls), None)

    seconds = deal.choice([*range(0, 20 * DAY, 9 * HOUR), 50 * HOUR, 50 * HOUR + 600, 51 * HOUR], rows)
    ids = [f"txn_{number}" for number in range(rows)]
    place = deal.choice(np.array([(48.85, 2.35), (52.5, 13.4), (np.nan, np.nan)]), rows)
    event_time = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(seconds, "s").astype("timedelta64[us]")
    return pd.DataFrame(
        {
            "transaction_id": ids,
            "event_time": event_time,
            "customer_id": some(["c1", "c2", "c3"]),
            "account_id": some(["a1", "a2"]),
            "card_id": some(["k1", "k2"], 0.3),
            "device_id": some(["d1", "d2"], 0.4),
            "ip_address": some(["i1", "i2", "i3"], 0.4),
            "merchant_id": some(["m1", "m2", "m3"], 0.3),
            "counterparty_account_id": some(["p1", "p2"], 0.6),
            "transaction_type": some(["purchase", "transfer", "refund", "chargeback", "verification"]),
            "direction": some(["debit", "credit"]),
            "amount": deal.choice([0.0, 1.0, 9.99, 20.0, 250.5], rows),
            "channel": some(["pos", "mobile"]),
            "response_code": some(["00", "00", "05"]),
            "merchant_category_code": some(["5411", "5812"], 0.3),
            "merchant_country": some(["FR", "DE"], 0.3),
            "counterparty_country": some(["IT"], 0.6),
            "linked_transaction_id": some(ids, 0.7),
            "ip_country": some(["FR", "JP"], 0.4),
            "latitude": place[:, 0],
            "longitude": place[:, 1],
        }
    )  # fmt: skip


class Reference:
    """The same questions, asked of one row and the plain list of all rows."""

    def __init__(self, rows: list[dict[str, Any]], me: dict[str, Any]) -> None:
        self.me = me
        self.earlier = sorted((row for row in rows if row["event_time"] < me["event_time"]), key=when)

    def past(self, *columns: str, within: float = np.inf) -> list[dict[str, Any]]:
        return [
            row
            for row in self.earlier
            if when(self.me) - when(row) <= within and all(row[name] == self.me[name] for name in columns)
        ]

    def since(self, *columns: str, first: bool = False) -> float:
        past = self.past(*columns)
        return when(self.me) - when(past[0 if first else -1]) if past else np.nan

    def different(self, key: str, of: str, within: float) -> int:
        return len({row[of] for row in self.past(key, within=within)} - {None})

    def others(self, key: str, within: float = np.inf) -> int:
        return len({row["customer_id"] for row in self.past(key, within=within)} - {self.me["customer_id"]})

    def total(self, key: str, within: float) -> float:
        return float(sum(row["amount"] for row in self.past(key, within=within)))

    def money(self, direction: str, within: float) -> float:
        past = self.past("account_id", within=within)
        return float(sum(r["amount"] for r in past if r["direction"] == direction and r["response_code"] == "00"))

    def share(self, key: str, column: str, word: str, within: float = np.inf) -> float:
        past = self.past(key, within=within)
        return sum(row[column] == word for row in past) / len(past) if past else np.nan

    def oddity(self, *columns: str) -> float:
        logs = np.log1p([row["amount"] for row in self.past(*columns)])
        if len(logs) < 3:
            return np.nan
        return float((np.log1p(self.me["amount"]) - logs.mean()) / max(logs.std(), 0.1))

    def odd_hour(self) -> float:
        hours = np.array([when(row) / HOUR for row in self.past("customer_id")])
        return float(1 - np.cos((hours - when(self.me) / HOUR) / 24 * 2 * np.pi).mean()) if len(hours) else np.nan

    def distance(self) -> float:
        past = [row for row in self.past("customer_id") if not np.isnan(row["latitude"])]
        if not past or np.isnan(self.me["latitude"]):
            return np.nan
        return 0.0 if past[-1]["latitude"] == self.me["latitude"] else PARIS_TO_BERLIN_KM

    def linked(self) -> float:
        links = [row for row in self.earlier if row["transaction_id"] == self.me["linked_transaction_id"]]
        return when(self.me) - when(links[0]) if links else np.nan


def when(row: dict[str, Any]) -> float:
    return float(row["event_time"].timestamp())


REFERENCE: dict[str, Any] = {
    "customer_seconds_since_last": lambda r: r.since("customer_id"),
    "card_count_1h": lambda r: len(r.past("card_id", within=HOUR)),
    "device_count_24h": lambda r: len(r.past("device_id", within=DAY)),
    "merchant_count_7d": lambda r: len(r.past("merchant_id", within=WEEK)),
    "ip_sum_7d": lambda r: r.total("ip_address", WEEK),
    "counterparty_sum_24h": lambda r: r.total("counterparty_account_id", DAY),
    "customer_merchant_count": lambda r: len(r.past("customer_id", "merchant_id")),
    "customer_device_age_s": lambda r: r.since("customer_id", "device_id", first=True),
    "device_other_customers": lambda r: r.others("device_id"),
    "merchant_other_customers_7d": lambda r: r.others("merchant_id", WEEK),
    "customer_ip_country_count": lambda r: len(r.past("customer_id", "ip_country")),
    "customer_channel_share": lambda r: r.share("customer_id", "channel", r.me["channel"]),
    "customer_amount_oddity": lambda r: r.oddity("customer_id", "transaction_type"),
    "merchant_amount_oddity": lambda r: r.oddity("merchant_id"),
    "customer_odd_hour": lambda r: r.odd_hour(),
    "customer_km_from_last": lambda r: r.distance(),
    "customer_merchants_24h": lambda r: r.different("customer_id", "merchant_id", DAY),
    "customer_devices_7d": lambda r: r.different("customer_id", "device_id", WEEK),
    "account_in_24h": lambda r: r.money("credit", DAY),
    "account_out_24h": lambda r: r.money("debit", DAY),
    "customer_decline_share_24h": lambda r: r.share("customer_id", "response_code", "05", DAY),
    "card_same_amount_24h": lambda r: len(r.past("card_id", "amount", within=DAY)),
    "customer_disputes": lambda r: sum(row["transaction_type"] == "chargeback" for row in r.past("customer_id")),
    "merchant_refund_share": lambda r: r.share("merchant_id", "transaction_type", "refund"),
    "account_known_days": lambda r: r.since("account_id", first=True) / DAY,
    "linked_age_s": lambda r: r.linked(),
}  # fmt: skip


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    return window_features(log())


@pytest.mark.parametrize("name", REFERENCE)
def test_a_feature_is_what_a_slow_reader_of_the_log_finds(name, features):
    """Guards against a running sum that counts a row too many, the row itself, its twins in time, or another entity."""
    frame = log()
    feature = next(feature for feature in WINDOW_FEATURES if feature.name == name)
    rows = frame.to_dict("records")
    expected = np.array([float(REFERENCE[name](Reference(rows, row))) for row in rows])
    if feature.entity in ENTITIES:
        expected[frame[ENTITIES[feature.entity]].isna().to_numpy()] = np.nan
    for other in ("merchant_id", "device_id", "ip_country"):
        if name.startswith(f"customer_{other.removesuffix('_id')}_") and name.endswith(("_count", "_age_s")):
            expected[frame[other].isna().to_numpy()] = np.nan
    tolerance = 1.0 if name.endswith("_km_from_last") else 5e-3
    np.testing.assert_allclose(features[name].to_numpy(), expected, atol=tolerance, rtol=1e-3)
    assert np.nanstd(expected) > 0


@pytest.mark.parametrize("hours", [51, 216])
def test_no_feature_changes_when_the_future_does(hours):
    """Guards against any look ahead, if only in the last digit of a running sum: features could not be kept online."""
    frame = log(400)
    now = pd.Timestamp("2025-01-01", tz="UTC") + pd.Timedelta(hours=hours)
    earlier = (frame["event_time"] < now).to_numpy()
    at = np.flatnonzero(frame["event_time"] == now)
    assert len(at) > 1
    changed = log(400, seed=8)
    changed["event_time"] = frame["event_time"]
    changed["transaction_id"] = frame["transaction_id"]
    changed[earlier] = frame[earlier]
    changed.iloc[at[0]] = frame.iloc[at[0]]
    changed = changed.drop(changed.index[~earlier][-5:])
    kept = [*frame.index[earlier], frame.index[at[0]]]
    pd.testing.assert_frame_equal(
        window_features(changed).loc[kept], window_features(frame).loc[kept], check_exact=True
    )


def test_neither_order_nor_index_nor_encoding_of_the_rows_matters():
    """Guards against features that read the order of the file, or that fail on dictionary-encoded columns."""
    frame = log().drop_duplicates("event_time")  # among rows of one microsecond the first is the upper one
    expected = window_features(frame)
    shuffled = frame.iloc[rng(1, "order").permutation(len(frame))].astype(dict.fromkeys(IDS, "category"))
    pd.testing.assert_frame_equal(window_features(shuffled).loc[frame.index], expected, check_exact=True)


def test_columns_are_those_of_the_table():
    """Guards against a feature that the store would not know, or two of one name."""
    names = [feature.name for feature in WINDOW_FEATURES]
    assert len(set(names)) == len(names)
    assert list(window_features(log()).columns) == names
    assert all(feature.meaning and feature.window in ("1h", "24h", "7d", "all", "last") for feature in WINDOW_FEATURES)


def test_an_empty_log_has_no_features_of_nothing():
    """Guards against a shard without rows breaking the export."""
    assert window_features(log().iloc[:0]).shape == (0, len(WINDOW_FEATURES))


def test_a_missing_column_is_named():
    """Guards against a KeyError out of the engine's depth."""
    with pytest.raises(InvalidRequestError, match="device_id"):
        window_features(log().drop(columns="device_id"))
