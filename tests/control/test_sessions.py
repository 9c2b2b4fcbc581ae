"""What calls of a session came to: kept as they are settled, listed page by page, each member's own."""

from __future__ import annotations

from contextlib import closing

import pytest
import sqlalchemy as sa

from fairlead.control.generations import sessions
from fairlead.control.generations.listing import GenerationList
from fairlead.control.generations.sessions import Session, SessionCursor, SessionList
from fairlead.control.generations.types import Wanted
from fairlead.control.usage.rollup import UsageRollup
from fairlead.core.generation import Generation, Outcome
from fairlead.core.ids import AccountId, UserId
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage
from fairlead.store import migrate
from fairlead.store.database import Database, open_database
from fairlead.store.records import pack
from fairlead.store.tables.usage import usage_backlog
from tests.control import settled
from tests.control.settled import ACCOUNT, BEGIN_MS, END_MS, insert, keep
from tests.store.revisions import migrate_to

ADA, BOB = UserId("user-ada"), UserId("user-bob")


def call(number: int, session: str | None, **changed: object) -> Generation:
    return settled.call(number, **{"session_id": session, "user": ADA, **changed})


def every(found: SessionList, *, limit: int, user: UserId | None = None) -> list[Session]:
    seen: list[Session] = []
    behind: SessionCursor | None = None
    while True:
        page = found.page(
            ACCOUNT, start_ms=BEGIN_MS, end_ms=END_MS, user=user, behind=behind, limit=limit
        )
        assert len(page.sessions) <= limit
        seen += page.sessions
        if page.after is None:
            return seen
        assert page.after != behind
        behind = page.after


def expected(calls: list[Generation], user: UserId | None) -> list[str]:
    last = {one.session_id: one.created_s for one in calls if user in (None, one.user)}
    del last[None]
    return sorted(last, key=lambda name: (last[name], name), reverse=True)


def test_every_session_is_on_one_page_the_latest_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LOOKED_AT", (3, 5))
    calls = [
        call(
            number,
            f"s{number // 16}-{number % 2}" if number % 4 else None,
            model=f"a/{number % 3}",
            user=ADA if number % 5 else BOB,
        )
        for number in range(80)
    ]
    keep(database, *calls[:50])
    keep(database, *calls[50:])
    keep(database, call(90, "s1-1", account=AccountId("acc-another")))
    found = SessionList(database)
    for user in (None, ADA, BOB):
        names = expected(calls, user)
        for limit in (1, 2, 100):
            assert [one.id for one in every(found, limit=limit, user=user)] == names, (user, limit)
    assert (
        found.page(ACCOUNT, start_ms=END_MS, end_ms=END_MS + 1, user=None, limit=9).sessions == ()
    )


def test_no_place_in_a_members_list_names_anothers_session(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LOOKED_AT", (2, 4))
    keep(
        database,
        *(call(number, f"s{number}", user=BOB if number % 7 else ADA) for number in range(60)),
    )
    found, behind = SessionList(database), None
    named: list[str] = []
    while True:
        page = found.page(
            ACCOUNT, start_ms=BEGIN_MS, end_ms=END_MS, user=ADA, behind=behind, limit=1
        )
        if page.after is None:
            break
        named.append(page.after.id)
        behind = page.after
    assert set(named) <= {*(f"s{number}" for number in range(0, 60, 7)), ""}
    assert "" in named


def test_a_session_is_the_sum_of_its_calls(database: Database) -> None:
    first = call(
        0,
        "run 7",
        usage=Usage(prompt=10, cache_read=5, completion=3),
        cost=NanoUSD(7),
        model="b/two",
    )
    failed = call(30, "run 7", usage=Usage(prompt=2), cost=NanoUSD(0), outcome=Outcome.FAILED)
    own = call(
        60, "run 7", usage=Usage(prompt=1, completion=1), cost=NanoUSD(1), user=BOB, is_byok=True,
        list_cost=NanoUSD(20),
    )  # fmt: skip
    keep(database, own, first)
    keep(database, failed)
    found = SessionList(database)
    assert found.find(ACCOUNT, "run 7", user=None) == Session(
        id="run 7", models=("a/one", "b/two"), first_ms=BEGIN_MS, last_ms=BEGIN_MS + 20, requests=3,
        failed=1, prompt_tokens=18, cached_tokens=5, completion_tokens=4, cost=NanoUSD(8), byok=NanoUSD(20),
    )  # fmt: skip
    of_bob = found.find(ACCOUNT, "run 7", user=BOB)
    assert of_bob is not None
    assert (of_bob.requests, of_bob.models) == (1, ("a/one",))
    assert found.find(ACCOUNT, "run 8", user=None) is None
    assert found.find(AccountId("acc-another"), "run 7", user=None) is None


def test_a_sessions_calls_are_listed_whatever_it_is_called(database: Database) -> None:
    """No database has room for a zero in a text, and an index none for text without end."""
    strange = "a\0b" + "\N{SNOWMAN}" * 2000
    calls = [call(number, strange if number % 2 else "other") for number in range(8)]
    keep(database, *calls)
    page = GenerationList(database).page(
        ACCOUNT, Wanted(BEGIN_MS, END_MS, session=strange), limit=2
    )
    assert [one.id for one in page.generations] == [calls[7].id, calls[5].id]
    rest = GenerationList(database).page(
        ACCOUNT, Wanted(BEGIN_MS, END_MS, session=strange), behind=page.after, limit=2
    )
    assert [one.id for one in rest.generations] == [calls[3].id, calls[1].id]
    assert rest.after is None
    listed = every(SessionList(database), limit=10)
    assert [one.requests for one in listed] == [4, 4]
    assert SessionList(database).find(ACCOUNT, strange, user=None) in listed


def test_sessions_from_before_they_were_kept_are_found_by_the_upgrade(fresh_address: str) -> None:
    """Those of calls that wait to be added up come when that is done, and not twice."""
    calls = [call(number, f"s{number % 3}" if number % 4 else None) for number in range(2100)]
    waiting = calls[::50]
    with closing(open_database(fresh_address)) as database:
        migrate_to(database, "0013")
        insert(database, *calls)
        with database.begin() as connection:
            connection.execute(
                sa.insert(usage_backlog), [{"generation_id": one.id} for one in waiting]
            )
        migrate.upgrade(database)
        with database.begin() as connection:
            UsageRollup(database).add_within(connection, [pack(one) for one in waiting])
        found = every(SessionList(database), limit=10)
    assert [one.id for one in found] == expected(calls, None)
    for one in found:
        of_it = [each for each in calls if each.session_id == one.id]
        assert one.requests == len(of_it)
        assert one.tokens == sum(each.usage.total_tokens for each in of_it)
        assert one.cost == sum(each.cost for each in of_it)
        assert one.first_ms == min(round(each.created_s * 1000) for each in of_it)
