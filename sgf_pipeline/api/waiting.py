"""Launching what was accepted, and waiting for batches to settle, in the background of the server.

Belongs here: one loop for all, whoever is connected. Does not belong here: what launching is (``acceptance``,
``launch``).
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sgf_pipeline import launch
from sgf_pipeline.acceptance import Launcher
from sgf_pipeline.api.metrics import Metrics
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.domain.errors import SgfError
from sgf_pipeline.launch import BatchStatus
from sgf_pipeline.resources.lake import LakeResource

LAUNCH_EVERY_SECONDS = 5.0
LOOK_EVERY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Waiting:
    """The background of one server: use ``running`` around its life."""

    def __init__(self, lake: LakeResource, dagster: DagsterClient, launcher: Launcher, metrics: Metrics) -> None:
        self._lake, self._dagster, self._launcher, self._metrics = lake, dagster, launcher, metrics
        self._accepted = asyncio.Event()
        self._awaited: dict[str, set[asyncio.Future[BatchStatus]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Launch and look until the block is left."""
        self._tasks = [asyncio.create_task(self._launching()), asyncio.create_task(self._looking())]
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            for task in self._tasks:
                with suppress(asyncio.CancelledError):
                    await task

    @property
    def is_at_work(self) -> bool:
        """False where a defect of ours has ended it."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def was_accepted(self) -> None:
        """A batch is to be launched: do not wait for the next turn."""
        self._accepted.set()

    async def settled(self, batch_id: str, seconds: float) -> BatchStatus | None:
        """The batch's status once nothing more will happen by itself; None where that takes longer."""
        future: asyncio.Future[BatchStatus] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(batch_id, set()).add(future)
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return None
        finally:
            self._awaited[batch_id].discard(future)
            if not self._awaited[batch_id]:
                del self._awaited[batch_id]

    async def _launching(self) -> None:
        while True:
            self._accepted.clear()
            try:
                self._metrics.waiting.set(await asyncio.to_thread(self._launcher.launch_pending))
            except SgfError as error:
                _log.warning("accepted batches cannot be looked for: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._accepted.wait(), LAUNCH_EVERY_SECONDS)

    async def _looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            if not self._awaited:
                continue
            try:
                found = await asyncio.to_thread(self._look, list(self._awaited))
            except SgfError as error:
                _log.warning("batches cannot be looked at: %s", error)
                continue
            for one in found:
                for future in self._awaited.get(one.batch_id, ()):
                    if not future.done():
                        future.set_result(one)

    def _look(self, batch_ids: list[str]) -> list[BatchStatus]:
        """Those that have settled. One that is not launched yet looks as if nothing went on."""
        launched = [batch_id for batch_id in batch_ids if self._launcher.is_settled(batch_id)]
        return [one for one in launch.batch_statuses(self._lake, self._dagster, launched) if one.is_settled]
