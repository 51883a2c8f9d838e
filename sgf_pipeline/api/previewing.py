"""Previews of one server: the loaded model, and how many are made at once.

Belongs here: loading the model once, and turning callers away before they wait too long. Does not belong here: how a
preview is made (``previews``).
"""

import logging
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread

from sgf_pipeline import previews
from sgf_pipeline.api.metrics import Metrics
from sgf_pipeline.domain.errors import ModelUnavailableError, SgfError
from sgf_pipeline.llm.backend import Backend

AT_ONCE = 2  # the model answers one at a time; meanwhile another preview can be simulated
MAX_WAITING = 64  # beyond it a preview would wait longer than clients do

_log = logging.getLogger(__name__)


class Previewer:
    """Makes previews with one model. ``problem`` says why it cannot, and is None once the model is loaded."""

    def __init__(self, backend: Backend, salt: str, metrics: Metrics) -> None:
        self._backend, self._salt, self._metrics = backend, salt, metrics
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._waiting = 0
        self.problem: str | None = "the model is being loaded"

    async def warm_up(self) -> None:
        """Make one preview of all scenarios, so that the first caller finds everything loaded."""
        try:
            await anyio.to_thread.run_sync(self._make, {"seed": 0})
        except SgfError as error:
            _log.error("previews cannot be made: %s", error)
            self.problem = "the model cannot be used"
        else:
            self.problem = None

    async def make(self, given: Mapping[str, Any], tenant: str) -> previews.Preview:
        """A preview, made in a thread. Raises as ``previews``, and ``ModelUnavailableError`` when too many wait."""
        if self._waiting >= MAX_WAITING:
            raise ModelUnavailableError(f"{self._waiting} previews are waiting already: ask again in some seconds")
        self._waiting += 1
        try:
            return await anyio.to_thread.run_sync(self._make, given, tenant, limiter=self._limiter)
        finally:
            self._waiting -= 1

    def _make(self, given: Mapping[str, Any], tenant: str = "default") -> previews.Preview:
        made = previews.make(previews.parse_preview(given, tenant), self._backend, self._salt)
        for stage, seconds in made.seconds.items():
            self._metrics.stages.labels(stage).observe(seconds)
        self._metrics.rows.inc(made.rows.num_rows)
        self._metrics.model_tokens.inc(sum(one.output_tokens for cases in made.written.values() for one in cases))
        return made
