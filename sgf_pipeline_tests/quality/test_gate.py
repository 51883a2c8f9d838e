"""The gate must let true rows through, and fail on each kind of planted defect."""

import pandas as pd
import pyarrow as pa
import pytest

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.domain.streams import RowStream, table_stream
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


def verdict(frame: pd.DataFrame) -> Verdict:
    asked = content()
    table = pa.Table.from_pandas(frame, CLEAN_SCHEMA, preserve_index=False)
    return judge(table_stream(table), asked, asked.shard_counts()[NAME])


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
    asked = content()
    other = pa.schema([pa.field("transaction_id", pa.string())])
    result = judge(RowStream(other, lambda: iter([])), asked, asked.shard_counts()[NAME])
    assert "schema" in failed(result)
