"""JSON answers and the error envelope: the same on every path, whoever fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fairlead.core.errors import (
    ErrorType,
    FairleadError,
    MethodNotAllowed,
    NotFound,
    Problem,
    RequestInvalid,
)
from fairlead.observe.log import masked
from fairlead.wire.openai_errors import problem_fields

__all__ = [
    "answer",
    "on_crash",
    "on_expected",
    "on_http",
    "problem_answer",
    "timestamp",
    "timestamp_or_none",
]

_JSON = "application/json"
_UNKEPT = {"cache-control": "no-store"}


def answer(content: object, *, status: int = 200) -> Response:
    """Most are of one account, and some have a secret in them: nobody on the way keeps any."""
    return Response(
        msgspec.json.encode(content), status_code=status, media_type=_JSON, headers=_UNKEPT
    )


def timestamp(unix_ms: int) -> str:
    """As the API writes times: "2026-11-21T00:00:00.000Z"."""
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_or_none(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else timestamp(unix_ms)


def problem_answer(problem: Problem) -> Response:
    """The envelope of the API's own dialect, on every path: clients check its types whatever they asked.

    What somebody wrote where a name belongs is told back to them, unless it looks like a secret: messages end
    up in logs of others.
    """
    problem = replace(problem, message=masked(problem.message))
    return Response(
        msgspec.json.encode(problem_fields(problem)),
        status_code=problem.status,
        media_type=_JSON,
        headers=dict(problem.headers),
    )


async def on_expected(_request: Request, error: Exception) -> Response:
    """Our own errors say themselves what the caller sees."""
    assert isinstance(error, FairleadError)
    return problem_answer(error.problem())


async def on_http(request: Request, error: Exception) -> Response:
    """What the router refuses: a path or a method that it does not know."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        return problem_answer(NotFound(f"There is nothing at {path}.").problem())
    if error.status_code == 405:
        allowed = tuple(sorted((error.headers or {}).get("Allow", "GET, HEAD").split(", ")))
        message = f"{path} takes {' or '.join(allowed)}, not {request.method}."
        return problem_answer(MethodNotAllowed(message, allowed=allowed).problem())
    return problem_answer(RequestInvalid(str(error.detail)).problem())


async def on_crash(_request: Request, _error: Exception) -> Response:
    """A bug. What happened is for the log; the caller learns only that it was not their fault."""
    return problem_answer(
        Problem(
            status=500,
            error_type=ErrorType.SERVER,
            message="Something went wrong here. It was logged.",
        )
    )
