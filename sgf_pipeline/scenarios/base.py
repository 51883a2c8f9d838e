"""What a scenario is: a table of vectors and step kinds, constraints on a case, and a way to play it.

Belongs here: the types every scenario module fills in. A scenario is data plus one ``play`` function; nothing in
here knows a particular scenario.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.cases import CaseBrief, FraudCase, known_vector
from sgf_pipeline.domain.events import EventBlock
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.population.customers import Population

SOPHISTICATIONS = ("low", "medium", "high")
SEGMENTS = ("student", "family", "professional", "senior", "young_account")
TEMPOS = ("burst", "steady", "slow")
GEOGRAPHIES = ("domestic", "cross_border", "remote")


@dataclass(frozen=True)
class Vector:
    """How the offender gets in, and the cells of the coverage matrix in which that makes sense."""

    meaning: str
    channels: tuple[str, ...]
    sophistications: tuple[str, ...] = SOPHISTICATIONS
    segments: tuple[str, ...] = SEGMENTS
    tempos: tuple[str, ...] = TEMPOS
    geographies: tuple[str, ...] = GEOGRAPHIES


@dataclass(frozen=True)
class StepKind:
    """What a step of this kind does. ``is_fraud`` is the scenario's statement of which rows are fraud."""

    meaning: str
    is_fraud: bool
    authorised_by_victim: bool
    transaction_type: str
    channels: tuple[str, ...]
    bases: tuple[str, ...]


Favourites = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Incident:
    """Everything one playing of a case may look at.

    ``start_us`` lies in the period [``period_start_us``, ``period_end_us``); a play returns all its rows, also
    those after the period, which the simulation cuts. ``campaign`` numbers the gang: incidents of one campaign
    share devices, addresses and merchants by drawing them from ``campaign_rng()``. ``favourites`` gives, for equally
    long arrays (customers, whether online, luck in [0, 1)), merchant positions at which these customers usually buy;
    without it plays take shops that are usual where they live.
    """

    number: int
    campaign: int
    population: Population
    rng: np.random.Generator
    campaign_rng: Callable[[], np.random.Generator]
    start_us: int
    period_start_us: int
    period_end_us: int
    difficulty: float
    favourites: Favourites | None = None


@dataclass(frozen=True)
class Scenario:
    """One scenario, as data and two functions.

    ``check`` returns one sentence per broken constraint, in addition to what the tables already say.
    ``play`` returns an ``EventBlock`` in time order, with ``is_fraud``, ``case_step``, ``incident`` and
    ``label_delay_s`` set (``case`` is set by the simulation).
    ``rows_per_incident`` is the typical number of fraud rows of one playing; it sizes how many cases are asked for.
    """

    name: ScenarioName
    title: str
    vectors: dict[str, Vector]
    step_kinds: dict[str, StepKind]
    check: Callable[[FraudCase], list[str]]
    play: Callable[[FraudCase, Incident], EventBlock]
    rows_per_incident: float

    @cached_property
    def matrix(self) -> tuple[CaseBrief, ...]:
        """Every cell of the coverage matrix, in a fixed order."""
        return tuple(
            CaseBrief.model_validate(
                {
                    "scenario": self.name,
                    "vector": name,
                    "channel": channel,
                    "sophistication": sophistication,
                    "victim_segment": segment,
                    "tempo": tempo,
                    "geography": geography,
                }
            )
            for name, vector in self.vectors.items()
            for channel, sophistication, segment, tempo, geography in product(
                vector.channels, vector.sophistications, vector.segments, vector.tempos, vector.geographies
            )
        )

    def violations(self, case: FraudCase) -> list[str]:
        """One sentence per way in which the case breaks this scenario's tables or constraints; empty if valid.

        A user's own vector (``known__own``) follows the rules of the known one before the underscores.
        """
        found: list[str] = []
        if case.scenario != self.name:
            found.append(f"scenario is {case.scenario}, not {self.name}")
        if known_vector(case.vector) not in self.vectors:
            found.append(f"vector {case.vector} is not one of {', '.join(self.vectors)}")
        for number, step in enumerate(case.steps):
            kind = self.step_kinds.get(step.kind)
            if kind is None:
                found.append(f"step {number}: kind {step.kind} is not one of {', '.join(self.step_kinds)}")
                continue
            if step.channel not in kind.channels:
                found.append(f"step {number}: {step.kind} cannot happen on channel {step.channel}")
            if step.basis not in kind.bases:
                found.append(f"step {number}: {step.kind} cannot be sized by {step.basis}")
            if step.low > step.high:
                found.append(f"step {number}: low {step.low} is above high {step.high}")
        return found or self.check(case.as_known())
