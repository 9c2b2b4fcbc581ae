"""Tells accounts that a model ends which they use: once of each, when its end becomes known.

Accounts are read in the order of their ids, some at a time, so no question takes long however many there are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from heapq import nsmallest
from typing import Final

import sqlalchemy as sa

from fairlead.control.mail.outbox import Outbox
from fairlead.control.mail.types import Letter
from fairlead.control.notifications import queries
from fairlead.control.notifications.types import Kind
from fairlead.control.usage.types import Level
from fairlead.core.ids import AccountId
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.notifications import ending_notices
from fairlead.store.tables.usage import usage_days, usage_series

__all__ = ["EndingModels", "forget_old"]

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 3600.0
USED_WITHIN_MS: Final = 30 * 86_400_000
READ_AT_ONCE: Final = 400  # accounts; SQLite takes 999 parameters in its oldest versions
MODELS_MAX: Final = 400  # those that end first
# That an account was told: an end that is put off is no news within a year.
KEPT_MS: Final = 365 * 86_400_000
SWEPT_AT_ONCE: Final = 5000


class EndingModels:
    """Belongs to one event loop; of several processes each may have one.

    ending: of every model that ends, after which day; "YYYY-MM-DD".
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        ending: Callable[[], Mapping[str, str]],
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._ending = ending
        self._now_ms = now_ms

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await asyncio.to_thread(self.work)
            except DatabaseUnreadable as error:
                _log.warning("who uses models that end is asked later: %s", error)
            except Exception:  # noqa: BLE001 - the edge of a job
                _log.exception("Accounts could not be told of models that end.")

    def work(self) -> int:
        """All accounts. Blocks. Returns how many letters were written."""
        days = _coming(self._ending(), self._now_ms())
        count, after = 0, ""
        while days:
            with self._database.read() as connection:
                some = _accounts(connection, after)
                users = _untold(connection, some, days, self._now_ms() - USED_WITHIN_MS)
            for account, model in users:
                count += self._tell(account, model, days[model])
            if len(some) < READ_AT_ONCE:
                break
            after = some[-1]
        return count

    def _tell(self, account: AccountId, model: str, day: str) -> int:
        def tell(connection: sa.Connection) -> int:
            statement = (
                self._database.insert(ending_notices)
                .values(account_id=account, model=model, said_ms=self._now_ms())
                .on_conflict_do_nothing(index_elements=["account_id", "model"])
                .returning(ending_notices.c.model)
            )
            if connection.execute(statement).first() is None:
                return 0  # another process has been faster
            recipients = queries.addresses(connection, account, Kind.MODEL_ENDING)
            values = {"model": model, "day": day, "link": f"/{model}"}
            for recipient in recipients:
                self._outbox.put(
                    connection, Letter(kind="model_ending", recipient=recipient, values=values)
                )
            return len(recipients)

        return self._database.retrying(tell)


def forget_old(
    database: Database, ending: Callable[[], Mapping[str, str]], *, now_ms: Callable[[], int]
) -> int:
    """Forget some of what was told long ago. Returns how many letters that were.

    ending: as for EndingModels. What is still to come stays, or it would be told again.
    """
    notices = ending_notices
    old = (
        sa.select(notices.c.account_id, notices.c.model)
        .where(
            notices.c.said_ms < now_ms() - KEPT_MS,
            notices.c.model.not_in(_coming(ending(), now_ms())),
        )
        .limit(SWEPT_AT_ONCE)
    )
    is_old = sa.tuple_(notices.c.account_id, notices.c.model).in_(old)
    with database.begin() as connection:
        gone = sa.delete(notices).where(is_old).returning(notices.c.model)
        return len(connection.execute(gone).all())


def _coming(ending: Mapping[str, str], now_ms: int) -> dict[str, str]:
    """Those that end first, of those that have not ended."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date().isoformat()
    coming = ((day, model) for model, day in ending.items() if day >= today)
    return {model: day for day, model in nsmallest(MODELS_MAX, coming)}


def _accounts(connection: sa.Connection, after: str) -> list[str]:
    query = (
        sa.select(accounts.c.id)
        .where(accounts.c.id > after, accounts.c.deleted_ms.is_(None))
        .order_by(accounts.c.id)
        .limit(READ_AT_ONCE)
    )
    return list(connection.scalars(query))


def _untold(
    connection: sa.Connection, some: list[str], days: Mapping[str, str], since_ms: int
) -> list[tuple[AccountId, str]]:
    """Which of these accounts used which of the models since then, and were not told."""
    series = usage_series
    is_used = sa.exists().where(
        usage_days.c.account_id == series.c.account_id,
        usage_days.c.level == Level.MODEL,
        usage_days.c.start_ms >= since_ms,
        usage_days.c.series_id == series.c.id,
    )
    is_told = sa.exists().where(
        ending_notices.c.account_id == series.c.account_id,
        ending_notices.c.model == series.c.model,
    )
    query = (
        sa.select(series.c.account_id, series.c.model)
        .distinct()
        .where(
            series.c.account_id.in_(some),
            series.c.level == Level.MODEL,
            series.c.model.in_(days),
            is_used,
            ~is_told,
        )
        .order_by(series.c.account_id, series.c.model)
    )
    return [(AccountId(row.account_id), row.model) for row in connection.execute(query)]
