"""The lake on a real S3 server (SeaweedFS): whole objects or none, encrypted, locked; its bad days; a whole batch."""

import base64
import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from fsspec import filesystem
from s3fs import S3FileSystem

from sgf_pipeline.domain.errors import ConfigurationError, ConflictError, StorageError, StorageUnavailableError
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources import lake as lake_module
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.object_store import PART_BYTES
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.building import build
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.integration.conftest import streamed
from sgf_pipeline_tests.integration.services import SeaweedFS, wait_for

SCHEMA = pa.schema([pa.field("number", pa.float64())])
BATCH_ROWS = 500_000  # 4 MB that no compression makes smaller
LARGE = 5  # so many batches are two parts

MakeLake = Callable[..., LakeResource]


def numbers(batches: int, then: Callable[[], None] = lambda: None) -> RowStream:
    """Random numbers, and then something happens."""

    def read() -> Iterator[pa.RecordBatch]:
        for seed in range(batches):
            yield pa.record_batch([pa.array(np.random.default_rng(seed).random(BATCH_ROWS))], schema=SCHEMA)
        then()

    return RowStream(SCHEMA, read)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The owner's keys in the environment, as the AWS chain finds them; s3fs keeps no client of another test."""
    key, secret, _ = SeaweedFS.KEYS["owner"]
    values = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1",
              "AWS_MAX_ATTEMPTS": "1"}  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def make_lake(seaweed: SeaweedFS, request: pytest.FixtureRequest) -> MakeLake:
    """Lakes of this test's own prefix."""

    def make(bucket: str = "sgf", **fields: Any) -> LakeResource:
        return LakeResource(url=f"s3://{bucket}/{request.node.name}", s3_endpoint_url=seaweed.endpoint, **fields)

    return make


@pytest.fixture(scope="session")
def worm(seaweed: SeaweedFS) -> str:
    """A bucket with object lock."""
    seaweed.client().create_bucket(Bucket="worm", ObjectLockEnabledForBucket=True)
    return "worm"


def head(server: SeaweedFS, path: Any) -> dict[str, Any]:
    bucket, _, key = path.path.partition("/")
    answer: dict[str, Any] = server.client().head_object(Bucket=bucket, Key=key)
    return answer


def unfinished(server: SeaweedFS) -> list[str]:
    return [upload["Key"] for upload in server.client().list_multipart_uploads(Bucket="sgf").get("Uploads", [])]


def test_files_lie_encrypted_and_come_back(seaweed: SeaweedFS, make_lake: MakeLake) -> None:
    """Guards writing, listing, reading and removing: small objects and such of several parts, all encrypted."""
    lake = make_lake()
    lake.check_writable()
    assert (lake.read_bytes(lake.path("a", "none")), lake.names(lake.path("none"))) == (None, [])
    for size in (0, 3, PART_BYTES, 2 * PART_BYTES + 17):
        path, content = lake.path("a", f"{size}.bin"), os.urandom(size)
        lake.write_bytes(path, content)
        assert lake.read_bytes(path) == content
        assert head(seaweed, path)["ServerSideEncryption"] == "AES256"
    assert lake.names(lake.path("a")) == ["0.bin", "16777216.bin", "3.bin", "33554449.bin"]
    assert (lake.exists(lake.path("a", "3.bin")), lake.exists(lake.path("a")), lake.exists(lake.path("a", "3"))) == (
        True, False, False,
    )  # fmt: skip
    lake.remove(lake.path("a", "3.bin"))
    lake.remove(lake.path("a", "3.bin"))
    assert not lake.exists(lake.path("a", "3.bin"))
    written = lake.write_rows(lake.path("rows.parquet"), numbers(LARGE))
    assert head(seaweed, lake.path("rows.parquet"))["ServerSideEncryption"] == "AES256"
    assert written.bytes > PART_BYTES
    assert lake.sha256(lake.path("rows.parquet")) == written.sha256 == written.content_sha256
    assert sum(batch.num_rows for batch in lake.read_rows(lake.path("rows.parquet"))) == LARGE * BATCH_ROWS
    with pytest.raises(StorageError, match="build the asset"):
        lake.read_rows(lake.path("none.parquet"))


def test_names_beyond_one_page_are_all_there(make_lake: MakeLake, seaweed: SeaweedFS) -> None:
    """Guards against a listing that ends after S3's first thousand names."""
    lake = make_lake()
    client = seaweed.client()
    names = [f"{number:04}.json" for number in range(1003)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.put_object(Bucket="sgf", Key=f"{lake.root.name}/{name}", Body=b""), names))
    assert lake.names(lake.root) == names


def test_create_only_objects_are_never_replaced(make_lake: MakeLake) -> None:
    """Guards against a second registration that overwrites the first, also when both come at once."""
    lake = make_lake()
    path = lake.path("requests", "a.json")
    lake.create_bytes(path, b"first")
    with pytest.raises(ConflictError, match=r"a\.json exists already"):
        lake.create_bytes(path, b"second")
    assert lake.read_bytes(path) == b"first"
    outcomes: list[str] = []

    def create(content: bytes) -> None:
        try:
            lake.create_bytes(lake.path("requests", "b.json"), content)
            outcomes.append(content.decode())
        except ConflictError:
            outcomes.append("conflict")

    writers = [threading.Thread(target=create, args=(name,)) for name in (b"1", b"2", b"3", b"4")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (winner,) = {*outcomes} - {"conflict"}
    assert outcomes.count("conflict") == 3
    assert lake.read_bytes(lake.path("requests", "b.json")) == winner.encode()


def test_updates_at_once_lose_nothing(make_lake: MakeLake) -> None:
    """Guards the receipt where there is no lock: of two writers that read the same, the later begins again."""
    lake = make_lake()
    path = lake.path("_receipts", "a.json")

    def add(who: int) -> None:
        for number in range(10):
            lake.update_json(path, lambda before, name=f"{who}-{number}": {**(before or {}), name: True})

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(add, range(3)))
    assert sorted(lake.read_json(path)) == [f"{who}-{number}" for who in range(3) for number in range(10)]


def test_two_runs_that_write_one_object_at_once_leave_one(seaweed: SeaweedFS, make_lake: MakeLake) -> None:
    """Guards the same shard built twice at once: one object of the same bytes, and no upload that never ends."""
    lake = make_lake()
    path = lake.path("rows.parquet")
    in_the_middle = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        written = list(
            pool.map(lambda run: lake.write_rows(path, numbers(LARGE, in_the_middle.wait), owner=run), ("run1", "run2"))
        )
    assert {one.sha256 for one in written} == {lake.sha256(path)}
    assert lake.names(lake.root) == ["rows.parquet"]
    assert unfinished(seaweed) == []


@pytest.mark.parametrize("batches", [1, LARGE])
def test_a_failing_stream_leaves_nothing_and_keeps_the_old_object(
    seaweed: SeaweedFS, make_lake: MakeLake, batches: int
) -> None:
    """Guards against half a file under its name (s3fs completes an upload whose block fails), and paid-for parts."""
    lake = make_lake()
    path = lake.path("rows.parquet")
    before = lake.write_rows(path, numbers(2)).sha256

    def breaks() -> None:
        raise RuntimeError("the simulation broke")

    for target in (path, lake.path("new.parquet")):
        with pytest.raises(RuntimeError, match="simulation"):
            lake.write_rows(target, numbers(batches, breaks))
    assert lake.sha256(path) == before
    assert lake.names(lake.root) == ["rows.parquet"]
    assert unfinished(seaweed) == []


def _write_and_die(url: str, endpoint: str) -> None:
    lake = LakeResource(url=url, s3_endpoint_url=endpoint)
    lake.write_rows(lake.path("rows.parquet"), numbers(LARGE, lambda: os.kill(os.getpid(), signal.SIGKILL)))


def test_a_killed_writer_leaves_nothing_visible_and_is_swept(
    seaweed: SeaweedFS, make_lake: MakeLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against kill -9 of a run in the middle of an upload."""
    lake = make_lake()
    before = lake.write_rows(lake.path("rows.parquet"), numbers(1)).sha256
    process = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(lake.url, seaweed.endpoint))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert lake.sha256(lake.path("rows.parquet")) == before
    assert len(unfinished(seaweed)) == 1
    lake.sweep("run")
    assert len(unfinished(seaweed)) == 1  # it may be somebody's who is still at it
    monkeypatch.setattr(lake_module, "STALE_SECONDS", -60)
    lake.sweep("run")
    assert unfinished(seaweed) == []


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[SeaweedFS]:
    """A server of the test's own."""
    server = SeaweedFS(tmp_path)
    yield server
    server.kill()


def served(server: SeaweedFS, key: str) -> bool:
    try:
        server.client().get_object(Bucket="sgf", Key=key)["Body"].read()
    except (BotoCoreError, ClientError):
        return False
    return True


def test_a_server_that_is_killed_in_an_upload_ends_with_the_whole_object(mortal: SeaweedFS) -> None:
    """Guards the retry: one error that says so, nothing half-written after the restart, and then the whole object."""
    lake = LakeResource(url="s3://sgf/killed", s3_endpoint_url=mortal.endpoint)
    kept = lake.write_rows(lake.path("kept.parquet"), numbers(LARGE)).sha256
    with pytest.raises(StorageUnavailableError, match="S3_ENDPOINT_URL") as silent:
        lake.write_rows(lake.path("rows.parquet"), numbers(LARGE, mortal.kill))
    assert "\n" not in str(silent.value)
    with pytest.raises(StorageUnavailableError, match="does not answer"):
        lake.exists(lake.path("rows.parquet"))
    mortal.start()
    # The server answers before it has found all that it kept.
    wait_for(lambda: served(mortal, "killed/kept.parquet"), "what SeaweedFS kept")
    assert lake.names(lake.root) == ["kept.parquet"]
    assert lake.sha256(lake.path("kept.parquet")) == kept
    assert lake.write_rows(lake.path("rows.parquet"), numbers(LARGE)).sha256 == kept
    assert lake.sha256(lake.path("rows.parquet")) == kept


def test_records_are_locked_and_what_changes_is_not(seaweed: SeaweedFS, make_lake: MakeLake, worm: str) -> None:
    """Guards WORM: nobody deletes a record, building it again adds a version, and retries are not locked out."""
    lake = make_lake(worm, s3_lock_days=3)
    lake.check_writable()
    client = seaweed.client()
    shard, large, manifest = lake.path("rows.parquet"), lake.path("large.parquet"), lake.path("1.json")
    lake.write_rows(shard, numbers(1), record=True)
    lake.write_rows(large, numbers(LARGE), record=True)
    lake.create_json(manifest, {"number": 1}, record=True)
    for path in (shard, large, manifest):
        held = head(seaweed, path)
        assert (held["ServerSideEncryption"], held["ObjectLockMode"]) == ("AES256", "COMPLIANCE")
        assert timedelta(days=2.9) < held["ObjectLockRetainUntilDate"] - datetime.now(UTC) <= timedelta(days=3)
        bucket, _, key = path.path.partition("/")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=bucket, Key=key, VersionId=held["VersionId"])
    again = lake.write_rows(shard, numbers(2), record=True)
    assert lake.sha256(shard) == again.sha256
    versions = client.list_object_versions(Bucket=worm, Prefix=shard.path.partition("/")[2])["Versions"]
    assert len(versions) == 2
    lake.remove(shard)
    assert not lake.exists(shard)
    client.get_object(Bucket=worm, Key=versions[0]["Key"], VersionId=versions[0]["VersionId"])
    for number in range(2):
        lake.write_json(lake.path("_receipts", "a.json"), number)
    receipt = head(seaweed, lake.path("_receipts", "a.json"))
    assert "ObjectLockMode" not in receipt
    client.delete_object(Bucket=worm, Key=lake.path("_receipts", "a.json").path.partition("/")[2],
                         VersionId=receipt["VersionId"])  # fmt: skip


def test_a_bucket_without_object_lock_is_one_sentence(make_lake: MakeLake) -> None:
    """Guards against a batch that is believed to be undeletable."""
    lake = make_lake(s3_lock_days=3)
    for attempt in (
        lake.check_writable,
        lambda: lake.write_rows(lake.path("a.parquet"), numbers(1), record=True),
        lambda: lake.write_rows(lake.path("a.parquet"), numbers(LARGE), record=True),
        lambda: lake.create_json(lake.path("a.json"), {}, record=True),
    ):
        with pytest.raises(StorageError, match=r"no object lock.*S3_OBJECT_LOCK_DAYS"):
            attempt()
    assert lake.names(lake.root) == []


def test_refusals_are_one_sentence_with_the_remedy(
    seaweed: SeaweedFS, make_lake: MakeLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against tracebacks and endless retries: wrong keys, no right to write, no bucket, no key service."""

    def refused(lake: LakeResource, error: type[Exception], says: str) -> None:
        with pytest.raises(error, match=says) as caught:
            lake.check_writable()
        with pytest.raises(error, match=says):
            lake.write_rows(lake.path("a.parquet"), numbers(1))
        assert lake.url in str(caught.value)
        assert seaweed.endpoint in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value).lower().replace("aws_secret_access_key", "")

    refused(make_lake(s3_encryption="aws:kms"), StorageUnavailableError, "S3_SSE")
    with pytest.raises(StorageError, match=r"no such bucket.*SGF_STORAGE_URL"):
        make_lake("missing").check_writable()
    with pytest.raises(StorageError, match="no such bucket"):
        make_lake("missing").read_json(make_lake("missing").path("a.json"))
    assert "missing" not in [bucket["Name"] for bucket in seaweed.client().list_buckets()["Buckets"]]
    for (key, secret), says in (
        (SeaweedFS.KEYS["reader"][:2], "s3:PutObject"),
        (("nobody", "wrong-secret"), r"InvalidAccessKeyId.*AWS_ACCESS_KEY_ID"),
        (("owner-key", "wrong-secret"), r"SignatureDoesNotMatch.*AWS_PROFILE"),
    ):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        S3FileSystem.clear_instance_cache()
        refused(make_lake(), StorageError, says)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    S3FileSystem.clear_instance_cache()
    refused(make_lake(), ConfigurationError, "AWS_PROFILE")


@pytest.fixture
def trusting(tmp_path: Path) -> Iterator[SeaweedFS]:
    """A server that checks no signatures, so that a proxy may change requests."""
    server = SeaweedFS(tmp_path, with_keys=False)
    yield server
    server.kill()


class Careless(BaseHTTPRequestHandler):
    """Hands requests on to an S3 server, but without the header ``forgotten``."""

    protocol_version = "HTTP/1.1"  # large bodies wait for "100 Continue"
    server_endpoint: str
    forgotten: str

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        dropped = (self.forgotten, "host", "expect")
        kept = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        request = Request(self.server_endpoint + self.path, body or None, kept, method=self.command)
        try:
            answer = urlopen(request)
        except HTTPError as error:
            answer = error
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on  # noqa: N815

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("forgotten", "says"),
    [("x-amz-server-side-encryption", "S3_SSE=AES256"), ("if-none-match", "If-None-Match"), ("if-match", "If-Match")],
)
def test_a_store_that_ignores_what_it_is_asked_is_found_out(trusting: SeaweedFS, forgotten: str, says: str) -> None:
    """Guards against a store that takes the header and stores in clear, or overwrites what must only be created."""
    handler = type("Handler", (Careless,), {"server_endpoint": trusting.endpoint, "forgotten": forgotten})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as careless:
        threading.Thread(target=careless.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{careless.server_address[1]}"
        lake = LakeResource(url="s3://sgf/careless", s3_endpoint_url=address)
        with pytest.raises(StorageError, match=says):
            lake.check_writable()
        if forgotten == "x-amz-server-side-encryption":
            for batches in (1, LARGE):
                with pytest.raises(StorageError, match=says):
                    lake.write_rows(lake.path("a.parquet"), numbers(batches))
            LakeResource(url=lake.url, s3_endpoint_url=address, s3_encryption="off").check_writable()
        listed = trusting.client().list_objects_v2(Bucket="sgf", Prefix="careless/")
        assert "Contents" not in listed
        careless.shutdown()


def test_a_batch_can_be_read_by_everybody(
    seaweed: SeaweedFS,
    make_lake: MakeLake,
    make_settings: Callable[..., Settings],
    instance: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards the product on S3: dataset, manifest and data docs; the same bytes as on a disk; three readers.

    The server's address comes from AWS's own variable here, as it may.
    """
    lake = make_lake()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", seaweed.endpoint)
    build(make_settings(sgf_storage_url=lake.url), instance, small_request("gen_s3", count=600))
    folder = lake.path("datasets", "tenant=default", "batch_id=gen_s3")
    manifest = lake.read_json(folder / "_manifest.json")
    uri = manifest["s3_uri"]
    assert uri == str(folder)
    assert manifest == lake.read_json(folder / "_manifests" / "1.json")
    assert lake.names(folder / "_receipts") == ["card_testing.json", "money_laundering.json"]
    assert (lake.read_bytes(folder / "_data_docs" / "index.html") or b"").lstrip().startswith(b"<!DOCTYPE html>")
    assert head(seaweed, folder / "_data_docs" / "index.html")["ContentType"] == "text/html"
    disk = LakeResource(url=str(tmp_path / "disk"))
    for shard, receipt in manifest["shards"].items():
        stage = lake.read_rows(lake.path("assets", "labelled_transactions", "gen_s3", f"{shard}.parquet"))
        again = disk.write_rows(disk.path("a.parquet"), dataclasses.replace(stage, facts={}))
        assert again.sha256 == receipt["sinks"]["lake"]["sha256"]
    clients = {"client_kwargs": {"endpoint_url": seaweed.endpoint}}
    read = pd.read_parquet(uri, storage_options=clients)
    assert (len(read), int(read["is_fraud"].sum()), set(read["shard"])) == (
        600,
        60,
        {"card_testing", "money_laundering"},
    )
    key, secret, _ = SeaweedFS.KEYS["owner"]
    arrow = pafs.S3FileSystem(access_key=key, secret_key=secret, endpoint_override=seaweed.endpoint, scheme="http")
    whole = ds.dataset(lake.path("datasets").path, filesystem=arrow, partitioning="hive").to_table()
    assert (whole.num_rows, set(whole["tenant"].to_pylist())) == (600, {"default"})
    connection = duckdb.connect()
    connection.register_filesystem(filesystem("s3", **clients))
    counted = connection.execute(
        f"SELECT count(*), sum(is_fraud::INT), count(DISTINCT shard), min(batch_id) FROM read_parquet("
        f"'{lake.path('datasets')}/*/*/shard=*/*.parquet', hive_partitioning=true)"
    ).fetchone()
    assert counted == (600, 60, 2, "gen_s3")


def test_labelled_rows_are_encrypted_for_readers_without_the_key(
    make_lake: MakeLake, labelled: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards SGF_PARQUET_KEY on S3: rows nobody reads without it, and the same content hash as in clear."""
    clear = make_lake().write_rows(make_lake().path("clear.parquet"), streamed(labelled))
    monkeypatch.setenv("SGF_PARQUET_KEY", base64.b64encode(bytes(range(32))).decode())
    lake = make_lake()
    written = lake.write_rows(lake.path("a.parquet"), streamed(labelled))
    assert written.content_sha256 == lake.content_sha256(lake.path("a.parquet")) == clear.sha256 != written.sha256
    back = pa.Table.from_batches(list(lake.read_rows(lake.path("a.parquet"))))
    assert back.column("transaction_id").equals(labelled.column("transaction_id"))
    monkeypatch.delenv("SGF_PARQUET_KEY")
    with pytest.raises(ConfigurationError, match="SGF_PARQUET_KEY"):
        make_lake().read_rows(lake.path("a.parquet"))
