"""The stream: transactions and, apart from them, their labels on two Kafka topics, each row exactly once.

Belongs here: records, transactions, progress, reading back. Does not belong here: playing a batch against the clock.

A shard is sent in chunks, each one Kafka transaction that also commits offsets of a consumer group named after the
shard and its content: on the labels' topic how many chunks are done, on the transactions' topic where the first one
began in each partition. A run that takes over after a crash first fences its predecessor
(same transactional id), then goes on behind the last committed chunk: under ``read_committed`` nothing is lost and
nothing comes twice. Chunks hold the same rows in every attempt, because equal content is equal bytes.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from sgf_pipeline.domain.errors import SinkError, SinkUnavailableError
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.schema import FEATURES, LABELS
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources.warehouse import Held, ShardKey

CHUNK_ROWS = 10_000  # one transaction; a larger one is not faster, and more is sent again after a crash
PARTITIONS = 6  # of topics that we create ourselves
CONNECT_SECONDS = 10
SEND_SECONDS = 60.0
READ_SECONDS = 60.0
POLL_MS = 1_000
# Labels carry the time at which a bank would have known as their timestamp, which a broker that deletes by age would
# take for their age: the topics that we create keep everything. (A topic that exists is left as it is.)
TOPIC_OPTIONS = {"retention.ms": "-1"}
PROGRESS = 0  # the partition of the labels' topic whose offset counts the chunks that are done


@dataclass(frozen=True)
class Delivered:
    """A shard on the stream: the content that was sent, and where its first chunk begins in each partition."""

    key: ShardKey
    data_sha: str
    currency: str


class Stream:
    """The broker of ``servers``. ``security`` holds kafka-python's options for TLS and SASL, shown nowhere."""

    def __init__(self, servers: str, topic: str, labels_topic: str, security: Mapping[str, Any]) -> None:
        self.servers = servers
        self.topic = topic
        self.labels_topic = labels_topic
        self._options = {
            "bootstrap_servers": servers.split(","),
            "bootstrap_timeout_ms": CONNECT_SECONDS * 1000,
            **security,
        }

    def publish(self, delivered: Delivered, rows: RowStream, run_id: str) -> int:
        """Send what is not yet there of the shard's rows (``TRANSACTION_SCHEMA``); return how many were sent now.

        Raises ``SinkUnavailableError`` where the broker does not answer, ``SinkError`` where it refuses.
        """
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        key, group = delivered.key, _group(delivered)
        headers = [("tenant", key.tenant), ("batch", key.batch_id), ("shard", key.shard), ("run", run_id),
                   ("data", delivered.data_sha)]  # fmt: skip
        encoded = [(name, value.encode()) for name, value in headers]
        sent = 0
        with self._reaching():
            self._create_topics()
            producer = KafkaProducer(
                **self._options, transactional_id=f"sgf.{key.tenant}.{key.batch_id}.{key.shard}", acks="all",
                enable_idempotence=True, linger_ms=20, batch_size=1 << 18, max_block_ms=int(SEND_SECONDS * 1000),
            )  # fmt: skip
            try:
                producer.init_transactions()
                done = self._chunks_done(group)
                for number, chunk in enumerate(_chunks(rows)):
                    if number < done:
                        continue
                    producer.begin_transaction()
                    try:
                        self._send(producer, chunk, encoded, group, number)
                    except KafkaError:
                        producer.abort_transaction()
                        raise
                    producer.commit_transaction()
                    sent += chunk.num_rows
            finally:
                producer.close(timeout=SEND_SECONDS)
        return sent

    def held(self, shards: Iterable[Delivered]) -> dict[ShardKey, Held]:
        """Read the topic back under ``read_committed``, from the first chunk of these shards on, in one pass."""
        from kafka import KafkaConsumer, TopicPartition

        wanted = {(one.key.tenant, one.key.batch_id, one.key.shard, one.data_sha): one for one in shards}
        counts = {one.key: [0, 0, 0] for one in wanted.values()}
        with self._reaching():
            consumer = KafkaConsumer(**self._options, isolation_level="read_committed", enable_auto_commit=False)
            try:
                partitions = [
                    TopicPartition(self.topic, n) for n in sorted(consumer.partitions_for_topic(self.topic) or ())
                ]
                consumer.assign(partitions)
                starts = self._starts([_group(one) for one in wanted.values()])
                ends = consumer.end_offsets(partitions)
                left = {}
                for partition in partitions:
                    first = starts.get(partition.partition, ends[partition])
                    consumer.seek(partition, first)
                    if first < ends[partition]:
                        left[partition] = ends[partition]
                deadline = time.monotonic() + READ_SECONDS
                while left:
                    for records in consumer.poll(timeout_ms=POLL_MS, max_records=20_000).values():
                        deadline = time.monotonic() + READ_SECONDS
                        for record in records:
                            _count(record, wanted, counts)
                    # The position passes control records, too, which no poll returns.
                    left = {one: end for one, end in left.items() if consumer.position(one) < end}
                    if time.monotonic() > deadline:
                        raise SinkUnavailableError(
                            f"stream {self.servers} does not answer (topic {self.topic} cannot be read to its end):"
                            " try again later"
                        )
            finally:
                consumer.close(autocommit=False)
        return {key: Held(rows, minor, f"{bits:024x}") for key, (rows, minor, bits) in counts.items()}

    def _send(self, producer: Any, chunk: pa.Table, headers: list[tuple[str, bytes]], group: str, number: int) -> None:
        from kafka import TopicPartition
        from kafka.structs import OffsetAndMetadata

        offsets = {TopicPartition(self.labels_topic, PROGRESS): OffsetAndMetadata(number + 1, "", -1)}
        if number == 0:
            offsets |= {one: OffsetAndMetadata(end, "", -1) for one, end in self._end_offsets().items()}
        futures = [
            producer.send(self.topic, key=key, value=value, headers=headers)
            for key, value, _ in _records(chunk, FEATURES, "event_time")
        ]
        futures += [
            producer.send(self.labels_topic, key=key, value=value, headers=headers, timestamp_ms=moment)
            for key, value, moment in _labels(chunk)
        ]
        producer.flush(timeout=SEND_SECONDS)
        for future in futures:
            future.get(timeout=SEND_SECONDS)  # raises what became of it
        producer.send_offsets_to_transaction(offsets, group)

    def _create_topics(self) -> None:
        from kafka import KafkaAdminClient
        from kafka.admin import NewTopic
        from kafka.errors import TopicAlreadyExistsError

        admin = KafkaAdminClient(**self._options)
        try:
            there = set(admin.list_topics())
            for topic in (self.topic, self.labels_topic):
                if topic not in there:
                    with suppress(TopicAlreadyExistsError):  # another shard was quicker
                        admin.create_topics([NewTopic(topic, PARTITIONS, -1, topic_configs=TOPIC_OPTIONS)])
        finally:
            admin.close()

    def _end_offsets(self) -> dict[Any, int]:
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(**self._options, enable_auto_commit=False)
        try:
            numbers = sorted(consumer.partitions_for_topic(self.topic) or ())
            ends: dict[Any, int] = consumer.end_offsets([TopicPartition(self.topic, number) for number in numbers])
            return ends
        finally:
            consumer.close(autocommit=False)

    def _chunks_done(self, group: str) -> int:
        return self._offsets(group).get((self.labels_topic, PROGRESS), 0)

    def _starts(self, groups: Iterable[str]) -> dict[int, int]:
        """The lowest first offset of each partition of the transactions' topic."""
        starts: dict[int, int] = {}
        for group in groups:
            for (topic, partition), offset in self._offsets(group).items():
                if topic == self.topic:
                    starts[partition] = min(offset, starts.get(partition, offset))
        return starts

    def _offsets(self, group: str) -> dict[tuple[str, int], int]:
        from kafka import KafkaAdminClient
        from kafka.errors import GroupIdNotFoundError

        admin = KafkaAdminClient(**self._options)
        try:
            found = admin.list_group_offsets(group).get(group, {})
            return {(one.topic, one.partition): place.offset for one, place in found.items() if place.offset >= 0}
        except GroupIdNotFoundError:
            return {}
        finally:
            admin.close()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        from kafka import errors

        refused = (errors.AuthorizationError, errors.TopicAuthorizationFailedError,
                   errors.GroupAuthorizationFailedError, errors.ClusterAuthorizationFailedError,
                   errors.TransactionalIdAuthorizationFailedError, errors.SaslAuthenticationFailedError,
                   errors.UnsupportedVersionError, errors.InvalidReplicationFactorError,
                   errors.MessageSizeTooLargeError, errors.KafkaConfigurationError)  # fmt: skip
        try:
            yield
        except refused as error:
            raise SinkError(
                f"stream {self.servers} refuses ({_said(error)}): check the KAFKA_ settings and the rights on"
                f" {self.topic} and {self.labels_topic}"
            ) from error
        except errors.KafkaError as error:
            raise SinkUnavailableError(
                f"stream {self.servers} does not answer ({_said(error)}): try again later"
            ) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__} {' '.join(str(error).split())}".strip()


def _group(delivered: Delivered) -> str:
    key = delivered.key
    return f"sgf.export.{key.tenant}.{key.batch_id}.{key.shard}.{delivered.data_sha[:16]}"


def _chunks(rows: RowStream) -> Iterator[pa.Table]:
    """Tables of ``CHUNK_ROWS`` rows, the last one shorter, whatever the length of the batches."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in rows:
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, CHUNK_ROWS - count)
            start += part.num_rows
            waiting.append(part)
            count += part.num_rows
            if count == CHUNK_ROWS:
                yield pa.Table.from_batches(waiting)
                waiting, count = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _labels(chunk: pa.Table) -> Iterator[tuple[bytes, bytes, int]]:
    """(account, JSON of the labels, when a bank would have known in ms) of each fraud: no record means no fraud."""
    frauds = chunk.filter(chunk.column("is_fraud"))
    return _records(frauds, ("transaction_id", *LABELS), "label_available_at")


def _records(rows: pa.Table, names: tuple[str, ...], moment: str) -> Iterator[tuple[bytes, bytes, int]]:
    accounts = rows.column("account_id").to_pylist()
    moments = pc.floor_temporal(rows.column(moment), unit="millisecond").cast(pa.int64()).to_pylist()
    columns = [_plain(rows.column(name)) for name in names]
    for account, when, *values in zip(accounts, moments, *columns, strict=True):
        yield account.encode(), orjson.dumps(dict(zip(names, values, strict=True))), when // 1000


def _plain(column: Any) -> Any:
    """What JSON can hold: times as ISO 8601 with microseconds and Z."""
    if pa.types.is_timestamp(column.type):
        texts = pc.strftime(column, "%Y-%m-%dT%H:%M:%S")
        return pc.binary_join_element_wise(texts, "Z", "").to_pylist()
    return column.to_pylist()


def _count(record: Any, wanted: Mapping[Any, Delivered], counts: Mapping[ShardKey, list[int]]) -> None:
    headers = {name: value.decode() for name, value in record.headers}
    one = wanted.get(tuple(headers.get(name, "") for name in ("tenant", "batch", "shard", "data")))
    if one is None:
        return
    value = orjson.loads(record.value)
    tally = counts[one.key]
    tally[0] += 1
    tally[1] += round(value["amount"] * 10 ** minor_digits(one.currency))
    tally[2] ^= int(value["transaction_id"][4:], 16)
