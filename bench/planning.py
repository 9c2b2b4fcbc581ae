"""What deciding where a call goes costs, in microseconds: the planner alone, in this process, without servers.

    .venv/bin/python bench/planning.py            # all rows
    .venv/bin/python bench/planning.py --profile  # and the hottest functions of the heaviest

`make bench` runs it as the load `plan`. Every plan is timed by itself and the median counts. `loops` compares
it with a fixed loop that is timed in between: on a slow or shared machine that ratio moves less.

The planner keeps what follows from wishes and from health, for as long as those are the same. In the last row
they are new each time: more wishes and more moments take turns than are kept.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.catalog import DataPolicy, Snapshot
from fairlead.core.ids import EndpointId
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import UNKNOWN, Facts, Percentiles, Standing
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import (
    NO_WISHES,
    Bounds,
    MaxPrice,
    Partition,
    Preferences,
    Sort,
)
from fairlead.core.routing.types import INSTALLATION, Plan, Question, Target, Traits, Warm
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint

__all__ = ["PLAN_LOAD", "PLAN_ROWS", "PlanTime", "plan_figures", "time_plans"]

PLAN_LOAD = "plan"  # what `make bench` calls it
MODEL = "acme/one"
WARM_UP_PLANS = 200
PLANS_PER_TURN = 50
LOOPS_PER_TURN = 20
SEEDS = 2**53
NEW_TURNS = 64  # more than the planner keeps of anything
SEED_STEP = 0x9E3779B97F4A7  # plans differ in what they draw


@dataclass(frozen=True, slots=True)
class PlanTime:
    """One row. median_us: of one plan; loops: the same in fixed loops; count: of plans that were timed."""

    name: str
    median_us: float
    loops: float
    count: int


@dataclass(frozen=True, slots=True)
class KnownHealth:
    """Facts in a dictionary, the least that any health book does."""

    known: Mapping[EndpointId, Facts] = field(default_factory=dict)

    def facts(self, endpoint: EndpointId) -> Facts:
        return self.known.get(endpoint, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Case:
    """A question that is asked again and again, only the seed being new.

    turns: what is known and wished; they take turns.
    """

    question: Question
    snapshot: Snapshot
    turns: tuple[tuple[KnownHealth, Preferences], ...]

    def planner(self) -> Callable[[int], Plan]:
        """A function from a seed to a plan, at an installation that has a key for everybody."""
        question, snapshot, turns = self.question, self.snapshot, self.turns
        count = len(turns)
        access = dict.fromkeys(snapshot.providers, INSTALLATION)
        can_serve = access.__contains__

        def planned(seed: int) -> Plan:
            health, preferences = turns[seed % count]
            return plan(question, snapshot, health, preferences, seed, access, can_serve=can_serve)

        return planned


def plain(endpoints_count: int) -> Case:
    """A caller without wishes, at an installation that has just begun."""
    traits = Traits(
        Capability.CHAT, 500, 500, 2000, 512, parameters=("max_tokens", "temperature", "top_p")
    )
    return Case(
        Question((Target(MODEL),), traits), offered(endpoints_count), ((KnownHealth(), NO_WISHES),)
    )


def demanding(*, turns_count: int = 1, **changes: object) -> Case:
    """Thirty endpoints, all well known, and a caller and an account who have a wish about everything."""
    snapshot = offered(30)
    endpoints = snapshot.models[MODEL].endpoints
    every = tuple(endpoint.provider for endpoint in endpoints)
    most = MaxPrice(*(PicoUSD(bound) for bound in (8_000_000, 16_000_000, 0, 0, 0)))
    wishes = Preferences(
        only=every[:28],
        ignore=(every[3], "nobody"),
        require_parameters=True,
        no_training=True,
        zdr=True,
        enforce_distillable_text=True,
        quantizations=("fp8", "bf16"),
        partition=Partition.MODEL,
        preferred_min_throughput=Bounds(p50=50.0, p90=35.0),
        preferred_max_latency=Bounds(p50=2.0, p90=5.0),
        continue_streams=True,
        region="eu",
        allowed_providers=every[:29],
        ignored_providers=(every[5],),
        allowed_models=("acme/*",),
        ignored_models=("other/*",),
        zdr_authors=("acme",),
        no_paid_training=True,
        no_free_training=True,
        default_sort=Sort.PRICE,
    )
    traits = Traits(
        Capability.CHAT,
        500,
        500,
        2000,
        512,
        parameters=("max_tokens", "response_format", "temperature", "tool_choice", "tools"),
    )
    return Case(
        Question((Target(MODEL),), traits, Warm(endpoints[7].id, 400)),
        snapshot,
        tuple(
            (
                KnownHealth(
                    {endpoint.id: facts_of(place, turn) for place, endpoint in enumerate(endpoints)}
                ),
                msgspec.structs.replace(
                    wishes, max_price=msgspec.structs.replace(most, image=PicoUSD(turn)), **changes
                ),
            )
            for turn in range(turns_count)
        ),
    )


def offered(count: int) -> Snapshot:
    """One model at so many providers, of different prices and precisions."""
    slugs = [f"host-{number:02}" for number in range(count)]
    endpoints = [
        msgspec.structs.replace(
            an_endpoint(
                slug,
                model=MODEL,
                prompt=f"0.00000{place % 9 + 1}",
                completion=f"0.0000{(place % 9 + 1) * 2:02}",
                quantization="fp8" if place % 3 else "bf16",
                supported=frozenset(
                    {
                        "max_tokens",
                        "temperature",
                        "top_p",
                        "tools",
                        "tool_choice",
                        "response_format",
                    }
                ),
            ),
            data_region="eu",
        )
        for place, slug in enumerate(slugs)
    ]
    careful = DataPolicy(trains_on_prompts=False, retains_prompts=False)
    return a_snapshot(
        msgspec.structs.replace(a_model(*endpoints, slug=MODEL), open_weights=True),
        providers=tuple(
            msgspec.structs.replace(a_provider(slug), data_policy=careful) for slug in slugs
        ),
    )


def facts_of(place: int, turn: int) -> Facts:
    """Some fast, some slow, one down. turn: a moment later, everybody has served one more."""
    slowness = 1 + place % 7
    return Facts(
        standing=Standing.DOWN if place == 11 else Standing(place % 4 // 3),
        latency_s=Percentiles(0.3 * slowness, 0.4 * slowness, 0.8 * slowness, 1.5 * slowness),
        throughput=Percentiles(
            120.0 / slowness, 100.0 / slowness, 80.0 / slowness, 30.0 / slowness
        ),
        requests_30m=1000 + turn,
        tool_requests_2h=400,
        tool_errors_2h=place % 5,
    )


PLAN_ROWS: Mapping[str, Callable[[], Case]] = {
    "1 endpoint": lambda: plain(1),
    "5 endpoints": lambda: plain(5),
    "30 endpoints": lambda: plain(30),
    "30, all wishes, sort": lambda: demanding(sort=Sort.THROUGHPUT),
    "30, all wishes, order": lambda: demanding(order=("host-09", "host-08", "host-07")),
    "30, all wishes, tools": lambda: demanding(default_sort=None),
    "30, all new, sort": lambda: demanding(turns_count=NEW_TURNS, sort=Sort.THROUGHPUT),
}


def plan_figures(times: Sequence[PlanTime]) -> dict[str, float]:
    """Those that are compared: five endpoints without wishes, and the slowest of those with all of them."""
    by_name = {one.name: one.median_us for one in times}
    return {
        "plan_usual_us": by_name["5 endpoints"],
        "plan_us": max(us for name, us in by_name.items() if "all wishes" in name),
    }


def fixed_loop() -> int:
    """The yardstick: some microseconds of plain Python, always the same."""
    total = 0
    for number in range(100):
        total += number * number
    return total


def time_plans(
    seconds: float, *, rows: Mapping[str, Callable[[], Case]] = PLAN_ROWS
) -> list[PlanTime]:
    """All rows, for so many seconds each."""
    return [_time_plan(name, case(), seconds) for name, case in rows.items()]


def _time_plan(name: str, case: Case, seconds: float) -> PlanTime:
    planned = case.planner()
    seed = 1
    chosen = planned(seed)
    if not chosen.choices:
        raise SystemExit(f"{name}: nothing is left to choose: {chosen.removed}")
    for _ in range(WARM_UP_PLANS):
        planned(seed)
    plans_us: list[float] = []
    loops_us: list[float] = []
    end_s = time.monotonic() + seconds
    while not plans_us or time.monotonic() < end_s:
        for _ in range(PLANS_PER_TURN):
            seed = (seed + SEED_STEP) % SEEDS
            began_ns = time.perf_counter_ns()
            planned(seed)
            plans_us.append((time.perf_counter_ns() - began_ns) / 1e3)
        for _ in range(LOOPS_PER_TURN):
            began_ns = time.perf_counter_ns()
            fixed_loop()
            loops_us.append((time.perf_counter_ns() - began_ns) / 1e3)
    median_us = statistics.median(plans_us)
    return PlanTime(name, median_us, median_us / statistics.median(loops_us), len(plans_us))


def main() -> None:
    parser = argparse.ArgumentParser(description="What deciding where a call goes costs.")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of each row")
    parser.add_argument("--profile", action="store_true", help="the hottest functions, too")
    arguments = parser.parse_args()
    for row in time_plans(arguments.seconds):
        print(f"{row.name:22} {row.median_us:8.2f} us {row.loops:8.2f} loops", flush=True)
    if arguments.profile:
        for name, case in PLAN_ROWS.items():
            planned = case().planner()
            profile = cProfile.Profile()
            with profile:
                for seed in range(3000):
                    planned(seed)
            print(f"\n{name}")
            pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(15)


if __name__ == "__main__":
    main()
