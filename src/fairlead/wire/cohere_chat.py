"""Answers of Cohere's chat, version 2, as they are written: whole, or as the events of a stream.

Types only. Any field may be missing or null, unknown ones are skipped. Counts come as integers or as floats.

Source: https://docs.cohere.com/reference/chat and https://docs.cohere.com/reference/chat-stream (read
2026-11-21), and recorded traffic.
"""

from __future__ import annotations

import msgspec

from fairlead.core.chat import ABSENT

__all__ = [
    "Answer",
    "AnswerMessage",
    "Citation",
    "Content",
    "Counts",
    "Delta",
    "DeltaMessage",
    "Function",
    "Logprobs",
    "Source",
    "StreamEvent",
    "Titled",
    "ToolCall",
    "Usage",
]


class Function(msgspec.Struct, frozen=True, gc=False):
    """arguments: JSON text; in a stream, a piece of it."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None
    function: Function | None = None


class Content(msgspec.Struct, frozen=True, gc=False):
    """type: text or thinking; a delta does not repeat it."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class Titled(msgspec.Struct, frozen=True, gc=False):
    """What a document or a tool's output calls itself, if it does so in words."""

    title: msgspec.Raw = ABSENT
    url: msgspec.Raw = ABSENT


class Source(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None
    document: Titled | None = None
    tool_output: Titled | None = None


class Citation(msgspec.Struct, frozen=True, gc=False):
    """start, end: characters of the text, unless `type` says that it is of the plan or the thoughts."""

    start: int | None = None
    end: int | None = None
    text: str | None = None
    type: str | None = None
    sources: list[Source] | None = None


class Counts(msgspec.Struct, frozen=True, gc=False):
    """input_tokens: without images, if `image_tokens` are told."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    reasoning_tokens: float | None = None
    image_tokens: float | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """billed_units: what costs. tokens: what the model read and wrote, Cohere's own words included.

    cached_tokens: of all that was read.
    """

    billed_units: Counts | None = None
    tokens: Counts | None = None
    cached_tokens: float | None = None


class Logprobs(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None
    logprobs: list[float] | None = None


class AnswerMessage(msgspec.Struct, frozen=True, gc=False):
    content: list[Content] | None = None
    tool_plan: str | None = None
    tool_calls: list[ToolCall] | None = None
    citations: list[Citation] | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """finish_reason: required, for that is how an answer is known from anything else."""

    finish_reason: str
    id: str | None = None
    message: AnswerMessage | None = None
    usage: Usage | None = None
    logprobs: list[Logprobs] | None = None
    error: str | None = None
    error_type: str | None = None


class DeltaMessage(msgspec.Struct, frozen=True, gc=False):
    """One thing each, where a whole message has lists; the lists are empty ones at the start."""

    content: Content | list[msgspec.Raw] | None = None
    tool_plan: str | None = None
    tool_calls: ToolCall | list[msgspec.Raw] | None = None
    citations: Citation | list[msgspec.Raw] | None = None


class Delta(msgspec.Struct, frozen=True, gc=False):
    message: DeltaMessage | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    error: str | None = None
    error_type: str | None = None


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """index: of the content or the call that it is about."""

    type: str | None = None
    id: str | None = None
    index: int | None = None
    delta: Delta | None = None
    logprobs: Logprobs | None = None
    message: str | None = None  # of an error
