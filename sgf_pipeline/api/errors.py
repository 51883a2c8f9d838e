"""Every refusal and failure as problem details.

Belongs here: from exception to answer, by the table in ``domain.errors``. Does not belong here: what is refused.
"""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from sgf_pipeline.api.problems import problem
from sgf_pipeline.domain.errors import SgfError, outcome_of
from sgf_pipeline.domain.request import shown

RETRY_SECONDS = 5  # what a client is told to wait where trying again can help
NO_JSON = "the body is no JSON that can be read: send a JSON object, as application/json"

_log = logging.getLogger(__name__)


def add_handlers(app: FastAPI) -> None:
    """Answer every exception with problem details."""
    app.add_exception_handler(SgfError, _of_ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unforeseen)


def answer_of(error: SgfError) -> JSONResponse:
    """The answer to an error of ours."""
    outcome = outcome_of(error)
    headers = {"Retry-After": str(RETRY_SECONDS)} if outcome.retry else {}
    return problem(outcome.http_status, _title(outcome.http_status), str(error), headers=headers)


async def _of_ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, SgfError)
    answer = answer_of(error)
    if answer.status_code >= 500:
        _log.warning("%s: %s", type(error).__name__, error)
    return answer


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where, *path = (str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return problem(400, _title(400), NO_JSON)
    # A name that a client made up may be long, or of many lines.
    field = shown(".".join(path)).strip("'\"") if path else where
    value, allowed = shown(first.get("input")), str(first["msg"])
    detail = f"{field} {value} is not allowed: {allowed}"
    return problem(422, _title(422), detail, field=field, value=value, allowed=allowed)


async def _of_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # FastAPI's own 400 is for a body that its parser gave up: numbers of thousands of digits, endless nesting.
    detail = NO_JSON if error.status_code == 400 else str(error.detail)
    return problem(error.status_code, _title(error.status_code), detail, headers=error.headers)


async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s %s broke", request.method, request.url.path, exc_info=error)
    return problem(500, _title(500), "the server broke on this request: its log says how")


def _title(status: int) -> str:
    return HTTPStatus(status).phrase
