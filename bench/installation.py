"""An installation in this process, whose pages can be asked without a socket, with a clock that can be set.

with installed(Size(), folder) as installation:
    answer = installation.ask("/activity", Who.MEMBER)
    answer.wall_ms, answer.queries
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
import sqlalchemy as sa
import uvloop
from million import BIGGEST, END_MS, SetClock, Size, catalogue, fill, measured
from starlette.routing import BaseRoute

from fairlead.compose.administration import (
    LedgerChecker,
    ProviderChecker,
    build_administration,
)
from fairlead.compose.billing import BillingServices, billing_edge, build_billing_plane
from fairlead.compose.control_plane import ControlPlane, build_control_plane
from fairlead.compose.management import build_management
from fairlead.compose.people import PeopleServices, build_people_plane
from fairlead.compose.upstream import build_upstream
from fairlead.compose.web_edge import build_web_edge
from fairlead.control.accounts.types import Account
from fairlead.control.people.types import Place, User
from fairlead.core.ids import ProviderSlug
from fairlead.settings import Billing, Settings
from fairlead.settings.types import Database as DatabaseSettings
from fairlead.settings.types import Secret
from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, open_database
from fairlead.web.sessions import COOKIE

__all__ = ["MOMENTS", "Answer", "Installation", "Who", "installed"]

HOST: Final = "fairlead.bench"
ADDRESS: Final = f"http://{HOST}"
FILLED: Final = "filled.json"  # of what size; beside a kept database
# Longer than a page keeps an answer; and how often time passes until it is as before: a prime, so that it
# differs from when a page, or one that keeps the same answers, was asked last.
APART_MS: Final = 21_000
MOMENTS: Final = 31


class Who(StrEnum):
    """member: of the account with most calls."""

    NOBODY = "nobody"
    MEMBER = "member"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Answer:
    """own_ms: processor time of this process, in which SQLite works as well. queries: to the database.
    sent_bytes: as it travels."""

    status: int
    body: bytes
    sent_bytes: int
    wall_ms: float
    own_ms: float
    queries: int

    @property
    def text(self) -> str:
        return self.body.decode()


class _OpenProviders:
    """As if there were a credential for every provider."""

    def has(self, _provider: ProviderSlug) -> bool:
        return True


class Installation:
    """All of a gateway's pages and what is behind them. Use `installed`."""

    def __init__(
        self,
        runner: asyncio.Runner,
        control: ControlPlane,
        app: Any,
        billing: BillingServices,
        people: PeopleServices,
        clock: SetClock,
    ) -> None:
        self.control = control
        self.billing = billing
        self._runner = runner
        self._app = app
        self._people = people
        self._clock = clock
        self._queries = 0
        self._moment = 0
        sa.event.listen(control.database.engine, "before_cursor_execute", self._count)
        self._cookies = {
            Who.MEMBER: self._signed_in(self.member),
            Who.OWNER: self._signed_in(control.accounts.owner()),
        }

    @property
    def member(self) -> Account:
        found = self.control.accounts.find_by_email(BIGGEST)
        assert found is not None
        return found

    @property
    def person(self) -> User:
        """Whose account that is."""
        return self._person(self.member)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        routes: Sequence[BaseRoute] = self._app.routes
        return routes

    def ask(self, address: str, who: Who = Who.NOBODY) -> Answer:
        """As a browser does, that has seen nothing before."""
        return self._runner.run(self._ask(address, who))

    def pass_time(self) -> None:
        """So that no answer that was kept for a moment is good any more; data stays about as young as it is."""
        self._moment = (self._moment + 1) % MOMENTS
        self._clock.at_ms = END_MS + self._moment * APART_MS

    async def _ask(self, address: str, who: Who) -> Answer:
        scope = _scope(address, self._cookies.get(who))
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        queries = self._queries
        began_s, began_own_s = time.perf_counter(), time.process_time()
        await self._app(scope, receive, send)
        wall_ms = (time.perf_counter() - began_s) * 1000
        own_ms = (time.process_time() - began_own_s) * 1000
        body = b"".join(message.get("body", b"") for message in sent)
        headers = dict(sent[0]["headers"])
        is_packed = headers.get(b"content-encoding") == b"gzip"
        return Answer(
            status=sent[0]["status"],
            body=gzip.decompress(body) if is_packed else body,
            sent_bytes=len(body),
            wall_ms=wall_ms,
            own_ms=own_ms,
            queries=self._queries - queries,
        )

    def _signed_in(self, account: Account | None) -> str:
        assert account is not None
        user = self._person(account)
        with self.control.database.begin() as connection:
            new = self._people.sessions.begin(
                connection, user, method="link", place=Place("198.51.100.7", "bench")
            )
        return f"{COOKIE}={new.token}"

    def _person(self, account: Account) -> User:
        members, _ = self._people.people.members(account.id)
        found = self._people.people.find(members[0].user)
        assert found is not None
        return found

    def _count(self, *_: object) -> None:
        self._queries += 1


def _scope(address: str, cookie: str | None) -> dict[str, Any]:
    parts = urlsplit(address)
    headers = [
        (b"host", HOST.encode()),
        (b"accept", b"text/html,*/*;q=0.8"),
        (b"accept-encoding", b"gzip"),
    ]
    if cookie is not None:
        headers.append((b"cookie", cookie.encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("198.51.100.7", 40_000),
        "server": (HOST, 80),
    }


@contextmanager
def installed(
    size: Size,
    folder: Path,
    *,
    url: str | None = None,
    progress: Callable[[int], None] = lambda _calls: None,
) -> Iterator[Installation]:
    """With so much in it. folder: of its data; what was filled there before is used again.

    url: of a PostgreSQL database that is empty; None: a SQLite file in the folder.
    """
    clock = SetClock(END_MS)
    settings = msgspec.structs.replace(Settings(), billing=Billing(test_payments=True))
    if url is not None:
        settings = msgspec.structs.replace(settings, database=DatabaseSettings(url=Secret(url)))
    with closing(open_database(url or folder / DATABASE_FILE)) as database:
        if isinstance(migrate.state(database), migrate.Old):  # kept by an earlier version
            backup = migrate.upgrade(database)
            if backup is not None:
                backup.unlink()
        migrate.prepare(database)
    control = build_control_plane(settings, seed=catalogue(size.models), data=folder, clock=clock)
    with closing(control), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(control.catalog.start())
        yield runner.run(_opened(runner, settings, control, clock, size, folder, progress))


async def _opened(
    runner: asyncio.Runner,
    settings: Settings,
    control: ControlPlane,
    clock: SetClock,
    size: Size,
    folder: Path,
    progress: Callable[[int], None],
) -> Installation:
    """As compose/serving.py does, without the data plane."""
    management = build_management(control, clock=clock)
    people = build_people_plane(
        control, settings, clock=clock, address=ADDRESS, sweep_apps=management.apps.sweep
    )
    billing = build_billing_plane(
        control, settings, outbox=people.services.outbox, clock=clock, address=ADDRESS
    )
    filled = folder / FILLED
    if not filled.exists() or msgspec.json.decode(filled.read_bytes(), type=Size) != size:
        fill(control, billing, clock, size, progress=progress)
        filled.write_bytes(msgspec.json.encode(size))
    clock.at_ms = END_MS
    app = build_web_edge(
        settings,
        control,
        clock=clock,
        health=measured(control.catalog.snapshot, size, clock.now_s()),
        credentials=_OpenProviders(),
        management=management,
        samples=dict,
        auth=people.auth,
        billing=billing_edge(billing, control.ledger),
        administration=build_administration(
            control,
            people.services,
            clock=clock,
            settings=lambda: settings,
            calls_under_way=lambda: 0,
            providers=ProviderChecker(
                lambda: control.catalog.snapshot,
                lambda: settings,
                build_upstream(settings, clock),
            ),
            ledger_checks=LedgerChecker(control, clock=clock).job,
        ),
    )
    return Installation(runner, control, app, billing, people.services, clock)
