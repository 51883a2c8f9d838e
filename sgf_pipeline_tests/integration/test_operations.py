"""An operator's evening on the server's instance (PostgreSQL): one batch through three doors, then a backfill."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from sgf_pipeline import batches, launch
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline_tests.building import build
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.integration.dagster_server import DagsterServer, until
from sgf_pipeline_tests.integration.services import Postgres

SCENARIO = "card_testing"


@pytest.fixture
def server(tmp_path: Path, case_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterServer]:
    (tmp_path / "postgres").mkdir()
    postgres = Postgres(tmp_path / "postgres")
    server = DagsterServer(tmp_path / "server", case_cache, postgres=postgres)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", server.values["DAGSTER_POSTGRES_URL"])  # for an instance in this process
    server.start()
    until(server.is_loaded, "the code is loaded")
    yield server
    server.stop()
    postgres.stop()


def test_three_doors_leave_one_set_of_files_and_a_backfill_a_new_manifest_each(server: DagsterServer) -> None:
    """Guards a batch that is launched twice at once and built by a third door beside: one set of files, equal bytes.

    And a backfill of one scenario over batches: a new manifest for each, by its recorded request, with the same rows.
    """
    wanted = [small_request(f"gen_{name}", count=60, scenarios=[SCENARIO]) for name in ("first", "second")]
    first = wanted[0]
    with server.client() as dagster, dg.DagsterInstance.from_config(str(server.home)) as instance:
        launch.register(server.lake, dagster, first)
        for door in ("one", "two"):
            launch.launch(server.lake, dagster, first.batch_id, requested_by=door, again=True)
        for request in wanted:
            build(server.settings, instance, request)
        until(lambda: launch.batch_status(server.lake, dagster, first.batch_id).is_settled, "all doors are shut")
        shard = batches.shard_file(server.lake, first, SCENARIO)
        assert [path.name for path in shard.parent.iterdir()] == [shard.name]
        assert not list((server.folder / "data" / ".tmp").glob("*.parquet"))
        bytes_before = shard.read_bytes()
        before = [_newest(server, request) for request in wanted]
        result = server.sgf("backfill", "--scenario", SCENARIO, *(one.batch_id for one in wanted), "--wait")
        assert result.returncode == 0, result.stderr
        assert [_newest(server, request) for request in wanted] == [number + 1 for number in before]
        assert shard.read_bytes() == bytes_before
        assert launch.batch_status(server.lake, dagster, first.batch_id).is_complete


def _newest(server: DagsterServer, request: GenerationRequest) -> int:
    manifest = batches.newest_manifest(server.lake, request)
    assert manifest is not None, request.batch_id
    return int(manifest["number"])
