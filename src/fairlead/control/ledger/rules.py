"""What a command does to a book, and why not. Pure.

A command is refused as a whole or applied as a whole. What follows from it is a list of postings that add up
to nothing; the book afterwards is the book before with these postings in it, and nothing else (`replayed`).

- Credit and debt exclude each other: new credit pays what is owed first, and usage beyond all lots is owed.
- Lots are used oldest expiry first; those that never expire come last; of equals the oldest first. A lot whose
  time is over counts until it is taken away: the usage may be from before.
- What processes have set aside (`Book.leased`) is not paid back, not transferred, and does not expire. Only
  a bank that takes a payment back does not ask.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Final, assert_never

import msgspec

from fairlead.control.ledger.types import (
    ADJUSTMENTS,
    ALLOWANCES,
    BYOK_FEES,
    DISPUTES,
    EXPIRED,
    GRANTS,
    TRANSFERS,
    USAGE,
    WRITE_OFFS,
    AddCredit,
    AlreadyDone,
    Applied,
    Book,
    Charge,
    Command,
    Dispute,
    Entry,
    ExpireLot,
    Lot,
    LotKind,
    PayDebt,
    Posting,
    RefundPurchase,
    RefusalReason,
    Refused,
    ReverseUsage,
    Totals,
    TransferOut,
    WriteOff,
    credit_of,
    debt_of,
    fees,
    payments,
    refunds,
)
from fairlead.core.ids import LotId
from fairlead.core.money import NanoUSD

__all__ = [
    "AMOUNT_MAX",
    "TEXT_CHARACTERS_MAX",
    "apply",
    "command_of",
    "invalid",
    "kind_of",
    "lot_id",
    "opened_by",
    "repeated",
    "replayed",
    "takes_unleased",
    "text_of",
    "totals_moved",
    "use_order",
]

AMOUNT_MAX: Final = 2**63 - 1  # what a column holds: nine billion dollars
TEXT_CHARACTERS_MAX: Final = 500  # of a reference, a reason, a source
_LOT_ID_BYTES: Final = 10
_NEVER: Final = 2**63
_PAID: Final = ("payments:", "fees:", "refunds:")

_COUNTERS: Final = {
    LotKind.GRANT: GRANTS,
    LotKind.FREE_ALLOWANCE: ALLOWANCES,
    LotKind.REFUND: ADJUSTMENTS,
    LotKind.TRANSFER: TRANSFERS,
}
_COUNTERS_CHOSEN: Final = (GRANTS, ALLOWANCES, ADJUSTMENTS, TRANSFERS, DISPUTES)
_COMMAND_DECODER: Final[msgspec.json.Decoder[Command]] = msgspec.json.Decoder(Command)
_ENCODER: Final = msgspec.json.Encoder()


def apply(book: Book, command: Command, now_ms: int) -> Applied | Refused:
    """What becomes of the book. now_ms: when; the entry will say the same.

    The book must be of the command's account, and hold the lot that the command names, if there is one.
    """
    assert book.account == command.account
    refused = invalid(command)
    if refused is not None:
        return refused
    page = _Page(book)
    match command:
        case AddCredit():
            refused = _add_credit(page, command, now_ms)
        case Charge():
            refused = _charge(page, command)
        case RefundPurchase():
            refused = _refund_purchase(page, command)
        case ReverseUsage():
            refused = _reverse_usage(page, command, now_ms)
        case ExpireLot():
            refused = _expire_lot(page, command, now_ms)
        case Dispute():
            refused = _dispute(page, command)
        case TransferOut():
            refused = _transfer_out(page, command)
        case PayDebt():
            refused = _pay_debt(page, command)
        case WriteOff():
            refused = _write_off(page, command)
        case _:
            assert_never(command)
    return refused if refused is not None else page.applied()


def invalid(command: Command) -> Refused | None:
    """What is wrong with a command whatever the book says."""
    return _invalid_text(command) or _invalid_amount(command)


def repeated(number: int, kept: str, command: Command) -> AlreadyDone | Refused:
    """What to answer when entry `number` has the command's reference. kept: its command, as text."""
    if command_of(kept) == command:
        return AlreadyDone(number)
    return _refused(
        RefusalReason.REFERENCE_REUSED,
        f"entry {number} has the reference {command.reference}, and is another command",
    )


def replayed(book: Book, entry: Entry) -> Book:
    """The book with one entry in it: what `apply` gave when the entry was made."""
    page = _Page(book)
    opened = opened_by(entry)
    if opened is not None:
        page.lots[opened.id] = replace(opened, remaining=NanoUSD(0))
    for posting in entry.postings:
        page.post(posting)
    applied = page.applied()
    assert isinstance(applied, Applied)
    return applied.book


def opened_by(entry: Entry) -> Lot | None:
    """The lot that an entry has opened, as it was before anything was taken from it."""
    command = command_of(entry.command)
    if not isinstance(command, AddCredit | ReverseUsage):
        return None
    wanted = lot_id(entry.created_ms, entry.reference)
    for posting in entry.postings:
        if posting.lot == wanted and posting.amount > 0:
            return _new_lot(command, posting.amount, entry.created_ms)
    return None


def totals_moved(totals: Totals, postings: tuple[Posting, ...]) -> Totals:
    """Totals after these postings: they follow from the accounts that are not the customer's."""
    usage, credits_, purchased = totals.usage, totals.credits, totals.purchased
    for account, amount, lot in postings:
        if lot is not None or account.startswith("debt:"):
            continue
        if account in (USAGE, BYOK_FEES):
            usage = NanoUSD(usage + amount)
            continue
        credits_ = NanoUSD(credits_ - amount)
        if account == DISPUTES or account.startswith(_PAID):
            purchased = NanoUSD(purchased - amount)
    return Totals(credits_, usage, purchased)


def use_order(lot: Lot) -> tuple[int, int, str]:
    """Sorts lots as they are used."""
    expires_ms = _NEVER if lot.expires_ms is None else lot.expires_ms
    return (expires_ms, lot.created_ms, lot.id)


def lot_id(created_ms: int, reference: str) -> LotId:
    """`lot-` + milliseconds (12 hex) + 20 hex that follow from the reference, which no other entry has."""
    digest = blake2b(reference.encode(), digest_size=_LOT_ID_BYTES).hexdigest()
    return LotId(f"lot-{created_ms & 0xFFFFFFFFFFFF:012x}{digest}")


def text_of(command: Command) -> str:
    """The command as its entry keeps it."""
    return _ENCODER.encode(command).decode()


def command_of(text: str) -> Command:
    """Raises msgspec.MsgspecError: nothing of ours."""
    return _COMMAND_DECODER.decode(text)


def takes_unleased(command: Command) -> bool:
    """It takes nothing that processes have set aside, so it must know how much that is."""
    return isinstance(command, RefundPurchase | ExpireLot | TransferOut)


def kind_of(command: Command) -> str:
    """As entries name it, such as "add_credit"."""
    tag = type(command).__struct_config__.tag
    assert isinstance(tag, str)
    return tag


class _Page:
    """A book while a command is being applied to it; thrown away if it is refused."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.lots = {lot.id: lot for lot in book.lots}
        self.debt: int = book.debt
        self.postings: list[Posting] = []
        self.opened: Lot | None = None

    def post(self, posting: Posting) -> None:
        """Add a posting, and what it does to the customer's side."""
        self.postings.append(posting)
        account, amount, name = posting
        if name is not None:
            lot = self.lots[name]
            self.lots[name] = replace(lot, remaining=NanoUSD(lot.remaining + amount))
        elif account == debt_of(self.book.account):
            self.debt -= amount

    def counter(self, account: str, amount: int) -> None:
        if amount:
            self.post(Posting(account, NanoUSD(amount)))

    def credit(self, lot: Lot, amount: int) -> None:
        if amount:
            self.post(Posting(credit_of(self.book.account), NanoUSD(amount), lot.id))

    def owe(self, amount: int) -> None:
        if amount:
            self.post(Posting(debt_of(self.book.account), NanoUSD(-amount)))

    def take(self, amount: int, lots: list[Lot]) -> int:
        """From these lots in turn. Returns what they did not have."""
        for lot in lots:
            part = min(amount, lot.remaining)
            self.credit(lot, -part)
            amount -= part
            if not amount:
                break
        return amount

    def open(self, lot: Lot) -> None:
        """A new lot, which pays what is owed."""
        self.opened = lot
        self.lots[lot.id] = replace(lot, remaining=NanoUSD(0))
        self.credit(lot, lot.amount)
        paid = min(self.debt, lot.amount)
        self.credit(lot, -paid)
        self.owe(-paid)

    def in_order(self) -> list[Lot]:
        return sorted(self.lots.values(), key=use_order)

    def applied(self) -> Applied | Refused:
        postings = tuple(self.postings)
        totals = totals_moved(self.book.totals, postings)
        kept = [totals.credits, totals.usage, totals.purchased, self.debt]
        kept += [posting.amount for posting in postings]
        if any(abs(amount) > AMOUNT_MAX for amount in kept):
            return _refused(RefusalReason.OUT_OF_RANGE, "sums would be too large to be kept")
        lots = tuple(lot for lot in self.in_order() if lot.remaining)
        book = replace(self.book, lots=lots, debt=NanoUSD(self.debt), totals=totals)
        return Applied(book, postings, self.opened)


def _add_credit(page: _Page, command: AddCredit, now_ms: int) -> Refused | None:
    is_purchase = command.kind is LotKind.PURCHASE
    if is_purchase is not bool(command.method):
        return _refused(
            RefusalReason.TEXT_INVALID, "a purchase, and nothing else, has a method of payment"
        )
    if command.fee < 0 or (command.fee and not is_purchase):
        return _refused(RefusalReason.AMOUNT_INVALID, "only a purchase has a fee, of 0 or more")
    counter = command.counter or (
        payments(command.method) if is_purchase else _COUNTERS[command.kind]
    )
    if not (counter in _COUNTERS_CHOSEN or counter.startswith(("payments:", "refunds:"))):
        return _refused(RefusalReason.TEXT_INVALID, f"credit does not come from {counter}")
    page.counter(counter, -command.amount - command.fee)
    page.counter(fees(command.method), command.fee)
    page.open(_new_lot(command, command.amount, now_ms))
    return None


def _charge(page: _Page, command: Charge) -> Refused | None:
    page.counter(USAGE, command.amount - command.byok_fees)
    page.counter(BYOK_FEES, command.byok_fees)
    page.owe(page.take(command.amount, page.in_order()))
    return None


def _refund_purchase(page: _Page, command: RefundPurchase) -> Refused | None:
    lot = page.lots.get(command.lot)
    if lot is None:
        return _unknown(command.lot)
    if lot.kind is not LotKind.PURCHASE or not lot.is_refundable:
        return _refused(RefusalReason.NOT_REFUNDABLE, f"{lot.id} cannot be paid back")
    if command.paid_back > lot.remaining:
        return _refused(
            RefusalReason.EXCEEDS_UNUSED, f"{lot.id} has only {lot.remaining} nanodollars left"
        )
    if command.paid_back > page.book.free:
        return _in_use()
    page.credit(lot, -command.paid_back)
    page.counter(refunds(command.method), command.paid_back)
    return None


def _reverse_usage(page: _Page, command: ReverseUsage, now_ms: int) -> Refused | None:
    if command.amount > page.book.totals.usage:
        return _refused(RefusalReason.EXCEEDS_USAGE, "that is more than the account ever used")
    page.counter(USAGE, -command.amount)
    paid = min(page.debt, command.amount)
    page.owe(-paid)
    if command.amount > paid:
        page.open(_new_lot(command, NanoUSD(command.amount - paid), now_ms))
    return None


def _expire_lot(page: _Page, command: ExpireLot, now_ms: int) -> Refused | None:
    lot = page.lots.get(command.lot)
    if lot is None:
        return _unknown(command.lot)
    if lot.expires_ms is None or lot.expires_ms > now_ms:
        return _refused(RefusalReason.NOT_DUE, f"{lot.id} has not expired")
    if not lot.remaining:
        return _refused(RefusalReason.EXCEEDS_UNUSED, f"{lot.id} has nothing left")
    taken = min(lot.remaining, page.book.free)
    if not taken:
        return _in_use()
    page.counter(EXPIRED, taken)
    page.credit(lot, -taken)
    return None


def _dispute(page: _Page, command: Dispute) -> Refused | None:
    disputed = [lot for lot in page.in_order() if lot.source == command.source]
    others = [lot for lot in page.in_order() if lot.source != command.source]
    page.counter(DISPUTES, command.amount)
    page.owe(page.take(command.amount, disputed + others))
    return None


def _transfer_out(page: _Page, command: TransferOut) -> Refused | None:
    if command.to == command.account:
        return _refused(RefusalReason.TEXT_INVALID, "a transfer needs two accounts")
    if command.amount > page.book.balance:
        return _refused(RefusalReason.EXCEEDS_CREDIT, "the account does not have that much")
    if command.amount > page.book.free:
        return _in_use()
    page.counter(TRANSFERS, command.amount)
    rest = page.take(command.amount, page.in_order())
    assert not rest
    return None


def _pay_debt(page: _Page, command: PayDebt) -> Refused | None:
    if command.fee < 0:
        return _refused(RefusalReason.AMOUNT_INVALID, "a fee is 0 or more")
    if command.amount > page.debt:
        return _exceeds_debt(page)
    page.counter(payments(command.method), -command.amount - command.fee)
    page.counter(fees(command.method), command.fee)
    page.owe(-command.amount)
    return None


def _write_off(page: _Page, command: WriteOff) -> Refused | None:
    if command.amount > page.debt:
        return _exceeds_debt(page)
    page.counter(WRITE_OFFS, -command.amount)
    page.owe(-command.amount)
    return None


def _new_lot(command: AddCredit | ReverseUsage, amount: NanoUSD, now_ms: int) -> Lot:
    new = Lot(
        id=lot_id(now_ms, command.reference),
        kind=LotKind.REFUND,
        amount=amount,
        remaining=amount,
        created_ms=now_ms,
    )
    if isinstance(command, ReverseUsage):
        return new
    return replace(
        new,
        kind=command.kind,
        expires_ms=command.expires_ms,
        is_refundable=command.is_refundable,
        source=command.source,
    )


def _invalid_amount(command: Command) -> Refused | None:
    match command:
        case ExpireLot():
            return None
        case Charge():
            is_right = (
                0 <= command.byok_fees <= command.amount <= AMOUNT_MAX
                and command.generations_count > 0
            )
        case RefundPurchase():
            is_right = 0 < command.paid_back <= AMOUNT_MAX
        case AddCredit():
            is_right = 0 < command.amount <= AMOUNT_MAX and (
                command.expires_ms is None or 0 <= command.expires_ms <= AMOUNT_MAX
            )
        case _:
            is_right = 0 < command.amount <= AMOUNT_MAX
    if is_right:
        return None
    return _refused(RefusalReason.AMOUNT_INVALID, "the amount is not a possible one")


def _invalid_text(command: Command) -> Refused | None:
    """Texts are single lines: what is hashed depends on it."""
    for name in command.__struct_fields__:
        value = getattr(command, name)
        if not isinstance(value, str):
            continue
        is_needed = name in ("account", "reference") or (
            name in ("method", "source", "to", "lot", "reason")
            and not isinstance(command, AddCredit)
        )
        if (is_needed and not value) or len(value) > TEXT_CHARACTERS_MAX or not _is_line(value):
            return _refused(
                RefusalReason.TEXT_INVALID,
                f"{name}: one line of at most {TEXT_CHARACTERS_MAX} characters is wanted",
            )
    return None


def _is_line(text: str) -> bool:
    return text.isprintable()


def _refused(reason: RefusalReason, message: str) -> Refused:
    return Refused(reason, message)


def _unknown(lot: LotId) -> Refused:
    return _refused(RefusalReason.LOT_UNKNOWN, f"the account has no {lot}")


def _in_use() -> Refused:
    return _refused(RefusalReason.IN_USE, "calls under way have set it aside; try again in a while")


def _exceeds_debt(page: _Page) -> Refused:
    return _refused(RefusalReason.EXCEEDS_DEBT, f"only {page.debt} nanodollars are owed")
