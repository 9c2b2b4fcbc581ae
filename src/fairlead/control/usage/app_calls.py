"""Which calls an app made, so that lists find them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from fairlead.control.usage.rules import MS_PER_S
from fairlead.control.usage.samples import Sample
from fairlead.store.database import Database
from fairlead.store.tables.call_apps import app_calls

__all__ = ["add"]


def add(
    database: Database,
    connection: sa.Connection,
    samples: Iterable[Sample],
    apps: Mapping[str, int],
) -> None:
    """samples: of calls that are new to the database. apps: their numbers, by generation."""
    rows = [
        (one.account, apps[one.id], round(one.created_s * MS_PER_S), one.id)
        for one in samples
        if one.id in apps
    ]
    database.insert_many_new(connection, app_calls, sorted(rows))
