"""A demonstration: made-up calls in the books of an installation, so that its pages have something to show.

The calls go the way of real ones: into a journal, from there by the settler into the ledger, the generations
and the sums. So everything agrees with everything, and `fairlead ledger check` finds nothing.

The accounts and apps say what they are, and so does every page while they are here. To take it away means to
subtract its calls from all sums, which leaves what they were before. What the accounts used stays in the
ledger, whose history is never changed, under ids that lead to nobody.
"""

from __future__ import annotations

import random  # noqa: TID251 - only for its type: callers bring a seeded one
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.audit.service import Audit
from fairlead.control.budgets.service import Budgets
from fairlead.control.catalog.versions import CatalogVersions
from fairlead.control.demo import queries
from fairlead.control.demo.cast import ACCOUNTS, CastAccount
from fairlead.control.demo.drawing import DAY_S, Actor, Drawing
from fairlead.control.generations.jobs import Settler
from fairlead.control.generations.steps import Steps
from fairlead.control.keys.service import Keys
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AddCredit, LotKind, Posted
from fairlead.control.prices.service import Prices
from fairlead.control.usage.rollup import UsageRollup
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.journal import Journal

__all__ = ["CALLS", "DAYS", "AlreadyThere", "Demo", "Filled"]

DAYS: Final = 90
CALLS: Final = 20_000
DAY_MS: Final = DAY_S * 1000
GRANT_DAYS: Final = 15  # between two grants, each for what is used until the next and a little more
GRANT_SPARE: Final = 1.12
GRANT_STEP: Final = 5_000_000_000  # nanodollars: five dollars
GRANT_REASON: Final = "Demonstration credit"


class AlreadyThere(Exception):
    """There is a demonstration; two would not be told apart."""


@dataclass(frozen=True, slots=True)
class Filled:
    calls: int
    accounts: tuple[AccountId, ...]


class _Moment:
    """The time at which the books are written: that of the calls."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


class Demo:
    """Methods block, `fill` and `remove` for some seconds. DatabaseUnreadable.

    now_ms: wall-clock time. entropy: that many unpredictable bytes; keys are made of them, though nobody ever
    sees the keys.
    """

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._entropy = entropy

    def is_there(self) -> bool:
        return bool(self.accounts())

    def accounts(self) -> list[AccountId]:
        """Those it made; none: it is not here."""
        with self._database.read() as connection:
            return queries.accounts(connection)

    def is_empty(self) -> bool:
        """Whether nobody ever called anything here."""
        with self._database.read() as connection:
            return not queries.has_calls(connection)

    def fill(
        self,
        snapshot: Snapshot,
        source: random.Random,
        *,
        journals: Path,
        writer: str,
        days: int = DAYS,
        calls: int = CALLS,
        progress: Callable[[int], None] = lambda _calls: None,
    ) -> Filled:
        """Make accounts and their calls up to now.

        snapshot: the catalogue that calls are routed and priced by. journals: the directory of the
        installation's. writer: a name for ours, unique for ever. progress: called with how many calls are made.
        Raises AlreadyThere, drawing.Impossible, JournalUnwritable.
        """
        if self.is_there():
            raise AlreadyThere("there is a demonstration already")
        end_ms = self._now_ms()
        moment = _Moment(end_ms - days * DAY_MS)
        Prices(self._database, now_ms=moment.now_ms).keep(
            {
                endpoint.price_version: endpoint.prices
                for model in snapshot.models.values()
                for endpoint in model.endpoints
            }
        )
        CatalogVersions(self._database, now_ms=moment.now_ms).keep(snapshot)
        actors = self._cast(moment)
        drawing = Drawing(snapshot, actors, source, end_s=end_ms / 1000, days=days, calls=calls)
        drawn = [drawing.day(day) for day in range(days)]
        ledger = Ledger(self._database, now_ms=moment.now_ms)
        grants = _grants(drawn, actors)
        steps = Steps(
            ledger,
            Budgets(self._database, now_ms=moment.now_ms),
            UsageRollup(self._database),
        )
        journal = Journal(journals, writer=writer)
        count = 0
        try:
            settler = Settler(self._database, journal, steps)
            for day, generations in enumerate(drawn):
                for command in grants.get(day, ()):
                    granted = ledger.post(command)
                    assert isinstance(granted, Posted), granted
                moment.at_ms = min(end_ms, moment.at_ms + DAY_MS)
                for one in generations:
                    journal.append(one)
                settler.settle()
                count += len(generations)
                progress(count)
        finally:
            journal.close()
        # Whoever finishes it forgets our place in it and removes it, as of any process that ended.
        Settler(self._database, None, steps, root=journals).adopt()
        return Filled(count, tuple(actor.account for actor in actors))

    def remove(self) -> list[AccountId]:
        """Take its calls out of all sums, and its apps away. Returns its accounts, which the caller deletes."""
        return self._database.retrying(self._remove)

    def _remove(self, connection: sa.Connection) -> list[AccountId]:
        made = queries.accounts(connection)
        if made:
            rollup = UsageRollup(self._database)
            for some in queries.records(connection, made):
                rollup.subtract_within(connection, some)
            queries.drop_empty_sums(connection)
            queries.drop_traces(connection, made)
            queries.unmark(connection)
        return made

    def _cast(self, moment: _Moment) -> list[Actor]:
        """All of them in one transaction, with the mark that says so."""
        accounts = Accounts(self._database, now_ms=moment.now_ms, entropy=self._entropy)
        audit = Audit(self._database, now_ms=moment.now_ms, entropy=self._entropy)
        keys = Keys(
            self._database,
            now_ms=moment.now_ms,
            entropy=self._entropy,
            audit=audit,
            limits=Budgets(self._database, now_ms=moment.now_ms),
        )
        with self._database.begin() as connection:
            actors = [_found(connection, accounts, keys, one) for one in ACCOUNTS]
            queries.mark(connection, [one.account for one in actors])
        return actors


def _found(connection: sa.Connection, accounts: Accounts, keys: Keys, cast: CastAccount) -> Actor:
    founded = accounts.create_within(
        connection, email=cast.email, name=cast.name, billing=Billing.PREPAID, is_verified=True
    )
    account = founded.account.id
    made = [keys.create_within(connection, account, name=name).key.id for name in cast.keys]
    return Actor(account, founded.user, founded.workspace, tuple(made))


def _grants(
    drawn: Sequence[Sequence[Generation]], actors: Sequence[Actor]
) -> dict[int, list[AddCredit]]:
    """By day: what each account is given before it, so that none ever owes."""
    costs = {(day, actor.account): 0 for day in range(len(drawn)) for actor in actors}
    for day, generations in enumerate(drawn):
        for one in generations:
            costs[day, one.account] += one.cost
    grants: dict[int, list[AddCredit]] = {}
    for (start, account), of_span in groupby(
        sorted(costs, key=lambda at: (at[0] - at[0] % GRANT_DAYS, at[1])),
        key=lambda at: (at[0] - at[0] % GRANT_DAYS, at[1]),
    ):
        used = sum(costs[at] for at in of_span)
        steps = 1 + int(used * GRANT_SPARE) // GRANT_STEP
        grants.setdefault(start, []).append(
            AddCredit(
                account=account,
                reference=f"demo:{account}:{start}",
                kind=LotKind.GRANT,
                amount=NanoUSD(steps * GRANT_STEP),
                reason=GRANT_REASON,
            )
        )
    return grants
