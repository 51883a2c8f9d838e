"""One batch in every sink at once, on real servers, through Dagster, as a nightly run builds it."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from sgf_pipeline import batches
from sgf_pipeline.assets import sinks
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.resources import stream
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.warehouse import Warehouse
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.building import build, failure_text, run
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.integration.services import Noida, Postgres, free_port

FIGURES = ("rows", "minor_units", "transaction_ids_xor")
REQUEST = small_request("gen_three_sinks", count=400)


@pytest.fixture(scope="module")
def settings(make_settings: Callable[..., Settings], postgres: Postgres, kafka: Noida) -> Settings:
    return make_settings(
        database_url=postgres.new_database(), kafka_bootstrap_servers=kafka.address,
        kafka_topic="three.transactions", kafka_labels_topic="three.labels",
    )  # fmt: skip


def manifest_of(lake: LakeResource, request: GenerationRequest) -> dict[str, Any]:
    found = batches.newest_manifest(lake, request)
    assert found is not None
    return found


def test_all_three_hold_the_same(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Guards "one truth": a sink that lost, doubled or changed a row has other figures than the rest."""
    lake = build(settings, instance, REQUEST)
    sinks = manifest_of(lake, REQUEST)["sinks"]
    figures = {name: [sinks[name][figure] for figure in FIGURES] for name in ("lake", "warehouse", "stream")}
    assert figures["lake"] == figures["warehouse"] == figures["stream"]
    assert figures["lake"][0] == REQUEST.content.count
    assert {sinks[name]["state"] for name in figures} == {"done"}


def test_what_the_request_declines_is_skipped_and_said_so(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Guards the three options: nothing is written where nothing was wanted, and the manifest has the exact counts."""
    asked = small_request("gen_declined", count=400, delivery={"save": False, "s3": False, "kafka": False})
    lake = build(settings, instance, asked)
    manifest = manifest_of(lake, asked)
    whys = {name: sink.get("why") for name, sink in manifest["sinks"].items()}
    assert whys == {"lake": "--no-s3", "warehouse": "--no-save", "stream": "--no-kafka", "features": "--no-s3"}
    assert {sink["state"] for sink in manifest["sinks"].values()} == {"skipped"}
    assert manifest["s3_uri"] is None
    assert (manifest["rows"], manifest["fraudulent"]) == (400, asked.content.fraudulent)
    assert not lake.exists(batches.shard_file(lake, asked, asked.content.scenarios[0]))
    with Warehouse(settings.warehouse_url).reading() as connection:
        rows = connection.exec_driver_sql("SELECT COUNT(*) FROM transactions WHERE batch_id = 'gen_declined'").scalar()
    assert rows == 0


def test_rows_removed_by_hand_stop_the_manifest_until_the_shard_is_exported_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """Guards against a batch called complete although somebody deleted a row between export and manifest."""
    asked = small_request("gen_tampered", count=200, scenarios=["card_testing"])
    lake = lake_of(settings)
    definitions = build_definitions(settings)
    batches.register(lake, asked)
    instance.add_dynamic_partitions("batch_id", [asked.batch_id])
    cell = shard_key(asked.batch_id, "card_testing")
    assert run(definitions, instance, "build_shard", cell).success
    with Warehouse(settings.warehouse_url).writing() as connection:
        connection.exec_driver_sql(
            "DELETE FROM transactions WHERE transaction_id ="
            " (SELECT MIN(transaction_id) FROM transactions WHERE batch_id = 'gen_tampered')"
        )
    closed = run(definitions, instance, "close_batch", asked.batch_id)
    assert "warehouse holds rows 199 of shard card_testing" in failure_text(closed)
    assert batches.newest_manifest(lake, asked) is None
    assert run(definitions, instance, "build_shard", cell).success
    assert run(definitions, instance, "close_batch", asked.batch_id).success


def test_a_sink_that_is_down_fails_the_run_and_the_others_keep_what_they_have(
    settings: Settings,
    instance: dg.DagsterInstance,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards against one dead sink that takes the others along, or a shard that cannot be finished afterwards."""
    monkeypatch.setattr(sinks, "RETRY_PACE", 0.01)
    monkeypatch.setattr(stream, "CONNECT_SECONDS", 1)
    asked = small_request("gen_no_broker", count=200, scenarios=["card_testing"])
    there = {name: getattr(settings, name) for name in ("sgf_storage_url", "database_url", "kafka_topic")}
    dead = make_settings(**there, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}", kafka_labels_topic="three.labels")
    lake = lake_of(settings)
    batches.register(lake, asked)
    instance.add_dynamic_partitions("batch_id", [asked.batch_id])
    cell = shard_key(asked.batch_id, "card_testing")
    result = run(build_definitions(dead), instance, "build_shard", cell)
    assert not result.success
    assert "does not answer" in failure_text(result)
    assert len(result.get_failed_step_keys()) == 1
    assert len([event for event in result.all_events if event.is_step_restarted]) == sinks.RETRIES.max_retries
    assert lake.exists(batches.shard_file(lake, asked, "card_testing"))
    with Warehouse(settings.warehouse_url).reading() as connection:
        rows = connection.exec_driver_sql("SELECT COUNT(*) FROM transactions WHERE batch_id = 'gen_no_broker'").scalar()
    assert rows == 200
    assert batches.manifest_due(lake, asked).missing == ("card_testing",)
    assert run(build_definitions(settings), instance, "build_shard", cell).success
    assert run(build_definitions(settings), instance, "close_batch", asked.batch_id).success
    assert manifest_of(lake, asked)["sinks"]["stream"]["rows"] == 200
