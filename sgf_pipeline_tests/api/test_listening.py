"""Where the server listens: real certificates, real handshakes, and an end that breaks nothing off."""

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import uvicorn

from sgf_pipeline.api.listening import Listening, make_server
from sgf_pipeline.domain.errors import ConfigurationError, InvalidRequestError
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.api.issuer import AUDIENCE, Issuer, thumbprint
from sgf_pipeline_tests.api.running import guarded, running

CERT, KEY, CA = Path("cert.pem"), Path("key.pem"), Path("ca.pem")


@dataclass
class Papers:
    """A server's certificate, the authority of its clients, and contexts of clients."""

    options: dict[str, Path]
    authority: trustme.CA
    clients: trustme.CA

    def context(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority, clients = trustme.CA(), trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    clients.cert_pem.write_to_path(folder / "ca.pem")
    return Papers({"tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}, authority, clients)


@pytest.fixture(scope="module")
def client_ca(papers: Papers) -> dict[str, Path]:
    return {**papers.options, "client_ca": papers.options["tls_cert"].parent / "ca.pem"}


@pytest.fixture(scope="module")
def mutual(make_settings: Callable[..., Settings], client_ca: dict[str, Path]) -> Iterator[str]:
    settings = make_settings()
    with running(guarded(settings, local_only=False), settings, **client_ca) as address:
        yield address


def test_a_client_certificate_opens_the_door_and_names_its_owner(mutual, papers):
    """Guards mutual TLS without an issuer: the certificate's subject is who was here."""
    certificate = papers.clients.issue_cert("robot.acme.example", common_name="acme-robot")
    with httpx.Client(verify=papers.context(certificate)) as client:
        answer = client.get(f"{mutual}/v1/who").json()
    assert "CN=acme-robot" in answer["subject"]
    assert answer["tenant"] is None


@pytest.mark.parametrize("papers_of", ["nobody", "a stranger", "the server's own authority"])
def test_other_certificates_are_refused_in_the_handshake(papers_of, mutual, papers):
    """Guards against a server that asks for certificates and takes any, or none; even health is behind the door."""
    certificate = {
        "nobody": None,
        "a stranger": trustme.CA().issue_cert("robot.acme.example"),
        "the server's own authority": papers.authority.issue_cert("robot.acme.example"),
    }[papers_of]
    with httpx.Client(verify=papers.context(certificate)) as client, pytest.raises(httpx.TransportError):
        client.get(f"{mutual}/health")


def test_old_tls_and_plain_http_are_refused(make_settings, papers):
    """Guards against TLS below 1.2, and against a server that also answers in the clear."""
    settings = make_settings()
    with running(guarded(settings), settings, **papers.options) as address:
        assert httpx.get(f"{address}/health", verify=papers.context()).status_code == 200
        old = papers.context()
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health", verify=old)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{address.replace('https', 'http')}/health")


def test_a_token_bound_to_a_certificate_serves_its_owner_alone(make_settings, papers, client_ca):
    """Guards RFC 8705: a stolen token of a bound client is worth nothing; a token is needed beside the certificate."""
    issuer = Issuer()
    settings = make_settings(sgf_oidc_issuer=issuer.url, sgf_oidc_audience=AUDIENCE, sgf_id_salt="own")
    owner, thief = (papers.clients.issue_cert(f"{name}.example") for name in ("owner", "thief"))
    der = ssl.PEM_cert_to_DER_cert(owner.cert_chain_pems[0].bytes().decode())
    bound = issuer.signed(issuer.claims(cnf={"x5t#S256": thumbprint(der)}))
    with running(guarded(settings, local_only=False), settings, **client_ca) as address:

        def ask(certificate: trustme.LeafCert, **headers: str) -> int:
            return httpx.get(f"{address}/v1/who", headers=headers, verify=papers.context(certificate)).status_code

        assert ask(owner, Authorization=f"Bearer {bound}") == 200
        assert ask(thief, Authorization=f"Bearer {bound}") == 401
        assert ask(thief, Authorization=f"Bearer {issuer.signed()}") == 200
        assert ask(owner) == 401
    issuer.stop()


def test_a_request_in_flight_is_finished(make_settings):
    """Guards a roll-out: what was begun before SIGTERM is answered, and nobody new is let in."""
    settings = make_settings()
    servers: list[uvicorn.Server] = []
    app = guarded(settings)
    with ThreadPoolExecutor() as threads, running(app, settings, servers.append) as address:
        waiting = threads.submit(httpx.get, f"{address}/v1/slow")
        assert app.state.begun.wait(10)
        servers[0].should_exit = True
        assert waiting.result(10).json() == "done"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/health")


def test_those_who_only_wait_are_told_when_the_end_begins(make_settings):
    """Guards a roll-out while clients wait for batches: they are answered, and not broken off after the grace."""
    settings = make_settings()
    servers: list[uvicorn.Server] = []
    app = guarded(settings)
    with (
        ThreadPoolExecutor() as threads,
        running(app, settings, servers.append, at_end=app.state.ending.set) as address,
    ):
        waiting = threads.submit(httpx.get, f"{address}/v1/waiting")
        assert app.state.begun.wait(10)
        servers[0].should_exit = True
        assert waiting.result(10).json() == "come back later"


def test_the_end_does_not_wait_for_ever(make_settings):
    """Guards against a roll-out that one client can hold up: after the grace a request is broken off."""
    settings = make_settings()
    servers: list[uvicorn.Server] = []
    app = guarded(settings)
    before = threading.active_count()
    with ThreadPoolExecutor() as threads, running(app, settings, servers.append, graceful_seconds=0) as address:
        waiting = threads.submit(httpx.get, f"{address}/v1/waiting")
        assert app.state.begun.wait(10)
        servers[0].should_exit = True
        answer: Any = waiting.exception(10) or waiting.result()
    assert isinstance(answer, httpx.TransportError) or answer.status_code >= 500
    assert threading.active_count() <= before


@pytest.mark.parametrize(
    ("options", "issuer", "says"),
    [
        ({"host": "0.0.0.0"}, None, "--host 0.0.0.0 would let everybody in"),
        ({"host": "::"}, None, "--insecure"),
        ({"host": "api.internal"}, None, "--insecure"),
        ({"host": "0.0.0.0", "tls_cert": CERT, "tls_key": KEY}, None, "--insecure"),
        ({"host": ""}, None, "--insecure"),
        ({"tls_cert": CERT}, None, "--tls-key is missing"),
        ({"tls_key": KEY}, "https://issuer", "--tls-cert is missing"),
        ({"client_ca": CA}, None, "--client-ca needs TLS"),
    ],
)
def test_a_server_open_to_strangers_is_refused(options, issuer, says):
    """Guards against an API that anybody in the network may use because nobody thought of it."""
    with pytest.raises(InvalidRequestError, match=says):
        Listening(**options).check(issuer)


@pytest.mark.parametrize(
    ("options", "issuer", "local_only"),
    [
        ({}, None, True),
        ({"host": "::1"}, None, True),
        ({"host": "127.9.9.9"}, None, True),
        ({"host": "localhost"}, None, True),
        ({"host": "0.0.0.0", "insecure": True}, None, False),
        ({"insecure": True}, None, False),
        ({"host": "0.0.0.0"}, "https://issuer", False),
        ({"host": "0.0.0.0", "tls_cert": CERT, "tls_key": KEY, "client_ca": CA}, None, False),
        ({"tls_cert": CERT, "tls_key": KEY, "client_ca": CA}, None, False),
    ],
)
def test_what_is_safe_or_wanted_is_allowed(options, issuer, local_only):
    """Guards against a check that refuses what the documents promise."""
    listening = Listening(**options)
    listening.check(issuer)
    assert listening.local_only is local_only


def test_certificates_that_cannot_be_used_are_one_sentence(papers, make_settings, tmp_path):
    """Guards against OpenSSL's traceback for a file that is missing, or a key of another certificate."""
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_pem.write_to_path(other)
    for key, says in (
        (other, r"^the certificates cannot be used \(.*MISMATCH"),
        (papers.options["tls_cert"], r"^the certificates cannot be used \("),
        (tmp_path / "missing.pem", r"^--tls-key .*/missing.pem is no file"),
    ):
        listening = Listening(tls_cert=papers.options["tls_cert"], tls_key=key)
        with pytest.raises(ConfigurationError, match=says):
            make_server(guarded(make_settings()), listening, None)
