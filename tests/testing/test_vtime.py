from __future__ import annotations

import asyncio
import time

import pytest

from fairlead.testing.vtime import Deadlock, run_simulated


def test_an_hour_passes_at_once_and_is_an_hour_to_the_loop() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - begun_s

    begun = time.perf_counter()
    assert run_simulated(main()) == pytest.approx(3600)
    assert time.perf_counter() - begun < 5


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[str]:
        fired: list[str] = []

        async def after(delay_s: float, name: str) -> None:
            await asyncio.sleep(delay_s)
            fired.append(name)

        async with asyncio.TaskGroup() as group:
            for delay_s, name in ((30, "c"), (10, "a"), (20, "b"), (10, "a2")):
                group.create_task(after(delay_s, name))
        return fired

    assert run_simulated(main()) == ["a", "a2", "b", "c"]


def test_time_outs_work_as_on_the_real_loop() -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(6)

    with pytest.raises(TimeoutError):
        run_simulated(main())


def test_a_deadlock_is_reported_instead_of_hanging() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_simulated(main())


def test_an_error_of_the_simulation_comes_out() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        run_simulated(main())
