"""Random commands, such as an account might get in a life."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from fairlead.control.ledger import rules
from fairlead.control.ledger.types import (
    AddCredit,
    AlreadyDone,
    Applied,
    Book,
    Charge,
    Command,
    Dispute,
    Entry,
    ExpireLot,
    LotKind,
    PayDebt,
    RefundPurchase,
    Refused,
    ReverseUsage,
    TransferOut,
    WriteOff,
)
from fairlead.core.ids import AccountId, LotId
from fairlead.core.money import NanoUSD

ACCOUNT = AccountId("acc-1")
OTHER = AccountId("acc-2")
DAY_MS = 86_400_000
AMOUNTS = (1, 2, 3, 7, 10, 100, 1_000_000_007)
SOURCES = ("purchase-a", "purchase-b")


def add(
    amount: int,
    *,
    reference: str,
    account: AccountId = ACCOUNT,
    kind: LotKind = LotKind.GRANT,
    **rest: object,
) -> AddCredit:
    if kind is LotKind.PURCHASE:
        rest = {"method": "card", "is_refundable": True} | rest
    return AddCredit(
        account=account, reference=reference, kind=kind, amount=NanoUSD(amount), **rest
    )


def charge(amount: int, *, reference: str, account: AccountId = ACCOUNT) -> Charge:
    return Charge(account=account, reference=reference, amount=NanoUSD(amount), generations_count=1)


def random_command(source: random.Random, book: Book, reference: str, now_ms: int) -> Command:
    """Any command, right or wrong; most of them make sense for the book."""
    amount = NanoUSD(source.choice(AMOUNTS))
    lots = [lot.id for lot in book.lots] or [LotId("lot-unknown")]
    expired = [lot.id for lot in book.lots if lot.expires_ms is not None] or lots
    common = {"account": book.account, "reference": reference}
    match source.randrange(14):
        case 0 | 1 | 2 | 3:
            return charge(amount, reference=reference, account=book.account)
        case 4 | 5 | 6:
            kind = source.choice(list(LotKind))
            is_purchase = kind is LotKind.PURCHASE
            return add(
                amount,
                **common,
                kind=kind,
                fee=NanoUSD(source.choice((0, 3)) if is_purchase else 0),
                is_refundable=is_purchase and source.random() < 0.8,
                expires_ms=source.choice((None, now_ms, now_ms + DAY_MS)),
                source=source.choice((None, *SOURCES)),
            )
        case 7 | 8:
            lot = source.choice(lots)
            left = {one.id: one.remaining for one in book.lots}.get(lot, amount)
            paid_back = source.choice((left, amount, NanoUSD(max(left - 1, 0))))
            return RefundPurchase(**common, lot=lot, paid_back=paid_back, method="card")
        case 9:
            return ExpireLot(**common, lot=source.choice(expired))
        case 10:
            return ReverseUsage(**common, amount=amount, reason="a mistake of ours")
        case 11:
            return Dispute(**common, source=source.choice(SOURCES), amount=amount)
        case 12:
            return TransferOut(**common, to=OTHER, amount=amount)
        case _ if source.random() < 0.5:
            return PayDebt(**common, amount=amount, method="card", fee=NanoUSD(1))
        case _:
            return WriteOff(**common, amount=amount, reason="gone")


@dataclass
class PureLedger:
    """One account's ledger, in memory: what the real one must agree with."""

    book: Book = field(default_factory=lambda: Book(ACCOUNT))
    entries: list[Entry] = field(default_factory=list)

    def post(self, command: Command, now_ms: int = 0) -> Applied | AlreadyDone | Refused:
        for entry in self.entries:
            if entry.reference == command.reference:
                return rules.repeated(entry.number, entry.command, command)
        outcome = rules.apply(self.book, command, now_ms)
        if isinstance(outcome, Applied):
            self.entries.append(
                Entry(
                    number=len(self.entries) + 1,
                    reference=command.reference,
                    kind=rules.kind_of(command),
                    account=command.account,
                    created_ms=now_ms,
                    command=rules.text_of(command),
                    postings=outcome.postings,
                    hash=b"",
                )
            )
            self.book = outcome.book
        return outcome


def a_life(source: random.Random, length: int) -> tuple[PureLedger, list[tuple[Command, int]]]:
    """A ledger after so many random commands, and all commands with their moments."""
    ledger, asked = PureLedger(), []
    now_ms = 1_763_700_000_000
    for number in range(length):
        now_ms += source.choice((0, 1, DAY_MS))
        command = random_command(source, ledger.book, f"command-{number}", now_ms)
        ledger.post(command, now_ms)
        asked.append((command, now_ms))
    return ledger, asked
