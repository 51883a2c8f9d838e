"""Batches that were accepted and are still to be launched: a promise that outlives the process that made it.

Belongs here: the durable record behind an answer "accepted", what an idempotency key stands for, and launching what was
promised, also after a crash. Does not belong here: HTTP (``api``), and how a batch is launched (``launch``).

Three small files beside the request's record (``requests/<batch_id>.json``), all below ``launches/``:

    keys/<tenant>/<sha256 of the key>.json   which batch a key stands for, and the hash of what was asked; create-only
    pending/<batch_id>.json                  is to be launched; goes when it is
    done/<batch_id>.json                     was launched, or will never be; create-only

They are written in the order request, key, pending, and only then is anything answered. A crash before the key leaves a
request that nobody was told of and nothing builds; one after it is mended by the retry that the key is for.
"""

import contextlib
import hashlib
import json
import logging
import threading
import time
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from upath import UPath

from sgf_pipeline import batches, launch
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.domain.errors import (
    ConflictError,
    InvalidRequestError,
    OrchestratorError,
    PermanentError,
    StorageError,
    TransientError,
)
from sgf_pipeline.domain.request import GenerationRequest, check_batch_id, parse_request, shown
from sgf_pipeline.launch import Cancelled, Launched
from sgf_pipeline.resources.lake import LakeResource

MAX_KEY_CHARS = 255
# A server leaves what another one has just promised to that one, so that no batch is launched by both.
OTHERS_SECONDS = 15.0
_LOCKS = 64

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accepted:
    """A promised batch. ``is_new`` is False where the idempotency key named it already."""

    request: GenerationRequest
    is_new: bool


class Launcher:
    """Accepts batches and launches them. Threads may share it; several processes may share the lake."""

    def __init__(self, lake: LakeResource, dagster: DagsterClient, others_seconds: float = OTHERS_SECONDS) -> None:
        self._lake = lake
        self._dagster = dagster
        self._others_seconds = others_seconds
        self._name = uuid.uuid4().hex
        self._told = ""
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def accept(
        self,
        content: Mapping[str, Any],
        delivery: Mapping[str, Any],
        asked: Mapping[str, Any],
        key: str | None = None,
    ) -> Accepted:
        """Promise a batch: when this returns, it is on record and will be launched (``launch`` does so at once).

        ``content`` and ``delivery`` are raw values, ``asked`` what the client sent, which a retry with ``key`` repeats.
        Raises ``InvalidRequestError`` for a request that is not valid, ``ConflictError`` where the tenant's key stands
        for something else, ``StorageError`` where nothing can be written.
        """
        wanted = parse_request("gen_0", dict(content), dict(delivery))
        batches.check_buildable(wanted)
        if key is None:
            request = batches.register_new(self._lake, dict(content), dict(delivery), datetime.now(UTC))
            self._promise(request.batch_id)
            return Accepted(request, is_new=True)
        path = self._key_path(wanted.content.tenant, key)
        asked_sha = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        found = self._lake.read_json(path)
        if found is None:
            request = batches.register_new(self._lake, dict(content), dict(delivery), datetime.now(UTC))
            try:
                self._lake.create_json(path, {"batch_id": request.batch_id, "asked_sha": asked_sha})
            except ConflictError:
                found = self._lake.read_json(path)  # the same key came twice at once, and the other was quicker
            else:
                self._promise(request.batch_id)
                return Accepted(request, is_new=True)
        return self._known(path, found, asked_sha, key)

    def launch(self, batch_id: str) -> Launched | None:
        """Launch a promised batch; None where that is done already. Raises what ``launch.launch`` raises."""
        with self._lock(batch_id):
            pending = self._path("pending", batch_id)
            if self.is_settled(batch_id):
                self._lake.remove(pending)
                return None
            request = batches.load(self._lake, batch_id)
            launched = launch.launch(self._lake, self._dagster, batch_id, requested_by=request.delivery.requested_by)
            self._settle(batch_id, {"runs": dict(launched.runs)})
            return launched

    def launch_pending(self) -> int:
        """Launch what was promised and is not launched yet; returns how many batches still wait.

        What Dagster cannot take now stays; what can never be launched is given up, with a line in the log.
        """
        names = self._lake.names(self._lake.path("launches", "pending"))
        waiting = 0
        for place, name in enumerate(names):
            batch_id = name.removesuffix(".json")
            try:
                if self._is_ours(batch_id):
                    self.launch(batch_id)
                else:
                    waiting += 1
            except (TransientError, OrchestratorError) as error:
                self._tell(f"{len(names) - place} accepted batches wait to be launched: {error}")
                return waiting + len(names) - place  # the others would meet the same
            except StorageError as error:
                self._tell(f"batch {batch_id} waits to be launched: {error}")
                waiting += 1
            except PermanentError as error:
                _log.error("batch %s can never be launched: %s", batch_id, error)
                self._settle(batch_id, {"error": str(error)})
        return waiting

    def cancel(self, batch_id: str) -> Cancelled:
        """Take the promise back where it still is one, and end what runs. Raises what ``launch.cancel`` raises."""
        with self._lock(batch_id):
            batches.load(self._lake, batch_id)
            if not self.is_settled(batch_id) and self._lake.exists(self._path("pending", batch_id)):
                self._settle(batch_id, {"cancelled": True})
            return launch.cancel(self._lake, self._dagster, batch_id)

    def is_settled(self, batch_id: str) -> bool:
        """Whether a promised batch was launched, cancelled before that, or given up."""
        return self._lake.exists(self._path("done", check_batch_id(batch_id)))

    def runs(self, batch_id: str) -> dict[str, str]:
        """The runs that were launched for a promised batch, by scenario; empty before."""
        done = self._lake.read_json(self._path("done", check_batch_id(batch_id))) or {}
        return dict(done.get("runs", {}))

    def _known(self, path: UPath, found: Mapping[str, Any] | None, asked_sha: str, key: str) -> Accepted:
        if found is None or not isinstance(found.get("batch_id"), str):
            raise StorageError(f"{self._lake.uri(path)} is damaged: remove it, and send the request with another key")
        if found.get("asked_sha") != asked_sha:
            raise ConflictError(
                f"Idempotency-Key {shown(key)} stands for another request, batch {found['batch_id']}: use a new key for"
                " a new request"
            )
        request = batches.load(self._lake, found["batch_id"])
        if not self.is_settled(request.batch_id):
            self._promise(request.batch_id)  # the answer to the first try may have been lost in a crash
        return Accepted(request, is_new=False)

    def _promise(self, batch_id: str) -> None:
        entry = {"accepted_at": time.time(), "by": self._name}
        with contextlib.suppress(ConflictError):  # it is promised already
            self._lake.create_json(self._path("pending", batch_id), entry)

    def _settle(self, batch_id: str, how: Mapping[str, Any]) -> None:
        with contextlib.suppress(ConflictError):  # another process has done the same
            self._lake.create_json(self._path("done", batch_id), {"at": time.time(), **how})
        self._lake.remove(self._path("pending", batch_id))

    def _is_ours(self, batch_id: str) -> bool:
        """Whether this process promised it, or another one did that has had its time."""
        entry = self._lake.read_json(self._path("pending", check_batch_id(batch_id)))
        if entry is None:
            return False  # another thread has just launched it
        age = time.time() - float(entry.get("accepted_at", 0.0))
        return entry.get("by") == self._name or age > self._others_seconds

    def _tell(self, what: str) -> None:
        if what != self._told:  # the same line every few seconds tells nothing
            _log.warning("%s", what)
        self._told = what

    def _lock(self, batch_id: str) -> threading.Lock:
        return self._locks[zlib.crc32(batch_id.encode()) % _LOCKS]

    def _path(self, what: str, batch_id: str) -> UPath:
        return self._lake.path("launches", what, f"{batch_id}.json")

    def _key_path(self, tenant: str, key: str) -> UPath:
        if not 0 < len(key) <= MAX_KEY_CHARS or not key.isprintable():
            raise InvalidRequestError(
                f"Idempotency-Key {shown(key)} is not allowed: use 1 to {MAX_KEY_CHARS} printable characters"
            )
        return self._lake.path("launches", "keys", tenant, f"{hashlib.sha256(key.encode()).hexdigest()}.json")
