"""How a caller is told no: heads of answers, and errors before or inside a stream."""

from __future__ import annotations

from typing import Final, Protocol

from fairlead.core.errors import Problem
from fairlead.core.ids import GenerationId
from fairlead.dialects.base import AnswerHead, Dialect
from fairlead.gateway.caller_side import CallerSide, header_lines

__all__ = ["STREAM_HEAD", "WHOLE_HEAD", "Refusing", "refuse", "tell", "with_id"]


class Refusing(Protocol):
    """What is needed of a dialect to say no."""

    @property
    def id_header(self) -> bytes: ...

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes: ...


def tell(
    caller_side: CallerSide, dialect: Dialect, problem: Problem, generation: GenerationId | None
) -> None:
    """Tell an error, in band if the answer has already begun."""
    if caller_side.is_complete:
        return
    if caller_side.has_started:
        # Keep-alive comments went out before any token: status 200 is gone, the stream must say it.
        head = AnswerHead(generation or GenerationId(""), "", "", 0)
        caller_side.end(dialect.stream(head).fail(problem, None))
    else:
        refuse(caller_side, dialect, problem, generation)


def refuse(
    caller_side: CallerSide, dialect: Refusing, problem: Problem, generation: GenerationId | None
) -> None:
    """Answer with an error; nothing has been said yet."""
    own = [(name.encode(), value.encode("latin-1")) for name, value in problem.headers]
    head_lines = WHOLE_HEAD + header_lines(own)
    if generation is not None:
        head_lines = with_id(head_lines, generation, dialect)
    caller_side.answer(problem.status, head_lines, dialect.problem(problem, generation))


def with_id(head_lines: bytes, generation: GenerationId, dialect: Refusing) -> bytes:
    name = generation.encode()
    return b"%bx-generation-id: %b\r\n%b: %b\r\n" % (head_lines, name, dialect.id_header, name)


_EXPOSED: Final = (
    b"x-generation-id, x-request-id, request-id, retry-after,"
    b" x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset"
)
_CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _EXPOSED),
)
WHOLE_HEAD: Final = header_lines(((b"content-type", b"application/json"), *_CORS))
STREAM_HEAD: Final = header_lines(
    (
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),  # a proxy in front of us must not collect the events
        *_CORS,
    )
)
