"""What the management API asks of the control plane, and how its refusals look to a caller.

Services block, so handlers call them through `Management.do`, which puts them into one of the database's
threads. A service refuses in its own words and types; what a caller sees of each is in one table here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import AccountKind, Billing
from fairlead.control.apps.service import Apps
from fairlead.control.apps.types import CodeRefused, ConsentInvalid, TooManyCodes
from fairlead.control.budgets.types import Spending
from fairlead.control.feedback.service import Feedback, TooMuchFeedback
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import KeyInvalid, KeyUnknown
from fairlead.control.ledger.types import Totals
from fairlead.control.people.service import People
from fairlead.control.usage.types import KeyUsage
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import (
    WorkspaceInUse,
    WorkspaceInvalid,
    WorkspaceIsDefault,
    WorkspaceUnknown,
)
from fairlead.core.errors import CallerError, Conflict, NotFound, PermissionDenied, RequestInvalid
from fairlead.core.ids import AccountId, BudgetId, KeyId, UserId, WorkspaceId
from fairlead.web.account_desk import InThread
from fairlead.web.reading import sentence

__all__ = ["Credits", "KeyUsages", "Management", "Payer", "Standings", "refusal"]

PEOPLE_PAGE: Final = 100
PEOPLE_MAX: Final = 10_000

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

    async def do(self, function: Callable[[], _Answer]) -> _Answer:
        """Call it in a thread. Raises what a caller sees of a refusal; Overloaded if the database is away."""
        try:
            return await self.in_thread(_called, function)
        except tuple(_REFUSALS) as error:
            raise refusal(error) from error

    def works_in(self, account: AccountId, user: UserId | None, workspace: WorkspaceId) -> bool:
        """Whether somebody works in one of the account's workspaces. Blocks. Raises WorkspaceUnknown."""
        for offset in range(0, PEOPLE_MAX, PEOPLE_PAGE):
            members, total = self.workspaces.members(
                account, workspace, offset=offset, limit=PEOPLE_PAGE
            )
            if any(member.user == user for member in members):
                return True
            if offset + PEOPLE_PAGE >= total:
                break
        return False

    def payer(self, account: AccountId) -> Payer:
        """Blocks. Raises NotFound for an account that is gone."""
        found = self.accounts.find(account)
        if found is None:
            raise NotFound("There is no such account any more.")
        is_prepaid = found.billing is Billing.PREPAID
        return Payer(found.kind, is_prepaid and not self.credits.totals(account).purchased)


def refusal(error: Exception) -> CallerError:
    """What a caller sees of a service's refusal."""
    for kind in type(error).__mro__:
        if (seen := _REFUSALS.get(kind)) is not None:
            return seen(error)
    raise TypeError(f"{type(error).__name__} is no refusal") from error


def _called(function: Callable[[], _Answer]) -> _Answer:
    return function()


def _field_is_invalid(error: Exception) -> CallerError:
    path = getattr(error, "path", None)
    return RequestInvalid(sentence(error), param=path or None)


def _is_invalid(error: Exception) -> CallerError:
    return RequestInvalid(sentence(error))


def _is_unknown(error: Exception) -> CallerError:
    return NotFound(sentence(error))


def _is_conflict(error: Exception) -> CallerError:
    return Conflict(sentence(error))


def _is_denied(error: Exception) -> CallerError:
    return PermissionDenied(sentence(error))


_REFUSALS: Final[dict[type[Exception], Callable[[Exception], CallerError]]] = {
    CodeRefused: _is_denied,
    ConsentInvalid: _field_is_invalid,
    KeyInvalid: _field_is_invalid,
    KeyUnknown: _is_unknown,
    TooManyCodes: _is_conflict,
    TooMuchFeedback: _is_invalid,
    WorkspaceInvalid: _field_is_invalid,
    WorkspaceUnknown: _is_unknown,
    WorkspaceIsDefault: _is_denied,
    WorkspaceInUse: _is_invalid,
}
