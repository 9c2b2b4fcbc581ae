"""What people are told about their money, by mail. Put into the outbox in the transaction that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from fairlead.control.billing import queries
from fairlead.control.billing.types import (
    Purchase,
    Refund,
    SeenDisputeState,
    TopUp,
    TopUpState,
)
from fairlead.control.billing.words import dollars
from fairlead.control.mail.outbox import Outbox
from fairlead.control.mail.types import Letter
from fairlead.control.notifications.service import addresses, admins
from fairlead.control.notifications.types import Kind
from fairlead.core.ids import AccountId, UserId

__all__ = ["BillingLetters"]

_DISPUTE_WORDS: Final = {
    SeenDisputeState.WARNED: "is being asked about by the bank",
    SeenDisputeState.OPEN: "is disputed; its credit was taken back",
    SeenDisputeState.LOST: "was disputed, and the dispute is lost",
    SeenDisputeState.WON: "was disputed, and the dispute is won; its credit is back",
}


class BillingLetters:
    """outbox: None: nobody is written to."""

    def __init__(self, outbox: Outbox | None) -> None:
        self._outbox = outbox

    def paid(self, connection: sa.Connection, purchase: Purchase) -> None:
        self._to_account(
            connection,
            purchase.account,
            "credit_bought",
            amount=dollars(purchase.amount_cents),
            fee=dollars(purchase.fee_cents),
            total=dollars(purchase.total_cents),
            purchase=purchase.id,
        )

    def refunded(self, connection: sa.Connection, refund: Refund) -> None:
        self._to_account(
            connection,
            refund.account,
            "credit_refunded",
            amount=dollars(refund.amount_cents),
            purchase=refund.purchase,
        )

    def refund_failed(self, connection: sa.Connection, refund: Refund) -> None:
        self._to_account(
            connection,
            refund.account,
            "refund_failed",
            amount=dollars(refund.amount_cents),
            purchase=refund.purchase,
        )

    def top_up_failed(self, connection: sa.Connection, top_up: TopUp, purchase: Purchase) -> None:
        kind = "top_up_stopped" if top_up.state is TopUpState.STOPPED else "top_up_failed"
        self._to_account(
            connection,
            top_up.account,
            kind,
            amount=dollars(purchase.total_cents),
            problem=purchase.facts.problem or "the card was declined",
        )

    def ceiling(self, connection: sa.Connection, top_up: TopUp) -> None:
        self._to_account(
            connection,
            top_up.account,
            "top_up_ceiling",
            ceiling=dollars(top_up.month_cents_max),
        )

    def low_balance(
        self, connection: sa.Connection, account: AccountId, *, balance: str, threshold: str
    ) -> None:
        to = addresses(connection, account, Kind.LOW_BALANCE)
        self._put(connection, to, "low_balance", balance=balance, threshold=threshold)

    def limit_near(
        self,
        connection: sa.Connection,
        account: AccountId,
        kind: Kind,
        *,
        what: str,
        percent: int,
        spent: str,
        limit: str,
        owner: UserId | None,
    ) -> None:
        """kind: of a key or of a workspace. owner: who made the key."""
        to = addresses(connection, account, kind, owner=owner)
        self._put(
            connection,
            to,
            "limit_near",
            what=what,
            percent=str(percent),
            spent=spent,
            limit=limit,
        )

    def expiring(
        self, connection: sa.Connection, account: AccountId, *, amount: str, days: int, day: str
    ) -> None:
        self._to_account(
            connection, account, "credit_expiring", amount=amount, days=str(days), day=day
        )

    def invoice(
        self, connection: sa.Connection, account: AccountId, *, number: str, total: str, period: str
    ) -> None:
        self._to_account(
            connection, account, "invoice_ready", number=number, total=total, period=period
        )

    def dispute(
        self, connection: sa.Connection, purchase: Purchase, state: SeenDisputeState
    ) -> None:
        self._to_operator(
            connection,
            "payment_disputed",
            purchase=purchase.id,
            account=purchase.account,
            amount=dollars(purchase.total_cents),
            state=_DISPUTE_WORDS[state],
        )

    def strange(self, connection: sa.Connection, purchase: Purchase) -> None:
        self._to_operator(
            connection,
            "payment_strange",
            purchase=purchase.id,
            account=purchase.account,
            wanted=dollars(purchase.total_cents),
            seen=f"{purchase.facts.paid_cents} {purchase.facts.currency}",
        )

    def _to_account(
        self, connection: sa.Connection, account: AccountId, kind: str, **values: str
    ) -> None:
        self._put(connection, admins(connection, account), kind, **values)

    def _to_operator(self, connection: sa.Connection, kind: str, **values: str) -> None:
        self._put(connection, queries.operator_emails(connection), kind, **values)

    def _put(
        self, connection: sa.Connection, recipients: Iterable[str], kind: str, **values: str
    ) -> None:
        if self._outbox is None:
            return
        for recipient in recipients:
            self._outbox.put(connection, Letter(kind=kind, recipient=recipient, values=values))
