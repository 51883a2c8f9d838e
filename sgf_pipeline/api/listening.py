"""Where the server listens, with which certificates, and how long it waits for whom.

Belongs here: what ``sgf serve`` may bind to, TLS, and time limits of a connection. Does not belong here: who may do
what (``security``), and what a request may hold (``limits``).
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import h11
import uvicorn
from cryptography import x509
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sgf_pipeline.domain.errors import ConfigurationError, InvalidRequestError

HEADER_SECONDS = 10.0  # for the headers of a request, from its first byte (of the first request, from the connection)
IDLE_SECONDS = 15  # between two requests of a connection
MAX_HEADER_BYTES = 131_072  # above the guard's limit of a token, so that a long token is refused as one
MAX_CONNECTIONS = 1_000  # beyond it a request is answered 503


@dataclass(frozen=True)
class Listening:
    """The options of ``sgf serve``."""

    host: str = "127.0.0.1"
    port: int = 8010
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    insecure: bool = False

    def check(self, issuer: str | None) -> None:
        """Raise ``InvalidRequestError`` for options that contradict one another or would open the API to strangers."""
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "--tls-key" if self.tls_key is None else "--tls-cert"
            raise InvalidRequestError(f"{missing} is missing: TLS needs --tls-cert and --tls-key")
        if self.client_ca is not None and self.tls_cert is None:
            raise InvalidRequestError("--client-ca needs TLS: give --tls-cert and --tls-key, too")
        if not (_is_this_machine(self.host) or issuer or self.client_ca is not None or self.insecure):
            raise InvalidRequestError(
                f"--host {self.host} would let everybody in: set SGF_OIDC_ISSUER, give --client-ca, listen on"
                " 127.0.0.1, or say --insecure"
            )

    @property
    def local_only(self) -> bool:
        """Whether only this machine is served, so that requests must name it."""
        return _is_this_machine(self.host) and self.client_ca is None and not self.insecure


def make_server(
    app: ASGIApp,
    listening: Listening,
    issuer: str | None,
    *,
    graceful_seconds: int = 30,
    header_seconds: float = HEADER_SECONDS,
    at_end: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """A server that is ready to run. It finishes requests it has begun, for ``graceful_seconds`` after SIGTERM.

    ``at_end`` is called in the event loop when the end begins: requests that only wait can be answered then.
    Raises ``InvalidRequestError`` (options) and ``ConfigurationError`` (certificates that cannot be used).
    """
    listening.check(issuer)
    config = uvicorn.Config(
        app,
        host=listening.host,
        port=listening.port,
        http=cast(type[asyncio.Protocol], partial(_Connection, header_seconds=header_seconds)),
        ws="none",
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=graceful_seconds,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ssl_certfile=listening.tls_cert,  # TLS 1.2 at least: Python's own default for servers
        ssl_keyfile=listening.tls_key,
        ssl_ca_certs=listening.client_ca,
        ssl_cert_reqs=ssl.CERT_NONE if listening.client_ca is None else ssl.CERT_REQUIRED,
    )
    papers = {"--tls-cert": listening.tls_cert, "--tls-key": listening.tls_key, "--client-ca": listening.client_ca}
    for option, path in papers.items():
        if path is not None and not path.is_file():  # OpenSSL would not say which one it missed
            raise ConfigurationError(f"{option} {path} is no file: give the path of a PEM file")
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"the certificates cannot be used ({error}): give PEM files, and the key that belongs to the certificate"
        ) from error
    return _Server(config, at_end)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name
        return False


class _Server(uvicorn.Server):
    """A server that says when its end begins, while requests still run; uvicorn tells the application afterwards."""

    def __init__(self, config: uvicorn.Config, at_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._at_end = at_end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._at_end()
        await super().shutdown(sockets)


class _Connection(H11Protocol):
    """HTTP/1.1 whose headers must arrive in time, and whose client's certificate the application sees (ASGI's tls)."""

    def __init__(self, *given: Any, header_seconds: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self._header_seconds = header_seconds
        self._headers_due: asyncio.TimerHandle | None = None
        self._tls: dict[str, Any] | None = None
        self._inner = self.app
        self.app = self._with_certificate

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        secured = transport.get_extra_info("ssl_object")
        certificate = None if secured is None else secured.getpeercert(binary_form=True)
        if certificate:
            name = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
            self._tls = {"client_cert_name": name, "client_cert_chain": [ssl.DER_cert_to_PEM_cert(certificate)]}
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_expecting()
        elif self._headers_due is None:
            self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    async def _with_certificate(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._tls is not None:
            scope.setdefault("extensions", {})["tls"] = self._tls
        await self._inner(scope, receive, send)

    def _expect_headers(self) -> None:
        self._headers_due = self.loop.call_later(self._header_seconds, self.transport.close)

    def _stop_expecting(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None
