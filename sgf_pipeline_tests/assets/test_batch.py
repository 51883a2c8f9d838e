"""A batch from request to manifest, through Dagster, with the bundled model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from sgf_pipeline import batches
from sgf_pipeline.assets.stage_files import StageFiles, stage_path
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.schema import FEATURES, LABELS, TRANSACTION_SCHEMA
from sgf_pipeline.explain import verify
from sgf_pipeline.llm import peft_backend
from sgf_pipeline.llm.recorded import recorded_cases
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.building import QUIET, build, failure_text, run
from sgf_pipeline_tests.conftest import small_request

REQUEST = small_request()


@pytest.fixture(scope="module")
def built(make_settings: Callable[..., Settings], instance: dg.DagsterInstance) -> tuple[Settings, LakeResource]:
    settings = make_settings()
    return settings, build(settings, instance, REQUEST)


@pytest.fixture(scope="module")
def rows(built: tuple[Settings, LakeResource]) -> pd.DataFrame:
    folder = batches.dataset_folder(built[1], REQUEST)
    return pd.read_parquet(folder.path)


def hashes(lake: LakeResource) -> dict[str, str]:
    return {name: lake.sha256(batches.shard_file(lake, REQUEST, name)) for name in REQUEST.content.scenarios}


def test_the_dataset_has_exactly_what_was_asked_for(built, rows):
    """Guards the promise of the product: exact rows, exact frauds, each scenario its share, one Hive dataset."""
    assert len(rows) == 1000
    assert rows.groupby("shard", observed=True)["is_fraud"].agg(["size", "sum"]).to_numpy().tolist() == [[500, 50]] * 2
    manifest = batches.newest_manifest(built[1], REQUEST)
    assert (manifest["rows"], manifest["fraudulent"], manifest["legit"]) == (1000, 100, 900)
    tenants = pyarrow.dataset.dataset(built[1].path("datasets").path, partitioning="hive")
    assert tenants.count_rows() == 1000


def test_columns_are_those_of_the_schema_in_every_file(built):
    """Guards against a stage that adds, drops or retypes a column on the way out."""
    for name in REQUEST.content.scenarios:
        schema = pq.read_schema(batches.shard_file(built[1], REQUEST, name).path)
        assert schema.remove_metadata() == TRANSACTION_SCHEMA.remove_metadata()
    assert TRANSACTION_SCHEMA.names == [*FEATURES, *LABELS]


def test_frauds_and_only_frauds_are_explained_and_the_explanations_are_true(built, rows):
    """Guards the labels: scenario, vector and explanation on every fraud, on nothing else, and true of the rows."""
    fraud, legit = rows[rows["is_fraud"]], rows[~rows["is_fraud"]]
    for column in (
        "explanation",
        "evidence",
        "fraud_scenarios",
        "vector",
        "case_id",
        "incident_id",
        "label_available_at",
    ):
        assert fraud[column].notna().all(), column
    for column in ("explanation", "evidence", "fraud_scenarios", "vector", "label_available_at"):
        assert legit[column].isna().all(), column
    assert all(names[0] == shard for names, shard in zip(fraud["fraud_scenarios"], fraud["shard"], strict=True))
    assert (fraud["label_available_at"] > fraud["event_time"]).all()
    for name, shard in rows.groupby("shard", observed=True):
        cases = recorded_cases(built[1].read_rows(stage_path(built[1], "fraud_cases", REQUEST.batch_id, name)))
        by_id = {case.case_id: case for case in cases}
        played = shard[shard["incident_id"].notna()].reset_index(drop=True)
        steps = [
            by_id[case].steps[int(step)].kind for case, step in zip(played["case_id"], played["case_step"], strict=True)
        ]
        assert verify(played.assign(step_kind=steps)) == []


def test_the_manifest_records_model_and_incidents(built):
    """Guards against a dataset whose origin nobody can tell afterwards."""
    manifest = batches.newest_manifest(built[1], REQUEST)
    for shard in manifest["shards"].values():
        assert shard["model"]["model"] == "sgf-mini"
        assert len(shard["model"]["fingerprint"]) >= 8
        assert shard["incidents"] > 0
        assert shard["model"]["cases"] > 0
        assert shard["plays_of_one_case"] >= 1
        assert {"shortened_incidents", "cut_incidents", "salt_fingerprint"} <= set(shard)
        assert shard["sinks"]["warehouse"]["state"] == "done"


def test_order_of_shards_and_size_of_batches_never_change_a_byte(built, make_settings, instance):
    """Guards determinism: other order, other chunk size, other storage, a second model load; the same files."""
    settings = make_settings()
    lake = lake_of(settings)
    other = build(
        settings, instance, REQUEST, backwards=True, stage_files=StageFiles(lake=lake, batch_rows=37)
    )  # fmt: skip
    assert hashes(other) == hashes(built[1])


def test_another_seed_gives_other_customers_amounts_and_cases(rows, make_settings, instance):
    """Guards against a seed that is recorded but not used somewhere along the way."""
    asked = small_request("gen_seed_8", seed=8)
    lake = build(make_settings(), instance, asked)
    other = pd.read_parquet(batches.dataset_folder(lake, asked).path)
    for column in ("customer_id", "card_id", "account_id", "device_id", "transaction_id", "case_id"):
        assert not set(rows[column].dropna()) & set(other[column].dropna()), column
    assert not np.array_equal(np.sort(rows["amount"]), np.sort(other["amount"]))


def test_another_adapter_changes_the_transactions(built, make_settings, instance, tmp_path):
    """Guards the claim that a language model writes the crime: change its weights and the frauds change."""
    adapters = tmp_path / "adapters"
    shutil.copytree(Path(peft_backend.BUNDLED) / "adapters", adapters)
    for file in adapters.glob("*/adapter_model.safetensors"):
        weights = load_file(file)
        save_file({name: (-0.5 * array).astype(array.dtype) for name, array in weights.items()}, file)
    asked = small_request(scenarios=["card_testing"], batch_id="gen_adapter")
    ours, theirs = (
        build(make_settings(**extra), instance, asked) for extra in ({}, {"sgf_peft_adapter": str(adapters)})
    )
    ours_rows, their_rows = (
        pd.read_parquet(batches.shard_file(lake, asked, "card_testing").path).query("is_fraud")
        for lake in (ours, theirs)
    )
    assert len(ours_rows) == len(their_rows)
    for column in ("amount", "event_time", "merchant_name", "case_id"):
        assert sorted(ours_rows[column]) != sorted(their_rows[column]), column
    fingerprints = [
        batches.newest_manifest(lake, asked)["shards"]["card_testing"]["model"]["fingerprint"]
        for lake in (ours, theirs)
    ]
    assert fingerprints[0] != fingerprints[1]


def test_building_again_calls_no_model_and_closing_again_adds_no_manifest(built, instance):
    """Guards against paying twice for the same cases, rows that change, a rebuild that no manifest shows, and
    manifests that differ in nothing."""
    settings, lake = built
    before = hashes(lake)
    build(settings, instance, REQUEST)
    assert hashes(lake) == before
    assert run(build_definitions(settings), instance, "close_batch", REQUEST.batch_id).success
    assert lake.names(batches.dataset_folder(lake, REQUEST) / "_manifests") == ["1.json", "2.json"]
    record = instance.get_latest_materialization_event(dg.AssetKey("fraud_cases"))
    metadata = record.asset_materialization.metadata
    assert metadata["calls"].value == 0
    assert metadata["cache_hits"].value > 0


def test_a_cell_that_was_not_requested_fails_in_one_sentence(built, instance):
    """Guards against spending the model on scenarios nobody asked for when a whole column is backfilled."""
    settings, _ = built
    result = run(build_definitions(settings), instance, "build_shard", shard_key(REQUEST.batch_id, "phishing"))
    assert not result.success
    assert failure_text(result).startswith("scenario not requested")


def test_a_defect_stops_at_the_gate(make_settings, instance):
    """Guards against a bad row downstream: the checks say why, the rows lie in quarantine, nothing is labelled."""
    settings = make_settings()
    asked = small_request("gen_defect", scenarios=["card_testing"])
    lake = build(settings, instance, asked)
    path = stage_path(lake, "clean_transactions", asked.batch_id, "card_testing")
    table = pq.read_table(path.path)
    amounts = table.column("amount").to_numpy().copy()
    amounts[3] = -5.0
    pq.write_table(
        table.set_column(table.schema.get_field_index("amount"), table.schema.field("amount"), [amounts]), path.path
    )
    labelled = stage_path(lake, "labelled_transactions", asked.batch_id, "card_testing")
    labelled.unlink()
    result = dg.materialize(
        build_definitions(settings).assets,
        selection=["validated_transactions", "labelled_transactions"],
        partition_key=shard_key(asked.batch_id, "card_testing"),
        instance=instance,
        resources=build_definitions(settings).resources,
        raise_on_error=False,
        run_config=QUIET,
    )
    assert not result.success
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks["schema"] is False
    assert checks["exact_counts"] is True
    assert not lake.exists(labelled)
    bad = lake.path("quarantine", asked.batch_id, "card_testing.parquet")
    assert "amount" in pq.read_table(bad.path).column("reason").to_pylist()[0]


def test_without_s3_no_dataset_is_left_and_the_counts_stand(make_settings, instance):
    """Guards --no-s3: no folder of files, a null address, and still a proven manifest."""
    asked = small_request("gen_no_s3", delivery={"s3": False}, count=200)
    lake = build(make_settings(), instance, asked)
    manifest = batches.newest_manifest(lake, asked)
    assert manifest["s3_uri"] is None
    assert manifest["rows"] == 200
    assert not lake.exists(batches.shard_file(lake, asked, "card_testing"))


def test_the_salt_is_in_no_file_and_no_event(make_settings, instance, monkeypatch):
    """Guards the key of all identifiers: with it anyone could recompute them."""
    salt = "a-very-secret-salt-of-ours"
    monkeypatch.setenv("SGF_ID_SALT", salt)
    asked = small_request("gen_salted", count=100, scenarios=["card_testing"])
    lake = build(make_settings(), instance, asked)
    for path in Path(lake.url).rglob("*"):
        assert path.is_dir() or salt.encode() not in path.read_bytes(), path
    records = instance.fetch_materializations(dg.AssetKey("lake_export"), limit=50).records
    logged = [record.event_log_entry.to_json() for record in records]
    assert logged
    assert not any(salt in text for text in logged)
    assert json.loads(lake.read_bytes(batches.dataset_folder(lake, asked) / "_manifest.json"))["shards"][
        "card_testing"
    ]["salt_fingerprint"]
