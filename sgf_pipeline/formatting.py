"""Simulated rows become transactions: public identifiers, decimal money, names and places of merchants, time order.

Belongs here: everything between ``SIMULATED_SCHEMA`` and ``CLEAN_SCHEMA``. Does not belong here: changing what
happened; a row leaves as it came in, in other words.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.population.places import COUNTRY_CODES
from sgf_pipeline.population.world import World, world

# Rows sorted in memory at once. A longer shard is first parted by time into files of about this many rows.
SORT_ROWS = 500_000
OUT_ROWS = 65_536


def clean(rows: RowStream, content: RequestContent, identifiers: Identifiers, sort_rows: int = SORT_ROWS) -> RowStream:
    """The shard's rows as ``CLEAN_SCHEMA``, in time order (ties in the order of their numbers).

    Memory is bounded by about ``sort_rows`` rows; ``sort_rows`` never changes the result.
    """

    def read() -> Iterator[pa.RecordBatch]:
        formatter = _Formatter(world(content.population_seed, content.countries, content.currency), identifiers)
        for table in _in_time_order(rows, sort_rows):
            for batch in table.to_batches(OUT_ROWS):
                yield formatter.format(batch, content.currency)

    return RowStream(CLEAN_SCHEMA, read, rows.facts)


def _in_time_order(rows: RowStream, sort_rows: int) -> Iterator[pa.Table]:
    """Tables that follow one another in time, each sorted by (time, row)."""
    batches: list[pa.RecordBatch] = []
    count = 0
    source = iter(rows)
    for batch in source:
        batches.append(batch)
        count += batch.num_rows
        if count > sort_rows:
            break
    else:
        yield _sorted(pa.Table.from_batches(batches, rows.schema))
        return
    del batches
    times = np.concatenate([_times(batch) for batch in rows])
    parts = -(-len(times) // sort_rows)
    bounds = np.unique(np.quantile(times, np.arange(1, parts) / parts, method="inverted_cdf"))
    del times
    with tempfile.TemporaryDirectory(prefix="sgf-sort-") as folder:
        paths = [Path(folder) / f"{number:05}.arrows" for number in range(len(bounds) + 1)]
        writers = [pa.ipc.new_stream(str(path), rows.schema) for path in paths]
        for batch in rows:
            part = np.searchsorted(bounds, _times(batch), side="left")
            plain = pa.Table.from_batches([batch])
            for number in np.unique(part):
                writers[number].write_table(plain.take(pa.array(np.flatnonzero(part == number))))
        for writer in writers:
            writer.close()
        for path in paths:
            with pa.memory_map(str(path)) as source_file:
                yield _sorted(pa.ipc.open_stream(source_file).read_all())
            path.unlink()


def _times(batch: pa.RecordBatch) -> NDArray[np.int64]:
    times: NDArray[np.int64] = batch.column("time").cast(pa.int64()).to_numpy()
    return times


def _sorted(table: pa.Table) -> pa.Table:
    return table.take(pc.sort_indices(table, sort_keys=[("time", "ascending"), ("row", "ascending")])).combine_chunks()


class _Formatter:
    """Formats the batches of one shard; remembers the identifiers it has made."""

    def __init__(self, the_world: World, identifiers: Identifiers) -> None:
        self._world = the_world
        self._identifiers = identifiers
        self._known: dict[str, dict[int, str]] = {}

    def format(self, batch: pa.RecordBatch, currency: str) -> pa.RecordBatch:
        names, ids = batch.schema.names, self._identifiers
        column: dict[str, Any] = dict(zip(names, batch.columns, strict=True))
        merchants = column["merchant"]
        formatted: dict[str, pa.Array] = {
            **{name: column[name] for name in names if name in CLEAN_SCHEMA.names and name != "amount"},
            "transaction_id": pa.array(ids.transactions(column["row"].to_pylist())),
            "event_time": column["time"],
            "customer_id": self._ids("customer", "cus", column["customer"]),
            "account_id": self._ids("account", "acc", column["account"]),
            "card_id": self._ids("card", "crd", column["card"]),
            "amount": _money(column["amount"], self._world.digits),
            "currency": pa.DictionaryArray.from_arrays(pa.array(np.zeros(batch.num_rows, dtype=np.int32)), [currency]),
            "merchant_id": self._map("merchant", merchants, ids.merchants),
            **self._merchant_columns(merchants),
            # the other account has the same identifier as where it is a row's own account
            "counterparty_account_id": self._ids("account", "acc", column["counterparty"]),
            "linked_transaction_id": _linked(column["linked_row"], ids),
            "device_id": self._ids("device", "dev", column["device"]),
            "ip_address": self._map("ip", column["ip"], ids.addresses),
        }
        return pa.RecordBatch.from_arrays(
            [_as(formatted[field.name], field.type) for field in CLEAN_SCHEMA], schema=CLEAN_SCHEMA
        )

    def _ids(self, kind: str, prefix: str, keys: pa.Array) -> pa.Array:
        return self._map(kind, keys, lambda wanted: self._identifiers.entities(kind, prefix, wanted))

    def _map(self, kind: str, keys: pa.Array, name: Callable[[Sequence[int]], list[str]]) -> pa.Array:
        encoded = keys.dictionary_encode()
        wanted = encoded.dictionary.to_pylist()
        known = self._known.setdefault(kind, {})
        new = [key for key in wanted if key not in known]
        known.update(zip(new, name(new), strict=True))
        return pa.DictionaryArray.from_arrays(encoded.indices, pa.array([known[key] for key in wanted], pa.string()))

    def _merchant_columns(self, keys: pa.Array) -> dict[str, pa.Array]:
        encoded = keys.dictionary_encode()
        wanted = encoded.dictionary.to_numpy(zero_copy_only=False)
        at = self._world.position(wanted)
        cities = self._world.merchant_city[at]
        values = {
            "merchant_name": self._world.merchant_name[at],
            "merchant_category_code": self._world.merchant_mcc[at],
            "merchant_country": np.asarray(COUNTRY_CODES, dtype=object)[self._world.merchant_country[at]],
            "merchant_city": self._world.city_name[cities],
        }
        return {name: _through(encoded.indices, value.tolist()) for name, value in values.items()}


def _through(indices: pa.Array, words: list[str]) -> pa.Array:
    """``words[indices]`` as a dictionary array; words may repeat (two shops in one city), a dictionary may not."""
    distinct = pa.array(words, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(indices), distinct.dictionary)


def _money(minor: pa.Array, digits: int) -> pa.Array:
    # Division by a power of ten rounds correctly, so the float is the nearest one to the decimal amount.
    return pa.array(minor.to_numpy() / float(10**digits))


def _linked(rows: pa.Array, identifiers: Identifiers) -> pa.Array:
    numbers = rows.drop_null()
    names = iter(identifiers.transactions(numbers.to_pylist()))
    valid = rows.is_valid().to_pylist()
    return pa.array([next(names) if is_valid else None for is_valid in valid], pa.string())


def _as(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    return array if array.type == wanted else array.cast(wanted)
