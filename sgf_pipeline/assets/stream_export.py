"""Stage 6c: the stream: the shard's transactions and labels on Kafka, each exactly once."""

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import Shard, failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, Stopwatch
from sgf_pipeline.assets.sinks import RETRIES, note
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.held import ShardKey
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.stream import Delivered, Stream, labels_of

NO_BROKER = "KAFKA_BOOTSTRAP_SERVERS is not set"


@dg.asset(
    group_name="export",
    partitions_def=shards,
    code_version="1",
    retry_policy=RETRIES,
    kinds={"kafka"},
    owners=OWNERS,
    description="""The shard's transactions on Kafka and, on another topic, their labels (`KAFKA_BOOTSTRAP_SERVERS`).

Each exactly once: a run that goes on with a broken one publishes only what is missing. Skipped where no broker is
set, or the request says so; the receipt then says why.
""",
)
def stream_export(
    context: dg.AssetExecutionContext,
    labelled_transactions: RowStream,
    lake: LakeResource,
    stream: dg.ResourceParam[Stream],
) -> dg.MaterializeResult[None]:
    """Publish what is not there yet, or note why nothing is published.

    A run without a broker leaves the note of an earlier one that published these rows.
    """
    watch = Stopwatch()
    with failing_plainly():
        shard = shard_of(context, lake)
        why = None if stream.servers else NO_BROKER
        if not shard.request.delivery.kafka:
            why = "--no-kafka"
        labelled = stage_path(lake, "labelled_transactions", shard.request.batch_id, shard.scenario)
        data_sha = lake.content_sha256(labelled)
        published = _published(lake, shard, data_sha)
        if why and published:
            context.log.warning(f"stream export skipped: {why}; the receipt goes on saying that it was done before")
            return dg.MaterializeResult(metadata={"state": f"skipped, done before: {why}"})
        if why:
            note(context, lake, shard, "stream", {"state": "skipped", "why": why})
            return dg.MaterializeResult(metadata={"state": f"skipped: {why}"})
        key = ShardKey(shard.request.content.tenant, shard.request.batch_id, shard.scenario)
        labels = labels_of(lake.read_rows(labelled, columns=["transaction_id", "is_fraud"]))
        delivered = Delivered(key, data_sha, shard.request.content.currency, labels)
        sent = stream.publish(delivered, labelled_transactions, context.run.run_id, published=published)
        state = {"state": "done", "topic": stream.topic, "labels_topic": stream.labels_topic, "labels": vars(labels)}
        note(context, lake, shard, "stream", state)
    topics = {"topic": stream.topic, "labels_topic": stream.labels_topic}
    return dg.MaterializeResult(metadata={"sent_now": sent, **topics, "seconds": watch.seconds})


def _published(lake: LakeResource, shard: Shard, data_sha: str) -> bool:
    """Whether the shard's receipt, complete or not, says that these rows are on the stream."""
    receipt = batches.receipt(lake, shard.request, shard.scenario)
    return (
        receipt is not None
        and receipt["data_sha"] == data_sha
        and receipt["sinks"].get("stream", {}).get("state") == "done"
    )
