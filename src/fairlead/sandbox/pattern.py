"""A short text that matches a plain regular expression, for the `pattern` of a JSON schema.

Understood: literal characters, classes, `\\d \\w \\s`, `.`, groups, alternation, anchors at the ends and
the quantifiers. Look-around, back references and word borders are not.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["PatternUnsupported", "match_for"]

_REPEATS_MAX: Final = 4_096
_CLASSES: Final = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_QUANTIFIER: Final = re.compile(r"[*+?]|\{(\d+)(,?)(\d*)\}")


class PatternUnsupported(ValueError):
    """No text was found."""


def match_for(pattern: str, *, length_min: int, length_max: int) -> str:
    """A text of a length within the bounds that the pattern finds. Raises PatternUnsupported."""
    try:
        found = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternUnsupported(f"not a pattern that we can read: {error}") from error
    for stretch in dict.fromkeys((0, *range(1, 33), length_min)):
        text, rest = _Reader(pattern, stretch).alternation(0)
        if rest != len(pattern):
            raise PatternUnsupported("the pattern ends too early")
        for candidate in (text, text.ljust(length_min, "a")):
            if length_min <= len(candidate) <= length_max and found.search(candidate):
                return candidate
    raise PatternUnsupported("no short text matches")


class _Reader:
    """Reads a pattern and writes a match as it goes. stretch: extra rounds for each open quantifier."""

    def __init__(self, pattern: str, stretch: int) -> None:
        self._pattern = pattern
        self._stretch = stretch

    def alternation(self, at: int) -> tuple[str, int]:
        """The first branch; the others are read only to find the end."""
        text, at = self._sequence(at)
        while at < len(self._pattern) and self._pattern[at] == "|":
            _, at = self._sequence(at + 1)
        return text, at

    def _sequence(self, at: int) -> tuple[str, int]:
        text: list[str] = []
        while at < len(self._pattern) and self._pattern[at] not in "|)":
            piece, at = self._atom(at)
            quantifier = _QUANTIFIER.match(self._pattern, at)
            if quantifier is not None:
                piece *= self._rounds(quantifier)
                at = quantifier.end()
                if self._pattern[at : at + 1] in ("?", "+"):
                    at += 1  # lazy or possessive: the same texts match
            text.append(piece)
        return "".join(text), at

    def _rounds(self, quantifier: re.Match[str]) -> int:
        word = quantifier[0]
        if word == "?":
            return min(1, self._stretch)
        if word in ("*", "+"):
            return self._stretch + (word == "+")
        least = int(quantifier[1])
        if least > _REPEATS_MAX:
            raise PatternUnsupported(f"more than {_REPEATS_MAX} repetitions")
        if not quantifier[2]:
            return least
        return min(least + self._stretch, int(quantifier[3]) if quantifier[3] else _REPEATS_MAX)

    def _atom(self, at: int) -> tuple[str, int]:
        character = self._pattern[at]
        match character:
            case "^" | "$":
                return "", at + 1
            case ".":
                return "a", at + 1
            case "[":
                return self._class(at)
            case "(":
                return self._group(at)
            case "\\":
                return self._escape(at)
        return character, at + 1

    def _group(self, at: int) -> tuple[str, int]:
        at += 1
        if self._pattern.startswith("?", at):
            opening = re.compile(r"\?:|\?P?<[A-Za-z_]\w*>").match(self._pattern, at)
            if opening is None:
                raise PatternUnsupported("a group of a kind that we do not write")
            at = opening.end()
        text, at = self.alternation(at)
        return text, at + 1

    def _escape(self, at: int) -> tuple[str, int]:
        letter = self._pattern[at + 1]
        if letter in ("A", "Z", "z"):
            return "", at + 2
        if letter in _CLASSES:
            return _CLASSES[letter], at + 2
        if letter in _PLAIN:
            return _PLAIN[letter], at + 2
        if letter.isalnum():
            raise PatternUnsupported(f"the escape \\{letter}")
        return letter, at + 2

    def _class(self, at: int) -> tuple[str, int]:
        """One member of `[...]`; found by trying, which is simpler than reading it."""
        end = at + 1
        if self._pattern.startswith("^", end):
            end += 1
        if self._pattern.startswith("]", end):
            end += 1
        while self._pattern[end] != "]":
            end += 2 if self._pattern[end] == "\\" else 1
        member = re.compile(self._pattern[at : end + 1])
        for code in (*range(97, 123), *range(48, 58), *range(65, 91), *range(32, 0x250)):
            if member.match(chr(code)):
                return chr(code), end + 1
        raise PatternUnsupported("a class without a common character")
