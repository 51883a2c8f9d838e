"""``CaseBrief`` and ``FraudCase``: what the model is asked for, and what it answers.

Belongs here: the two shapes, their text forms, and the signature by which two cases count as structurally
different. Does not belong here: which vectors and steps a scenario knows (``sgf_pipeline.scenarios``).

Amounts of a step are multiples of a *basis*, never money, so that one case can be played against any victim
in any currency:

- ``unit``: the currency's everyday unit (1 EUR, 100 JPY)
- ``habit``: the victim's own usual amount for that kind of row
- ``balance``: what the account holds at that moment
- ``threshold``: the country's cash-reporting threshold (10,000 EUR's worth)
- ``carry``: what reached the account in the case's earlier steps and has not left it yet
"""

import hashlib
import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sgf_pipeline.domain.request import canonical_json
from sgf_pipeline.domain.scenario_names import ScenarioName

Channel = Literal["pos", "ecommerce", "atm", "mobile", "online_banking", "branch"]
Sophistication = Literal["low", "medium", "high"]
Tempo = Literal["burst", "steady", "slow"]
Geography = Literal["domestic", "cross_border", "remote"]
VictimSegment = Literal["student", "family", "professional", "senior", "young_account"]
Basis = Literal["unit", "habit", "balance", "threshold", "carry"]


OWN_VECTOR = "__"  # between a known vector and the word that a user has for his own kind of it


def known_vector(vector: str) -> str:
    """The vector whose rules a case follows: ``bank_impersonation`` for ``bank_impersonation__deepfake_call``."""
    return vector.partition(OWN_VECTOR)[0]


class CaseBrief(BaseModel):
    """One cell of a scenario's coverage matrix, drawn by the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: ScenarioName
    vector: str
    channel: Channel
    sophistication: Sophistication
    victim_segment: VictimSegment
    tempo: Tempo
    geography: Geography

    def prompt(self) -> str:
        """The brief as the bundled model reads it: one short line."""
        return "|".join(self.model_dump().values())

    @property
    def key(self) -> str:
        """First 16 hex digits of the SHA-256 of the brief: names it in caches and seeds its sampling."""
        return hashlib.sha256(self.prompt().encode()).hexdigest()[:16]


class CaseStep(BaseModel):
    """One step of a plan: ``count`` rows of one kind within ``span_minutes``, ``wait_minutes`` after the last."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str = Field(pattern=r"^[a-z_]{3,32}$")
    channel: Channel
    basis: Basis
    low: float = Field(ge=0, le=100)
    high: float = Field(ge=0, le=100)
    count: int = Field(ge=1, le=60)
    wait_minutes: int = Field(ge=0, le=129_600)
    span_minutes: int = Field(ge=0, le=43_200)


class FraudCase(BaseModel):
    """A plan of one incident. The JSON of this model, in this order of keys, is what a language model writes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scenario: ScenarioName
    vector: str = Field(pattern=r"^[a-z_]{3,40}$")
    sophistication: Sophistication
    victim_segment: VictimSegment
    tempo: Tempo
    geography: Geography
    customers: int = Field(ge=1, le=60, description="customers of the bank drawn into the case")
    outsiders: int = Field(ge=0, le=20, description="merchants or accounts elsewhere")
    devices: int = Field(ge=0, le=8, description="devices of the offender")
    addresses: int = Field(ge=0, le=12, description="network addresses of the offender")
    merchant_category: str | None = Field(pattern=r"^[0-9]{4}$", description="ISO 18245, where a shop is used")
    story: str = Field(min_length=20, max_length=200, description="what the victim or the bank sees")
    steps: list[CaseStep] = Field(min_length=1, max_length=12)

    @property
    def case_id(self) -> str:
        """``case_`` and 16 hex digits of the SHA-256 of the case's canonical JSON."""
        digest = hashlib.sha256(canonical_json(self.model_dump(mode="json")).encode()).hexdigest()
        return f"case_{digest[:16]}"

    def follows(self, brief: CaseBrief) -> bool:
        """Whether the case is in the cell that was asked for."""
        return (
            self.scenario == brief.scenario
            and self.vector == brief.vector
            and self.sophistication == brief.sophistication
            and self.victim_segment == brief.victim_segment
            and self.tempo == brief.tempo
            and self.geography == brief.geography
            and any(step.channel == brief.channel for step in self.steps)
        )

    def as_known(self) -> "FraudCase":
        """The case under the vector whose rules it follows: what a scenario checks and plays."""
        return self.model_copy(update={"vector": known_vector(self.vector)}) if OWN_VECTOR in self.vector else self

    def signature(self) -> tuple[object, ...]:
        """Two cases are structurally different when their signatures differ.

        Vector, ordered step kinds, channels, and buckets: amounts by powers of two of the middle of the range,
        tempo by powers of four of the minutes from one step to the next.
        """
        return (
            self.vector,
            tuple(
                (
                    step.kind,
                    step.channel,
                    step.basis,
                    round(math.log2((step.low + step.high) / 2 + 0.01)),
                    round(math.log(step.wait_minutes + step.span_minutes + 1, 4)),
                )
                for step in self.steps
            ),
        )

    def duration_minutes(self) -> int:
        """Minutes from the first row to the last, at most."""
        return sum(step.wait_minutes + step.span_minutes for step in self.steps)
