"""Patterns that mean models: `openai/o1`, `anthropic/*`, `*/claude-*`. Pure.

Only `*` is special, and stands for any run of signs. Without one, a pattern means the model and its static
variants. Matching never goes back on itself: its cost is bounded by lengths, whatever somebody writes.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Patterns"]


class Patterns:
    """Many patterns, compiled for looking at many models."""

    __slots__ = ("_exact", "_loose", "_prefixes")

    def __init__(self, patterns: Iterable[str]) -> None:
        exact: set[str] = set()
        prefixes: set[str] = set()
        loose: set[tuple[str, ...]] = set()
        for pattern in patterns:
            first, *rest = pattern.lower().split("*")
            if not rest:
                exact.add(first)
            elif not any(rest):
                prefixes.add(first)
            else:
                loose.add((first, *rest))
        self._exact = frozenset(exact)
        self._prefixes = tuple(sorted(prefixes))
        self._loose = tuple(sorted(loose))

    def match(self, model: str) -> bool:
        """Whether one of them means this model. model: an id."""
        return (
            model in self._exact
            or model.partition(":")[0] in self._exact
            or model.startswith(self._prefixes)
            or any(_fits(model, pieces) for pieces in self._loose)
        )


def _fits(text: str, pieces: tuple[str, ...]) -> bool:
    """Whether the pieces are in the text in this order, the first at its beginning, the last at its end.

    Each middle piece is taken where it comes first: if a match exists at all, there is one like that.
    """
    first, *middle, last = pieces
    if not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return at <= end
