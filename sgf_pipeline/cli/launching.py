"""``sgf launch``, ``sgf backfill`` and ``sgf cancel``: what a running Dagster is asked to do, and what came of it.

Belongs here: checking the options, the lines that say what was launched, waiting, and how a failed shard leaves the
program. Does not belong here: which shards are launched (``launch``) and how states are shown (``statuses``).
"""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import typer

from sgf_pipeline import batches, launch
from sgf_pipeline.cli import statuses
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.definitions import lake_of
from sgf_pipeline.domain.errors import (
    ConfigurationError,
    InvalidRequestError,
    OrchestratorError,
    SgfError,
    UnknownBatchError,
    error_class,
)
from sgf_pipeline.domain.request import GenerationRequest, check_tenant, parse_request
from sgf_pipeline.launch import BatchState, BatchStatus
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import Settings
from sgf_pipeline.tenants import nightly_batch_id, read_tenants, registered_night

MAX_NIGHTS = 1000


def launch_batch(
    content: dict[str, Any] | None,
    delivery: dict[str, Any],
    *,
    batch_id: str | None,
    again: bool,
    wait: bool,
    as_json: bool,
    storage_url: str | None,
) -> None:
    """Register the request (or take the registered one, where ``content`` is None) and launch its shards.

    Nothing is registered when the request is not valid, the storage not writable, or Dagster does not answer.
    """
    settings = statuses.settings_of(storage_url)
    lake = lake_of(settings)
    if content is None and batch_id is not None:
        recorded = batches.load(lake, batch_id)
    else:
        asked = parse_request(batch_id or "gen_0", content or {}, delivery)
        batches.check_buildable(asked)
        lake.check_writable()

    def registered() -> GenerationRequest:
        if content is None:
            return recorded
        if batch_id is None:
            return batches.register_new(lake, content, delivery, datetime.now(UTC))
        return batches.register(lake, asked)

    _launch(settings, lake, registered, requested_by=delivery["requested_by"], again=again, wait=wait, as_json=as_json)


def launch_night(
    tenant_name: str,
    night_text: str,
    *,
    requested_by: str,
    again: bool,
    wait: bool,
    as_json: bool,
    storage_url: str | None,
) -> None:
    """Register a tenant's night as the schedule does, unless it is registered, and launch its shards.

    Any night since ``first_night`` that is over where the tenant is; how many nights are caught up does not matter.
    """
    settings = statuses.settings_of(storage_url)
    lake = lake_of(settings)
    if settings.sgf_tenants is None:
        raise ConfigurationError("SGF_TENANTS is not set: name the file that says what the tenant's nights ask for")
    tenants = {one.tenant: one for one in read_tenants(settings.sgf_tenants)}
    tenant = tenants.get(check_tenant(tenant_name))
    if tenant is None:
        raise InvalidRequestError(
            f"tenant {tenant_name!r} is not in SGF_TENANTS {str(settings.sgf_tenants)!r}:"
            f" use one of {', '.join(tenants) or 'those that you add'}"
        )
    night = tenant.check_night(_night(night_text, "--night", "2025-01-31"), datetime.now(UTC))
    lake.check_writable()
    _launch(
        settings, lake, lambda: registered_night(lake, tenant, night), requested_by=requested_by, again=again,
        wait=wait, as_json=as_json,
    )  # fmt: skip


def _launch(
    settings: Settings,
    lake: LakeResource,
    registered: Callable[[], GenerationRequest],
    *,
    requested_by: str,
    again: bool,
    wait: bool,
    as_json: bool,
) -> None:
    began = time.perf_counter()
    with DagsterClient(settings.sgf_dagster_url) as dagster:
        _warn(dagster, lake)
        request = registered()
        launched = launch.launch(lake, dagster, request.batch_id, requested_by=requested_by, again=again)
        typer.echo(f"batch {request.batch_id}, seed {request.content.seed}", err=True)
        if not as_json:
            _tell_launched(launched, dagster, wait)
        if not wait:
            if as_json:
                typer.echo(json.dumps(_launched_json(launched, dagster)))
            return
        ended = _wait(lake, dagster, [request.batch_id], as_json=as_json)
        if as_json:
            typer.echo(json.dumps(_ended_json(ended[0], launched, began)))
        raise_where_failed(ended)


def backfill(
    scenarios: str | None,
    batch_ids: Sequence[str],
    *,
    tenant: str | None,
    nights: str | None,
    requested_by: str,
    wait: bool,
    as_json: bool,
    storage_url: str | None,
) -> None:
    """Build scenarios of registered batches again, as one backfill."""
    from sgf_pipeline.cli.words import listed

    settings = statuses.settings_of(storage_url)
    lake = lake_of(settings)
    if (tenant is None) is not (nights is None):
        raise InvalidRequestError("--tenant and --nights belong together: give both or neither")
    chosen = list(batch_ids)
    if tenant is not None and nights is not None:
        chosen += _nights_of(lake, check_tenant(tenant), nights)
    if not chosen:
        raise InvalidRequestError("no batch was named: name some, or give --tenant and --nights")
    with DagsterClient(settings.sgf_dagster_url) as dagster:
        _warn(dagster, lake)
        asked = launch.backfill(lake, dagster, chosen, listed(scenarios or ""), requested_by=requested_by)
        named = list(dict.fromkeys(batch_id for batch_id, _ in asked.cells))
        for batch_id, name in asked.not_requested:
            typer.echo(f"passed over: {batch_id} does not ask for {name}", err=True)
        if not as_json:
            typer.echo(f"backfill {asked.backfill_id}: {_counted(len(asked.cells), 'shard')} of"
                       f" {len(named)} {'batch' if len(named) == 1 else 'batches'},"
                       f" begun within half a minute: {dagster.url}/runs/b/{asked.backfill_id}")  # fmt: skip
        result: dict[str, Any] = {
            "backfill_id": asked.backfill_id,
            "shards": [{"batch_id": batch_id, "scenario": name} for batch_id, name in asked.cells],
            "passed_over": [{"batch_id": batch_id, "scenario": name} for batch_id, name in asked.not_requested],
        }
        ended: list[BatchStatus] = []
        if wait:
            ended = _wait(lake, dagster, named, as_json=as_json)
            result["batches"] = [statuses.batch_json(one, dagster) for one in ended]
        if as_json:
            typer.echo(json.dumps(result))
        if wait:
            dagster.check_backfill(asked.backfill_id)
            raise_where_failed(ended)


def cancel(batch_id: str, *, as_json: bool, storage_url: str | None) -> None:
    """End what is queued or at work. Raises ``OrchestratorError`` where a run could not be ended."""
    settings = statuses.settings_of(storage_url)
    with DagsterClient(settings.sgf_dagster_url) as dagster:
        ended = launch.cancel(lake_of(settings), dagster, batch_id)
        if as_json:
            typer.echo(json.dumps({
                "batch_id": batch_id, "runs": list(ended.run_ids), "backfills": list(ended.backfill_ids),
                "shared_backfills": list(ended.shared_backfill_ids), "refused": dict(ended.refused),
            }))  # fmt: skip
        elif ended.run_ids or ended.backfill_ids:
            what = [_counted(len(ended.run_ids), "run"), _counted(len(ended.backfill_ids), "backfill")]
            typer.echo(f"batch {batch_id}: {' and '.join(filter(None, what))} cancelled;"
                       f" sgf launch --batch-id {batch_id} goes on")  # fmt: skip
        elif not ended.refused:
            typer.echo(f"batch {batch_id}: nothing is queued or running")
        for one in ended.shared_backfill_ids:
            typer.echo(f"backfill {one} goes on, because it builds other batches, too: {dagster.url}/runs/b/{one}",
                       err=True)  # fmt: skip
        for run_id, why in ended.refused.items():
            raise OrchestratorError(f"run {run_id} could not be cancelled ({why}): see {dagster.run_url(run_id)}")


def _warn(dagster: DagsterClient, lake: LakeResource) -> None:
    """Raise unless Dagster is there; say on stderr what lets a launch wait for ever, or fail."""
    if dagster.check().daemons_down:
        typer.echo("Dagster's daemon is not running: what is launched waits until it is started"
                   " (dagster-daemon run)", err=True)  # fmt: skip
    there = dagster.storage_url()
    if there not in (None, lake.url):
        typer.echo(f"Dagster's storage is {there}, this command's is {lake.url}: set SGF_STORAGE_URL to the same,"
                   " unless these are two names of one place", err=True)  # fmt: skip


def _nights_of(lake: LakeResource, tenant: str, nights: str) -> list[str]:
    """The registered batches of a tenant's nights ``2025-01-01..2025-01-31``, both included."""
    first_text, _, last_text = nights.partition("..")
    first, last = (_night(text, "--nights", "2025-01-01..2025-01-31") for text in (first_text, last_text or first_text))
    if not 0 <= (last - first).days < MAX_NIGHTS:
        raise InvalidRequestError(
            f"--nights {nights!r} is out of range: use 1 to {MAX_NIGHTS} nights, the first one first"
        )
    wanted = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    with ThreadPoolExecutor(launch.LAKE_READERS) as readers:
        known = list(readers.map(lambda night: _is_registered(lake, nightly_batch_id(tenant, night)), wanted))
    missing = [night.isoformat() for night, is_known in zip(wanted, known, strict=True) if not is_known]
    if len(missing) == len(wanted):
        raise UnknownBatchError(
            f"tenant {tenant!r} has no batch of the nights {nights}: see sgf status for those it has"
        )
    if missing:
        typer.echo(f"passed over, because never registered: {', '.join(missing)}", err=True)
    return [nightly_batch_id(tenant, night) for night, is_known in zip(wanted, known, strict=True) if is_known]


def _is_registered(lake: LakeResource, batch_id: str) -> bool:
    try:
        batches.load(lake, batch_id)
    except UnknownBatchError:
        return False
    return True


def _night(text: str, option: str, example: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(f"{option} {text!r} is malformed: use {example}") from None


def _wait(lake: LakeResource, dagster: DagsterClient, batch_ids: Sequence[str], *, as_json: bool) -> list[BatchStatus]:
    return statuses.follow(
        lambda: launch.batch_statuses(lake, dagster, batch_ids),
        dagster,
        until=lambda found: all(one.is_settled for one in found),
        detailed=len(batch_ids) == 1,
        as_json=False,
        quiet=as_json,
    )


def raise_where_failed(ended: Sequence[BatchStatus]) -> None:
    """Leave with the first failed shard's own sentence, and the exit code of its kind of error."""
    for one in ended:
        failure = one.first_failure
        if failure is not None:
            scenario, why = failure
            raise error_class(why.kind)(f"{one.batch_id}, {scenario or 'manifest'}: {why.error}")
        if one.state is not BatchState.COMPLETE:
            raise SgfError(f"batch {one.batch_id!r} is {one.state}: sgf launch --batch-id {one.batch_id} goes on")


def _counted(number: int, word: str) -> str:
    """``3 runs``, ``1 run``, and nothing for none."""
    return f"{number} {word}{'' if number == 1 else 's'}" if number else ""


def _tell_launched(launched: launch.Launched, dagster: DagsterClient, wait: bool) -> None:
    if wait and launched.runs:
        return  # the table follows
    for name, run_id in launched.runs.items():
        typer.echo(f"  {name:<18} launched: {dagster.run_url(run_id)}")
    for name, state in launched.left_alone.items():
        typer.echo(f"  {name:<18} left alone: {state}")
    if launched.closing_run_id is not None:
        typer.echo(f"  the manifest       launched: {dagster.run_url(launched.closing_run_id)}")
    elif not launched.runs:
        typer.echo("nothing to launch (--again builds every shard again)")
    else:
        typer.echo(f"see it: sgf status {launched.batch_id} --watch")


def _launched_json(launched: launch.Launched, dagster: DagsterClient) -> dict[str, Any]:
    return {
        "batch_id": launched.batch_id,
        "runs": dict(launched.runs),
        "left_alone": {name: str(state) for name, state in launched.left_alone.items()},
        "closing_run": launched.closing_run_id,
        "dagster_url": dagster.url,
    }


def _ended_json(one: BatchStatus, launched: launch.Launched, began: float) -> dict[str, Any]:
    request: GenerationRequest = one.request
    failure = one.first_failure
    return {
        "batch_id": one.batch_id,
        "generated": one.rows,
        "fraudulent": one.fraudulent,
        "legit": one.rows - one.fraudulent,
        "s3_uri": one.s3_uri,
        "latency_ms": round((time.perf_counter() - began) * 1000),
        "seed": request.content.seed,
        "state": str(one.state),
        "manifest": one.manifest,
        "runs": dict(launched.runs),
        "error": None if failure is None else failure[1].error,
    }
