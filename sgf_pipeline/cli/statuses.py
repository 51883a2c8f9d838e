"""How batches are shown: a table on a terminal, plain lines elsewhere, JSON for programs; once, or as they change.

Belongs here: words and columns, and the loop that looks again. Does not belong here: what a state means (``launch``).
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from sgf_pipeline import batches, launch
from sgf_pipeline.assets import SHARD_ASSETS
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.definitions import lake_of
from sgf_pipeline.domain.errors import InvalidRequestError, OrchestratorUnavailableError
from sgf_pipeline.launch import BatchState, BatchStatus, ShardStatus
from sgf_pipeline.progress import ShardState
from sgf_pipeline.settings import Settings, read_settings

if TYPE_CHECKING:
    from rich.console import Group

LOOK_EVERY_SECONDS = 1.0
SILENCE_SECONDS = 60.0  # a webserver that is started again takes half of that
INTERRUPTED = 130
COLOURS = {
    "complete": "green", "done": "green", "running": "cyan", "closing": "cyan", "queued": "blue", "failed": "red",
    "incomplete": "yellow", "damaged": "red", "missing": "yellow", "cancelling": "yellow", "cancelled": "yellow",
}  # fmt: skip
SHARD_COLUMNS = ("shard", "state", "rows", "fraudulent", "now")
BATCH_COLUMNS = ("batch", "tenant", "state", "shards", "rows", "fraudulent", "manifest")
NUMBERS = ("rows", "fraudulent", "manifest")


def settings_of(storage_url: str | None) -> Settings:
    """The settings, with the storage that the command line names."""
    return read_settings(**({"sgf_storage_url": storage_url} if storage_url else {}))


def status(batch_id: str | None, *, last: int, watch: bool, as_json: bool, storage_url: str | None) -> None:
    """Show one batch, or the newest ones; with ``watch`` until nothing more happens by itself, or Ctrl-C."""
    if last < 1:
        raise InvalidRequestError(f"--last {last} is out of range: use 1 or more")
    settings = settings_of(storage_url)
    lake = lake_of(settings)
    if batch_id is not None:
        batches.load(lake, batch_id)  # refused without a server, too
    with DagsterClient(settings.sgf_dagster_url) as dagster:

        def look() -> list[BatchStatus]:
            if batch_id is not None:
                return [launch.batch_status(lake, dagster, batch_id)]
            return launch.recent_batches(lake, dagster, last)

        if not watch:
            show(look(), dagster, detailed=batch_id is not None, as_json=as_json)
            return
        follow(
            look,
            dagster,
            until=lambda found: batch_id is not None and all(one.is_settled for one in found),
            detailed=batch_id is not None,
            as_json=as_json,
        )


def show(found: Sequence[BatchStatus], dagster: DagsterClient, *, detailed: bool, as_json: bool) -> None:
    """Print once, on stdout. ``detailed`` is the view of one batch."""
    if as_json:
        typer.echo(_json(found, dagster, detailed))
    elif not found:
        typer.echo("no batch yet: sgf launch makes one")
    elif sys.stdout.isatty():
        _console().print(_table(found, dagster, detailed))
    else:
        for line in _lines(found, dagster, detailed):
            typer.echo(line)


def follow(
    look: Callable[[], list[BatchStatus]],
    dagster: DagsterClient,
    *,
    until: Callable[[Sequence[BatchStatus]], bool],
    detailed: bool,
    as_json: bool,
    quiet: bool = False,
) -> list[BatchStatus]:
    """Look again and again until ``until`` says so; return what was seen last.

    A terminal gets one table that changes, a program a JSON line a change, anything else the lines that changed.
    ``quiet`` sends those lines to stderr, where stdout is kept for a result. Ctrl-C ends with exit code 130 and stops
    nothing. A webserver that does not answer is given a minute to come back.
    """
    try:
        if sys.stdout.isatty() and not as_json and not quiet:
            return _follow_live(look, dagster, until, detailed)
        shown: set[str] = set()
        while True:
            found = _patiently(look)
            lines = [_json(found, dagster, detailed)] if as_json else _lines(found, dagster, detailed)
            for line in lines:
                if line not in shown:
                    typer.echo(line, err=quiet)
            shown = set(lines)
            if until(found):
                return found
            time.sleep(LOOK_EVERY_SECONDS)
    except KeyboardInterrupt:
        typer.echo("no longer looking: what was launched goes on (sgf cancel ends it)", err=True)
        raise typer.Exit(INTERRUPTED) from None


def batch_json(one: BatchStatus, dagster: DagsterClient) -> dict[str, Any]:
    """A batch for programs."""
    failure = one.first_failure
    return {
        "batch_id": one.batch_id,
        "tenant": one.request.content.tenant,
        "state": str(one.state),
        "count": one.request.content.count,
        "rows": one.rows,
        "fraudulent": one.fraudulent,
        "manifest": one.manifest,
        "is_complete": one.is_complete,
        "s3_uri": one.s3_uri,
        "error": one.damage if failure is None else failure[1].error,
        "backfills": list(one.backfills),
        "shards": [
            {
                "scenario": shard.scenario,
                "state": str(shard.state),
                "rows": shard.rows,
                "fraudulent": shard.fraudulent,
                "run_id": shard.run_id,
                "run_url": None if shard.run_id is None else dagster.run_url(shard.run_id),
                "stage": shard.stage,
                "stages_done": shard.stages_done,
                "error": None if shard.failure is None else shard.failure.error,
            }
            for shard in one.shards
        ],
    }


def _patiently(look: Callable[[], list[BatchStatus]]) -> list[BatchStatus]:
    end = time.monotonic() + SILENCE_SECONDS
    while True:
        try:
            return look()
        except OrchestratorUnavailableError:
            if time.monotonic() > end:
                raise
            time.sleep(LOOK_EVERY_SECONDS)


def _follow_live(
    look: Callable[[], list[BatchStatus]],
    dagster: DagsterClient,
    until: Callable[[Sequence[BatchStatus]], bool],
    detailed: bool,
) -> list[BatchStatus]:
    from rich.live import Live

    with Live(console=_console(), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            found = _patiently(look)
            live.update(_table(found, dagster, detailed), refresh=True)
            if until(found):
                return found
            time.sleep(LOOK_EVERY_SECONDS)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _json(found: Sequence[BatchStatus], dagster: DagsterClient, detailed: bool) -> str:
    if detailed:
        return json.dumps(batch_json(found[0], dagster))
    return json.dumps({"batches": [batch_json(one, dagster) for one in found]})


def _table(found: Sequence[BatchStatus], dagster: DagsterClient, detailed: bool) -> "Group":
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in SHARD_COLUMNS if detailed else BATCH_COLUMNS:
        is_long = name in ("now", "shards")
        table.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=not is_long, overflow="fold")
    for cells in _rows(found, detailed):
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells))
    if not detailed:
        return Group(table)
    one = found[0]
    return Group(
        Text(_headline(one), style=f"bold {COLOURS[one.state]}"), table, *map(Text, _closing_lines(one, dagster))
    )


def _lines(found: Sequence[BatchStatus], dagster: DagsterClient, detailed: bool) -> list[str]:
    if detailed:
        rows = [
            f"  {shard:<18} {state:<10} {f'{rows} rows, {fraudulent} fraudulent' if rows else now}".rstrip()
            + (f" ({now})" if rows and now else "")
            for shard, state, rows, fraudulent, now in _rows(found, detailed)
        ]
        return [_headline(found[0]), *rows, *_closing_lines(found[0], dagster)]
    width = max((len(one.batch_id) for one in found), default=0)
    return [
        f"{batch:<{width}}  {tenant:<10} {state:<10} {rows:>13} rows {fraudulent:>11} fraudulent"
        f"  {f'manifest {manifest}' if manifest else 'no manifest':<12} {shards}"
        for batch, tenant, state, shards, rows, fraudulent, manifest in _rows(found, detailed)
    ]


def _rows(found: Sequence[BatchStatus], detailed: bool) -> list[tuple[str, ...]]:
    if detailed:
        return [
            (shard.scenario, str(shard.state), _number(shard.rows), _number(shard.fraudulent), _now(shard))
            for shard in found[0].shards
        ]
    return [
        (
            one.batch_id, one.request.content.tenant, str(one.state), _counts(one), f"{one.rows:,}",
            f"{one.fraudulent:,}", _number(one.manifest),
        )
        for one in found
    ]  # fmt: skip


def _headline(one: BatchStatus) -> str:
    return f"{one.batch_id}: {one.state}, {_counts(one)}, {one.rows:,} of {one.request.content.count:,} rows"


def _closing_lines(one: BatchStatus, dagster: DagsterClient) -> list[str]:
    """What follows the shards: the manifest and the address, or what is to be done."""
    lines = []
    if one.is_complete:
        lines.append(f"manifest {one.manifest}; dataset: {one.s3_uri or 'not exported (--no-s3)'}")
    elif one.manifest is not None:
        lines.append(f"manifest {one.manifest} is about earlier shards")
    if one.state is BatchState.CLOSING:
        lines.append("the manifest is due")
    if one.closing_failure is not None and one.closing_run_id is not None:
        lines.append(f"the manifest failed: {one.closing_failure.error}: {dagster.run_url(one.closing_run_id)}")
    lines += [
        f"{shard.scenario} failed: {dagster.run_url(shard.run_id)}"
        for shard in one.shards
        if shard.state is ShardState.FAILED and shard.run_id is not None
    ]
    if one.state in (BatchState.FAILED, BatchState.INCOMPLETE):
        lines.append(f"sgf launch --batch-id {one.batch_id} builds what is not done")
    return lines


def _counts(one: BatchStatus) -> str:
    """``5 of 7 shards done, 1 running, 1 failed``."""
    if one.damage is not None:
        return one.damage
    others = [
        f"{one.count(state)} {state}" for state in ShardState if state is not ShardState.DONE and one.count(state)
    ]
    return ", ".join([f"{one.count(ShardState.DONE)} of {len(one.shards)} shards done", *others])


def _now(shard: ShardStatus) -> str:
    if shard.failure is not None:
        return shard.failure.error
    if shard.stages_done is None:
        return ""
    return f"{shard.stages_done} of {len(SHARD_ASSETS)} stages" + (f", at {shard.stage}" if shard.stage else "")


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
