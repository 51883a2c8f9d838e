"""What a record of the two topics holds: key, value and the time that matters, from Arrow rows.

Belongs here: JSON as it goes over the wire. Does not belong here: sending it, or its published description
(``domain.json_schemas``).

The JSON is put together column by column within Arrow: a Python dictionary a row, and a JSON writer for each of
them, costs as much as sending the row.
"""

from collections.abc import Iterator

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from sgf_pipeline.domain.json_schemas import LABEL_RECORD
from sgf_pipeline.domain.schema import FEATURES

_TO_BE_ESCAPED = r'["\\\x00-\x1f]'

Record = tuple[bytes, bytes, int]


def encoded_transactions(rows: pa.Table) -> Iterator[Record]:
    """(account, JSON of the features, event time in ms) of each row (``TRANSACTION_SCHEMA``), in order."""
    return _records(rows, FEATURES, "event_time")


def encoded_labels(rows: pa.Table) -> Iterator[Record]:
    """(account, JSON of the labels, when a bank would have known in ms) of each fraud: no record means no fraud."""
    return _records(rows.filter(rows.column("is_fraud")), LABEL_RECORD, "label_available_at")


def _records(rows: pa.Table, names: tuple[str, ...], moment: str) -> Iterator[Record]:
    accounts = rows.column("account_id").cast(pa.string()).cast(pa.binary())
    microseconds = rows.column(moment).cast(pa.int64())
    moments = pc.divide(microseconds, 1000)  # towards zero, which is down for every time after 1970
    return zip(accounts.to_pylist(), _json(rows, names).to_pylist(), moments.to_pylist(), strict=True)


def _json(rows: pa.Table, names: tuple[str, ...]) -> pa.ChunkedArray:
    """One JSON object a row, with the columns ``names`` in that order; a null is written, not left out."""
    parts: list[pa.ChunkedArray | str] = []
    for place, name in enumerate(names):
        parts += [("," if place else "{") + f'"{name}":', _texts(rows.column(name))]
    joined = pc.binary_join_element_wise(*parts, "}", "", null_handling="replace", null_replacement="null")
    return joined.cast(pa.binary())


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's values as JSON; nulls stay null. Times are ISO 8601 with microseconds and Z."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _quoted(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        return pc.binary_join_element_wise('"', pc.strftime(column, "%Y-%m-%dT%H:%M:%S"), 'Z"', "")
    if pa.types.is_string(kind):
        return _quoted(column)
    if pa.types.is_list(kind):
        return _written(column)
    return column.cast(pa.string())


def _quoted(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.match_substring_regex(texts, _TO_BE_ESCAPED)).as_py():
        return _written(texts)
    return pc.binary_join_element_wise('"', texts, '"', "")


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = [None if value is None else orjson.dumps(value).decode() for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.string())])
