"""Which model gave the last answer of a conversation, as its messages say. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ChatRequest

__all__ = ["model_of_last_answer"]


class _Message(msgspec.Struct, frozen=True, gc=False):
    role: str = ""
    model: str | None = None


_read: Final = msgspec.json.Decoder(list[_Message]).decode
_NO_MESSAGES: Final = msgspec.Raw(b"[]")


def model_of_last_answer(request: ChatRequest) -> str | None:
    """The `model` that the caller kept of the last assistant message; None if he kept none.

    It reads the messages once more, so it is for requests that ask for it: `Asked.earlier`.
    """
    try:
        messages = _read(request.fields.get("messages", _NO_MESSAGES))
    except msgspec.ValidationError:
        return None
    for message in reversed(messages):
        if message.role == "assistant":
            return message.model
    return None
