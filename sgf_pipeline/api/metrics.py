"""What ``/metrics`` tells Prometheus.

Belongs here: the meters of one application. Labels are routes, never paths, ids or tenants, so that they stay few.
"""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0, 60.0, 600.0)


class Metrics:
    """The meters of one application; not the process's global ones, so that two applications do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sgf_http_requests", "answered requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "sgf_http_request_seconds", "from a request to the end of its answer", ["method", "route"],
            buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.stages = Histogram(
            "sgf_preview_stage_seconds", "stages of a preview", ["stage"], buckets=BUCKETS, registry=self.registry
        )
        self.rows = Counter("sgf_preview_rows", "rows of previews", registry=self.registry)
        self.model_tokens = Counter("sgf_preview_model_tokens", "tokens the model wrote", registry=self.registry)
        self.accepted = Counter("sgf_batches_accepted", "batches accepted", registry=self.registry)
        self.waiting = Gauge("sgf_batches_waiting", "accepted batches not launched yet", registry=self.registry)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class Measured:
    """ASGI middleware that counts and times."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "(none)")
            method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE", "HEAD") else "(other)"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(method, route).observe(time.perf_counter() - began)
