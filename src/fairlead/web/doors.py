"""Who asks, and with what right.

A request comes with a key in `Authorization: Bearer`, or from the browser of somebody who is signed in. The key
counts if there is one. What is a management key's to do, is also an admin's of the account.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from fairlead.control.audit.types import Actor
from fairlead.core.errors import NotAuthenticated, PermissionDenied
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.web.services import Caller, Keys, Sessions

__all__ = ["Doors", "Requester", "check_may_manage", "peer_address"]

_MANAGERS_ONLY: Final = (
    "Only management keys can do this; an ordinary key calls models and reads what it used itself."
)
_ADMINS_ONLY: Final = "Only admins of this account can do this."


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for something of an account.

    actor: as the audit log knows them. user: who that is, or who made the key; None: nobody in particular.
    may_manage: everything that the account has; otherwise only what is their own.
    caller: by their key; None: signed in. workspace: of their key; None: all of the account's.
    """

    account: AccountId
    actor: Actor
    user: UserId | None
    may_manage: bool
    caller: Caller | None = None
    workspace: WorkspaceId | None = None

    @property
    def key(self) -> KeyId | None:
        return None if self.caller is None else self.caller.key


def peer_address(request: Request) -> str:
    """Of whoever is connected to us: the caller, or a proxy in front."""
    return "" if request.client is None else request.client.host


class Doors:
    """sessions: None: nobody can sign in here. place: the address that a request comes from."""

    def __init__(
        self,
        keys: Keys,
        sessions: Sessions | None = None,
        *,
        place: Callable[[Request], str] = peer_address,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._place = place

    async def requester(self, request: Request) -> Requester:
        """Whoever it is. Raises NotAuthenticated; Overloaded if we cannot tell."""
        authorization = request.headers.get("authorization")
        address = self._place(request)
        if authorization is None and self._sessions is not None:
            signed_in = await self._sessions.signed_in(request)
            if signed_in is not None:
                return Requester(
                    account=signed_in.account.id,
                    actor=Actor.user(signed_in.user.id, address),
                    user=signed_in.user.id,
                    may_manage=signed_in.is_admin,
                )
        caller = await self._keys.authenticate(authorization)
        return Requester(
            account=caller.account,
            actor=Actor.key(caller.key, address),
            user=caller.user,
            may_manage=caller.is_management,
            caller=caller,
            workspace=None if caller.is_management else caller.workspace,
        )


def check_may_manage(requester: Requester, *, with_members: bool, is_401: bool) -> None:
    """with_members: whoever is signed in may, too. is_401: how the wrong kind of key is refused.

    Raises PermissionDenied, or NotAuthenticated where the API documents that instead.
    """
    if requester.may_manage:
        return
    if requester.caller is None:
        if not with_members:
            raise PermissionDenied(_ADMINS_ONLY)
    elif is_401:
        raise NotAuthenticated(_MANAGERS_ONLY)
    else:
        raise PermissionDenied(_MANAGERS_ONLY)
