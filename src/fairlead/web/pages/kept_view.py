"""What is kept of a call's prompt and answer, as its page shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.core.content import Content

__all__ = ["MESSAGES_MAX", "Kept", "Said", "kept_of"]

MESSAGES_MAX: Final = 40  # of one prompt, the last ones
CHARACTERS_MAX: Final = 20_000  # of one message or answer; the API has all that is kept


@dataclass(frozen=True, slots=True)
class Said:
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Kept:
    """said: in order, the answer last. left_out: how many messages before them are not shown."""

    said: tuple[Said, ...]
    left_out: int


def kept_of(content: Content) -> Kept:
    messages = [] if content.messages is None else msgspec.json.decode(content.messages, type=list)
    said = [_message(one) for one in messages[-MESSAGES_MAX:]]
    rest = (
        ("Prompt", content.prompt),
        ("Reasoning", content.reasoning),
        ("Answer", content.completion),
        ("Error", None if content.error is None else content.error.message),
    )
    said += [Said(who, _short(text)) for who, text in rest if text]
    return Kept(tuple(said), max(0, len(messages) - MESSAGES_MAX))


def _message(message: object) -> Said:
    """In the shape of chat; of what is in none, as it is."""
    if not isinstance(message, dict):
        return Said("Message", _short(_as_json(message)))
    role = message.get("role")
    who = role.capitalize() if isinstance(role, str) else "Message"
    return Said(who, _short("\n\n".join(_texts(message))))


def _texts(message: dict[str, object]) -> Iterator[str]:
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]
        elif isinstance(part, dict):
            yield f"[{part.get('type', 'part')}]"  # a picture, a file, sound
    if message.get("tool_calls"):
        yield _as_json(message["tool_calls"])


def _as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _short(text: str) -> str:
    return text if len(text) <= CHARACTERS_MAX else text[:CHARACTERS_MAX] + "…"
