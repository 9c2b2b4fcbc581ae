"""The Anthropic Messages dialect, `POST /messages` and `POST /messages/count_tokens`.

An answer from a provider of the same format arrives as frames, one for each of its events; only what we
own is written over (id, model, provider, usage) and what we do not know travels on. Any other answer is
written from its events, block by block (anthropic_content.py).

The end of a stream. `message_delta` says why the message ended and what it used, so it is written last,
when both are known; counts in `message_start` are those known by then, or zero. Costs stand beside the
final counts.

A stream that breaks ends with an `error` event, and nothing follows: no block is closed, so that a call
that was cut is not taken for a whole one. The event also has the usage, where it is known.

While a provider is silent its caller gets `ping` events: every client skips them, and some take them, but
not comments, for a sign of life.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from fairlead.core.answer import plain
from fairlead.core.capability import Capability
from fairlead.core.chat import (
    ChatEvent,
    ChatRequest,
    Finished,
    FinishReason,
    Frame,
    Likeness,
    PlainEvent,
    Started,
    TextChunk,
    TextDelta,
    UsageReported,
    WireFormat,
)
from fairlead.core.errors import ErrorType, FailureKind, Problem, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.usage import Usage
from fairlead.dialects.anthropic_content import ContentWriter, Fields
from fairlead.dialects.anthropic_request import read_request
from fairlead.dialects.base import NO_HEADERS, AnswerHead, Closing
from fairlead.wire.anthropic_errors import problem_fields
from fairlead.wire.anthropic_usage import count_fields, usage_fields
from fairlead.wire.openai_errors import router_metadata_field

__all__ = ["AnthropicMessages", "MessagesStream"]

KEEP_ALIVE: Final = b'event: ping\ndata: {"type": "ping"}\n\n'

_encode: Final = msgspec.json.Encoder().encode
_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_MARK: Final = "\x00the text"  # not a text that a likeness is made of
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
# Counts and costs are ours to tell; of a provider's usage only what is none of these travels on.
_OWN_COUNTS: Final = frozenset(
    {
        "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
        "cache_creation", "output_tokens_details", "cost", "cost_details", "is_byok",
    }
)  # fmt: skip


class AnthropicMessages:
    """See the file's docstring."""

    name = "anthropic-messages"
    api_type = "completions"
    capability = Capability.CHAT
    id_header = b"request-id"
    keep_alive = KEEP_ALIVE

    def decode(self, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> ChatRequest:
        request = read_request(body)
        betas = headers.get(b"x-anthropic-beta") or headers.get(b"anthropic-beta")
        if not betas:
            return request
        # A provider of the same format is told of them; `betas` is how its own clients name them in a body.
        told = msgspec.Raw(_encode(betas.decode("latin-1")))
        return msgspec.structs.replace(request, fields={**request.fields, "betas": told})

    def decode_count(self, body: bytes) -> ChatRequest:
        """A body of `/messages/count_tokens`: the same, but an answer's length is none of its matter."""
        return read_request(body)

    def count_answer(self, input_tokens: int) -> bytes:
        """The answer of `/messages/count_tokens`."""
        return _encode({"input_tokens": input_tokens})

    def stream(self, head: AnswerHead) -> MessagesStream:
        return MessagesStream(head)

    def whole(self, head: AnswerHead, events: Sequence[ChatEvent], closing: Closing) -> bytes:
        fields = _message(head, events, closing)
        if fields is None:
            raise UpstreamFailure("The provider's answer was empty.", kind=FailureKind.EMPTY)
        return _encode(fields | router_metadata_field(closing.metadata))

    def partial(
        self, head: AnswerHead, events: Sequence[ChatEvent], problem: Problem, closing: Closing
    ) -> bytes:
        fields = _message(head, events, closing)
        if fields is None:
            fields = _empty_message(head, _final_usage(closing, None))
        fields["stop_reason"] = None
        fields["error"] = problem_fields(problem, head.generation)["error"]
        return _encode(fields | router_metadata_field(problem.router_metadata))

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes:
        return _encode(problem_fields(problem, generation))


# --- streams ------------------------------------------------------------------------------------------


class MessagesStream:
    """Writes one streamed answer.

    Frames given to `feed` belong to it from then on: their fields are changed in place.
    """

    __slots__ = (
        "_after",
        "_before",
        "_content",
        "_delta",
        "_has_begun",
        "_head",
        "_indexes",
        "_likeness",
        "_open_block",
        "_open_block_is_text",
        "_started",
        "_text_before",
        "_text_index",
        "_usage",
    )

    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        self._content = ContentWriter(shows_reasoning=head.show_reasoning)
        self._has_begun = False
        self._started = Started()
        self._usage: Usage | None = None
        self._indexes: dict[object, int | None] = {}  # a frame's block to ours; None: not shown
        self._open_block: int | None = None  # ours, of a frame's block that is open
        self._open_block_is_text = False
        self._delta: Fields | None = None  # the provider's own `message_delta`, kept for the end
        # What is written around one more text of the block that is open.
        self._text_index: int | None = None
        self._text_before = b""
        # The same of a frame's block that is open: around a chunk of this likeness.
        self._likeness: Likeness | None = None
        self._before = self._after = b""

    def feed(self, events: Sequence[ChatEvent]) -> bytes:
        written: list[bytes] = []
        for event in events:
            if isinstance(event, TextChunk):
                likeness = event.likeness
                if likeness is self._likeness:
                    written.append(self._before + _encode(event.text) + self._after)
                elif likeness.format is WireFormat.ANTHROPIC_MESSAGES:
                    self._text_chunk(event, written)
                else:
                    self._plain(event.delta, written)
            elif isinstance(event, Frame):
                if event.format is WireFormat.ANTHROPIC_MESSAGES and not event.is_whole:
                    self._frame(event.fields, event.events, written)
                else:
                    for inner in event.events:
                        self._plain(inner, written)
            else:
                self._plain(event, written)
        if events and not self._has_begun:
            self._begin(written)
        return written[0] if len(written) == 1 else b"".join(written)

    def close(self, closing: Closing) -> bytes:
        finished = self._content.finished
        if finished is not None and finished.reason is FinishReason.ERROR and self._delta is None:
            return self.fail(replace(_ENDED_WITH_ERROR, router_metadata=closing.metadata), closing)
        written: list[bytes] = []
        self._begin(written)
        told: list[Fields] = []
        self._close_block(told)
        self._content.finish(told)
        ending = self._delta or {"type": "message_delta", "delta": _ending(self._content)}
        usage = _final_usage(closing, self._started.service_tier, ending.get("usage"))
        told.append({**ending, "usage": usage})
        written.extend(_event(fields) for fields in told)
        if closing.metadata is None:
            written.append(_STOP)
        else:
            written.append(
                _event({"type": "message_stop", **router_metadata_field(closing.metadata)})
            )
        return b"".join(written)

    def fail(self, problem: Problem, closing: Closing | None) -> bytes:
        fields = problem_fields(problem, self._head.generation)
        if closing is not None:
            fields["usage"] = _final_usage(closing, self._started.service_tier)
        return _event(fields)

    # --- an event of our own vocabulary ---

    def _plain(self, event: PlainEvent, written: list[bytes]) -> None:
        content = self._content
        if isinstance(event, TextDelta) and event.choice == 0 and event.text:
            index = self._open_block if self._open_block_is_text else content.open_text
            if index is not None:
                # One more piece of the same text, which is what most streams consist of.
                if index != self._text_index:
                    self._text_index, self._text_before = index, _before_text(index)
                written.append(self._text_before + _encode(event.text) + b"}}\n\n")
                return
        elif isinstance(event, Started):
            self._started = event
            return
        elif isinstance(event, UsageReported):
            self._usage = event.usage
            return
        told: list[Fields] = []
        if not isinstance(event, Finished):
            self._close_block(told)  # of frames: another provider goes on
        content.feed(event, told)
        if told:
            self._begin(written)
            written.extend(_event(fields) for fields in told)

    def _begin(self, written: list[bytes]) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        usage = self._usage or Usage()
        counts = count_fields(usage, service_tier=self._started.service_tier)
        written.append(
            _event({"type": "message_start", "message": _empty_message(self._head, counts)})
        )

    # --- an event in its own format ---

    def _frame(self, fields: Fields, events: Iterable[PlainEvent], written: list[bytes]) -> None:
        for event in events:
            if isinstance(event, Started):
                self._started = event
            elif isinstance(event, UsageReported):
                self._usage = event.usage
            elif isinstance(event, Finished):
                self._content.finished = event
        match fields.get("type"):
            case "message_start":
                self._indexes.clear()
                self._likeness = None
                if not self._has_begun:
                    self._has_begun = True
                    self._own_start(fields)
                    written.append(_event(fields))
            case "message_delta":
                self._delta = fields
                _complete_ending(fields)
            case "message_stop":
                pass
            case "content_block_start" | "content_block_delta" | "content_block_stop":
                self._begin(written)
                self._block_event(fields, written)
            case _:
                written.append(_event(fields))

    def _text_chunk(self, event: TextChunk, written: list[bytes]) -> None:
        """The first of its likeness in a block: as its frame would be; what is around its text is kept."""
        likeness = event.likeness
        fields = likeness.fields_with(event.text)
        ours = self._indexes.get(fields.get("index"))
        self._frame(fields, (), written)
        if ours is None or ours != self._open_block:
            return
        around = _event({**likeness.fields_with(_MARK), "index": ours}).split(_encode(_MARK))
        if len(around) == 2:
            self._likeness, (self._before, self._after) = likeness, around

    def _own_start(self, fields: Fields) -> None:
        given = fields.get("message")
        theirs: Fields = given if isinstance(given, dict) else {}
        counts = count_fields(self._usage or Usage(), service_tier=self._started.service_tier)
        reported = theirs.get("usage")
        if isinstance(reported, dict):
            counts.update((name, value) for name, value in reported.items() if value is not None)
        message = {**theirs, **_empty_message(self._head, counts)}
        message["container"] = theirs.get("container")
        fields["message"] = message

    def _block_event(self, fields: Fields, written: list[bytes]) -> None:
        theirs = fields.get("index")
        told: list[Fields] = []
        if fields["type"] == "content_block_start":
            self._close_block(told)  # which providers do themselves
            block = fields.get("content_block")
            if _type_of(block) in _THINKING and not self._head.show_reasoning:
                self._indexes[theirs] = None
            else:
                self._indexes[theirs] = self._open_block = self._content.next_index(told)
            self._open_block_is_text = _type_of(block) == "text"
            if isinstance(block, dict):
                _complete_block(block)
                self._content.has_calls |= block.get("type") == "tool_use"
        ours = self._indexes.get(theirs)
        if ours is not None and ours == self._open_block:
            fields["index"] = ours
            told.append(fields)
            if fields["type"] == "content_block_stop":
                self._open_block = self._likeness = None
                self._open_block_is_text = False
        written.extend(_event(inner) for inner in told)

    def _close_block(self, told: list[Fields]) -> None:
        if self._open_block is not None:
            told.append({"type": "content_block_stop", "index": self._open_block})
            self._open_block = self._likeness = None
            self._open_block_is_text = False


def _event(fields: Mapping[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(fields["type"]).encode(), _encode(fields))


def _before_text(index: int) -> bytes:
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
        b'"delta":{"type":"text_delta","text":' % index
    )


_ENDED_WITH_ERROR: Final = Problem(
    502, ErrorType.PROVIDER_UNAVAILABLE, "The provider ended its answer with an error."
)


# --- whole answers ------------------------------------------------------------------------------------


def _message(head: AnswerHead, events: Sequence[ChatEvent], closing: Closing) -> Fields | None:
    """The message that these events make; None if they make none."""
    frames = [event for event in events if isinstance(event, Frame)]
    if len(frames) == 1 and frames[0].is_whole:
        if frames[0].format is WireFormat.ANTHROPIC_MESSAGES:
            return _own_message(head, frames[0], closing)
    content = ContentWriter(shows_reasoning=head.show_reasoning)
    told: list[Fields] = []
    started: Started | None = None
    for event in plain(events):
        if isinstance(event, Started):
            started = started or event
        content.feed(event, told)
    content.finish(told)
    if not content.has_begun:
        return None
    tier = started.service_tier if started is not None else None
    message = _empty_message(head, _final_usage(closing, tier))
    message["content"] = _blocks(told)
    message.update(_ending(content))
    if content.finished is not None and content.finished.reason is FinishReason.ERROR:
        message["stop_reason"] = None
        message["error"] = problem_fields(_ENDED_WITH_ERROR, head.generation)["error"]
    return message


def _own_message(head: AnswerHead, frame: Frame, closing: Closing) -> Fields:
    """An answer in its own format, with what is ours written over."""
    fields = frame.fields
    started = next((event for event in frame.events if isinstance(event, Started)), None)
    tier = started.service_tier if started is not None else None
    content = fields.get("content")
    blocks = content if isinstance(content, list) else []
    if not head.show_reasoning:
        blocks = [block for block in blocks if _type_of(block) not in _THINKING]
    for block in blocks:
        if isinstance(block, dict):
            _complete_block(block)
    ours = _empty_message(head, _final_usage(closing, tier, fields.get("usage")))
    ours["content"] = blocks
    for name in ("stop_reason", "stop_sequence", "stop_details", "container"):
        ours[name] = fields.get(name)
    return {**fields, **ours}


def _blocks(told: Iterable[Fields]) -> list[Fields]:
    """The content of a message, out of the events of its stream. Texts are joined once."""
    blocks: list[Fields] = []
    pieces: list[str] = []
    for fields in told:
        match fields["type"]:
            case "content_block_start":
                block = fields["content_block"]
                assert isinstance(block, dict)  # we wrote it
                blocks.append(block)
                pieces = []
            case "content_block_delta":
                delta = fields["delta"]
                assert isinstance(delta, dict)  # we wrote it
                _add_delta(blocks[-1], delta, pieces)
            case "content_block_stop":
                _end_block(blocks[-1], "".join(pieces))
    return blocks


def _add_delta(block: Fields, delta: Mapping[str, object], pieces: list[str]) -> None:
    match delta["type"]:
        case "citations_delta":
            citations = block["citations"] = block["citations"] or []
            assert isinstance(citations, list)  # nobody else writes it
            citations.append(delta["citation"])
        case "signature_delta":
            block["signature"] = delta["signature"]
        case _:
            pieces.extend(
                str(delta[name]) for name in ("text", "thinking", "partial_json") if name in delta
            )


def _end_block(block: Fields, text: str) -> None:
    match block["type"]:
        case "text":
            block["text"] = text
        case "thinking":
            block["thinking"] = text
        case "tool_use":
            block["input"] = _input(text)


def _input(arguments: str) -> object:
    """A call's arguments as the object that they must be here, as they were written.

    Arguments that are no object, as those of a call that was cut, are told under a name that no tool takes:
    left out they would make a call without arguments, which may well be a valid one.
    """
    try:
        _decode_object(arguments)
    except (ValueError, RecursionError):
        return {"unreadable_arguments": arguments}
    return msgspec.Raw(arguments.encode())


# --- what both have -----------------------------------------------------------------------------------


def _empty_message(head: AnswerHead, usage: Mapping[str, object]) -> Fields:
    return {
        "id": head.generation,
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "provider": head.provider,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": usage,
    }


def _ending(content: ContentWriter) -> Fields:
    """Why the message ended, as a message and a `message_delta` say it."""
    reason = content.stop_reason
    refusal = {"type": "refusal", "category": None, "explanation": content.refusal or None}
    return {
        "stop_reason": reason,
        "stop_sequence": None,
        "stop_details": refusal if reason == "refusal" else None,
        "container": None,
    }


def _complete_ending(fields: Fields) -> None:
    """Fields that the documented `message_delta` always has."""
    delta = fields.get("delta")
    if isinstance(delta, dict):
        for name in ("stop_reason", "stop_sequence", "stop_details", "container"):
            delta.setdefault(name, None)


def _complete_block(block: Fields) -> None:
    """Fields that the documented blocks always have."""
    if block.get("type") == "text":
        block.setdefault("citations", None)
    elif block.get("type") == "tool_use":
        block.setdefault("caller", {"type": "direct"})


def _type_of(block: object) -> object:
    return block.get("type") if isinstance(block, dict) else None


def _final_usage(closing: Closing, service_tier: str | None, reported: object = None) -> Fields:
    """Counts and costs, and whatever else the provider reported beside them."""
    usage = usage_fields(
        closing.usage, closing.charge, is_byok=closing.is_byok, service_tier=service_tier
    )
    if isinstance(reported, dict):
        usage.update(
            (name, value)
            for name, value in reported.items()
            if name not in _OWN_COUNTS and value is not None
        )
    return usage
