"""The REST API: its addresses, and what each hands to the layer below.

Belongs here: routes, headers, which scope an address wants, and the shapes of answers. Does not belong here: who may
come in (``security``), what a batch or a preview is (``acceptance``, ``launch``, ``previews``).
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio.to_thread
import orjson
from fastapi import Depends, FastAPI, Header, Query, Response
from starlette.responses import JSONResponse

from sgf_pipeline import batches, launch
from sgf_pipeline.acceptance import Accepted, Launcher
from sgf_pipeline.api.bodies import (
    AcceptedAnswer,
    BatchAnswer,
    BatchesAnswer,
    CancelAnswer,
    GenerateAnswer,
    GenerateBody,
    HealthAnswer,
    PreviewAnswer,
    PreviewBody,
    Problem,
    ShardAnswer,
)
from sgf_pipeline.api.docs_page import docs_page
from sgf_pipeline.api.errors import add_handlers
from sgf_pipeline.api.metrics import Measured, Metrics
from sgf_pipeline.api.previewing import Previewer
from sgf_pipeline.api.problems import problem
from sgf_pipeline.api.readiness import Readiness
from sgf_pipeline.api.security import Caller, require
from sgf_pipeline.api.waiting import Waiting
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.defaults import completed, last_midnight
from sgf_pipeline.definitions import lake_of
from sgf_pipeline.domain.errors import ConflictError, InvalidRequestError, UnknownBatchError, error_class
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.launch import BatchState, BatchStatus
from sgf_pipeline.llm.backend import Backend
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import Settings

WAIT_SECONDS = 600.0  # how long generate waits for a batch before it answers 202
ANY_TENANT = "default"  # whose a batch is where the caller may act for all and names none
_DELIVERY = ("save", "s3", "kafka", "max_cost_usd")
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}, "description": what}
    for status, what in {
        400: "no JSON", 401: "no token", 403: "not allowed", 404: "unknown batch", 409: "key or name is taken",
        413: "too long a body", 422: "a value is not allowed", 429: "too many requests", 503: "ask again later",
    }.items()
}  # fmt: skip

Previews = Annotated[Caller, Depends(require("sgf:preview"))]
Generates = Annotated[Caller, Depends(require("sgf:generate"))]
Reads = Annotated[Caller, Depends(require("sgf:read"))]


@dataclass(frozen=True)
class _Parts:
    """What the addresses work with."""

    lake: LakeResource
    dagster: DagsterClient
    launcher: Launcher
    waiting: Waiting
    previewer: Previewer
    readiness: Readiness
    metrics: Metrics
    wait_seconds: float


def create_app(settings: Settings, backend: Backend, *, wait_seconds: float = WAIT_SECONDS) -> FastAPI:
    """The application, without guard and limits (``security.protect``). ``backend`` writes the previews' cases."""
    lake, metrics = lake_of(settings), Metrics()
    dagster = DagsterClient(settings.sgf_dagster_url)
    launcher = Launcher(lake, dagster)
    waiting = Waiting(lake, dagster, launcher, metrics)
    previewer = Previewer(backend, settings.sgf_id_salt.get_secret_value(), metrics)
    readiness = Readiness(lake, dagster, lambda: previewer.problem, lambda: waiting.is_at_work)
    parts = _Parts(lake, dagster, launcher, waiting, previewer, readiness, metrics, wait_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks, waiting.running():
            tasks.start_soon(previewer.warm_up)
            yield
        dagster.close()

    app = FastAPI(
        title="SGF", version="1", description="Labelled synthetic fraud datasets.", lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    add_handlers(app)
    app.add_middleware(Measured, metrics=metrics)
    _add_health(app, parts)
    _add_previews(app, parts)
    _add_batches(app, parts)
    return app


def _add_health(app: FastAPI, parts: _Parts) -> None:
    @app.get("/health", tags=["health"])
    async def health() -> HealthAnswer:
        """The server is alive."""
        return HealthAnswer(status="ok")

    @app.get("/health/ready", tags=["health"], response_model=HealthAnswer, responses={503: _PROBLEMS[503]})
    async def ready() -> Response:
        """The model is loaded, Dagster answers, the storage can be written; else 503 with the reasons."""
        reasons = await anyio.to_thread.run_sync(parts.readiness.reasons)
        if reasons:
            return problem(503, "Service Unavailable", "; ".join(reasons.values()), reasons=reasons)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", tags=["health"], response_class=Response)
    async def metrics() -> Response:
        """Meters for Prometheus."""
        return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(docs_page(app.openapi()), media_type="text/html")


def _add_previews(app: FastAPI, parts: _Parts) -> None:
    @app.post(
        "/v1/generator/preview", tags=["generator"], response_model=PreviewAnswer,
        responses={status: _PROBLEMS[status] for status in (400, 401, 403, 413, 422, 429, 503)},
    )  # fmt: skip
    async def preview(body: PreviewBody, caller: Previews) -> Response:
        """At most 100 labelled rows at once; the same request and seed give the same rows."""
        began = time.perf_counter()
        made = await parts.previewer.make(body.given(), _tenant(caller, body.tenant))
        fraudulent = made.content.fraudulent
        head = {
            "seed": made.content.seed,
            "sha256": made.sha256,
            "latency_ms": round((time.perf_counter() - began) * 1000),
            "generated": made.rows.num_rows,
            "fraudulent": fraudulent,
            "legit": made.rows.num_rows - fraudulent,
            "model": made.model,
            "request": made.request(),
        }
        # The rows are sent as they were hashed.
        content = orjson.dumps(head)[:-1] + b',"transactions":' + made.transactions + b"}"
        return Response(content, media_type="application/json")


def _add_batches(app: FastAPI, parts: _Parts) -> None:
    @app.post(
        "/v1/generator/generate", tags=["generator"], response_model=GenerateAnswer,
        responses={
            202: {"model": AcceptedAnswer, "description": "on record; it will be built"},
            **{status: _PROBLEMS[status] for status in (400, 401, 403, 409, 413, 422, 429, 503)},
        },
    )  # fmt: skip
    async def generate(
        body: GenerateBody,
        caller: Generates,
        prefer: Annotated[str | None, Header(description="respond-async answers at once (RFC 7240)")] = None,
        idempotency_key: Annotated[
            str | None, Header(max_length=255, description="a retry with the same key gives the same batch")
        ] = None,
    ) -> Response:
        """Build a batch through Dagster, and wait for it. A client that hangs up cancels nothing."""
        began = time.perf_counter()
        given = {**body.given(), "tenant": _tenant(caller, body.tenant)}
        accepted = await anyio.to_thread.run_sync(_accept, parts.launcher, given, caller, idempotency_key)
        if accepted.is_new:
            parts.metrics.accepted.inc()
        parts.waiting.was_accepted()
        wait, is_async = _preference(prefer, parts.wait_seconds)
        status = None if is_async else await parts.waiting.settled(accepted.request.batch_id, wait)
        if status is None:
            runs = await anyio.to_thread.run_sync(parts.launcher.runs, accepted.request.batch_id)
            address = app.url_path_for("batch", batch_id=accepted.request.batch_id)
            answer = AcceptedAnswer(
                batch_id=accepted.request.batch_id, status_url=str(address), run_ids=list(runs.values()),
                seed=accepted.request.content.seed,
            )  # fmt: skip
            headers = {"Location": str(address)} | ({"Preference-Applied": "respond-async"} if is_async else {})
            return JSONResponse(answer.model_dump(), 202, headers=headers)
        _raise_where_failed(status)
        return JSONResponse(
            GenerateAnswer(
                batch_id=status.batch_id, generated=status.rows, fraudulent=status.fraudulent,
                legit=status.rows - status.fraudulent, s3_uri=status.s3_uri, file_uris=_files(parts.lake, status),
                latency_ms=round((time.perf_counter() - began) * 1000), seed=status.request.content.seed,
                manifest=status.manifest,
            ).model_dump()
        )  # fmt: skip

    @app.get(
        "/v1/generator/batches", tags=["batches"],
        responses={status: _PROBLEMS[status] for status in (401, 403, 422, 429, 503)},
    )  # fmt: skip
    def page(
        caller: Reads,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        before: Annotated[str | None, Query(max_length=63, description="the last batch of the page before")] = None,
    ) -> BatchesAnswer:
        """The newest batches first."""
        if before is not None:
            try:
                _own(parts.lake, caller, before)
            except UnknownBatchError:
                raise InvalidRequestError(f"before {before!r} is no batch: use the address next of a page") from None
        found = launch.recent_batches(parts.lake, parts.dagster, limit, before=before, tenant=caller.tenant)
        following = None
        if len(found) == limit:
            following = f"{app.url_path_for('page')}?limit={limit}&before={found[-1].batch_id}"
        return BatchesAnswer(batches=[_shown(parts, one) for one in found], next=following)

    @app.get(
        "/v1/generator/batches/{batch_id}", tags=["batches"],
        responses={status: _PROBLEMS[status] for status in (401, 403, 404, 422, 429, 503)},
    )  # fmt: skip
    def batch(batch_id: str, caller: Reads) -> BatchAnswer:
        """Where a batch and its shards stand."""
        _own(parts.lake, caller, batch_id)
        return _shown(parts, launch.batch_status(parts.lake, parts.dagster, batch_id))

    @app.delete(
        "/v1/generator/batches/{batch_id}", tags=["batches"],
        responses={status: _PROBLEMS[status] for status in (401, 403, 404, 422, 429, 503)},
    )  # fmt: skip
    def cancel(batch_id: str, caller: Generates) -> CancelAnswer:
        """End what is queued or running of a batch. What is done stays."""
        _own(parts.lake, caller, batch_id)
        ended = parts.launcher.cancel(batch_id)
        return CancelAnswer(
            batch_id=batch_id, run_ids=list(ended.run_ids), backfill_ids=list(ended.backfill_ids),
            shared_backfill_ids=list(ended.shared_backfill_ids), refused=dict(ended.refused),
        )  # fmt: skip


def _accept(launcher: Launcher, given: dict[str, Any], caller: Caller, key: str | None) -> Accepted:
    content = {name: value for name, value in given.items() if name not in _DELIVERY}
    delivery = {name: value for name, value in given.items() if name in _DELIVERY}
    delivery["requested_by"] = f"api:{caller.subject}"[:128]
    return launcher.accept(completed(content, last_midnight(datetime.now(UTC))), delivery, given, key)


def _tenant(caller: Caller, wanted: str | None) -> str:
    """Whose rows are asked for: the caller's own, or any where he may act for all."""
    if caller.tenant is None:
        return wanted or ANY_TENANT
    if wanted not in (None, caller.tenant):
        raise InvalidRequestError(f"tenant {wanted!r} is not allowed: the token is of tenant {caller.tenant}")
    return caller.tenant


def _own(lake: LakeResource, caller: Caller, batch_id: str) -> GenerationRequest:
    """The batch, if it is the caller's to see. Another tenant's looks like one that does not exist."""
    unknown = UnknownBatchError(f"batch_id {batch_id!r} is not registered")
    try:
        request = batches.load(lake, batch_id)
    except UnknownBatchError:
        raise unknown from None
    if caller.tenant not in (None, request.content.tenant):
        raise unknown
    return request


def _preference(prefer: str | None, longest: float) -> tuple[float, bool]:
    """Seconds to wait, and whether the answer is wanted at once: ``respond-async`` and ``wait`` of RFC 7240."""
    wishes = [wish.strip().lower() for wish in (prefer or "").split(",")]
    for wish in wishes:
        name, _, value = wish.partition("=")
        if name.strip() == "wait" and value.strip().isascii() and value.strip().isdecimal() and len(value) < 9:
            longest = min(longest, float(value))
    return longest, "respond-async" in wishes


def _raise_where_failed(status: BatchStatus) -> None:
    failure = status.first_failure
    if failure is not None:
        scenario, why = failure
        raise error_class(why.kind)(f"{status.batch_id}, {scenario or 'manifest'}: {why.error}")
    if status.state is not BatchState.COMPLETE:
        raise ConflictError(f"batch {status.batch_id!r} is {status.state}: it was cancelled before it was built")


def _files(lake: LakeResource, status: BatchStatus) -> list[str]:
    """The dataset's files, once there is a manifest and where files were wanted."""
    if status.s3_uri is None:
        return []
    return [lake.uri(batches.shard_file(lake, status.request, shard.scenario)) for shard in status.shards if shard.rows]


def _shown(parts: _Parts, one: BatchStatus) -> BatchAnswer:
    failure = one.first_failure
    return BatchAnswer(
        batch_id=one.batch_id,
        tenant=one.request.content.tenant,
        state=str(one.state),
        is_launched=any(shard.run_id for shard in one.shards),
        count=one.request.content.count,
        generated=one.rows,
        fraudulent=one.fraudulent,
        legit=one.rows - one.fraudulent,
        seed=one.request.content.seed,
        manifest=one.manifest,
        is_complete=one.is_complete,
        s3_uri=one.s3_uri,
        file_uris=_files(parts.lake, one),
        error=None if failure is None else failure[1].error,
        shards=[
            ShardAnswer(
                scenario=shard.scenario, state=str(shard.state), rows=shard.rows, fraudulent=shard.fraudulent,
                run_id=shard.run_id, stage=shard.stage, error=None if shard.failure is None else shard.failure.error,
            )
            for shard in one.shards
        ],
    )  # fmt: skip
