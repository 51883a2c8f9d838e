"""A preview: a handful of labelled rows at once, made in memory by the stages that make a batch.

Belongs here: what a preview may ask for, asking the model, playing its cases, and the hash of the rows. Does not belong
here: the stages themselves (``simulation``, ``formatting``, ``labelling``), HTTP, files and Dagster.

A preview is its request and the cases that the model wrote for it: ``play`` makes the same rows of both at any time.
The model is really asked each time. Its answers go into no cache on disk: they are drawn by the preview's own seed, so
that they would hardly ever be found again, and they would push answers of batches out.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from sgf_pipeline.defaults import completed
from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.errors import ExplanationError, InvalidRequestError
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.request import RequestContent, check_tenant, parse_request
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.formatting import clean
from sgf_pipeline.labelling import label
from sgf_pipeline.llm.backend import Backend, Completion, Prompt
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.cache import cache_key
from sgf_pipeline.llm.writer import CaseWriter, Usage, WrittenCase
from sgf_pipeline.population.places import WITHOUT_CITY
from sgf_pipeline.scenarios import scenario
from sgf_pipeline.simulation import cases_needed, simulate

MAX_ROWS = 100
MAX_POPULATION = 10_000
DEFAULT_POPULATION_SEED = 0  # one world for all previews that name none: building a new one takes longer than all else
DEFAULT_END = datetime(2025, 1, 31, tzinfo=UTC)  # fixed, so that a request means the same tomorrow
STAGES = ("model", "simulate", "format", "label", "write")


@dataclass(frozen=True)
class Preview:
    """Labelled rows (``TRANSACTION_SCHEMA``, in time order), and what they were made of.

    ``transactions`` are the rows as JSON, an array of objects; ``sha256`` is the hash of exactly these bytes.
    """

    content: RequestContent
    written: Mapping[ScenarioName, list[WrittenCase]]
    rows: pa.Table
    transactions: bytes
    sha256: str
    usage: Usage
    model: str
    seconds: Mapping[str, float]
    """Wall-clock time of each of ``STAGES``."""

    def request(self) -> dict[str, Any]:
        """What was asked for, in full: parsed again, it gives the same content."""
        content = self.content.model_dump(mode="json", exclude_none=True)
        return {name: value for name, value in content.items() if name != "provider"}


def parse_preview(given: Mapping[str, Any], tenant: str) -> RequestContent:
    """What a preview's request means. Raises ``InvalidRequestError`` with field, value and what is allowed."""
    count = given.get("count")
    if isinstance(count, int) and count > MAX_ROWS:
        raise InvalidRequestError(f"count {count} is not allowed: a preview has 1 to {MAX_ROWS} transactions")
    content = completed({"count": MAX_ROWS, "population_seed": DEFAULT_POPULATION_SEED, **_given(given)}, DEFAULT_END)
    asked = parse_request("gen_0", {**content, "tenant": check_tenant(tenant)}, {}).content
    if asked.count > MAX_ROWS:
        raise InvalidRequestError(f"count {asked.count} is not allowed: a preview has 1 to {MAX_ROWS} transactions")
    if (asked.population_size or 0) > MAX_POPULATION:
        raise InvalidRequestError(
            f"population_size {asked.population_size} is not allowed: a preview has 1 to {MAX_POPULATION} customers"
        )
    for field in ("profile", "model"):
        if getattr(asked, field) is not None:
            raise InvalidRequestError(f"{field} {getattr(asked, field)!r} is not allowed: leave it out of a preview")
    if asked.provider != "peft":
        raise InvalidRequestError(f"provider {asked.provider!r} is not allowed: a preview asks the local model, 'peft'")
    placeless = [code for code in asked.countries if code in WITHOUT_CITY]
    if placeless:
        raise InvalidRequestError(f"country {placeless[0]!r} has no city to live in: use another country")
    return asked


def make(content: RequestContent, backend: Backend, salt: str) -> Preview:
    """Ask the model for the cases and play them. Equal content, model and salt, equal rows.

    Raises ``ModelError`` where the model gives no acceptable case, ``ExplanationError`` where an explanation is untrue.
    """
    began = time.perf_counter()
    writer = CaseWriter(backend, _Asked(backend, content), content.seed)
    written = {
        name: _write(writer, content, name, counts.fraudulent) for name, counts in content.shard_counts().items()
    }
    seconds = {"model": time.perf_counter() - began}
    rows = play(content, {name: [one.case for one in cases] for name, cases in written.items()}, salt, seconds)
    began = time.perf_counter()
    transactions = rows_json(rows)
    seconds["write"] = time.perf_counter() - began
    return Preview(
        content, written, rows, transactions, hashlib.sha256(transactions).hexdigest(), writer.usage, backend.name,
        seconds,
    )  # fmt: skip


def play(
    content: RequestContent,
    cases: Mapping[ScenarioName, list[FraudCase]],
    salt: str,
    seconds: dict[str, float] | None = None,
) -> pa.Table:
    """The rows that these cases give, of all shards, in time order. ``seconds`` takes the time of each stage.

    Raises ``ExplanationError`` where an explanation says more than the rows show.
    """
    took: dict[str, float] = {} if seconds is None else seconds
    tables = []
    for name, counts in content.shard_counts().items():
        if not counts.rows:
            continue
        identifiers = Identifiers(
            salt,
            content_sha=content.content_sha,
            seed=content.seed,
            population_seed=content.population_seed,
            scenario=name,
        )
        simulated = _timed(took, "simulate", lambda name=name: simulate(content, name, cases[name]))  # type: ignore[misc]
        tidy = _timed(took, "format", lambda rows=simulated, ids=identifiers: clean(rows, content, ids))  # type: ignore[misc]
        began = time.perf_counter()
        labelled = label(tidy, cases[name], content, name, identifiers)
        if labelled.problems:
            raise ExplanationError(f"explanations of shard {name} are not true of its rows: {labelled.problems[0]}")
        tables.append(pa.Table.from_batches(list(labelled.rows), TRANSACTION_SCHEMA))
        took["label"] = took.get("label", 0.0) + time.perf_counter() - began
    together = pa.concat_tables(tables).unify_dictionaries()
    return together.sort_by([("event_time", "ascending"), ("transaction_id", "ascending")])


def rows_json(rows: pa.Table) -> bytes:
    """The rows as one JSON array: keys sorted, no spaces, moments as ``2025-01-01T00:00:00.000000Z``."""
    return orjson.dumps(rows.to_pylist(), option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)


def _write(writer: CaseWriter, content: RequestContent, name: ScenarioName, fraudulent: int) -> list[WrittenCase]:
    wanted = cases_needed(name, fraudulent)
    if not wanted:
        return []
    table = scenario(name)
    return writer.write_cases(
        draw_briefs(table, wanted, content.seed),
        iter(draw_briefs(table, len(table.matrix), content.seed, start=wanted)),
    )


def _timed(took: dict[str, float], stage: str, made: Callable[[], RowStream]) -> RowStream:
    """The stream's rows, all of them, in memory."""
    began = time.perf_counter()
    rows = made()
    table = pa.Table.from_batches(list(rows), rows.schema)
    took[stage] = took.get(stage, 0.0) + time.perf_counter() - began
    return table_stream(table, rows.facts)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


class _Asked:
    """The first answers of all scenarios, asked for at once: a backend may answer them together.

    What the writer asks again is new. Beyond the preview nothing is kept.
    """

    def __init__(self, backend: Backend, content: RequestContent) -> None:
        prompts = [
            Prompt(brief, 0, 1, content.seed)
            for name, counts in content.shard_counts().items()
            for brief in draw_briefs(scenario(name), cases_needed(name, counts.fraudulent), content.seed)
        ]
        self._found = {cache_key(backend, prompts[place]): one for place, one in backend.complete(prompts)}

    def get(self, key: str) -> Completion | None:
        return self._found.get(key)

    def set(self, key: str, completion: Completion) -> None:
        pass
