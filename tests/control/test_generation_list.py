"""An account's finished calls, page by page: all of them once, full pages, and nothing of others."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sa

from fairlead.control.generations import call_queries, listing
from fairlead.control.generations.listing import GenerationList
from fairlead.control.generations.types import Cursor, Wanted
from fairlead.control.privacy.queries import forget_groups
from fairlead.control.usage import app_queries
from fairlead.control.usage.apps import claim
from fairlead.control.usage.rollup import UsageRollup
from fairlead.core.generation import Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, KeyId, UserId
from fairlead.core.usage import Usage
from fairlead.store import migrate
from fairlead.store.database import Database, open_database
from fairlead.store.records import pack
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.call_apps import app_calls
from fairlead.store.tables.keys import api_keys
from fairlead.store.tables.usage import apps, usage_backlog
from tests.control.settled import ACCOUNT, BEGIN_MS, END_MS, call, insert, keep
from tests.store.revisions import migrate_to

ALL = Wanted(BEGIN_MS, END_MS)
ADA, BOB = UserId("user-ada"), UserId("user-bob")  # Ada has three keys, Bob two
APP = Attribution(referer="https://app.example/path/", title="App")
KEYS = {KeyId(f"key-{number}"): ADA if number < 3 else BOB for number in range(5)}


@pytest.fixture
def made(database: Database) -> list[Generation]:
    """Calls of all keys, the oldest first."""
    with database.begin() as connection:
        connection.execute(
            sa.insert(accounts).values(
                id=ACCOUNT, name="", billing="prepaid", is_owner=False, created_ms=0
            )
        )
        connection.execute(
            sa.insert(api_keys),
            [
                {
                    "id": key, "account_id": ACCOUNT, "digest": key.encode(), "label": "", "name": "",
                    "is_management": False, "is_disabled": False, "created_ms": 0, "creator_user_id": user,
                    "deleted_ms": 5 if key == "key-1" else None,
                }
                for key, user in KEYS.items()
            ],
        )  # fmt: skip
    calls = [call_of(number) for number in range(28)]
    keep(database, *calls)
    keep(
        database,
        call(29, account=AccountId("acc-another"), attribution=APP, session_id="run"),
        call(4001, created_s=END_MS / 1000 + 5, attribution=APP, session_id="run"),
    )
    return calls


def call_of(number: int) -> Generation:
    # Key 3 is used most, key 4 a single time.
    key = KeyId(f"key-{number % 4 if number else 4}")
    return call(
        number,
        model="a/one" if number % 3 else "a/two",
        provider="p" if number % 5 else "q",
        key=key,
        user=KEYS[key],
        attribution=APP if number % 7 == 0 else None,
        outcome=Outcome.COMPLETED if number % 6 else Outcome.FAILED,
        usage=Usage(prompt=5, cache_read=number % 3),
        streamed=number % 8 > 0,
        session_id="run" if number % 2 else None,
    )


def app_of(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(apps.c.id)).scalar_one()


def every(found: GenerationList, wanted: Wanted, *, limit: int) -> list[list[str]]:
    """Pages."""
    pages: list[list[str]] = []
    behind: Cursor | None = None
    while True:
        page = found.page(ACCOUNT, wanted, behind=behind, limit=limit)
        assert len(page.generations) <= limit
        pages.append([one.id for one in page.generations])
        if page.after is None:
            return pages
        assert page.after != behind
        behind = page.after


def holds(one: Generation, wanted: Wanted) -> bool:
    return (
        wanted.model in (None, one.model)
        and wanted.provider in (None, one.provider)
        and wanted.key in (None, one.key)
        and wanted.user in (None, one.user)
        and wanted.session in (None, one.session_id)
        and wanted.outcome in (None, one.outcome)
        and wanted.is_cached in (None, one.usage.cache_read > 0)
        and wanted.is_streamed in (None, one.streamed)
        and (wanted.app is None or one.attribution == APP)
    )


def chosen(app: int) -> list[Wanted]:
    return [
        ALL,
        replace(ALL, model="a/two"),
        replace(ALL, provider="q"),
        replace(ALL, key=KeyId("key-1")),
        replace(ALL, key=KeyId("key-4"), user=BOB),
        replace(ALL, key=KeyId("key-4"), user=ADA),
        replace(ALL, user=ADA),
        replace(ALL, user=ADA, app=app, outcome=Outcome.COMPLETED),
        replace(ALL, user=ADA, model="a/two", is_streamed=True),
        replace(ALL, app=app),
        replace(ALL, app=app, provider="q"),
        replace(ALL, app=app + 1),
        replace(ALL, session="run"),
        replace(ALL, session="run", user=ADA, app=app, key=KeyId("key-1")),
        replace(ALL, session="run", is_cached=False),
        replace(ALL, model="nobody/has"),
        replace(ALL, outcome=Outcome.FAILED),
        replace(ALL, is_cached=True),
        replace(ALL, is_streamed=False),
        Wanted(BEGIN_MS + 3, BEGIN_MS + 11, user=ADA),
    ]


def test_every_call_is_on_one_page_newest_first(
    database: Database, made: list[Generation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "READ_AT_ONCE", 4)
    monkeypatch.setattr(listing, "LOOK_AT", (3, 4))
    monkeypatch.setattr(listing, "RECORDS_LOOKED_AT_MAX", 5)
    store, app = GenerationList(database), app_of(database)
    questions = [(call_queries.KEYS_MAX, wanted) for wanted in chosen(app)]
    # And as if somebody with three keys had too many to bring their calls in order.
    questions += [(2, wanted) for wanted in chosen(app) if wanted.user is ADA]
    for keys_max, wanted in questions:
        monkeypatch.setattr(call_queries, "KEYS_MAX", keys_max)
        expected = [
            one.id
            for one in made[::-1]
            if holds(one, wanted)
            and wanted.app in (None, app)
            and wanted.start_ms <= round(one.created_s * 1000) < wanted.end_ms
        ]
        for limit in (3, 100):
            pages = every(store, wanted, limit=limit)
            assert [one for page in pages for one in page] == expected, (wanted, keys_max)


def test_pages_are_full_whatever_else_was_called_in_between(
    database: Database, made: list[Generation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOK_AT", (1, 1))
    app = app_of(database)
    for wanted in (
        replace(ALL, key=KeyId("key-1")),
        replace(ALL, key=KeyId("key-4")),
        replace(ALL, user=ADA),
        replace(ALL, app=app),
        replace(ALL, session="run"),
        replace(ALL, session="run", user=BOB),
    ):
        *full, last = every(GenerationList(database), wanted, limit=4)
        assert [len(page) for page in full] == [4] * len(full), wanted
        assert last, wanted


def test_no_place_in_a_members_list_names_anothers_call(
    database: Database, made: list[Generation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows the id of a call can open it."""
    monkeypatch.setattr(listing, "READ_AT_ONCE", 2)
    monkeypatch.setattr(listing, "LOOK_AT", (2, 3))
    monkeypatch.setattr(listing, "RECORDS_LOOKED_AT_MAX", 2)
    for keys_max in (call_queries.KEYS_MAX, 1):
        monkeypatch.setattr(call_queries, "KEYS_MAX", keys_max)
        named: set[str] = set()
        for wanted in chosen(app_of(database)):
            of_bob, behind = replace(wanted, user=BOB), None
            while True:
                page = GenerationList(database).page(ACCOUNT, of_bob, behind=behind, limit=3)
                named |= {one.id for one in page.generations}
                if page.after is None:
                    break
                named.add(page.after.id)
                behind = page.after
        assert named == {"", *(one.id for one in made if one.user == BOB)}


def test_calls_of_apps_from_before_they_were_kept_are_found_by_the_upgrade(
    fresh_address: str,
) -> None:
    """Those of calls that wait to be added up come when that is done, and not twice."""
    said = (
        APP,
        Attribution(referer="HTTPS://App.example/path", title="The same"),
        Attribution(referer="http://localhost:3000", title="On \u202emy machine"),
        Attribution(referer="http://localhost:3000"),
        Attribution(title="Nobody"),
        Attribution(referer="https://[app", title="No address"),
        Attribution(referer=f"https://\u00fc.example:8080/{'x' * 300}"),
        None,
    )
    calls = [call(number, attribution=said[number % len(said)]) for number in range(2100)]
    waiting = calls[::50]
    claims = {one: claimed for one in said if (claimed := claim(one)) is not None}
    with closing(open_database(fresh_address)) as database:
        migrate_to(database, "0017")
        insert(database, *calls)
        with database.begin() as connection:
            for claimed in {one.identity: one for one in claims.values()}.values():
                app_queries.insert_new(database, connection, ACCOUNT, claimed, now_ms=BEGIN_MS)
            connection.execute(
                sa.insert(usage_backlog), [{"generation_id": one.id} for one in waiting]
            )
        migrate.upgrade(database)
        with database.begin() as connection:
            UsageRollup(database).add_within(connection, [pack(one) for one in waiting])
            rows = connection.execute(
                sa.select(
                    apps.c.identity, app_calls.c.created_ms, app_calls.c.generation_id
                ).join_from(app_calls, apps, apps.c.id == app_calls.c.app_id)
            )
            found = sorted(map(tuple, rows))
    assert len({identity for identity, *_ in found}) == 3
    assert found == sorted(
        (claims[one.attribution].identity, round(one.created_s * 1000), one.id)
        for one in calls
        if one.attribution in claims
    )


def test_a_deleted_accounts_calls_are_no_apps(database: Database) -> None:
    other = AccountId("acc-another")
    keep(database, call(1, attribution=APP), call(2, attribution=APP, account=other))
    with database.begin() as connection:
        forget_groups(connection, ACCOUNT)
        assert list(connection.execute(sa.select(app_calls.c.account_id)).scalars()) == [other]
