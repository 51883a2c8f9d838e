"""A Dagster of the tests' own: code server, webserver and daemon as three processes on free ports.

Belongs here: starting and killing them, whole or one by one. Does not belong here: what is tested on them.

Each process leads a group, which is killed as one: a code server starts the runs' processes and would outlive the test.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.definitions import lake_of
from sgf_pipeline.domain.errors import SgfError
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.integration.services import Postgres, free_port, listens

PROJECT = Path(__file__).parents[2]
PATIENCE_SECONDS = 180.0  # a busy machine imports for half a minute, and the backfill daemon sleeps as long


def until(holds: Callable[[], bool], what: str) -> None:
    """Look again until it holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.2)


class DagsterServer:
    """Dagster with its instance, lake, warehouse and cache below ``folder``; the model's answers in ``case_cache``.

    ``module`` is the code location's module: another one is for tests of code that cannot be loaded. With ``postgres``
    instance and warehouse lie there, as on a server.
    """

    def __init__(
        self,
        folder: Path,
        case_cache: Path,
        module: str = "sgf_pipeline.definitions",
        postgres: Postgres | None = None,
    ) -> None:
        self.folder = folder
        self.home = folder / "dagster"
        self.home.mkdir(parents=True)
        shutil.copyfile(PROJECT / ("k8s" if postgres else ".") / "dagster.yaml", self.home / "dagster.yaml")
        self.code_port, self.port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.module = module
        self.values = {
            "DAGSTER_HOME": str(self.home),
            "SGF_STORAGE_URL": str(folder / "data"),
            "SGF_CACHE_DIR": str(case_cache),
            "SGF_DAGSTER_URL": self.url,
            "DATABASE_URL": f"sqlite:///{folder}/warehouse.sqlite",
        }
        if postgres is not None:
            instance = postgres.new_database().replace("postgresql://", "postgresql+psycopg2://")
            self.values |= {"DATABASE_URL": postgres.new_database(), "DAGSTER_POSTGRES_URL": instance}
        self.environment = {**os.environ, **self.values, "COLUMNS": "200"}
        self.settings = Settings.model_validate({name.lower(): value for name, value in self.values.items()})
        self.lake: LakeResource = lake_of(self.settings)
        self.workspace = folder / "workspace.yaml"
        self.workspace.write_text(
            f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {self.code_port}\n"
            "      location_name: sgf_pipeline\n"
        )
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *, daemon: bool = True) -> None:
        """All processes; answers are to be had when it returns."""
        self._run("code", "dagster", "api", "grpc", "--module-name", self.module, "--host", "127.0.0.1", "--port",
                  str(self.code_port), "--location-name", "sgf_pipeline", "--lazy-load-user-code")  # fmt: skip
        until(lambda: listens(self.code_port), "the code server listens")
        if daemon:
            self.start_daemon()
        self.start_webserver()

    def start_webserver(self) -> None:
        self._run("webserver", "dagster_webserver", "--workspace", str(self.workspace), "--host", "127.0.0.1", "--port",
                  str(self.port))  # fmt: skip
        until(lambda: listens(self.port), "the webserver listens")

    def start_daemon(self) -> None:
        self._run("daemon", "dagster._daemon", "run", "--workspace", str(self.workspace))

    def client(self) -> DagsterClient:
        """A new client of the webserver."""
        return DagsterClient(self.url)

    def is_loaded(self) -> bool:
        """Whether the webserver answers and has loaded the code."""
        with self.client() as dagster:
            try:
                dagster.check()
            except SgfError:
                return False
        return True

    def sgf(self, *options: str) -> subprocess.CompletedProcess[str]:
        """The command line on this Dagster, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "sgf_pipeline.cli.main", *options], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip

    def kill(self, name: str) -> None:
        """One of ``code`` (with the runs that it started), ``webserver``, ``daemon``; at once."""
        process = self._running.pop(name, None)
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """Everything."""
        for name in ("daemon", "webserver", "code"):
            self.kill(name)

    def log(self, name: str) -> str:
        """What a process printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _run(self, name: str, module: str, *options: str) -> None:
        self.kill(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            arguments: dict[str, Any] = {"stdout": log, "stderr": log, "start_new_session": True}
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", module, *options], cwd=self.folder, env=self.environment, **arguments
            )
