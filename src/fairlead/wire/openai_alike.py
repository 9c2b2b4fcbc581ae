"""Chunks of a stream that are alike: most differ from the one before in nothing but their text.

Such a chunk need not be parsed: if it begins and ends with the same bytes as one that was parsed, and
between them is a text in JSON that holds no quote, no escape and nothing unprintable, then what it says
differs in that text alone. `Alike` is made from a parsed chunk, by trial: the text in its bytes is exchanged,
and it is taken only if parsing then gives the same with the text exchanged.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import Likeness, PlainEvent, TextDelta, WireFormat

__all__ = ["Alike", "alike"]

_OTHER_TEXT: Final = "another text"
_decode: Final = msgspec.json.Decoder().decode


class Alike:
    """Recognises chunks that are like one that was parsed."""

    __slots__ = ("_after", "_before", "_end", "_start", "likeness")

    def __init__(self, before: bytes, after: bytes, likeness: Likeness) -> None:
        self._before = before
        self._after = after
        self._start = len(before)
        self._end = -len(after)
        self.likeness = likeness

    def text_in(self, data: bytes) -> str | None:
        """The text of a chunk that is like ours, never empty; None: it is not, or only parsing can tell."""
        if not (data.startswith(self._before) and data.endswith(self._after)):
            return None
        try:
            text = data[self._start : self._end].decode()
        except UnicodeDecodeError:
            return None
        if text and text.isprintable() and '"' not in text and "\\" not in text:
            return text
        return None


def alike(data: bytes, fields: dict[str, object], meaning: tuple[PlainEvent, ...]) -> Alike | None:
    """What recognises chunks like this one; None if it is not of text alone.

    data: the chunk as it came. fields, meaning: what the reader has made of it.
    """
    if len(meaning) != 1:
        return None
    delta = meaning[0]
    if type(delta) is not TextDelta or delta.logprobs is not None:
        return None
    choices = fields["choices"]
    assert isinstance(choices, list)  # the reader has made it one
    if len(choices) != 1 or choices[0].get("delta") != {"content": delta.text}:
        return None
    before, quoted, after = data.partition(b'"' + delta.text.encode() + b'"')
    if not quoted:
        return None
    before, after = before + b'"', b'"' + after
    expected = _decode(data)
    expected["choices"][0]["delta"]["content"] = _OTHER_TEXT
    try:
        if _decode(before + _OTHER_TEXT.encode() + after) != expected:
            return None  # it was another text, which happens to be the same
    except msgspec.DecodeError:
        return None  # it was no text at all: `": "` is also between two others
    return Alike(
        before,
        after,
        Likeness(
            WireFormat.OPENAI_CHAT,
            envelope={**fields, "choices": None},
            choice={**choices[0], "delta": None},
            index=delta.choice,
        ),
    )
