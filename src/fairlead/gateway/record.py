"""What is kept of a call: the generation's record, from the pieces of the call. No I/O."""

from __future__ import annotations

from typing import Final

from fairlead.core.generation import Attribution
from fairlead.gateway.caller_side import CallerSide

__all__ = ["attribution", "bounded_header", "milliseconds"]

ATTRIBUTION_CHARACTERS_MAX: Final = 256
APP_CATEGORIES_MAX: Final = 2
_ATTRIBUTING: Final = frozenset(
    {b"http-referer", b"referer", b"x-openrouter-title", b"x-title", b"x-openrouter-categories"}
)


def attribution(side: CallerSide) -> Attribution | None:
    """Which app calls, as its headers say; None if they say nothing."""
    agent = bounded_header(side, b"user-agent")
    if _ATTRIBUTING.isdisjoint(side.headers):
        return Attribution(user_agent=agent) if agent else None
    referer = bounded_header(side, b"http-referer") or bounded_header(side, b"referer")
    title = bounded_header(side, b"x-openrouter-title") or bounded_header(side, b"x-title")
    categories = bounded_header(side, b"x-openrouter-categories")
    if not (referer or title or categories or agent):
        return None
    return Attribution(
        referer=referer,
        title=title,
        categories=tuple(
            name.strip()
            for name in (categories or "").split(",")[:APP_CATEGORIES_MAX]
            if name.strip()
        ),
        user_agent=agent,
    )


def bounded_header(side: CallerSide, name: bytes) -> str | None:
    """A header's text, cut to a bounded length; None if it was not sent."""
    value = side.headers.get(name)
    if value is None:
        return None
    return value[:ATTRIBUTION_CHARACTERS_MAX].decode("utf-8", "replace")


def milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
