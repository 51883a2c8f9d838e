"""Batches over REST: API, webserver and daemon as processes of their own, and an API that is killed.

The tests of this module share one Dagster and follow one another. Batches are without fraud where no case matters, so
that the model need not be asked.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from sgf_pipeline_tests.integration.dagster_server import DagsterServer, until
from sgf_pipeline_tests.integration.services import free_port

GENERATE = "/v1/generator/generate"
HONEST = {"count": 50, "fraud_ratio": 0.0, "scenarios": ["phishing"], "seed": 5}


class Api:
    """``sgf serve`` on the tests' Dagster."""

    def __init__(self, dagster: DagsterServer) -> None:
        self._dagster = dagster
        self.port = free_port()
        self._log = (dagster.folder / "api.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self.port}{GENERATE}"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=180)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sgf_pipeline.cli.main", "serve", "--port", str(self.port)],
            cwd=self._dagster.folder, env={**self._dagster.environment, "SGF_API_RATE": "0"}, stdout=self._log,
            stderr=self._log,
        )  # fmt: skip
        until(self._answers, "the API")

    def _answers(self) -> bool:
        try:
            return self.client.get("/health").is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self.client.close()
        self._log.close()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        os.kill(self._process.pid, how)
        return self._process.wait(60)


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory, case_cache: Path) -> Iterator[DagsterServer]:
    server = DagsterServer(tmp_path_factory.mktemp("api"), case_cache)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def promised(dagster: DagsterServer) -> str:
    """A batch that an API accepted and was killed before it launched it: its promise is old enough to be another's."""
    script = f"""
import os, signal
from sgf_pipeline.acceptance import Launcher
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.defaults import completed, last_midnight
from sgf_pipeline.resources.lake import LakeResource
from datetime import UTC, datetime
asked = {{**{HONEST!r}, "tenant": "default"}}
launcher = Launcher(LakeResource(url={dagster.lake.url!r}), DagsterClient({dagster.url!r}))
accepted = launcher.accept(completed(asked, last_midnight(datetime.now(UTC))), {{}}, asked, key="lost answer")
print(accepted.request.batch_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], env=dagster.environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def api(dagster: DagsterServer, promised: str) -> Iterator[Api]:
    server = Api(dagster)
    server.start()
    yield server
    server.stop(signal.SIGKILL)
    server.close()


def is_launched(dagster: DagsterServer, batch_id: str) -> bool:
    """Whether the API is through with launching it."""
    return dagster.lake.exists(dagster.lake.path("launches", "done", f"{batch_id}.json"))


def runs_of(dagster: DagsterServer, batch_id: str) -> list[Any]:
    """All runs of the batch's shards, whoever launched them."""
    about = {"tags": [{"key": "dagster/partition/batch_id", "value": batch_id}]}
    with dagster.client() as client:
        ((runs, _),), _ = client.runs_and_backfills([(about, about)])
    return runs


def test_generate_waits_for_the_batch_and_says_what_it_is(api, dagster):
    """Guards what an old client relies on: one call, one finished dataset, and files that can be read."""
    body = {**HONEST, "count": 60, "fraud_ratio": 0.1, "scenarios": ["card_testing"]}
    answer = api.client.post(GENERATE, json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["generated"], said["fraudulent"], said["legit"], said["seed"]) == (60, 6, 54, 5)
    assert said["latency_ms"] > 0
    (file,) = said["file_uris"]
    assert file.startswith(said["s3_uri"])
    assert pq.read_metadata(file.removeprefix("file://")).num_rows == 60
    shown = api.client.get(f"/v1/generator/batches/{said['batch_id']}").json()
    assert (shown["state"], shown["is_complete"], shown["manifest"]) == ("complete", True, 1)
    assert [shard["state"] for shard in shown["shards"]] == ["done"]
    assert len(runs_of(dagster, said["batch_id"])) == 1


def test_a_key_gives_one_batch_however_often_it_is_sent(api, dagster):
    """Guards against building twice what a client asked for once, in several calls at once or one after the other."""
    dagster.kill("daemon")  # from here on runs stay in the queue
    headers = {"Idempotency-Key": "one", "Prefer": "respond-async"}
    with ThreadPoolExecutor(4) as clients:
        asked = [clients.submit(httpx.post, api.url, json=HONEST, headers=headers, timeout=60) for _ in range(4)]
        found = [one.result() for one in asked]
    assert {answer.status_code for answer in found} == {202}
    (batch_id,) = {answer.json()["batch_id"] for answer in found}
    until(lambda: is_launched(dagster, batch_id), "the batch is launched")
    again = api.client.post(GENERATE, json=HONEST, headers={**headers, "Prefer": "wait=2"})
    assert (again.status_code, again.json()["batch_id"]) == (202, batch_id)
    (run,) = runs_of(dagster, batch_id)
    assert again.json()["run_ids"] == [run.run_id]


def test_a_client_that_hangs_up_cancels_nothing(api, dagster):
    """Guards a batch from a client's time-out: what was accepted is launched, and is still to be had by its key."""
    headers = {"Idempotency-Key": "hung up"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(api.url, json=HONEST, headers=headers, timeout=1)
    answer = api.client.post(GENERATE, json=HONEST, headers={**headers, "Prefer": "respond-async"})
    batch_id = answer.json()["batch_id"]
    until(lambda: is_launched(dagster, batch_id), "the batch is launched")
    (run,) = runs_of(dagster, batch_id)
    assert not run.is_finished


def test_delete_ends_what_runs(api, dagster):
    """Guards the way out: a cancelled batch does not run, and a client that waits for it is told."""
    headers = {"Idempotency-Key": "cancelled"}
    accepted = api.client.post(GENERATE, json={**HONEST, "seed": 6}, headers={**headers, "Prefer": "wait=1"})
    assert accepted.status_code == 202
    batch_id = accepted.json()["batch_id"]
    until(lambda: is_launched(dagster, batch_id), "the batch is launched")
    ended = api.client.delete(f"/v1/generator/batches/{batch_id}").json()
    assert (len(ended["run_ids"]), ended["refused"]) == (1, {})
    shown = api.client.get(accepted.json()["status_url"]).json()
    assert (shown["state"], shown["shards"][0]["state"]) == ("incomplete", "cancelled")
    waiting = api.client.post(GENERATE, json={**HONEST, "seed": 6}, headers=headers)
    assert (waiting.status_code, waiting.json()["detail"].startswith(f"batch '{batch_id}' is incomplete")) == (
        409,
        True,
    )


def test_batches_are_listed_in_pages(api):
    """Guards a tenant with many batches: pages follow one another, the newest first, none twice."""
    first = api.client.get("/v1/generator/batches", params={"limit": 2}).json()
    second = api.client.get(first["next"]).json()
    names = [one["batch_id"] for page in (first, second) for one in page["batches"]]
    assert len(first["batches"]) == 2
    assert len(set(names)) == len(names) >= 3


def test_what_a_killed_api_promised_is_launched_once(api, dagster, promised):
    """Guards the promise: the next API launches what the killed one accepted, and a retry finds that batch."""
    until(lambda: is_launched(dagster, promised), "the promise is kept")
    api.stop(signal.SIGKILL)
    api.start()
    headers = {"Idempotency-Key": "lost answer", "Prefer": "wait=2"}
    retry = api.client.post(GENERATE, json=HONEST, headers=headers)
    assert (retry.status_code, retry.json()["batch_id"]) == (202, promised)
    assert len(retry.json()["run_ids"]) == len(runs_of(dagster, promised)) == 1
