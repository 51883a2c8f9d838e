"""Stage 6b: the warehouse: the shard's rows in the table ``transactions``."""

import dagster as dg

from sgf_pipeline import pools
from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, Stopwatch, columns
from sgf_pipeline.assets.sinks import RETRIES, note
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.held import ShardKey
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.warehouse import AnyWarehouse


@dg.asset(
    group_name="export",
    partitions_def=shards,
    code_version="1",
    pool=pools.DATABASE,
    retry_policy=RETRIES,
    kinds={"postgres", "sqlite"},
    owners=OWNERS,
    metadata={**columns(TRANSACTION_SCHEMA), "dagster/table_name": "transactions"},
    description="""The shard's rows in the warehouse's table `transactions` (PostgreSQL, Supabase or SQLite:
`DATABASE_URL`), with `tenant`, `batch_id` and `shard` before the columns of the dataset.

Replaced in one transaction: readers see the old rows or the new ones. Skipped where the request says so.
""",
)
def warehouse_export(
    context: dg.AssetExecutionContext,
    labelled_transactions: RowStream,
    lake: LakeResource,
    warehouse: dg.ResourceParam[AnyWarehouse],
) -> dg.MaterializeResult[None]:
    """Load the shard, or note that the request does not want it."""
    watch = Stopwatch()
    with failing_plainly():
        shard = shard_of(context, lake)
        if not shard.request.delivery.save:
            note(context, lake, shard, "warehouse", {"state": "skipped", "why": "--no-save"})
            return dg.MaterializeResult(metadata={"state": "skipped: --no-save"})
        key = ShardKey(shard.request.content.tenant, shard.request.batch_id, shard.scenario)
        rows = warehouse.load(key, labelled_transactions, shard.request.content.currency)
        state = {"state": "done", "table": "transactions", "address": warehouse.address}
        note(context, lake, shard, "warehouse", state)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows, "address": warehouse.address, "seconds": watch.seconds}
    )
