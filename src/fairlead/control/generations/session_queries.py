"""SQL about sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from fairlead.core.ids import AccountId, UserId
from fairlead.store.database import in_chunks
from fairlead.store.tables.call_sessions import session_sums

__all__ = ["latest", "sums"]


def latest(
    connection: sa.Connection,
    account: AccountId,
    *,
    start_ms: int,
    end_ms: int,
    user: UserId | None,
    behind: tuple[int, str] | None,
    limit: int,
    look_at: int,
) -> tuple[list[str], tuple[int, str] | None]:
    """Sessions with their last call in that time, those behind `behind` (when it began, and the session).

    Returns at most `limit` of them. Of a session's sums, those that were changed last say where it stands; so
    the index gives them in order, and others are passed over. Where `look_at` were not enough for as many, also
    the place up to which was looked.
    """
    columns = session_sums.c
    # So of one session's sums the one that says where it stands comes first, even among those of one moment.
    order = (
        columns.last_ms.desc(),
        columns.session_id.desc(),
        columns.user_id.desc(),
        columns.model.desc(),
    )
    in_order = sa.select(session_sums).where(
        columns.account_id == account, columns.last_ms >= start_ms, columns.last_ms < end_ms
    )
    if behind is not None:
        last_ms, last = behind
        in_order = in_order.where(
            columns.last_ms <= last_ms,
            sa.or_(columns.last_ms < last_ms, columns.session_id < last),
        )
    near = in_order.order_by(*order).limit(look_at).subquery()
    later = session_sums.alias("later")
    is_passed_over = sa.exists().where(
        later.c.account_id == account,
        later.c.session_id == near.c.session_id,
        sa.or_(
            later.c.last_ms > near.c.last_ms,
            sa.and_(later.c.last_ms == near.c.last_ms, later.c.user_id > near.c.user_id),
            sa.and_(
                later.c.last_ms == near.c.last_ms,
                later.c.user_id == near.c.user_id,
                later.c.model > near.c.model,
            ),
        ),
    )
    newest = sa.select(near.c.session_id)
    if user is not None:
        newest = newest.where(near.c.user_id == user)
        is_passed_over = is_passed_over.where(later.c.user_id == user)
    newest = (
        newest.where(~is_passed_over)
        .order_by(near.c.last_ms.desc(), near.c.session_id.desc())
        .limit(limit)
    )
    found = list(connection.execute(newest).scalars())
    if len(found) == limit:
        return found, None
    edge = connection.execute(
        in_order.with_only_columns(columns.last_ms, columns.session_id)
        .order_by(*order)
        .offset(look_at - 1)
        .limit(1)
    ).one_or_none()
    return found, None if edge is None else (int(edge.last_ms), edge.session_id)


def sums(
    connection: sa.Connection, account: AccountId, sessions: Sequence[str], *, user: UserId | None
) -> dict[str, list[sa.Row[Any]]]:
    """Of these sessions, a row for each user and model; those that there are not are missing."""
    columns = session_sums.c
    found: dict[str, list[sa.Row[Any]]] = {}
    for some in in_chunks(sessions):
        query = sa.select(session_sums).where(
            columns.account_id == account, columns.session_id.in_(some)
        )
        if user is not None:
            query = query.where(columns.user_id == user)
        for row in connection.execute(query):
            found.setdefault(row.session_id, []).append(row)
    return found
