"""Searching the documentation: every word must be there, and titles count most. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.web.pages.docs_shelf import DocPage, slug_of

__all__ = ["HITS_MAX", "Hit", "Passage", "found", "passages_of"]

QUERY_CHARACTERS_MAX: Final = 200
WORDS_MAX: Final = 8
HITS_MAX: Final = 30
EXCERPT_CHARACTERS: Final = 180
_HEADING: Final = re.compile(r"^(#{1,4}) (.+)$")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS: Final = re.compile(r"^\|[-:| ]+\|$|^\||\|$|<br>|>+|^-{3,}.*$|^\s*[-+] ", re.MULTILINE)
_MARKS_IN_WORDS: Final = re.compile(r"[`*]+")
_CELL_END: Final = re.compile(r" +\| +")
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Passage:
    """What is under one heading. anchor: empty for the beginning of a page."""

    page: DocPage
    heading: str
    anchor: str
    text: str
    searched: str

    @property
    def address(self) -> str:
        return f"{self.page.address}#{self.anchor}" if self.anchor else self.page.address


@dataclass(frozen=True, slots=True)
class Hit:
    """parts: of the excerpt; every second one is a word that was looked for."""

    passage: Passage
    parts: tuple[str, ...]


def passages_of(pages: Iterable[DocPage]) -> tuple[Passage, ...]:
    return tuple(passage for page in pages for passage in _split(page))


def found(passages: Iterable[Passage], query: str) -> tuple[Hit, ...]:
    """The best first; none for a query without a word."""
    words = _words(query)
    if not words:
        return ()
    ranked = []
    for place, passage in enumerate(passages):
        if all(word in passage.searched for word in words):
            ranked.append((-_weight(passage, words), place, passage))
    return tuple(
        Hit(passage, _excerpt(passage.text, words)) for _, _, passage in sorted(ranked)[:HITS_MAX]
    )


def _words(query: str) -> list[str]:
    return list(dict.fromkeys(query.lower()[:QUERY_CHARACTERS_MAX].split()))[:WORDS_MAX]


def _weight(passage: Passage, words: Sequence[str]) -> int:
    heading, title = passage.heading.lower(), passage.page.title.lower()
    return sum(
        8 * (word in heading) + 4 * (word in title) + min(4, passage.searched.count(word))
        for word in words
    ) + (0 if passage.anchor else 2)


def _excerpt(text: str, words: Sequence[str]) -> tuple[str, ...]:
    """Around the first word that is in it."""
    either = re.compile("(" + "|".join(map(re.escape, words)) + ")", re.IGNORECASE)
    first = either.search(text)
    begin = 0 if first is None else max(0, first.start() - EXCERPT_CHARACTERS // 3)
    if begin:
        begin = text.find(" ", begin) + 1
    piece = text[begin : begin + EXCERPT_CHARACTERS]
    is_cut = len(text) > begin + len(piece)
    if is_cut:
        piece = piece.rpartition(" ")[0] or piece
    whole = f"{'… ' if begin else ''}{piece}{' …' if is_cut else ''}"
    return tuple(either.split(whole))


def _split(page: DocPage) -> list[Passage]:
    found: list[tuple[str, str, list[str]]] = [(page.title, "", [])]
    in_code = False
    for line in page.text.splitlines():
        in_code ^= line.startswith("```")
        heading = None if in_code else _HEADING.match(line)
        if heading is None:
            if not line.startswith("```"):
                found[-1][2].append(line)
        elif len(heading[1]) > 1:
            plain = _plain(heading[2])
            found.append((plain, slug_of(plain), []))
    passages = []
    for heading_text, anchor, lines in found:
        text = _plain("\n".join(lines))
        searched = f"{page.title} {heading_text} {text}".lower()
        passages.append(Passage(page, heading_text, anchor, text, searched))
    return passages


def _plain(text: str) -> str:
    """Without the marks of Markdown; cells of a table are kept apart by a dot."""
    text = _MARKS_IN_WORDS.sub("", _MARKS.sub(" ", _LINK.sub(r"\1", text)))
    return _SPACE.sub(" ", _CELL_END.sub(" · ", text)).strip()
