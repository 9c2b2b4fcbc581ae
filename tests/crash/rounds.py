"""kill -9, again and again, on one data directory and one database; then the books are compared.

Three parties keep books of their own: the callers (what each was told), the twin that plays the upstream
(what it gave to whom), and the server (its database). In each round somebody dies, see `victims`: mostly under
load, sometimes while it starts or settles what the last one left. Who has to be started again is; what survives
then goes on serving for a moment, and dies or is stopped in order. After every so many rounds a server is
given time to settle, and stopped; then must hold:

- every call whose caller saw it finished (the whole body, or `[DONE]`) is recorded exactly once, with the
  usage and the cost that the caller was told, and the twin's bill agrees with both;
- every record belongs to exactly one call that was made, by the upstream's id, and the twin had completed
  that call: nothing is recorded that was not used, and nothing twice;
- where the server itself did not die, whatever became of its database, the twin's bill and the records are
  the same;
- the money agrees to the nanodollar: what the ledger says was used, what was spent of the account's credit and
  of the key's limit, and what the records cost, which is what the twin gave; and the ledger proves its history;
- what the dead had leased of budgets comes back within a minute, and after an orderly stop nothing is leased.

The callers' account is prepaid and their key has a limit, so every call is held for.

What may be recorded although the caller did not see the end: a call killed between the append to the
journal and the last byte, or whose last bytes were on their way. Those were used and their upstream was
complete, so they belong in the books. A call whose upstream was not complete when the server died is
never recorded: what it used died with the process, and the caller was told nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import assert_never

from fairlead.testing.serving import Program
from tests.crash.books import compare, wait_until_resolved
from tests.crash.calls import calling
from tests.crash.stage import Report, Stage, stage
from tests.crash.victims import Victim, kill_server, kill_worker, processes
from tests.postgres_server import PostgresServer

__all__ = ["Report", "Victim", "kill_rounds"]

PARALLEL = 64
START_KILLS_SHARE = 0.15  # of a server's deaths: it dies before it serves
EARLY_KILLS_SHARE = 0.2  # of all deaths under load: while it settles what the last one left
DEATHS_BETWEEN_SHARE = 0.25  # of the rounds that a server survives: it dies before the next one
ORDERLY_ENDS_SHARE = 0.25  # ... it is stopped in order
ANSWERED_MIN = 20  # calls, before one dies who does not die early
PATIENCE_S = 60.0
LOOK_S = 0.01


def kill_rounds(
    directory: Path,
    *,
    victims: Sequence[Victim],
    workers: int,
    seed: int,
    compare_every: int,
    database_url: str | None = None,
    server: PostgresServer | None = None,
) -> Report:
    """Kill one after another. Fails where the books differ.

    victims: one for each round; in which order, the seed decides. database_url: of an empty database; None:
    SQLite in the data directory. server: whose database it is, where it can be a victim.
    """
    with (
        stage(directory, workers=workers, seed=seed, database_url=database_url) as made,
        closing(_Story(made, server, seed)) as story,
    ):
        order = made.chance.sample(victims, len(victims))
        for number, victim in enumerate(order):
            where = f"seed {seed}, round {number}, {victim}"
            story.play(number, victim, where)
            if (number + 1) % compare_every == 0 or number + 1 == len(order):
                story.settle(where)
                compare(made, where)
            elif victim.leaves_server:
                story.go_on(victim, where)
        return made.report


class _Story:
    """What happens to servers, one after another, on one stage."""

    def __init__(self, stage: Stage, database: PostgresServer | None, seed: int) -> None:
        self._stage = stage
        self._chance = stage.chance
        self._database = database
        self._seed = seed
        self._program: Program | None = None
        self._ending = ExitStack()

    def close(self) -> None:
        self._ending.close()

    def play(self, number: int, victim: Victim, where: str) -> None:
        """One round. The server is still there afterwards if the victim left it."""
        report = self._stage.report
        report.rounds[victim] += 1
        if self._program is not None:
            self._play_under_load(self._program, number, victim)
        elif self._chance.random() >= START_KILLS_SHARE:
            self._program = self._start()
            self._fairlead = self._stage.served(self._program)
            self._play_under_load(self._program, number, victim)
        else:
            report.in_start += 1
            program = self._program = self._start()
            time.sleep(self._chance.uniform(0.0, 1.0))  # the moment of death is the subject here
            if victim is not Victim.WORKER:  # perhaps there is none yet
                self._strike(program, victim)
            if victim.leaves_server:
                kill_server(program, self._chance)
            self._gone(where)
            return
        if not victim.leaves_server:
            self._gone(where)

    def go_on(self, victim: Victim, where: str) -> None:
        """What becomes of a server that has survived."""
        if self._program is None:
            return
        fate = self._chance.random()
        if fate < DEATHS_BETWEEN_SHARE:
            kill_server(self._program, self._chance)
            self._gone(where)
        elif fate < DEATHS_BETWEEN_SHARE + ORDERLY_ENDS_SHARE or victim is Victim.WORKER:
            self._stop(self._program, where)

    def settle(self, where: str) -> None:
        """A server, this one or the next, finishes all that there is, and ends."""
        if self._program is None:
            self._program = self._start()
            self._stage.served(self._program)
        wait_until_resolved(self._stage, partial(processes, self._program), where)
        self._stop(self._program, where)

    def _start(self) -> Program:
        return self._ending.enter_context(self._stage.server())

    def _stop(self, program: Program, where: str) -> None:
        program.terminate()
        assert program.exit_code() == 0, where
        self._gone(where)

    def _gone(self, where: str) -> None:
        self._program = None
        self._ending.close()
        self._stage.check_log(where)

    def _play_under_load(self, program: Program, number: int, victim: Victim) -> None:
        chance, calls = self._chance, self._stage.calls
        begun = len(calls)
        prefix, seed = f"r{number}", self._seed + number
        with calling(self._fairlead, calls, parallel=PARALLEL, seed=seed, prefix=prefix):
            if chance.random() < EARLY_KILLS_SHARE:
                time.sleep(chance.uniform(0.0, 0.03))
            else:
                self._wait_until_served(begun, count=ANSWERED_MIN)
                time.sleep(chance.uniform(0.0, 1.0))
            self._strike(program, victim)
            if victim.leaves_server:
                self._wait_until_served(len(calls), count=1)
                time.sleep(chance.uniform(0.0, 0.5))
        if victim in (Victim.DATABASE, Victim.BACKEND):
            self._stage.unbroken.add(prefix)

    def _wait_until_served(self, begun: int, *, count: int) -> None:
        """So many of the calls since then."""
        calls = self._stage.calls
        give_up_s = time.monotonic() + PATIENCE_S
        while sum(call.is_finished for call in calls[begun:]) < count:
            assert time.monotonic() < give_up_s, "nobody is served any more"
            time.sleep(LOOK_S)

    def _strike(self, program: Program, victim: Victim) -> None:
        """Somebody dies; a database serves again when this returns."""
        chance, database = self._chance, self._database
        match victim:
            case Victim.SERVER:
                kill_server(program, chance)
            case Victim.WORKER:
                kill_worker(program, chance)
            case Victim.BACKEND:
                assert database is not None
                database.kill_one(chance.choice)
            case Victim.DATABASE:
                assert database is not None
                database.kill()
                time.sleep(chance.uniform(0.0, 0.5))
                database.start()
            case Victim.BOTH:
                assert database is not None
                deaths = [partial(kill_server, program, chance), database.kill]
                chance.shuffle(deaths)
                for die in deaths:
                    die()
                database.start()
            case _:
                assert_never(victim)
