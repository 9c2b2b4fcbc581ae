"""What the operator sees of all accounts, on both databases; the ledger's check as work of a server."""

from __future__ import annotations

import os
from itertools import count

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Account, Billing
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import OPERATOR
from fairlead.control.billing import queries as billing_queries
from fairlead.control.billing.types import (
    Facts,
    Method,
    Purchase,
    PurchaseId,
    Purpose,
    Refund,
    RefundId,
    RefundState,
)
from fairlead.control.ledger.check_job import LOST_AFTER_MS, LedgerCheckJob
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AlreadyDone, Posted
from fairlead.control.oversight.service import Oversight
from fairlead.control.oversight.types import GrantRefused
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.tables.ledger import lots
from fairlead.store.tables.payments import payment_events

NOW_MS = 1_795_219_200_000
FIVE = NanoUSD(5_000_000_000)


def now_ms() -> int:
    return NOW_MS


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, now_ms=count(NOW_MS).__next__, entropy=os.urandom)


@pytest.fixture
def audit(database: Database) -> Audit:
    return Audit(database, now_ms=now_ms, entropy=os.urandom)


@pytest.fixture
def oversight(database: Database, audit: Audit) -> Oversight:
    ledger = Ledger(database, now_ms=now_ms)
    return Oversight(database, ledger=ledger, audit=audit, now_ms=now_ms)


def person(accounts: Accounts, name: str) -> Account:
    return accounts.create(email=f"{name}@example.com", billing=Billing.PREPAID, name=name)


def test_accounts_are_found_by_what_they_are_called(
    accounts: Accounts, oversight: Oversight
) -> None:
    ada, percent = person(accounts, "Ada"), person(accounts, "100%_sure")
    accounts.ensure_owner()
    assert [one.account.id for one in oversight.accounts()][1:] == [percent.id, ada.id]
    assert [one.account.id for one in oversight.accounts("ADA")] == [ada.id]
    assert [one.account.id for one in oversight.accounts("%_")] == [percent.id]
    assert [one.account.id for one in oversight.accounts(ada.id)] == [ada.id]
    assert [one.account.id for one in oversight.accounts(offset=1, limit=1)] == [percent.id]
    assert oversight.names([ada.id, "nobody"]) == {ada.id: "ada@example.com"}


def test_a_grant_is_given_once_and_never_without_its_line_in_the_log(
    accounts: Accounts, oversight: Oversight, audit: Audit
) -> None:
    ada = person(accounts, "ada").id
    given = [
        oversight.grant(ada, FIVE, reason=" an  outage ", reference="one", actor=OPERATOR)
        for _ in range(2)
    ]
    assert isinstance(given[0], Posted)
    assert isinstance(given[1], AlreadyDone)
    (entry,) = audit.page(ada)
    assert (entry.action, entry.details) == (
        "credits.grant", {"amount_usd": "5", "reason": "an outage"},
    )  # fmt: skip
    assert audit.page_of_all(action="credits", account=ada, actor="operator") == [entry]
    assert not audit.page_of_all(action="credit")
    (figures,) = oversight.accounts(ada)
    assert figures.balance == FIVE
    counts = oversight.counts()
    assert (counts.accounts, counts.balance, counts.debt) == (1, FIVE, 0)
    with pytest.raises(GrantRefused):
        oversight.grant(ada, NanoUSD(1), reason="other", reference="one", actor=OPERATOR)
    with pytest.raises(GrantRefused):
        oversight.grant(ada, NanoUSD(0), reason="none", reference="two", actor=OPERATOR)


def test_payments_of_all_accounts_are_listed(database: Database, oversight: Oversight) -> None:
    made = [
        Purchase(
            PurchaseId(f"pay-{number}"), AccountId("acc"), Purpose.CREDIT, Method.CARD, "test",
            1000, 80, NOW_MS + number,
            facts=Facts(paid_cents=paid, currency="usd", paid_ms=NOW_MS),
        )
        for number, paid in enumerate((1080, None, 7))
    ]  # fmt: skip
    refund = Refund(
        RefundId("back-1"), made[0].id, AccountId("acc"), 500, RefundState.FAILED, NOW_MS, "p"
    )
    with database.begin() as connection:
        for one in made:
            billing_queries.insert_purchase(connection, one)
        billing_queries.insert_refund(connection, refund, due_ms=None)
        connection.execute(
            sa.insert(payment_events).values(
                id="evt", company="test", kind="charge.paid", body="{}", received_ms=NOW_MS,
                attempts=1, outcome="", due_ms=NOW_MS,
            )
        )  # fmt: skip
    assert [one.id for one in oversight.purchases()] == ["pay-2", "pay-1", "pay-0"]
    assert [one.id for one in oversight.purchases(["paid"])] == ["pay-0"]
    assert oversight.refunds() == [refund]
    (event,) = oversight.events()
    assert (event.kind, event.is_waiting) == ("charge.paid", True)
    troubles = oversight.troubles()
    assert (troubles.strange, troubles.refunds, troubles.events) == (1, 1, 1)
    assert oversight.counts().purchased == 10_000_000_000


class Clock:
    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def test_a_check_runs_alone_and_its_result_stays(
    database: Database, accounts: Accounts, oversight: Oversight
) -> None:
    ada = person(accounts, "ada").id
    oversight.grant(ada, FIVE, reason="a", reference="one", actor=OPERATOR)
    clock, begun = Clock(), []
    job = LedgerCheckJob(database, now_ms=clock, start=lambda: begun.append(True))
    other = LedgerCheckJob(database, now_ms=clock, start=lambda: begun.append(False))
    assert job.standing() is None
    job.run()  # nobody asked
    assert job.standing() is None
    assert job.begin()
    assert not other.begin()
    assert begun == [True]
    job.run()
    found = other.standing()
    assert found is not None
    assert (found.total, found.findings_count, found.problem) == (1, 0, "")
    assert found.anchor.startswith("1:")
    assert not found.is_running(clock())


def test_damage_is_found_and_a_lost_check_may_be_begun_again(
    database: Database, accounts: Accounts, oversight: Oversight
) -> None:
    ada = person(accounts, "ada").id
    oversight.grant(ada, FIVE, reason="a", reference="one", actor=OPERATOR)
    with database.begin() as connection:
        connection.execute(sa.update(lots).values(remaining_nano=1))
    clock = Clock()
    job = LedgerCheckJob(database, now_ms=clock, start=lambda: None)
    assert job.begin()
    clock.now_ms += LOST_AFTER_MS
    assert job.begin()
    job.run()
    found = job.standing()
    assert found is not None
    assert found.findings_count == len(found.findings) > 0


def test_a_check_ends_when_its_server_stops(
    database: Database, accounts: Accounts, oversight: Oversight
) -> None:
    oversight.grant(person(accounts, "ada").id, FIVE, reason="a", reference="one", actor=OPERATOR)
    job = LedgerCheckJob(database, now_ms=now_ms, start=lambda: None)
    assert job.begin()
    job.stop()
    job.run()
    found = job.standing()
    assert found is not None
    assert "stopped" in found.problem
