"""The asset graph, one module a stage. Read in this order it tells the story of a batch."""

from sgf_pipeline.assets.clean_transactions import clean_transactions
from sgf_pipeline.assets.dataset_manifest import dataset_manifest
from sgf_pipeline.assets.feature_export import feature_export
from sgf_pipeline.assets.fraud_cases import fraud_cases
from sgf_pipeline.assets.generation_request import generation_request
from sgf_pipeline.assets.labelled_transactions import labelled_transactions
from sgf_pipeline.assets.lake_export import lake_export
from sgf_pipeline.assets.model import base_model, case_corpus, scenario_adapter
from sgf_pipeline.assets.preview import preview
from sgf_pipeline.assets.raw_transactions import raw_transactions
from sgf_pipeline.assets.stream_export import stream_export
from sgf_pipeline.assets.validated_transactions import validated_transactions
from sgf_pipeline.assets.warehouse_export import warehouse_export

SHARD_ASSETS = (
    fraud_cases,
    raw_transactions,
    clean_transactions,
    validated_transactions,
    labelled_transactions,
    lake_export,
    warehouse_export,
    stream_export,
    feature_export,
)
MODEL_ASSETS = (case_corpus, base_model, scenario_adapter)
ALL_ASSETS = (generation_request, *SHARD_ASSETS, dataset_manifest, preview, *MODEL_ASSETS)

__all__ = ["ALL_ASSETS", "MODEL_ASSETS", "SHARD_ASSETS", "dataset_manifest", "generation_request"]
