"""SQL about apps."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.usage.apps import Claim
from fairlead.control.usage.types import App, Level
from fairlead.core.ids import AccountId
from fairlead.store.database import Database
from fairlead.store.tables.usage import apps, usage_series

__all__ = ["by_identities", "by_ids", "change", "count_of", "insert_new", "used_by"]

IDS_AT_ONCE: Final = 500


def by_identities(connection: sa.Connection, identities: Iterable[str]) -> dict[str, App]:
    rows = connection.execute(sa.select(apps).where(apps.c.identity.in_(list(identities))))
    return {row.identity: _app(row) for row in rows}


def by_ids(connection: sa.Connection, ids: Collection[int]) -> dict[int, App]:
    found: dict[int, App] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), IDS_AT_ONCE):
        some = wanted[start : start + IDS_AT_ONCE]
        rows = connection.execute(sa.select(apps).where(apps.c.id.in_(some)))
        found |= {row.id: _app(row) for row in rows}
    return found


def used_by(connection: sa.Connection, account: AccountId, *, limit: int) -> list[int]:
    """Those with the highest numbers."""
    columns = usage_series.c
    query = (
        sa.select(columns.app_id)
        .where(
            columns.account_id == account,
            columns.level == int(Level.APP_ALONE),
            columns.app_id > 0,
        )
        .order_by(columns.app_id.desc())
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def count_of(connection: sa.Connection, account: AccountId) -> int:
    """How many it has brought."""
    count = connection.execute(
        sa.select(sa.func.count()).select_from(apps).where(apps.c.account_id == account)
    ).scalar_one()
    return int(count)


def insert_new(
    database: Database, connection: sa.Connection, account: AccountId, claim: Claim, *, now_ms: int
) -> None:
    """Unless somebody else has just done it."""
    connection.execute(
        database.insert(apps)
        .values(
            identity=claim.identity,
            account_id=account,
            title=claim.title,
            categories=",".join(claim.categories),
            is_public=claim.is_public,
            first_seen_ms=now_ms,
        )
        .on_conflict_do_nothing(index_elements=[apps.c.identity])
    )


def change(connection: sa.Connection, app: int, *, title: str, categories: tuple[str, ...]) -> None:
    connection.execute(
        sa.update(apps).where(apps.c.id == app).values(title=title, categories=",".join(categories))
    )


def _app(row: sa.Row[Any]) -> App:
    return App(
        id=row.id,
        identity=row.identity,
        account=row.account_id,
        title=row.title,
        categories=tuple(row.categories.split(",")) if row.categories else (),
        is_public=row.is_public,
        first_seen_ms=row.first_seen_ms,
    )
