"""Stage 4: the gate. One bad row fails the shard; the bad rows lie in quarantine with their reasons."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.domain.errors import ValidationFailedError
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.lake import LakeResource

GATE_VERSION = "1"
CHECKS = {
    "schema": "every row has the schema's types, words, ranges and cross-column rules",
    "exact_counts": "rows and frauds are exactly those of the request",
    "unique_ids": "no transaction_id is repeated",
    "time_order": "rows are in time order",
    "links": "every linked transaction is in the shard",
}


@dg.asset(
    group_name="validation",
    partitions_def=shards,
    io_manager_key="stage_files",
    code_version=GATE_VERSION,
    check_specs=[
        dg.AssetCheckSpec(name, asset="validated_transactions", description=text) for name, text in CHECKS.items()
    ],
    kinds={"pandera", "parquet"},
    owners=["team:fraud-data"],
    description="Rows that passed the gate. Nothing downstream sees a shard that did not.",
)
def validated_transactions(
    context: dg.AssetExecutionContext, clean_transactions: RowStream, lake: LakeResource
) -> Iterator[Any]:
    """Answer every check, then let the shard through or fail it."""
    from sgf_pipeline.quality.gate import judge  # pandera and pandas: a second that only this stage pays

    with failing_plainly():
        shard = shard_of(context, lake)
    verdict = judge(clean_transactions, shard.request.content, shard.counts)
    for check in verdict.checks:
        yield dg.AssetCheckResult(passed=check.passed, check_name=check.name, metadata=check.numbers)
    quarantine = lake.path("quarantine", shard.request.batch_id, f"{shard.scenario}.parquet")
    with failing_plainly():
        lake.remove(quarantine)
        if not verdict.passed:
            where = ""
            if verdict.bad_rows is not None:
                lake.write_rows(quarantine, table_stream(verdict.bad_rows), owner=context.run.run_id)
                where = f": the bad rows lie in {lake.uri(quarantine)}"
            failed = ", ".join(check.name for check in verdict.checks if not check.passed)
            raise ValidationFailedError(
                f"shard {shard.scenario} of {shard.request.batch_id} failed the gate ({failed}){where}"
            )
    yield dg.Output(clean_transactions)
