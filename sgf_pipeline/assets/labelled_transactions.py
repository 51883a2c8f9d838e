"""Stage 5: the truth becomes labels, and every fraud row says why, in facts that its rows show."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, Stopwatch, check, columns
from sgf_pipeline.assets.stage_files import StageFiles
from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.llm.recorded import recorded_cases
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.identity import IdentityResource
from sgf_pipeline.resources.lake import LakeResource

LABELLING_VERSION = "2"


@dg.asset(
    group_name="labelling",
    partitions_def=shards,
    io_manager_key="stage_files",
    code_version=LABELLING_VERSION,
    check_specs=[
        check(
            "labelled_transactions",
            "explanations_true",
            "every number of every explanation is recomputed from the rows; only frauds have one",
            shards,
            blocking=True,
        )
    ],
    kinds={"pandas", "parquet"},
    owners=OWNERS,
    metadata=columns(TRANSACTION_SCHEMA),
    description="""The product: the shard's transactions, each with its label; every fraud says why it is one.

29 columns that a detector may see, and 11 labels that it may not (tagged `label` below): scenario, vector, whether
the victim paid himself, the explanation with the evidence behind each of its numbers, and when a bank would have
known. Every number of every explanation is computed again from the rows; one that is not true of them fails the
shard.
""",
)
def labelled_transactions(
    context: dg.AssetExecutionContext,
    validated_transactions: RowStream,
    fraud_cases: RowStream,
    lake: LakeResource,
    identity: IdentityResource,
    stage_files: dg.ResourceParam[StageFiles],
) -> Iterator[Any]:
    """Add the label columns; explanations that say more than the rows show fail the shard."""
    from sgf_pipeline.labelling import label  # pandas: a second that only this stage pays

    watch = Stopwatch()
    with failing_plainly():
        shard = shard_of(context, lake)
        labelled = label(
            validated_transactions,
            recorded_cases(fraud_cases),
            shard.request.content,
            shard.scenario,
            identity.identifiers(shard.request, shard.scenario),
        )
    yield dg.AssetCheckResult(
        passed=not labelled.problems,
        check_name="explanations_true",
        metadata={"explained": labelled.explained, "problems": labelled.problems[:20]},
    )
    with failing_plainly():
        if labelled.problems:
            raise ExplanationError(
                f"explanations of shard {shard.scenario} are not true of its rows: {labelled.problems[0]}"
            )
    facts = {**validated_transactions.facts, "model": fraud_cases.facts}
    rows = RowStream(labelled.rows.schema, labelled.rows.read, facts)
    yield stage_files.store(context, rows, {"explained": labelled.explained}, watch)
