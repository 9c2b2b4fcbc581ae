"""SQL about API keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.types import Billing
from fairlead.control.keys import rules
from fairlead.control.keys.types import ApiKey, FoundKey, LimitReset
from fairlead.core.budgets.types import (
    BudgetKind,
    CallerBudget,
    Reset,
    account_budget,
    kind_of,
)
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.budgets import budget_periods, budgets
from fairlead.store.tables.keys import api_keys
from fairlead.store.tables.ledger import ledger_accounts
from fairlead.store.tables.people import users, workspaces

__all__ = [
    "DIGESTS_MAX",
    "by_digest",
    "by_digests",
    "by_id",
    "by_ids",
    "count_live",
    "delete_chat",
    "insert",
    "live_digests",
    "page",
    "page_of_management",
    "page_of_workspace",
    "person_of",
    "save",
]

_INTERVALS: Final = ("daily", "weekly", "monthly", "lifetime")
_DIGESTS: Final[sa.BindParameter[Any]] = sa.bindparam("digests", expanding=True)
_IS_PERSON_DISABLED: Final = (
    sa.select(users.c.id)
    .where(
        users.c.disabled_ms.is_not(None),
        sa.or_(
            users.c.id == api_keys.c.creator_user_id,
            users.c.account_id == api_keys.c.account_id,
        ),
    )
    .correlate(api_keys)
    .exists()
)
_BY_DIGESTS: Final = (
    sa.select(
        api_keys,
        accounts.c.billing,
        accounts.c.preferences,
        accounts.c.deleted_ms.label("account_deleted_ms"),
        workspaces.c.default_text_model,
        workspaces.c.default_provider_sort,
        _IS_PERSON_DISABLED.label("is_person_disabled"),
        ledger_accounts.c.purchased_nano,
    )
    .join(accounts, accounts.c.id == api_keys.c.account_id)
    .outerjoin(workspaces, workspaces.c.id == api_keys.c.workspace_id)
    .outerjoin(ledger_accounts, ledger_accounts.c.account_id == accounts.c.id)
    .where(api_keys.c.digest.in_(_DIGESTS))
)
# The ids that core.budgets.types gives to the budgets of a key, by their primary key.
_BUDGETS: Final = (
    sa.select(
        api_keys.c.id.label("key_id"),
        budgets.c.id,
        budgets.c.reset,
        budgets.c.counts_byok,
        budgets.c.limit_nano,
        budget_periods.c.spent_nano,
    )
    .select_from(api_keys)
    .join(
        budgets,
        budgets.c.id.in_(
            [
                "account:" + api_keys.c.account_id,
                "key:" + api_keys.c.id,
                *("workspace:" + api_keys.c.workspace_id + f":{span}" for span in _INTERVALS),
                "member:" + api_keys.c.account_id + ":" + api_keys.c.creator_user_id,
            ]
        ),
    )
    .outerjoin(
        budget_periods,
        sa.and_(budget_periods.c.budget_id == budgets.c.id, budget_periods.c.period == ""),
    )
    .where(api_keys.c.digest.in_(_DIGESTS), budgets.c.limit_nano.is_not(None))
)
DIGESTS_MAX: Final = 500  # SQLite takes 999 parameters in its oldest versions


def insert(connection: sa.Connection, key: ApiKey) -> None:
    connection.execute(
        sa.insert(api_keys).values(
            id=key.id,
            account_id=key.account,
            digest=key.digest,
            label=key.label,
            name=key.name,
            is_management=key.is_management,
            is_disabled=key.is_disabled,
            limit_nano=key.limit,
            limit_reset=None if key.limit_reset is None else key.limit_reset.value,
            created_ms=key.created_ms,
            expires_ms=key.expires_ms,
            revoked_ms=key.revoked_ms,
            requests_per_minute=key.requests_per_minute,
            requests_per_day=key.requests_per_day,
            workspace_id=key.workspace,
            creator_user_id=key.creator,
            include_byok_in_limit=key.includes_byok,
            app_id=key.app_id,
            updated_ms=key.updated_ms,
            deleted_ms=key.deleted_ms,
        )
    )


def by_digests(connection: sa.Connection, digests: Sequence[bytes]) -> dict[bytes, FoundKey]:
    """Those that exist. digests: at most DIGESTS_MAX."""
    assert len(digests) <= DIGESTS_MAX
    rows = connection.execute(_BY_DIGESTS, {"digests": digests}).all()
    limited = _budgets(connection, digests) if rows else {}
    found: dict[bytes, FoundKey] = {}
    for row in rows:
        is_prepaid = row.billing == Billing.PREPAID
        limits, has_debt = limited.get(row.id, ((), False))
        if is_prepaid:
            limits = (CallerBudget(account_budget(row.account_id)), *limits)
        found[row.digest] = FoundKey(
            _key(row),
            is_prepaid,
            row.preferences,
            default_model=row.default_text_model or None,  # earlier versions kept empty ones
            default_sort=row.default_provider_sort,
            is_account_deleted=row.account_deleted_ms is not None,
            is_person_disabled=row.is_person_disabled,
            credits_purchased=NanoUSD(row.purchased_nano or 0),
            budgets=limits,
            is_in_debt=is_prepaid and has_debt,
        )
    return found


def by_id(connection: sa.Connection, account: AccountId, key: KeyId) -> ApiKey | None:
    found = connection.execute(sa.select(api_keys).where(*_is(account, key))).one_or_none()
    return None if found is None else _key(found)


def person_of(connection: sa.Connection, account: AccountId) -> UserId | None:
    """Whose own account it is; None: it is an organisation's."""
    return connection.scalar(sa.select(users.c.id).where(users.c.account_id == account))


def by_digest(connection: sa.Connection, account: AccountId, digest: bytes) -> ApiKey | None:
    found = connection.execute(
        sa.select(api_keys).where(api_keys.c.digest == digest, api_keys.c.account_id == account)
    ).one_or_none()
    return None if found is None else _key(found)


def page(
    connection: sa.Connection, account: AccountId, *, after: KeyId, limit: int
) -> list[ApiKey]:
    """In the order of creation, those behind `after`; revoked ones too, but none that was deleted."""
    rows = connection.execute(
        sa.select(api_keys)
        .where(
            api_keys.c.account_id == account,
            api_keys.c.id > after,
            api_keys.c.deleted_ms.is_(None),
        )
        .order_by(api_keys.c.id)
        .limit(limit)
    )
    return [_key(row) for row in rows]


def page_of_workspace(
    connection: sa.Connection,
    account: AccountId,
    workspace: WorkspaceId,
    *,
    creator: UserId | None,
    with_disabled: bool,
    offset: int,
    limit: int,
) -> list[ApiKey]:
    """The newest first. None for managing, for those belong to the whole account."""
    query = sa.select(api_keys).where(
        api_keys.c.account_id == account,
        _in_workspace(account, workspace),
        api_keys.c.deleted_ms.is_(None),
        sa.not_(api_keys.c.is_management),
    )
    if creator is not None:
        query = query.where(api_keys.c.creator_user_id == creator)
    if not with_disabled:
        query = query.where(sa.not_(api_keys.c.is_disabled), api_keys.c.revoked_ms.is_(None))
    rows = connection.execute(query.order_by(api_keys.c.id.desc()).offset(offset).limit(limit))
    return [_key(row) for row in rows]


def page_of_management(
    connection: sa.Connection, account: AccountId, *, offset: int, limit: int
) -> list[ApiKey]:
    """Those for managing, the newest first; revoked ones too, but none that was deleted."""
    query = (
        sa.select(api_keys)
        .where(
            api_keys.c.account_id == account,
            api_keys.c.deleted_ms.is_(None),
            api_keys.c.is_management,
        )
        .order_by(api_keys.c.id.desc())
    )
    return [_key(row) for row in connection.execute(query.offset(offset).limit(limit))]


def count_live(
    connection: sa.Connection, workspace: WorkspaceId, *, creators: Collection[UserId] | None
) -> int:
    """Those that pages made for the chat are not counted."""
    query = sa.select(sa.func.count()).where(
        api_keys.c.workspace_id == workspace,
        api_keys.c.label != rules.CHAT_LABEL,
        api_keys.c.revoked_ms.is_(None),
        api_keys.c.deleted_ms.is_(None),
    )
    if creators is not None:
        query = query.where(api_keys.c.creator_user_id.in_(creators))
    return connection.scalar(query) or 0


def delete_chat(
    connection: sa.Connection,
    *,
    account: AccountId,
    workspace: WorkspaceId | None = None,
    creators: Collection[UserId] | None = None,
    now_ms: int,
) -> None:
    """Those that pages made for the chat, unless they are disabled or revoked. workspace, creators: None: of
    all."""
    query = sa.update(api_keys).where(
        api_keys.c.account_id == account,
        api_keys.c.label == rules.CHAT_LABEL,
        api_keys.c.is_disabled.is_(False),
        api_keys.c.revoked_ms.is_(None),
    )
    if workspace is not None:
        query = query.where(api_keys.c.workspace_id == workspace)
    if creators is not None:
        query = query.where(api_keys.c.creator_user_id.in_(creators))
    connection.execute(query.values(revoked_ms=now_ms, updated_ms=now_ms, deleted_ms=now_ms))


def live_digests(connection: sa.Connection, workspace: WorkspaceId) -> dict[KeyId, bytes]:
    """Of those that are neither revoked nor deleted."""
    rows = connection.execute(
        sa.select(api_keys.c.id, api_keys.c.digest).where(
            api_keys.c.workspace_id == workspace,
            api_keys.c.revoked_ms.is_(None),
            api_keys.c.deleted_ms.is_(None),
        )
    )
    return {KeyId(row.id): row.digest for row in rows}


def by_ids(connection: sa.Connection, account: AccountId, ids: Collection[KeyId]) -> list[ApiKey]:
    """Those of the account, deleted ones too. ids: at most DIGESTS_MAX."""
    rows = connection.execute(
        sa.select(api_keys).where(api_keys.c.account_id == account, api_keys.c.id.in_(ids))
    )
    return [_key(row) for row in rows]


def save(connection: sa.Connection, key: ApiKey) -> None:
    """What may change of a key."""
    connection.execute(
        sa.update(api_keys)
        .where(*_is(key.account, key.id))
        .values(
            digest=key.digest,
            label=key.label,
            name=key.name,
            is_disabled=key.is_disabled,
            limit_nano=key.limit,
            limit_reset=None if key.limit_reset is None else key.limit_reset.value,
            include_byok_in_limit=key.includes_byok,
            revoked_ms=key.revoked_ms,
            updated_ms=key.updated_ms,
            deleted_ms=key.deleted_ms,
        )
    )


def _in_workspace(account: AccountId, workspace: WorkspaceId) -> sa.ColumnElement[bool]:
    is_there = api_keys.c.workspace_id == workspace
    if workspace != default_workspace(account):
        return is_there
    return sa.or_(is_there, api_keys.c.workspace_id.is_(None))


def _budgets(
    connection: sa.Connection, digests: Sequence[bytes]
) -> dict[KeyId, tuple[tuple[CallerBudget, ...], bool]]:
    """Of each key that has any: the limits on it, on its workspace and on its maker, the broadest first; and
    whether its account has less than nothing."""
    limits: dict[KeyId, list[CallerBudget]] = {}
    debts: set[KeyId] = set()
    for row in connection.execute(_BUDGETS, {"digests": digests}):
        of_key = limits.setdefault(row.key_id, [])
        if kind_of(row.id) is BudgetKind.ACCOUNT:
            if row.limit_nano < (row.spent_nano or 0):
                debts.add(row.key_id)
            continue
        reset = None if row.reset is None else Reset(row.reset)
        of_key.append(CallerBudget(row.id, reset, row.counts_byok))
    return {
        key: (tuple(sorted(of_key, key=_breadth)), key in debts) for key, of_key in limits.items()
    }


_KINDS: Final = (BudgetKind.KEY, BudgetKind.WORKSPACE, BudgetKind.MEMBER, BudgetKind.GUARDRAIL)
_SPANS: Final = (None, Reset.MONTHLY, Reset.WEEKLY, Reset.DAILY)


def _breadth(budget: CallerBudget) -> tuple[int, int]:
    return _KINDS.index(budget.kind), _SPANS.index(budget.reset)


def _is(account: AccountId, key: KeyId) -> tuple[sa.ColumnElement[bool], ...]:
    return (api_keys.c.id == key, api_keys.c.account_id == account)


def _key(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        account=row.account_id,
        digest=row.digest,
        label=row.label,
        name=row.name,
        is_management=row.is_management,
        is_disabled=row.is_disabled,
        limit=row.limit_nano,
        limit_reset=None if row.limit_reset is None else LimitReset(row.limit_reset),
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        revoked_ms=row.revoked_ms,
        requests_per_minute=row.requests_per_minute,
        requests_per_day=row.requests_per_day,
        # A program of an earlier version, that knows no workspaces, may have made it.
        workspace=row.workspace_id or default_workspace(row.account_id),
        creator=row.creator_user_id,
        includes_byok=row.include_byok_in_limit,
        app_id=row.app_id,
        updated_ms=row.updated_ms,
        deleted_ms=row.deleted_ms,
    )
