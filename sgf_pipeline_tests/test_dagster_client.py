"""What the client makes of whatever answers: a real HTTP server says what proxies, logins and other programs say.

On a Dagster that runs: ``integration/test_launch``.
"""

import copy
import gzip
import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.domain.errors import OrchestratorError, OrchestratorUnavailableError, SgfError

HTML = {"content-type": "text/html; charset=utf-8"}
GZIP = {"content-encoding": "gzip"}
Path = tuple[str | int, ...]


class Handler(BaseHTTPRequestHandler):
    """Answers every question with the server's ``status``, ``headers`` and ``body``."""

    server: "Stranger"

    def do_POST(self) -> None:
        self.server.asked.append(self.headers)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Stranger(ThreadingHTTPServer):
    """A web server that is not Dagster."""

    status = 200
    headers: dict[str, str]
    body = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.headers = {}
        self.asked: list[Any] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or {}

    def login(self) -> str:
        """Its address with a name and a password."""
        return self.url.replace("//", "//viewer:hunter%402@")


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    server = Stranger()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "words"),
    [
        (200, {}, b"hello", OrchestratorError, "is not Dagster.*no JSON object"),
        (200, {}, b"", OrchestratorError, "is not Dagster.*no JSON object"),
        (200, {}, b"\xff\xfe", OrchestratorError, "is not Dagster.*no JSON object"),
        (200, {}, b"[]", OrchestratorError, "is not Dagster.*no JSON object"),
        (200, {}, b"null", OrchestratorError, "is not Dagster.*no JSON object"),
        (200, HTML, b"<html>Who are you?</html>", OrchestratorError, "a web page, a login perhaps.*SGF_DAGSTER_URL"),
        (404, HTML, b"<html>not found</html>", OrchestratorError, r"a web page.*\(HTTP 404\)"),
        (200, {}, b"{}", OrchestratorError, "JSON without data"),
        (200, {}, b'{"data": null}', OrchestratorError, "JSON without data"),
        (200, {}, b'{"data": [1]}', OrchestratorError, "JSON without data"),
        (200, {}, b'{"data": null, "errors": []}', OrchestratorError, "JSON without data"),
        (404, {}, b'{"detail": "not found"}', OrchestratorError, r"JSON without data \(HTTP 404\)"),
        (
            400,
            {},
            b'{"errors": [{"message": "Cannot query field"}]}',
            OrchestratorError,
            "refuses .* Cannot query field",
        ),
        (200, {}, b'{"data": null, "errors": [{}]}', OrchestratorError, "refuses .* no message"),
        (200, {}, b'{"errors": ["boom"]}', OrchestratorError, "refuses .* boom"),
        (200, {}, b'{"errors": "boom"}', OrchestratorError, "refuses .* boom"),
        (200, {}, b'{"errors": {"message": "boom"}}', OrchestratorError, "refuses .* boom"),
        (200, {}, b'{"errors": 7}', OrchestratorError, "refuses .* 7"),
        (200, {}, b'{"errors": [[]]}', OrchestratorError, "refuses .* no message"),
        (200, GZIP, b"this is not packed", OrchestratorError, "cannot be unpacked"),
        (200, GZIP, gzip.compress(b"[]"), OrchestratorError, "no JSON object"),
        (302, {"location": "https://login/?token=t0ken"}, b"", OrchestratorError, r"elsewhere \(HTTP 302\)"),
        (307, {"location": "http://["}, b"", OrchestratorError, "elsewhere"),
        (301, {}, b"", OrchestratorError, "elsewhere"),
        (401, {}, b"", OrchestratorError, "behind a login"),
        (403, HTML, b"<html>", OrchestratorError, "behind a login"),
        (429, {}, b"slowly", OrchestratorUnavailableError, "HTTP 429"),
        (500, {}, b"", OrchestratorUnavailableError, "HTTP 500"),
        (502, HTML, b"<html>", OrchestratorUnavailableError, "HTTP 502"),
        (200, {"content-length": "99"}, b"{", OrchestratorUnavailableError, "does not answer"),
    ],
)
def test_whatever_answers_instead_of_dagster_is_one_sentence(
    status: int, headers: dict[str, str], body: bytes, error: type[SgfError], words: str, stranger: Stranger
) -> None:
    """Guards against a traceback behind a proxy, a login page or another program's port, and a password shown."""
    stranger.say(status, body, headers)
    with DagsterClient(stranger.login()) as dagster, pytest.raises(error, match=words) as caught:
        dagster.check()
    assert type(caught.value) is error
    message = str(caught.value)
    assert stranger.url in message
    assert "hunter" not in message
    assert "t0ken" not in message
    assert "\n" not in message


def test_the_password_of_the_address_is_sent_and_not_logged(
    stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    """Guards against httpx, which writes the address of every question into its log, and against a login left out."""
    stranger.say(200, b'{"data": {}}')
    caplog.set_level(logging.DEBUG, "httpx")  # which another part of SGF may have silenced
    with caplog.at_level(logging.DEBUG), DagsterClient(stranger.login() + "/dagster/?x=1") as dagster:
        assert dagster.ask("{ version }") == {}
    assert stranger.asked[0]["authorization"] == "Basic dmlld2VyOmh1bnRlckAy"  # viewer:hunter@2
    assert "/dagster/graphql" in caplog.text
    assert "hunter" not in caplog.text


RUN = {"runId": "r", "status": "STARTED", "creationTime": 1.0, "updateTime": 2.0, "tags": [{"key": "k", "value": "v"}]}
STEP = {"stepKey": "fraud_cases", "status": "IN_PROGRESS", "startTime": 1.0}
BROKEN_STEP = {
    "__typename": "ExecutionStepFailureEvent",
    "stepKey": "fraud_cases",
    "error": {"message": "failed", "causes": [{"message": "no model"}]},
    "failureMetadata": {"description": "no model", "metadataEntries": [{"label": "error", "text": "ModelError"}]},
}
READ: dict[str, tuple[Callable[[DagsterClient], object], dict[str, Any]]] = {
    "check": (
        DagsterClient.check,
        {
            "version": "1",
            "workspaceLocationEntryOrError": {
                "__typename": "WorkspaceLocationEntry",
                "loadStatus": "LOADED",
                "locationOrLoadError": {"__typename": "RepositoryLocation"},
            },
            "instance": {
                "daemonHealth": {
                    "allDaemonStatuses": [{"daemonType": "SENSOR", "required": True, "healthy": False}],
                }
            },
        },
    ),
    "storage_url": (
        DagsterClient.storage_url,
        {
            "topLevelResourceDetailsOrError": {
                "__typename": "ResourceDetails",
                "configuredValues": [{"key": "url", "value": '"/data"'}],
            }
        },
    ),
    "add_batch": (
        lambda dagster: dagster.add_batch("gen_1"),
        {"addDynamicPartition": {"__typename": "AddDynamicPartitionSuccess"}},
    ),
    "batch_ids": (
        DagsterClient.batch_ids,
        {
            "partitionSetOrError": {
                "__typename": "PartitionSet",
                "partitionsOrError": {"__typename": "Partitions", "results": [{"name": "gen_1"}]},
            }
        },
    ),
    "launch_runs": (
        lambda dagster: dagster.launch_runs("build_shard", [{}]),
        {
            "launchMultipleRuns": {
                "__typename": "LaunchMultipleRunsResult",
                "launchMultipleRunsResult": [{"__typename": "LaunchRunSuccess", "run": {"runId": "r"}}],
            }
        },
    ),
    "launch_runs, refused": (
        lambda dagster: dagster.launch_runs("build_shard", [{}]),
        {
            "launchMultipleRuns": {
                "__typename": "LaunchMultipleRunsResult",
                "launchMultipleRunsResult": [
                    {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "no such field"}]}
                ],
            }
        },
    ),
    "launch_backfill": (
        lambda dagster: dagster.launch_backfill("build_shard", ["a|b"], "title", "description", {}),
        {"launchPartitionBackfill": {"__typename": "LaunchBackfillSuccess", "backfillId": "b"}},
    ),
    "runs_and_backfills": (
        lambda dagster: dagster.runs_and_backfills([({}, {})]),
        {
            "shards0": {"__typename": "Runs", "results": [RUN]},
            "manifest0": {"__typename": "Runs", "results": []},
            "backfills": {
                "__typename": "PartitionBackfills",
                "results": [{"id": "b", "status": "REQUESTED", "partitionNames": ["a|b"]}],
            },
        },
    ),
    "stages": (
        lambda dagster: dagster.stages(["r"]),
        {"runsOrError": {"__typename": "Runs", "results": [{"runId": "r", "stepStats": [STEP]}]}},
    ),
    "failures": (
        lambda dagster: dagster.failures(["r"]),
        {
            "runsOrError": {
                "__typename": "Runs",
                "results": [
                    {"runId": "r", "eventConnection": {"events": [BROKEN_STEP]}},
                    {
                        "runId": "s",
                        "eventConnection": {"events": [{"__typename": "RunFailureEvent", "message": "gone"}]},
                    },
                ],
            }
        },
    ),
    "cancel_runs": (
        lambda dagster: dagster.cancel_runs(["r"]),
        {
            "terminateRuns": {
                "__typename": "TerminateRunsResult",
                "terminateRunResults": [
                    {
                        "__typename": "TerminateRunFailure",
                        "message": "it is over",
                        "run": {"runId": "r", "status": "SUCCESS"},
                    }
                ],
            }
        },
    ),
    "cancel_backfill": (
        lambda dagster: dagster.cancel_backfill("b"),
        {"cancelPartitionBackfill": {"__typename": "CancelBackfillSuccess"}},
    ),
    "check_backfill": (
        lambda dagster: dagster.check_backfill("b"),
        {
            "partitionBackfillOrError": {
                "__typename": "PartitionBackfill",
                "status": "FAILED",
                "error": {"message": "no daemon"},
            }
        },
    ),
}
REFUSED = {"check_backfill": "broke: no daemon", "launch_runs, refused": "no such field"}


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in an answer, from the top down."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(answer: dict[str, Any], path: Path, change: str) -> dict[str, Any]:
    """The answer with one place left out, or holding something else."""
    other = copy.deepcopy(answer)
    inner: Any = other
    for key in path[:-1]:
        inner = inner[key]
    if change == "left out":
        del inner[path[-1]]
    else:
        inner[path[-1]] = json.loads(change)
    return other


@pytest.mark.parametrize("name", READ)
def test_an_answer_of_another_shape_is_one_sentence(name: str, stranger: Stranger) -> None:
    """Guards against a traceback where what Dagster always says is missing, null, text, a number, a list, an object.

    Not every change can be seen: what is read either way is fine.
    """
    read, answer = READ[name]
    said = set()
    with DagsterClient(stranger.url) as dagster:
        stranger.say(200, json.dumps({"data": answer}).encode())
        if name in REFUSED:
            with pytest.raises(OrchestratorError, match=REFUSED[name]):
                read(dagster)
        else:
            read(dagster)
        for change in ("left out", "null", '"text"', "7", "[]", "{}"):
            for path in places(answer):
                stranger.say(200, json.dumps({"data": changed(answer, path, change)}).encode())
                try:
                    read(dagster)
                except (OrchestratorError, OrchestratorUnavailableError) as error:
                    said.add(str(error))
        stranger.say(200, b'{"data": {}}')
        with pytest.raises(OrchestratorError, match=f"at {stranger.url} leaves out what Dagster says.*SGF_DAGSTER_URL"):
            read(dagster)
    assert len(said) > 1
    assert not any("\n" in one for one in said)
