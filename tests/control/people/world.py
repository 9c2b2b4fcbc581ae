"""People plugged together as in the program, on a clock that stands until it is moved."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from fairlead.compose.people import (
    PeopleServices,
    build_mail_sender,
    build_people,
    build_sign_in,
)
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Account
from fairlead.control.audit.service import Audit
from fairlead.control.keys.service import Keys, LiveKeys
from fairlead.control.mail.jobs import MailSender
from fairlead.control.mail.types import Mail
from fairlead.control.people.passwords import HashCost
from fairlead.control.people.sign_in import SignIn
from fairlead.control.people.types import NewSession, Place
from fairlead.control.workspaces.service import Workspaces
from fairlead.core.ids import AccountId, BudgetId
from fairlead.core.money import NanoUSD
from fairlead.settings import Settings
from fairlead.store.database import Database

NOW_MS = 1_763_700_000_000
CHEAP = HashCost(memory_kib=8, passes=1)
PLACE = Place("192.0.2.7", "a test")
PASSWORD = "correct horse battery staple"
ADDRESS = "https://gate.example.com"
LINK = re.compile(rf"{ADDRESS}(/[\w-]+/)([A-Za-z0-9_-]{{43}})\n")


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def now_s(self) -> float:
        return self.ms / 1000


class Mailbox:
    """control.mail.types.Transport. problem: raised instead of taking it."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.problem: Exception | None = None

    def send(self, mail: Mail) -> None:
        if self.problem is not None:
            raise self.problem
        self.mails.append(mail)


class LimitsKept:
    """control.workspaces.types.SpendingLimits."""

    def __init__(self) -> None:
        self.limits: dict[BudgetId, tuple[int, str | None]] = {}

    def define(
        self,
        connection: sa.Connection,
        *,
        budget: BudgetId,
        account: AccountId,
        limit: NanoUSD,
        reset: str | None,
        counts_byok: bool,
    ) -> None:
        self.limits[budget] = (limit, reset)

    def remove(self, connection: sa.Connection, budget: BudgetId) -> None:
        self.limits.pop(budget, None)


@dataclass
class World:
    database: Database
    clock: Clock
    accounts: Accounts
    keys: Keys
    audit: Audit
    workspaces: Workspaces
    services: PeopleServices
    sign_in: SignIn
    sender: MailSender
    mailbox: Mailbox
    limits: LimitsKept
    welcomed: list[Account] = field(default_factory=list)
    forgotten: list[AccountId] = field(default_factory=list)

    async def mail(self) -> list[Mail]:
        """Everything that was sent since the last time."""
        while await self.sender.send_due():
            pass
        mails, self.mailbox.mails = self.mailbox.mails, []
        return mails

    async def link(self) -> str:
        """The token of the one link in the one mail that was sent."""
        (mail,) = await self.mail()
        found = LINK.search(mail.text)
        assert found is not None, mail.text
        return found[2]

    async def newcomer(self, email: str, *, password: str | None = PASSWORD) -> NewSession:
        """Somebody with a verified address."""
        await self.sign_in.ask_for_account(email, PLACE)
        return await self.sign_in.with_link(
            await self.link(), PLACE, name=email.partition("@")[0], password=password
        )


def make_world(database: Database, settings: Settings, *, cost: HashCost = CHEAP) -> World:
    clock = Clock()
    tick: Callable[[], int] = clock.now_ms
    entropy = os.urandom
    mailbox = Mailbox()
    limits = LimitsKept()
    welcomed: list[Account] = []
    forgotten: list[AccountId] = []
    accounts = Accounts(database, now_ms=tick, entropy=entropy)
    audit = Audit(database, now_ms=tick, entropy=entropy)
    workspaces = Workspaces(
        database, audit, keys=LiveKeys(now_ms=tick), limits=limits, now_ms=tick, entropy=entropy
    )
    services = build_people(
        database,
        settings,
        accounts=accounts,
        audit=audit,
        workspaces=workspaces,
        limits=limits,
        now_ms=tick,
        entropy=entropy,
        welcome=lambda _, account: welcomed.append(account),
        forget=[lambda _, account: forgotten.append(account)],
    )
    sender = build_mail_sender(database, services, settings, address=ADDRESS)
    sender._transport = mailbox
    return World(
        database=database,
        clock=clock,
        accounts=accounts,
        keys=Keys(database, now_ms=tick, entropy=entropy),
        audit=audit,
        workspaces=workspaces,
        services=services,
        sign_in=build_sign_in(
            database,
            services,
            settings,
            cache=None,
            now_ms=tick,
            entropy=entropy,
            cost=cost,
        ),
        sender=sender,
        mailbox=mailbox,
        limits=limits,
        welcomed=welcomed,
        forgotten=forgotten,
    )
