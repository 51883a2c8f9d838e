"""``sgf generate``: run a batch's jobs in this process, on the Dagster instance.

Belongs here: the order of the jobs, the progress bar, the closing line. What is built is the assets' work.
"""

import contextlib
import json
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import typer
from yaml import YAMLError

from sgf_pipeline import batches
from sgf_pipeline.assets import SHARD_ASSETS
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.definitions import build_definitions, lake_of, llm_of
from sgf_pipeline.domain.errors import ConfigurationError, SgfError, error_class
from sgf_pipeline.domain.request import GenerationRequest, parse_request
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.backend import free_of_charge
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.pools import prepare_pools
from sgf_pipeline.progress import HOST_TAG, PID_TAG
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import Settings, read_settings


def build_batch(
    content: dict[str, Any],
    delivery: dict[str, Any],
    *,
    batch_id: str | None,
    storage_url: str | None,
    as_json: bool,
) -> None:
    """Register the request, build every shard, close the batch, print the result.

    Raises any ``SgfError``; nothing is registered when the request is not valid or the storage not writable.
    """
    began = time.perf_counter()
    settings = read_settings(**({"sgf_storage_url": storage_url} if storage_url else {}))
    lake = lake_of(settings)
    # Everything that can be refused is refused before the request is registered.
    wanted = parse_request(batch_id or "gen_0", content, delivery)
    batches.check_buildable(wanted)
    llm = llm_of(settings)
    llm.check(wanted)
    lake.check_writable()
    definitions = build_definitions(settings, with_nights=False)
    for sentence in free_of_charge(llm.unpriced(wanted.content)):
        typer.echo(sentence, err=True)
    with open_instance(settings) as instance:
        if batch_id is None:
            request = batches.register_new(lake, content, delivery, datetime.now(UTC))
        else:
            asked = parse_request(batch_id, content, delivery)
            request = batches.register(lake, asked)
            if request.delivery != asked.delivery:
                typer.echo(f"batch {batch_id} is registered already: its sinks stay as they were asked for", err=True)
        instance.add_dynamic_partitions("batch_id", [request.batch_id])
        typer.echo(f"batch {request.batch_id}, seed {request.content.seed}", err=True)
        usage = _run_jobs(definitions, instance, lake, request)
    manifest = batches.newest_manifest(lake, request)
    if manifest is None:
        raise ConfigurationError(f"batch {request.batch_id!r} ended without a manifest: run the command again")
    result = {
        "batch_id": request.batch_id,
        "generated": manifest["rows"],
        "fraudulent": manifest["fraudulent"],
        "legit": manifest["legit"],
        "s3_uri": manifest["s3_uri"],
        "latency_ms": round((time.perf_counter() - began) * 1000),
        "seed": request.content.seed,
        "model": usage,
        "manifest": manifest["number"],
        "sinks": {name: sink["state"] for name, sink in manifest["sinks"].items()},
        "audit": manifest["audit"],
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{result['generated']:,} transactions, {result['fraudulent']:,} fraudulent, in"
               f" {result['latency_ms'] / 1000:.1f} s")  # fmt: skip
    for name, counts in request.content.shard_counts().items():
        typer.echo(f"  {name:<18} {counts.rows:>9,} rows {counts.fraudulent:>8,} fraudulent")
    cost = f", {usage['cost_usd']:.4f} USD" if usage["provider"] == "openai" else ""
    typer.echo(f"  model {usage['name']}: {usage['calls']} calls, {usage['cache_hits']} answers from the cache{cost}")
    for name, sink in manifest["sinks"].items():
        held = f"{sink['rows']:,} rows, read back for manifest {result['manifest']}" if "rows" in sink else ""
        typer.echo(f"  {name:<18} {sink['state']}: {', '.join(filter(None, (held, sink.get('why'))))}")
    typer.echo(f"dataset: {result['s3_uri'] or 'not exported (--no-s3)'}")
    if result["s3_uri"]:
        typer.echo("read it: pandas.read_parquet(<that folder>)")


@contextlib.contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of ``DAGSTER_HOME``, with runs of dead ``sgf`` processes on this host closed."""
    home = settings.dagster_home.expanduser().resolve()
    prepare_home(home)
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        instance = dg.DagsterInstance.get()
    except (dg.DagsterError, YAMLError) as error:
        raise ConfigurationError(
            f"DAGSTER_HOME {str(home)!r} holds a dagster.yaml that cannot be used ({_first_line(error)}): mend it"
        ) from error
    with instance:
        prepare_pools(instance)
        _close_stale_runs(instance, lake_of(settings))
        yield instance


def prepare_home(home: Path) -> None:
    """Make the instance's folder; give it the project's ``dagster.yaml`` where it has none."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        ours = Path(__file__).parents[2] / "dagster.yaml"
        if ours.is_file() and not (home / "dagster.yaml").exists():
            shutil.copyfile(ours, home / "dagster.yaml")
    except OSError as error:
        raise ConfigurationError(
            f"DAGSTER_HOME {str(home)!r} cannot be used ({error.strerror}): set it to a writable folder"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]


def _close_stale_runs(instance: dg.DagsterInstance, lake: LakeResource) -> None:
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(dg.RunsFilter(tags={HOST_TAG: socket.gethostname()}, statuses=unfinished)):
        pid = int(run.tags.get(PID_TAG, "0"))
        is_copy = "dagster/parent_run_id" in run.tags  # executed again in the web interface, which copies tags
        if pid and not is_copy and not _is_alive(pid):
            instance.report_run_failed(run, "the process that ran it is gone")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            lake.sweep(run.run_id)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _run_jobs(
    definitions: dg.Definitions, instance: dg.DagsterInstance, lake: LakeResource, request: GenerationRequest
) -> dict[str, Any]:
    tags = own_tags()
    usage: dict[str, Any] = {
        "provider": request.content.provider,
        "name": "none",
        "calls": 0,
        "cache_hits": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": 0.0,
    }
    with _progress(len(request.content.scenarios) * len(SHARD_ASSETS) + 2) as advance:
        execute(definitions, instance, "register_batch", request.batch_id, tags, advance, "request")
        for name in request.content.scenarios:
            result = execute(
                definitions, instance, "build_shard", shard_key(request.batch_id, name), tags, advance, name
            )
            _add_usage(usage, result, lake, request, name)
        execute(definitions, instance, "close_batch", request.batch_id, tags, advance, "manifest")
    return usage


def own_tags() -> dict[str, str]:
    """What names this process in its runs, so that the next command can close them where it was killed."""
    return {HOST_TAG: socket.gethostname(), PID_TAG: str(os.getpid())}


def execute(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    partition_key: str,
    tags: dict[str, str],
    advance: Callable[[str], None],
    what: str,
    config: Mapping[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """One run, in this process. ``config``: asset → its configuration. Raises the error of ours that failed it."""
    run_id = str(uuid.uuid4())

    def on_event(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is not None and (event.is_step_success or event.is_step_skipped):
            advance(f"{what}: {event.step_key}")

    instance.add_event_listener(run_id, on_event)
    result = definitions.resolve_job_def(job).execute_in_process(
        partition_key=partition_key,
        instance=instance,
        tags=tags,
        run_id=run_id,
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {asset: {"config": values} for asset, values in (config or {}).items()},
        },
        raise_on_error=False,
    )
    if not result.success:
        raise _first_failure(result)
    return result


def _first_failure(result: dg.ExecuteInProcessResult) -> SgfError:
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            failure = data.user_failure_data
            if failure is not None:
                named = failure.metadata.get("error")
                return error_class(str(named.value) if named else None)(failure.description)
            cause = data.error.cause or data.error if data.error else None
            return SgfError(f"step {event.step_key} broke: {cause.message.strip() if cause else 'no message'}")
    return SgfError(f"run {result.run_id} failed: see it in the web interface")


def _add_usage(
    usage: dict[str, Any],
    result: dg.ExecuteInProcessResult,
    lake: LakeResource,
    request: GenerationRequest,
    scenario_name: ScenarioName,
) -> None:
    """Add what the model did for one shard, as its asset reported it."""
    facts = lake.read_rows(stage_path(lake, "fraud_cases", request.batch_id, scenario_name)).facts
    usage["name"] = facts.get("model", usage["name"])
    for event in result.get_asset_materialization_events():
        materialization = event.materialization
        if materialization.asset_key.path[-1] == "fraud_cases":
            for name in ("calls", "cache_hits", "input_tokens", "output_tokens", "cost_usd"):
                if name in materialization.metadata:
                    usage[name] += materialization.metadata[name].value


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr where that is a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<44}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda what: bar.update(task, advance=1, description=what)
