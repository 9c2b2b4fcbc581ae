"""SQL that finds what people call the ids that usage is told apart by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.control.usage import app_queries
from fairlead.control.usage.dimensions import Dimension
from fairlead.control.usage.types import KeyName, Names
from fairlead.core.ids import AccountId, KeyId, UserId
from fairlead.store.tables.keys import api_keys
from fairlead.store.tables.people import users, workspaces

__all__ = ["keys_by_digest", "names"]

IDS_AT_ONCE: Final = 500


def names(
    connection: sa.Connection,
    account: AccountId,
    values: Mapping[Dimension, Collection[str | int | bool]],
) -> Names:
    """Those that are known. People are not the account's alone: only ask for ids that its usage names."""
    found = Names()
    for ids in _pieces(values.get(Dimension.API_KEY, ())):
        rows = connection.execute(
            sa.select(api_keys.c.id, api_keys.c.digest, api_keys.c.name, api_keys.c.label).where(
                api_keys.c.id.in_(ids), api_keys.c.account_id == account
            )
        )
        found.keys.update({row.id: KeyName(row.digest.hex(), row.name, row.label) for row in rows})
    for ids in _pieces(values.get(Dimension.USER, ())):
        rows = connection.execute(sa.select(users.c.id, users.c.email).where(users.c.id.in_(ids)))
        found.emails.update({row.id: row.email for row in rows})
    for ids in _pieces(values.get(Dimension.WORKSPACE, ())):
        rows = connection.execute(
            sa.select(workspaces.c.id, workspaces.c.name).where(
                workspaces.c.id.in_(ids), workspaces.c.account_id == account
            )
        )
        found.workspaces.update({row.id: row.name for row in rows})
    for ids in _pieces(values.get(Dimension.APP, ())):
        found.apps.update(app_queries.by_ids(connection, [int(one) for one in ids]))
    return found


def keys_by_digest(
    connection: sa.Connection,
    account: AccountId,
    digests: Collection[bytes],
    *,
    creator: UserId | None,
) -> dict[bytes, KeyId]:
    """creator: who made them; None: anybody."""
    theirs = [] if creator is None else [api_keys.c.creator_user_id == creator]
    found: dict[bytes, KeyId] = {}
    wanted = list(digests)
    for start in range(0, len(wanted), IDS_AT_ONCE):
        rows = connection.execute(
            sa.select(api_keys.c.digest, api_keys.c.id).where(
                api_keys.c.digest.in_(wanted[start : start + IDS_AT_ONCE]),
                api_keys.c.account_id == account,
                *theirs,
            )
        )
        found.update({bytes(row.digest): KeyId(row.id) for row in rows})
    return found


def _pieces(ids: Collection[str | int | bool]) -> Sequence[list[str | int | bool]]:
    every = [one for one in ids if one]
    return [every[start : start + IDS_AT_ONCE] for start in range(0, len(every), IDS_AT_ONCE)]
