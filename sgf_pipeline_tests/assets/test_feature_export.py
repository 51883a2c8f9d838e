"""The window features of a shard beside the dataset, built through Dagster."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sgf_pipeline import batches
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.domain.schema import LABELS
from sgf_pipeline.features.windows import window_features
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.resources.feature_store import features_file
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.building import QUIET, run
from sgf_pipeline_tests.conftest import small_request

NAME = "card_testing"
REQUEST = small_request("gen_features", count=300, scenarios=[NAME])


def built(settings: Settings, instance: dg.DagsterInstance, request: GenerationRequest) -> LakeResource:
    """The request's one shard, and no manifest."""
    lake = lake_of(settings)
    batches.register(lake, request)
    instance.add_dynamic_partitions("batch_id", [request.batch_id])
    assert run(build_definitions(settings), instance, "build_shard", shard_key(request.batch_id, NAME)).success
    return lake


@pytest.fixture(scope="module")
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@pytest.fixture(scope="module")
def lake(settings: Settings, instance: dg.DagsterInstance) -> LakeResource:
    return built(settings, instance, REQUEST)


@pytest.fixture(scope="module")
def file(lake: LakeResource) -> Path:
    return Path(features_file(batches.dataset_folder(lake, REQUEST), NAME).path)


def state(lake: LakeResource, request: GenerationRequest) -> object:
    """What the shard's receipt says of the features, without the run that exported them."""
    receipt = batches.receipt(lake, request, NAME)
    assert receipt is not None
    return {name: value for name, value in receipt["sinks"]["features"].items() if name != "run"}


def test_features_lie_beside_the_dataset_row_by_row_and_without_labels(lake, file):
    """Guards against features of other rows, in another order, or with the answer among them."""
    rows = pd.read_parquet(batches.shard_file(lake, REQUEST, NAME).path)
    found = pd.read_parquet(file)
    assert file.parts[-3:] == ("_features", f"shard={NAME}", "part-00000.parquet")
    assert found["transaction_id"].tolist() == rows["transaction_id"].tolist()
    expected = window_features(rows)
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_exact=True)
    assert not set(found.columns) & set(LABELS)
    assert found["customer_count_24h"].max() > 1


def test_the_receipt_names_the_rows_and_the_bytes(lake, file):
    """Guards the manifest: it can only prove what the receipt states."""
    uri = features_file(batches.dataset_folder(lake, REQUEST), NAME)
    expected = {"state": "done", "rows": 300, "sha256": lake.sha256(uri), "bytes": file.stat().st_size}
    assert state(lake, REQUEST) == expected


def test_the_dataset_reads_as_before(lake):
    """Guards against readers of the dataset's folder that take the features for rows of it."""
    assert len(pd.read_parquet(batches.dataset_folder(lake, REQUEST).path)) == 300
    meaning = pq.read_schema(features_file(batches.dataset_folder(lake, REQUEST), NAME).path).field("card_count_1h")
    assert meaning.metadata[b"meaning"] == b"rows of the card"


def test_exporting_again_gives_the_same_bytes(lake, file, settings, instance):
    """Guards idempotence: a file that was damaged by hand is put right, to the byte."""
    before = file.read_bytes()
    file.write_bytes(b"damaged")
    again = build_definitions(settings).resolve_job_def("build_shard").execute_in_process(
        partition_key=shard_key(REQUEST.batch_id, NAME), instance=instance, run_config=QUIET,
        op_selection=["feature_export"],
    )  # fmt: skip
    assert again.success
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_without_files_there_are_no_features_and_the_receipt_says_why(make_settings, instance):
    """Guards --no-s3: nothing of the batch may lie in the dataset's folder, and nothing may be silently absent."""
    request = small_request("gen_no_features", {"s3": False}, count=300, scenarios=[NAME])
    lake = built(make_settings(), instance, request)
    assert state(lake, request) == {"state": "skipped", "why": "--no-s3"}
    assert lake.names(batches.dataset_folder(lake, request)) == ["_receipts"]
