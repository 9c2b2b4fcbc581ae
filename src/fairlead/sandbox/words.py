"""What the simulated models say, and how they count: the sandbox's own tokenizer and its own words."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Final

__all__ = ["STORY", "THOUGHTS", "count", "mark", "pieces", "speak"]

# A token is a run of up to seven letters or digits, or one other character, with the space before it.
# English comes out at about 1.25 tokens a word, close to what real tokenizers give.
_PIECE: Final = re.compile(r"\s*\w{1,7}|\s*[^\w\s]|\s+")

# What each latin-1 character is to the pattern above: in a word, white space, or on its own.
_CLASSES: Final = bytes(
    ord("a" if re.match(r"\w", chr(code)) else " " if re.match(r"\s", chr(code)) else ".")
    for code in range(256)
)

STORY: Final = (
    "The harbour woke before the sun did.",
    "A boy with a coil of wet rope over his shoulder counted the boats twice and came up one short.",
    "Nobody had heard the grey ketch leave, and nobody would admit to having slept.",
    "The old rigger only shrugged and said that a ship which slips out quietly means to come back.",
    "So they waited, mending what could be mended and painting what could not.",
    "At noon the wind turned and brought the smell of rain across the flats.",
    "Gulls settled on the breakwater in a long white line, all facing the same way.",
    "The boy climbed the light tower, because from there the sea keeps fewer secrets.",
    "He saw a sail first, then a hull, then a lantern that burned in broad daylight.",
    "On the deck stood a woman who steered with one hand and held a map in the other.",
    "She had gone to look for the channel that the chartmakers had forgotten.",
    "It was there, she told them later, exactly where her grandmother had drawn it.",
    "Through it the water ran deep and green, and not a single line would chafe.",
    "The rigger laughed, for the first time that winter, and threw her the rope.",
    "From then on the fleet went out by the new channel and was home an hour sooner.",
    "And every morning the boy counted the boats, and every morning the number was right.",
)

THOUGHTS: Final = (
    "First I restate the question in my own words.",
    "Then I list what is known and what is only assumed.",
    "One assumption looks weak, so I test it against a small example.",
    "The example holds, yet the edge case needs a second look.",
    "I try the opposite claim and find where it breaks.",
    "That leaves a single reading which fits every fact.",
    "Before I answer, I check the numbers once more.",
    "Nothing contradicts it, so I can write the conclusion down.",
)


def pieces(text: str) -> tuple[str, ...]:
    """The tokens of a text; joined they are the text again."""
    return tuple(_PIECE.findall(text))


def count(text: str) -> int:
    """How many tokens a text is: the number of its pieces.

    Long prompts are counted without making the pieces: each character becomes its class, groups of seven
    word characters become one sign, and what is left to count are signs and the beginnings of runs.
    """
    try:
        classes = text.encode("latin-1").translate(_CLASSES)
    except UnicodeEncodeError:
        return len(_PIECE.findall(text))
    signs = b" " + classes.replace(b"aaaaaaa", b"g")
    beginnings = signs.count(b" a") + signs.count(b".a") + signs.count(b"ga")
    return signs.count(b".") + signs.count(b"g") + beginnings + classes.endswith(b" ")


def mark(text: str) -> int:
    """A number for a text, the same on every machine."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


_STORY_PIECES: Final = tuple(pieces(" " + sentence) for sentence in STORY)
_THOUGHT_PIECES: Final = tuple(pieces(" " + sentence) for sentence in THOUGHTS)


def speak(*, start: int, tokens: int, thinking: bool = False) -> tuple[str, ...]:
    """Exactly so many tokens of prose, beginning with sentence `start` and going round."""
    sentences = _THOUGHT_PIECES if thinking else _STORY_PIECES
    spoken = tuple(islice(_endless(sentences, start % len(sentences)), tokens))
    return (spoken[0].lstrip(), *spoken[1:]) if spoken else ()


def _endless(sentences: tuple[tuple[str, ...], ...], start: int) -> Iterator[str]:
    for sentence in islice(cycle(sentences), start, None):
        yield from sentence
