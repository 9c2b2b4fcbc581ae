"""`/credits`: bought with the fee known before, refunded by the rules, every document; for admins alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest

from fairlead.compose.billing import billing_edge, build_billing_plane
from fairlead.control.accounts.types import Billing as BillingKind
from fairlead.control.ledger.types import AddCredit, Charge, LotKind
from fairlead.core.money import NanoUSD
from fairlead.settings import Billing
from fairlead.settings.money import Stripe
from fairlead.settings.types import Secret
from tests.stripe_server import SECRET_KEY, StripeServer, stripe_server
from tests.web.management.stage import Person, Stage
from tests.web.pages.visits import HOSTILE, HTML, Visit

DOLLAR = 1_000_000_000
PAGES = ("/credits", "/credits/top-up", "/credits/invoices", "/credits/history", "/credits/buy")


class Shop:
    """The same installation, on which people can pretend to pay."""

    def __init__(self, stage: Stage, stripe: StripeServer | None = None, **billing: object) -> None:
        settings = msgspec.structs.replace(
            stage.settings, billing=Billing(test_payments=True, **billing)
        )
        if stripe is not None:
            company = Stripe(secret_key=Secret(SECRET_KEY), api_base=stripe.url)
            settings = msgspec.structs.replace(settings, stripe=company)
        self.plane = build_billing_plane(
            stage.control, settings, outbox=stage.people.services.outbox, clock=stage.clock,
            address="http://fairlead.test",
        )  # fmt: skip
        self.app = stage.edge(settings, billing=billing_edge(self.plane, stage.control.ledger))


@pytest.fixture
def shop(stage: Stage) -> Iterator[Shop]:
    before, shop = stage.app, Shop(stage)
    stage.app = shop.app
    yield shop
    stage.app = before


@pytest.fixture
def ada(stage: Stage, shop: Shop) -> Visit:
    return Visit(stage, stage.ada)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


def bought(visit: Visit, amount: str = "100", *, outcome: str = "pay") -> str:
    """The path of a purchase that was decided."""
    page = visit.get(f"/credits/buy?amount={amount}&method=card").text
    key = hidden(page, "key")
    begun = visit.post("/credits/buy", amount=amount, method="card", key=key)
    assert begun.status_code == 303, begun.text
    place = begun.headers["location"]
    assert place.startswith("/billing/test-payment/pay-")
    done = visit.post(place, outcome=outcome)
    back = done.headers["location"]
    assert back.startswith("/credits?purchase=pay-")
    return str(visit.get(back).headers["location"])


def grant(stage: Stage, person: Person, dollars: int, **more: object) -> None:
    stage.control.ledger.post(
        AddCredit(
            account=person.account,
            reference=f"grant:{person.account}",
            kind=LotKind.GRANT,
            amount=NanoUSD(dollars * DOLLAR),
            **more,  # type: ignore[arg-type]
        )
    )


def test_the_fee_is_shown_before_anything_is_paid(ada: Visit) -> None:
    page = ada.get("/credits/buy?amount=100&method=card").text
    for amount in ("$100.00", "$5.50", "$105.50"):
        assert amount in page
    part = ada.get("/credits/buy?amount=100&method=crypto", **{"hx-request": "true"}).text
    assert part.startswith('<div id="credits-quote"')
    assert "$105.00" in part
    assert "test" in page.lower()


def test_who_comes_to_buy_finds_an_amount(ada: Visit) -> None:
    page = ada.get("/credits/buy")
    assert page.status_code == 200
    assert 'value="20"' in page.text
    assert "$21.10" in page.text
    assert 'class="problem"' not in page.text


@pytest.mark.parametrize(
    ("rules", "amount"),
    [({"purchase_cents_min": 5_000}, "50"), ({"purchase_cents_max": 1_250}, "12.50")],
)
def test_the_amount_that_is_offered_can_be_bought(
    stage: Stage, rules: dict[str, int], amount: str
) -> None:
    before = stage.app
    stage.app = Shop(stage, **rules).app
    try:
        for path in ("/credits", "/credits/buy"):
            page = Visit(stage, stage.ada).get(path)
            assert page.status_code == 200
            assert f'name="amount" value="{amount}"' in page.text
            assert "Go on to pay" in page.text
    finally:
        stage.app = before


@pytest.mark.parametrize("amount", ["", "0", "4.99", "10000.01", "-5", "many", "5.001", HOSTILE])
def test_what_cannot_be_bought_is_said(ada: Visit, amount: str) -> None:
    page = ada.post("/credits/buy", amount=amount, method="card", key="k")
    assert page.status_code == 422
    assert 'class="problem"' in page.text
    assert "<img" not in page.text
    part = ada.get("/credits/buy", **{"hx-request": "true"})
    assert part.status_code == 200
    assert 'class="problem"' in part.text


def test_bought_used_and_paid_back(stage: Stage, ada: Visit) -> None:
    path = bought(ada)
    page = ada.get(path).text
    assert "Paid" in page
    assert "Refund $100.00" in page
    assert "$105.50" in ada.get("/credits").text
    stage.settle(stage.ada, cost=2 * DOLLAR)
    assert "Refund $98.00" in ada.get(path).text
    assert "the fee of $5.50 stays with us." in ada.get(f"{path}/refund").text
    assert ada.post(f"{path}/refund").headers["location"] == f"{path}?notice=refunded"
    after = ada.get(path).text
    assert "Partly refunded" in after
    assert "Nothing of this purchase is left." in after
    again = ada.post(f"{path}/refund")
    assert again.status_code == 409
    assert "It was not refunded." in again.text
    history = ada.get("/credits/history").text
    for said in ("Purchase refunded", "-$98.00", "Usage, 1 call", "-$2.00", "+$100.00"):
        assert said in history, said
    receipt = ada.get(f"{path}/receipt")
    assert receipt.headers["content-type"] == "application/pdf"
    assert receipt.content.startswith(b"%PDF")
    assert "FL-" in ada.get("/credits/invoices").text


def test_one_form_sent_twice_is_one_purchase(stage: Stage, shop: Shop, ada: Visit) -> None:
    key = hidden(ada.get("/credits").text, "key")
    for _ in range(2):
        assert ada.post("/credits/buy", amount="20", method="card", key=key).status_code == 303
    assert len(shop.plane.billing.page(stage.ada.account)) == 1


def test_a_payment_that_failed_says_so(ada: Visit) -> None:
    path = bought(ada, outcome="decline")
    page = ada.get(path).text
    assert "It was not paid." in page
    assert "Not yet" not in page
    assert 'href="/credits/buy"' in page
    assert "Refund $" not in page
    refused = ada.post(f"{path}/refund")
    assert refused.status_code == 409
    assert "has not been paid" in refused.text


def test_too_late_is_too_late(stage: Stage) -> None:
    before, shop = stage.app, Shop(stage, refund_hours=0.0)
    stage.app = shop.app
    try:
        ada = Visit(stage, stage.ada)
        path = bought(ada)
        # The clock of the ledger has moved on by a millisecond at least.
        while shop.plane.billing.refundable_cents(
            shop.plane.billing.find(stage.ada.account, path.rpartition("/")[2])  # type: ignore[arg-type]
        ):
            pass
        assert "is refunded within 0 hours" in ada.get(path).text
    finally:
        stage.app = before


def test_what_there_is_and_when_it_goes(stage: Stage, ada: Visit) -> None:
    empty = ada.get("/credits").text
    assert "There is no credit left" in empty
    assert "No purchases yet" in empty
    soon_ms = stage.clock.now_ms() + 3 * 86_400_000
    grant(stage, stage.ada, 7, expires_ms=soon_ms)
    page = ada.get("/credits").text
    assert "$7.00" in page
    assert "Soon" in page
    assert "Less than $100.00 is left." in page
    for wanted, left in (
        ({"low_balance_on": "true", "when": "own", "low_balance": "8"}, "Less than $8.00 is left."),
        ({"low_balance_on": "true", "when": "default"}, "Less than $100.00 is left."),
        ({"when": "default"}, ""),
    ):
        answer = ada.post("/settings/notifications", **wanted)
        assert answer.status_code == 303
        ada.post("/credits/details", name="", address="", tax_ids="")  # it is none of these
        page = ada.get("/credits").text
        assert (left in page) if left else ("Less than" not in page), wanted
    wrong = ada.post("/settings/notifications", low_balance_on="true", when="own", low_balance="0")
    assert wrong.status_code == 422


def test_auto_top_up_needs_a_card_and_sense(stage: Stage, shop: Shop, ada: Visit) -> None:
    fields = {"threshold": "10", "amount": "20", "monthly_max": "100", "enabled": "true"}
    refused = ada.post("/credits/top-up", **fields)
    assert refused.status_code == 422
    assert "Save a card first." in refused.text
    assert ada.post("/credits/card").headers["location"] == "/credits/top-up?notice=card-saved"
    for wrong, words in (
        ({"monthly_max": "19"}, "at least one top-up"),
        ({"threshold": "0"}, "above $0"),
        ({"amount": "lots"}, "an amount in dollars"),
    ):
        page = ada.post("/credits/top-up", **fields | wrong)
        assert page.status_code == 422
        assert words in page.text
    assert ada.post("/credits/top-up", **fields).status_code == 303
    assert shop.plane.profiles.top_up(stage.ada.account).state.value == "on"
    assert "Charges test card." in ada.get("/credits/top-up").text
    ada.post("/credits/card/forget")
    assert shop.plane.profiles.top_up(stage.ada.account).state.value == "off"


def test_who_pays_afterwards_has_invoices(stage: Stage, shop: Shop) -> None:
    late = stage.person(f"late.{stage.ada.account}@example.com", BillingKind.POSTPAID)
    stage.control.ledger.post(
        Charge(
            account=late.account,
            reference=f"usage:gen-{late.account}",
            amount=NanoUSD(12 * DOLLAR),
            generations_count=3,
        )
    )
    assert shop.plane.documents.issue_monthly() >= 1
    visit = Visit(stage, late)
    page = visit.get("/credits").text
    assert "This account pays afterwards" in page
    assert "$12.00 is open" in page
    assert "Buy credits" not in page
    invoices = visit.get("/credits/invoices").text
    number = re.search(r"/credits/documents/(\d+)/pay", invoices)
    assert number is not None
    paying = visit.post(f"/credits/documents/{number[1]}/pay", method="card")
    visit.post(paying.headers["location"], outcome="pay")
    assert "/pay" not in visit.get("/credits/invoices").text
    assert "is open" not in visit.get("/credits").text


def test_what_is_on_documents_is_theirs_to_say(stage: Stage, ada: Visit) -> None:
    details = {"name": HOSTILE, "address": "Street 1\nTown", "tax_ids": "DE 123"}
    assert ada.post("/credits/details", **details).status_code == 303
    page = ada.get("/credits/invoices").text
    assert "<img" not in page
    assert "Street 1" in page
    refused = ada.post("/credits/details", **details | {"tax_ids": "<x>"})
    assert refused.status_code == 422
    assert "A tax id has letters" in refused.text
    bought(ada)
    (number,) = set(re.findall(r'/credits/documents/(\d+)"', ada.get("/credits/invoices").text))
    assert ada.get(f"/credits/documents/{number}").content.startswith(b"%PDF")


def test_what_is_another_accounts_is_not_there(stage: Stage, ada: Visit) -> None:
    bob = Visit(stage, stage.bob)
    path = bought(ada)
    paying = f"/billing/test-payment/{path.rpartition('/')[2]}"
    assert "No money moves." in ada.get(paying).text
    (number,) = set(re.findall(r'/credits/documents/(\d+)"', ada.get("/credits/invoices").text))
    for answer in (
        bob.get(path),
        bob.get(f"{path}/receipt"),
        bob.get(f"{path}/refund"),
        bob.post(f"{path}/refund"),
        bob.post(f"{path}/look"),
        bob.get(paying),
        bob.post(paying, outcome="pay"),
        bob.get(f"/credits/documents/{number}"),
        bob.post(f"/credits/documents/{number}/pay", method="card"),
        bob.get("/credits/purchases/pay-nothing"),
        bob.get("/credits/purchases/..%2f..%2fadmin"),
        bob.get("/credits?purchase=//evil.example"),
        bob.get("/credits?before=x"),
        bob.get("/credits/documents/x"),
        bob.get("/credits/history?before=x"),
    ):
        assert answer.status_code == 404, answer.request.url


def test_members_and_other_sites_move_no_money(stage: Stage, ada: Visit) -> None:
    path = bought(ada)
    posts = (
        f"/billing/test-payment/{path.rpartition('/')[2]}",
        "/credits/buy",
        f"{path}/refund",
        "/credits/top-up",
        "/credits/card",
        "/credits/details",
    )
    for target in posts:
        assert ada.post(target, csrf="guessed", amount="20", method="card").status_code == 403
    assert "Refund $100.00" in ada.get(path).text
    account = stage.organisation(stage.ada, stage.bob)
    member = Visit(stage, stage.bob, account)
    for page in PAGES:
        assert member.get(page).status_code == 403
    for target in ("/credits/buy", "/credits/top-up", "/credits/card"):
        assert member.post(target, amount="20", method="card").status_code == 403
    for page in PAGES:
        answer = stage.send("GET", page, headers=HTML)
        assert answer.headers["location"] == f"/sign-in?next={page}"


def test_where_nothing_can_be_bought_the_page_says_so(stage: Stage) -> None:
    before = stage.app
    shop = Shop(stage)
    plane = build_billing_plane(
        stage.control, stage.settings, outbox=stage.people.services.outbox, clock=stage.clock,
        address="http://fairlead.test",
    )  # fmt: skip
    assert plane.payments is None
    stage.app = stage.edge(billing=billing_edge(plane, stage.control.ledger))
    try:
        ada = Visit(stage, stage.ada)
        for page in ("/credits", "/credits/top-up", "/credits/buy"):
            answer = ada.get(page)
            assert answer.status_code == 200
            assert "Nothing can be bought here" in answer.text
            assert "Fees: ." not in answer.text
        assert ada.post("/credits/buy", amount="20", method="card", key="k").status_code == 422
        assert shop.plane.billing.page(stage.ada.account) == []
    finally:
        stage.app = before


def test_a_payment_company_has_its_own_page_and_the_policy_lets_people_there(stage: Stage) -> None:
    before = stage.app
    with stripe_server() as stripe:
        shop = Shop(stage, stripe)
        stage.app = shop.app
        try:
            ada = Visit(stage, stage.ada)
            page = ada.get("/credits/buy?amount=20&method=card")
            policy = page.headers["content-security-policy"]
            assert policy.endswith("form-action 'self' https://checkout.stripe.com")
            assert "test" not in re.sub(r"<[^>]*>", "", page.text).lower()
            key = hidden(page.text, "key")
            begun = ada.post("/credits/buy", amount="20", method="card", key=key)
            (purchase,) = shop.plane.billing.page(stage.ada.account)
            assert begun.status_code == 303
            place = f"/credits/purchases/{purchase.id}"
            # Where the policy does not let a form lead, a link does.
            assert begun.headers["location"] == f"/credits/purchases/{purchase.id}"
            waiting = ada.get(place).text
            assert "We have not heard of a payment yet." in waiting
            assert f'href="{purchase.url}"' in waiting
            assert ada.post(f"{place}/look").headers["location"] == place
            company = shop.plane.payments
            assert company is not None
            company.pages_at = ("https://checkout.example",)  # type: ignore[misc]
            begun = ada.post("/credits/buy", amount="30", method="card", key="another")
            assert begun.headers["location"].startswith("https://checkout.example/cs_")
        finally:
            stage.app = before
