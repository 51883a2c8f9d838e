"""Vectors that a user taught his adapter: the cells that they add to a scenario's coverage matrix.

Belongs here: the file beside an adapter that names them. Does not belong here: learning them
(``sgf_pipeline.training.teaching``), and in what order cells are asked for (``briefs``).
"""

from collections.abc import Iterable
from functools import cached_property
from itertools import product
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sgf_pipeline.domain.cases import (
    OWN_VECTOR,
    CaseBrief,
    Channel,
    Geography,
    Sophistication,
    Tempo,
    VictimSegment,
    known_vector,
)
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.scenarios import scenario as scenario_of

VECTORS_FILE = "vectors.json"


class OwnVector(BaseModel):
    """The cells of one vector: every combination of what its cases showed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[Channel, ...] = Field(min_length=1)
    sophistications: tuple[Sophistication, ...] = Field(min_length=1)
    victim_segments: tuple[VictimSegment, ...] = Field(min_length=1)
    tempos: tuple[Tempo, ...] = Field(min_length=1)
    geographies: tuple[Geography, ...] = Field(min_length=1)


class Taught(BaseModel):
    """What ``vectors.json`` says: the own vectors of one scenario, and which share of its briefs asks for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: ScenarioName
    share: float = Field(gt=0, le=1)
    vectors: dict[str, OwnVector] = Field(min_length=1)

    @cached_property
    def cells(self) -> tuple[CaseBrief, ...]:
        """The cells that these vectors add to the matrix, in a fixed order."""
        return tuple(
            CaseBrief(
                scenario=self.scenario, vector=name, channel=channel, sophistication=sophistication,
                victim_segment=segment, tempo=tempo, geography=geography,
            )
            for name, own in sorted(self.vectors.items())
            for channel, sophistication, segment, tempo, geography in product(
                own.channels, own.sophistications, own.victim_segments, own.tempos, own.geographies
            )
        )  # fmt: skip


def own_vectors(scenario: ScenarioName, share: float, briefs: Iterable[CaseBrief]) -> Taught | None:
    """The vectors among these briefs that the scenario's own tables do not know; None where there are none."""
    shown: dict[str, dict[str, set[str]]] = {}
    for brief in briefs:
        if OWN_VECTOR in brief.vector:
            seen = shown.setdefault(brief.vector, {name: set() for name in OwnVector.model_fields})
            for name, value in zip(OwnVector.model_fields, list(brief.model_dump().values())[2:], strict=True):
                seen[name].add(value)
    if not shown:
        return None
    vectors = {
        name: {dimension: sorted(values) for dimension, values in seen.items()} for name, seen in sorted(shown.items())
    }
    return Taught.model_validate({"scenario": scenario, "share": share, "vectors": vectors})


def read_taught(adapter_dir: Path | None, scenario: ScenarioName) -> Taught | None:
    """What the scenario's adapter was taught besides the matrix; None for the bundled ones and for no adapter.

    ``adapter_dir`` is an adapter's folder, or that of one a scenario. Raises ``ModelError`` for a file that was
    edited into something else.
    """
    if adapter_dir is None:
        return None
    file = adapter_dir / scenario / VECTORS_FILE
    file = file if file.is_file() else adapter_dir / VECTORS_FILE
    if not file.is_file():
        return None
    try:
        taught = Taught.model_validate_json(file.read_text())
    except (ValidationError, OSError, UnicodeDecodeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": type(error).__name__}
        raise ModelError(
            f"{file} does not say which vectors the adapter was taught ({'.'.join(map(str, first['loc']))}:"
            f" {first['msg']}): train the adapter again (sgf model train)"
        ) from error
    if taught.scenario != scenario:
        return None
    unknown = [name for name in taught.vectors if known_vector(name) not in scenario_of(scenario).vectors]
    if unknown:
        raise ModelError(
            f"{file} names the vector {unknown[0]!r}, whose rules {scenario} does not know: train the adapter again"
            " (sgf model train)"
        )
    return taught
