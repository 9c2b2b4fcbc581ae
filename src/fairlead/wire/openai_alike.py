"""Chunks of a stream that are alike: most differ from the one before in nothing but their text.

Such a chunk need not be parsed: if it begins and ends with the same bytes as one that was parsed, and
between them is one text in JSON and nothing else, then what it says differs in that text alone. `Alike` is
made from a parsed chunk, by trial: the text in its bytes is exchanged, and it is taken only if parsing then
gives the same with the text exchanged.

Some providers pad every chunk at random, so that its length tells nothing of its text. Their chunks differ
in two texts, of which the second means nothing; what is between the two is the same again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import Likeness, PlainEvent, TextDelta, WireFormat
from fairlead.wire.json_text import text_between

__all__ = ["PADDING", "Alike", "alike"]

PADDING: Final = ("obfuscation", "p")  # OpenAI's name of it, and Mistral's

_OTHER_TEXT: Final = "another text"
_OTHER_PADDING: Final = "another padding"
_MARK: Final = "\x00the text"  # not a text that chunks have
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class Alike:
    """Recognises chunks that are like one that was parsed.

    before, after: their first and last bytes, up to the text and from its end (or the end of the padding).
    between: from the end of the text to the padding; "" if they are not padded.
    """

    __slots__ = ("_after", "_before", "_between", "_end", "_start", "likeness")

    def __init__(self, before: bytes, between: str, after: bytes, likeness: Likeness) -> None:
        self._before = before
        self._between = between
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
        if self._between:
            # It holds quotes without a backslash before them, and no text does: it is where it is found first.
            text, between, padding = text.partition(self._between)
            if not between or text_between(padding) is None:
                return None
        return text_between(text) or None


def alike(data: bytes, fields: dict[str, object], meaning: tuple[PlainEvent, ...]) -> Alike | None:
    """What recognises chunks like this one; None if it says more than one text.

    A role, or empty stand-ins, are no hindrance: they are the same in all that are alike.

    data: the chunk as it came. fields, meaning: what the reader has made of it.
    """
    if len(meaning) != 1:
        return None
    delta = meaning[0]
    if type(delta) is not TextDelta or delta.logprobs is not None:
        return None
    choices = fields["choices"]
    assert isinstance(choices, list)  # the reader has made it one
    said = choices[0].get("delta") if len(choices) == 1 else None
    if not isinstance(said, dict) or said.get("content") != delta.text:
        return None
    expected = _decode(data)
    written = expected["choices"][0].get("delta")
    if not isinstance(written, dict) or written.get("content") != delta.text:
        return None  # it stood elsewhere, or in parts
    written["content"] = _OTHER_TEXT
    before, quoted, after = data.partition(b'"' + delta.text.encode() + b'"')
    if not quoted:
        return None
    before, between, after = before + b'"', b"", b'"' + after
    tried = before + _OTHER_TEXT.encode() + after
    for name in PADDING:
        padding = expected.get(name)
        if isinstance(padding, str):
            between, quoted, after = after.partition(b'"' + padding.encode() + b'"')
            if not quoted:
                return None
            between, after = between + b'"', b'"' + after
            tried = before + _OTHER_TEXT.encode() + between + _OTHER_PADDING.encode() + after
            expected[name] = _OTHER_PADDING
            break
    try:
        if _decode(tried) != expected:
            return None  # it was another text, which happens to be the same
        between_text = between.decode()
        choice = {**choices[0], "delta": {**said, "content": _MARK}}
        frame = _encode({**fields, "choices": [choice]})
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # it was no text at all: `": "` is also between two others
    except RecursionError:
        return None  # it is nested as deeply as can just be read
    start, *rest = frame.split(_encode(_MARK))
    if len(rest) != 1:
        return None
    likeness = Likeness(WireFormat.OPENAI_CHAT, start, rest[0], delta.choice)
    return Alike(before, between_text, after, likeness)
