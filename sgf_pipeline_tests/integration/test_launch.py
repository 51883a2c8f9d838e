"""Launching from outside, on a Dagster that runs: webserver, daemon and code server as processes of their own.

The tests of this module share one Dagster and follow one another: each leaves the batches as the next one needs them.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest
from graphql import GraphQLSchema, build_client_schema, get_introspection_query, parse, validate

from sgf_pipeline import batches, graphql_documents, launch
from sgf_pipeline.cli import launching
from sgf_pipeline.cli.main import main
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.definitions import build_definitions
from sgf_pipeline.domain.errors import (
    InvalidRequestError,
    OrchestratorError,
    OrchestratorUnavailableError,
    ScenarioNotRequestedError,
    StorageError,
    UnknownBatchError,
)
from sgf_pipeline.launch import BatchState
from sgf_pipeline.partitions import shard_tags
from sgf_pipeline.progress import HOST_TAG, PID_TAG, ShardState
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.integration.dagster_server import DagsterServer, until


class Ended(NamedTuple):
    """What a command left."""

    returncode: object
    stdout: str
    stderr: str


Sgf = Callable[..., Ended]

FIRST = small_request("gen_first", count=200)
"""Two shards, one of which fails at first."""
SECOND = small_request("gen_second", count=100, scenarios=["card_testing"])
OTHER = small_request("gen_other", count=100, scenarios=["phishing"])
"""Registered and never launched."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, case_cache: Path) -> Iterator[DagsterServer]:
    started = DagsterServer(tmp_path_factory.mktemp("launching"), case_cache)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def dagster(server: DagsterServer) -> Iterator[DagsterClient]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def schema(dagster: DagsterClient) -> GraphQLSchema:
    """What the webserver serves."""
    return build_client_schema(dagster.ask(get_introspection_query()))


@pytest.fixture
def sgf(server: DagsterServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sgf:
    """The command line on this Dagster, without the two seconds that a process of its own takes to import."""

    def run(*options: str) -> Ended:
        for name, value in server.values.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["sgf", *options])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run


def blocked_cases(server: DagsterServer) -> Path:
    """Where the money laundering shard's cases go: a folder that is not empty cannot be replaced by a file."""
    return server.folder / "data" / "assets" / "fraud_cases" / "gen_first" / "money_laundering.parquet"


def test_a_launch_queues_one_run_a_requested_shard_and_repeating_it_adds_none(server, dagster):
    """Guards the registration (record, then key) and the default of launching only what is not under way."""
    blocked_cases(server).mkdir(parents=True)
    (blocked_cases(server) / "in_the_way").touch()
    launch.register(server.lake, dagster, FIRST)
    first = launch.launch(server.lake, dagster, "gen_first", requested_by="test")
    assert list(first.runs) == ["card_testing", "money_laundering"]
    assert first.left_alone == {}
    again = launch.launch(server.lake, dagster, "gen_first", requested_by="test")
    assert again.runs == {}
    assert set(again.left_alone.values()) <= {ShardState.QUEUED, ShardState.RUNNING}
    assert launch.batch_status(server.lake, dagster, "gen_first").state is BatchState.RUNNING


def test_a_backfill_is_about_the_named_cells_that_requests_name(server, dagster):
    """Guards the enumeration of cells, keys of batches never launched before, and a status that shows it at once."""
    batches.register(server.lake, OTHER)
    batches.register(server.lake, SECOND)  # its key is unknown to Dagster as yet
    asked = launch.backfill(
        server.lake, dagster, ["gen_first", "gen_second", "gen_other"], ["card_testing"], requested_by="test"
    )
    assert asked.cells == (("gen_first", "card_testing"), ("gen_second", "card_testing"))
    assert asked.not_requested == (("gen_other", "card_testing"),)
    second = launch.batch_status(server.lake, dagster, "gen_second")
    assert (second.state, second.backfills) == (BatchState.RUNNING, (asked.backfill_id,))
    assert second.shards[0].state is ShardState.QUEUED
    # the backfill is about another batch, too, and goes on
    ended = launch.cancel(server.lake, dagster, "gen_second")
    assert (ended.backfill_ids, ended.shared_backfill_ids) == ((), (asked.backfill_id,))


@pytest.mark.parametrize(
    "document", list(graphql_documents.every_document()), ids=lambda text: text.split("(")[0][-12:]
)
def test_every_document_is_valid_for_the_schema_that_the_webserver_serves(schema, document):
    """Guards against a Dagster whose schema has moved on: the first to say so should not be a user's launch."""
    assert validate(schema, parse(document)) == []


@pytest.mark.parametrize("key", ["gen_never_registered", "a|b", "", "a,b", "../gen_first", "GEN_FIRST"])
def test_a_forged_batch_is_refused_by_us_because_dagster_would_run_it(server, dagster, key):
    """Guards against runs and partitions for keys that nobody registered: Dagster accepts any text."""
    expected = UnknownBatchError if key == "gen_never_registered" else InvalidRequestError
    for ask in (
        lambda: launch.launch(server.lake, dagster, key, requested_by="test"),
        lambda: launch.backfill(server.lake, dagster, [key], ["card_testing"], requested_by="test"),
        lambda: launch.cancel(server.lake, dagster, key),
        lambda: launch.batch_status(server.lake, dagster, key),
        lambda: launch.recent_batches(server.lake, dagster, before=key),
    ):
        with pytest.raises(expected):
            ask()
    assert dagster.batch_ids() == ["gen_second", "gen_first"]


def test_cells_that_no_request_names_are_refused_or_passed_over(server, dagster):
    """Guards against runs of shards that can only fail."""
    with pytest.raises(ScenarioNotRequestedError, match="not for phishing"):
        launch.launch(server.lake, dagster, "gen_first", requested_by="test", scenarios=["phishing"])
    with pytest.raises(InvalidRequestError, match="robbery"):
        launch.backfill(server.lake, dagster, ["gen_first"], ["robbery"], requested_by="test")
    with pytest.raises(ScenarioNotRequestedError, match="none of the 2 batches"):
        launch.backfill(server.lake, dagster, ["gen_first", "gen_other"], ["chargeback_fraud"], requested_by="test")


def test_cancelling_one_batch_of_a_backfill_ends_its_runs_alone(server, dagster):
    """Guards against cancelled shards that look missing or done, and against cancelling other people's batches."""

    def shard() -> launch.ShardStatus:
        return launch.batch_status(server.lake, dagster, "gen_second").shards[0]

    until(lambda: shard().run_id is not None, "the backfill has launched gen_second")
    ended = launch.cancel(server.lake, dagster, "gen_second")
    assert (len(ended.run_ids), ended.refused) == (1, {})
    until(lambda: shard().state is not ShardState.CANCELLING, "gen_second is cancelled")
    assert shard().state is ShardState.CANCELLED
    assert launch.batch_status(server.lake, dagster, "gen_second").state is BatchState.INCOMPLETE
    assert launch.batch_status(server.lake, dagster, "gen_first").shards[0].state is not ShardState.CANCELLED


def test_a_failed_shard_leaves_the_batch_visibly_incomplete_and_its_sentence_is_the_exit(server, dagster, sgf):
    """Guards against a partial failure that looks like success, and against exit codes that say nothing."""
    until(lambda: launch.batch_status(server.lake, dagster, "gen_first").is_settled, "gen_first has settled")
    status = launch.batch_status(server.lake, dagster, "gen_first")
    done, failed = status.shards
    assert (status.state, status.manifest, status.is_complete) == (BatchState.FAILED, None, False)
    assert (done.state, done.rows, done.fraudulent) == (ShardState.DONE, 100, 10)
    assert (failed.state, failed.rows) == (ShardState.FAILED, None)
    assert failed.failure is not None
    assert failed.failure.kind == "StorageError"
    assert failed.failure.step == "fraud_cases"
    with pytest.raises(StorageError, match="gen_first, money_laundering: "):
        launching.raise_where_failed([status])
    shown = sgf("status", "gen_first")
    assert shown.returncode == 0
    assert failed.failure.error in shown.stdout
    as_json = json.loads(sgf("status", "gen_first", "--json").stdout)
    assert [one["error"] for one in as_json["shards"]] == [None, failed.failure.error]


def test_launching_again_builds_only_what_failed_and_waits_for_the_manifest(server, dagster, sgf):
    """Guards the retry after a partial failure: the shard that is done is not built again."""
    before = launch.batch_status(server.lake, dagster, "gen_first")
    shutil.rmtree(blocked_cases(server))
    done = server.sgf("launch", "--batch-id", "gen_first", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    assert list(result["runs"]) == ["money_laundering"]
    assert (result["generated"], result["fraudulent"], result["legit"], result["manifest"]) == (200, 20, 180, 1)
    status = launch.batch_status(server.lake, dagster, "gen_first")
    assert (status.state, status.manifest) == (BatchState.COMPLETE, 1)
    assert status.shards[0].run_id == before.shards[0].run_id
    nothing = sgf("launch", "--batch-id", "gen_first", "--wait")
    assert nothing.returncode == 0, nothing.stderr
    assert "nothing to launch" in nothing.stdout


def test_a_backfill_of_one_batch_is_cancelled_before_it_launches_anything(dagster, sgf):
    """Guards against runs that a backfill makes after its batch was cancelled."""
    asked = sgf("backfill", "--scenario", "card_testing,phishing", "gen_second", "--json")
    assert asked.returncode == 0, asked.stderr
    assert "gen_second does not ask for phishing" in asked.stderr
    result = json.loads(asked.stdout)
    assert result["shards"] == [{"batch_id": "gen_second", "scenario": "card_testing"}]
    cancelled = sgf("cancel", "gen_second", "--json")
    assert cancelled.returncode == 0, cancelled.stderr
    assert json.loads(cancelled.stdout)["backfills"] == [result["backfill_id"]]
    with pytest.raises(OrchestratorError, match="was cancelled"):
        dagster.check_backfill(result["backfill_id"])


def test_the_list_shows_the_newest_batches_in_pages_and_by_tenant(server, dagster, sgf):
    """Guards the order and the paging of lists, and against keys that were typed by hand."""
    dagster.add_batch("typed_by_hand")
    assert [one.batch_id for one in launch.recent_batches(server.lake, dagster)] == ["gen_second", "gen_first"]
    assert [one.batch_id for one in launch.recent_batches(server.lake, dagster, 1)] == ["gen_second"]
    page = launch.recent_batches(server.lake, dagster, 1, before="gen_second")
    assert [one.batch_id for one in page] == ["gen_first"]
    assert launch.recent_batches(server.lake, dagster, tenant="acme") == []
    lines = sgf("status").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["gen_second", "gen_first"]


def test_a_damaged_batch_hides_no_other_from_the_list(server, dagster, sgf):
    """Guards against one file, broken by hand, that takes the list away from everybody."""
    receipt = batches.dataset_folder(server.lake, FIRST) / "_receipts" / "card_testing.json"
    kept = receipt.read_bytes()
    receipt.write_bytes(b"")
    shown = sgf("status")
    with pytest.raises(StorageError, match="is damaged"):
        launch.batch_status(server.lake, dagster, "gen_first")
    receipt.write_bytes(kept)
    assert shown.returncode == 0, shown.stderr
    second, first = shown.stdout.splitlines()
    assert second.startswith("gen_second")
    assert re.search(r"gen_first +default +damaged .*card_testing.json is damaged: restore it", first)


def test_what_a_command_builds_is_ended_where_it_runs(server, dagster, sgf):
    """Guards against a batch called cancelled while `sgf generate` works on, and a second builder beside it."""
    with dg.DagsterInstance.from_config(str(server.home)) as instance:
        job = build_definitions(server.settings).resolve_job_def("build_shard")
        tags = {**shard_tags("gen_other", "phishing"), HOST_TAG: "laptop", PID_TAG: "4711"}
        at_work = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        refused = sgf("cancel", "gen_other")
        assert refused.returncode == 4
        assert "it belongs to sgf generate, process 4711 on laptop: end that with Ctrl-C" in refused.stderr
        assert launch.batch_status(server.lake, dagster, "gen_other").shards[0].state is ShardState.RUNNING
        instance.report_run_failed(at_work)


def test_without_a_server_nothing_is_registered_and_one_sentence_says_what_to_do(server, sgf):
    """Guards against half-registered batches and tracebacks when Dagster is down."""
    server.kill("webserver")
    before = sorted(path.name for path in (server.folder / "data" / "requests").iterdir())
    for options in (["launch", "-c", "100"], ["backfill", "--scenario", "phishing", "gen_other"], ["status"]):
        refused = sgf(*options)
        assert refused.returncode == 75, refused.stderr
        assert re.fullmatch(
            rf"sgf: Dagster's webserver at {server.url} does not answer \(.*\): start .*\n", refused.stderr
        )
    assert sorted(path.name for path in (server.folder / "data" / "requests").iterdir()) == before
    with server.client() as late, pytest.raises(OrchestratorUnavailableError):
        launch.batch_status(server.lake, late, "gen_first")


def test_code_that_cannot_be_loaded_is_said_with_dagsters_own_words(tmp_path, case_cache):
    """Guards against launching into a code location that is broken, and against "not found" as the only answer."""
    broken = DagsterServer(tmp_path, case_cache, module="no_such_module")
    batches.register(broken.lake, FIRST)
    try:
        broken.start(daemon=False)
        with broken.client() as dagster, pytest.raises(OrchestratorError, match="No module named 'no_such_module'"):
            launch.launch(broken.lake, dagster, "gen_first", requested_by="test")
    finally:
        broken.stop()
