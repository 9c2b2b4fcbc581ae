"""The check: is everything that is kept what was written, and does it follow from it?

It reads the whole ledger once, in one consistent view, while everybody goes on writing:

- every entry is there, and its hash is that of its content and of all before it: history was not edited;
- the postings of every entry add up to nothing: debits are credits;
- lots, totals and debts are what the postings lead to, and the accounts' budgets say the same;
- every generation is charged by one entry, and every entry charges what its generations cost.

The chain alone does not stop somebody who may write to the database and computes all hashes anew. Against that
helps an *anchor*: the number and hash of an entry, noted down elsewhere, which the check compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from fairlead.control.ledger import check_queries, queries
from fairlead.control.ledger.chain import FIRST
from fairlead.control.ledger.derived import Damage, Derived, DerivedLot, Finding, charge_of
from fairlead.control.ledger.types import Entry, Totals
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.records import RecordUnreadable, front

__all__ = ["FINDINGS_MAX", "Anchor", "Checked", "check"]

FINDINGS_MAX: Final = 1000  # beyond it there is no use in looking on

_EMPTY: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class Anchor:
    """An entry as it was noted down. digest: the beginning of its hash, hexadecimal, or all of it."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at. head: the last entry, to be noted down as an anchor. findings: as far as
    FINDINGS_MAX."""

    entries: int
    postings: int
    generations: int
    lots: int
    accounts: int
    head: Anchor
    findings: tuple[Finding, ...]


def check(
    database: Database,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    after: int = 0,
    anchor: Anchor | None = None,
) -> Checked:
    """Blocks; a million postings take some twenty seconds. Raises DatabaseUnreadable.

    progress: called with how many entries are done, and of how many. after: look only at entries behind this
    one and their generations; lots and totals follow from all entries, so they are then left out.
    """
    with database.read() as connection:
        return _Check(connection, progress, after=after, anchor=anchor).run()


class _TooMany(Exception):
    """Findings."""


class _Check:
    def __init__(
        self,
        connection: sa.Connection,
        progress: Callable[[int, int], None],
        *,
        after: int,
        anchor: Anchor | None,
    ) -> None:
        self._connection = connection
        self._progress = progress
        self._anchor = anchor
        self._last, self._head = queries.head(connection)
        self._after = min(after, self._last)
        self._postings = self._generations = 0
        self._findings: list[Finding] = []

    def run(self) -> Checked:
        derived = Derived(self._after, self._hash_of(self._after))
        try:
            self._report(self._entries(derived))
            if self._after == 0:
                self._report(derived.end())
                self._report(self._lots(derived))
                self._report(self._accounts(derived))
            self._report(self._strays())
            if self._anchor is not None:
                self._report(self._anchored(self._anchor))
        except _TooMany:
            pass
        return Checked(
            entries=self._last - self._after,
            postings=self._postings,
            generations=self._generations,
            lots=len(derived.lots),
            accounts=sum(1 for _ in derived.totals()),
            head=Anchor(self._last, self._head.hex()),
            findings=tuple(self._findings),
        )

    def _report(self, findings: Iterator[Finding]) -> None:
        for finding in findings:
            self._findings.append(finding)
            if len(self._findings) >= FINDINGS_MAX:
                raise _TooMany

    def _hash_of(self, number: int) -> bytes:
        if number == 0:
            return FIRST
        return check_queries.hash_of(self._connection, number) or b""

    def _entries(self, derived: Derived) -> Iterator[Finding]:
        done = self._after
        for page, strays in check_queries.entries(self._connection, self._after, self._last):
            until = min(done + check_queries.PAGE_ROWS, self._last)
            sums = check_queries.sums_of_generations(self._connection, done, until)
            for entry in page:
                yield from derived.add(entry)
                yield from self._charge(entry, sums.pop(entry.number, _EMPTY))
                self._postings += len(entry.postings)
            for number in sorted(strays):
                yield Finding(Damage.POSTING_STRAY, f"entry {number}", "has only postings")
            for number, (count, _) in sums.items():
                message = f"{count} generations name it, and it is not there"
                yield Finding(Damage.CHARGE_WRONG, f"entry {number}", message)
            done = until
            self._progress(done - self._after, self._last - self._after)
        for number in range(derived.number + 1, self._last + 1):
            yield Finding(Damage.ENTRY_MISSING, f"entry {number}", "is not there")
        if derived.number == self._last and derived.hash != self._head:
            yield Finding(Damage.HEAD_WRONG, "ledger_head", "has another hash than the last entry")

    def _charge(self, entry: Entry, found: tuple[int, int]) -> Iterator[Finding]:
        """found: how many generations name the entry, and what they cost."""
        count, cost = found
        self._generations += count
        charge = charge_of(entry)
        expected = _EMPTY if charge is None else (charge.generations_count, charge.amount)
        if expected == found:
            return
        message = (
            f"charges {expected[1]} nanodollars for {expected[0]} generations;"
            f" {count} name it, and cost {cost}"
        )
        yield Finding(Damage.CHARGE_WRONG, f"entry {entry.number}", message)
        for id_, account, kept, record in check_queries.generations_of(
            self._connection, entry.number
        ):
            try:
                cost = front(record).cost
            except RecordUnreadable:
                yield Finding(Damage.GENERATION_WRONG, f"generation {id_}", "cannot be read")
                continue
            if cost != kept:
                message = f"has a cost of {kept}, and its record one of {cost}"
                yield Finding(Damage.GENERATION_WRONG, f"generation {id_}", message)
            if account != entry.account:
                message = f"is of {account}, and charged to {entry.account} by entry {entry.number}"
                yield Finding(Damage.GENERATION_WRONG, f"generation {id_}", message)

    def _lots(self, derived: Derived) -> Iterator[Finding]:
        missing = set(derived.lots)
        for account, lot in check_queries.lot_rows(self._connection):
            where = f"lot {lot.id}"
            expected = derived.lots.get(lot.id)
            if expected is None:
                yield Finding(Damage.LOT_WRONG, where, "no entry has opened it")
                continue
            missing.discard(lot.id)
            for message in _differences(DerivedLot(account, lot, lot.remaining), expected):
                yield Finding(Damage.LOT_WRONG, where, message)
        for name in sorted(missing):
            yield Finding(Damage.LOT_WRONG, f"lot {name}", "is not there, and an entry opens it")

    def _accounts(self, derived: Derived) -> Iterator[Finding]:
        expected = {account: (totals, debt) for account, totals, debt in derived.totals()}
        for row in check_queries.account_rows(self._connection):
            totals, debt = expected.pop(row.account, (Totals(), NanoUSD(0)))
            where = f"account {row.account}"
            if (row.totals or Totals()) != totals or row.debt != debt:
                message = (
                    f"keeps {row.totals} and a debt of {row.debt}; entries say {totals} and {debt}"
                )
                yield Finding(Damage.ACCOUNT_WRONG, where, message)
            if row.limit is None and row.spent is None and not totals.credits:
                continue  # it never had a budget: usage from before there were any
            if (row.limit or 0, row.spent or 0) != (totals.credits, totals.usage):
                message = (
                    f"its budget has a limit of {row.limit} and {row.spent} spent;"
                    f" entries say {totals.credits} and {totals.usage}"
                )
                yield Finding(Damage.BUDGET_WRONG, f"budget account:{row.account}", message)
        for account in sorted(expected):
            message = "the ledger keeps no totals of it, and it has entries"
            yield Finding(Damage.ACCOUNT_WRONG, f"account {account}", message)

    def _strays(self) -> Iterator[Finding]:
        for id_ in check_queries.uncharged(self._connection):
            message = "no entry charges it"
            yield Finding(Damage.GENERATION_UNCHARGED, f"generation {id_}", message)
        for id_, entry in check_queries.beyond(self._connection, self._last):
            message = f"is charged by entry {entry}, which is not there"
            yield Finding(Damage.GENERATION_UNCHARGED, f"generation {id_}", message)
        entries, postings = check_queries.strays(self._connection, self._last)
        for number in entries:
            message = f"the last entry is {self._last}"
            yield Finding(Damage.HEAD_WRONG, f"entry {number}", message)
        for number in postings:
            yield Finding(Damage.POSTING_STRAY, f"entry {number}", "has only postings")

    def _anchored(self, anchor: Anchor) -> Iterator[Finding]:
        found = check_queries.hash_of(self._connection, anchor.number)
        if found is None or not anchor.digest or not found.hex().startswith(anchor.digest.lower()):
            seen = "is not there" if found is None else f"has the hash {found.hex()}"
            message = f"{seen}; the anchor says {anchor.digest}"
            yield Finding(Damage.ANCHOR_WRONG, f"entry {anchor.number}", message)


def _differences(kept: DerivedLot, expected: DerivedLot) -> Iterator[str]:
    if kept.account != expected.account:
        yield f"is of {kept.account}; its entry says {expected.account}"
    if kept.remaining != expected.remaining:
        yield f"has {kept.remaining} left; entries leave {expected.remaining}"
    if replace(kept.lot, remaining=expected.lot.remaining) != expected.lot:
        yield f"says {kept.lot}; its entry says {expected.lot}"
