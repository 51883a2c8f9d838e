"""``verify``: the second opinion on explanations, which shares no line of reckoning with ``explain``.

Belongs here: walking through the exported rows of each incident one by one, with sets and sums, and comparing what
that shows with evidence, cited rows and text. Beside the walks it imports nothing from the other modules of this
package, on purpose: a defect there must not be repeated here. So the loops stay plain.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import pandas as pd

from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.explain.walks import WALKS
from sgf_pipeline.explain.walks.base import Row, Walk, different, lapse, money, money_sum

# whatever holds a digit: "1,234.50", "N7", "05"
_NUMERAL = re.compile(r"\w*\d(?:[\w.,\u202f]*\w)?")
_MARKS = {"en": str.maketrans({}), "fr": str.maketrans({",": "\u202f", ".": ","})}
_PER_CENT = {"en": " %", "fr": "\u00a0%"}
_UNITS = {
    "en": {"seconds": " second", "minutes": " minute", "hours": " hour", "days": " day"},
    "fr": {"seconds": " seconde", "minutes": " minute", "hours": " heure", "days": " jour"},
}
_HEAD = ("scenario", "fact", "language", "currency", "told", "rows")
# Numbers of the row itself, and those that follow from two others, which the walks recompute: no rows are cited.
_OF_ROW = ("amount", "age")
_DERIVED = ("passed_on", "kept")
_NAMES = ("merchant", "cash_point")
_MOST_LISTED = 8
_SPANS = ("so far", "earlier", "whole")


def verify(rows_with_explanations: pd.DataFrame) -> list[str]:
    """One sentence per defect found; empty where every explanation is true.

    ``rows_with_explanations``: the rows that ``explain`` was given, with its two columns. Checked are: every fraud
    row has an explanation and evidence and no other row has one; every value of the evidence follows from the
    incident's exported rows; every number says which rows it comes from, and comes of them: the condition finds as
    many rows as it counts, those listed among them; the text tells the values that it claims to tell, every numeral
    at its place, in its format and with its unit, and no other numeral.
    """
    problems: list[tuple[int, str]] = []
    for incident in _incidents(rows_with_explanations):
        problems += _verified(incident)
    return [problem for _, problem in sorted(problems, key=lambda found: found[0])]


def _verified(incident: list[Row]) -> Iterator[tuple[int, str]]:
    """(position of the row, defect) of one incident."""
    proofs = [json.loads(row["evidence"]) if row["evidence"] is not None else None for row in incident]
    told = [proof["scenario"] for proof in proofs if proof is not None and proof.get("scenario") in WALKS]
    walk: Walk | None = WALKS[told[0]]([row for row in incident if row["is_fraud"]]) if told else None
    cited = _Cited(incident)
    for row, proof in zip(incident, proofs, strict=True):
        name, position = row["transaction_id"], row["position"]
        if not row["is_fraud"]:
            if row["explanation"] is not None or proof is not None:
                yield position, f"transaction {name} is no fraud but has an explanation"
            if walk is not None:
                walk.pass_by(row)
        elif row["explanation"] is None or proof is None:
            yield position, f"transaction {name} is fraud but has no explanation"
        elif walk is None or proof.get("scenario") not in WALKS:
            yield position, f"transaction {name}: evidence names an unknown scenario"
        else:
            for text in _compare(row, proof, walk.step(row), cited):
                yield position, f"transaction {name}: {text}"


def _incidents(frame: pd.DataFrame) -> list[list[Row]]:
    """Rows of each incident as dictionaries; nulls are None, the moment is in whole microseconds."""
    needed = [
        "transaction_id", "incident_id", "is_fraud", "case_step", "step_kind", "vector", "account_id", "card_id",
        "direction", "amount", "currency", "response_code", "merchant_id", "merchant_name", "counterparty_account_id",
        "counterparty_country", "device_id", "ip_address", "account_age_days", "explanation", "evidence",
    ]  # fmt: skip
    columns: dict[str, list[Any]] = {}
    for name in needed:
        values = frame[name].to_numpy(dtype=object).copy()
        values[frame[name].isna().to_numpy()] = None
        columns[name] = values.tolist()
    columns["event_us"] = frame["event_time"].dt.as_unit("us").to_numpy(dtype="datetime64[us]").view("int64").tolist()
    columns["position"] = list(range(len(frame)))
    incidents: dict[str, list[Row]] = {}
    for cells in zip(*columns.values(), strict=True):
        row = dict(zip(columns, cells, strict=True))
        row["money"] = money(row["amount"], row["currency"])
        incidents.setdefault(row["incident_id"], []).append(row)
    return list(incidents.values())


class _Found:
    """The rows of an incident that fulfil a condition, in time order."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.place = {row["transaction_id"]: place for place, row in enumerate(rows)}
        self._positions = [row["position"] for row in rows]

    def until(self, row: Row, span: str) -> int:
        """How many of them lie in the span that ends at a row."""
        return len(self.rows) if span == "whole" else bisect_left(self._positions, row["position"] + (span == "so far"))


class _Cited:
    """Finds the rows of one incident that fulfil a condition; each condition is evaluated once."""

    def __init__(self, incident: list[Row]) -> None:
        self._incident = incident
        self._found: dict[str, _Found] = {}

    def find(self, where: dict[str, Any]) -> _Found:
        key = json.dumps(where, sort_keys=True)
        if key not in self._found:
            tests = [(column, word if isinstance(word, list) else [word]) for column, word in where.items()]
            rows = [one for one in self._incident if all(one[name] in words for name, words in tests)]
            self._found[key] = _Found(rows)
        return self._found[key]


def _compare(row: Row, evidence: dict[str, Any], expected: dict[str, Any], cited: _Cited) -> Iterator[str]:
    language = evidence.get("language")
    if language not in _MARKS or evidence.get("currency") != row["currency"]:
        yield f"evidence is in {language!r} and {evidence.get('currency')!r}, the row in {row['currency']}"
        return
    if evidence.get("fact") != expected["fact"]:
        yield f"evidence tells {evidence.get('fact')!r}, the rows show {expected['fact']!r}"
    values = {key: value for key, value in evidence.items() if key not in _HEAD}
    for key, value in values.items():
        if key not in expected:
            yield f"evidence has {key}, of which the rows say nothing"
        elif value != expected[key]:
            yield f"evidence has {key} {value!r}, the rows show {expected[key]!r}"
    given: set[str] = set()
    for name, citation in evidence.get("rows", {}).items():
        yield from _compare_citation(row, name, citation, values, cited)
        given |= set(citation.get("gives", {}))
    for key in evidence.get("told", []):
        if _is_number(values.get(key)) and key not in {*given, *_OF_ROW, *_DERIVED}:
            yield f"the text tells {key} and cites no rows for it"
    yield from _compare_text(row["explanation"], evidence.get("told", []), values, language, row["currency"])


def _compare_citation(
    row: Row, name: str, citation: dict[str, Any], values: dict[str, Any], cited: _Cited
) -> Iterator[str]:
    where, span, listed = citation.get("where", {}), citation.get("span"), citation.get("transactions", [])
    if span not in _SPANS or not set(where) <= set(row):
        yield f"the rows {name} are cited by an unknown column or span {span!r}"
        return
    found = cited.find(where)
    count = found.until(row, span)
    rows = found.rows[:count]
    if citation.get("count") != count:
        yield f"the rows {name} are said to be {citation.get('count')}, the condition finds {count}"
    places = [found.place.get(one, count) for one in listed]
    if places != sorted(set(places)) or (places and places[-1] >= count):
        yield f"the rows {name} list transactions that the condition does not find, or not in their order"
    elif count <= _MOST_LISTED:
        if len(places) < count:
            yield f"the rows {name} list {len(places)} of {count} transactions: so few must all be listed"
    else:
        largest = max(one["amount"] for one in rows)
        told = [rows[place]["amount"] for place in places]
        if len(places) > _MOST_LISTED or largest not in told or places[0] > 0 or places[-1] < count - 1:
            yield f"the rows {name} must list the first, the largest and the last, and at most {_MOST_LISTED}"
    for key, how in citation.get("gives", {}).items():
        if key not in values:
            yield f"the rows {name} give {key}, which the evidence does not have"
        elif (reckoned := _reckoned(row, rows, how)) != values[key]:
            yield f"the rows {name} give {key} {reckoned!r}, the evidence has {values[key]!r}"


def _reckoned(row: Row, rows: list[Row], how: str) -> Any:
    """What comes of the cited rows; None where nothing does."""
    if how == "count":
        return len(rows)
    if how == "sum of amount":
        return float(money_sum(rows))
    if how == "largest amount":
        return max((one["amount"] for one in rows), default=0.0)
    if how.startswith("distinct "):
        return different(rows, how.removeprefix("distinct ")) if how.removeprefix("distinct ") in row else None
    if not rows or how not in ("first amount", "last amount", "since first", "since last"):
        return None
    one = rows[0] if "first" in how else rows[-1]
    return one["amount"] if how.endswith("amount") else lapse(row["event_us"] - one["event_us"])


def _compare_text(text: str, told: list[str], values: dict[str, Any], language: str, currency: str) -> Iterator[str]:
    """Numerals of the text against the values that it tells, one after the other."""
    for name in _NAMES:
        if name in told and values.get(name):
            if values[name] not in text:
                yield f"the text does not name {values[name]!r}"
            text = text.replace(values[name], "", 1)  # a name may hold digits; they are no number
    expected = [
        (name, *_written(name, values[name], language, currency))
        for name in told
        if name in values and _holds_digit(name, values[name])
    ]
    found = [(match.group(), match.end()) for match in _NUMERAL.finditer(text)]
    for name, number, unit in expected:
        if not found:
            yield f"the text does not say {name} {number}"
            return
        numeral, end = found.pop(0)
        if numeral != number:
            yield f"the text says {numeral}, which the evidence does not: {name} is {number}"
        elif not text[end:].startswith(unit):
            yield f"the text says {numeral} without{unit}, the unit of {name}"
    for numeral, _ in found:
        yield f"the text says {numeral}, which the evidence does not"


def _holds_digit(name: str, value: Any) -> bool:
    if name == "response_code":
        return bool(value != "00")  # approval is told in words
    return _is_number(value)


def _is_number(value: Any) -> bool:
    return not isinstance(value, str) and value is not None


def _written(name: str, value: Any, language: str, currency: str) -> tuple[str, str]:
    """(numeral, what must follow it) as the language writes them."""
    if name == "response_code":
        return value, ""
    if isinstance(value, dict):
        return _numeral(value["value"], 0, language), _UNITS[language].get(value["unit"], "\0")
    if isinstance(value, float):
        return _numeral(value, minor_digits(currency), language), f" {currency}"
    return _numeral(value, 0, language), _PER_CENT[language] if name in _DERIVED else ""


def _numeral(value: float, digits: int, language: str) -> str:
    return f"{value:,.{digits}f}".translate(_MARKS[language])
