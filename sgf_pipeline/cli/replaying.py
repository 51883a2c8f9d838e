"""``sgf replay``: play a finished batch against the clock on Kafka.

Belongs here: checking the options, the progress bar, Ctrl-C, the closing lines. Does not belong here: what is sent
when (``resources.replay``).
"""

import contextlib
import math
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import typer

from sgf_pipeline import batches
from sgf_pipeline.definitions import lake_of
from sgf_pipeline.domain.errors import ConfigurationError, InvalidRequestError, SgfError
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.replay import HeldRate, Pace, Replay, SpeedUp, Timeline, events_of
from sgf_pipeline.resources.stream import Stream
from sgf_pipeline.settings import read_settings

DEFAULT_RATE = 5000.0
READ_ROWS = 2048  # of each shard at a time
INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended


def replay(
    batch_id: str,
    *,
    rate: float | None,
    speed_up: float | None,
    late_share: float,
    duplicate_share: float,
    seed: int,
    skip: int,
    storage_url: str | None,
) -> None:
    """Play the batch and print what was sent; exit with 130 after Ctrl-C.

    Raises ``InvalidRequestError`` for an option out of range or a batch without files, ``UnknownBatchError``,
    ``ConfigurationError`` without a broker, ``SinkError`` and ``SinkUnavailableError``.
    """
    pace = _pace(rate, speed_up)
    for name, share in (("late-share", late_share), ("duplicate-share", duplicate_share)):
        if not 0 <= share <= 1:
            raise InvalidRequestError(f"--{name} {share:g} is not a share: use a number from 0 to 1")
    for name, number in (("seed", seed), ("skip", skip)):
        if number < 0:
            raise InvalidRequestError(f"--{name} {number} is negative: use 0 or more")
    settings = read_settings(**({"sgf_storage_url": storage_url} if storage_url else {}))
    if not settings.kafka_bootstrap_servers:
        raise ConfigurationError("KAFKA_BOOTSTRAP_SERVERS is not set: set it to host:port of the broker to play to")
    lake = lake_of(settings)
    request, rows = _finished(lake, batch_id)
    shards = [
        events_of(name, lake.read_rows(batches.shard_file(lake, request, name), batch_rows=READ_ROWS),
                  seed, late_share, duplicate_share)
        for name in request.content.scenarios
    ]  # fmt: skip
    stream = Stream(
        settings.kafka_bootstrap_servers, settings.kafka_topic, settings.kafka_labels_topic, settings.kafka_security
    )
    headers = {
        "tenant": request.content.tenant, "batch": request.batch_id, "run": f"replay-{uuid.uuid4().hex[:12]}",
    }  # fmt: skip
    playing = Replay(stream, Timeline(shards, _microseconds(request.content.end_date)), pace, headers, skip)
    try:
        with _interruptible() as stop, _progress(max(rows - skip, 0)) as report:
            playing.run(stop, report)
    except SgfError as error:
        raise type(error)(f"{error} (--skip {playing.position} goes on where the broker stopped)") from error
    _tell(stream, playing)
    if playing.interrupted:
        typer.echo(f"interrupted: --skip {playing.position} goes on from here", err=True)
        raise typer.Exit(INTERRUPTED)


def _pace(rate: float | None, speed_up: float | None) -> Pace:
    if rate is not None and speed_up is not None:
        raise InvalidRequestError("--rate and --speed-up exclude each other: give one of them")
    name, value = ("rate", DEFAULT_RATE if rate is None else rate) if speed_up is None else ("speed-up", speed_up)
    if not 0 < value < math.inf:
        raise InvalidRequestError(f"--{name} {value:g} is out of range: use a number above 0")
    return HeldRate(value) if speed_up is None else SpeedUp(value)


def _finished(lake: LakeResource, batch_id: str) -> tuple[GenerationRequest, int]:
    request = batches.load(lake, batch_id)
    manifest = batches.newest_manifest(lake, request)
    if manifest is None:
        raise InvalidRequestError(f"batch {batch_id!r} is not finished: build its shards and its manifest first")
    if manifest["s3_uri"] is None:
        raise InvalidRequestError(f"batch {batch_id!r} has no files (--no-s3): build one that is exported to the lake")
    return request, manifest["rows"]


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; a second one ends the program at once."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        stop.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _progress(rows: int) -> Iterator[Callable[[Replay], None]]:
    """A bar on stderr where that is a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda playing: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.completed:>12,} sent"), BarColumn(), TextColumn("{task.description}"),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("connecting", total=rows)

        def report(playing: Replay) -> None:
            speed = playing.transactions / playing.seconds if playing.seconds else 0.0
            bar.update(
                task, completed=playing.transactions, total=rows + playing.duplicates,
                description=f"{speed:,.0f}/s, lag {playing.lag:.1f} s, {playing.labels_waiting:,} labels waiting",
            )  # fmt: skip

        yield report


def _tell(stream: Stream, playing: Replay) -> None:
    speed = playing.transactions / playing.seconds if playing.seconds else 0.0
    typer.echo(
        f"{playing.transactions:,} transactions ({playing.late:,} late, {playing.duplicates:,} duplicates) to"
        f" {stream.topic} in {playing.seconds:.1f} s: {speed:,.0f}/s, {playing.lag:.1f} s behind the clock"
    )
    typer.echo(f"{playing.labels:,} labels to {stream.labels_topic}; {playing.labels_waiting:,} were not due yet")
    missing = playing.transactions + playing.labels - playing.acknowledged
    if missing:
        typer.echo(f"{missing:,} records were not acknowledged in time", err=True)
