"""What becomes of keys when people and accounts go. Gateways follow within two seconds."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from fairlead.control.keys import queries
from fairlead.core.ids import AccountId, UserId
from fairlead.store.tables.apps import authorization_codes
from fairlead.store.tables.keys import api_keys

__all__ = ["EndingKeys"]


class EndingKeys:
    """Implements control.people's MemberKeys and AccountKeys."""

    def __init__(self, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    def disable_of_member(
        self, connection: sa.Connection, account: AccountId, creator: UserId
    ) -> int:
        """Those that somebody made in an account, until an admin enables one again. What apps could still
        have exchanged for a key is forgotten, and their keys for the chat are deleted."""
        connection.execute(
            sa.delete(authorization_codes).where(
                authorization_codes.c.account_id == account,
                authorization_codes.c.user_id == creator,
            )
        )
        now_ms = self._now_ms()
        queries.delete_chat(connection, account=account, creators=[creator], now_ms=now_ms)
        query = (
            sa.update(api_keys)
            .where(
                api_keys.c.account_id == account,
                api_keys.c.creator_user_id == creator,
                api_keys.c.is_disabled.is_(False),
                api_keys.c.revoked_ms.is_(None),
            )
            .values(is_disabled=True, updated_ms=now_ms)
            .returning(api_keys.c.id)
        )
        return len(connection.execute(query).all())

    def revoke_of_account(self, connection: sa.Connection, account: AccountId) -> int:
        """All that an account has, for good."""
        query = (
            sa.update(api_keys)
            .where(api_keys.c.account_id == account, api_keys.c.revoked_ms.is_(None))
            .values(revoked_ms=self._now_ms())
            .returning(api_keys.c.id)
        )
        return len(connection.execute(query).all())
