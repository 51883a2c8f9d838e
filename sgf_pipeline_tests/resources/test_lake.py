"""The lake: whole files or none, equal rows as equal bytes."""

import base64
import os
import resource
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet.encryption import create_decryption_properties

from sgf_pipeline.domain.errors import ConfigurationError, ConflictError, StorageError, StorageUnavailableError
from sgf_pipeline.domain.schema import WORD
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources import lake as lake_module
from sgf_pipeline.resources.lake import ROW_GROUP, LakeResource
from sgf_pipeline.settings import read_settings

KEY = bytes(range(32))
SCHEMA = pa.schema([pa.field("word", WORD), pa.field("number", pa.float64())])


def stream(rows: int, batch: int, facts: dict | None = None) -> RowStream:
    rng = np.random.default_rng(0)
    words = rng.choice(np.array(["a", "b", "c", None], dtype=object), rows)
    numbers = rng.random(rows)

    def read():
        for at in range(0, rows, batch):
            piece = pa.array(words[at : at + batch], pa.string()).dictionary_encode()
            yield pa.record_batch([piece, pa.array(numbers[at : at + batch])], schema=SCHEMA)

    return RowStream(SCHEMA, read, facts or {})


@pytest.fixture
def lake(tmp_path) -> LakeResource:
    return LakeResource(url=str(tmp_path / "lake"))


def test_equal_rows_are_equal_bytes_whatever_the_batches(lake):
    """Guards against bytes that remember how the rows were cut into batches (row groups, dictionaries)."""
    rows = 2 * ROW_GROUP + 17
    hashes = {
        lake.write_rows(lake.path(f"{batch}.parquet"), stream(rows, batch)).sha256 for batch in (1_009, 65_536, rows)
    }
    assert len(hashes) == 1
    groups = pq.ParquetFile(lake.path("1009.parquet").path).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [ROW_GROUP, ROW_GROUP, 17]


def test_rows_and_facts_come_back_and_can_be_read_twice(lake):
    """Guards against a stream that is empty the second time, or that loses its facts on the way."""
    path = lake.path("x", "rows.parquet")
    written = lake.write_rows(path, stream(1000, 300, {"incidents": 3}))
    back = lake.read_rows(path)
    assert back.facts == {"incidents": 3}
    assert back.schema == SCHEMA
    first, second = (pa.Table.from_batches(list(back), SCHEMA) for _ in range(2))
    assert first.equals(second)
    assert first.num_rows == written.rows == 1000
    assert lake.sha256(path) == written.sha256


def test_no_rows_are_a_readable_file(lake):
    """Guards against an empty shard that leaves a file nobody can open."""
    path = lake.path("none.parquet")
    assert lake.write_rows(path, stream(0, 1)).rows == 0
    assert list(lake.read_rows(path)) == []


def test_a_failing_stream_leaves_nothing_and_keeps_the_old_file(lake):
    """Guards against half a file under a final name."""
    path = lake.path("rows.parquet")
    before = lake.write_rows(path, stream(10, 5)).sha256

    def broken():
        yield from stream(200_000, 50_000)
        raise RuntimeError("the simulation broke")

    with pytest.raises(RuntimeError):
        lake.write_rows(path, RowStream(SCHEMA, broken), owner="run1")
    assert lake.sha256(path) == before
    assert [name for _, _, files in os.walk(lake.url) for name in files] == ["rows.parquet"]


def test_a_killed_writer_leaves_nothing_under_the_final_name_and_is_swept(lake):
    """Guards against kill -9 in the middle of a write: no half file, and the rest is found by its owner."""
    script = f"""
        import os, signal
        from sgf_pipeline.resources.lake import LakeResource
        lake = LakeResource(url={lake.url!r})
        with lake._writing(lake.path("rows.parquet"), "run1") as sink:
            sink.write(b"half")
            sink.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9
    assert lake.names(lake.root) == [".tmp"]
    lake.sweep("run1")
    assert lake.names(lake.path(".tmp")) == []


def test_two_runs_that_write_one_file_at_once_leave_one_file(lake):
    """Guards the same shard built twice at once: one file of the same bytes, and nothing beside it."""
    path = lake.path("rows.parquet")
    alone = lake.write_rows(lake.path("alone.parquet"), stream(10, 5)).sha256
    in_the_middle = threading.Barrier(2)

    def halting():
        first, second = stream(10, 5)
        yield first
        in_the_middle.wait(60)
        yield second

    with ThreadPoolExecutor(2) as pool:
        written = list(
            pool.map(lambda run: lake.write_rows(path, RowStream(SCHEMA, halting), owner=run), ("run1", "run2"))
        )
    assert {one.sha256 for one in written} == {lake.sha256(path)} == {alone}
    assert lake.names(lake.root) == [".tmp", "alone.parquet", "rows.parquet"]
    assert lake.names(lake.path(".tmp")) == []


def test_a_lock_that_is_not_given_back_is_said_so(lake, monkeypatch):
    """Guards against a run that waits for ever for one that hangs, and against a lock that outlives its owner."""
    path = lake.path("a.json")
    lake.update_json(path, lambda before: {"before": before})
    monkeypatch.setattr(lake_module, "UPDATE_SECONDS", 0.1)

    def within(before):
        with pytest.raises(StorageUnavailableError, match=r"a\.json locked for .* run again"):
            lake.update_json(path, lambda other: {"lost": other})
        return {"before": before}

    lake.update_json(path, within)
    assert lake.read_json(path) == {"before": {"before": None}}
    assert lake.names(lake.path(".tmp")) == []


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_damaged_file_is_named_and_left_as_it_is(lake, damage):
    """Guards against a traceback of the JSON module, and against overwriting what somebody may want to restore."""
    path = lake.path("a.json")
    lake.write_bytes(path, damage)
    for use in (lake.read_json, lambda at: lake.update_json(at, lambda before: {})):
        with pytest.raises(StorageError, match=r"a\.json is damaged: restore it, or remove it"):
            use(path)
    assert lake.read_bytes(path) == damage


def test_create_only_files_are_never_replaced(lake):
    """Guards against a second registration that overwrites the first."""
    path = lake.path("requests", "a.json")
    lake.create_bytes(path, b"first")
    with pytest.raises(ConflictError):
        lake.create_bytes(path, b"second")
    assert lake.read_bytes(path) == b"first"


def test_an_unwritable_storage_is_one_sentence_with_the_remedy(tmp_path):
    """Guards against a traceback, or a run that only fails after the model was paid for."""
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="SGF_STORAGE_URL") as refused:
        LakeResource(url=str(tmp_path / "file")).check_writable()
    assert "\n" not in str(refused.value)


def test_checking_leaves_nothing_behind(lake):
    """Guards against probe files in a user's bucket."""
    lake.check_writable()
    assert [name for _, _, files in os.walk(lake.url) for name in files] == []


def test_writers_of_one_owner_do_not_get_in_each_others_way(lake):
    """Guards against two shards of one batch, written at once, that remove each other's folders."""
    script = f"""
        from sgf_pipeline.resources.lake import LakeResource
        lake = LakeResource(url={lake.url!r})
        for number in range(400):
            lake.write_json(lake.path(f"{{NUMBER}}.json"), number, owner="gen_1")
    """
    code = textwrap.dedent(script)
    writers = [
        subprocess.Popen([sys.executable, "-c", code.replace("NUMBER", repr(str(one)))], stderr=subprocess.PIPE)
        for one in range(2)
    ]
    assert [writer.communicate()[1].decode()[-300:] for writer in writers] == ["", ""]
    assert lake.names(lake.path(".tmp")) == []


def test_a_silent_object_store_is_one_sentence(monkeypatch):
    """Guards against a traceback of the S3 library when the server is down; it may be tried again."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageUnavailableError, match="S3_ENDPOINT_URL"):
        LakeResource(url="s3://bucket/prefix", s3_endpoint_url="http://127.0.0.1:9").check_writable()


def test_a_missing_stage_says_what_to_build(lake):
    """Guards against a FileNotFoundError from deep inside a library."""
    with pytest.raises(StorageError, match="build the asset"):
        lake.read_rows(lake.path("nothing.parquet"))


@pytest.fixture
def make_lake(tmp_path, monkeypatch):
    """Lakes on one folder, under a key or none."""

    def make(key: bytes | None) -> LakeResource:
        monkeypatch.setenv("SGF_PARQUET_KEY", base64.b64encode(key).decode() if key else "")
        made = LakeResource(url=str(tmp_path / "lake"))
        made.write_rows(made.path("probe.parquet"), stream(1, 1))  # a lake reads the key once
        return made

    return make


@pytest.mark.parametrize("length", [16, 24, 32])
def test_encrypted_files_come_back_and_keep_the_hash_of_their_content(make_lake, length):
    """Guards rows at rest: unreadable without the key, whole with it, and known as the same rows in every build."""
    clear, lake = make_lake(None), make_lake(KEY[:length])
    rows = ROW_GROUP + 5
    plain = clear.write_rows(clear.path("clear.parquet"), stream(rows, 10_000, {"incidents": 3}))
    path = lake.path("a.parquet")
    written = [lake.write_rows(path, stream(rows, batch, {"incidents": 3})) for batch in (777, 65_536)]
    assert [one.content_sha256 for one in written] == [plain.sha256, plain.sha256]
    assert written[0].sha256 != written[1].sha256 == lake.sha256(path)
    assert lake.content_sha256(path) == lake.content_sha256(lake.path("clear.parquet")) == plain.sha256
    back, reference = lake.read_rows(path), clear.read_rows(clear.path("clear.parquet"))
    assert back.facts == {"incidents": 3}
    assert back.schema.equals(reference.schema, check_metadata=True)
    assert pa.Table.from_batches(list(back), SCHEMA).equals(pa.Table.from_batches(list(reference), SCHEMA))
    content = (lake.read_bytes(path) or b"")[:4], b"word" in (lake.read_bytes(path) or b"")
    assert content == (b"PARE", False)
    table = pq.read_table(path.path, decryption_properties=create_decryption_properties(KEY[:length]))
    assert table.num_rows == rows


def test_a_missing_or_wrong_key_is_one_sentence(make_lake):
    """Guards against a message of the cipher, and against one that tells the key."""
    path = make_lake(KEY).path("a.parquet")
    make_lake(KEY).write_rows(path, stream(100, 100))
    for key, says in (
        (None, "is encrypted: set SGF_PARQUET_KEY"),
        (KEY[::-1], "cannot be decrypted: set SGF_PARQUET_KEY"),
    ):
        lake = make_lake(key)
        for attempt in (lambda one: one.read_rows(path), lambda one: one.content_sha256(path)):
            with pytest.raises(ConfigurationError, match=says) as refused:
                attempt(lake)
            assert "\n" not in str(refused.value)
            assert base64.b64encode(KEY).decode() not in str(refused.value)


@pytest.mark.parametrize("key", ["c2hvcnQ=", "no base64!", base64.b64encode(KEY).decode()[:-3]])
def test_a_key_that_is_none_is_refused_without_being_shown(monkeypatch, key):
    """Guards against a weak key, and against a secret in a message."""
    monkeypatch.setenv("SGF_PARQUET_KEY", key)
    with pytest.raises(ConfigurationError, match="SGF_PARQUET_KEY") as refused:
        read_settings()
    assert key not in str(refused.value)


def test_the_key_is_no_field_that_dagster_shows(make_lake):
    """Guards against a secret in the web interface's page of resources."""
    lake = make_lake(KEY)
    assert base64.b64encode(KEY).decode() not in repr(lake) + str(lake.model_dump())
    assert repr(KEY) not in repr(lake) + str(lake.model_dump())


@pytest.mark.parametrize("key", [None, KEY])
def test_a_damaged_file_says_so(make_lake, key):
    """Guards against damaged rows that are taken for good ones, and against a message that blames the disk's rights."""
    lake = make_lake(key)
    path = lake.path("a.parquet")
    lake.write_rows(path, stream(50_000, 50_000))
    content = bytearray(lake.read_bytes(path) or b"")
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    lake.write_bytes(path, bytes(content))
    with pytest.raises(StorageError, match=r"a\.parquet is damaged: build the asset"):
        list(lake.read_rows(path))
    lake.write_bytes(path, b"PAR1 is how it begins, and then it is something else")
    with pytest.raises(StorageError, match=r"a\.parquet is damaged"):
        lake.read_rows(path)


@pytest.fixture
def _small_disk():
    """No file of this process grows past 100 kB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_small_disk")
def test_a_disk_that_takes_no_more_is_one_sentence_and_leaves_nothing(lake):
    """Guards against half a file, a traceback of the Parquet library, and rubbish on a disk that is full already."""
    path = lake.path("rows.parquet")
    lake.write_rows(path, stream(10, 10))
    before = lake.sha256(path)
    for attempt in (
        lambda: lake.write_rows(path, stream(200_000, 50_000), owner="run1"),
        lambda: lake.write_bytes(path, bytes(200_000)),
        lambda: lake.create_bytes(lake.path("new.json"), bytes(200_000)),
    ):
        with pytest.raises(StorageError, match="free space") as refused:
            attempt()
        assert str(lake.url) in str(refused.value)
        assert "\n" not in str(refused.value)
    assert lake.sha256(path) == before
    assert [name for _, _, files in os.walk(lake.url) for name in files] == ["rows.parquet"]
