"""Answers kept between runs, so that the same question is never paid for twice.

Belongs here: the key of an answer and the cache on disk. Does not belong here: where the folder lies (settings).
"""

import hashlib
import sqlite3
import zlib
from pathlib import Path
from typing import Any, Protocol, get_args

import diskcache

from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.domain.request import canonical_json
from sgf_pipeline.llm.backend import Backend, Completion, Fault, Prompt
from sgf_pipeline.llm.prompts import PROMPT_VERSION


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
    """Completions in a folder that several processes may use at once. Entries are JSON, never pickles."""

    def __init__(self, directory: Path) -> None:
        """Raises ``ConfigurationError`` if the folder cannot be used."""
        try:
            self._cache = diskcache.Cache(str(directory), disk=diskcache.JSONDisk)
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
