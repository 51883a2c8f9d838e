"""The warehouse: the table ``transactions`` in PostgreSQL (and so Supabase) or SQLite.

Belongs here: connecting, migrating, loading one shard in one transaction, reading back what lies there, and reaching
the rows of ``synthetic_batches``. Does not belong here: the audit trail's chain (``sgf_pipeline.resources.audit``), and
Supabase where only its REST address is known (``sgf_pipeline.resources.supabase``).

A shard is loaded by deleting its rows and inserting the new ones in one transaction, so that loading it again
replaces exactly its rows and a killed load leaves what was there. PostgreSQL is loaded from Arrow by ADBC
(COPY BINARY), which measured three times the speed of psycopg's COPY; SQLite by ``executemany``.
"""

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import psycopg2
import psycopg2.extensions
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from sgf_pipeline.domain.errors import ConfigurationError, SgfError, SinkError, SinkUnavailableError
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources import audit
from sgf_pipeline.resources.held import Held, ShardKey

# Key of the advisory lock under which two runs migrate or append one after the other; any fixed number would do.
LOCK = 0x5347_4600
BUSY_SECONDS = 120  # how long a writer waits for another one on SQLite
CONNECT_SECONDS = 10
# How long PostgreSQL may show no progress, unless a warehouse is made with another patience: a load takes no row, a
# statement does not end. Deleting or adding up the rows of a shard takes seconds for each million.
PATIENCE_SECONDS = 120.0
# Shares of the patience, so that a living server speaks before we hang up, and says what it waits for. What holds a
# lock longer is stuck, or loads the same shard, and the run's retries wait for that. A COPY has no limit as a whole,
# for it lasts as long as its rows take to be made. The server's own limits are of no use where it is frozen, and its
# kernel still answers for it, so that TCP notices nothing either: then we hang up when the patience is at its end.
LOCK_SHARE, STATEMENT_SHARE = 0.75, 0.9
# A peer whose network went away: found dead after 30 + 3 x 10 s at rest, or 60 s with data on its way.
_TCP = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
        "tcp_user_timeout": 60_000}  # fmt: skip
KEY_COLUMNS = ("tenant", "batch_id", "shard")
MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "sgf_schema_version"  # as migrations/env.py has it


class AnyWarehouse(audit.Audited, Protocol):
    """What the assets and manifests ask of a warehouse, by whichever way it is reached."""

    def load(self, key: ShardKey, rows: RowStream, currency: str) -> int:
        """Replace the shard's rows in one transaction; return how many."""

    def held(self, key: ShardKey, currency: str) -> Held:
        """Count and sum what the warehouse holds of the shard."""


class Warehouse:
    """One database. ``url`` may hold a password: it is shown nowhere, only ``address`` is.

    ``patience`` (seconds): after so long without progress PostgreSQL counts as one that does not answer.
    """

    def __init__(self, url: str, patience: float = PATIENCE_SECONDS) -> None:
        self._url = _parsed(url)
        self._patience = patience

    @property
    def is_postgres(self) -> bool:
        return self._url.get_backend_name() == "postgresql"

    @property
    def address(self) -> str:
        """The URL with its password hidden and its options left out, for logs and errors."""
        return self._url.set(query={}).render_as_string()

    @cached_property
    def engine(self) -> sa.Engine:
        """A pool of connections, migrated to the newest version of the schema. Makes what is not there."""
        if self.is_postgres:
            engine = sa.create_engine(
                self._url.set(drivername="postgresql+psycopg2"),
                connect_args={"connect_timeout": CONNECT_SECONDS, "cursor_factory": self._cursor_class, **_TCP},
            )
            sa.event.listen(engine, "connect", self._limit)
        else:
            if self._file is not None:
                try:
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise ConfigurationError(f"DATABASE_URL: folder {self._file.parent} cannot be made"
                                             f" ({error.strerror}): change the path") from error  # fmt: skip
            engine = sa.create_engine(self._url, connect_args={"timeout": BUSY_SECONDS})
        with self.reaching():
            _migrate(engine)
        return engine

    @property
    def _cursor_class(self) -> type["_WatchedCursor"]:
        return type("_WatchedCursor", (_WatchedCursor,), {"patience": self._patience})

    def _limit(self, connection: Any, _record: Any) -> None:
        """Give a new connection of psycopg2 the server's limits. SET, for poolers refuse them among the options."""
        with connection.cursor() as cursor:
            cursor.execute("; ".join(self._limits("SET")))
        connection.commit()

    def _limits(self, command: str) -> list[str]:
        """Statements that limit what follows them; PostgreSQL counts in milliseconds."""
        shares = {"lock_timeout": LOCK_SHARE, "statement_timeout": STATEMENT_SHARE}
        return [f"{command} {name} = {int(self._patience * share * 1000)}" for name, share in shares.items()]

    @property
    def _file(self) -> Path | None:
        """The file of SQLite, where it is one."""
        name = self._url.database
        if self.is_postgres or not name or name == ":memory:" or name.startswith("file:"):
            return None
        return Path(name)

    def _engine_to_read(self) -> sa.Engine:
        """Looking makes nothing: a SQLite file that is not there reads as an empty one."""
        if self._file is None or self._file.exists():
            return self.engine
        if not self._file.parent.is_dir():
            raise ConfigurationError(f"DATABASE_URL: folder {self._file.parent} does not exist: check the path, or"
                                     " build a batch, which makes it")  # fmt: skip
        empty = sa.create_engine("sqlite://")
        _migrate(empty)
        return empty

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that excludes every other ``writing`` one until it ends."""
        with self.reaching(), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield from _alone(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read from."""
        with self.reaching(), self._engine_to_read().connect() as connection:
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

    def _ours(self, error: DBAPIError | sqlite3.Error) -> SgfError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        said = " ".join(str(cause).split()) or type(cause).__name__
        if self.is_postgres:
            closed = isinstance(error, DBAPIError) and error.connection_invalidated
            lost = closed or isinstance(error, OperationalError | InterfaceError)
        else:
            lost = "locked" in said or "busy" in said
        return self._failure(said, getattr(cause, "pgcode", None), lost=lost)

    def _failure(self, said: str, state: str | None, *, lost: bool) -> SgfError:
        """``state``: the SQLSTATE, if there is one, decides; else ``lost`` does, and the words of what was said.

        Errors of the time of connecting have no SQLSTATE, SQLite's never.
        """
        lost = state.startswith(_LOST_STATES) if state else lost and not any(word in said for word in _FINAL)
        if lost:
            return SinkUnavailableError(f"warehouse {self.address} does not answer ({said}): try again later")
        return SinkError(f"warehouse {self.address} refuses ({said}): {_remedy(said, state or '')}")

    def _load_postgres(self, key: ShardKey, rows: RowStream, currency: str) -> int:
        """Load in a thread of its own: nothing can call ADBC back from a server that has fallen silent.

        A load that was left behind so takes no further row and is not committed.
        """
        self.engine  # noqa: B018  migrated
        counted = _Counted(rows)
        done: Future[None] = Future()

        def work() -> None:
            try:
                self._copy(key, counted, currency)
            except BaseException as error:  # noqa: BLE001  handed over to the thread that waits
                done.set_exception(error)
            else:
                done.set_result(None)

        threading.Thread(target=work, name=f"load {key.batch_id}/{key.shard}", daemon=True).start()
        try:
            while not wait([done], timeout=1).done:
                if counted.idle_seconds() > self._patience:
                    raise SinkUnavailableError(f"warehouse {self.address} does not answer (it took no row for"
                                               f" {self._patience:g} s): try again later")  # fmt: skip
            done.result()
        finally:
            counted.left = True
        return counted.rows

    def _copy(self, key: ShardKey, counted: "_Counted", currency: str) -> None:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi

        schema = _postgres_schema(currency)
        reader = pa.RecordBatchReader.from_batches(
            schema, (_as_postgres(batch, key, schema) for batch in counted.read())
        )
        options = {name: str(value) for name, value in {"connect_timeout": CONNECT_SECONDS, **_TCP}.items()}
        uri = self._url.set(drivername="postgresql").update_query_dict(options)
        named = (key.tenant, key.batch_id, key.shard)
        try:
            with dbapi.connect(uri.render_as_string(hide_password=False)) as connection, connection.cursor() as cursor:
                for limit in self._limits("SET LOCAL"):
                    cursor.execute(limit)
                counted.moved()
                # Loads of one shard follow one another: the later one must see the rows of the earlier one to replace
                # them. The key is that of sgf_load_shard (the migrations), so that a load by REST is excluded, too.
                cursor.execute("SELECT 1 FROM pg_advisory_xact_lock("
                               "hashtextextended(concat_ws('/', $1::text, $2::text, $3::text), 0))", named)  # fmt: skip
                cursor.fetchall()
                counted.moved()
                cursor.execute("DELETE FROM transactions WHERE tenant = $1 AND batch_id = $2 AND shard = $3", named)
                cursor.execute("SET LOCAL statement_timeout = 0")
                counted.moved()
                cursor.adbc_ingest("transactions", reader, mode="append")
                counted.check()
                connection.commit()
        except Error as error:
            if counted.failed is not None:  # ADBC repeats its words, and takes it for an error of the database
                raise counted.failed from error
            said = " ".join(str(error).split())
            state = (error.sqlstate or "").strip("\0")
            raise self._failure(said, state, lost=any(word in said for word in _LOST)) from error

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
# SQLSTATEs, or their first characters, after which trying again can help: the connection broke (08), the server stops
# or starts (57P), has no room for a connection or in its memory (53200, 53300), a deadlock (40), a time-out (57014,
# 55P03).
_LOST_STATES = ("08", "57P", "53200", "53300", "40", "57014", "55P03")
_STATE_REMEDIES = {
    "53100": "free space on the database's disk",
    "28": "check user and password in DATABASE_URL",
    "3D000": "check names in DATABASE_URL",
    "25006": "make the database writable, or change DATABASE_URL",
    "42501": "grant the role of DATABASE_URL what it lacks",
    "42P01": "the table was changed by hand: restore it, or point DATABASE_URL at an empty database",
    "42703": "the table was changed by hand: restore it, or point DATABASE_URL at an empty database",
}
# What a database says when trying again cannot help, although the driver calls it an operational error.
_FINAL = ("password", "does not exist", "permission denied", "read-only", "certificate", "no pg_hba.conf",
          "not permitted to log in", "does not support SSL")  # fmt: skip
_LOST = ("could not connect", "connection to server", "server closed the connection", "terminating connection",
         "no connection to the server", "connection refused", "Failed to connect", "SSL connection has been closed",
         "starting up", "shutting down", "connection already closed")  # fmt: skip
_REMEDIES = {
    "password": "check user and password in DATABASE_URL",
    "not permitted to log in": "let the role of DATABASE_URL log in, or name another one",
    "does not support SSL": "turn SSL on in the server, or take sslmode out of DATABASE_URL",
    "does not exist": "check names in DATABASE_URL, or undo the change of the table by hand",
    "no such": "the table was changed by hand: restore it, or point DATABASE_URL at an empty database",
    "no column": "the table was changed by hand: restore it, or point DATABASE_URL at an empty database",
    "permission denied": "grant the role of DATABASE_URL what it lacks",
    "full": "free space on the database's disk",
    "certificate": "renew the certificate, or check sslrootcert in DATABASE_URL",
    "readonly": "make the database file writable, or change DATABASE_URL",
    "unable to open": "check the path in DATABASE_URL",
}


def _remedy(said: str, state: str) -> str:
    by_state = (remedy for start, remedy in _STATE_REMEDIES.items() if state.startswith(start))
    by_word = (remedy for word, remedy in _REMEDIES.items() if word in said)
    return next(by_state, None) or next(by_word, "see the database's log")


def _parsed(url: str) -> sa.URL:
    # The value may hold a password: it is not repeated, and no error that repeats it is shown as the cause.
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # a port that is no number, for one
        parsed = None
    kind = parsed.get_backend_name() if parsed is not None else ""
    if parsed is not None and kind == "sqlite":
        name = parsed.database
        return parsed.set(drivername="sqlite", database=None if name is None else os.path.expanduser(name))
    if kind not in ("postgresql", "postgres") and not url.startswith(("postgresql", "postgres")):
        raise ConfigurationError("DATABASE_URL is not supported: use postgresql://user:password@host/name or"
                                 " sqlite:///path")  # fmt: skip
    # Else a part of a password would be taken for the host or the database, and shown as such.
    if (
        parsed is None
        or url.count("@") > 1
        or any(sign in part for part in (parsed.host or "", parsed.database or "") for sign in "@/?#")
    ):
        raise ConfigurationError("DATABASE_URL cannot be read: use postgresql://user:password@host:port/name, and"
                                 " percent-encode the signs @ : / ? # of user and password (@ is %40)")  # fmt: skip
    return parsed.set(drivername="postgresql")


class _WatchedCursor(psycopg2.extensions.cursor):
    """Hangs up on a server that says nothing for ``patience`` seconds."""

    patience = PATIENCE_SECONDS

    def execute(self, query: Any, vars: Any = None) -> None:
        with self._watched():
            super().execute(query, vars)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Only a named cursor asks the server here."""
        with self._watched():
            return super().fetchmany(self.arraysize if size is None else size)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        timer = threading.Timer(self.patience, self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        # libpq then sees an end of file, and reports the connection as closed by the server.
        with (
            suppress(psycopg2.InterfaceError, OSError),
            socket.socket(fileno=os.dup(self.connection.fileno())) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)


def _alone(connection: sa.Connection) -> Iterator[sa.Connection]:
    """A transaction under the lock. SQLite's own write lock does it there; drivers begin too late to be used."""
    sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "BEGIN")
    try:
        if not sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        yield connection
    except BaseException:
        # SQLite ends a transaction by itself when the disk is full, and a lost connection took it along: the first
        # error says why, not that nothing is left to be rolled back.
        with suppress(DBAPIError):
            if not connection.invalidated and not connection.closed:
                connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _migrate(engine: sa.Engine) -> None:
    """Bring the schema to the newest version, under a lock, so that shards that start at once do it once.

    Where it has that version, no lock is taken: whoever only reads waits for nobody.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()
    if set(found) == set(ScriptDirectory.from_config(config).get_heads()):
        return
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
    """Rows on their way into a database: how many, and for how long it has done nothing."""

    def __init__(self, source: RowStream) -> None:
        self._source = source
        self._idle_since: float | None = time.monotonic()
        self.rows = 0
        self.left = False  # nobody waits for the load any more
        self.failed: Exception | None = None  # why there are no more rows

    def read(self) -> Iterator[pa.RecordBatch]:
        self._idle_since = None
        try:
            for batch in self._source:
                self.check()
                self.rows += batch.num_rows
                self.moved()
                yield batch
                self._idle_since = None
        except Exception as error:
            self.failed = error
            raise
        self.moved()

    def moved(self) -> None:
        """The database has done something."""
        self._idle_since = time.monotonic()

    def check(self) -> None:
        """Stop a load that was left behind."""
        if self.left:
            raise SinkUnavailableError("the load was left behind: its rows are not committed")

    def idle_seconds(self) -> float:
        """How long the database has kept us waiting; 0 while it waits for our rows."""
        since = self._idle_since
        return 0.0 if since is None else time.monotonic() - since


class _XorIds:
    """SQLite's aggregate: XOR of the hex digits behind ``txn_``."""

    def __init__(self) -> None:
        self._bits = 0

    def step(self, transaction_id: str) -> None:
        self._bits ^= int(transaction_id[4:], 16)

    def finalize(self) -> str:
        return f"{self._bits:024x}"
