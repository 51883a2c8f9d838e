"""Telling people that a run failed.

Belongs here: what is said, and the ways of saying it. When it is said is the failure sensor's affair. A way of one's
own is an object with ``notify``: ``build_definitions(notifier=…)``.
"""

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from typing import Protocol

ATTEMPTS = 3
SECONDS = 10.0
PAUSE_SECONDS = 2.0

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

    The URL of a webhook is a secret: it stands in no message.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def notify(self, failed: FailedRun) -> None:
        # Not httpx: it writes every URL that it asks into its log.
        body = json.dumps({**asdict(failed), "text": failed.text}).encode()
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            try:
                request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310
                with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310 (the settings let no file: pass)
                    return
            except urllib.error.HTTPError as error:
                why = f"status {error.code}"
                error.close()
                if 400 <= error.code < 500 and error.code != 429:
                    break  # it would refuse the same again
            except (OSError, http.client.HTTPException) as error:
                why = type(error).__name__
        _LOG.error("the webhook of SGF_ALERT_WEBHOOK was not reached (%s): %s", why, failed.text)
