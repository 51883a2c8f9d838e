"""The rows of whole incidents as the facts read them: numpy columns in place of a data frame.

Belongs here: the log, and the shape in which a scenario hands over its facts and its sentences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sgf_pipeline.explain.running import groups
from sgf_pipeline.explain.wording import Kind

Array = NDArray[Any]


class Log:
    """Exported rows of whole incidents, in time order.

    ``time`` is in µs since 1970 UTC, ``amount`` in minor units, ``incident`` and every word column hold one entry a
    row; a null word is ``None``.
    """

    def __init__(self, rows: pd.DataFrame, digits: int) -> None:
        self._rows = rows
        self.length = len(rows)
        self.time: Array = rows["event_time"].dt.as_unit("us").to_numpy(dtype="datetime64[us]").view(np.int64)
        self.amount: Array = np.rint(rows["amount"].to_numpy(dtype=np.float64) * 10**digits).astype(np.int64)
        self.is_fraud: Array = rows["is_fraud"].to_numpy(dtype=bool)
        self.incident: Array = groups(rows["incident_id"])

    def words(self, column: str) -> Array:
        """A column of words as objects; null is ``None``."""
        values = self._rows[column]
        words: Array = values.to_numpy(dtype=object).copy()
        words[values.isna().to_numpy()] = None
        return words

    def column(self, column: str) -> pd.Series:
        """A column as it came, for grouping and distinct counts."""
        return self._rows[column]

    def equals(self, column: str, *words: str) -> Array:
        """Where the column holds one of the words."""
        return np.asarray(self._rows[column].isin(words), dtype=bool)


@dataclass(frozen=True)
class Facts:
    """What is true of each row: the name of the fact (``None`` where there is none), its numbers and words by
    name, and the positions of the rows they speak of (−1 for none), one array a mention.
    """

    fact: Array
    values: dict[str, Array]
    mentions: tuple[Array, ...]


@dataclass(frozen=True)
class Telling:
    """How one scenario is told: facts, the kind of each value, the values that are evidence of each fact, and the
    sentences (fact → language → wordings). A wording names each value at most once.
    """

    facts: Callable[[Log], Facts]
    kinds: dict[str, Kind]
    evidence: dict[str, tuple[str, ...]]
    sentences: dict[str, dict[str, tuple[str, ...]]]
