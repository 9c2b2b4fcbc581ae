"""What all entries together say: lots, totals, hashes. Pure; the check compares it with what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from fairlead.control.ledger import rules
from fairlead.control.ledger.chain import FIRST, Ambiguous, chained
from fairlead.control.ledger.types import (
    TRANSFERS,
    AddCredit,
    Charge,
    Command,
    Entry,
    Lot,
    ReverseUsage,
    Totals,
    debt_of,
)
from fairlead.core.ids import AccountId, LotId
from fairlead.core.money import NanoUSD

__all__ = ["Damage", "Derived", "DerivedLot", "Finding", "charge_of"]


class Damage(StrEnum):
    """What can be wrong."""

    ENTRY_MISSING = "entry_missing"
    CHAIN_BROKEN = "chain_broken"  # the entry, or what came before it, is not what was written
    HEAD_WRONG = "head_wrong"
    ANCHOR_WRONG = "anchor_wrong"
    UNBALANCED = "unbalanced"  # postings that do not add up to nothing
    UNREADABLE = "unreadable"  # a command that is none
    POSTING_STRAY = "posting_stray"  # of an entry that is not there
    LOT_WRONG = "lot_wrong"
    ACCOUNT_WRONG = "account_wrong"
    BUDGET_WRONG = "budget_wrong"
    TRANSFER_OPEN = "transfer_open"  # credit left an account and arrived at none
    CHARGE_WRONG = "charge_wrong"  # an entry charges something else than its generations cost
    GENERATION_WRONG = "generation_wrong"
    GENERATION_UNCHARGED = "generation_uncharged"


@dataclass(frozen=True, slots=True)
class Finding:
    """where: the row, as "entry 17" or "lot lot-...". message: what it says and what it should say."""

    damage: Damage
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.damage})"


@dataclass(slots=True)
class DerivedLot:
    account: AccountId
    lot: Lot  # as it was opened
    remaining: int


class _Sums:
    """One account's."""

    __slots__ = ("debt", "totals")

    def __init__(self) -> None:
        self.totals = Totals()
        self.debt = 0


class Derived:
    """Takes entries in the order of their numbers, and tells what is wrong with each.

    after: the last entry that is not looked at, and its hash. Memory: some 400 bytes for each lot that ever
    was, 300 for each account.
    """

    def __init__(self, after: int = 0, previous: bytes = FIRST) -> None:
        self.number = after
        self.hash = (
            previous  # as it is kept: so damage is found where it is, and not in all that follows
        )
        self.lots: dict[LotId, DerivedLot] = {}
        self._accounts: dict[AccountId, _Sums] = {}
        self._transfers = 0
        self._from_first = after == 0

    def add(self, entry: Entry) -> Iterator[Finding]:
        where = f"entry {entry.number}"
        for missing in range(self.number + 1, entry.number):
            yield Finding(Damage.ENTRY_MISSING, f"entry {missing}", "is not there")
        self.number = entry.number
        yield from self._chain(where, entry)
        total = sum(posting.amount for posting in entry.postings)
        if total:
            yield Finding(Damage.UNBALANCED, where, f"its postings add up to {total}, not to 0")
        command = _command(entry)
        if command is None:
            yield Finding(Damage.UNREADABLE, where, "its command cannot be read")
        if self._from_first:
            yield from self._post(where, entry, command)

    def end(self) -> Iterator[Finding]:
        """After the last entry."""
        if self._transfers:
            message = f"{self._transfers} nanodollars left an account and arrived at none"
            yield Finding(Damage.TRANSFER_OPEN, TRANSFERS, message)

    def totals(self) -> Iterator[tuple[AccountId, Totals, NanoUSD]]:
        """Of every account: its totals, and what it owes."""
        for account, sums in self._accounts.items():
            yield account, sums.totals, NanoUSD(sums.debt)

    def _chain(self, where: str, entry: Entry) -> Iterator[Finding]:
        try:
            expected = chained(
                self.hash,
                number=entry.number,
                reference=entry.reference,
                kind=entry.kind,
                account=entry.account,
                created_ms=entry.created_ms,
                command=entry.command,
                postings=entry.postings,
            )
        except Ambiguous as error:
            yield Finding(Damage.CHAIN_BROKEN, where, str(error))
        else:
            if expected != entry.hash:
                message = f"its hash is {entry.hash.hex()[:16]}..., its content has {expected.hex()[:16]}..."
                yield Finding(Damage.CHAIN_BROKEN, where, message)
        self.hash = entry.hash

    def _post(self, where: str, entry: Entry, command: Command | None) -> Iterator[Finding]:
        sums = self._accounts.get(entry.account)
        if sums is None:
            sums = self._accounts[entry.account] = _Sums()
        sums.totals = rules.totals_moved(sums.totals, entry.postings)
        if isinstance(command, AddCredit | ReverseUsage):
            opened = rules.opened_by(entry)
            if opened is not None:
                self.lots[opened.id] = DerivedLot(entry.account, opened, 0)
        debt = debt_of(entry.account)
        for account, amount, name in entry.postings:
            if name is not None:
                lot = self.lots.get(name)
                if lot is None or lot.account != entry.account:
                    message = f"posts to {name}, which the account does not have"
                    yield Finding(Damage.LOT_WRONG, where, message)
                    continue
                lot.remaining += amount
                if lot.remaining < 0:
                    yield Finding(Damage.LOT_WRONG, where, f"takes more than there is from {name}")
            elif account == debt:
                sums.debt -= amount
            elif account == TRANSFERS:
                self._transfers += amount


def _command(entry: Entry) -> Command | None:
    try:
        return rules.command_of(entry.command)
    except msgspec.MsgspecError:
        return None


def charge_of(entry: Entry) -> Charge | None:
    """The charge that an entry is; None: it is something else."""
    command = _command(entry)
    return command if isinstance(command, Charge) else None
