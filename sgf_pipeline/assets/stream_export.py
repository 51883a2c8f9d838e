"""Stage 6c: the stream: the shard's transactions and labels on Kafka, each exactly once."""

from collections.abc import Iterator

import dagster as dg

from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.sinks import RETRIES, note
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.held import ShardKey
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.stream import Delivered, Stream

NO_BROKER = "KAFKA_BOOTSTRAP_SERVERS is not set"


@dg.asset(
    group_name="export",
    partitions_def=shards,
    output_required=False,
    code_version="1",
    retry_policy=RETRIES,
    kinds={"kafka"},
    owners=["team:fraud-data"],
    description="The shard's transactions and, on another topic, its labels (KAFKA_BOOTSTRAP_SERVERS).",
)
def stream_export(
    context: dg.AssetExecutionContext,
    labelled_transactions: RowStream,
    lake: LakeResource,
    stream: dg.ResourceParam[Stream],
) -> Iterator[dg.Output[None]]:
    """Publish what is not there yet, or note why nothing is published."""
    with failing_plainly():
        shard = shard_of(context, lake)
        why = None if stream.servers else NO_BROKER
        if not shard.request.delivery.kafka:
            why = "--no-kafka"
        if why:
            note(lake, shard, "stream", {"state": "skipped", "why": why})
            context.log.info(f"stream export skipped: {why}")
            return
        labelled = stage_path(lake, "labelled_transactions", shard.request.batch_id, shard.scenario)
        key = ShardKey(shard.request.content.tenant, shard.request.batch_id, shard.scenario)
        delivered = Delivered(key, lake.content_sha256(labelled), shard.request.content.currency)
        sent = stream.publish(delivered, labelled_transactions, context.run.run_id)
        note(lake, shard, "stream", {"state": "done", "topic": stream.topic, "labels_topic": stream.labels_topic})
    yield dg.Output(None, metadata={"sent_now": sent, "topic": stream.topic, "labels_topic": stream.labels_topic})
