"""One answer out of two: the events of a second leg, as they go on from where the first one broke. Pure.

The caller has read `sent`. What the next model writes joins it at a seam, and the seam is found in two steps:

    repetition   a model that was asked in words begins with the last words of `sent`, or with more of it, or
                 with none; one that echoes what it continues begins with all of it
    blanks       white space at the end of `sent` was never shown to the next model, so it comes again

What belongs to `sent` is cut. Text is held back only while it may still turn out to belong there.

An answer that is restarted, because only thoughts or white space were sent, joins the same way: its thoughts
are new items behind the first leg's, numbered on, so that those which are signed stay whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fairlead.core.answer import plain
from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    PlainEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    UsageReported,
)

__all__ = ["OVERLAP_CHARACTERS_MAX", "OVERLAP_CHARACTERS_MIN", "Splicer", "last_words"]

# A repetition that nobody asked for is longer than what two pieces of text share by chance, and is not
# looked for behind more than this.
OVERLAP_CHARACTERS_MIN: Final = 12
OVERLAP_CHARACTERS_MAX: Final = 400
LAST_WORDS_CHARACTERS_MAX: Final = 48


def last_words(text: str) -> str:
    """The end of a text from the beginning of a word, without white space around it."""
    end = text.rstrip()[-LAST_WORDS_CHARACTERS_MAX:]
    if len(end) < LAST_WORDS_CHARACTERS_MAX:
        return end.lstrip()
    words = end.split(maxsplit=1)
    whole = words[-1]
    return whole if len(whole) >= OVERLAP_CHARACTERS_MIN else end.lstrip()


class Splicer:
    """Feed it the events of the second leg; what it returns goes to the encoder that wrote the first.

    Names and usage of the second leg stay out: the answer has begun, and who pays what is settled elsewhere.
    Everything comes out as plain events, never frames, because ids and numbers in a frame are the second
    provider's own. Log probabilities of text that was held back are lost.

    sent: all text that the caller has. echoes: the next model repeats all of it first. was_asked: it was asked
    in words to go on, and may repeat some. shows_thoughts: its reasoning goes to the caller.
    thoughts: how many items of reasoning the caller has.
    """

    __slots__ = (
        "_blanks",
        "_echo",
        "_echoed_characters",
        "_held",
        "_is_joined",
        "_is_past_repetition",
        "_offset",
        "_said",
        "_separator",
        "_shows_thoughts",
        "_thoughts",
        "_words",
    )

    def __init__(
        self,
        sent: str,
        *,
        echoes: bool = False,
        was_asked: bool = False,
        shows_thoughts: bool = False,
        thoughts: int = 0,
    ) -> None:
        self._said = sent.rstrip()
        self._blanks = sent[len(self._said) :]
        self._words = last_words(sent) if was_asked else ""
        self._echo = self._said if echoes else ""
        self._echoed_characters = 0
        self._held = ""
        self._is_past_repetition = not self._words
        self._is_joined = not (self._words or self._echo or self._blanks)
        self._offset = len(sent)  # from places in the second leg's text to places in the answer's
        self._shows_thoughts = shows_thoughts
        self._thoughts = thoughts
        self._separator = "\n\n" if thoughts else ""

    def feed(self, events: Sequence[ChatEvent]) -> list[ChatEvent]:
        told: list[ChatEvent] = []
        for event in plain(events):
            if isinstance(event, TextDelta):
                if self._is_joined:
                    told.append(event)
                else:
                    self._take(event.text, told)
            elif isinstance(event, Started | UsageReported):
                continue
            elif isinstance(event, ReasoningDelta):
                if self._shows_thoughts:
                    told.append(self._renumbered(event))
            else:
                self._settle(told)
                told.append(self._moved(event))
        return told

    def finish(self) -> list[ChatEvent]:
        """The second leg is over: what was held back, if it belongs to the answer."""
        told: list[ChatEvent] = []
        self._settle(told)
        return told

    @property
    def withheld_characters(self) -> int:
        """Of the second leg's text so far: what the caller had already, or has not been given yet."""
        cut = len(self._said) + len(self._blanks) - self._offset
        return cut + len(self._held) + (self._echoed_characters if self._echo else 0)

    # --- the seam ---

    def _take(self, text: str, told: list[ChatEvent]) -> None:
        if self._echo:
            text = self._behind_echo(text)
            if not text:
                return
        self._held += text
        self._join(told, is_last=False)

    def _settle(self, told: list[ChatEvent]) -> None:
        if self._is_joined:
            return
        if self._echo:  # which broke off
            self._held, self._echo = self._said[: self._echoed_characters], ""
        self._join(told, is_last=True)

    def _behind_echo(self, text: str) -> str:
        """What follows the echo in this piece; if it was none after all, everything so far."""
        echo, start = self._echo, self._echoed_characters
        shared = _shared_characters(text, echo, start)
        self._echoed_characters += shared
        if self._echoed_characters == len(echo):
            self._echo = ""
            self._offset -= len(echo)
            return text[shared:]
        if shared == len(text):
            return ""
        self._echo = ""
        return echo[:start] + text

    def _join(self, told: list[ChatEvent], *, is_last: bool) -> None:
        if not self._is_past_repetition:
            repeated = self._repeated_characters(is_last=is_last)
            if repeated is None:
                return
            self._is_past_repetition = True
            self._cut(repeated)
        held, blanks = self._held, self._blanks
        shared = _shared_characters(held, blanks)
        if shared == len(held) < len(blanks) and not is_last:
            return
        self._cut(shared)
        self._is_joined = True
        if self._held:
            told.append(TextDelta(self._held))
            self._held = ""

    def _cut(self, characters: int) -> None:
        self._held = self._held[characters:]
        self._offset -= characters

    def _repeated_characters(self, *, is_last: bool) -> int | None:
        """How much of what is held repeats the end of what was said. None: that is not yet to be told."""
        text = self._held.lstrip()
        before = len(self._held) - len(text)
        if not text and not is_last and before < OVERLAP_CHARACTERS_MAX:
            return None
        if text.startswith(self._words):
            return before + len(self._words)
        said = self._said[-OVERLAP_CHARACTERS_MAX:]
        if not is_last:
            if self._words.startswith(text):
                return None
            last = len(said) - max(len(text) + 1, OVERLAP_CHARACTERS_MIN)
            if 0 <= said.find(text) <= last:
                return None
        for length in range(min(len(text), len(said)), OVERLAP_CHARACTERS_MIN - 1, -1):
            if text.startswith(said[-length:]):
                return before + length
        return 0

    # --- what is not text ---

    def _renumbered(self, event: ReasoningDelta) -> ReasoningDelta:
        details: Sequence[Mapping[str, object]] = event.details or (
            {"type": "reasoning.text", "text": event.text, "format": "unknown", "index": 0},
        )
        moved = []
        for detail in details:
            index = detail.get("index")
            moved.append(
                {**detail, "index": (index if isinstance(index, int) else 0) + self._thoughts}
            )
        text = event.text
        if text:
            text, self._separator = self._separator + text, ""
        return ReasoningDelta(text, event.choice, tuple(moved))

    def _moved(self, event: PlainEvent) -> PlainEvent:
        if not isinstance(event, AnnotationsAdded):
            return event
        return AnnotationsAdded(
            tuple(self._moved_citation(one) for one in event.annotations), event.choice
        )

    def _moved_citation(self, annotation: Mapping[str, object]) -> Mapping[str, object]:
        """Citations say from where to where in the text they reach."""
        citation = annotation.get("url_citation")
        if not isinstance(citation, dict):
            return annotation
        places = {
            name: place + self._offset
            for name in ("start_index", "end_index")
            if isinstance(place := citation.get(name), int)
        }
        return {**annotation, "url_citation": {**citation, **places}}


def _shared_characters(text: str, other: str, start: int = 0) -> int:
    """How far `text` is what stands at `start` of `other`."""
    if other.startswith(text, start):
        return len(text)
    pairs = zip(text, other[start : start + len(text)], strict=False)
    return next((place for place, (one, two) in enumerate(pairs) if one != two), len(other) - start)
