"""Answers of Bedrock's Converse as they are written: blocks whole, or begun and continued in a stream.

Types only. Any field may be missing or null; unknown fields are skipped, padding (`p`) among them.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html and the pages
of its parts (read 2026-11-21), and recorded traffic.
"""

from __future__ import annotations

import msgspec

from fairlead.core.chat import ABSENT

__all__ = [
    "CacheDetail",
    "Citation",
    "Citations",
    "Delta",
    "Image",
    "ImageDelta",
    "ReasoningDelta",
    "Source",
    "Start",
    "Text",
    "TokenUsage",
    "ToolArguments",
    "ToolResult",
    "ToolUse",
    "WholeBlock",
]


class ToolUse(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """type: "server_tool_use" where Bedrock makes the call itself. input: the whole arguments, as JSON."""

    tool_use_id: str | None = None
    name: str | None = None
    type: str | None = None
    input: msgspec.Raw = ABSENT


class ToolResult(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What Bedrock's own tool said."""

    tool_use_id: str | None = None
    type: str | None = None
    status: str | None = None
    content: list[msgspec.Raw] | None = None


class Source(msgspec.Struct, frozen=True, gc=False):
    """bytes: base64."""

    bytes: str | None = None


class Image(msgspec.Struct, frozen=True, gc=False):
    """As the start of a block it has no source yet."""

    format: str | None = None
    source: Source | None = None


class Text(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None


class Web(msgspec.Struct, frozen=True, gc=False):
    url: str | None = None


class Location(msgspec.Struct, frozen=True, gc=False):
    """Places inside of documents are left out: they have no counterpart elsewhere."""

    web: Web | None = None


class Citation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    title: str | None = None
    source: str | None = None
    source_content: list[Text] | None = None
    location: Location | None = None


class Citations(msgspec.Struct, frozen=True, gc=False):
    """content: the words that the citations stand behind."""

    content: list[Text] | None = None
    citations: list[Citation] | None = None


class ReasoningText(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None
    signature: str | None = None


class Reasoning(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """redacted_content: base64 of the model's own data."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class WholeBlock(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One block of a whole answer: one of these."""

    text: str | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolResult | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Citations | None = None
    image: Image | None = None


class Start(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a block of a stream begins as; text and thoughts begin without saying so."""

    tool_use: ToolUse | None = None
    tool_result: ToolResult | None = None
    image: Image | None = None


class ToolArguments(msgspec.Struct, frozen=True, gc=False):
    """A piece of the arguments' JSON text."""

    input: str | None = None


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class ImageDelta(msgspec.Struct, frozen=True, gc=False):
    source: Source | None = None


class Delta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a block of a stream goes on with: one of these."""

    text: str | None = None
    tool_use: ToolArguments | None = None
    tool_result: list[msgspec.Raw] | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: Citation | None = None
    image: ImageDelta | None = None


class CacheDetail(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Tokens written to the cache, by how long they are kept."""

    ttl: str | None = None
    input_tokens: int | None = None


class TokenUsage(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[CacheDetail] | None = None
