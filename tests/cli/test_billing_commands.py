"""Purchases from the shell: listed, refunded by the same rules, compared with the company."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fairlead.control.billing.types import Method
from fairlead.store.database import DATABASE_FILE, open_database
from tests.cli.conftest import Ended
from tests.control.billing.world import ADA, build_world

Call = Callable[..., Ended]


@pytest.fixture
def data(installed: Path) -> Path:
    """The data directory, with a database."""
    (installed / "fairlead.toml").write_text("[billing]\ntest_payments = true\n")
    return installed


def test_a_purchase_is_listed_and_paid_back_once(fairlead: Call, data: Path) -> None:
    with closing(open_database(data / DATABASE_FILE)) as database:
        world = build_world(database, None)
        billing = world.services.billing
        bought = billing.start(world.buyer, amount_cents=1000, method=Method.CARD, key="1")
        open_one = billing.start(world.buyer, amount_cents=500, method=Method.CARD, key="2")
        billing.apply(world.services.payments.decide(bought, is_paid=True))
    listed = msgspec.json.decode(fairlead("billing", "list", ADA, "--json").out)
    assert [(one["id"], one["state"], one["amount"], one["fee"]) for one in listed] == [
        (open_one.id, "created", "$5.00", "$0.80"),
        (bought.id, "paid", "$10.00", "$0.80"),
    ]
    done = fairlead("billing", "refund", bought.id)
    assert (done.code, done.out) == (0, "$10.00\n")
    again = fairlead("billing", "refund", bought.id)
    assert (again.code, again.out) == (2, "")
    assert "nothing of this purchase is left" in again.err
    assert fairlead("billing", "refund", open_one.id).code == 2
    assert fairlead("billing", "refund", "pay-none").code == 2
    assert fairlead("ledger", "check").code == 0


def test_a_payment_that_nobody_told_of_is_found_by_looking(fairlead: Call, data: Path) -> None:
    with closing(open_database(data / DATABASE_FILE)) as database:
        world = build_world(database, None)
        purchase = world.services.billing.start(
            world.buyer, amount_cents=1000, method=Method.CARD, key="1"
        )
        world.services.payments.decide(purchase, is_paid=True)
    found = fairlead("billing", "sync")
    assert found.out == f"{purchase.id} created paid\n"
    assert fairlead("billing", "sync").out == ""
    assert fairlead("credits", "show", ADA).out.splitlines()[0] == "10"


def test_an_invoice_that_is_none_cannot_be_closed(fairlead: Call, data: Path) -> None:
    assert fairlead("billing", "paid", "1").code == 2
    with closing(sqlite3.connect(data / DATABASE_FILE)) as connection:
        assert connection.execute("SELECT count(*) FROM ledger_entries").fetchone() == (0,)
