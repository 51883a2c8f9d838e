"""Running facts: what had been seen in a group of rows up to and including each row.

Belongs here: cumulative counts, sums, distinct values and "the last row before this one", vectorised. Does not
belong here: which of them a scenario tells.

All arguments are arrays with one entry a row, in time order; ``group`` holds one whole number a group.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[Any]


def groups(*columns: Any) -> Array:
    """One whole number a row, equal exactly where all the columns are equal; null equals null."""
    combined = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        codes, words = pd.factorize(column)
        combined = pd.factorize(combined * (len(words) + 1) + codes + 1)[0].astype(np.int64)
    return combined


def running_sum(values: Array, group: Array) -> Array:
    """Sum of ``values`` (or count of ``True``) in the group so far, as int64."""
    return _cumulative(np.asarray(values, dtype=np.int64), group, "cumsum")


def running_max(values: Array, group: Array) -> Array:
    """Largest of ``values`` in the group so far, as int64."""
    return _cumulative(np.asarray(values, dtype=np.int64), group, "cummax")


def total(values: Array, group: Array) -> Array:
    """Sum of ``values`` over the whole group, on each of its rows, as int64."""
    sums = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(sums, group, np.asarray(values, dtype=np.int64))
    return np.asarray(sums[group])


def running_distinct(column: Any, group: Array, among: Array) -> Array:
    """How many different non-null values the rows marked ``among`` of the group have shown so far."""
    codes = pd.factorize(column)[0]
    counted = np.flatnonzero(among & (codes >= 0))
    first = np.zeros(len(group), dtype=bool)
    first[counted] = ~pd.Series(groups(group[counted], codes[counted])).duplicated().to_numpy()
    return running_sum(first, group)


def last_so_far(among: Array, group: Array) -> Array:
    """Position of the latest row of the group up to and including this one that is marked; −1 where there is none."""
    return _cumulative(np.where(among, np.arange(len(group)), -1), group, "cummax")


def last_before(among: Array, group: Array) -> Array:
    """Position of the latest earlier row of the group that is marked ``among``; −1 where there is none."""
    return pd.Series(last_so_far(among, group)).groupby(group, sort=False).shift(1, fill_value=-1).to_numpy()


def first_of(among: Array, group: Array) -> Array:
    """Position of the earliest row of the group that is marked ``among``; −1 where there is none."""
    first = np.full(int(group.max(initial=-1)) + 1, -1, dtype=np.int64)
    marked = np.flatnonzero(among)[::-1]  # reversed: the earliest assignment is made last and stays
    first[group[marked]] = marked
    return first[group]


def _cumulative(values: Array, group: Array, how: str) -> Array:
    grouped = pd.Series(values).groupby(group, sort=False)
    return np.asarray(grouped.cumsum() if how == "cumsum" else grouped.cummax(), dtype=np.int64)
