"""Who may come into the REST API: the caller of a request, and what he may do.

Belongs here: the caller, what an endpoint asks of him, and the guard before the application that admits him. Does not
belong here: how a token is verified (``tokens``), limits of rate and size (``limits``), certificates (``listening``).

The guard stands before everything: a path that ``OPEN_PATHS`` does not name is closed, and a stranger is turned away
before a byte of his body is read. An endpoint then says which scope it wants: ``caller: Annotated[Caller,
Depends(require("sgf:read"))]``.
"""

import base64
import hashlib
import hmac
import ipaddress
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sgf_pipeline.api.limits import Buckets, WholeBody, address_of, answer_unread, has_body
from sgf_pipeline.api.problems import problem
from sgf_pipeline.api.tokens import PAUSE_SECONDS, IssuerKeys, IssuerUnavailableError, TokenError, TokenVerifier
from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.request import check_tenant
from sgf_pipeline.settings import Settings

OPEN_PATHS = frozenset({"/health", "/health/ready", "/metrics", "/docs", "/openapi.json"})
SCOPES = frozenset({"sgf:preview", "sgf:generate", "sgf:read"})
LOCAL = "local"  # the subject of everybody who needs no name

# The guard has verified the token by then; this only tells the OpenAPI document that there is one.
_BEARER = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="an access token of the OIDC issuer; none is needed without one"
)


@dataclass(frozen=True)
class Caller:
    """Who asks. ``tenant`` is the only tenant whose batches he may see; None means any, and only without an issuer."""

    subject: str
    tenant: str | None
    scopes: frozenset[str]


def require(scope: str) -> Callable[..., Awaitable[Caller]]:
    """A FastAPI dependency: the caller, if he has ``scope``; else the answer is 403 (401 where nobody is known)."""

    async def caller(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]) -> Caller:
        found = getattr(request.state, "caller", None)
        if not isinstance(found, Caller):
            raise HTTPException(401, "no caller is known", headers={"WWW-Authenticate": challenge()})
        if scope not in found.scopes:
            raise HTTPException(
                403, f"the token lacks the scope {scope}: ask its issuer for one that has it",
                headers={"WWW-Authenticate": challenge("insufficient_scope", scope=scope)},
            )  # fmt: skip
        return found

    return caller


def challenge(error: str = "", **parts: str) -> str:
    """The ``WWW-Authenticate`` header of RFC 6750."""
    parts = {"realm": "sgf", **({"error": error} if error else {}), **parts}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parts.items())


class Refusal(Exception):  # noqa: N818 -- an answer to a stranger, not a failure of ours
    """Why a request is not let in, as the answer says it."""

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str]) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers


class Guard:
    """ASGI middleware: nobody passes to a path outside ``OPEN_PATHS`` unless ``verifier`` or this machine vouches.

    Without a verifier (no issuer) everybody who can connect may do everything: the server then listens on this machine
    alone, or only those connect who have a client certificate, or its owner said ``--insecure``. With ``local_only``
    requests must also name this machine: a web page could otherwise point its own name at 127.0.0.1.
    """

    def __init__(
        self, app: ASGIApp, verifier: TokenVerifier | None, tenant_claim: str, callers: Buckets, local_only: bool
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._tenant_claim = tenant_claim
        self._callers = callers
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Nobody sends a body to an open path but to fill our memory.
        if scope["type"] != "http" or (scope["path"] in OPEN_PATHS and not has_body(scope)):
            await self._app(scope, receive, send)  # lifespan; the server speaks no WebSocket (listening)
            return
        try:
            await self._admit(scope)
        except Refusal as refusal:
            answer = problem(refusal.status, refusal.title, refusal.detail, headers=refusal.headers)
            await answer_unread(answer, scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        try:
            caller = await self._caller(scope)
        except Refusal:
            self._count(address_of(scope))  # guessing is limited, too
            raise
        nameless = self._verifier is None and caller.subject == LOCAL
        self._count(address_of(scope) if nameless else f"caller {caller.subject}")
        scope.setdefault("state", {})["caller"] = caller

    def _count(self, whom: str) -> None:
        wait = self._callers.take(whom)
        if wait:
            detail = f"too many requests: ask again in {wait} s"
            raise Refusal(429, "Too Many Requests", detail, {"Retry-After": str(wait)})

    async def _caller(self, scope: Scope) -> Caller:
        headers = Headers(scope=scope)
        if self._verifier is None:
            if self._local_only and not _names_this_machine(headers.get("host", "")):
                raise Refusal(421, "Misdirected Request", "the server serves this machine alone: call it 127.0.0.1", {})
            return Caller(_certificate_name(scope) or LOCAL, None, SCOPES)
        sent = headers.getlist("authorization")
        if not sent:
            raise Refusal(
                401, "Unauthorized", "an access token is needed: send Authorization: Bearer <token>",
                {"WWW-Authenticate": challenge()},
            )  # fmt: skip
        kind, _, token = sent[0].partition(" ")
        try:
            if len(sent) > 1 or kind.lower() != "bearer" or not token:
                raise TokenError("one header Authorization: Bearer <token> is needed")
            claims = await self._verifier.claims(token.strip(" "))
            _check_binding(claims, scope)
            return _caller_of(claims, self._tenant_claim)
        except TokenError as error:
            raise Refusal(
                401, "Unauthorized", f"the access token is refused: {error}",
                {"WWW-Authenticate": challenge("invalid_token", error_description=str(error))},
            ) from error  # fmt: skip
        except IssuerUnavailableError as error:
            raise Refusal(503, "Service Unavailable", str(error), {"Retry-After": f"{PAUSE_SECONDS:.0f}"}) from error


def protect(
    app: FastAPI, settings: Settings, *, local_only: bool = True, clock: Callable[[], float] = time.monotonic
) -> None:
    """Put the guard and the limits before an application that has all its routes.

    ``local_only`` (without an issuer): the server listens on this machine alone. It is off for a server with client
    certificates, and where its owner said ``--insecure``. Raises ``ConfigurationError`` for contradicting settings.
    """
    settings.check()
    verifier = None
    if settings.sgf_oidc_issuer and settings.sgf_oidc_audience:
        keys = IssuerKeys(settings.sgf_oidc_issuer, clock)
        verifier = TokenVerifier(keys, settings.sgf_oidc_audience, settings.sgf_oidc_typ == "JWT")
    # The middleware that is added last comes first: nobody's body is read before he is known.
    app.add_middleware(WholeBody, max_bytes=settings.sgf_api_body_bytes, max_seconds=settings.sgf_api_body_seconds)
    app.add_middleware(
        Guard,
        verifier=verifier,
        tenant_claim=settings.sgf_oidc_tenant_claim,
        callers=Buckets(settings.sgf_api_rate, settings.sgf_api_burst, clock),
        local_only=local_only,
    )


def _caller_of(claims: Mapping[str, Any], tenant_claim: str) -> Caller:
    subject, tenant = str(claims["sub"]), claims.get(tenant_claim)
    if not 0 < len(subject) <= 255 or not subject.isprintable():
        raise TokenError("its sub is not 1 to 255 printable characters")
    if not isinstance(tenant, str):
        raise Refusal(403, "Forbidden", f"the token names no tenant: its claim {tenant_claim} must be one", {})
    try:
        check_tenant(tenant)
    except InvalidRequestError as error:
        raise Refusal(403, "Forbidden", f"claim {tenant_claim} of the token: {error}", {}) from error
    return Caller(subject, tenant, _scopes_of(claims))


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """``scope`` of RFC 9068, a text; ``scp`` at Okta and Entra, a list or a text."""
    granted: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name, "")
        if isinstance(value, str):
            granted.update(value.split())
        elif isinstance(value, list):
            granted.update(item for item in value if isinstance(item, str))
    return SCOPES & granted


def _check_binding(claims: Mapping[str, Any], scope: Scope) -> None:
    """A token bound to a certificate (RFC 8705) counts only on a connection made with it; other bindings never do."""
    binding = claims.get("cnf")
    if binding is None:
        return
    wanted = binding.get("x5t#S256") if isinstance(binding, dict) and len(binding) == 1 else None
    chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
    if isinstance(wanted, str) and chain:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain[0])).digest()
        if hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"="), wanted.encode()):
            return
    raise TokenError("it is bound to a key that this connection does not prove")


def _certificate_name(scope: Scope) -> str | None:
    name = scope.get("extensions", {}).get("tls", {}).get("client_cert_name")
    return None if name is None else str(name)


def _names_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:  # another name, or no name at all
        return False
