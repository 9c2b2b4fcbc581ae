"""The one funnel through which money moves.

Theory of operation. Whoever posts first locks the head, the row with the last entry's number and hash. From
there to the end of the transaction nobody else posts, so numbers have no gaps, every entry is chained to the
one before, and the books that commands are applied to are up to date. Then, in the same transaction: entries
with their postings are added, lots and the accounts' totals follow, and so does the account's own budget, from
which processes lease what calls may spend.

An entry's reference is its idempotency key. Who does not know whether a transaction was committed posts again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import sqlalchemy as sa

from fairlead.control.ledger import queries, rules
from fairlead.control.ledger.chain import chained
from fairlead.control.ledger.types import (
    AddCredit,
    AlreadyDone,
    Applied,
    Book,
    Command,
    Entry,
    ExpireLot,
    Lot,
    LotKind,
    Posted,
    RefundPurchase,
    RefusalReason,
    Refused,
    Totals,
    TransferOut,
)
from fairlead.core.ids import AccountId, LotId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

__all__ = ["Ledger", "Outcome", "Pending"]

PAGE_MAX: Final = 1000

_NO_TOTALS: Final = Totals()

Outcome: TypeAlias = Posted | AlreadyDone | Refused


class Ledger:
    """All accounts' money. Methods block: call them from a thread.

    ledger = Ledger(database, now_ms=clock.now_ms)
    match ledger.post(AddCredit(account=..., reference="grant:...", kind=LotKind.GRANT, amount=...)):
        case Posted(entry, book): ...
        case AlreadyDone(entry): ...
        case Refused(reason, message): ...

    now_ms: wall-clock time. All raise DatabaseUnreadable if the database is away; nobody then knows whether
    something was posted, and the same command may be posted again.
    """

    def __init__(self, database: Database, *, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    # --- posting ---

    def post(self, command: Command) -> Outcome:
        return self._database.retrying(lambda connection: self.post_within(connection, command))

    def post_within(self, connection: sa.Connection, command: Command) -> Outcome:
        """The same in a transaction of the caller's. Lock what else it needs in an order that all agree on:
        other rows first, the ledger last. Nobody posts until it ends."""
        return self.post_all_within(connection, [command])[0]

    def post_all_within(
        self, connection: sa.Connection, commands: Sequence[Command]
    ) -> list[Outcome]:
        """One after the other, each with an outcome of its own."""
        pending = self.decide_within(connection, commands)
        pending.write()
        return pending.outcomes

    def decide_within(self, connection: sa.Connection, commands: Sequence[Command]) -> Pending:
        """The same in two steps, for who has long work that needs the entries' numbers: what becomes of each is
        decided, and the transaction must not commit without `write`. Until then no budget is locked."""
        return Pending(self._database, connection, commands, now_ms=self._now_ms)

    def lock_within(self, connection: sa.Connection) -> None:
        """Nobody posts until the transaction ends, and all that was posted before is seen from here on."""
        queries.lock_head(connection)

    def welcome(self, account: AccountId, allowance: NanoUSD) -> None:
        """What a new account has to begin with; 0: nothing. Again is fine: there is one for an account."""
        if allowance:
            outcome = self.post(_free_allowance(account, allowance))
            # Should the allowance have changed meanwhile, the first one stays.
            assert not isinstance(outcome, Refused) or (
                outcome.reason is RefusalReason.REFERENCE_REUSED
            ), outcome

    def welcome_within(
        self, connection: sa.Connection, account: AccountId, allowance: NanoUSD
    ) -> None:
        """The same in the transaction that makes the account."""
        if allowance:
            outcome = self.post_within(connection, _free_allowance(account, allowance))
            assert not isinstance(outcome, Refused), outcome

    def transfer(
        self, *, account: AccountId, to: AccountId, amount: NanoUSD, reference: str
    ) -> Outcome:
        """Credit for another account; each part keeps the time at which it expires."""
        out = TransferOut(account=account, reference=reference, to=to, amount=amount)
        return self._database.retrying(lambda connection: self._transfer(connection, out))

    def _transfer(self, connection: sa.Connection, out: TransferOut) -> Outcome:
        self.lock_within(connection)
        book = queries.books(connection, [out.account])[out.account]
        expiries = {lot.id: lot.expires_ms for lot in book.lots}
        outcome = self.post_within(connection, out)
        if not isinstance(outcome, Posted):
            return outcome
        parts = [posting for posting in outcome.postings if posting.lot is not None]
        arrivals = [
            AddCredit(
                account=out.to,
                reference=f"{out.reference}:{number}",
                kind=LotKind.TRANSFER,
                amount=NanoUSD(-part.amount),
                expires_ms=expiries[part.lot] if part.lot is not None else None,
                source=out.account,
            )
            for number, part in enumerate(parts, 1)
        ]
        for arrived in self.post_all_within(connection, arrivals):
            assert isinstance(arrived, Posted), arrived
        return outcome

    # --- reading ---

    def book(self, account: AccountId) -> Book:
        """What the account has; empty for one that the ledger has never heard of."""
        with self._database.read() as connection:
            return queries.books(connection, [account])[account]

    def totals(self, account: AccountId) -> Totals:
        """In one look-up: all credit that the account ever had, and all that it used."""
        with self._database.read() as connection:
            return queries.totals_of(connection, account)

    def entries(
        self, account: AccountId, *, before: int | None = None, limit: int = PAGE_MAX
    ) -> list[Entry]:
        """The account's entries, the latest first; those with a number below `before`."""
        with self._database.read() as connection:
            return queries.entries_of(
                connection, account, before=before, limit=min(limit, PAGE_MAX)
            )

    def lots(self, account: AccountId, *, after: LotId | None = None) -> list[Lot]:
        """All lots that the account ever had, a page at a time, the first one first."""
        with self._database.read() as connection:
            return queries.lots_of(connection, account, after=after or LotId(""), limit=PAGE_MAX)

    def expiring(self, *, before_ms: int, limit: int = PAGE_MAX) -> list[tuple[AccountId, Lot]]:
        """Lots with something left whose time is over at that moment, the earliest first."""
        with self._database.read() as connection:
            return queries.expiring(connection, before_ms=before_ms, limit=min(limit, PAGE_MAX))


class Pending:
    """Commands being posted in one transaction: what becomes of each, in `outcomes`, and what is to be
    written."""

    def __init__(
        self,
        database: Database,
        connection: sa.Connection,
        commands: Sequence[Command],
        *,
        now_ms: Callable[[], int],
    ) -> None:
        possible = [command for command in commands if rules.invalid(command) is None]
        self._database = database
        self._connection = connection
        self._number, self._hash = queries.lock_head(connection)
        self._now_ms = now_ms()
        self._kept = queries.kept_commands(connection, {command.reference for command in possible})
        self._before = queries.books(
            connection,
            sorted({command.account for command in possible}),
            lots_named={
                command.lot
                for command in possible
                if isinstance(command, RefundPurchase | ExpireLot)
            },
        )
        taking = {command.account for command in possible if rules.takes_unleased(command)}
        for account, leased in queries.lock_leased(connection, taking).items():
            self._before[account] = replace(self._before[account], leased=leased)
        self._books = dict(self._before)
        self._entries: list[Entry] = []
        self._wanted_back: list[AccountId] = []
        # As they were before; those opened here with nothing in them.
        self._lots = {
            lot.id: (account, lot) for account, book in self._before.items() for lot in book.lots
        }
        self._lots_moved: Counter[LotId] = Counter()
        self.outcomes = [self._post(command) for command in commands]

    def _post(self, command: Command) -> Outcome:
        refused = rules.invalid(command)
        if refused is not None:
            return refused
        kept = self._kept.get(command.reference)
        if kept is not None:
            return rules.repeated(*kept, command)
        outcome = rules.apply(self._books[command.account], command, self._now_ms)
        if isinstance(outcome, Refused):
            if outcome.reason is RefusalReason.IN_USE:
                self._wanted_back.append(command.account)
            return outcome
        self._add(command, outcome)
        return Posted(self._number, outcome.book, outcome.postings, outcome.opened)

    def write(self) -> None:
        """All of it. For a command that was refused no money moves; but if processes are in its way, they are
        asked to give back what no call needs, so that it may work two seconds later."""
        connection = self._connection
        queries.want_back(connection, self._wanted_back, now_ms=self._now_ms)
        if not self._entries:
            return
        queries.insert_entries(self._database, connection, self._entries)
        queries.save_head(connection, self._number, self._hash)
        queries.keep_lots(connection, self._changed_lots())
        changed = [
            (self._before[account], self._books[account])
            for account in sorted({entry.account for entry in self._entries})
        ]
        queries.keep_totals(connection, [book for _, book in changed])
        # Locked in the order in which everybody locks budgets.
        queries.lock_leased(connection, [book.account for _, book in changed])
        queries.keep_budgets(
            connection,
            # The first entry begins the row: without it nobody would see that the account owes.
            credits_moved=[
                book
                for before, book in changed
                if book.totals.credits != before.totals.credits or before.totals == _NO_TOTALS
            ],
            usage_moved=[book for _, book in changed],
            now_ms=self._now_ms,
        )

    def _changed_lots(self) -> Iterator[tuple[AccountId, Lot]]:
        for name, moved in self._lots_moved.items():
            account, lot = self._lots[name]
            yield account, replace(lot, remaining=NanoUSD(lot.remaining + moved))

    def _add(self, command: Command, applied: Applied) -> None:
        self._number += 1
        kind, text = rules.kind_of(command), rules.text_of(command)
        self._hash = chained(
            self._hash,
            number=self._number,
            reference=command.reference,
            kind=kind,
            account=command.account,
            created_ms=self._now_ms,
            command=text,
            postings=applied.postings,
        )
        self._entries.append(
            Entry(
                number=self._number,
                reference=command.reference,
                kind=kind,
                account=command.account,
                created_ms=self._now_ms,
                command=text,
                postings=applied.postings,
                hash=self._hash,
            )
        )
        self._kept[command.reference] = (self._number, text)
        self._books[command.account] = applied.book
        if applied.opened is not None:
            opened = replace(applied.opened, remaining=NanoUSD(0))
            self._lots[opened.id] = (command.account, opened)
        for posting in applied.postings:
            if posting.lot is not None:
                self._lots_moved[posting.lot] += posting.amount


def _free_allowance(account: AccountId, amount: NanoUSD) -> AddCredit:
    """Of its account: there is one for each."""
    return AddCredit(
        account=account,
        reference=f"allowance:{account}",
        kind=LotKind.FREE_ALLOWANCE,
        amount=amount,
    )
