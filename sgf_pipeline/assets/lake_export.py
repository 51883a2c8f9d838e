"""Stage 6a: the lake: the shard's Parquet file in one Hive dataset."""

from typing import Any

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, Stopwatch, columns
from sgf_pipeline.assets.sinks import RETRIES, note
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.held import Totals
from sgf_pipeline.resources.identity import IdentityResource
from sgf_pipeline.resources.lake import LakeResource


@dg.asset(
    group_name="export",
    partitions_def=shards,
    code_version="1",
    retry_policy=RETRIES,
    kinds={"parquet", "s3"},
    owners=OWNERS,
    metadata=columns(TRANSACTION_SCHEMA),
    description="""The shard's Parquet file in the batch's Hive dataset, to be read with
`pandas.read_parquet(folder)`: `datasets/tenant=…/batch_id=…/shard=…/part-00000.parquet`.

Written whole or not at all; built again, it has the same bytes. `dagster/uri` is its address, `sha256` its
fingerprint, which the manifest holds it to.
""",
)
def lake_export(
    context: dg.AssetExecutionContext, labelled_transactions: RowStream, lake: LakeResource, identity: IdentityResource
) -> dg.MaterializeResult[None]:
    """Write the shard's file whole or not at all, and begin or renew its receipt."""
    watch = Stopwatch()
    with failing_plainly():
        shard = shard_of(context, lake)
        totals = Totals(labelled_transactions, shard.request.content.currency)
        file = batches.shard_file(lake, shard.request, shard.scenario)
        if shard.request.delivery.s3:
            exported = RowStream(labelled_transactions.schema, totals.read)
            written = lake.write_rows(file, exported, owner=context.run.run_id, record=True)
            state = {"state": "done", "sha256": written.sha256, "bytes": written.bytes}
            shown: dict[str, Any] = {"dagster/uri": written.uri, "bytes": written.bytes, "sha256": written.sha256}
        else:
            for _ in totals.read():
                pass
            lake.remove(file)
            state = {"state": "skipped", "why": "--no-s3"}
            shown = {"state": "skipped: --no-s3"}
        facts = {
            **totals.totals(),
            **labelled_transactions.facts,
            "salt_fingerprint": identity.fingerprint(),
        }
        note(context, lake, shard, "lake", state, facts)
    counted = {"dagster/row_count": totals.rows, "fraudulent": totals.frauds, "seconds": watch.seconds}
    return dg.MaterializeResult(metadata={**counted, **shown})
