"""Telling people that a run failed.

Belongs here: what is said, and the ways of saying it. When it is said is the failure sensor's affair. A way of one's
own is an object with ``notify``: ``build_definitions(notifier=…)``.
"""

import http.client
import json
import logging
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

ATTEMPTS = 3
PAUSE_SECONDS = 1.0
# One notice, all attempts and pauses together. Dagster tells of five failed runs in a tick of the sensor, and gives the
# tick up after 60 s.
SECONDS = 8.0

_LOG = logging.getLogger("sgf.notifier")


@dataclass(frozen=True)
class FailedRun:
    """What is known of a run that failed. ``error`` is our own sentence where the error was ours."""

    run_id: str
    job: str
    batch_id: str | None
    scenario: str | None
    step: str | None
    error: str
    url: str

    @property
    def text(self) -> str:
        """One line for people."""
        what = " ".join(filter(None, (self.batch_id, self.scenario))) or self.job
        return f"{what} failed{f' in {self.step}' if self.step else ''}: {self.error} ({self.url})"


class Notifier(Protocol):
    """Whoever is told."""

    def notify(self, failed: FailedRun) -> None:
        """Tell people. Never raises because they cannot be reached: that is logged, the failed run stays as it is."""


class LogNotifier:
    """Says it in the log of the process that looks after sensors."""

    def notify(self, failed: FailedRun) -> None:
        _LOG.error("%s", failed.text)


class WebhookNotifier:
    """Posts JSON to a URL: the fields of ``FailedRun``, and ``text``, which chat programs show.

    The URL of a webhook is a secret: it stands in no message, and is sent to no other address that a redirect names.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def notify(self, failed: FailedRun) -> None:
        """Returns after ``SECONDS`` at the latest, whatever a name server or the webhook does.

        A thread of its own posts, for time-outs of the standard library are those of a single reading, and looking a
        name up has none. At the end the line is cut, which ends the thread; one that still waits for a name or shakes
        hands for TLS ends when that does, and may then post what was given up.
        """
        post = _Post(self._url, json.dumps({**asdict(failed), "text": failed.text}).encode())
        sender = threading.Thread(target=post.send, name="webhook", daemon=True)
        sender.start()
        sender.join(SECONDS)
        why = post.why
        if sender.is_alive():
            post.hang_up()
        if why is not None:
            _LOG.error("the webhook of SGF_ALERT_WEBHOOK was not reached (%s): %s", why, failed.text)


class _Post:
    """One body on its way to one URL. ``why`` it was not taken, so far; None when it was."""

    def __init__(self, url: str, body: bytes) -> None:
        self._url = url
        self._body = body
        self._until = time.monotonic() + SECONDS
        self._connection: http.client.HTTPConnection | None = None
        self._silence = f"no answer within {SECONDS:g} s"
        self.why: str | None = self._silence

    def send(self) -> None:
        """Try, some times at most; what cannot get better, or may have been taken, is not tried again."""
        # Not httpx: it writes every URL that it asks into its log. No handler of redirects, files or other schemes.
        opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler(), _Web(self._keep), urllib.request.UnknownHandler(),
                        urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor()):  # fmt: skip
            opener.add_handler(handler)
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            left = self._until - time.monotonic()
            if left <= 0:
                return
            self.why = self._silence
            try:
                request = urllib.request.Request(self._url, self._body, {"Content-Type": "application/json"})  # noqa: S310
                with opener.open(request, timeout=left):
                    self.why = None
                    return
            except urllib.error.HTTPError as error:
                self.why = f"status {error.code}"
                error.close()
                if error.code < 500 and error.code != 429:
                    return
            except (http.client.InvalidURL, ValueError) as error:
                self.why = f"its URL cannot be used, {type(error).__name__}: percent-encode its path, and name no user"
                return
            except (OSError, http.client.HTTPException) as error:
                cause = error.reason if isinstance(error, urllib.error.URLError) else error
                if isinstance(cause, TimeoutError):
                    return
                self.why = type(cause).__name__

    def hang_up(self) -> None:
        """Cut the line, if there is one, whatever is being read from it."""
        line = self._connection.sock if self._connection is not None else None
        # By a copy: another thread uses the socket itself.
        with suppress(OSError):
            if line is not None:
                with socket.socket(fileno=os.dup(line.fileno())) as copy:
                    copy.shutdown(socket.SHUT_RDWR)

    def _keep(self, kind: Callable[..., http.client.HTTPConnection]) -> Any:
        def connection(*args: Any, **options: Any) -> http.client.HTTPConnection:
            self._connection = kind(*args, **options)
            return self._connection

        return connection


class _Web(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """HTTP and HTTPS by connections that ``keep`` has made."""

    def __init__(self, keep: Callable[[Callable[..., http.client.HTTPConnection]], Any]) -> None:
        super().__init__()
        self._keep = keep

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._keep(http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._keep(http.client.HTTPSConnection), req)
