"""How long every page takes on the server, with 700 models and a million calls: bench/pages.py -h.

Each page is asked in this process, without a socket, as a browser asks that has seen nothing before: other
models, filters and ids in turn, and at times so far apart that no answer that a page keeps for a moment is
still good. *again*: asked once more at once, with such an answer if there is one. *first*: the very first time
in the process, when templates are compiled. Exit code 1: a page's p95 is above what it may be; downloads are
told, not judged.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from every_page import Page, every_page
from installation import MOMENTS, Installation, installed
from million import Size

from fairlead.compose.system import spare_the_collector

__all__ = ["PageTimes", "measure_pages", "measured_pages", "pages_table"]

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests/postgres_server.py

LIMIT_MS: Final = 100.0
ROUNDS: Final = 30
ROUNDS_QUICK: Final = 1
# Few calls, and more of everything else than a page shows: should one ask for each of something, it shows.
QUICK: Final = Size(calls=600, days=10, accounts=55, keys=55, keys_of_others=1, purchases=10)
PROFILED_LINES: Final = 45


@dataclass(slots=True)
class PageTimes:
    """Of one page, in milliseconds. own_ms: processor time of this process. queries: at most, of one answer.
    sent_bytes: likewise."""

    name: str
    is_download: bool
    first_ms: float = 0.0
    wall_ms: list[float] = field(default_factory=list)
    own_ms: list[float] = field(default_factory=list)
    again_ms: list[float] = field(default_factory=list)
    queries: int = 0
    sent_bytes: int = 0
    slowest: str = ""

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.wall_ms)

    @property
    def p95_ms(self) -> float:
        return sorted(self.wall_ms)[round(0.95 * len(self.wall_ms)) - 1]

    @property
    def max_ms(self) -> float:
        return max(self.wall_ms)

    @property
    def again_p50_ms(self) -> float:
        return statistics.median(self.again_ms)

    @property
    def is_slow(self) -> bool:
        return not self.is_download and self.p95_ms > LIMIT_MS


def measure_pages(
    size: Size, *, rounds: int, keep: Path | None = None, database: str = "sqlite", wanted: str = ""
) -> list[PageTimes]:
    """wanted: only pages with that in their name. In QUICK without files to take away."""
    with _installation(size, keep, database) as installation:
        spare_the_collector()  # as servers do
        pages = [
            page
            for page in every_page(installation)
            if wanted in page.name and not (page.is_download and size is QUICK)
        ]
        assert len(pages) % MOMENTS, "or each would be asked at the same moment again and again"
        times = [_first(installation, page) for page in pages]
        # Not one page after the other: what the machine does meanwhile hits all of them.
        for number in range(rounds):
            for page, of_page in zip(pages, times, strict=True):
                _timed(installation, page, of_page, number)
        return times


def measured_pages(*, is_quick: bool) -> list[PageTimes]:
    """As `make bench` has it."""
    return measure_pages(QUICK if is_quick else Size(), rounds=ROUNDS_QUICK if is_quick else ROUNDS)


def pages_table(times: Sequence[PageTimes]) -> str:
    """The slowest first."""
    lines = [
        "| page | p50 ms | p95 ms | max ms | own p50 ms | again ms | first ms | queries | KB sent |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(times, key=lambda one: (one.is_download, -one.p95_ms)):
        name = f"{one.name} (download)" if one.is_download else one.name
        lines.append(
            f"| {name} | {one.p50_ms:.1f} | {one.p95_ms:.1f} | {one.max_ms:.1f}"
            f" | {statistics.median(one.own_ms):.1f} | {one.again_p50_ms:.1f}"
            f" | {one.first_ms:.0f} | {one.queries} | {one.sent_bytes / 1000:.0f} |"
        )
    return "\n".join(lines)


def _first(installation: Installation, page: Page) -> PageTimes:
    assert page.addresses, f"no address of {page.name}"
    answer = installation.ask(page.addresses[0], page.who)
    assert answer.status == page.status, (page.addresses[0], answer.status, answer.text[:2000])
    return PageTimes(page.name, page.is_download, first_ms=answer.wall_ms)


def _timed(installation: Installation, page: Page, times: PageTimes, number: int) -> None:
    address = page.addresses[number % len(page.addresses)]
    installation.pass_time()
    answer = installation.ask(address, page.who)
    assert answer.status == page.status, (address, answer.status, answer.text[:2000])
    if answer.wall_ms > max(times.wall_ms, default=0.0):
        times.slowest = address
    times.wall_ms.append(answer.wall_ms)
    times.own_ms.append(answer.own_ms)
    times.again_ms.append(installation.ask(address, page.who).wall_ms)
    times.queries = max(times.queries, answer.queries)
    times.sent_bytes = max(times.sent_bytes, answer.sent_bytes)


@contextmanager
def _installation(size: Size, keep: Path | None, database: str) -> Iterator[Installation]:
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fairlead-bench-")))
        url = None
        if database == "postgresql":
            from tests.postgres_server import shared_databases

            assert keep is None, "only SQLite's file is kept"
            databases = stack.enter_context(shared_databases(temporary, prefix="bench"))
            url = stack.enter_context(databases.prepared())
        folder = temporary if keep is None else keep
        folder.mkdir(parents=True, exist_ok=True)
        began_s = time.perf_counter()
        installation = stack.enter_context(
            installed(size, folder, url=url, progress=lambda calls: _tell(f"{calls:,} calls"))
        )
        _tell(f"{database}: {size.calls:,} calls there after {time.perf_counter() - began_s:.0f} s")
        yield installation


def _profiled(size: Size, keep: Path | None, wanted: str, rounds: int) -> None:
    """Where the time goes of pages with that in their name, in all threads of this process."""
    profiles: list[cProfile.Profile] = []

    def begin(*_: object) -> None:
        """In each thread that starts; from there on the profiler has this function's place."""
        profile = cProfile.Profile()
        profiles.append(profile)
        profile.enable()

    threading.setprofile(begin)
    with _installation(size, keep, "sqlite") as installation:
        spare_the_collector()
        pages = [page for page in every_page(installation) if wanted in page.name]
        for page in pages:
            _first(installation, page)
        for profile in profiles:
            profile.clear()
        begin()
        for page in pages:
            for address in islice(cycle(page.addresses), rounds):
                installation.pass_time()
                installation.ask(address, page.who)
        profiles[-1].disable()
    stats = pstats.Stats(*(one for one in profiles if one.getstats()))
    stats.sort_stats("cumulative").print_stats(PROFILED_LINES)
    stats.sort_stats("tottime").print_stats(PROFILED_LINES)


def main() -> int:
    arguments = _arguments()
    size = QUICK if arguments.quick else Size(models=arguments.models, calls=arguments.calls)
    rounds = arguments.rounds or (ROUNDS_QUICK if arguments.quick else ROUNDS)
    if arguments.profile is not None:
        _profiled(size, arguments.keep, arguments.profile, rounds)
        return 0
    times = measure_pages(
        size,
        rounds=rounds,
        keep=arguments.keep,
        database=arguments.database,
        wanted=arguments.pages,
    )
    print(pages_table(times))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({one.name: asdict(one) for one in times}))
    slow = [one for one in times if one.is_slow]
    for one in slow:
        _tell(f"over {LIMIT_MS:g} ms: {one.name}, p95 {one.p95_ms:.0f} ms, {one.slowest}")
    return 1 if slow else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few calls: shows that it works")
    parser.add_argument("--models", type=int, default=Size().models, help="in the catalogue")
    parser.add_argument("--calls", type=int, default=Size().calls, help="in a year")
    parser.add_argument("--rounds", type=int, help=f"how often each page is asked ({ROUNDS})")
    parser.add_argument("--pages", default="", help="only those with this in their name")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument(
        "--keep", type=Path, help="keep the SQLite database there for the next time"
    )
    parser.add_argument("--profile", metavar="NAME", help="where such pages' time goes, instead")
    parser.add_argument("--json", type=Path, help="write every time there")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
