"""The jobs: what is launched as one run."""

import warnings

import dagster as dg

from sgf_pipeline.assets import MODEL_ASSETS, SHARD_ASSETS, dataset_manifest, generation_request
from sgf_pipeline.assets.shown import OWNERS

# Dagster says so when it resolves a job, long after this module. The lock file pins it; the notice helps no user.
warnings.filterwarnings("ignore", "Parameter `owners` of .*(to_job|JobDefinition)", dg.BetaWarning)

register_batch = dg.define_asset_job(
    "register_batch",
    selection=dg.AssetSelection.assets(generation_request),
    description=(
        "The request of one batch: shows it, or registers it (register_new: true). New batch_ids are added on the "
        "page of the asset generation_request: Materialize, Open launchpad, Add new partition."
    ),
    owners=OWNERS,
)
build_shard = dg.define_asset_job(
    "build_shard",
    selection=dg.AssetSelection.assets(*SHARD_ASSETS),
    description=(
        "Builds one shard, from its fraud cases to its sinks: the unit of run, retry and backfill. Only shards "
        "that the batch's request names can be built."
    ),
    owners=OWNERS,
)
close_batch = dg.define_asset_job(
    "close_batch",
    selection=dg.AssetSelection.assets(dataset_manifest),
    description=(
        "Proves, measures and records a batch whose requested shards are all exported. manifest_sensor asks for it "
        "by itself."
    ),
    owners=OWNERS,
    tags={"dagster/priority": "1"},  # a finished batch does not wait behind the shards of others
)
train_base = dg.define_asset_job(
    "train_base",
    selection=dg.AssetSelection.assets(*MODEL_ASSETS[:2]),
    description="Writes the training corpus and trains the small base model on it; scenario_adapter comes after.",
    owners=OWNERS,
)
train_adapter = dg.define_asset_job(
    "train_adapter",
    selection=dg.AssetSelection.assets(MODEL_ASSETS[2]),
    description=(
        "Trains one scenario's adapter: with a folder of one's own confirmed cases in its configuration, on those as "
        "well (docs/teaching.md)."
    ),
    owners=OWNERS,
)

JOBS = (register_batch, build_shard, close_batch, train_base, train_adapter)
