"""The whole control plane and web edge of one process, on a real database, without a socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import sqlalchemy as sa
from starlette.types import ASGIApp

from fairlead.compose.control_plane import ControlPlane, build_control_plane
from fairlead.compose.management import build_management
from fairlead.compose.people import build_people_plane
from fairlead.compose.system import SystemClock
from fairlead.compose.web_edge import build_web_edge
from fairlead.control.accounts.types import Billing
from fairlead.control.feedback.service import Feedback
from fairlead.control.feedback.types import Remark
from fairlead.control.keys.types import NewKey
from fairlead.control.people.types import Place
from fairlead.core.generation import Generation, Outcome
from fairlead.core.health import HealthBook
from fairlead.core.ids import AccountId, ProviderSlug, UserId, generation_id
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage
from fairlead.settings import Settings
from fairlead.settings.types import Database as DatabaseSettings
from fairlead.settings.types import Secret
from fairlead.store.database import DatabaseUnreadable
from fairlead.web.administration import Administration
from fairlead.web.billing import BillingEdge
from fairlead.web.operations import Operation, OperationRoute
from fairlead.web.sessions import COOKIE
from tests.shipped import SEED

ADDRESS = "198.51.100.7"
PREFIX = "/api/v1"
_Answer = TypeVar("_Answer")


class OpenProviders:
    """As if there were a credential for every provider."""

    def has(self, provider: ProviderSlug) -> bool:
        return True


@dataclass(frozen=True)
class Person:
    """Somebody with an account of their own, a key to call with, and one to manage with."""

    account: AccountId
    key: NewKey
    management: NewKey

    @property
    def user(self) -> str:
        assert self.key.key.creator is not None
        return self.key.key.creator

    @property
    def hash(self) -> str:
        return self.key.key.digest.hex()


class Stage:
    """with closing(Stage(address, tmp_path)) as stage:
    stage.newcomers()
    answer = stage.ask("GET /keys", key=stage.ada.management.secret)

    Any number of tests may use one, each with newcomers of its own: nobody sees what is another's.
    """

    ada: Person
    bob: Person

    def __init__(self, database_address: str, data: Path) -> None:
        database = DatabaseSettings()
        if "://" in database_address:
            database = DatabaseSettings(url=Secret(database_address))
        self.settings = msgspec.structs.replace(Settings(), database=database)
        self.clock = SystemClock()
        self.control: ControlPlane = build_control_plane(
            self.settings, seed=SEED, data=data, clock=self.clock
        )
        self._runner = asyncio.Runner()
        self._runner.run(self.control.catalog.start())
        self._management = build_management(self.control, clock=self.clock)
        self.people = build_people_plane(
            self.control,
            self.settings,
            clock=self.clock,
            address="http://fairlead.test",
            sweep_apps=self._management.apps.sweep,
        )
        self.app: Any = self.edge()
        self._newcomers = count()

    def edge(
        self,
        settings: Settings | None = None,
        *,
        billing: BillingEdge | None = None,
        administration: Administration | None = None,
    ) -> ASGIApp:
        """A web edge of this installation, with more than `app` has at first. settings: None: the stage's."""
        return build_web_edge(
            settings or self.settings,
            self.control,
            clock=self.clock,
            health=HealthBook(),
            credentials=OpenProviders(),
            samples=dict,
            auth=self.people.auth,
            management=self._management,
            billing=billing,
            administration=administration,
        )

    def newcomers(self) -> None:
        """Two people of whom there is nothing yet."""
        number = next(self._newcomers)
        self.ada = self.person(f"ada.{number}@example.com")
        self.bob = self.person(f"bob.{number}@example.com")

    def close(self) -> None:
        self._runner.close()
        self.control.close()

    def person(self, email: str, billing: Billing = Billing.PREPAID) -> Person:
        account = self.control.accounts.create(email=email, billing=billing).id
        keys = self.control.keys
        return Person(
            account,
            keys.create(account, name="laptop"),
            keys.create(account, name="ci", is_management=True),
        )

    def ask(
        self,
        name: str,
        *,
        key: str | None = None,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """name: as "GET /keys/{hash}"; path: what stands for its parts, sent as they are."""
        method, _, template = name.partition(" ")
        return self.send(
            method,
            PREFIX + template.format(**(path or {})),
            key=key,
            query=query,
            body=body,
            content=content,
            headers=headers,
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        key: str | None = None,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        sent = dict(headers or {})
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        if body is not None:
            sent["content-type"] = "application/json"
            content = msgspec.json.encode(body)

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(
                self.app, client=(ADDRESS, 40000), raise_app_exceptions=False
            )
            async with httpx.AsyncClient(
                transport=transport, base_url="http://fairlead.test"
            ) as one:
                return await one.request(method, url, params=query, content=content, headers=sent)

        return self._runner.run(call())

    def run(self, asking: Coroutine[Any, Any, _Answer]) -> _Answer:
        """In the event loop that everything here belongs to."""
        return self._runner.run(asking)

    def refresh_keys(self) -> None:
        """What a second of waiting does: every key in use is looked at again."""
        self._runner.run(self.control.directory.refresh())

    def signed_in(self, user: str, account: AccountId | None = None) -> dict[str, str]:
        """The headers of somebody's browser. account: that they act for; None: their own."""
        found = self.people.services.people.find(UserId(user))
        assert found is not None
        sessions = self.people.services.sessions
        with self.control.database.begin() as connection:
            new = sessions.begin(connection, found, method="link", place=Place(ADDRESS))
        if account is not None:
            sessions.choose_account(new.token, found, account)
        known = sessions.find(new.token)
        assert known is not None
        return {"cookie": f"{COOKIE}={new.token}", "x-csrf-token": known.csrf}

    def organisation(self, admin: Person, member: Person) -> AccountId:
        """What two people have in common."""
        self.execute("UPDATE users SET email_verified_ms = 1 WHERE id = :id", id=admin.user)
        who = self.people.services.people.find(UserId(admin.user))
        assert who is not None
        account = self.people.services.organisations.create(who, "Crew", Place(ADDRESS)).id
        self.execute(
            "INSERT INTO memberships (account_id, user_id, role, joined_ms)"
            " VALUES (:account, :user, 'member', 1)",
            account=account,
            user=member.user,
        )
        return account

    @contextmanager
    def without_a_database(self) -> Iterator[None]:
        """Meanwhile it does not answer."""

        async def run(*_: object, **__: object) -> None:
            raise DatabaseUnreadable("it is away")

        database = self.control.database
        database.run = run  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            del database.run

    def execute(self, statement: str, **parameters: object) -> None:
        with self.control.database.begin() as connection:
            connection.execute(sa.text(statement), parameters)

    def settle(self, person: Person, *, cost: int = 2_925_000, **changed: Any) -> Generation:
        """One finished call of somebody's key, as if it had been settled a moment ago."""
        now_s = self.clock.now_s()
        generation = Generation(
            id=generation_id(round(now_s * 1000), hash((person.account, cost))),
            account=person.account,
            key=person.key.key.id,
            created_s=now_s,
            api_type="completions",
            requested_model="o1",
            model="openai/o1",
            endpoint="openai:o1",
            provider="openai",
            price_version="ps-0",
            outcome=Outcome.COMPLETED,
            usage=Usage(prompt=90, cache_read=10, completion=20, reasoning=5),
            cost=NanoUSD(cost),
            cost_prompt=NanoUSD(cost // 2),
            cost_completion=NanoUSD(cost - cost // 2),
            streamed=True,
            attempts=(),
            workspace=person.key.key.workspace,
            user=person.key.key.creator,
        )
        generation = msgspec.structs.replace(generation, **changed)
        self.control.journal.append(generation)
        self.control.settler.settle()
        return generation

    def feedback(self, person: Person) -> list[Remark]:
        made = {"now_ms": self.clock.now_ms, "entropy": os.urandom}
        return Feedback(self.control.database, **made).page(person.account)

    def operations(self) -> list[Operation]:
        """All that are declared as operations, by the app itself."""
        mount = next(one for one in self.app.routes if getattr(one, "path", "") == PREFIX)
        return [
            operation
            for route in mount.app._app.routes  # AnyOrigin is around it
            if isinstance(route, OperationRoute)
            for method, operation in route.operations.items()
            if method == operation.method
        ]
