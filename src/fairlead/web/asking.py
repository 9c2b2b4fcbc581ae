"""How handlers ask the services of the control plane, and how refusals look to a caller.

    desk = Desk(credentials, in_thread=threads.run)
    page = await desk.do(partial(desk.service.page, account, offset=0, limit=50))

Services block, so they are asked in a thread. A service refuses in its own words and types; what a caller sees
of each is in one table here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from fairlead.control.accounts.types import AccountUnknown, PreferencesInvalid
from fairlead.control.apps.types import CodeRefused, ConsentInvalid, TooManyCodes
from fairlead.control.billing.payments import EventRefused, PaymentsAway, PaymentsRefused
from fairlead.control.billing.types import BillingInvalid, NotFoundHere, RefundRefused
from fairlead.control.catalog.types import AmendedUnknown, AmendmentInvalid
from fairlead.control.credentials.types import CredentialInvalid, CredentialUnknown
from fairlead.control.feedback.service import TooMuchFeedback
from fairlead.control.keys.types import KeyInvalid, KeyUnknown
from fairlead.control.notifications.types import NotificationInvalid, TooSoon
from fairlead.control.presets.types import PresetInvalid, PresetInWay, PresetUnknown
from fairlead.control.usage.analysis import QuestionInvalid
from fairlead.control.workspaces.types import (
    WorkspaceInUse,
    WorkspaceInvalid,
    WorkspaceIsDefault,
    WorkspaceUnknown,
)
from fairlead.core.errors import (
    Conflict,
    FairleadError,
    NotFound,
    Overloaded,
    PermissionDenied,
    RequestInvalid,
)
from fairlead.web.reading import sentence

__all__ = ["Desk", "InThread", "answered"]

_Answer = TypeVar("_Answer")
_Service = TypeVar("_Service")


class InThread(Protocol):
    """Calls what blocks in a thread. Raises Overloaded if the database is away."""

    def __call__(self, function: Callable[[], _Answer], /) -> Awaitable[_Answer]: ...


async def answered(in_thread: InThread, function: Callable[[], _Answer]) -> _Answer:
    """What it returns. Raises what a caller sees of a refusal."""
    try:
        return await in_thread(function)
    except tuple(_REFUSALS) as error:
        raise _refusal(error) from error


@dataclass(frozen=True, slots=True)
class Desk(Generic[_Service]):
    """One service, and the threads that it is asked in."""

    service: _Service
    in_thread: InThread

    async def do(self, function: Callable[[], _Answer]) -> _Answer:
        return await answered(self.in_thread, function)


def _refusal(error: Exception) -> FairleadError:
    for kind in type(error).__mro__:
        if (seen := _REFUSALS.get(kind)) is not None:
            return seen(error)
    raise TypeError(f"{type(error).__name__} is no refusal") from error


def _field_is_invalid(error: Exception) -> FairleadError:
    path = getattr(error, "path", None)
    return RequestInvalid(sentence(error), param=path or None)


def _preferences_are_invalid(error: Exception) -> FairleadError:
    """Its words begin with the path, so they stay as they are."""
    assert isinstance(error, PreferencesInvalid)
    return RequestInvalid(f"{error}.", param=error.path or None)


def _credential_is_invalid(error: Exception) -> FairleadError:
    assert isinstance(error, CredentialInvalid)
    return RequestInvalid(f"`{error.param}`: {error}.", param=error.param)


def _notification_is_invalid(error: Exception) -> FairleadError:
    assert isinstance(error, NotificationInvalid)
    return RequestInvalid(sentence(error), param=f"{error.kind}_people")


def _is_invalid(error: Exception) -> FairleadError:
    return RequestInvalid(sentence(error))


def _is_unknown(error: Exception) -> FairleadError:
    return NotFound(sentence(error))


def _account_is_unknown(_error: Exception) -> FairleadError:
    return NotFound("This account was deleted.")


def _credential_is_unknown(_error: Exception) -> FairleadError:
    """The same words, whatever was asked for."""
    return NotFound("This account has no such credential.")


def _is_conflict(error: Exception) -> FairleadError:
    return Conflict(sentence(error))


def _is_denied(error: Exception) -> FairleadError:
    return PermissionDenied(sentence(error))


def _refund_is_refused(error: Exception) -> FairleadError:
    assert isinstance(error, RefundRefused)
    return Conflict(f"{sentence(error)} ({error.reason.value})")


def _payments_are_refused(error: Exception) -> FairleadError:
    return PermissionDenied(f"The payment company refused: {error}")


def _payments_are_away(_error: Exception) -> FairleadError:
    return Overloaded("The payment company does not answer at the moment.")


_REFUSALS: Final[dict[type[Exception], Callable[[Exception], FairleadError]]] = {
    AccountUnknown: _account_is_unknown,
    AmendedUnknown: _is_unknown,
    AmendmentInvalid: _is_invalid,
    BillingInvalid: _field_is_invalid,
    CodeRefused: _is_denied,
    ConsentInvalid: _field_is_invalid,
    CredentialInvalid: _credential_is_invalid,
    CredentialUnknown: _credential_is_unknown,
    EventRefused: _is_invalid,
    KeyInvalid: _field_is_invalid,
    KeyUnknown: _is_unknown,
    NotFoundHere: _is_unknown,
    NotificationInvalid: _notification_is_invalid,
    PaymentsAway: _payments_are_away,
    PaymentsRefused: _payments_are_refused,
    PreferencesInvalid: _preferences_are_invalid,
    PresetInvalid: _field_is_invalid,
    PresetInWay: _is_conflict,
    PresetUnknown: _is_unknown,
    QuestionInvalid: _field_is_invalid,
    RefundRefused: _refund_is_refused,
    TooManyCodes: _is_conflict,
    TooSoon: _is_invalid,
    TooMuchFeedback: _is_invalid,
    WorkspaceInvalid: _field_is_invalid,
    WorkspaceUnknown: _is_unknown,
    WorkspaceIsDefault: _is_denied,
    WorkspaceInUse: _is_invalid,
}
