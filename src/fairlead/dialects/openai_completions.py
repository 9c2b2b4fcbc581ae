"""The legacy OpenAI dialect, `POST /completions`: a prompt in, choices with `text` out.

It shares everything with the chat dialect but the shape of a choice. Reasoning goes beside the text, as
`reasoning`; tool calls have no place in this format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.answer import Choice, collect
from fairlead.core.capability import Capability
from fairlead.core.chat import (
    ChatEvent,
    ChatRequest,
    Finished,
    Frame,
    PlainEvent,
    ReasoningDelta,
    Started,
    TextChunk,
    TextDelta,
    WireFormat,
)
from fairlead.core.errors import FailureKind, Problem, RequestInvalid, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.sse import DONE, data_frame
from fairlead.dialects.base import NO_HEADERS, AnswerHead, Closing
from fairlead.dialects.openai_chat import KEEP_ALIVE
from fairlead.dialects.openai_request import read_request
from fairlead.wire.openai_errors import error_fields, problem_fields, router_metadata_field
from fairlead.wire.openai_usage import written_usage

__all__ = ["OpenAICompletions"]

_encode: Final = msgspec.json.Encoder().encode


class OpenAICompletions:
    """See the file's docstring."""

    name = "openai-completions"
    api_type = "completions"
    capability = Capability.CHAT
    id_header = b"x-request-id"
    keep_alive = KEEP_ALIVE

    def decode(self, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> ChatRequest:  # noqa: ARG002
        """Callers who send `messages` here are understood, as the chat dialect would."""
        request = read_request(body, WireFormat.OPENAI_COMPLETIONS)
        if request.body.prompt is None and request.body.messages is None:
            raise RequestInvalid("`prompt` is required.", param="prompt")
        return request

    def stream(self, head: AnswerHead) -> CompletionStream:
        return CompletionStream(head)

    def whole(self, head: AnswerHead, events: Sequence[ChatEvent], closing: Closing) -> bytes:
        fields = _whole_fields(head, events, closing)
        if not fields["choices"]:
            raise UpstreamFailure("The provider's answer was empty.", kind=FailureKind.EMPTY)
        fields.update(router_metadata_field(closing.metadata))
        return _encode(fields)

    def partial(
        self, head: AnswerHead, events: Sequence[ChatEvent], problem: Problem, closing: Closing
    ) -> bytes:
        fields = _whole_fields(head, events, closing)
        choices = fields["choices"]
        assert isinstance(choices, list)
        if not choices:
            choices.append(_choice_fields(Choice(0), head))
        for choice in choices:
            if choice["finish_reason"] is None:
                choice["finish_reason"] = "error"
                choice["error"] = error_fields(problem)
        if all("error" not in choice for choice in choices):
            choices[0]["finish_reason"] = "error"
            choices[0]["error"] = error_fields(problem)
        fields.update(router_metadata_field(problem.router_metadata))
        return _encode(fields)

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes:  # noqa: ARG002
        return _encode(problem_fields(problem))


class CompletionStream:
    """Writes one streamed answer; as `ChatStream`, with text for deltas."""

    __slots__ = ("_head",)

    def __init__(self, head: AnswerHead) -> None:
        self._head = head

    def feed(self, events: Sequence[ChatEvent]) -> bytes:
        written: list[bytes] = []
        for event in events:
            if isinstance(event, TextChunk):
                self._plain(event.delta, written)
            elif not isinstance(event, Frame):
                self._plain(event, written)
            elif event.format is WireFormat.OPENAI_COMPLETIONS and not event.is_whole:
                if event.fields["choices"]:
                    _take_over(event.fields, self._head)
                    written.append(data_frame(_encode(event.fields)))
            else:
                for inner in event.events:
                    self._plain(inner, written)
        return b"".join(written)

    def close(self, closing: Closing) -> bytes:
        fields = self._chunk(_piece(0, ""))
        fields["usage"] = written_usage(closing.usage, closing.charge, is_byok=closing.is_byok)
        fields.update(router_metadata_field(closing.metadata))
        return data_frame(_encode(fields)) + DONE

    def fail(self, problem: Problem, closing: Closing | None) -> bytes:
        """As in the chat dialect: an error in band, and no end mark after it."""
        choice = _piece(0, "")
        choice["finish_reason"] = "error"
        fields = self._chunk(choice)
        fields["error"] = error_fields(problem)
        if closing is not None:
            fields["usage"] = written_usage(closing.usage, closing.charge, is_byok=closing.is_byok)
        fields.update(router_metadata_field(problem.router_metadata))
        return data_frame(_encode(fields))

    def _plain(self, event: PlainEvent, written: list[bytes]) -> None:
        if isinstance(event, TextDelta):
            choice = _piece(event.choice, event.text)
            choice["logprobs"] = event.logprobs
        elif isinstance(event, ReasoningDelta) and self._head.show_reasoning and event.text:
            choice = _piece(event.choice, "")
            choice["reasoning"] = event.text
        elif isinstance(event, Finished):
            choice = _piece(event.choice, "")
            choice["finish_reason"] = event.reason.value
            choice["native_finish_reason"] = event.native
        else:
            return
        written.append(data_frame(_encode(self._chunk(choice))))

    def _chunk(self, choice: dict[str, object]) -> dict[str, object]:
        fields: dict[str, object] = {}
        _take_over(fields, self._head)
        fields["choices"] = [choice]
        return fields


def _whole_fields(
    head: AnswerHead, events: Sequence[ChatEvent], closing: Closing
) -> dict[str, object]:
    frames = [event for event in events if isinstance(event, Frame)]
    if (
        len(frames) == 1
        and frames[0].is_whole
        and frames[0].format is WireFormat.OPENAI_COMPLETIONS
    ):
        fields = frames[0].fields
    else:
        answer = collect(events)
        started = answer.started or Started()
        fields = {
            "system_fingerprint": started.system_fingerprint,
            "choices": [_choice_fields(choice, head) for choice in answer.choices],
        }
    _take_over(fields, head)
    fields["usage"] = written_usage(closing.usage, closing.charge, is_byok=closing.is_byok)
    return fields


def _take_over(fields: dict[str, object], head: AnswerHead) -> None:
    fields["id"] = head.generation
    fields["object"] = "text_completion"
    fields["created"] = head.created_s
    fields["model"] = head.model
    fields["provider"] = head.provider


def _piece(index: int, text: str) -> dict[str, object]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": None}


def _choice_fields(choice: Choice, head: AnswerHead) -> dict[str, object]:
    fields: dict[str, object] = {
        "index": choice.index,
        "text": choice.text,
        "logprobs": choice.logprobs[0] if len(choice.logprobs) == 1 else None,
        "finish_reason": choice.finish.value if choice.finish is not None else None,
        "native_finish_reason": choice.native_finish,
    }
    if choice.reasoning and head.show_reasoning:
        fields["reasoning"] = choice.reasoning
    return fields
