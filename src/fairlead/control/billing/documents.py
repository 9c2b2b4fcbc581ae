"""Receipts and invoices: one series of numbers without gaps, each with all that its page says.

What a page says is fixed when its number is given; it is drawn anew whenever somebody wants it, always the
same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from fairlead.control.billing.letters import BillingLetters
from fairlead.control.billing.profiles import find_profile
from fairlead.control.billing.types import (
    NANO_PER_CENT,
    NotFoundHere,
    Purchase,
    PurchaseId,
    Purpose,
)
from fairlead.control.billing.words import day_text, dollars
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AddCredit, LotKind
from fairlead.control.usage.calendar import month_start_ms
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.ledger import ledger_accounts
from fairlead.store.tables.payments import invoices

__all__ = ["Document", "Documents", "Issued", "Line", "Seller"]

PAGE_MAX: Final = 100
ISSUED_AT_ONCE: Final = 50
_LOCK: Final = "invoices"


class Seller(msgspec.Struct, frozen=True):
    """Who sells. address: lines. tax_lines: whatever the law wants said about tax."""

    name: str = "Fairlead"
    address: str = ""
    tax_ids: tuple[str, ...] = ()
    tax_lines: tuple[str, ...] = ()
    number_prefix: str = "FL-"


class Line(msgspec.Struct, frozen=True):
    text: str
    cents: int


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """All that is on a page. number: with its prefix. kind: "receipt" or "invoice". reference: of what it is
    about. is_pretended: no money has moved."""

    number: str
    kind: str
    issued_ms: int
    seller: Seller
    buyer_name: str
    buyer_address: str
    buyer_tax_ids: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    reference: str = ""
    is_pretended: bool = False

    @property
    def total_cents(self) -> int:
        return sum(line.cents for line in self.lines)


@dataclass(frozen=True, slots=True)
class Issued:
    """A document as lists show it."""

    number: int
    account: AccountId
    kind: str
    purchase: PurchaseId | None
    period: str | None
    total_cents: int
    issued_ms: int
    paid_ms: int | None
    document: Document


_read: Final = msgspec.json.Decoder(Document)
_OPEN: Final = sa.and_(invoices.c.kind == "invoice", invoices.c.paid_ms.is_(None))


class Documents:
    """All of them. Methods block."""

    def __init__(
        self,
        database: Database,
        *,
        ledger: Ledger,
        letters: BillingLetters,
        seller: Seller,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._letters = letters
        self._seller = seller
        self._now_ms = now_ms

    # --- issuing ---

    def receive(self, connection: sa.Connection, purchase: Purchase) -> None:
        """A purchase was paid: it gets a receipt, and the invoice that it paid is closed."""
        paid_ms = purchase.facts.paid_ms
        words = "Payment of an invoice" if purchase.purpose is Purpose.INVOICE else "Credits"
        lines = [Line(words, purchase.amount_cents)]
        if purchase.fee_cents:
            lines.append(Line(f"Fee ({purchase.method.value})", purchase.fee_cents))
        notes = [f"Paid on {day_text(paid_ms)} by {purchase.method.value}."]
        self._issue(
            connection,
            purchase.account,
            "receipt",
            lines=tuple(lines),
            notes=tuple(notes),
            reference=purchase.id,
            purchase=purchase.id,
            paid_ms=paid_ms,
            is_pretended=purchase.company == "test",
        )
        if purchase.invoice is not None:
            self._close(connection, purchase.invoice, paid_ms)

    def issue_monthly(self) -> int:
        """Invoices of what postpaid accounts owe, for the month before; those that have theirs are left out.
        Returns how many were issued."""
        with self._database.read() as connection:
            owing = self._owing(connection)
        count = 0
        for account in owing:
            count += self._database.retrying(partial(self._invoice, account=account))
        return count

    def _owing(self, connection: sa.Connection) -> list[AccountId]:
        asked = (
            sa.select(sa.func.coalesce(sa.func.sum(invoices.c.total_cents), 0))
            .where(invoices.c.account_id == accounts.c.id, _OPEN)
            .scalar_subquery()
        )
        query = (
            sa.select(accounts.c.id)
            .join(ledger_accounts, ledger_accounts.c.account_id == accounts.c.id)
            .where(
                accounts.c.billing == "postpaid",
                accounts.c.is_owner.is_(False),
                ledger_accounts.c.debt_nano - asked * NANO_PER_CENT >= NANO_PER_CENT,
                ~sa.exists().where(
                    invoices.c.account_id == accounts.c.id,
                    invoices.c.period == self._period(),
                ),
            )
            .order_by(accounts.c.id)
            .limit(ISSUED_AT_ONCE)
        )
        return [AccountId(row[0]) for row in connection.execute(query)]

    def _invoice(self, connection: sa.Connection, *, account: AccountId) -> int:
        """All that is owed, less what open invoices ask for already."""
        period = self._period()
        self._database.lock(connection, _LOCK)
        mine = invoices.c.account_id == account
        if connection.execute(
            sa.select(invoices.c.number).where(mine, invoices.c.period == period)
        ).first():
            return 0
        self._ledger.lock_within(connection)
        debt = connection.execute(
            sa.select(ledger_accounts.c.debt_nano).where(ledger_accounts.c.account_id == account)
        ).scalar_one()
        asked = connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(invoices.c.total_cents), 0)).where(mine, _OPEN)
        ).scalar_one()
        cents = debt // NANO_PER_CENT - int(asked)  # PostgreSQL's sums are decimals
        if cents <= 0:
            return 0
        issued = self._issue(
            connection,
            account,
            "invoice",
            lines=(Line(f"Usage up to {day_text(self._now_ms())}", cents),),
            notes=("Payable on receipt.",),
            reference=period,
            period=period,
        )
        self._letters.invoice(
            connection, account, number=issued.number, total=dollars(cents), period=period
        )
        return 1

    def _issue(
        self,
        connection: sa.Connection,
        account: AccountId,
        kind: str,
        *,
        lines: tuple[Line, ...],
        notes: tuple[str, ...],
        reference: str,
        purchase: PurchaseId | None = None,
        period: str | None = None,
        paid_ms: int | None = None,
        is_pretended: bool = False,
    ) -> Document:
        self._database.lock(connection, _LOCK)
        last = connection.execute(sa.select(sa.func.max(invoices.c.number))).scalar()
        number = (last or 0) + 1
        profile = find_profile(connection, account)
        name = (
            profile.name
            or connection.execute(
                sa.select(accounts.c.name).where(accounts.c.id == account)
            ).scalar()
        )
        document = Document(
            number=f"{self._seller.number_prefix}{number:06d}",
            kind=kind,
            issued_ms=self._now_ms(),
            seller=self._seller,
            buyer_name=name or account,
            buyer_address=profile.address,
            buyer_tax_ids=profile.tax_ids,
            lines=lines,
            notes=notes,
            reference=reference,
            is_pretended=is_pretended,
        )
        connection.execute(
            sa.insert(invoices).values(
                number=number,
                account_id=account,
                kind=kind,
                purchase_id=purchase,
                period=period,
                total_cents=document.total_cents,
                issued_ms=document.issued_ms,
                paid_ms=paid_ms,
                content=msgspec.json.encode(document).decode(),
            )
        )
        return document

    # --- paying ---

    def mark_paid(self, number: int) -> Issued:
        """The operator has been paid some other way: what is owed goes down by it. Raises NotFoundHere."""

        def mark(connection: sa.Connection) -> None:
            self._database.lock(connection, _LOCK)
            found = self._find(connection, number)
            if found is None or found.kind != "invoice":
                raise NotFoundHere("there is no such invoice")
            if found.paid_ms is not None:
                return
            self._close(connection, number, self._now_ms())
            self._ledger.post_within(
                connection,
                AddCredit(
                    account=found.account,
                    reference=f"invoice:{number}",
                    kind=LotKind.PURCHASE,
                    amount=NanoUSD(found.total_cents * NANO_PER_CENT),
                    method="manual",
                    source=f"invoice:{number}",
                ),
            )

        self._database.retrying(mark)
        with self._database.read() as connection:
            found = self._find(connection, number)
        assert found is not None
        return found

    def _close(self, connection: sa.Connection, number: int, paid_ms: int) -> None:
        connection.execute(
            sa.update(invoices)
            .where(invoices.c.number == number, invoices.c.paid_ms.is_(None))
            .values(paid_ms=paid_ms)
        )

    # --- reading ---

    def open_invoice(self, connection: sa.Connection, account: AccountId, number: int) -> Issued:
        """Raises NotFoundHere."""
        found = self._find(connection, number)
        if found is None or found.account != account or found.paid_ms is not None:
            raise NotFoundHere("there is no such open invoice")
        return found

    def find(self, account: AccountId, number: int) -> Issued:
        """Raises NotFoundHere."""
        with self._database.read() as connection:
            found = self._find(connection, number)
        if found is None or found.account != account:
            raise NotFoundHere("there is no such document")
        return found

    def receipt(self, account: AccountId, purchase: PurchaseId) -> Issued:
        """Raises NotFoundHere."""
        query = sa.select(invoices).where(
            invoices.c.purchase_id == purchase, invoices.c.account_id == account
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundHere("this purchase has no receipt")
        return _issued(row)

    def page(
        self, account: AccountId, *, before: int | None = None, limit: int = PAGE_MAX
    ) -> list[Issued]:
        """The newest first."""
        query = (
            sa.select(invoices)
            .where(invoices.c.account_id == account)
            .order_by(invoices.c.number.desc())
            .limit(min(limit, PAGE_MAX))
        )
        if before is not None:
            query = query.where(invoices.c.number < before)
        with self._database.read() as connection:
            return [_issued(row) for row in connection.execute(query)]

    def unpaid(self, account: AccountId) -> list[Issued]:
        """Its invoices that are open, the newest first; at most PAGE_MAX of them."""
        query = (
            sa.select(invoices)
            .where(invoices.c.account_id == account, _OPEN)
            .order_by(invoices.c.number.desc())
            .limit(PAGE_MAX)
        )
        with self._database.read() as connection:
            return [_issued(row) for row in connection.execute(query)]

    def _find(self, connection: sa.Connection, number: int) -> Issued | None:
        row = connection.execute(
            sa.select(invoices).where(invoices.c.number == number)
        ).one_or_none()
        return None if row is None else _issued(row)

    def _period(self) -> str:
        """The month before this one, as "2027-01"."""
        return day_text(month_start_ms(self._now_ms()) - 1)[: len("2027-01")]


def _issued(row: Any) -> Issued:  # noqa: ANN401 - a row
    return Issued(
        number=row.number,
        account=AccountId(row.account_id),
        kind=row.kind,
        purchase=None if row.purchase_id is None else PurchaseId(row.purchase_id),
        period=row.period,
        total_cents=row.total_cents,
        issued_ms=row.issued_ms,
        paid_ms=row.paid_ms,
        document=_read.decode(row.content),
    )
