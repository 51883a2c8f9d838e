"""What people are shown of assets and jobs: staleness, numbers that can be followed over batches, columns."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from sgf_pipeline.assets.shown import columns
from sgf_pipeline.definitions import build_definitions
from sgf_pipeline.domain.schema import FEATURES, LABELS, TRANSACTION_SCHEMA
from sgf_pipeline.jobs import JOBS
from sgf_pipeline.llm.peft_backend import BUNDLED
from sgf_pipeline.llm.prompts import PROMPT_VERSION
from sgf_pipeline.partitions import shard_key
from sgf_pipeline_tests.building import build
from sgf_pipeline_tests.conftest import small_request

STAGES = ("raw_transactions", "clean_transactions", "validated_transactions", "labelled_transactions")
# The numbers that are to be followed over batches: their names are an API.
NUMBERS = {
    "fraud_cases": {
        "dagster/row_count", "seconds", "bytes", "cases", "calls", "cache_hits", "input_tokens", "output_tokens",
        "cost_usd", "valid_at_first_try", "valid_at_first_try_share", "rejected_answers", "model_seconds",
    },
    **{stage: {"dagster/row_count", "seconds", "bytes", "fraudulent", "incidents"} for stage in STAGES},
    "lake_export": {"dagster/row_count", "seconds", "bytes", "fraudulent"},
    "warehouse_export": {"dagster/row_count", "seconds"},
    "feature_export": {"dagster/row_count", "seconds", "bytes"},
    "dataset_manifest": {
        "number", "dagster/row_count", "fraudulent", "legit", "fraud_share", "incidents", "seconds", "cases",
        "input_tokens", "output_tokens", "cost_usd", "realism_judged", "realism_in_goal", "expectations",
        "expectations_met", "shortcuts_failed",
    },
}  # fmt: skip


def code_versions(definitions: dg.Definitions) -> dict[str, str | None]:
    return {spec.key.path[-1]: spec.code_version for spec in definitions.resolve_all_asset_specs()}


def test_another_adapter_marks_cases_as_stale_and_nothing_else(make_settings, tmp_path):
    """Guards against cases of another model passing for fresh ones, and against a change of it marking other stages."""
    adapters = tmp_path / "adapters"
    shutil.copytree(BUNDLED / "adapters", adapters)
    bundled = code_versions(build_definitions(make_settings()))
    copied = code_versions(build_definitions(make_settings(sgf_peft_adapter=str(adapters))))
    assert {name for name in bundled if bundled[name] != copied[name]} == {"fraud_cases"}
    assert bundled["fraud_cases"].startswith(f"prompt-{PROMPT_VERSION}-sgf-mini-")
    _train_on(adapters)
    assert code_versions(build_definitions(make_settings(sgf_peft_adapter=str(adapters)))) != copied


def _train_on(adapters: Path) -> None:
    """As training does: other weights under the same name."""
    weights = adapters / "phishing" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")


def test_every_job_says_what_it_does_and_whose_it_is():
    """Guards against a job in the web interface that nobody can tell from another, or that nobody answers for."""
    for job in JOBS:
        assert job.description
        assert job.owners


def test_labels_are_marked_among_the_columns():
    """Guards against a table of columns that does not tell what a detector may see."""
    shown = columns(TRANSACTION_SCHEMA)["dagster/column_schema"].columns
    assert [column.name for column in shown] == [*FEATURES, *LABELS]
    assert [column.name for column in shown if "label" in column.tags] == list(LABELS)
    assert all(column.description for column in shown)
    channel = next(column for column in shown if column.name == "channel")
    assert channel.type == "string"
    assert "ecommerce" in channel.description


@pytest.fixture(scope="module")
def shown(make_settings, instance) -> dict[str, dict[str, dg.MetadataValue]]:
    """The metadata of every asset of one shard and of its batch, by asset."""
    request = small_request("gen_shown", seed=3)
    build(make_settings(), instance, request)
    keys = {name: str(shard_key(request.batch_id, "card_testing")) for name in NUMBERS}
    keys["dataset_manifest"] = request.batch_id
    found = {}
    for name, key in keys.items():
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[key]), limit=1
        ).records
        found[name] = dict(records[0].asset_materialization.metadata)
    return found


@pytest.mark.parametrize("asset", NUMBERS)
def test_numbers_can_be_followed_over_batches(shown, asset):
    """Guards the charts: a figure that is no plain number, or has changed its name, vanishes from them."""
    plain = {name for name, value in shown[asset].items() if isinstance(value.value, int | float)}
    assert plain >= NUMBERS[asset]


def test_numbers_are_those_of_the_request(shown):
    """Guards against figures that are plain numbers, and wrong."""
    assert {shown[stage]["fraudulent"].value for stage in STAGES} == {50}
    assert {shown[stage]["dagster/row_count"].value for stage in STAGES} == {500}
    assert shown["dataset_manifest"]["fraud_share"].value == 0.1
    assert shown["fraud_cases"]["cases"].value == shown["fraud_cases"]["dagster/row_count"].value
    assert 0 < shown["fraud_cases"]["valid_at_first_try_share"].value <= 1
    assert shown["validated_transactions"]["checks_passed"].value == 17
