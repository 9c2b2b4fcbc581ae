"""Workspaces: create, change and delete them, who works in them, what they may spend.

Who may do it is decided by those who ask: a management key may, and an organisation's admins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.workspaces import queries, rules
from fairlead.control.workspaces.types import (
    ActiveKeys,
    BudgetSpan,
    SpendingLimits,
    Workspace,
    WorkspaceBudget,
    WorkspaceChange,
    WorkspaceInUse,
    WorkspaceInvalid,
    WorkspaceIsDefault,
    WorkspaceMember,
    WorkspacesPage,
    WorkspaceUnknown,
)
from fairlead.core.ids import UUID_ENTROPY_BYTES, AccountId, UserId, WorkspaceId, random_uuid
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

__all__ = ["Workspaces"]

PAGE_MAX: Final = 100
ADMIN: Final = "admin"


class Workspaces:
    """All workspaces. Methods block.

    workspaces = Workspaces(database, audit, keys=..., limits=..., now_ms=..., entropy=...)
    workspaces.default_of(account)  # its id, without asking the database
    workspaces.find(account, "production")  # by id or by slug

    A method that names a workspace takes its id or its slug, and raises WorkspaceUnknown.
    keys: who still has keys there. limits: where budgets are kept, None: they are written down only.
    """

    def __init__(
        self,
        database: Database,
        audit: Audit,
        *,
        keys: ActiveKeys | None,
        limits: SpendingLimits | None,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._audit = audit
        self._keys = keys
        self._limits = limits
        self._now_ms = now_ms
        self._entropy = entropy

    def default_of(self, account: AccountId) -> WorkspaceId:
        return default_workspace(account)

    def page(
        self,
        account: AccountId,
        *,
        user: UserId | None = None,
        offset: int = 0,
        limit: int = PAGE_MAX,
    ) -> WorkspacesPage:
        """The default one first, then in the order of creation. user: only the default one, and those that this
        member of the account was added to."""
        bounds = {"offset": offset, "limit": min(limit, PAGE_MAX)}
        with self._database.read() as connection:
            found = queries.page(connection, account, user=user, **bounds)
            return WorkspacesPage(tuple(found), queries.count(connection, account, user=user))

    def find(self, account: AccountId, workspace: str) -> Workspace:
        with self._database.read() as connection:
            return _found(connection, account, workspace)

    def find_within(
        self, connection: sa.Connection, account: AccountId, workspace: str
    ) -> Workspace:
        """The same in a transaction of yours."""
        return _found(connection, account, workspace)

    def create(
        self,
        account: AccountId,
        wanted: WorkspaceChange,
        *,
        actor: Actor,
        creator: UserId | None = None,
    ) -> Workspace:
        """Raises WorkspaceInvalid, which names the field."""
        now_ms = self._now_ms()
        workspace = rules.new(
            wanted,
            id=WorkspaceId(random_uuid(self._entropy(UUID_ENTROPY_BYTES))),
            account=account,
            creator=creator,
            now_ms=now_ms,
        )
        with self._database.begin() as connection:
            self._database.lock(connection, f"workspaces {account}")
            if queries.count(connection, account) >= rules.WORKSPACES_MAX:
                raise WorkspaceInvalid(
                    f"an account has at most {rules.WORKSPACES_MAX} workspaces", ""
                )
            if not queries.insert_if_free(self._database, connection, workspace):
                raise _slug_taken(workspace)
            if creator is not None:
                queries.add_members(
                    self._database, connection, workspace.id, [creator], now_ms=now_ms
                )
            self._note(connection, workspace, actor, rules.WORKSPACE_CREATE, name=workspace.name)
        return workspace

    def update(
        self, account: AccountId, workspace: str, wanted: WorkspaceChange, *, actor: Actor
    ) -> Workspace:
        """Raises WorkspaceInvalid, which names the field."""
        with self._changing(account) as connection:
            before = _found(connection, account, workspace)
            keys = rules.NO_KEYS
            if wanted.io_logging_keys and self._keys is not None:
                keys = self._keys.digests(connection, before.id)
            after = rules.changed(before, wanted, now_ms=self._now_ms(), keys=keys)
            if not queries.update_if_free(connection, after):
                raise _slug_taken(after)
            self._note(connection, after, actor, "workspace.update", name=after.name)
        return after

    def delete(self, account: AccountId, workspace: str, *, actor: Actor) -> None:
        """With its budgets, presets and keys for the chat. Raises WorkspaceIsDefault, WorkspaceInUse."""
        with self._changing(account) as connection:
            found = _found(connection, account, workspace)
            if found.is_default:
                raise WorkspaceIsDefault("The default workspace cannot be deleted.")
            if self._keys is not None:
                if self._keys.count(connection, found.id):
                    raise WorkspaceInUse("This workspace has active API keys; delete them first.")
                self._keys.delete_chat(connection, account, found.id)
            for budget in queries.budgets(connection, found.id):
                self._forget_limit(connection, budget)
            queries.delete(connection, found.id, now_ms=self._now_ms())
            self._note(connection, found, actor, "workspace.delete", name=found.name)

    # Who works in it.

    def members(
        self, account: AccountId, workspace: str, *, offset: int = 0, limit: int = PAGE_MAX
    ) -> tuple[tuple[WorkspaceMember, ...], int]:
        """A page of them, and how many there are. The default workspace has everybody."""
        with self._database.read() as connection:
            found = _found(connection, account, workspace)
            bounds = {"offset": offset, "limit": min(limit, PAGE_MAX)}
            if found.is_default:
                total = queries.count_account_members(connection, account)
                return tuple(queries.default_members(connection, found, **bounds)), total
            total = queries.count_members(connection, found)
            return tuple(queries.members(connection, found, **bounds)), total

    def has_member(self, account: AccountId, workspace: str, user: UserId) -> bool:
        """Whether somebody belongs to the account, and was added to it if it is not the default one. Raises
        WorkspaceUnknown."""
        with self._database.read() as connection:
            found = _found(connection, account, workspace)
            if user not in queries.of_account(connection, account, [user]):
                return False
            return found.is_default or queries.is_member(connection, found.id, user)

    def add_members(
        self, account: AccountId, workspace: str, people: Sequence[UserId], *, actor: Actor
    ) -> tuple[WorkspaceMember, ...]:
        """Those who were asked for, also if they had been in it.

        Raises WorkspaceInvalid for who does not belong to the account, WorkspaceIsDefault.
        """
        wanted = _checked_people(people)
        with self._changing(account) as connection:
            found = _found(connection, account, workspace)
            if found.is_default:
                raise WorkspaceIsDefault("Everybody belongs to the default workspace.")
            roles = queries.of_account(connection, account, wanted)
            for one in wanted:
                if one not in roles:
                    raise WorkspaceInvalid(
                        f"{one[:60]} does not belong to this account", "user_ids"
                    )
            queries.add_members(self._database, connection, found.id, wanted, now_ms=self._now_ms())
            self._note(connection, found, actor, "workspace.members_add", people=", ".join(wanted))
            everybody = queries.members(connection, found, offset=0, limit=_ALL)
        return tuple(member for member in everybody if member.user in roles)

    def remove_members(
        self, account: AccountId, workspace: str, people: Sequence[UserId], *, actor: Actor
    ) -> int:
        """How many of them were in it. Raises WorkspaceInUse for who has active keys there,
        WorkspaceIsDefault."""
        wanted = _checked_people(people)
        with self._changing(account) as connection:
            found = _found(connection, account, workspace)
            if found.is_default:
                raise WorkspaceIsDefault("Nobody can be removed from the default workspace.")
            if self._keys is not None:
                if self._keys.count(connection, found.id, creators=wanted):
                    raise WorkspaceInUse(
                        "They have active API keys in this workspace; delete them first."
                    )
                self._keys.delete_chat(connection, account, found.id, creators=wanted)
            removed = queries.remove_members(connection, found.id, wanted)
            self._note(
                connection, found, actor, "workspace.members_remove", people=", ".join(wanted)
            )
        return removed

    def works_in(self, connection: sa.Connection, workspace: Workspace, user: UserId) -> bool:
        """Whether somebody belongs to its account, and was added to it if it is not the default one. An
        admin of the account need not be."""
        role = queries.of_account(connection, workspace.account, [user]).get(user)
        if role is None:
            return False
        if workspace.is_default or role == ADMIN:
            return True
        return queries.is_member(connection, workspace.id, user)

    def forget_member(self, connection: sa.Connection, account: AccountId, user: UserId) -> None:
        """Who leaves an account leaves its workspaces."""
        queries.forget_member(connection, account, user)

    # What it may spend.

    def budgets(
        self, account: AccountId, workspace: str
    ) -> tuple[Workspace, tuple[WorkspaceBudget, ...]]:
        """From the shortest span to the longest."""
        with self._database.read() as connection:
            found = _found(connection, account, workspace)
            return found, tuple(queries.budgets(connection, found.id))

    def set_budget(
        self,
        account: AccountId,
        workspace: str,
        span: BudgetSpan,
        *,
        limit: NanoUSD,
        include_byok: bool | None = None,
        actor: Actor,
    ) -> tuple[Workspace, WorkspaceBudget]:
        """New, or in place of the one there was. include_byok: for all of the workspace's; None: as it is.

        Raises BudgetInvalid.
        """
        now_ms = self._now_ms()
        with self._changing(account) as connection:
            found = _found(connection, account, workspace)
            there = {one.span: one.limit for one in queries.budgets(connection, found.id)}
            rules.check_budgets({**there, span: limit})
            queries.put_budget(
                self._database, connection, found.id, span, limit=limit, now_ms=now_ms
            )
            if include_byok is not None and include_byok is not found.include_byok_in_budgets:
                queries.set_byok(connection, found.id, counts=include_byok, now_ms=now_ms)
                found = _found(connection, account, found.id)
            budgets = queries.budgets(connection, found.id)
            for one in budgets:
                self._keep_limit(connection, found, one)
            self._note(
                connection, found, actor, "workspace.budget_set", span=span.value, limit_nano=limit
            )
        return found, next(one for one in budgets if one.span is span)

    def set_budgets(
        self,
        account: AccountId,
        workspace: str,
        limits: Mapping[BudgetSpan, NanoUSD],
        *,
        include_byok: bool,
        actor: Actor,
    ) -> None:
        """All of them in place of those there were; a span that is not named has none. Raises BudgetInvalid."""
        rules.check_budgets(limits)
        now_ms = self._now_ms()
        with self._changing(account) as connection:
            found = _found(connection, account, workspace)
            for one in queries.budgets(connection, found.id):
                if one.span not in limits:
                    self._forget_limit(connection, one)
                    queries.delete_budget(connection, found.id, one.span)
            for span, limit in limits.items():
                queries.put_budget(
                    self._database, connection, found.id, span, limit=limit, now_ms=now_ms
                )
            if include_byok is not found.include_byok_in_budgets:
                queries.set_byok(connection, found.id, counts=include_byok, now_ms=now_ms)
                found = _found(connection, account, found.id)
            for one in queries.budgets(connection, found.id):
                self._keep_limit(connection, found, one)
            kept = {span.value: limit for span, limit in limits.items()}
            self._note(connection, found, actor, "workspace.budgets_set", **kept)

    def delete_budget(
        self, account: AccountId, workspace: str, span: BudgetSpan, *, actor: Actor
    ) -> None:
        """Again is fine."""
        with self._changing(account) as connection:
            found = _found(connection, account, workspace)
            for one in queries.budgets(connection, found.id):
                if one.span is span:
                    self._forget_limit(connection, one)
                    queries.delete_budget(connection, found.id, span)
                    self._note(connection, found, actor, "workspace.budget_delete", span=span.value)

    def _changing(self, account: AccountId) -> AbstractContextManager[sa.Connection]:
        """A transaction; of those that change one account's workspaces, one runs at a time."""
        return _locked(self._database, f"workspaces {account}")

    def _keep_limit(
        self, connection: sa.Connection, workspace: Workspace, budget: WorkspaceBudget
    ) -> None:
        if self._limits is not None:
            self._limits.define(
                connection,
                budget=budget.budget,
                account=workspace.account,
                limit=budget.limit,
                reset=budget.span.reset,
                counts_byok=workspace.include_byok_in_budgets,
            )

    def _forget_limit(self, connection: sa.Connection, budget: WorkspaceBudget) -> None:
        if self._limits is not None:
            self._limits.remove(connection, budget.budget)

    def _note(
        self,
        connection: sa.Connection,
        workspace: Workspace,
        actor: Actor,
        action: str,
        **details: object,
    ) -> None:
        self._audit.note(connection, workspace.account, actor, action, workspace.id, **details)


_ALL: Final = 1_000_000


@contextmanager
def _locked(database: Database, name: str) -> Iterator[sa.Connection]:
    with database.begin() as connection:
        database.lock(connection, name)
        yield connection


def _found(connection: sa.Connection, account: AccountId, workspace: str) -> Workspace:
    """By id, else by slug: a slug may look like a UUID, but nobody has it by chance."""
    found: Workspace | None = None
    with suppress(ValueError):
        found = queries.by_id(connection, account, WorkspaceId(str(UUID(workspace))))
    found = found or queries.by_slug(connection, account, workspace)
    if found is None:
        raise WorkspaceUnknown(f"this account has no workspace {workspace[:80]!r}")
    return found


def _checked_people(people: Sequence[UserId]) -> list[UserId]:
    wanted = list(dict.fromkeys(people))
    if not 0 < len(wanted) <= rules.MEMBERS_AT_ONCE:
        raise WorkspaceInvalid(f"user_ids has 1 to {rules.MEMBERS_AT_ONCE} entries", "user_ids")
    return wanted


def _slug_taken(workspace: Workspace) -> WorkspaceInvalid:
    return WorkspaceInvalid(
        f"this account has another workspace with the slug {workspace.slug}", "slug"
    )
