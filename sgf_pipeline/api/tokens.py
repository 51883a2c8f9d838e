"""Access tokens of an OpenID Connect issuer: its keys, and what a token says once it is believed.

Belongs here: discovery, the cache of keys, and every check of a token. Does not belong here: HTTP answers, scopes and
tenants (``security``).

The rules are RFC 8725 (algorithms are ours to choose, never the token's), RFC 9068 (access tokens say so in ``typ``)
and OpenID Connect Discovery 1.0 (the document names the issuer that it was asked of).
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt

from sgf_pipeline.domain.errors import PermanentError, TransientError

# Asymmetric ones only: with HS256 a public key would serve as the secret.
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS = (*RSA, "ES256", "ES384", "ES512", "EdDSA")
_FITTING = {"RSA": RSA, "P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "Ed25519": ("EdDSA",)}

SKEW_SECONDS = 60  # clocks of issuer and server may differ by so much
MAX_TOKEN_CHARS = 16_384
FRESH_SECONDS = 600.0  # keys are asked for again after this time: as long a withdrawn key is believed
KEPT_SECONDS = 86_400.0  # and kept for so long where the issuer does not answer
PAUSE_SECONDS = 10.0  # between two questions to the issuer, whatever tokens come
_ANSWER_SECONDS = 5.0
_MAX_ANSWER_BYTES = 1_048_576

_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash")
_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it was made for another audience",
    jwt.InvalidIssuerError: "it is from another issuer",
    jwt.MissingRequiredClaimError: "it lacks one of iss, sub, aud, iat and exp",
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.InvalidAlgorithmError: "its alg is not allowed",
}

_log = logging.getLogger(__name__)


class TokenError(PermanentError):
    """A token that is not believed. The message says why in fixed words: nothing of the token is repeated."""


class IssuerUnavailableError(TransientError):
    """The issuer did not answer, and its keys are not known."""


class IssuerKeys:
    """The public keys of one issuer, asked for when needed and kept.

    They are asked for again when they are older than ``FRESH_SECONDS`` or a token names a key that is not among them,
    but never twice within ``PAUSE_SECONDS``. Where the issuer does not answer, cached keys go on for ``KEPT_SECONDS``.
    """

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: dict[tuple[str | None, str], list[jwt.PyJWK]] = {}
        self._fetched: float | None = None
        self._tried: float | None = None

    async def key(self, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """The key of that name. Raises ``TokenError`` (there is none) and ``IssuerUnavailableError`` (nobody knows)."""
        key = self._find(kid, algorithm)
        if key is None or (self._older_than(FRESH_SECONDS) and not self._lock.locked()):
            await self._renew()
            key = self._find(kid, algorithm)
        if key is None:
            if self._fetched is None or self._fetched != self._tried:
                raise IssuerUnavailableError(f"the issuer {self.issuer} does not answer: try again later")
            raise TokenError("the issuer has no such key")
        return key

    def _older_than(self, seconds: float) -> bool:
        return self._fetched is None or self._clock() - self._fetched > seconds

    def _find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        found = [] if self._older_than(KEPT_SECONDS) else self._keys.get((kid, algorithm), [])
        return found[0] if len(found) == 1 else None  # a token without kid is taken where one key alone can be meant

    async def _renew(self) -> None:
        async with self._lock:
            now = self._clock()
            if self._tried is not None and now - self._tried < PAUSE_SECONDS:
                return
            self._tried = now
            try:
                async with asyncio.timeout(_ANSWER_SECONDS), httpx.AsyncClient() as client:
                    keys = await self._ask(client)
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
                _log.warning("the keys of the issuer %s cannot be had: %s", self.issuer, str(error) or repr(error))
                return
            self._keys, self._fetched = keys, now

    async def _ask(self, client: httpx.AsyncClient) -> dict[tuple[str | None, str], list[jwt.PyJWK]]:
        document = await _get(client, self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != self.issuer:
            raise ValueError("its discovery document names another issuer")
        address = document.get("jwks_uri")
        # Keys over http could be anybody's; http is for an issuer on this machine.
        if not isinstance(address, str) or httpx.URL(address).scheme not in ("https", httpx.URL(self.issuer).scheme):
            raise ValueError("its discovery document has no jwks_uri with https")
        listed = (await _get(client, address)).get("keys")
        if not isinstance(listed, list):
            raise ValueError("its key set has no list of keys")
        return _usable(listed)


async def _get(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    body = bytearray()
    async with client.stream("GET", address) as answer:
        answer.raise_for_status()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > _MAX_ANSWER_BYTES:
                raise ValueError("its answer is too long")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("its answer is no JSON object")
    return document


def _usable(listed: list[Any]) -> dict[tuple[str | None, str], list[jwt.PyJWK]]:
    """Keys to verify with, by (kid, alg) and, for tokens without a kid, by (None, alg)."""
    keys: dict[tuple[str | None, str], list[jwt.PyJWK]] = {}
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        kind, kid, only = entry.get("kty"), entry.get("kid"), entry.get("alg")
        for algorithm in _FITTING.get(str(kind if kind == "RSA" else entry.get("crv")), ()):
            if only not in (None, algorithm):
                continue
            try:
                key = jwt.PyJWK(entry, algorithm)
            except jwt.PyJWTError:  # a key of the set that is malformed: the others may be sound
                continue
            for name in {None, kid if isinstance(kid, str) else None}:
                keys.setdefault((name, algorithm), []).append(key)
    return keys


class TokenVerifier:
    """Says what a token says, once everything about it has been checked.

    With ``plain`` the header's ``typ`` may also be JWT or missing, as with issuers that do not follow RFC 9068.
    """

    def __init__(self, keys: IssuerKeys, audience: str, plain: bool = False) -> None:
        self._keys = keys
        self._audience = audience
        self._types = {"at+jwt", "jwt", ""} if plain else {"at+jwt"}

    async def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a sound access token. Raises ``TokenError`` and ``IssuerUnavailableError``."""
        if len(token) > MAX_TOKEN_CHARS:
            raise TokenError("it is too long")
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kind = header.get("alg"), str(header.get("typ", ""))
            if algorithm not in ALGORITHMS:
                raise TokenError(_REASONS[jwt.InvalidAlgorithmError])
            if kind.lower().removeprefix("application/") not in self._types:
                raise TokenError("its typ is not that of an access token")
            claims = jwt.decode(
                token,
                await self._keys.key(header.get("kid"), algorithm),
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._keys.issuer,
                leeway=SKEW_SECONDS,
                options={"require": ["iss", "sub", "aud", "iat", "exp"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise TokenError(_REASONS.get(type(error), "it is malformed")) from error
        # Issuers whose access tokens have typ JWT mark the others so; Keycloak names the kind in a claim of its own.
        if any(name in claims for name in _ID_TOKEN_CLAIMS) or claims.get("typ", "Bearer") not in ("Bearer", "DPoP"):
            raise TokenError("it is no access token")
        return claims
