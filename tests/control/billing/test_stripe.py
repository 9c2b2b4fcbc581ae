"""Through Stripe's own library: whatever people, banks and networks do, money moves as it should, once."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from fairlead.control.billing import rules
from fairlead.control.billing.payments import EventRefused, PaymentsAway
from fairlead.control.billing.stripe import StripePayments
from fairlead.control.billing.types import (
    BillingInvalid,
    Method,
    PurchaseState,
    RefundRefused,
    RefundState,
    RefusedBecause,
)
from fairlead.core.money import NANO_PER_USD
from fairlead.settings import Billing
from fairlead.store.database import Database
from fairlead.store.tables.payments import payment_events
from tests.control.billing.world import ADA, DAY_MS, HOUR_MS, OPERATOR, World, build_world
from tests.stripe_server import DECLINED_CARD, SECRET_KEY, WEBHOOK_SECRET, StripeServer, signed


def state(world: World, purchase) -> PurchaseState:
    return rules.state(world.found(purchase))


# --- buying ---


@pytest.mark.parametrize(
    ("cents", "method", "total"),
    [(1000, Method.CARD, 1080), (10_000, Method.ALIPAY, 10_550), (10_000, Method.CRYPTO, 10_500)],
)
def test_a_purchase_becomes_credit_and_its_fee_does_not(world: World, cents, method, total):
    purchase = world.buy(cents, method)
    page = world.stripe.sessions[purchase.session]
    assert (page["amount_total"], page["currency"]) == (total, "usd")
    assert page["payment_method_types"] == [method.value]
    assert world.balance == 0
    assert world.deliver() == 3
    assert world.balance == cents / 100
    assert state(world, purchase) is PurchaseState.PAID
    totals = world.ledger.totals(world.account)
    assert totals.purchased == cents * 10_000_000
    assert world.letters() == [("credit_bought", ADA)]
    world.check()


def test_the_same_key_is_the_same_purchase_and_another_amount_under_it_is_refused(world: World):
    first = world.services.billing.start(
        world.buyer, amount_cents=1000, method=Method.CARD, key="k"
    )
    again = world.services.billing.start(
        world.buyer, amount_cents=1000, method=Method.CARD, key="k"
    )
    assert (first.id, first.url) == (again.id, again.url)
    assert world.stripe.count("POST", "/v1/checkout/sessions") == 1
    with pytest.raises(BillingInvalid):
        world.services.billing.start(world.buyer, amount_cents=2000, method=Method.CARD, key="k")


def test_a_declined_card_moves_nothing_and_another_one_may_pay(world: World):
    purchase = world.buy(card=DECLINED_CARD)
    world.deliver()
    assert (world.balance, state(world, purchase)) == (0, PurchaseState.CREATED)
    assert world.stripe.pay(purchase.session)
    world.deliver()
    assert (world.balance, state(world, purchase)) == (10, PurchaseState.PAID)


def test_a_page_that_nobody_pays_on_expires_and_nothing_happened(world: World):
    purchase = world.services.billing.start(
        world.buyer, amount_cents=1000, method=Method.CARD, key="1"
    )
    world.stripe.expire(purchase.session)
    world.deliver()
    assert (world.balance, state(world, purchase)) == (0, PurchaseState.FAILED)


def test_another_sum_than_was_asked_for_is_no_credit_and_the_operator_hears_of_it(world: World):
    purchase = world.services.billing.start(
        world.buyer, amount_cents=1000, method=Method.CARD, key="1"
    )
    world.stripe.pay(purchase.session, cents=100)
    world.deliver()
    assert (world.balance, state(world, purchase)) == (0, PurchaseState.STRANGE)
    assert world.letters() == [("payment_strange", OPERATOR)]


# --- events ---


def test_events_that_come_twice_late_and_in_any_order_are_worth_one_payment(world: World):
    purchase = world.buy()
    world.deliver()
    payment = world.found(purchase).payment
    dispute = world.stripe.dispute(payment)
    world.stripe.decide(dispute, "won")
    random.Random(7).shuffle(world.stripe.events)
    assert world.deliver() == 2
    assert world.deliver() == 0
    with world.database.begin() as connection:  # as if none had been understood yet
        connection.execute(sa.update(payment_events).values(due_ms=world.clock.ms))
    world.work()
    assert (world.balance, state(world, purchase)) == (10, PurchaseState.DISPUTE_WON)
    world.check()


def test_the_dispute_alone_tells_of_a_payment_that_nobody_told_of(world: World):
    purchase = world.buy()
    page = world.stripe.sessions[purchase.session]
    world.stripe.dispute(page["payment_intent"])
    del world.stripe.events[:-1]
    page |= {"status": "open", "payment_intent": None}  # and the page does not know either
    assert world.deliver() == 1
    assert (world.balance, state(world, purchase)) == (0, PurchaseState.DISPUTED)
    world.check()


def test_events_are_forgotten_after_more_than_a_year(world: World):
    world.buy()
    world.deliver()
    assert world.services.inbox.sweep() == 0
    world.clock.ms += 401 * DAY_MS
    assert (world.services.inbox.sweep(), world.services.inbox.sweep()) == (3, 0)


def test_without_any_event_the_reconciliation_finds_the_same(world: World):
    purchase = world.buy()
    world.clock.ms += 6 * 60_000
    assert world.services.jobs.look() == 1
    assert world.balance == 10
    world.stripe.dispute(world.found(purchase).payment)
    world.clock.ms += DAY_MS
    assert world.services.jobs.look() == 1
    assert (world.balance, state(world, purchase)) == (0, PurchaseState.DISPUTED)
    assert world.services.jobs.look() == 0


def test_an_event_that_is_not_signed_by_the_company_is_not_even_kept(world: World):
    world.buy()
    with pytest.raises(EventRefused):
        world.deliver(secret="whsec_wrong")
    with world.database.read() as connection:
        assert connection.execute(sa.select(payment_events)).all() == []


@pytest.mark.parametrize(
    ("age_s", "is_taken"), [(299, True), (301, False), (-299, True), (-301, False)]
)
def test_a_signature_is_good_for_five_minutes(world: World, age_s, is_taken):
    world.buy()
    body, signature = signed(world.stripe.events[0], at_s=world.clock.ms // 1000 - age_s)
    world.clock.ms -= world.clock.ms % 1000
    if is_taken:
        assert world.services.inbox.store(body, signature)
    else:
        with pytest.raises(EventRefused, match="another time"):
            world.services.inbox.store(body, signature)


@pytest.mark.parametrize(
    "signature", ["", "t=1", "v1=abc", "t=x,v1=abc", "t=1,v1=" + "0" * 64, "\x00", "t=,v1="]
)
def test_a_signature_of_any_shape_is_refused_in_words(world: World, signature):
    with pytest.raises(EventRefused):
        world.services.inbox.store(b"{}", signature)


def test_unknown_events_and_those_of_others_are_kept_and_change_nothing(world: World):
    purchase = world.buy()
    other = {"fairlead_installation": "fairlead-else", "fairlead_purchase": purchase.id}
    world.stripe.events[:] = [
        event("customer.created", {"id": "cus_1", "object": "customer"}),
        event(
            "payment_intent.succeeded",
            {"id": "pi_x", "object": "payment_intent", "metadata": other},
        ),
        event(
            "charge.dispute.created",
            {"id": "dp_x", "object": "dispute", "payment_intent": "pi_unknown"},
        ),
        event("checkout.session.completed", {"id": "cs_x", "object": "checkout.session"}),
    ]
    assert world.deliver() == 4
    with world.database.read() as connection:
        rows = connection.execute(sa.select(payment_events)).all()
    assert all(row.due_ms is None and row.outcome for row in rows)
    assert (world.balance, state(world, purchase)) == (0, PurchaseState.CREATED)


def event(kind: str, about: dict) -> dict:
    return {"id": f"evt_{kind}", "object": "event", "type": kind, "data": {"object": about}}


def test_events_that_come_while_the_company_is_away_wait_for_it(world: World):
    world.buy()
    world.stripe.is_away = True
    world.deliver()
    assert world.balance == 0
    world.stripe.is_away = False
    world.work()
    assert world.balance == 0  # not yet: nobody hammers
    world.clock.ms += 60_000
    world.work()
    assert world.balance == 10


def test_a_purchase_that_the_company_never_answered_is_begun_again_under_its_key(world: World):
    world.stripe.loses_answers = True
    with pytest.raises(PaymentsAway):
        world.services.billing.start(world.buyer, amount_cents=1000, method=Method.CARD, key="1")
    world.stripe.loses_answers = False
    purchase = world.services.billing.start(
        world.buyer, amount_cents=1000, method=Method.CARD, key="1"
    )
    assert len(world.stripe.sessions) == 1
    assert world.stripe.pay(purchase.session)
    world.deliver()
    assert world.balance == 10


def test_two_processes_at_once_understand_the_same_event_once(
    database: Database, stripe: StripeServer
):
    one = build_world(database, stripe)
    two = build_world(database, stripe, account=one.account, clock=one.clock, seed=1)
    for number in range(3):
        one.buy(key=str(number))
    for stored in stripe.events:
        body, signature = signed(stored, at_s=one.clock.ms / 1000)
        one.services.inbox.store(body, signature)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda world: world.work(), [one, two, one, two]))
        purchases = one.services.billing.page(one.account)
        list(
            threads.map(
                lambda pair: pair[0].services.billing.look(pair[1]),
                [(world, bought) for world in (one, two) for bought in purchases],
            )
        )
    assert one.balance == 30
    assert [kind for kind, _ in one.letters()] == ["credit_bought"] * 3
    numbers = [issued.number for issued in one.services.documents.page(one.account)]
    assert numbers == [3, 2, 1]
    one.check()


# --- paying back ---


def test_the_unused_part_goes_back_without_the_fee(world: World):
    purchase = world.buy(1000)
    world.deliver()
    world.use(3.333333333)
    refund = world.services.billing.refund(world.buyer, purchase.id)
    assert (refund.amount_cents, refund.state) == (666, RefundState.SENT)
    assert world.balance == pytest.approx(0.006666667)  # less than a cent stays
    world.deliver()
    assert state(world, purchase) is PurchaseState.PARTLY_REFUNDED
    with pytest.raises(RefundRefused) as caught:
        world.services.billing.refund(world.buyer, purchase.id)
    assert caught.value.reason is RefusedBecause.USED_UP
    assert world.letters()[-1] == ("credit_refunded", ADA)
    world.check()


def test_a_refund_too_late_of_crypto_or_of_what_is_used_up_is_refused_and_moves_nothing(
    world: World,
):
    crypto, used = world.buy(1000, Method.CRYPTO, key="c"), world.buy(1000, key="u")
    world.deliver()
    reasons = []
    world.use(20, "all")
    late = world.buy(1000, key="l")
    world.deliver()
    world.clock.ms += DAY_MS + HOUR_MS
    for purchase in (crypto, late):
        with pytest.raises(RefundRefused) as caught:
            world.services.billing.refund(world.buyer, purchase.id)
        reasons.append(caught.value.reason)
    world.clock.ms -= DAY_MS
    with pytest.raises(RefundRefused) as caught:
        world.services.billing.refund(world.buyer, used.id)
    assert [*reasons, caught.value.reason] == [
        RefusedBecause.NEVER,
        RefusedBecause.TOO_LATE,
        RefusedBecause.USED_UP,
    ]
    assert world.stripe.count("POST", "/v1/refunds") == 0
    assert world.balance == 10


def set_aside(world: World, amount: int) -> None:
    """So much of the account's credit is leased."""
    with world.database.begin() as connection:
        connection.execute(
            sa.text("UPDATE budget_periods SET leased_nano = :amount WHERE budget_id = :id"),
            {"amount": amount, "id": f"account:{world.account}"},
        )


def test_credit_that_calls_have_set_aside_is_not_paid_back(world: World):
    purchase = world.buy()
    world.deliver()
    set_aside(world, 1)
    with pytest.raises(RefundRefused) as caught:
        world.services.billing.refund(world.buyer, purchase.id)
    assert caught.value.reason is RefusedBecause.IN_USE
    assert world.balance == 10
    with world.database.read() as connection:
        asked = connection.execute(sa.text("SELECT wanted_back_ms FROM budget_periods")).scalar()
    assert asked == world.clock.ms, "processes are asked for what no call needs"


def test_a_refund_that_fails_later_comes_back_as_credit_once(world: World):
    purchase = world.buy()
    world.deliver()
    world.services.billing.refund(world.buyer, purchase.id)
    world.deliver()
    assert world.balance == 0
    (seen,) = world.found(purchase).facts.refunds.values()
    world.stripe.fail_refund(seen.id)
    world.deliver()
    assert world.balance == 10
    assert world.services.billing.refunds(purchase.id)[0].state is RefundState.FAILED
    world.services.billing.look(world.found(purchase))
    assert world.balance == 10
    assert ("refund_failed", ADA) in world.letters()
    world.check()


def test_a_refund_whose_answer_was_lost_is_sent_again_and_paid_once(world: World):
    purchase = world.buy()
    world.deliver()
    world.stripe.loses_answers = True
    refund = world.services.billing.refund(world.buyer, purchase.id)
    assert refund.state is RefundState.OWED
    assert world.balance == 0
    world.stripe.loses_answers = False
    world.clock.ms += 6 * 60_000
    assert world.services.jobs.pay_back() == 1
    assert world.services.billing.refunds(purchase.id)[0].state is RefundState.SENT
    payment = world.found(purchase).payment
    assert len(world.stripe.get(f"/v1/refunds?payment_intent={payment}")["data"]) == 1
    assert world.services.jobs.pay_back() == 0


def test_a_refund_that_the_company_refuses_leaves_the_credit_where_it_was(world: World):
    purchase = world.buy()
    world.deliver()
    world.stripe.dispute(world.found(purchase).payment)  # we have not heard of it yet
    refund = world.services.billing.refund(world.buyer, purchase.id)
    assert (refund.state, world.balance) == (RefundState.FAILED, 10)
    assert "charged back" in refund.problem


def test_a_refund_made_elsewhere_takes_its_share_of_the_credit(world: World):
    purchase = world.buy()
    world.deliver()
    name = world.stripe.refund_elsewhere(world.found(purchase).payment, 1080)
    world.deliver()
    assert world.balance == 0
    world.stripe.fail_refund(name)
    world.deliver()
    assert world.balance == 10
    world.check()


# --- disputes ---


def test_a_dispute_takes_credit_back_below_zero_if_need_be_and_the_operator_hears_of_it(
    world: World,
):
    purchase = world.buy()
    world.deliver()
    world.use(7)
    dispute = world.stripe.dispute(world.found(purchase).payment)
    world.deliver()
    assert (world.balance, state(world, purchase)) == (-7, PurchaseState.DISPUTED)
    assert ("payment_disputed", OPERATOR) in world.letters()
    world.stripe.decide(dispute, "lost")
    world.deliver()
    assert (world.balance, state(world, purchase)) == (-7, PurchaseState.DISPUTE_LOST)
    world.check()


def test_a_dispute_that_is_won_gives_all_back(world: World):
    purchase = world.buy()
    world.deliver()
    world.use(7)
    dispute = world.stripe.dispute(world.found(purchase).payment)
    world.deliver()
    world.stripe.decide(dispute, "won")
    world.deliver()
    world.deliver()
    assert (world.balance, state(world, purchase)) == (3, PurchaseState.DISPUTE_WON)
    world.check()


def test_an_inquiry_moves_nothing(world: World):
    purchase = world.buy()
    world.deliver()
    world.stripe.dispute(world.found(purchase).payment, status="warning_needs_response")
    world.deliver()
    assert world.balance == 10


# --- topping up ---


def save_card(world: World, card: str = "pm_card_visa") -> None:
    hosted = world.services.profiles.begin_saving(world.account, world.buyer.actor, ADA)
    world.stripe.save_card(hosted.session, card)
    world.deliver()


def turn_on(world: World, *, month: int = 10_000) -> None:
    world.services.profiles.set_top_up(
        world.account,
        world.buyer.actor,
        is_on=True,
        threshold_cents=1000,
        amount_cents=2000,
        month_cents_max=month,
    )


def test_a_top_up_needs_a_card(world: World):
    with pytest.raises(BillingInvalid, match="save a card"):
        turn_on(world)


def test_below_the_threshold_credit_buys_itself_and_not_twice(world: World):
    save_card(world)
    assert world.services.profiles.saved(world.account).label == "visa 4242"
    world.buy(1200, key="first")
    world.deliver()
    turn_on(world)
    assert world.services.jobs.top_up() == 0
    world.use(3)
    assert world.services.jobs.top_up() == 1
    assert world.services.jobs.top_up() == 0
    world.deliver()
    assert world.balance == 29
    paid = world.services.billing.page(world.account)[0]
    assert (paid.amount_cents, paid.fee_cents, paid.purpose) == (2000, 110, "top_up")
    world.check()


def test_two_processes_at_once_top_up_once(database: Database, stripe: StripeServer):
    one = build_world(database, stripe)
    save_card(one)
    turn_on(one)
    two = build_world(database, stripe, account=one.account, clock=one.clock, seed=1)
    with ThreadPoolExecutor(4) as threads:
        list(
            threads.map(
                lambda world: world.services.billing.top_up(world.account), [one, two, one, two]
            )
        )
    assert one.balance == 20
    assert stripe.count("POST", "/v1/payment_intents") == 1


def test_a_top_up_whose_answer_was_lost_is_charged_once(world: World):
    save_card(world)
    turn_on(world)
    world.stripe.loses_answers = True
    assert world.services.jobs.top_up() == 0  # nobody knows
    world.stripe.loses_answers = False
    assert world.services.jobs.top_up() == 0  # one is under way
    world.clock.ms += 6 * 60_000
    world.services.jobs.look()
    assert world.balance == 20
    assert world.stripe.count("POST", "/v1/payment_intents") == 1
    world.check()


def test_a_declined_card_is_tried_ever_later_and_then_left_alone(world: World):
    save_card(world, DECLINED_CARD)
    turn_on(world)
    tried = []
    for hour in range(60):
        if world.services.jobs.top_up():
            tried.append(hour)
        world.clock.ms += HOUR_MS
    assert tried == [0, 1, 7, 31]
    assert world.balance == 0
    kinds = [kind for kind, _ in world.letters()]
    assert kinds == ["top_up_failed"] * 3 + ["top_up_stopped"]
    assert world.services.profiles.top_up(world.account).state == "stopped"


def test_the_months_ceiling_stops_it_until_the_next_month(world: World):
    save_card(world)
    turn_on(world, month=4000)
    for number in range(4):
        world.services.jobs.top_up()
        world.use(15, f"use {number}")
    bought = [one for one in world.services.billing.page(world.account) if one.purpose == "top_up"]
    assert len(bought) == 2
    assert [kind for kind, _ in world.letters()].count("top_up_ceiling") == 1
    world.clock.ms += 32 * DAY_MS
    assert world.services.jobs.top_up() == 1


def test_a_card_that_is_forgotten_is_charged_no_more(world: World):
    save_card(world)
    turn_on(world)
    world.services.profiles.forget_saved(world.account, world.buyer.actor)
    assert world.services.jobs.top_up() == 0
    assert world.services.profiles.top_up(world.account).state == "off"


# --- the end of credit ---


def test_credit_expires_only_if_so_decided_after_two_warnings(
    database: Database, stripe: StripeServer
):
    world = build_world(database, stripe, billing=Billing(credits_expire_days=365))
    world.buy()
    world.deliver()
    expiry = world.services.jobs._expiry
    for days, kinds in ((300, []), (36, ["credit_expiring"]), (24, ["credit_expiring"] * 2)):
        world.clock.ms += days * DAY_MS
        assert (expiry.work(), expiry.work()) == (0, 0)
        assert [kind for kind, _ in world.letters() if kind == "credit_expiring"] == kinds
    world.clock.ms += 6 * DAY_MS
    assert expiry.work() == 1
    assert world.balance == 0
    world.check()


def test_credit_of_a_busy_account_expires_but_for_what_its_calls_have_set_aside(
    database: Database, stripe: StripeServer
):
    world = build_world(database, stripe, billing=Billing(credits_expire_days=365))
    world.buy()
    world.deliver()
    world.clock.ms += 366 * DAY_MS
    expiry = world.services.jobs._expiry
    set_aside(world, 4 * NANO_PER_USD)
    assert (expiry.work(), expiry.work()) == (1, 0)
    assert world.balance == 4
    set_aside(world, 0)
    assert (expiry.work(), expiry.work()) == (1, 0)
    assert world.balance == 0
    world.check()


# --- all of it in the background ---


@pytest.mark.anyio
async def test_a_nudge_has_an_event_understood_at_once(database: Database, stripe: StripeServer):
    world = build_world(database, stripe)
    jobs, inbox = world.services.jobs, world.services.inbox
    loop, understood = asyncio.get_running_loop(), asyncio.Event()
    work = inbox.work

    def watched() -> int:
        count = work()
        if world.balance == 10:
            loop.call_soon_threadsafe(understood.set)
        return count

    inbox.work = watched
    running = asyncio.ensure_future(jobs.run())
    await asyncio.to_thread(world.buy)
    for event in stripe.events:
        body, signature = signed(event, at_s=world.clock.ms / 1000)
        await asyncio.to_thread(inbox.store, body, signature)
    jobs.nudge()
    async with asyncio.timeout(60):
        await understood.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("header", ["v1={v1}, t={now},t={old}", "t={now},t={old},v1={v1}"])
def test_an_old_event_is_not_made_new_by_a_second_moment(header: str):
    payments = StripePayments(
        secret_key=SECRET_KEY, webhook_secret=WEBHOOK_SECRET, installation="i", return_url="x"
    )
    now_s, old_s = 1_700_000_000, 1000
    event = {"id": "evt_1", "type": "charge.x", "data": {"object": {"object": "charge"}}}
    body, signature = signed(event, at_s=old_s)
    v1 = signature.partition("v1=")[2]
    payments.read_event(body, signature, now_s=old_s)
    with pytest.raises(EventRefused):
        payments.read_event(body, header.format(v1=v1, now=now_s, old=old_s), now_s=now_s)
