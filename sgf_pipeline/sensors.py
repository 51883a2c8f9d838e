"""Sensors: what starts by itself.

Belongs here: polling our own records and asking for runs, and telling people of runs that failed. What a run does lives
in its asset; how people are told lives in ``resources.notifier``.
"""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import repeat

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import SgfError, TransientError, UnknownBatchError
from sgf_pipeline.jobs import close_batch
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.pools import prepare_pools
from sgf_pipeline.progress import (
    RECEIPTS_TAG,
    ManifestState,
    Run,
    ShardState,
    manifest_state,
    receipts_tag,
    shard_state,
)
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.notifier import FailedRun, Notifier

LOOKS_A_TICK = 300  # a tick that takes longer than a minute is given up by Dagster
LAKE_READERS = 8
CURSOR_FORM = 2
# A batch whose files cannot be read is looked at again: soon where the storage did not answer, else at this pace.
SLOW_PACE = timedelta(minutes=2)
# Runs are looked at again for so long after they changed: clocks differ, and events are stored out of order.
MARGIN = timedelta(seconds=60)


@dg.sensor(
    job=close_batch,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a batch's manifest once all its requested shards are built and their receipts are new.",
)
def manifest_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    """One run a set of receipts; a failed run is asked for again, at most ``MAX_ATTEMPTS`` times in all.

    Only batches of which a run has changed since the last tick are looked at (all of them on the first), so that a tick
    costs the same with ten batches as with a thousand.
    """
    began = datetime.now(UTC)
    last = json.loads(context.cursor or "{}")
    if last.get("form") != CURSOR_FORM:  # a new instance, or an older version's: this tick looks at all
        prepare_pools(context.instance)  # before the first run
        last = {"seen": None, "again": {}}
    known = set(context.instance.get_dynamic_partitions("batch_id"))
    again = last["again"]
    changed = known if last["seen"] is None else _changed(context.instance, last["seen"])
    due = sorted(batch_id for batch_id, moment in again.items() if moment <= began.timestamp())
    candidates = [batch_id for batch_id in dict.fromkeys([*sorted(changed), *due]) if batch_id in known]
    now, later = candidates[:LOOKS_A_TICK], candidates[LOOKS_A_TICK:]
    waiting = {batch_id: moment for batch_id, moment in again.items() if batch_id in known and batch_id not in now}
    waiting |= dict.fromkeys(later, 0.0)
    requests = []
    with ThreadPoolExecutor(LAKE_READERS) as readers:
        for batch_id, found in zip(now, readers.map(_look, repeat(context.instance), repeat(lake), now), strict=True):
            if isinstance(found, SgfError):
                context.log.warning(f"batch {batch_id}: {found}")
                slowly = timedelta() if isinstance(found, TransientError) else SLOW_PACE
                waiting[batch_id] = (began + slowly).timestamp()
            elif found is not None:
                requests.append(found)
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "no batch has new receipts of all its requested shards",
        cursor=json.dumps({"form": CURSOR_FORM, "seen": (began - MARGIN).timestamp(), "again": waiting}),
    )


def _changed(instance: dg.DagsterInstance, since: float) -> set[str]:
    """Batches of which a run has changed since then."""
    records = instance.get_run_records(dg.RunsFilter(updated_after=datetime.fromtimestamp(since, UTC)))
    keys = {record.dagster_run.tags.get("dagster/partition", "") for record in records}
    return {key.partition("|")[0] for key in keys}


def _look(instance: dg.DagsterInstance, lake: LakeResource, batch_id: str) -> dg.RunRequest | SgfError | None:
    """What is to be asked for, or why that cannot be told: one batch's broken file is not the others' affair."""
    try:
        return _manifest_request(instance, lake, batch_id)
    except UnknownBatchError:
        return None  # a key that was typed by hand
    except SgfError as error:
        return error


def _manifest_request(instance: dg.DagsterInstance, lake: LakeResource, batch_id: str) -> dg.RunRequest | None:
    runs = _runs(instance, {"dagster/partition/batch_id": batch_id})
    if any(not run.is_finished for run in runs):
        return None  # its end is looked at; before that, no file needs to be read
    request = batches.load(lake, batch_id)
    found = batches.receipts(lake, request)
    due = batches.manifest_due(lake, request, found)
    if not due.is_due:
        return None
    known = [run.run_id for run in runs]
    for name in request.content.scenarios:
        own = [run for run in runs if run.tags.get("dagster/partition") == str(shard_key(batch_id, name))]
        if shard_state(own, found[name], known)[0] is not ShardState.DONE:
            return None  # a receipt is about to change, or half of it has
    closing = _runs(instance, {"dagster/partition": batch_id}, job_name=close_batch.name)
    if manifest_state(closing, due.receipts_sha) is not ManifestState.WANTED:
        return None
    tags = {RECEIPTS_TAG: receipts_tag(due.receipts_sha)}
    return dg.RunRequest(run_key=str(uuid.uuid4()), partition_key=batch_id, tags=tags)


def _runs(instance: dg.DagsterInstance, tags: dict[str, str], job_name: str | None = None) -> list[Run]:
    """Newest first."""
    found = instance.get_runs(dg.RunsFilter(tags=tags, job_name=job_name))
    return [Run(one.run_id, one.status.value, one.tags) for one in found]


@dg.run_failure_sensor(
    name="failure_sensor",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people of every failed run: in the log, or by the webhook that SGF_ALERT_WEBHOOK names.",
)
def failure_sensor(
    context: dg.RunFailureSensorContext, notifier: dg.ResourceParam[Notifier], dagster_url: dg.ResourceParam[str]
) -> None:
    """One notice a failed run; what a retry of the same step mended is no failed run."""
    run = context.dagster_run
    step, error = _first_failure(context)
    batch_id, _, scenario = run.tags.get("dagster/partition", "").partition("|")
    url = f"{dagster_url.rstrip('/')}/runs/{run.run_id}"
    notifier.notify(FailedRun(run.run_id, run.job_name, batch_id or None, scenario or None, step, error, url))


def _first_failure(context: dg.RunFailureSensorContext) -> tuple[str | None, str]:
    """The step that failed first and its error in one sentence: ours as it is, another with its class."""
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return event.step_key, data.user_failure_data.description
        error = (data.error.cause or data.error) if data.error else None
        return event.step_key, " ".join(error.message.split()) if error else "no message"
    failed = context.failure_event.job_failure_data  # None where run monitoring failed a run that is lost
    broken = failed.error if failed else None
    said = (broken.cause or broken).message if broken else context.failure_event.message
    return None, " ".join((said or "no message").split())
