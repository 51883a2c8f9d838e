"""Stage 6d: window features for an online store: NOT BUILT YET, and the receipt says so."""

from collections.abc import Iterator

import dagster as dg

from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.sinks import note
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.lake import LakeResource

NOT_BUILT = "not built yet"


@dg.asset(
    group_name="export",
    partitions_def=shards,
    deps=["labelled_transactions"],
    output_required=False,
    code_version="0",
    kinds={"parquet"},
    owners=["team:fraud-data"],
    description="NOT BUILT YET: window features for an online store. A run skips it and says so in the receipt.",
)
def feature_export(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.Output[None]]:
    """Skip, visibly: no materialisation, a log line, and the receipt's word for it."""
    with failing_plainly():
        note(lake, shard_of(context, lake), "features", {"state": "skipped", "why": NOT_BUILT})
    context.log.info(f"features export skipped: {NOT_BUILT}")
    yield from ()
