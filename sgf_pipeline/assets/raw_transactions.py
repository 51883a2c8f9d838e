"""Stage 2: the population lives, and the cases are played inside it."""

import dagster as dg

from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.stage_files import StageFiles
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.llm.recorded import recorded_cases
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.simulation import simulate

SIMULATION_VERSION = "3"


@dg.asset(
    group_name="generation",
    partitions_def=shards,
    io_manager_key="stage_files",
    code_version=SIMULATION_VERSION,
    kinds={"numpy", "parquet"},
    owners=["team:fraud-data"],
    description="Simulated rows of the shard with their hidden truth: legitimate traffic and played cases, unordered.",
)
def raw_transactions(
    context: dg.AssetExecutionContext,
    fraud_cases: RowStream,
    lake: LakeResource,
    stage_files: dg.ResourceParam[StageFiles],
) -> dg.MaterializeResult[None]:
    """Exactly the shard's rows and frauds."""
    with failing_plainly():
        shard = shard_of(context, lake)
        simulated = simulate(shard.request.content, shard.scenario, recorded_cases(fraud_cases))
    return stage_files.store(context, RowStream(simulated.schema, simulated.read, simulated.facts))
