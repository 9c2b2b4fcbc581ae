"""Calls of an account as a settler keeps them, for tests of what is found of them."""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.control.generations import queries
from fairlead.control.usage.rollup import UsageRollup
from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId, generation_id
from fairlead.store.database import Database
from fairlead.store.records import front, pack
from fairlead.testing.generations import plain_generation

__all__ = ["ACCOUNT", "BEGIN_MS", "END_MS", "call", "insert", "keep"]

ACCOUNT: Final = AccountId("acc-lists")
BEGIN_MS: Final = 1_795_219_200_000
END_MS: Final = BEGIN_MS + 1_000_000


def call(number: int, **changed: object) -> Generation:
    """Of three that began together, other things decide."""
    created_ms = BEGIN_MS + number // 3
    made = msgspec.structs.replace(
        plain_generation(number),
        id=generation_id(created_ms, number),
        account=ACCOUNT,
        created_s=created_ms / 1000,
        model="a/one",
        attribution=None,
    )
    return msgspec.structs.replace(made, **changed)


def insert(database: Database, *calls: Generation) -> None:
    """Without counting them in anything."""
    rows = [queries.row(front(record), record, None) for record in map(pack, calls)]
    with database.begin() as connection:
        assert queries.insert_new(database, connection, rows) == len(calls)


def keep(database: Database, *calls: Generation) -> None:
    insert(database, *calls)
    with database.begin() as connection:
        UsageRollup(database).add_within(connection, [pack(one) for one in calls])
