"""Schedules: what is built every night.

Belongs here: which nights are due, registering them, and asking for their shards' runs. What a tenant's night is made
of lies in ``tenants``; the night's manifest is the manifest sensor's affair.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import SgfError
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.jobs import build_shard
from sgf_pipeline.launch import REQUESTED_BY_TAG
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.pools import prepare_pools
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.tenants import Tenant, nightly_batch_id, registered_night

TICK_TAG = ".dagster/scheduled_execution_time"  # of the runs that a schedule's tick asked for
LAUNCH_TIME = timedelta(minutes=10)  # a run that was made and is not queued after so long was lost


def nightly_schedules(tenants: Sequence[Tenant]) -> list[dg.ScheduleDefinition]:
    """One schedule a tenant, ``nightly_<tenant>``, running as soon as the code location is loaded."""
    return [_nightly(tenant) for tenant in tenants]


def _nightly(tenant: Tenant) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"nightly_{tenant.tenant}",
        job=build_shard,
        cron_schedule=tenant.crons,
        execution_timezone=tenant.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Registers the night's batch of tenant {tenant.tenant} at {tenant.at:%H:%M} ({tenant.time_zone}) and asks"
            f" for a run a requested scenario; for the {tenant.catch_up_nights} nights before it, too, where they lack."
            " Later ticks find nothing to do, unless the first one failed."
        ),
    )
    def nightly(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> list[dg.RunRequest] | dg.SkipReason:
        prepare_pools(context.instance)
        moment = context.scheduled_execution_time
        asked: list[dg.RunRequest] = []
        troubles: list[str] = []
        for night in tenant.nights_due(moment):
            try:
                request = registered_night(lake, tenant, night)
                untouched = _untouched(context.instance, lake, request, moment)
            except SgfError as error:
                troubles.append(f"{nightly_batch_id(tenant.tenant, night)}: {error}")
                context.log.error(troubles[-1])
                continue
            context.instance.add_dynamic_partitions("batch_id", [request.batch_id])
            for scenario in untouched:
                key = shard_key(request.batch_id, scenario)
                asked.append(dg.RunRequest(run_key=str(key), partition_key=key, tags={REQUESTED_BY_TAG: "nightly"}))
        if not asked and troubles:  # otherwise the runs would be lost, and the next look has only the troubles
            raise SgfError(
                f"{len(troubles)} of tenant {tenant.tenant}'s nights could not be begun: {'; '.join(troubles)}"
            )
        return asked or dg.SkipReason("every shard of the nights that are due was built or begun before")

    return nightly


def _untouched(
    instance: dg.DagsterInstance, lake: LakeResource, request: GenerationRequest, moment: datetime
) -> list[ScenarioName]:
    """Requested shards that nobody has built or begun: a failed one is its operator's affair (``sgf launch``)."""
    done = batches.receipts(lake, request)
    records = instance.get_run_records(dg.RunsFilter(tags={"dagster/partition/batch_id": request.batch_id}))
    begun = {one.dagster_run.tags.get("dagster/partition/scenario") for one in records if _has_begun(one, moment)}
    return [name for name in request.content.scenarios if name not in done and name not in begun]


def _has_begun(record: dg.RunRecord, moment: datetime) -> bool:
    """Whether this run built something, or will: not one that its launcher lost on the way to the queue.

    A daemon that ends between making a run and queueing it leaves it as made, and evaluates the tick anew, if no later
    one is due: what that asks for again with the same key and ``moment`` is queued, not made a second time. Nobody else
    will queue it; run monitoring fails it in the end. A run that failed without having begun could not be started.
    """
    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.NOT_STARTED:
        is_ours = run.tags.get(TICK_TAG) == moment.astimezone(UTC).isoformat()
        return not is_ours and datetime.now(UTC) - record.create_timestamp < LAUNCH_TIME
    return run.status is not dg.DagsterRunStatus.FAILURE or record.start_time is not None
