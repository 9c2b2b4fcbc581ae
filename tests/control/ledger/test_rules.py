"""Whatever is asked of it, an account's book adds up."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.ledger import rules
from fairlead.control.ledger.types import (
    AddCredit,
    AlreadyDone,
    Applied,
    Book,
    Charge,
    Dispute,
    ExpireLot,
    LotKind,
    PayDebt,
    Posting,
    RefundPurchase,
    RefusalReason,
    Refused,
    ReverseUsage,
    TransferOut,
    WriteOff,
)
from fairlead.core.money import NanoUSD, parse_amount
from tests.control.ledger.commands import (
    ACCOUNT,
    DAY_MS,
    OTHER,
    PureLedger,
    a_life,
    add,
    charge,
    random_command,
)

LENGTHS = st.integers(1, 40)
NOW_MS = 1_763_700_000_000


@given(st.randoms(use_true_random=False), LENGTHS)
def test_after_any_commands_everything_adds_up(source: random.Random, length: int):
    ledger, now_ms = PureLedger(), NOW_MS
    amounts_of_lots: dict[str, int] = {}
    for number in range(length):
        now_ms += source.choice((0, DAY_MS))
        before = ledger.book
        outcome = ledger.post(random_command(source, before, f"c{number}", now_ms), now_ms)
        book = ledger.book
        if isinstance(outcome, Refused):
            assert book == before
            continue
        assert sum(posting.amount for posting in outcome.postings) == 0
        assert all(posting.amount for posting in outcome.postings)
        moved = [posting for posting in outcome.postings if ACCOUNT in posting.account]
        assert book.balance == before.balance + sum(posting.amount for posting in moved)
        assert book.balance == book.totals.balance
        assert book.debt >= 0
        assert not (book.debt and book.lots), "credit or debt, never both"
        for lot in book.lots:
            assert 0 < lot.remaining <= lot.amount
            assert amounts_of_lots.setdefault(lot.id, lot.amount) == lot.amount
        assert list(book.lots) == sorted(book.lots, key=rules.use_order)


@given(st.randoms(use_true_random=False), LENGTHS)
def test_the_entries_alone_rebuild_the_book(source: random.Random, length: int):
    ledger, _ = a_life(source, length)
    assert reduce(rules.replayed, ledger.entries, Book(ACCOUNT)) == ledger.book
    for entry in ledger.entries:
        assert rules.text_of(rules.command_of(entry.command)) == entry.command


@given(st.randoms(use_true_random=False), LENGTHS)
def test_asking_again_changes_nothing_whenever_it_comes(source: random.Random, length: int):
    ledger, asked = a_life(source, length)
    again, done = PureLedger(), []
    for one in asked:
        again.post(*one)
        done.append(one)
        repeated, _ = source.choice(done)
        outcome = again.post(repeated, one[1] + DAY_MS)
        if any(entry.reference == repeated.reference for entry in ledger.entries):
            assert isinstance(outcome, AlreadyDone)
        elif isinstance(outcome, Applied):
            return  # it was refused before, and is possible by now: not a repetition
    assert again.book == ledger.book
    assert again.entries == ledger.entries


@given(st.randoms(use_true_random=False), LENGTHS, st.integers(1, 200))
def test_lots_are_used_in_their_order_and_before_anything_is_owed(
    source: random.Random, length: int, amount: int
):
    ledger, _ = a_life(source, length)
    before = ledger.book
    after = ledger.post(charge(amount, reference="last"), NOW_MS)
    assert isinstance(after, Applied)
    left = {lot.id: lot.remaining for lot in after.book.lots}
    rest = amount
    for lot in before.lots:
        assert lot.remaining - left.get(lot.id, 0) == min(rest, lot.remaining)
        rest -= min(rest, lot.remaining)
    assert after.book.debt == before.debt + rest


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.integers(0, 10**10))
def test_a_purchase_gives_back_exactly_what_is_unused_and_never_its_fee(
    amount: int, used: int, fee: int
):
    ledger = PureLedger()
    bought = ledger.post(
        add(amount, reference="p", kind=LotKind.PURCHASE, fee=NanoUSD(fee)), NOW_MS
    )
    assert isinstance(bought, Applied)
    assert bought.opened is not None
    if used:
        ledger.post(charge(used, reference="c"), NOW_MS)
    unused = max(amount - used, 0)

    def refund(paid_back: int, reference: str) -> RefundPurchase:
        return RefundPurchase(
            account=ACCOUNT,
            reference=reference,
            lot=bought.opened.id,
            paid_back=NanoUSD(paid_back),
            method="card",
        )

    too_much = ledger.post(refund(unused + 1, "too much"), NOW_MS)
    assert isinstance(too_much, Refused)
    if unused:
        outcome = ledger.post(refund(unused, "all of it"), NOW_MS)
        assert isinstance(outcome, Applied)
        assert Posting("refunds:card", NanoUSD(unused)) in outcome.postings
        assert ledger.book.balance == 0
        assert ledger.book.totals.purchased == amount - unused


BOUGHT = add(100, reference="p", kind=LotKind.PURCHASE, source="pay-1", fee=NanoUSD(8))
LOT = rules.lot_id(NOW_MS, "p")
COMMON = {"account": ACCOUNT, "reference": "next"}


@pytest.mark.parametrize(
    ("command", "postings"),
    [
        pytest.param(
            add(50, reference="next"),
            [("grants", -50), ("credit:acc-1", 50)],
            id="grant",
        ),
        pytest.param(
            add(5, reference="next", kind=LotKind.FREE_ALLOWANCE),
            [("allowances", -5), ("credit:acc-1", 5)],
            id="allowance",
        ),
        pytest.param(
            add(100, reference="next", kind=LotKind.PURCHASE, fee=NanoUSD(8)),
            [("payments:card", -108), ("fees:card", 8), ("credit:acc-1", 100)],
            id="purchase with its fee on top",
        ),
        pytest.param(
            add(30, reference="next", kind=LotKind.REFUND, counter="disputes"),
            [("disputes", -30), ("credit:acc-1", 30)],
            id="dispute won",
        ),
        pytest.param(
            charge(40, reference="next"),
            [("usage", 40), ("credit:acc-1", -40)],
            id="usage",
        ),
        pytest.param(
            charge(130, reference="next"),
            [("usage", 130), ("credit:acc-1", -100), ("debt:acc-1", -30)],
            id="usage beyond credit",
        ),
        pytest.param(
            Charge(**COMMON, amount=NanoUSD(40), byok_fees=NanoUSD(15), generations_count=2),
            [("usage", 25), ("byok_fees", 15), ("credit:acc-1", -40)],
            id="usage with a fee for own keys",
        ),
        pytest.param(charge(0, reference="next"), [], id="free models"),
        pytest.param(
            RefundPurchase(**COMMON, lot=LOT, paid_back=NanoUSD(100), method="card"),
            [("credit:acc-1", -100), ("refunds:card", 100)],
            id="refund",
        ),
        pytest.param(
            Dispute(**COMMON, source="pay-1", amount=NanoUSD(108)),
            [("disputes", 108), ("credit:acc-1", -100), ("debt:acc-1", -8)],
            id="chargeback",
        ),
        pytest.param(
            TransferOut(**COMMON, to=OTHER, amount=NanoUSD(60)),
            [("transfers", 60), ("credit:acc-1", -60)],
            id="transfer",
        ),
    ],
)
def test_what_each_command_posts(command, postings):
    ledger = PureLedger()
    ledger.post(BOUGHT, NOW_MS)
    outcome = ledger.post(command, NOW_MS)
    assert isinstance(outcome, Applied)
    assert [(posting.account, posting.amount) for posting in outcome.postings] == postings


@pytest.mark.parametrize(
    ("command", "postings"),
    [
        pytest.param(
            add(50, reference="next"),
            [("grants", -50), ("credit:acc-1", 50), ("credit:acc-1", -30), ("debt:acc-1", 30)],
            id="new credit pays first",
        ),
        pytest.param(
            PayDebt(**COMMON, amount=NanoUSD(30), method="card", fee=NanoUSD(2)),
            [("payments:card", -32), ("fees:card", 2), ("debt:acc-1", 30)],
            id="invoice paid",
        ),
        pytest.param(
            WriteOff(**COMMON, amount=NanoUSD(10), reason="gone"),
            [("write_offs", -10), ("debt:acc-1", 10)],
            id="written off",
        ),
        pytest.param(
            ReverseUsage(**COMMON, amount=NanoUSD(70), reason="our fault"),
            [("usage", -70), ("debt:acc-1", 30), ("credit:acc-1", 40)],
            id="usage taken back",
        ),
    ],
)
def test_what_each_command_posts_when_something_is_owed(command, postings):
    ledger = PureLedger()
    ledger.post(BOUGHT, NOW_MS)
    ledger.post(charge(130, reference="c"), NOW_MS)
    outcome = ledger.post(command, NOW_MS)
    assert isinstance(outcome, Applied)
    assert [(posting.account, posting.amount) for posting in outcome.postings] == postings


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (charge(-1, reference="next"), RefusalReason.AMOUNT_INVALID),
        (charge(2**63, reference="next"), RefusalReason.AMOUNT_INVALID),
        (charge(2**63 - 1, reference="next"), RefusalReason.OUT_OF_RANGE),
        (add(2**63 - 5, reference="next"), RefusalReason.OUT_OF_RANGE),
        (
            add(2**63 - 5, reference="next", kind=LotKind.PURCHASE, fee=NanoUSD(9)),
            RefusalReason.OUT_OF_RANGE,
        ),
        (add(0, reference="next"), RefusalReason.AMOUNT_INVALID),
        (add(5, reference="next", expires_ms=2**63), RefusalReason.AMOUNT_INVALID),
        (add(5, reference="next", fee=NanoUSD(1)), RefusalReason.AMOUNT_INVALID),
        (add(5, reference=""), RefusalReason.TEXT_INVALID),
        (add(5, reference="two\nlines"), RefusalReason.TEXT_INVALID),
        (add(5, reference="next", reason="tab\there"), RefusalReason.TEXT_INVALID),
        (add(5, reference="next", reason="half \ud800"), RefusalReason.TEXT_INVALID),
        (add(5, reference="next", reason="x" * 501), RefusalReason.TEXT_INVALID),
        (add(5, reference="next", counter="credit:acc-2"), RefusalReason.TEXT_INVALID),
        (add(5, reference="next", method="card"), RefusalReason.TEXT_INVALID),
        (
            add(5, reference="next", kind=LotKind.PURCHASE, method=""),
            RefusalReason.TEXT_INVALID,
        ),
        (
            RefundPurchase(**COMMON, lot="lot-other", paid_back=NanoUSD(1), method="card"),
            RefusalReason.LOT_UNKNOWN,
        ),
        (
            RefundPurchase(**COMMON, lot=LOT, paid_back=NanoUSD(91), method="card"),
            RefusalReason.EXCEEDS_UNUSED,
        ),
        (
            RefundPurchase(**COMMON, lot=LOT, paid_back=NanoUSD(71), method="card"),
            RefusalReason.IN_USE,
        ),
        (ExpireLot(**COMMON, lot=LOT), RefusalReason.NOT_DUE),
        (
            TransferOut(**COMMON, to=OTHER, amount=NanoUSD(91)),
            RefusalReason.EXCEEDS_CREDIT,
        ),
        (TransferOut(**COMMON, to=OTHER, amount=NanoUSD(71)), RefusalReason.IN_USE),
        (TransferOut(**COMMON, to=ACCOUNT, amount=NanoUSD(1)), RefusalReason.TEXT_INVALID),
        (PayDebt(**COMMON, amount=NanoUSD(1), method="card"), RefusalReason.EXCEEDS_DEBT),
        (WriteOff(**COMMON, amount=NanoUSD(1), reason="x"), RefusalReason.EXCEEDS_DEBT),
        (
            ReverseUsage(**COMMON, amount=NanoUSD(11), reason="x"),
            RefusalReason.EXCEEDS_USAGE,
        ),
    ],
)
def test_what_is_refused_and_why(command, reason):
    """100 bought, 10 used, 20 set aside by running calls."""
    ledger = PureLedger()
    ledger.post(BOUGHT, NOW_MS)
    ledger.post(charge(10, reference="c"), NOW_MS)
    ledger.book = replace(ledger.book, leased=NanoUSD(20))
    outcome = ledger.post(command, NOW_MS)
    assert isinstance(outcome, Refused)
    assert outcome.reason is reason


def test_a_lot_expires_when_it_is_due_but_for_what_calls_may_use():
    ledger = PureLedger()
    ledger.post(add(100, reference="g", expires_ms=NOW_MS + DAY_MS), NOW_MS)
    lot = ledger.book.lots[0].id
    expire = ExpireLot(account=ACCOUNT, reference="e", lot=lot)
    early = ledger.post(expire, NOW_MS + DAY_MS - 1)
    assert isinstance(early, Refused)
    assert early.reason is RefusalReason.NOT_DUE
    ledger.book = replace(ledger.book, leased=NanoUSD(100))
    in_use = ledger.post(expire, NOW_MS + DAY_MS)
    assert isinstance(in_use, Refused)
    assert in_use.reason is RefusalReason.IN_USE
    ledger.book = replace(ledger.book, leased=NanoUSD(30))
    assert isinstance(ledger.post(expire, NOW_MS + DAY_MS), Applied)
    assert ledger.book.balance == 30
    ledger.book = replace(ledger.book, leased=NanoUSD(0))
    the_rest = ExpireLot(account=ACCOUNT, reference="e2", lot=lot)
    assert isinstance(ledger.post(the_rest, NOW_MS + DAY_MS), Applied)
    assert ledger.book.balance == 0
    assert reduce(rules.replayed, ledger.entries, Book(ACCOUNT)) == ledger.book


def test_only_a_purchase_that_says_so_is_paid_back():
    ledger = PureLedger()
    for reference, command in {
        "grant": add(10, reference="grant"),
        "crypto": add(
            10,
            reference="crypto",
            kind=LotKind.PURCHASE,
            method="crypto",
            is_refundable=False,
        ),
    }.items():
        bought = ledger.post(command, NOW_MS)
        assert isinstance(bought, Applied)
        outcome = ledger.post(
            RefundPurchase(
                account=ACCOUNT,
                reference=f"refund {reference}",
                lot=bought.opened.id,
                paid_back=NanoUSD(1),
                method="card",
            ),
            NOW_MS,
        )
        assert isinstance(outcome, Refused)
        assert outcome.reason is RefusalReason.NOT_REFUNDABLE


def test_a_reference_stands_for_one_command():
    ledger = PureLedger()
    first = add(10, reference="same")
    assert isinstance(ledger.post(first, NOW_MS), Applied)
    assert ledger.post(first, NOW_MS + 1) == AlreadyDone(1)
    other = ledger.post(add(11, reference="same"), NOW_MS)
    assert isinstance(other, Refused)
    assert other.reason is RefusalReason.REFERENCE_REUSED
    assert ledger.book.balance == 10


@pytest.mark.parametrize(
    ("spent", "purchased", "left"),
    [
        ("0.045", "10", "9.955"),  # 1,000 prompt and 500 completion tokens of o1
        ("0.04455", "10", "9.95545"),  # the same with the discount for sharing data
        ("0", "10", "10"),  # the same with a key of one's own, within the allowance
        ("0.00225", "10", "9.99775"),  # above it
        ("0.000000001", "10", "9.999999999"),  # the smallest charge there is
    ],
)
def test_sums_are_exact_to_the_nanodollar(spent: str, purchased: str, left: str):
    """$10 by card costs $10.80, and every charge comes off the $10."""
    ledger = PureLedger()
    bought = ledger.post(
        add(
            parse_amount(purchased),
            reference="p",
            kind=LotKind.PURCHASE,
            fee=parse_amount("0.80"),
        ),
        NOW_MS,
    )
    assert isinstance(bought, Applied)
    assert bought.postings[0] == Posting("payments:card", NanoUSD(-parse_amount("10.80")))
    ledger.post(charge(parse_amount(spent), reference="c"), NOW_MS)
    assert ledger.book.balance == parse_amount(left)
    assert ledger.book.totals.purchased == parse_amount(purchased)


def test_commands_kept_long_ago_are_still_read():
    """As they were written by the first version: they never change, and nor may their reading."""
    kept = (
        '{"type":"add_credit","account":"acc-1","reference":"p","kind":"purchase",'
        '"amount":100,"fee":8,"method":"card","is_refundable":true,"source":"pay-1"}'
    )
    assert rules.command_of(kept) == BOUGHT
    assert isinstance(rules.command_of(kept), AddCredit)
    assert rules.text_of(BOUGHT) == kept
