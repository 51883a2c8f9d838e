"""Stage 3: simulated rows become transactions: identifiers, money, time order."""

import dagster as dg

from sgf_pipeline.assets.shard_context import failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, columns
from sgf_pipeline.assets.stage_files import StageFiles
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.formatting import clean
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.identity import IdentityResource
from sgf_pipeline.resources.lake import LakeResource

FORMATTING_VERSION = "1"


@dg.asset(
    group_name="post_processing",
    partitions_def=shards,
    io_manager_key="stage_files",
    code_version=FORMATTING_VERSION,
    kinds={"pyarrow", "parquet"},
    owners=OWNERS,
    metadata=columns(CLEAN_SCHEMA),
    description="""The shard's rows in public words, in time order.

Every identifier is an HMAC under `SGF_ID_SALT`, money is exact to the currency's minor unit, merchants have a name, a
category and a place. The hidden truth still travels with the rows; natural repeats stay.
""",
)
def clean_transactions(
    context: dg.AssetExecutionContext,
    raw_transactions: RowStream,
    lake: LakeResource,
    identity: IdentityResource,
    stage_files: dg.ResourceParam[StageFiles],
) -> dg.MaterializeResult[None]:
    """The same rows in public words."""
    with failing_plainly():
        shard = shard_of(context, lake)
        rows = clean(raw_transactions, shard.request.content, identity.identifiers(shard.request, shard.scenario))
    return stage_files.store(context, rows)
