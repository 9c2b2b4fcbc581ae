"""Long lists, page by page: which part an address asks for, and where the others are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

__all__ = ["PAGES_MAX", "PAGE_ROWS", "Paging", "addressed", "page_number", "paging"]

PAGE_ROWS: Final = 50
PAGES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Paging:
    """shown: as "1-50", or "1-50 of 1,234". before, after: addresses; None at the ends."""

    shown: str
    before: str | None
    after: str | None


def page_number(text: str | None) -> int:
    """From 1; whatever is no page is the first."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > len(str(PAGES_MAX)):
        return 1
    return min(max(1, int(text)), PAGES_MAX)


def paging(
    number: int,
    rows: int,
    *,
    has_more: bool,
    address: Callable[[int], str],
    total: int | None = None,
) -> Paging:
    """number: of the page, from 1. rows: on it. address: of a page. total: of all pages; None: not counted."""
    first = (number - 1) * PAGE_ROWS + 1
    shown = f"{first:,}\N{EN DASH}{first + rows - 1:,}" if rows else ""
    return Paging(
        shown=shown if total is None or not rows else f"{shown} of {total:,}",
        before=address(number - 1) if number > 1 else None,
        after=address(number + 1) if has_more else None,
    )


def addressed(path: str, chosen: Mapping[str, str]) -> str:
    """With those parameters that say something."""
    query = urlencode({name: value for name, value in chosen.items() if value})
    return f"{path}?{query}" if query else path
