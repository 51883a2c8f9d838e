"""What every walk is, and plain sums over rows.

Belongs here: the type of a walk and the few reckonings that several walks need. So the loops stay plain.
"""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any

from sgf_pipeline.domain.money import minor_digits

Row = dict[str, Any]


class Walk(ABC):
    """One incident, walked through in time order. ``frauds`` are its fraud rows, all of them.

    ``pass_by`` is called for its rows that are no fraud, ``step`` for its fraud rows; ``step`` returns every value
    that the evidence of that row may name, with ``fact``.
    """

    def __init__(self, frauds: list[Row]) -> None:
        self.frauds = frauds

    def pass_by(self, row: Row) -> None:  # noqa: B027 - most scenarios have no such rows
        """Take note of a row that is no fraud."""

    @abstractmethod
    def step(self, row: Row) -> dict[str, Any]:
        """What the incident shows up to and including this fraud row."""


def lapse(microseconds: int) -> dict[str, Any]:
    """A duration as evidence gives it: from 2 days in days, from 2 hours in hours, from 2 minutes in minutes."""
    seconds = microseconds // 10**6
    if seconds < 120:
        return {"value": seconds, "unit": "seconds"}
    if seconds < 7_200:
        return {"value": seconds // 60, "unit": "minutes"}
    if seconds < 172_800:
        return {"value": seconds // 3_600, "unit": "hours"}
    return {"value": seconds // 86_400, "unit": "days"}


def money(amount: float, currency: str) -> Decimal:
    """An exported amount, exact."""
    return Decimal(str(amount)).quantize(Decimal(1).scaleb(-minor_digits(currency)))


def money_sum(rows: list[Row]) -> Decimal:
    return sum((row["money"] for row in rows), Decimal(0))


def approved(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["response_code"] == "00"]


def different(rows: list[Row], column: str) -> int:
    """How many values the rows show in the column; null is none."""
    return len({row[column] for row in rows if row[column] is not None})


def other_accounts(rows: list[Row]) -> int:
    """Different accounts on the other side."""
    return different(rows, "counterparty_account_id")
