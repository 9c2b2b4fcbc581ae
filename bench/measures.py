"""What is measured: one load on one target at a time, in interleaved rounds.

Every round runs every load on every target in turn, and the next round in the opposite order, so that a slow
minute of the machine hits them all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from admission import AdmissionTime
from bodies import as_messages, conversation
from machine import Machine, cpu_ticks, cpu_us
from planning import PlanTime
from rig import BUILD, MODEL, TRANSLATED_MODEL, Rig, Target, pinned
from settling import SettlePace

if TYPE_CHECKING:
    from pages import PageTimes  # with it comes the whole program

__all__ = [
    "FULL",
    "LOADS",
    "QUICK",
    "Load",
    "Pace",
    "Sample",
    "StreamTry",
    "measure",
    "search_streams",
]

LOAD_S_MAX = 120.0  # one load, with its warm-up and its last answers

STREAM_FRAMES = 64
STREAM_FRAME_EVERY_US = 20_000
OFFERED_SHARE_MIN = 0.9  # a stream that ends is replaced at once, which costs a little of its time
PROMPT_TOKENS = 421  # what the mock upstream says that every prompt had


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of traffic.

    connections: with a rate at most that many, else always that many calls under way.
    rate: calls a second in an open loop, or None for a closed one.
    frames, every_us: of a stream; frames == 0 means whole answers.
    model: says which format the upstream speaks. speaks_messages: the caller, instead of OpenAI chat.
    """

    name: str
    says: str
    connections: int
    body_bytes: int = 2_000
    rate: int | None = None
    frames: int = 0
    every_us: int = 0
    model: str = MODEL
    speaks_messages: bool = False

    @property
    def is_translated(self) -> bool:
        """Caller and upstream speak different formats, so a proxy that forwards bytes has no part in it."""
        return self.speaks_messages or self.model != MODEL

    @property
    def path(self) -> str:
        return "messages" if self.speaks_messages else "chat/completions"

    @property
    def end_mark(self) -> str:
        return "message_stop" if self.speaks_messages else "[DONE]"

    @property
    def spread_s(self) -> float:
        """Streams begin evenly over one stream's length, as callers do not wait for each other."""
        return self.frames * self.every_us / 1e6

    def body(self) -> bytes:
        if not self.frames:
            return conversation(self.model, self.body_bytes)
        directive = f"mock:n={self.frames},d={self.every_us}; "
        body = conversation(self.model, self.body_bytes, directive=directive, streamed=True)
        return as_messages(body) if self.speaks_messages else body


LOADS = {
    load.name: load
    for load in (
        Load("calls", "64 connections, closed loop, 2 KB calls", 64),
        Load("latency", "500 calls a second, open loop, 2 KB calls", 256, rate=500),
        Load("big", "100 calls a second, open loop, 80 KB calls", 64, body_bytes=80_000, rate=100),
        Load("chunks", "400 streams of 100 chunks, 10 ms apart", 400, frames=100, every_us=10_000),
        Load(
            "translated",
            "400 streams of 100 chunks, 10 ms apart, from an Anthropic upstream to OpenAI chat",
            400,
            frames=100,
            every_us=10_000,
            model=TRANSLATED_MODEL,
        ),
        Load(
            "to-messages",
            "400 streams of 100 chunks, 10 ms apart, from an OpenAI upstream to Anthropic Messages",
            400,
            frames=100,
            every_us=10_000,
            speaks_messages=True,
        ),
    )
}


def paced_streams(count: int) -> Load:
    return Load(
        f"streams-{count}",
        f"{count} streams of {STREAM_FRAMES} chunks, {STREAM_FRAME_EVERY_US // 1000} ms apart",
        count,
        frames=STREAM_FRAMES,
        every_us=STREAM_FRAME_EVERY_US,
    )


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often."""

    rounds: int
    seconds: float
    warm_up_s: float
    stream_levels: tuple[int, ...]
    stream_seconds: float
    stream_tries: int  # a level holds when most of them do
    quiet_s: float  # how long a target must do nothing before the next load


FULL = Pace(5, 3.0, 0.5, (500, 1000, 1500, 2000, 3000), 4.0, 3, 0.2)
# Long enough to meet every code path, far too short for figures.
QUICK = Pace(1, 0.3, 0.1, (20,), 0.3, 1, 0.05)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one load on one target gave: loadgen's own answer, and what we saw from outside.

    Times in microseconds, -1 where there was nothing to measure; see loadgen.c for which of its counts are
    about the measured window and which about everything.
    """

    label: str
    rps: float
    answered: int
    bad: int
    closed_early: int
    stuck: int
    unsent: int
    no_done: int
    no_usage: int
    lat_p50: float
    lat_p90: float
    lat_p99: float
    lat_p999: float
    ttfb_p50: float
    chunks_s: float
    chunk_p50: float
    chunk_p99: float
    frames: int
    frames_lost: int
    frames_late: int
    late_max_us: float
    cpu_pct: float
    cpu_us_req: float
    cpu_us_chunk: float
    pss_mb: float
    bad_status: int = 0
    bad_body: str = ""

    load: str = ""
    round: int = 0
    cpu_all_us: float = 0.0  # from the first call until the target was quiet again
    system_pct: float = 0.0  # of that, in the kernel
    quiet_after_s: float = 0.0
    load_core_pct: float = 0.0  # busy, with whatever else ran there
    target_core_pct: float = 0.0

    @property
    def cpu_us_per_call(self) -> float:
        """Of everything that was done for the calls, also what was put off until after them."""
        return self.cpu_all_us / self.answered if self.answered else -1.0

    @property
    def cpu_us_per_chunk(self) -> float:
        return self.cpu_all_us / self.frames if self.frames else -1.0

    @property
    def others_pct(self) -> float:
        """Of the target's core, what somebody else used meanwhile: about, as warm-up and window differ."""
        return max(0.0, self.target_core_pct - self.cpu_pct)

    @property
    def complaint(self) -> str | None:
        """What was wrong with the answers; a sample with a complaint is void."""
        wrong = {
            "bad": self.bad,
            "closed early": self.closed_early,
            "stuck": self.stuck,
            "unsent": self.unsent,
            "without end mark": self.no_done,
            "without usage": self.no_usage,
            "frames lost": self.frames_lost,
        }
        said = ", ".join(f"{count} {what}" for what, count in wrong.items() if count)
        if said and self.bad_status:
            said += f" (last: {self.bad_status} {self.bad_body[:150]})"
        return said or None


@dataclass(frozen=True, slots=True)
class StreamTry:
    """One try to hold `count` streams."""

    count: int
    sample: Sample

    @property
    def offered_share(self) -> float:
        """Of the chunks that so many streams bring in the measured time, those that were really seen.

        Less than all when starting a stream takes long, or when the rig cannot produce so many.
        """
        return self.sample.chunks_s * STREAM_FRAME_EVERY_US / 1e6 / self.count

    @property
    def holds(self) -> bool:
        whole = self.sample.complaint is None and self.sample.frames_late == 0
        return whole and self.offered_share >= OFFERED_SHARE_MIN

    @property
    def gist(self) -> str:
        """One line while it runs."""
        sample = self.sample
        said = "holds" if self.holds else sample.complaint or f"{sample.frames_late} late"
        return (
            f"{said}, latest frame {sample.late_max_us / 1e3:.0f} ms, "
            f"{100 * self.offered_share:.0f} % of the chunks offered, {sample.cpu_us_per_chunk:.1f} us a chunk"
        )


@dataclass(slots=True)
class Results:
    """Everything that one run has measured."""

    samples: list[Sample] = field(default_factory=list)
    stream_tries: list[StreamTry] = field(default_factory=list)
    memory_mb: dict[str, tuple[float, float]] = field(default_factory=dict)  # idle, after load
    complaints: list[str] = field(default_factory=list)
    plans: list[PlanTime] = field(default_factory=list)
    settling: list[SettlePace] = field(default_factory=list)
    admission: list[AdmissionTime] = field(default_factory=list)
    pages: list[PageTimes] = field(default_factory=list)

    def of(self, target: str) -> Iterable[Sample]:
        yield from (sample for sample in self.samples if sample.label == target)
        yield from (
            attempt.sample for attempt in self.stream_tries if attempt.sample.label == target
        )


def measure(
    rig: Rig, targets: list[Target], loads: Iterable[Load], pace: Pace, results: Results
) -> None:
    """All loads on all targets, `pace.rounds` times."""
    kinds = list(loads)
    for index in range(pace.rounds):
        order = targets if index % 2 == 0 else targets[::-1]
        for load in kinds:
            for target in order:
                if load.is_translated and not target.translates:
                    continue
                sample = run_load(rig, target, load, pace, seconds=pace.seconds, index=index)
                results.samples.append(sample)
                tell(
                    f"round {index + 1}/{pace.rounds}: {load.name:11} {target.name:9} {gist(sample)}"
                )
                if sample.complaint:
                    results.complaints.append(f"{load.name} on {target.name}: {sample.complaint}")


def search_streams(rig: Rig, targets: list[Target], pace: Pace, results: Results) -> None:
    """Raise the number of streams until a target no longer holds them.

    Failing at its limit is what a target is expected to do here, so it is no complaint.
    """
    still_up = list(targets)
    for count in pace.stream_levels:
        load = paced_streams(count)
        held: dict[str, int] = {}
        for index in range(pace.stream_tries):
            for target in still_up:
                sample = run_load(rig, target, load, pace, seconds=pace.stream_seconds, index=index)
                attempt = StreamTry(count, sample)
                results.stream_tries.append(attempt)
                held[target.name] = held.get(target.name, 0) + attempt.holds
                tell(f"{count} streams, try {index + 1}: {target.name:9} {attempt.gist}")
        still_up = [target for target in still_up if 2 * held[target.name] > pace.stream_tries]


def run_load(
    rig: Rig, target: Target, load: Load, pace: Pace, *, seconds: float, index: int
) -> Sample:
    """One load on one target that has come to rest. Raises RigFailure through the load generator's own."""
    target.settle_down(quiet_s=pace.quiet_s)
    body = rig.work / f"{load.name}.json"
    if not body.exists():
        body.write_bytes(load.body())
    # A stream's length of warm-up: measuring begins when all of them are under way.
    warm_up_s = pace.warm_up_s + load.spread_s
    command = [
        str(BUILD / "loadgen"), "-u", target.url(load.path), "-b", str(body), "-L", target.name,
        "-P", str(target.pid), "-e", load.end_mark, "-c", str(load.connections),
        "-d", str(seconds), "-w", str(warm_up_s),
    ]  # fmt: skip
    for header in target.headers:
        command += ["-H", header]
    if load.rate is not None:
        command += ["-r", str(load.rate)]
    if load.frames:
        command += ["-F", str(load.frames), "-s", str(load.spread_s)]
    cores = rig.cores
    busy_before = [Machine.busy_and_total_ticks(core) for core in (cores.load, cores.target)]
    cpu_before_us = cpu_us(target.pid)
    user_before, system_before = cpu_ticks(target.pid)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LOAD_S_MAX,
        preexec_fn=pinned(cores.load),
        check=True,
    )
    busy_after = [Machine.busy_and_total_ticks(core) for core in (cores.load, cores.target)]
    quiet_after_s = target.settle_down(quiet_s=pace.quiet_s)
    user_after, system_after = cpu_ticks(target.pid)
    answer: dict[str, Any] = json.loads(done.stdout)
    answer |= {
        "load": load.name,
        "round": index,
        "cpu_all_us": cpu_us(target.pid) - cpu_before_us,
        "system_pct": _percent(
            system_after - system_before, system_after - system_before + user_after - user_before
        ),
        "quiet_after_s": quiet_after_s,
        "load_core_pct": _busy(busy_before[0], busy_after[0]),
        "target_core_pct": _busy(busy_before[1], busy_after[1]),
    }
    return msgspec.convert(answer, Sample)


def gist(sample: Sample) -> str:
    """One line while it runs."""
    if sample.frames:
        return (
            f"{sample.chunks_s:8.0f} chunks/s, {sample.cpu_us_per_chunk:7.1f} us a chunk, "
            f"transit p50 {sample.chunk_p50 / 1e3:.2f} ms, p99 {sample.chunk_p99 / 1e3:.2f} ms"
        )
    return (
        f"{sample.rps:8.0f} calls/s,  {sample.cpu_us_per_call:7.1f} us a call, "
        f"p50 {sample.lat_p50 / 1e3:.2f} ms, p99 {sample.lat_p99 / 1e3:.2f} ms"
    )


def tell(line: str) -> None:
    """Progress: not part of the result, so not on standard output."""
    print(line, file=sys.stderr, flush=True)


def _busy(before: tuple[int, int], after: tuple[int, int]) -> float:
    return _percent(after[0] - before[0], after[1] - before[1])


def _percent(part: float, whole: float) -> float:
    return 100.0 * part / whole if whole > 0 else 0.0
