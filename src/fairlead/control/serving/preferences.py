"""What accounts and their workspaces wish of routing, read once, however many of their keys are in use."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec

from fairlead.control.accounts.preferences import effective
from fairlead.control.accounts.types import PreferencesInvalid
from fairlead.control.keys.types import FoundKey
from fairlead.core.caller import Caller
from fairlead.core.ids import AccountId, WorkspaceId
from fairlead.core.routing.preferences import AccountPreferences, Sort

__all__ = ["KnownPreferences"]

_LOG: Final = logging.getLogger(__name__)


class _Within(NamedTuple):
    """What a workspace makes of the wishes of its account."""

    base: AccountPreferences
    model: str | None
    sort: str | None
    preferences: AccountPreferences


class KnownPreferences:
    """Bounded by its owner, which says whose are still of use. installation: what all others are laid over."""

    def __init__(self, installation: AccountPreferences) -> None:
        self.installation = installation
        self._known: dict[AccountId, tuple[str, AccountPreferences | PreferencesInvalid]] = {}
        self._within: dict[WorkspaceId, _Within] = {}

    def of(self, found: FoundKey) -> AccountPreferences:
        """What holds for the calls of a key: the same object, as long as nothing of it changes.

        Raises PreferencesInvalid for what this version cannot read; when first seen, it is logged.
        """
        account, workspace = found.key.account, found.key.workspace
        base = self.installation
        if found.preferences is not None:
            base = self._of_account(account, found.preferences)
        model, sort = found.default_model, found.default_sort
        if model is None and sort is None:
            return base
        known = self._within.get(workspace)
        if known is None or known.base is not base or (known.model, known.sort) != (model, sort):
            known = self._within[workspace] = _Within(base, model, sort, _laid(base, model, sort))
        return known.preferences

    def _of_account(self, account: AccountId, text: str) -> AccountPreferences:
        known = self._known.get(account)
        if known is None or known[0] != text:
            known = self._known[account] = (text, self._read(account, text))
        if isinstance(known[1], PreferencesInvalid):
            raise PreferencesInvalid(str(known[1]))
        return known[1]

    def keep_only(self, callers: Collection[Caller]) -> None:
        """Forget those of all others."""
        accounts = {one.account for one in callers}
        workspaces = {one.workspace for one in callers}
        self._known = {one: known for one, known in self._known.items() if one in accounts}
        self._within = {one: known for one, known in self._within.items() if one in workspaces}

    def _read(self, account: AccountId, text: str) -> AccountPreferences | PreferencesInvalid:
        try:
            return effective(text, self.installation)
        except PreferencesInvalid as error:
            _LOG.error(
                "the preferences of account %s cannot be read; its calls are refused: %s",
                account,
                error,
            )
            return error


def _laid(base: AccountPreferences, model: str | None, sort: str | None) -> AccountPreferences:
    """A workspace's defaults, over those of its account. Raises PreferencesInvalid for an unknown sort."""
    try:
        default_sort = base.default_provider_sort if sort is None else Sort(sort)
    except ValueError as error:
        raise PreferencesInvalid(f"there is no sort {sort!r}") from error
    return msgspec.structs.replace(
        base,
        default_model=base.default_model if model is None else model,
        default_provider_sort=default_sort,
    )
