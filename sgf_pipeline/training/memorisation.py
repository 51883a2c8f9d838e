"""Whether a model repeats the cases that it was taught: held against real cases that it never saw.

Belongs here: what is compared, and the two measures. Does not belong here: the limits at which an adapter is refused
(``teaching``).

A case is compared as the values of its steps (kind, channel, basis, low, high, count, wait, span: eight a step);
what the brief dictates is left out, and so are the keys of the JSON, which all cases share. Numbers count as equal
where their two leading digits are, for a model is taught no more of them. Cases that were held out say how alike two
cases of one kind are that nobody copied (distance to the closest record, as in SDMetrics and Anonymeter).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from sgf_pipeline.domain.cases import FraudCase


@dataclass(frozen=True)
class Nearness:
    """How near each of some cases comes to the nearest of others.

    ``runs``: length of the longest run of values that both have in the same order; ``distances``: 0 (all values
    equal) to 1 (none); ``copies``: how many have all of their values in one of the others.
    """

    runs: tuple[int, ...]
    distances: tuple[float, ...]
    copies: int


def nearness(cases: Sequence[FraudCase], taught: Sequence[FraudCase]) -> Nearness:
    """Each case of ``cases`` against every one of ``taught``, which are not empty."""
    others = list(dict.fromkeys(_values(case) for case in taught))
    runs, distances, copies = [], [], 0
    for case in cases:
        values = _values(case)
        longest, nearest = 0, 1.0
        matcher: SequenceMatcher[str] = SequenceMatcher(autojunk=False)
        matcher.set_seq2(values)  # what stays is prepared once
        for other in others:
            matcher.set_seq1(other)
            run = matcher.find_longest_match().size
            longest = max(longest, run)
            if 1 - matcher.quick_ratio() < nearest:  # never above the ratio
                nearest = min(nearest, 1 - matcher.ratio())
        runs.append(longest)
        distances.append(nearest)
        copies += longest == len(values)
    return Nearness(tuple(runs), tuple(distances), copies)


def memorisation(
    generated: Sequence[FraudCase], held_out: Sequence[FraudCase], taught: Sequence[FraudCase]
) -> dict[str, float]:
    """What the generated cases have of the taught ones, beside what the held-out ones have of them.

    ``longest_run``, ``longest_run_held_out``: values in a row (a step has eight). ``copied``, ``copied_held_out``:
    share whose steps all stand in one taught case. ``distance``, ``distance_held_out``: median distance to the
    nearest taught case. ``too_near``: share nearer than all but the nearest twentieth of the held-out cases are; of
    cases as new as those, it is a twentieth.
    """
    ours, theirs = nearness(generated, taught), nearness(held_out, taught)
    limit = float(np.quantile(theirs.distances, 0.05))
    return {
        "longest_run": float(max(ours.runs, default=0)),
        "longest_run_held_out": float(max(theirs.runs)),
        "copied": ours.copies / max(1, len(generated)),
        "copied_held_out": theirs.copies / len(held_out),
        "distance": float(np.median(ours.distances)) if generated else 0.0,
        "distance_held_out": float(np.median(theirs.distances)),
        "too_near": sum(distance < limit for distance in ours.distances) / max(1, len(generated)),
    }


def _values(case: FraudCase) -> tuple[str, ...]:
    return tuple(
        f"{value:.2g}" if isinstance(value, int | float) else str(value)
        for step in case.steps
        for value in step.model_dump().values()
    )
