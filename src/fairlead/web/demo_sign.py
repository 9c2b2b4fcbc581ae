"""Whether figures here are made up, which every page must say: see `fairlead demo`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, Protocol

from fairlead.control.demo.service import Demo
from fairlead.core.errors import Overloaded
from fairlead.web.asking import Desk

__all__ = ["NO_DEMO", "DemoSign", "Demonstration"]

LOOK_AGAIN_S: Final = 5.0


class Demonstration(Protocol):
    async def is_there(self) -> bool:
        """Whether made-up figures are among the others."""
        ...


class _NoDemo:
    async def is_there(self) -> bool:
        return False


NO_DEMO: Final = _NoDemo()


class DemoSign:
    """Asks the database now and then, not for each page. now_s: wall-clock time."""

    def __init__(self, desk: Desk[Demo], now_s: Callable[[], float]) -> None:
        self._desk = desk
        self._now_s = now_s
        self._look_at_s = 0.0
        self._is_there = False

    async def is_there(self) -> bool:
        """While the database is away, what was so before."""
        now_s = self._now_s()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_AGAIN_S  # first: who comes meanwhile need not ask, too
            with contextlib.suppress(Overloaded):
                self._is_there = await self._desk.do(self._desk.service.is_there)
        return self._is_there
