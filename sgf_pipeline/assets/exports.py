"""Stage 6: the sinks. Each is idempotent per shard and notes its state in the shard's receipt.

Built: the lake (one Hive dataset of Parquet files). The warehouse, the stream and the feature export are assets of
the graph already, so that their place is fixed, and say plainly that they are not built yet.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import Shard, failing_plainly, shard_of
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.identity import IdentityResource
from sgf_pipeline.resources.lake import LakeResource

NOT_BUILT = "not built yet"


@dg.asset(
    group_name="export",
    partitions_def=shards,
    code_version="1",
    kinds={"parquet", "s3"},
    owners=["team:fraud-data"],
    description="The shard's Parquet file in the exported Hive dataset.",
)
def lake_export(
    context: dg.AssetExecutionContext, labelled_transactions: RowStream, lake: LakeResource, identity: IdentityResource
) -> dg.MaterializeResult[None]:
    """Write the shard's file whole or not at all, and begin or renew its receipt."""
    with failing_plainly():
        shard = shard_of(context, lake)
        totals = _Totals(labelled_transactions, minor_digits(shard.request.content.currency))
        file = batches.shard_file(lake, shard.request, shard.scenario)
        if shard.request.delivery.s3:
            exported = RowStream(labelled_transactions.schema, totals.read)
            written = lake.write_rows(file, exported, owner=context.run.run_id)
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
        _note(lake, shard, "lake", state, facts)
    return dg.MaterializeResult(metadata={"dagster/row_count": totals.rows, "fraudulent": totals.frauds, **shown})


def _not_built(name: str, sink: str, kind: str, what: str) -> dg.AssetsDefinition:
    """An asset that skips, visibly: no materialisation, a log line, and the receipt's word for it."""

    @dg.asset(
        name=name,
        group_name="export",
        partitions_def=shards,
        deps=["labelled_transactions"],
        output_required=False,
        code_version="0",
        kinds={kind},
        owners=["team:fraud-data"],
        description=f"NOT BUILT YET: {what}. A run skips it and says so in the receipt.",
    )
    def not_built(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.Output[None]]:
        yield from _skip(context, lake, sink)

    return not_built


warehouse_export = _not_built("warehouse_export", "warehouse", "postgres", "the shard's rows in the warehouse")
stream_export = _not_built("stream_export", "stream", "kafka", "the shard's rows on Kafka")
feature_export = _not_built("feature_export", "features", "parquet", "window features for an online store")


def _skip(context: dg.AssetExecutionContext, lake: LakeResource, sink: str) -> Iterator[dg.Output[None]]:
    with failing_plainly():
        shard = shard_of(context, lake)
        delivery = shard.request.delivery
        unwanted = {"warehouse": not delivery.save and "--no-save", "stream": not delivery.kafka and "--no-kafka"}
        why = unwanted.get(sink) or NOT_BUILT
        _note(lake, shard, sink, {"state": "skipped", "why": why})
    context.log.info(f"{sink} export skipped: {why}")
    yield from ()


def _note(
    lake: LakeResource, shard: Shard, sink: str, state: dict[str, Any], facts: dict[str, Any] | None = None
) -> None:
    labelled = stage_path(lake, "labelled_transactions", shard.request.batch_id, shard.scenario)
    batches.add_to_receipt(lake, shard.request, shard.scenario, lake.sha256(labelled), sink, state, facts)


class _Totals:
    """Counts rows, frauds, money and a hash of the ids while rows pass: what every sink must agree on."""

    def __init__(self, source: RowStream, digits: int) -> None:
        self._source = source
        self._factor = 10**digits
        self.rows = 0
        self.frauds = 0
        self.minor_units = 0
        self.ids = 0

    def read(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source:
            self.rows += batch.num_rows
            self.frauds += pc.sum(batch.column("is_fraud")).as_py() or 0
            self.minor_units += int(np.rint(batch.column("amount").to_numpy() * self._factor).astype(np.int64).sum())
            for text in batch.column("transaction_id").to_pylist():
                self.ids ^= int(text[4:], 16)
            yield batch

    def totals(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "fraudulent": self.frauds,
            "legit": self.rows - self.frauds,
            "minor_units": self.minor_units,
            "transaction_ids_xor": f"{self.ids:024x}",
        }
