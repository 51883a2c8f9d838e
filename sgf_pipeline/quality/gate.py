"""The gate: what every row of a shard must satisfy, and what the shard must satisfy as a whole.

Belongs here: row rules (pandera, derived from the one schema), exact counts, uniqueness, order, links. One bad row
fails the shard, because it is a defect of ours. Does not belong here: whether the data are realistic.
"""

import re
from dataclasses import dataclass
from typing import Any

import iso18245
import numpy as np
import pandas as pd
import pandera.pandas as pa_pandas
import pyarrow as pa
import pyarrow.compute as pc
import pycountry
from numpy.typing import NDArray
from pandera.errors import SchemaErrors

from sgf_pipeline.domain.events import HARD_NEGATIVES
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.request import RequestContent, ShardCounts
from sgf_pipeline.domain.schema import CLEAN_SCHEMA, FIELDS
from sgf_pipeline.domain.streams import RowStream

CARD_TYPES = ("purchase", "verification")  # and everything at a terminal
BAD_ROWS_KEPT = 10_000
_CATEGORIES = [category.mcc for category in iso18245.get_all_mccs()]
_COUNTRIES = [country.alpha_2 for country in pycountry.countries]


@dataclass(frozen=True)
class Check:
    """One question about the shard, its answer, and the numbers behind it."""

    name: str
    passed: bool
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """All checks, and the bad rows (at most ``BAD_ROWS_KEPT``) with a column ``reason``."""

    checks: list[Check]
    bad_rows: pa.Table | None

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


def judge(rows: RowStream, content: RequestContent, counts: ShardCounts) -> Verdict:
    """Read the shard once and answer every check: schema, counts, unique_ids, time_order, links."""
    rules = row_rules(content)
    reasons = _Reasons()
    ids: list[NDArray[np.uint64]] = []
    links: list[NDArray[np.uint64]] = []
    seen = frauds = out_of_order = rule_failures = 0
    last_time: int | None = None
    same_schema = rows.schema.equals(CLEAN_SCHEMA)
    for batch in rows if same_schema else ():
        frame = batch.to_pandas()
        failures = _row_failures(rules, frame)
        rule_failures += len(failures)
        reasons.add(batch, failures)
        times = batch.column("event_time").cast(pa.int64()).to_numpy()
        before = np.concatenate([times[:1] if last_time is None else [last_time], times[:-1]])
        late = np.flatnonzero(times < before)
        reasons.add(batch, [(int(row), "event_time is before the row above") for row in late])
        out_of_order += len(late)
        last_time = int(times[-1]) if len(times) else last_time
        ids.append(_id_numbers(batch.column("transaction_id")))
        links.append(_id_numbers(batch.column("linked_transaction_id").drop_null()))
        seen += batch.num_rows
        frauds += int(pc.sum(batch.column("is_fraud")).as_py() or 0)
    all_ids = np.sort(np.concatenate(ids)) if ids else np.empty(0, np.uint64)
    all_links = np.concatenate(links) if links else np.empty(0, np.uint64)
    repeated = np.unique(all_ids[1:][all_ids[1:] == all_ids[:-1]])
    dangling = all_links[~np.isin(all_links, all_ids)]
    for batch in rows if len(repeated) or len(dangling) else ():
        own = _id_numbers(batch.column("transaction_id"))
        linked = _id_numbers(pc.fill_null(batch.column("linked_transaction_id"), "txn_" + "0" * 24))
        reasons.add(batch, [(int(r), "transaction_id is repeated") for r in np.flatnonzero(np.isin(own, repeated))])
        reasons.add(
            batch,
            [(int(r), "linked_transaction_id is not in the shard") for r in np.flatnonzero(np.isin(linked, dangling))],
        )
    return Verdict(
        [
            Check("schema", same_schema and not rule_failures, {"failures": rule_failures}),
            Check(
                "exact_counts",
                (seen, frauds) == (counts.rows, counts.fraudulent),
                {
                    "rows": seen,
                    "rows_requested": counts.rows,
                    "fraudulent": frauds,
                    "fraudulent_requested": counts.fraudulent,
                },
            ),
            Check("unique_ids", not len(repeated), {"repeated": len(repeated)}),
            Check("time_order", not out_of_order, {"out_of_order": out_of_order}),
            Check("links", not len(dangling), {"dangling": len(dangling), "links": len(all_links)}),
        ],
        reasons.table(),
    )


def row_rules(content: RequestContent) -> pa_pandas.DataFrameSchema:
    """The pandera schema of one batch of clean rows: words, nulls, ranges and rules between columns.

    Types are not repeated here: the Arrow schema fixes them before pandera sees a row.
    """
    factor = 10 ** minor_digits(content.currency)
    columns: dict[str, pa_pandas.Column] = {}
    for field in FIELDS:
        if field.name in CLEAN_SCHEMA.names:
            checks = [pa_pandas.Check.isin(field.words)] if field.words else []
            columns[field.name] = pa_pandas.Column(nullable=field.nullable, checks=checks)
    first = pd.Timestamp(content.start_date)
    last = pd.Timestamp(content.end_date) + pd.Timedelta(999_999, "us")
    for name, extra in {
        "event_time": [pa_pandas.Check.in_range(first, last)],
        "amount": [pa_pandas.Check.ge(0), pa_pandas.Check(lambda s: _is_whole(s * factor), name="minor unit exact")],
        "currency": [pa_pandas.Check.eq(content.currency)],
        "account_age_days": [pa_pandas.Check.ge(0)],
        "prior_disputes": [pa_pandas.Check.ge(0)],
        "latitude": [pa_pandas.Check.in_range(-90, 90)],
        "longitude": [pa_pandas.Check.in_range(-180, 180)],
        "transaction_id": [pa_pandas.Check.str_matches(r"^txn_[0-9a-f]{24}$")],
        "linked_transaction_id": [pa_pandas.Check.str_matches(r"^txn_[0-9a-f]{24}$")],
        "customer_id": [_each_word(r"cus_[0-9a-f]{16}")],
        "account_id": [_each_word(r"acc_[0-9a-f]{16}")],
        "counterparty_account_id": [_each_word(r"acc_[0-9a-f]{16}")],
        "card_id": [_each_word(r"crd_[0-9a-f]{16}")],
        "device_id": [_each_word(r"dev_[0-9a-f]{16}")],
        "merchant_id": [_each_word(r"mer_[0-9a-f]{16}")],
        "ip_address": [_each_word(r"2001:db8:[0-9a-f:]+")],
        "merchant_category_code": [pa_pandas.Check.isin(_CATEGORIES)],
        "merchant_country": [pa_pandas.Check.isin(_COUNTRIES)],
        "counterparty_country": [pa_pandas.Check.isin(_COUNTRIES)],
        "ip_country": [pa_pandas.Check.isin(_COUNTRIES)],
        "hard_negative": [pa_pandas.Check.isin(HARD_NEGATIVES)],
    }.items():
        columns[name] = pa_pandas.Column(nullable=columns[name].nullable, checks=extra)
    return pa_pandas.DataFrameSchema(
        columns,
        checks=[
            pa_pandas.Check(
                lambda f: (
                    ~(f["transaction_type"].isin(CARD_TYPES) | f["channel"].isin(["pos", "atm"])) | f["card_id"].notna()
                ),
                name="card rows name a card",
            ),
            pa_pandas.Check(
                lambda f: ~f["channel"].isin(["pos", "atm"]) | f["card_id"].isna() | f["entry_mode"].notna(),
                name="a card present has an entry mode",
            ),
            pa_pandas.Check(
                lambda f: ~f["transaction_type"].isin(["refund", "chargeback"]) | f["linked_transaction_id"].notna(),
                name="refunds and chargebacks name their purchase",
            ),
            pa_pandas.Check(
                lambda f: (f["transaction_type"] != "transfer") | f["counterparty_account_id"].notna(),
                name="transfers name the other account",
            ),
            pa_pandas.Check(
                lambda f: ~f["is_fraud"] | f[["incident", "case", "case_step", "label_delay_s"]].notna().all(axis=1),
                name="frauds belong to an incident, a case and its step, and are known some day",
            ),
            pa_pandas.Check(lambda f: ~f["is_fraud"] | f["hard_negative"].isna(), name="a hard negative is no fraud"),
        ],
    )


def _each_word(pattern: str) -> pa_pandas.Check:
    """Every word matches wholly. Asked of the column's categories, of which there are far fewer than rows."""
    whole = re.compile(pattern)

    def matches(column: "pd.Series[Any]") -> "pd.Series[bool]":
        words = column.astype("category").cat
        good = np.array([whole.fullmatch(str(word)) is not None for word in words.categories] + [True])
        return pd.Series(good[words.codes], index=column.index)

    return pa_pandas.Check(matches, name=f"matches {pattern}")


def _is_whole(values: "pd.Series[float]") -> "pd.Series[bool]":
    return (values - values.round()).abs() < 1e-4


def _row_failures(rules: pa_pandas.DataFrameSchema, frame: pd.DataFrame) -> list[tuple[int, str]]:
    try:
        rules.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        failures: dict[tuple[int, str], None] = {}  # a rule between columns is reported once a column: keep one
        for context, column, check, index in zip(
            cases["schema_context"], cases["column"], cases["check"], cases["index"], strict=True
        ):
            reason = f"{column}: {check}" if context == "Column" else str(check)
            failures[(-1 if index is None or pd.isna(index) else int(index), reason)] = None
        return list(failures)
    return []


def _id_numbers(ids: pa.Array) -> NDArray[np.uint64]:
    """64 bits of each id: enough to find repeats, and a tenth of the memory of the texts."""
    return pd.util.hash_array(ids.to_numpy(zero_copy_only=False))


class _Reasons:
    """Collects bad rows with their reasons, up to a bound."""

    def __init__(self) -> None:
        self._pieces: list[pa.Table] = []
        self._kept = 0

    def add(self, batch: pa.RecordBatch, failures: list[tuple[int, str]]) -> None:
        if not failures:
            return
        located = [(row, reason) for row, reason in failures if row >= 0][: BAD_ROWS_KEPT - self._kept]
        self._kept += len(located)
        rows = pa.Table.from_batches([batch]).take(pa.array([row for row, _ in located], pa.int64()))
        self._pieces.append(rows.append_column("reason", pa.array([reason for _, reason in located], pa.string())))

    def table(self) -> pa.Table | None:
        return pa.concat_tables(self._pieces).unify_dictionaries() if self._pieces else None
