"""What runs and receipts say together, told in the histories that nights are made of."""

from collections.abc import Sequence
from typing import Any

import pytest

from sgf_pipeline.progress import (
    RECEIPTS_TAG,
    ManifestState,
    Run,
    ShardState,
    manifest_state,
    receipts_tag,
    shard_state,
)


def receipt(*writers: str) -> dict[str, Any]:
    """Complete; each sink was exported by one of these runs."""
    return {"sinks": {f"sink{number}": {"run": writer} for number, writer in enumerate(writers)}}


def runs(*newest_first: str) -> list[Run]:
    """``id:STATUS``, or ``id:STATUS:parent`` for a run that goes on with another one."""
    parts = [one.split(":") for one in newest_first]
    return [Run(part[0], part[1], {"dagster/parent_run_id": part[2]} if part[2:] else {}) for part in parts]


@pytest.mark.parametrize(
    ("history", "written", "state", "decided_by"),
    [
        ((), None, ShardState.MISSING, None),
        ((), receipt("x"), ShardState.DONE, None),
        (("b:QUEUED", "a:STARTED"), receipt("a"), ShardState.RUNNING, "a"),
        (("b:NOT_STARTED", "a:SUCCESS"), receipt("a"), ShardState.QUEUED, "b"),
        (("a:CANCELING",), receipt("a"), ShardState.CANCELLING, "a"),
        (("b:FAILURE", "a:SUCCESS"), receipt("a"), ShardState.FAILED, "b"),
        (("a:FAILURE",), receipt("elsewhere"), ShardState.DONE, "a"),
        (("a:FAILURE",), receipt("a", "elsewhere"), ShardState.FAILED, "a"),
        (("a:CANCELED",), None, ShardState.CANCELLED, "a"),
        (("b:CANCELED", "a:SUCCESS"), receipt("a"), ShardState.DONE, "a"),
        (("b:CANCELED", "a:SUCCESS"), receipt("b", "a"), ShardState.CANCELLED, "b"),
        (("b:CANCELED", "a:SUCCESS"), receipt("b", "b"), ShardState.DONE, "b"),
        (("b:CANCELED", "a:FAILURE"), receipt("a"), ShardState.FAILED, "a"),
        (("c:CANCELED", "b:FAILURE", "a:SUCCESS"), receipt("a"), ShardState.FAILED, "b"),
        (("c:CANCELED:b", "b:FAILURE", "a:SUCCESS"), receipt("b", "a"), ShardState.CANCELLED, "c"),
        (("b:CANCELED:a", "a:SUCCESS"), receipt("a"), ShardState.DONE, "a"),
        (("b:SUCCESS:a", "a:FAILURE"), receipt("a"), ShardState.DONE, "b"),
    ],
)
def test_a_shards_state_follows_from_what_its_runs_left(
    history: Sequence[str], written: dict[str, Any] | None, state: ShardState, decided_by: str | None
) -> None:
    """Guards against two judges: a batch that one door calls done is waited for, for ever, at another."""
    own = runs(*history)
    found, run = shard_state(own, written, [one.run_id for one in own])
    assert (found, run and run.run_id) == (state, decided_by)


def test_a_backfill_about_to_queue_a_shard_counts_as_queued() -> None:
    """Guards against a batch that looks settled in the half minute before a backfill makes its runs."""
    assert shard_state(runs("a:FAILURE"), None, ["a"], is_announced=True)[0] is ShardState.QUEUED


@pytest.mark.parametrize(
    ("tries", "state"),
    [
        ((), ManifestState.WANTED),
        (("FAILURE", "FAILURE"), ManifestState.WANTED),
        (("FAILURE", "FAILURE", "FAILURE"), ManifestState.FAILED),
        (("STARTED", "FAILURE", "FAILURE", "FAILURE"), ManifestState.UNDER_WAY),
        (("CANCELED",), ManifestState.CANCELLED),
        (("FAILURE", "CANCELED"), ManifestState.FAILED),
        (("QUEUED", "CANCELED"), ManifestState.UNDER_WAY),
    ],
)
def test_a_manifest_is_wanted_until_tries_or_patience_end(tries: Sequence[str], state: ManifestState) -> None:
    """Guards against tries without end, and against a sensor that undoes a person's cancellation."""
    tags = {RECEIPTS_TAG: receipts_tag("a" * 64)}
    others = [Run("old", "FAILURE", {RECEIPTS_TAG: receipts_tag("b" * 64)}), Run("by hand", "FAILURE", {})] * 3
    own = [Run(str(number), status, tags) for number, status in enumerate(tries)]
    assert manifest_state([*own, *others], "a" * 64) is state
