"""SQL about workspaces."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from fairlead.control.workspaces import rules
from fairlead.control.workspaces.types import (
    BudgetSpan,
    Workspace,
    WorkspaceBudget,
    WorkspaceMember,
)
from fairlead.core.ids import AccountId, UserId, WorkspaceId
from fairlead.store.database import Database
from fairlead.store.tables.people import (
    memberships,
    users,
    workspace_budgets,
    workspace_members,
    workspaces,
)
from fairlead.store.tables.presets import preset_versions, presets

__all__ = [
    "add_members",
    "budgets",
    "by_id",
    "by_slug",
    "count",
    "count_account_members",
    "count_members",
    "default_members",
    "delete",
    "delete_budget",
    "forget_member",
    "insert_if_free",
    "is_member",
    "members",
    "of_account",
    "page",
    "put_budget",
    "remove_members",
    "set_byok",
    "update_if_free",
]


def page(
    connection: sa.Connection,
    account: AccountId,
    *,
    user: UserId | None,
    offset: int,
    limit: int,
) -> list[Workspace]:
    """The default one first, then in the order of creation. user: only those in which they work."""
    rows = connection.execute(
        sa.select(workspaces)
        .where(*_live(account), *_worked_in(user))
        .order_by(workspaces.c.is_default.desc(), workspaces.c.created_ms, workspaces.c.id)
        .offset(offset)
        .limit(limit)
    )
    return [_workspace(row) for row in rows]


def count(connection: sa.Connection, account: AccountId, *, user: UserId | None = None) -> int:
    found = sa.select(sa.func.count()).where(*_live(account), *_worked_in(user))
    return connection.scalar(found) or 0


def by_id(
    connection: sa.Connection, account: AccountId, workspace: WorkspaceId
) -> Workspace | None:
    return _one(connection, workspaces.c.id == workspace, *_live(account))


def by_slug(connection: sa.Connection, account: AccountId, slug: str) -> Workspace | None:
    return _one(connection, workspaces.c.slug == slug, *_live(account))


def insert_if_free(database: Database, connection: sa.Connection, workspace: Workspace) -> bool:
    """False: the account has one with that slug."""
    inserted = connection.execute(
        database.insert(workspaces)
        .values(
            id=workspace.id,
            account_id=workspace.account,
            is_default=workspace.is_default,
            created_by=workspace.created_by,
            created_ms=workspace.created_ms,
            include_byok_in_budgets=workspace.include_byok_in_budgets,
            **_changeable(workspace),
        )
        .on_conflict_do_nothing()
        .returning(workspaces.c.id)
    )
    return inserted.first() is not None


def update_if_free(connection: sa.Connection, workspace: Workspace) -> bool:
    """False: the account has another one with that slug."""
    other = sa.select(workspaces.c.id).where(
        *_live(workspace.account),
        workspaces.c.slug == workspace.slug,
        workspaces.c.id != workspace.id,
    )
    if connection.execute(other).first() is not None:
        return False
    connection.execute(
        sa.update(workspaces)
        .where(workspaces.c.id == workspace.id)
        .values(**_changeable(workspace))
    )
    return True


def set_byok(
    connection: sa.Connection, workspace: WorkspaceId, *, counts: bool, now_ms: int
) -> None:
    connection.execute(
        sa.update(workspaces)
        .where(workspaces.c.id == workspace)
        .values(include_byok_in_budgets=counts, updated_ms=now_ms)
    )


def delete(connection: sa.Connection, workspace: WorkspaceId, *, now_ms: int) -> None:
    """Usage still names it; its members, budgets and presets are gone."""
    theirs = sa.select(presets.c.id).where(presets.c.workspace_id == workspace)
    connection.execute(sa.delete(preset_versions).where(preset_versions.c.preset_id.in_(theirs)))
    for table in (presets, workspace_members, workspace_budgets):
        connection.execute(sa.delete(table).where(table.c.workspace_id == workspace))
    connection.execute(
        sa.update(workspaces).where(workspaces.c.id == workspace).values(deleted_ms=now_ms)
    )


def of_account(
    connection: sa.Connection, account: AccountId, people: Collection[UserId]
) -> dict[UserId, str]:
    """Those of these people who belong to the account, with what they are in it."""
    found = connection.execute(_account_members(account, people))
    return {row.user_id: row.role for row in found}


def members(
    connection: sa.Connection, workspace: Workspace, *, offset: int, limit: int
) -> list[WorkspaceMember]:
    """Those who were added to it and are in the account still, in that order."""
    roles = _account_members(workspace.account).subquery()
    rows = connection.execute(
        sa.select(workspace_members.c.user_id, workspace_members.c.created_ms, roles.c.role)
        .join(roles, roles.c.user_id == workspace_members.c.user_id)
        .where(workspace_members.c.workspace_id == workspace.id)
        .order_by(workspace_members.c.created_ms, workspace_members.c.user_id)
        .offset(offset)
        .limit(limit)
    )
    return [_member(workspace.id, row) for row in rows]


def count_members(connection: sa.Connection, workspace: Workspace) -> int:
    roles = _account_members(workspace.account).subquery()
    query = (
        sa.select(sa.func.count())
        .select_from(workspace_members)
        .join(roles, roles.c.user_id == workspace_members.c.user_id)
        .where(workspace_members.c.workspace_id == workspace.id)
    )
    return connection.scalar(query) or 0


def default_members(
    connection: sa.Connection, workspace: Workspace, *, offset: int, limit: int
) -> list[WorkspaceMember]:
    """Everybody in the account."""
    everybody = _account_members(workspace.account).subquery()
    rows = connection.execute(
        sa.select(everybody)
        .order_by(everybody.c.created_ms, everybody.c.user_id)
        .offset(offset)
        .limit(limit)
    )
    return [_member(workspace.id, row) for row in rows]


def count_account_members(connection: sa.Connection, account: AccountId) -> int:
    everybody = _account_members(account).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(everybody)) or 0


def add_members(
    database: Database,
    connection: sa.Connection,
    workspace: WorkspaceId,
    people: Sequence[UserId],
    *,
    now_ms: int,
) -> None:
    """Who is in it stays as they are."""
    rows = [{"workspace_id": workspace, "user_id": one, "created_ms": now_ms} for one in people]
    connection.execute(
        database.insert(workspace_members).values(rows).on_conflict_do_nothing(),
    )


def remove_members(
    connection: sa.Connection, workspace: WorkspaceId, people: Collection[UserId]
) -> int:
    removed = connection.execute(
        sa.delete(workspace_members)
        .where(
            workspace_members.c.workspace_id == workspace, workspace_members.c.user_id.in_(people)
        )
        .returning(workspace_members.c.user_id)
    )
    return len(removed.all())


def is_member(connection: sa.Connection, workspace: WorkspaceId, user: UserId) -> bool:
    """Whether somebody was added to it; to a default one nobody is."""
    found = connection.execute(
        sa.select(workspace_members.c.user_id).where(
            workspace_members.c.workspace_id == workspace, workspace_members.c.user_id == user
        )
    )
    return found.one_or_none() is not None


def forget_member(connection: sa.Connection, account: AccountId, user: UserId) -> None:
    """In all workspaces of the account."""
    of_it = sa.select(workspaces.c.id).where(workspaces.c.account_id == account)
    connection.execute(
        sa.delete(workspace_members).where(
            workspace_members.c.user_id == user, workspace_members.c.workspace_id.in_(of_it)
        )
    )


def budgets(connection: sa.Connection, workspace: WorkspaceId) -> list[WorkspaceBudget]:
    """From the shortest span to the longest."""
    rows = connection.execute(
        sa.select(workspace_budgets).where(workspace_budgets.c.workspace_id == workspace)
    )
    found = {BudgetSpan(row.span): row for row in rows}
    return [_budget(workspace, span, found[span]) for span in BudgetSpan if span in found]


def put_budget(
    database: Database,
    connection: sa.Connection,
    workspace: WorkspaceId,
    span: BudgetSpan,
    *,
    limit: int,
    now_ms: int,
) -> None:
    connection.execute(
        database.insert(workspace_budgets)
        .values(
            workspace_id=workspace,
            span=span.value,
            limit_nano=limit,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        .on_conflict_do_update(
            index_elements=["workspace_id", "span"],
            set_={"limit_nano": limit, "updated_ms": now_ms},
        )
    )


def delete_budget(connection: sa.Connection, workspace: WorkspaceId, span: BudgetSpan) -> None:
    connection.execute(
        sa.delete(workspace_budgets).where(
            workspace_budgets.c.workspace_id == workspace, workspace_budgets.c.span == span.value
        )
    )


def _live(account: AccountId) -> tuple[sa.ColumnElement[bool], ...]:
    return (workspaces.c.account_id == account, workspaces.c.deleted_ms.is_(None))


def _worked_in(user: UserId | None) -> tuple[sa.ColumnElement[bool], ...]:
    """None: whoever asks."""
    if user is None:
        return ()
    added = sa.exists().where(
        workspace_members.c.workspace_id == workspaces.c.id, workspace_members.c.user_id == user
    )
    return (sa.or_(workspaces.c.is_default.is_(True), added),)


def _one(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Workspace | None:
    found = connection.execute(sa.select(workspaces).where(*conditions)).one_or_none()
    return None if found is None else _workspace(found)


def _account_members(
    account: AccountId, people: Collection[UserId] | None = None
) -> sa.CompoundSelect[Any]:
    """user_id, role, created_ms: the account's own person, and an organisation's members."""
    own = sa.select(
        users.c.id.label("user_id"), sa.literal("admin").label("role"), users.c.created_ms
    ).where(users.c.account_id == account, users.c.deleted_ms.is_(None))
    shared = sa.select(
        memberships.c.user_id, memberships.c.role, memberships.c.joined_ms.label("created_ms")
    ).where(memberships.c.account_id == account)
    if people is not None:
        own = own.where(users.c.id.in_(people))
        shared = shared.where(memberships.c.user_id.in_(people))
    return sa.union_all(own, shared)


def _changeable(workspace: Workspace) -> dict[str, object]:
    keys = workspace.io_logging_keys
    return {
        "name": workspace.name,
        "slug": workspace.slug,
        "description": workspace.description,
        "default_text_model": workspace.default_text_model,
        "default_image_model": workspace.default_image_model,
        "default_provider_sort": workspace.default_provider_sort,
        "io_logging": workspace.io_logging,
        "io_logging_sampling_rate": workspace.io_logging_sampling_rate,
        "io_logging_key_ids": None if keys is None else msgspec.json.encode(keys).decode(),
        "broadcast": workspace.broadcast,
        "data_discount_logging": workspace.data_discount_logging,
        "updated_ms": workspace.updated_ms,
    }


def _workspace(row: sa.Row[Any]) -> Workspace:
    return Workspace(
        id=row.id,
        account=row.account_id,
        is_default=row.is_default,
        name=row.name,
        slug=row.slug,
        description=row.description,
        default_text_model=row.default_text_model,
        default_image_model=row.default_image_model,
        default_provider_sort=row.default_provider_sort,
        io_logging=row.io_logging,
        io_logging_sampling_rate=row.io_logging_sampling_rate,
        io_logging_keys=rules.logged_keys(row.io_logging_key_ids),
        broadcast=row.broadcast,
        data_discount_logging=row.data_discount_logging,
        include_byok_in_budgets=row.include_byok_in_budgets,
        created_by=row.created_by,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
    )


def _member(workspace: WorkspaceId, row: sa.Row[*tuple[Any, ...]]) -> WorkspaceMember:
    return WorkspaceMember(
        id=rules.membership_id(workspace, row.user_id),
        workspace=workspace,
        user=row.user_id,
        role=row.role,
        created_ms=row.created_ms,
    )


def _budget(workspace: WorkspaceId, span: BudgetSpan, row: sa.Row[Any]) -> WorkspaceBudget:
    return WorkspaceBudget(
        id=rules.span_id(workspace, span),
        workspace=workspace,
        budget=rules.budget_id(workspace, span),
        span=span,
        limit=row.limit_nano,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
    )
