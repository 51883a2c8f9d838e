"""How people are told: in the log, and by a webhook that is a real HTTP server, a good one or a bad one."""

import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
import trustme

from sgf_pipeline.resources import notifier as notifier_module
from sgf_pipeline.resources.notifier import FailedRun, LogNotifier, WebhookNotifier

FAILED = FailedRun("r1", "build_shard", "gen_1", "phishing", "lake_export", "no room", "http://ui/runs/r1")
SAID = "gen_1 phishing failed in lake_export: no room (http://ui/runs/r1)"
SECRET = "secret-path"
MAX_PIECES = 1_000


class Webhook:
    """A server that answers each POST with the next of ``answers``, the last one for ever.

    An answer is the bytes of it, or pieces that are sent one by one, with a pause, until the client hangs up.
    """

    def __init__(self, *answers: bytes | Iterator[bytes]) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, bytes]] = []  # method, body
        self.left = threading.Event()
        """The client hung up while an answer was under way."""
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/{SECRET}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            with suppress(OSError):
                client, _ = self._listener.accept()
                with client:
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        with client.makefile("rb") as asked:
            method = asked.readline().split()[0].decode()
            headers = dict(line.lower().split(b": ", 1) for line in iter(asked.readline, b"\r\n"))
            self.requests.append((method, asked.read(int(headers.get(b"content-length", 0)))))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, bytes):
            client.sendall(answer)
            return
        client.settimeout(0.05)
        for piece in answer:
            try:
                client.sendall(piece)
                gone = client.recv(1) == b""
            except TimeoutError:
                gone = False
            except OSError:
                gone = True
            if gone:
                self.left.set()
            if gone or self._closing.is_set():
                return


def status(number: int, *headers: str) -> bytes:
    """An answer with that status."""
    return "\r\n".join([f"HTTP/1.1 {number} Whatever", *headers, "content-length: 0", "", ""]).encode()


def drip(start: bytes = b"") -> Iterator[bytes]:
    """An answer that goes on and on, byte by byte, never silent for long, and never at its end."""
    yield start
    for _ in range(MAX_PIECES):
        yield b"a"


def silence() -> Iterator[bytes]:
    """An answer that does not come."""
    for _ in range(MAX_PIECES):
        yield b""


MakeHook = Callable[..., Webhook]


@pytest.fixture
def make_hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHook]:
    """Webhooks, and a notifier that pauses little between its attempts."""
    monkeypatch.setattr(notifier_module, "PAUSE_SECONDS", 0.0)
    made: list[Webhook] = []

    def make(*answers: bytes | Iterator[bytes]) -> Webhook:
        made.append(Webhook(*answers))
        return made[-1]

    yield make
    for hook in made:
        hook.close()


@pytest.mark.parametrize(
    ("answers", "posts", "why"),
    [
        ([status(200)], 1, None),
        ([status(204)], 1, None),
        ([status(500), status(200)], 2, None),
        ([status(429, "retry-after: 3600"), status(200)], 2, None),
        ([b"nonsense\r\n\r\n", status(200)], 2, None),
        ([b"", status(200)], 2, None),
        ([status(503)], 3, "status 503"),
        ([status(404)], 1, "status 404"),
        ([b"HTTP/1.1 abc\r\n\r\n"], 3, "BadStatusLine"),
        ([b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n"], 3, "LineTooLong"),
    ],
)
def test_a_webhook_is_tried_within_bounds(
    answers: list[bytes], posts: int, why: str | None, make_hook: MakeHook, caplog: pytest.LogCaptureFixture
) -> None:
    """Guards against a notice lost to one bad answer, endless attempts on a dead one, and a URL in the log."""
    hook = make_hook(*answers)
    with caplog.at_level(logging.DEBUG):
        WebhookNotifier(hook.url).notify(FAILED)
    assert [method for method, _ in hook.requests] == ["POST"] * posts
    body = json.loads(hook.requests[0][1])
    assert body["text"] == SAID
    assert body["scenario"] == "phishing"
    assert (f"was not reached ({why}): {SAID}" in caplog.text) == (why is not None)
    assert caplog.text == "" or why is not None
    assert SECRET not in caplog.text


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(number: int, make_hook: MakeHook, caplog: pytest.LogCaptureFixture) -> None:
    """Guards against a notice that goes to a stranger, as a GET without its text, and counts as told."""
    stranger = make_hook(status(200))
    hook = make_hook(status(number, f"location: {stranger.url}"))
    WebhookNotifier(hook.url).notify(FAILED)
    assert len(hook.requests) == 1
    assert stranger.requests == []
    assert f"was not reached (status {number}): {SAID}" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [silence, drip, lambda: drip(b"HTTP/1.1 200 OK\r\nx-more: ")],
    ids=["silent", "status line byte by byte", "headers byte by byte"],
)
def test_a_notice_has_one_deadline(
    answer: Callable[[], Iterator[bytes]],
    make_hook: MakeHook,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards against a tick of the sensor that Dagster ends because a webhook never does, and a line left open.

    Time-outs of a single reading never end the dripping ones: without the deadline those last until the test's own end.
    """
    monkeypatch.setattr(notifier_module, "SECONDS", 0.4)
    hook = make_hook(answer())
    WebhookNotifier(hook.url).notify(FAILED)
    assert f"was not reached (no answer within 0.4 s): {SAID}" in caplog.text
    assert hook.left.wait(10)
    assert len(hook.requests) == 1  # it may have been taken: a second one would tell people twice


def test_the_deadline_holds_for_a_peer_that_does_not_shake_hands(
    make_hook: MakeHook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a TLS handshake that no deadline covers."""
    monkeypatch.setattr(notifier_module, "SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        WebhookNotifier(f"https://127.0.0.1:{mute.getsockname()[1]}/{SECRET}").notify(FAILED)
    assert f"was not reached (no answer within 0.4 s): {SAID}" in caplog.text


def test_a_certificate_of_nobody_we_trust_is_refused(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a notice, and the URL's secret, given to whoever answers."""
    monkeypatch.setattr(notifier_module, "PAUSE_SECONDS", 0.0)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(notifier_module.ATTEMPTS):
                with suppress(OSError), listener.accept()[0] as client, context.wrap_socket(client, server_side=True):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        WebhookNotifier(f"https://127.0.0.1:{listener.getsockname()[1]}/{SECRET}").notify(FAILED)
        thread.join()
    assert f"was not reached (SSLCertVerificationError): {SAID}" in caplog.text


@pytest.mark.parametrize(
    "path",
    [f"/{SECRET} x", f"/{SECRET}\r\nx-injected: 1", f"/{SECRET}é", f"/{SECRET}\0"],
    ids=["space", "second header", "beyond ASCII", "NUL"],
)
def test_a_path_that_cannot_be_asked_for_is_said(
    path: str, make_hook: MakeHook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Guards against a traceback in the sensor, which shows the URL, and a forged header."""
    hook = make_hook(status(200))
    WebhookNotifier(hook.url.removesuffix(f"/{SECRET}") + path).notify(FAILED)
    assert hook.requests == []
    assert "was not reached (its URL cannot be used, " in caplog.text
    assert SAID in caplog.text
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "url",
    [f"http://{SECRET}:pw@127.0.0.1:9/x", f"http://{'a' * 64}.{SECRET}/", f"ftp://127.0.0.1/{SECRET}", f"{SECRET}"],
    ids=["user", "label too long", "other scheme", "no scheme"],
)
def test_an_odd_address_is_said(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a traceback in the sensor, or in the thread that posts."""
    monkeypatch.setattr(notifier_module, "PAUSE_SECONDS", 0.0)
    WebhookNotifier(url).notify(FAILED)
    assert caplog.text.count("was not reached (") == 1
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


def test_nobody_listening_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a notice that vanishes because the webhook's host is gone."""
    monkeypatch.setattr(notifier_module, "PAUSE_SECONDS", 0.0)
    hook = Webhook(status(200))
    hook.close()
    WebhookNotifier(hook.url).notify(FAILED)
    assert f"was not reached (ConnectionRefusedError): {SAID}" in caplog.text


def test_a_run_that_is_no_shard_is_told_by_its_job(caplog: pytest.LogCaptureFixture) -> None:
    """Guards against a notice that begins with None."""
    LogNotifier().notify(replace(FAILED, batch_id=None, scenario=None, step=None))
    LogNotifier().notify(FAILED)
    assert caplog.messages == ["build_shard failed: no room (http://ui/runs/r1)", SAID]
