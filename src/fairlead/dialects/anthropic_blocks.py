"""Content blocks of the Anthropic Messages format, read into messages and parts of our vocabulary.

A block is read in two steps: first its type, then the rest by that type, so that what is wrong is named
with its path and what we do not know is kept as it was written.

One text and nothing else is a plain string, which every provider takes. Documents that are text become
text, title and context first: no format but this one has them otherwise. A search result is read out in
the same way. The mark for caching on a tool result moves to its last part, there being no other place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from fairlead.core.chat import (
    ABSENT,
    AssistantMessage,
    CacheControl,
    FileData,
    FilePart,
    FunctionCall,
    ImagePart,
    ImageUrl,
    Message,
    OtherPart,
    Part,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from fairlead.dialects.reading import wrong, wrong_type
from fairlead.wire.anthropic_reasoning import redacted_detail, thinking_detail

__all__ = ["Fragment", "assistant_message", "parts_of", "user_messages"]

_PDF: Final = "application/pdf"
_PDF_NAME: Final = "document.pdf"  # formats that want a name for a file get this one


@dataclass(frozen=True, slots=True)
class Fragment:
    """One block as it was written, and where. path: as "messages[0].content[1]"."""

    raw: msgspec.Raw
    path: str


# --- blocks as they are written -----------------------------------------------------------------------


class _Kind(msgspec.Struct, frozen=True):
    type: str


class _Text(msgspec.Struct, frozen=True):
    text: str
    cache_control: CacheControl | None = None


class _Source(msgspec.Struct, frozen=True):
    """type: base64, url, file, text or content."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[msgspec.Raw] | None = None


class _Image(msgspec.Struct, frozen=True):
    source: _Source
    cache_control: CacheControl | None = None


class _Document(msgspec.Struct, frozen=True):
    source: _Source
    title: str | None = None
    context: str | None = None
    cache_control: CacheControl | None = None


class _SearchResult(msgspec.Struct, frozen=True):
    source: str
    title: str
    content: list[_Text]
    cache_control: CacheControl | None = None


class _ToolUse(msgspec.Struct, frozen=True):
    id: str
    name: str
    input: msgspec.Raw = ABSENT


class _ToolResult(msgspec.Struct, frozen=True):
    tool_use_id: str
    content: str | list[msgspec.Raw] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class _Thinking(msgspec.Struct, frozen=True):
    thinking: str
    signature: str | None = None


class _RedactedThinking(msgspec.Struct, frozen=True):
    data: str


_read_kind: Final = msgspec.json.Decoder(_Kind).decode
_read_text: Final = msgspec.json.Decoder(_Text).decode
_read_image: Final = msgspec.json.Decoder(_Image).decode
_read_document: Final = msgspec.json.Decoder(_Document).decode
_read_search_result: Final = msgspec.json.Decoder(_SearchResult).decode
_read_tool_use: Final = msgspec.json.Decoder(_ToolUse).decode
_read_tool_result: Final = msgspec.json.Decoder(_ToolResult).decode
_read_thinking: Final = msgspec.json.Decoder(_Thinking).decode
_read_redacted_thinking: Final = msgspec.json.Decoder(_RedactedThinking).decode

_encode: Final = msgspec.json.Encoder().encode


_Block = TypeVar("_Block")


def _read(decode: Callable[[msgspec.Raw], _Block], fragment: Fragment) -> _Block:
    """Raises RequestInvalid with the whole path."""
    try:
        return decode(fragment.raw)
    except msgspec.ValidationError as error:
        raise wrong_type(error, within=fragment.path) from None


# --- messages -----------------------------------------------------------------------------------------


def user_messages(blocks: str | list[Fragment]) -> list[Message]:
    """What one message of the user says: each tool's result, then the rest."""
    if isinstance(blocks, str):
        return [UserMessage(blocks)]
    results: list[Message] = []
    others: list[Fragment] = []
    for block in blocks:
        if _read(_read_kind, block).type == "tool_result":
            results.append(_tool_message(block))
        else:
            others.append(block)
    if others or not results:
        return [*results, UserMessage(parts_of(others))]
    return results


def _tool_message(block: Fragment) -> ToolMessage:
    result = _read(_read_tool_result, block)
    content: str | list[Part]
    if result.content is None or isinstance(result.content, str):
        content = result.content or ""
    else:
        content = parts_of(
            Fragment(raw, f"{block.path}.content[{position}]")
            for position, raw in enumerate(result.content)
        )
    if result.cache_control is not None:
        content = _marked(content, result.cache_control)
    return ToolMessage(content, tool_call_id=result.tool_use_id, is_error=result.is_error)


def _marked(content: str | list[Part], cache_control: CacheControl) -> str | list[Part]:
    """The content with a mark for caching at its end, if it has none there."""
    if isinstance(content, str):
        return [TextPart(content, cache_control)] if content else content
    last = content[-1]
    if isinstance(last, TextPart | ImagePart | FilePart) and last.cache_control is None:
        return [*content[:-1], msgspec.structs.replace(last, cache_control=cache_control)]
    return content


def assistant_message(blocks: list[Fragment]) -> AssistantMessage:
    """An earlier answer: its words, its images, its calls and its reasoning."""
    said: list[Part] = []
    images: list[ImagePart] = []
    calls: list[ToolCall] = []
    details: list[dict[str, object]] = []
    for block in blocks:
        match _read(_read_kind, block).type:
            case "tool_use":
                calls.append(_tool_call(block))
            case "thinking":
                thought = _read(_read_thinking, block)
                signed = thought.signature or ""
                details.append(thinking_detail(thought.thinking, signed, len(details)))
            case "redacted_thinking":
                redacted = _read(_read_redacted_thinking, block)
                details.append(redacted_detail(redacted.data, len(details)))
            case "image":  # made by a model: no provider takes one among the words of an answer
                made = _image(block)
                if isinstance(made, ImagePart):
                    images.append(made)
                else:
                    said.append(made)
            case kind:
                said.extend(_parts(kind, block))
    told = (detail.get("text") or detail.get("summary") for detail in details)
    thoughts = "".join(text for text in told if isinstance(text, str))
    content = _simplified(said)
    return AssistantMessage(
        content=content or (None if calls else ""),
        tool_calls=calls or None,
        images=images or None,
        reasoning=thoughts or None,
        reasoning_details=[_raw_fields(detail) for detail in details] or None,
    )


def _tool_call(block: Fragment) -> ToolCall:
    use = _read(_read_tool_use, block)
    arguments = bytes(use.input).decode()
    if arguments in ("", "null"):
        arguments = "{}"
    if not arguments.startswith("{"):
        raise wrong(f"{block.path}.input", "must be an object")
    return ToolCall(function=FunctionCall(use.name, arguments), id=use.id)


def _raw_fields(detail: dict[str, object]) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(_encode(value)) for name, value in detail.items()}


# --- parts --------------------------------------------------------------------------------------------


def parts_of(blocks: Iterable[Fragment]) -> str | list[Part]:
    """The parts that these blocks tell; one plain text is a string."""
    parts: list[Part] = []
    for block in blocks:
        parts.extend(_parts(_read(_read_kind, block).type, block))
    return _simplified(parts)


def _simplified(parts: list[Part]) -> str | list[Part]:
    if not parts:
        return ""
    only = parts[0]
    if len(parts) == 1 and isinstance(only, TextPart) and only.cache_control is None:
        return only.text
    return parts


def _parts(kind: str, block: Fragment) -> list[Part]:
    match kind:
        case "text":
            text = _read(_read_text, block)
            return [TextPart(text.text, text.cache_control)]
        case "image":
            return [_image(block)]
        case "document":
            return _document(block)
        case "search_result":
            return [_search_result(block)]
        case _:
            return [OtherPart(block.raw)]


def _image(block: Fragment) -> Part:
    image = _read(_read_image, block)
    source = image.source
    match source.type:
        case "base64":
            url = _data_url(source, block.path, "image/png")
        case "url":
            url = _needed(source.url, f"{block.path}.source.url")
        case _:  # a file that lies at one provider
            return OtherPart(block.raw)
    return ImagePart(ImageUrl(url), image.cache_control)


def _document(block: Fragment) -> list[Part]:
    document = _read(_read_document, block)
    source, path = document.source, f"{block.path}.source"
    match source.type:
        case "base64":
            data = FileData(document.title or _PDF_NAME, _data_url(source, block.path, _PDF))
        case "url":
            data = FileData(document.title, _needed(source.url, f"{path}.url"))
        case "file":
            data = FileData(document.title, file_id=_needed(source.file_id, f"{path}.file_id"))
        case "text":
            text = _needed(source.data, f"{path}.data")
            return [TextPart(_titled(document, text), document.cache_control)]
        case "content":
            return _document_content(document, path)
        case _:
            return [OtherPart(block.raw)]
    file = FilePart(data, document.cache_control)
    return [TextPart(document.context), file] if document.context else [file]


def _document_content(document: _Document, path: str) -> list[Part]:
    """A document that consists of blocks itself."""
    content = document.source.content
    if content is None:
        raise wrong(f"{path}.content", "is required")
    if isinstance(content, str):
        return [TextPart(_titled(document, content), document.cache_control)]
    inside = parts_of(
        Fragment(raw, f"{path}.content[{position}]") for position, raw in enumerate(content)
    )
    parts: list[Part] = [TextPart(inside)] if isinstance(inside, str) else inside
    if heading := _titled(document, ""):
        parts = [TextPart(heading), *parts]
    if document.cache_control is None:
        return parts
    marked = _marked(parts, document.cache_control)
    assert not isinstance(marked, str)  # it was a list
    return marked


def _search_result(block: Fragment) -> Part:
    found = _read(_read_search_result, block)
    text = "\n".join([found.title, found.source, "", *(piece.text for piece in found.content)])
    return TextPart(text, found.cache_control)


def _titled(document: _Document, text: str) -> str:
    return "\n\n".join(filter(None, (document.title, document.context, text)))


def _data_url(source: _Source, path: str, media_type: str) -> str:
    """media_type: where the source names none."""
    data = _needed(source.data, f"{path}.source.data")
    return f"data:{source.media_type or media_type};base64,{data}"


def _needed(value: str | None, path: str) -> str:
    if value is None:
        raise wrong(path, "is required")
    return value
