"""Counting the tokens of a request that is not sent: free, and by our own estimate."""

from __future__ import annotations

from typing import Protocol

from fairlead.core.capability import Capability
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import Problem
from fairlead.core.ids import GenerationId
from fairlead.core.prompt import prompt_text
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.deciding import Deciding
from fairlead.gateway.ports import Caller
from fairlead.gateway.questions import serve_question
from fairlead.gateway.services import Services

__all__ = ["CountDialect", "serve_count"]


class CountDialect(Protocol):
    """A public format in which callers ask how many tokens a request has."""

    @property
    def name(self) -> str: ...

    @property
    def id_header(self) -> bytes: ...

    def decode_count(self, body: bytes) -> ChatRequest: ...

    def count_answer(self, input_tokens: int) -> bytes: ...

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes: ...


async def serve_count(
    caller_side: CallerSide, *, dialect: CountDialect, services: Services
) -> None:
    """Serve one question. Images and files are not counted: our tokenizer reads text."""

    def counted(caller: Caller, request: ChatRequest) -> bytes:
        deciding = Deciding(
            request, caller, caller_side, capability=Capability.CHAT, services=services
        )
        text = prompt_text(request.body)
        tokenizer = deciding.first_model().tokenizer
        return dialect.count_answer(services.tokens.count(text, tokenizer=tokenizer))

    await serve_question(
        caller_side,
        dialect=dialect,
        services=services,
        read=lambda body, _headers: dialect.decode_count(body),
        name=dialect.name,
        answer=counted,
    )
