"""Rate, size and time: through the real server, with raw sockets where a client must misbehave."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from sgf_pipeline.api.limits import MAX_CALLERS, Buckets, address_of
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.api.issuer import AUDIENCE, Issuer
from sgf_pipeline_tests.api.running import Clock, guarded, running

LIMIT = 100_000


@pytest.fixture(scope="module")
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(sgf_api_body_bytes=LIMIT, sgf_api_rate=0)


@pytest.fixture(scope="module")
def app(settings: Settings) -> FastAPI:
    return guarded(settings)


@pytest.fixture(scope="module")
def address(app: FastAPI, settings: Settings) -> Iterator[str]:
    with running(app, settings) as found:
        yield found


@pytest.fixture
def hasty(make_settings: Callable[..., Settings]) -> Iterator[str]:
    """A server with little patience."""
    settings = make_settings(sgf_api_body_seconds=0.6)
    with running(guarded(settings), settings, header_seconds=0.6) as found:
        yield found


def raw(address: str, *pieces: bytes) -> bytes:
    """Everything that the server answers until it closes the connection; each piece waits for an answer to the last."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    answer = b""
    with socket.create_connection((host, int(port)), 10) as line:
        for place, piece in enumerate(pieces):
            if place:
                answer += line.recv(65_536)
            line.sendall(piece)
        while more := line.recv(65_536):
            answer += more
    return answer


def post(*headers: str) -> bytes:
    return "\r\n".join(["POST /v1/length HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_body_within_the_limit_arrives_whole(size, address):
    """Guards against a limit that cuts, or counts one byte wrong."""
    assert httpx.post(f"{address}/v1/length", content=b"x" * size).json() == size
    assert httpx.post(f"{address}/v1/length", content=iter([b"x" * size, b""])).json() == size


@pytest.mark.parametrize("size", [LIMIT + 1, 10_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_longer_body_is_refused(size, chunked, address):
    """Guards memory, and a client that would see a broken connection instead of the reason."""
    pieces = iter([b"x" * 50_000] * (size // 50_000) + [b"x" * (size % 50_000)])
    answer = httpx.post(f"{address}/v1/length", content=pieces if chunked else b"x" * size)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert str(LIMIT) in answer.json()["detail"]


def test_a_long_body_is_refused_before_it_comes(address):
    """Guards against reading gigabytes in order to say that they are too many."""
    answer = raw(address, post("Content-Length: 99999999999999999999"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 413
    chunk = b"%x\r\n" % (LIMIT + 1) + b"x" * (LIMIT + 1)  # and no end of it
    assert raw(address, post("Transfer-Encoding: chunked") + chunk).startswith(b"HTTP/1.1 413 ")


def test_who_sends_all_before_he_listens_learns_why(address):
    """Guards against a connection that is reset under a client's hands, with the answer in it."""
    answer = raw(address, post("Content-Length: 10000000") + b"x" * 10_000_000)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_stops_halfway_is_given_up(hasty):
    """Guards against connections held open by a Content-Length that promises more, and by chunks that never end."""
    assert raw(hasty, post("Content-Length: 100") + b"only this").startswith(b"HTTP/1.1 408 ")
    assert raw(hasty, post("Transfer-Encoding: chunked") + b"5\r\nhello\r\n").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: -1"],
        ["Content-Length: ten"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: nothing"],
    ],
)
def test_a_length_that_is_none_is_refused(headers, address):
    """Guards against request smuggling: a proxy and we would see two different ends."""
    answer = raw(address, post(*headers, "Connection: close") + b"hello")
    assert answer.split(b" ")[1] in (b"400", b"501")


def test_a_length_that_is_too_short_gives_no_second_request(address):
    """Guards against bytes behind the body that are taken for a request of their own and half answered."""
    answer = raw(address, post("Content-Length: 2") + b"helloworld\r\n\r\n")
    first, _, rest = answer.partition(b"\r\n\r\n2")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert rest.startswith(b"HTTP/1.1 400 ")


def test_headers_that_never_end_are_given_up(hasty):
    """Guards against connections held open by a byte now and then (Slowloris), the first and later ones."""
    assert raw(hasty) == b""
    assert raw(hasty, b"GET /health HTT") == b""
    answer = raw(hasty, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET /health HTTP/1.1\r\nX-Slow: ")
    assert answer.count(b"HTTP/1.1 200 ") == 1


def test_a_client_that_goes_away_in_mid_body_does_no_harm(app, address):
    """Guards against an endpoint that works on half a body."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), 10) as line:
        line.sendall(post("Content-Length: 100") + b"half")
    assert httpx.post(f"{address}/v1/length", content=b"the whole").json() == 9
    assert 4 not in app.state.lengths


def test_a_caller_has_his_own_rate(make_settings):
    """Guards one tenant against the haste of another behind the same proxy, and the server against guesses."""
    issuer, clock = Issuer(), Clock()
    settings = make_settings(
        sgf_oidc_issuer=issuer.url, sgf_oidc_audience=AUDIENCE, sgf_id_salt="own", sgf_api_rate=0.5, sgf_api_burst=3
    )
    with running(guarded(settings, clock=clock), settings) as address, httpx.Client(base_url=address) as api:

        def ask(token: str) -> httpx.Response:
            return api.get("/v1/who", headers={"Authorization": f"Bearer {token}"})

        acme, globex = issuer.token("acme_robot"), issuer.token("globex_robot")
        assert [ask(acme).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = ask(acme)
        assert (refused.headers["retry-after"], refused.headers["content-type"]) == ("2", "application/problem+json")
        assert ask(issuer.token("acme_robot")).status_code == 429  # a new token is no new caller
        assert [ask(f"guess {number}").status_code for number in range(4)] == [401, 401, 401, 429]
        assert ask(globex).status_code == 200
        clock.now += 2
        assert [ask(acme).status_code for _ in range(2)] == [200, 429]
        assert {api.get("/health").status_code for _ in range(10)} == {200}
    issuer.stop()


def test_buckets_fill_up_to_the_burst_and_forget_whom_they_must():
    """Guards against saved-up rights, and against memory that grows with every address that knocks."""
    clock = Clock()
    buckets = Buckets(rate=10, burst=2, clock=clock)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]
    clock.now += 3600
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]
    for number in range(MAX_CALLERS * 2):
        buckets.take(f"address {number}")
    assert len(buckets._left) == MAX_CALLERS
    assert [Buckets(rate=0, burst=1).take("a") for _ in range(9)] == [0] * 9


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("testclient", 1), "testclient"),
        (None, "unknown"),
    ],
)
def test_one_host_is_one_address(client: Any, counted: str):
    """Guards against a host of IPv6, which has 2^64 addresses to ask from."""
    assert address_of({"type": "http", "client": client}) == counted
