"""Manifests: numbered, immutable, proven, with a row of the audit trail and sinks read back."""

import json
from pathlib import Path
from typing import Any

import pytest

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import AuditError, ReconciliationError, ValidationFailedError
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.manifests import audit_facts, write_manifest
from sgf_pipeline.resources import audit
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.stream import Stream
from sgf_pipeline.resources.warehouse import Warehouse
from sgf_pipeline_tests.test_batches import export, request

NO_STREAM = Stream("", "", "", {})


@pytest.fixture
def lake(tmp_path: Path) -> LakeResource:
    return LakeResource(url=str(tmp_path / "lake"))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(f"sqlite:///{tmp_path / 'warehouse.sqlite'}")


@pytest.fixture
def exported(lake: LakeResource) -> GenerationRequest:
    asked = batches.register(lake, request())
    for name in asked.content.scenarios:
        export(lake, asked, name)
    return asked


def link(manifest: dict[str, Any]) -> tuple[str, audit.Link]:
    return f"manifest {manifest['number']}", audit.Link(**manifest["audit"])


def test_a_batch_with_a_missing_shard_gets_none(lake: LakeResource, warehouse: Warehouse) -> None:
    """Guards against a batch that is called complete while a shard is missing."""
    asked = batches.register(lake, request())
    export(lake, asked, "card_testing")
    with pytest.raises(ValidationFailedError, match="lacks receipts of money_laundering"):
        write_manifest(lake, warehouse, NO_STREAM, asked)


def test_manifests_are_numbered_immutable_and_the_same_receipts_add_none(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards against a manifest that is overwritten, or a new one for every sensor tick."""
    first = write_manifest(lake, warehouse, NO_STREAM, exported)
    assert write_manifest(lake, warehouse, NO_STREAM, exported) == first
    assert not batches.manifest_due(lake, exported).is_due
    export(lake, exported, "card_testing", data_sha="d2")
    second = write_manifest(lake, warehouse, NO_STREAM, exported)
    assert (first["number"], second["number"]) == (1, 2)
    folder = batches.dataset_folder(lake, exported)
    assert lake.names(folder / "_manifests") == ["1.json", "2.json"]
    assert json.loads((folder / "_manifest.json").read_bytes()) == second


def test_a_shard_exported_again_gives_a_new_manifest_though_its_rows_are_the_same(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards a rebuild: whoever asks for one sees that it happened, in a manifest and in the trail."""
    first = write_manifest(lake, warehouse, NO_STREAM, exported)
    for sink in batches.SINKS:
        state = {"state": "skipped", "why": "not wanted", "run": "r2"}
        batches.add_to_receipt(lake, exported, "card_testing", "d1", sink, state)
    assert batches.manifest_due(lake, exported).is_due
    second = write_manifest(lake, warehouse, NO_STREAM, exported)
    assert (first["number"], second["number"]) == (1, 2)
    assert first["shards"]["card_testing"]["data_sha"] == second["shards"]["card_testing"]["data_sha"]
    assert first["shards"]["money_laundering"] == second["shards"]["money_laundering"]
    assert {state["run"] for state in second["shards"]["card_testing"]["sinks"].values()} == {"r2"}
    accounted(lake, warehouse)


def test_every_manifest_has_its_row_in_the_audit_trail(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards against a dataset that nobody can account for, and a version that replaces the row of the one before."""
    first = write_manifest(lake, warehouse, NO_STREAM, exported)
    export(lake, exported, "card_testing", data_sha="d2")
    second = write_manifest(lake, warehouse, NO_STREAM, exported)
    assert [one["audit"]["position"] for one in (first, second)] == [1, 2]
    assert audit.verify(warehouse, map(link, (first, second))) == 2
    with warehouse.reading() as connection:
        row = connection.exec_driver_sql("SELECT * FROM synthetic_batches WHERE position = 2").mappings().one()
    assert json.loads(row["request"])["content"]["count"] == 10
    assert json.loads(row["shards"])["card_testing"]["data_sha"] == "d2"
    assert (row["row_count"], row["fraudulent"], row["legit"], row["requested_by"]) == (10, 2, 8, "unknown")


def test_a_run_killed_between_trail_and_manifest_leaves_one_row(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards against a second row for the same manifest when the run is repeated."""
    write_manifest(lake, warehouse, NO_STREAM, exported)
    lake.remove(batches.manifest_path(lake, exported, 1))  # as if it had never been written
    again = write_manifest(lake, warehouse, NO_STREAM, exported)
    assert audit.verify(warehouse, [link(again)]) == 1


def accounted(lake: LakeResource, warehouse: Warehouse) -> None:
    """As ``sgf audit verify`` does it."""
    claims = {
        manifest["audit"]["position"]: audit.Claim(name, audit_facts(manifest))
        for name, manifest in batches.all_manifests(lake)
    }
    audit.account(warehouse, claims)


def forged(warehouse: Warehouse, **changes: Any) -> None:
    """A row at the end whose hashes are as they should be: anybody who may insert can make one."""
    with warehouse.trail(writing=True) as trail:
        last = trail.newest()
        assert last is not None
        row = {**last, "position": last["position"] + 1, "previous_sha": last["row_sha"], **changes}
        trail.insert({**row, "row_sha": audit.row_sha(row)})


def test_a_well_made_forgery_at_the_end_is_found(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards against a forged row whose hashes are right: the chain alone cannot tell it, the manifests can."""
    write_manifest(lake, warehouse, NO_STREAM, exported)
    accounted(lake, warehouse)
    forged(warehouse, batch_id="gen_forged", row_count=99_999_999)
    assert audit.verify(warehouse) == 2
    with pytest.raises(AuditError, match=r"row 2 \(batch gen_forged, manifest 1\) that no manifest names"):
        accounted(lake, warehouse)


def test_a_changed_or_removed_manifest_is_found(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards the other direction: a manifest is a file, and nothing but the trail says what it said."""
    manifest = write_manifest(lake, warehouse, NO_STREAM, exported)
    path = batches.manifest_path(lake, exported, 1)
    lake.write_json(path, {**manifest, "fraudulent": 0})
    with pytest.raises(AuditError, match=r"row 1 .* its fraudulent is not that of .*1\.json"):
        accounted(lake, warehouse)
    lake.remove(path)
    with pytest.raises(AuditError, match=r"row 1 .* that no manifest names"):
        accounted(lake, warehouse)
    lake.write_bytes(path, b"{")
    with pytest.raises(AuditError, match=r"1\.json is damaged"):
        accounted(lake, warehouse)


def test_a_row_made_beforehand_is_not_adopted(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards against a forged row that waits for its manifest and says something else."""
    write_manifest(lake, warehouse, NO_STREAM, exported)
    export(lake, exported, "card_testing", data_sha="d2")
    receipts_sha = batches.manifest_due(lake, exported).receipts_sha
    forged(warehouse, manifest_number=2, receipts_sha=receipts_sha, fraudulent=0)
    with pytest.raises(AuditError, match=r"row 2 .* its .* is not that of its manifest"):
        write_manifest(lake, warehouse, NO_STREAM, exported)


def test_a_cut_tail_is_found_by_the_manifest(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest, tmp_path: Path
) -> None:
    """Guards against the newest rows being cut off, which leaves a chain that is sound in itself."""
    manifest = write_manifest(lake, warehouse, NO_STREAM, exported)
    empty = Warehouse(f"sqlite:///{tmp_path / 'restored.sqlite'}")
    with pytest.raises(AuditError, match=r"row 1, which manifest 1 names, is gone: the chain's tail was cut"):
        audit.verify(empty, [link(manifest)])


def test_what_is_skipped_is_said_and_never_absent(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards against a sink that silently is not there."""
    manifest = write_manifest(lake, warehouse, NO_STREAM, exported)
    assert manifest["sinks"] == {sink: {"state": "skipped", "why": "not wanted"} for sink in batches.SINKS}
    assert manifest["s3_uri"] is None


def test_counts_are_those_of_the_request(lake: LakeResource, warehouse: Warehouse) -> None:
    """Guards against a manifest over rows that are not those of the request."""
    asked = batches.register(lake, request())
    export(lake, asked, "card_testing", fraudulent=2, legit=3)
    export(lake, asked, "money_laundering")
    with pytest.raises(ValidationFailedError, match="card_testing"):
        write_manifest(lake, warehouse, NO_STREAM, asked)


def test_a_changed_file_or_missing_rows_stop_the_manifest(
    lake: LakeResource, warehouse: Warehouse, exported: GenerationRequest
) -> None:
    """Guards against a manifest that repeats receipts without looking at what the sinks hold."""
    lake.write_bytes(batches.shard_file(lake, exported, "card_testing"), b"other bytes")
    batches.add_to_receipt(lake, exported, "card_testing", "d1", "lake", {"state": "done", "sha256": "0" * 64})
    with pytest.raises(ReconciliationError, match="not the one that was exported"):
        write_manifest(lake, warehouse, NO_STREAM, exported)
    batches.add_to_receipt(lake, exported, "card_testing", "d1", "lake", {"state": "skipped", "why": "not wanted"})
    batches.add_to_receipt(lake, exported, "card_testing", "d1", "warehouse", {"state": "done"})
    with pytest.raises(ReconciliationError, match=r"warehouse holds rows 0 of shard card_testing .* instead of 5"):
        write_manifest(lake, warehouse, NO_STREAM, exported)
    batches.add_to_receipt(lake, exported, "card_testing", "d1", "warehouse", {"state": "skipped", "why": "not wanted"})
    batches.add_to_receipt(lake, exported, "card_testing", "d1", "stream", {"state": "done"})
    with pytest.raises(ReconciliationError, match="KAFKA_BOOTSTRAP_SERVERS is not set"):
        write_manifest(lake, warehouse, NO_STREAM, exported)
    assert audit.verify(warehouse) == 0
