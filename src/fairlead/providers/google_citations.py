"""Where an answer's words come from: Google's grounding and citations as `url_citation`s.

Google counts places in the bytes of the text, we in its characters. A place is believed if the text there
is the one that Google quotes; else the quotation is looked for, and if it is not found the citation stays
without a place, as `0, 0`.

Source: https://ai.google.dev/api/generate-content#GroundingMetadata (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["citations", "web_searches"]

CITATIONS_MAX: Final = 1_000  # of one answer; a searched one has a few dozen

_SOURCES: Final = ("web", "maps", "retrievedContext", "image")


def citations(
    text: str, grounding: Mapping[str, object], citation_metadata: Mapping[str, object]
) -> tuple[dict[str, object], ...]:
    """text: all of one choice's. Sources that have no address are left out."""
    places = _Places(text)
    found = _grounded(places, grounding) + _recited(places, citation_metadata)
    return tuple(found[:CITATIONS_MAX])


def web_searches(grounding: Mapping[str, object]) -> int:
    """How often Google searched the web for the answer."""
    queries = grounding.get("webSearchQueries")
    return len(queries) if isinstance(queries, list) else 0


def _grounded(places: _Places, grounding: Mapping[str, object]) -> list[dict[str, object]]:
    sources = [_source(chunk) for chunk in _list(grounding.get("groundingChunks"))]
    found: list[dict[str, object]] = []
    cited: set[int] = set()
    for support in _list(grounding.get("groundingSupports")):
        start, end = places.of(_dict(support.get("segment")))
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if isinstance(index, int) and 0 <= index < len(sources) and sources[index] is not None:
                cited.add(index)
                found.append(_citation(sources[index], start, end))
    found += [
        _citation(source, 0, 0)
        for index, source in enumerate(sources)
        if source is not None and index not in cited
    ]
    return found


def _recited(places: _Places, metadata: Mapping[str, object]) -> list[dict[str, object]]:
    """Passages that the model took from a source. The field has two names."""
    found: list[dict[str, object]] = []
    for citation in _list(metadata.get("citations") or metadata.get("citationSources")):
        source = _source({"web": citation})
        if source is not None:
            start, end = places.of(citation)
            found.append(_citation(source, start, end))
    return found


def _source(chunk: Mapping[str, object]) -> dict[str, object] | None:
    for kind in _SOURCES:
        told = _dict(chunk.get(kind))
        uri = told.get("uri") or told.get("sourceUri")
        if isinstance(uri, str) and uri:
            title = told.get("title")
            source: dict[str, object] = {
                "url": uri,
                "title": title if isinstance(title, str) else uri,
            }
            if isinstance(content := told.get("text"), str):
                source["content"] = content
            return source
    return None


def _citation(source: dict[str, object] | None, start: int, end: int) -> dict[str, object]:
    assert source is not None  # asked by the callers
    return {
        "type": "url_citation",
        "url_citation": {**source, "start_index": start, "end_index": end},
    }


class _Places:
    """Turns places in bytes into places in characters."""

    __slots__ = ("_bytes", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._bytes = text.encode("utf-8", "replace")

    def of(self, segment: Mapping[str, object]) -> tuple[int, int]:
        """(first character, the one after the last); (0, 0) if it is not known."""
        start, end = segment.get("startIndex", 0), segment.get("endIndex")
        quoted = segment.get("text")
        if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(self._bytes):
            inside = self._bytes[start:end].decode("utf-8", "replace")
            if not isinstance(quoted, str) or inside == quoted:
                first = len(self._bytes[:start].decode("utf-8", "replace"))
                return first, first + len(inside)
        if isinstance(quoted, str) and quoted:
            first = self._text.find(quoted)
            if first >= 0:
                return first, first + len(quoted)
        return 0, 0


def _list(value: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(value, list):
        return []
    return [one for one in value if isinstance(one, dict)][:CITATIONS_MAX]


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
