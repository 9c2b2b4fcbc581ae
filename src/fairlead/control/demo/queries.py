"""SQL of the demonstration: what says that it is there, and what goes with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.core.ids import AccountId
from fairlead.store.tables.call_apps import app_calls
from fairlead.store.tables.call_sessions import session_calls, session_sums
from fairlead.store.tables.generations import generations
from fairlead.store.tables.installation import meta
from fairlead.store.tables.keys import api_keys
from fairlead.store.tables.usage import (
    apps,
    endpoint_days,
    endpoint_hours,
    key_usage,
    provider_days,
    provider_hours,
    usage_days,
    usage_hours,
    usage_minutes,
    usage_months,
    usage_series,
    usage_weeks,
)

__all__ = ["accounts", "drop_empty_sums", "drop_traces", "has_calls", "mark", "records", "unmark"]

_NAME: Final = "demo accounts"
_RECORDS_AT_ONCE: Final = 2000
_SUMS: Final = (usage_minutes, usage_hours, usage_days, usage_weeks, usage_months)


def accounts(connection: sa.Connection) -> list[AccountId]:
    """Those that the demonstration made; none: it is not here."""
    found = connection.execute(sa.select(meta.c.value).where(meta.c.name == _NAME)).scalar()
    return [] if found is None else [AccountId(one) for one in found.split()]


def mark(connection: sa.Connection, made: Sequence[AccountId]) -> None:
    """Raises IntegrityError if there is a demonstration."""
    connection.execute(sa.insert(meta).values(name=_NAME, value=" ".join(made)))


def unmark(connection: sa.Connection) -> None:
    connection.execute(sa.delete(meta).where(meta.c.name == _NAME))


def has_calls(connection: sa.Connection) -> bool:
    return connection.execute(sa.select(generations.c.id).limit(1)).first() is not None


def records(connection: sa.Connection, of: Sequence[AccountId]) -> Iterator[list[bytes]]:
    """All that these accounts called, some at a time."""
    columns = generations.c
    after = ""
    while True:
        rows = connection.execute(
            sa.select(columns.id, columns.record)
            .where(columns.account_id.in_(of), columns.id > after)
            .order_by(columns.id)
            .limit(_RECORDS_AT_ONCE)
        ).all()
        if not rows:
            return
        after = rows[-1].id
        yield [bytes(row.record) for row in rows if row.record is not None]


def drop_empty_sums(connection: sa.Connection) -> None:
    """Rows in which nothing is left. What was thrown away before may be below nothing: it goes, too."""
    for table in _SUMS:
        connection.execute(sa.delete(table).where(table.c.requests <= 0))
    for table in (endpoint_hours, endpoint_days, provider_hours, provider_days):
        counted = table.c.successes + table.c.outages + table.c.limited + table.c.caller_faults
        connection.execute(sa.delete(table).where(counted <= 0))


def drop_traces(connection: sa.Connection, of: Sequence[AccountId]) -> None:
    """What pages show of accounts besides sums: apps and sessions with their calls, and what keys used."""
    keys = sa.select(api_keys.c.id).where(api_keys.c.account_id.in_(of))
    connection.execute(sa.delete(key_usage).where(key_usage.c.key_id.in_(keys)))
    connection.execute(sa.delete(apps).where(apps.c.account_id.in_(of)))
    for table in (usage_series, session_sums, session_calls, app_calls):
        connection.execute(sa.delete(table).where(table.c.account_id.in_(of)))
