"""What sessions cost, and that nobody's spending can be read from it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from fairlead.control.datasets.jobs import SessionCounter
from fairlead.control.datasets.service import DataSets
from fairlead.control.datasets.sessions import (
    ACCOUNTS_MIN,
    SESSIONS_MIN,
    SessionBook,
    is_due,
)
from fairlead.control.datasets.types import SessionCell, SessionCosts, TurnRange
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.samples import Sample, sample
from fairlead.control.usage.service import Usage
from fairlead.core.generation import Attribution, Generation, Outcome
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.records import pack
from fairlead.store.tables.generations import generations
from fairlead.testing.generations import plain_generation
from tests.control.usage.test_rollup import settled

NOW_MS = round(datetime(2026, 11, 20, 5, 30, tzinfo=UTC).timestamp() * 1000)  # a Friday
YESTERDAY_S = NOW_MS / 1000 - 86_400
CLINE = Attribution("https://cline.example", "Cline", ("cli-agent",))
EACH = SESSIONS_MIN // ACCOUNTS_MIN


def answered(account: int, session: int, number: int = 0, **changes: object) -> Generation:
    """One answer of a session; the session costs as many cents as its number."""
    made = {
        "account": AccountId(f"acc-{account}"),
        "session_id": f"session {session}",
        "created_s": YESTERDAY_S,
        "attribution": CLINE,
        "cost": NanoUSD(session * 10_000_000),
    }
    return plain_generation((account * 100 + session) * 1000 + number, **{**made, **changes})


def enough(accounts: int = ACCOUNTS_MIN, each: int = EACH) -> list[list[Generation]]:
    return [
        [answered(account, session) for session in range(1, each + 1)]
        for account in range(accounts)
    ]


def counted(accounts: list[list[Generation]]):
    book = SessionBook()
    for calls in accounts:
        for one in calls:
            book.add(_sample(one))
        book.account_ends()
    return [(one.model, one.turns, one.cost_usd) for one in book.cells()]


def _sample(one: Generation) -> Sample:
    return sample(pack(one))


def test_a_median_is_told_of_enough_sessions_of_enough_accounts():
    assert counted(enough()) == [("openai/gpt-4o-mini", TurnRange.ONE, 0.02)]
    assert counted(enough()[1:]) == []
    assert counted([*enough()[1:], []]) == []
    assert counted(enough(ACCOUNTS_MIN, EACH - 1)) == []


def test_one_account_does_not_make_a_median():
    """The others' sessions would not hide what it spends."""
    most = [answered(0, session) for session in range(1, 18)]
    others = [[answered(account, 1), answered(account, 2)] for account in range(1, 9)]
    assert len(most) == sum(map(len, others)) + 1
    assert counted([most, *others]) == []
    assert len(counted([most[1:], *others])) == 1


def test_sessions_of_nobody_of_own_machines_and_private_ones_count_nowhere():
    whole = enough()
    for change in (
        {"session_id": None},
        {"attribution": None},
        {"attribution": Attribution("http://localhost:3000", "At home")},
        {"outcome": Outcome.FAILED},
    ):
        last = [answered(ACCOUNTS_MIN - 1, session, **change) for session in range(1, EACH + 1)]
        assert counted([*whole[:-1], last]) == [], change


def test_a_session_counts_for_the_model_that_answered_most_of_it_with_all_it_costs():
    whole = [
        [
            answered(account, session, number, model=model, cost=NanoUSD(5_000_000))
            for session in range(1, EACH + 1)
            for number, model in enumerate(["b/big", "a/small", "b/big"])
        ]
        for account in range(ACCOUNTS_MIN)
    ]
    assert counted(whole) == [("b/big", TurnRange.FEW, 0.015)]


@pytest.mark.parametrize(
    ("turns", "told"),
    [(1, "1-turn"), (2, "2-9-turns"), (9, "2-9-turns"), (10, "10-49-turns"), (50, "50-plus-turns")],
)
def test_turns_are_told_in_ranges(turns: int, told: str):
    whole = [
        [answered(account, 1, turn) for turn in range(turns)] for account in range(SESSIONS_MIN)
    ]
    assert [turn for _, turn, _ in counted(whole)] == [told]


def test_it_is_counted_on_mondays_and_daily_while_there_is_nothing():
    cell = SessionCell("cline.example", "Cline", TurnRange.ONE, "a/one", 0.5)
    full = SessionCosts(NOW_MS, "2026-11-19", 30, (cell,))
    empty = SessionCosts(NOW_MS, "2026-11-19", 30)
    assert is_due(None, NOW_MS)
    assert not is_due(empty, NOW_MS + HOUR_MS)
    assert is_due(empty, NOW_MS + DAY_MS)
    assert not is_due(full, NOW_MS + 2 * DAY_MS)
    assert is_due(full, NOW_MS + 3 * DAY_MS)


def test_the_counter_reads_all_accounts_and_is_one_of_all_processes(database: Database):
    every = [one for calls in enough() for one in calls]
    every.append(answered(1, 9, created_s=NOW_MS / 1000))  # today is not over
    with database.begin() as connection:
        connection.execute(sa.insert(generations), list(map(settled, every)))
        UsageRollup(database).add_within(connection, list(map(pack, every)))
    clock = [NOW_MS]
    usage = Usage(database, now_ms=lambda: clock[0], minutes_days=7, hours_days=95)
    datasets = DataSets(database, usage)
    one, other = (
        SessionCounter(database, usage, now_ms=lambda: clock[0], pause_s=0) for _ in range(2)
    )
    assert datasets.session_costs() is None
    assert one.count_if_due()
    assert not other.count_if_due()
    found = datasets.session_costs()
    cell = SessionCell("cline.example", "Cline", TurnRange.ONE, "openai/gpt-4o-mini", 0.02)
    assert found == SessionCosts(NOW_MS, "2026-11-19", 30, (cell,))
    clock[0] += 3 * DAY_MS
    # Another began, and has not finished: so it is its turn for a while.
    assert database.retrying(other._begin)
    assert not one.count_if_due()
    assert datasets.session_costs() == found
    clock[0] += 2 * HOUR_MS
    assert one.count_if_due()
