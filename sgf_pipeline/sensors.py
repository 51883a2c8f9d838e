"""Sensors: what starts by itself.

Belongs here: polling our own records and asking for runs, and telling people of runs that failed. What a run does lives
in its asset; how people are told lives in ``resources.notifier``.
"""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import SgfError, TransientError, UnknownBatchError
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.jobs import close_batch
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.pools import prepare_pools
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.notifier import FailedRun, Notifier

RECEIPTS_TAG = "sgf/receipts"
MAX_ATTEMPTS = 3
BATCH_TAG = "dagster/partition/batch_id"
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
    if context.cursor is None:  # a new instance: this tick comes before the first run
        prepare_pools(context.instance)
    known = set(context.instance.get_dynamic_partitions("batch_id"))
    candidates, again = _changed(context, known), []
    requests = []
    for batch_id in sorted(candidates & known):
        try:
            requests += _manifest_requests(context.instance, lake, batch_id)
        except UnknownBatchError:
            continue  # a key that was typed by hand
        except SgfError as error:
            context.log.warning(f"batch {batch_id}: {error}")
            if isinstance(error, TransientError):
                again.append(batch_id)
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "no batch has new receipts of all its requested shards",
        cursor=json.dumps({"seen": (began - MARGIN).timestamp(), "again": again}),
    )


def _changed(context: dg.SensorEvaluationContext, known: set[str]) -> set[str]:
    """Batches of which a run has changed since the last tick, and those whose storage did not answer then."""
    if context.cursor is None:
        return known
    last = json.loads(context.cursor)
    records = context.instance.get_run_records(dg.RunsFilter(updated_after=datetime.fromtimestamp(last["seen"], UTC)))
    tags = [record.dagster_run.tags for record in records]
    return {one.get(BATCH_TAG) or one.get("dagster/partition", "") for one in tags} | set(last["again"])


def _is_settled(instance: dg.DagsterInstance, request: GenerationRequest) -> bool:
    """Whether the newest run of every requested shard has succeeded: else a receipt is about to change, or half of it.

    A run that was cancelled before it began has changed nothing, nor has one of a cell that the request does not name.
    """
    newest: dict[str, dg.DagsterRun] = {}
    for record in instance.get_run_records(dg.RunsFilter(tags={BATCH_TAG: request.batch_id})):  # newest first
        run = record.dagster_run
        if run.status != dg.DagsterRunStatus.CANCELED or record.start_time is not None:
            newest.setdefault(run.tags["dagster/partition"], run)
    wanted = (str(shard_key(request.batch_id, name)) for name in request.content.scenarios)
    return all(key not in newest or newest[key].is_success for key in wanted)


def _manifest_requests(instance: dg.DagsterInstance, lake: LakeResource, batch_id: str) -> list[dg.RunRequest]:
    request = batches.load(lake, batch_id)
    due = batches.manifest_due(lake, request)
    if not due.is_due:
        return []
    if not _is_settled(instance, request):
        return []
    earlier = instance.get_run_records(
        dg.RunsFilter(tags={"dagster/partition": batch_id, RECEIPTS_TAG: due.receipts_sha[:16]})
    )
    if len(earlier) >= MAX_ATTEMPTS or any(not record.dagster_run.is_finished for record in earlier):
        return []
    return [
        dg.RunRequest(
            run_key=f"{batch_id}:{due.receipts_sha}:{len(earlier)}",
            partition_key=batch_id,
            tags={RECEIPTS_TAG: due.receipts_sha[:16]},
        )
    ]


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
    broken = context.failure_event.job_failure_data.error
    said = (broken.cause or broken).message if broken else context.failure_event.message
    return None, " ".join((said or "no message").split())
