"""The gates as Dagster shows them: every answer is a check with its numbers, and only a defect stops a batch."""

import sys
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sgf_pipeline import batches
from sgf_pipeline.assets import SHARD_ASSETS
from sgf_pipeline.assets.dataset_manifest import CHECKS as BATCH_CHECKS
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.assets.validated_transactions import AUDIT, CHECKS, check_name
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.formatting import clean
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.recorded import record
from sgf_pipeline.llm.writer import WrittenCase
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.quality.expectations import SUITE
from sgf_pipeline.quality.shortcuts import audit
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.settings import Settings
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.building import QUIET, failure_text, run
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.hand_written import CASES

NAME = "money_laundering"
# The package shows the asset under its module's name.
validated_transactions_module = sys.modules["sgf_pipeline.assets.validated_transactions"]


def clean_rows(asked: GenerationRequest) -> pa.Table:
    content = asked.content
    ids = Identifiers("s", content_sha="c", seed=content.seed, population_seed=content.population_seed, scenario=NAME)
    return pa.Table.from_batches(list(clean(simulate(content, NAME, CASES[NAME]), content, ids)), CLEAN_SCHEMA)


def materialise(
    settings: Settings,
    instance: dg.DagsterInstance,
    asked: GenerationRequest,
    stage: str,
    given: RowStream,
    *wanted: str,
) -> tuple[dg.ExecuteInProcessResult, LakeResource]:
    """Build the wanted assets of the one shard on the given content of an earlier stage."""
    lake = lake_of(settings)
    batches.register(lake, asked)
    instance.add_dynamic_partitions("batch_id", [asked.batch_id])
    (name,) = asked.content.scenarios
    lake.write_rows(stage_path(lake, stage, asked.batch_id, name), given)
    definitions = build_definitions(settings)
    result = dg.materialize(
        definitions.assets,
        selection=list(wanted),
        partition_key=shard_key(asked.batch_id, name),
        instance=instance,
        resources=definitions.resources,
        raise_on_error=False,
        run_config=QUIET,
    )
    return result, lake


def validate(
    settings: Settings, instance: dg.DagsterInstance, asked: GenerationRequest, rows: pa.Table
) -> tuple[dg.ExecuteInProcessResult, LakeResource]:
    """Run the gate alone on the given clean rows."""
    return materialise(settings, instance, asked, "clean_transactions", table_stream(rows), "validated_transactions")


def build(settings: Settings, instance: dg.DagsterInstance, asked: GenerationRequest) -> LakeResource:
    """Build and close the batch on cases that were written by hand, so that no model is loaded."""
    name = asked.content.scenarios[0]
    brief = draw_briefs(SCENARIOS[name], 1, 0)[0]
    cases = record([WrittenCase(brief, case, 1, True, 0, 0) for case in CASES[name]], {})
    later = [asset.key.path[-1] for asset in SHARD_ASSETS][1:]
    result, lake = materialise(settings, instance, asked, "fraud_cases", cases, *later)
    assert result.success
    assert run(build_definitions(settings), instance, "close_batch", asked.batch_id).success
    return lake


def checks(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, dict[str, Any]]]:
    return {
        one.check_name: (one.passed, {name: value.value for name, value in one.metadata.items()})
        for one in result.get_asset_check_evaluations()
    }


def test_every_line_of_the_audit_is_a_check():
    """Guards against a line of the audit that no check shows, or a check that nobody answers."""
    rows = clean_rows(small_request("gen_lines", scenarios=[NAME], count=300))
    assert [finding.name for finding in audit(rows, NAME, 0.5)] == list(AUDIT)


def test_a_small_shard_answers_every_check_and_passes(make_settings, instance):
    """Guards the gate's answers: all of them, with numbers, and "not assessed" where there is too little to say."""
    asked = small_request("gen_answers", scenarios=[NAME], count=600)
    result, lake = validate(make_settings(), instance, asked, clean_rows(asked))
    assert result.success
    answers = checks(result)
    assert set(answers) == {*CHECKS, *map(check_name, AUDIT)}
    assert all(passed for passed, _ in answers.values())
    assert answers["exact_counts"][1]["rows"] == 600
    assert answers["money"][1]["schemes"] > 0
    assert answers[check_name("null pattern")][1]["status"] == "not assessed"
    assert "at least" in answers[check_name("null pattern")][1]["why"]
    assert not lake.exists(lake.path("quarantine", asked.batch_id, f"{NAME}.parquet"))


def test_a_planted_leak_stops_the_shard_and_says_which_rule_finds_it(make_settings, instance):
    """Guards the audit as a gate: rows that break no rule, but give fraud away, go no further."""
    asked = small_request("gen_leaking", scenarios=[NAME], count=5_600, fraud_ratio=0.05)
    rows = clean_rows(asked)
    times = rows.column("event_time").cast(pa.int64()).to_numpy()
    fraud = rows.column("is_fraud").to_numpy()
    times = np.where(fraud, times - times % 1_000_000, times)
    order = np.argsort(times, kind="stable")
    moment = pa.array(times).cast(CLEAN_SCHEMA.field("event_time").type)
    at = CLEAN_SCHEMA.get_field_index("event_time")
    leaking = rows.set_column(at, CLEAN_SCHEMA.field("event_time"), moment).take(pa.array(order))
    result, lake = validate(make_settings(), instance, asked, leaking)
    assert not result.success
    answers = checks(result)
    passed, told = answers[check_name("microseconds")]
    assert not passed
    assert told["status"] == "failed"
    assert told["estimate"] > 0.9 > told["limit"]
    assert "microseconds" in told["rule"]
    assert all(answers[name][0] for name in CHECKS)
    assert check_name("microseconds") in failure_text(result)
    assert not lake.exists(stage_path(lake, "validated_transactions", asked.batch_id, NAME))


def test_rows_that_broke_a_rule_are_not_audited(make_settings, instance):
    """Guards against an audit that breaks over broken rows and hides which rule they broke."""
    asked = small_request("gen_broken", scenarios=[NAME], count=600)
    rows = clean_rows(asked)
    at = CLEAN_SCHEMA.get_field_index("amount")
    broken = rows.set_column(at, CLEAN_SCHEMA.field("amount"), pc.negate(rows.column("amount")))
    result, lake = validate(make_settings(), instance, asked, broken)
    assert not result.success
    answers = checks(result)
    assert not answers["schema"][0]
    assert answers[check_name("row order")] == (True, {"status": "not assessed", "why": "the rows broke the gate"})
    assert lake.exists(lake.path("quarantine", asked.batch_id, f"{NAME}.parquet"))


@pytest.fixture(scope="module")
def built(make_settings, instance) -> tuple[Settings, GenerationRequest, LakeResource]:
    settings = make_settings()
    asked = small_request("gen_measured", scenarios=["card_testing"], count=200)
    return settings, asked, build(settings, instance, asked)


def test_the_manifest_records_what_was_measured_and_shows_it(built, instance):
    """Guards the record: statistics and expectations with their numbers, as warnings, and pages beside the dataset."""
    settings, asked, lake = built
    metrics = batches.newest_manifest(lake, asked)["metrics"]
    assert metrics["realism"]["whole"]["value"] > 0
    assert {"low", "high", "margin", "judged", "in_goal"} <= set(metrics["realism"]["whole"])
    rows = next(one for one in metrics["expectations"] if one["column"] == "table")
    assert (rows["observed"], rows["met"]) == (200, True)
    index = lake.read_bytes(batches.dataset_folder(lake, asked) / "_data_docs" / "index.html").decode()
    assert SUITE in index
    result = run(build_definitions(settings), instance, "close_batch", asked.batch_id)
    evaluations = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert set(evaluations) == set(BATCH_CHECKS)
    for one in evaluations.values():
        assert one.severity == dg.AssetCheckSeverity.WARN
        assert one.passed
    assert "| legitimate rows |" in evaluations["realism"].metadata["statistics"].value
    assert evaluations["expectations"].metadata["data_docs"].value.endswith("_data_docs/index.html")


def test_measuring_again_records_the_same(built, instance):
    """Guards the immutable record: no clock and no chance in what is measured; old pages are replaced, not kept."""
    settings, asked, lake = built
    folder = batches.dataset_folder(lake, asked)
    before = batches.newest_manifest(lake, asked)["metrics"]
    pages = {path.relative_to(folder.path) for path in Path(folder.path).rglob("_data_docs/**/*")}
    for name in lake.names(folder / "_manifests"):
        lake.remove(folder / "_manifests" / name)
    assert run(build_definitions(settings), instance, "close_batch", asked.batch_id).success
    assert batches.newest_manifest(lake, asked)["metrics"] == before
    assert {path.relative_to(folder.path) for path in Path(folder.path).rglob("_data_docs/**/*")} == pages


def test_a_batch_that_is_not_exported_is_measured_and_leaves_no_pages(make_settings, instance):
    """Guards --no-s3: the numbers are in the manifest, and no site lies beside a dataset that is not there."""
    asked = small_request("gen_unexported", delivery={"s3": False}, scenarios=["card_testing"], count=100)
    lake = build(make_settings(), instance, asked)
    assert batches.newest_manifest(lake, asked)["metrics"]["expectations"]
    assert lake.names(batches.dataset_folder(lake, asked) / "_data_docs") == []


def test_a_shard_too_large_to_be_audited_whole_is_judged_as_a_small_one(
    make_settings: Any, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards large shards: drawn by characters of their identifiers, honest customers differ in just these."""
    monkeypatch.setattr(validated_transactions_module, "AUDITED_ROWS", 6_000)
    asked = small_request("gen_large", count=30_000, fraud_ratio=0.1, scenarios=[NAME])
    result, _ = materialise(
        make_settings(),
        instance,
        asked,
        "clean_transactions",
        table_stream(clean_rows(asked), {}),
        "validated_transactions",
    )
    assert result.success, failure_text(result)
