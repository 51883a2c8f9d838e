"""The stream: transactions and, apart from them, their labels on two Kafka topics, each row exactly once.

Belongs here: the connection, transactions, progress, reading back. Does not belong here: what a record holds
(``stream_records``), and playing a batch against the clock (``replay``).

A shard is sent in chunks, each one Kafka transaction that also commits offsets of a consumer group named after the
shard and its content: on the labels' topic how many chunks are done, on the transactions' topic where the first one
began in each partition (where its labels began is the metadata of partition 0). A run that takes over after a crash
first fences its predecessor (same transactional id), then goes on behind the last committed chunk: under
``read_committed`` nothing is lost and nothing comes twice. Chunks hold the same rows in every attempt, because equal
content is equal bytes.

Progress is not trusted: what it says is done is read back first. Where the topics hold something else, because the
broker lost what it had acknowledged, the shard is sent anew as the next attempt, whose number every record carries in
its header ``attempt``; only the newest attempt counts.
"""

import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
import pyarrow as pa

from sgf_pipeline.domain.errors import ReconciliationError, SinkError, SinkUnavailableError
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources.held import Held, ShardKey, Totals
from sgf_pipeline.resources.stream_records import encoded_labels, encoded_transactions

CHUNK_ROWS = 10_000  # one transaction; a larger one is not faster, and more is sent again after a crash
PARTITIONS = 6  # of topics that we create ourselves
CONNECT_SECONDS = 10
SEND_SECONDS = 60.0  # what a chunk may take before the broker counts as one that does not answer
CLOSE_SECONDS = 5.0
BATCH_BYTES = 1 << 18
LINGER_MS = 20
# kafka-python sleeps this long before it repeats a request, which it does four times on the way to a first commit:
# each coordinator is looked up by refusing a request that needs it. Its default of 100 is a fifth of a shard's time.
BACKOFF_MS = 10
READ_SECONDS = 90.0  # without a record; a dead neighbour's transaction, which a broker ends after 60 s, is waited for
POLL_MS = 1_000
# Labels carry the time at which a bank would have known as their timestamp, which a broker that deletes by age would
# take for their age: the topics that we create keep everything. (A topic that exists is left as it is.)
TOPIC_OPTIONS = {"retention.ms": "-1"}
_ATTEMPT = re.compile(rb"[0-9]{1,9}")
PROGRESS = 0  # the partition of the labels' topic whose offset counts the chunks that are done


@dataclass(frozen=True)
class Delivered:
    """A shard on the stream: which one, and the content that was sent.

    ``labels`` is what ``labels_of`` says of it; without it the labels are not held to anything.
    """

    key: ShardKey
    data_sha: str
    currency: str
    labels: Held | None = None


def labels_of(rows: RowStream) -> Held:
    """What the labels' topic holds of the shard's rows once they are published: a record a fraud, without money."""
    tally = _Tally()
    for batch in rows:
        _add_frauds(tally, batch)
    return tally.held


class Stream:
    """The broker of ``servers``. ``security`` holds kafka-python's options for TLS and SASL, shown nowhere."""

    def __init__(self, servers: str, topic: str, labels_topic: str, security: Mapping[str, Any]) -> None:
        self.servers = servers
        self.topic = topic
        self.labels_topic = labels_topic
        self._security = dict(security)

    def publish(self, delivered: Delivered, rows: RowStream, run_id: str, *, published: bool = False) -> int:
        """Send what is not yet there of the shard's rows (``TRANSACTION_SCHEMA``); return how many were sent now.

        ``published`` says that this content was sent in full before: where the broker has forgotten the progress, the
        whole topic is read for it. Raises ``SinkUnavailableError`` where the broker does not answer within
        ``SEND_SECONDS``, ``SinkError`` where it refuses. After either the same call, by a new producer, goes on behind
        the last committed chunk.
        """
        key, group = delivered.key, _group(delivered)
        sent = 0
        with self.reaching():
            self.create_topics()
            with self.producer(transactional_id=f"sgf.{key.tenant}.{key.batch_id}.{key.shard}") as producer:
                producer.init_transactions()
                attempt, done = self._standing(delivered, rows, published)
                headers = [("tenant", key.tenant), ("batch", key.batch_id), ("shard", key.shard), ("run", run_id),
                           ("data", delivered.data_sha), ("attempt", str(attempt))]  # fmt: skip
                encoded = [(name, value.encode()) for name, value in headers]
                for number, chunk in enumerate(_chunks(rows)):
                    if number >= done:
                        self._send(producer, number, chunk, encoded, group)
                        sent += chunk.num_rows
        return sent

    def held(self, shards: Iterable[Delivered]) -> dict[ShardKey, Held]:
        """Read the newest attempts of these shards back under ``read_committed``, in one pass over both topics.

        The pass begins where the first of them begins, or with the topics where the broker has forgotten that. Returned
        is what the transactions' topic holds. Raises ``ReconciliationError`` where the labels' topic does not hold a
        shard's ``labels``.
        """
        wanted = list(shards)
        with self.reaching():
            progress = [self._progress(_group(one)) for one in wanted]
            tallies = self._tallied(wanted, [one.begins if one else {} for one in progress])
        found = {one: _newest(tallies, one)[1] for one in wanted}
        for one, attempt in found.items():
            labels = attempt.labels.held
            if one.labels is not None and one.labels != labels:
                raise ReconciliationError(
                    f"stream holds labels {labels.rows} (transaction_ids_xor {labels.transaction_ids_xor}) of shard"
                    f" {one.key.shard} of batch {one.key.batch_id!r} instead of {one.labels.rows}"
                    f" ({one.labels.transaction_ids_xor}): export this shard again"
                )
        return {one.key: attempt.transactions.held for one, attempt in found.items()}

    def _standing(self, delivered: Delivered, rows: RowStream, published: bool) -> tuple[int, int]:
        """Which attempt to go on with, and how many of its chunks the topics hold."""
        progress = self._progress(_group(delivered))
        if progress is None and not published:
            return 1, 0
        attempt = 0
        for since in (progress.begins, {}) if progress else ({},):  # where progress misleads, all is read
            attempt, there = _newest(self._tallied([delivered], [since]), delivered)
            chunks = _chunks_of(rows, there, delivered.currency)
            if chunks and (progress is None or progress.done == chunks):
                return attempt, chunks
        return attempt + 1, 0

    def _tallied(
        self, shards: Sequence[Delivered], known: Sequence[Mapping[tuple[str, int], int]]
    ) -> dict[tuple[Delivered, int], "_Attempt"]:
        """What the topics hold of each attempt of the shards, from the lowest ``known`` offsets to the present ends."""
        from kafka import KafkaConsumer, TopicPartition

        wanted = {
            tuple(text.encode() for text in (one.key.tenant, one.key.batch_id, one.key.shard, one.data_sha)): one
            for one in shards
        }
        tallies: dict[tuple[Delivered, int], _Attempt] = {}
        consumer = KafkaConsumer(**self._connection(), isolation_level="read_committed", enable_auto_commit=False,
                                 auto_offset_reset="earliest")  # fmt: skip
        try:
            partitions = [
                TopicPartition(topic, number)
                for topic in (self.topic, self.labels_topic)
                for number in sorted(consumer.partitions_for_topic(topic) or ())
            ]
            consumer.assign(partitions)
            # Not the last stable offset: behind a neighbour's open transaction lies what is committed and ours.
            ends = self._end_offsets(partitions)
            left = {}
            for partition in partitions:
                first = min((offsets.get(tuple(partition), 0) for offsets in known), default=0)
                consumer.seek(partition, first)
                if first < ends[partition]:
                    left[partition] = ends[partition]
            deadline = time.monotonic() + READ_SECONDS
            while left:
                for partition, records in consumer.poll(timeout_ms=POLL_MS, max_records=20_000).items():
                    deadline = time.monotonic() + READ_SECONDS
                    for record in records:
                        _count(record, wanted, tallies, of_label=partition.topic == self.labels_topic)
                # The position passes control records, too, which no poll returns.
                left = {one: end for one, end in left.items() if consumer.position(one) < end}
                if time.monotonic() > deadline:
                    raise SinkUnavailableError(
                        f"stream {self.servers} does not answer ({left} cannot be read to their ends): try again later"
                    )
        finally:
            consumer.close(autocommit=False)
        return tallies

    def _send(self, producer: Any, number: int, chunk: pa.Table, headers: list[tuple[str, bytes]], group: str) -> None:
        """One chunk and the progress it makes, in one transaction."""
        from kafka.errors import KafkaError, KafkaTimeoutError

        producer.begin_transaction()
        try:
            self._fill(producer, number, chunk, headers, group)
        except KafkaTimeoutError:
            raise  # who does not answer will not answer an abort either; the next producer's fencing is the abort
        except KafkaError:
            with suppress(KafkaError):  # the first error is the one that matters
                _within_bound(producer.abort_transaction)
            raise
        _within_bound(producer.commit_transaction)

    def _fill(self, producer: Any, number: int, chunk: pa.Table, headers: list[tuple[str, bytes]], group: str) -> None:
        from kafka import TopicPartition
        from kafka.structs import OffsetAndMetadata

        offsets = {TopicPartition(self.labels_topic, PROGRESS): OffsetAndMetadata(number + 1, "", -1)}
        places, label_places = (len(producer.partitions_for(topic)) for topic in (self.topic, self.labels_topic))
        if number == 0:
            begins = [TopicPartition(self.topic, one) for one in range(places)]
            labels_begin = [TopicPartition(self.labels_topic, one) for one in range(label_places)]
            ends = self._end_offsets(begins + labels_begin)
            offsets |= {one: OffsetAndMetadata(ends[one], "", -1) for one in begins}
            noted = " ".join(str(ends[one]) for one in labels_begin)
            offsets[begins[0]] = OffsetAndMetadata(ends[begins[0]], noted, -1)
        futures = [
            producer.send(self.topic, key=key, value=value, headers=headers, partition=partition_of(key, places))
            for key, value, _ in encoded_transactions(chunk)
        ]
        futures += [
            producer.send(self.labels_topic, key=key, value=value, headers=headers, timestamp_ms=moment,
                          partition=partition_of(key, label_places))
            for key, value, moment in encoded_labels(chunk)
        ]  # fmt: skip
        producer.flush(timeout=SEND_SECONDS + CLOSE_SECONDS)
        for future in futures:
            future.get(timeout=0)  # raises what became of it
        _within_bound(lambda: producer.send_offsets_to_transaction(offsets, group))

    @contextmanager
    def producer(self, **options: Any) -> Iterator[Any]:
        """An idempotent producer with ``acks=all`` and kafka-python's further ``options``, closed within a bound."""
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        bounds = {
            "max_block_ms": int(SEND_SECONDS * 1000),
            "request_timeout_ms": int(SEND_SECONDS * 500),
            "delivery_timeout_ms": int(SEND_SECONDS * 1000),
        }
        producer = KafkaProducer(
            **self._connection(), **{"batch_size": BATCH_BYTES, "linger_ms": LINGER_MS, **bounds, **options},
            acks="all", enable_idempotence=True, metrics_enabled=False, retry_backoff_ms=BACKOFF_MS,
        )  # fmt: skip
        try:
            yield producer
        finally:
            with suppress(KafkaError):  # every future has been looked at
                producer.close(timeout=CLOSE_SECONDS)

    def create_topics(self) -> None:
        """Make both topics, unless they are there: one that is there is left as it is."""
        from kafka import KafkaAdminClient
        from kafka.admin import NewTopic
        from kafka.errors import TopicAlreadyExistsError

        admin = KafkaAdminClient(**self._connection())
        try:
            there = set(admin.list_topics())
            for topic in (self.topic, self.labels_topic):
                if topic not in there:
                    with suppress(TopicAlreadyExistsError):  # another shard was quicker
                        admin.create_topics([NewTopic(topic, PARTITIONS, -1, topic_configs=TOPIC_OPTIONS)])
        finally:
            admin.close()

    def _end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        from kafka import KafkaConsumer

        consumer = KafkaConsumer(**self._connection(), enable_auto_commit=False)
        try:
            ends: dict[Any, int] = consumer.end_offsets(partitions)
            return ends
        finally:
            consumer.close(autocommit=False)

    def _progress(self, group: str) -> "_Progress | None":
        """What the group has committed; None once the broker has dropped it (``offsets.retention.minutes``)."""
        from kafka import KafkaAdminClient
        from kafka.errors import GroupIdNotFoundError

        admin = KafkaAdminClient(**self._connection())
        try:
            found = {one: place for one, place in admin.list_group_offsets(group).get(group, {}).items()
                     if place.offset >= 0}  # fmt: skip
        except GroupIdNotFoundError:
            return None
        finally:
            admin.close()
        # Offsets that lack the progress alone are those of a labels' topic that is gone, and its labels with it.
        progress = _Progress(0)
        for one, place in found.items():
            if one.topic == self.topic:
                progress.begins[tuple(one)] = place.offset
                for number, begin in enumerate((place.metadata or "").split()):
                    progress.begins[self.labels_topic, number] = int(begin)
            elif tuple(one) == (self.labels_topic, PROGRESS):
                progress.done = place.offset
        return progress if found else None

    def _connection(self) -> dict[str, Any]:
        """kafka-python's options for reaching the broker, with the TLS files read."""
        options = {
            "bootstrap_servers": self.servers.split(","),
            "bootstrap_timeout_ms": CONNECT_SECONDS * 1000,
            **{name: value for name, value in self._security.items() if not name.startswith("ssl_")},
        }
        if self._security.get("security_protocol", "").endswith("SSL"):
            options["ssl_context"] = self._tls()
        return options

    def _tls(self) -> ssl.SSLContext:
        own = self._security.get("ssl_certfile")
        try:
            context = ssl.create_default_context(cafile=self._security.get("ssl_cafile"))
            if own:
                context.load_cert_chain(own, self._security.get("ssl_keyfile"))
        except (OSError, ssl.SSLError) as error:  # neither names the file
            raise SinkError(
                f"stream {self.servers} cannot be reached by TLS ({_said(error)}):"
                " check KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE"
            ) from error
        return context

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        from kafka import errors

        refused = (errors.AuthorizationError, errors.SaslAuthenticationFailedError,
                   errors.UnsupportedSaslMechanismError, errors.IllegalSaslStateError,
                   errors.UnsupportedVersionError, errors.InvalidReplicationFactorError, errors.InvalidTopicError,
                   errors.MessageSizeTooLargeError, errors.KafkaConfigurationError)  # fmt: skip
        log = logging.getLogger("kafka")
        if "sasl_plain_password" in self._security:  # which DEBUG shows, among the options and on the wire
            log.setLevel(max(log.getEffectiveLevel(), logging.INFO))
        heard = _Heard(refused)
        log.addHandler(heard)
        try:
            yield
        except errors.KafkaError as error:
            # What an earlier request of the same producer came to is an argument of the error that a later one raises.
            reasons = (one for one in (error, *error.args, heard.refusal) if isinstance(one, Exception))
            reason = next((one for one in reasons if isinstance(one, refused) or one is heard.refusal), None)
            if reason is not None:
                raise SinkError(
                    f"stream {self.servers} refuses ({_said(reason)}): check the KAFKA_ settings and the rights on"
                    f" {self.topic} and {self.labels_topic}"
                ) from error
            raise SinkUnavailableError(
                f"stream {self.servers} does not answer ({_said(error)}): try again later"
            ) from error
        finally:
            log.removeHandler(heard)


class _Heard(logging.Handler):
    """Why connections failed: kafka-python tells that to its log, and its caller only that time is up."""

    def __init__(self, refused: tuple[type[Exception], ...]) -> None:
        super().__init__(logging.WARNING)
        self._refused = refused
        self.refusal: Exception | None = None

    def emit(self, record: logging.LogRecord) -> None:
        for said in record.args if isinstance(record.args, tuple) else ():
            if isinstance(said, Exception) and (isinstance(said, self._refused) or _refuses_tls(said)):
                self.refusal = said


def _refuses_tls(error: Exception) -> bool:
    # A handshake that ends in the middle is a broker that goes away, not one that refuses.
    return "[SSL: " in str(error) and "EOF" not in str(error)


@lru_cache(maxsize=1 << 18)
def partition_of(account: bytes, partitions: int) -> int:
    """Where Kafka's own default partitioner puts an account; kafka-python works it out again for every record."""
    from kafka.partitioner.default import murmur2

    return int(murmur2(account) & 0x7FFFFFFF) % partitions


def _within_bound(call: Callable[[], object]) -> None:
    """Call, and wait for ``SEND_SECONDS``: for a transaction's own requests kafka-python would wait for ever."""
    from kafka.errors import KafkaTimeoutError

    outcome: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 (handed on: it is raised below, by result)
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    if not wait([outcome], SEND_SECONDS).done:
        raise KafkaTimeoutError(f"no answer within {SEND_SECONDS:g} s")
    outcome.result()


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


@dataclass
class _Progress:
    """Chunks that are committed, and the offsets at which the first one's records begin, by topic and partition."""

    done: int
    begins: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass
class _Tally:
    """What has been read of one attempt on one topic."""

    rows: int = 0
    minor_units: int = 0
    ids: int = 0

    def add(self, transaction_id: str, minor_units: int = 0) -> None:
        """What a row holds; that it is there is counted apart."""
        self.minor_units += minor_units
        self.ids ^= int(transaction_id[4:], 16)

    @property
    def held(self) -> Held:
        return Held(self.rows, self.minor_units, f"{self.ids:024x}")


def _add_frauds(tally: _Tally, rows: pa.RecordBatch | pa.Table) -> None:
    ids = rows.column("transaction_id").filter(rows.column("is_fraud")).to_pylist()
    tally.rows += len(ids)
    for transaction_id in ids:
        tally.add(transaction_id)


@dataclass
class _Attempt:
    """What has been read of one attempt."""

    transactions: _Tally = field(default_factory=_Tally)
    labels: _Tally = field(default_factory=_Tally)


def _count(
    record: Any,
    wanted: Mapping[tuple[bytes, ...], Delivered],
    tallies: dict[tuple[Delivered, int], _Attempt],
    *,
    of_label: bool,
) -> None:
    headers = dict(record.headers)
    one = wanted.get(tuple(headers.get(name) or b"" for name in ("tenant", "batch", "shard", "data")))
    attempt = headers.get("attempt") or b""
    if one is None or not _ATTEMPT.fullmatch(attempt):  # without one it is another producer's, and no consumer's
        return
    found = tallies.setdefault((one, int(attempt)), _Attempt())
    tally = found.labels if of_label else found.transactions
    tally.rows += 1
    # A value that is none of ours under headers that are counts as a row, and so is found by whoever compares.
    with suppress(ValueError, KeyError, TypeError, OverflowError):
        value = orjson.loads(record.value)
        units = 0 if of_label else round(value["amount"] * 10 ** minor_digits(one.currency))
        tally.add(value["transaction_id"], units)


def _newest(tallies: Mapping[tuple[Delivered, int], _Attempt], delivered: Delivered) -> tuple[int, _Attempt]:
    """The shard's highest attempt of which anything is there, 0 for none, and what is there."""
    attempts = {attempt: found for (one, attempt), found in tallies.items() if one == delivered}
    newest = max(attempts, default=0)
    return newest, attempts.get(newest, _Attempt())


def _chunks_of(rows: RowStream, there: _Attempt, currency: str) -> int:
    """How many chunks from the first one on add up to what is there; 0 where none do."""
    held = there.transactions.held
    totals = Totals(RowStream(rows.schema, lambda: _chunks(rows)), currency)
    labels = _Tally()
    for number, chunk in enumerate(totals.read(), 1):
        _add_frauds(labels, chunk)
        if totals.rows >= held.rows:
            return number if (totals.held, labels) == (held, there.labels) else 0
    return 0
