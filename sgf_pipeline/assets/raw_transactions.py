"""Stage 2: the population lives, and the cases are played inside it."""

import dagster as dg

from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS
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
    owners=OWNERS,
    description="""What happened in the shard: its customers' legitimate traffic, look-alikes of fraud, and every case
played.

Exactly the rows and frauds that the request implies. Entities are still numbers, money is whole minor units, rows
stand in no order, and each carries the truth: fraud or not, case, step, incident.

- `incidents`: playings of cases; `plays_of_one_case`: the most of one case
- `shortened_incidents`, `cut_incidents`: ended early to fit the exact count, or by the end of the period
""",
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
