"""SQL about API keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.accounts.types import Billing
from fairlead.control.keys.types import ApiKey, FoundKey, LimitReset
from fairlead.core.ids import AccountId, KeyId
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.keys import api_keys

__all__ = ["DIGESTS_MAX", "by_digests", "by_id", "insert", "page", "revoke", "set_disabled"]

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
        )
    )


def by_digests(connection: sa.Connection, digests: Sequence[bytes]) -> dict[bytes, FoundKey]:
    """Those that exist. digests: at most DIGESTS_MAX."""
    assert len(digests) <= DIGESTS_MAX
    rows = connection.execute(
        sa.select(api_keys, accounts.c.billing, accounts.c.preferences)
        .join(accounts, accounts.c.id == api_keys.c.account_id)
        .where(api_keys.c.digest.in_(digests))
    )
    return {
        row.digest: FoundKey(_key(row), row.billing == Billing.PREPAID, row.preferences)
        for row in rows
    }


def by_id(connection: sa.Connection, account: AccountId, key: KeyId) -> ApiKey | None:
    found = connection.execute(sa.select(api_keys).where(*_is(account, key))).one_or_none()
    return None if found is None else _key(found)


def page(
    connection: sa.Connection, account: AccountId, *, after: KeyId, limit: int
) -> list[ApiKey]:
    """In the order of creation, those behind `after`; revoked ones too."""
    rows = connection.execute(
        sa.select(api_keys)
        .where(api_keys.c.account_id == account, api_keys.c.id > after)
        .order_by(api_keys.c.id)
        .limit(limit)
    )
    return [_key(row) for row in rows]


def revoke(connection: sa.Connection, account: AccountId, key: KeyId, *, now_ms: int) -> None:
    """Keeps the moment of the first revocation."""
    connection.execute(
        sa.update(api_keys)
        .where(*_is(account, key), api_keys.c.revoked_ms.is_(None))
        .values(revoked_ms=now_ms)
    )


def set_disabled(
    connection: sa.Connection, account: AccountId, key: KeyId, *, is_disabled: bool
) -> None:
    connection.execute(
        sa.update(api_keys).where(*_is(account, key)).values(is_disabled=is_disabled)
    )


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
    )
