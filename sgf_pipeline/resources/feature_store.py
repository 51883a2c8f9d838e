"""The feature store: a Feast repository for one batch, filled and read in Feast's own environment.

Belongs here: writing the repository (its data, its ``views.json``, its settings) and asking Feast. Does not belong
here: what the features are (``sgf_pipeline.features.store``), or Feast code (``feast_repository/``, which is copied
into each repository).

Feast wants pandas 2 where SGF wants pandas 3, so the two cannot share an environment: Feast has its own, with its own
lock file, and is spoken to as a process. The repository stands alone: any Feast of the locked version can serve it.
"""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from sgf_pipeline.domain.errors import ConfigurationError, InvalidRequestError, SinkError, SinkUnavailableError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.domain.schema import MOMENT
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.features.store import FEATURE_SCHEMA, VIEWS, View, feature_rows, history, log_of, states
from sgf_pipeline.features.windows import ENTITIES
from sgf_pipeline.settings import RedisServer, redis_server

FEAST_SIDE = Path(__file__).parent / "feast_repository"
NO_ANSWER = 75  # exit code of feast_repository/serving.py
# Batch ids have no capitals, so that no project's name ends like another's: Feast finds keys of Redis by their end.
PROJECT_PREFIX = "SGF_"
# A healthy Redis answers each command within milliseconds. The client tries a silent one again several times.
REDIS_SECONDS = 10
# A read takes some 3 s, all but milliseconds to start Feast: on a busy machine perhaps ten times that.
READ_SECONDS = 60.0
# Feast takes 14 s for 50,000 rows, so 25 minutes for five million, more than it can hold: five times that.
MATERIALISE_SECONDS = 7200.0
INSTALL = "install requirements-feast.lock there (make feast) or set SGF_FEAST_PYTHON to a Python that has it"

Key = dict[str, str]


def features_file(dataset: UPath, scenario: ScenarioName) -> UPath:
    """The exported window features of a shard, in the batch's folder of the dataset."""
    return dataset / "_features" / f"shard={scenario}" / "part-00000.parquet"


@dataclass(frozen=True)
class ExportedShard:
    """What a shard has exported: its rows, and their window features."""

    scenario: ScenarioName
    rows: RowStream
    features: RowStream


@dataclass(frozen=True)
class Materialised:
    """What lies in the online store: the moment, keys by view, Feast's seconds, and a key to try (the last row's)."""

    as_of: datetime
    keys: dict[str, int]
    seconds: float
    example: Key


class FeatureStore:
    """Repositories below ``folder``, one a batch. ``redis_url`` may hold a password: only ``address`` is shown."""

    def __init__(
        self, folder: Path, python: Path, redis_url: str = "", *, read_seconds: float = READ_SECONDS,
        materialise_seconds: float = MATERIALISE_SECONDS,
    ) -> None:  # fmt: skip
        """``python`` is the interpreter of Feast's environment; without ``redis_url`` the online store is SQLite.

        After ``read_seconds`` or ``materialise_seconds`` Feast is stopped. Raises ``ConfigurationError`` for a URL that
        is none, or that Feast cannot be told.
        """
        self._folder = folder
        self._python = python
        self._redis = ""
        self._online = "SQLite"  # what views.json says: the repository may be moved, and its SQLite with it
        if redis_url:
            server = redis_server(redis_url)
            self._redis = _feast_redis(server)
            self._online = f"Redis {server.host}:{server.port}/{server.database}"
        self._limits = {"read": read_seconds, "materialize": materialise_seconds}

    @property
    def address(self) -> str:
        """Where the online store is, without its password."""
        return self._online if self._redis else f"SQLite in {self._folder}"

    def repository(self, batch_id: str) -> Path:
        """The batch's Feast repository."""
        return self._folder / f"{PROJECT_PREFIX}{batch_id}"

    def materialise(
        self, batch_id: str, shards: Iterable[ExportedShard], as_of: datetime | None = None
    ) -> Materialised:
        """Write the batch's repository anew, and fill the online store with every key's features at ``as_of``.

        ``as_of`` (with a time zone) is one microsecond after the batch's last row when absent. Raises
        ``InvalidRequestError`` when the batch has no row before it, ``SinkError`` when a shard's features are not those
        of its rows or when Feast refuses, ``SinkUnavailableError`` when the online store does not answer or another
        process materialises the batch, ``ConfigurationError`` when Feast is not installed.
        """
        self._check_installed()
        with self._alone(batch_id):
            new, old = self._beside(batch_id, "new"), self._beside(batch_id, "old")
            shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
            (new / "data").mkdir(parents=True)
            try:
                moment, keys, example = _write_data(new / "data", list(shards), as_of)
                self._write_definitions(new, batch_id, moment)
                shutil.rmtree(old, ignore_errors=True)
                target = self.repository(batch_id)
                if target.exists():
                    target.rename(old)
                new.rename(target)
            finally:
                shutil.rmtree(new, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)
            answer = self._ask(batch_id, "materialize", {"as_of": moment.isoformat()})
        return Materialised(moment, keys, answer["seconds"], example)

    def read(self, batch_id: str, keys: Sequence[Key]) -> list[dict[str, float | None]]:
        """For each key the features of every view that it answers for; None where undefined or never seen.

        A key maps columns (``customer_id``, ``merchant_id`` …) to identifiers; all keys of one call name the same
        columns. Raises ``InvalidRequestError`` for columns that are no view's key, or a batch that is not materialised;
        ``ConfigurationError`` where it was materialised into another online store.
        """
        views = views_of(keys)
        written = self.repository(batch_id) / "views.json"
        if not written.exists():
            raise InvalidRequestError(
                f"batch {batch_id!r} has no feature store in {self._folder}: run sgf features materialize {batch_id}"
            )
        filled = json.loads(written.read_text()).get("online_store")
        if filled != self._online:
            raise ConfigurationError(
                f"batch {batch_id!r} was materialised into {filled or 'an unknown store'}, but REDIS_URL names"
                f" {self._online if self._redis else 'none, which is SQLite'}: materialise it again (sgf features"
                f" materialize {batch_id}), or set REDIS_URL back"
            )
        self._check_installed()
        features = [f"{view.name}:{name}" for view in views for name in view.feature_names]
        answer = self._ask(batch_id, "read", {"keys": list(keys), "features": features})
        rows: list[dict[str, float | None]] = answer["rows"]
        return rows

    def _beside(self, batch_id: str, what: str) -> Path:
        """A hidden neighbour of the batch's repository."""
        return self._folder / f".{PROJECT_PREFIX}{batch_id}.{what}"

    @contextmanager
    def _alone(self, batch_id: str) -> Iterator[None]:
        """Nobody else on this machine materialises the batch. The file stays: one that goes could be locked twice."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._beside(batch_id, "lock").open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SinkUnavailableError(
                    f"batch {batch_id!r} is being materialised in {self._folder} by another process: try again when"
                    " that has ended"
                ) from None
            yield

    def _write_definitions(self, folder: Path, batch_id: str, as_of: datetime) -> None:
        views = [
            {"name": view.name, "keys": view.keys, "features": {f.name: f.meaning for f in view.features}}
            for view in VIEWS
        ]
        written = {"batch_id": batch_id, "as_of": as_of.isoformat(), "online_store": self._online, "views": views}
        (folder / "views.json").write_text(json.dumps(written, indent=2) + "\n")
        online = (
            # without a look at what is there: the store is emptied first
            "{type: redis, connection_string: '${SGF_FEAST_REDIS}', skip_dedup: true}"
            if self._redis
            else "{type: sqlite, path: online.db}"
        )
        (folder / "feature_store.yaml").write_text(
            f"project: {PROJECT_PREFIX}{batch_id}\n"
            "provider: local\n"
            "registry: registry.db\n"
            "offline_store: {type: file}\n"
            f"online_store: {online}\n"
            "entity_key_serialization_version: 3\n"
        )
        for name in ("features.py", "serving.py"):
            shutil.copyfile(FEAST_SIDE / name, folder / name)

    def _check_installed(self) -> None:
        if not self._python.exists():
            raise ConfigurationError(f"Feast's environment {str(self._python)!r} is missing: {INSTALL}")

    def _ask(self, batch_id: str, what: str, question: Mapping[str, Any]) -> Any:
        limit = self._limits[what]
        try:
            done = subprocess.run(  # noqa: S603 - our own script, and no shell
                [self._python.absolute(), "serving.py", what], cwd=self.repository(batch_id), text=True,
                input=json.dumps({**question, "redis": self._redis}), capture_output=True, check=False, timeout=limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise SinkUnavailableError(
                f"online store {self.address} does not answer (Feast was stopped after {limit:g} s): {self._remedy},"
                " or try again later"
            ) from None
        if done.returncode == 0:
            return json.loads(done.stdout)
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        if done.returncode == NO_ANSWER:
            raise SinkUnavailableError(
                f"online store {self.address} does not answer ({said}): {self._remedy}, or try again later"
            )
        if "No module named" in said:
            raise ConfigurationError(f"Feast's environment {str(self._python)!r} is incomplete ({said}): {INSTALL}")
        raise SinkError(f"feature store of batch {batch_id!r} at {self.address} refuses ({said}): {self._remedy}")

    @property
    def _remedy(self) -> str:
        if self._redis:
            return "check REDIS_URL and the server"
        return "check the folder's rights and free space, then materialise the batch again"


def views_of(keys: Sequence[Key]) -> list[View]:
    """The views that keys answer for. Raises ``InvalidRequestError`` naming the first column that is no view's key."""
    given = set(keys[0]) if keys else set()
    known = dict.fromkeys(column for view in VIEWS for column in view.keys)
    for key in keys:
        unknown = [name for name in key if name not in known]
        if unknown:
            raise InvalidRequestError(f"key {unknown[0]!r} is unknown: use one or more of {', '.join(known)}")
        if set(key) != given:
            raise InvalidRequestError(f"keys name {', '.join(given)} and {', '.join(key)}: ask for the same columns")
    views = [view for view in VIEWS if given.issuperset(view.keys)]
    if not views:
        raise InvalidRequestError(
            f"no feature hangs on {' and '.join(given) or 'nothing'} alone: add customer_id or another identifier"
        )
    return views


def _write_data(
    folder: Path, shards: Sequence[ExportedShard], as_of: datetime | None
) -> tuple[datetime, dict[str, int], Key]:
    """One file a view: what the rows saw, then each key's features at the moment. One shard is in memory at a time,
    and of all shards the rows that name a shared entity."""
    moment = as_of or _after_last(shards)
    private = [view for view in VIEWS if not view.shared]
    shared = [view for view in VIEWS if view.shared]
    keys = dict.fromkeys((view.name for view in VIEWS), 0)
    last: tuple[datetime, Key] | None = None
    kept: list[pa.Table] = []
    with ExitStack() as files:
        writers = {
            view.name: files.enter_context(pq.ParquetWriter(folder / f"{view.name}.parquet", view.schema))
            for view in VIEWS
        }

        def write(view: View, past: pa.Table, now: pa.Table) -> None:
            writers[view.name].write_table(past)
            writers[view.name].write_table(now)
            keys[view.name] += now.num_rows

        for shard in shards:
            log = log_of(shard.rows)
            features = pa.Table.from_batches(shard.features, shard.features.schema)
            if not features.column("transaction_id").equals(log.column("transaction_id")):
                raise SinkError(
                    f"window features of shard {shard.scenario} are not those of its rows: build the shard again"
                )
            now = states(log, moment, private)
            for view in private:
                write(view, history(log, features, moment, view), now[view.name])
            last = max([found for found in (last, _last_before(log, moment)) if found], key=_when, default=None)
            kept.append(log.filter(pc.is_valid(log.column("merchant_id"))))
        if last is None:
            raise InvalidRequestError(
                f"as_of {moment.isoformat()} lies before the batch's first row: choose a later one"
            )
        log = pa.concat_tables(kept).unify_dictionaries()
        features = pa.Table.from_batches(feature_rows(table_stream(log)), FEATURE_SCHEMA)
        now = states(log, moment, shared)
        for view in shared:
            write(view, history(log, features, moment, view), now[view.name])
    return moment, keys, last[1]


def _after_last(shards: Sequence[ExportedShard]) -> datetime:
    times = [pc.max(batch.column("event_time")).as_py() for shard in shards for batch in shard.rows if batch.num_rows]
    if not times:
        raise InvalidRequestError("the batch has no rows: nothing to materialise")
    last: datetime = max(times)
    return last + timedelta(microseconds=1)


def _last_before(log: pa.Table, moment: datetime) -> tuple[datetime, Key] | None:
    past = log.filter(pc.less(log.column("event_time"), pa.scalar(moment, MOMENT)))
    if not past.num_rows:
        return None
    row = past.slice(past.num_rows - 1).to_pylist()[0]
    return row["event_time"], {name: row[name] for name in ENTITIES.values() if row[name] is not None}


def _when(found: tuple[datetime, Key]) -> datetime:
    return found[0]


def _feast_redis(server: RedisServer) -> str:
    """Feast's own way to name a Redis: ``host:port,db=0,password="…"``."""
    words = [
        f"{server.host}:{server.port}", f"db={server.database}",
        f"socket_timeout={REDIS_SECONDS}", f"socket_connect_timeout={REDIS_SECONDS}",
    ]  # fmt: skip
    for name, value in (("username", server.username), ("password", server.password)):
        if value:
            if set(value) & set(",'\"\\ "):
                raise ConfigurationError(
                    f"REDIS_URL's {name} holds a comma, a quote, a backslash or a space, which Feast cannot be told:"
                    " choose another one"
                )
            words.append(f'{name}="{value}"')
    return ",".join(words + (["ssl=true"] if server.tls else []))
