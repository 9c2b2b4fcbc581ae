"""The data plane's wallet: calls are held against slices of budgets that this process has leased.

`hold` needs nobody but memory and does not wait. Where it cannot, `obtain` waits: calls stand in line, and one
trip to the database asks for all that stand there at that moment. One task makes the trips, one after another:
for those who wait, ahead of need where little is left, and regularly, to give back what is idle and to learn
of limits that others have changed; so that is known within two seconds.

A call that lacks room waits a bounded time for calls under way to give back what they did not use, and only
then is refused. One that could not be held even then is refused at once. While the database is away, what is
leased can be held, and who needs more gets Overloaded.

What is decided is in core/budgets; here is when.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from fairlead.control.budgets.service import Budgets, Leasing
from fairlead.core.budgets.slices import SLICE_MAX, Held, Lack, Slices
from fairlead.core.budgets.types import CallerBudget, Wanted
from fairlead.core.errors import Overloaded
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["LeasedWallet"]

REFRESH_EVERY_S: Final = 0.8
POLL_EVERY_S: Final = 0.1  # while somebody waits for what others hold
WAIT_S: Final = 2.0
WAITING_MAX: Final = 2_000  # calls; each is some 1 KB, and its caller's connection
CALLS_PER_TRIP_MAX: Final = 500
SLICES_MAX: Final = 20_000  # about 10 MB
RENEW_EVERY_S: Final = 60.0
TIDY_EVERY_S: Final = 86_400.0

_Answer = TypeVar("_Answer")
_LOG: Final = logging.getLogger(__name__)
_AWAY: Final = "What may still be spent cannot be checked at the moment."


class _Waiter:
    """A call that stands in line. was_judged: the store has answered since it came."""

    __slots__ = ("budgets", "future", "wanted", "was_judged")

    def __init__(
        self,
        budgets: Sequence[CallerBudget],
        wanted: Wanted,
        future: asyncio.Future[Held | Lack],
    ) -> None:
        self.budgets = budgets
        self.wanted = wanted
        self.future = future
        self.was_judged = False


class LeasedWallet:
    """Implements gateway.ports.Wallet. Belongs to one event loop.

    wallet = LeasedWallet(budgets, database, holder=writer, now_s=clock.now_s)
    tasks.create_task(wallet.run())  # for as long as calls are served
    held = wallet.hold(caller.budgets, wanted, now_s) or await wallet.obtain(caller.budgets, wanted)

    holder: this process's name, that of its journal. now_s: wall-clock time.
    slice_max: nanodollars of one budget that may lie here in advance. wait_s: how long a call waits for room.
    """

    def __init__(
        self,
        budgets: Budgets,
        database: Database,
        *,
        holder: str,
        now_s: Callable[[], float],
        slice_max: NanoUSD = SLICE_MAX,
        wait_s: float = WAIT_S,
    ) -> None:
        self._budgets = budgets
        self._database = database
        self._holder = holder
        self._now_s = now_s
        self._wait_s = wait_s
        self._leasing = Leasing(budgets, holder)
        self._woken = asyncio.Event()
        self._slices = Slices(wake=self._woken.set, slice_max=slice_max)
        self._waiting: dict[_Waiter, None] = {}  # in the order of their coming
        self._is_away = False
        self._trips = self._waits = self._refusals = 0

    def hold(self, budgets: Sequence[CallerBudget], wanted: Wanted, now_s: float) -> Held | None:
        """Hold a call on all of these from what is here; None: ask `obtain`. budgets: at least one."""
        return self._slices.hold(budgets, wanted, now_s)

    async def obtain(self, budgets: Sequence[CallerBudget], wanted: Wanted) -> Held | Lack:
        """The same from what the store has, too; it may take a moment. Lack: there is not enough.

        Raises Overloaded if nobody can say, or too many wait already.
        """
        if len(self._waiting) >= WAITING_MAX or self._slices.count >= SLICES_MAX:
            raise Overloaded("Too many calls wait for their budgets to be checked.")
        self._waits += 1
        future: asyncio.Future[Held | Lack] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(budgets, wanted, future)
        self._waiting[waiter] = None
        self._slices.waiting_count += 1
        self._woken.set()
        found: Held | Lack | None = None
        try:
            async with asyncio.timeout(self._wait_s):
                found = await future
        except TimeoutError:
            if future.done() and not future.cancelled():  # answered in this very moment
                found = future.result()
            else:
                found = self._slices.lack(budgets, wanted, self._now_s())
                if found is None or not waiter.was_judged:
                    found = None
                    raise Overloaded(_AWAY) from None
        finally:
            self._leave(waiter)
            if found is None and future.done() and not future.cancelled():
                _let_go(future)
        if isinstance(found, Lack):
            self._refusals += 1
        return found

    async def run(self) -> None:
        """Makes the trips, for ever. Cancel it to stop."""
        loop = asyncio.get_running_loop()
        refresh_at_s = renew_at_s = poll_at_s = 0.0
        tidy_at_s = loop.time() + TIDY_EVERY_S
        try:
            while True:
                await self._pause(refresh_at_s - loop.time())
                now_s = loop.time()
                self._serve()
                is_due = now_s >= refresh_at_s
                if is_due or now_s >= poll_at_s or self._is_urgent():
                    await self._trip(everything=is_due)
                    poll_at_s = loop.time() + POLL_EVERY_S
                if is_due:
                    refresh_at_s = now_s + REFRESH_EVERY_S
                if now_s >= renew_at_s and self._slices.count:
                    renew_at_s = now_s + RENEW_EVERY_S
                    await self._keep_alive()
                if now_s >= tidy_at_s:
                    tidy_at_s = now_s + TIDY_EVERY_S
                    await self._asked(self._budgets.forget_old_periods)
        finally:
            for waiter in list(self._waiting):
                if not waiter.future.done():
                    waiter.future.set_exception(Overloaded("The server is stopping."))

    def samples(self) -> dict[str, float]:
        """For Prometheus."""
        figures = self._slices.figures()
        return {
            "fairlead_budget_slices": figures.slices,
            "fairlead_budget_free_usd": figures.free / NANO_PER_USD,
            "fairlead_budget_held_usd": figures.held / NANO_PER_USD,
            "fairlead_budget_trips_total": self._trips,
            "fairlead_budget_waits_total": self._waits,
            "fairlead_budget_refusals_total": self._refusals,
        }

    async def _pause(self, until_refresh_s: float) -> None:
        """Until there is something to do."""
        if self._slices.is_pressing and not self._is_away:
            await asyncio.sleep(0)  # whatever happens, others have their turn
            return
        if self._waiting and not self._woken.is_set():
            pause_s: float | None = min(POLL_EVERY_S, max(0.0, until_refresh_s))
        elif self._slices.count:
            pause_s = min(max(0.0, until_refresh_s), REFRESH_EVERY_S)
        else:
            pause_s = None
        try:
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def _is_urgent(self) -> bool:
        """Somebody has not been asked for yet, or there is little left. Not while the store is away."""
        return any(not waiter.was_judged for waiter in self._waiting) or (
            self._slices.is_pressing and not self._is_away
        )

    def _serve(self) -> None:
        """Those whose room came free meanwhile, in their order."""
        now_s = self._now_s()
        for waiter in list(self._waiting):
            if not waiter.future.done():
                held = self._slices.hold(waiter.budgets, waiter.wanted, now_s)
                if held is not None:
                    self._leave(waiter)
                    waiter.future.set_result(held)

    async def _trip(self, *, everything: bool) -> None:
        now_s = self._now_s()
        line = [one for one in self._waiting if not one.future.done()][:CALLS_PER_TRIP_MAX]
        order = self._slices.order(
            [(one.budgets, one.wanted) for one in line], now_s, everything=everything
        )
        if order is None:
            return
        self._trips += 1
        try:
            standings = await self._database.run(self._leasing.trip(), order)
        except DatabaseUnreadable as error:
            self._store_is_away(error)
            return
        except Exception as error:  # noqa: BLE001 - the edge of a job: calls without budgets go on
            _LOG.critical("budgets cannot be checked: a mistake of ours", exc_info=True)
            self._store_is_away(error)
            return
        self._store_is_back()
        self._slices.answered(order, standings)
        self._serve()
        now_s = self._now_s()
        for waiter in line:
            waiter.was_judged = True
            if not waiter.future.done():
                lack = self._slices.lack(waiter.budgets, waiter.wanted, now_s)
                if lack is not None and lack.is_final:
                    self._leave(waiter)
                    waiter.future.set_result(lack)

    def _leave(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            del self._waiting[waiter]
            self._slices.waiting_count -= 1

    async def _keep_alive(self) -> None:
        await self._asked(lambda: self._budgets.renew(self._holder))
        for lost in await self._asked(self._budgets.reap) or ():
            _LOG.warning(
                "process %s has said nothing for long: its %s leases, %s nanodollars, are taken back",
                lost.name,
                lost.leases,
                lost.amount,
            )

    async def _asked(self, function: Callable[[], _Answer]) -> _Answer | None:
        """None: the database is away; there is another time."""
        try:
            return await self._database.run(function)
        except DatabaseUnreadable as error:
            self._store_is_away(error)
            return None

    def _store_is_away(self, error: Exception) -> None:
        for waiter in list(self._waiting):
            self._leave(waiter)
            if not waiter.future.done():
                waiter.future.set_exception(Overloaded(_AWAY))
        if not self._is_away:
            self._is_away = True
            _LOG.error("budgets cannot be checked, what is leased of them can be spent: %s", error)

    def _store_is_back(self) -> None:
        if self._is_away:
            self._is_away = False
            _LOG.warning("budgets can be checked again")


def _let_go(future: asyncio.Future[Held | Lack]) -> None:
    """Of an answer that nobody waits for any more."""
    if future.exception() is None and isinstance(held := future.result(), Held):
        held.release()
