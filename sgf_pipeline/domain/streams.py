"""``RowStream``: rows on their way from one stage to the next, never a whole table.

Belongs here: the lazy, re-readable sequence of Arrow record batches, with the few facts about the shard that
travel with it. Reading and writing files is the lake's work (``sgf_pipeline.resources.lake``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class RowStream:
    """``read()`` starts at the first row every time. Batches have ``schema`` and any length.

    ``facts`` are JSON-able and travel with the rows; a stage that only learns them while its rows flow fills the
    dictionary before its last batch is out, which is before any writer looks at it.
    """

    schema: pa.Schema
    read: Callable[[], Iterator[pa.RecordBatch]]
    facts: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.read()


def table_stream(table: pa.Table, facts: dict[str, Any] | None = None) -> RowStream:
    """A small table as a stream."""
    return RowStream(table.schema, lambda: iter(table.to_batches()), facts or {})
