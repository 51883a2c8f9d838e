"""The window features as tables: of each row (to train on), and of each entity at one moment (to serve).

Belongs here: the exported table, the views of an online store, both made from ``WINDOW_FEATURES``, and how an entity's
features at a moment are reckoned. Does not belong here: files, Feast, or what a feature is (``windows``).

Labels cannot get in: of the rows only ``LOG_COLUMNS`` are read, which are observable columns of the transaction.

**What an online store holds.** For each key (a customer, a card, a customer with a merchant …) the features that an
event at the moment ``as_of`` would see, were it to name this key: every row before ``as_of`` counts, the key's last
row included. They are reckoned by the same engine as the rows' own, by adding to the log one row a key at ``as_of``
that names nothing else. So a feature can be served when it depends on its key and on the past alone; one that also
needs the event's amount, hour, place, or which customer it is, stands in ``NEEDS_THE_EVENT``.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sgf_pipeline.domain.schema import MOMENT, TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.features.windows import ENTITIES, WINDOW_FEATURES, WindowFeature, window_features

BATCH_ROWS = 65_536
PART_ROWS = 200_000  # about as many rows are reckoned at a time; never changes what is reckoned

# What window_features reads: observable columns alone.
LOG_COLUMNS = (
    "transaction_id", "event_time", *ENTITIES.values(), "transaction_type", "direction", "amount", "channel",
    "response_code", "merchant_category_code", "merchant_country", "counterparty_country", "linked_transaction_id",
    "ip_country", "latitude", "longitude",
)  # fmt: skip

# The country of the row's other side: not a column of the transaction, but a key of one feature.
COUNTRY = "country"

# Entities of which several shards of a batch have rows: only the whole batch knows their past. All others belong to
# the customers of one shard.
SHARED_ENTITIES = ("merchant",)

# What the customer's novelty features hang on besides the customer.
_WITH = {
    **{f"customer_{other}_{what}": ENTITIES[other]
       for other in ("merchant", "device", "ip", "counterparty") for what in ("count", "age_s")},
    "customer_country_count": COUNTRY,
    "customer_ip_country_count": "ip_country",
    "customer_mcc_count": "merchant_category_code",
    "customer_channel_share": "channel",
    "customer_type_share": "transaction_type",
}  # fmt: skip

# Features that no key answers for, and what of the event each needs.
NEEDS_THE_EVENT = {
    **{f"{entity}_other_customers{window}": "the event's customer, who is not counted"
       for entity in ("device", "ip", "merchant", "counterparty") for window in ("", "_7d")},
    "customer_odd_hour": "its hour",
    "customer_amount_oddity": "its amount",
    "customer_times_mean": "its amount",
    "merchant_amount_oddity": "its amount",
    "customer_km_from_last": "its place",
    "customer_speed_kmh": "its place",
    "account_passed_24h": "its amount",
    "account_amount_over_in_7d": "its amount",
    "card_same_amount_24h": "its amount",
    "merchant_same_amount_24h": "its amount",
    "linked_age_s": "the row that it is linked to",
    "linked_amount_share": "the row that it is linked to, and its amount",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """Features that the same key answers for. ``keys`` are columns of the transaction (and ``COUNTRY``)."""

    name: str
    entity: str
    keys: tuple[str, ...]
    features: tuple[WindowFeature, ...]

    @property
    def shared(self) -> bool:
        """Whether only the whole batch knows the key's past."""
        return self.entity in SHARED_ENTITIES

    @property
    def feature_names(self) -> list[str]:
        return [feature.name for feature in self.features]

    @property
    def schema(self) -> pa.Schema:
        """The view as a table: its keys, the moment at which its features were so, its features."""
        return pa.schema(
            [
                *(pa.field(key, pa.string(), False) for key in self.keys),
                pa.field("event_time", MOMENT, False),
                *(pa.field(feature.name, pa.float64()) for feature in self.features),
            ]
        )


def _views() -> tuple[View, ...]:
    found: dict[tuple[str, ...], list[WindowFeature]] = {}
    for feature in WINDOW_FEATURES:
        if feature.name not in NEEDS_THE_EVENT:
            besides = (_WITH[feature.name],) if feature.name in _WITH else ()
            found.setdefault((ENTITIES[feature.entity], *besides), []).append(feature)
    short = {column: name for name, column in ENTITIES.items()} | {"merchant_category_code": "mcc"}
    return tuple(
        View("_".join(short.get(key, key) for key in keys), features[0].entity, keys, tuple(features))
        for keys, features in found.items()
    )


VIEWS: tuple[View, ...] = _views()

FEATURE_SCHEMA: pa.Schema = pa.schema(
    [
        *(TRANSACTION_SCHEMA.field(name) for name in ("transaction_id", "event_time", *ENTITIES.values())),
        *(pa.field(f.name, pa.float64(), metadata={"meaning": f.meaning, "window": f.window}) for f in WINDOW_FEATURES),
    ]
)


def feature_rows(rows: RowStream) -> RowStream:
    """The window features of each row of a shard, in the order of the rows: ``FEATURE_SCHEMA``.

    A feature of a row may depend on any earlier row of the shard, so the shard's ``LOG_COLUMNS`` are held in memory.
    The features are reckoned one entity after the other, and wait in temporary files. Undefined ones are null.
    """

    def read() -> Iterator[pa.RecordBatch]:
        log = log_of(rows)
        named = log.select(FEATURE_SCHEMA.names[: len(FEATURE_SCHEMA) - len(WINDOW_FEATURES)])
        with ExitStack() as files:
            entities = dict.fromkeys(feature.entity for feature in WINDOW_FEATURES)
            readers = [files.enter_context(_reckoned(log, entity)) for entity in entities]
            for start in range(0, log.num_rows, BATCH_ROWS):
                some = dict(zip(named.column_names, named.slice(start, BATCH_ROWS).columns, strict=True))
                for reader in readers:
                    batch = reader.read_next_batch()
                    some |= dict(zip(batch.schema.names, batch.columns, strict=True))
                columns = [some[name] for name in FEATURE_SCHEMA.names]
                yield from pa.table(columns, schema=FEATURE_SCHEMA).combine_chunks().to_batches()

    return RowStream(FEATURE_SCHEMA, read)


@contextmanager
def _reckoned(log: pa.Table, entity: str) -> Iterator[pa.RecordBatchReader]:
    """The entity's features of each row, from a temporary file, in batches of ``BATCH_ROWS``."""
    with tempfile.TemporaryFile() as file:
        _reckon(log, entity, file)
        file.seek(0)
        with pa.ipc.open_stream(file) as reader:
            yield reader


def _reckon(log: pa.Table, entity: str, file: IO[bytes]) -> None:
    features = [feature for feature in WINDOW_FEATURES if feature.entity == entity]
    found = np.full((len(features), log.num_rows), np.nan)
    for rows in _parts(log, entity):
        found[:, rows] = window_features(log.take(rows).to_pandas(), features).to_numpy().T
    schema = pa.schema([pa.field(feature.name, pa.float64()) for feature in features])
    with pa.ipc.new_stream(file, schema) as sink:
        for start in range(0, log.num_rows, BATCH_ROWS):
            columns = [pa.array(row[start : start + BATCH_ROWS], from_pandas=True) for row in found]
            sink.write_batch(pa.record_batch(columns, schema=schema))


def _parts(log: pa.Table, entity: str) -> Iterator[NDArray[np.int64]]:
    """Rows that can be reckoned apart, for all rows of one customer, card … are in the same part."""
    if entity not in ENTITIES or log.num_rows <= PART_ROWS:
        yield np.arange(log.num_rows)
        return
    codes = log.column(ENTITIES[entity]).combine_chunks().indices.fill_null(-1).to_numpy()
    upto = np.cumsum(np.bincount(codes[codes >= 0]))
    part = np.append(upto // PART_ROWS, -1)[codes]  # -1: rows without the entity, which have none of its features
    for number in range(int(part.max()) + 1):
        yield np.flatnonzero(part == number)


def log_of(rows: RowStream) -> pa.Table:
    """All rows of a stream, ``LOG_COLUMNS`` alone, with one dictionary a column."""
    schema = pa.schema([rows.schema.field(name) for name in LOG_COLUMNS])
    return pa.Table.from_batches((batch.select(LOG_COLUMNS) for batch in rows), schema).unify_dictionaries()


def keys_of(log: pa.Table, view: View) -> pa.Table:
    """The view's key columns of each row, as text; null where the row does not name them."""
    columns = {}
    for key in view.keys:
        names = ("merchant_country", "counterparty_country") if key == COUNTRY else (key,)
        columns[key] = pc.coalesce(*(log.column(name).cast(pa.string()) for name in names))
    return pa.table(columns)


def states(log: pa.Table, as_of: datetime, views: Sequence[View] = VIEWS) -> dict[str, pa.Table]:
    """By view, one row for each key that the log names before ``as_of``: its features at that moment.

    Tables of ``view.schema``, ``event_time`` = ``as_of``, in the order of the keys. ``log`` holds ``LOG_COLUMNS`` of
    all rows of the views' entities.
    """
    schema = pa.schema([field.with_nullable(True) for field in log.schema])
    past = log.filter(_before(log, as_of)).cast(schema)
    asked = {view.name: _distinct(keys_of(past, view)) for view in views}
    questions = [_questions(view, asked[view.name], as_of, schema) for view in views]
    wanted = [feature for view in views for feature in view.features]
    features = window_features(pa.concat_tables([past, *questions]).unify_dictionaries().to_pandas(), wanted)
    start = past.num_rows
    found = {}
    for view in views:
        keys = asked[view.name]
        some = features.iloc[start : start + keys.num_rows]
        start += keys.num_rows
        answers = [pa.array(some[name], pa.float64(), from_pandas=True) for name in view.feature_names]
        moments = pa.array([as_of] * keys.num_rows, MOMENT)
        found[view.name] = pa.table([*keys.columns, moments, *answers], schema=view.schema)
    return found


def history(log: pa.Table, features: pa.Table, as_of: datetime, view: View) -> pa.Table:
    """What the rows before ``as_of`` saw, of those that name the view's key: ``view.schema``, in the order of the rows.

    ``features`` holds the view's features of each row of ``log``.
    """
    keys = keys_of(log, view)
    columns = [*keys.columns, log.column("event_time"), *features.select(view.feature_names).columns]
    wanted = _before(log, as_of)
    for key in keys.columns:
        wanted = pc.and_(wanted, pc.is_valid(key))
    return pa.table(columns, schema=view.schema).filter(wanted)


def _before(log: pa.Table, as_of: datetime) -> pa.ChunkedArray:
    return pc.less(log.column("event_time"), pa.scalar(as_of, MOMENT))


def _distinct(keys: pa.Table) -> pa.Table:
    names = keys.column_names
    for name in names:
        keys = keys.filter(pc.is_valid(keys.column(name)))
    return keys.group_by(names).aggregate([]).sort_by([(name, "ascending") for name in names])


def _questions(view: View, keys: pa.Table, as_of: datetime, schema: pa.Schema) -> pa.Table:
    """A row for each key, at ``as_of``, that names nothing else."""
    given = {("merchant_country" if key == COUNTRY else key): keys.column(key) for key in view.keys}
    # the engine looks rows up by their id, so that each needs one
    given["transaction_id"] = pa.array([f"{view.name} {number}" for number in range(keys.num_rows)], pa.string())
    given["event_time"] = pa.array([as_of] * keys.num_rows, MOMENT)
    given["amount"] = pa.array([0.0] * keys.num_rows, pa.float64())  # no feature of a view looks at it
    columns = [
        given[field.name].cast(field.type) if field.name in given else pa.nulls(keys.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
