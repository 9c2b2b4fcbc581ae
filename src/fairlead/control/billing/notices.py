"""Who is told that money runs low: of an account's credit, of a key's limit, of a workspace's budget; and that
credit expires soon.

Budgets are read in the order of their ids, some at a time, so a round takes as long as there are many and a
tick never does. What was said is kept in one row for each budget: a warning comes once in a period, and the one
of a low balance again only after the balance was well above the threshold in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.billing.letters import BillingLetters
from fairlead.control.billing.profiles import find_profile
from fairlead.control.billing.types import NANO_PER_CENT, BillingRules
from fairlead.control.billing.words import day_text, dollars
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import ExpireLot, Posted
from fairlead.control.notifications.types import Kind
from fairlead.core.budgets.types import BudgetKind, Reset, kind_of, period_of
from fairlead.core.ids import AccountId, BudgetId, LotId, UserId
from fairlead.store.database import Database
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.budgets import budget_periods, budgets
from fairlead.store.tables.keys import api_keys
from fairlead.store.tables.ledger import lots
from fairlead.store.tables.payments import expiry_notices, notices
from fairlead.store.tables.people import workspaces

__all__ = ["Expiry", "Notices"]

READ_AT_ONCE: Final = 500
EXPIRED_AT_ONCE: Final = 100
LEVELS: Final = (100, 80)  # percent of a limit
LOW: Final = 1
# Above the threshold by a tenth it is armed again.
ARMED_PERCENT: Final = 110
EXPIRY_DAYS: Final = (7, 30)
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class _Standing:
    budget: BudgetId
    account: AccountId
    limit: int
    spent: int
    period: str


@dataclass(frozen=True, slots=True)
class _Expiring:
    id: LotId
    account: AccountId
    remaining: int
    expires_ms: int


def level_of(spent: int, limit: int) -> int:
    """The highest level that is reached, in percent; 0: none."""
    return next((level for level in LEVELS if spent * 100 >= limit * level), 0)


def is_low(balance_nano: int, threshold_cents: int, *, was_low: bool) -> bool:
    """With hysteresis: who was low stays so until the balance is well above the threshold."""
    percent = ARMED_PERCENT if was_low else 100
    return balance_nano * 100 < threshold_cents * NANO_PER_CENT * percent


class Notices:
    """Methods block. It remembers how far it has read; of several processes each may have one."""

    def __init__(
        self,
        database: Database,
        letters: BillingLetters,
        terms: BillingRules,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._letters = letters
        self._terms = terms
        self._now_ms = now_ms
        self._after = ""

    def work(self) -> int:
        """Read on, and write to whoever must know. Returns how many letters that were."""
        standings = self._read()
        count = 0
        for standing in standings:
            if kind_of(standing.budget) is BudgetKind.ACCOUNT:
                count += self._account(standing)
            else:
                count += self._limit(standing)
        return count

    def _read(self) -> list[_Standing]:
        query = (
            sa.select(budgets)
            .where(budgets.c.id > self._after)
            .order_by(budgets.c.id)
            .limit(READ_AT_ONCE)
        )
        now_s = self._now_ms() / 1000
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            periods = {
                row.id: period_of(None if row.reset is None else Reset(row.reset), now_s).name
                for row in rows
            }
            spent = self._spent(connection, periods)
        self._after = rows[-1].id if len(rows) == READ_AT_ONCE else ""
        return [
            _Standing(
                BudgetId(row.id),
                AccountId(row.account_id),
                row.limit_nano,
                spent.get(row.id, 0),
                periods[row.id],
            )
            for row in rows
            if row.limit_nano and row.id.partition(":")[0] in ("account", "key", "workspace")
        ]

    def _spent(self, connection: sa.Connection, periods: dict[str, str]) -> dict[str, int]:
        if not periods:
            return {}
        query = sa.select(
            budget_periods.c.budget_id, budget_periods.c.period, budget_periods.c.spent_nano
        ).where(
            budget_periods.c.budget_id.in_(periods),
            budget_periods.c.period.in_(set(periods.values())),
        )
        return {
            row.budget_id: row.spent_nano
            for row in connection.execute(query)
            if periods[row.budget_id] == row.period
        }

    def _account(self, standing: _Standing) -> int:
        """A prepaid account's credit. Who was never above the threshold has not fallen below it."""
        with self._database.read() as connection:
            chosen = find_profile(connection, standing.account).low_balance_cents
            said = self._said(connection, standing.budget)
        threshold = self._terms.low_balance_cents if chosen is None else chosen
        balance = standing.limit - standing.spent
        was_low = said is None or said.level == LOW
        now_low = is_low(balance, threshold, was_low=said is not None and was_low)
        if (said is not None and now_low is was_low) or not threshold:
            return 0

        def tell(connection: sa.Connection) -> int:
            if not self._say(connection, standing, LOW if now_low else 0, said):
                return 0
            if said is None or not now_low or not _is_prepaid(connection, standing.account):
                return 0
            self._letters.low_balance(
                connection,
                standing.account,
                balance=dollars(balance // NANO_PER_CENT),
                threshold=dollars(threshold),
            )
            return 1

        return self._database.retrying(tell)

    def _limit(self, standing: _Standing) -> int:
        level = level_of(standing.spent, standing.limit)
        if not level:
            return 0
        with self._database.read() as connection:
            said = self._said(connection, standing.budget)
        if said is not None and said.period == standing.period and said.level >= level:
            return 0

        def tell(connection: sa.Connection) -> int:
            if not self._say(connection, standing, level, said):
                return 0
            kind, what, owner = _named(connection, standing.budget)
            self._letters.limit_near(
                connection,
                standing.account,
                kind,
                what=what,
                percent=level,
                spent=dollars(standing.spent // NANO_PER_CENT),
                limit=dollars(standing.limit // NANO_PER_CENT),
                owner=owner,
            )
            return 1

        return self._database.retrying(tell)

    def _said(self, connection: sa.Connection, budget: BudgetId) -> Any:  # noqa: ANN401 - a row
        query = sa.select(notices).where(notices.c.budget_id == budget)
        return connection.execute(query).one_or_none()

    def _say(
        self,
        connection: sa.Connection,
        standing: _Standing,
        level: int,
        said: Any,  # noqa: ANN401 - a row
    ) -> bool:
        """False: another process has been faster."""
        values = {"period": standing.period, "level": level, "said_ms": self._now_ms()}
        if said is None:
            statement = (
                self._database.insert(notices)
                .values(budget_id=standing.budget, **values)
                .on_conflict_do_nothing(index_elements=["budget_id"])
                .returning(notices.c.budget_id)
            )
            return connection.execute(statement).first() is not None
        changed = (
            sa.update(notices)
            .where(
                notices.c.budget_id == standing.budget,
                notices.c.period == said.period,
                notices.c.level == said.level,
            )
            .values(**values)
        )
        return bool(connection.execute(changed).rowcount)


class Expiry:
    """Credit that expires: told beforehand, then taken. Methods block."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        letters: BillingLetters,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._letters = letters
        self._now_ms = now_ms

    def work(self) -> int:
        """Returns of how many lots something was taken, for they have expired."""
        now_ms = self._now_ms()
        count = 0
        for account, lot in self._ledger.expiring(before_ms=now_ms, limit=EXPIRED_AT_ONCE):
            # What calls hold stays until the next time; there is less in the lot by then.
            reference = f"expire:{lot.id}:{lot.remaining}"
            command = ExpireLot(account=account, reference=reference, lot=lot.id)
            count += isinstance(self._ledger.post(command), Posted)
        for days in EXPIRY_DAYS:
            self._warn(days)
        return count

    def _warn(self, days: int) -> None:
        """Whoever was not told yet. (Whoever was told that it is a week is told no more that it is a month.)"""
        now_ms = self._now_ms()
        is_told = sa.exists().where(
            expiry_notices.c.lot_id == lots.c.id, expiry_notices.c.days <= days
        )
        query = (
            sa.select(lots.c.id, lots.c.account_id, lots.c.remaining_nano, lots.c.expires_ms)
            .where(
                lots.c.remaining_nano > 0,
                lots.c.expires_ms.is_not(None),
                lots.c.expires_ms > now_ms,
                lots.c.expires_ms <= now_ms + days * _DAY_MS,
                ~is_told,
            )
            .order_by(lots.c.expires_ms)
            .limit(EXPIRED_AT_ONCE)
        )
        with self._database.read() as connection:
            found = connection.execute(query).all()
        for row in found:
            self._tell(_Expiring(row.id, row.account_id, row.remaining_nano, row.expires_ms), days)

    def _tell(self, lot: _Expiring, days: int) -> None:
        day = day_text(lot.expires_ms)

        def tell(connection: sa.Connection) -> None:
            statement = (
                self._database.insert(expiry_notices)
                .values(lot_id=lot.id, days=days, said_ms=self._now_ms())
                .on_conflict_do_nothing(index_elements=["lot_id", "days"])
                .returning(expiry_notices.c.lot_id)
            )
            if connection.execute(statement).first() is not None:
                amount = dollars(lot.remaining // NANO_PER_CENT)
                self._letters.expiring(connection, lot.account, amount=amount, days=days, day=day)

        self._database.retrying(tell)


def _is_prepaid(connection: sa.Connection, account: AccountId) -> bool:
    query = sa.select(accounts.c.billing).where(
        accounts.c.id == account, accounts.c.deleted_ms.is_(None)
    )
    return connection.execute(query).scalar() == "prepaid"


def _named(connection: sa.Connection, budget: BudgetId) -> tuple[Kind, str, UserId | None]:
    """What a budget limits, in words, and who made the key that it is of."""
    name = budget.split(":")[1]
    if kind_of(budget) is BudgetKind.KEY:
        query = sa.select(api_keys.c.name, api_keys.c.creator_user_id).where(api_keys.c.id == name)
        row = connection.execute(query).one_or_none()
        if row is None:
            return Kind.KEY_LIMIT, f"the API key {name}", None
        return Kind.KEY_LIMIT, f'the API key "{row[0]}"', row[1]
    found = connection.execute(sa.select(workspaces.c.name).where(workspaces.c.id == name)).scalar()
    said = f'the workspace "{found or name}" ({budget.split(":")[-1]} budget)'
    return Kind.WORKSPACE_BUDGET, said, None
