"""What the endpoints of payments work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fairlead.control.billing.documents import Documents, Issued
from fairlead.control.billing.drawing import drawn
from fairlead.control.billing.inbox import EventInbox
from fairlead.control.billing.pretended import PretendedPayments
from fairlead.control.billing.profiles import Profiles
from fairlead.control.billing.service import Billing
from fairlead.control.ledger.service import Ledger
from fairlead.web.asking import InThread, answered

__all__ = ["BillingEdge"]

_Answer = TypeVar("_Answer")


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
        return await answered(self.in_thread, function)

    async def pdf(self, find: Callable[[], Issued]) -> bytes:
        return await self.do(lambda: drawn(find().document, font_file=self.font_file))
