"""Reasoning items as blocks of the Anthropic Messages format, and back, whoever wrote them.

Callers of this format return thinking blocks as they got them, and know three things about one: its text,
its signature and, instead of both, redacted data. What Claude wrote needs no more. An item of another
format has an id, a format and perhaps encrypted data, which its author wants back in the next turn, so
they travel inside the signature or the data: a mark that no provider writes, then the item's other fields
as base64 of JSON. Whoever reads such a block restores the item and never takes it for Claude's.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["NATIVE_FORMAT", "redacted_data", "redacted_detail", "signature", "thinking_detail"]

NATIVE_FORMAT: Final = "anthropic-claude-v1"
_UNKNOWN_FORMAT: Final = "unknown"
_MARK: Final = "fairlead.reasoning:"
_TEXTS: Final = frozenset({"text", "summary"})

_encode: Final = msgspec.json.Encoder().encode
_decode_fields: Final = msgspec.json.Decoder(dict[str, object]).decode


def signature(detail: Mapping[str, object]) -> str:
    """What stands in for the item's signature in a `thinking` block; "" if it is text and nothing more.

    detail: an item of type `reasoning.text` or `reasoning.summary`; its text is told apart from this.
    """
    own = detail.get("signature")
    own = own if isinstance(own, str) else ""
    written_by = detail.get("format") or NATIVE_FORMAT
    is_text = detail.get("type") == "reasoning.text"
    if written_by == NATIVE_FORMAT and is_text:
        return own
    if written_by == _UNKNOWN_FORMAT and is_text and not own and detail.get("id") is None:
        return ""
    return _packed(detail)


def redacted_data(detail: Mapping[str, object]) -> str:
    """The `data` of a `redacted_thinking` block: for items without a text to show."""
    data = detail.get("data")
    is_native = detail.get("format") in (None, NATIVE_FORMAT)
    if is_native and detail.get("type") == "reasoning.encrypted" and isinstance(data, str):
        return data
    return _packed(detail)


def thinking_detail(text: str, signed: str, index: int) -> dict[str, object]:
    """The item that a `thinking` block tells. index: its place among the reasoning of its message.

    Without a signature it is nobody's that we know: a provider that signs its thoughts would refuse it.
    """
    told = _unpacked(signed)
    if told is not None:
        name = "summary" if told.get("type") == "reasoning.summary" else "text"
        return {**told, name: text}
    detail: dict[str, object] = {"type": "reasoning.text", "text": text}
    if signed:
        detail["signature"] = signed
    detail["format"] = NATIVE_FORMAT if signed else _UNKNOWN_FORMAT
    detail["index"] = index
    return detail


def redacted_detail(data: str, index: int) -> dict[str, object]:
    """The item that a `redacted_thinking` block holds."""
    told = _unpacked(data)
    if told is not None:
        return told
    return {"type": "reasoning.encrypted", "data": data, "format": NATIVE_FORMAT, "index": index}


def _packed(detail: Mapping[str, object]) -> str:
    fields = {name: value for name, value in detail.items() if name not in _TEXTS}
    return _MARK + b64encode(_encode(fields)).decode()


def _unpacked(text: str) -> dict[str, object] | None:
    """The fields that are packed in a text; None if it is no pack of ours."""
    if not text.startswith(_MARK):
        return None
    try:
        fields = _decode_fields(b64decode(text[len(_MARK) :]))
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields.get("type"), str) else None
