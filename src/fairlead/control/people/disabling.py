"""Disabling a person: they cannot sign in, and their keys open nothing, until they are enabled again.

Their keys stay as they are: the directory refuses them while their person is disabled, gateways within two
seconds. So `enable` gives back each as it was, and what was made meanwhile opens nothing either. Sessions and
links are gone for good.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.people import queries
from fairlead.control.people.sessions import Sessions
from fairlead.control.people.tokens import OneTimeTokens
from fairlead.control.people.types import OwnerStays, User, UserUnknown
from fairlead.core.ids import UserId
from fairlead.store.database import Database

__all__ = ["Disabling"]


class Disabling:
    """Methods block. For the installation's owner alone: who asks makes sure of that.

    disabling.disable(user.id, actor=OPERATOR)  # the user, with `disabled_ms`
    """

    def __init__(
        self,
        database: Database,
        *,
        sessions: Sessions,
        tokens: OneTimeTokens,
        audit: Audit,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._tokens = tokens
        self._audit = audit
        self._now_ms = now_ms

    def disable(self, user: UserId, *, actor: Actor) -> User:
        """Also where an organisation is left without an admin who can act. Again is fine.

        Raises OwnerStays, UserUnknown.
        """
        with self._database.begin() as connection:
            found = _there(connection, user)
            account = queries.account(connection, found.account)
            if account is not None and account.is_owner:
                raise OwnerStays("The owner cannot be disabled.")
            if queries.disable(connection, user, now_ms=self._now_ms()):
                ended = self._sessions.revoke_all(connection, user)
                self._tokens.forget(connection, user)
                self._audit.note(
                    connection, found.account, actor, "user.disable", user, sessions_ended=ended
                )
            return _there(connection, user)

    def enable(self, user: UserId, *, actor: Actor) -> User:
        """Undoes `disable`. Again is fine. Raises UserUnknown."""
        with self._database.begin() as connection:
            found = _there(connection, user)
            if queries.enable(connection, user):
                self._audit.note(connection, found.account, actor, "user.enable", user)
            return _there(connection, user)


def _there(connection: sa.Connection, user: UserId) -> User:
    found = queries.user(connection, user)
    if found is None or found.deleted_ms is not None:
        raise UserUnknown("there is no such person")
    return found
