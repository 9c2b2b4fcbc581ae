"""SQL about accounts' own credentials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from fairlead.control.credentials.types import (
    CredentialId,
    ProviderCredential,
    SealedCredential,
)
from fairlead.core.ids import AccountId, KeyId, ProviderSlug, WorkspaceId
from fairlead.store.tables.credentials import provider_credentials
from fairlead.store.tables.keys import api_keys
from fairlead.store.tables.people import memberships, users, workspaces
from fairlead.store.tables.secrets import data_keys
from fairlead.store.tables.usage import usage_days, usage_series

__all__ = [
    "ACCOUNTS_MAX",
    "by_id",
    "byok_used",
    "count",
    "default_workspace",
    "has_workspace",
    "insert",
    "keys_by_hash",
    "known_users",
    "next_order",
    "page",
    "update",
    "usable",
    "wipe",
]

BY_MODEL: Final = 1  # control.usage.types.Level.MODEL
ACCOUNTS_MAX: Final = 500  # SQLite takes 999 parameters in its oldest versions

_read_list: Final = msgspec.json.Decoder(tuple[str, ...])


def insert(connection: sa.Connection, credential: ProviderCredential, sealed: bytes) -> None:
    connection.execute(
        sa.insert(provider_credentials).values(
            id=credential.id,
            account_id=credential.account,
            workspace_id=credential.workspace,
            provider=credential.provider,
            created_ms=credential.created_ms,
            sealed=sealed,
            **_changing(credential),
        )
    )


def update(connection: sa.Connection, credential: ProviderCredential, sealed: bytes | None) -> None:
    """sealed: None: stays."""
    values = _changing(credential) | ({} if sealed is None else {"sealed": sealed})
    connection.execute(
        sa.update(provider_credentials)
        .where(*_is(credential.account, credential.id))
        .values(**values)
    )


def wipe(
    connection: sa.Connection, account: AccountId, credential: CredentialId, *, now_ms: int
) -> bool:
    """True: there was one. What was sealed is overwritten, and the label shows nothing any more."""
    wiped = connection.execute(
        sa.update(provider_credentials)
        .where(*_is(account, credential))
        .values(sealed=None, label="...", deleted_ms=now_ms, updated_ms=now_ms)
    )
    return bool(wiped.rowcount)


def by_id(
    connection: sa.Connection, account: AccountId, credential: CredentialId, *, locked: bool = False
) -> ProviderCredential | None:
    query = sa.select(provider_credentials).where(*_is(account, credential))
    found = connection.execute(query.with_for_update() if locked else query).one_or_none()
    return None if found is None else _credential(found)


def page(
    connection: sa.Connection,
    account: AccountId,
    *,
    workspace: WorkspaceId,
    provider: str | None,
    offset: int,
    limit: int,
) -> tuple[list[ProviderCredential], int]:
    """Those that are usable in a workspace: its own, and those for all. With the number of all of them."""
    conditions = [*_live(account), _within(workspace)]
    if provider is not None:
        conditions.append(provider_credentials.c.provider == provider)
    rows = connection.execute(
        sa.select(provider_credentials)
        .where(*conditions)
        .order_by(
            provider_credentials.c.provider,
            provider_credentials.c.sort_order,
            provider_credentials.c.id,
        )
        .offset(offset)
        .limit(limit)
    )
    total = connection.execute(
        sa.select(sa.func.count()).select_from(provider_credentials).where(*conditions)
    ).scalar_one()
    return [_credential(row) for row in rows], total


def count(connection: sa.Connection, account: AccountId) -> int:
    return connection.execute(
        sa.select(sa.func.count()).select_from(provider_credentials).where(*_live(account))
    ).scalar_one()


def next_order(connection: sa.Connection, account: AccountId, provider: ProviderSlug) -> int:
    """Behind all of that provider."""
    last = connection.execute(
        sa.select(sa.func.max(provider_credentials.c.sort_order)).where(
            *_live(account), provider_credentials.c.provider == provider
        )
    ).scalar()
    return 0 if last is None else last + 1


def usable(connection: sa.Connection, accounts: Sequence[AccountId]) -> list[SealedCredential]:
    """All that calls of these accounts may use, in the order of trying. accounts: at most ACCOUNTS_MAX."""
    assert len(accounts) <= ACCOUNTS_MAX
    rows = connection.execute(
        sa.select(provider_credentials, data_keys.c.wrapped, data_keys.c.master_key_id)
        .join(data_keys, data_keys.c.account_id == provider_credentials.c.account_id)
        .where(
            provider_credentials.c.account_id.in_(accounts),
            provider_credentials.c.deleted_ms.is_(None),
            provider_credentials.c.is_disabled.is_(False),
        )
        .order_by(provider_credentials.c.sort_order, provider_credentials.c.id)
    )
    return [
        SealedCredential(_credential(row), row.sealed, row.wrapped, row.master_key_id)
        for row in rows
    ]


def byok_used(
    connection: sa.Connection, accounts: Sequence[AccountId], *, since_ms: int
) -> dict[AccountId, tuple[int, int]]:
    """List price (nanodollars) and number of the accounts' calls with their own credentials, as far as they are
    settled. since_ms: when a UTC day began. accounts: at most ACCOUNTS_MAX."""
    assert len(accounts) <= ACCOUNTS_MAX
    rows = connection.execute(
        sa.select(
            usage_days.c.account_id,
            sa.func.sum(usage_days.c.byok_nano).label("cost_nano"),
            sa.func.sum(usage_days.c.requests).label("requests"),
        )
        .join(usage_series, usage_series.c.id == usage_days.c.series_id)
        .where(
            usage_days.c.account_id.in_(accounts),
            usage_days.c.level == BY_MODEL,
            usage_days.c.start_ms >= since_ms,
            usage_series.c.is_byok.is_(True),
        )
        .group_by(usage_days.c.account_id)
    )
    return {AccountId(row.account_id): (int(row.cost_nano), int(row.requests)) for row in rows}


def keys_by_hash(
    connection: sa.Connection, account: AccountId, hashes: Sequence[str]
) -> dict[str, KeyId]:
    """The account's live keys with these hashes."""
    digests = [bytes.fromhex(one) for one in hashes]
    rows = connection.execute(
        sa.select(api_keys.c.digest, api_keys.c.id).where(
            api_keys.c.digest.in_(digests),
            api_keys.c.account_id == account,
            api_keys.c.revoked_ms.is_(None),
            api_keys.c.deleted_ms.is_(None),
        )
    )
    return {row.digest.hex(): KeyId(row.id) for row in rows}


def known_users(connection: sa.Connection, account: AccountId, ids: Sequence[str]) -> set[str]:
    """Those of them who are the account's own person, or its members."""
    own = sa.select(users.c.id).where(users.c.id.in_(ids), users.c.account_id == account)
    joined = sa.select(memberships.c.user_id).where(
        memberships.c.account_id == account, memberships.c.user_id.in_(ids)
    )
    return set(connection.execute(own.union(joined)).scalars())


def default_workspace(connection: sa.Connection, account: AccountId) -> WorkspaceId | None:
    found = connection.execute(
        sa.select(workspaces.c.id).where(
            workspaces.c.account_id == account, workspaces.c.is_default.is_(True)
        )
    ).scalar()
    return None if found is None else WorkspaceId(found)


def has_workspace(connection: sa.Connection, account: AccountId, workspace: WorkspaceId) -> bool:
    return (
        connection.execute(
            sa.select(workspaces.c.id).where(
                workspaces.c.id == workspace, workspaces.c.account_id == account
            )
        ).one_or_none()
        is not None
    )


def _live(account: AccountId) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        provider_credentials.c.account_id == account,
        provider_credentials.c.deleted_ms.is_(None),
    )


def _is(account: AccountId, credential: CredentialId) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_live(account), provider_credentials.c.id == credential)


def _within(workspace: WorkspaceId) -> sa.ColumnElement[bool]:
    return sa.or_(
        provider_credentials.c.workspace_id == workspace,
        provider_credentials.c.workspace_id.is_(None),
    )


def _changing(credential: ProviderCredential) -> dict[str, object]:
    """The columns that may change."""
    return {
        "label": credential.label,
        "name": credential.name,
        "is_disabled": credential.is_disabled,
        "is_fallback": credential.is_fallback,
        "is_required": credential.is_required,
        "is_exclusive": credential.is_exclusive,
        "region": credential.region,
        "sort_order": credential.sort_order,
        "allowed_models": _text(credential.allowed_models),
        "allowed_key_hashes": _text(credential.allowed_key_hashes),
        "allowed_users": _text(credential.allowed_users),
        "updated_ms": credential.updated_ms,
    }


def _text(entries: tuple[str, ...] | None) -> str | None:
    return None if entries is None else msgspec.json.encode(entries).decode()


def _list(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else _read_list.decode(text)


def _credential(row: sa.Row[Any]) -> ProviderCredential:
    return ProviderCredential(
        id=CredentialId(row.id),
        account=AccountId(row.account_id),
        workspace=None if row.workspace_id is None else WorkspaceId(row.workspace_id),
        provider=ProviderSlug(row.provider),
        label=row.label,
        name=row.name,
        is_disabled=row.is_disabled,
        is_fallback=row.is_fallback,
        is_required=row.is_required,
        is_exclusive=row.is_exclusive,
        region=row.region,
        sort_order=row.sort_order,
        allowed_models=_list(row.allowed_models),
        allowed_key_hashes=_list(row.allowed_key_hashes),
        allowed_users=_list(row.allowed_users),
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
    )
