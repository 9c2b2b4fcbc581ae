"""The OpenAI Responses dialect, `POST /responses`, stateless.

Reading a request is in `responses_request.py`, `responses_input.py` and `responses_tools.py`; writing an
answer in `responses_stream.py`, `responses_items.py`, `responses_reasoning.py` and `responses_object.py`.
A whole answer is the last event of a stream that nobody listened to.

An error that comes instead of an answer has the envelope of the chat dialect, and `error_type` at the top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.answer import plain
from fairlead.core.capability import Capability
from fairlead.core.chat import ChatEvent, ChatRequest
from fairlead.core.errors import FailureKind, Problem, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.dialects.base import NO_HEADERS, AnswerHead, Closing
from fairlead.dialects.openai_chat import KEEP_ALIVE
from fairlead.dialects.responses_listener import Silence
from fairlead.dialects.responses_request import read_responses_request
from fairlead.dialects.responses_stream import ResponseStream, Telling
from fairlead.wire.openai_errors import problem_fields

__all__ = ["OpenAIResponses"]

_encode: Final = msgspec.json.Encoder().encode


class OpenAIResponses:
    """See the file's docstring."""

    name = "openai-responses"
    api_type = "completions"
    capability = Capability.CHAT
    id_header = b"x-request-id"
    keep_alive = KEEP_ALIVE

    def decode(self, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> ChatRequest:  # noqa: ARG002
        return read_responses_request(body)

    def stream(self, head: AnswerHead) -> ResponseStream:
        return ResponseStream(head)

    def whole(self, head: AnswerHead, events: Sequence[ChatEvent], closing: Closing) -> bytes:
        telling = _told(head, events)
        if not telling.has_answer:
            raise UpstreamFailure("The provider's answer was empty.", kind=FailureKind.EMPTY)
        return _encode(telling.ended(closing))

    def partial(
        self, head: AnswerHead, events: Sequence[ChatEvent], problem: Problem, closing: Closing
    ) -> bytes:
        return _encode(_told(head, events).broken(problem, closing))

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes:  # noqa: ARG002
        return _encode({**problem_fields(problem), "error_type": problem.error_type.value})


def _told(head: AnswerHead, events: Sequence[ChatEvent]) -> Telling:
    telling = Telling(head, Silence())
    for event in plain(events):
        telling.add(event)
    return telling
