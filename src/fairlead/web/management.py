"""What the management API asks of the control plane.

Services block, so handlers call them through `Management.do`, see `asking.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import AccountKind, Billing
from fairlead.control.apps.service import Apps
from fairlead.control.budgets.types import Spending
from fairlead.control.feedback.service import Feedback
from fairlead.control.keys.service import Keys
from fairlead.control.ledger.types import Totals
from fairlead.control.people.service import People
from fairlead.control.presets.service import Presets
from fairlead.control.usage.types import KeyUsage
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import WorkspaceUnknown
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import AccountId, BudgetId, KeyId, UserId, WorkspaceId
from fairlead.web.asking import InThread, answered
from fairlead.web.reading import sentence

__all__ = ["Credits", "KeyUsages", "Management", "Payer", "Standings"]

_Answer = TypeVar("_Answer")


class KeyUsages(Protocol):
    """What keys have used. Blocks."""

    def of_keys(self, keys: Collection[KeyId]) -> Mapping[KeyId, KeyUsage]:
        """A key that has used nothing may be missing."""
        ...


class Standings(Protocol):
    """How limits stand in their current periods. Blocks."""

    def standing(self, ids: Collection[BudgetId]) -> Mapping[BudgetId, Spending]: ...


class Credits(Protocol):
    """What accounts have. Blocks."""

    def totals(self, account: AccountId) -> Totals: ...


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for a key's calls. is_free_tier: it pays with credits, and has never bought any."""

    kind: AccountKind
    is_free_tier: bool


@dataclass(frozen=True, slots=True)
class Management:
    """in_thread: how the event loop asks the database."""

    in_thread: InThread
    accounts: Accounts
    keys: Keys
    usages: KeyUsages
    standings: Standings
    workspaces: Workspaces
    people: People
    credits: Credits
    apps: Apps
    feedback: Feedback
    presets: Presets

    async def do(self, function: Callable[[], _Answer]) -> _Answer:
        """Call it in a thread. Raises what a caller sees of a refusal; Overloaded if the database is away."""
        return await answered(self.in_thread, function)

    def works_in(self, account: AccountId, user: UserId | None, workspace: WorkspaceId) -> bool:
        """Whether somebody works in one of the account's workspaces. Blocks. Raises WorkspaceUnknown."""
        return user is not None and self.workspaces.has_member(account, workspace, user)

    def place(self, account: AccountId, wanted: str | None) -> WorkspaceId:
        """wanted: an id; None: the default one. Blocks. Raises RequestInvalid for another account's."""
        if wanted is None:
            return self.workspaces.default_of(account)
        try:
            return self.workspaces.find(account, wanted).id
        except WorkspaceUnknown as error:
            raise RequestInvalid(sentence(error), param="workspace_id") from error

    def own_place(
        self, account: AccountId, wanted: str | None, *, user: UserId | None, may_manage: bool
    ) -> WorkspaceId:
        """The same, of those that somebody works in."""
        workspace = self.place(account, wanted)
        is_default = workspace == self.workspaces.default_of(account)
        if may_manage or is_default or self.works_in(account, user, workspace):
            return workspace
        raise RequestInvalid("You do not work in that workspace.", param="workspace_id")

    def payer(self, account: AccountId) -> Payer:
        """Blocks. Raises NotFound for an account that is gone."""
        found = self.accounts.find(account)
        if found is None:
            raise NotFound("There is no such account any more.")
        is_prepaid = found.billing is Billing.PREPAID
        return Payer(found.kind, is_prepaid and not self.credits.totals(account).purchased)
