"""Hedging: when the first endpoint is slow to begin, a second is asked beside it, and the first token wins.

    leg ──slow──> leg + rival ──first token of either──> the winner; the other is let go
                     │ └──one of them fails────────────> the other goes on alone
                     └────both fail────────────────────> nobody

At most two run at once. Whoever loses is let go at once; what it may have cost is recorded with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.core.errors import UpstreamFailure
from fairlead.gateway.leg import Leg

__all__ = ["first_of_two"]


async def first_of_two(
    leg: Leg,
    *,
    after_s: float,
    rival: Callable[[], Leg | None],
    failed: Callable[[Leg, UpstreamFailure], None],
    let_go: Callable[[Leg], None],
) -> Leg | None:
    """Open `leg`, and beside it what `rival` gives once `after_s` has passed.

    rival: makes the second leg; None: nobody, or not worth its price.
    failed: told of each leg that fails. let_go: told of the leg that came second.
    Returns the leg that answers; None: all have failed.
    """
    running: dict[asyncio.Task[UpstreamFailure | None], Leg] = {}
    async with asyncio.TaskGroup() as tasks:
        running[tasks.create_task(_opened(leg))] = leg
        try:
            done, _ = await asyncio.wait(running, timeout=after_s)
            if not done and (second := rival()) is not None:
                running[tasks.create_task(_opened(second))] = second
            while True:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                winner: Leg | None = None
                # In the order of their beginning, should both have ended in one turn of the loop.
                for task in [task for task in running if task in done]:
                    failure = task.result()
                    if failure is not None:
                        failed(running.pop(task), failure)
                    elif winner is None:
                        winner = running.pop(task)
                if winner is not None or not running:
                    return winner
        finally:
            for task, loser in running.items():
                task.cancel()
                let_go(loser)


async def _opened(leg: Leg) -> UpstreamFailure | None:
    """A failure is a value here: it must not end the other's attempt."""
    try:
        await leg.open()
    except UpstreamFailure as failure:
        return failure
    return None
