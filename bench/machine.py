"""The machine: its cores, and what a process on it has used."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cores", "Machine", "cpu_ticks", "cpu_us", "pss_mb", "threads_cpu_us"]


@dataclass(frozen=True, slots=True)
class Cores:
    """load: mock upstream and load generator. target: what is measured."""

    load: int
    target: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two that this process may use; one for both if there is no second."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[1] if len(usable) > 1 else usable[0])

    @property
    def are_apart(self) -> bool:
        return self.load != self.target


class Machine:
    """What the figures were measured on, for the line above the tables."""

    @staticmethod
    def described() -> str:
        processor = "unknown processor"
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
        system = os.uname()
        python = ".".join(str(part) for part in sys.version_info[:3])
        cores = f"{len(os.sched_getaffinity(0))} cores ({processor})"
        return f"{cores}, {system.sysname} {system.release}, Python {python}"

    @staticmethod
    def busy_and_total_ticks(core: int) -> tuple[int, int]:
        """Of one core since the machine started, whoever used it."""
        for line in Path("/proc/stat").read_text().splitlines():
            name, *values = line.split()
            if name == f"cpu{core}":
                ticks = [int(value) for value in values[:8]]
                return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
        return 0, 0


# --- what a process costs ---


def _family_of(pid: int) -> list[int]:
    """A process and its descendants."""
    family, index = [pid], 0
    while index < len(family):
        for thread in _threads(family[index]):
            with contextlib.suppress(OSError):
                family += [int(child) for child in (thread / "children").read_text().split()]
        index += 1
    return family


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def cpu_us(pid: int) -> float:
    """Processor time of a process and its descendants so far, from the scheduler's nanoseconds."""
    total_ns = 0
    for member in _family_of(pid):
        for thread in _threads(member):
            with contextlib.suppress(OSError, IndexError):
                total_ns += int((thread / "schedstat").read_text().split()[0])
    return total_ns / 1e3


def threads_cpu_us(pid: int) -> dict[int, float]:
    """Processor time so far of each thread of one process."""
    used: dict[int, float] = {}
    for thread in _threads(pid):
        with contextlib.suppress(OSError, IndexError):
            used[int(thread.name)] = int((thread / "schedstat").read_text().split()[0]) / 1e3
    return used


def cpu_ticks(pid: int) -> tuple[int, int]:
    """Clock ticks of (user, system) time of a process and its descendants so far."""
    user = system = 0
    for member in _family_of(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            user, system = user + int(fields[11]), system + int(fields[12])
    return user, system


def pss_mb(pid: int) -> float:
    """Memory of a process and its descendants, shared pages divided among those who share them."""
    total_kib = 0
    for member in _family_of(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total_kib += int(line.split()[1])
    return total_kib / 1024
