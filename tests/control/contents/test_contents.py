"""Kept prompts and answers: sealed, shown to those who may, deleted in time, and never in the way of calls."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.contents.service import MS_PER_DAY, Contents
from fairlead.control.contents.types import Reader
from fairlead.control.serving.contents import ContentWriter
from fairlead.core.content import Content, ContentError
from fairlead.core.errors import Overloaded, PermissionDenied
from fairlead.core.ids import AccountId, GenerationId, KeyId, UserId, WorkspaceId
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.sealing import MasterKeys
from fairlead.store.secrets import Secrets
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.contents import contents
from fairlead.store.tables.people import memberships, users

MASTER = MasterKeys((bytes(32),))
NOW_MS = 1_795_219_200_000
W = WorkspaceId("w-1")


@pytest.fixture
def account(database: Database) -> AccountId:
    made = Accounts(database, now_ms=lambda: 0, entropy=os.urandom)
    return made.create(email="ada@example.com", billing=Billing.PREPAID).id


@pytest.fixture
def reader(account: AccountId) -> Reader:
    return Reader(account, key=KeyId("key-1"), workspace=W)


def service_of(database: Database, master: MasterKeys = MASTER, days: int = 92) -> Contents:
    secrets = Secrets(database, lambda: master, now_ms=lambda: 0, entropy=os.urandom)
    return Contents(database, secrets, retention_days=days, now_ms=lambda: NOW_MS)


def content(account: AccountId, number: int = 1, **fields: object) -> Content:
    given = {
        "generation": GenerationId(f"gen-{number}"),
        "account": account,
        "workspace": W,
        "created_ms": NOW_MS,
        "messages": b'[{"role":"user","content":"prompt canary"}]',
        "prompt": None,
        "completion": "answer canary",
        "reasoning": None,
        "error": ContentError(502, "told", "openai"),
    }
    return Content(**(given | fields))


def test_what_is_kept_is_read_again_and_is_nowhere_in_the_clear(
    database: Database, account: AccountId, reader: Reader
) -> None:
    kept = content(account)
    service = service_of(database)
    assert service.keep([kept, content(account, 2)]) == 2
    assert service.keep([kept]) == 0  # once more, after a crash between storing and forgetting
    assert service.find(reader, kept.generation) == kept
    with database.read() as connection:
        for row in connection.execute(sa.select(contents)):
            assert b"canary" not in row.sealed
    if database.path is not None:
        assert not any(b"canary" in one.read_bytes() for one in database.path.parent.iterdir())


def test_only_the_account_and_the_workspace_read_it(
    database: Database, account: AccountId, reader: Reader
) -> None:
    service = service_of(database)
    service.keep([content(account)])
    generation = GenerationId("gen-1")
    assert service.find(replace(reader, workspace=WorkspaceId("w-2")), generation) is None
    manager = Reader(account, may_manage=True, key=KeyId("key-m"))
    assert service.find(manager, generation) is not None
    assert service.find(replace(manager, account=AccountId("acc-2")), generation) is None
    assert service.find(reader, GenerationId("gen-2")) is None


def test_in_an_organisation_admins_alone_read_it(
    database: Database, account: AccountId, reader: Reader
) -> None:
    service = service_of(database)
    service.keep([content(account)])
    with database.begin() as connection:
        user = connection.execute(sa.select(users.c.id).limit(1)).scalar_one()
        connection.execute(sa.update(accounts).values(kind="organisation"))
        connection.execute(
            sa.insert(memberships).values(
                account_id=account, user_id=user, role="member", joined_ms=0
            )
        )
    for stranger in (None, UserId("user-other"), UserId(user)):
        for asking in (replace(reader, user=stranger), Reader(account, user=stranger)):
            with pytest.raises(PermissionDenied, match="admins"):
                service.find(asking, GenerationId("gen-1"))
    with database.begin() as connection:
        connection.execute(sa.update(memberships).values(role="admin"))
    assert service.find(replace(reader, user=UserId(user)), GenerationId("gen-1")) is not None


def test_a_content_that_was_moved_to_another_row_does_not_open(
    database: Database, account: AccountId, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    service = service_of(database)
    service.keep([content(account)])
    with database.begin() as connection:
        connection.execute(sa.update(contents).values(generation_id="gen-9"))
    with pytest.raises(Overloaded):
        service.find(reader, GenerationId("gen-9"))
    assert "canary" not in caplog.text


def test_what_is_older_than_the_retention_is_deleted(
    database: Database, account: AccountId, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.control.contents.service.DELETED_AT_ONCE_MAX", 3)
    service = service_of(database, days=90)
    old = [content(account, n, created_ms=NOW_MS - 90 * MS_PER_DAY - n) for n in range(1, 8)]
    young = content(account, 9, created_ms=NOW_MS - 90 * MS_PER_DAY)
    service.keep([*old, young])
    assert service.delete_old() == 7
    assert service.find(reader, young.generation) == young
    assert service.delete_old() == 0


def test_nothing_is_kept_of_an_account_that_there_is_not(
    database: Database, account: AccountId
) -> None:
    service = service_of(database)
    assert service.keep([content(AccountId("acc-gone"))]) == 0
    with database.begin() as connection:
        connection.execute(sa.update(accounts).values(deleted_ms=1))
    assert service.keep([content(account)]) == 0


# --- beside the calls -------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_contents_are_stored_while_calls_go_on(
    database: Database, account: AccountId, reader: Reader
) -> None:
    service = service_of(database)
    writer = ContentWriter(service, database)
    running = asyncio.ensure_future(writer.run())
    for number in range(450):
        writer.keep(content(account, number))
    while writer._queue:  # noqa: ASYNC110 - bounded by the test itself
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(contents)).scalar() == 450
    assert (writer.dropped_count, writer._queue_bytes) == (0, 0)


@pytest.mark.anyio
async def test_what_does_not_fit_is_dropped_and_counted(
    database: Database, account: AccountId, caplog: pytest.LogCaptureFixture
) -> None:
    one = content(account)
    writer = ContentWriter(service_of(database), database, queue_bytes_max=3 * one.size_bytes)
    for number in range(10):
        writer.keep(content(account, number))
    assert writer.dropped_count == 7
    assert caplog.text.count("faster than they can be stored") == 1
    await writer.flush(timeout_s=30)
    writer.keep(one)
    assert writer.dropped_count == 7
    assert "canary" not in caplog.text


@pytest.mark.anyio
async def test_what_could_not_be_stored_is_tried_again(
    database: Database,
    account: AccountId,
    reader: Reader,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = service_of(database)
    writer = ContentWriter(service, database)

    async def away(*_: object) -> None:
        raise DatabaseUnreadable("away")

    writer.keep(content(account))
    with monkeypatch.context() as patch:
        patch.setattr(database, "run", away)
        await writer.flush(timeout_s=30)
    assert "1 contents are not kept" in caplog.text
    await writer.flush(timeout_s=30)
    assert service.find(reader, GenerationId("gen-1")) is not None
    assert "canary" not in caplog.text
