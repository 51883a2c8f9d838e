"""The stream on a real broker with transactions (noida), behind a gate where the broker lacks something.

The broker writes what it holds to its disk every two seconds or so: what it acknowledged after that is lost when it is
killed, and no client can help it. The test that kills it therefore waits for that first.
"""

import json
import logging
import multiprocessing
import os
import signal
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import trustme
from jsonschema import Draft202012Validator
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from sgf_pipeline import batches
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.errors import ConfigurationError, ReconciliationError, SinkError, SinkUnavailableError
from sgf_pipeline.domain.json_schemas import label_schema, transaction_schema
from sgf_pipeline.domain.schema import FEATURES, LABELS
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.resources import stream as stream_module
from sgf_pipeline.resources.held import Held, ShardKey
from sgf_pipeline.resources.stream import Delivered, Stream, labels_of
from sgf_pipeline.settings import Settings, read_settings
from sgf_pipeline_tests.building import run
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.integration import front
from sgf_pipeline_tests.integration.conftest import breaking_off, streamed
from sgf_pipeline_tests.integration.front import Front
from sgf_pipeline_tests.integration.services import Noida, SeaweedFS, Tansu, free_port, wait_for
from sgf_pipeline_tests.integration.test_warehouse import expected


def delivered(batch: str, sha: str = "a" * 64) -> Delivered:
    return Delivered(ShardKey("default", batch, "phishing"), sha, "EUR")


def stream_of(server: Noida | Tansu | Front, name: str, **security: Any) -> Stream:
    return Stream(server.address, f"{name}.transactions", f"{name}.labels", security)


@pytest.fixture
def gate(kafka: Noida) -> Iterator[Callable[..., Front]]:
    """Makes gates before the broker."""
    opened: list[Front] = []

    def make(**options: Any) -> Front:
        opened.append(Front(kafka, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds, so short that a test can wait for them."""
    monkeypatch.setattr(stream_module, "CHUNK_ROWS", 500)
    monkeypatch.setattr(stream_module, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(stream_module, "SEND_SECONDS", 3.0)
    monkeypatch.setattr(stream_module, "CLOSE_SECONDS", 1.0)


def halfway(table: pa.Table, happens: Callable[[], object]) -> RowStream:
    """The rows, and something that happens when half of them are out."""

    def read() -> Iterator[pa.RecordBatch]:
        yield from table.slice(0, table.num_rows // 2).to_batches()
        happens()
        yield from table.slice(table.num_rows // 2).to_batches()

    return RowStream(table.schema, read)


def assert_each_once(server: Noida, stream: Stream, table: pa.Table) -> None:
    seen = Counter(json.loads(record.value)["transaction_id"] for record in consumed(server, stream.topic))
    assert seen == Counter(table.column("transaction_id").to_pylist())
    assert stream.held([delivered("gen_1")]) == {delivered("gen_1").key: expected(table)}


def consumed(server: Noida | Tansu, topic: str) -> list[Any]:
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


def until_quiet(server: Tansu, topic: str) -> list[Any]:
    """Every record: once killed, Tansu names ends of partitions that lie before records which it serves."""
    consumer = KafkaConsumer(bootstrap_servers=server.address, isolation_level="read_committed",
                             auto_offset_reset="earliest", enable_auto_commit=False)  # fmt: skip
    consumer.assign([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)])
    records: list[Any] = []
    while found := consumer.poll(timeout_ms=2000):
        records += [record for part in found.values() for record in part]
    consumer.close()
    return records


def test_each_row_once_and_no_label_among_them(kafka: Noida, labelled: pa.Table) -> None:
    """Guards the two promises of the topics: every transaction once, and the truth on the other topic only."""
    stream = stream_of(kafka, "once")
    assert stream.publish(delivered("gen_1"), streamed(labelled), "run-1") == labelled.num_rows
    assert stream.publish(delivered("gen_1"), streamed(labelled), "run-2") == 0
    records = consumed(kafka, "once.transactions")
    published = Draft202012Validator(transaction_schema())
    assert all(published.is_valid(json.loads(record.value)) for record in records)
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
    published = Draft202012Validator(label_schema())
    assert all(published.is_valid(json.loads(record.value)) for record in labels)
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
    assert_each_once(kafka, stream, labelled)


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


def forgetting(server: Noida, *, topics: Iterable[str] = (), progress_of: Iterable[str] = ()) -> None:
    """Take topics away, and the progress of batches, as a broker does that restarts without its disk, or in time."""
    admin = KafkaAdminClient(bootstrap_servers=server.address)
    admin.delete_topics(list(topics))
    groups = [one["group_id"] for one in admin.list_groups()]
    admin.delete_groups([group for group in groups for batch in progress_of if f".{batch}." in group])
    admin.close()


def attempts(server: Noida, topic: str) -> Counter[bytes]:
    return Counter(dict(record.headers)["attempt"] for record in consumed(server, topic))


def test_what_the_broker_lost_is_sent_again(kafka: Noida, labelled: pa.Table) -> None:
    """Guards against progress that outlives its rows: a run that says "nothing to send" over an empty topic."""
    stream = stream_of(kafka, "lost")
    stream.publish(delivered("gen_lost"), streamed(labelled), "run-1")
    forgetting(kafka, topics=["lost.transactions"])
    assert stream.publish(delivered("gen_lost"), streamed(labelled), "run-2", published=True) == labelled.num_rows
    assert stream.held([delivered("gen_lost")]) == {delivered("gen_lost").key: expected(labelled)}
    assert stream.publish(delivered("gen_lost"), streamed(labelled), "run-3", published=True) == 0


def test_a_part_that_is_lost_makes_a_new_attempt(
    kafka: Noida, labelled: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a loss in the middle that is patched over: only the newest attempt counts, and it is whole."""
    monkeypatch.setattr(stream_module, "CHUNK_ROWS", 500)
    stream, one = stream_of(kafka, "torn"), delivered("gen_torn")
    with pytest.raises(RuntimeError, match="the run dies here"):
        stream.publish(one, breaking_off(labelled), "run-1")
    forgetting(kafka, topics=["torn.transactions"])
    # Of other rows under the same progress: what a broker holds that has lost some of them and kept others.
    assert stream.publish(one, streamed(labelled.slice(500)), "run-2") == labelled.num_rows - 500
    assert stream.publish(one, streamed(labelled), "run-3") == labelled.num_rows
    # Of the first attempt only labels are left.
    assert attempts(kafka, stream.topic) == {b"2": labelled.num_rows - 500, b"3": labelled.num_rows}
    assert stream.publish(one, streamed(labelled), "run-4") == 0
    forgetting(kafka, progress_of=["gen_torn"])  # so that both attempts are read
    assert stream.held([one]) == {one.key: expected(labelled)}
    assert stream.publish(one, streamed(labelled), "run-5", published=True) == 0


def test_forgotten_progress_sends_nothing_twice(
    kafka: Noida, labelled: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a second copy, a week later, of what the receipt says is there, and against a blind manifest."""
    monkeypatch.setattr(stream_module, "CHUNK_ROWS", 500)
    stream, one, other = stream_of(kafka, "aged"), delivered("gen_aged"), delivered("gen_aged_other")
    for each in (other, one):
        stream.publish(each, streamed(labelled), "run-1")
    forgetting(kafka, progress_of=["gen_aged", "gen_aged_other"])
    assert stream.held([one, other]) == {each.key: expected(labelled) for each in (one, other)}
    assert stream.publish(one, streamed(labelled), "run-2", published=True) == 0
    assert attempts(kafka, stream.topic) == {b"1": 2 * labelled.num_rows}


def headers_of(one: Delivered, attempt: str | None = "1") -> list[tuple[str, bytes]]:
    """Of a record that claims to be of a shard."""
    texts = {"tenant": one.key.tenant, "batch": one.key.batch_id, "shard": one.key.shard, "data": one.data_sha}
    named = texts if attempt is None else {**texts, "attempt": attempt}
    return [(name, text.encode()) for name, text in named.items()]


def put(server: Noida, topic: str, values: Iterable[bytes], headers: list[tuple[str, bytes]]) -> None:
    """What somebody else writes onto a topic of ours."""
    producer = KafkaProducer(bootstrap_servers=server.address)
    sent = [producer.send(topic, key=b"k", value=value, headers=headers) for value in values]
    producer.flush(30)
    assert all(future.succeeded() for future in sent)
    producer.close(5)


@pytest.mark.parametrize("change", ["removed", "forged", "duplicated", "no JSON"])
def test_a_change_of_labels_is_found_and_mended(kafka: Noida, labelled: pa.Table, change: str) -> None:
    """Guards against a truth that nobody checks: the transactions are whole, their labels are not."""
    name = change.replace(" ", "_")
    stream = stream_of(kafka, f"labels_{name}")
    one = replace(delivered(f"gen_labels_{name}"), labels=labels_of(streamed(labelled)))
    stream.publish(one, streamed(labelled), "run-1")
    assert stream.held([one]) == {one.key: expected(labelled)}
    values = [record.value for record in consumed(kafka, stream.labels_topic)]
    forged = values[0].replace(json.loads(values[0])["transaction_id"].encode(), b"txn_" + b"0" * 24)
    if change in ("removed", "forged"):
        forgetting(kafka, topics=[stream.labels_topic])
        stream.create_topics()
        put(kafka, stream.labels_topic, [forged] * (change == "forged") + values[1:], headers_of(one))
    else:
        put(kafka, stream.labels_topic, [values[0] if change == "duplicated" else b"{"], headers_of(one))
    with pytest.raises(ReconciliationError, match=rf"stream holds labels \d+ .*instead of {len(values)} .*export this"):
        stream.held([one])
    assert stream.publish(one, streamed(labelled), "run-2", published=True) == labelled.num_rows
    assert stream.held([one]) == {one.key: expected(labelled)}
    assert stream.publish(one, streamed(labelled), "run-3", published=True) == 0


def test_a_record_without_an_attempt_is_not_ours(kafka: Noida, labelled: pa.Table) -> None:
    """Guards against a foreign producer on our topic that ends every reconciliation in a KeyError."""
    stream = stream_of(kafka, "foreign")
    one = replace(delivered("gen_foreign"), labels=labels_of(streamed(labelled)))
    stream.publish(one, streamed(labelled), "run-1")
    record = consumed(kafka, stream.topic)[0].value
    strange = [headers_of(one, None), headers_of(one, "one"), headers_of(one, ""), [("tenant", b"\xff")], []]
    for headers in strange:
        for topic in (stream.topic, stream.labels_topic):
            put(kafka, topic, [record, b"{"], headers)
    assert stream.held([one]) == {one.key: expected(labelled)}
    assert stream.publish(one, streamed(labelled), "run-2") == 0
    put(kafka, stream.topic, [b"{"], headers_of(one))
    assert stream.held([one])[one.key].rows == labelled.num_rows + 1


def test_a_neighbours_open_transaction_hides_nothing(kafka: Noida, labelled: pa.Table) -> None:
    """Guards against rows sent twice because another shard's transaction, begun before them, is still open."""
    stream, one = stream_of(kafka, "beside"), delivered("gen_beside")
    with stream.producer(transactional_id="a neighbour") as neighbour:
        neighbour.init_transactions()
        stream.create_topics()
        neighbour.begin_transaction()
        for partition in range(stream_module.PARTITIONS):
            neighbour.send(stream.topic, value=b"{}", partition=partition)
        neighbour.flush()
        stream.publish(one, streamed(labelled), "run-1")
        end = threading.Timer(1.0, neighbour.commit_transaction)
        end.start()
        try:
            assert stream.publish(one, streamed(labelled), "run-2") == 0
        finally:
            end.join()


@pytest.mark.usefixtures("in_haste")
def test_an_error_that_is_not_the_clients_is_told_at_once() -> None:
    """Guards against a defect that looks, a minute later, like a broker that does not answer."""
    with pytest.raises(ZeroDivisionError):
        stream_module._within_bound(lambda: 1 / 0)


def test_a_run_without_a_broker_keeps_the_note_of_one_with(
    kafka: Noida, make_settings: Callable[..., Settings], instance: dg.DagsterInstance
) -> None:
    """Guards against a published batch that its receipt calls skipped since a variable was missing once."""
    asked = small_request("gen_noted", count=200, scenarios=["card_testing"])
    settings = make_settings(kafka_bootstrap_servers=kafka.address, kafka_topic="noted.transactions",
                             kafka_labels_topic="noted.labels")  # fmt: skip
    same = {name: getattr(settings, name) for name in ("sgf_storage_url", "database_url")}
    lake = lake_of(settings)
    batches.register(lake, asked)
    instance.add_dynamic_partitions("batch_id", [asked.batch_id])
    cell = shard_key(asked.batch_id, "card_testing")
    for one in (settings, make_settings(**same)):
        assert run(build_definitions(one), instance, "build_shard", cell).success
        assert batches.receipts(lake, asked)["card_testing"]["sinks"]["stream"]["state"] == "done"
    forgetting(kafka, progress_of=["gen_noted"])
    assert run(build_definitions(settings), instance, "build_shard", cell).success
    assert len(consumed(kafka, "noted.transactions")) == 200


def test_a_broker_that_comes_late_is_waited_for(tmp_path: Path, labelled: pa.Table) -> None:
    """Guards against a night's batch that fails because the broker was a second behind."""
    server = Noida(tmp_path)
    server.kill()
    late = threading.Timer(1.5, server.start)
    late.start()
    try:
        stream = stream_of(server, "tardy")
        assert stream.publish(delivered("gen_1"), streamed(labelled), "run") == labelled.num_rows
    finally:
        late.join()
        server.kill()


@pytest.mark.usefixtures("in_haste")
def test_a_broker_that_is_not_there_is_named(labelled: pa.Table) -> None:
    """Guards against a run that hangs, and an error that names neither sink nor remedy."""
    server = f"127.0.0.1:{free_port()}"
    with pytest.raises(SinkUnavailableError, match=rf"stream {server} does not answer .*try again later"):
        Stream(server, "t", "l", {}).publish(delivered("gen_1"), streamed(labelled), "run")


def test_an_account_lies_where_other_producers_put_it(kafka: Noida, labelled: pa.Table) -> None:
    """Guards against a partitioner of our own that parts an account from what other programs write about it."""
    stream = stream_of(kafka, "place")
    stream.publish(delivered("gen_1"), streamed(labelled), "run")
    ours = {record.key: record.partition for record in consumed(kafka, "place.transactions")}
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    theirs = {key: producer.send("place.transactions", key=key, value=b"{}") for key in ours}
    producer.flush(30)
    producer.close(5)
    assert ours == {key: future.get(timeout=5).partition for key, future in theirs.items()}


def test_lost_replies_leave_each_row_once(
    kafka: Noida, gate: Callable[..., Front], labelled: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards exactly-once on a bad network: replies to records, progress and commits are lost after the fact."""
    monkeypatch.setattr(stream_module, "CHUNK_ROWS", 500)
    kinds = (front.ADD_PARTITIONS, front.ADD_OFFSETS, front.COMMIT_OFFSETS, front.END_TRANSACTION)
    bad = gate(lose={front.PRODUCE: 3, **dict.fromkeys(kinds, 2)})
    for attempt in range(5):  # as the step's retries do
        try:
            stream_of(bad, "lossy").publish(delivered("gen_1"), streamed(labelled), f"run-{attempt}")
            break
        except SinkUnavailableError:
            continue
    assert bad.lost[front.PRODUCE] > 1
    assert all(bad.lost[kind] for kind in kinds)
    assert_each_once(kafka, stream_of(kafka, "lossy"), labelled)


@pytest.mark.usefixtures("in_haste")
def test_a_broker_that_hangs_is_given_up_and_gone_on_with(kafka: Noida, labelled: pa.Table) -> None:
    """Guards against a run that waits for ever, and against its rows twice when it is tried again."""
    stream = stream_of(kafka, "frozen")
    try:
        with pytest.raises(SinkUnavailableError, match=f"stream {kafka.address} does not answer .*try again later"):
            stream.publish(delivered("gen_1"), halfway(labelled, kafka.freeze), "run-1")
    finally:
        kafka.thaw()
    assert 0 < stream.publish(delivered("gen_1"), streamed(labelled), "run-2") < labelled.num_rows
    assert_each_once(kafka, stream, labelled)


@pytest.mark.usefixtures("in_haste")
def test_a_commit_that_is_never_answered_is_given_up(
    kafka: Noida, gate: Callable[..., Front], labelled: pa.Table
) -> None:
    """Guards against kafka-python, which waits for a commit without a bound; and the commit was made all the same."""
    mute = gate(lose={front.END_TRANSACTION: 1})
    with pytest.raises(SinkUnavailableError, match=f"stream {mute.address} does not answer .*no answer within 3 s"):
        stream_of(mute, "mute").publish(delivered("gen_1"), streamed(labelled), "run-1")
    stream = stream_of(kafka, "mute")
    assert stream.publish(delivered("gen_1"), streamed(labelled), "run-2") == labelled.num_rows - 500
    assert_each_once(kafka, stream, labelled)


@pytest.mark.usefixtures("in_haste")
def test_a_killed_broker_is_gone_on_with_where_its_disk_ends(tmp_path: Path, labelled: pa.Table) -> None:
    """Guards against rows lost or doubled when the broker dies at kill -9 in the middle and comes back."""
    server = Noida(tmp_path)
    try:
        stream = stream_of(server, "reborn")
        halves = labelled.num_rows // 2 // 500

        def on_disk() -> bool:
            text = (tmp_path / "kafka.json").read_text() if (tmp_path / "kafka.json").exists() else "{}"
            offsets = json.loads(text).get("committed_offsets", []) if text.endswith("}") else []
            return any(place[1:] == ["reborn.labels", 0] and done == halves for place, done in offsets)

        def power_cut() -> None:
            wait_for(on_disk, "the broker's disk")
            server.kill()
            server.start()

        for attempt, rows in enumerate([halfway(labelled, power_cut), streamed(labelled), streamed(labelled)]):
            try:
                stream.publish(delivered("gen_1"), rows, f"run-{attempt}")
                break
            except SinkUnavailableError:
                continue
        assert_each_once(server, stream, labelled)
    finally:
        server.kill()


def interrupted(table: pa.Table, moments: list[tuple[int, float]], happens: Callable[[], object]) -> RowStream:
    """The rows, and something that happens so many seconds after so many of them were read, once at each moment."""

    def read() -> Iterator[pa.RecordBatch]:
        count = 0
        for batch in table.to_batches(max_chunksize=100):
            if moments and count >= moments[0][0]:
                threading.Timer(moments.pop(0)[1], happens).start()
            count += batch.num_rows
            yield batch

    return RowStream(table.schema, read)


@pytest.mark.usefixtures("in_haste")
def test_five_kills_of_a_broker_that_keeps_what_it_took(seaweed: SeaweedFS, labelled: pa.Table) -> None:
    """Guards against rows lost or doubled for a consumer when the broker dies at kill -9 five times in one export."""
    server, busy = Tansu(seaweed), threading.Lock()
    try:
        stream, one = stream_of(server, "kept"), replace(delivered("gen_1"), labels=labels_of(streamed(labelled)))
        moments = [(number * 500, number * 0.02) for number in range(1, 6)]
        deaths: list[int] = []

        def power_cut() -> None:
            with busy:
                server.kill()
                server.start()
                deaths.append(server.port)

        # What fails is tried again by the step; what the reconciliation finds, by "export this shard again".
        for attempt in range(12):
            with suppress(SinkUnavailableError, ReconciliationError):
                stream.publish(one, interrupted(labelled, moments, power_cut), f"run-{attempt}")
                if len(deaths) == 5 and stream.held([one]) == {one.key: expected(labelled)}:
                    break
        assert len(deaths) == 5
        records = until_quiet(server, stream.topic)
        newest = max(int(dict(record.headers)["attempt"]) for record in records)
        seen = Counter(
            json.loads(record.value)["transaction_id"]
            for record in records
            if int(dict(record.headers)["attempt"]) == newest
        )
        assert seen == Counter(labelled.column("transaction_id").to_pylist())
    finally:
        with busy:
            server.kill()


def test_a_topic_without_rights_is_refused_at_once(gate: Callable[..., Front], labelled: pa.Table) -> None:
    """Guards against a refusal that is tried again for minutes, or that does not say which rights are missing."""
    closed = gate(forbidden="closed.transactions")
    with pytest.raises(SinkError, match=r"refuses \(TopicAuthorizationFailedError.*rights on closed.transactions"):
        stream_of(closed, "closed").publish(delivered("gen_1"), streamed(labelled), "run")


def certificates(folder: Path, name: str = "127.0.0.1", **options: Any) -> tuple[ssl.SSLContext, dict[str, str]]:
    """A server's side of mutual TLS, and a client's settings for it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name, **options).configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("sgf@example.org")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    files = {"ssl_cafile": str(folder / "ca.pem"), "ssl_certfile": str(folder / "client.pem")}
    return server, {"security_protocol": "SSL", **files}


def test_mutual_tls(kafka: Noida, gate: Callable[..., Front], labelled: pa.Table, tmp_path: Path) -> None:
    """Guards against TLS settings that are read and not used: this gate speaks to known certificates only."""
    server, settings = certificates(tmp_path)
    stream = stream_of(gate(tls=server), "tls", **settings)
    assert stream.publish(delivered("gen_1"), streamed(labelled), "run") == labelled.num_rows
    assert_each_once(kafka, stream, labelled)


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize(
    ("server_options", "client_changes", "reason"),
    [
        ({"not_after": datetime.now(UTC) - timedelta(days=1)}, {}, "certificate has expired"),
        ({"name": "elsewhere.example.org"}, {}, "certificate is not valid for '127.0.0.1'"),
        ({}, {"ssl_certfile": None}, "CERTIFICATE_REQUIRED"),
        ({}, {"ssl_cafile": "/nowhere/ca.pem"}, "No such file"),
    ],
)
def test_tls_that_fails_says_why(
    gate: Callable[..., Front],
    labelled: pa.Table,
    tmp_path: Path,
    server_options: Any,
    client_changes: Any,
    reason: str,
) -> None:
    """Guards against "try again later" for a certificate that will never be good."""
    server, settings = certificates(tmp_path, **server_options)
    door = gate(tls=server)
    stream = stream_of(door, "tls", **{**settings, **client_changes})
    with pytest.raises(SinkError, match=rf"stream {door.address} .*{reason}.*check .*KAFKA_"):
        stream.publish(delivered("gen_1"), streamed(labelled), "run")


PASSWORD = "a-Very-secret-word"


def logged_in(password: str) -> dict[str, str]:
    return {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_plain_username": "sgf",
            "sasl_plain_password": password}  # fmt: skip


@pytest.mark.usefixtures("in_haste")
def test_a_wrong_password_is_told_and_no_password_shown(
    kafka: Noida, gate: Callable[..., Front], labelled: pa.Table, caplog: pytest.LogCaptureFixture
) -> None:
    """Guards against a refused log-in that looks like a broker that is away, and against a password in error or log."""
    caplog.set_level(logging.DEBUG)
    guarded = gate(password=PASSWORD)
    wrong = stream_of(guarded, "sasl", **logged_in("another-secret-word"))
    with pytest.raises(SinkError, match=r"refuses .SaslAuthenticationFailed.*check the KAFKA_ settings") as refused:
        wrong.publish(delivered("gen_1"), streamed(labelled), "run")
    right = stream_of(guarded, "sasl", **logged_in(PASSWORD))
    assert right.publish(delivered("gen_1"), streamed(labelled), "run") == labelled.num_rows
    assert_each_once(kafka, right, labelled)
    shown = f"{refused.value!r} {refused.value.__cause__!r} {caplog.text} {vars(right).keys()} {right!r}"
    assert "secret-word" not in shown.lower()


@pytest.mark.parametrize(
    ("protocol", "password", "message"),
    [
        ("SASL_SSL", None, "KAFKA_SASL_PASSWORD is not set, but KAFKA_SECURITY_PROTOCOL is SASL_SSL"),
        ("SSL", PASSWORD, "KAFKA_SASL_PASSWORD is set, but KAFKA_SECURITY_PROTOCOL is SSL, which sends none"),
    ],
)
def test_settings_that_would_log_in_halfway_are_refused(
    monkeypatch: pytest.MonkeyPatch, protocol: str, password: str | None, message: str
) -> None:
    """Guards against a password that is set and never sent, and against a log-in without one."""
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", protocol)
    monkeypatch.setenv("KAFKA_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "sgf")
    if password:
        monkeypatch.setenv("KAFKA_SASL_PASSWORD", password)
    with pytest.raises(ConfigurationError, match=message):
        read_settings()
