"""What a payment costs, and that what follows from it depends on what happened there alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.billing import rules
from fairlead.control.billing.types import (
    BillingInvalid,
    BillingRules,
    Method,
    Observation,
    Purchase,
    PurchaseId,
    PurchaseState,
    Purpose,
    RefundRefused,
    RefusedBecause,
    SeenDispute,
    SeenDisputeState,
    SeenRefund,
    SeenRefundState,
    TopUp,
    TopUpState,
)
from fairlead.control.ledger import rules as ledger_rules
from fairlead.control.ledger.types import AddCredit, Applied, Book, Lot, LotKind
from fairlead.control.usage.calendar import month_start_ms
from fairlead.core.ids import AccountId, LotId
from fairlead.core.money import NANO_PER_USD, NanoUSD

ACCOUNT = AccountId("acc-1")
PAID_MS = 1_763_700_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TERMS = BillingRules()


def purchase(amount_cents: int = 1000, method: Method = Method.CARD) -> Purchase:
    return Purchase(
        id=PurchaseId("pay-1"),
        account=ACCOUNT,
        purpose=Purpose.CREDIT,
        method=method,
        company="stripe",
        amount_cents=amount_cents,
        fee_cents=rules.fee_cents(amount_cents, method, TERMS),
        created_ms=PAID_MS - HOUR_MS,
    )


def paid(one: Purchase, **more: object) -> Observation:
    values = {
        "purchase": one.id,
        "payment": "pi_1",
        "paid_cents": one.total_cents,
        "currency": "usd",
        "paid_ms": PAID_MS,
    }
    return Observation(**(values | more))


# --- fees ---


@pytest.mark.parametrize(
    ("amount_cents", "method", "fee_cents"),
    [
        (1000, Method.CARD, 80),  # $10: 5.5 % would be $0.55, the minimum is $0.80
        (1454, Method.CARD, 80),
        (1455, Method.CARD, 81),  # from here 5.5 % is more: $0.80025, rounded up
        (10_000, Method.CARD, 550),
        (10_001, Method.CARD, 551),  # $5.50055
        (10_000, Method.ALIPAY, 550),
        (10_000, Method.CRYPTO, 500),
        (10_001, Method.CRYPTO, 501),
        (500, Method.CRYPTO, 25),
        (500, Method.CARD, 80),
        (1_000_000, Method.CARD, 55_000),
    ],
)
def test_the_fee_is_on_top_of_the_amount(amount_cents: int, method: Method, fee_cents: int):
    found = rules.quote(amount_cents, method, TERMS)
    assert (found.fee_cents, found.total_cents) == (fee_cents, amount_cents + fee_cents)


def test_the_minimum_fee_stops_mattering_above_14_55():
    """The last amount of which 5.5 % is at most $0.80 is $14.54, so the fee first moves at $14.55."""
    shares = [-(-cents * 55 // 1000) for cents in range(500, 3000)]
    fees = [rules.fee_cents(cents, Method.CARD, TERMS) for cents in range(500, 3000)]
    first = next(cents for cents, fee in enumerate(fees, 500) if fee > 80)
    assert first == 1455
    assert fees == [max(share, 80) for share in shares]


@given(st.integers(500, 1_000_000), st.integers(500, 1_000_000), st.sampled_from(Method))
def test_a_fee_never_falls_as_the_amount_grows(one: int, other: int, method: Method):
    small, large = sorted((one, other))
    assert rules.fee_cents(small, method, TERMS) <= rules.fee_cents(large, method, TERMS)


@given(st.integers(500, 1_000_000), st.integers(0, 10_000), st.integers(0, 500))
def test_a_fee_is_the_exact_share_rounded_up_by_less_than_a_cent(
    amount: int, points: int, least: int
):
    terms = BillingRules(card_fee_bp=points, card_fee_cents_min=least)
    fee = rules.fee_cents(amount, Method.CARD, terms)
    assert fee * 10_000 >= amount * points
    assert fee == least or (fee - 1) * 10_000 < amount * points


@pytest.mark.parametrize("amount_cents", [499, 0, -1000, 1_000_001])
def test_an_amount_beyond_the_bounds_is_refused_by_name(amount_cents: int):
    with pytest.raises(BillingInvalid, match=r"\$5\.00 to \$10,000\.00") as caught:
        rules.quote(amount_cents, Method.CARD, TERMS)
    assert caught.value.path == "amount"


# --- what was seen ---


def history(draw: st.DrawFn, one: Purchase) -> list[Observation]:
    """What a payment looks like at its company, from its first moment to its last."""
    states = [Observation(purchase=one.id)]
    if draw(st.booleans()):
        states.append(Observation(purchase=one.id, payment="pi_1"))
    if draw(st.booleans()):
        states.append(Observation(purchase=one.id, payment="pi_1", has_failed=True, problem="no"))
        if draw(st.booleans()):
            return states
    refunds: dict[str, SeenRefund] = {}
    disputes: dict[str, SeenDispute] = {}
    states.append(paid(one))
    for number in range(draw(st.integers(0, 2))):
        name, cents = f"re_{number}", draw(st.integers(1, one.total_cents // 2))
        for state in draw(st.sampled_from([(0,), (0, 1), (1,), (0, 2), (1, 2), (0, 1, 2)])):
            refunds[name] = SeenRefund(name, None, cents, SeenRefundState(state))
            states.append(paid(one, refunds=tuple(refunds.values())))
    if draw(st.booleans()):
        cents = draw(st.sampled_from([one.total_cents, one.total_cents // 3]))
        for state in draw(
            st.sampled_from([(0,), (0, 1), (1,), (1, 2), (1, 3), (0, 1, 3), (0, 1, 2), (3,)])
        ):
            disputes["dp_1"] = SeenDispute("dp_1", cents, SeenDisputeState(state))
            states.append(
                paid(one, refunds=tuple(refunds.values()), disputes=tuple(disputes.values()))
            )
    return states


@st.composite
def watched(draw: st.DrawFn) -> tuple[Purchase, list[Observation], list[Observation]]:
    """A payment's history, and what somebody saw of it: late, twice, not at all; but its end at least once."""
    one = purchase(draw(st.integers(500, 100_000)), draw(st.sampled_from(Method)))
    states = history(draw, one)
    seen = draw(st.lists(st.sampled_from(states), max_size=8))
    seen.insert(draw(st.integers(0, len(seen))), states[-1])
    return one, states, seen


def followed(one: Purchase, seen: list[Observation]) -> tuple[Purchase, Book, dict[str, int]]:
    """The purchase and the account's book after it saw these one by one."""
    book = Book(account=ACCOUNT)
    entries: dict[str, int] = {}
    for observation in seen:
        one = rules.observed(one, observation)
        for command in rules.due(one, TERMS):
            applied = ledger_rules.apply(book, command, PAID_MS)
            assert isinstance(applied, Applied), applied
            assert command.reference not in entries
            book = applied.book
            entries[command.reference] = sum(
                posting.amount
                for posting in applied.postings
                if posting.lot or "debt:" in posting[0]
            )
            one = replace(one, posted=(*one.posted, command.reference))
    return one, book, entries


@given(watched())
def test_whatever_was_seen_in_whichever_order_ends_in_the_same_book(case):
    one, states, seen = case
    in_order, book, entries = followed(one, states)
    as_seen, other_book, other_entries = followed(one, seen)
    if states[-1].paid_cents is not None:  # otherwise nothing but the last failure is to be known
        assert as_seen.facts.paid_cents == in_order.facts.paid_cents
        assert rules.state(as_seen) == rules.state(in_order)
        assert other_entries == entries
        assert other_book.balance == book.balance
        assert other_book.totals == book.totals
    else:
        assert not other_entries
        assert not entries


@given(watched(), st.integers(0, 2**32))
def test_facts_are_joined_in_any_order_and_any_number_of_times(case, seed):
    one, _states, seen = case
    shuffled = seen * 2
    random.Random(seed).shuffle(shuffled)
    assert followed(one, seen)[0].facts == followed(one, shuffled)[0].facts


@given(watched())
def test_never_more_credit_than_was_paid_for(case):
    one, _states, seen = case
    _, book, _ = followed(one, seen)
    assert book.balance <= one.amount
    assert book.totals.credits <= one.amount


def test_a_lost_dispute_takes_all_credit_and_a_won_one_gives_it_back():
    one = purchase(1000)
    full = SeenDispute("dp_1", one.total_cents, SeenDisputeState.OPEN)
    open_ = followed(one, [paid(one, disputes=(full,))])
    assert open_[1].balance == 0
    won = SeenDispute("dp_1", one.total_cents, SeenDisputeState.WON)
    assert followed(one, [paid(one, disputes=(won,))])[1].balance == 10 * NANO_PER_USD
    assert rules.state(open_[0]) is PurchaseState.DISPUTED


@pytest.mark.parametrize(
    "wrong", [{"paid_cents": 1}, {"paid_cents": 1081}, {"currency": "eur"}, {"currency": ""}]
)
def test_another_sum_or_currency_than_was_asked_for_becomes_no_credit(wrong):
    one, book, entries = followed(purchase(1000), [paid(purchase(1000), **wrong)])
    assert rules.state(one) is PurchaseState.STRANGE
    assert (book.balance, entries) == (0, {})


def test_a_card_that_was_declined_first_may_still_pay():
    one = purchase()
    failed = Observation(purchase=one.id, payment="pi_1", has_failed=True)
    assert rules.state(rules.observed(one, failed)) is PurchaseState.FAILED
    assert rules.state(followed(one, [failed, paid(one)])[0]) is PurchaseState.PAID


def test_credit_expires_only_where_it_was_decided_and_crypto_is_never_refundable():
    one = rules.observed(purchase(), paid(purchase()))
    (forever,) = rules.due(one, TERMS)
    assert isinstance(forever, AddCredit)
    assert (forever.expires_ms, forever.is_refundable) == (None, True)
    (yearly,) = rules.due(one, BillingRules(expire_days=365))
    assert isinstance(yearly, AddCredit)
    assert yearly.expires_ms == PAID_MS + 365 * DAY_MS
    crypto = purchase(method=Method.CRYPTO)
    (final,) = rules.due(rules.observed(crypto, paid(crypto)), TERMS)
    assert isinstance(final, AddCredit)
    assert (final.is_refundable, final.method) == (False, "crypto")


def test_a_refund_under_an_id_that_we_do_not_have_was_made_elsewhere():
    """As after a backup was restored: its credit must be taken, for the money has gone."""
    one = purchase()
    seen = paid(one, refunds=(SeenRefund("re_1", "back-1", 1000, SeenRefundState.DONE),))
    known = followed(one, [rules.known_refunds(seen, {"back-1"})])
    assert known[1].balance == 10 * NANO_PER_USD  # taken when it was sent, by another entry
    unknown = followed(one, [rules.known_refunds(seen, ())])
    assert unknown[1].balance == pytest.approx(0.74 * NANO_PER_USD, abs=10_000_000)


# --- paying back ---


def lot_with(remaining: int) -> Lot:
    return Lot(
        id=LotId("lot-1"),
        kind=LotKind.PURCHASE,
        amount=NanoUSD(10 * NANO_PER_USD),
        remaining=NanoUSD(remaining),
        created_ms=PAID_MS,
        is_refundable=True,
        source="pay-1",
    )


def test_what_is_unused_is_paid_back_in_whole_cents_and_without_the_fee():
    one = rules.observed(purchase(), paid(purchase()))
    whole = rules.refundable(one, lot_with(10 * NANO_PER_USD), now_ms=PAID_MS, terms=TERMS)
    rest = rules.refundable(one, lot_with(4_567_890_123), now_ms=PAID_MS, terms=TERMS)
    assert (whole, rest) == (1000, 456)


@pytest.mark.parametrize(
    ("later_ms", "left", "method", "disputed", "reason"),
    [
        (24 * HOUR_MS + 1, 10 * NANO_PER_USD, Method.CARD, None, RefusedBecause.TOO_LATE),
        (0, 9_999_999, Method.CARD, None, RefusedBecause.USED_UP),
        (0, None, Method.CARD, None, RefusedBecause.USED_UP),
        (0, 10 * NANO_PER_USD, Method.CRYPTO, None, RefusedBecause.NEVER),
        (0, NANO_PER_USD, Method.CARD, SeenDisputeState.OPEN, RefusedBecause.DISPUTED),
        (0, NANO_PER_USD, Method.CARD, SeenDisputeState.LOST, RefusedBecause.DISPUTED),
    ],
)
def test_a_refund_is_refused_precisely(later_ms, left, method, disputed, reason):
    one = purchase(method=method)
    disputes = () if disputed is None else (SeenDispute("dp_1", 1080, disputed),)
    one = rules.observed(one, paid(one, disputes=disputes))
    lot = None if left is None else lot_with(left)
    with pytest.raises(RefundRefused) as caught:
        rules.refundable(one, lot, now_ms=PAID_MS + later_ms, terms=TERMS)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("lot", "said"), [(None, "^nothing of"), (lot_with(9_999_999), "^less than a cent of")]
)
def test_what_is_too_little_to_pay_back_is_not_called_nothing(lot, said):
    one = rules.observed(purchase(), paid(purchase()))
    with pytest.raises(RefundRefused, match=said):
        rules.refundable(one, lot, now_ms=PAID_MS, terms=TERMS)


def test_the_last_moment_of_24_hours_is_in_time():
    one = rules.observed(purchase(), paid(purchase()))
    lot = lot_with(NANO_PER_USD)
    assert rules.refundable(one, lot, now_ms=PAID_MS + 24 * HOUR_MS, terms=TERMS) == 100


# --- topping up ---


def top_up(**values: object) -> TopUp:
    blank = TopUp(ACCOUNT, TopUpState.ON, 1000, 2000, 5000)
    return replace(blank, **values)


@pytest.mark.parametrize(
    ("setting", "balance", "bought", "wanted"),
    [
        (top_up(), 10 * NANO_PER_USD - 1, 0, 2000),
        (top_up(), 10 * NANO_PER_USD, 0, None),
        (top_up(), -5, 3000, 2000),
        (top_up(state=TopUpState.OFF), 0, 0, None),
        (top_up(state=TopUpState.STOPPED), 0, 0, None),
        (top_up(purchase=PurchaseId("pay-2")), 0, 0, None),
        (top_up(not_before_ms=PAID_MS + 1), 0, 0, None),
    ],
)
def test_a_top_up_is_wanted_below_the_threshold(setting, balance, bought, wanted):
    found = rules.wants_top_up(
        setting, balance=balance, bought_this_month_cents=bought, now_ms=PAID_MS
    )
    assert (None if found is None else found.amount_cents) == wanted


def test_the_months_ceiling_holds_until_the_next_month():
    found = rules.wants_top_up(
        top_up(), balance=NanoUSD(0), bought_this_month_cents=3001, now_ms=PAID_MS
    )
    assert isinstance(found, rules.Paused)
    assert month_start_ms(found.until_ms) == found.until_ms
    assert month_start_ms(PAID_MS) < PAID_MS < found.until_ms


def test_declined_top_ups_are_tried_again_ever_later_and_then_no_more():
    one, pauses = top_up(), []
    for _ in range(4):
        one = rules.after_top_up(one, is_paid=False, now_ms=PAID_MS)
        pauses.append((one.not_before_ms - PAID_MS) // HOUR_MS)
    assert pauses == [1, 6, 24, 24]
    assert one.state is TopUpState.STOPPED
    assert rules.after_top_up(top_up(failures=2), is_paid=True, now_ms=0).failures == 0


def test_a_payment_is_looked_at_again_and_again_but_not_for_ever():
    one = purchase()
    looks = [rules.look_again_ms(replace(one, looks=count)) for count in range(6)]
    assert looks[-1] is None
    assert looks[:-1] == sorted(looks[:-1])
    settled = rules.observed(one, paid(one))
    assert rules.look_again_ms(settled) == PAID_MS + DAY_MS
    assert rules.look_again_ms(replace(settled, looks=9)) is None
