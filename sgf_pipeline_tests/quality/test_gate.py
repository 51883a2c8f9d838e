"""The gate must let true rows through, and fail on each kind of planted defect."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.formatting import clean
from sgf_pipeline.quality.gate import Verdict, judge
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content

NAME = "money_laundering"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    asked = content()
    ids = Identifiers("s", content_sha="c", seed=1, population_seed=1, scenario=NAME)
    rows = clean(simulate(asked, NAME, CASES[NAME]), asked, ids)
    return pa.Table.from_batches(list(rows), CLEAN_SCHEMA).to_pandas()


def verdict(frame: pd.DataFrame, batch_rows: int = 65_536) -> Verdict:
    table = pa.Table.from_pandas(frame, CLEAN_SCHEMA, preserve_index=False)
    return judge(RowStream(CLEAN_SCHEMA, lambda: iter(table.to_batches(batch_rows))), content(), NAME)


def failed(result: Verdict) -> set[str]:
    return {check.name for check in result.checks if not check.passed}


def test_true_rows_pass(frame):
    """Guards against a gate that nothing can pass."""
    result = verdict(frame)
    assert result.passed
    assert result.bad_rows is None


def planted(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    changed = frame.astype({column: object}) if column not in ("amount", "event_time", "is_fraud") else frame.copy()
    changed.loc[row, column] = value
    return changed


@pytest.mark.parametrize(
    ("column", "value", "check", "reason"),
    [
        ("amount", -1.0, "schema", "amount"),
        ("amount", 10.001, "schema", "minor unit"),
        ("currency", "USD", "schema", "currency"),
        ("channel", "carrier_pigeon", "schema", "channel"),
        ("response_code", "99", "schema", "response_code"),
        ("latitude", 91.0, "schema", "latitude"),
        ("transaction_id", "txn_nope", "schema", "transaction_id"),
        ("customer_id", "John Smith", "schema", "customer_id"),
        ("account_id", "DE89370400440532013000", "schema", "account_id"),
        ("ip_address", "8.8.8.8", "schema", "ip_address"),
        ("merchant_country", "XX", "schema", "merchant_country"),
        ("merchant_category_code", "0000", "schema", "merchant_category_code"),
        ("linked_transaction_id", "txn_" + "f" * 24, "links", "linked_transaction_id"),
        ("event_time", pd.Timestamp("2025-01-31T23:00:00Z"), "time_order", "event_time"),
    ],
)
def test_one_bad_value_fails_the_shard_and_is_in_quarantine_with_its_reason(frame, column, value, check, reason):
    """Guards against a defect that reaches a user because it is rare."""
    result = verdict(planted(frame, 100, column, value))
    assert check in failed(result)
    assert any(reason in text for text in result.bad_rows.column("reason").to_pylist())


def test_a_repeated_id_is_found(frame):
    """Guards against two transactions with one identity."""
    changed = frame.copy()
    changed.loc[200, "transaction_id"] = changed.loc[10, "transaction_id"]
    result = verdict(changed)
    assert "unique_ids" in failed(result)
    assert result.bad_rows.num_rows >= 2


@pytest.mark.parametrize("change", ["row_lost", "fraud_lost"])
def test_counts_must_be_exact(frame, change):
    """Guards against one row, or one label, too few."""
    changed = frame.iloc[:-1] if change == "row_lost" else frame.copy()
    if change == "fraud_lost":
        changed.loc[changed["is_fraud"].idxmax(), "is_fraud"] = False
    assert "exact_counts" in failed(verdict(changed))


@pytest.mark.parametrize("column", ["incident", "case", "case_step", "label_delay_s"])
def test_a_fraud_without_its_story_fails(frame, column):
    """Guards against a fraud row that could never be explained, or that nobody would ever learn of."""
    changed = frame.copy()
    changed.loc[changed["is_fraud"].idxmax(), column] = None
    assert "schema" in failed(verdict(changed))


def test_a_refund_without_its_purchase_fails(frame):
    """Guards the rule between columns: a refund names what it gives back."""
    refunds = frame.index[frame["transaction_type"] == "refund"]
    changed = frame.copy()
    changed.loc[refunds[0], "linked_transaction_id"] = None
    assert "schema" in failed(verdict(changed))


def test_another_schema_fails_before_any_row_is_read():
    """Guards against a column that changed its type unnoticed."""
    other = pa.schema([pa.field("transaction_id", pa.string())])
    result = judge(RowStream(other, lambda: iter([])), content(), NAME)
    assert "schema" in failed(result)


def reasons(result: Verdict) -> dict[str, set[str]]:
    """Reason → the transactions in quarantine for it."""
    found: dict[str, set[str]] = {}
    if result.bad_rows is not None:
        rows = result.bad_rows.select(["reason", "transaction_id"]).to_pylist()
        for row in rows:
            found.setdefault(row["reason"], set()).add(row["transaction_id"])
    return found


def changed(frame: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    """The frame with other values in one row."""
    words = [name for name in values if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    other = frame.astype(dict.fromkeys(words, object))
    for name, value in values.items():
        other.loc[row, name] = value
    return other


def first(frame: pd.DataFrame, query: str, number: int = 0) -> int:
    return int(frame.query(query).index[number])


@pytest.mark.parametrize(
    ("query", "values", "reason"),
    [
        ("merchant_id.notna()", {"merchant_city": None}, "merchant's columns"),
        ("channel == 'pos'", {"entry_mode": None}, "card and its entry mode"),
        ("transaction_type == 'transfer'", {"counterparty_country": None}, "other account and its country"),
        ("ip_address.notna()", {"ip_country": None}, "address and its country"),
        ("latitude.notna()", {"longitude": None}, "latitude and longitude"),
        ("is_fraud", {"case_step": None}, "incident, case and step"),
        ("transaction_type == 'purchase'", {"card_id": None, "entry_mode": None}, "name a card"),
        ("transaction_type == 'transfer'", {"card_id": "crd_" + "0" * 16, "entry_mode": "chip"}, "name a merchant"),
        ("channel == 'pos'", {"entry_mode": "manual"}, "card present is read by"),
        ("channel == 'ecommerce'", {"entry_mode": "chip"}, "typed in or stored"),
        ("transaction_type == 'purchase'", {"direction": "credit"}, "direction fits"),
        ("transaction_type == 'refund'", {"direction": "debit"}, "direction fits"),
        ("transaction_type == 'purchase'", {"amount": 0.0}, "only verifications"),
        ("transaction_type == 'refund'", {"linked_transaction_id": None}, "name their purchase"),
        ("transaction_type == 'refund'", {"response_code": "51"}, "booked"),
        ("transaction_type == 'chargeback'", {"dispute_reason": None}, "dispute_reason"),
        ("transaction_type == 'purchase'", {"dispute_reason": "fraud"}, "dispute_reason"),
        ("transaction_type == 'purchase'", {"linked_transaction_id": "txn_" + "0" * 24}, "alone are linked"),
        (
            "transaction_type == 'transfer'",
            {"counterparty_account_id": None, "counterparty_country": None},
            "transfers name the other account",
        ),
        (
            "transaction_type == 'purchase'",
            {"counterparty_account_id": "acc_" + "0" * 16, "counterparty_country": "FR"},
            "transfers and deposits alone",
        ),
        ("is_fraud", {"hard_negative": "travel"}, "hard negative is no fraud"),
    ],
)
def test_a_rule_between_columns_names_itself_and_its_row(frame, query, values, reason):
    """Guards each rule between the columns of a row: one row that breaks it fails the shard and is the one shown."""
    row = first(frame, query)
    result = verdict(changed(frame, row, **values))
    assert "schema" in failed(result)
    said = {text for text, rows in reasons(result).items() if rows == {frame.loc[row, "transaction_id"]}}
    assert any(reason in text for text in said), reasons(result)


PARTIES = ["customer_id", "account_id", "card_id", "merchant_id", "merchant_name", "merchant_category_code"]
PARTIES += ["merchant_country", "merchant_city"]


def paying_back(frame: pd.DataFrame, row: int, purchase: int, **values: object) -> pd.DataFrame:
    """The refund or chargeback at ``row`` is one of the purchase at ``purchase``, to the cent unless said otherwise."""
    told = {name: frame.loc[purchase, name] for name in (*PARTIES, "amount", "channel", "entry_mode")}
    told["linked_transaction_id"] = frame.loc[purchase, "transaction_id"]
    return changed(frame, row, **{**told, **values})


def _refund_of(other: str) -> Callable[[pd.DataFrame, int, int], pd.DataFrame]:
    def spoil(frame: pd.DataFrame, refund: int, purchase: int) -> pd.DataFrame:
        earlier = frame.loc[: refund - 1].query(other).index[-1]
        return changed(frame, refund, linked_transaction_id=frame.loc[earlier, "transaction_id"])

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f, refund, _: changed(f, refund, amount=f.loc[refund, "amount"] + 1000), "more is paid back"),
        (_refund_of("transaction_type == 'withdrawal'"), "is no purchase"),
        (_refund_of("transaction_type == 'purchase' and response_code == '00'"), "another customer"),
        (lambda f, _, purchase: changed(f, purchase, response_code="51"), "was declined"),
        (
            lambda f, refund, _: paying_back(
                f, refund, first(f.loc[refund + 1 :], "transaction_type == 'purchase' and response_code == '00'")
            ),
            "before it was paid",
        ),
        (lambda f, refund, _: changed(f, refund, merchant_id="mer_" + "0" * 16), "another merchant"),
    ],
)
def test_a_refund_that_does_not_fit_its_purchase_is_refused(frame, spoil, reason):
    """Guards the links: a purchase, booked, earlier, of the same customer, card and merchant, and not less."""
    refund = first(frame, "transaction_type == 'refund' and not is_fraud", 5)
    purchase = first(frame, f"transaction_id == '{frame.loc[refund, 'linked_transaction_id']}'")
    result = verdict(spoil(frame, refund, purchase))
    assert "links" in failed(result)
    assert any(
        reason in text and rows == {frame.loc[refund, "transaction_id"]} for text, rows in reasons(result).items()
    )


def twice(frame: pd.DataFrame, kinds: tuple[str, str], *, fraud: bool = False) -> pd.DataFrame:
    """A purchase that is paid back in full twice, by rows of the given types."""
    one, two = (first(frame, "transaction_type == 'refund' and not is_fraud", number) for number in (5, 6))
    purchase = first(frame, f"transaction_id == '{frame.loc[one, 'linked_transaction_id']}'")
    for row, kind in zip((one, two), kinds, strict=True):
        reason = "fraud" if kind == "chargeback" else None
        frame = paying_back(frame, row, purchase, transaction_type=kind, dispute_reason=reason, is_fraud=fraud)
    return frame


@pytest.mark.parametrize("kind", ["refund", "chargeback"])
def test_a_purchase_is_not_paid_back_twice_by_the_same_way(frame, kind):
    """Guards the sums: each return fits its purchase, and both together are more than it."""
    result = verdict(twice(frame, (kind, kind)))
    assert "links" in failed(result)
    (text,) = reasons(result)
    assert text == f"{kind}s of one purchase are more than it"
    assert len(reasons(result)[text]) == 2


def test_what_fraud_may_do_with_returns_passes(frame):
    """Guards double dipping and a shop that refunds its own circle twice: crimes, and no defects."""
    assert verdict(twice(frame, ("refund", "chargeback"))).passed
    assert "links" not in failed(verdict(twice(frame, ("refund", "refund"), fraud=True)))


def _to_debit(column: str, value: Callable[[pd.Series], object]) -> Callable[[pd.DataFrame, int, int], pd.DataFrame]:
    return lambda frame, _, debit: changed(frame, debit, **{column: value(frame.loc[debit])})


def _to_credit(column: str, value: Callable[[pd.Series], object]) -> Callable[[pd.DataFrame, int, int], pd.DataFrame]:
    return lambda frame, credit, _: changed(frame, credit, **{column: value(frame.loc[credit])})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_to_credit("amount", lambda leg: leg["amount"] + 1), "amounts differ"),
        (_to_credit("counterparty_account_id", lambda leg: "acc_" + "0" * 16), "mirror each other"),
        (_to_credit("linked_transaction_id", lambda leg: None), "has one leg"),
        (_to_debit("response_code", lambda leg: "51"), "was declined"),
        (_to_debit("direction", lambda leg: "credit"), "names no debit leg"),
        (_to_credit("event_time", lambda leg: leg["event_time"] - pd.Timedelta(1, "D")), "before its debit leg"),
        (_to_credit("counterparty_account_id", lambda leg: leg["account_id"]), "pays itself"),
        (
            lambda f, credit, debit: changed(
                f,
                first(f.loc[credit + 1 :], "transaction_type == 'transfer' and linked_transaction_id.notna()"),
                linked_transaction_id=f.loc[debit, "transaction_id"],
            ),
            "two credit legs",
        ),
    ],
)
def test_legs_of_a_transfer_that_do_not_agree_are_refused(frame, spoil, reason):
    """Guards transfers inside the bank: two rows of one amount, debit first, each naming the other's account."""
    credit = first(frame, "transaction_type == 'transfer' and linked_transaction_id.notna()", 3)
    debit = first(frame, f"transaction_id == '{frame.loc[credit, 'linked_transaction_id']}'")
    result = verdict(spoil(frame, credit, debit))
    assert "transfers" in failed(result)
    legs = set(frame.loc[[credit, debit], "transaction_id"])
    assert any(reason in text and rows & legs for text, rows in reasons(result).items())


def leaving(frame: pd.DataFrame) -> int:
    """A row by which a scheme's money leaves the bank."""
    linked = frame["transaction_id"].isin(frame["linked_transaction_id"])
    return first(frame[~linked], "is_fraud and direction == 'debit'")


def left_over(frame: pd.DataFrame, row: int) -> float:
    """What the scheme leaves on the row's account, if nothing left it after the row."""
    same = (frame["incident"] == frame.loc[row, "incident"]) & (frame["account_id"] == frame.loc[row, "account_id"])
    moves = frame[same & (frame["response_code"] == "00") & (frame.index <= row)]
    return round(float(np.where(moves["direction"] == "credit", moves["amount"], -moves["amount"]).sum()), 2)


def test_money_that_comes_from_nowhere_is_refused(frame):
    """Guards the graph of a laundering scheme: an account cannot pass on a cent more than reached it."""
    out = leaving(frame)
    everything = round(frame.loc[out, "amount"] + left_over(frame, out), 2)
    assert out not in _short(verdict(changed(frame, out, amount=everything)), frame)
    result = verdict(changed(frame, out, amount=round(everything + 0.01, 2)))
    assert failed(result) == {"money"}
    assert out in _short(result, frame)


def _short(result: Verdict, frame: pd.DataFrame) -> list[int]:
    """The rows that pass on more than their account holds."""
    told = reasons(result).get("more leaves the account than the scheme brought it", set())
    return frame.index[frame["transaction_id"].isin(told)].tolist()


def test_money_that_stays_where_it_arrived_passes(frame):
    """Guards against a rule that takes commission, or a scheme cut short by the period's end, for a defect."""
    assert verdict(changed(frame, leaving(frame), amount=10.0)).passed


def test_the_size_of_batches_changes_no_answer(frame):
    """Guards streaming: a link leads into another batch, and a bad row is counted and shown wherever it lies."""
    refund = first(frame, "transaction_type == 'refund'", 5)
    spoilt = changed(frame, refund, amount=frame.loc[refund, "amount"] + 1000)
    whole, small = verdict(spoilt), verdict(spoilt, batch_rows=41)
    assert whole.checks == small.checks
    assert reasons(whole) == reasons(small)
    assert verdict(frame, batch_rows=41).passed


def test_ids_of_any_shape_are_told_apart_or_refused(frame):
    """Guards the numbers that stand for ids: a short, foreign or long id must not break the gate, nor pass it."""
    for word in ("txn_", "txn_" + "é" * 24, "txn_" + "0" * 40, ""):
        result = verdict(changed(frame, 7, transaction_id=word))
        assert "schema" in failed(result)
    assert not np.intersect1d(frame["transaction_id"].str[4:20], frame["account_id"].astype(str).str[4:20]).size
