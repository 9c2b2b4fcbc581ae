"""An account's sessions: what calls that belong together came to, a page at a time, the latest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.generations import session_queries
from fairlead.control.usage.sessions import session_name
from fairlead.core.ids import AccountId, UserId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

__all__ = ["Session", "SessionCursor", "SessionList", "SessionPage"]

# Sums that are looked at for one page: few do, unless most are another's. The last is the most: some 60 ms.
LOOKED_AT: Final = (200, 20_000)


@dataclass(frozen=True, slots=True)
class Session:
    """models: those with the most calls first. byok: list price of calls with a credential of the caller's own.
    first_ms, last_ms: when its first and its last call began."""

    id: str
    models: tuple[str, ...]
    first_ms: int
    last_ms: int
    requests: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: NanoUSD
    byok: NanoUSD

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class SessionCursor:
    """A place in the list: behind the session of that name, whose last call began then; "": behind all whose
    last call did."""

    last_ms: int
    id: str


@dataclass(frozen=True, slots=True)
class SessionPage:
    """after: where the next page begins; None: these were the last. As a page of calls, it may be short and
    still have one after it, and to a user it names none but his own."""

    sessions: tuple[Session, ...]
    after: SessionCursor | None


class SessionList:
    """Methods block; DatabaseUnreadable. user: as far as calls are of their keys; None: whoever's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        account: AccountId,
        *,
        start_ms: int,
        end_ms: int,
        user: UserId | None,
        behind: SessionCursor | None = None,
        limit: int,
    ) -> SessionPage:
        """Those whose last call began from start_ms to before end_ms."""
        found: list[str] = []
        edge: tuple[int, str] | None = None
        with self._database.read() as connection:
            for look_at in LOOKED_AT:
                found, edge = session_queries.latest(
                    connection,
                    account,
                    start_ms=start_ms,
                    end_ms=end_ms,
                    user=user,
                    behind=None if behind is None else (behind.last_ms, behind.id),
                    limit=limit + 1,
                    look_at=look_at,
                )
                if edge is None:
                    break
            shown = found[:limit]
            rows = session_queries.sums(connection, account, shown, user=user)
        listed = [_session(name, rows[name]) for name in shown]
        if len(found) > limit:
            edge = (listed[-1].last_ms, listed[-1].id)
        elif edge is not None and user is not None:
            # What was looked at last may be another's. So the next page begins with all of that millisecond,
            # and this one ends before it.
            edge_ms, _ = edge
            listed = [one for one in listed if one.last_ms > edge_ms]
            edge = (edge_ms + 1, "")
        return SessionPage(tuple(listed), None if edge is None else SessionCursor(*edge))

    def find(self, account: AccountId, session: str, *, user: UserId | None) -> Session | None:
        """session: as callers say it."""
        name = session_name(session)
        with self._database.read() as connection:
            rows = session_queries.sums(connection, account, [name], user=user)
        return _session(name, rows[name]) if name in rows else None


def _session(name: str, rows: Sequence[sa.Row[Any]]) -> Session:
    """rows: of each user and model. At least one."""
    requests: dict[str, int] = {}
    for row in rows:
        requests[row.model] = requests.get(row.model, 0) + row.requests
    return Session(
        id=name,
        models=tuple(sorted(requests, key=lambda model: (-requests[model], model))),
        first_ms=min(row.first_ms for row in rows),
        last_ms=max(row.last_ms for row in rows),
        requests=sum(row.requests for row in rows),
        failed=sum(row.failed for row in rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        cost=NanoUSD(sum(row.cost_nano for row in rows)),
        byok=NanoUSD(sum(row.byok_nano for row in rows)),
    )
