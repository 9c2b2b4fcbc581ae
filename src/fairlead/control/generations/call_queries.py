"""SQL that finds an account's calls by what they are like, the newest first.

Calls stand in order of time in several places: all of an account, those of a key, an app's, a session's. The
narrowest of these is gone along, in slices that end with a whole millisecond; what else is wanted is asked of
each call there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from fairlead.control.generations.types import Cursor, Wanted
from fairlead.control.usage.sessions import session_name
from fairlead.core.ids import AccountId
from fairlead.store.database import in_chunks
from fairlead.store.tables.call_apps import app_calls
from fairlead.store.tables.call_sessions import session_calls
from fairlead.store.tables.generations import generations
from fairlead.store.tables.keys import api_keys

__all__ = ["Way", "edge_ms", "records", "way"]

# Whose calls are brought in order; of somebody with more, all of the account's are asked.
KEYS_MAX: Final = 100

_Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Way:
    """Where an account's calls stand in order of time.

    created, number: when they began, and their ids. where: which of those that stand there. keys: of which they
    are, where each key's calls stand by themselves. like: what calls must be like besides.
    """

    account: AccountId
    created: sa.ColumnElement[int]
    number: sa.ColumnElement[str]
    where: tuple[_Condition, ...]
    keys: tuple[str, ...] = ()
    like: tuple[_Condition, ...] = ()


def way(connection: sa.Connection, account: AccountId, wanted: Wanted) -> Way | None:
    """The narrowest. None: there are no such calls."""
    like = _like(wanted)
    if wanted.session is not None:
        said = session_calls.c
        where = [said.account_id == account, said.session_id == session_name(wanted.session)]
        if wanted.user is not None:
            where.append(said.user_id == wanted.user)
        if wanted.key is not None:
            like.append(generations.c.key_id == wanted.key)
        like = [_is_call(said.generation_id, like)] if like else []
        if wanted.app is not None:
            like.append(_is_of_app(account, wanted.app, said.created_ms, said.generation_id))
        return Way(account, said.created_ms, said.generation_id, tuple(where), like=tuple(like))
    of_call = generations.c
    if wanted.key is not None or wanted.user is not None:
        # A key's calls are those of who made it, for ever: it stays when it is deleted, and changes no hands.
        known = sa.select(api_keys.c.id).where(api_keys.c.account_id == account)
        if wanted.key is not None:
            known = known.where(api_keys.c.id == wanted.key)
        if wanted.user is not None:
            known = known.where(api_keys.c.creator_user_id == wanted.user)
        keys = tuple(connection.execute(known.limit(KEYS_MAX + 1)).scalars())
        if not keys:
            return None
        if len(keys) <= KEYS_MAX:
            if wanted.app is not None:
                like.append(_is_of_app(account, wanted.app, of_call.created_ms, of_call.id))
            # Not the account: by that a database may look through all of its calls.
            where = [of_call.key_id.in_(keys)]
            return Way(account, of_call.created_ms, of_call.id, tuple(where), keys, tuple(like))
        like.append(of_call.key_id.in_(known))
    if wanted.app is not None:
        named = app_calls.c
        where = [named.account_id == account, named.app_id == wanted.app]
        like = [_is_call(named.generation_id, like)] if like else []
        return Way(account, named.created_ms, named.generation_id, tuple(where), like=tuple(like))
    where = [of_call.account_id == account]
    return Way(account, of_call.created_ms, of_call.id, tuple(where), like=tuple(like))


def edge_ms(
    connection: sa.Connection,
    way: Way,
    *,
    start_ms: int,
    end_ms: int,
    behind: Cursor | None,
    look_at: int,
    at_least: int,
) -> int | None:
    """Until when a slice of about `look_at` calls goes back, and of no fewer than `at_least`; None: it goes
    back to the first. An index alone tells it."""
    place = max(at_least, look_at // max(1, len(way.keys)))
    nth = (
        sa.select(way.created)
        .where(way.created >= start_ms, way.created <= _last_ms(end_ms, behind))
        .order_by(way.created.desc())
        .limit(1)
        .offset(place - 1)
    )
    if way.keys:
        of_key = nth.where(generations.c.key_id == api_keys.c.id).correlate(api_keys)
        every = sa.select(sa.func.max(of_key.scalar_subquery())).where(api_keys.c.id.in_(way.keys))
        found: int | None = connection.execute(every).scalar()
        return found
    return connection.execute(nth.where(*way.where)).scalar()


def records(
    connection: sa.Connection,
    way: Way,
    *,
    start_ms: int,
    end_ms: int,
    behind: Cursor | None,
    limit: int,
) -> tuple[list[bytes], Cursor | None]:
    """Of at most `limit` calls like that, those behind `behind`; and the place of the last if there may be
    more."""
    query = sa.select(way.created.label("created_ms"), way.number.label("id")).where(
        *way.where,
        *way.like,
        way.created >= start_ms,
        way.created <= _last_ms(end_ms, behind),
    )
    if behind is not None and behind.id:
        query = query.where(
            sa.or_(way.created < behind.created_ms, way.number < behind.id),
        )
    query = query.order_by(way.created.desc(), way.number.desc()).limit(limit)
    those = connection.execute(query).all()
    found: dict[str, bytes] = {}
    for some in in_chunks(row.id for row in those):
        rows = connection.execute(
            sa.select(generations.c.id, generations.c.account_id, generations.c.record).where(
                generations.c.id.in_(some)
            )
        )
        found |= {row.id: bytes(row.record) for row in rows if row.account_id == way.account}
    last_one = those[-1] if len(those) == limit else None
    return (
        [found[row.id] for row in those if row.id in found],
        None if last_one is None else Cursor(last_one.created_ms, last_one.id),
    )


def _last_ms(end_ms: int, behind: Cursor | None) -> int:
    """One bound: of two, a database may begin at the later, and pass over all in between each time."""
    if behind is None:
        return end_ms - 1
    return min(end_ms - 1, behind.created_ms if behind.id else behind.created_ms - 1)


def _like(wanted: Wanted) -> list[_Condition]:
    """What columns tell, but whose a call is."""
    call = generations.c
    like: list[_Condition] = []
    if wanted.model is not None:
        like.append(call.model == wanted.model)
    if wanted.provider is not None:
        like.append(call.provider == wanted.provider)
    if wanted.outcome is not None:
        like.append(call.outcome == wanted.outcome)
    if wanted.is_cached is not None:
        like.append(call.cached_tokens > 0 if wanted.is_cached else call.cached_tokens == 0)
    return like


def _is_call(number: sa.ColumnElement[str], like: list[_Condition]) -> _Condition:
    return sa.exists().where(generations.c.id == number, *like)


def _is_of_app(
    account: AccountId,
    app: int,
    created: sa.ColumnElement[int],
    number: sa.ColumnElement[str],
) -> _Condition:
    named = app_calls.c
    return sa.exists().where(
        named.account_id == account,
        named.app_id == app,
        named.created_ms == created,
        named.generation_id == number,
    )
