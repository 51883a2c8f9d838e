"""An application behind the real server, its guard and its limits, on a port of this machine."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Request

from sgf_pipeline.api.listening import Listening, make_server
from sgf_pipeline.api.security import Caller, protect, require
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.integration.services import free_port, wait_for


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def guarded(settings: Settings, **protection: Any) -> FastAPI:
    """Endpoints behind the guard: who asks, how long the body is, slow ones, and one that forgot to ask for a scope."""
    app = FastAPI()
    app.state.begun, app.state.ending = threading.Event(), asyncio.Event()

    app.state.lengths = []

    @app.get("/v1/who")
    async def who(caller: Annotated[Caller, Depends(require("sgf:read"))]) -> dict[str, Any]:
        return {"subject": caller.subject, "tenant": caller.tenant, "scopes": sorted(caller.scopes)}

    @app.post("/v1/length")
    async def length(request: Request) -> int:
        app.state.lengths.append(len(await request.body()))
        return int(app.state.lengths[-1])

    @app.get("/v1/slow")
    async def slow() -> str:
        app.state.begun.set()
        await asyncio.sleep(0.5)
        return "done"

    @app.get("/v1/waiting")
    async def waiting() -> str:
        app.state.begun.set()
        await app.state.ending.wait()
        return "come back later"

    @app.get("/v1/forgotten")
    async def forgotten() -> str:
        return "open to everybody"

    @app.get("/health")
    async def health() -> str:
        return "alive"

    protect(app, settings, **protection)
    return app


@contextmanager
def running(
    app: FastAPI, settings: Settings, on: Callable[[uvicorn.Server], None] = lambda _: None, **options: Any
) -> Iterator[str]:
    """The address of a server in a thread; ``options`` are those of ``Listening`` and ``make_server``."""
    limits = {name: options.pop(name) for name in ("header_seconds", "graceful_seconds", "at_end") if name in options}
    listening = Listening(port=free_port(), **options)
    server = make_server(app, listening, settings.sgf_oidc_issuer, **limits)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, "the API")
        on(server)
        yield f"{'https' if listening.tls_cert else 'http'}://127.0.0.1:{listening.port}"
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "the server does not end"
