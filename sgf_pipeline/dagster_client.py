"""Dagster's webserver, spoken to by GraphQL.

Belongs here: one question and its answer, what Dagster's refusals mean in our words, and the few operations of Dagster
that SGF uses, each with its answer as plain values. Does not belong here: batches and shards (``launch``), and the
documents themselves (``graphql_documents``).
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from sgf_pipeline import graphql_documents as documents
from sgf_pipeline.domain.errors import ConfigurationError, OrchestratorError, OrchestratorUnavailableError
from sgf_pipeline.progress import Run

LOCATION = "sgf_pipeline"
REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
TIMEOUT_SECONDS = 60.0  # a busy webserver answers late; launching seven runs takes it a second
CANCEL_ATTEMPTS = 20
CANCEL_PAUSE_SECONDS = 0.5
_MAY_STILL_END = ("NOT_STARTED", "STARTED", "CANCELING")
_STILL_ENDING = "it was asked to end and has not yet; Dagster's daemon marks it as cancelled after some minutes"


@dataclass(frozen=True)
class ServerHealth:
    """A webserver that answers and has our code loaded."""

    version: str
    daemons_down: tuple[str, ...]
    """Daemons without a heartbeat: while the queue's or the backfills' is down, what is launched waits."""


@dataclass(frozen=True)
class Stages:
    """What a run at work has finished, and at what it is; None between two steps."""

    finished: int
    current: str | None


@dataclass(frozen=True)
class Failure:
    """Why a run failed, in one sentence; ``kind`` is the class of the error, where it is one of ours."""

    error: str
    kind: str | None
    step: str | None


@dataclass(frozen=True)
class ActiveBackfill:
    """A backfill under way, with the partitions that it is about."""

    backfill_id: str
    status: str
    partition_keys: frozenset[str]


class DagsterClient:
    """One webserver. Use it in a ``with`` block, or call ``close``; threads may share it.

    Every method raises ``OrchestratorUnavailableError`` when the server does not answer, and ``OrchestratorError`` with
    Dagster's own message when it refuses.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL:
            address = httpx.URL("")
        if address.scheme not in ("http", "https") or not address.host:
            raise ConfigurationError("SGF_DAGSTER_URL is no address: use http(s)://host:port of Dagster's webserver")
        self.url = str(address.copy_with(userinfo=b"")).rstrip("/")
        """Without the password that it may hold."""
        # Name and password stay out of the address that is asked: httpx writes that into its log.
        login = (address.username, address.password) if address.userinfo else None
        self._client = httpx.Client(timeout=timeout, auth=login)
        self._endpoint = address.copy_with(path=address.path.rstrip("/") + "/graphql", userinfo=b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def run_url(self, run_id: str) -> str:
        """Where a person sees the run."""
        return f"{self.url}/runs/{run_id}"

    def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """The ``data`` of the answer, which is an object; nothing else about it is known."""
        remedy = "start it with make ui, or set SGF_DAGSTER_URL to where it is"
        try:
            answer = self._client.post(self._endpoint, json={"query": document, "variables": variables})
        except httpx.TransportError as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise OrchestratorUnavailableError(
                f"Dagster's webserver at {self.url} does not answer ({why}): {remedy}"
            ) from error
        except httpx.DecodingError as error:
            raise OrchestratorError(
                f"what answers at {self.url} cannot be unpacked ({_plain(error)}): look into the proxy before Dagster's"
                " webserver, or set SGF_DAGSTER_URL to an address without one"
            ) from error
        if answer.is_redirect:
            raise OrchestratorError(
                f"Dagster's webserver at {self.url} sends us elsewhere (HTTP {answer.status_code}), to a login perhaps:"
                " set SGF_DAGSTER_URL to an address that answers by itself, and that this program may use"
            )
        if answer.status_code in (401, 403, 407):
            raise OrchestratorError(
                f"Dagster's webserver at {self.url} is behind a login (HTTP {answer.status_code}): set SGF_DAGSTER_URL"
                " to an address that needs none, or to one with the login's name and password"
            )
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise OrchestratorUnavailableError(
                f"Dagster's webserver at {self.url} answers HTTP {answer.status_code}: try again, or look into its log"
            )
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            page = "text/html" in answer.headers.get("content-type", "")
            raise OrchestratorError(
                f"what answers at {self.url} is not Dagster's webserver, but"
                f" {'a web page, a login perhaps' if page else 'no JSON object'} (HTTP {answer.status_code}): {remedy}"
            )
        if content.get("errors"):
            raise OrchestratorError(f"Dagster at {self.url} refuses a question: {_first_message(content['errors'])}")
        if not isinstance(content.get("data"), dict):
            raise OrchestratorError(
                f"what answers at {self.url} is not Dagster's webserver, but JSON without data"
                f" (HTTP {answer.status_code}): {remedy}"
            )
        data: dict[str, Any] = content["data"]
        return data

    @contextmanager
    def _answer(self, document: str, **variables: Any) -> Iterator[dict[str, Any]]:
        """The ``data``, for a block that does nothing but read it: what it does not find there is said in one sentence.

        Dagster holds to its schema, and refuses questions that it does not know. So it is another program that leaves
        out, or makes a null or text of, what the document asks for.
        """
        data = self.ask(document, **variables)
        try:
            yield data
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise OrchestratorError(
                f"what answers at {self.url} leaves out what Dagster says, or says it otherwise"
                f" ({type(error).__name__}: {_plain(error)}): set SGF_DAGSTER_URL to Dagster's webserver itself, of the"
                " version that this project installs"
            ) from error

    def check(self) -> ServerHealth:
        """Raise unless the server answers and our code location is loaded; say which daemons are down."""
        with self._answer(documents.SERVER, location=LOCATION) as data:
            entry = data["workspaceLocationEntryOrError"]
            if entry is None:
                raise OrchestratorError(
                    f"Dagster at {self.url} has no code location {LOCATION!r}: start it with this project's"
                    " workspace.yaml"
                )
            loaded = entry.get("locationOrLoadError") or entry
            if loaded["__typename"] == "PythonError":
                raise OrchestratorError(
                    f"Dagster at {self.url} cannot load the code location {LOCATION!r} ({_plain(loaded['message'])}):"
                    " mend that and reload it"
                )
            if entry.get("loadStatus") != "LOADED":
                raise OrchestratorUnavailableError(
                    f"Dagster at {self.url} is still loading the code location {LOCATION!r}: try again"
                )
            daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
            return ServerHealth(
                data["version"],
                tuple(sorted(one["daemonType"] for one in daemons if one["required"] and not one["healthy"])),
            )

    def storage_url(self) -> str | None:
        """Where its runs look for requests and put datasets, to be the caller's own storage; None where it is no URL.

        For a server that ``check`` found in order.
        """
        with self._answer(documents.STORAGE, lake={**REPOSITORY, "resourceName": "lake"}) as answer:
            lake = self._results(answer["topLevelResourceDetailsOrError"], "ResourceDetails", "the storage's address")
            values = {one["key"]: one["value"] for one in lake["configuredValues"]}
            return str(json.loads(values["url"])) if "url" in values else None

    def add_batch(self, batch_id: str) -> None:
        """Make the batch a partition. One that is known already is fine. The caller has checked the id."""
        with self._answer(documents.ADD_BATCH, repository=REPOSITORY, dimension="batch_id", key=batch_id) as answer:
            result = answer["addDynamicPartition"]
            if result["__typename"] not in ("AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"):
                raise _refusal(self, "a new batch", result)

    def batch_ids(self) -> list[str]:
        """The batches that Dagster knows, newest first."""
        with self._answer(
            documents.BATCH_IDS, repository=REPOSITORY, partitionSet="register_batch_partition_set"
        ) as answer:
            partitions = self._results(answer["partitionSetOrError"], "PartitionSet", "the list of batches")
            found = self._results(partitions["partitionsOrError"], "Partitions", "the list of batches")
            return [one["name"] for one in reversed(found["results"])]

    def launch_runs(self, job: str, tags: Sequence[Mapping[str, str]]) -> list[str]:
        """Queue one run for each set of tags and return their ids. Raises where one was refused; others may run."""
        with self._answer(
            documents.LAUNCH_RUNS,
            runs=[
                {
                    "selector": {**REPOSITORY, "jobName": job},
                    "executionMetadata": {"tags": _tag_list(one)},
                }
                for one in tags
            ],
        ) as answer:
            result = self._results(answer["launchMultipleRuns"], "LaunchMultipleRunsResult", "the launch")
            for one in result["launchMultipleRunsResult"]:
                if one["__typename"] != "LaunchRunSuccess":
                    raise _refusal(self, f"a run of {job}", one)
            return [one["run"]["runId"] for one in result["launchMultipleRunsResult"]]

    def launch_backfill(
        self, job: str, partition_keys: Sequence[str], title: str, description: str, tags: Mapping[str, str]
    ) -> str:
        """Ask for one run of the job a partition; the daemon makes them within half a minute. Returns its id."""
        with self._answer(
            documents.LAUNCH_BACKFILL,
            backfill={
                "selector": {"partitionSetName": f"{job}_partition_set", "repositorySelector": REPOSITORY},
                "partitionNames": list(partition_keys),
                "title": title,
                "description": description,
                "tags": _tag_list(tags),
            },
        ) as answer:
            result = self._results(answer["launchPartitionBackfill"], "LaunchBackfillSuccess", "the backfill")
            return str(result["backfillId"])

    def runs_and_backfills(
        self, filters: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    ) -> tuple[list[tuple[list[Run], list[Run]]], list[ActiveBackfill]]:
        """For each pair of filters its two lists of runs, newest first; and the backfills under way.

        All in one question: answers of one moment, and one way to the server and back.
        """
        variables = {
            f"{kind}{number}": one
            for number, pair in enumerate(filters)
            for kind, one in zip(("shards", "manifest"), pair, strict=True)
        }
        with self._answer(documents.runs_of(len(filters)), **variables) as answer:
            runs = {
                name: [_run(one) for one in self._results(answer[name], "Runs", "the list of runs")["results"]]
                for name in variables
            }
            backfills = self._results(answer["backfills"], "PartitionBackfills", "the list of backfills")["results"]
            return (
                [(runs[f"shards{number}"], runs[f"manifest{number}"]) for number in range(len(filters))],
                [ActiveBackfill(one["id"], one["status"], frozenset(one["partitionNames"] or ())) for one in backfills],
            )

    def stages(self, run_ids: Sequence[str]) -> dict[str, Stages]:
        """How far these runs are."""
        if not run_ids:
            return {}
        with self._answer(documents.STAGES, runIds=list(run_ids)) as answer:
            found = self._results(answer["runsOrError"], "Runs", "the list of runs")["results"]
            return {one["runId"]: _stages(one["stepStats"]) for one in found}

    def failures(self, run_ids: Sequence[str]) -> dict[str, Failure]:
        """Why these runs failed."""
        if not run_ids:
            return {}
        with self._answer(documents.FAILURES, runIds=list(run_ids)) as answer:
            found = self._results(answer["runsOrError"], "Runs", "the list of runs")["results"]
            return {one["runId"]: _failure(one["eventConnection"]["events"]) for one in found}

    def cancel_runs(self, run_ids: Sequence[str]) -> dict[str, str]:
        """End runs, queued or at work. Returns those that could not be ended, with Dagster's reason.

        What Dagster cannot end yet is waited for, ten seconds at most: a run on its way into the queue, and one that
        was asked to end. One whose process is just starting cannot be asked at all: it is marked as cancelled,
        which its process looks at before it begins. One whose process is gone is ended by ``run_launcher``. No other is
        marked from here, where a process at work looks like one that is gone: Dagster's run monitoring does that after
        ``cancel_timeout_seconds``.
        """
        refused = self._cancel(run_ids, "SAFE_TERMINATE")
        for _ in range(CANCEL_ATTEMPTS):
            waiting = [run_id for run_id, (status, _) in refused.items() if status in _MAY_STILL_END]
            if not waiting:
                break
            time.sleep(CANCEL_PAUSE_SECONDS)
            refused = {run_id: why for run_id, why in refused.items() if run_id not in waiting}
            refused |= self._cancel(waiting, "SAFE_TERMINATE")
        starting = [run_id for run_id, (status, _) in refused.items() if status == "STARTING"]
        refused = {run_id: why for run_id, why in refused.items() if run_id not in starting}
        refused |= self._cancel(starting, "MARK_AS_CANCELED_IMMEDIATELY")
        return {run_id: message for run_id, (status, message) in refused.items() if status != "CANCELED"}

    def _cancel(self, run_ids: Sequence[str], policy: str) -> dict[str, tuple[str, str]]:
        """Status and reason of the runs that were refused."""
        if not run_ids:
            return {}
        refused = {}
        with self._answer(documents.CANCEL_RUNS, runIds=list(run_ids), policy=policy) as answer:
            results = self._results(answer["terminateRuns"], "TerminateRunsResult", "the cancellation")
            for one in results["terminateRunResults"]:
                if one["__typename"] == "TerminateRunFailure":
                    status = one["run"]["status"]
                    why = _STILL_ENDING if status == "CANCELING" else _plain(one["message"])
                    refused[one["run"]["runId"]] = (status, why)
                elif one["__typename"] != "TerminateRunSuccess":
                    raise _refusal(self, "the cancellation", one)
        return refused

    def cancel_backfill(self, backfill_id: str) -> None:
        """Let the daemon make no more runs for it, and end those that it made."""
        with self._answer(documents.CANCEL_BACKFILL, backfillId=backfill_id) as answer:
            self._results(answer["cancelPartitionBackfill"], "CancelBackfillSuccess", "the cancellation")

    def check_backfill(self, backfill_id: str) -> None:
        """Raise where the backfill broke or was cancelled, with the reason; runs of it that failed do not count."""
        with self._answer(documents.BACKFILL, backfillId=backfill_id) as answer:
            result = self._results(answer["partitionBackfillOrError"], "PartitionBackfill", "the backfill")
            if result["status"] in ("FAILED", "FAILING"):
                why = _plain((result["error"] or {}).get("message"))
                raise OrchestratorError(f"backfill {backfill_id} broke: {why}")
            if result["status"] in ("CANCELED", "CANCELING"):
                raise OrchestratorError(f"backfill {backfill_id} was cancelled")

    def _results(self, result: dict[str, Any], wanted: str, what: str) -> dict[str, Any]:
        if result["__typename"] != wanted:
            raise _refusal(self, what, result)
        return result


def _refusal(dagster: DagsterClient, what: str, result: Mapping[str, Any]) -> OrchestratorError:
    details = [one["message"] for one in result.get("errors", ())]
    message = _plain("; ".join(details) or result.get("message") or result["__typename"])
    return OrchestratorError(f"Dagster at {dagster.url} refuses {what}: {message}")


def _first_message(errors: Any) -> str:
    """What GraphQL says in ``errors``, which hold no list of objects where another program answers."""
    first = errors[0] if isinstance(errors, list) else errors
    return _plain(first.get("message") if isinstance(first, dict) else first)


def _plain(message: Any) -> str:
    """Dagster's message on one line, without its last full stop."""
    return " ".join(str(message or "no message").split()).rstrip(".")


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _run(one: Mapping[str, Any]) -> Run:
    return Run(one["runId"], one["status"], {tag["key"]: tag["value"] for tag in one["tags"]})


def _stages(steps: Sequence[Mapping[str, Any]]) -> Stages:
    begun = [one for one in steps if one["startTime"] is not None and one["status"] in (None, "IN_PROGRESS")]
    current = max(begun, key=lambda one: float(one["startTime"]), default=None)
    return Stages(
        sum(one["status"] in ("SUCCESS", "SKIPPED") for one in steps),
        None if current is None else current["stepKey"],
    )


def _failure(events: Sequence[Mapping[str, Any]]) -> Failure:
    """The first step that failed, for what follows it only fails along; else what Dagster says of the run."""
    for event in events:
        if event["__typename"] != "ExecutionStepFailureEvent":
            continue
        ours = event["failureMetadata"]
        if ours and ours["description"]:
            kinds = [entry["text"] for entry in ours["metadataEntries"] if entry["label"] == "error"]
            return Failure(_plain(ours["description"]), kinds[0] if kinds else None, event["stepKey"])
        error = event["error"]
        message = (error["causes"] or [error])[0]["message"] if error else None
        return Failure(f"step {event['stepKey']} broke: {_plain(message)}", None, event["stepKey"])
    messages = [event["message"] for event in events if event["__typename"] == "RunFailureEvent"]
    return Failure(f"the run was lost: {_plain(messages[-1])}" if messages else "the run was lost", None, None)
