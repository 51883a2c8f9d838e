"""What Dagster's runs and our receipts say together: where a shard stands, and where its batch's manifest.

Belongs here: the one rule that the manifest sensor and every door judge by, so that none waits for what another will
never do. Does not belong here: asking Dagster or the lake, and what is done about it (``sensors``, ``launch``).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

RECEIPTS_TAG = "sgf/receipts"
# Of runs that a command of ours executes in its own process: its host and process.
HOST_TAG = "sgf/host"
PID_TAG = "sgf/pid"
MAX_ATTEMPTS = 3

_QUEUED = ("QUEUED", "NOT_STARTED", "MANAGED")
_RUNNING = ("STARTING", "STARTED", "CANCELING")


@dataclass(frozen=True)
class Run:
    """One of Dagster's runs, as far as launching is concerned."""

    run_id: str
    status: str
    tags: Mapping[str, str]

    @property
    def is_finished(self) -> bool:
        """It succeeded, failed or was cancelled."""
        return self.status not in _QUEUED + _RUNNING

    @property
    def command(self) -> str | None:
        """The process of the ``sgf generate`` that executes it; None for a run that Dagster started.

        One that is executed again in the web interface bears the tags of the first, and names that as its parent.
        """
        if PID_TAG not in self.tags or "dagster/parent_run_id" in self.tags:
            return None
        return f"process {self.tags[PID_TAG]} on {self.tags.get(HOST_TAG, 'an unknown host')}"


class ShardState(StrEnum):
    """Where one shard stands. The newest run decides; without one at work, the receipt does."""

    MISSING = "missing"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class ManifestState(StrEnum):
    """Where the manifest of a batch stands whose shards are all done, and whose receipts no manifest is about."""

    WANTED = "wanted"
    """The sensor asks for it."""
    UNDER_WAY = "under way"
    FAILED = "failed"
    """As often as the sensor tries."""
    CANCELLED = "cancelled"
    """By a person, whom the sensor does not contradict."""


def shard_state(
    runs: Sequence[Run], receipt: Mapping[str, Any] | None, known: Collection[str], *, is_announced: bool = False
) -> tuple[ShardState, Run | None]:
    """State of a shard, and the run that decides it.

    ``runs`` are the shard's own, newest first; ``receipt`` is complete or None; ``known`` holds the ids of all the
    batch's runs. ``is_announced``: a backfill is about to queue a run of it.
    """
    at_work = next((run for run in runs if run.status in _RUNNING), None)
    if at_work is not None:
        return (ShardState.CANCELLING if at_work.status == "CANCELING" else ShardState.RUNNING), at_work
    queued = next((run for run in runs if run.status in _QUEUED), None)
    # A run that was cancelled before it exported anything leaves the shard as it was.
    writers = _writers(receipt)
    newest = next(
        (run for run in runs if not receipt or run.status != "CANCELED" or _build(run, runs) in writers), None
    )
    if queued is not None or is_announced:
        return ShardState.QUEUED, queued or newest
    if newest is not None and newest.status == "FAILURE" and (_build(newest, runs) in writers or writers <= set(known)):
        return ShardState.FAILED, newest  # unless another Dagster built it since: then that is what stands
    if newest is not None and newest.status == "CANCELED" and writers != {_build(newest, runs)}:
        return ShardState.CANCELLED, newest  # before there were rows, or between one sink and the next
    return (ShardState.MISSING if receipt is None else ShardState.DONE), newest


def manifest_state(closing: Sequence[Run], receipts_sha: str) -> ManifestState:
    """State of the manifest of these receipts; ``closing`` are the runs for the batch's manifests, newest first."""
    tries = [run for run in closing if run.tags.get(RECEIPTS_TAG) == receipts_tag(receipts_sha)]
    if any(not run.is_finished for run in tries):
        return ManifestState.UNDER_WAY
    if len(tries) < MAX_ATTEMPTS and not any(run.status == "CANCELED" for run in tries):
        return ManifestState.WANTED
    return ManifestState.CANCELLED if tries[0].status == "CANCELED" else ManifestState.FAILED


def receipts_tag(receipts_sha: str) -> str:
    """The tag ``RECEIPTS_TAG`` of a run that is to close these receipts."""
    return receipts_sha[:16]


def _writers(receipt: Mapping[str, Any] | None) -> set[str]:
    """The runs that the receipt names: those that exported its rows, sink by sink."""
    return set() if receipt is None else {sink["run"] for sink in receipt["sinks"].values() if "run" in sink}


def _build(run: Run, runs: Sequence[Run]) -> str:
    """The run whose name the receipts bear for this one: the first of those that went on with one that failed."""
    known = {one.run_id: one for one in runs}
    while (parent := known.get(run.tags.get("dagster/parent_run_id", ""))) is not None and parent.status != "SUCCESS":
        run = parent
    return run.run_id
