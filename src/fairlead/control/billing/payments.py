"""What we need of a company that takes payments. One file beside this one for each.

Calls block, and are made between transactions: an answer may be lost. Each carries an id of ours, under which
the company does it once, so whoever does not know what became of a call makes it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fairlead.control.billing.types import (
    Method,
    Observation,
    Purchase,
    PurchaseId,
    Refund,
    SavedMethod,
    SeenRefund,
)
from fairlead.core.ids import AccountId

__all__ = [
    "Event",
    "EventRefused",
    "Hosted",
    "Payments",
    "PaymentsAway",
    "PaymentsRefused",
]


class PaymentsAway(Exception):
    """No answer, or none that tells what happened. The call may be made again."""


class PaymentsRefused(Exception):
    """Answered with no: making the same call again is no use. The message is for people."""


class EventRefused(Exception):
    """It does not come from the company, or not now."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A page of the company's, on which somebody pays. session: its name there."""

    session: str
    url: str


@dataclass(frozen=True, slots=True)
class Event:
    """The company says that something has changed. What has is looked up: an event is only a hint.

    purchase: ours that it is about, if it says so. payment, session: of the company's that it is about.
    saving: the page on which this account saves a card. is_ours: False: of another installation.
    """

    id: str
    kind: str
    purchase: PurchaseId | None = None
    payment: str | None = None
    session: str | None = None
    saving: AccountId | None = None
    is_ours: bool | None = None


class Payments(Protocol):
    """A payment company. All but `read_event` raise PaymentsAway and PaymentsRefused.

    name: as it is kept with purchases. methods: what it takes. is_pretended: no money moves.
    pages_at: origins of the pages on which people pay, as "https://pay.example"; none: they are ours.
    """

    @property
    def name(self) -> str: ...

    @property
    def methods(self) -> tuple[Method, ...]: ...

    @property
    def is_pretended(self) -> bool: ...

    @property
    def pages_at(self) -> tuple[str, ...]: ...

    def begin(self, purchase: Purchase, *, customer: str | None, email: str | None) -> Hosted:
        """Have a page made on which it can be paid; the same one each time."""
        ...

    def charge(self, purchase: Purchase, saved: SavedMethod) -> Observation:
        """Charge a saved card at once. A card that is declined is an observation that says so."""
        ...

    def look(self, purchase: Purchase) -> Observation:
        """All that there is to say of it now."""
        ...

    def refund(self, refund: Refund) -> SeenRefund:
        """Pay back, once."""
        ...

    def begin_saving(
        self, account: AccountId, *, customer: str | None, email: str | None
    ) -> Hosted:
        """Have a page made on which a card can be saved."""
        ...

    def saved(self, session: str) -> SavedMethod | None:
        """What was saved on that page. None: nothing yet."""
        ...

    def forget(self, saved: SavedMethod) -> None:
        """Never charge it again."""
        ...

    def read_event(self, body: bytes, signature: str, *, now_s: float) -> Event:
        """Whoever sends it. Raises EventRefused."""
        ...

    def kept_event(self, body: bytes) -> Event:
        """One that `read_event` has let in before."""
        ...

    def purchase_of(self, event: Event) -> PurchaseId | None:
        """Which of ours it is about, asking the company if it does not say. None: none of ours."""
        ...
