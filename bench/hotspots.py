"""Where Fairlead spends its time: a sampling profiler beside a load, its samples turned into microseconds.

A share of samples alone says little; times the processor time of a call or a chunk it says what a function
costs. py-spy is used from outside, so the measured program needs no change and slows by little.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from measures import Load, Pace, gist, run_load, tell
from rig import BUILD, Rig, RigFailure, Target

__all__ = ["profile"]

SAMPLES_PER_S = 500
SHOWN_MAX = 45
INSTALL_S_MAX = 120.0
LEAST_SECONDS = 5.0
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
    watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        run_load(rig, target, load, pace, seconds=seconds + 1, index=1)
        _, said = watcher.communicate(timeout=INSTALL_S_MAX)
    finally:
        watcher.kill()
    if not stacks.exists():
        raise RigFailure(f"py-spy recorded nothing (it may need root): {said.decode()[-500:]}")
    unit = "chunk" if load.frames else "call"
    cost_us = plain.cpu_us_per_chunk if load.frames else plain.cpu_us_per_call
    return _table(stacks, f"{load.says}: {cost_us:.1f} us a {unit}", cost_us)


def _table(stacks: Path, title: str, cost_us: float) -> str:
    own: Counter[str] = Counter()
    cumulative: Counter[str] = Counter()
    by_thread: Counter[str] = Counter()
    total = 0
    for line in stacks.read_text().splitlines():
        path, _, count_text = line.rpartition(" ")
        count = int(count_text)
        thread, *frames = path.split(";")
        frames = [_function(frame) for frame in frames]
        if not frames:
            continue
        total += count
        by_thread[thread] += count
        own[frames[-1]] += count
        for name in set(frames):
            cumulative[name] += count
    if not total:
        raise RigFailure("the profiler saw the process doing nothing")
    lines = [f"\n## {title} ({total} samples)\n"]
    lines += [
        f"{cost_us * count / total:8.2f} us  thread {thread}"
        for thread, count in by_thread.most_common(6)
    ]
    for what, counter in (("itself", own), ("with all that it calls", cumulative)):
        lines += ["", f"{'us':>8}  {'share':>6}  {what}"]
        lines += [
            f"{cost_us * count / total:8.2f}  {100 * count / total:5.1f}%  {name}"
            for name, count in counter.most_common(SHOWN_MAX)
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
