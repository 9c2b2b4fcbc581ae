"""An event loop whose clock jumps: hours pass in milliseconds, and the same seed is the same day.

It is the ordinary selector loop, except that it never waits: if nothing is ready, time moves straight to
the next timer. If there is no timer either, nobody can ever wake up; instead of hanging it raises
`Deadlock`. Scheduling is first-in first-out. Not for threads or real sockets: the loop does not wait for
what happens outside it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["Deadlock", "VirtualTimeLoop", "run_simulated"]

_Result = TypeVar("_Result")


class Deadlock(RuntimeError):
    """Every task waits and no timer is pending."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits; moves the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise Deadlock("no timer is pending and nothing is ready")
        if not ready and timeout:
            self.now_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0 and counts simulated seconds."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run_simulated(
    main: Coroutine[
        Any, Any, _Result
    ],  # Any: what a coroutine yields and is sent is the loop's affair
) -> _Result:
    """Run to the end on a fresh loop, as `asyncio.run` does. Raises Deadlock."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
