"""The warehouse: the table ``transactions`` in PostgreSQL (and so Supabase) or SQLite.

Belongs here: connecting, migrating, loading one shard in one transaction, reading back what lies there, and reaching
the rows of ``synthetic_batches``. Does not belong here: the audit trail's chain (``sgf_pipeline.resources.audit``), and
Supabase where only its REST address is known (``sgf_pipeline.resources.supabase``).

A shard is loaded by deleting its rows and inserting the new ones in one transaction, so that loading it again
replaces exactly its rows and a killed load leaves what was there. PostgreSQL is loaded from Arrow by ADBC
(COPY BINARY), which measured three times the speed of psycopg's COPY; SQLite by ``executemany``.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from sgf_pipeline.domain.errors import ConfigurationError, SinkError, SinkUnavailableError
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources import audit
from sgf_pipeline.resources.held import Held, ShardKey

# Key of the advisory lock under which two runs migrate or append one after the other; any fixed number would do.
LOCK = 0x5347_4600
BUSY_SECONDS = 120  # how long a writer waits for another one on SQLite
CONNECT_SECONDS = 10
KEY_COLUMNS = ("tenant", "batch_id", "shard")
MIGRATIONS = Path(__file__).parent / "migrations"


class AnyWarehouse(audit.Audited, Protocol):
    """What the assets and manifests ask of a warehouse, by whichever way it is reached."""

    def load(self, key: ShardKey, rows: RowStream, currency: str) -> int:
        """Replace the shard's rows in one transaction; return how many."""

    def held(self, key: ShardKey, currency: str) -> Held:
        """Count and sum what the warehouse holds of the shard."""


class Warehouse:
    """One database. ``url`` may hold a password: it is shown nowhere, only ``address`` is."""

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)

    @property
    def is_postgres(self) -> bool:
        return self._url.get_backend_name() == "postgresql"

    @property
    def address(self) -> str:
        """The URL with its password hidden and its options left out, for logs and errors."""
        return self._url.set(query={}).render_as_string()

    @cached_property
    def engine(self) -> sa.Engine:
        """A pool of connections, migrated to the newest version of the schema."""
        if self.is_postgres:
            engine = sa.create_engine(
                self._url.set(drivername="postgresql+psycopg2"), connect_args={"connect_timeout": CONNECT_SECONDS}
            )
        else:
            if self._url.database:
                Path(self._url.database).expanduser().parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(self._url, connect_args={"timeout": BUSY_SECONDS})
        with self.reaching():
            _migrate(engine)
        return engine

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that excludes every other ``writing`` one until it ends."""
        with self.reaching(), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield from _alone(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read from."""
        with self.reaching(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def trail(self, *, writing: bool) -> Iterator[audit.Trail]:
        """The rows of ``synthetic_batches``; for ``writing``, within one transaction that excludes the others."""
        with self.writing() if writing else self.reading() as connection:
            yield _Trail(connection)

    def load(self, key: ShardKey, rows: RowStream, currency: str) -> int:
        """Replace the shard's rows by ``rows`` (``TRANSACTION_SCHEMA``) in one transaction; return how many.

        Raises ``SinkUnavailableError`` where the database does not answer, ``SinkError`` where it refuses.
        """
        with self.reaching():
            return self._load_postgres(key, rows, currency) if self.is_postgres else self._load_sqlite(key, rows)

    def remove(self, key: ShardKey) -> None:
        """Delete the shard's rows."""
        with self.writing() as connection:
            connection.execute(_DELETE, vars(key))

    def held(self, key: ShardKey, currency: str) -> Held:
        """Count and sum what the table holds of the shard, in the database."""
        factor = 10 ** minor_digits(currency)
        with self.reading() as connection:
            if self.is_postgres:
                minor = "COALESCE(SUM(ROUND(amount * :factor)), 0)"
                ids = "COALESCE(BIT_XOR(('x' || SUBSTR(transaction_id, 5))::bit(96)), B'0'::bit(96))::text"
            else:
                raw: Any = connection.connection.dbapi_connection
                raw.create_aggregate("xor_ids", 1, _XorIds)
                minor = "COALESCE(SUM(CAST(ROUND(amount * :factor) AS INTEGER)), 0)"
                ids = "COALESCE(xor_ids(transaction_id), '0')"
            row = connection.execute(
                sa.text(f"SELECT COUNT(*), {minor}, {ids} FROM transactions WHERE {_WHERE}"),  # noqa: S608  constants
                {**vars(key), "factor": factor},
            ).one()
        bits = int(row[2], 2) if self.is_postgres else int(row[2], 16)
        return Held(int(row[0]), int(row[1]), f"{bits:024x}")

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Turn the drivers' errors into ours."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            raise self._ours(error) from error

    def _ours(self, error: Exception) -> Exception:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        said = " ".join(str(cause).split()) or type(cause).__name__
        if self.is_postgres:
            lost = isinstance(error, OperationalError) and not any(word in said for word in _FINAL)
        else:
            lost = "locked" in said or "busy" in said
        if lost:
            return SinkUnavailableError(f"warehouse {self.address} does not answer ({said}): try again later")
        return SinkError(f"warehouse {self.address} refuses ({said}): {_remedy(said)}")

    def _load_postgres(self, key: ShardKey, rows: RowStream, currency: str) -> int:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi

        self.engine  # noqa: B018  migrated
        schema = _postgres_schema(currency)
        counted = _Counted(rows)
        reader = pa.RecordBatchReader.from_batches(
            schema, (_as_postgres(batch, key, schema) for batch in counted.read())
        )
        uri = self._url.set(drivername="postgresql").update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
        try:
            with dbapi.connect(uri.render_as_string(hide_password=False)) as connection, connection.cursor() as cursor:
                cursor.execute("DELETE FROM transactions WHERE tenant = $1 AND batch_id = $2 AND shard = $3",
                               (key.tenant, key.batch_id, key.shard))  # fmt: skip
                cursor.adbc_ingest("transactions", reader, mode="append")
                connection.commit()
        except Error as error:
            said = " ".join(str(error).split())
            if any(word in said for word in _LOST):
                raise SinkUnavailableError(
                    f"warehouse {self.address} does not answer ({said}): try again later"
                ) from error
            raise SinkError(f"warehouse {self.address} refuses ({said}): {_remedy(said)}") from error
        return counted.rows

    def _load_sqlite(self, key: ShardKey, rows: RowStream) -> int:
        names = (*KEY_COLUMNS, *TRANSACTION_SCHEMA.names)
        insert = f"INSERT INTO transactions ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        counted = _Counted(rows)
        head = (key.tenant, key.batch_id, key.shard)
        with self.writing() as connection:
            connection.execute(_DELETE, vars(key))
            raw: Any = connection.connection.dbapi_connection
            for batch in counted.read():
                columns = [_as_sqlite(batch.column(field.name), field) for field in TRANSACTION_SCHEMA]
                raw.executemany(insert, ((*head, *values) for values in zip(*columns, strict=True)))
        return counted.rows


_WHERE = "tenant = :tenant AND batch_id = :batch_id AND shard = :shard"
_DELETE = sa.text(f"DELETE FROM transactions WHERE {_WHERE}")  # noqa: S608  names of our own
# What a database says when trying again cannot help, although the driver calls it an operational error.
_FINAL = ("password", "does not exist", "permission denied", "read-only", "certificate", "no pg_hba.conf")
_LOST = ("could not connect", "connection to server", "server closed the connection", "terminating connection",
         "no connection to the server", "connection refused", "Failed to connect", "SSL connection has been closed",
         "starting up", "shutting down")  # fmt: skip
_REMEDIES = {
    "password": "check user and password in DATABASE_URL",
    "does not exist": "check names in DATABASE_URL, or undo the change of the table by hand",
    "no such": "the table was changed by hand: restore it, or point DATABASE_URL at an empty database",
    "no column": "the table was changed by hand: restore it, or point DATABASE_URL at an empty database",
    "permission denied": "grant the role of DATABASE_URL what it lacks",
    "full": "free space on the database's disk",
    "certificate": "renew the certificate, or check sslrootcert in DATABASE_URL",
    "readonly": "make the database file writable, or change DATABASE_URL",
    "unable to open": "check the path in DATABASE_URL",
}


def _remedy(said: str) -> str:
    return next((remedy for word, remedy in _REMEDIES.items() if word in said), "see the database's log")


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        parsed = None
    kind = parsed.get_backend_name() if parsed is not None else ""
    if parsed is None or kind not in ("postgresql", "postgres", "sqlite"):
        # The value may hold a password: it is not repeated.
        raise ConfigurationError("DATABASE_URL is not supported: use postgresql://user:password@host/name or"
                                 " sqlite:///path")  # fmt: skip
    return parsed.set(drivername="sqlite" if kind == "sqlite" else "postgresql")


def _alone(connection: sa.Connection) -> Iterator[sa.Connection]:
    """A transaction under the lock. SQLite's own write lock does it there; drivers begin too late to be used."""
    sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "BEGIN")
    try:
        if not sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        yield connection
    except BaseException:
        if not connection.invalidated and not connection.closed:
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _migrate(engine: sa.Engine) -> None:
    """Bring the schema to the newest version, under a lock, so that shards that start at once do it once."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        with contextmanager(_alone)(connection):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _postgres_schema(currency: str) -> pa.Schema:
    """The columns as ADBC ingests them: plain strings, exact decimals."""
    fields = [pa.field(name, pa.string()) for name in KEY_COLUMNS]
    for field in TRANSACTION_SCHEMA:
        kind = pa.string() if pa.types.is_dictionary(field.type) else field.type
        kind = pa.decimal128(18, minor_digits(currency)) if field.name == "amount" else kind
        fields.append(pa.field(field.name, pa.int16() if kind == pa.int8() else kind))
    return pa.schema(fields)


def _as_postgres(batch: pa.RecordBatch, key: ShardKey, schema: pa.Schema) -> pa.RecordBatch:
    head = [pa.repeat(pa.scalar(value), batch.num_rows) for value in (key.tenant, key.batch_id, key.shard)]
    rest = [batch.column(field.name).cast(field.type) for field in list(schema)[len(head) :]]
    return pa.RecordBatch.from_arrays([*head, *rest], schema=schema)


def _as_sqlite(column: Any, field: pa.Field) -> Any:
    """The column as a list of what sqlite3 stores."""
    if pa.types.is_timestamp(field.type):
        texts = pc.strftime(column, "%Y-%m-%d %H:%M:%S")  # its seconds carry the microseconds
        return pc.binary_join_element_wise(texts, "+00:00", "").to_pylist()
    if pa.types.is_list(field.type):
        return [None if value is None else json.dumps(value) for value in column.to_pylist()]
    if pa.types.is_boolean(field.type):
        return column.cast(pa.int8()).to_pylist()
    return column.to_pylist()


class _Trail:
    """``audit.Trail`` on a connection."""

    _TABLE = sa.table("synthetic_batches", *map(sa.column, audit.COLUMNS))

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, **wanted: Any) -> Mapping[str, Any] | None:
        return self._first(sa.select(self._TABLE).filter_by(**wanted))

    def newest(self) -> Mapping[str, Any] | None:
        return self._first(sa.select(self._TABLE).order_by(self._TABLE.c.position.desc()).limit(1))

    def insert(self, row: Mapping[str, Any]) -> None:
        self._connection.execute(sa.insert(self._TABLE), dict(row))

    def rows(self) -> Iterator[Mapping[str, Any]]:
        query = sa.select(self._TABLE).order_by(self._TABLE.c.position)
        for row in self._connection.execution_options(stream_results=True).execute(query).mappings():
            yield dict(row)

    def _first(self, query: sa.Select[Any]) -> Mapping[str, Any] | None:
        row = self._connection.execute(query).mappings().first()
        return None if row is None else dict(row)


class _Counted:
    def __init__(self, source: RowStream) -> None:
        self._source = source
        self.rows = 0

    def read(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source:
            self.rows += batch.num_rows
            yield batch


class _XorIds:
    """SQLite's aggregate: XOR of the hex digits behind ``txn_``."""

    def __init__(self) -> None:
        self._bits = 0

    def step(self, transaction_id: str) -> None:
        self._bits ^= int(transaction_id[4:], 16)

    def finalize(self) -> str:
        return f"{self._bits:024x}"
