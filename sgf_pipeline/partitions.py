"""The partitions of the asset graph, and the only place that joins and splits their keys.

Belongs here: batch ids (dynamic), scenarios (static), the grid of the two, preview pages, and the guards that
Dagster itself does not have: it accepts any text as a dynamic key.
"""

import warnings

import dagster as dg

from sgf_pipeline.domain.request import check_batch_id, check_scenario
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES, ScenarioName

batch_ids = dg.DynamicPartitionsDefinition(name="batch_id")
scenarios = dg.StaticPartitionsDefinition(list(SCENARIO_NAMES))
shards = dg.MultiPartitionsDefinition({"batch_id": batch_ids, "scenario": scenarios})
preview_pages = dg.DynamicPartitionsDefinition(name="preview_page")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # the lock file pins Dagster; the notice helps no user
    # A batch's asset feeds, or is fed by, every cell of its batch_id.
    BATCH_TO_SHARDS = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="batch_id")


def shard_key(batch_id: str, scenario: str) -> dg.MultiPartitionKey:
    """The grid's key of one shard. Raises ``InvalidRequestError`` on a malformed part."""
    return dg.MultiPartitionKey({"batch_id": check_batch_id(batch_id), "scenario": check_scenario(scenario)})


def split_shard_key(key: str) -> tuple[str, ScenarioName]:
    """(batch_id, scenario) of a grid key as Dagster hands it to an asset: ``batch|scenario``."""
    batch_id, _, scenario = key.partition("|")
    return check_batch_id(batch_id), check_scenario(scenario)


def shard_tags(batch_id: str, scenario: str) -> dict[str, str]:
    """The three tags without which a partitioned run launched by GraphQL starts and fails."""
    key = shard_key(batch_id, scenario)
    return {
        "dagster/partition": str(key),
        "dagster/partition/batch_id": batch_id,
        "dagster/partition/scenario": scenario,
    }
