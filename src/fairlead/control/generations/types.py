"""Which calls a list wants, and a page of them."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.core.generation import Generation, Outcome
from fairlead.core.ids import KeyId, UserId

__all__ = ["Cursor", "Page", "Wanted"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list: behind the call that began then and has this id; "": behind all that began then."""

    created_ms: int
    id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls. From start_ms to before end_ms; None: any. app: its number, as sums have it.

    user: who made the key. session: as callers say it. is_cached: whether some of the prompt was read from a
    cache.
    """

    start_ms: int
    end_ms: int
    model: str | None = None
    provider: str | None = None
    key: KeyId | None = None
    app: int | None = None
    user: UserId | None = None
    session: str | None = None
    outcome: Outcome | None = None
    is_cached: bool | None = None
    is_streamed: bool | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """after: where the next page begins; None: these were the last. A page may be short, or empty, and still
    have one after it: only so many calls are looked at for a page. To a user it names none but his own."""

    generations: tuple[Generation, ...]
    after: Cursor | None
