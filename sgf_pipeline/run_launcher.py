"""Dagster's launcher of runs, which also notices runs whose process is gone.

Belongs here: telling whether a run that a code server started still has a process. Does not belong here: what follows
(Dagster's run monitoring fails the run and frees its place in the queue), and runs of ``sgf generate``, which have no
code server and are closed by the next ``sgf`` (``cli.building``).

A code server watches the processes that it started, and reports one that dies. When both die together (a reboot, a
container that is killed) nobody is left to report, and Dagster's own launcher does not look: the run stays "started",
and holds its place in the queue, until the longest run's limit. This one is named in ``dagster.yaml``.
"""

import socket
import time
from typing import TYPE_CHECKING

import dagster as dg
import psutil
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError  # no public names here
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._serdes import ConfigurableClassData, deserialize_value

if TYPE_CHECKING:
    from dagster._grpc.client import DagsterGrpcClient

ANSWER_SECONDS = 5
"""A code server that takes longer is busy: nothing follows from that."""
ELSEWHERE_SECONDS = 120.0
"""How long the server of another host must be without the run. A name in a cluster leads nowhere, or to the successor,
while the server behind it is busy or finishes its runs; on this host the run's own process is looked for instead."""
CLOCK_SECONDS = 5.0
"""By how much the start of a process and the time of an event may disagree."""


class WatchingRunLauncher(dg.DefaultRunLauncher):
    """Starts runs on code servers as Dagster does. A run is lost when there is proof, never because something is slow:

    nothing listens at the address of the code server that started it, or what answers there knows nothing of the run;
    and no process of the run is to be seen on this host. (A process outlives its code server where that alone is
    killed, and ends its run itself.) A code server that was reloaded keeps its address until its runs have ended.

    Several code servers behind one address, of which each knows its own runs only, are beyond it, as they are beyond
    Dagster's own cancellation. Of a run behind ``dagster code-server start``, which cannot be asked for its runs, it
    notices the end only where the address went away with it.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._without_since: dict[str, float] = {}  # by run: when its server, elsewhere, was first seen without it

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED for a lost run, RUNNING for all others: the monitor would fail an UNKNOWN one, too."""
        server = self._server(run)
        lost = server and self._lost(run, server)
        if not server or not lost:
            self._without_since.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        since = self._without_since.setdefault(run.run_id, time.monotonic())
        if not _is_here(server) and time.monotonic() - since < ELSEWHERE_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"{lost}; looking again", transient=True)
        del self._without_since[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, f"{lost}: launch it again")

    def terminate(self, run_id: str) -> bool:
        """As Dagster does; a lost run is cancelled at once.

        Where the code server does not answer, Dagster would raise, and end none of the runs that were named after it.
        """
        run = self._instance.get_run_by_id(run_id)
        server = run and self._server(run)
        if run and server and _is_here(server) and (lost := self._lost(run, server)):
            if not self._server(run):
                return False  # it ended by itself while it was looked for
            self._instance.report_run_canceling(run)
            self._instance.report_run_canceled(run, f"{lost}: nothing was left to end.")
            return True
        try:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        except (DagsterUserCodeProcessError, DagsterUserCodeUnreachableError) as error:
            why = str(error).strip().splitlines()[0]
            self._instance.report_engine_event(f"Its code server does not end this run: {why}", run)
            return False

    def _server(self, run: dg.DagsterRun) -> "DagsterGrpcClient | None":
        """Of the code server that started the run; None for runs without one, and for those that have ended."""
        client: DagsterGrpcClient | None = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        return client

    def _lost(self, run: dg.DagsterRun, server: "DagsterGrpcClient") -> str | None:
        """What is gone, in a sentence without its full stop; None while the run is at work, for all that is known."""
        if self._has_process(run) or (sign := _without(server, run.run_id)) is None:
            return None
        return f"The process of this run is gone: {sign}"

    def _has_process(self, run: dg.DagsterRun) -> bool:
        """Whether this host has the process that said it begins the run: its number, no younger than those words."""
        for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            number = event and event.engine_event_data.metadata.get("pid")
            if number is None:
                continue
            try:
                process = psutil.Process(int(str(number.value)))
                is_old = process.create_time() <= entry.timestamp + CLOCK_SECONDS
                return is_old and process.status() != psutil.STATUS_ZOMBIE
            except psutil.NoSuchProcess:
                return False
        return False


def _is_here(server: "DagsterGrpcClient") -> bool:
    return server.socket is not None or server.host in ("localhost", "127.0.0.1", "::1")


def _without(server: "DagsterGrpcClient", run_id: str) -> str | None:
    """How the server's address shows that the run is not at work there; None where it is, or shows nothing."""
    from dagster._grpc.types import GetCurrentRunsResult

    address = server.socket or f"{server.host}:{server.port}"
    try:
        _connect(server)
    except (ConnectionRefusedError, FileNotFoundError):
        return f"the code server that started it does not exist any more (nothing listens at {address})"
    except OSError:
        return None  # no way there at the moment, or no answer in time
    try:
        server.get_server_id(timeout=ANSWER_SECONDS)  # the next question cannot be given a time
        current = deserialize_value(server.get_current_runs(), GetCurrentRunsResult).current_runs
    except DagsterUserCodeUnreachableError:
        return None
    return None if run_id in current else f"the code server at {address} was started anew and does not know it"


def _connect(server: "DagsterGrpcClient") -> None:
    """Raise ``OSError`` unless something listens at the address."""
    if server.socket is None:
        socket.create_connection((server.host, server.port), ANSWER_SECONDS).close()
        return
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(server.socket)
