"""A reasoning item of the Responses format, built from pieces of our `reasoning_details`.

A summary goes into `summary`, plain reasoning into `content`, what is encrypted into `encrypted_content`.
`format`, `signature` and `server_tool_call` are the gateway's extensions: with them a caller can hand back
the reasoning of any provider unharmed. A signature or encrypted content ends an item, as it does for those
who made it; a call that the provider ran while it reasoned is an item of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.dialects.responses_listener import Listener
from fairlead.dialects.responses_object import Fields

__all__ = ["ReasoningItem"]

_TEXT: Final = "reasoning.text"
_SUMMARY: Final = "reasoning.summary"
_ENCRYPTED: Final = "reasoning.encrypted"
_SERVER_CALL: Final = "reasoning.server_tool_call"
_COMMON: Final = frozenset({"type", "id", "format", "index"})


class _Part:
    """One summary or one text in progress. index: the detail's own, by which pieces find their part."""

    __slots__ = ("index", "pieces")

    def __init__(self, index: object) -> None:
        self.index = index
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class ReasoningItem:
    """Open one for the first detail, ask whether it `takes` the next, and `add` it."""

    __slots__ = (
        "_content",
        "_detail_id",
        "_encrypted",
        "_format",
        "_id",
        "_index",
        "_listener",
        "_open",
        "_server_call",
        "_signature",
        "_summary",
    )

    def __init__(
        self, item_id: str, index: int, listener: Listener, first: Mapping[str, object]
    ) -> None:
        self._detail_id = _word(first.get("id"))
        self._id = item_id
        self._format = _word(first.get("format"))
        self._index = index
        self._listener = listener
        self._summary: list[_Part] = []
        self._content: list[_Part] = []
        self._open: str | None = None  # the type of details whose last part is being told
        self._encrypted: str | None = None
        self._signature: str | None = None
        self._server_call: Fields | None = None
        item: Fields = {"id": self._id, "type": "reasoning", "summary": []}
        listener.event("response.output_item.added", {"output_index": index, "item": item})

    @staticmethod
    def has_content(detail: Mapping[str, object]) -> bool:
        """Whether there is anything in it that this format can tell."""
        kind = detail.get("type")
        if kind == _ENCRYPTED:
            return bool(detail.get("data"))
        if kind == _SUMMARY:
            return bool(detail.get("summary"))
        if kind == _SERVER_CALL:
            return True
        return kind == _TEXT and bool(detail.get("text") or detail.get("signature"))

    def takes(self, detail: Mapping[str, object]) -> bool:
        """Whether this detail is of the same item."""
        found_id = _word(detail.get("id"))
        if found_id is not None and found_id != self._detail_id:
            return False
        if _word(detail.get("format")) != self._format:
            return False
        kind = detail.get("type")
        if kind == _SERVER_CALL or self._server_call is not None:
            return False
        if kind == _ENCRYPTED:
            return self._encrypted is None and self._signature is None
        if found_id is not None:
            return True
        if self._signature is not None or self._encrypted is not None:
            return False
        parts = self._summary if kind == _SUMMARY else self._content
        return kind == _SUMMARY or not parts or parts[-1].index == detail.get("index")

    def add(self, detail: Mapping[str, object]) -> None:
        match detail.get("type"):
            case "reasoning.encrypted":
                self._encrypted = _word(detail.get("data"))
            case "reasoning.server_tool_call":
                self._server_call = {
                    name: value for name, value in detail.items() if name not in _COMMON
                }
            case "reasoning.summary":
                self._say(_SUMMARY, detail, self._summary, _word(detail.get("summary")))
            case "reasoning.text":
                self._say(_TEXT, detail, self._content, _word(detail.get("text")))
                self._signature = _word(detail.get("signature")) or self._signature

    def close(self, status: str) -> None:  # noqa: ARG002 — an item of this type has none
        self._close_part()
        self._listener.event(
            "response.output_item.done", {"output_index": self._index, "item": self.fields()}
        )

    def abandon(self) -> None:
        """The answer broke off: nothing is to be told."""

    def fields(self) -> Fields:
        fields: Fields = {
            "id": self._id,
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": part.text} for part in self._summary],
        }
        if self._content:
            fields["content"] = [
                {"type": "reasoning_text", "text": part.text} for part in self._content
            ]
        extras: Fields = {
            "server_tool_call": self._server_call,
            "encrypted_content": self._encrypted,
            "signature": self._signature,
            "format": self._format,
        }
        fields.update({name: value for name, value in extras.items() if value is not None})
        return fields

    # --- parts ---

    def _say(
        self, kind: str, detail: Mapping[str, object], parts: list[_Part], text: str | None
    ) -> None:
        if text is None:
            return
        index = detail.get("index")
        if self._open != kind or parts[-1].index != index:
            self._close_part()
            parts.append(_Part(index))
            self._open = kind
            added = "content_part" if kind == _TEXT else "reasoning_summary_part"
            self._tell(f"{added}.added", {"part": self._part("")})
        parts[-1].pieces.append(text)
        told = "reasoning_text" if kind == _TEXT else "reasoning_summary_text"
        self._tell(f"{told}.delta", {"delta": text})

    def _close_part(self) -> None:
        if self._open is None:
            return
        is_text = self._open == _TEXT
        text = (self._content if is_text else self._summary)[-1].text
        self._tell(
            "reasoning_text.done" if is_text else "reasoning_summary_text.done", {"text": text}
        )
        self._tell(
            "content_part.done" if is_text else "reasoning_summary_part.done",
            {"part": self._part(text)},
        )
        self._open = None

    def _part(self, text: str) -> Fields:
        return {"type": "reasoning_text" if self._open == _TEXT else "summary_text", "text": text}

    def _tell(self, kind: str, fields: Fields) -> None:
        place: Fields = {"item_id": self._id, "output_index": self._index}
        if self._open == _TEXT:
            place["content_index"] = len(self._content) - 1
        else:
            place["summary_index"] = len(self._summary) - 1
        self._listener.event(f"response.{kind}", {**place, **fields})


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
