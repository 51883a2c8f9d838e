"""How much further than other real cards a synthetic set of cards lies from real ones, in behaviour.

Belongs here: distances between two sets of cards in gaps (P1), bursts (P2) and velocity rules (P4), and their ratio to
the distance between two real sets. Does not belong here: statistics of one set (``realism``).

The patterns and the ratio follow B. Sajja, "Synthetic tabular generators fail to preserve behavioral fraud patterns"
(arXiv 2604.13125, 2026). The measures within each pattern are our own choice for data of day resolution.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from sgf_pipeline.domain.errors import InvalidRequestError

BURST_DAYS = (0, 1, 7)  # rows no further apart than this belong to one burst
RULES = tuple((rows, days) for days in (1, 7, 30) for rows in (2, 3, 5, 10))  # at least so many rows in so many days
SPENT_DAYS = (1, 7, 30)  # more spent in so many days than at 95 % of the rows of the set that is compared with
SPENT_SHARE = 0.95
FEWEST_CARDS = 30
NO_NOISE = 1e-9  # two real sets that agree so well give no unit to measure in

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Degradation:
    """Times the distance between two real sets: 1.0 is as far as real cards are from other real cards.

    ``gaps`` is P1, ``bursts`` P2, ``rules`` P4; ``overall`` is their mean.
    """

    gaps: float
    bursts: float
    rules: float

    @property
    def overall(self) -> float:
        return (self.gaps + self.bursts + self.rules) / 3


def degradation(real_a: pd.DataFrame, real_b: pd.DataFrame, synthetic: pd.DataFrame) -> Degradation:
    """Distance of ``synthetic`` from ``real_b`` over that of ``real_a`` from ``real_b``.

    Frames have ``card``, ``day`` (whole days from any first day) and ``amount`` (above zero), rows in any order. All
    three should span equally many days. Raises ``InvalidRequestError`` where one has fewer than ``FEWEST_CARDS`` cards.
    """
    a, b, made = (_Cards.of(name, rows) for name, rows in
                  (("real_a", real_a), ("real_b", real_b), ("synthetic", synthetic)))  # fmt: skip
    noise, distance = _distances(a, b), _distances(made, b)
    return Degradation(*(_ratio(distance[pattern], noise[pattern]) for pattern in ("gaps", "bursts", "rules")))


def _ratio(distance: Mapping[str, float], noise: Mapping[str, float]) -> float:
    """Mean over a pattern's measures; those in which the real sets agree wholly are left out."""
    ratios = [distance[name] / noise[name] for name in noise if noise[name] > NO_NOISE]
    return float(np.mean(ratios)) if ratios else float("nan")


@dataclass(frozen=True)
class _Cards:
    """Rows by card and day; ``starts`` are the positions of the cards' first rows."""

    card: NDArray[np.int64]
    day: NDArray[np.int64]
    amount: Floats

    @classmethod
    def of(cls, name: str, rows: pd.DataFrame) -> "_Cards":
        card = np.asarray(pd.factorize(rows["card"])[0], dtype=np.int64)
        if card.max(initial=-1) + 1 < FEWEST_CARDS:
            raise InvalidRequestError(
                f"{name} has {card.max(initial=-1) + 1} cards: behaviour is compared over {FEWEST_CARDS} and more"
            )
        day = rows["day"].to_numpy(dtype=np.int64)
        order = np.lexsort((day, card))
        return cls(card[order], day[order], rows["amount"].to_numpy(dtype=np.float64)[order])

    @property
    def gaps(self) -> NDArray[np.int64]:
        return np.asarray(np.diff(self.day)[self.card[1:] == self.card[:-1]])

    @property
    def gap_memory(self) -> float:
        """Correlation of a gap with the next one, over all cards: of logarithms, since gaps are very uneven."""
        same = self.card[1:] == self.card[:-1]
        owner, gap = self.card[1:][same], np.log1p(np.diff(self.day)[same])
        follows = owner[1:] == owner[:-1]
        return float(np.corrcoef(gap[:-1][follows], gap[1:][follows])[0, 1])

    def bursts(self, days: int) -> Floats:
        """Rows of each burst."""
        new = np.ones(len(self.card), dtype=bool)
        new[1:] = (self.card[1:] != self.card[:-1]) | (np.diff(self.day) > days)
        return np.diff(np.append(np.flatnonzero(new), len(new))).astype(np.float64)

    @property
    def lifetimes(self) -> Floats:
        """Days from a card's first row to its last."""
        first = np.flatnonzero(np.append(True, self.card[1:] != self.card[:-1]))
        last = np.append(first[1:], len(self.card)) - 1
        return np.asarray(self.day[last] - self.day[first], dtype=np.float64)

    def window(self, days: int) -> tuple[NDArray[np.int64], Floats]:
        """At each row: rows of the card and what they came to, in ``days`` days up to the end of the row's day."""
        wide = int(self.day.max() - self.day.min()) + days + 2
        moment = self.card * wide + self.day - self.day.min() + days
        start = np.searchsorted(moment, moment - days, side="right")
        end = np.searchsorted(moment, moment, side="right")
        spent = np.concatenate([[0.0], np.cumsum(self.amount)])
        return end - start, spent[end] - spent[start]


def _distances(one: _Cards, other: _Cards) -> dict[str, dict[str, float]]:
    bursts = {f"of {days} days": _apart(one.bursts(days), other.bursts(days)) for days in BURST_DAYS}
    windows = {days: (one.window(days), other.window(days)) for days in sorted({*SPENT_DAYS, *(d for _, d in RULES)})}
    fired: list[float] = []
    for rows, days in RULES:
        (ours, _), (theirs, _) = windows[days]
        fired.append(abs(float((ours >= rows).mean()) - float((theirs >= rows).mean())))
    for days in SPENT_DAYS:
        (_, ours_spent), (_, theirs_spent) = windows[days]
        limit = np.quantile(theirs_spent, SPENT_SHARE)
        fired.append(abs(float((ours_spent > limit).mean()) - float((theirs_spent > limit).mean())))
    return {
        "gaps": {
            "lengths": _apart(one.gaps, other.gaps),
            "memory": abs(one.gap_memory - other.gap_memory),
        },
        "bursts": {**bursts, "lifetimes": _apart(one.lifetimes, other.lifetimes)},
        "rules": {"trigger rates": float(np.mean(fired))},
    }


def _apart(one: Any, other: Any) -> float:
    """Wasserstein distance of order one between two samples."""
    return float(wasserstein_distance(one, other))
