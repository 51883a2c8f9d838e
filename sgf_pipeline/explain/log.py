"""The rows of whole incidents as the facts read them: numpy columns in place of a data frame.

Belongs here: the log, and the shape in which a scenario states its rows, its numbers and its sentences.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from string import Formatter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sgf_pipeline.domain.events import RESPONSE_CODES
from sgf_pipeline.explain.running import groups
from sgf_pipeline.explain.wording import Kind, typeset

if TYPE_CHECKING:
    from sgf_pipeline.explain.citing import Citations

Array = NDArray[Any]

APPROVED: tuple[str, ...] = ("00",)
DECLINED: tuple[str, ...] = tuple(code for code in RESPONSE_CODES if code not in APPROVED)

Span = Literal["so far", "earlier", "whole"]
How = Literal[
    "count", "sum of amount", "largest amount", "distinct", "first amount", "last amount", "since first", "since last"
]  # fmt: skip


class Log:
    """Exported rows of whole incidents, in time order.

    ``time`` is in µs since 1970 UTC, ``amount`` in minor units, ``incident`` and every word column hold one entry a
    row; a null word is ``None``.
    """

    def __init__(self, rows: pd.DataFrame, digits: int) -> None:
        self._rows = rows
        self._words: dict[str, Array] = {}
        self.length = len(rows)
        self.time: Array = rows["event_time"].dt.as_unit("us").to_numpy(dtype="datetime64[us]").view(np.int64)
        self.amount: Array = np.rint(rows["amount"].to_numpy(dtype=np.float64) * 10**digits).astype(np.int64)
        self.is_fraud: Array = rows["is_fraud"].to_numpy(dtype=bool)
        self.incident: Array = groups(rows["incident_id"])

    def words(self, column: str) -> Array:
        """A column as objects; null is ``None``."""
        if column not in self._words:
            values = self._rows[column]
            words: Array = values.to_numpy(dtype=object).copy()
            words[values.isna().to_numpy()] = None
            self._words[column] = words
        return self._words[column]

    def column(self, column: str) -> pd.Series:
        """A column as it came, for grouping and distinct counts."""
        return self._rows[column]

    def equals(self, column: str, *words: str) -> Array:
        """Where the column holds one of the words."""
        return np.asarray(self._rows[column].isin(words), dtype=bool)


@dataclass(frozen=True)
class Rows:
    """Rows of an incident over which a number is reckoned.

    They are fraud or are not (``fraud``; ``None``: both), hold one of the words of ``where`` in its columns, belong to
    a step of one of ``kinds`` (empty: any), and equal the row that is explained in the columns ``same``. ``span``: up
    to and including that row, before it, or the whole incident. Only counts, sums and distinct values are reckoned
    over a whole incident, only "last" over earlier rows.
    """

    fraud: bool | None = True
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    span: Span = "so far"


@dataclass(frozen=True)
class Reckoning:
    """A number: how it comes of which rows (a name among the scenario's rows); ``column`` for distinct values."""

    how: How
    rows: str
    column: str = ""

    def __str__(self) -> str:
        return f"{self.how} {self.column}".rstrip()


@dataclass(frozen=True)
class Wordings:
    """Sentences by language, of which one is drawn. French is written with plain spaces and typeset here."""

    en: tuple[str, ...]
    fr: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "fr", tuple(typeset(sentence) for sentence in self.fr))

    def of(self, language: str) -> tuple[str, ...]:
        return self.fr if language == "fr" else self.en


@dataclass(frozen=True)
class Story:
    """One fact in words: ``lead`` says what this row did, ``more`` what surrounds it, ``place`` of which fraud it is a
    part. One sentence of each is told. A sentence names a value as ``{name}``; no two of one story name the same
    value in ``lead`` and ``more``.
    """

    lead: Wordings
    more: Wordings
    place: Wordings

    @property
    def names(self) -> tuple[str, ...]:
        """Every value that some sentence names, in order of appearance."""
        return tuple(
            dict.fromkeys(
                name
                for part in (self.lead, self.more, self.place)
                for sentence in part.en + part.fr
                for name in named(sentence)
            )
        )


@cache
def named(sentence: str) -> tuple[str, ...]:
    """The values that a sentence names, in its order."""
    return tuple(name for _, name, _, _ in Formatter().parse(sentence) if name)


@dataclass(frozen=True)
class Telling:
    """How one scenario is told.

    ``rows`` and ``numbers`` state what is counted over which rows; ``words`` are columns that sentences name, by name;
    ``kinds`` say how each value is written; ``stories`` are the sentences by fact. ``facts`` chooses the fact of each
    row (``None`` where there is none) and may add derived numbers to those of the citations.
    """

    rows: dict[str, Rows]
    numbers: dict[str, Reckoning]
    facts: "Callable[[Log, Citations], Array]"
    words: dict[str, str]
    kinds: dict[str, Kind]
    stories: dict[str, Story]
