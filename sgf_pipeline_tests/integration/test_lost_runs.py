"""Runs that a reboot took away, and runs that only look like it, on a Dagster of the tests' own."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from sgf_pipeline import dagster_client, launch, run_launcher
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.launch import ShardState, ShardStatus
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.integration.dagster_server import PROJECT, DagsterServer, until
from sgf_pipeline_tests.integration.services import free_port

LONG, NEXT = "gen_long", "gen_next"
"""A batch of one shard that takes minutes, and one that waits behind it."""

ELSEWHERE = {"host": "127.0.0.2", "port": free_port()}
"""A code server on what stands for another host; nothing listens there."""


@pytest.fixture
def server(tmp_path: Path, case_cache: Path) -> Iterator[DagsterServer]:
    """Looks after its runs, and for its code server, each second; and has place for one run."""
    started = DagsterServer(tmp_path, case_cache)
    file = started.home / "dagster.yaml"
    text = file.read_text()
    for before, after in (
        ("poll_interval_seconds: 30", "poll_interval_seconds: 1"),
        ("max_concurrent_runs: 2", "max_concurrent_runs: 1"),
        ("user_code_failure_retry_delay: 15", "user_code_failure_retry_delay: 1"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    file.write_text(text)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def dagster(server: DagsterServer) -> Iterator[DagsterClient]:
    until(server.is_loaded, "the code is loaded")
    with server.client() as client:
        yield client


@dg.job
def nothing() -> None:
    """The job of runs that nobody executes."""


def started(instance: dg.DagsterInstance, server: dict[str, Any] | None) -> dg.DagsterRun:
    """A run that says it is at work, started by the code server at this address."""
    tags = {".dagster/grpc_info": json.dumps(server)} if server else {}
    return instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED, tags=tags)


def shard(server: DagsterServer, dagster: DagsterClient, batch_id: str) -> ShardStatus:
    (only,) = launch.batch_status(server.lake, dagster, batch_id).shards
    return only


def begin(server: DagsterServer, dagster: DagsterClient, count: int = 2_000_000) -> str:
    """The id of a run that is at work and stays so for minutes; ``count`` rows."""
    launch.register(server.lake, dagster, small_request(LONG, count=count, scenarios=["phishing"]))
    launched = launch.launch(server.lake, dagster, LONG, requested_by="test")
    until(lambda: shard(server, dagster, LONG).stage is not None, "the run is at work")
    return launched.runs["phishing"]


def launch_next(server: DagsterServer, dagster: DagsterClient) -> launch.Launched:
    launch.register(server.lake, dagster, small_request(NEXT, count=100, scenarios=["phishing"]))
    return launch.launch(server.lake, dagster, NEXT, requested_by="test")


def test_a_run_that_died_with_its_code_server_fails_and_frees_its_place(server, dagster):
    """Guards the queue after a reboot: such a run held its place for twelve hours, and nobody was told."""
    begin(server, dagster)
    launch_next(server, dagster)
    server.kill("code")
    until(lambda: shard(server, dagster, LONG).state is ShardState.FAILED, "the lost run has failed")
    failure = shard(server, dagster, LONG).failure
    assert failure is not None
    reason = "The process of this run is gone: the code server that started it does not exist any more"
    assert reason in failure.error
    server.start(daemon=False)
    until(server.is_loaded, "the code is loaded again")
    until(lambda: shard(server, dagster, NEXT).state is ShardState.DONE, "the next run had its place")
    told = [f"{LONG} phishing failed", reason]
    until(lambda: any(all(part in line for part in told) for line in server.log("code").splitlines()), "it is told")


def test_a_code_server_started_anew_at_the_same_address_does_not_answer_for_the_runs_of_the_one_before(server, dagster):
    """Guards against taking the successor's answer for the run's: a container that was killed is back in seconds."""
    begin(server, dagster)
    server.kill("daemon")
    server.kill("code")
    server.start()
    until(server.is_loaded, "the code is loaded again")
    until(lambda: shard(server, dagster, LONG).state is ShardState.FAILED, "the lost run has failed")
    failure = shard(server, dagster, LONG).failure
    assert failure is not None
    assert "was started anew and does not know it" in failure.error


def test_a_run_that_outlives_its_code_server_ends_itself(server, dagster):
    """Guards a living run against being failed, and its shard against being built beside it, for its server's death."""
    run_id = begin(server, dagster, count=5_000)
    (code,) = [one for one in psutil.Process().children() if str(server.code_port) in one.cmdline()]
    code.kill()
    with dg.DagsterInstance.from_config(str(server.home)) as instance:
        until(lambda: instance.get_run_by_id(run_id).is_finished, "the run has ended")
        assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.SUCCESS
        failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert failures == []


def test_cancelling_a_lost_run_ends_it_at_once(server, dagster):
    """Guards ``sgf cancel`` after a reboot: the run stayed "cancelling", the command failed."""
    begin(server, dagster)
    server.kill("daemon")  # no run monitoring helps
    server.kill("code")
    ended = server.sgf("cancel", LONG)
    assert ended.returncode == 0, ended.stderr
    assert shard(server, dagster, LONG).state is ShardState.CANCELLED


def test_a_run_of_which_nothing_is_known_is_not_marked_as_cancelled_and_keeps_no_other_from_it(
    server, dagster, monkeypatch
):
    """Guards a run at work on a host that cannot be reached now, and the runs that are cancelled along with it."""
    server.kill("daemon")
    monkeypatch.setattr(dagster_client, "CANCEL_ATTEMPTS", 2)
    queued = launch_next(server, dagster)
    with dg.DagsterInstance.from_config(str(server.home)) as instance:
        away = [started(instance, ELSEWHERE) for _ in range(2)]
        run_ids = [away[0].run_id, queued.runs["phishing"], away[1].run_id]
        refused = dagster.cancel_runs(run_ids)
        assert list(refused) == [run.run_id for run in away]
        assert all("was asked to end and has not yet" in why for why in refused.values())
        statuses = [instance.get_run_by_id(run_id).status.value for run_id in run_ids]
        assert statuses == ["CANCELING", "CANCELED", "CANCELING"]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """On the project's ``dagster.yaml``, with no process around it."""
    shutil.copyfile(PROJECT / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    return instance.run_launcher.check_run_worker_health(run).status.name


def test_a_code_server_that_answers_late_is_not_gone(instance, monkeypatch):
    """Guards the runs of a busy code server: slowness was no reason to fail them, and must not become one."""
    monkeypatch.setattr(run_launcher, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert health(instance, started(instance, {"host": "127.0.0.1", "port": silent.getsockname()[1]})) == "RUNNING"
    gone = {"host": "localhost", "socket": "/tmp/no-such-socket"}
    assert health(instance, started(instance, gone)) == "FAILED"


def test_a_code_server_elsewhere_must_be_gone_for_a_while(instance, monkeypatch):
    """Guards runs in a cluster against the moments in which their server's name leads nowhere, or to another server."""
    run = started(instance, ELSEWHERE)
    assert [health(instance, run), health(instance, run)] == ["RUNNING", "RUNNING"]
    monkeypatch.setattr(run_launcher, "ELSEWHERE_SECONDS", 0.0)
    assert health(instance, run) == "FAILED"


def test_a_run_without_a_code_server_is_left_alone(instance):
    """Guards the runs of ``sgf generate``, which are executed in its own process."""
    assert health(instance, started(instance, None)) == "RUNNING"
