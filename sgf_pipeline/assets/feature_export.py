"""Stage 6d: window features of the shard's rows, as Parquet beside the dataset: to train on, and to serve."""

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, Stopwatch, columns
from sgf_pipeline.assets.sinks import RETRIES, note
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.features.store import FEATURE_SCHEMA, LOG_COLUMNS, feature_rows
from sgf_pipeline.features.windows import WINDOW_FEATURES
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.feature_store import features_file
from sgf_pipeline.resources.lake import LakeResource

FEATURES_VERSION = "1"  # raise it whenever the same rows give other features


@dg.asset(
    group_name="export",
    partitions_def=shards,
    # read below, without the columns of the labels
    deps=["labelled_transactions"],
    code_version=FEATURES_VERSION,
    retry_policy=RETRIES,
    kinds={"parquet", "feast"},
    owners=OWNERS,
    metadata=columns(FEATURE_SCHEMA),
    description="""What an online feature store would have known about each row's customer, card, device, merchant …
before it came: `_features/` beside the dataset, one row a transaction.

Only rows strictly earlier count, and no label is read, so that the same figures can be served online (Feast: `sgf
features`).
""",
)
def feature_export(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
    """Write the shard's features whole or not at all, or note that the request exports no files."""
    watch = Stopwatch()
    with failing_plainly():
        shard = shard_of(context, lake)
        file = features_file(batches.dataset_folder(lake, shard.request), shard.scenario)
        if not shard.request.delivery.s3:
            lake.remove(file)
            note(context, lake, shard, "features", {"state": "skipped", "why": "--no-s3"})
            return dg.MaterializeResult(metadata={"state": "skipped: --no-s3"})
        labelled = stage_path(lake, "labelled_transactions", shard.request.batch_id, shard.scenario)
        rows = lake.read_rows(labelled, columns=list(LOG_COLUMNS))
        written = lake.write_rows(file, feature_rows(rows), owner=context.run.run_id)
        state = {"state": "done", "rows": written.rows, "sha256": written.sha256, "bytes": written.bytes}
        note(context, lake, shard, "features", state)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": written.rows,
            "dagster/uri": written.uri,
            "features": len(WINDOW_FEATURES),
            "bytes": written.bytes,
            "sha256": written.sha256,
            "seconds": watch.seconds,
        },
    )
