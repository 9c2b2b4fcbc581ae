"""Accounts as the web edge asks for them: what they wish of routing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from fairlead.control.accounts.preferences import checked
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import AccountUnknown, PreferencesInvalid
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import AccountId

__all__ = ["AccountDesk", "InThread"]

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


class InThread(Protocol):
    """Calls a blocking function in one of the database's threads."""

    async def __call__(
        self, function: Callable[[_Question], _Answer], question: _Question
    ) -> _Answer: ...


class AccountDesk:
    """`web.services.Preferences` over the accounts. snapshot: the one in force, for the providers' names."""

    def __init__(
        self, accounts: Accounts, *, in_thread: InThread, snapshot: Callable[[], Snapshot]
    ) -> None:
        self._accounts = accounts
        self._in_thread = in_thread
        self._snapshot = snapshot

    async def find(self, account: AccountId) -> bytes:
        return await self._in_thread(self._find, account)

    async def replace(self, account: AccountId, text: bytes) -> bytes:
        return await self._in_thread(self._replace, (account, text))

    def _find(self, account: AccountId) -> bytes:
        try:
            return self._accounts.preferences(account).encode()
        except AccountUnknown as error:
            raise NotFound("This account was deleted.") from error

    def _replace(self, wanted: tuple[AccountId, bytes]) -> bytes:
        account, text = wanted
        try:
            preferences = checked(text, self._snapshot().providers)
            return self._accounts.set_preferences(account, preferences).encode()
        except PreferencesInvalid as error:
            raise RequestInvalid(f"{error}.", param=error.path or None) from error
        except AccountUnknown as error:
            raise NotFound("This account was deleted.") from error
