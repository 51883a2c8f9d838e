"""What an archetype is: one hand-written plan of a known typology, before it is widened over the coverage matrix.

Belongs here: the types in which archetypes are written. Does not belong here: the archetypes (one module a
scenario) and how they are widened (``sgf_pipeline.training.corpus``).
"""

from dataclasses import dataclass

from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.scenarios.base import GEOGRAPHIES, SEGMENTS, SOPHISTICATIONS, TEMPOS

Range = tuple[int, int]

LEVELS = {"l": "low", "m": "medium", "h": "high"}


@dataclass(frozen=True)
class Move:
    """One step of an archetype.

    ``channel`` is a channel's name, ``@`` (the brief's channel), ``~`` (its sibling: ecommerce and mobile,
    online_banking and mobile, branch and atm), ``net`` (either remote banking channel) or ``cash`` (branch or atm).
    ``count`` is a mean; ``wait`` and ``span`` are minutes in proportion to each other, scaled to the brief's tempo.
    ``only`` holds the first letters of the sophistications that take the step, ``chance`` how often they do.
    ``fixed`` amounts are part of what the step is, and are never jittered.
    """

    kind: str
    channel: str
    basis: str
    low: float
    high: float
    count: int
    wait: int
    span: int
    only: str = "lmh"
    chance: float = 1.0
    fixed: bool = False


@dataclass(frozen=True)
class Archetype:
    """A plan of one vector. The ranges are read by sophistication (devices, addresses) and geography (outsiders).

    ``stories`` may hold the slots ``{who}`` (plural noun for the segment), ``{where}`` and ``{pace}`` (adverbials for
    geography and tempo). The last four fields narrow the cells in which the plan makes sense.
    """

    name: str
    vector: str
    customers: Range
    outsiders: Range
    devices: Range
    addresses: Range
    categories: tuple[str, ...]
    steps: tuple[Move, ...]
    stories: tuple[str, ...]
    sophistications: tuple[str, ...] = SOPHISTICATIONS
    segments: tuple[str, ...] = SEGMENTS
    tempos: tuple[str, ...] = TEMPOS
    geographies: tuple[str, ...] = GEOGRAPHIES


@dataclass(frozen=True)
class Extra:
    """A step that offenders of this scenario sometimes slip in, after a step of one of the kinds in ``after``."""

    after: tuple[str, ...]
    move: Move


@dataclass(frozen=True)
class Book:
    """All archetypes of a scenario, and how its cells show in a case.

    ``limits``: step kind → (least low, greatest high) after jitter, in the step's basis.
    ``durations``: tempo → (least, greatest) minutes from the first row to the last.
    ``scale``: victim segment → factor on the amounts of the step kinds in ``scaled``.
    ``phrases``: slot → value of the brief → wordings.
    ``shared_by_customers``: step kinds whose rows are spread over the customers, who can then be no more than rows.
    """

    scenario: ScenarioName
    archetypes: tuple[Archetype, ...]
    limits: dict[str, tuple[float, float]]
    durations: dict[str, Range]
    scale: dict[str, float]
    scaled: tuple[str, ...]
    phrases: dict[str, dict[str, tuple[str, ...]]]
    extras: tuple[Extra, ...]
    shared_by_customers: tuple[str, ...] = ()


WHO: dict[str, tuple[str, ...]] = {
    "student": ("students", "university customers", "young adults at college"),
    "family": ("families", "parents", "households with children"),
    "professional": ("professionals", "salaried customers", "office workers"),
    "senior": ("pensioners", "older customers", "retired customers"),
    "young_account": ("new customers", "holders of young accounts", "customers of a few weeks"),
}
