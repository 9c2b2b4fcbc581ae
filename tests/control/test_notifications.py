"""Whom accounts are written to, as they choose; a message to try it; and that models end which they use."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.mail.outbox import Outbox
from fairlead.control.notifications.endings import KEPT_MS, EndingModels, forget_old
from fairlead.control.notifications.service import TEST_EVERY_MS, Notifications, addresses
from fairlead.control.notifications.types import (
    PEOPLE_MAX,
    USUAL,
    Kind,
    NotificationInvalid,
    TooSoon,
    Wanted,
)
from fairlead.control.usage.types import Level
from fairlead.core.ids import AccountId, UserId
from fairlead.store.database import Database
from fairlead.store.tables.notifications import ending_notices
from fairlead.store.tables.people import mails, memberships
from fairlead.store.tables.usage import MEASURES, usage_days, usage_series

NOW_MS = 1_795_219_200_000  # 2026-11-21
DAY_MS = 86_400_000
ADA, BOB, EVE = (f"{name}@example.com" for name in ("ada", "bob", "eve"))
BY_ADA = Actor("user-ada")


class World:
    """Ada's account, to which Bob belongs as well, as if it were an organisation; and Eve, who does not."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = NOW_MS
        made = {"now_ms": lambda: self.now_ms, "entropy": os.urandom}
        self.outbox = Outbox(database, **made)
        self.notifications = Notifications(
            database, self.outbox, Audit(database, **made), now_ms=lambda: self.now_ms
        )
        accounts = Accounts(database, **made)
        self.people: dict[str, UserId] = {}
        for email in (ADA, BOB, EVE):
            with database.begin() as connection:
                founded = accounts.create_within(connection, email=email, billing=Billing.PREPAID)
            assert founded.user is not None
            self.people[email] = founded.user
            if email == ADA:
                self.account = founded.account.id
        self.belongs(BOB)

    def belongs(self, email: str) -> None:
        with self.database.begin() as connection:
            connection.execute(
                sa.insert(memberships).values(
                    account_id=self.account,
                    user_id=self.people[email],
                    role="member",
                    joined_ms=0,
                )
            )

    def leaves(self, email: str) -> None:
        with self.database.begin() as connection:
            connection.execute(
                sa.delete(memberships).where(memberships.c.user_id == self.people[email])
            )

    def choose(
        self, kind: Kind, *people: str, on: bool = True, admins: bool = False, owner: bool = False
    ) -> None:
        wanted = {kind: Wanted(on, to_admins=admins, to_owner=owner, people=people)}
        self.notifications.choose(self.account, wanted, actor=BY_ADA)

    def told(self, kind: Kind, *, owner: str | None = None) -> list[str]:
        made_by = None if owner is None else self.people[owner]
        with self.database.read() as connection:
            return addresses(connection, self.account, kind, owner=made_by)

    def letters(self) -> list[tuple[str, str]]:
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(mails.c.kind, mails.c.recipient).order_by(mails.c.id)
            )
            return [(row.kind, row.recipient) for row in rows]

    def used(self, model: str, *, days_ago: int, account: AccountId | None = None) -> None:
        whose, number = account or self.account, hash((account, model)) & 0xFFFF
        with self.database.begin() as connection:
            connection.execute(
                sa.insert(usage_series).values(
                    id=number, account_id=whose, level=Level.MODEL, workspace_id="", key_id="",
                    user_id="", model=model, endpoint="", provider="", api_type="", is_byok=False,
                    app_id=0,
                )
            )  # fmt: skip
            connection.execute(
                sa.insert(usage_days).values(
                    account_id=whose,
                    level=Level.MODEL,
                    start_ms=self.now_ms - days_ago * DAY_MS,
                    series_id=number,
                    **dict.fromkeys(MEASURES, 1),
                )
            )

    def endings(self, **days: str) -> EndingModels:
        ending = {f"acme/{name}": day for name, day in days.items()}
        return EndingModels(self.database, self.outbox, lambda: ending, now_ms=lambda: self.now_ms)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_who_has_chosen_nothing_is_written_to_as_usual(world: World) -> None:
    assert world.notifications.rules(world.account) == USUAL
    assert world.told(Kind.LOW_BALANCE) == [ADA]
    assert world.told(Kind.KEY_LIMIT, owner=BOB) == [BOB]
    # A key of nobody, or of somebody who left: whoever answers for the account.
    assert world.told(Kind.KEY_LIMIT) == world.told(Kind.KEY_LIMIT, owner=EVE) == [ADA]


def test_an_account_chooses_whom_and_about_what(world: World) -> None:
    world.choose(Kind.LOW_BALANCE, f" {BOB.upper()}", world.people[ADA], BOB)
    assert world.told(Kind.LOW_BALANCE) == [ADA, BOB]
    world.choose(Kind.KEY_LIMIT, admins=True, owner=True)
    assert world.told(Kind.KEY_LIMIT, owner=BOB) == [ADA, BOB]
    world.choose(Kind.KEY_LIMIT, on=False)
    assert world.told(Kind.KEY_LIMIT, owner=BOB) == []
    assert world.told(Kind.WORKSPACE_BUDGET) == [ADA]
    world.choose(Kind.LOW_BALANCE, BOB)
    world.leaves(BOB)
    assert world.told(Kind.LOW_BALANCE) == [ADA]


def test_of_who_was_chosen_those_are_told_who_belong_to_it_still(world: World) -> None:
    ada, bob, eve = (world.people[one] for one in (ADA, BOB, EVE))
    known = world.notifications.members
    assert known(world.account, (ada, bob, eve)) == {ada: ADA, bob: BOB}
    world.leaves(BOB)
    assert known(world.account, (ada, bob, eve)) == {ada: ADA}
    assert known(world.account, ()) == {}


def test_only_members_are_named_and_somebody_must_be(world: World) -> None:
    for people in ((EVE,), ("nobody@example.com",), (), (BOB, EVE)):
        with pytest.raises(NotificationInvalid) as refused:
            world.choose(Kind.MODEL_ENDING, *people)
        assert refused.value.kind is Kind.MODEL_ENDING
    with pytest.raises(NotificationInvalid, match="At most"):
        world.choose(
            Kind.MODEL_ENDING, *(f"m{number}@example.com" for number in range(PEOPLE_MAX + 1))
        )
    assert world.notifications.rules(world.account) == USUAL


def test_a_test_message_goes_out_once_in_a_minute(world: World) -> None:
    world.notifications.test(ADA)
    with pytest.raises(TooSoon):
        world.notifications.test(ADA)
    world.notifications.test(BOB)
    world.now_ms += TEST_EVERY_MS + 1
    world.notifications.test(ADA)
    assert sorted(recipient for _, recipient in world.letters()) == [ADA, ADA, BOB]


def test_that_a_model_ends_is_told_once_to_those_who_use_it(world: World) -> None:
    world.used("acme/one", days_ago=29)
    world.used("acme/old", days_ago=31)
    world.used("acme/gone", days_ago=1)
    world.used("acme/lasting", days_ago=1)
    endings = world.endings(
        one="2026-11-21", old="2026-12-24", gone="2026-11-20", unused="2027-01-01"
    )
    assert [endings.work(), endings.work()] == [1, 0]
    assert world.letters() == [("model_ending", ADA)]
    world.choose(Kind.MODEL_ENDING, on=False)
    assert world.endings(lasting="2027-01-01").work() == 0
    assert world.endings().work() == 0


def test_that_it_was_told_is_forgotten_a_year_later_unless_the_end_is_still_to_come(
    world: World,
) -> None:
    for model in ("acme/one", "acme/late"):
        world.used(model, days_ago=1)
    ending = {"acme/one": "2026-12-24", "acme/late": "2028-01-01"}

    def forget() -> int:
        return forget_old(world.database, lambda: ending, now_ms=lambda: world.now_ms)

    assert world.endings(one=ending["acme/one"], late=ending["acme/late"]).work() == 2
    world.now_ms += KEPT_MS
    assert forget() == 0
    world.now_ms += 1
    assert [forget(), forget()] == [1, 0]
    with world.database.read() as connection:
        assert connection.scalars(sa.select(ending_notices.c.model)).all() == ["acme/late"]


def test_of_two_processes_that_find_the_same_one_tells(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(world.account, "acme/one")]
    monkeypatch.setattr("fairlead.control.notifications.endings._untold", lambda *_: found)
    assert [world.endings(one="2027-01-01").work() for _ in range(2)] == [1, 0]
    assert world.letters() == [("model_ending", ADA)]


def test_accounts_are_read_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.control.notifications.endings.READ_AT_ONCE", 1)
    world.used("acme/one", days_ago=1)
    with world.database.read() as connection:
        every = connection.scalars(
            sa.text("SELECT account_id FROM users ORDER BY account_id")
        ).all()
    for account in every:
        if account != world.account:
            world.used("acme/one", days_ago=1, account=AccountId(account))
    assert world.endings(one="2027-01-01").work() == len(every)
    assert sorted(recipient for _, recipient in world.letters()) == [ADA, BOB, EVE]
