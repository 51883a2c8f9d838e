"""What every sink must agree on: which rows are a shard's, how many they are, their money, and their ids.

Belongs here: the three figures and how a stream of rows is added up. Does not belong here: how a sink is asked for
them (each sink's ``held``), and what happens when they differ (``sgf_pipeline.manifests``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.streams import RowStream


@dataclass(frozen=True)
class ShardKey:
    """Which rows of a sink are a shard's."""

    tenant: str
    batch_id: str
    shard: str


@dataclass(frozen=True)
class Held:
    """What a sink holds of a shard: rows, sum of minor units, XOR of the 96 bits of the transaction ids."""

    rows: int
    minor_units: int
    transaction_ids_xor: str


class Totals:
    """Counts rows, frauds, money and a hash of the ids while rows pass.

    Takes what is there of ``Totals.COLUMNS``; what has no such column adds nothing.
    """

    COLUMNS = ("transaction_id", "amount", "is_fraud")

    def __init__(self, source: RowStream, currency: str) -> None:
        self._source = source
        self._factor = 10 ** minor_digits(currency)
        self.rows = 0
        self.frauds = 0
        self._minor_units = 0
        self._ids = 0

    def read(self) -> Iterator[pa.RecordBatch]:
        """The source's batches, counted as they pass."""
        for batch in self._source:
            self.rows += batch.num_rows
            if "is_fraud" in batch.schema.names:
                self.frauds += pc.sum(batch.column("is_fraud")).as_py() or 0
            if "amount" in batch.schema.names:
                units = np.rint(batch.column("amount").to_numpy() * self._factor)
                self._minor_units += int(units.astype(np.int64).sum())
            for text in batch.column("transaction_id").to_pylist():
                self._ids ^= int(text[4:], 16)
            yield batch

    @property
    def held(self) -> Held:
        """What has passed so far."""
        return Held(self.rows, self._minor_units, f"{self._ids:024x}")

    def totals(self) -> dict[str, Any]:
        """The same and the mix, as a receipt states them."""
        return {**vars(self.held), "fraudulent": self.frauds, "legit": self.rows - self.frauds}
