"""Stage 7: all requested shards are there: prove the mix, and write the immutable manifest."""

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.assets.feature_export import feature_export
from sgf_pipeline.assets.lake_export import lake_export
from sgf_pipeline.assets.shard_context import failing_plainly
from sgf_pipeline.assets.stream_export import stream_export
from sgf_pipeline.assets.warehouse_export import warehouse_export
from sgf_pipeline.partitions import BATCH_TO_SHARDS, batch_ids
from sgf_pipeline.resources.lake import LakeResource


@dg.asset(
    group_name="export",
    partitions_def=batch_ids,
    deps=[
        dg.AssetDep(sink, partition_mapping=BATCH_TO_SHARDS)
        for sink in (lake_export, warehouse_export, stream_export, feature_export)
    ],
    code_version="1",
    kinds={"json"},
    owners=["team:fraud-data"],
    description="The immutable record of a finished batch; a rebuilt shard adds a new number.",
)
def dataset_manifest(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
    """Fails while shards are missing; the same receipts add nothing."""
    with failing_plainly():
        request = batches.load(lake, context.partition_key)
        manifest = batches.write_manifest(lake, request)
    return dg.MaterializeResult(
        metadata={
            "number": manifest["number"],
            "dagster/row_count": manifest["rows"],
            "fraudulent": manifest["fraudulent"],
            "legit": manifest["legit"],
            "s3_uri": manifest["s3_uri"] or "not exported",
            "receipts_sha": manifest["receipts_sha"],
            "shards": dg.MetadataValue.md(
                "| shard | rows | fraudulent | incidents | shortened | most plays of one case |\n"
                "| --- | --- | --- | --- | --- | --- |\n"
                + "\n".join(
                    f"| {name} | {r['rows']} | {r['fraudulent']} | {r['incidents']}"
                    f" | {r['shortened_incidents'] + r['cut_incidents']} | {r['plays_of_one_case']} |"
                    for name, r in manifest["shards"].items()
                )
            ),
        },
        data_version=dg.DataVersion(manifest["receipts_sha"]),
    )
