"""Accounts' own credentials as the web edge asks for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fairlead.control.audit.types import Actor
from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.types import (
    Changes,
    CredentialId,
    CredentialInvalid,
    CredentialPage,
    CredentialUnknown,
    ProviderCredential,
)
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import AccountId, WorkspaceId
from fairlead.web.account_desk import InThread

__all__ = ["ByokDesk"]

_Answer = TypeVar("_Answer")


class ByokDesk:
    """`web.services.Byok` over the credentials."""

    def __init__(self, credentials: Credentials, *, in_thread: InThread) -> None:
        self._credentials = credentials
        self._in_thread = in_thread

    async def page(
        self,
        account: AccountId,
        *,
        workspace: WorkspaceId | None,
        provider: str | None,
        offset: int,
        limit: int,
    ) -> CredentialPage:
        return await self._do(
            partial(
                self._credentials.page,
                account,
                workspace=workspace,
                provider=provider,
                offset=offset,
                limit=limit,
            )
        )

    async def create(
        self,
        account: AccountId,
        *,
        provider: str,
        key: str,
        workspace: WorkspaceId | None,
        is_global: bool,
        settings: Changes,
        actor: Actor,
    ) -> ProviderCredential:
        return await self._do(
            partial(
                self._credentials.create,
                account,
                provider=provider,
                key=key,
                workspace=workspace,
                is_global=is_global,
                settings=settings,
                actor=actor,
            )
        )

    async def find(self, account: AccountId, credential: CredentialId) -> ProviderCredential:
        return await self._do(partial(self._credentials.find, account, credential))

    async def change(
        self, account: AccountId, credential: CredentialId, changes: Changes, *, actor: Actor
    ) -> ProviderCredential:
        return await self._do(
            partial(self._credentials.change, account, credential, changes, actor=actor)
        )

    async def delete(self, account: AccountId, credential: CredentialId, *, actor: Actor) -> None:
        await self._do(partial(self._credentials.delete, account, credential, actor=actor))

    async def _do(self, question: Callable[[], _Answer]) -> _Answer:
        return await self._in_thread(_told, question)


def _told(question: Callable[[], _Answer]) -> _Answer:
    """Run in a thread of the database's."""
    try:
        return question()
    except CredentialInvalid as error:
        raise RequestInvalid(f"`{error.param}`: {error}.", param=error.param) from None
    except CredentialUnknown:
        raise NotFound("This account has no such credential.") from None
