"""Which cells of a coverage matrix the model is asked for, and in which order.

Belongs here: the draw. Does not belong here: the matrix (``Scenario.matrix``), and what a user's own adapter adds to
it (``taught``).
"""

import math
from collections.abc import Sequence

from sgf_pipeline.domain.cases import CaseBrief
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.llm.taught import Taught
from sgf_pipeline.scenarios.base import Scenario


def draw_briefs(scenario: Scenario, n: int, seed: int, start: int = 0, taught: Taught | None = None) -> list[CaseBrief]:
    """Briefs ``start`` to ``start + n - 1`` of the scenario's endless sequence for this seed.

    The sequence is a seeded permutation of the matrix, repeated: no cell comes twice before every cell came once.
    Replacements for failed briefs are drawn from where the first draw ended. Where an adapter was ``taught`` vectors
    of its user's, its share of the sequence, evenly spread, is such a permutation of their cells.
    """
    stock = _Sequence(scenario.matrix, seed, "briefs", scenario.name)
    if taught is None:
        return [stock.at(place) for place in range(start, start + n)]
    own = _Sequence(taught.cells, seed, "briefs", scenario.name, "taught")
    drawn = []
    for place in range(start, start + n):
        before, after = math.ceil(place * taught.share), math.ceil((place + 1) * taught.share)
        drawn.append(own.at(before) if after > before else stock.at(place - before))
    return drawn


class _Sequence:
    """A seeded permutation of cells, repeated."""

    def __init__(self, cells: Sequence[CaseBrief], seed: int, *path: str) -> None:
        self._cells = cells
        self._order = rng(seed, *path).permutation(len(cells))

    def at(self, place: int) -> CaseBrief:
        return self._cells[int(self._order[place % len(self._order)])]
