"""Measure Fairlead and a plain reverse proxy side by side: `make bench`, or bench/run.py -h.

Standard output has the tables; progress goes to standard error. Exit code 1 says that answers or records were
wrong (or, with --gate, that a target was missed), 2 that the rig cannot work here.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
from admission import ADMISSION_LOAD, time_admission
from hotspots import profile
from machine import Cores, Machine, pss_mb
from measures import (
    FULL,
    LOADS,
    PROMPT_TOKENS,
    QUICK,
    Load,
    Pace,
    Results,
    measure,
    search_streams,
    tell,
)
from planning import PLAN_LOAD, PLAN_ROWS, time_plans
from programs import ToolMissing, install_tools, missing_tools
from report import TARGETS, Figures, detail_tables, disturbance, figures_of, goal_table
from rig import FAIRLEAD, Ledger, Rig, RigFailure, Target, opened
from settling import SETTLE_CALLS, SETTLE_CALLS_QUICK, SETTLE_LOAD, measure_settling

FAILED, CANNOT_WORK = 1, 2
PAGES_LOAD = "pages"
_WITHOUT_SERVERS = (PLAN_LOAD, ADMISSION_LOAD, SETTLE_LOAD, PAGES_LOAD)
_ALL_LOADS = [*LOADS, *_WITHOUT_SERVERS]
# Making a million calls takes minutes, and whoever measures calls seldom wants pages, too.
_USUAL_LOADS = [name for name in _ALL_LOADS if name != PAGES_LOAD]


def main() -> int:
    # So that a stop from outside goes through every `finally` here.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: sys.exit(CANNOT_WORK))
    arguments = _arguments()
    try:
        if arguments.install:
            install_tools()
        if not arguments.profile and not _needs_servers(arguments):
            return _bench(arguments)
        needed = [tool for tool in missing_tools() if tool[2]]
        for name, hint, _ in missing_tools():
            tell(f"bench: {name} is not installed ({hint}, or --install as root)")
        if needed:
            return CANNOT_WORK
        if arguments.profile:
            return _profile(arguments)
        return _bench(arguments)
    except (RigFailure, ToolMissing) as failure:
        tell(f"bench: {failure}")
        return CANNOT_WORK


def _bench(arguments: argparse.Namespace) -> int:
    pace = _pace(arguments)
    cores = Cores.of_this_machine()
    if not cores.are_apart:
        tell(
            "bench: only one core may be used here: load and target share it, so latencies mean little"
        )
    results = Results()
    loads = [LOADS[name] for name in arguments.loads if name not in _WITHOUT_SERVERS]
    if PLAN_LOAD in arguments.loads:
        tell("bench: planning, without servers")
        results.plans = time_plans(pace.seconds / len(PLAN_ROWS))
    if ADMISSION_LOAD in arguments.loads:
        tell("bench: admission, without servers")
        results.admission = time_admission()
    if SETTLE_LOAD in arguments.loads:
        tell("bench: settling, into SQLite and PostgreSQL")
        results.settling = measure_settling(
            calls=SETTLE_CALLS_QUICK if arguments.quick else SETTLE_CALLS
        )
    if PAGES_LOAD in arguments.loads:
        from pages import measured_pages  # with it comes the whole program

        tell("bench: pages, after making their calls")
        results.pages = measured_pages(is_quick=arguments.quick)
    ledger = Ledger()
    if _needs_servers(arguments):
        ledger = _with_servers(arguments, cores, loads, pace, results)
    figures = figures_of(results)
    _show(results, figures, ledger, pace, markdown=arguments.markdown)
    if arguments.json:
        arguments.json.write_bytes(_raw(results, figures, ledger))
    missed = [goal.says for goal in TARGETS if goal.verdict(figures.get(goal.figure)) == "MISSED"]
    return FAILED if results.complaints or (arguments.gate and missed) else 0


def _needs_servers(arguments: argparse.Namespace) -> bool:
    return arguments.streams or any(name not in _WITHOUT_SERVERS for name in arguments.loads)


def _with_servers(
    arguments: argparse.Namespace,
    cores: Cores,
    loads: list[Load],
    pace: Pace,
    results: Results,
) -> Ledger:
    with opened(cores, arguments.fairlead) as rig:
        targets = _start_targets(rig)
        idle = {target.name: pss_mb(target.pid) for target in targets}
        measure(rig, targets, loads, pace, results)
        if arguments.streams:
            search_streams(rig, targets, pace, results)
        for target in targets:
            target.settle_down(quiet_s=pace.quiet_s)
            results.memory_mb[target.name] = (idle[target.name], pss_mb(target.pid))
        rig.stop("fairlead")
        ledger = rig.recorded()
    results.complaints += _disagreements(results, ledger)
    return ledger


def _start_targets(rig: Rig) -> list[Target]:
    """Fairlead, and nginx if there is one; at rest."""
    proxy = rig.start_nginx()
    targets = [rig.start_fairlead()] + ([proxy] if proxy else [])
    for target in targets:
        target.settle_down()
    return targets


def _disagreements(results: Results, ledger: Ledger) -> list[str]:
    """Where the records differ from what callers saw: the journal is on, so each call has its row and price."""
    answered = sum(sample.answered for sample in results.of("fairlead"))
    # Calls that never came to an end here may have come to one in the records.
    in_doubt = sum(sample.stuck + sample.bad for sample in results.of("fairlead"))
    found = []
    if not answered <= ledger.completed_count <= answered + in_doubt:
        found.append(
            f"{answered} calls were answered, {ledger.completed_count} are recorded as completed"
        )
    if ledger.free_count:
        found.append(f"{ledger.free_count} of the recorded calls have no cost")
    if ledger.prompt_tokens != PROMPT_TOKENS * ledger.completed_count:
        found.append(
            f"{ledger.prompt_tokens} prompt tokens recorded for {ledger.completed_count} calls"
        )
    return found


def _show(
    results: Results, figures: Figures, ledger: Ledger, pace: Pace, *, markdown: bool
) -> None:
    print(goal_table(figures))
    print(
        f"\nOn {Machine.described()}; medians of {pace.rounds} interleaved rounds of {pace.seconds:g} s. "
        f"{ledger.completed_count} calls answered and as many recorded, each with its cost.\n"
        if not results.complaints
        else "\nThe answers or records of this run are not in order, so its figures are void.\n"
    )
    if warning := disturbance(results):
        print(f"**{warning}**\n")
    print(detail_tables(results))
    if not markdown:
        print(f"\nrecords by outcome: {ledger.by_outcome}")
    for complaint in results.complaints:
        tell(f"bench: WRONG: {complaint}")


def _raw(results: Results, figures: Figures, ledger: Ledger) -> bytes:
    raw = {
        "machine": Machine.described(),
        "figures": figures,
        "verdicts": {goal.figure: goal.verdict(figures.get(goal.figure)) for goal in TARGETS},
        "recorded": ledger.by_outcome,
        "answered": sum(sample.answered for sample in results.of("fairlead")),
        "memory_mb": results.memory_mb,
        "plans": msgspec.to_builtins(results.plans),
        "admission": msgspec.to_builtins(results.admission),
        "settling": msgspec.to_builtins(results.settling),
        "pages": msgspec.to_builtins(results.pages),
        "complaints": results.complaints,
        "samples": msgspec.to_builtins(results.samples),
        "stream_tries": [
            {
                "streams": attempt.count,
                "holds": attempt.holds,
                **msgspec.to_builtins(attempt.sample),
            }
            for attempt in results.stream_tries
        ],
    }
    return json.dumps(raw, indent=1).encode()


def _profile(arguments: argparse.Namespace) -> int:
    with opened(Cores.of_this_machine(), arguments.fairlead) as rig:
        target = rig.start_fairlead()
        target.settle_down()
        for name in arguments.loads:
            if name in _WITHOUT_SERVERS:
                continue  # bench/planning.py and bench/pages.py have a --profile of their own
            print(profile(rig, target, LOADS[name], _pace(arguments), native=arguments.native))
    return 0


def _pace(arguments: argparse.Namespace) -> Pace:
    pace = QUICK if arguments.quick else FULL
    return replace(
        pace,
        rounds=arguments.rounds or pace.rounds,
        seconds=arguments.seconds or pace.seconds,
        stream_levels=arguments.stream_levels or pace.stream_levels,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: every code path, no usable figures"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help=f"rounds (default {FULL.rounds})")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help=f"of each load (default {FULL.seconds:g})"
    )
    parser.add_argument(
        "--loads",
        type=_loads,
        default=_USUAL_LOADS,
        help=f"some of {','.join(_ALL_LOADS)}; without {PAGES_LOAD} unless it is named",
    )
    parser.add_argument(
        "--stream-levels",
        type=_counts,
        metavar="N,N",
        help=f"default {','.join(map(str, FULL.stream_levels))}",
    )
    parser.add_argument(
        "--no-streams", dest="streams", action="store_false", help="skip the concurrent streams"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every raw result")
    parser.add_argument(
        "--markdown", action="store_true", help="print exactly what docs/performance.md shows"
    )
    parser.add_argument("--gate", action="store_true", help="fail when a target is missed")
    parser.add_argument(
        "--profile", action="store_true", help="show where Fairlead spends its time instead"
    )
    parser.add_argument(
        "--native", action="store_true", help="with --profile: into compiled extensions too"
    )
    parser.add_argument(
        "--install", action="store_true", help="install what is missing (root, apt-get)"
    )
    parser.add_argument(
        "--fairlead", type=Path, default=FAIRLEAD, metavar="PATH", help="the command to measure"
    )
    return parser.parse_args()


def _loads(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in _ALL_LOADS]:
        known = ", ".join(_ALL_LOADS)
        raise argparse.ArgumentTypeError(f"no load {unknown[0]!r}; there are {known}")
    return names


def _counts(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(count) for count in text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
