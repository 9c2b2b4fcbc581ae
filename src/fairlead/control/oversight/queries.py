"""SQL across all accounts, for the operator alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from fairlead.control.accounts import queries as account_queries
from fairlead.control.billing.types import NANO_PER_CENT, PurchaseId, Refund, RefundState
from fairlead.control.oversight.types import AccountFigures, Counts, Event, Troubles
from fairlead.core.money import NanoUSD
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.keys import api_keys
from fairlead.store.tables.ledger import ledger_accounts
from fairlead.store.tables.payments import payment_events, purchase_refunds, purchases
from fairlead.store.tables.people import mails, users

__all__ = [
    "account_page",
    "counts",
    "events",
    "names",
    "purchase_ids",
    "refunds",
    "troubles",
]

_ESCAPE: Final = "\\"
_NOT_PAID: Final = ("created", "failed", "strange")


def counts(connection: sa.Connection, *, since_ms: int) -> Counts:
    there = accounts.c.deleted_ms.is_(None)
    totals = ledger_accounts.c
    balance = totals.credits_nano - totals.usage_nano
    of_owner = sa.select(accounts.c.id).where(accounts.c.is_owner.is_(True))
    bought = sa.select(sa.func.sum(purchases.c.amount_cents)).where(
        purchases.c.created_ms >= since_ms, purchases.c.state.not_in(_NOT_PAID)
    )
    left = sa.select(sa.func.sum(balance)).where(balance > 0)
    owed = sa.select(sa.func.sum(-balance)).where(balance < 0, totals.account_id.not_in(of_owner))
    disabled = users.c.disabled_ms.is_not(None) & users.c.deleted_ms.is_(None)
    return Counts(
        accounts=_count(connection, accounts, there),
        organisations=_count(connection, accounts, there & (accounts.c.kind == "organisation")),
        disabled=_count(connection, users, disabled),
        keys=_count(connection, api_keys, api_keys.c.deleted_ms.is_(None)),
        purchased=NanoUSD(int(connection.scalar(bought) or 0) * NANO_PER_CENT),
        balance=NanoUSD(int(connection.scalar(left) or 0)),
        debt=NanoUSD(int(connection.scalar(owed) or 0)),
    )


def troubles(connection: sa.Connection) -> Troubles:
    given_up = mails.c.due_ms.is_(None) & mails.c.sent_ms.is_(None)
    waiting = payment_events.c.due_ms.is_not(None) & (payment_events.c.attempts > 0)
    return Troubles(
        mails=_count(connection, mails, given_up),
        events=_count(connection, payment_events, waiting),
        strange=_count(connection, purchases, purchases.c.state == "strange"),
        disputes=_count(connection, purchases, purchases.c.state == "disputed"),
        refunds=_count(connection, purchase_refunds, purchase_refunds.c.state == "failed"),
    )


def account_page(
    connection: sa.Connection, text: str, *, offset: int, limit: int
) -> list[AccountFigures]:
    """The newest first. text: part of a name or of an address, or an id; "": all."""
    totals = ledger_accounts.c
    keys = (
        sa.select(sa.func.count())
        .select_from(api_keys)
        .where(api_keys.c.account_id == accounts.c.id, api_keys.c.deleted_ms.is_(None))
        .scalar_subquery()
    )
    query = (
        sa.select(
            accounts.c.id,
            users.c.disabled_ms,
            totals.credits_nano,
            totals.usage_nano,
            keys.label("keys_count"),
        )
        .select_from(
            accounts.outerjoin(users, users.c.account_id == accounts.c.id).outerjoin(
                ledger_accounts, totals.account_id == accounts.c.id
            )
        )
        .order_by(accounts.c.id.desc())
        .offset(offset)
        .limit(limit)
    )
    if text:
        part = f"%{_escaped(text.lower())}%"
        query = query.where(
            sa.or_(
                accounts.c.id == text,
                accounts.c.email.like(part, escape=_ESCAPE),
                sa.func.lower(accounts.c.name).like(part, escape=_ESCAPE),
            )
        )
    rows = connection.execute(query).all()
    found = account_queries.by_ids(connection, [row.id for row in rows])
    return [
        AccountFigures(
            account=found[row.id],
            balance=NanoUSD((row.credits_nano or 0) - (row.usage_nano or 0)),
            usage=NanoUSD(row.usage_nano or 0),
            keys=row.keys_count,
            disabled_ms=row.disabled_ms,
        )
        for row in rows
    ]


def purchase_ids(
    connection: sa.Connection, states: Collection[str], *, offset: int, limit: int
) -> list[PurchaseId]:
    """Of all accounts, the newest first. states: none: whatever became of them."""
    query = sa.select(purchases.c.id).order_by(purchases.c.id.desc())
    if states:
        query = query.where(purchases.c.state.in_(states))
    return list(map(PurchaseId, connection.scalars(query.offset(offset).limit(limit))))


def refunds(connection: sa.Connection, *, offset: int, limit: int) -> list[Refund]:
    query = sa.select(purchase_refunds).order_by(purchase_refunds.c.id.desc())
    return [
        Refund(
            id=row.id,
            purchase=row.purchase_id,
            account=row.account_id,
            amount_cents=row.amount_cents,
            state=RefundState(row.state),
            created_ms=row.created_ms,
            payment=row.payment,
            attempts=row.attempts,
            problem=row.problem,
        )
        for row in connection.execute(query.offset(offset).limit(limit))
    ]


def events(connection: sa.Connection, *, offset: int, limit: int) -> list[Event]:
    """The latest first, without their bodies."""
    columns = payment_events.c
    query = (
        sa.select(
            columns.id, columns.company, columns.kind, columns.received_ms, columns.attempts,
            columns.outcome, columns.due_ms,
        )
        .order_by(columns.received_ms.desc(), columns.id.desc())
        .offset(offset)
        .limit(limit)
    )  # fmt: skip
    return [
        Event(
            id=row.id,
            company=row.company,
            kind=row.kind,
            received_ms=row.received_ms,
            attempts=row.attempts,
            outcome=row.outcome,
            is_waiting=row.due_ms is not None,
        )
        for row in connection.execute(query)
    ]


def names(connection: sa.Connection, ids: Collection[str]) -> dict[str, str]:
    """How to call accounts and people; unknown ones are missing."""
    named: dict[str, str] = {}
    for table in (accounts, users):
        query = sa.select(table.c.id, table.c.name, table.c.email).where(table.c.id.in_(ids))
        for row in connection.execute(query):
            named[row.id] = row.email or row.name or row.id
    return named


def _count(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(where)
    return int(connection.execute(query).scalar_one())


def _escaped(text: str) -> str:
    """So that what LIKE takes for a placeholder stands for itself."""
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text
