"""Who can die of SIGKILL, and how.

A gateway and its settler are one process, so they die together; at which of their steps, chance decides. A
server of several workers is a process more, which starts them again.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import psutil

from fairlead.testing.serving import Program

__all__ = ["Victim", "kill_server", "kill_worker", "processes"]

END_S = 10.0
LOOK_S = 0.001


class Victim(StrEnum):
    SERVER = "server"  # all of its processes, in any order
    WORKER = "worker"  # one of several, while the others go on
    DATABASE = "database"  # all of its processes; somebody starts it again
    BACKEND = "backend"  # one process of the database, which then begins anew by itself
    BOTH = "both"  # the server, and the database with it

    @property
    def leaves_server(self) -> bool:
        return self not in (Victim.SERVER, Victim.BOTH)


def processes(program: Program) -> list[int]:
    """The server's at this moment: the one that was started, and its workers."""
    with contextlib.suppress(FileNotFoundError):
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children")
        return [program.pid, *map(int, children.read_text(encoding="ascii").split())]
    return [program.pid]


def kill_server(program: Program, chance: random.Random) -> None:
    """All of it, in any order and without a pause; returns when all of them are gone."""
    _freeze(program.pid)  # or it might start a worker whom nobody kills
    doomed = processes(program)
    chance.shuffle(doomed)
    with contextlib.ExitStack() as ends:
        for process in doomed:
            if process == program.pid:
                program.kill()
            else:
                ends.enter_context(_killed(process))


def kill_worker(program: Program, chance: random.Random) -> None:
    """Any one of them; returns when it is gone."""
    _, *workers = processes(program)
    with _killed(chance.choice(workers)):
        pass


def _freeze(process: int) -> None:
    """Returns when it does nothing more."""
    with contextlib.suppress(psutil.NoSuchProcess):
        one = psutil.Process(process)
        one.suspend()
        give_up_s = time.monotonic() + END_S
        while one.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            assert time.monotonic() < give_up_s
            time.sleep(LOOK_S)


@contextlib.contextmanager
def _killed(process: int) -> Iterator[None]:
    """The process is told at once, and gone when the block has ended."""
    descriptor = os.pidfd_open(process)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        yield
        ended, _, _ = select.select([descriptor], [], [], END_S)
        assert ended
    finally:
        os.close(descriptor)
