"""What people are shown of every asset besides its rows: its owners, columns, checks, addresses, how long it took.

Belongs here: what several assets show in the same way. What one asset alone shows lies with it.
"""

import time
import warnings

import dagster as dg
import pyarrow as pa

from sgf_pipeline.domain.schema import FIELDS, LABELS

OWNERS = ["team:fraud-data"]

_WORDS = {field.name: field.words for field in FIELDS if field.words}
# Hidden truth has no meaning in the schema: it is never exported as it is.
_TRUTH = "hidden truth of the simulation, until the rows are labelled"


class Stopwatch:
    """Seconds since it was made: of a stage, from its first line on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """To the millisecond."""
        return round(time.perf_counter() - self._began, 3)


def columns(schema: pa.Schema) -> dict[str, dg.TableSchema]:
    """The columns with their meanings, as the web interface's table of columns: labels are tagged as such."""
    return {"dagster/column_schema": dg.TableSchema([_column(field) for field in schema])}


def check(
    asset: str, name: str, description: str, partitions: dg.PartitionsDefinition[str], *, blocking: bool
) -> dg.AssetCheckSpec:
    """A check that is answered for each partition, so that its page tells the shards from one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # the lock file pins Dagster; the notice helps no user
        return dg.AssetCheckSpec(
            name, asset=asset, description=description, partitions_def=partitions, blocking=blocking
        )


def address(uri: str) -> dg.MetadataValue:
    """A page of ours: a link where a browser can follow it, else the address, to be copied."""
    return dg.MetadataValue.url(uri) if uri.startswith(("http://", "https://")) else dg.MetadataValue.path(uri)


def _column(field: pa.Field) -> dg.TableColumn:
    meaning = (field.metadata or {}).get(b"meaning", _TRUTH.encode()).decode()
    words = _WORDS.get(field.name)
    return dg.TableColumn(
        field.name,
        str(field.type.value_type if pa.types.is_dictionary(field.type) else field.type),
        f"{meaning}: {', '.join(words)}" if words else meaning,
        dg.TableColumnConstraints(nullable=field.nullable),
        {"label": ""} if field.name in LABELS else None,
    )
