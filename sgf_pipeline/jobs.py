"""The jobs: what is launched as one run."""

import dagster as dg

from sgf_pipeline.assets import MODEL_ASSETS, SHARD_ASSETS, dataset_manifest, generation_request

register_batch = dg.define_asset_job(
    "register_batch",
    selection=dg.AssetSelection.assets(generation_request),
    description="Show, or register from the launchpad, the request of one batch.",
)
build_shard = dg.define_asset_job(
    "build_shard",
    selection=dg.AssetSelection.assets(*SHARD_ASSETS),
    description="Build one shard from its cases to its sinks: the unit of run, retry and backfill.",
)
close_batch = dg.define_asset_job(
    "close_batch",
    selection=dg.AssetSelection.assets(dataset_manifest),
    description="Write the manifest of a batch whose requested shards are all exported.",
)
train_base = dg.define_asset_job(
    "train_base",
    selection=dg.AssetSelection.assets(*MODEL_ASSETS[:2]),
    description="Write the corpus and train the small base model on it.",
)

JOBS = (register_batch, build_shard, close_batch, train_base)
