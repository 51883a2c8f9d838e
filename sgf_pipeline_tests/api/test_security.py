"""Who is let in: tokens of a real issuer through the real server, and everything that only looks like one."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey

from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.api.issuer import ALL, AUDIENCE, Issuer, b64, part
from sgf_pipeline_tests.api.running import Clock, guarded, running

STRANGER = RSAKey.generate_key(2048, auto_kid=True)
JWT_BEARING = "eyJ"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    server = Issuer()
    yield server
    server.stop()


def settings_for(issuer: Issuer, make_settings: Callable[..., Settings], **changes: Any) -> Settings:
    return make_settings(
        **{
            "sgf_oidc_issuer": issuer.url, "sgf_oidc_audience": AUDIENCE, "sgf_id_salt": "a salt of one's own",
            "sgf_api_rate": 0, **changes,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def api(issuer: Issuer, make_settings: Callable[..., Settings]) -> Iterator[httpx.Client]:
    settings = settings_for(issuer, make_settings)
    with running(guarded(settings), settings) as address, httpx.Client(base_url=address) as client:
        yield client


def who(api: httpx.Client, token: str) -> httpx.Response:
    return api.get("/v1/who", headers={"Authorization": f"Bearer {token}"})


def test_a_client_credentials_token_is_accepted(issuer, api):
    """Guards the way in: what the issuer's token endpoint gives is enough, and says who, for whom and what for."""
    assert who(api, issuer.token()).json() == {
        "subject": "acme_robot",
        "tenant": "acme",
        "scopes": ["sgf:generate", "sgf:preview", "sgf:read"],
    }
    several = who(api, issuer.signed(issuer.claims(scope="openid sgf:read e-mail"))).json()
    assert several["scopes"] == ["sgf:read"]
    other = who(api, issuer.token("globex_robot", "sgf:read")).json()
    assert (other["tenant"], other["scopes"]) == ("globex", ["sgf:read"])


GOOD: dict[str, Callable[[Issuer], str]] = {
    "made by hand": lambda i: i.signed(),
    "typ in full": lambda i: i.signed(typ="application/at+jwt"),
    "a clock 50 s slow": lambda i: i.signed(i.claims(exp=int(time.time()) - 50)),
    "a clock 50 s fast": lambda i: i.signed(i.claims(iat=int(time.time()) + 50, nbf=int(time.time()) + 50)),
    "without nbf": lambda i: i.signed(i.claims(nbf=None)),
    "without kid, one key": lambda i: i.signed(kid=None),
    "several audiences": lambda i: i.signed(i.claims(aud=["other", AUDIENCE])),
    "scp as a list": lambda i: i.signed(i.claims(scope=None, scp=ALL.split())),
    "an unknown claim": lambda i: i.signed(i.claims(roles=["admin"])),
}


@pytest.mark.parametrize("name", GOOD)
def test_sound_tokens_of_other_shapes_are_accepted(name, issuer, api):
    """Guards against a check so strict that a bad token is refused for another reason than the one tested below."""
    assert who(api, GOOD[name](issuer)).status_code == 200


def altered(token: str, **changes: Any) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{part({**claims, **changes})}.{signature}"


BAD: dict[str, Callable[[Issuer], str]] = {
    # algorithms
    "alg none": lambda i: f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{part(i.claims())}.",
    "alg none, signed": lambda i: i.signed(alg="none"),
    "alg nOnE": lambda i: f"{part({'alg': 'nOnE', 'typ': 'at+jwt', 'kid': i.signing.kid})}.{part(i.claims())}.",
    "no alg": lambda i: i.signed(alg=None),
    "alg a list": lambda i: i.signed(alg=["RS256"]),
    "HS256 by the public key": lambda i: i.by_secret(i.public_pem()),
    "HS256 by the public JWK": lambda i: i.by_secret(json.dumps(i.signing.as_dict(private=False)).encode()),
    "HS256 by nothing": lambda i: i.by_secret(b""),
    "HS256 called RS256": lambda i: i.by_secret(i.public_pem(), alg="RS256"),
    "another alg than signed with": lambda i: i.signed(alg="RS512"),
    "an alg of another kind of key": lambda i: i.signed(alg="ES256"),
    # keys
    "a stranger's key, our kid": lambda i: i.signed(key=STRANGER),
    "a stranger's key, no kid": lambda i: i.signed(key=STRANGER, kid=None),
    "a stranger's key and kid": lambda i: i.signed(key=STRANGER, kid=STRANGER.kid),
    "a key brought along": lambda i: i.signed(key=STRANGER, jwk=STRANGER.as_dict(private=False)),
    "a key's address brought along": lambda i: i.signed(key=STRANGER, jku="http://127.0.0.1:9/keys", kid="x"),
    "kid a path": lambda i: i.signed(kid="../../../dev/null"),
    "kid a number": lambda i: i.signed(kid=7),
    "kid an object": lambda i: i.signed(kid={"a": 1}),
    # signature
    "no signature": lambda i: i.signed().rpartition(".")[0] + ".",
    "half a signature": lambda i: i.signed()[:-100],
    "another's signature": lambda i: i.signed().rpartition(".")[0] + "." + i.token().rpartition(".")[2],
    "another tenant written in": lambda i: altered(i.token(), sgf_tenant="globex"),
    "a later end written in": lambda i: altered(i.signed(i.claims(exp=1)), exp=int(time.time()) + 300),
    "an unknown critical extension": lambda i: i.signed(crit=["http://example.org"], **{"http://example.org": 1}),
    "detached": lambda i: i.signed(b64=False, crit=["b64"]),
    # claims
    "expired": lambda i: i.signed(i.claims(exp=int(time.time()) - 61)),
    "not yet (nbf)": lambda i: i.signed(i.claims(nbf=int(time.time()) + 90)),
    "not yet (iat)": lambda i: i.signed(i.claims(iat=int(time.time()) + 90)),
    "no exp": lambda i: i.signed(i.claims(exp=None)),
    "exp a text": lambda i: i.signed(i.claims(exp="tomorrow")),
    "exp endless": lambda i: i.signed(i.claims(exp=float("inf"))),
    "exp no number": lambda i: i.signed(i.claims(exp=float("nan"))),
    "no iat": lambda i: i.signed(i.claims(iat=None)),
    "no sub": lambda i: i.signed(i.claims(sub=None)),
    "sub a number": lambda i: i.signed(i.claims(sub=7)),
    "sub empty": lambda i: i.signed(i.claims(sub="")),
    "sub with a line break": lambda i: i.signed(i.claims(sub="a\nb")),
    "sub without end": lambda i: i.signed(i.claims(sub="a" * 256)),
    "no aud": lambda i: i.signed(i.claims(aud=None)),
    "another's aud": lambda i: i.signed(i.claims(aud="https://other.example")),
    "aud that begins alike": lambda i: i.signed(i.claims(aud=AUDIENCE + "/v2")),
    "aud an object": lambda i: i.signed(i.claims(aud={AUDIENCE: 1})),
    "aud with a number": lambda i: i.signed(i.claims(aud=[AUDIENCE, 1])),
    "no iss": lambda i: i.signed(i.claims(iss=None)),
    "another's iss": lambda i: i.signed(i.claims(iss="https://issuer.example")),
    "iss with a slash more": lambda i: i.signed(i.claims(iss=i.url + "/")),
    # kinds of token
    "an ID token": lambda i: i.signed(i.claims(nonce="n"), typ="JWT"),
    "without typ": lambda i: i.signed(typ=None),
    "a log-out token": lambda i: i.signed(typ="logout+jwt"),
    "typ an object": lambda i: i.signed(typ={"at+jwt": 1}),
    "bound to a certificate": lambda i: i.signed(i.claims(cnf={"x5t#S256": b64(bytes(32))})),
    "bound to a key": lambda i: i.signed(i.claims(cnf={"jkt": b64(bytes(32))})),
    "bound to nonsense": lambda i: i.signed(i.claims(cnf="x")),
    # junk
    "a word": lambda _: "token",
    "dots": lambda _: "..",
    "no base64": lambda _: "!.!.!",
    "no JSON": lambda i: i.signed(b"\xff\xfe{"),
    "claims a list": lambda i: i.signed([1]),
    "claims a number": lambda i: i.signed(1),
    "header a list": lambda i: f"{part([1])}.{part(i.claims())}.{b64(b'x')}",
    "five parts": lambda i: f"{part({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d",
    "deep": lambda i: f"{part(b'[' * 6000)}.{part(i.claims())}.{b64(b'x')}",
    "deep claims": lambda i: i.signed(b'{"a":' * 2000 + b"1" + b"}" * 2000),
    "two tokens": lambda i: f"{i.signed()}, {i.signed()}",
    "a letter behind": lambda i: i.signed() + "é",
    "100 kB": lambda _: "a" * 100_000,
    "20 kB, well signed": lambda i: i.signed(i.claims(filler="a" * 20_000)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens_are_refused(name, issuer, api):
    """Guards every door that a forged, foreign, stale or broken token could find, and an answer that repeats it."""
    token = BAD[name](issuer).encode()
    answer = api.get("/v1/who", headers={"Authorization": b"Bearer " + token})
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 401
    told = answer.headers["www-authenticate"]
    assert told.startswith('Bearer realm="sgf", error="invalid_token", error_description=')
    assert JWT_BEARING not in answer.text + told


@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_a_token_is_believed(data, issuer, api):
    """Guards against a token of which a part is not signed, and against a parser that breaks (500)."""
    token = issuer.signed(issuer.claims(iat=1, nbf=1, exp=4_000_000_000))
    place = data.draw(st.integers(0, len(token) - 1), "place")
    put = data.draw(
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="="), max_size=3), "put"
    )
    changed = token[:place] + put + token[place + data.draw(st.integers(0, 3), "taken") :]
    assert who(api, changed).status_code == (200 if changed == token else 401)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Basic YWNtZTpzZWNyZXQ=")],
        [("Authorization", "Basic {token}")],
        [("Authorization", "Bearer")],
        [("Authorization", "{token}")],
        [("Authorization", "Bearer {token}"), ("Authorization", "Bearer {token}")],
        [("X-Authorization", "Bearer {token}")],
        [("Cookie", "access_token={token}")],
    ],
)
def test_a_token_elsewhere_than_in_its_header_is_none(headers, issuer, api):
    """Guards against two readings of one request, and against tokens where logs and browsers keep them."""
    token = issuer.token()
    sent = [(name, value.replace("{token}", token)) for name, value in headers]
    answer = api.get("/v1/who", headers=sent)
    assert answer.status_code == 401
    assert ("error=" in answer.headers["www-authenticate"]) == bool(headers and headers[0][0] == "Authorization")
    assert api.get("/v1/who", params={"access_token": token}).status_code == 401


@pytest.mark.parametrize(
    ("client", "scope", "says"),
    [("homeless", ALL, "names no tenant"), ("traveller", ALL, "malformed"), ("acme_robot", "sgf:generate", "sgf:read")],
)
def test_a_known_caller_without_the_right_is_forbidden(client, scope, says, issuer, api):
    """Guards against a caller without a tenant who sees all of them, a tenant that is a path, and a missing scope."""
    answer = who(api, issuer.token(client, scope))
    assert answer.status_code == 403
    assert says in answer.text


def test_a_missing_scope_is_named(issuer, api):
    """Guards RFC 6750: a client learns which scope to ask its issuer for."""
    answer = who(api, issuer.token("acme_robot", "sgf:preview"))
    assert answer.headers["www-authenticate"] == 'Bearer realm="sgf", error="insufficient_scope", scope="sgf:read"'


@pytest.mark.parametrize("value", ["sgf:readx", "SGF:READ", "sgf:read,sgf:preview", ["sgf:read x"], {"sgf:read": 1}, 1])
def test_a_scope_that_only_looks_like_one_gives_nothing(value, issuer, api):
    """Guards against scopes compared by their beginning, and against a 500 for a claim of another type."""
    assert who(api, issuer.signed(issuer.claims(scope=value))).status_code == 403


def test_what_is_not_named_open_is_closed(issuer, api):
    """Guards an endpoint whose author forgot to ask for a scope, and the one that probes of Kubernetes call."""
    assert api.get("/v1/forgotten").status_code == 401
    assert api.get("/no/such/path").status_code == 401
    assert api.get("/health/../v1/forgotten").status_code == 401
    assert api.get("/health%2f..%2fv1/forgotten").status_code == 401
    assert api.get("/health").json() == "alive"
    assert api.request("GET", "/health", content=b"x").status_code == 401
    assert api.get("/openapi.json").json()["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_a_body_of_a_stranger_is_never_read(api):
    """Guards memory and time: he is answered before he has sent a byte of it."""
    with socket.create_connection((api.base_url.host, api.base_url.port), 5) as line:
        line.sendall(b"POST /v1/length HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_stranger_who_sends_a_body_learns_why(api):
    """Guards against a connection that breaks under a client's hands, and one on which a stranger may go on sending."""
    answer = api.post("/v1/length", content=iter([b"x" * 100_000] * 100))
    assert (answer.status_code, answer.headers["connection"]) == (401, "close")


def test_an_issuer_of_plain_tokens_is_believed_where_the_operator_says_so(issuer, make_settings):
    """Guards issuers without RFC 9068 (typ JWT), and ID and refresh tokens, which look alike there."""
    settings = settings_for(issuer, make_settings, sgf_oidc_typ="JWT", sgf_oidc_tenant_claim="https://sgf/tenant")
    mine = {"sgf_tenant": None, "https://sgf/tenant": "acme"}
    with running(guarded(settings), settings) as address, httpx.Client(base_url=address) as api:
        for typ in ("JWT", None, "at+jwt"):
            assert who(api, issuer.signed(issuer.claims(**mine), typ=typ)).json()["tenant"] == "acme"
        assert who(api, issuer.signed(issuer.claims(**mine, typ="Bearer"), typ="JWT")).status_code == 200
        for mark in ({"nonce": "n"}, {"at_hash": "h"}, {"c_hash": "h"}, {"typ": "ID"}, {"typ": "Refresh"}):
            assert who(api, issuer.signed(issuer.claims(**mine, **mark), typ="JWT")).status_code == 401, mark
        assert who(api, issuer.signed(issuer.claims(**mine), typ="logout+jwt")).status_code == 401


class _OwnIssuer:
    """An API whose issuer and clock belong to one test."""

    def __init__(self, make_settings: Callable[..., Settings]) -> None:
        self.issuer, self.clock = Issuer(), Clock()
        self.settings = settings_for(self.issuer, make_settings)
        self.app: FastAPI = guarded(self.settings, clock=self.clock)


@pytest.fixture
def own(make_settings: Callable[..., Settings]) -> Iterator[_OwnIssuer]:
    made = _OwnIssuer(make_settings)
    yield made
    made.issuer.stop()


def test_a_rotated_key_is_learned_and_a_withdrawn_one_forgotten(own):
    """Guards the night when the issuer changes its key: nobody restarts us, and the old key does not live on."""
    issuer = own.issuer
    with running(own.app, own.settings) as address, httpx.Client(base_url=address) as api:
        old = issuer.signed()
        assert who(api, old).status_code == 200
        issuer.rotate(keep_old=True)
        own.clock.now += 11
        assert who(api, issuer.token()).status_code == 200
        assert who(api, old).status_code == 200
        issuer.published = issuer.published[1:]
        own.clock.now += 601
        assert who(api, old).status_code == 401
        assert who(api, issuer.token()).status_code == 200
        assert issuer.asked["/keys"] == 3


def test_unknown_keys_do_not_turn_us_on_the_issuer(own):
    """Guards the issuer: a flood of tokens with made-up kids costs it one question in ten seconds."""
    issuer = own.issuer
    with running(own.app, own.settings) as address, httpx.Client(base_url=address) as api:
        assert who(api, issuer.signed()).status_code == 200
        own.clock.now += 11
        for number in range(20):
            assert who(api, issuer.signed(kid=f"made up {number}")).status_code == 401
        assert who(api, issuer.signed()).status_code == 200
        assert issuer.asked["/keys"] == 2


def test_an_issuer_that_is_down_shuts_only_those_out_whom_nobody_knows(own):
    """Guards the start before the issuer's, an outage of it, and an outage that outlasts trust in old keys."""
    issuer = own.issuer
    issuer.stop()
    with running(own.app, own.settings) as address, httpx.Client(base_url=address) as api:
        answer = who(api, issuer.signed())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.headers["content-type"] == "application/problem+json"
        assert api.get("/health").status_code == 200
        issuer.start()
        assert who(api, issuer.signed()).status_code == 503  # asked again after the pause, not with every request
        own.clock.now += 11
        assert who(api, issuer.signed()).status_code == 200
        issuer.stop()
        own.clock.now += 3600
        assert who(api, issuer.signed()).status_code == 200
        assert who(api, issuer.signed(kid="perhaps new")).status_code == 503
        own.clock.now += 86_400
        assert who(api, issuer.signed()).status_code == 503
        issuer.start()
        own.clock.now += 11
        assert who(api, issuer.signed()).status_code == 200


def test_a_discovery_document_of_another_issuer_is_not_believed(own):
    """Guards the mix-up of issuers (OpenID Connect Discovery 4.3): keys come only from whom we were told of."""
    own.issuer.names_itself = "https://issuer.example"
    with running(own.app, own.settings) as address, httpx.Client(base_url=address) as api:
        assert who(api, own.issuer.signed()).status_code == 503
        assert own.issuer.asked["/keys"] == 0


@pytest.mark.parametrize(
    "key",
    [
        {"use": "enc"},
        {"alg": "RS512"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"},
        {"n": "AQAB"},
        {"kid": None},
    ],
)
def test_a_key_for_something_else_verifies_nothing(key, own):
    """Guards keys used against their purpose, a secret in the public set, and a bad key that spoils the others."""
    issuer = own.issuer
    misfit = {**issuer.signing.as_dict(private=False), **key}
    sound = RSAKey.generate_key(2048, auto_kid=True)
    issuer._keys = lambda: {"keys": [misfit, "no key", sound.as_dict(private=False)]}
    with running(own.app, own.settings) as address, httpx.Client(base_url=address) as api:
        assert who(api, issuer.signed()).status_code == 401
        assert who(api, issuer.signed(key=sound, kid=sound.kid)).status_code == 200


def test_a_key_too_short_to_trust_verifies_nothing(own):
    """Guards against an RSA key of 1024 bits, which can be had for money (RFC 7518 asks for 2048)."""
    issuer = own.issuer
    with pytest.warns(SecurityWarning, match="2048"):
        issuer.signing = RSAKey.import_key(rsa.generate_private_key(65_537, 1024), {"kid": "short"})
    issuer.published = [issuer.signing]
    with running(own.app, own.settings) as address, httpx.Client(base_url=address) as api:
        assert who(api, issuer.signed()).status_code == 401


def test_without_an_issuer_this_machine_may_do_everything(make_settings):
    """Guards the first try on a laptop, and web pages whose own name leads to 127.0.0.1 (DNS rebinding)."""
    settings = make_settings()
    with running(guarded(settings), settings) as address, httpx.Client(base_url=address) as api:
        everything = {"subject": "local", "tenant": None, "scopes": ["sgf:generate", "sgf:preview", "sgf:read"]}
        assert api.get("/v1/who").json() == everything
        for host in ("localhost", "localhost:8010", "127.0.0.2", "[::1]:8010"):
            assert api.get("/v1/who", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8010", "", "[::1", "10.0.0.1"):
            assert api.get("/v1/who", headers={"Host": host}).status_code == 421, host
    with running(guarded(settings, local_only=False), settings) as address:
        assert httpx.get(f"{address}/v1/who", headers={"Host": "api.internal"}).status_code == 200
