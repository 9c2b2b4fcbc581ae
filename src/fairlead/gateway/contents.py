"""Takes down a call for an account that wants its prompts and answers kept. Nothing waits for it.

takedown = Takedown()
encoder = takedown.of(encoder)          # of a stream: what the caller is given
takedown.answer.watch(events)           # of a whole answer
services.contents.keep(takedown.content(...))
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.caller import Caller
from fairlead.core.chat import ChatEvent, ChatRequest
from fairlead.core.content import Answer, Content, ContentError, asked
from fairlead.core.errors import Problem
from fairlead.core.ids import GenerationId
from fairlead.dialects.base import Closing, StreamEncoder

__all__ = ["Takedown"]


class Takedown:
    """What one caller was given."""

    __slots__ = ("answer",)

    def __init__(self) -> None:
        self.answer = Answer()

    def of(self, encoder: StreamEncoder) -> StreamEncoder:
        """The same encoder, listened to."""
        return _Heard(encoder, self.answer)

    def content(
        self,
        generation: GenerationId,
        caller: Caller,
        request: ChatRequest,
        *,
        created_s: float,
        problem: Problem | None = None,
        provider: str | None = None,
    ) -> Content:
        """problem: what the caller was told instead of an answer, or of its end. provider: whose it was."""
        messages, prompt = asked(request)
        return Content(
            generation=generation,
            account=caller.account,
            workspace=caller.workspace,
            created_ms=round(created_s * 1000),
            messages=messages,
            prompt=prompt,
            completion=self.answer.completion,
            reasoning=self.answer.reasoning,
            error=None
            if problem is None
            else ContentError(problem.status, problem.message, provider),
        )


class _Heard:
    """An encoder, and who listens to it."""

    __slots__ = ("_answer", "_encoder")

    def __init__(self, encoder: StreamEncoder, answer: Answer) -> None:
        self._encoder = encoder
        self._answer = answer

    def feed(self, events: Sequence[ChatEvent]) -> bytes:
        self._answer.watch(events)
        return self._encoder.feed(events)

    def close(self, closing: Closing) -> bytes:
        return self._encoder.close(closing)

    def fail(self, problem: Problem, closing: Closing | None) -> bytes:
        return self._encoder.fail(problem, closing)
