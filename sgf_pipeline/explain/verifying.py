"""``verify``: the second opinion on explanations, which shares no line of reckoning with ``explain``.

Belongs here: walking through the exported rows of each incident one by one, with sets and sums, and comparing what
that shows with evidence and text. It imports nothing from the other modules of this package, on purpose: a defect
there must not be repeated here. So the loops stay plain.
"""

import json
import re
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

from sgf_pipeline.domain.money import minor_digits

_NUMBERS = {
    "en": re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.,])\d+(?:\.\d+)?"),
    "fr": re.compile(r"(?<![\w.,])\d{1,3}(?:\u202f\d{3})+(?:,\d+)?|(?<![\w.,])\d+(?:,\d+)?"),
}
_THOUSANDS = {"en": ",", "fr": "\u202f"}
_DECIMAL = {"en": ".", "fr": ","}
_HEAD = ("scenario", "fact", "language", "currency")
_MOST_TRANSACTIONS = 8

Row = dict[str, Any]


def verify(rows_with_explanations: pd.DataFrame) -> list[str]:
    """One sentence per defect found; empty where every explanation is true.

    ``rows_with_explanations``: the rows that ``explain`` was given, with its two columns. Checked are: every fraud
    row has an explanation and evidence and no other row has one; every value of the evidence follows from the
    incident's exported rows; every number in the text stands in the evidence, no more often than there; the
    transactions named are exported rows of the incident up to this one, this one among them.
    """
    problems: list[str] = []
    walks: dict[str, _CardTesting | _MoneyLaundering] = {}
    rows = _plain_rows(rows_with_explanations)
    totals = _totals(rows)
    for row in rows:
        name = row["transaction_id"]
        if not row["is_fraud"]:
            if row["explanation"] is not None or row["evidence"] is not None:
                problems.append(f"transaction {name} is no fraud but has an explanation")
            continue
        if row["explanation"] is None or row["evidence"] is None:
            problems.append(f"transaction {name} is fraud but has no explanation")
            continue
        evidence = json.loads(row["evidence"])
        scenario = evidence.get("scenario")
        if scenario not in _WALKS:
            problems.append(f"transaction {name}: evidence names the unknown scenario {scenario!r}")
            continue
        incident = row["incident_id"]
        if incident not in walks:
            walks[incident] = _WALKS[scenario](totals[incident])
        walk = walks[incident]
        expected = walk.step(row)
        walk.seen.add(name)
        problems += [f"transaction {name}: {problem}" for problem in _compare(row, evidence, expected, walk.seen)]
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


def _lapse(microseconds: int) -> dict[str, Any]:
    """A duration as evidence gives it: from 2 days in days, from 2 hours in hours, from 2 minutes in minutes."""
    seconds = microseconds // 10**6
    if seconds < 120:
        return {"value": seconds, "unit": "seconds"}
    if seconds < 7_200:
        return {"value": seconds // 60, "unit": "minutes"}
    if seconds < 172_800:
        return {"value": seconds // 3_600, "unit": "hours"}
    return {"value": seconds // 86_400, "unit": "days"}


class _CardTesting:
    """What an incident of card testing has shown so far."""

    def __init__(self, totals: Counter[str]) -> None:
        self.spends = totals["spend"]
        self.attempts = totals.total() - self.spends
        self.seen: set[str] = set()
        self.tested: list[Row] = []
        self.spent = 0

    def step(self, row: Row) -> dict[str, Any]:
        known = {"merchant": row["merchant_name"], "amount": row["amount"], "response_code": row["response_code"]}
        if row["step_kind"] != "spend":
            self.tested.append(row)
            number = len(self.tested)
            kind = "first_test" if number == 1 else "test" if self._different("device_id") else "unseen_test"
            return {
                **known,
                "fact": kind,
                "attempt": number,
                "attempts": self.attempts,
                "elapsed": _lapse(row["event_us"] - self.tested[0]["event_us"]),
                "cards": self._different("card_id"),
                "declined": sum(1 for test in self.tested if test["response_code"] != "00"),
                "devices": self._different("device_id"),
                "addresses": self._different("ip_address"),
                "merchants": self._different("merchant_id"),
            }
        self.spent += 1
        tests = [test for test in self.tested if test["card_id"] == row["card_id"]]
        passed = [test for test in tests if test["response_code"] == "00"]
        if not passed:
            return {"fact": "a spend on a card that passed no test"}
        return {
            **known,
            "fact": "spend",
            "spend": self.spent,
            "spends": self.spends,
            "cards": self._different("card_id"),
            "card_tests": len(tests),
            "tested_amount": passed[-1]["amount"],
            "waited": _lapse(row["event_us"] - passed[-1]["event_us"]),
        }

    def _different(self, column: str) -> int:
        return len({test[column] for test in self.tested if test[column] is not None})


class _MoneyLaundering:
    """What an incident of money laundering has shown so far. Money is summed as decimals."""

    def __init__(self, totals: Counter[str]) -> None:
        self.legs = totals.total()
        self.seen: set[str] = set()
        self.rows: list[Row] = []

    def step(self, row: Row) -> dict[str, Any]:
        self.rows.append(row)
        own = [r for r in self.rows if r["account_id"] == row["account_id"]]
        credits = [r for r in own if r["direction"] == "credit" and r["response_code"] == "00"]
        debits = [r for r in own if r["direction"] == "debit" and r["response_code"] == "00"]
        cash = [r for r in own if r["step_kind"] == "cash_deposit"]
        came_in, went_out = _sum(credits), _sum(debits)
        known: dict[str, Any] = {
            "vector": row["vector"],
            "leg": len(self.rows),
            "legs": self.legs,
            "amount": row["amount"],
            "elapsed": _lapse(row["event_us"] - self.rows[0]["event_us"]),
            "country": row["counterparty_country"],
            "deposits": len(cash),
            "largest": max((r["amount"] for r in cash), default=0.0),
            "senders": _different(credits),
            "receivers": _different(debits),
            "accounts": len({r["account_id"] for r in self.rows}),
            "came_in": float(came_in),
            "went_out": float(went_out),
        }
        kind = row["step_kind"]
        if row["direction"] == "debit":
            if came_in <= 0:
                return {"fact": "money carried on that never came in"}
            passed_on = int((100 * went_out / came_in).quantize(Decimal(1), rounding=ROUND_HALF_UP))
            known |= {
                "last_in": credits[-1]["amount"],
                "since_in": _lapse(row["event_us"] - credits[-1]["event_us"]),
                "passed_on": passed_on,
                "kept": 100 - passed_on,
            }
            if went_out > came_in:
                return {"fact": "more money carried on than came in"}
            return {
                **known,
                "fact": {"internal_transfer": "sent", "outbound_transfer": "outbound"}.get(kind, "cash_out"),
            }
        if kind == "cash_deposit":
            return {**known, "fact": "cash" if len(cash) > 1 else "first_cash"}
        if kind == "inbound_transfer":
            return {**known, "fact": "inbound"}
        at_origin = row["vector"] == "cycle" and row["account_id"] == self.rows[0]["account_id"]
        return {**known, "fact": "returned" if at_origin else "received"}


def _sum(rows: list[Row]) -> Decimal:
    return sum(
        (Decimal(str(row["amount"])).quantize(Decimal(1).scaleb(-minor_digits(row["currency"]))) for row in rows),
        Decimal(0),
    )


def _different(rows: list[Row]) -> int:
    """Different accounts on the other side."""
    return len({row["counterparty_account_id"] for row in rows if row["counterparty_account_id"] is not None})


_WALKS: dict[str, type[_CardTesting] | type[_MoneyLaundering]] = {
    "card_testing": _CardTesting,
    "money_laundering": _MoneyLaundering,
}
