"""The stream on a real broker with transactions (noida). What is killed here is the exporting run, not the broker."""

import json
import multiprocessing
import os
import signal
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from kafka import KafkaConsumer, TopicPartition

from sgf_pipeline.domain.errors import SinkUnavailableError
from sgf_pipeline.domain.schema import FEATURES, LABELS
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources import stream as stream_module
from sgf_pipeline.resources.stream import Delivered, Stream
from sgf_pipeline.resources.warehouse import Held, ShardKey
from sgf_pipeline_tests.integration.conftest import breaking_off, streamed
from sgf_pipeline_tests.integration.services import Noida, free_port
from sgf_pipeline_tests.integration.test_warehouse import expected


def delivered(batch: str, sha: str = "a" * 64) -> Delivered:
    return Delivered(ShardKey("default", batch, "phishing"), sha, "EUR")


def stream_of(server: Noida, name: str) -> Stream:
    return Stream(server.address, f"{name}.transactions", f"{name}.labels", {})


def consumed(server: Noida, topic: str) -> list[Any]:
    """Every record that a careful consumer sees."""
    consumer = KafkaConsumer(bootstrap_servers=server.address, isolation_level="read_committed",
                             auto_offset_reset="earliest", enable_auto_commit=False)  # fmt: skip
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    records: list[Any] = []
    while any(consumer.position(one) < end for one, end in ends.items()):
        for found in consumer.poll(timeout_ms=1000).values():
            records += found
    consumer.close()
    return records


def test_each_row_once_and_no_label_among_them(kafka: Noida, labelled: pa.Table) -> None:
    """Guards the two promises of the topics: every transaction once, and the truth on the other topic only."""
    stream = stream_of(kafka, "once")
    assert stream.publish(delivered("gen_1"), streamed(labelled), "run-1") == labelled.num_rows
    assert stream.publish(delivered("gen_1"), streamed(labelled), "run-2") == 0
    records = consumed(kafka, "once.transactions")
    rows = {row["transaction_id"]: row for row in labelled.to_pylist()}
    assert Counter(json.loads(record.value)["transaction_id"] for record in records) == Counter(list(rows))
    for record in records[:200]:
        value = json.loads(record.value)
        row = rows[value["transaction_id"]]
        assert tuple(value) == FEATURES
        assert record.key == row["account_id"].encode()
        assert value["amount"] == row["amount"]
        assert value["event_time"] == row["event_time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert dict(record.headers)["run"] == b"run-1"
    labels = consumed(kafka, "once.labels")
    frauds = {name for name, row in rows.items() if row["is_fraud"]}
    assert {json.loads(record.value)["transaction_id"] for record in labels} == frauds
    assert len(labels) == len(frauds)
    for record in labels[:50]:
        value = json.loads(record.value)
        assert set(value) == {"transaction_id", *LABELS}
        due = rows[value["transaction_id"]]["label_available_at"]
        assert record.timestamp == int(due.timestamp() * 1000)
    assert stream.held([delivered("gen_1")]) == {delivered("gen_1").key: expected(labelled)}


def test_an_account_stays_in_order(kafka: Noida, labelled: pa.Table) -> None:
    """Guards against one account's events on two partitions, or out of time."""
    stream = stream_of(kafka, "order")
    stream.publish(delivered("gen_1"), streamed(labelled), "run")
    seen: dict[bytes, tuple[int, str]] = {}
    for record in sorted(consumed(kafka, "order.transactions"), key=lambda record: (record.partition, record.offset)):
        moment = json.loads(record.value)["event_time"]
        partition, before = seen.get(record.key, (record.partition, ""))
        assert partition == record.partition
        assert before <= moment
        seen[record.key] = (partition, moment)
    assert len(seen) > 50


def _publish_and_die(servers: str, table: pa.Table, chunk_rows: int, after_rows: int) -> None:
    stream_module.CHUNK_ROWS = chunk_rows

    def read():  # type: ignore[no-untyped-def]
        count = 0
        for batch in table.to_batches(max_chunksize=100):
            if count >= after_rows:
                os.kill(os.getpid(), signal.SIGKILL)
            count += batch.num_rows
            yield batch

    Stream(servers, "killed.transactions", "killed.labels", {}).publish(
        delivered("gen_1"), RowStream(table.schema, read), "run"
    )


def test_five_killed_runs_leave_each_row_once(
    kafka: Noida, labelled: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards exactly-once: five runs die at kill -9 in their middle, the sixth ends, a consumer sees every row once."""
    spawn = multiprocessing.get_context("spawn")
    for after_rows in (150, 700, 1100, 1900, 2600):
        process = spawn.Process(target=_publish_and_die, args=(kafka.address, labelled, 500, after_rows))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
    monkeypatch.setattr(stream_module, "CHUNK_ROWS", 500)
    stream = stream_of(kafka, "killed")
    assert 0 < stream.publish(delivered("gen_1"), streamed(labelled), "last") < labelled.num_rows
    seen = Counter(json.loads(record.value)["transaction_id"] for record in consumed(kafka, "killed.transactions"))
    assert seen == Counter(labelled.column("transaction_id").to_pylist())
    assert stream.held([delivered("gen_1")]) == {delivered("gen_1").key: expected(labelled)}


def test_a_chunk_that_fails_is_taken_back(kafka: Noida, labelled: pa.Table) -> None:
    """Guards against half a chunk that a careful consumer sees, and against new rows counted with old ones."""
    stream = stream_of(kafka, "broken")
    with pytest.raises(RuntimeError, match="the run dies here"):
        stream.publish(delivered("gen_1"), breaking_off(labelled), "run-1")
    assert stream.held([delivered("gen_1")])[delivered("gen_1").key] == Held(0, 0, "0" * 24)
    rebuilt = delivered("gen_1", "b" * 64)
    stream.publish(delivered("gen_1"), streamed(labelled), "run-2")
    stream.publish(rebuilt, streamed(labelled.slice(0, 500)), "run-3")
    assert stream.held([rebuilt]) == {rebuilt.key: expected(labelled.slice(0, 500))}


def test_a_broker_that_is_not_there_is_named(labelled: pa.Table) -> None:
    """Guards against a run that hangs, and an error that names neither sink nor remedy."""
    server = f"127.0.0.1:{free_port()}"
    with pytest.raises(SinkUnavailableError, match=rf"stream {server} does not answer .*try again later"):
        Stream(server, "t", "l", {}).publish(delivered("gen_1"), streamed(labelled), "run")
