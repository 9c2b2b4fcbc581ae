"""What accounts wish of routing, read once for each text, however many of their keys are in use."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from fairlead.control.accounts.preferences import effective
from fairlead.control.accounts.types import PreferencesInvalid
from fairlead.core.ids import AccountId
from fairlead.core.routing.preferences import AccountPreferences

__all__ = ["KnownPreferences"]

_LOG: Final = logging.getLogger(__name__)


class KnownPreferences:
    """Bounded by its owner, which says whose are still of use. installation: what all others are laid over."""

    def __init__(self, installation: AccountPreferences) -> None:
        self.installation = installation
        self._known: dict[AccountId, tuple[str, AccountPreferences | PreferencesInvalid]] = {}

    def of(self, account: AccountId, text: str) -> AccountPreferences:
        """Raises PreferencesInvalid for a text that this version cannot read; when first seen, it is logged."""
        known = self._known.get(account)
        if known is None or known[0] != text:
            known = self._known[account] = (text, self._read(account, text))
        if isinstance(known[1], PreferencesInvalid):
            raise PreferencesInvalid(str(known[1]))
        return known[1]

    def keep_only(self, accounts: Collection[AccountId]) -> None:
        """Forget all others."""
        for account in [one for one in self._known if one not in accounts]:
            del self._known[account]

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
