"""The lake: every file of the project, on a local disk or an object store, behind one address.

Belongs here: paths, atomic and create-only writes, the one Parquet writer (encrypting where ``SGF_PARQUET_KEY`` is
set), reading as streams. Does not belong here: what a file means, and S3's requests (``object_store``).

A file appears whole or not at all. On a disk it is written as ``.tmp/<owner>-…`` and renamed; an object store
completes an upload as one step. The Parquet writer gathers rows into groups of ``ROW_GROUP`` whatever the length
of the batches it is given, so that equal rows are equal bytes. Encrypted files hold random numbers, so that equal rows
are other bytes each time: their footer keeps the SHA-256 that the same file has when it is not encrypted.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import PrivateAttr
from upath import UPath

from sgf_pipeline.domain.errors import ConfigurationError, ConflictError, StorageError, StorageUnavailableError
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources.object_store import OPTIONS, Encryption, LockMode, ObjectStore, Protection, probe_name
from sgf_pipeline.settings import read_settings

ROW_GROUP = 131_072
FACTS_KEY = b"sgf_facts"
CONTENT_KEY = b"sgf_content_sha256"
ENCRYPTED_MAGIC = b"PARE"
TMP = ".tmp"
STALE_SECONDS = 86_400
UPDATE_SECONDS = 60.0  # how long an update on a disk waits for another one of the same file; both take milliseconds


@dataclass(frozen=True)
class WrittenFile:
    """What was written: rows, bytes, the SHA-256 of those bytes, and that of the same file without encryption."""

    uri: str
    rows: int
    bytes: int
    sha256: str
    content_sha256: str


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """All files of the project below ``url``: a local folder or ``s3://bucket/prefix``.

    The fields that begin with ``s3_`` matter to ``s3://`` alone: the server (AWS by default), the encryption that every
    object must have (``AES256``, ``aws:kms`` or ``off``) and its key, and for how many days, and how strictly, files
    that are written as a record are locked. Keys are no fields, because Dagster shows fields.
    """

    url: str
    s3_endpoint_url: str | None = None
    s3_encryption: Encryption = "AES256"
    s3_kms_key_id: str | None = None
    s3_lock_days: int = 0
    s3_lock_mode: LockMode = "COMPLIANCE"

    _parquet_key: bytes | None = PrivateAttr(default=None)
    _parquet_key_read: bool = PrivateAttr(default=False)

    @property
    def root(self) -> UPath:
        if self._local:
            return UPath(self.url)
        try:
            root: UPath = UPath(self.url, endpoint_url=self.s3_endpoint_url, **OPTIONS)
            return root
        except ImportError:
            raise ConfigurationError(
                f"SGF_STORAGE_URL {self.url!r} needs the extra s3: pip install 'sgf-pipeline[s3]'"
            ) from None

    def path(self, *parts: str) -> UPath:
        """A path below the root."""
        return self.root.joinpath(*parts)

    def uri(self, path: UPath) -> str:
        """The address to give to a user: ``file:///…`` or ``s3://…``."""
        if not self._local:
            return str(path)
        # "=" stays as it is, because readers of Hive folders take the address literally
        return "file://" + quote(str(Path(path.path).absolute()), safe="/=")

    def check_writable(self) -> None:
        """Raise ``StorageError`` with the remedy when nothing can be written here, or not as it must be."""
        probe = self.path(TMP, probe_name())
        if not self._local:
            self._store.check(probe)
            return
        self.write_bytes(probe, b"")
        with self._reaching():
            probe.unlink()

    def exists(self, path: UPath) -> bool:
        if not self._local:
            return self._store.exists(path)
        with self._reaching():
            return bool(path.exists())

    def read_bytes(self, path: UPath) -> bytes | None:
        """The file's content, or None where there is none."""
        if not self._local:
            return self._store.read(path)
        with self._reaching():
            return bytes(path.read_bytes()) if path.exists() else None

    def read_json(self, path: UPath) -> dict[str, Any] | None:
        """The file's JSON object, or None where there is none. Raises ``StorageError`` where it is damaged."""
        return self._parsed(path, self.read_bytes(path))

    def _parsed(self, path: UPath, content: bytes | None) -> dict[str, Any] | None:
        if content is None:
            return None
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise StorageError(
                f"{self.uri(path)} is damaged: restore it, or remove it and build what it is about again"
            )
        return value

    def names(self, folder: UPath) -> list[str]:
        """Names of the entries of a folder, sorted; empty where there is none."""
        if not self._local:
            return self._store.names(folder)
        with self._reaching():
            return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []

    def write_bytes(self, path: UPath, content: bytes, owner: str = "") -> None:
        """Write or replace a small file, atomically."""
        with self._writing(path, owner) as sink:
            sink.write(content)

    def write_json(self, path: UPath, value: Any, owner: str = "") -> None:
        """Write or replace a JSON file, atomically, readable and with sorted keys."""
        self.write_bytes(path, _readable_json(value), owner)

    def update_json(
        self, path: UPath, change: Callable[[dict[str, Any] | None], dict[str, Any]], owner: str = ""
    ) -> None:
        """Replace a JSON file by ``change`` of its value (of None where there is none), so that no update is lost.

        Updates of one file follow one another: under a lock on a disk; on S3 the slower one begins again with what the
        quicker one wrote, so that ``change`` must bear being applied twice. Raises ``StorageUnavailableError`` where
        its turn does not come.
        """

        def changed(content: bytes | None) -> bytes:
            return _readable_json(change(self._parsed(path, content)))

        if not self._local:
            self._store.update(path, changed)
            return
        with self._locking(path):
            self.write_bytes(path, changed(self.read_bytes(path)), owner)

    def create_json(self, path: UPath, value: Any, *, record: bool = False) -> None:
        """Write a JSON file that must not exist. Raises ``ConflictError`` if it does."""
        self.create_bytes(path, _readable_json(value), record=record)

    def create_bytes(self, path: UPath, content: bytes, *, record: bool = False) -> None:
        """Write a file that must not exist. Raises ``ConflictError`` if it does, and leaves it as it is.

        A ``record`` is locked against deletion where the lake has an object lock.
        """
        try:
            if self._local:
                self._create_locally(path, content)
            else:
                self._store.put(path, content, create=True, record=record)
        except (FileExistsError, ConflictError):
            raise ConflictError(f"{path.name} exists already") from None

    def write_rows(self, path: UPath, rows: RowStream, owner: str = "", *, record: bool = False) -> WrittenFile:
        """Write a stream as one Parquet file: zstd, row groups of ``ROW_GROUP``, the stream's facts in the footer.

        Equal rows and facts give equal bytes, whatever the length of the stream's batches. Columns that the schema
        dictionary-encodes are encoded anew in each row group, in order of first appearance, because a dictionary
        that is carried from batch to batch remembers where the batches were cut.

        Where ``SGF_PARQUET_KEY`` is set the file is encrypted (Parquet modular encryption, AES-GCM, footer included),
        and written a second time, in clear and to nowhere, for ``content_sha256``. A ``record`` is locked against
        deletion where the lake has an object lock.
        """
        key = self._key()
        count = 0
        with self._writing(path, owner, record=record) as sink, contextlib.ExitStack() as stack:
            counted, plain = _HashingSink(sink), _HashingSink(_Nowhere())
            writer = stack.enter_context(_parquet_writer(counted, rows.schema, key))
            twin = None if key is None else _parquet_writer(plain, rows.schema, None)
            for group in _row_groups(rows.schema, rows):
                writer.write_table(group, row_group_size=ROW_GROUP)
                count += group.num_rows
                if twin is not None:
                    twin.write_table(group, row_group_size=ROW_GROUP)
            # Only now: a stream's facts grow while it is read.
            facts = {FACTS_KEY.decode(): json.dumps(rows.facts, sort_keys=True)}
            if twin is not None:
                twin.add_key_value_metadata(facts)
                twin.close()
                facts = {**facts, CONTENT_KEY.decode(): plain.sha256}
            writer.add_key_value_metadata(facts)
        content_sha256 = counted.sha256 if key is None else plain.sha256
        return WrittenFile(self.uri(path), count, counted.size, counted.sha256, content_sha256)

    def read_rows(self, path: UPath, columns: list[str] | None = None, batch_rows: int = 65_536) -> RowStream:
        """A Parquet file as a stream. Raises ``StorageError`` where there is none.

        Raises ``ConfigurationError`` where it is encrypted and ``SGF_PARQUET_KEY`` is missing or another one.
        """
        if not self.exists(path):
            raise StorageError(f"{path} is missing: build the asset that writes it first")
        with self._reaching(), path.open("rb") as source, self._parquet_file(source, path) as file:
            schema = file.schema_arrow
            facts = json.loads((file.metadata.metadata or {}).get(FACTS_KEY, b"{}"))
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns], metadata=schema.metadata)

        def read() -> Iterator[pa.RecordBatch]:
            with self._reaching(), path.open("rb") as source, self._parquet_file(source, path) as file:
                for batch in file.iter_batches(batch_rows, columns=columns):
                    yield batch.cast(schema)

        return RowStream(schema, read, facts)

    def sha256(self, path: UPath) -> str:
        """SHA-256 of a file's bytes as they lie, read in pieces."""
        with self._reaching(), path.open("rb") as source:
            return _sha256_of(source)

    def content_sha256(self, path: UPath) -> str:
        """SHA-256 of a Parquet file as it would be without encryption: the same for the same rows and facts.

        For a file in clear that of its bytes; for an encrypted one what its footer, which nobody changes without the
        key, says of it.
        """
        with self._reaching(), path.open("rb") as source:
            if not _is_encrypted(source):
                return _sha256_of(source)
            with self._parquet_file(source, path) as file:
                return str(file.metadata.metadata[CONTENT_KEY].decode())

    def remove(self, path: UPath) -> None:
        """Remove a file, if it is there."""
        if not self._local:
            self._store.remove(path)
            return
        with self._reaching():
            if path.exists():
                path.unlink()

    def sweep(self, owner: str) -> None:
        """Remove what a dead run left aside, and what anybody left there more than a day ago."""
        if not self._local:
            with contextlib.suppress(StorageError):  # tidying is a courtesy: it needs a right that writing does not
                self._store.sweep(datetime.now(UTC) - timedelta(seconds=STALE_SECONDS))
            return
        for aside in Path(self.path(TMP).path).glob("*"):
            with contextlib.suppress(FileNotFoundError):  # its writer has just renamed it
                if aside.name.startswith(f"{owner}-") or time.time() - aside.stat().st_mtime > STALE_SECONDS:
                    aside.unlink()

    @property
    def _local(self) -> bool:
        return "://" not in self.url

    @property
    def _store(self) -> ObjectStore:
        protection = Protection(self.s3_encryption, self.s3_kms_key_id, self.s3_lock_days, self.s3_lock_mode)
        return ObjectStore(self.root, self.s3_endpoint_url, protection)

    def _key(self) -> bytes | None:
        if not self._parquet_key_read:
            self._parquet_key = read_settings().parquet_key
            self._parquet_key_read = True
        return self._parquet_key

    @contextmanager
    def _parquet_file(self, source: IO[bytes], path: UPath) -> Iterator[pq.ParquetFile]:
        """The open file, in clear or decrypted. Says so where it is damaged."""
        options: dict[str, Any] = {}
        damaged = StorageError(f"{path} is damaged: build the asset that writes it again")
        if _is_encrypted(source):
            from pyarrow.parquet.encryption import create_decryption_properties

            key = self._key()
            if key is None:
                raise ConfigurationError(
                    f"{path} is encrypted: set SGF_PARQUET_KEY to the key that it was written with"
                )
            options["decryption_properties"] = create_decryption_properties(key)
        try:
            try:
                file = pq.ParquetFile(source, **options)
            except OSError as error:
                if _is_arrows(error) and options:
                    raise ConfigurationError(
                        f"{path} cannot be decrypted: set SGF_PARQUET_KEY to the key that it was written with, or build"
                        " the asset that writes it again"
                    ) from error
                raise
            with file:
                yield file
        except pa.ArrowException as error:
            raise damaged from error
        except OSError as error:
            if _is_arrows(error):
                raise damaged from error
            raise

    def _aside(self, path: UPath, owner: str) -> Path:
        folder = Path(self.path(TMP).path)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{owner or 'unowned'}-{uuid.uuid4().hex}-{path.name}"

    @contextmanager
    def _locking(self, path: UPath) -> Iterator[None]:
        """Alone with this file among all threads and processes that ask for it."""
        folder = Path(self.path(TMP).path)
        name = os.path.relpath(path.path, self.root.path)  # a container may see the lake under another path
        lock = folder / f"lock-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        deadline = time.monotonic() + UPDATE_SECONDS
        while True:
            with self._reaching():
                folder.mkdir(parents=True, exist_ok=True)
                held = lock.open("wb")
            with held:
                if self._is_ours(held, lock):
                    try:
                        yield
                    finally:
                        lock.unlink(missing_ok=True)
                    return
            if time.monotonic() > deadline:
                raise StorageUnavailableError(
                    f"lake {self.url!r} has its file {name} locked for {UPDATE_SECONDS:.0f} s by another run: end that"
                    " run if it hangs, then run again"
                )
            time.sleep(0.005)

    def _is_ours(self, held: IO[bytes], lock: Path) -> bool:
        """Lock it, unless another one has it, or it is no longer the file of that name: its owner removes it."""
        with self._reaching():
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return os.path.samestat(os.fstat(held.fileno()), lock.stat())
            except (BlockingIOError, FileNotFoundError):
                return False

    def _create_locally(self, path: UPath, content: bytes) -> None:
        with self._reaching():
            aside = self._aside(path, "")
        try:
            with self._reaching():
                _write_through(aside, content)
                Path(path.path).parent.mkdir(parents=True, exist_ok=True)
            os.link(aside, path.path)
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _writing(self, path: UPath, owner: str, *, record: bool = False) -> Iterator["Sink"]:
        """A sink whose content gets its name when the block ends without an exception, and vanishes otherwise."""
        if not self._local:
            with self._store.uploading(path, record=record) as upload:
                yield upload
            return
        with self._reaching():
            aside = self._aside(path, owner)
            sink = aside.open("wb")
        try:
            try:
                yield _ToldSink(sink, self)
                with self._reaching():
                    sink.flush()
                    os.fsync(sink.fileno())
            finally:
                with contextlib.suppress(OSError):  # what could fail here has failed above
                    sink.close()
            with self._reaching():
                target = Path(path.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Say what the storage refuses, or that it does not answer, in our own words."""
        if not self._local:
            with self._store.reaching():
                yield
            return
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"lake {self.url!r} cannot be used ({error.strerror or error}):"
                " set SGF_STORAGE_URL or --storage-url to a folder or bucket with write permission and free space"
            ) from error


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


def _readable_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _write_through(target: Path, content: bytes) -> None:
    with target.open("wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())


def _sha256_of(source: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := source.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _is_encrypted(source: IO[bytes]) -> bool:
    """Whether a Parquet file begins as encrypted ones do."""
    magic = source.read(len(ENCRYPTED_MAGIC))
    source.seek(0)
    return magic == ENCRYPTED_MAGIC


def _is_arrows(error: OSError) -> bool:
    """Whether Arrow found fault with what it read: errors of the disk have a number, those of s3fs another class."""
    return type(error) is OSError and error.errno is None


def _parquet_writer(sink: "_HashingSink", schema: pa.Schema, key: bytes | None) -> pq.ParquetWriter:
    options: dict[str, Any] = {}
    if key is not None:
        from pyarrow.parquet.encryption import create_encryption_properties

        options["encryption_properties"] = create_encryption_properties(key)
    return pq.ParquetWriter(
        sink, schema, compression="zstd", compression_level=3, version="2.6",
        data_page_version="1.0", use_dictionary=True, write_statistics=True, store_schema=True, **options,
    )  # fmt: skip


class _ToldSink:
    """A file on the disk that says in our words why it takes no more."""

    def __init__(self, sink: IO[bytes], lake: LakeResource) -> None:
        self._sink = sink
        self._lake = lake

    def write(self, data: bytes) -> int:
        with self._lake._reaching():
            return self._sink.write(data)

    def flush(self) -> None:
        with self._lake._reaching():
            self._sink.flush()


class _Nowhere:
    """Takes everything and keeps nothing."""

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        return


class _HashingSink:
    """A write-only file for the Parquet writer that hashes and counts what passes."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.size += len(data)
        return self._sink.write(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._sink.flush()

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def _row_groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, ROW_GROUP - rows)
            waiting.append(piece)
            rows += piece.num_rows
            start += piece.num_rows
            if rows == ROW_GROUP:
                yield _encoded_anew(schema, waiting)
                waiting, rows = [], 0
    if waiting:
        yield _encoded_anew(schema, waiting)


def _encoded_anew(schema: pa.Schema, batches: list[pa.RecordBatch]) -> pa.Table:
    table = pa.Table.from_batches(batches, schema)
    columns = []
    for field in schema:
        column = table.column(field.name)
        if pa.types.is_dictionary(field.type):
            plain = column.cast(field.type.value_type).combine_chunks()
            columns.append(plain.dictionary_encode().cast(field.type))
        else:
            columns.append(column.combine_chunks())
    return pa.Table.from_arrays(columns, schema=schema)
