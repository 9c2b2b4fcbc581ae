"""What the readers of all dialects share: saying what is wrong with a body, and measuring what is in it."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from fairlead.core.chat import (
    AssistantMessage,
    AudioPart,
    ChatBody,
    Content,
    FilePart,
    ImagePart,
    OtherPart,
    RefusalPart,
    TextPart,
    VideoPart,
)
from fairlead.core.errors import RequestInvalid

__all__ = ["measure", "not_json", "wrong", "wrong_type"]

_PATH: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_TEXT_ONLY: Final[frozenset[str]] = frozenset()


def not_json(body: bytes, error: Exception) -> RequestInvalid:
    """Why the decoder could not read the body at all."""
    if not body.strip():
        return RequestInvalid("The request has no body; a JSON object is expected.")
    if isinstance(error, RecursionError):
        return RequestInvalid("The request body is nested too deeply.")
    at = _BYTE.search(str(error))
    where = f" at byte {at.group(1)}" if at else ""
    if isinstance(error, UnicodeDecodeError):
        return RequestInvalid("The request body is not valid JSON: it is not UTF-8.")
    if "truncated" in str(error):
        return RequestInvalid(
            f"The request body is not valid JSON: it ends early, at byte {len(body)}."
        )
    return RequestInvalid(f"The request body is not valid JSON{where}.")


def wrong_type(error: msgspec.ValidationError, within: str = "") -> RequestInvalid:
    """msgspec's words in ours: "Expected `str`, got `int` - at `$.messages[0].content`".

    within: path of the value that was decoded, where that was not the whole body.
    """
    found = _PATH.match(str(error))
    what, path = (found["what"], found["path"] or "$") if found else (str(error), "$")
    param = (within + path.removeprefix("$")).removeprefix(".")
    missing = re.fullmatch(r"Object missing required field `([^`]*)`", what)
    if missing:
        param = f"{param}.{missing[1]}" if param else missing[1]
        return RequestInvalid(f"`{param}` is required.", param=param)
    what = what.replace(" | null`", "`").replace("`array`", "`list`")
    if not param:
        return RequestInvalid(f"The request body must be a JSON object: {_lowered(what)}.")
    return RequestInvalid(f"`{param}` is not valid: {_lowered(what)}.", param=param)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def wrong(param: str, rule: str) -> RequestInvalid:
    """param: path of the field. rule: what is asked of it, as "must be at least 1"."""
    return RequestInvalid(f"`{param}` {rule}.", param=param)


def measure(body: ChatBody) -> tuple[frozenset[str], int]:
    """(what the messages contain besides text, characters of text)."""
    characters = 0
    modalities: set[str] = set()
    for message in body.messages or ():
        content = message.content
        if type(content) is str:
            characters += len(content)
        elif content is not None:
            characters += _measure_parts(content, modalities)
        if type(message) is AssistantMessage:
            if message.tool_calls:
                for call in message.tool_calls:
                    if call.function is not None:
                        characters += len(call.function.arguments) + len(call.function.name)
            characters += len(message.reasoning or message.reasoning_content or "")
    prompt = body.prompt
    if prompt is not None:
        if isinstance(prompt, str):
            characters += len(prompt)
        else:
            for item in prompt:
                # A token is counted as one character: an estimate on the low side.
                characters += 1 if isinstance(item, int) else len(item)
    return (frozenset(modalities) if modalities else _TEXT_ONLY), characters


def _measure_parts(content: Content, modalities: set[str]) -> int:
    characters = 0
    for part in content or ():
        match part:
            case TextPart():
                characters += len(part.text)
            case ImagePart():
                modalities.add("image")
            case FilePart():
                modalities.add("file")
            case AudioPart():
                modalities.add("audio")
            case VideoPart():
                modalities.add("video")
            case RefusalPart():
                characters += len(part.refusal)
            case OtherPart() | str():
                pass
    return characters
