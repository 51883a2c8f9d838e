"""Schedules: what is built every night.

Belongs here: which nights are due, registering them, and asking for their shards' runs. What a tenant's night is made
of lies in ``tenants``; the night's manifest is the manifest sensor's affair.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import UnknownBatchError
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.jobs import build_shard
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.pools import prepare_pools
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.tenants import Tenant, nightly_batch_id


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
    def nightly(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
        prepare_pools(context.instance)
        asked = False
        for night in tenant.nights_due(context.scheduled_execution_time):
            request = _registered(lake, tenant, night)
            context.instance.add_dynamic_partitions("batch_id", [request.batch_id])
            for scenario in _untouched(context.instance, lake, request):
                asked = True
                key = shard_key(request.batch_id, scenario)
                yield dg.RunRequest(run_key=str(key), partition_key=key, tags={"sgf/batch_id": request.batch_id})
        if not asked:
            yield dg.SkipReason("every shard of the nights that are due was built or begun before")

    return nightly


def _registered(lake: LakeResource, tenant: Tenant, night: date) -> GenerationRequest:
    """The night as it was first registered, whatever the file of tenants has become since."""
    try:
        return batches.load(lake, nightly_batch_id(tenant.tenant, night))
    except UnknownBatchError:
        return batches.register(lake, tenant.night_request(night))


def _untouched(instance: dg.DagsterInstance, lake: LakeResource, request: GenerationRequest) -> list[ScenarioName]:
    """Requested shards that nobody has built or begun: a failed one is its operator's affair (``sgf launch``)."""
    done = batches.receipts(lake, request)
    begun = {
        run.tags.get("dagster/partition/scenario")
        for run in instance.get_runs(dg.RunsFilter(tags={"dagster/partition/batch_id": request.batch_id}))
    }
    return [name for name in request.content.scenarios if name not in done and name not in begun]
