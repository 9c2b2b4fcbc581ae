"""Receipts and invoices: numbers without gaps, everything on the page, the same bytes each time."""

from __future__ import annotations

import io

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from fairlead.control.audit.types import Actor
from fairlead.control.billing.documents import Document, Line, Seller
from fairlead.control.billing.drawing import drawn
from fairlead.control.billing.types import Method, NotFoundHere
from fairlead.control.ledger.types import Charge, Posted
from fairlead.core.ids import AccountId
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.settings import Billing
from fairlead.store.database import Database
from tests.control.billing.world import DAY_MS, World, build_world

SELLER = Billing(
    test_payments=True,
    seller_name="Gate Inc.",
    seller_address="1 Way\n12345 Town",
    seller_tax_ids="DE123456789\nUS-99",
    tax_note="Reverse charge: VAT is due by the recipient.",
    invoice_prefix="G-",
)
LONG = "Wolfeschlegelsteinhausenbergerdorff " * 5


@pytest.fixture
def world(database: Database) -> World:
    return build_world(database, None, billing=SELLER)


def pay(world: World, key: str = "1") -> str:
    billing = world.services.billing
    purchase = billing.start(world.buyer, amount_cents=1000, method=Method.CARD, key=key)
    billing.apply(world.services.payments.decide(purchase, is_paid=True))
    return purchase.id


def words(pdf: bytes) -> str:
    return " ".join(
        " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split()
    )


def test_a_receipt_says_who_bought_what_from_whom(world: World):
    world.services.profiles.describe(
        world.account,
        Actor("user-ada"),
        name=LONG,
        address="Some Street 1\nÅrhus",
        tax_ids=("DK12345678", "FI 87654321"),
        low_balance_cents=None,
    )
    issued = world.services.documents.receipt(world.account, pay(world))
    text = words(drawn(issued.document))
    for part in (
        "Receipt G-000001",
        "Gate Inc.",
        "12345 Town",
        "Tax ID: DE123456789",
        "Tax ID: US-99",
        LONG.split(maxsplit=1)[0],
        "Århus",
        "Tax ID: DK12345678",
        "Tax ID: FI 87654321",
        "Credits $10.00",
        "Fee (card) $0.80",
        "Total (USD) $10.80",
        "Reverse charge",
        "NO MONEY HAS MOVED",
        issued.purchase,
    ):
        assert part in text, part
    assert text.count(LONG.split(maxsplit=1)[0]) == 5


def test_the_same_document_is_always_the_same_bytes(world: World):
    name = pay(world)
    one = world.services.documents.receipt(world.account, name).document
    world.clock.ms += DAY_MS
    world.services.profiles.describe(
        world.account,
        Actor("user-ada"),
        name="Other",
        address="",
        tax_ids=(),
        low_balance_cents=None,
    )
    other = world.services.documents.receipt(world.account, name).document
    assert one == other
    assert drawn(one) == drawn(other)


def test_numbers_have_no_gaps_even_where_a_purchase_came_to_nothing(world: World):
    for number in range(5):
        pay(world, str(number))
        billing = world.services.billing
        purchase = billing.start(
            world.buyer, amount_cents=500, method=Method.CARD, key=f"no{number}"
        )
        billing.apply(world.services.payments.decide(purchase, is_paid=False))
    assert [one.number for one in world.services.documents.page(world.account)] == [5, 4, 3, 2, 1]


def test_nobody_sees_anothers_receipt(world: World):
    name = pay(world)
    with pytest.raises(NotFoundHere):
        world.services.documents.receipt(AccountId("acc-other"), name)
    with pytest.raises(NotFoundHere):
        world.services.documents.find(AccountId("acc-other"), 1)


@pytest.mark.parametrize("name", ["李雷", "Łódź", "name\twith\ttabs", "a" * 300, "🦊", ""])
def test_any_name_can_be_written(name: str):
    document = Document(
        number="FL-1",
        kind="invoice",
        issued_ms=0,
        seller=Seller(),
        buyer_name=name,
        buyer_address="",
        buyer_tax_ids=(),
        lines=(Line("Usage", 1),),
    )
    assert "Total (USD) $0.01" in words(drawn(document))


# --- invoices ---


def owe(world: World, dollars: int, reference: str = "use") -> None:
    command = Charge(
        account=world.account,
        reference=reference,
        amount=NanoUSD(dollars * NANO_PER_USD),
        generations_count=1,
    )
    assert isinstance(world.ledger.post(command), Posted)


@pytest.fixture
def postpaid(world: World) -> World:
    with world.database.begin() as connection:
        connection.execute(
            sa.text("UPDATE accounts SET billing = 'postpaid' WHERE id = :id"),
            {"id": world.account},
        )
    return world


def test_a_postpaid_account_gets_one_invoice_a_month_of_what_it_owes(postpaid: World):
    documents = postpaid.services.documents
    assert documents.issue_monthly() == 0
    owe(postpaid, 30)
    assert (documents.issue_monthly(), documents.issue_monthly()) == (1, 0)
    postpaid.clock.ms += 32 * DAY_MS
    assert documents.issue_monthly() == 0  # nothing new
    owe(postpaid, 5, "more")
    assert documents.issue_monthly() == 1
    assert [one.total_cents for one in documents.page(postpaid.account)] == [500, 3000]
    assert [kind for kind, _ in postpaid.letters()] == ["invoice_ready"] * 2


def test_an_invoice_is_paid_once_through_the_company(postpaid: World):
    owe(postpaid, 30)
    postpaid.services.documents.issue_monthly()
    billing = postpaid.services.billing
    purchase = billing.pay_invoice(postpaid.buyer, 1, method=Method.CARD)
    assert (purchase.amount_cents, purchase.fee_cents) == (3000, 165)
    billing.apply(postpaid.services.payments.decide(purchase, is_paid=True))
    assert postpaid.balance == 0
    with pytest.raises(NotFoundHere):
        billing.pay_invoice(postpaid.buyer, 1, method=Method.CARD)
    assert postpaid.services.documents.find(postpaid.account, 1).paid_ms is not None
    postpaid.check()


def test_the_operator_may_say_that_an_invoice_was_paid_otherwise(postpaid: World):
    owe(postpaid, 30)
    postpaid.services.documents.issue_monthly()
    for _ in range(2):
        assert postpaid.services.documents.mark_paid(1).paid_ms is not None
    assert postpaid.balance == 0
    with pytest.raises(NotFoundHere):
        postpaid.services.documents.mark_paid(2)
    postpaid.check()
