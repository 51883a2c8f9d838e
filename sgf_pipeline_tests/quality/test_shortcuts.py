"""The shortcut audit must pass our shards, and name each kind of planted leak."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.formatting import clean
from sgf_pipeline.quality.shortcuts import Finding, audit, audit_batch
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content

NAME = "account_takeover"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """A shard of 5,800 rows, 300 of them fraud."""
    asked = content(count=5_800, fraud_ratio="0.0517", scenarios=[NAME])
    ids = Identifiers("s", content_sha="c", seed=1, population_seed=1, scenario=NAME)
    return pa.Table.from_batches(list(clean(simulate(asked, NAME, CASES[NAME]), asked, ids)), CLEAN_SCHEMA)


@pytest.fixture
def frame(table: pa.Table) -> pd.DataFrame:
    """Rows to plant a leak in."""
    words = {field.name: object for field in CLEAN_SCHEMA if pa.types.is_dictionary(field.type)}
    return table.to_pandas().astype(words)


def failed(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings if not finding.passed}


def test_our_shard_passes(table):
    """Guards against an audit that nothing can pass, and against a shortcut in our own data."""
    findings = audit(table, NAME, 0.5)
    assert not failed(findings)
    assert "not assessed" not in {finding.status for finding in findings}
    assert not failed(audit_batch({NAME: table}, 0.5))


def tenth_of_the_microseconds(frame: pd.DataFrame) -> None:
    times = frame["event_time"].astype("int64")
    frame.loc[frame["is_fraud"], "event_time"] = pd.to_datetime(times // 10 * 10, unit="us", utc=True)


def third_decimal(frame: pd.DataFrame) -> None:
    frame.loc[frame["is_fraud"], "amount"] += 0.001


def a_digit_of_the_id(frame: pd.DataFrame) -> None:
    frauds = frame["is_fraud"]
    frame.loc[frauds, "transaction_id"] = "txn_f" + frame.loc[frauds, "transaction_id"].str[5:]


def longer_ids(frame: pd.DataFrame) -> None:
    frauds = frame["is_fraud"]
    frame.loc[frauds, "transaction_id"] = frame.loc[frauds, "transaction_id"] + "0"


def a_prefix_of_devices(frame: pd.DataFrame) -> None:
    frame["device_id"] = frame["device_id"].fillna("dev_" + frame["customer_id"].str[4:])
    frauds = frame["is_fraud"]
    frame.loc[frauds, "device_id"] = "adv_" + frame.loc[frauds, "device_id"].str[4:]


def near_addresses(frame: pd.DataFrame) -> None:
    frame["ip_address"] = frame["ip_address"].fillna("2001:db8:" + frame["customer_id"].str[4:8] + "::1")
    frauds = frame["is_fraud"]
    frame.loc[frauds, "ip_address"] = [f"2001:db8:fff{number % 16:x}:aa{number}::1" for number in range(frauds.sum())]


def frauds_last(frame: pd.DataFrame) -> None:
    reorder(frame, np.argsort(frame["is_fraud"], kind="stable"))


def half_the_frauds_last(frame: pd.DataFrame) -> None:
    reorder(frame, np.argsort(frame["is_fraud"] & (frame["is_fraud"].cumsum() % 2 == 0), kind="stable"))


def reorder(frame: pd.DataFrame, order: pd.Series) -> None:
    for name in frame.columns:
        frame[name] = frame[name].take(order).array


def an_empty_city(frame: pd.DataFrame) -> None:
    frame["merchant_city"] = frame["merchant_city"].fillna("Paris")
    frame.loc[frame["is_fraud"], "merchant_city"] = None


@pytest.mark.parametrize(
    ("plant", "line", "rule"),
    [
        (tenth_of_the_microseconds, "microseconds", "microseconds"),
        (third_decimal, "decimals", "decimals of amount"),
        (a_digit_of_the_id, "id shape", "order of transaction_id"),
        (longer_ids, "id shape", "length of transaction_id"),
        (a_prefix_of_devices, "id shape", "first four characters of device_id"),
        (near_addresses, "id shape", "third group of ip_address"),
        (frauds_last, "row order", "position of the row"),
        (half_the_frauds_last, "row order", "position of the row after its place in time"),
        (an_empty_city, "null pattern", "null columns"),
    ],
)
@pytest.mark.parametrize("difficulty", [0.0, 0.5])
def test_a_leak_of_structure_fails_at_any_difficulty(frame, plant, line, rule, difficulty):
    """Guards against traces of the generator itself: how a row is written must say nothing."""
    plant(frame)
    found = failed(audit(frame, NAME, difficulty))
    assert rule in found[line].rule or rule in found[line].also
    assert found[line].bound > found[line].limit


def one_amount(frame: pd.DataFrame) -> None:
    frame.loc[frame["is_fraud"], "amount"] = 9.87


def northern(frame: pd.DataFrame) -> None:
    places = np.arange(len(frame)) % 900 / 100
    frame["latitude"], frame["longitude"] = np.where(frame["is_fraud"], 66.6 + places, 45.0 + places), places


def one_country(frame: pd.DataFrame) -> None:
    frame.loc[frame["is_fraud"], "ip_country"] = "TV"


def one_code_inside_a_cell(frame: pd.DataFrame) -> None:
    frauds = frame["is_fraud"]
    frame.loc[frauds, ["transaction_type", "channel"]] = "transfer", "mobile"
    frame.loc[frauds | (frame["channel"] == "pos"), "response_code"] = "N7"


def one_device(frame: pd.DataFrame) -> None:
    frame.loc[frame["is_fraud"], "device_id"] = "dev_" + "5" * 16


def one_merchant(frame: pd.DataFrame) -> None:
    frame.loc[frame["is_fraud"], "merchant_id"] = "mer_" + "5" * 16


def both_of_two_columns(frame: pd.DataFrame) -> None:
    frame["account_age_days"], frame["prior_disputes"] = 400, 0
    frame.loc[frame.index % 10 == 0, "account_age_days"] = 9_000
    frame.loc[frame.index % 10 == 1, "prior_disputes"] = 4
    frame.loc[frame["is_fraud"], ["account_age_days", "prior_disputes"]] = 9_000, 4


def either_of_two_columns(frame: pd.DataFrame) -> None:
    """Each column alone is the same among frauds and others."""
    even = frame.index % 2 == 0
    frame["account_age_days"] = np.where(even, 400, 9_000)
    frame["prior_disputes"] = np.where(even == frame["is_fraud"], 4, 0)


Plant = Callable[[pd.DataFrame], None]


def in_microseconds(change: Callable[[pd.Series], pd.Series]) -> Plant:
    """Changes what stands below the second of each fraud."""

    def plant(frame: pd.DataFrame) -> None:
        times = frame["event_time"].astype("int64")
        planted = pd.to_datetime(times - times % 1_000_000 + change(times % 1_000_000), unit="us", utc=True)
        frame["event_time"] = planted.where(frame["is_fraud"], frame["event_time"])

    return plant


def in_texts(name: str, change: Callable[[str], str]) -> Plant:
    """Changes a text of each fraud; rows without one borrow their customer's number."""

    def plant(frame: pd.DataFrame) -> None:
        frame[name] = frame[name].fillna(name[:3] + "_" + frame["customer_id"].str[4:])
        frauds = frame["is_fraud"]
        frame.loc[frauds, name] = frame.loc[frauds, name].map(change)

    return plant


def character(place: int, change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: text[:place] + change(text[place]) + text[place + 1 :]


def decimals_of_latitude(places: int) -> Plant:
    def plant(frame: pd.DataFrame) -> None:
        draw = np.random.default_rng(places)
        whole = draw.integers(1, 10**9, len(frame))
        frame["latitude"] = np.round(45 + whole / 1e9, 9)
        frame["longitude"] = 5.25
        short = np.round(frame["latitude"], places)
        frame["latitude"] = short.where(frame["is_fraud"], frame["latitude"])

    return plant


def even_hex(digit: str) -> str:
    return f"{int(digit, 16) & 14:x}"


@pytest.mark.parametrize(
    ("plant", "line", "rule"),
    [
        (in_microseconds(lambda us: us - us // 100 % 10 * 100 + 500), "microseconds", "microseconds, digit 4 of 6"),
        (in_microseconds(lambda us: us - us // 100 % 2 * 100), "microseconds", "microseconds, digit 4 of 6"),
        (in_microseconds(lambda us: us - us // 1000 % 10 * 1000 + 4000), "microseconds", "microseconds, digit 3 of 6"),
        (in_microseconds(lambda us: us - us % 7), "microseconds", "microseconds mod 7"),
        (in_microseconds(lambda us: us // 250_000 * 250_000 + us % 1000), "microseconds", "microseconds, digit 2 of 6"),
        (in_texts("transaction_id", character(14, lambda _: "f")), "id shape", "transaction_id[14]"),
        (in_texts("transaction_id", character(10, even_hex)), "id shape", "transaction_id[10]"),
        (in_texts("device_id", character(9, lambda _: "a")), "id shape", "device_id[9]"),
        (
            in_texts("merchant_name", lambda text: text.replace(" ", "  ") + "  x"),
            "id shape",
            "spaces in merchant_name",
        ),
        (in_texts("merchant_name", lambda text: f"{text} "), "id shape", "spaces in merchant_name"),
        *((decimals_of_latitude(places), "decimals", "decimals of latitude") for places in range(1, 9)),
    ],
)
def test_a_digit_or_character_that_fraud_prefers_is_named(frame, plant: Plant, line, rule):
    """Guards against traces that no prefix, order or count shows: one digit, one parity, one doubled space."""
    plant(frame)
    found = failed(audit(frame, NAME, 0.5))[line]
    assert rule in found.rule or rule in found.also


@pytest.mark.parametrize("change", [lambda text: text.replace(" ", "  "), lambda text: f"{text} "])
def test_a_leak_in_a_column_that_few_frauds_carry_is_found(frame, change: Callable[[str], str]):
    """Guards against nulls that hide a leak: where a fraud in four names a merchant, the others say nothing."""
    frauds = np.flatnonzero(frame["is_fraud"])
    frame.loc[frauds[::2], "merchant_name"] = None
    named = frame["is_fraud"] & frame["merchant_name"].notna()
    assert named.sum() < 0.3 * len(frauds)
    assert "id shape" not in failed(audit(frame, NAME, 0.5))
    frame.loc[named, "merchant_name"] = frame.loc[named, "merchant_name"].map(change)
    assert "spaces in merchant_name" in failed(audit(frame, NAME, 0.5))["id shape"].rule


@pytest.mark.parametrize("customers", [1, 3])
def test_few_customers_are_no_fault(frame, customers):
    """Guards small populations: where three customers do everything, the fraud names them and their things."""
    names = frame["customer_id"].unique()
    for name in ("customer_id", "account_id", "card_id"):
        known = name[:3] + "_" + pd.Series(names[:customers]).str[4:]
        frame[name] = known.take(frame["customer_id"].map({n: k for k, n in enumerate(names)}) % customers).array
    findings = {finding.name: finding for finding in audit(frame, NAME, 0.5)}
    for line in ("concentration", "id shape"):
        assert findings[line].status == "not assessed"
        assert "at least 10 are needed" in findings[line].why


def test_ids_of_transactions_are_judged_whatever_the_population(frame):
    """Guards against a small population hiding a leak that has nothing to do with it."""
    frame["customer_id"] = "cus_" + "5" * 16
    a_digit_of_the_id(frame)
    assert "id shape" in failed(audit(frame, NAME, 0.5))


@pytest.mark.parametrize(
    ("plant", "line", "rule"),
    [
        (one_amount, "one-column recall", "amount in {9.87}"),
        (northern, "one-column recall", "latitude ≥ 66.6"),
        (one_country, "one-column recall", "ip_country in {TV}"),
        (one_code_inside_a_cell, "one-column recall", "response_code in {N7}"),
        (one_device, "one-column recall", "device_id in {dev_5555555555555555}"),
        (one_merchant, "one-column recall", "merchant_id in {mer_5555555555555555}"),
        (one_merchant, "concentration", "merchant_id mer_5555555555555555 is named by 100% of"),
        (both_of_two_columns, "depth-2 tree recall", "prior_disputes"),
        (either_of_two_columns, "depth-2 tree recall", "prior_disputes"),
    ],
)
def test_a_rule_on_columns_is_found_and_said(frame, plant, line, rule):
    """Guards against fraud that a rule of a line finds: a detector trained on it would learn that line."""
    plant(frame)
    found = failed(audit(frame, NAME, 0.5))
    assert rule in found[line].rule


@pytest.mark.parametrize("plant", [both_of_two_columns, either_of_two_columns])
def test_what_only_a_pair_of_columns_tells_is_no_fault_of_one(frame, plant):
    """Guards the plants above: they would prove nothing about trees if one column sufficed."""
    plant(frame)
    assert "one-column recall" not in failed(audit(frame, NAME, 0.5))


def at_night(frame: pd.DataFrame) -> None:
    days = frame["event_time"].dt.floor("D")
    moments = days + pd.to_timedelta(3 * 3600 + np.arange(len(frame)) % 3600, unit="s")
    frame.loc[frame["is_fraud"], "event_time"] = moments


@pytest.mark.parametrize(
    ("plant", "line", "rule"),
    [(at_night, "one-column AUC", "hour (UTC)"), (either_of_two_columns, "depth-2 tree AUC", "prior_disputes")],
)
def test_a_column_that_orders_rows_too_well_fails_the_batch(frame, plant, line, rule):
    """Guards against a column that tells much without any rule that is free of false alarms."""
    plant(frame)
    finding = failed(audit_batch({NAME: frame}, 0.5))[line]
    assert rule in finding.rule or rule in finding.also


def test_card_testing_may_be_told_better_but_not_by_one_column(frame):
    """Guards the one scenario that has an AUC limit of its own."""
    at_night(frame)
    assert "one-column AUC" in failed(audit(frame, "card_testing", 0.5))
    assert "one-column AUC" not in failed(audit(frame, NAME, 0.5))


@pytest.mark.parametrize("plant", [northern, both_of_two_columns])
def test_below_half_difficulty_separability_is_reported(frame, plant):
    """Guards easy batches, which are meant to be told by rules: they must not fail, nor hide it."""
    plant(frame)
    findings = audit(frame, NAME, 0.4)
    assert not failed(findings)
    assert max(f.recall for f in findings if f.name.endswith("recall") and f.status == "reported") == 1.0


def test_a_merchant_of_its_own_in_each_case_is_no_rule(frame):
    """Guards against counting as a shortcut what cannot be known before the case is."""
    frauds = frame["is_fraud"]
    frame.loc[frauds, "merchant_id"] = [f"mer_{int(case):016x}" for case in frame.loc[frauds, "case"]]
    assert "one-column recall" not in failed(audit(frame, NAME, 0.5))


def first_frauds(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~frame["is_fraud"] | (frame["is_fraud"].cumsum() < 200)]


def first_honest_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["is_fraud"] | ((~frame["is_fraud"]).cumsum() < 5_000)]


def one_incident(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[frame["is_fraud"], "incident"] = 0
    return frame


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (first_frauds, "199 frauds, at least 200"),
        (first_honest_rows, "4999 legitimate rows, at least 5000"),
        (one_incident, "frauds of 1 incidents, at least 5"),
    ],
)
def test_too_little_is_not_assessed_and_says_why(frame, cut: Callable[[pd.DataFrame], pd.DataFrame], why):
    """Guards small batches against failing, and against passing as if they had been looked at."""
    one_amount(frame)
    findings = audit(cut(frame), NAME, 0.5)
    assert {finding.status for finding in findings} == {"not assessed"}
    assert all(why in finding.why for finding in findings)


def own_devices(frame: pd.DataFrame) -> None:
    frame["device_id"] = "dev_" + frame["customer_id"].str[4:]
    honest = ~frame["is_fraud"]
    frame.loc[honest & (frame.index % 2 == 0), "device_id"] = "dev_" + "5" * 16


def test_frauds_must_share_devices_as_others_do(frame):
    """Guards against rings that share nothing, so that a shared device proves innocence."""
    own_devices(frame)
    finding = failed(audit_batch({NAME: frame}, 0.5))["shared device_id"]
    assert finding.estimate < finding.limit


def test_a_large_shard_is_looked_at_by_whole_customers_and_says_so(table):
    """Guards against an audit that takes minutes on a million rows, or that differs from run to run."""
    names = table.column("customer_id").cast(pa.string())
    copies = []
    for copy in range(5):
        customers = pa.array([f"{name.as_py()}{copy}" for name in names]).dictionary_encode()
        copies.append(table.set_column(2, CLEAN_SCHEMA.field("customer_id"), customers))
    large = pa.concat_tables(copies)
    first, again, other = (audit(large, NAME, 0.5, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert [finding.estimate for finding in first] != [finding.estimate for finding in other]
    assert "drawn by seed 7" in first[0].why
    assert not failed(first)
