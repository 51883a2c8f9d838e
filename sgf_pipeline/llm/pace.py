"""How many questions are out at once: fewer when the server says it is too much, slowly more while it does not.

Belongs here: waiting and counting. Does not belong here: what is asked, and what an answer means.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Pace:
    """Additive increase, multiplicative decrease, as in TCP: halved by a refusal, one more for each full round.

    Belongs to one event loop. ``limit`` starts at ``start`` and stays between 1 and ``most``.
    """

    def __init__(self, start: float, most: int) -> None:
        self.limit = start
        self.most = most
        self._out = 0
        self._cut_at = -1.0
        self._resume_at = 0.0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait for a place and for the end of any pause; give the moment at which the turn began."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._out < int(self.limit))
            self._out += 1
        try:
            while (left := self._resume_at - _now()) > 0:
                await asyncio.sleep(left)
            yield _now()
        finally:
            self._out -= 1
            async with self._changed:
                self._changed.notify_all()

    def faster(self) -> None:
        """A question was answered."""
        self.limit = min(float(self.most), self.limit + 1 / self.limit)

    def slower(self, began: float, pause_seconds: float) -> None:
        """A question whose turn began then was refused: halve, unless that was done since, and pause everybody."""
        if began > self._cut_at:
            self.limit = max(1.0, self.limit / 2)
            self._cut_at = _now()
        self._resume_at = max(self._resume_at, _now() + pause_seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()
