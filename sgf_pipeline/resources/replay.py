"""A finished batch played against the clock on the stream, as its bank would have seen it happen.

Belongs here: the order of events, what is late or comes twice, when a label is due, the pace, and counting what the
broker acknowledged. Does not belong here: exactly-once export (``stream``), progress bars and signals (``cli``).

*Replayed time* is the batch's own time: it stands at the event that is being sent. Transactions come in the order of
their event times, all shards merged; a label waits until replayed time has reached its ``label_available_at``. Records
carry the producer's clock as their timestamp, because what a consumer measures here is how long it takes; the event
time stands in the value, late or not.
"""

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources.stream import SEND_SECONDS, Stream, partition_of
from sgf_pipeline.resources.stream_records import encoded_labels, encoded_transactions

# How much later than its turn a late event or a duplicate comes, in replayed seconds: from a retry to a terminal that
# was out of reach for two hours, every order of magnitude as often. Our choice.
DELAY_SECONDS = (1.0, 7200.0)
LINGER_MS = 5  # a replay is for measuring latency; the export lingers longer
WINDOW = 50_000  # unacknowledged records: more are not sent before the oldest is through
STOP_SECONDS = 10.0  # what Ctrl-C waits for outstanding acknowledgements
REPORT_SECONDS = 0.1
NOT_WORTH_SLEEPING = 0.0005
_MICRO = 1_000_000


class Event(NamedTuple):
    """A transaction of the batch with what the replay will do with it. Times in µs since 1970, waits in µs."""

    moment: int
    shard: str
    key: bytes
    value: bytes
    label: bytes | None
    due: int
    late_by: int
    again_after: int


class Item(NamedTuple):
    """Something to send when replayed time is ``moment`` (µs since 1970)."""

    moment: int
    kind: Literal["transaction", "duplicate", "label"]
    event: Event


class Pace(Protocol):
    """When an item's turn is, in seconds after the first one's."""

    def seconds(self, item: Item) -> float:
        """Asked once for each item, in order."""


class HeldRate:
    """``per_second`` transactions a second, late ones and duplicates among them; labels take no turn of their own."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._turns = -1

    def seconds(self, item: Item) -> float:
        self._turns += item.kind != "label"
        return max(self._turns, 0) / self._per_second


class SpeedUp:
    """The batch's own time, ``times`` as fast."""

    def __init__(self, times: float) -> None:
        self._times = times
        self._first: int | None = None

    def seconds(self, item: Item) -> float:
        if self._first is None:
            self._first = item.moment
        return (item.moment - self._first) / _MICRO / self._times


def events_of(shard: str, rows: RowStream, seed: int, late_share: float, duplicate_share: float) -> Iterator[Event]:
    """A shard's rows (``TRANSACTION_SCHEMA``, in time order) as events; ``seed`` decides which are late or double."""
    late, twice = (rng(seed, "replay", shard, what) for what in ("late", "duplicate"))
    for batch in rows:
        table = pa.Table.from_batches([batch])
        late_by = _delays(late, table.num_rows, late_share)
        again_after = _delays(twice, table.num_rows, duplicate_share)
        moments = table.column("event_time").cast(pa.int64()).to_pylist()
        known = table.column("label_available_at").cast(pa.int64())
        dues = pc.fill_null(known, 0).to_pylist()
        labels = encoded_labels(table)
        frauds = table.column("is_fraud").to_pylist()
        for place, (key, value, _) in enumerate(encoded_transactions(table)):
            label = next(labels)[1] if frauds[place] else None
            yield Event(moments[place], shard, key, value, label, dues[place], late_by[place], again_after[place])


def _delays(source: np.random.Generator, count: int, share: float) -> list[int]:
    """µs for about ``share`` of the rows, 0 for the others. Draws two numbers a row, whatever the share."""
    chosen, spread = source.random((count, 2)).T
    first, last = DELAY_SECONDS
    delays: list[int] = np.where(chosen < share, _MICRO * first * (last / first) ** spread, 0).astype(np.int64).tolist()
    return delays


class Timeline:
    """Everything a replay sends, in order of replayed time; the same for the same batch, shares and seed.

    ``end`` (µs) is the batch's last moment: labels due long after it are counted and not kept. Rows are read as they
    are needed; what is kept are the labels that wait (about 1 KB each) and what is late.
    """

    def __init__(self, shards: Iterable[Iterator[Event]], end: int) -> None:
        self._shards = list(shards)
        self._keep_until = end + int(DELAY_SECONDS[1] * _MICRO)
        self._held: list[tuple[int, int, Item]] = []
        self._number = 0
        self._transactions_held = 0
        self.labels_waiting = 0

    def __iter__(self) -> Iterator[Item]:
        for event in heapq.merge(*self._shards, key=attrgetter("moment")):
            turn = Item(event.moment, "transaction", event)
            if event.late_by:
                self._hold(event.moment + event.late_by, turn)
                continue
            overdue = []
            for item in self._due(event.moment):
                if item.kind == "label":
                    yield item
                else:
                    overdue.append(item)
            yield self._happens(turn, event.moment)
            for item in overdue:  # behind an event that is newer, or it would not be late
                yield self._happens(item, event.moment)
        while self._transactions_held:
            moment, _, item = self._next()
            yield item if item.kind == "label" else self._happens(item, moment)

    def _due(self, moment: int) -> Iterator[Item]:
        while self._held and self._held[0][0] <= moment:
            yield self._next()[2]

    def _happens(self, item: Item, now: int) -> Item:
        """The item as it goes out now; what follows from it, its label and its duplicate, waits from now on."""
        event = item.event
        if item.kind == "transaction":
            if event.again_after:
                self._hold(now + event.again_after, item._replace(kind="duplicate"))
            if event.label is not None:
                self._hold(max(event.due, now), item._replace(kind="label"))
        return item._replace(moment=now)

    def _hold(self, until: int, item: Item) -> None:
        if item.kind == "label":
            self.labels_waiting += 1
            if until > self._keep_until:
                return
        else:
            self._transactions_held += 1
        self._number += 1
        heapq.heappush(self._held, (until, self._number, item._replace(moment=until)))

    def _next(self) -> tuple[int, int, Item]:
        first = heapq.heappop(self._held)
        if first[2].kind == "label":
            self.labels_waiting -= 1
        else:
            self._transactions_held -= 1
        return first


class Replay:
    """One playing of a timeline, and how far it is. All counts are of this playing, without what was skipped.

    ``headers`` are those of every record but ``shard``, which each record adds. ``skip`` items of the timeline were
    sent by an earlier playing: the clock starts at the first one behind them.
    """

    def __init__(
        self, stream: Stream, timeline: Timeline, pace: Pace, headers: Mapping[str, str], skip: int = 0
    ) -> None:
        self._stream = stream
        self._timeline = timeline
        self._pace = pace
        self._headers = dict(headers)
        self._encoded: dict[str, list[tuple[str, bytes]]] = {}  # by shard
        self._skip = skip
        self._unacknowledged: deque[Any] = deque()
        self._newest = 0
        self.transactions = 0  # sent, with late ones and duplicates
        self.late = 0
        self.duplicates = 0
        self.labels = 0
        self.acknowledged = 0  # of transactions and labels, up to the first that is not
        self.seconds = 0.0
        self.lag = 0.0  # seconds behind the schedule
        self.interrupted = False

    @property
    def labels_waiting(self) -> int:
        """Labels of sent transactions that are not due yet."""
        return self._timeline.labels_waiting

    @property
    def position(self) -> int:
        """How many items of the timeline are safely through: what another playing may skip."""
        return self._skip + self.acknowledged

    def run(self, stop: threading.Event, report: Callable[["Replay"], None]) -> None:
        """Play to the end, or until ``stop`` is set; then wait ``STOP_SECONDS`` at most for acknowledgements.

        ``report`` is called about ten times a second. Raises ``SinkError`` and ``SinkUnavailableError``.
        """
        with self._stream.reaching():
            self._stream.create_topics()
            with self._stream.producer(linger_ms=LINGER_MS) as producer:
                self._play(producer, stop, report)
                self._drain(producer)
        report(self)

    def _play(self, producer: Any, stop: threading.Event, report: Callable[["Replay"], None]) -> None:
        places = {
            topic: len(producer.partitions_for(topic)) for topic in (self._stream.topic, self._stream.labels_topic)
        }
        began = reported = 0.0
        for item in islice(self._timeline, self._skip, None):
            now = time.monotonic()
            began = began or now  # reading the first rows is not part of the clock
            if now - reported > REPORT_SECONDS:
                reported = now
                self._settle()
                report(self)
            turn = began + self._pace.seconds(item)
            if turn - now > NOT_WORTH_SLEEPING:
                stop.wait(turn - now)
            if len(self._unacknowledged) >= WINDOW:
                self._make_room(stop)
            if stop.is_set():
                self.interrupted = True
                return
            self._send(producer, item, places)
            now = time.monotonic()
            self.seconds, self.lag = now - began, max(now - turn, 0.0)

    def _make_room(self, stop: threading.Event) -> None:
        """Wait until less than ``WINDOW`` records are on their way: the client keeps any number of them in memory."""
        from kafka.errors import KafkaTimeoutError

        deadline = time.monotonic() + SEND_SECONDS
        while len(self._unacknowledged) >= WINDOW and not stop.wait(NOT_WORTH_SLEEPING):
            self._settle()
            if time.monotonic() > deadline:
                raise KafkaTimeoutError(f"no acknowledgement within {SEND_SECONDS:g} s")

    def _send(self, producer: Any, item: Item, places: Mapping[str, int]) -> None:
        event = item.event
        topic, value = self._stream.topic, event.value
        if item.kind == "label":
            topic, value = self._stream.labels_topic, event.label or b""
            self.labels += 1
        else:
            self.transactions += 1
            self.duplicates += item.kind == "duplicate"
            self.late += item.kind == "transaction" and event.moment < self._newest
            self._newest = max(self._newest, event.moment)
        future = producer.send(
            topic,
            key=event.key,
            value=value,
            headers=self._headers_of(event.shard),
            partition=partition_of(event.key, places[topic]),
        )
        self._unacknowledged.append(future)

    def _headers_of(self, shard: str) -> list[tuple[str, bytes]]:
        if shard not in self._encoded:
            self._encoded[shard] = [(name, text.encode()) for name, text in {**self._headers, "shard": shard}.items()]
        return self._encoded[shard]

    def _settle(self) -> None:
        """Count what is acknowledged; raise what became of a record that never will be."""
        while self._unacknowledged and self._unacknowledged[0].is_done:
            self._unacknowledged[0].get(timeout=0)
            self._unacknowledged.popleft()
            self.acknowledged += 1

    def _drain(self, producer: Any) -> None:
        from kafka.errors import KafkaTimeoutError

        try:
            producer.flush(timeout=STOP_SECONDS if self.interrupted else SEND_SECONDS)
        except KafkaTimeoutError:
            if not self.interrupted:
                raise
        self._settle()
