"""``sgf quality``: batches are built in this process, measured, and held against the goals.

Belongs here: building the shards in memory, gathering the lines of realism, detectors and audit, and the tables. Does
not belong here: what is measured, and its goals (``sgf_pipeline.quality``).
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import typer

from sgf_pipeline.definitions import llm_of
from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.request import RequestContent, parse_request
from sgf_pipeline.formatting import clean
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.quality.detectors import MIN_FRAUDS, POOLED, Skill, detect, difficulty_table
from sgf_pipeline.quality.realism import ULB, WIDEN_BELOW, Statistic, collect, measure
from sgf_pipeline.quality.shortcuts import Finding, audit, audit_batch
from sgf_pipeline.resources.llm import LLMResource
from sgf_pipeline.scenarios import SCENARIOS, scenario
from sgf_pipeline.settings import Settings, read_settings
from sgf_pipeline.simulation import cases_needed, simulate

REQUEST: Mapping[str, Any] = {
    "fraud_ratio": 0.04,
    "scenarios": tuple(SCENARIOS),
    "start_date": "2025-01-01T00:00:00Z",
    "end_date": "2025-01-31T23:59:59Z",
}
DETECTOR_ROWS = 100_000  # detectors learn from whole customers with about this many rows of a larger batch
BY_FOLDS = "by case folds"
DIFFICULTIES = (0.0, 0.25, 0.5, 0.75, 1.0)
FALLS = -0.9  # rank correlation of every AUC with difficulty, at most


@dataclass(frozen=True)
class Reading:
    """What was measured of one batch: the lines, the audit's failed findings as sentences, seconds it took."""

    rows: int
    seed: int
    lines: list[Statistic]
    failures: list[str]
    seconds: float

    @property
    def in_goal(self) -> bool:
        return all(line.in_goal for line in self.lines)


def scoreboard(
    rows: Sequence[int], seeds: Sequence[int], content: Mapping[str, Any], *, as_json: bool, markdown: Path | None
) -> bool:
    """Measure a batch of every size and seed, print the table, and say whether every line is in its goal.

    ``content`` (currency, countries, difficulty) completes ``REQUEST``. Raises any ``SgfError``; nothing is built when
    a request is not valid, or ``markdown`` has no place for the table.
    """
    asked = [_asked(count, seed, content) for count in rows for seed in seeds]
    page = None if markdown is None else Page(markdown, "scoreboard")
    settings = read_settings()
    llm = llm_of(settings)
    readings: list[Reading] = []
    for one in asked:
        typer.echo(f"{one.count:,} rows, seed {one.seed} …", err=True)
        readings.append(read(one, build(one, settings, llm)))
    if as_json:
        typer.echo(json.dumps(_jsonable(asked[0], readings)))
    else:
        _print(readings)
    if page is not None:
        page.write(f"{_heading(asked[0])} Difficulty {asked[0].difficulty:g}.\n\n{_markdown(readings)}")
    return all(reading.in_goal for reading in readings)


def difficulty(
    rows: int, seeds: Sequence[int], content: Mapping[str, Any], *, as_json: bool, markdown: Path | None
) -> bool:
    """Print the figures of detectors and of a junior's rules over ``DIFFICULTIES``; say whether every AUC falls.

    An AUC falls where its rank correlation with difficulty, of the means over the seeds, is ``FALLS`` or less. Raises
    as ``scoreboard`` does.
    """
    asked = {
        (level, seed): _asked(rows, seed, {**content, "difficulty": level}) for level in DIFFICULTIES for seed in seeds
    }
    page = None if markdown is None else Page(markdown, "difficulty")
    settings = read_settings()
    llm = llm_of(settings)

    def frame(level: float, seed: int) -> pd.DataFrame:
        typer.echo(f"difficulty {level:g}, seed {seed} …", err=True)
        one = asked[level, seed]
        return _for_detectors(one, build(one, settings, llm))

    table = difficulty_table(frame, DIFFICULTIES, seeds)
    ranks = table.correlations()[["rows_only", "with_windows"]]
    flat = [
        f"{name}, {figure}: {rank:.2f}"
        for figure in ranks.columns
        for name, rank in ranks[figure].items()
        if rank > FALLS
    ]
    if as_json:
        points = json.loads(table.points.to_json(orient="records"))
        typer.echo(
            json.dumps({"points": points, "correlations": json.loads(ranks.to_json(orient="index")), "flat": flat})
        )
    else:
        typer.echo(table.markdown())
        for one in flat:
            typer.echo(f"does not fall with difficulty (rank correlation above {FALLS:g}): {one}")
    if page is not None:
        words = ", ".join(map(str, seeds))
        page.write(
            f"{_heading(next(iter(asked.values())))} {rows:,} rows; means over seeds {words}.\n\n{table.markdown()}"
        )
    return not flat


def _asked(count: int, seed: int, content: Mapping[str, Any]) -> RequestContent:
    return parse_request("scoreboard", {**REQUEST, **content, "count": count, "seed": seed}, {}).content


class Page:
    """A page of the documentation with a place for the table of a command, between two comments.

    Raises ``InvalidRequestError`` where it cannot be read or has no such place.
    """

    def __init__(self, path: Path, command: str) -> None:
        self._path = path
        begin, end = (f"<!-- sgf quality {command}: {edge} -->" for edge in ("begin", "end"))
        self._place = re.compile(f"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})", re.DOTALL)
        try:
            self._text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidRequestError(
                f"--markdown {str(path)!r} cannot be read ({error.strerror}): name a page"
            ) from error
        if not self._place.search(self._text):
            raise InvalidRequestError(
                f"--markdown {str(path)!r} has no place for the table: put {begin} and {end} into it"
            )

    def write(self, table: str) -> None:
        """Put the table in its place, instead of what was there."""
        self._path.write_text(self._place.sub(lambda _: f"\n{table}\n", self._text), encoding="utf-8")


def build(content: RequestContent, settings: Settings, llm: LLMResource) -> dict[str, pa.Table]:
    """The clean rows of every shard, with the cases that the configured model writes."""
    shards: dict[str, pa.Table] = {}
    for name in content.scenarios:
        table = scenario(name)
        wanted = cases_needed(name, content.shard_counts()[name].fraudulent)
        briefs = draw_briefs(table, wanted, content.seed)
        replacements = iter(draw_briefs(table, len(table.matrix), content.seed, start=wanted))
        written = llm.writer(content.seed).write_cases(briefs, replacements)
        identifiers = Identifiers(
            settings.sgf_id_salt.get_secret_value(), content_sha=content.content_sha, seed=content.seed,
            population_seed=content.population_seed, scenario=name,
        )  # fmt: skip
        rows = clean(simulate(content, name, [one.case for one in written]), content, identifiers)
        shards[name] = pa.Table.from_batches(list(rows), rows.schema).unify_dictionaries().combine_chunks()
    return shards


def read(content: RequestContent, shards: Mapping[str, pa.Table]) -> Reading:
    """All lines of one batch: realism, detectors, audit."""
    began = time.perf_counter()
    lines = measure(collect([(name, table.to_batches()) for name, table in shards.items()], content), content)
    lines += detector_lines(_for_detectors(content, shards), content)
    findings = [
        *(one for name, table in shards.items() for one in audit(table, name, content.difficulty, seed=content.seed)),
        *audit_batch(shards, content.difficulty, seed=content.seed),
    ]
    lines += audit_lines(findings)
    failures = [str(finding) for finding in findings if not finding.passed]
    return Reading(content.count, content.seed, lines, failures, time.perf_counter() - began)


def _for_detectors(content: RequestContent, shards: Mapping[str, pa.Table]) -> pd.DataFrame:
    """All shards together with ``shard``; of a large batch, whole customers drawn by the seed."""
    share = min(1.0, DETECTOR_ROWS / content.count)
    pieces = []
    for name, table in shards.items():
        customers = table.column("customer_id").combine_chunks()
        codes, words = np.asarray(customers.indices), len(customers.dictionary)
        drawn = rng(content.seed, "scoreboard", "customers", name).random(words) < share
        piece = table.filter(pa.array(drawn[codes])).to_pandas() if share < 1 else table.to_pandas()
        pieces.append(piece.assign(shard=name))
    frame: pd.DataFrame = pd.concat(pieces, ignore_index=True)
    return frame


def detector_lines(rows: pd.DataFrame, content: RequestContent) -> list[Statistic]:
    """How well gradient boosting does on rows alone, and what the window features add; no values for too few frauds."""
    alone = disputes = None
    gain: float | None = None
    if int(rows["is_fraud"].sum()) >= MIN_FRAUDS:
        found = detect(rows, content.seed)
        alone, behaviour = found.rows_only[POOLED], found.with_windows[POOLED].auc
        gain = None if alone.auc is None or behaviour is None else behaviour - alone.auc
        disputes = found.rows_only.get("chargeback_fraud")
    label, pooled = "detector AUC, row columns only", f"pooled, {BY_FOLDS}"
    real = f".76 (IEEE-CIS), .78 ({ULB})"
    small = content.count < WIDEN_BELOW
    return [
        # On few frauds a detector learns little, whatever they are like: a small batch has no lower goal.
        Statistic("rows_auc", label, _auc(alone), None if small else 0.70, 0.90, real, pooled,
                  _margin(alone) if small else 0.0),
        Statistic("windows_gain", "AUC gained by window features", gain, 0.05, None, "–", pooled),
        Statistic(
            "disputes_auc", label, _auc(disputes), 0.50, 0.75, "–", f"chargeback_fraud, {BY_FOLDS}",
            _margin(disputes) if small else 0.0,
        ),
    ]  # fmt: skip


def _auc(skill: Skill | None) -> float | None:
    return None if skill is None else skill.auc


def _margin(skill: Skill | None) -> float:
    """Half of the AUC's 95 % interval."""
    if skill is None or skill.auc_interval is None:
        return 0.0
    low, high = skill.auc_interval
    return (high - low) / 2


def audit_lines(findings: Sequence[Finding]) -> list[Statistic]:
    """One line for each kind of finding, of the shard nearest to its limit or furthest past it; pooled ones apart.

    Where the 95 % bound forgives what the estimate is past the limit, the difference is the line's ``margin``. What
    was only reported, or not assessed, is held to no goal.
    """
    lines = []
    for kind in dict.fromkeys(_kind(finding) for finding in findings):
        own = [finding for finding in findings if _kind(finding) == kind]
        judged = [finding for finding in own if finding.status in ("passed", "failed") and finding.limit is not None]
        worst = max(judged or own, key=_past_limit)
        where = worst.scenario if len(judged) < 2 else f"{worst.scenario}, the worst of {len(judged)} shards"
        value, margin = worst.estimate, 0.0
        if value is not None and worst.bound is not None and judged:
            margin = abs(value - worst.bound)
        low, high = None, worst.limit if judged else None
        if _is_sharing(worst) and value is not None and worst.limit is not None:
            value, low, high = value - worst.limit, 0.0, None
        scope = where if value is not None else worst.why or worst.status
        lines.append(Statistic(f"audit {kind}", f"audit, {kind}", value, low, high, "–", scope, margin))
    return lines


def _kind(finding: Finding) -> str:
    if _is_sharing(finding):
        return f"{finding.name}, fraud − legitimate"
    return f"pooled {finding.name}" if finding.scenario == POOLED else finding.name


def _past_limit(finding: Finding) -> float:
    value = finding.estimate if finding.bound is None else finding.bound
    past = (value or 0.0) - (finding.limit or 0.0)
    return -past if _is_sharing(finding) else past


def _is_sharing(finding: Finding) -> bool:
    """Sharing must reach its limit, the share among legitimate rows; everything else must stay under it."""
    return finding.name.startswith("shared")


def _jsonable(content: RequestContent, readings: Sequence[Reading]) -> dict[str, Any]:
    return {
        "currency": content.currency,
        "countries": list(content.countries),
        "difficulty": content.difficulty,
        "in_goal": all(reading.in_goal for reading in readings),
        "readings": [
            {
                **asdict(replace(reading, lines=[])),
                "lines": [{**asdict(line), "judged": line.judged, "in_goal": line.in_goal} for line in reading.lines],
            }
            for reading in readings
        ],
    }


def _heading(content: RequestContent) -> str:
    first, last = (day.strftime("%Y-%m-%d") for day in (content.start_date, content.end_date))
    where = f"{content.currency}, {', '.join(content.countries)}"
    return f"{where}, {first} to {last}, fraud ratio {content.fraud_ratio:g}."


def _cells(readings: Sequence[Reading]) -> list[tuple[list[str], bool]]:
    """The table of one size: label, scope, real, goal, a value a seed, verdict; and whether all are in the goal."""
    rows = []
    for lines in zip(*(reading.lines for reading in readings), strict=True):
        first = next((line for line in lines if line.judged), lines[0])
        fine = all(line.in_goal for line in lines)
        judged = any(line.judged for line in lines)
        verdict = ("in" if fine else "OUT") if judged else "not assessed"
        values = [_value(line) for line in lines]
        rows.append(([first.label, first.scope, first.real, _goal(first), *values, verdict], fine))
    return rows


def _value(line: Statistic) -> str:
    if line.value is None:
        return "–"
    digits = 0 if float(line.value).is_integer() else 4 if abs(line.value) < 0.1 else 3
    value = f"{line.value:.{digits}f}"
    value = f"{value} ± {line.margin:.3f}" if line.margin else value
    return value if line.in_goal else f"{value} !"


def _goal(line: Statistic) -> str:
    if line.low is None and line.high is None:
        return "–"
    if line.low is None:
        return f"≤ {line.high:.3g}"
    return f"≥ {line.low:.3g}" if line.high is None else f"{line.low:.3g} … {line.high:.3g}"


def _by_size(readings: Sequence[Reading]) -> dict[int, list[Reading]]:
    return {rows: [one for one in readings if one.rows == rows] for rows in dict.fromkeys(r.rows for r in readings)}


def _columns(readings: Sequence[Reading]) -> list[str]:
    return ["line", "of", "real", "goal", *(f"seed {reading.seed}" for reading in readings), ""]


def _print(readings: Sequence[Reading]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console = console if console.is_terminal else Console(width=200)
    for rows, own in _by_size(readings).items():
        table = Table(title=f"{rows:,} rows", title_justify="left")
        for number, name in enumerate(_columns(own)):
            table.add_column(name, justify="right" if 4 <= number < 4 + len(own) else "left")
        for cells, fine in _cells(own):
            table.add_row(*cells, style=None if fine else "bold red")
        console.print(table)
        for reading in own:
            for failure in reading.failures:
                console.print(f"seed {reading.seed}: {failure}", markup=False, highlight=False)


def _markdown(readings: Sequence[Reading]) -> str:
    parts = []
    for rows, own in _by_size(readings).items():
        columns = _columns(own)
        lines = [f"### {rows:,} rows", "", f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
        lines += [f"| {' | '.join(cells)} |" for cells, _ in _cells(own)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
