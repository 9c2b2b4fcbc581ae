"""What admission and money cost a call, in microseconds: ceiling, hold and settlement alone, without servers.

    .venv/bin/python bench/admission.py            # all rows
    .venv/bin/python bench/admission.py --profile  # and the hottest functions of the heaviest

`make bench` runs it as the load `admission`. Every call is timed by itself and the median counts; trips are
those that the store would have been asked for, in so many calls.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead.core.budgets.lending import Standing
from fairlead.core.budgets.slices import Held, Lack, Slices
from fairlead.core.budgets.types import (
    BudgetRef,
    CallerBudget,
    Reset,
    Wanted,
    account_budget,
    key_budget,
    workspace_budget,
)
from fairlead.core.caller import Caller
from fairlead.core.catalog import Endpoint
from fairlead.core.ids import AccountId, KeyId, WorkspaceId
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.routing.types import Choice, Plan, Why
from fairlead.gateway.admission import Admission
from fairlead.gateway.billing import billed
from fairlead.gateway.tokens import EstimatingCounter
from fairlead.testing.builders import a_model, a_request, an_endpoint

__all__ = ["ADMISSION_LOAD", "AdmissionTime", "admission_figures", "time_admission"]

ADMISSION_LOAD = "admission"  # what `make bench` calls it
CALLS = 20_000
_USUAL = "two budgets, 5 endpoints"
WARM_UP_CALLS = 1_000
NOW_S = 1_795_305_540.0
LIMIT = NanoUSD(10_000 * NANO_PER_USD)
ACCOUNT, KEY = AccountId("acc-1"), KeyId("key-1")
WORKSPACE = WorkspaceId("5d1d4b1e-0000-5000-8000-000000000000")
BUDGETS = (
    CallerBudget(account_budget(ACCOUNT)),
    CallerBudget(key_budget(KEY), Reset.MONTHLY),
    CallerBudget(workspace_budget(WORKSPACE, None)),
    CallerBudget(workspace_budget(WORKSPACE, Reset.DAILY), Reset.DAILY),
)
COST = Charge(NanoUSD(16_000), NanoUSD(10_000), NanoUSD(6_000))


@dataclass(frozen=True, slots=True)
class AdmissionTime:
    """One row. median_us: of one call; count: of calls that were timed; trips: to the store."""

    name: str
    median_us: float
    count: int
    trips: int


@dataclass(frozen=True)
class _Decision:
    """As much of a decision as admission reads."""

    plan: Plan
    last_model: object


class _Store:
    """Leases whatever is asked for; counts the trips, those ahead of need too."""

    def __init__(self) -> None:
        self.trips = 0
        self._is_woken = False
        self._leased: dict[BudgetRef, int] = {}
        self._slices = Slices(wake=self._wake)

    def hold(self, budgets: Sequence[CallerBudget], wanted: Wanted, now_s: float) -> Held | None:
        if self._is_woken:
            self._is_woken = False
            self._trip([], now_s)
        return self._slices.hold(budgets, wanted, now_s)

    async def obtain(self, budgets: Sequence[CallerBudget], wanted: Wanted) -> Held | Lack:
        self._trip([(budgets, wanted)], NOW_S)
        held = self._slices.hold(budgets, wanted, NOW_S)
        assert held is not None
        return held

    def _wake(self) -> None:
        self._is_woken = True

    def _trip(self, waiting: list[tuple[Sequence[CallerBudget], Wanted]], now_s: float) -> None:
        order = self._slices.order(waiting, now_s, everything=False)
        if order is None:
            return
        self.trips += 1
        known = set(self._leased)
        for call in order.calls:
            for ref in call.refs:
                self._leased[ref] = self._leased.get(ref, 0) + call.wanted.full
        for ref, amount in order.in_advance.items():
            self._leased[ref] = self._leased.get(ref, 0) + amount
        self._slices.answered(order, {ref: self._standing(ref, known) for ref in order.watched})

    def _standing(self, ref: BudgetRef, known: set[BudgetRef]) -> Standing:
        leased = NanoUSD(self._leased.get(ref, 0))
        return Standing(LIMIT, NanoUSD(0), leased, leased, is_new=ref not in known)


def time_admission() -> list[AdmissionTime]:
    """All rows."""
    endpoints = [an_endpoint(f"p{number}", max_completion_tokens=8_000) for number in range(30)]
    return [
        _row("nobody limits the caller", (), endpoints[:5]),
        _row("one budget, 1 endpoint", BUDGETS[:1], endpoints[:1]),
        _row("one budget, 5 endpoints", BUDGETS[:1], endpoints[:5]),
        _row(_USUAL, BUDGETS[:2], endpoints[:5]),
        _row("four budgets, 30 endpoints", BUDGETS, endpoints),
    ]


def admission_figures(times: Sequence[AdmissionTime]) -> dict[str, float]:
    """Those that are compared; none where nothing was measured."""
    usual = [one for one in times if one.name == _USUAL]
    return {
        name: value
        for one in usual
        for name, value in (("admission_us", one.median_us), ("admission_trips", one.trips))
    }


def _row(
    name: str, budgets: tuple[CallerBudget, ...], endpoints: Sequence[Endpoint]
) -> AdmissionTime:
    store = _Store()
    times = asyncio.run(_timed(store, budgets, endpoints))
    return AdmissionTime(name, statistics.median(times) / 1000, len(times), store.trips)


async def _timed(
    store: _Store, budgets: tuple[CallerBudget, ...], endpoints: Sequence[Endpoint]
) -> list[int]:
    """Nanoseconds of each call, from the decision to what it is charged."""
    caller = Caller(ACCOUNT, KEY, budgets=budgets)
    admission = Admission(store, EstimatingCounter(), credits_page="/credits")
    choices = tuple(Choice(one, None, price=0, why=Why.PRICE) for one in endpoints)
    decision = _Decision(Plan(choices, ()), a_model(*endpoints))
    request = a_request(temperature=0.5, model="acme/one")
    times: list[int] = []
    for number in range(WARM_UP_CALLS + CALLS):
        began_ns = time.perf_counter_ns()
        admitted = await admission.admitted(caller, request, decision, NOW_S)  # type: ignore[arg-type]
        bill = billed(admitted.hold, COST, is_byok=False)
        admitted.hold.release()
        taken_ns = time.perf_counter_ns() - began_ns
        assert bill.charge.total == COST.total
        if number >= WARM_UP_CALLS:
            times.append(taken_ns)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--profile", action="store_true", help="look inside the heaviest row")
    if parser.parse_args().profile:
        profiler = cProfile.Profile()
        endpoints = [an_endpoint(f"p{number}") for number in range(5)]
        profiler.enable()
        _row(_USUAL, BUDGETS[:2], endpoints)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(15)
        return 0
    for row in time_admission():
        print(f"{row.name:<30} {row.median_us:7.2f} us  {row.trips:4} trips in {row.count} calls")
    return 0


if __name__ == "__main__":
    sys.exit(main())
