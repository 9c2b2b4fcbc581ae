"""An account's finished calls, page by page: all of them once, and nothing of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import msgspec
import pytest

from fairlead.control.generations import listing, queries
from fairlead.control.generations.listing import Cursor, GenerationList, Wanted
from fairlead.core.generation import Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, KeyId, UserId, generation_id
from fairlead.core.usage import Usage
from fairlead.store.database import Database
from fairlead.store.records import front, pack
from fairlead.testing.generations import plain_generation

ACCOUNT = AccountId("acc-listed")
BEGIN_MS = 1_795_219_200_000
Keep: TypeAlias = Callable[..., None]
ALL = Wanted(BEGIN_MS, BEGIN_MS + 1_000_000)


def call(number: int, **changed: object) -> Generation:
    # Of two that began together, the id decides.
    created_ms = BEGIN_MS + number // 2
    made = msgspec.structs.replace(
        plain_generation(number),
        id=generation_id(created_ms, number),
        account=ACCOUNT,
        created_s=created_ms / 1000,
        model="a/one",
        provider="p",
        key=KeyId("key-1"),
    )
    return msgspec.structs.replace(made, **changed)


@pytest.fixture
def keep(database: Database) -> Keep:
    def keep(*calls: Generation) -> None:
        records = [pack(one) for one in calls]
        with database.begin() as connection:
            rows = [queries.row(front(one), one, None) for one in records]
            queries.insert_new(database, connection, rows)

    return keep


def every(found: GenerationList, wanted: Wanted, *, limit: int) -> list[str]:
    seen: list[str] = []
    behind: Cursor | None = None
    while True:
        page = found.page(ACCOUNT, wanted, behind=behind, limit=limit)
        assert len(page.generations) <= limit
        seen += [one.id for one in page.generations]
        if page.after is None:
            return seen
        assert page.after != behind
        behind = page.after


def test_every_call_is_on_one_page_newest_first(
    database: Database, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "READ_AT_ONCE", 4)
    monkeypatch.setattr(listing, "COLUMNS_AT_ONCE", 5)
    monkeypatch.setattr(listing, "LOOKED_AT_MAX", 6)
    monkeypatch.setattr(listing, "RECORDS_LOOKED_AT_MAX", 5)
    app = Attribution(referer="https://app.example/path/", title="App")
    calls = [
        call(
            number,
            model="a/one" if number % 3 else "a/two",
            provider="p" if number % 5 else "q",
            key=KeyId(f"key-{number % 2}"),
            user=UserId("user-a") if number % 4 else None,
            attribution=app if number % 7 == 0 else None,
            outcome=Outcome.COMPLETED if number % 6 else Outcome.FAILED,
            usage=Usage(prompt=5, cache_read=number % 3),
            streamed=number % 8 > 0,
        )
        for number in range(40)
    ]
    keep(*calls)
    keep(call(41, account=AccountId("acc-another")), call(4001, created_s=BEGIN_MS / 1000 + 5000))
    store = GenerationList(database)
    newest_first = calls[::-1]
    for wanted, holds in (
        (ALL, lambda one: True),
        (replace(ALL, model="a/two"), lambda one: one.model == "a/two"),
        (replace(ALL, provider="q"), lambda one: one.provider == "q"),
        (replace(ALL, key=KeyId("key-1")), lambda one: one.key == "key-1"),
        (replace(ALL, user=UserId("user-a")), lambda one: one.user == "user-a"),
        (replace(ALL, app="https://app.example/path"), lambda one: one.attribution == app),
        (replace(ALL, model="nobody/has"), lambda one: False),
        (replace(ALL, outcome=Outcome.FAILED), lambda one: one.outcome is Outcome.FAILED),
        (replace(ALL, is_cached=True), lambda one: one.usage.cache_read > 0),
        (replace(ALL, is_cached=False), lambda one: not one.usage.cache_read),
        (replace(ALL, is_streamed=False), lambda one: not one.streamed),
        (
            replace(ALL, model="a/two", user=UserId("user-a")),
            lambda one: one.model == "a/two" and one.user == "user-a",
        ),
    ):
        expected = [one.id for one in newest_first if holds(one)]
        for limit in (1, 3, 100):
            assert every(store, wanted, limit=limit) == expected, wanted


def test_no_place_in_a_members_list_names_anothers_call(
    database: Database, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows the id of a call can open it."""
    monkeypatch.setattr(listing, "READ_AT_ONCE", 3)
    monkeypatch.setattr(listing, "RECORDS_LOOKED_AT_MAX", 3)
    calls = [call(number, user=UserId(f"user-{number % 5}")) for number in range(40)]
    keep(*calls)
    wanted = replace(ALL, user=UserId("user-2"))
    own = {one.id for one in calls if one.user == wanted.user}
    store, behind = GenerationList(database), None
    named: list[str] = []
    while (page := store.page(ACCOUNT, wanted, behind=behind, limit=1)).after is not None:
        named.append(page.after.id)
        behind = page.after
    assert set(named) <= {*own, ""}
    assert "" in named
