"""Sensors: what starts by itself.

Belongs here: polling our own records and asking for runs. What a run does lives in its asset.
"""

from collections.abc import Iterator

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import SgfError, UnknownBatchError
from sgf_pipeline.jobs import close_batch
from sgf_pipeline.resources.lake import LakeResource

RECEIPTS_TAG = "sgf/receipts"
MAX_ATTEMPTS = 3


@dg.sensor(
    job=close_batch,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a batch's manifest once all its requested shards have new receipts.",
)
def manifest_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run a set of receipts; a failed run is asked for again, at most ``MAX_ATTEMPTS`` times in all."""
    asked = False
    for batch_id in context.instance.get_dynamic_partitions("batch_id"):
        try:
            due = batches.manifest_due(lake, batches.load(lake, batch_id))
        except UnknownBatchError:
            continue  # a key that was typed by hand
        except SgfError as error:
            context.log.warning(f"batch {batch_id}: {error}")
            continue
        if not due.is_due:
            continue
        earlier = context.instance.get_run_records(
            dg.RunsFilter(tags={"dagster/partition": batch_id, RECEIPTS_TAG: due.receipts_sha[:16]})
        )
        if len(earlier) >= MAX_ATTEMPTS or any(not record.dagster_run.is_finished for record in earlier):
            continue
        asked = True
        yield dg.RunRequest(
            run_key=f"{batch_id}:{due.receipts_sha}:{len(earlier)}",
            partition_key=batch_id,
            tags={RECEIPTS_TAG: due.receipts_sha[:16]},
        )
    if not asked:
        yield dg.SkipReason("no batch has new receipts of all its requested shards")
