"""The OpenAI chat dialect, `POST /chat/completions`: how most callers speak to us.

An answer from a provider of the same format arrives as frames whose fields are already in the documented
form; only what we own is written over (id, object, created, model, provider) and what we do not know
travels on. Any other answer is written from its events.

The end of a stream. Usage comes once, in the last chunk before `[DONE]`, beside one choice with an empty
delta: some clients index into `choices` without looking, and some drop usage that has no choice.

A stream that breaks ends with a chunk that has a top-level `error`, a closing choice with
`finish_reason: "error"` and, when it is known, the usage; then the body simply ends. No `[DONE]` follows:
the reference leaves it open, both official Python SDKs stop at the end of the body without it (OpenAI's
raises at the chunk with the error, the other yields it), and a client that only looks at the end mark must
not take a broken answer for a whole one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

import msgspec

from fairlead.core.answer import Answer, Choice, collect
from fairlead.core.capability import Capability
from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    ChatRequest,
    Finished,
    Frame,
    Likeness,
    MediaAdded,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextChunk,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    WireFormat,
)
from fairlead.core.errors import FailureKind, Problem, RequestInvalid, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.money import usd
from fairlead.core.sse import DONE, data_frame
from fairlead.dialects.base import NO_HEADERS, AnswerHead, Closing
from fairlead.dialects.openai_request import read_request
from fairlead.wire.openai_errors import error_fields, problem_fields, router_metadata_field
from fairlead.wire.openai_usage import WrittenUsage, written_usage

__all__ = ["OpenAIChat"]

KEEP_ALIVE: Final = b": FAIRLEAD PROCESSING\n\n"

_CHAT: Final = WireFormat.OPENAI_CHAT
_encode: Final = msgspec.json.Encoder().encode
_REASONING: Final = ("reasoning", "reasoning_details", "reasoning_content")
_MARK: Final = "\x00the text"  # not a text that a likeness is made of


class OpenAIChat:
    """See the file's docstring."""

    name = "openai-chat"
    api_type = "completions"
    capability = Capability.CHAT
    id_header = b"x-request-id"
    keep_alive = KEEP_ALIVE

    def decode(self, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> ChatRequest:  # noqa: ARG002
        request = read_request(body, WireFormat.OPENAI_CHAT)
        if request.body.messages is None and request.body.prompt is None:
            raise RequestInvalid("`messages` is required.", param="messages")
        return request

    def stream(self, head: AnswerHead) -> ChatStream:
        return ChatStream(head)

    def whole(self, head: AnswerHead, events: Sequence[ChatEvent], closing: Closing) -> bytes:
        return _encode(_whole_fields(head, events, closing))

    def partial(
        self, head: AnswerHead, events: Sequence[ChatEvent], problem: Problem, closing: Closing
    ) -> bytes:
        answer = collect(events)
        fields = _fields_of(head, answer)
        error = error_fields(problem)
        choices = [_choice_fields(choice, head) for choice in answer.choices or [Choice(0)]]
        for choice, fields_of_choice in zip(answer.choices or [Choice(0)], choices, strict=True):
            if choice.finish is None:
                fields_of_choice["finish_reason"] = "error"
                fields_of_choice["native_finish_reason"] = None
                fields_of_choice["error"] = error
        if all("error" not in choice for choice in choices):
            choices[0]["finish_reason"] = "error"
            choices[0]["error"] = error
        fields["choices"] = choices
        fields["usage"] = _usage(closing)
        fields.update(router_metadata_field(problem.router_metadata))
        return _encode(fields)

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes:  # noqa: ARG002
        return _encode(problem_fields(problem))


class ChatStream:
    """Writes one streamed answer.

    Frames given to `feed` belong to it from then on: their fields are changed in place.
    """

    __slots__ = (
        "_after",
        "_before",
        "_begun",
        "_delta_after",
        "_delta_before",
        "_delta_choice",
        "_head",
        "_likeness",
        "_numbers",
        "_service_tier",
        "_shows_reasoning",
        "_system_fingerprint",
    )

    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        self._shows_reasoning = head.show_reasoning
        self._begun: set[int] = set()  # choices whose first chunk, which has the role, was written
        self._numbers: dict[tuple[int, str], int] = {}  # of the next entry in a list of a choice
        self._service_tier: str | None = None
        self._system_fingerprint: str | None = None
        # What was written around the text of chunks of this likeness.
        self._likeness: Likeness | None = None
        self._before = self._after = b""
        # What is written around the delta of a chunk of this choice, once the choice has begun.
        self._delta_choice: int | None = None
        self._delta_before = self._delta_after = b""

    def feed(self, events: Sequence[ChatEvent]) -> bytes:
        written: list[bytes] = []
        for event in events:
            if isinstance(event, TextChunk):
                likeness = event.likeness
                if likeness is self._likeness:
                    written.append(self._before + _encode(event.text) + self._after)
                elif likeness.format is _CHAT:
                    self._text_chunk(event, written)
                elif likeness.index == self._delta_choice:
                    written.append(self._text(event.text))
                else:
                    self._plain(event.delta, written)
            elif isinstance(event, Frame):
                if event.format is _CHAT and not event.is_whole:
                    self._note(event.events)
                    fields = event.fields
                    choices = fields.get("choices")
                    if choices and self._is_worth_sending(choices):
                        written.append(self._rewritten(fields))
                else:
                    for inner in event.events:
                        self._plain(inner, written)
            else:
                self._plain(event, written)
        return written[0] if len(written) == 1 else b"".join(written)

    def close(self, closing: Closing) -> bytes:
        fields = self._chunk(0, {"role": "assistant", "content": ""})
        fields["usage"] = _usage(closing)
        fields["meta"] = _meta(closing)
        fields.update(router_metadata_field(closing.metadata))
        return data_frame(_encode(fields)) + DONE

    def fail(self, problem: Problem, closing: Closing | None) -> bytes:
        fields = self._chunk(0, {"role": "assistant", "content": ""}, finish_reason="error")
        fields["error"] = error_fields(problem)
        if closing is not None:
            fields["usage"] = _usage(closing)
        fields.update(router_metadata_field(problem.router_metadata))
        return data_frame(_encode(fields))

    # --- a chunk in its own format ---

    def _rewritten(self, fields: dict[str, object]) -> bytes:
        head = self._head
        fields["id"] = head.generation
        fields["object"] = "chat.completion.chunk"
        fields["created"] = head.created_s
        fields["model"] = head.model
        fields["provider"] = head.provider
        return data_frame(_encode(fields))

    def _text_chunk(self, event: TextChunk, written: list[bytes]) -> None:
        """The first of its likeness: write it, and keep what is around its text for those that follow."""
        likeness = event.likeness
        around = self._rewritten(likeness.fields_with(_MARK)).split(_encode(_MARK))
        if len(around) == 2:
            self._likeness, (self._before, self._after) = likeness, around
        fields = likeness.fields_with(event.text)
        if self._is_worth_sending(fields["choices"]):
            written.append(self._rewritten(fields))

    def _note(self, events: tuple[PlainEvent, ...]) -> None:
        if events and type(events[0]) is Started:
            self._start(events[0])

    def _start(self, event: Started) -> None:
        self._service_tier = event.service_tier
        self._system_fingerprint = event.system_fingerprint
        self._delta_choice = None

    def _is_worth_sending(self, choices: object) -> bool:
        """Adds the role where it is due, hides reasoning if it is to be hidden; False: nothing is left."""
        assert isinstance(choices, list)  # the reader has made it one
        begun = self._begun
        is_worth = False
        for choice in choices:
            index = choice["index"]
            delta = choice.get("delta")
            if not isinstance(delta, dict):
                is_worth = True
                continue
            if not self._shows_reasoning and "reasoning_details" in delta:
                for name in _REASONING:
                    delta.pop(name, None)
                if not delta.get("content") and "tool_calls" not in delta:
                    delta.pop("content", None)
                    delta.pop("role", None)
                    if not delta and choice["finish_reason"] is None:
                        continue
            if "annotations" in delta or "images" in delta:
                self._number(index, delta)
            if index not in begun:
                begun.add(index)
                delta.setdefault("role", "assistant")
            is_worth = True
        return is_worth

    # --- a chunk from an event ---

    def _plain(self, event: PlainEvent, written: list[bytes]) -> None:
        match event:
            case TextDelta() if event.choice == self._delta_choice and event.logprobs is None:
                written.append(self._text(event.text))
            case TextDelta() if event.logprobs is not None:
                fields = self._chunk(event.choice, {"content": event.text}, logprobs=event.logprobs)
                written.append(data_frame(_encode(fields)))
            case Started():
                self._start(event)
            case UsageReported():
                pass
            case ReasoningDelta() if not self._shows_reasoning:
                pass
            case Finished():
                fields = self._chunk(
                    event.choice,
                    {},
                    finish_reason=event.reason.value,
                    native_finish_reason=event.native,
                )
                written.append(data_frame(_encode(fields)))
            case MediaAdded() | AnnotationsAdded():
                delta = _delta_fields(event)
                self._number(event.choice, delta)
                written.append(self._delta(event.choice, delta))
            case _:
                written.append(self._delta(event.choice, _delta_fields(event)))

    def _delta(self, index: int, delta: dict[str, object]) -> bytes:
        if index != self._delta_choice:
            if index not in self._begun:
                return data_frame(_encode(self._chunk(index, delta)))
            self._surround(index)
        return self._delta_before + _encode(delta) + self._delta_after

    def _text(self, text: str) -> bytes:
        """A chunk of the choice whose surroundings are kept: what most streams consist of."""
        return b'%b{"content":%b}%b' % (self._delta_before, _encode(text), self._delta_after)

    def _surround(self, index: int) -> None:
        """Keep what is around the deltas of a choice that has begun."""
        # No text in JSON holds a quote that stands for itself, so this is found where it is, and only there.
        around = data_frame(_encode(self._chunk(index, {}))).partition(b'"delta":{}')
        self._delta_choice = index
        self._delta_before, self._delta_after = around[0] + b'"delta":', around[2]

    def _number(self, choice: int, delta: dict[str, object]) -> None:
        """Lists come in pieces, and clients join them by the number of each entry, as those of calls."""
        for name in ("annotations", "images"):
            entries = delta.get(name)
            if isinstance(entries, list | tuple):
                number = self._numbers.get((choice, name), 0)
                self._numbers[choice, name] = number + len(entries)
                delta[name] = [
                    {"index": number + position, **entry} if isinstance(entry, Mapping) else entry
                    for position, entry in enumerate(entries)
                ]

    def _chunk(
        self,
        index: int,
        delta: dict[str, object],
        *,
        finish_reason: str | None = None,
        native_finish_reason: str | None = None,
        logprobs: msgspec.Raw | None = None,
    ) -> dict[str, object]:
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", **delta}
        choice: dict[str, object] = {"index": index, "delta": delta, "finish_reason": finish_reason}
        if finish_reason is not None:
            choice["native_finish_reason"] = native_finish_reason
        if logprobs is not None:
            choice["logprobs"] = logprobs
        head = self._head
        fields: dict[str, object] = {
            "id": head.generation,
            "object": "chat.completion.chunk",
            "created": head.created_s,
            "model": head.model,
            "provider": head.provider,
            "choices": [choice],
        }
        if self._service_tier is not None:
            fields["service_tier"] = self._service_tier
        if self._system_fingerprint is not None:
            fields["system_fingerprint"] = self._system_fingerprint
        return fields


# --- whole answers ------------------------------------------------------------------------------------


def _whole_fields(
    head: AnswerHead, events: Sequence[ChatEvent], closing: Closing
) -> dict[str, object]:
    frame = _only_whole_frame(events)
    if frame is None:
        answer = collect(events)
        if not answer.choices:
            raise UpstreamFailure("The provider's answer was empty.", kind=FailureKind.EMPTY)
        fields = _fields_of(head, answer)
        fields["choices"] = [_choice_fields(choice, head) for choice in answer.choices]
    else:
        fields = frame.fields
        fields["id"] = head.generation
        fields["object"] = "chat.completion"
        fields["created"] = head.created_s
        fields["model"] = head.model
        fields["provider"] = head.provider
        fields.setdefault("system_fingerprint", None)
        _complete(fields["choices"])
        if not head.show_reasoning:
            _hide_reasoning(fields["choices"])
    fields["usage"] = _usage(closing)
    fields["meta"] = _meta(closing)
    fields.update(router_metadata_field(closing.metadata))
    return fields


def _only_whole_frame(events: Sequence[ChatEvent]) -> Frame | None:
    frames = [event for event in events if isinstance(event, Frame)]
    if len(frames) == 1 and frames[0].is_whole and frames[0].format is _CHAT:
        return frames[0]
    return None


def _complete(choices: object) -> None:
    """Fields that the documented message always has, and readers leave out where they are empty."""
    assert isinstance(choices, list)  # the reader has made it one
    for choice in choices:
        message = choice.get("message")
        if isinstance(message, dict):
            message.setdefault("annotations", [])


def _hide_reasoning(choices: object) -> None:
    assert isinstance(choices, list)  # the reader has made it one
    for choice in choices:
        message = choice.get("message")
        if isinstance(message, dict):
            for name in _REASONING:
                message.pop(name, None)


def _fields_of(head: AnswerHead, answer: Answer) -> dict[str, object]:
    started = answer.started
    fields: dict[str, object] = {
        "id": head.generation,
        "object": "chat.completion",
        "created": head.created_s,
        "model": head.model,
        "provider": head.provider,
        "system_fingerprint": started.system_fingerprint if started is not None else None,
        "choices": [],
    }
    if started is not None and started.service_tier is not None:
        fields["service_tier"] = started.service_tier
    return fields


def _choice_fields(choice: Choice, head: AnswerHead) -> dict[str, object]:
    message: dict[str, object] = {
        "role": "assistant",
        "content": choice.text if choice.has_text or not choice.calls else None,
        "refusal": choice.refusal or None,
        "annotations": choice.annotations,
    }
    if head.show_reasoning:
        message["reasoning"] = choice.reasoning or None
        if choice.reasoning_details:
            message["reasoning_details"] = choice.reasoning_details
    if choice.calls:
        message["tool_calls"] = [
            {"index": call.index, "id": call.id, "type": "function",
             "function": {"name": call.name, "arguments": call.arguments}}
            if call.type == "function" else
            {"index": call.index, "id": call.id, "type": call.type,
             "custom": {"name": call.name, "input": call.arguments}}
            for call in choice.calls
        ]  # fmt: skip
    if choice.images:
        message["images"] = choice.images
    if choice.audio is not None:
        message["audio"] = choice.audio
    return {
        "index": choice.index,
        "finish_reason": choice.finish.value if choice.finish is not None else None,
        "native_finish_reason": choice.native_finish,
        "logprobs": _joined_logprobs(choice.logprobs),
        "message": message,
    }


def _joined_logprobs(pieces: list[msgspec.Raw]) -> dict[str, object] | msgspec.Raw | None:
    """Log probabilities of a stream are lists in pieces; each list is joined with its like."""
    if len(pieces) <= 1:
        return pieces[0] if pieces else None
    joined: dict[str, object] = {}
    for piece in pieces:
        for name, items in msgspec.json.decode(piece, type=dict[str, object]).items():
            known = joined.get(name)
            if isinstance(known, list) and isinstance(items, list):
                known.extend(items)
            elif known is None:
                joined[name] = items
    return joined


def _delta_fields(
    event: TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallDelta
    | MediaAdded
    | AnnotationsAdded,
) -> dict[str, object]:
    match event:
        case TextDelta():
            return {"content": event.text}
        case ReasoningDelta():
            return _reasoning_fields(event.text, event.details)
        case ToolCallDelta():
            return {"tool_calls": [_call_piece(event)]}
        case RefusalDelta():
            return {"refusal": event.text}
        case MediaAdded():
            return {event.kind: event.value}
        case AnnotationsAdded():
            return {"annotations": event.annotations}
        case _:
            assert_never(event)


def _reasoning_fields(text: str, details: Sequence[object]) -> dict[str, object]:
    if not details:
        details = ({"type": "reasoning.text", "text": text, "format": "unknown", "index": 0},)
    return {"reasoning": text or None, "reasoning_details": details}


def _call_piece(event: ToolCallDelta) -> dict[str, object]:
    is_function = event.type == "function"
    body: dict[str, object] = {}
    if event.name is not None:
        body["name"] = event.name
    body["arguments" if is_function else "input"] = event.arguments
    piece: dict[str, object] = {"index": event.index}
    if event.id is not None:
        piece["id"] = event.id
        piece["type"] = event.type
    piece["function" if is_function else "custom"] = body
    return piece


_CREDITS_PER_USD: Final = 2_000_000  # as AI/ML API counts them


def _meta(closing: Closing) -> dict[str, object]:
    """The cost once more, where callers of AI/ML API look for it."""
    cost_usd = usd(closing.charge.total)
    return {"usage": {"credits_used": cost_usd * _CREDITS_PER_USD, "usd_spent": cost_usd}}


def _usage(closing: Closing) -> WrittenUsage:
    return written_usage(closing.usage, closing.charge, is_byok=closing.is_byok)
