"""What the sinks share: the note in the shard's receipt, and how often it is tried.

Belongs here: nothing that knows a particular sink.
"""

from typing import Any

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.assets.shard_context import Shard
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.resources.lake import LakeResource

# A sink that does not answer is tried for about half a minute; a Failure that forbids retries ends this at once.
RETRIES = dg.RetryPolicy(max_retries=3, delay=3, backoff=dg.Backoff.EXPONENTIAL)


def note(
    lake: LakeResource, shard: Shard, sink: str, state: dict[str, Any], facts: dict[str, Any] | None = None
) -> None:
    """Write the sink's state into the shard's receipt."""
    labelled = stage_path(lake, "labelled_transactions", shard.request.batch_id, shard.scenario)
    batches.add_to_receipt(lake, shard.request, shard.scenario, lake.content_sha256(labelled), sink, state, facts)
