"""The lake: every file of the project, on a local disk or an object store, behind one address.

Belongs here: paths, atomic and create-only writes, the one Parquet writer, reading as streams. Does not belong
here: what a file means.

A file appears whole or not at all. On a disk it is written as ``.tmp/<owner>-…`` and renamed; an object store
completes an upload as one step. The Parquet writer gathers rows into groups of ``ROW_GROUP`` whatever the length
of the batches it is given, so that equal rows are equal bytes.
"""

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from sgf_pipeline.domain.errors import ConfigurationError, ConflictError, StorageError, StorageUnavailableError
from sgf_pipeline.domain.streams import RowStream

ROW_GROUP = 131_072
FACTS_KEY = b"sgf_facts"
TMP = ".tmp"
STALE_SECONDS = 86_400


@dataclass(frozen=True)
class WrittenFile:
    """What was written: rows, bytes, and the SHA-256 of those bytes."""

    uri: str
    rows: int
    bytes: int
    sha256: str


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """All files of the project below ``url``: a local folder or ``s3://bucket/prefix``."""

    url: str
    s3_endpoint_url: str | None = None

    @property
    def root(self) -> UPath:
        if self.url.startswith("s3://"):
            try:
                return UPath(self.url, endpoint_url=self.s3_endpoint_url)
            except ImportError:
                raise ConfigurationError(
                    f"SGF_STORAGE_URL {self.url!r} needs the extra s3: pip install 'sgf-pipeline[s3]'"
                ) from None
        return UPath(self.url)

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
        """Raise ``StorageError`` with the remedy when nothing can be written here."""
        probe = self.path(TMP, f"probe-{uuid.uuid4().hex}")
        self.write_bytes(probe, b"")
        with self._reaching():
            probe.unlink()

    def exists(self, path: UPath) -> bool:
        with self._reaching():
            return bool(path.exists())

    def read_bytes(self, path: UPath) -> bytes | None:
        """The file's content, or None where there is none."""
        with self._reaching():
            return bytes(path.read_bytes()) if path.exists() else None

    def read_json(self, path: UPath) -> Any:
        """The file's JSON, or None where there is none."""
        content = self.read_bytes(path)
        return None if content is None else json.loads(content)

    def names(self, folder: UPath) -> list[str]:
        """Names of the entries of a folder, sorted; empty where there is none."""
        with self._reaching():
            return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []

    def write_bytes(self, path: UPath, content: bytes, owner: str = "") -> None:
        """Write or replace a small file, atomically."""
        with self._writing(path, owner) as sink:
            sink.write(content)

    def write_json(self, path: UPath, value: Any, owner: str = "") -> None:
        """Write or replace a JSON file, atomically, readable and with sorted keys."""
        self.write_bytes(path, _readable_json(value), owner)

    def create_json(self, path: UPath, value: Any) -> None:
        """Write a JSON file that must not exist. Raises ``ConflictError`` if it does."""
        self.create_bytes(path, _readable_json(value))

    def create_bytes(self, path: UPath, content: bytes) -> None:
        """Write a file that must not exist. Raises ``ConflictError`` if it does, and leaves it as it is."""
        try:
            if not self._local:
                with self._reaching():
                    path.fs.pipe_file(path.path, content, mode="create")
                return
            with self._reaching():
                aside = self._aside(path, "")
            try:
                with self._reaching():
                    _write_through(aside, content)
                    Path(path.path).parent.mkdir(parents=True, exist_ok=True)
                os.link(aside, path.path)
            finally:
                aside.unlink(missing_ok=True)
        except FileExistsError:
            raise ConflictError(f"{path.name} exists already") from None

    def write_rows(self, path: UPath, rows: RowStream, owner: str = "") -> WrittenFile:
        """Write a stream as one Parquet file: zstd, row groups of ``ROW_GROUP``, the stream's facts in the footer.

        Equal rows and facts give equal bytes, whatever the length of the stream's batches. Columns that the schema
        dictionary-encodes are encoded anew in each row group, in order of first appearance, because a dictionary
        that is carried from batch to batch remembers where the batches were cut.
        """
        count = 0
        with self._writing(path, owner) as sink:
            counted = _HashingSink(sink)
            with pq.ParquetWriter(
                counted, rows.schema, compression="zstd", compression_level=3, version="2.6",
                data_page_version="1.0", use_dictionary=True, write_statistics=True, store_schema=True,
            ) as writer:  # fmt: skip
                for group in _row_groups(rows.schema, rows):
                    writer.write_table(group, row_group_size=ROW_GROUP)
                    count += group.num_rows
                writer.add_key_value_metadata({FACTS_KEY.decode(): json.dumps(rows.facts, sort_keys=True)})
        return WrittenFile(self.uri(path), count, counted.size, counted.sha256)

    def read_rows(self, path: UPath, columns: list[str] | None = None, batch_rows: int = 65_536) -> RowStream:
        """A Parquet file as a stream. Raises ``StorageError`` where there is none."""
        if not self.exists(path):
            raise StorageError(f"{path} is missing: build the asset that writes it first")
        with self._reaching(), path.open("rb") as source, pq.ParquetFile(source) as file:
            schema = file.schema_arrow
            facts = json.loads((file.metadata.metadata or {}).get(FACTS_KEY, b"{}"))
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns], metadata=schema.metadata)
        schema = schema.with_metadata({k: v for k, v in (schema.metadata or {}).items() if k != FACTS_KEY} or None)

        def read() -> Iterator[pa.RecordBatch]:
            with self._reaching(), path.open("rb") as source, pq.ParquetFile(source) as file:
                for batch in file.iter_batches(batch_rows, columns=columns):
                    yield batch.cast(schema)

        return RowStream(schema, read, facts)

    def sha256(self, path: UPath) -> str:
        """SHA-256 of a file's bytes, read in pieces."""
        with self._reaching(), path.open("rb") as source:
            return _sha256_of(source)

    def remove(self, path: UPath) -> None:
        """Remove a file, if it is there."""
        with self._reaching():
            if path.exists():
                path.unlink()

    def sweep(self, owner: str) -> None:
        """Remove what a dead run left aside, and what anybody left there more than a day ago."""
        if not self._local:
            return
        for aside in Path(self.path(TMP).path).glob("*"):
            with contextlib.suppress(FileNotFoundError):  # its writer has just renamed it
                if aside.name.startswith(f"{owner}-") or time.time() - aside.stat().st_mtime > STALE_SECONDS:
                    aside.unlink()

    @property
    def _local(self) -> bool:
        return "://" not in self.url

    def _aside(self, path: UPath, owner: str) -> Path:
        folder = Path(self.path(TMP).path)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{owner or 'unowned'}-{uuid.uuid4().hex}-{path.name}"

    @contextmanager
    def _writing(self, path: UPath, owner: str) -> Iterator[IO[bytes]]:
        """A sink whose content gets its name when the block ends without an exception, and vanishes otherwise."""
        if not self._local:
            with self._reaching(), path.open("wb") as sink:  # fsspec completes or aborts the upload
                yield sink
            return
        with self._reaching():
            aside = self._aside(path, owner)
            sink = aside.open("wb")
        try:
            with sink:
                yield sink
                sink.flush()
                os.fsync(sink.fileno())
            with self._reaching():
                target = Path(path.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Say what the storage refuses, or that it does not answer, in our own words."""
        wire_errors = () if self._local else _wire_errors()
        try:
            yield
        except FileNotFoundError as error:
            if self._local:
                raise self._refused(error) from error
            raise
        except OSError as error:
            raise self._refused(error) from error
        except wire_errors as error:
            raise StorageUnavailableError(
                f"storage {self.url!r} does not answer ({error}): check S3_ENDPOINT_URL, the bucket and the keys"
            ) from error

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(
            f"storage {self.url!r} cannot be written ({error.strerror or error}):"
            " set SGF_STORAGE_URL or --storage-url to a folder or bucket with write permission and free space"
        )


def _wire_errors() -> tuple[type[Exception], ...]:
    """What s3fs lets through when the server is away: the roots of botocore's own tree."""
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError


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


class _HashingSink:
    """A write-only file for the Parquet writer that hashes and counts what passes."""

    def __init__(self, sink: IO[bytes]) -> None:
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
