"""Counting the tokens of a request that is not sent: free, and by our own estimate."""

from __future__ import annotations

import logging
from typing import Protocol

from fairlead.core.catalog import Resolved
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import FairleadError, Problem
from fairlead.core.ids import GenerationId
from fairlead.core.prompt import prompt_text
from fairlead.gateway.caller_side import CallerSide, header_lines
from fairlead.gateway.pipeline import authenticate
from fairlead.gateway.refusals import requested_names, unknown_model
from fairlead.gateway.services import Services
from fairlead.gateway.telling import refuse

__all__ = ["CountDialect", "serve_count"]

_log = logging.getLogger(__name__)
_HEAD = header_lines(
    ((b"content-type", b"application/json"), (b"access-control-allow-origin", b"*"))
)


class CountDialect(Protocol):
    """A public format in which callers ask how many tokens a request has."""

    @property
    def id_header(self) -> bytes: ...

    def decode_count(self, body: bytes) -> ChatRequest: ...

    def count_answer(self, input_tokens: int) -> bytes: ...

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes: ...


async def serve_count(
    caller_side: CallerSide, *, dialect: CountDialect, services: Services
) -> None:
    """Serve one question. Images and files are not counted: our tokenizer reads text."""
    try:
        await authenticate(caller_side, services)
        request = dialect.decode_count(await caller_side.body(services.body_bytes_max))
        names = requested_names(request)
        found = services.catalog.snapshot.resolve(names[0]) if names else None
        if not isinstance(found, Resolved):
            raise unknown_model(found, names)
        text = prompt_text(request.body)
        count = services.tokens.count(text, tokenizer=found.model.tokenizer)
        caller_side.answer(200, _HEAD, dialect.count_answer(count))
    except FairleadError as error:
        if not caller_side.has_left:
            refuse(caller_side, dialect, error.problem(), None)
    except Exception:  # noqa: BLE001 — the outermost edge of a call: nothing may pass it
        _log.exception("A count failed for a reason of our own.")
        masked = FairleadError("Something went wrong on our side.")
        refuse(caller_side, dialect, masked.problem(), None)
