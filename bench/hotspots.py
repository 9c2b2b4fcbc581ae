"""Where Fairlead spends its time: a sampling profiler beside a load, its samples turned into microseconds.

A share of samples alone says little; times the processor time of a call or a chunk it says what a function
costs. py-spy is used from outside, so the measured program needs no change and slows by little. It cannot
always tell a thread that waits from one that works, so each thread's samples share out the processor time
that the kernel says the thread has used, and samples of known waits are dropped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace

from machine import threads_cpu_us
from measures import Load, Pace, gist, run_load, tell
from rig import BUILD, Rig, RigFailure, Target

__all__ = ["profile"]

SAMPLES_PER_S = 500
SHOWN_MAX = 45
INSTALL_S_MAX = 120.0
LEAST_SECONDS = 5.0
_WAITS = ("_worker (concurrent/futures/thread.py)", "wait (threading.py)")
_THREAD = re.compile(r"thread \((\d+)\)")
_HOME = BUILD / "profiler"  # py-spy's own environment: the project's stays as it is locked


def profile(rig: Rig, target: Target, load: Load, pace: Pace, *, native: bool) -> str:
    """The hottest functions under one load, in microseconds a call (or a chunk)."""
    program = _profiler()
    seconds = max(pace.seconds, LEAST_SECONDS)
    # Once without: what is the cost when nobody watches? The samples only divide it up.
    plain = run_load(rig, target, load, replace(pace, quiet_s=0.2), seconds=seconds, index=0)
    tell(f"{load.name}: {gist(plain)}")
    if plain.complaint:
        raise RigFailure(f"{load.name}: {plain.complaint}")
    stacks = rig.work / f"{load.name}.stacks"
    command = [
        program, "record", "--pid", str(target.pid), "--format", "raw", "--output", str(stacks),
        "--rate", str(SAMPLES_PER_S), "--duration", str(int(seconds + load.spread_s)), "--threads",
        *(["--native"] if native else []),
    ]  # fmt: skip
    used_before_us = threads_cpu_us(target.pid)
    watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        run_load(rig, target, load, pace, seconds=seconds + 1, index=1)
        _, said = watcher.communicate(timeout=INSTALL_S_MAX)
    finally:
        watcher.kill()
    if not stacks.exists():
        raise RigFailure(f"py-spy recorded nothing (it may need root): {said.decode()[-500:]}")
    used_us = {
        thread: now_us - used_before_us.get(thread, 0.0)
        for thread, now_us in threads_cpu_us(target.pid).items()
    }
    unit = "chunk" if load.frames else "call"
    cost_us = plain.cpu_us_per_chunk if load.frames else plain.cpu_us_per_call
    title = f"{load.says}: {cost_us:.1f} us a {unit}"
    return _table(stacks.read_text().splitlines(), title, cost_us, used_us)


def _table(stacks: list[str], title: str, cost_us: float, used_us: dict[int, float]) -> str:
    """stacks: lines of `thread;frame;...;frame count`. cost_us: of one call or chunk, to be shared out.
    used_us: by each thread, while the stacks were taken.
    """
    samples: dict[str, list[tuple[list[str], int]]] = {}
    for line in stacks:
        path, _, count_text = line.rpartition(" ")
        thread, *frames = path.split(";")
        names = [_function(frame) for frame in frames]
        if names and not names[-1].endswith(_WAITS):
            samples.setdefault(thread, []).append((names, int(count_text)))
    total_us = sum(used_us.values())
    if not samples or not total_us:
        raise RigFailure("the profiler saw the process doing nothing")
    own: defaultdict[str, float] = defaultdict(float)
    cumulative: defaultdict[str, float] = defaultdict(float)
    lines = [f"\n## {title}\n"]
    for thread, seen in samples.items():
        number = _THREAD.match(thread)
        thread_us = cost_us * used_us.get(int(number[1]), 0.0) / total_us if number else 0.0
        count = sum(each for _, each in seen)
        lines.append(f"{thread_us:8.2f} us  {thread} ({count} samples)")
        for names, each in seen:
            own[names[-1]] += thread_us * each / count
            for name in set(names):
                cumulative[name] += thread_us * each / count
    for what, costs in (("itself", own), ("with all that it calls", cumulative)):
        lines += ["", f"{'us':>8}  {'share':>6}  {what}"]
        lines += [
            f"{us:8.2f}  {100 * us / cost_us:5.1f}%  {name}"
            for name, us in sorted(costs.items(), key=lambda item: -item[1])[:SHOWN_MAX]
        ]
    return "\n".join(lines)


def _function(frame: str) -> str:
    """`read (fairlead/gateway/relay.py:41)` without its line number, so that a function is one row."""
    name, opening, place = frame.rpartition(" (")
    if not opening:
        return frame
    path = place.rstrip(")").partition(":")[0]
    return f"{name} ({'/'.join(path.split('/')[-3:])})"


def _profiler() -> str:
    """py-spy: the one on the path, or one of our own that is installed on first use."""
    found = shutil.which("py-spy")
    if found is not None:
        return found
    program = _HOME / "bin" / "py-spy"
    if not program.exists():
        tell("bench: installing py-spy into bench/build/profiler")
        for command in (
            [sys.executable, "-m", "venv", str(_HOME)],
            [str(_HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", "py-spy>=0.4"],
        ):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False
            )
            if done.returncode:
                raise RigFailure(f"py-spy cannot be installed: {done.stderr.strip()[-500:]}")
    return str(program)
