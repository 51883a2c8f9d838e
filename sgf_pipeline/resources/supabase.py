"""The warehouse in Supabase where only ``SUPABASE_URL`` and ``SUPABASE_SERVICE_KEY`` are known: its REST door.

Belongs here: loading a shard, reading it back and reaching the audit trail through PostgREST with Supabase's own
client; and the SQL that a person runs there once, for REST cannot create tables. Does not belong here: the tables and
functions themselves (``sgf_pipeline.resources.migrations``), and the same database by ``DATABASE_URL``
(``sgf_pipeline.resources.warehouse``), which is many times faster.

A request is a transaction of its own. So a shard is sent in chunks to a staging table, and one call of
``sgf_load_shard`` puts it in the place of the shard's rows: a killed load leaves what was there and some staged chunks,
which the shard's next load removes. Every request can be repeated without harm, so that each is tried again when the
answer was lost.
"""

import io
import json
import re
import secrets
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.compute as pc
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from postgrest import APIError, ReturnMethod, SyncPostgrestClient
from pydantic import SecretStr

from sgf_pipeline.domain.errors import ConfigurationError, InvalidRequestError, SinkError, SinkUnavailableError
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources import audit
from sgf_pipeline.resources.held import Held, ShardKey
from sgf_pipeline.resources.warehouse import MIGRATIONS

SETUP_COMMAND = "sgf warehouse sql"
CHUNK_ROWS = 1000  # about a megabyte of JSON
PAGE_ROWS = 1000  # Supabase's own limit of an answer, unless the project changed it
# No request to Supabase lives longer than 60 s, so that an answer that has not come by then will not come.
TIMEOUT = httpx.Timeout(65.0, connect=10.0)
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5  # doubled after every attempt
SAID_CHARACTERS = 300

_UNIQUE_VIOLATION = "23505"
_TOO_LONG = "57014"
_ABSENT = ("PGRST202", "PGRST204", "PGRST205", "42P01", "42883")
_REMEDIES = {
    **dict.fromkeys(_ABSENT, f"run what `{SETUP_COMMAND}` prints in Supabase's SQL editor, or undo a change by hand"),
    "42703": "the table was changed by hand: restore its columns",
    "42501": "give SUPABASE_SERVICE_KEY the project's service_role (secret) key, and no anonymous one",
    _TOO_LONG: "the shard is too large for REST: set DATABASE_URL to the project's PostgreSQL",
}
# What the database means, under whatever status it comes: asking again would not help.
_FINAL = {*_REMEDIES, _UNIQUE_VIOLATION}


class SupabaseWarehouse:
    """A Supabase project by its REST address. The key is shown nowhere. Raises ``ConfigurationError`` for a bad one."""

    def __init__(self, url: str, key: str) -> None:
        self._url = _parsed(url)
        if not re.fullmatch(r"[!-~]+", key):
            raise ConfigurationError(
                "SUPABASE_SERVICE_KEY is empty or holds blanks: copy the project's service_role (secret) key again"
            )
        self._key = SecretStr(key)

    @property
    def address(self) -> str:
        """The project's URL, for logs and errors."""
        return self._url

    def load(self, key: ShardKey, rows: RowStream, currency: str) -> int:
        """Replace the shard's rows by ``rows`` (``TRANSACTION_SCHEMA``) in one transaction; return how many.

        Raises ``SinkUnavailableError`` where Supabase does not answer, ``SinkError`` where it refuses.
        """
        load_id = secrets.token_hex(16)
        digits = minor_digits(currency)
        chunks = 0
        for batch in rows:
            for start in range(0, batch.num_rows, CHUNK_ROWS):
                chunk = {
                    "load_id": load_id,
                    "chunk": chunks,
                    **vars(key),
                    "rows": _as_json(batch.slice(start, CHUNK_ROWS), digits),
                }
                self._execute(
                    self._client.from_("transactions_staging").upsert(
                        chunk, returning=ReturnMethod.minimal, ignore_duplicates=True, on_conflict="load_id,chunk"
                    )
                )
                chunks += 1
        loaded = self._call("sgf_load_shard", key, of_load=load_id, chunks=chunks)
        if loaded is None:
            raise SinkUnavailableError(
                f"warehouse {self.address} lost chunks of shard {key.shard} of batch {key.batch_id!r}: it was started"
                " again, or another run loads the same shard; try again later"
            )
        return int(loaded)

    def held(self, key: ShardKey, currency: str) -> Held:
        """Count and sum what the table holds of the shard, in the database."""
        said = self._call("sgf_held_of_shard", key, factor=10 ** minor_digits(currency))
        return Held(int(said["rows"]), int(said["minor_units"]), f"{int(said['transaction_ids_xor'], 2):024x}")

    @contextmanager
    def trail(self, *, writing: bool) -> Iterator[audit.Trail]:
        """The rows of ``synthetic_batches``. Nothing is locked: of two writers, one finds its place taken."""
        yield _Trail(self)

    @cached_property
    def _client(self) -> SyncPostgrestClient:
        """The official client, once the tables are known to be there in our version."""
        key = self._key.get_secret_value()
        headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        base_url = f"{self._url}/rest/v1"
        # No redirects: the header apikey would go along to wherever they point.
        session = httpx.Client(timeout=TIMEOUT, transport=_Patient(self.address), follow_redirects=False)
        weakref.finalize(self, session.close)
        client = SyncPostgrestClient(base_url, headers=headers, http_client=session, retry_enabled=False)
        found = self._execute(client.from_("sgf_schema_version").select("version_num"))
        if not any(row["version_num"] >= schema_version() for row in found):
            since = f" --since {found[0]['version_num']}" if found else ""
            raise SinkError(
                f"warehouse {self.address} shows no tables of version {schema_version()}: give SUPABASE_SERVICE_KEY the"
                f" service_role (secret) key, or run what `{SETUP_COMMAND}{since}` prints in Supabase's SQL editor"
            )
        return client

    def _call(self, function: str, key: ShardKey, **arguments: Any) -> Any:
        """Call one of our functions for the shard."""
        named: dict[str, Any] = {"of_tenant": key.tenant, "of_batch": key.batch_id, "of_shard": key.shard, **arguments}
        return self._execute(self._client.rpc(function, named))

    def _execute(self, request: "_Request") -> Any:
        """Send the request; return what the answer's JSON holds."""
        try:
            data = request.execute().data
        except APIError as error:
            said = " ".join(str(error.message or error.details).split())[:SAID_CHARACTERS]
            raise _RefusedError(self.address, error.code or "", said) from None
        if isinstance(data, str):  # the client hands on what is no JSON
            raise SinkError(f"warehouse {self.address} answers with something else than JSON: check SUPABASE_URL")
        return data


def setup_sql(since: str | None = None) -> str:
    """The SQL that makes our tables, functions and rights in a Supabase project, as one transaction.

    ``since``: the version that the project has already; by default it has none. Raises ``InvalidRequestError`` for one
    that there is not.
    """
    config = _alembic()
    known = sorted(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())
    if since is not None and since not in known:
        raise InvalidRequestError(f"since {since!r} is no version of the tables: use one of {', '.join(known)}")
    config.output_buffer = io.StringIO()
    command.upgrade(config, f"{since}:head" if since else "head", sql=True)
    return f"{config.output_buffer.getvalue()}\nNOTIFY pgrst, 'reload schema';\n"


def schema_version() -> str:
    """The newest version of the tables."""
    return str(ScriptDirectory.from_config(_alembic()).get_current_head())


class _RefusedError(SinkError):
    """Supabase's database said no."""

    def __init__(self, address: str, code: str, said: str) -> None:
        self.code = code
        remedy = _REMEDIES.get(code, "check SUPABASE_URL, and see the project's API and Postgres logs")
        super().__init__(f"warehouse {address} refuses ({code} {said}): {remedy}")


class _Request(Protocol):
    """What the client's builders have in common."""

    def execute(self) -> Any: ...


class _Patient(httpx.BaseTransport):
    """Tries again what a busy or broken server does not answer, and tells a refused key from the rest."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._wire = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                response = self._wire.handle_request(request)
                response.read()
            except httpx.TransportError as error:
                why = str(error) or type(error).__name__
                if "CERTIFICATE" in why:
                    raise SinkError(
                        f"warehouse {self._address} refuses ({why}): renew the server's certificate, or trust its"
                        " authority by SSL_CERT_FILE"
                    ) from None
                continue
            code, said = _said(response)
            if response.status_code in (401, 403):
                raise SinkError(
                    f"warehouse {self._address} refuses ({response.status_code} {said}): {_REMEDIES['42501']}"
                )
            if response.status_code != 429 and (response.status_code < 500 or code in _FINAL):
                return response
            why = f"{response.status_code} {said}"
        raise SinkUnavailableError(f"warehouse {self._address} does not answer ({why}): try again later")

    def close(self) -> None:
        self._wire.close()


class _Trail:
    """``audit.Trail`` over REST."""

    def __init__(self, warehouse: SupabaseWarehouse) -> None:
        self._execute = warehouse._execute
        self._table = warehouse._client.from_("synthetic_batches")

    def find(self, **wanted: Any) -> Mapping[str, Any] | None:
        query = self._table.select(*audit.COLUMNS)
        for name, value in wanted.items():
            query = query.is_(name, "null") if value is None else query.eq(name, value)
        return _first(self._execute(query.limit(1)))

    def newest(self) -> Mapping[str, Any] | None:
        return _first(self._execute(self._table.select(*audit.COLUMNS).order("position", desc=True).limit(1)))

    def insert(self, row: Mapping[str, Any]) -> None:
        try:
            self._execute(self._table.insert(dict(row), returning=ReturnMethod.minimal))
        except _RefusedError as refused:
            if refused.code != _UNIQUE_VIOLATION:
                raise
            raise audit.PlaceTakenError(str(refused)) from None

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Page by page, whatever the server's limit of an answer is."""
        after = None
        while True:
            query = self._table.select(*audit.COLUMNS)
            if after is not None:
                query = query.gt("position", after)
            page = self._execute(query.order("position").limit(PAGE_ROWS))
            if not page:
                return
            yield from page
            after = page[-1]["position"]


def _parsed(url: str) -> str:
    try:
        parts = urlsplit(url.rstrip("/").removesuffix("/rest/v1"))
        sound = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in url or parts.query or parts.fragment:
        # The value may hold a key: it is not repeated.
        raise ConfigurationError("SUPABASE_URL is no project's address: use https://<project>.supabase.co")
    return parts.geturl()


def _as_json(batch: pa.RecordBatch, digits: int) -> list[dict[str, Any]]:
    """The rows as JSON objects without their nulls; amounts as decimal texts, so that they arrive exactly."""
    columns = {
        field.name: _as_texts(column, field, digits).to_pylist()
        for field, column in zip(batch.schema, batch.columns, strict=True)
    }
    rows = zip(*columns.values(), strict=True)
    return [{name: value for name, value in zip(columns, row, strict=True) if value is not None} for row in rows]


def _as_texts(column: pa.Array, field: pa.Field, digits: int) -> pa.Array:
    if field.name == "amount":
        return column.cast(pa.decimal128(18, digits)).cast(pa.string())
    if pa.types.is_timestamp(field.type):
        return pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ")  # its seconds carry the microseconds
    return column


def _first(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if rows else None


def _said(response: httpx.Response) -> tuple[str, str]:
    """Code and message of an answer that is an error."""
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    body = body if isinstance(body, dict) else {}
    text = str(body.get("message") or response.reason_phrase)
    return str(body.get("code") or ""), " ".join(text.split())[:SAID_CHARACTERS]


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
