"""Whether the server can do its work, and if not, why: what a load balancer asks.

Belongs here: asking every part, not too often. Everybody may ask, so the answer names no address and no path; those are
in the log.
"""

import logging
import threading
import time
from collections.abc import Callable

from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.domain.errors import SgfError
from sgf_pipeline.resources.lake import LakeResource

FRESH_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Readiness:
    """Asks model, background, Dagster and storage; an answer serves for ``FRESH_SECONDS``."""

    def __init__(
        self,
        lake: LakeResource,
        dagster: DagsterClient,
        model_problem: Callable[[], str | None],
        is_at_work: Callable[[], bool],
    ) -> None:
        self._lake, self._dagster = lake, dagster
        self._model_problem, self._is_at_work = model_problem, is_at_work
        self._lock = threading.Lock()
        self._asked_at = -FRESH_SECONDS
        self._reasons: dict[str, str] = {}

    def reasons(self) -> dict[str, str]:
        """By part, why it is not ready; empty where all are."""
        with self._lock:
            if time.monotonic() - self._asked_at >= FRESH_SECONDS:
                self._reasons = self._ask()
                self._asked_at = time.monotonic()
            found = dict(self._reasons)
        model = self._model_problem()
        return found if model is None else {"model": model, **found}

    def _ask(self) -> dict[str, str]:
        found = {}
        if not self._is_at_work():
            found["launcher"] = "accepted batches are not being launched"
        try:
            if self._dagster.check().daemons_down:
                found["dagster"] = "Dagster's daemon is not running"
        except SgfError as error:
            _log.warning("not ready: %s", error)
            found["dagster"] = "Dagster cannot be asked"
        try:
            self._lake.check_writable()
        except SgfError as error:
            _log.warning("not ready: %s", error)
            found["storage"] = "the storage cannot be written"
        return found
