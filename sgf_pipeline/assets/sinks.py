"""What the sinks share: the note in the shard's receipt, what every sink must agree on, and how often it is tried.

Belongs here: nothing that knows a particular sink.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import Shard
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources.lake import LakeResource

# A sink that does not answer is tried for about half a minute; a Failure that forbids retries ends this at once.
RETRIES = dg.RetryPolicy(max_retries=3, delay=3, backoff=dg.Backoff.EXPONENTIAL)


def note(
    lake: LakeResource, shard: Shard, sink: str, state: dict[str, Any], facts: dict[str, Any] | None = None
) -> None:
    """Write the sink's state into the shard's receipt."""
    labelled = stage_path(lake, "labelled_transactions", shard.request.batch_id, shard.scenario)
    batches.add_to_receipt(lake, shard.request, shard.scenario, lake.sha256(labelled), sink, state, facts)


class Totals:
    """Counts rows, frauds, money and a hash of the ids while rows pass: what every sink must agree on."""

    def __init__(self, source: RowStream, currency: str) -> None:
        self._source = source
        self._factor = 10 ** minor_digits(currency)
        self.rows = 0
        self.frauds = 0
        self._minor_units = 0
        self._ids = 0

    def read(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source:
            self.rows += batch.num_rows
            self.frauds += pc.sum(batch.column("is_fraud")).as_py() or 0
            self._minor_units += int(np.rint(batch.column("amount").to_numpy() * self._factor).astype(np.int64).sum())
            for text in batch.column("transaction_id").to_pylist():
                self._ids ^= int(text[4:], 16)
            yield batch

    def totals(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "fraudulent": self.frauds,
            "legit": self.rows - self.frauds,
            "minor_units": self._minor_units,
            "transaction_ids_xor": f"{self._ids:024x}",
        }
