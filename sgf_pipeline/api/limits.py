"""How much one caller may ask, and how long and large what he sends may be.

Belongs here: the bucket of each caller, and the middleware that takes a body. Does not belong here: who the caller is
(``security``), and limits of a connection (``listening``).
"""

import asyncio
import contextlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sgf_pipeline.api.problems import problem

MAX_CALLERS = 10_000  # buckets that are kept; the one that was longest unused goes first
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 32 * 1_048_576


class Buckets:
    """A token bucket a caller: ``burst`` requests at once, ``rate`` a second in the long run; rate 0 is no limit."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> tokens, and since when

    def take(self, caller: str) -> int:
        """0 where the request may pass, else the whole seconds after which one may."""
        if not self._rate:
            return 0
        now = self._clock()
        left, since = self._left.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        wait = 0 if left >= 1 else math.ceil((1 - left) / self._rate)
        self._left[caller] = (left if wait else left - 1, now)
        if len(self._left) > MAX_CALLERS:
            self._left.popitem(last=False)
        return wait


def address_of(scope: Scope) -> str:
    """Whom a nameless request is counted against: its IPv4 address, or its IPv6 network (/64: one host has it all)."""
    client = scope.get("client")
    if not client:
        return "unknown"
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:  # a Unix socket, a test
        return str(client[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


def has_body(scope: Scope) -> bool:
    """Whether the request says that a body follows."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )  # fmt: skip


class WholeBody:
    """ASGI middleware: the application gets a body whole, or not at all.

    A body longer than ``max_bytes`` is refused with 413 before it is read where it says its length, and as soon as it
    is too long where it does not; one that takes longer than ``max_seconds`` with 408.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_seconds: float) -> None:
        self._app, self._max_bytes, self._max_seconds = app, max_bytes, max_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(said) > self._max_bytes:  # the server has checked that it is a number
            await self._too_large(scope, receive, send)
            return
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(self._max_seconds):
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        return  # the client has gone
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._max_bytes:
                        break
        except TimeoutError:
            answer = problem(
                408, "Request Timeout", f"the body did not arrive within {self._max_seconds:g} s: send it at once",
                headers={"Connection": "close"},
            )  # fmt: skip
            await answer(scope, receive, send)
            return
        if len(body) > self._max_bytes:
            await self._too_large(scope, receive, send)
            return
        whole: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            message, whole = whole, None
            return message if message is not None else await receive()

        await self._app(scope, replay, send)

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"the body is longer than {self._max_bytes} bytes: send a shorter one"
        await answer_unread(problem(413, "Content Too Large", detail), scope, receive, send)


async def answer_unread(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body nobody wants, at once, and close the connection if there is more to come.

    A connection that is closed on unread data loses the answer with it, so a body is thrown away for a moment first.
    """
    if not has_body(scope):
        await answer(scope, receive, send)
        return
    answer.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    seen, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while more and seen < _LINGER_BYTES:
                message = await receive()
                seen += len(message.get("body", b""))
                more = message.get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
