"""What is asked of one account costs the same however much there is of others: by an index, never by looking.

Not timed, because a busy machine would lie: SQLite counts its own steps, and both databases tell how
they would go about it.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest
import sqlalchemy as sa

from fairlead.control.usage.analysis import GENERATION, Question
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS
from fairlead.control.usage.dimensions import Dimension, Filter, Operator
from fairlead.control.usage.metrics import METRICS
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.service import Usage
from fairlead.control.usage.spans import Granularity
from fairlead.control.usage.types import INSTALLATION, Resolution
from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId, KeyId
from fairlead.store.database import Database
from fairlead.store.records import pack
from fairlead.store.tables.generations import generations
from tests.control.usage.synthetic import BEGIN_S, DAY_S, made
from tests.control.usage.test_rollup import settled

ACCOUNT = AccountId("acc-1")
KEY = KeyId("key-1")
NOW_MS = (BEGIN_S + 40 * DAY_S) * 1000
STEPS_AT_ONCE = 10

Ask = Callable[[], object]


def fill(database: Database, others: range) -> None:
    """Forty days of two accounts (other 0), and as much again of others."""
    step = UsageRollup(database)
    for other in others:
        calls = made(random.Random(1), 150, days=40)
        if other:
            calls = [as_other(one, other) for one in calls]
        with database.begin() as connection:
            connection.execute(sa.insert(generations), list(map(settled, calls)))
            step.add_within(connection, list(map(pack, calls)))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def as_other(one: Generation, other: int) -> Generation:
    return msgspec.structs.replace(
        one, id=f"{one.id}-{other}", account=f"{one.account}-{other}", key=f"{one.key}-{other}"
    )


def of_account(usage: Usage) -> dict[str, Ask]:
    """Everything that pages and the API ask about one account."""
    asked: dict[str, Ask] = {}
    of_key = (Filter(Dimension.API_KEY, Operator.EQ, (KEY,)),)
    for granularity, length_ms in (
        (Granularity.MINUTE, HOUR_MS),
        (Granularity.HOUR, DAY_MS),
        (Granularity.DAY, 30 * DAY_MS),
        (Granularity.MONTH, 365 * DAY_MS),
        (None, 30 * DAY_MS - 61 * 60_000),
    ):
        for dimensions in ((), (Dimension.MODEL,), (Dimension.API_KEY,), (Dimension.USER,)):
            for filters in ((), of_key):
                asked[f"{granularity} {dimensions} {len(filters)}"] = _sums(
                    usage, ACCOUNT, length_ms, granularity, dimensions, filters
                )
    asked["activity"] = lambda: usage.activity(ACCOUNT, by_workspace=True)
    asked["key"] = lambda: usage.of_keys([KEY])
    asked[GENERATION] = lambda: usage.analysed(
        ACCOUNT,
        Question(
            (METRICS["total_usage"],), NOW_MS - 9 * DAY_MS, NOW_MS, by_generation=True, limit=20
        ),
    )
    return asked


def of_everybody(usage: Usage) -> dict[str, Ask]:
    asked = {
        "rankings": _sums(
            usage, INSTALLATION, 30 * DAY_MS, Granularity.DAY, (Dimension.MODEL,), ()
        ),
        "apps": _sums(usage, INSTALLATION, 7 * DAY_MS, None, (Dimension.APP,), ()),
    }
    for resolution in (Resolution.HOUR, Resolution.DAY):
        for model in ("openai/o1", None):
            asked[f"endpoints {resolution} {model}"] = _history(usage, resolution, model)
    return asked


def _sums(usage: Usage, account, length_ms, granularity, dimensions, filters) -> Ask:
    return lambda: usage.sums(
        account, start_ms=NOW_MS - length_ms, end_ms=NOW_MS, granularity=granularity,
        dimensions=dimensions, filters=filters,
    )  # fmt: skip


def _history(usage: Usage, resolution: Resolution, model: str | None) -> Ask:
    return lambda: usage.endpoint_history(
        resolution, start_ms=NOW_MS - DAY_MS, end_ms=NOW_MS, model=model
    )


def reader(database: Database) -> Usage:
    return Usage(database, now_ms=lambda: NOW_MS, minutes_days=400, hours_days=400)


@contextmanager
def counted_steps(database: Database) -> Iterator[list[int]]:
    """Of SQLite's own machine, while this lasts."""
    steps = [0]

    def one_more() -> int:
        steps[0] += STEPS_AT_ONCE
        return 0

    def watch(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(one_more, STEPS_AT_ONCE)

    sa.event.listen(database.engine, "checkout", watch)
    try:
        yield steps
    finally:
        sa.event.remove(database.engine, "checkout", watch)


def steps_of(database: Database, ask: Ask) -> int:
    with counted_steps(database) as steps:
        ask()
    return steps[0]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_account_pays_nothing_for_the_others(database: Database):
    fill(database, range(1))
    usage = reader(database)
    alone = {name: steps_of(database, ask) for name, ask in of_account(usage).items()}
    fill(database, range(1, 16))
    for name, ask in of_account(usage).items():
        among_others = steps_of(database, ask)
        assert 0 < among_others <= 1.3 * alone[name] + 200, name


def test_a_question_that_lost_its_index_would_be_seen(database: Database):
    fill(database, range(4))
    with database.read() as connection:
        statement = "SELECT count(*) FROM usage_days WHERE requests > 5"
        assert looks_at_all(connection, statement, {})


def test_no_question_looks_at_all_of_a_table(database: Database):
    fill(database, range(4))
    usage = reader(database)
    seen: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    for ask in (of_account(usage) | of_everybody(usage)).values():
        ask()
    sa.event.remove(database.engine, "before_cursor_execute", note)
    about_usage = [
        one for one in seen if re.search("usage_|key_usage|endpoint_|generations", one[0])
    ]
    assert len(about_usage) > 40
    with database.read() as connection:
        for statement, parameters in about_usage:
            assert not looks_at_all(connection, statement, parameters), statement


def looks_at_all(connection: sa.Connection, statement: str, parameters: object) -> bool:
    """Whether the database would go through a whole table for it."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters or ())
        # What was given with the question is a "virtual table".
        return any(row[3].startswith("SCAN") and "VIRTUAL" not in row[3] for row in plan)
    # So small a table is read whole if that is allowed; here only what has no other way still is.
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters or {})
    return any("Seq Scan" in row[0] for row in plan)
