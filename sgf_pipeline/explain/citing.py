"""Which rows each number comes from, and the numbers themselves.

Belongs here: reckoning the stated numbers of a scenario over its stated rows, and citing those rows in evidence: a
condition on exported columns that finds all of them, their count, and a bounded choice of their ids.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sgf_pipeline.explain.log import Array, Log, Reckoning, Rows, Telling
from sgf_pipeline.explain.running import (
    first_of,
    groups,
    last_before,
    last_so_far,
    running_distinct,
    running_max,
    running_sum,
    total,
)

# A citation lists all its rows up to MOST_LISTED; a longer one its first 3, its largest and its last 4.
MOST_LISTED = 8
_FIRST, _LAST = 3, 4


class Citations:
    """Numbers of every row of a log, and the rows that they come from."""

    def __init__(self, log: Log, telling: Telling) -> None:
        self._log = log
        self._telling = telling
        self._cited: dict[str, _Cited] = {}
        self._among = {name: _among(log, rows) for name, rows in telling.rows.items()}
        self._group = {
            name: groups(log.incident, *(log.column(column) for column in rows.same))
            for name, rows in telling.rows.items()
        }
        self.numbers: dict[str, Array] = {"amount": log.amount}
        self.numbers |= {name: self._reckoned(reckoning) for name, reckoning in telling.numbers.items()}

    def has(self, rows: str) -> Array:
        """Where there is at least one row to cite."""
        among, group = self._among[rows], self._group[rows]
        span = self._telling.rows[rows].span
        if span == "whole":
            return total(among, group) > 0
        return (last_so_far if span == "so far" else last_before)(among, group) >= 0

    def cite(self, told: Sequence[str], row: int) -> dict[str, Any]:
        """The ``rows`` entry of the evidence of the row at position ``row``, whose text tells the values ``told``: by
        name of the rows, ``where``, ``span``, ``count``, ``transactions`` and ``gives``.
        """
        gives: dict[str, dict[str, str]] = {}
        for name in told:
            if name in self._telling.numbers:
                reckoning = self._telling.numbers[name]
                gives.setdefault(reckoning.rows, {})[name] = str(reckoning)
        return {rows: {**self._rows(rows).cite(row), "gives": given} for rows, given in gives.items()}

    def _rows(self, name: str) -> "_Cited":
        if name not in self._cited:
            self._cited[name] = _Cited(self._log, self._telling.rows[name], self._among[name], self._group[name])
        return self._cited[name]

    def _reckoned(self, reckoning: Reckoning) -> Array:
        among, group = self._among[reckoning.rows], self._group[reckoning.rows]
        span, log = self._telling.rows[reckoning.rows].span, self._log
        match reckoning.how:
            case "count":
                return total(among, group) if span == "whole" else running_sum(among, group)
            case "sum of amount":
                amounts = np.where(among, log.amount, 0)
                return total(amounts, group) if span == "whole" else running_sum(amounts, group)
            case "largest amount":
                return running_max(np.where(among, log.amount, 0), group)
            case "distinct":
                distinct = running_distinct(log.column(reckoning.column), group, among)
                return _at_last(distinct, group) if span == "whole" else distinct
            case "first amount" | "since first":
                at = first_of(among, group)
            case "last amount" | "since last":
                at = (last_so_far if span == "so far" else last_before)(among, group)
        return log.amount[at] if reckoning.how.endswith("amount") else log.time - log.time[at]


class _Cited:
    """Rows of one name: the condition that finds them, and their ids in time order with the largest up to each."""

    def __init__(self, log: Log, rows: Rows, among: Array, group: Array) -> None:
        self._span = rows.span
        self._names = log.words("transaction_id").tolist()
        self._group = group.tolist()
        self._among = among.tolist()
        self._before = running_sum(among, group).tolist()
        self._fixed: dict[str, Any] = {} if rows.fraud is None else {"is_fraud": rows.fraud}
        self._fixed |= {column: words[0] if len(words) == 1 else list(words) for column, words in rows.where.items()}
        self._same = [(column, log.words(column).tolist()) for column in rows.same]
        self._incident = log.incident.tolist()
        self._steps = _steps(log, rows.kinds) if rows.kinds else None
        amount = log.amount.tolist()
        self._of: dict[int, list[int]] = {}
        self._largest: dict[int, list[int]] = {}
        for position in np.flatnonzero(among).tolist():
            own = self._of.setdefault(self._group[position], [])
            largest = self._largest.setdefault(self._group[position], [])
            own.append(position)
            beats = not largest or amount[position] > amount[largest[-1]]
            largest.append(position if beats else largest[-1])

    def cite(self, row: int) -> dict[str, Any]:
        """The citation of one row, without what it gives."""
        where = dict(self._fixed)
        for column, values in self._same:
            where[column] = values[row]
        if self._steps is not None:
            # a step of which no row has come yet must not be named: evidence does not know the future
            whole = self._span == "whole"
            known = self._steps[self._incident[row]]
            where["case_step"] = [step for step, position in known if whole or position <= row]
        group = self._group[row]
        own = self._of.get(group, [])
        count = len(own) if self._span == "whole" else self._before[row]
        if self._span == "earlier" and self._among[row]:
            count -= 1
        if count <= MOST_LISTED:
            listed = own[:count]
        else:
            listed = sorted({*own[:_FIRST], self._largest[group][count - 1], *own[count - _LAST : count]})
        transactions = [self._names[position] for position in listed]
        return {"where": where, "span": self._span, "count": count, "transactions": transactions}


def _steps(log: Log, kinds: tuple[str, ...]) -> list[list[tuple[int, int]]]:
    """Per incident the steps of its case that are of the kinds asked for, with the position of their first row."""
    of = np.flatnonzero(log.equals("step_kind", *kinds))
    found: list[dict[int, int]] = [{} for _ in range(int(log.incident.max(initial=-1)) + 1)]
    steps = log.words("case_step")[of].tolist()
    for position, incident, step in zip(of.tolist(), log.incident[of].tolist(), steps, strict=True):
        found[incident].setdefault(int(step), position)
    return [sorted(firsts.items()) for firsts in found]


def _at_last(running: Array, group: Array) -> Array:
    """The value that a running count has at the end of its group, on each row of the group."""
    last = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(last, group, running)
    return np.asarray(last[group])


def _among(log: Log, rows: Rows) -> Array:
    among = np.ones(log.length, dtype=bool) if rows.fraud is None else log.is_fraud == rows.fraud
    for column, words in rows.where.items():
        among = among & log.equals(column, *words)
    return among & log.equals("step_kind", *rows.kinds) if rows.kinds else among
