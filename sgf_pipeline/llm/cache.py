"""Answers kept between runs, so that the same question is never paid for twice.

Belongs here: the key of an answer and the cache on disk. Does not belong here: where the folder lies (settings).
"""

import hashlib
import sqlite3
import zlib
from pathlib import Path
from typing import Any, Protocol

import diskcache

from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.domain.request import canonical_json
from sgf_pipeline.llm.backend import Backend, Completion, Prompt
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
            entry: Any = self._cache.get(key)
            if entry is None:
                return None
            text, input_tokens, output_tokens, cost_usd = entry
        except (zlib.error, ValueError, TypeError, OSError):
            return None  # an entry cut short by a crash is asked for again
        if not (isinstance(text, str) and isinstance(input_tokens, int) and isinstance(output_tokens, int)):
            return None
        return Completion(text, input_tokens, output_tokens, float(cost_usd))

    def set(self, key: str, completion: Completion) -> None:
        self._cache.set(key, [completion.text, completion.input_tokens, completion.output_tokens, completion.cost_usd])

    def close(self) -> None:
        self._cache.close()
