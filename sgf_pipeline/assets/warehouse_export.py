"""Stage 6b: the warehouse: the shard's rows in the table ``transactions``."""

from collections.abc import Iterator

import dagster as dg

from sgf_pipeline import pools
from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.sinks import RETRIES, note
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.held import ShardKey
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.warehouse import AnyWarehouse


@dg.asset(
    group_name="export",
    partitions_def=shards,
    output_required=False,
    code_version="1",
    pool=pools.DATABASE,
    retry_policy=RETRIES,
    kinds={"postgres", "sqlite"},
    owners=["team:fraud-data"],
    description="The shard's rows in the warehouse (DATABASE_URL), replaced in one transaction.",
)
def warehouse_export(
    context: dg.AssetExecutionContext,
    labelled_transactions: RowStream,
    lake: LakeResource,
    warehouse: dg.ResourceParam[AnyWarehouse],
) -> Iterator[dg.Output[None]]:
    """Load the shard, or note that the request does not want it."""
    with failing_plainly():
        shard = shard_of(context, lake)
        if not shard.request.delivery.save:
            note(context, lake, shard, "warehouse", {"state": "skipped", "why": "--no-save"})
            context.log.info("warehouse export skipped: --no-save")
            return
        key = ShardKey(shard.request.content.tenant, shard.request.batch_id, shard.scenario)
        rows = warehouse.load(key, labelled_transactions, shard.request.content.currency)
        state = {"state": "done", "table": "transactions", "address": warehouse.address}
        note(context, lake, shard, "warehouse", state)
    yield dg.Output(None, metadata={"dagster/row_count": rows, "address": warehouse.address})
