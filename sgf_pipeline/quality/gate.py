"""The gate: what every row of a shard must satisfy, what rows must satisfy together, and the shard as a whole.

Belongs here: rules of one row (pandera, beside the one schema), rules between rows (a refund and its purchase, the two
legs of a transfer, the money of a laundering scheme), exact counts, uniqueness, order. One bad row fails the shard,
because it is a defect of ours. Does not belong here: whether the data are realistic (``realism``, ``expectations``)
or give fraud away (``shortcuts``).

Rows are read batch by batch. What the rules between rows need of them stays in memory: about 70 bytes a row.
"""

from collections.abc import Callable
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

from sgf_pipeline.domain.events import TRANSACTION_TYPES
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.domain.schema import CLEAN_SCHEMA, FIELDS
from sgf_pipeline.domain.streams import RowStream

Array = NDArray[Any]
Bools = NDArray[np.bool_]
RowRule = Callable[[pd.DataFrame], Bools]

BAD_ROWS_KEPT = 10_000
LAUNDERING: ScenarioName = "money_laundering"
CARD_TYPES = ("purchase", "verification")  # and everything at a terminal
RETURNS = ("refund", "chargeback")
CREDITS, DEBITS = (*RETURNS, "deposit"), (*CARD_TYPES, "withdrawal")  # transfers go both ways
PRESENT_ENTRY, REMOTE_ENTRY = ("chip", "contactless", "magstripe"), ("manual", "stored_credential")
MERCHANT = ("merchant_id", "merchant_name", "merchant_category_code", "merchant_country", "merchant_city")
# Columns that one fact fills: all of them or none.
TOGETHER = {
    "the merchant's columns": MERCHANT,
    "the card and its entry mode": ("card_id", "entry_mode"),
    "the other account and its country": ("counterparty_account_id", "counterparty_country"),
    "the address and its country": ("ip_address", "ip_country"),
    "latitude and longitude": ("latitude", "longitude"),
    "incident, case and step": ("incident", "case", "case_step"),
}
_CATEGORIES = frozenset(category.mcc for category in iso18245.get_all_mccs())
_COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries)
_SHAPES = {
    "transaction_id": r"txn_[0-9a-f]{24}",
    "linked_transaction_id": r"txn_[0-9a-f]{24}",
    "customer_id": r"cus_[0-9a-f]{16}",
    "account_id": r"acc_[0-9a-f]{16}",
    "counterparty_account_id": r"acc_[0-9a-f]{16}",
    "card_id": r"crd_[0-9a-f]{16}",
    "device_id": r"dev_[0-9a-f]{16}",
    "merchant_id": r"mer_[0-9a-f]{16}",
    "ip_address": r"2001:db8:[0-9a-f:]+",
}
_WORDS: dict[str, frozenset[str]] = {
    "merchant_category_code": _CATEGORIES,
    "merchant_country": _COUNTRIES,
    "counterparty_country": _COUNTRIES,
    "ip_country": _COUNTRIES,
    **{field.name: frozenset(field.words) for field in FIELDS if field.words},
}


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


def judge(rows: RowStream, content: RequestContent, scenario: ScenarioName) -> Verdict:
    """Read the shard of ``scenario`` (``CLEAN_SCHEMA``) once and answer every check.

    Checks: schema (rules of one row), exact_counts, unique_ids, time_order, links (refunds and chargebacks),
    transfers (two legs inside the bank), money (conserved in laundering schemes). Read again only for bad rows.
    """
    counts = content.shard_counts()[scenario]
    rules = row_rules(content)
    reasons = _Reasons()
    log = _Log(minor_digits(content.currency))
    frauds = rule_failures = 0
    same_schema = rows.schema.equals(CLEAN_SCHEMA)
    for batch in rows if same_schema else ():
        failures = _row_failures(rules, batch.to_pandas())
        rule_failures += len(failures)
        reasons.add(batch, failures)
        frauds += int(pc.sum(batch.column("is_fraud")).as_py() or 0)
        log.add(batch)
    seen = log.columns()
    by_id = np.argsort(seen["id"], kind="stable")
    links = _Links.of(seen, by_id)
    broken = {
        "unique_ids": _unique(seen, by_id),
        "time_order": _ordered(seen),
        "links": _returns(seen, links),
        "transfers": _transfers(seen, links),
        "money": _conserved(seen) if scenario == LAUNDERING else {},
    }
    asked_of: dict[str, dict[str, Any]] = {
        "links": {"refunds and chargebacks": len(links.of_type(seen, *RETURNS)[0])},
        "transfers": {"transfers of two legs": len(links.of_type(seen, "transfer")[0])},
        "money": {"schemes": len(np.unique(seen["incident"])) if scenario == LAUNDERING else 0},
    }
    reasons.look_up(rows, [(int(row), rule) for found in broken.values() for rule, bad in found.items() for row in bad])
    return Verdict(
        [
            Check("schema", same_schema and not rule_failures, {"failures": rule_failures}),
            Check(
                "exact_counts",
                (len(seen["id"]), frauds) == (counts.rows, counts.fraudulent),
                {
                    "rows": len(seen["id"]),
                    "rows_requested": counts.rows,
                    "fraudulent": frauds,
                    "fraudulent_requested": counts.fraudulent,
                },
            ),
            *(
                Check(
                    name,
                    not any(len(bad) for bad in found.values()),
                    {**asked_of.get(name, {}), **{rule: len(bad) for rule, bad in found.items()}},
                )
                for name, found in broken.items()
            ),
        ],
        reasons.table(),
    )


# Rules of one row.


def row_rules(content: RequestContent) -> pa_pandas.DataFrameSchema:
    """The pandera schema of one batch of clean rows: words, nulls, ranges and rules between columns.

    Types are not repeated here: the Arrow schema fixes them before pandera sees a row. Rules about words are asked of
    a column's distinct words, of which there are far fewer than rows.
    """
    factor = 10 ** minor_digits(content.currency)
    first = pd.Timestamp(content.start_date)
    last = pd.Timestamp(content.end_date) + pd.Timedelta(999_999, "us")
    checks: dict[str, list[pa_pandas.Check]] = {name: [] for name in CLEAN_SCHEMA.names}
    for name, words in _WORDS.items():
        checks[name].append(_words(words))
    for name, shape in _SHAPES.items():
        checks[name].append(_shaped(shape))
    checks["currency"].append(_words(frozenset([content.currency])))
    checks["event_time"].append(_between(first, last))
    checks["latitude"].append(_between(-90, 90))
    checks["longitude"].append(_between(-180, 180))
    for name in ("amount", "account_age_days", "prior_disputes"):
        checks[name].append(_between(0, np.inf))
    checks["amount"].append(_rule("minor unit exact", lambda amount: _is_whole(amount.to_numpy() * factor)))
    return pa_pandas.DataFrameSchema(
        {field.name: pa_pandas.Column(nullable=field.nullable, checks=checks[field.name]) for field in CLEAN_SCHEMA},
        checks=[_rule(name, rule) for name, rule in _BETWEEN_COLUMNS.items()],
    )


def _is(rows: pd.DataFrame, column: str, *words: str) -> Bools:
    """Where the column, a dictionary, holds one of the words."""
    values = rows[column].array
    return np.asarray(np.array([*(word in words for word in values.categories), False])[values.codes])


def _has(rows: pd.DataFrame, column: str) -> Bools:
    return ~np.asarray(rows[column].array.isna())


def _all_or_none(first: str, *others: str) -> RowRule:
    def holds(rows: pd.DataFrame) -> Bools:
        there = _has(rows, first)
        return np.asarray(np.logical_and.reduce([_has(rows, column) == there for column in others]))

    return holds


# Each says of every row whether it holds.
_BETWEEN_COLUMNS: dict[str, RowRule] = {
    **{f"{what} are there together or not at all": _all_or_none(*columns) for what, columns in TOGETHER.items()},
    "card rows name a card": lambda f: (
        ~(_is(f, "transaction_type", *CARD_TYPES, *RETURNS) | _is(f, "channel", "pos", "atm")) | _has(f, "card_id")
    ),
    "card rows name a merchant": lambda f: ~_has(f, "card_id") | _has(f, "merchant_id"),
    "a card present is read by chip, contactless or magstripe": lambda f: (
        ~_is(f, "channel", "pos", "atm") | _is(f, "entry_mode", *PRESENT_ENTRY)
    ),
    "a card that is not present is typed in or stored": lambda f: (
        ~_is(f, "channel", "ecommerce", "mobile") | ~_has(f, "card_id") | _is(f, "entry_mode", *REMOTE_ENTRY)
    ),
    "the direction fits the transaction_type": lambda f: np.where(
        _is(f, "direction", "credit"), ~_is(f, "transaction_type", *DEBITS), ~_is(f, "transaction_type", *CREDITS)
    ),
    "only verifications are of nothing": lambda f: (
        (f["amount"].to_numpy() != 0) | _is(f, "transaction_type", "verification")
    ),
    "refunds and chargebacks name their purchase": lambda f: (
        ~_is(f, "transaction_type", *RETURNS) | _has(f, "linked_transaction_id")
    ),
    "refunds, chargebacks and credit legs alone are linked": lambda f: (
        ~_has(f, "linked_transaction_id")
        | _is(f, "transaction_type", *RETURNS)
        | (_is(f, "transaction_type", "transfer") & _is(f, "direction", "credit"))
    ),
    "refunds, chargebacks and linked legs are booked (00)": lambda f: (
        ~_has(f, "linked_transaction_id") | _is(f, "response_code", "00")
    ),
    "chargebacks, and they alone, have a dispute_reason": lambda f: (
        _is(f, "transaction_type", "chargeback") == _has(f, "dispute_reason")
    ),
    "transfers name the other account": lambda f: (
        ~_is(f, "transaction_type", "transfer") | _has(f, "counterparty_account_id")
    ),
    "transfers and deposits alone name another account": lambda f: (
        ~_has(f, "counterparty_account_id") | _is(f, "transaction_type", "transfer", "deposit")
    ),
    "frauds belong to an incident, a case and its step, and are known some day": lambda f: (
        ~f["is_fraud"].to_numpy() | (_has(f, "incident") & _has(f, "label_delay_s"))
    ),
    "a hard negative is no fraud": lambda f: ~f["is_fraud"].to_numpy() | ~_has(f, "hard_negative"),
}


def _rule(name: str, holds: Callable[[Any], Bools]) -> pa_pandas.Check:
    """A check that says which rows fail. "All hold" is one word, which pandera need not take apart row by row."""

    def answer(values: Any) -> Any:
        good = holds(values)
        return True if good.all() else pd.Series(good, index=values.index)

    return pa_pandas.Check(answer, name=name, ignore_na=False)


def _words(allowed: frozenset[str]) -> pa_pandas.Check:
    said = ", ".join(sorted(allowed)) if len(allowed) < 16 else f"one of {len(allowed)} words"
    return _rule(
        f"is {said}", lambda column: _by_word(column, lambda words: [word in allowed for word in words.tolist()])
    )


def _shaped(pattern: str) -> pa_pandas.Check:
    """Every word matches the pattern wholly."""
    return _rule(
        f"matches {pattern}",
        lambda column: _by_word(
            column, lambda words: pc.match_substring_regex(pa.array(words, pa.string()), f"^{pattern}$")
        ),
    )


def _by_word(column: "pd.Series[Any]", holds: Callable[[Any], Any]) -> Bools:
    """Whether each row's word holds; null does. Asked once for each category where the column has categories."""
    values = column.array
    if isinstance(values, pd.Categorical):
        return np.asarray(np.append(np.asarray(holds(values.categories), dtype=bool), True)[values.codes])
    return np.asarray(pc.fill_null(holds(values), True), dtype=bool)


def _between(low: Any, high: Any) -> pa_pandas.Check:
    return _rule(f"{low} to {high}", lambda column: ~((column < low) | (column > high)).to_numpy())


def _is_whole(values: NDArray[np.float64]) -> Bools:
    return np.abs(values - np.round(values)) < 1e-4


def _row_failures(rules: pa_pandas.DataFrameSchema, frame: pd.DataFrame) -> list[tuple[int, str]]:
    try:
        rules.validate(frame, lazy=True, inplace=True)  # nothing is coerced: a copy a column would be for nothing
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


# Rules between rows. A row is known by its number in the shard. Each function returns, for each rule in words, the rows
# that break it (none: it holds).

Broken = dict[str, Array]


class _Log:
    """What the rules between rows need of every row, as numbers; links and incidents of those rows that have one."""

    def __init__(self, digits: int) -> None:
        self._factor = 10**digits
        self._pieces: dict[str, list[Array]] = {name: [np.empty(0, dtype)] for name, dtype in _LOG.items()}
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        amount = batch.column("amount").to_numpy()
        links, incidents = batch.column("linked_transaction_id"), batch.column("incident")
        linked, plays = (column.is_valid().to_numpy(zero_copy_only=False) for column in (links, incidents))
        values = {
            "id": _numbers(batch.column("transaction_id")),
            "time": batch.column("event_time").cast(pa.int64()).to_numpy(),
            "amount": np.rint(np.where(np.isfinite(amount), amount, 0) * self._factor).astype(np.int64),
            "customer": _numbers(batch.column("customer_id")),
            "account": _numbers(batch.column("account_id")),
            "card": _numbers(batch.column("card_id")),
            "merchant": _numbers(batch.column("merchant_id")),
            "counterparty": _numbers(batch.column("counterparty_account_id")),
            "type": _coded(batch.column("transaction_type"), _TYPES),
            "credit": _coded(batch.column("direction"), {"credit": 1}) == 1,
            "booked": _coded(batch.column("response_code"), {"00": 1}) == 1,
            "fraud": batch.column("is_fraud").to_numpy(zero_copy_only=False),
            "link_row": self._rows + np.flatnonzero(linked),
            "link": _numbers(links.filter(linked)),
            "incident_row": self._rows + np.flatnonzero(plays),
            "incident": incidents.drop_null().to_numpy(),
        }
        for name, column in values.items():
            self._pieces[name].append(column)
        self._rows += batch.num_rows

    def columns(self) -> dict[str, Array]:
        """One array a column of ``_LOG``."""
        return {name: np.concatenate(pieces) for name, pieces in self._pieces.items()}


_TYPES = {word: number for number, word in enumerate(TRANSACTION_TYPES)}
_LOG = {
    **dict.fromkeys(("id", "customer", "account", "card", "merchant", "counterparty", "link"), np.uint64),
    **dict.fromkeys(("time", "amount", "link_row", "incident_row"), np.int64),
    **dict.fromkeys(("credit", "booked", "fraud"), np.bool_),
    "type": np.int8,
    "incident": np.int32,
}


def _coded(column: pa.DictionaryArray, codes: dict[str, int]) -> NDArray[np.int8]:
    """The code of each row's word, -1 for null and for a word without one."""
    of_word = np.array([*(codes.get(word, -1) for word in column.dictionary.to_pylist()), -1], dtype=np.int8)
    return np.asarray(of_word[column.indices.fill_null(-1).to_numpy()])


def _numbers(ids: pa.Array) -> NDArray[np.uint64]:
    """The first 16 hex digits of each id as a number, 0 for null and for what is too short.

    64 bits are enough to tell ids apart, and take a tenth of the memory of the texts. Digits that are none count as 0:
    the rule about an id's shape has found them.
    """
    if isinstance(ids, pa.DictionaryArray):
        return np.asarray(np.append(_numbers(ids.dictionary), np.uint64(0))[ids.indices.fill_null(-1).to_numpy()])
    digits = pc.binary_slice(ids.cast(pa.binary()), 4, 20)
    whole = pc.equal(pc.binary_length(digits), 16)
    digits = pc.if_else(whole, digits, b"0" * 16).fill_null(b"0" * 16).cast(pa.binary(16))
    texts = np.frombuffer(digits.buffers()[1], np.uint8)[16 * digits.offset :][: 16 * len(digits)].reshape(-1, 16)
    halves = _HEX[texts]
    return (halves[:, 0::2] << 4 | halves[:, 1::2]).view(">u8")[:, 0].astype(np.uint64)


_HEX = np.zeros(256, dtype=np.uint8)
_HEX[list(b"0123456789abcdef")] = np.arange(16)


@dataclass(frozen=True)
class _Links:
    """The linked rows, and the row that each names; ``dangling`` are the rows that name none of the shard."""

    row: Array
    to: Array
    dangling: Array

    @classmethod
    def of(cls, log: dict[str, Array], by_id: Array) -> "_Links":
        at = np.searchsorted(log["id"], log["link"], sorter=by_id)
        to = np.append(by_id, -1)[at]
        known = np.append(log["id"], 0)[to] == log["link"]
        return cls(log["link_row"][known], to[known], log["link_row"][~known])

    def of_type(self, log: dict[str, Array], *types: str) -> tuple[Array, Array]:
        """(rows, rows they name) of the given transaction types."""
        chosen = np.isin(log["type"][self.row], [_TYPES[word] for word in types])
        return self.row[chosen], self.to[chosen]


def _unique(log: dict[str, Array], by_id: Array) -> Broken:
    ids = log["id"][by_id]
    again = np.flatnonzero(ids[1:] == ids[:-1])
    return {"transaction_id is repeated": by_id[np.union1d(again, again + 1)]}


def _ordered(log: dict[str, Array]) -> Broken:
    return {"event_time is before the row above": 1 + np.flatnonzero(np.diff(log["time"]) < 0)}


def _returns(log: dict[str, Array], links: _Links) -> Broken:
    """Refunds and chargebacks and their purchases.

    A purchase may be refunded *and* charged back, even in full: nobody stops a customer who disputes what the shop has
    paid back (double dipping), or a bank that is quicker than the shop. Nor does anything stop a shop that pays its own
    circle back twice: refunds that are themselves fraud are held to their purchase one by one, not together.
    """
    row, to = links.of_type(log, *RETURNS)
    same = [log[party][row] == log[party][to] for party in ("customer", "account", "card", "merchant")]
    honest = ~log["fraud"][row]
    refund = log["type"][row] == _TYPES["refund"]
    return {
        "linked_transaction_id is not in the shard": links.dangling,
        "what is paid back is no purchase": row[log["type"][to] != _TYPES["purchase"]],
        "what is paid back was declined": row[~log["booked"][to]],
        "paid back to another customer, account or card, or by another merchant": row[~np.logical_and.reduce(same)],
        "paid back before it was paid": row[log["time"][row] < log["time"][to]],
        "more is paid back than was paid": row[log["amount"][row] > log["amount"][to]],
        "refunds of one purchase are more than it": _more_together(log, row[refund & honest], to[refund & honest]),
        "chargebacks of one purchase are more than it": _more_together(log, row[~refund], to[~refund]),
    }


def _more_together(log: dict[str, Array], row: Array, to: Array) -> Array:
    """The rows whose amounts exceed, together, the amount of the row that they name."""
    purchase, which = np.unique(to, return_inverse=True)
    together = np.zeros(len(purchase), dtype=np.int64)
    np.add.at(together, which, log["amount"][row])
    return np.asarray(row[(together > log["amount"][purchase])[which]])


def _transfers(log: dict[str, Array], links: _Links) -> Broken:
    """Transfers between two accounts of the shard: a debit leg, and a credit leg that names it."""
    row, to = links.of_type(log, "transfer")
    transfer = np.flatnonzero(log["type"] == _TYPES["transfer"])
    inside = transfer[log["booked"][transfer] & np.isin(log["counterparty"][transfer], log["account"])]
    mirrored = (log["account"][row] == log["counterparty"][to]) & (log["counterparty"][row] == log["account"][to])
    debit = (log["type"][to] == _TYPES["transfer"]) & ~log["credit"][to]
    return {
        "a credit leg names no debit leg": row[~debit],
        "a credit leg's debit leg was declined": row[~log["booked"][to]],
        "the legs' amounts differ": row[log["amount"][row] != log["amount"][to]],
        "the legs' accounts do not mirror each other": row[~mirrored],
        "a credit leg is before its debit leg": row[log["time"][row] < log["time"][to]],
        "a debit leg has two credit legs": row[np.isin(to, to[pd.Series(to).duplicated().to_numpy()])],
        "a transfer inside the shard has one leg": np.setdiff1d(inside, np.concatenate([row, to])),
        "an account pays itself": transfer[log["account"][transfer] == log["counterparty"][transfer]],
    }


def _conserved(log: dict[str, Array]) -> Broken:
    """No account of a laundering scheme passes on more than the scheme has brought it up to then.

    A scheme that the period's end or the exact count cuts short has rows less at its end, which breaks nothing.
    """
    moves = log["fraud"][log["incident_row"]] & log["booked"][log["incident_row"]]
    row, incident = log["incident_row"][moves], log["incident"][moves]
    order = np.lexsort((row, log["account"][row], incident))
    row, incident = row[order], incident[order]
    account = log["account"][row]
    held = np.cumsum(np.where(log["credit"][row], log["amount"][row], -log["amount"][row]))
    first = np.flatnonzero(np.append(True, (np.diff(incident) != 0) | (np.diff(account) != 0))[: len(row)])
    before = np.append(0, held)[first]  # what the accounts above hold together
    held = held - np.repeat(before, np.diff(np.append(first, len(row))))
    return {"more leaves the account than the scheme brought it": row[held < 0]}


class _Reasons:
    """Collects bad rows with their reasons, up to a bound."""

    def __init__(self) -> None:
        self._pieces: list[pa.Table] = []
        self._kept = 0

    def add(self, batch: pa.RecordBatch, failures: list[tuple[int, str]]) -> None:
        """Failures of rows of this batch, counted from its first; -1 is the batch as a whole and no row."""
        located = [(row, reason) for row, reason in failures if row >= 0][: BAD_ROWS_KEPT - self._kept]
        if not located:
            return
        self._kept += len(located)
        rows = pa.Table.from_batches([batch]).take(pa.array([row for row, _ in located], pa.int64()))
        self._pieces.append(rows.append_column("reason", pa.array([reason for _, reason in located], pa.string())))

    def look_up(self, rows: RowStream, failures: list[tuple[int, str]]) -> None:
        """Failures of rows counted from the stream's first."""
        waiting = sorted(failures)[:BAD_ROWS_KEPT]
        first = 0
        for batch in rows if waiting else ():
            last = first + batch.num_rows
            self.add(batch, [(row - first, reason) for row, reason in waiting if first <= row < last])
            first = last

    def table(self) -> pa.Table | None:
        return pa.concat_tables(self._pieces).unify_dictionaries() if self._pieces else None
