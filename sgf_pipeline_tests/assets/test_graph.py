"""The asset graph as a person meets it in the web interface."""

import json

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from sgf_pipeline import batches
from sgf_pipeline.assets import SHARD_ASSETS
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES
from sgf_pipeline.manifests import write_manifest
from sgf_pipeline.partitions import shard_tags, split_shard_key
from sgf_pipeline.progress import MAX_ATTEMPTS, RECEIPTS_TAG
from sgf_pipeline.resources.stream import Stream
from sgf_pipeline.resources.warehouse import Warehouse
from sgf_pipeline.sensors import manifest_sensor
from sgf_pipeline_tests.building import failure_text, run
from sgf_pipeline_tests.conftest import small_request

GROUPS = {
    "request": {"generation_request"},
    "generation": {"fraud_cases", "raw_transactions"},
    "post_processing": {"clean_transactions"},
    "validation": {"validated_transactions"},
    "labelling": {"labelled_transactions"},
    "export": {"lake_export", "warehouse_export", "stream_export", "feature_export", "dataset_manifest"},
    "preview": {"preview"},
    "model": {"case_corpus", "base_model", "scenario_adapter"},
}


@pytest.fixture(scope="module")
def definitions(make_settings) -> dg.Definitions:
    return build_definitions(make_settings())


def test_the_graph_has_its_eight_groups_and_every_asset_says_what_it_is(definitions):
    """Guards against an asset without a group, description, owner or kind: names and groups are the API."""
    groups: dict[str, set[str]] = {}
    for spec in definitions.resolve_all_asset_specs():
        groups.setdefault(spec.group_name, set()).add(spec.key.path[-1])
        assert spec.description, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
    assert groups == GROUPS


def test_stages_have_code_versions_and_only_one_asset_needs_the_model(definitions):
    """Guards staleness after a change of code, and a run that only re-exports loading a language model."""
    for spec in definitions.resolve_all_asset_specs():
        assert spec.code_version, spec.key
    needing = {asset.key.path[-1] for asset in SHARD_ASSETS if "llm" in asset.required_resource_keys}
    assert needing == {"fraud_cases"}


@pytest.mark.parametrize("key", ["a|b|card_testing", "|card_testing", "gen_1|", "gen_1|theft", "../x|card_testing"])
def test_keys_that_dagster_accepts_are_refused_by_ours(key):
    """Guards against partition keys that Dagster takes and that mean nothing, or a path outside the storage."""
    with pytest.raises(InvalidRequestError):
        split_shard_key(key)


def test_the_three_tags_of_a_shard():
    """Guards against a launch by GraphQL that starts and fails for want of a tag."""
    assert shard_tags("gen_1", "phishing") == {
        "dagster/partition": "gen_1|phishing",
        "dagster/partition/batch_id": "gen_1",
        "dagster/partition/scenario": "phishing",
    }
    assert len(SCENARIO_NAMES) == 7


def register_config(**changes: object) -> dict:
    config = {"register_new": True, "count": 50, "scenarios": ["card_testing"], "seed": 3, **changes}
    return {
        "ops": {"generation_request": {"config": config}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }


def test_a_batch_is_registered_from_the_launchpad_and_never_changed_by_it(make_settings, instance):
    """Guards the launchpad as a door: it registers, repeats, and refuses other content under the same name."""
    settings = make_settings()
    job = build_definitions(settings).resolve_job_def("register_batch")
    instance.add_dynamic_partitions("batch_id", ["launched_1"])

    def launch(config: dict) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(
            partition_key="launched_1", instance=instance, run_config=config, raise_on_error=False
        )

    first = launch(register_config())
    assert first.success
    assert launch(register_config()).success
    other = launch(register_config(count=60))
    assert not other.success
    assert "count is 50 there and 60 here" in failure_text(other)
    bad = launch(register_config(fraud_ratio=3.0))
    assert "fraud_ratio" in failure_text(bad)
    unmarked = launch(register_config(register_new=False, count=60))
    assert "count is 50 there and 60 here" in failure_text(unmarked)
    shown = launch({"loggers": register_config()["loggers"]})
    assert shown.success
    lake = lake_of(settings)
    request = batches.load(lake, "launched_1")
    event = first.get_asset_materialization_events()[0].materialization
    assert event.tags["dagster/data_version"] == request.content.content_sha


def test_a_batch_that_nobody_registered_says_so(make_settings, instance):
    """Guards against a key typed by hand in the web interface failing with a stack of paths."""
    instance.add_dynamic_partitions("batch_id", ["never_registered"])
    result = run(build_definitions(make_settings()), instance, "register_batch", "never_registered")
    assert "is not registered: set register_new to true" in failure_text(result)


def test_the_sensor_asks_once_for_each_set_of_receipts(make_settings):
    """Guards the end of a batch: asked for when all shards are there, once, again after a rebuild, bounded."""
    settings = make_settings()
    lake = lake_of(settings)
    definitions = build_definitions(settings)
    asked = batches.register(lake, small_request("gen_sensed", delivery={"s3": False}))
    facts = {"rows": 500, "fraudulent": 50, "legit": 450}

    def export(scenario: str, data_sha: str) -> None:
        for sink in batches.SINKS:
            state = {"state": "skipped", "why": "not wanted"}
            batches.add_to_receipt(lake, asked, scenario, data_sha, sink, state, facts)

    with dg.DagsterInstance.local_temp() as own:
        own.add_dynamic_partitions("batch_id", [asked.batch_id, "not_registered"])

        def tick() -> list[dg.RunRequest]:
            context = dg.build_sensor_context(
                instance=own, resources={"lake": lake}, repository_def=definitions.get_repository_def()
            )
            # the daemon opens this context around every tick; dagster has no public name for it
            with partition_loading_context(dynamic_partitions_store=own):
                return manifest_sensor.evaluate_tick(context).run_requests

        assert tick() == []
        export("card_testing", "d1")
        assert tick() == []
        export("money_laundering", "d1")
        (request,) = tick()
        assert request.partition_key == asked.batch_id
        keys = {request.run_key}  # Dagster passes over one that it has seen
        for attempt in range(MAX_ATTEMPTS):
            keys.add(tick()[0].run_key)
            assert len(keys) == attempt + 2
            failed = own.create_run_for_job(
                definitions.resolve_job_def("close_batch"),
                tags={"dagster/partition": asked.batch_id, RECEIPTS_TAG: request.tags[RECEIPTS_TAG]},
                status=dg.DagsterRunStatus.NOT_STARTED,
            )
            own.report_run_failed(failed)
        assert tick() == []
        export("card_testing", "d2")
        (again,) = tick()
        assert again.run_key != request.run_key
        write_manifest(lake, Warehouse(settings.warehouse_url), Stream("", "", "", {}), asked)
        assert tick() == []


def test_the_request_of_the_launchpad_has_every_field_of_the_content(definitions):
    """Guards against a field that a request has and the launchpad forgets."""
    from sgf_pipeline.assets.generation_request import NOT_CONTENT, RequestConfig
    from sgf_pipeline.domain.request import RequestContent

    not_offered = {"weights", "profile"}
    assert set(RequestConfig.model_fields) - set(NOT_CONTENT) == set(RequestContent.model_fields) - not_offered
    assert json.dumps(register_config())
