"""How long people wait for what they look at, at ten million calls: bench/dashboards.py -h.

It makes a database with a year of usage (see year.py), asks everything that the pages and the API ask, and says
how long each answer took: of the biggest account, which has half of everything, and of a typical one. Exit code
1: an answer took longer than it may.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests/postgres_server.py

from year import BIGGEST, END_MS, TYPICAL, Year, copy, fill

from fairlead.compose.system import spare_the_collector
from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import Period, Subject, Window
from fairlead.control.usage.analysis import Question
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS
from fairlead.control.usage.dimensions import Dimension, Filter, Operator
from fairlead.control.usage.metrics import METRICS
from fairlead.control.usage.service import Usage
from fairlead.control.usage.spans import Granularity
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.store import migrate
from fairlead.store.database import Database, open_database

LIMIT_MS: Final = 100.0
KEPT_FILE: Final = "year.db"
ROUNDS: Final = 20
ROUNDS_QUICK: Final = 1
QUICK: Final = Year(
    calls=3_000, accounts=10, keys=20, minutes_days=1, hours_days=2, stored_calls=500
)
PAGE_MEASURES: Final = ("requests", "prompt_tokens", "completion_tokens", "cost_nano", "byok_nano")
NOW_MS: Final = END_MS  # a page of "now" reads as much as any


@dataclass(frozen=True, slots=True)
class Times:
    """Of one question. own_ms: processor time of this process, in which SQLite works as well."""

    wall_ms: list[float]
    own_ms: list[float]

    @property
    def p95_ms(self) -> float:
        return sorted(self.wall_ms)[round(0.95 * len(self.wall_ms)) - 1]


def main() -> int:
    arguments = _arguments()
    spare_the_collector()  # as servers do
    year = QUICK if arguments.quick else Year(calls=arguments.calls)
    found: dict[str, dict[str, Times]] = {}
    for kind in arguments.databases.split(","):
        with _database(kind, arguments.keep) as (database, is_new):
            if is_new:
                began_s = time.perf_counter()
                _fill(database, year, kept=_kept(arguments.keep))
                _tell(f"{kind}: filled in {time.perf_counter() - began_s:.0f} s")
            rounds = ROUNDS_QUICK if arguments.quick else ROUNDS
            found[kind] = _timed(database, year, rounds=rounds)
    print(_table(found))
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps(
                {
                    kind: {name: asdict(one) for name, one in of.items()}
                    for kind, of in found.items()
                }
            )
        )
    slow = [
        f"{kind}: {name}"
        for kind, of_kind in found.items()
        for name, times in of_kind.items()
        if times.p95_ms > LIMIT_MS
    ]
    for one in slow:
        _tell(f"over {LIMIT_MS:g} ms: {one}")
    return 1 if slow else 0


def questions(usage: Usage, account: AccountId, year: Year) -> dict[str, Callable[[], object]]:
    """Everything that is asked of one account, by a name for the table."""
    is_biggest = account == BIGGEST
    key = KeyId(f"key-{0 if is_biggest else year.keys // 6 + 7:032x}")
    model = next(iter(usage.sums(account, start_ms=NOW_MS - 30 * DAY_MS, end_ms=NOW_MS,
                                 measures=("requests",), dimensions=(Dimension.MODEL,))))[1]  # fmt: skip
    of_key = (Filter(Dimension.API_KEY, Operator.EQ, (key,)),)
    of_model = (Filter(Dimension.MODEL, Operator.EQ, (model,)),)
    asked: dict[str, Callable[[], object]] = {}
    for page, length_ms, granularity in (
        ("1 hour by minute", HOUR_MS, Granularity.MINUTE),
        ("1 day by hour", DAY_MS, Granularity.HOUR),
        ("1 month by day", 30 * DAY_MS, Granularity.DAY),
        ("1 year by month", 365 * DAY_MS, Granularity.MONTH),
    ):
        for shown, dimensions, filters in (
            ("in all", (), ()),
            ("by model", (Dimension.MODEL,), ()),
            ("by key", (Dimension.API_KEY,), ()),
            ("by creator", (Dimension.USER,), ()),
            ("of a model by key", (Dimension.API_KEY,), of_model),
            ("of a key by model", (Dimension.MODEL,), of_key),
        ):
            name = f"activity page, {page}, {shown}"
            if dimensions:
                asked[name] = _charted(
                    usage, account, length_ms, granularity, dimensions[0], filters
                )
            else:
                asked[name] = _sums(usage, account, length_ms, granularity, (), filters)
    asked["GET /activity"] = lambda: usage.activity(account)
    asked["GET /activity by workspace"] = lambda: usage.activity(account, by_workspace=True)
    asked["GET /activity of a key"] = lambda: usage.activity(account, key=key)
    asked["GET /activity of a member"] = lambda: usage.activity(
        account, user=UserId(f"user-{account}-3")
    )
    asked["GET /activity of a workspace"] = lambda: usage.activity(
        account, workspaces=[WorkspaceId(f"{account}-workspace-1")]
    )
    names = ("request_count", "total_usage", "tokens_total", "cache_hit_rate")
    for shown, length_ms, granularity, dimensions, filters in (
        ("30 days, model", 30 * DAY_MS, None, (Dimension.MODEL,), ()),
        ("30 days by day, model", 30 * DAY_MS, Granularity.DAY, (Dimension.MODEL,), ()),
        ("30 days by day, key", 30 * DAY_MS, Granularity.DAY, (Dimension.API_KEY,), ()),
        ("30 days, model and key", 30 * DAY_MS, None, (Dimension.MODEL, Dimension.API_KEY), ()),
        ("30 days, app", 30 * DAY_MS, None, (Dimension.APP,), ()),
        ("7 days by hour, provider", 7 * DAY_MS, Granularity.HOUR, (Dimension.PROVIDER,), ()),
        ("7 days by hour, of a key", 7 * DAY_MS, Granularity.HOUR, (), of_key),
        ("a year by week, model", 364 * DAY_MS, Granularity.WEEK, (Dimension.MODEL,), ()),
        ("30 days to this minute", 30 * DAY_MS - 61_000 * 60, None, (Dimension.MODEL,), ()),
    ):
        asked[f"POST /analytics/query: {shown}"] = _analysed(
            usage, account, names, length_ms, granularity, dimensions, filters
        )
    asked["POST /analytics/query: 30 days, latency and pace by model"] = _analysed(
        usage, account, ("latency_avg", "throughput_avg"), 30 * DAY_MS, None, (Dimension.MODEL,), ()
    )
    asked["POST /analytics/query: a thousand calls"] = lambda: usage.analysed(
        account,
        Question((METRICS["total_usage"],), NOW_MS - 30 * DAY_MS, NOW_MS, by_generation=True),
    )
    first = 0 if is_biggest else year.keys // 6
    keys = [KeyId(f"key-{first + number:032x}") for number in range(100)]
    asked["GET /key"] = lambda: usage.of_keys([key])
    asked["GET /keys, a hundred"] = lambda: usage.of_keys(keys)
    return asked


def public_questions(database: Database, usage: Usage) -> dict[str, Callable[[], object]]:
    """What everybody sees: rankings, apps, a model's page, how endpoints are."""
    standings = Standings(database, usage, now_ms=lambda: NOW_MS - 1)
    model = standings.rankings(Subject.MODEL, Period.DAY).rows[0].name
    app = standings.rankings(Subject.APP, Period.MONTH).rows[0].app
    assert app is not None
    asked: dict[str, Callable[[], object]] = {}
    for subject in Subject:
        for period in Period:
            asked[f"rankings: {subject}, {period}"] = partial(standings.rankings, subject, period)
            asked[f"shares: {subject}, by {period}"] = partial(standings.shares, subject, period)
    asked["rankings: model, month, of a category"] = lambda: standings.rankings(
        Subject.MODEL, Period.MONTH, category="coding"
    )
    asked["models: weekly tokens"] = standings.weekly_tokens
    asked["app page, month"] = lambda: standings.app(app.address, Period.MONTH)
    asked["model page: apps, week"] = lambda: standings.apps_of_model(model)
    asked["model page: activity, a year by day"] = lambda: standings.model_activity(model, days=365)
    for window in Window:
        asked[f"model page: performance, {window}"] = partial(standings.histories, model, window)
        asked[f"model page: uptime, {window}"] = partial(standings.uptimes, window, model=model)
    for window in (Window.DAY, Window.MONTH, Window.QUARTER):
        asked[f"status page: {window}"] = partial(standings.provider_uptimes, window)
    return asked


def _sums(
    usage: Usage,
    account: AccountId,
    length_ms: int,
    granularity: Granularity | None,
    dimensions: tuple[Dimension, ...],
    filters: tuple[Filter, ...],
) -> Callable[[], object]:
    return lambda: usage.sums(
        account, start_ms=NOW_MS - length_ms, end_ms=NOW_MS, measures=PAGE_MEASURES,
        granularity=granularity, dimensions=dimensions, filters=filters,
    )  # fmt: skip


def _charted(
    usage: Usage,
    account: AccountId,
    length_ms: int,
    granularity: Granularity,
    dimension: Dimension,
    filters: tuple[Filter, ...],
) -> Callable[[], object]:
    """A chart of the ten biggest, and the rest."""
    return lambda: usage.charted(
        account, dimension, start_ms=NOW_MS - length_ms, end_ms=NOW_MS, measures=PAGE_MEASURES,
        granularity=granularity, biggest=10, filters=filters,
    )  # fmt: skip


def _analysed(
    usage: Usage,
    account: AccountId,
    names: tuple[str, ...],
    length_ms: int,
    granularity: Granularity | None,
    dimensions: tuple[Dimension, ...],
    filters: tuple[Filter, ...],
) -> Callable[[], object]:
    question = Question(
        tuple(METRICS[name] for name in names), NOW_MS - length_ms, NOW_MS,
        dimensions=dimensions, filters=filters, granularity=granularity,
    )  # fmt: skip
    return lambda: usage.analysed(account, question)


def _timed(database: Database, year: Year, *, rounds: int) -> dict[str, Times]:
    """Each answer, several times over."""
    usage = Usage(database, now_ms=lambda: NOW_MS, minutes_days=year.minutes_days, hours_days=400)
    asked = {f"all: {name}": ask for name, ask in public_questions(database, usage).items()}
    for shown, account in (("biggest", BIGGEST), ("typical", TYPICAL)):
        for name, ask in questions(usage, account, year).items():
            asked[f"{shown}: {name}"] = ask
    times: dict[str, Times] = {}
    for name, ask in asked.items():
        one = times[name] = Times([], [])
        for _ in range(rounds):
            began_s, began_own_s = time.perf_counter(), time.process_time()
            ask()
            one.wall_ms.append((time.perf_counter() - began_s) * 1000)
            one.own_ms.append((time.process_time() - began_own_s) * 1000)
    return times


def _table(found: dict[str, dict[str, Times]]) -> str:
    kinds = list(found)
    lines = [
        "| ms: median, p95 (our processor time) | " + " | ".join(kinds) + " |",
        "|---|" + "---|" * len(kinds),
    ]
    for name in found[kinds[0]]:
        cells = (
            f"{statistics.median(one.wall_ms):.1f}, {one.p95_ms:.1f}"
            f" ({statistics.median(one.own_ms):.1f})"
            for one in (found[kind][name] for kind in kinds)
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


@contextmanager
def _database(kind: str, keep: Path | None) -> Iterator[tuple[Database, bool]]:
    """A database, and whether there is nothing in it yet."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as temporary:
        where = Path(temporary) if keep is None else keep
        where.mkdir(parents=True, exist_ok=True)
        if kind == "sqlite":
            is_new = not (where / KEPT_FILE).exists()
            with closing(open_database(where / KEPT_FILE)) as database:
                migrate.prepare(database)
                yield database, is_new
        else:
            from tests.postgres_server import shared_databases

            with (
                shared_databases(Path(temporary), prefix="bench") as databases,
                databases.prepared() as url,
                closing(open_database(url)) as database,
            ):
                yield database, True


def _fill(database: Database, year: Year, *, kept: Path | None) -> None:
    """kept: a SQLite database in which the year is already."""
    if kept is None or database.engine.dialect.name == "sqlite":
        count = fill(database, year)
        _tell(f"{count} calls")
        return
    with closing(open_database(kept)) as source:
        copy(source, database)


def _kept(keep: Path | None) -> Path | None:
    path = None if keep is None else keep / KEPT_FILE
    return path if path is not None and path.exists() else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small year: shows that it works")
    parser.add_argument("--calls", type=int, default=Year().calls, help="in the year")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument(
        "--keep", type=Path, help="keep the SQLite database there: next time both are made of it"
    )
    parser.add_argument("--json", type=Path, help="write every time there")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
