"""What the sinks share: the note in the shard's receipt, and how often it is tried.

Belongs here: nothing that knows a particular sink.
"""

from typing import Any

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import Shard
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.resources.lake import LakeResource

RETRY_PACE = 1.0  # every delay is multiplied by it


class _Retries(dg.RetryPolicy):
    """Looks at the pace when a delay begins: a policy is fixed when its asset is defined."""

    def calculate_delay(self, attempt_num: int) -> float:
        return RETRY_PACE * float(super().calculate_delay(attempt_num))


# A sink that does not answer is tried for about half a minute, after some 3, 9 and 21 s, so that shards that failed
# together do not come back together; a Failure that forbids retries ends this at once.
RETRIES = _Retries(max_retries=3, delay=3, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def note(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    shard: Shard,
    sink: str,
    state: dict[str, Any],
    facts: dict[str, Any] | None = None,
) -> None:
    """Write the sink's state into the shard's receipt, and which run exported it."""
    labelled = stage_path(lake, "labelled_transactions", shard.request.batch_id, shard.scenario)
    data_sha = lake.content_sha256(labelled)
    state = {**state, "run": _first_attempt(context)}
    batches.add_to_receipt(lake, shard.request, shard.scenario, data_sha, sink, state, facts)


def _first_attempt(context: dg.AssetExecutionContext) -> str:
    """Id of the run that began this build.

    A run that goes on with a failed one exports what that one had left: to the receipt both are one, so that what was
    done stays as it is noted. Whoever executes a run again that had succeeded builds the shard anew.
    """
    run = context.run
    while run.parent_run_id is not None:
        parent = context.instance.get_run_by_id(run.parent_run_id)
        if parent is None or parent.is_success:
            break
        run = parent
    return run.run_id
