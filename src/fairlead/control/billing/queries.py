"""SQL about purchases and refunds, and what the payment company told us. Rows are locked before they are read
to be changed: the purchase first, the ledger last."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from fairlead.control.billing import rules
from fairlead.control.billing.types import (
    NANO_PER_CENT,
    Facts,
    Method,
    Purchase,
    PurchaseId,
    PurchaseState,
    Purpose,
    Refund,
    RefundId,
    RefundState,
    TopUp,
    TopUpState,
)
from fairlead.control.ledger.types import Lot, LotKind
from fairlead.control.notifications.service import admins
from fairlead.core.budgets.types import account_budget
from fairlead.core.ids import AccountId, LotId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.budgets import budget_periods, budgets
from fairlead.store.tables.installation import meta
from fairlead.store.tables.ledger import lots
from fairlead.store.tables.payments import payment_events, purchase_refunds, purchases, top_ups

__all__ = [
    "balance",
    "bought_since",
    "count_since",
    "due_events",
    "due_purchases",
    "due_refunds",
    "event_done",
    "find_purchase",
    "find_purchases",
    "find_refund",
    "insert_event",
    "insert_purchase",
    "insert_refund",
    "installation",
    "lot_of",
    "operator_emails",
    "page",
    "purchase_by_key",
    "purchase_by_name",
    "refunds_of",
    "save_purchase",
    "save_refund",
    "save_top_up",
    "sweep_events",
    "top_up",
    "top_ups_below",
]

_INSTALLATION: Final = "installation"
_read_facts: Final = msgspec.json.Decoder(Facts)
_read_posted: Final = msgspec.json.Decoder(tuple[str, ...])


def installation(database: Database, connection: sa.Connection, proposed: str) -> str:
    """The name by which a payment company knows this installation; for ever the first that was proposed."""
    connection.execute(
        database.insert(meta)
        .values(name=_INSTALLATION, value=proposed)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    found = sa.select(meta.c.value).where(meta.c.name == _INSTALLATION)
    return str(connection.execute(found).scalar_one())


# --- purchases ---


def insert_purchase(connection: sa.Connection, purchase: Purchase) -> None:
    connection.execute(
        sa.insert(purchases).values(
            id=purchase.id,
            account_id=purchase.account,
            purpose=purchase.purpose.value,
            method=purchase.method.value,
            company=purchase.company,
            amount_cents=purchase.amount_cents,
            fee_cents=purchase.fee_cents,
            created_ms=purchase.created_ms,
            key=purchase.key,
            invoice=purchase.invoice,
            **_changing(purchase),
        )
    )


def save_purchase(connection: sa.Connection, purchase: Purchase) -> None:
    connection.execute(
        sa.update(purchases).where(purchases.c.id == purchase.id).values(**_changing(purchase))
    )


def _changing(purchase: Purchase) -> dict[str, Any]:
    return {
        "session": purchase.session,
        "url": purchase.url,
        "payment": purchase.payment,
        "facts": msgspec.json.encode(purchase.facts).decode(),
        "posted": msgspec.json.encode(purchase.posted).decode(),
        "state": rules.state(purchase).value,
        "looks": purchase.looks,
        "due_ms": rules.look_again_ms(purchase),
    }


def find_purchase(
    connection: sa.Connection,
    purchase: PurchaseId,
    *,
    account: AccountId | None = None,
    locked: bool = False,
) -> Purchase | None:
    """account: whose it must be. locked: nobody else changes it until the transaction ends."""
    query = sa.select(purchases).where(purchases.c.id == purchase)
    if account is not None:
        query = query.where(purchases.c.account_id == account)
    if locked:
        query = query.with_for_update()
    row = connection.execute(query).one_or_none()
    return None if row is None else _purchase(row)


def find_purchases(
    connection: sa.Connection, wanted: Collection[PurchaseId]
) -> dict[PurchaseId, Purchase]:
    """Those that there are. wanted: as many as a page shows."""
    query = sa.select(purchases).where(purchases.c.id.in_(wanted))
    return {PurchaseId(row.id): _purchase(row) for row in connection.execute(query)}


def purchase_by_key(connection: sa.Connection, account: AccountId, key: str) -> Purchase | None:
    query = sa.select(purchases).where(purchases.c.account_id == account, purchases.c.key == key)
    row = connection.execute(query).one_or_none()
    return None if row is None else _purchase(row)


def purchase_by_name(
    connection: sa.Connection, *, payment: str | None, session: str | None
) -> PurchaseId | None:
    """By what the company calls it."""
    for column, name in ((purchases.c.payment, payment), (purchases.c.session, session)):
        if name is not None:
            query = sa.select(purchases.c.id).where(column == name)
            found = connection.execute(query).scalar_one_or_none()
            if found is not None:
                return PurchaseId(found)
    return None


def page(
    connection: sa.Connection,
    account: AccountId | None,
    *,
    before: str | None,
    limit: int,
) -> list[Purchase]:
    """The newest first. account: None: of all."""
    query = sa.select(purchases).order_by(purchases.c.id.desc()).limit(limit)
    if account is not None:
        query = query.where(purchases.c.account_id == account)
    if before is not None:
        query = query.where(purchases.c.id < before)
    return [_purchase(row) for row in connection.execute(query)]


def bought_since(
    connection: sa.Connection, account: AccountId, purpose: Purpose, *, since_ms: int
) -> int:
    """Cents of credit, without what has failed."""
    query = sa.select(sa.func.coalesce(sa.func.sum(purchases.c.amount_cents), 0)).where(
        purchases.c.account_id == account,
        purchases.c.purpose == purpose.value,
        purchases.c.id >= f"pay-{since_ms:012x}",
        purchases.c.state != PurchaseState.FAILED.value,
    )
    return int(connection.execute(query).scalar_one())


def due_purchases(
    connection: sa.Connection, *, company: str, now_ms: int, limit: int, retry_ms: int
) -> list[Purchase]:
    """Those that somebody must look at, longest due first; nobody else gets them before `retry_ms`."""
    query = (
        sa.select(purchases)
        .where(purchases.c.due_ms <= now_ms, purchases.c.company == company)
        .order_by(purchases.c.due_ms)
        .limit(limit)
    )
    found = [_purchase(row) for row in connection.execute(query)]
    _put_off(connection, purchases, [one.id for one in found], retry_ms)
    return found


def _put_off(connection: sa.Connection, table: sa.Table, ids: Collection[str], due_ms: int) -> None:
    if ids:
        connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(due_ms=due_ms))


def _purchase(row: Any) -> Purchase:  # noqa: ANN401 - a row
    return Purchase(
        id=PurchaseId(row.id),
        account=AccountId(row.account_id),
        purpose=Purpose(row.purpose),
        method=Method(row.method),
        company=row.company,
        amount_cents=row.amount_cents,
        fee_cents=row.fee_cents,
        created_ms=row.created_ms,
        key=row.key,
        session=row.session,
        url=row.url,
        payment=row.payment,
        invoice=row.invoice,
        facts=_read_facts.decode(row.facts),
        posted=_read_posted.decode(row.posted),
        looks=row.looks,
    )


# --- refunds ---


def insert_refund(connection: sa.Connection, refund: Refund, *, due_ms: int) -> None:
    connection.execute(
        sa.insert(purchase_refunds).values(
            id=refund.id,
            purchase_id=refund.purchase,
            account_id=refund.account,
            payment=refund.payment,
            amount_cents=refund.amount_cents,
            state=refund.state.value,
            created_ms=refund.created_ms,
            attempts=refund.attempts,
            problem=refund.problem,
            due_ms=due_ms,
        )
    )


def save_refund(connection: sa.Connection, refund: Refund, *, due_ms: int | None) -> None:
    connection.execute(
        sa.update(purchase_refunds)
        .where(purchase_refunds.c.id == refund.id)
        .values(
            state=refund.state.value,
            attempts=refund.attempts,
            problem=refund.problem,
            due_ms=due_ms,
        )
    )


def find_refund(connection: sa.Connection, refund: RefundId) -> Refund | None:
    """Locked; its purchase is already."""
    query = sa.select(purchase_refunds).where(purchase_refunds.c.id == refund).with_for_update()
    row = connection.execute(query).one_or_none()
    return None if row is None else _refund(row)


def refunds_of(connection: sa.Connection, purchase: PurchaseId) -> list[Refund]:
    query = (
        sa.select(purchase_refunds)
        .where(purchase_refunds.c.purchase_id == purchase)
        .order_by(purchase_refunds.c.id)
    )
    return [_refund(row) for row in connection.execute(query)]


def due_refunds(
    connection: sa.Connection, *, now_ms: int, limit: int, retry_ms: int
) -> list[Refund]:
    query = (
        sa.select(purchase_refunds)
        .where(purchase_refunds.c.due_ms <= now_ms)
        .order_by(purchase_refunds.c.due_ms)
        .limit(limit)
    )
    found = [_refund(row) for row in connection.execute(query)]
    _put_off(connection, purchase_refunds, [one.id for one in found], retry_ms)
    return found


def _refund(row: Any) -> Refund:  # noqa: ANN401 - a row
    return Refund(
        id=RefundId(row.id),
        purchase=PurchaseId(row.purchase_id),
        account=AccountId(row.account_id),
        amount_cents=row.amount_cents,
        state=RefundState(row.state),
        created_ms=row.created_ms,
        payment=row.payment,
        attempts=row.attempts,
        problem=row.problem,
    )


# --- events ---


def insert_event(
    database: Database,
    connection: sa.Connection,
    *,
    id: str,  # noqa: A002 - the company's
    company: str,
    kind: str,
    body: str,
    now_ms: int,
) -> bool:
    """False: it was there already."""
    statement = (
        database.insert(payment_events)
        .values(
            id=id,
            company=company,
            kind=kind,
            body=body,
            received_ms=now_ms,
            attempts=0,
            outcome="",
            due_ms=now_ms,
        )
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(payment_events.c.id)  # how many rows there were, not every driver tells
    )
    return connection.execute(statement).first() is not None


def due_events(
    connection: sa.Connection, *, company: str, now_ms: int, limit: int, retry_ms: int
) -> list[tuple[str, bytes, int]]:
    """Id, body and attempts so far, the first received first."""
    query = (
        sa.select(payment_events.c.id, payment_events.c.body, payment_events.c.attempts)
        .where(payment_events.c.due_ms <= now_ms, payment_events.c.company == company)
        .order_by(payment_events.c.due_ms, payment_events.c.received_ms)
        .limit(limit)
    )
    found = [(row.id, row.body.encode(), row.attempts) for row in connection.execute(query)]
    _put_off(connection, payment_events, [one[0] for one in found], retry_ms)
    return found


def event_done(
    connection: sa.Connection, event: str, outcome: str, *, attempts: int, due_ms: int | None
) -> None:
    connection.execute(
        sa.update(payment_events)
        .where(payment_events.c.id == event)
        .values(outcome=outcome, attempts=attempts, due_ms=due_ms)
    )


def sweep_events(connection: sa.Connection, *, before_ms: int, limit: int) -> int:
    """Forget some that were done long ago. Returns how many."""
    old = (
        sa.select(payment_events.c.id)
        .where(payment_events.c.received_ms < before_ms, payment_events.c.due_ms.is_(None))
        .limit(limit)
    )
    return connection.execute(
        sa.delete(payment_events).where(payment_events.c.id.in_(old))
    ).rowcount


# --- the ledger's, to be read ---


def lot_of(connection: sa.Connection, purchase: Purchase) -> Lot | None:
    """What the purchase became; None: nothing of it is left."""
    query = (
        sa.select(lots)
        .where(
            lots.c.account_id == purchase.account,
            lots.c.kind == LotKind.PURCHASE.value,
            lots.c.source == purchase.source,
            lots.c.remaining_nano > 0,
        )
        .order_by(lots.c.id)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Lot(
        id=LotId(row.id),
        kind=LotKind(row.kind),
        amount=NanoUSD(row.amount_nano),
        remaining=NanoUSD(row.remaining_nano),
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        is_refundable=row.is_refundable,
        source=row.source,
    )


# --- topping up ---


def top_up(connection: sa.Connection, account: AccountId, *, locked: bool = False) -> TopUp | None:
    query = sa.select(top_ups).where(top_ups.c.account_id == account)
    row = connection.execute(query.with_for_update() if locked else query).one_or_none()
    if row is None:
        return None
    return TopUp(
        account=AccountId(row.account_id),
        state=TopUpState(row.state),
        threshold_cents=row.threshold_cents,
        amount_cents=row.amount_cents,
        month_cents_max=row.month_cents_max,
        failures=row.failures,
        not_before_ms=row.not_before_ms,
        purchase=None if row.purchase_id is None else PurchaseId(row.purchase_id),
    )


def save_top_up(database: Database, connection: sa.Connection, wanted: TopUp) -> None:
    values = {
        "state": wanted.state.value,
        "threshold_cents": wanted.threshold_cents,
        "amount_cents": wanted.amount_cents,
        "month_cents_max": wanted.month_cents_max,
        "failures": wanted.failures,
        "not_before_ms": wanted.not_before_ms,
        "purchase_id": wanted.purchase,
    }
    connection.execute(
        database.insert(top_ups)
        .values(account_id=wanted.account, **values)
        .on_conflict_do_update(index_elements=["account_id"], set_=values)
    )


def top_ups_below(
    connection: sa.Connection, *, after: str, now_ms: int, limit: int
) -> tuple[list[AccountId], str]:
    """Accounts behind `after` that are below their threshold, of `limit` that have it on; and where to go on,
    "" at the end."""
    scanned = (
        sa.select(top_ups)
        .where(top_ups.c.state == TopUpState.ON.value, top_ups.c.account_id > after)
        .order_by(top_ups.c.account_id)
        .limit(limit)
        .subquery()
    )
    balance = budgets.c.limit_nano - sa.func.coalesce(budget_periods.c.spent_nano, 0)
    query = (
        sa.select(scanned, sa.func.coalesce(balance, 0).label("balance"))
        .select_from(scanned)
        .outerjoin(budgets, budgets.c.id == sa.literal("account:") + scanned.c.account_id)
        .outerjoin(
            budget_periods,
            sa.and_(budget_periods.c.budget_id == budgets.c.id, budget_periods.c.period == ""),
        )
        .order_by(scanned.c.account_id)
    )
    rows = connection.execute(query).all()
    below = [
        AccountId(row.account_id)
        for row in rows
        if row.purchase_id is None
        and row.not_before_ms <= now_ms
        and row.balance < row.threshold_cents * NANO_PER_CENT
    ]
    return below, rows[-1].account_id if len(rows) == limit else ""


def balance(connection: sa.Connection, account: AccountId) -> NanoUSD:
    """What the account may still spend, as its budget says."""
    query = (
        sa.select(budgets.c.limit_nano - sa.func.coalesce(budget_periods.c.spent_nano, 0))
        .select_from(budgets)
        .outerjoin(
            budget_periods,
            sa.and_(budget_periods.c.budget_id == budgets.c.id, budget_periods.c.period == ""),
        )
        .where(budgets.c.id == account_budget(account))
    )
    return NanoUSD(connection.execute(query).scalar_one_or_none() or 0)


# --- whom to write to ---


def operator_emails(connection: sa.Connection) -> list[str]:
    owner = connection.execute(sa.select(accounts.c.id).where(accounts.c.is_owner)).scalar()
    return [] if owner is None else admins(connection, AccountId(owner))


def count_since(connection: sa.Connection, account: AccountId, *, since_ms: int) -> int:
    """Purchases that were begun."""
    query = (
        sa.select(sa.func.count())
        .select_from(purchases)
        .where(purchases.c.account_id == account, purchases.c.id >= f"pay-{since_ms:012x}")
    )
    return int(connection.execute(query).scalar_one())
