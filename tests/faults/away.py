"""One outage of a database under load, from before it to the comparison of the books.

killed  the server's processes die without a word, and are started again
hung    they stop where they are: it accepts connections, and answers nobody
cut     the server is well, and others use it; the gateway does not reach it
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from fairlead.store.postgresql import SILENCE_MAX_S
from tests.faults.bank import Bank, Customer, bank, usd
from tests.faults.crowd import Answer, Crowd, figures, get
from tests.postgres_server import PostgresServer, postgres_server

__all__ = ["KINDS", "SPENDING_UNKNOWN", "Outcome", "check", "outage", "until"]

KINDS = ("killed", "hung", "cut")
PARALLEL = 4  # lines of calls for each customer
WARM_CALLS = 10  # of each line, before the outage
AWAY_CALLS_MIN = 10  # of each line of the customer whom nothing limits
PAUSE_S = 0.2  # between the calls of a line that was refused
LOOK_S = 0.05
PATIENCE_S = 60.0
MEMORY_BYTES_MAX = 100 << 20  # that the server may grow by meanwhile
SPENDING_UNKNOWN = "What may still be spent cannot be checked at the moment."
KEY_UNKNOWN = "API keys cannot be checked at the moment."


@dataclass
class Outcome:
    """In dollars and seconds. exposure: what the server said could still be spent of what is limited."""

    away_s: float = 0.0
    answered: int = 0
    refused: int = 0
    exposure_usd: float = 0.0
    spent_usd: float = 0.0
    back_s: float = 0.0
    grown_bytes: int = 0

    def __str__(self) -> str:
        return (
            f"away for {self.away_s:.1f} s: {self.answered} calls answered, {self.refused} told 503;"
            f" ${self.spent_usd:.6f} spent of an exposure of ${self.exposure_usd:.6f};"
            f" everybody was served again {self.back_s:.2f} s after it was back;"
            f" {self.grown_bytes / 2**20:.1f} MB grown"
        )


def outage(directory: Path, kind: str, *, away_s: float = 0.0) -> Outcome:
    """Fails if anything is not as it should be. away_s: it lasts so long at least."""
    with postgres_server(is_durable=True, is_synced=False) as server:
        address = server.create("bank")
        fault = _Fault(server, kind)
        with bank(directory, address, served_from=fault.address("bank")) as made:
            return asyncio.run(_Outage(made, fault, away_s).run())


class _Fault:
    """The gateway finds the server through a door of its own; the tests go to the server itself."""

    def __init__(self, server: PostgresServer, kind: str) -> None:
        self.server = server
        self.kind = kind
        self._door = server.directory / "door"
        self._door.symlink_to(server.directory)

    def address(self, database: str) -> str:
        return self.server.url(database).replace(str(self.server.directory), str(self._door))

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self._begin()
        try:
            yield
        finally:
            self._end()

    def _begin(self) -> None:
        match self.kind:
            case "killed":
                self.server.kill()
            case "hung":
                self.server.freeze()
            case _:
                self._door.unlink()
                with closing(self.server.admin()) as admin:
                    admin.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'fairlead'"
                    )

    def _end(self) -> None:
        match self.kind:
            case "killed":
                self.server.start()
            case "hung":
                self.server.thaw()
            case _:
                self._door.symlink_to(self.server.directory)


class _Outage:
    def __init__(self, bank: Bank, fault: _Fault, away_s: float) -> None:
        self.bank = bank
        self.fault = fault
        self.away_s = away_s
        self.outcome = Outcome()
        self.free = bank.customer("free")
        self.limited = [
            bank.customer("prepaid", credit=usd(0.1)),
            bank.customer("limited", limit=usd(0.08)),
            bank.customer("both", credit=usd(1), limit=usd(0.06)),
        ]
        self.known = [self.free, *self.limited]
        self.revoked = bank.customer("revoked")
        self.late = bank.customer("late", credit=usd(1))  # calls for the first time in the outage
        self.nobody = Customer(
            "nobody", self.late.account, self.late.key_id, key="sk-or-v1-" + "0" * 64
        )

    async def run(self) -> Outcome:
        with self.bank.server() as (url, program):
            self.crowd = crowd = Crowd(url)
            async with crowd.calling([*self.known, self.revoked], parallel=PARALLEL) as load:
                await load.until(lambda: load.answered_min() >= WARM_CALLS)
            self._all(200)
            before = psutil.Process(program.pid).memory_info().rss
            with self.fault():
                began_s = time.monotonic()
                await self._away(url, began_s)
            ended_s = time.monotonic()
            self.outcome.grown_bytes = psutil.Process(program.pid).memory_info().rss - before
            await self._back()
            self.outcome.back_s = time.monotonic() - ended_s
            await asyncio.to_thread(self.bank.wait_until_settled, crowd.whole())
            await self._shows(url, is_ready=True)
        self.bank.compare(crowd.whole())
        assert self.outcome.grown_bytes < MEMORY_BYTES_MAX
        return self.outcome

    async def _away(self, url: str, began_s: float) -> None:
        crowd, outcome = self.crowd, self.outcome
        figures_then = await figures(url)
        outcome.exposure_usd = (
            figures_then["fairlead_budget_free_usd"] + figures_then["fairlead_budget_held_usd"]
        )
        if self.fault.kind == "cut":
            self.bank.revoke(self.revoked)
        mark = crowd.mark()
        over_s = began_s + self.away_s
        async with crowd.calling(
            [*self.known, self.revoked, self.late, self.nobody], parallel=PARALLEL, pause_s=PAUSE_S
        ) as load:
            await load.until(
                lambda: (
                    time.monotonic() >= over_s
                    and all(crowd.statuses(one, since=mark)[503] for one in self.limited)
                    and all(
                        crowd.statuses(one, since=mark)[503] for one in (self.late, self.nobody)
                    )
                    and crowd.statuses(self.free, since=mark)[200] >= AWAY_CALLS_MIN * PARALLEL
                ),
                give_up_s=over_s + PATIENCE_S,
            )
        outcome.away_s = time.monotonic() - began_s
        if self.fault.kind != "hung" or self.outcome.away_s > SILENCE_MAX_S:
            await self._shows(url, is_ready=False)
        else:  # the settler still waits for its answer
            assert (await figures(url))["fairlead_database_away"] == 1
        spent = 0.0
        for one in self.known:
            for answer in crowd.since(mark, one):
                check(answer, SPENDING_UNKNOWN)
                outcome.answered += answer.is_whole
                outcome.refused += answer.status == 503
                if one in self.limited and answer.is_whole:
                    spent += answer.cost_usd
        outcome.spent_usd = spent
        assert 0 < spent <= outcome.exposure_usd + 1e-9
        assert set(crowd.statuses(self.free, since=mark)) == {200}, "nothing limits it"
        assert set(crowd.statuses(self.revoked, since=mark)) == {200}, "nobody could know"
        for stranger in (self.late, self.nobody):
            for answer in crowd.since(mark, stranger):
                assert answer.status == 503, "nobody may say that a key is wrong"
                check(answer, KEY_UNKNOWN)

    async def _back(self) -> None:
        """Everything goes on by itself, and what happened meanwhile is known."""
        crowd = self.crowd
        for customer in (*self.limited, self.late):
            await until(lambda one=customer: crowd.ask(one), lambda answer: answer.is_whole)
        await until(lambda: crowd.ask(self.nobody), lambda answer: answer.status == 401)
        if self.fault.kind == "cut":
            await until(lambda: crowd.ask(self.revoked), lambda answer: answer.status == 401)

    async def _shows(self, url: str, *, is_ready: bool) -> None:
        """Load balancers and monitors see it: at the latest when a statement is given up."""
        await until(
            lambda: get(url, "/readyz"),
            lambda answer: answer.status == (200 if is_ready else 503),
        )
        now = await figures(url)
        assert now["fairlead_settler_failing"] == (not is_ready)
        assert now["fairlead_database_away"] == (not is_ready)
        assert (now["fairlead_journal_backlog_bytes"] == 0) is is_ready

    def _all(self, status: int) -> None:
        for name, answers in self.crowd.answers.items():
            assert {answer.status for answer in answers} == {status}, name


def check(answer: Answer, reason: str) -> None:
    """An answer is whole, or it is a 503 with the precise reason and a time to come back."""
    if answer.is_whole:
        return
    error = answer.error
    assert error is not None
    assert (error["code"], error["message"]) == (503, reason)
    assert answer.status == 200 or int(answer.headers["retry-after"]) >= 1


async def until(ask: Callable[[], Awaitable[Answer]], is_so: Callable[[Answer], bool]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not is_so(answer := await ask()):
        assert answer.status in (200, 401, 503), answer
        assert time.monotonic() < give_up_s, answer
        await asyncio.sleep(LOOK_S)
