"""Closing what an ``sgf`` process left that was killed, on a real instance."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable

import dagster as dg
import pytest

from sgf_pipeline.cli.building import open_instance
from sgf_pipeline.definitions import build_definitions
from sgf_pipeline.partitions import shard_tags
from sgf_pipeline.progress import HOST_TAG, PID_TAG
from sgf_pipeline.settings import Settings


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


@pytest.mark.parametrize(
    ("host", "is_alive", "more", "closed"),
    [
        (socket.gethostname(), False, {}, True),
        (socket.gethostname(), True, {}, False),
        ("elsewhere", False, {}, False),
        # executed again in the web interface, which copies tags: another process does the work
        (socket.gethostname(), False, {"dagster/parent_run_id": "first"}, False),
    ],
)
def test_only_runs_of_dead_commands_are_closed(
    make_settings: Callable[..., Settings],
    gone: int,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    is_alive: bool,
    more: dict[str, str],
    closed: bool,
) -> None:
    """Guards runs at work, which the next command must never fail, and the places in the queue of dead ones."""
    settings = make_settings()
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    job = build_definitions(settings).resolve_job_def("build_shard")
    pid = os.getpid() if is_alive else gone
    with open_instance(settings) as instance:
        tags = {**shard_tags("gen_left", "phishing"), HOST_TAG: host, PID_TAG: str(pid), **more}
        left = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    with open_instance(settings) as instance:
        found = instance.get_run_by_id(left.run_id)
    assert found is not None
    assert (found.status is dg.DagsterRunStatus.FAILURE) is closed
