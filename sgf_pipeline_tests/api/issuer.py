"""A real OpenID Connect issuer: Authlib's AuthorizationServer behind an HTTP server of this machine.

Belongs here: discovery, key set, token endpoint, and a hand that signs what an issuer never would, without any JWT
library, so that a bad token is exactly what a test says. Does not belong here: what the API makes of the tokens.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, JsonPayload, OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc.jwk import KeySet, RSAKey

from sgf_pipeline_tests.integration.services import free_port

AUDIENCE = "https://sgf.example"
# client -> tenant; the secret of each is its name, turned round
CLIENTS = {"acme_robot": "acme", "globex_robot": "globex", "homeless": None, "traveller": "../acme"}
ALL = "sgf:preview sgf:generate sgf:read"


class _Client(ClientMixin):
    def __init__(self, name: str) -> None:
        self.name = name

    def get_client_id(self) -> str:
        return self.name

    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(client_secret, self.name[::-1])

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method, endpoint) == ("client_secret_basic", "token")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""


class _Tokens(JWTBearerTokenGenerator):
    def __init__(self, issuer: "Issuer") -> None:
        super().__init__(issuer.url)
        self._issuer = issuer

    def get_jwks(self) -> KeySet:
        return KeySet([self._issuer.signing])  # a set, so that the token names its key

    def get_audiences(self, client: _Client, user: Any, scope: str) -> list[str]:
        return [client.name, AUDIENCE]

    def get_extra_claims(self, client: _Client, grant_type: str, user: Any, scope: str) -> dict[str, Any]:
        tenant = CLIENTS[client.name]
        return {} if tenant is None else {"sgf_tenant": tenant}


class _Authorization(AuthorizationServer):
    def __init__(self, issuer: "Issuer") -> None:
        super().__init__(scopes_supported=ALL.split())
        self.register_token_generator("default", _Tokens(issuer))
        self.register_grant(ClientCredentialsGrant)

    def query_client(self, client_id: str) -> _Client | None:
        return _Client(client_id) if client_id in CLIENTS else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Nothing: these tokens are believed for their signature."""

    def send_signal(self, name: str, *given: Any, **named: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: "BaseHTTPRequestHandler") -> OAuth2Request:
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        # Authlib wants https; on this machine the issuer is reached without.
        asked = OAuth2Request("POST", "https://issuer" + request.path, headers=dict(request.headers.items()))
        asked.payload = BasicOAuth2Payload(dict(parse_qsl(body)))
        return asked

    def create_json_request(self, request: Any) -> JsonPayload:
        raise NotImplementedError

    def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, Any]:
        return status, body


class Issuer:
    """The issuer at ``url``; ``asked`` counts the requests for each path, ``names_itself`` is what discovery says."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.names_itself = self.url
        self.asked: Counter[str] = Counter()
        self.signing = RSAKey.generate_key(2048, auto_kid=True)
        self.published = [self.signing]
        self._authorization = _Authorization(self)
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        issuer = self

        class Door(BaseHTTPRequestHandler):
            def log_message(self, format: str, *given: Any) -> None:
                """Nothing: the tests' output is for their results."""

            def do_GET(self) -> None:
                issuer.asked[self.path] += 1
                known = {"/.well-known/openid-configuration": issuer._discovery, "/keys": issuer._keys}
                found = known.get(self.path)
                self._answer(*((200, found()) if found else (404, {})))

            def do_POST(self) -> None:
                self._answer(*issuer._authorization.create_token_response(self))

            def _answer(self, status: int, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Door)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def rotate(self, keep_old: bool) -> None:
        """Sign with a new key from now on."""
        self.signing = RSAKey.generate_key(2048, auto_kid=True)
        self.published = [*(self.published if keep_old else []), self.signing]

    def token(self, client: str = "acme_robot", scope: str = ALL) -> str:
        """What the token endpoint gives to a client with its secret."""
        answer = httpx.post(
            f"{self.url}/token", data={"grant_type": "client_credentials", "scope": scope}, auth=(client, client[::-1])
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Sound claims with changes; None takes a claim away."""
        now = int(time.time())
        sound = {
            "iss": self.url, "sub": "acme_robot", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300,
            "scope": ALL, "sgf_tenant": "acme",
        }  # fmt: skip
        return {name: value for name, value in {**sound, **changes}.items() if value is not None}

    def signed(self, claims: Any = None, key: RSAKey | None = None, **header: Any) -> str:
        """A token with this header and these claims, RS256 with ``key`` whatever the header says."""
        key = key or self.signing
        head = {"alg": "RS256", "typ": "at+jwt", "kid": self.signing.kid, **header}
        head = {name: value for name, value in head.items() if value is not None}
        text = f"{part(head)}.{part(self.claims() if claims is None else claims)}"
        private = key.private_key
        assert isinstance(private, rsa.RSAPrivateKey)
        return f"{text}.{b64(private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def by_secret(self, secret: bytes, **header: Any) -> str:
        """A token by HS256 with this secret."""
        text = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': self.signing.kid, **header})}.{part(self.claims())}"
        return f"{text}.{b64(hmac.digest(secret, text.encode(), 'sha256'))}"

    def public_pem(self) -> bytes:
        return self.signing.public_key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def _discovery(self) -> dict[str, Any]:
        return {"issuer": self.names_itself, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token"}

    def _keys(self) -> dict[str, Any]:
        return dict(KeySet(self.published).as_dict(private=False))


def part(content: Any) -> str:
    """A part of a token: JSON, or bytes as they are."""
    return b64(content if isinstance(content, bytes) else json.dumps(content).encode())


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def thumbprint(certificate: bytes) -> str:
    """``x5t#S256`` of a certificate (DER)."""
    return b64(hashlib.sha256(certificate).digest())
