"""Errors as the REST API answers them: problem details (RFC 9457)."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse


def problem(
    status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> JSONResponse:
    """An ``application/problem+json`` answer; ``members`` are the extension members (field, value, allowed)."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return JSONResponse(content, status, headers=dict(headers or {}), media_type="application/problem+json")
