"""SQL about kept prompts and answers, and about who wants them kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.control.contents.types import KeptContent
from fairlead.control.workspaces.rules import logged_keys
from fairlead.core.belongings import PPM, ContentPolicy
from fairlead.core.ids import AccountId, GenerationId, KeyId, UserId, WorkspaceId
from fairlead.store.database import Database
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.contents import contents
from fairlead.store.tables.generations import generations
from fairlead.store.tables.keys import api_keys
from fairlead.store.tables.people import memberships, workspaces

__all__ = [
    "ACCOUNTS_MAX",
    "by_generation",
    "delete_before",
    "delete_of",
    "insert_new",
    "is_apps",
    "is_of_key",
    "is_reader",
    "may_have_contents",
    "policies_of",
]

ORGANISATION: Final = "organisation"
ADMIN: Final = "admin"
ACCOUNTS_MAX: Final = 500  # SQLite takes 999 parameters in its oldest versions

Policies = tuple[Mapping[WorkspaceId, ContentPolicy], frozenset[WorkspaceId]]


def policies_of(connection: sa.Connection, ids: Sequence[AccountId]) -> dict[AccountId, Policies]:
    """By account: which workspaces want contents kept, and which let us use what they send."""
    kept: defaultdict[AccountId, dict[WorkspaceId, ContentPolicy]] = defaultdict(dict)
    shared: defaultdict[AccountId, set[WorkspaceId]] = defaultdict(set)
    for start in range(0, len(ids), ACCOUNTS_MAX):
        rows = connection.execute(
            sa.select(
                workspaces.c.id,
                workspaces.c.account_id,
                workspaces.c.io_logging,
                workspaces.c.io_logging_sampling_rate,
                workspaces.c.io_logging_key_ids,
                workspaces.c.data_discount_logging,
            ).where(
                workspaces.c.account_id.in_(ids[start : start + ACCOUNTS_MAX]),
                sa.or_(
                    workspaces.c.io_logging.is_(True), workspaces.c.data_discount_logging.is_(True)
                ),
            )
        )
        for row in rows:
            account, workspace = AccountId(row.account_id), WorkspaceId(row.id)
            if row.io_logging:
                keys = logged_keys(row.io_logging_key_ids)
                kept[account][workspace] = ContentPolicy(
                    share_ppm=round(row.io_logging_sampling_rate * PPM),
                    callers=None if keys is None else frozenset(keys),
                )
            if row.data_discount_logging:
                shared[account].add(workspace)
    return {
        account: (kept.get(account, {}), frozenset(shared.get(account, ())))
        for account in kept.keys() | shared.keys()
    }


def insert_new(
    database: Database, connection: sa.Connection, rows: Sequence[tuple[object, ...]]
) -> int:
    """rows: as the table's columns. One whose generation is there already stays as it is."""
    return database.insert_many_new(connection, contents, rows)


def may_have_contents(connection: sa.Connection, account: AccountId) -> bool:
    """Whether there is such an account, not deleted."""
    return (
        connection.execute(
            sa.select(accounts.c.id).where(
                accounts.c.id == account, accounts.c.deleted_ms.is_(None)
            )
        ).one_or_none()
        is not None
    )


def is_reader(connection: sa.Connection, account: AccountId, user: UserId | None) -> bool:
    """Whether who made a key may read what is kept: a person's own keys all may, in an organisation admins'."""
    kind = connection.execute(sa.select(accounts.c.kind).where(accounts.c.id == account)).scalar()
    if kind != ORGANISATION:
        return True
    if user is None:
        return False
    role = connection.execute(
        sa.select(memberships.c.role).where(
            memberships.c.account_id == account, memberships.c.user_id == user
        )
    ).scalar()
    return role == ADMIN


def is_apps(connection: sa.Connection, account: AccountId, key: KeyId) -> bool:
    """Whether a key was given to an app."""
    app_id = connection.scalar(
        sa.select(api_keys.c.app_id).where(api_keys.c.id == key, api_keys.c.account_id == account)
    )
    return app_id is not None


def is_of_key(connection: sa.Connection, generation: GenerationId, key: KeyId) -> bool:
    """Whether it was called with the key, as far as that is recorded yet."""
    found = connection.scalar(sa.select(generations.c.key_id).where(generations.c.id == generation))
    return found == key


def by_generation(
    connection: sa.Connection, account: AccountId, generation: GenerationId
) -> KeptContent | None:
    row = connection.execute(
        sa.select(contents).where(
            contents.c.generation_id == generation, contents.c.account_id == account
        )
    ).one_or_none()
    if row is None:
        return None
    return KeptContent(
        generation=GenerationId(row.generation_id),
        account=AccountId(row.account_id),
        workspace=WorkspaceId(row.workspace_id),
        created_ms=row.created_ms,
        sealed=row.sealed,
    )


def delete_before(connection: sa.Connection, created_ms: int, *, limit: int) -> int:
    """At most `limit` of those that are older. Returns how many."""
    old = (
        sa.select(contents.c.generation_id)
        .where(contents.c.created_ms < created_ms)
        .order_by(contents.c.created_ms)
        .limit(limit)
    )
    deleted = connection.execute(sa.delete(contents).where(contents.c.generation_id.in_(old)))
    return deleted.rowcount


def delete_of(connection: sa.Connection, account: AccountId) -> int:
    return connection.execute(sa.delete(contents).where(contents.c.account_id == account)).rowcount
