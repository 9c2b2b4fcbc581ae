"""Who calls models from a page of ours: whoever is signed in, with the key of their own browser.

The data plane asks; see `gateway.ports.Visitors`. A session is no key: it counts only with the proof that the
request comes from our own pages, as for every form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.audit.types import Actor
from fairlead.control.keys.chat import ChatKeys, chat_digest
from fairlead.control.serving.keys import CachedKeyDirectory
from fairlead.core.caller import Caller
from fairlead.core.errors import PermissionDenied
from fairlead.web.asking import Desk
from fairlead.web.sessions import BrowserSessions, Doorway

__all__ = ["SignedInVisitors"]

WORKSPACE_HEADER: Final = "x-workspace"  # the id of the one to call in; without it, the default one


class SignedInVisitors:
    """Implements gateway.ports.Visitors over sessions and the key directory."""

    def __init__(
        self,
        sessions: BrowserSessions,
        doorway: Doorway,
        keys: Desk[ChatKeys],
        directory: CachedKeyDirectory,
    ) -> None:
        self._sessions = sessions
        self._doorway = doorway
        self._keys = keys
        self._directory = directory

    async def find(
        self, fields: Sequence[tuple[bytes, bytes]], client: tuple[str, int] | None
    ) -> Caller:
        request = Request(
            {"type": "http", "method": "POST", "headers": list(fields), "client": client}
        )
        signed_in = await self._sessions.required(request)
        account, user = signed_in.account.id, signed_in.user.id
        workspace = request.headers.get(WORKSPACE_HEADER) or default_workspace(account)
        digest = chat_digest(account, user, workspace)
        # A key outlives that its owner works there. Admins work everywhere, all in the default workspace.
        works_there = signed_in.is_admin or workspace == default_workspace(account)
        found = self._directory.peek(digest) if works_there else None
        if found is None:
            actor = Actor.user(user, self._doorway.place(request).address)
            await self._keys.do(
                lambda: self._keys.service.open(account, user, workspace, actor=actor)
            )
            found = await self._directory.find(digest)
        if not isinstance(found, Caller):
            raise PermissionDenied(f"You call from here with your key named Chat. {found.reason}")
        return found
