"""A batch played against the clock on a real broker (noida)."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sgf_pipeline import batches
from sgf_pipeline.cli import replaying
from sgf_pipeline.domain.errors import ConfigurationError, InvalidRequestError, SinkUnavailableError, UnknownBatchError
from sgf_pipeline.domain.request import parse_request
from sgf_pipeline.resources.held import ShardKey
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.replay import HeldRate, Item, Replay, SpeedUp, Timeline, events_of
from sgf_pipeline.resources.stream import Delivered, Stream
from sgf_pipeline_tests.hand_written import content
from sgf_pipeline_tests.integration.conftest import streamed
from sgf_pipeline_tests.integration.services import Noida, free_port, wait_for
from sgf_pipeline_tests.integration.test_stream import consumed
from sgf_pipeline_tests.integration.test_warehouse import expected

END = content().end_date
HEADERS = {"tenant": "default", "batch": "gen_1", "run": "replay-1"}


def timeline(table: pa.Table, late: float = 0.0, twice: float = 0.0, seed: int = 1) -> Timeline:
    """The rows as if every second one were of another shard."""
    halves = {name: table.take(list(range(first, table.num_rows, 2))) for first, name in enumerate("ab")}
    shards = [events_of(name, streamed(half), seed, late, twice) for name, half in halves.items()]
    return Timeline(shards, int(END.timestamp() * 1_000_000))


def told(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.kind, json.loads(item.event.value)["transaction_id"]) for item in items]


def test_transactions_come_in_order_and_labels_when_they_are_due(labelled: pa.Table) -> None:
    """Guards against a detector that is told the truth before a bank would have known it, or after."""
    line = timeline(labelled)
    items = list(line)
    now = 0
    told_of: set[str] = set()
    for item in items:
        name = json.loads(item.event.value)["transaction_id"]
        assert item.moment >= now
        now = item.moment
        if item.kind == "label":
            assert name in told_of
            assert item.moment == max(item.event.due, item.event.moment)
        told_of.add(name)
    transactions = [item for item in items if item.kind == "transaction"]
    assert [name for _, name in told(transactions)] == labelled.column("transaction_id").to_pylist()
    labels = len(items) - len(transactions)
    due = sum(1 for row in labelled.to_pylist() if row["is_fraud"] and row["label_available_at"] <= row_time(labelled))
    assert labels == due > 10
    assert line.labels_waiting == sum(labelled.column("is_fraud").to_pylist()) - labels > 10


def row_time(table: pa.Table) -> Any:
    return table.column("event_time")[-1].as_py()


def test_late_events_and_duplicates_are_as_many_as_asked_and_the_same_for_a_seed(labelled: pa.Table) -> None:
    """Guards against "late" events that nothing newer came before, and against a replay nobody can repeat."""
    items = list(timeline(labelled, late=0.1, twice=0.05))
    counts = Counter(item.kind for item in items)
    assert counts["transaction"] == labelled.num_rows
    assert 0.03 < counts["duplicate"] / labelled.num_rows < 0.07
    newest, late, seen = 0, 0, set()
    for item in items:
        if item.kind == "transaction":
            late += item.event.moment < newest
            newest = max(newest, item.event.moment)
            seen.add(item.event.value)
        else:
            assert item.event.value in seen
    chosen = sum(1 for item in items if item.kind == "transaction" and item.event.late_by)
    assert 0.07 < late / labelled.num_rows < 0.13
    assert chosen - 3 <= late  # nothing newer comes after the batch's last events
    assert told(items) == told(list(timeline(labelled, late=0.1, twice=0.05)))
    assert told(items) != told(list(timeline(labelled, late=0.1, twice=0.05, seed=2)))


def test_turns_are_told_by_the_clock_and_not_by_the_turn_before(labelled: pa.Table) -> None:
    """Guards against a rate that drifts: the n-th transaction's turn is at n over the rate, whatever came before."""
    items = list(timeline(labelled, twice=0.05))
    pace = HeldRate(5000)
    turns = [(item.kind, pace.seconds(item)) for item in items]
    transactions = [turn for kind, turn in turns if kind != "label"]
    assert transactions == pytest.approx([number / 5000 for number in range(len(transactions))])
    fast = SpeedUp(60)
    assert [fast.seconds(item) for item in items] == pytest.approx(
        [(item.moment - items[0].moment) / 60e6 for item in items]
    )


def test_a_replay_is_told_from_the_export(kafka: Noida, labelled: pa.Table) -> None:
    """Guards the reconciliation: a replay to the same topics must not be counted as the batch's export."""
    stream = Stream(kafka.address, "replayed.transactions", "replayed.labels", {})
    exported = Delivered(ShardKey("default", "gen_1", "phishing"), "a" * 64, "EUR")
    stream.publish(exported, streamed(labelled), "run")
    began = time.time()
    playing = Replay(stream, timeline(labelled, late=0.1, twice=0.05), HeldRate(1e6), HEADERS)
    playing.run(threading.Event(), lambda playing: None)
    assert stream.held([exported]) == {exported.key: expected(labelled)}
    records = [one for one in consumed(kafka, stream.topic) if dict(one.headers)["run"] == b"replay-1"]
    labels = [one for one in consumed(kafka, stream.labels_topic) if dict(one.headers)["run"] == b"replay-1"]
    assert len(records) == playing.transactions == labelled.num_rows + playing.duplicates
    assert len(labels) == playing.labels > 10
    assert playing.position == len(records) + len(labels)
    rows = {row["transaction_id"]: row for row in labelled.to_pylist()}
    for record in records:
        value = json.loads(record.value)
        assert value["event_time"] == rows[value["transaction_id"]]["event_time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert (began - 1) * 1000 < record.timestamp < (time.time() + 1) * 1000
        assert set(dict(record.headers)) == {"tenant", "batch", "run", "shard"}


def test_a_broker_that_goes_away_ends_the_replay_with_a_place_to_go_on(
    tmp_path: Path, labelled: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a replay that hangs, and against counting what nobody acknowledged."""
    monkeypatch.setattr("sgf_pipeline.resources.stream.SEND_SECONDS", 3.0)
    monkeypatch.setattr("sgf_pipeline.resources.replay.SEND_SECONDS", 3.0)
    server = Noida(tmp_path)
    stream = Stream(server.address, "gone.transactions", "gone.labels", {})
    playing = Replay(stream, timeline(labelled), HeldRate(1000), HEADERS)

    def cut(playing: Replay) -> None:
        if playing.acknowledged > 300:
            server.kill()

    try:
        with pytest.raises(SinkUnavailableError, match="does not answer"):
            playing.run(threading.Event(), cut)
    finally:
        server.kill()
    assert 300 < playing.position < labelled.num_rows


def finished_batch(folder: Path, table: pa.Table) -> None:
    """A lake that holds one finished batch, ``gen_played``, of one shard."""
    lake = LakeResource(url=str(folder))
    asked = content(count=3000, scenarios=["phishing"]).model_dump(mode="json")
    request = batches.register(lake, parse_request("gen_played", asked, {}))
    lake.write_rows(batches.shard_file(lake, request, "phishing"), streamed(table))
    address = lake.uri(batches.dataset_folder(lake, request))
    manifest = {"number": 1, "rows": table.num_rows, "receipts_sha": "", "s3_uri": address}
    lake.write_json(batches.dataset_folder(lake, request) / "_manifests" / "1.json", manifest)


def start(folder: Path, kafka: Noida, *options: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ, "SGF_STORAGE_URL": str(folder), "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
        "KAFKA_TOPIC": "played.transactions", "KAFKA_LABELS_TOPIC": "played.labels",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "sgf_pipeline.cli.main", "replay", "gen_played", *options], cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_ctrl_c_ends_clean_and_skip_goes_on(kafka: Noida, labelled: pa.Table, tmp_path: Path) -> None:
    """Guards against an interrupted replay that loses what was under way, or that repeats it when it goes on."""
    finished_batch(tmp_path, labelled)
    Stream(kafka.address, "played.transactions", "played.labels", {}).create_topics()
    first = start(tmp_path, kafka, "--rate", "300")
    wait_for(lambda: len(consumed(kafka, "played.transactions")) > 100 or first.poll() is not None, "the replay")
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130, err
    place = re.fullmatch(r"interrupted: --skip (\d+) goes on from here\n", err)
    assert place, err
    sent = len(consumed(kafka, "played.transactions"))
    assert int(place[1]) == sent + len(consumed(kafka, "played.labels"))
    assert out.startswith(f"{sent:,} transactions (0 late, 0 duplicates) to played.transactions in ")
    second = start(tmp_path, kafka, "--rate", "100000", "--skip", place[1])
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    seen = [json.loads(record.value)["transaction_id"] for record in consumed(kafka, "played.transactions")]
    assert Counter(seen) == Counter(labelled.column("transaction_id").to_pylist())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 0.0}, "--rate 0 is out of range: use a number above 0"),
        ({"speed_up": float("nan")}, "--speed-up nan is out of range"),
        ({"rate": 1.0, "speed_up": 1.0}, "exclude each other"),
        ({"late_share": 1.5}, "--late-share 1.5 is not a share"),
        ({"duplicate_share": -0.1}, "--duplicate-share -0.1 is not a share"),
        ({"skip": -1}, "--skip -1 is negative"),
    ],
)
def test_options_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    """Guards against a replay that starts with nonsense."""
    with pytest.raises(InvalidRequestError, match=message):
        play("gen_1", **changes)


def test_what_cannot_be_played_is_refused(labelled: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a trace where a sentence would do: no broker, no batch, a batch that is not finished."""
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS is not set"):
        play("gen_1")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("SGF_STORAGE_URL", str(tmp_path))
    with pytest.raises(UnknownBatchError, match="gen_unknown"):
        play("gen_unknown")
    batches.register(LakeResource(url=str(tmp_path)), parse_request("gen_begun", content().model_dump(mode="json"), {}))
    with pytest.raises(InvalidRequestError, match="batch 'gen_begun' is not finished"):
        play("gen_begun")
    finished_batch(tmp_path, labelled)
    monkeypatch.setattr("sgf_pipeline.resources.stream.CONNECT_SECONDS", 1)
    with pytest.raises(SinkUnavailableError, match=r"does not answer .*--skip 0 goes on"):
        play("gen_played")


def play(batch_id: str, **changes: Any) -> None:
    options = {"rate": None, "speed_up": None, "late_share": 0.0, "duplicate_share": 0.0, "seed": 0, "skip": 0}
    replaying.replay(batch_id, storage_url=None, **{**options, **changes})
