"""Pieces of a text in a stream of Messages events, recognised without being parsed.

Anthropic writes each of them the same way but for the text itself, and for blanks before the last brace that
hide how long it is. So what begins with exactly that, ends with two braces and has one text in JSON between
them says nothing else. Who writes it in another way is parsed.
"""

from __future__ import annotations

from fairlead.core.chat import Likeness, WireFormat
from fairlead.wire.json_text import text_between

__all__ = ["TextPieces"]


class TextPieces:
    """Those of the block with this index."""

    __slots__ = ("_before", "_start", "index", "likeness")

    def __init__(self, index: int) -> None:
        before = (
            b'{"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":' % index
        )
        self.index = index
        self.likeness = Likeness(WireFormat.ANTHROPIC_MESSAGES, before, b"}}")
        self._before = before + b'"'
        self._start = len(self._before)

    def text_in(self, data: bytes) -> str | None:
        """The text of such a piece, never empty; None: it is none, or only parsing can tell."""
        if not data.startswith(self._before):
            return None
        end = data.rfind(b'"')
        if data[end + 1 :].replace(b" ", b"") != b"}}":
            return None
        try:
            return text_between(data[self._start : end].decode()) or None
        except UnicodeDecodeError:
            return None
