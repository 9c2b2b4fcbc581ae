"""Workspaces: which names they may have, who belongs to them, budgets that grow with their span."""

from __future__ import annotations

import os
from collections.abc import Collection
from itertools import count

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Account, Billing
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import OPERATOR, Actor
from fairlead.control.people.service import People
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import (
    BudgetInvalid,
    BudgetSpan,
    WorkspaceChange,
    WorkspaceInUse,
    WorkspaceInvalid,
    WorkspaceIsDefault,
    WorkspaceUnknown,
)
from fairlead.core.ids import AccountId, BudgetId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

# What the database has no part in is shown on one of them.
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])

NOW_MS = 1_763_700_000_000
DOLLAR = 1_000_000_000


class KeysThere:
    """control.workspaces.types.ActiveKeys."""

    def __init__(self) -> None:
        self.made: list[tuple[WorkspaceId, UserId]] = []

    def count(
        self,
        connection: sa.Connection,
        workspace: WorkspaceId,
        *,
        creators: Collection[UserId] | None = None,
    ) -> int:
        return sum(
            one == workspace and (creators is None or creator in creators)
            for one, creator in self.made
        )

    def delete_chat(
        self,
        connection: sa.Connection,
        account: AccountId,
        workspace: WorkspaceId,
        *,
        creators: Collection[UserId] | None = None,
    ) -> None:
        """Nobody has chatted."""

    def digests(self, connection: sa.Connection, workspace: WorkspaceId) -> dict[KeyId, bytes]:
        return {}


class LimitsKept:
    """control.workspaces.types.SpendingLimits."""

    def __init__(self) -> None:
        self.limits: dict[BudgetId, tuple[int, str | None, bool]] = {}

    def define(
        self,
        connection: sa.Connection,
        *,
        budget: BudgetId,
        account: AccountId,
        limit: NanoUSD,
        reset: str | None,
        counts_byok: bool,
    ) -> None:
        self.limits[budget] = (limit, reset, counts_byok)

    def remove(self, connection: sa.Connection, budget: BudgetId) -> None:
        self.limits.pop(budget, None)


@pytest.fixture
def keys() -> KeysThere:
    return KeysThere()


@pytest.fixture
def limits() -> LimitsKept:
    return LimitsKept()


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, now_ms=lambda: NOW_MS, entropy=os.urandom)


@pytest.fixture
def audit(database: Database) -> Audit:
    ticks = count(NOW_MS)
    return Audit(database, now_ms=lambda: next(ticks), entropy=os.urandom)


@pytest.fixture
def workspaces(database: Database, audit: Audit, keys: KeysThere, limits: LimitsKept) -> Workspaces:
    ticks = count(NOW_MS)
    return Workspaces(
        database,
        audit,
        keys=keys,
        limits=limits,
        now_ms=lambda: next(ticks),
        entropy=os.urandom,
    )


@pytest.fixture
def account(accounts: Accounts) -> Account:
    return accounts.create(email="ada@example.com", billing=Billing.PREPAID)


PRODUCTION = WorkspaceChange(name="Production", slug="production")


def test_every_account_has_a_default_workspace_whose_id_needs_no_look_up(
    workspaces: Workspaces, account: Account, accounts: Accounts
):
    for one in (account, accounts.ensure_owner().account):
        found = workspaces.find(one.id, "default")
        assert (found.id, found.is_default, found.name) == (
            workspaces.default_of(one.id),
            True,
            "Default",
        )
        assert workspaces.page(one.id).workspaces == (found,)


def test_a_workspace_is_found_by_id_and_by_slug_in_its_account_alone(
    workspaces: Workspaces, account: Account, accounts: Accounts
):
    made = workspaces.create(account.id, PRODUCTION, actor=OPERATOR)
    assert workspaces.find(account.id, "production") == made
    assert workspaces.find(account.id, made.id.upper()) == made
    page = workspaces.page(account.id)
    assert ([one.slug for one in page.workspaces], page.total) == (["default", "production"], 2)
    assert workspaces.page(account.id, offset=1, limit=1).workspaces == (made,)
    other = accounts.create(email="other@example.com", billing=Billing.PREPAID).id
    for name in (made.id, "production", "'; DROP TABLE workspaces; --"):
        with pytest.raises(WorkspaceUnknown):
            workspaces.find(other, name)


@ON_SQLITE
@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (WorkspaceChange(slug="a"), "name"),
        (WorkspaceChange(name="A"), "slug"),
        (WorkspaceChange(name=" ", slug="a"), "name"),
        (WorkspaceChange(name="x" * 101, slug="a"), "name"),
        (WorkspaceChange(name="A", slug=""), "slug"),
        (WorkspaceChange(name="A", slug="a--b"), "slug"),
        (WorkspaceChange(name="A", slug="-a"), "slug"),
        (WorkspaceChange(name="A", slug="Ä"), "slug"),
        (WorkspaceChange(name="A", slug="a\n"), "slug"),
        (WorkspaceChange(name="A", slug="x" * 51), "slug"),
        (WorkspaceChange(name="A", slug="default"), "slug"),
        (WorkspaceChange(name="A", slug="a", description="x" * 501), "description"),
        (
            WorkspaceChange(name="A", slug="a", default_provider_sort="best"),
            "default_provider_sort",
        ),
        (
            WorkspaceChange(name="A", slug="a", io_logging_keys=(1, 2)),
            "io_logging_api_key_ids",
        ),
        (
            WorkspaceChange(name="A", slug="a", io_logging_sampling_rate=0),
            "io_logging_sampling_rate",
        ),
        (
            WorkspaceChange(name="A", slug="a", io_logging_sampling_rate=float("nan")),
            "io_logging_sampling_rate",
        ),
    ],
)
def test_what_a_workspace_cannot_be_is_refused_by_the_name_of_the_field(
    workspaces: Workspaces, account: Account, wanted: WorkspaceChange, path: str
):
    with pytest.raises(WorkspaceInvalid) as refused:
        workspaces.create(account.id, wanted, actor=OPERATOR)
    assert refused.value.path == path
    assert workspaces.page(account.id).total == 1


def test_a_change_leaves_the_rest_as_it_was(workspaces: Workspaces, account: Account):
    made = workspaces.create(
        account.id,
        WorkspaceChange(
            name="Production",
            slug="production",
            description="what our customers use",
            io_logging_sampling_rate=0.25,
        ),
        actor=OPERATOR,
    )
    changed = workspaces.update(
        account.id, made.id, WorkspaceChange(slug="live", description=None), actor=OPERATOR
    )
    assert (changed.slug, changed.description, changed.name) == ("live", None, "Production")
    assert (changed.io_logging_sampling_rate, changed.io_logging_keys) == (0.25, None)
    assert changed.updated_ms is not None
    assert workspaces.find(account.id, made.id) == changed
    with pytest.raises(WorkspaceInvalid):
        workspaces.update(account.id, made.id, WorkspaceChange(slug="default"), actor=OPERATOR)


def test_a_workspace_goes_when_nothing_opens_it_any_more_and_its_slug_is_free_again(
    workspaces: Workspaces, account: Account, keys: KeysThere, limits: LimitsKept
):
    made = workspaces.create(account.id, PRODUCTION, actor=OPERATOR)
    workspaces.set_budget(
        account.id, made.id, BudgetSpan.DAILY, limit=NanoUSD(DOLLAR), actor=OPERATOR
    )
    keys.made.append((made.id, UserId("user-1")))
    with pytest.raises(WorkspaceInUse):
        workspaces.delete(account.id, made.id, actor=OPERATOR)
    keys.made.clear()
    workspaces.delete(account.id, made.id, actor=OPERATOR)
    assert limits.limits == {}
    with pytest.raises(WorkspaceUnknown):
        workspaces.find(account.id, made.id)
    again = workspaces.create(account.id, PRODUCTION, actor=OPERATOR)
    assert again.id != made.id
    with pytest.raises(WorkspaceIsDefault):
        workspaces.delete(account.id, "default", actor=OPERATOR)


def test_only_those_of_the_account_can_be_added_and_all_are_in_the_default_one(
    workspaces: Workspaces,
    account: Account,
    accounts: Accounts,
    database: Database,
    keys: KeysThere,
):
    people = People(database)
    (ada,), total = people.members(account.id)
    assert (total, ada.role, ada.email) == (1, "admin", "ada@example.com")
    made = workspaces.create(account.id, PRODUCTION, actor=OPERATOR)
    assert workspaces.members(account.id, made.id) == ((), 0)
    (added,) = workspaces.add_members(account.id, made.id, [ada.user, ada.user], actor=OPERATOR)
    assert workspaces.add_members(account.id, made.id, [ada.user], actor=OPERATOR) == (added,)
    assert workspaces.members(account.id, made.id) == ((added,), 1)
    assert (added.user, added.role) == (ada.user, "admin")
    (implied,), one = workspaces.members(account.id, "default")
    assert (implied.user, one) == (ada.user, 1)

    stranger = accounts.create(email="other@example.com", billing=Billing.PREPAID)
    ((other,), _) = people.members(stranger.id)
    for wanted in ([other.user], [UserId("nobody")], [], [UserId(f"u{n}") for n in range(101)]):
        with pytest.raises(WorkspaceInvalid) as refused:
            workspaces.add_members(account.id, made.id, wanted, actor=OPERATOR)
        assert refused.value.path == "user_ids"
    for change in (workspaces.add_members, workspaces.remove_members):
        with pytest.raises(WorkspaceIsDefault):
            change(account.id, "default", [ada.user], actor=OPERATOR)

    keys.made.append((made.id, ada.user))
    with pytest.raises(WorkspaceInUse):
        workspaces.remove_members(account.id, made.id, [ada.user], actor=OPERATOR)
    keys.made.clear()
    assert (
        workspaces.remove_members(account.id, made.id, [ada.user, other.user], actor=OPERATOR) == 1
    )
    assert workspaces.remove_members(account.id, made.id, [ada.user], actor=OPERATOR) == 0


def test_budgets_grow_with_their_span_and_there_is_one_for_each(
    workspaces: Workspaces, account: Account, limits: LimitsKept
):
    def put(span: BudgetSpan, dollars: int, *, include_byok: bool | None = None) -> None:
        workspaces.set_budget(
            account.id,
            "default",
            span,
            limit=NanoUSD(dollars * DOLLAR),
            include_byok=include_byok,
            actor=OPERATOR,
        )

    put(BudgetSpan.WEEKLY, 10)
    put(BudgetSpan.LIFETIME, 100)
    put(BudgetSpan.WEEKLY, 20, include_byok=True)
    for span, dollars in (
        (BudgetSpan.DAILY, 20),
        (BudgetSpan.MONTHLY, 20),
        (BudgetSpan.MONTHLY, 100),
        (BudgetSpan.LIFETIME, 20),
        (BudgetSpan.DAILY, 0),
        (BudgetSpan.DAILY, -1),
    ):
        with pytest.raises(BudgetInvalid):
            put(span, dollars)
    workspace, budgets = workspaces.budgets(account.id, "default")
    assert workspace.include_byok_in_budgets
    assert [(one.span, one.limit) for one in budgets] == [
        (BudgetSpan.WEEKLY, 20 * DOLLAR),
        (BudgetSpan.LIFETIME, 100 * DOLLAR),
    ]
    assert limits.limits == {
        f"workspace:{workspace.id}:weekly": (20 * DOLLAR, "weekly", True),
        f"workspace:{workspace.id}:lifetime": (100 * DOLLAR, None, True),
    }
    for _ in range(2):
        workspaces.delete_budget(account.id, "default", BudgetSpan.WEEKLY, actor=OPERATOR)
    assert list(limits.limits) == [f"workspace:{workspace.id}:lifetime"]


def test_all_budgets_are_set_at_once_or_none_is(
    workspaces: Workspaces, account: Account, limits: LimitsKept
):
    def put(*, include_byok: bool, **dollars: int) -> None:
        wanted = {BudgetSpan(name): NanoUSD(one * DOLLAR) for name, one in dollars.items()}
        workspaces.set_budgets(
            account.id, "default", wanted, include_byok=include_byok, actor=OPERATOR
        )

    put(daily=5, monthly=20, include_byok=True)
    # One by one, the first would be more than the other.
    put(daily=30, monthly=40, lifetime=50, include_byok=True)
    for wrong in ({"daily": 5, "weekly": 5}, {"monthly": 0}):
        with pytest.raises(BudgetInvalid):
            put(include_byok=False, **wrong)
    put(monthly=40, include_byok=False)
    workspace, budgets = workspaces.budgets(account.id, "default")
    assert [(one.span, one.limit) for one in budgets] == [(BudgetSpan.MONTHLY, 40 * DOLLAR)]
    assert not workspace.include_byok_in_budgets
    assert limits.limits == {f"workspace:{workspace.id}:monthly": (40 * DOLLAR, "monthly", False)}


def test_what_was_done_is_in_the_audit_log_without_secrets(
    workspaces: Workspaces, account: Account, audit: Audit, database: Database
):
    actor = Actor.user(UserId("user-1"), "192.0.2.7")
    made = workspaces.create(account.id, PRODUCTION, actor=actor)
    secret = "sk-fl-v1-" + "0af" * 20
    with database.begin() as connection:
        audit.note(
            connection, account.id, actor, "test.done", made.id, word=secret, long="x" * 9999
        )
    newest, created = audit.page(account.id)
    assert (created.action, created.subject, created.actor) == ("workspace.create", made.id, actor)
    assert created.details == {"name": "Production"}
    assert secret not in newest.details["word"]
    assert len(newest.details["long"]) <= 300
    assert audit.page(account.id, before=newest.id) == [created]
    assert audit.page_of_all(limit=1) == [newest]
    assert audit.page(AccountId("acc-other")) == []


def test_the_audit_log_is_kept_for_a_bounded_time(
    workspaces: Workspaces, account: Account, audit: Audit
):
    workspaces.create(account.id, PRODUCTION, actor=OPERATOR)
    assert audit.sweep(kept_ms=1000) == 0
    assert audit.sweep(kept_ms=-1000) == 1
    assert audit.page(account.id) == []
