"""A user's confirmed cases, read from his files: each a valid ``FraudCase`` of its scenario, or a sentence why not.

Belongs here: reading and refusing. No problem's sentence repeats a value: it may be what the file must not hold.
Does not belong here: what is learned from the cases (``teaching``).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from sgf_pipeline.domain.cases import OWN_VECTOR, CaseBrief, FraudCase, known_vector
from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.scenarios import scenario as scenario_of
from sgf_pipeline.scenarios.base import Scenario
from sgf_pipeline.training.corpus import Example
from sgf_pipeline.training.identifiers import identifier_in

LINES = (".jsonl", ".ndjson")
PARQUET = ".parquet"
SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class OwnCases:
    """Examples of all scenarios in the order of files and lines, each once; how many came again; of how many files."""

    examples: tuple[Example, ...]
    duplicates: int
    files: int

    def of(self, scenario: ScenarioName) -> tuple[Example, ...]:
        return tuple(example for example in self.examples if example.case.scenario == scenario)


class _ProblemError(Exception):
    """What is wrong with one record, and what to do: the end of a sentence that names file and line."""


def read_own_cases(folder: Path) -> OwnCases:
    """The cases of every ``.jsonl`` and ``.parquet`` file below a folder, or of one file.

    A line, or a Parquet file's column ``case``, holds a case's JSON; a Parquet file may have a case's fields as columns
    instead. Raises ``InvalidRequestError`` with one sentence a problem, of all files together.
    """
    if not folder.exists():
        raise InvalidRequestError(f"cases {str(folder)!r} does not exist: name a folder of .jsonl or .parquet files")
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    files = [file for file in files if not file.name.startswith((".", "_"))]
    if not files:
        raise InvalidRequestError(f"cases {str(folder)!r} holds no file: put .jsonl or .parquet files there")
    found: dict[str, Example] = {}
    problems: list[str] = []
    read = 0
    for file in files:
        for place, record in _records(file):
            try:
                example = _example(record)
            except _ProblemError as problem:
                problems.append(f"{file.name} {place}: {problem}".replace(" :", ":"))
                continue
            read += 1
            found.setdefault(example.case.case_id, example)
    if problems:
        more = [f"and {len(problems) - SHOWN_PROBLEMS} problems more"] if len(problems) > SHOWN_PROBLEMS else []
        raise InvalidRequestError("\n".join([*problems[:SHOWN_PROBLEMS], *more]))
    return OwnCases(tuple(found.values()), read - len(found), len(files))


def brief_of(case: FraudCase) -> CaseBrief | None:
    """The cell of the matrix that a case belongs to, by the first of its steps whose channel the vector knows.

    An own vector has the cells of the one whose rules it follows. None where there is no such cell.
    """
    vector = scenario_of(case.scenario).vectors[known_vector(case.vector)]
    channel = next((step.channel for step in case.steps if step.channel in vector.channels), None)
    if (
        channel is None
        or case.sophistication not in vector.sophistications
        or case.victim_segment not in vector.segments
        or case.tempo not in vector.tempos
        or case.geography not in vector.geographies
    ):
        return None
    return CaseBrief(
        scenario=case.scenario, vector=case.vector, channel=channel, sophistication=case.sophistication,
        victim_segment=case.victim_segment, tempo=case.tempo, geography=case.geography,
    )  # fmt: skip


def _records(file: Path) -> Iterator[tuple[str, Any]]:
    """(where, the record or the problem that stands for it) of one file."""
    if file.suffix.lower() in LINES:
        try:
            lines = file.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            yield "", _ProblemError(f"the file cannot be read as UTF-8 text ({type(error).__name__}): write it anew")
            return
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"line {number}", line
    elif file.suffix.lower() == PARQUET:
        try:
            rows = pq.read_table(file).to_pylist()
        except (OSError, pa.ArrowException) as error:
            what = type(error).__name__
            yield "", _ProblemError(f"the file cannot be read as Parquet ({what}): write it anew, in clear")
            return
        for number, row in enumerate(rows, start=1):
            yield f"row {number}", row["case"] if "case" in row else json.dumps(row, default=str)
    else:
        yield "", _ProblemError(f"the file is neither {', '.join(LINES)} nor {PARQUET}: move it away")


def _example(record: Any) -> Example:
    if isinstance(record, _ProblemError):
        raise record
    if not isinstance(record, str):
        raise _ProblemError("case: it is no text: write the case's JSON there")
    try:
        fields = json.loads(record)
    except ValueError as error:
        raise _ProblemError("it is no JSON: write one case a line, as one JSON object") from error
    if not isinstance(fields, dict):
        raise _ProblemError("it is no JSON object: write one case a line, as one JSON object")
    for where, text in _texts(fields, ""):
        kind = identifier_in(text)
        if kind is not None:
            raise _ProblemError(f"{where} holds what looks like {kind}: take it out, no identifier may be taught")
    try:
        case = FraudCase.model_validate_json(record)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise _ProblemError(f"{field}: {first['msg']}: correct it (docs/teaching.md lists a case's fields)") from error
    table = scenario_of(case.scenario)
    _check_vector(case, table)
    violations = table.violations(case)
    if violations:
        raise _ProblemError(f"steps: {violations[0]}: a case keeps the rules of its vector")
    brief = brief_of(case)
    if brief is None:
        cells = table.vectors[known_vector(case.vector)]
        raise _ProblemError(
            f"vector: {known_vector(case.vector)} is known on {', '.join(cells.channels)} with sophistication"
            f" {', '.join(cells.sophistications)}, victims {', '.join(cells.segments)}, tempo"
            f" {', '.join(cells.tempos)} and geography {', '.join(cells.geographies)}: keep to these"
        )
    return Example(brief, case)


def _check_vector(case: FraudCase, table: Scenario) -> None:
    known, parting, own = case.vector.partition(OWN_VECTOR)
    if known in table.vectors and (not parting or own.strip("_") == own != ""):
        return
    fitting = [name for name in table.vectors if not table.violations(case.model_copy(update={"vector": name}))]
    raise _ProblemError(
        f"vector: {table.name} does not know it: name the vector whose rules it follows, two underscores and your own"
        f" word (such as {(fitting or list(table.vectors))[0]}{OWN_VECTOR}your_word)"
        + (f"; this case keeps the rules of {', '.join(fitting)}" if fitting else "; this case keeps the rules of none")
    )


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """(field, text) of every text in a record, keys included."""
    if isinstance(value, str):
        yield where or "case", value
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield "a field's name", str(key)
            yield from _texts(inside, f"{where}.{key}".strip("."))
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _texts(inside, f"{where}.{number}")
