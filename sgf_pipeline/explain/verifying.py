"""``verify``: the second opinion on explanations, which shares no line of reckoning with ``explain``.

Belongs here: walking through the exported rows of each incident one by one, with sets and sums, and comparing what
that shows with evidence and text. Beside the walks it imports nothing from the other modules of this package, on
purpose: a defect there must not be repeated here. So the loops stay plain.
"""

import json
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import pandas as pd

from sgf_pipeline.explain.walks import WALKS
from sgf_pipeline.explain.walks.base import Row, Walk

_NUMBERS = {
    "en": re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.,])\d+(?:\.\d+)?"),
    "fr": re.compile(r"(?<![\w.,])\d{1,3}(?:\u202f\d{3})+(?:,\d+)?|(?<![\w.,])\d+(?:,\d+)?"),
}
_THOUSANDS = {"en": ",", "fr": "\u202f"}
_DECIMAL = {"en": ".", "fr": ","}
_HEAD = ("scenario", "fact", "language", "currency")
_MOST_TRANSACTIONS = 8


def verify(rows_with_explanations: pd.DataFrame) -> list[str]:
    """One sentence per defect found; empty where every explanation is true.

    ``rows_with_explanations``: the rows that ``explain`` was given, with its two columns. Checked are: every fraud
    row has an explanation and evidence and no other row has one; every value of the evidence follows from the
    incident's exported rows; every number in the text stands in the evidence, no more often than there; the
    transactions named are exported rows of the incident up to this one, this one among them.
    """
    problems: list[str] = []
    rows = _plain_rows(rows_with_explanations)
    totals = _totals(rows)
    walks: dict[str, Walk] = {}
    for row in rows:
        scenario = json.loads(row["evidence"]).get("scenario") if row["evidence"] else None
        if scenario in WALKS and row["incident_id"] not in walks:
            walks[row["incident_id"]] = WALKS[scenario](totals[row["incident_id"]])
    for row in rows:
        name, walk = row["transaction_id"], walks.get(row["incident_id"])
        explained = row["explanation"] is not None and row["evidence"] is not None
        if not row["is_fraud"]:
            if row["explanation"] is not None or row["evidence"] is not None:
                problems.append(f"transaction {name} is no fraud but has an explanation")
            if walk is not None:
                walk.seen.add(name)
                walk.pass_by(row)
        elif not explained:
            problems.append(f"transaction {name} is fraud but has no explanation")
        elif walk is None or (evidence := json.loads(row["evidence"])).get("scenario") not in WALKS:
            problems.append(f"transaction {name}: evidence names an unknown scenario")
        else:
            walk.seen.add(name)
            problems += [f"transaction {name}: {text}" for text in _compare(row, evidence, walk.step(row), walk.seen)]
    return problems


def _plain_rows(frame: pd.DataFrame) -> list[Row]:
    """Rows as dictionaries; nulls are None, the moment is in whole microseconds."""
    needed = [
        "transaction_id", "incident_id", "is_fraud", "step_kind", "vector", "account_id", "card_id", "direction",
        "amount", "currency", "response_code", "merchant_id", "merchant_name", "counterparty_account_id",
        "counterparty_country", "device_id", "ip_address", "explanation", "evidence",
    ]  # fmt: skip
    columns = {}
    for name in needed:
        values = frame[name].to_numpy(dtype=object).copy()
        values[frame[name].isna().to_numpy()] = None
        columns[name] = values.tolist()
    columns["event_us"] = frame["event_time"].dt.as_unit("us").to_numpy(dtype="datetime64[us]").view("int64").tolist()
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _totals(rows: list[Row]) -> dict[str, Counter[str]]:
    """How many fraud rows of each step kind an incident has, over all its exported rows."""
    totals: dict[str, Counter[str]] = {}
    for row in rows:
        if row["is_fraud"]:
            totals.setdefault(row["incident_id"], Counter())[row["step_kind"]] += 1
    return totals


def _compare(row: Row, evidence: dict[str, Any], expected: dict[str, Any], seen: set[str]) -> list[str]:
    problems: list[str] = []
    language = evidence.get("language")
    if language not in _NUMBERS or evidence.get("currency") != row["currency"]:
        return [f"evidence is in {language!r} and {evidence.get('currency')!r}, the row in {row['currency']}"]
    if evidence.get("fact") != expected["fact"]:
        problems.append(f"evidence tells {evidence.get('fact')!r}, the rows show {expected['fact']!r}")
    told = {key: value for key, value in evidence.items() if key not in (*_HEAD, "transactions")}
    for key, value in told.items():
        if key not in expected:
            problems.append(f"evidence has {key}, of which the rows say nothing")
        elif value != expected[key]:
            problems.append(f"evidence has {key} {value!r}, the rows show {expected[key]!r}")
    named = evidence.get("transactions", [])
    if not 1 <= len(named) <= _MOST_TRANSACTIONS or len(set(named)) < len(named):
        problems.append(f"evidence names {len(named)} transactions: it must be 1 to 8 different ones")
    if row["transaction_id"] not in named or not set(named) <= seen:
        problems.append("evidence must name this row and none but earlier exported rows of its incident")
    unproven = _numbers_in_text(row["explanation"], told, language) - _numbers_in_evidence(told)
    problems += [f"the text says {number}, which the evidence does not" for number in unproven]
    return problems


def _numbers_in_text(text: str, told: dict[str, Any], language: str) -> Counter[Decimal]:
    merchant = told.get("merchant")
    if merchant:
        text = text.replace(merchant, "", 1)  # a shop's name may hold digits; they are no number
    found = _NUMBERS[language].findall(text)
    return Counter(
        Decimal(number.replace(_THOUSANDS[language], "").replace(_DECIMAL[language], ".")).normalize()
        for number in found
    )


def _numbers_in_evidence(told: dict[str, Any]) -> Counter[Decimal]:
    numbers = [value["value"] if isinstance(value, dict) else value for value in told.values()]
    return Counter(
        Decimal(str(number)).normalize()
        for number in numbers
        if isinstance(number, int | float) or (isinstance(number, str) and number.isdigit())
    )
