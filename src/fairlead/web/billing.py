"""What the endpoints of payments work with, and how refusals look to a caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from fairlead.control.billing.documents import Documents, Issued
from fairlead.control.billing.drawing import drawn
from fairlead.control.billing.inbox import EventInbox
from fairlead.control.billing.payments import EventRefused, PaymentsAway, PaymentsRefused
from fairlead.control.billing.pretended import PretendedPayments
from fairlead.control.billing.profiles import Profiles
from fairlead.control.billing.service import Billing
from fairlead.control.billing.types import BillingInvalid, NotFoundHere, RefundRefused
from fairlead.control.ledger.service import Ledger
from fairlead.core.errors import (
    Conflict,
    FairleadError,
    NotFound,
    Overloaded,
    PermissionDenied,
    RequestInvalid,
)
from fairlead.web.reading import sentence

__all__ = ["BillingEdge", "InThread"]

_Answer = TypeVar("_Answer")


class InThread(Protocol):
    """Calls what blocks, perhaps for as long as the payment company takes, in a thread that nobody else waits
    for. Raises Overloaded if the database is away."""

    def __call__(self, function: Callable[[], _Answer], /) -> Awaitable[_Answer]: ...


@dataclass(frozen=True, slots=True)
class BillingEdge:
    """pretended: what stands in for a payment company, if none is configured. inbox: None: none tells us
    anything. on_event: called when an event was stored."""

    billing: Billing
    profiles: Profiles
    documents: Documents
    ledger: Ledger
    inbox: EventInbox | None
    pretended: PretendedPayments | None
    in_thread: InThread
    font_file: str | None = None
    on_event: Callable[[], None] = lambda: None

    async def do(self, function: Callable[[], _Answer]) -> _Answer:
        """Raises what a caller sees of a refusal."""
        try:
            return await self.in_thread(function)
        except _REFUSALS as error:
            raise _refusal(error) from error

    async def pdf(self, find: Callable[[], Issued]) -> bytes:
        return await self.do(lambda: drawn(find().document, font_file=self.font_file))


_REFUSALS: Final = (
    BillingInvalid,
    EventRefused,
    NotFoundHere,
    PaymentsAway,
    PaymentsRefused,
    RefundRefused,
)


def _refusal(error: Exception) -> FairleadError:
    match error:
        case BillingInvalid():
            return RequestInvalid(sentence(error), param=error.path)
        case NotFoundHere():
            return NotFound(sentence(error))
        case RefundRefused():
            return Conflict(f"{sentence(error)} ({error.reason.value})")
        case EventRefused():
            return RequestInvalid(sentence(error))
        case PaymentsRefused():
            return PermissionDenied(f"The payment company refused: {error}")
        case _:
            return Overloaded("The payment company does not answer at the moment.")
