"""Messages that came in another format, as every provider of the OpenAI format takes them.

Other formats say more than this one has places for. What has none is put where its meaning is kept:

- a tool's result is text; what else it holds follows in a message of the user, behind the last result of
  the same turn, because nothing may come between them;
- several texts of the system, the assistant or a tool are one string, which is all that many servers take;
- parts of another format that we do not know, and that a tool failed, are not said at all.

Marks for caching need parts to stand on: where a provider takes them, parts that are marked stay parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from fairlead.core.chat import (
    AssistantMessage,
    DeveloperMessage,
    Message,
    OtherPart,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    Tool,
    ToolMessage,
    UserMessage,
)

__all__ = ["messages_for_openai", "tools_for_openai"]

_ATTACHED: Final = "(The result is attached to the next message.)"

Content = str | list[Part]


def messages_for_openai(messages: Iterable[Message], *, keeps_marks: bool) -> list[Message]:
    """keeps_marks: whether the provider takes marks for caching."""
    adapted: list[Message] = []
    attached: list[Part] = []  # of the results of this turn
    for message in messages:
        if attached and not isinstance(message, ToolMessage):
            adapted.append(UserMessage(attached))
            attached = []
        match message:
            case ToolMessage():
                adapted.append(_result(message, attached, keeps_marks=keeps_marks))
            case AssistantMessage():
                adapted.append(_answer(message, keeps_marks=keeps_marks))
            case SystemMessage() | DeveloperMessage():
                adapted.extend(_instructions(message, keeps_marks=keeps_marks))
            case UserMessage(content=list(parts)):
                adapted.append(replace(message, content=_known(parts) or ""))
            case _:
                adapted.append(message)
    if attached:
        adapted.append(UserMessage(attached))
    return adapted


def tools_for_openai(tools: Sequence[Tool], *, keeps_marks: bool) -> list[Tool]:
    """Tools that the caller runs, in the form in which all know them."""
    functions = [tool for tool in tools if tool.function is not None]
    if keeps_marks:
        return functions
    return [replace(tool, cache_control=None) for tool in functions]


def _result(message: ToolMessage, attached: list[Part], *, keeps_marks: bool) -> ToolMessage:
    content = message.content
    if isinstance(content, list):
        known = _known(content)
        texts: list[Part] = [part for part in known if isinstance(part, TextPart)]
        others = [part for part in known if not isinstance(part, TextPart)]
        if others:
            attached.append(TextPart(f"Result of the call {message.tool_call_id}:"))
            attached.extend(others)
        content = _joined(texts, "\n", keeps_marks=keeps_marks) or (_ATTACHED if others else "")
    return replace(message, content=content, is_error=None)


def _answer(message: AssistantMessage, *, keeps_marks: bool) -> AssistantMessage:
    content = message.content
    if not isinstance(content, list):
        return message
    # Of parts an answer may hold these two; its texts are pieces of one.
    said = [part for part in content if isinstance(part, TextPart | RefusalPart)]
    joined = _joined(said, "", keeps_marks=keeps_marks)
    return replace(message, content=joined or (None if message.tool_calls else ""))


def _instructions(message: SystemMessage | DeveloperMessage, *, keeps_marks: bool) -> list[Message]:
    """The message, or none if nothing is left of it."""
    content = message.content
    if isinstance(content, list):
        content = _joined(_known(content), "\n\n", keeps_marks=keeps_marks)
    return [replace(message, content=content)] if content else []


def _known(parts: Iterable[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, OtherPart)]


def _joined(parts: Sequence[Part], between: str, *, keeps_marks: bool) -> Content:
    """One text if the parts are texts and nothing more is to be kept of them."""
    texts: list[str] = []
    for part in parts:
        if not isinstance(part, TextPart) or (keeps_marks and part.cache_control is not None):
            return list(parts)
        texts.append(part.text)
    return between.join(texts)
