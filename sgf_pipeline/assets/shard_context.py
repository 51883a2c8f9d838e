"""What every asset of the grid needs first: which shard it is, and the shard's request.

Belongs here: the guard against cells that no request names, and turning our errors into Dagster's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import ScenarioNotRequestedError, SgfError, outcome_of
from sgf_pipeline.domain.request import GenerationRequest, ShardCounts
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.partitions import split_shard_key
from sgf_pipeline.resources.lake import LakeResource


@dataclass(frozen=True)
class Shard:
    """One cell of the grid, with its request."""

    request: GenerationRequest
    scenario: ScenarioName

    @property
    def counts(self) -> ShardCounts:
        return self.request.content.shard_counts()[self.scenario]


def shard_of(context: dg.AssetExecutionContext, lake: LakeResource) -> Shard:
    """The run's shard. Raises ``ScenarioNotRequestedError`` for a cell that the request does not name."""
    batch_id, scenario = split_shard_key(context.partition_key)
    request = batches.load(lake, batch_id)
    if scenario not in request.content.scenarios:
        raise ScenarioNotRequestedError(
            f"scenario not requested: batch {batch_id!r} asks for {', '.join(request.content.scenarios)},"
            f" not for {scenario}"
        )
    return Shard(request, scenario)


@contextmanager
def failing_plainly() -> Iterator[None]:
    """Turn an error of ours into a ``dagster.Failure`` that says the same sentence and retries only if that helps."""
    try:
        yield
    except SgfError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__},
            allow_retries=outcome_of(error).retry,
        ) from error
