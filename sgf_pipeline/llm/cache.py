"""Answers kept between runs, so that the same question is never paid for twice.

Belongs here: the key of an answer, the cache on disk, and Redis before it where several machines share their answers.
Does not belong here: where the folder and the server lie (settings).
"""

import hashlib
import json
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args

import diskcache

from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.domain.request import canonical_json
from sgf_pipeline.llm.backend import Backend, Completion, Fault, Prompt
from sgf_pipeline.llm.prompts import PROMPT_VERSION

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)
T = TypeVar("T")

DISK_BYTES = 2**30  # about a million answers; the oldest go first
KEPT_SECONDS = 90 * 24 * 3600  # in Redis, since an answer was last asked for
ANSWER_SECONDS = 0.5  # a cache that takes longer is no help
AWAY_SECONDS = 30.0  # how long a Redis that failed is left alone
PREFIX = "sgf:case:"


class CaseCache(Protocol):
    """Completions by key. ``get`` gives ``None`` for what is absent or unreadable."""

    def get(self, key: str) -> Completion | None: ...

    def set(self, key: str, completion: Completion) -> None: ...


def cache_key(backend: Backend, prompt: Prompt) -> str:
    """SHA-256 of everything that an answer depends on: prompt version, brief, model, sampling, repeat and attempt."""
    parts = {
        "prompt_version": PROMPT_VERSION,
        "provider": backend.provider,
        "fingerprint": backend.fingerprint,
        "sampling": backend.sampling,
        "brief": prompt.brief.model_dump(),
        "repeat": prompt.repeat,
        "attempt": prompt.attempt,
        "seed": prompt.seed,
    }
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


class DiskCaseCache:
    """Completions in a folder that several processes may use at once. Entries are JSON, never pickles.

    It grows to ``DISK_BYTES``.
    """

    def __init__(self, directory: Path) -> None:
        """Raises ``ConfigurationError`` if the folder cannot be used."""
        try:
            self._cache = diskcache.Cache(
                str(directory),
                disk=diskcache.JSONDisk,
                size_limit=DISK_BYTES,
                eviction_policy="least-recently-stored",
            )
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"case cache {directory} cannot be opened ({error}): delete the folder or name another one"
            ) from error

    def get(self, key: str) -> Completion | None:
        try:
            return _completion(self._cache.get(key))
        except (zlib.error, ValueError, OSError):
            return None  # an entry cut short by a crash is asked for again

    def set(self, key: str, completion: Completion) -> None:
        self._cache.set(key, _entry(completion))

    def close(self) -> None:
        self._cache.close()


class SharedCaseCache:
    """Redis before a cache on disk: every answer is written to both, and looked for in both.

    So nothing that was paid for goes with a Redis that is killed. A Redis that fails or does not answer within
    ``ANSWER_SECONDS`` costs one warning and is left alone for ``away_seconds``; the disk serves meanwhile.
    """

    def __init__(self, url: str, disk: CaseCache, away_seconds: float = AWAY_SECONDS) -> None:
        """Asks the server nothing yet. Raises ``ConfigurationError``, which does not show the URL's password."""
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ConfigurationError(
                "REDIS_URL is set, but the package redis is missing: install sgf-pipeline[redis], or unset REDIS_URL"
            ) from error
        try:
            self._redis: redis.Redis = redis.Redis.from_url(
                url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 0)
            )
        except ValueError:
            raise ConfigurationError(
                "REDIS_URL is not of the form redis://user:password@host:6379/0 (rediss:// for TLS): correct it"
            ) from None
        self._failure: type[Exception] = redis.RedisError
        self._disk = disk
        self._away_seconds = away_seconds
        self._away_until = 0.0
        self._warned = False

    def get(self, key: str) -> Completion | None:
        held = self._ask(lambda server: server.getex(PREFIX + key, ex=KEPT_SECONDS))
        found = _parsed(held)
        if found is None:
            found = self._disk.get(key)
            if found is not None:
                self._put(key, found)
        return found

    def set(self, key: str, completion: Completion) -> None:
        self._disk.set(key, completion)
        self._put(key, completion)

    def _put(self, key: str, completion: Completion) -> None:
        text = json.dumps(_entry(completion))
        self._ask(lambda server: server.set(PREFIX + key, text, ex=KEPT_SECONDS))

    def _ask(self, question: "Callable[[redis.Redis], T]") -> T | None:
        """The server's answer, or None where it has none to give or is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return question(self._redis)
        except self._failure as error:
            self._away_until = time.monotonic() + self._away_seconds
            if not self._warned:
                self._warned = True
                log.warning(
                    "REDIS_URL does not serve the case cache (%s): answers are kept on disk until it does",
                    type(error).__name__,  # its message may repeat what was sent
                )
            return None


def case_cache(directory: Path, redis_url: str = "") -> CaseCache:
    """The cache of answers: in ``directory``, and in Redis as well where ``redis_url`` is not empty.

    Raises ``ConfigurationError`` if the folder or the URL cannot be used; a server that does not answer is no error.
    """
    disk = DiskCaseCache(directory)
    return SharedCaseCache(redis_url, disk) if redis_url else disk


def _parsed(held: object) -> Completion | None:
    if not isinstance(held, bytes):
        return None
    try:
        return _completion(json.loads(held))
    except ValueError:  # no JSON, or no UTF-8
        return None


def _entry(completion: Completion) -> list[Any]:
    return [
        completion.text,
        completion.input_tokens,
        completion.output_tokens,
        completion.cost_usd,
        completion.fault,
    ]


def _completion(entry: Any) -> Completion | None:
    """What ``_entry`` made, or None for anything else."""
    shape: list[Any] = [str, int, int, (int, float), (str, type(None))]
    if not isinstance(entry, list) or len(entry) != len(shape):
        return None
    if not all(isinstance(part, kind) for part, kind in zip(entry, shape, strict=True)):
        return None
    if entry[4] not in (None, *get_args(Fault)):
        return None
    return Completion(entry[0], entry[1], entry[2], float(entry[3]), entry[4])
