"""Which cells of a coverage matrix the model is asked for, and in which order.

Belongs here: the draw. Does not belong here: the matrix (``Scenario.matrix``).
"""

from sgf_pipeline.domain.cases import CaseBrief
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.scenarios.base import Scenario


def draw_briefs(scenario: Scenario, n: int, seed: int, start: int = 0) -> list[CaseBrief]:
    """Briefs ``start`` to ``start + n - 1`` of the scenario's endless sequence for this seed.

    The sequence is a seeded permutation of the matrix, repeated: no cell comes twice before every cell came once.
    Replacements for failed briefs are drawn from where the first draw ended.
    """
    order = rng(seed, "briefs", scenario.name).permutation(len(scenario.matrix))
    return [scenario.matrix[order[place % len(order)]] for place in range(start, start + n)]
