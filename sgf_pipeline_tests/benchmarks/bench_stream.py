"""Transactions a second onto Kafka: our export against kafka-python's plain bulk speed, on the same broker, in turns.

``python -m sgf_pipeline_tests.benchmarks.bench_stream [--broker noida|tansu] [--rounds 3] [--replay-seconds 60]``

*export* is everything that ``stream_export`` does with one shard of 50,000 rows: from Arrow batches to committed
transactions, labels and progress included. *plain* is kafka-python alone, told to send the same bytes, which were made
beforehand: ``acks=all``, idempotent, the same batch size and linger, no transaction, no header. Both are run
``rounds`` times in turns, so that what else the machine does meets both; the best of each counts. CPU seconds of this
process are printed beside, which what else the machine does touches less.

*replay* plays the shard, as often side by side as the time needs, at a held rate.
"""

import argparse
import math
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.formatting import clean
from sgf_pipeline.labelling import label
from sgf_pipeline.resources import stream as stream_module
from sgf_pipeline.resources.held import ShardKey
from sgf_pipeline.resources.replay import HeldRate, Replay, Timeline, events_of
from sgf_pipeline.resources.stream import Delivered, Stream
from sgf_pipeline.resources.stream_records import encoded_labels, encoded_transactions
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content
from sgf_pipeline_tests.integration.services import Noida, Tansu

ROWS = 50_000
GOAL_ROWS_A_SECOND = 20_000
GOAL_RATIO = 0.7
HELD_RATE = 5_000
END = int(content().end_date.timestamp() * 1_000_000)


def shard() -> pa.Table:
    """One labelled shard, as ``labelled_transactions`` leaves it."""
    asked = content(count=ROWS, fraud_ratio=0.04, scenarios=["phishing"])
    identifiers = Identifiers("salt", content_sha=asked.content_sha, seed=1, population_seed=1, scenario="phishing")
    rows = clean(simulate(asked, "phishing", CASES["phishing"]), asked, identifiers)
    table = pa.Table.from_batches(list(label(rows, CASES["phishing"], asked, "phishing", identifiers).rows))
    return table.unify_dictionaries().combine_chunks()


def export(servers: str, rows: RowStream, number: int) -> None:
    """Our way."""
    stream = Stream(servers, "bench.transactions", "bench.labels", {})
    sent = stream.publish(Delivered(ShardKey("default", f"gen_{number}", "phishing"), "a" * 64, "EUR"), rows, "run")
    assert sent == ROWS


def plain(servers: str, transactions: list[tuple[bytes, bytes]], labels: list[tuple[bytes, bytes]]) -> None:
    """The client alone."""
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True,
                             batch_size=stream_module.BATCH_BYTES, linger_ms=stream_module.LINGER_MS)  # fmt: skip
    futures = [producer.send("plain.transactions", key=key, value=value) for key, value in transactions]
    futures += [producer.send("plain.labels", key=key, value=value) for key, value in labels]
    producer.flush()
    assert all(future.succeeded() for future in futures)
    producer.close()


def replay(servers: str, table: pa.Table, seconds: float, rate: float) -> None:
    """Hold a rate and print how well."""
    copies = math.ceil(seconds * rate / ROWS)
    shards = [events_of(f"copy_{number}", table_stream(table), 1, 0.0, 0.0) for number in range(copies)]
    stop = threading.Event()
    worst = 0.0

    def watch(playing: Replay) -> None:
        nonlocal worst
        worst = max(worst, playing.lag)
        if playing.seconds >= seconds:
            stop.set()

    stream = Stream(servers, "replay.transactions", "replay.labels", {})
    playing = Replay(stream, Timeline(shards, END), HeldRate(rate), {"run": "bench"})
    cpu = time.process_time()
    playing.run(stop, watch)
    print(f"replay: {playing.transactions / playing.seconds:,.1f} tx/s (goal {rate:,.0f} ± 2 %) over"
          f" {playing.seconds:.1f} s, {playing.labels:,} labels, worst lag {worst:.2f} s,"
          f" CPU {time.process_time() - cpu:.1f} s")  # fmt: skip


def cost(work: Callable[[], None]) -> tuple[float, float]:
    """(seconds on the clock, seconds of CPU)."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=("noida", "tansu"), default="noida")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--replay-seconds", type=float, default=0.0)
    parser.add_argument("--replay-rate", type=float, default=HELD_RATE)
    options = parser.parse_args()
    table = shard()
    rows = table_stream(table)
    transactions = [record[:2] for record in encoded_transactions(table)]
    labels = [record[:2] for record in encoded_labels(table)]
    with tempfile.TemporaryDirectory() as folder:
        server = Noida(Path(folder)) if options.broker == "noida" else Tansu()
        try:
            admin = KafkaAdminClient(bootstrap_servers=server.address)
            admin.create_topics([NewTopic(f"plain.{name}", stream_module.PARTITIONS, 1)
                                 for name in ("transactions", "labels")])  # fmt: skip
            admin.close()
            ours, theirs = [], []
            for number in range(options.rounds):
                ours.append(cost(lambda number=number: export(server.address, rows, number)))
                theirs.append(cost(lambda: plain(server.address, transactions, labels)))
            size = sum(len(value) for _, value in transactions) / ROWS
            print(f"{options.broker}: {ROWS:,} transactions of {size:.0f} B, {len(labels):,} labels")
            tell(f"export (goal {GOAL_ROWS_A_SECOND:,} tx/s)", ours)
            tell("plain client", theirs)
            ratios = [min(one[kind] for one in theirs) / min(one[kind] for one in ours) for kind in (0, 1)]
            print(f"ratio {ratios[0]:.2f} on the clock, {ratios[1]:.2f} in CPU (goal {GOAL_RATIO})")
            if options.replay_seconds:
                replay(server.address, table, options.replay_seconds, options.replay_rate)
        finally:
            server.kill()


def tell(what: str, costs: list[tuple[float, float]]) -> None:
    """The best of the rounds, and all of them."""
    rounds = " ".join(f"{ROWS / clock:,.0f}" for clock, _ in costs)
    clock, cpu = (min(one[kind] for one in costs) for kind in (0, 1))
    print(f"{what}: {ROWS / clock:,.0f} tx/s on the clock (rounds {rounds}), {ROWS / cpu:,.0f} per second of CPU")


if __name__ == "__main__":
    main()
