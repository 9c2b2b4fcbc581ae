"""All that there is of an account: taken away whole, and forgotten whole."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.contents.service import Contents
from fairlead.control.credentials.service import Credentials
from fairlead.control.keys.service import Keys
from fairlead.control.privacy import queries as privacy_queries
from fairlead.control.privacy.fates import FATES, OF_NOBODY
from fairlead.control.privacy.service import LATE_MS, Privacy
from fairlead.core.content import Content
from fairlead.core.generation import Attribution, Generation
from fairlead.core.ids import AccountId, GenerationId, WorkspaceId
from fairlead.store.database import Database
from fairlead.store.records import pack, unpack
from fairlead.store.sealing import MasterKeys
from fairlead.store.secrets import Secrets
from fairlead.store.tables import metadata
from fairlead.store.tables.contents import contents as contents_table
from fairlead.store.tables.generations import generations
from fairlead.store.tables.secrets import data_keys
from fairlead.testing.generations import plain_generation
from tests.shipped import SEED

MASTER = MasterKeys((bytes(32),))
SECRET = "sk-proj-canary-0123456789"
RECORDS = 1203  # more than are scrubbed at once


class Stage:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.accounts = Accounts(database, now_ms=lambda: 1000, entropy=os.urandom)
        secrets = Secrets(database, lambda: MASTER, now_ms=lambda: 0, entropy=os.urandom)
        self.contents = Contents(database, secrets, retention_days=90, now_ms=lambda: 1000)
        self.credentials = Credentials(
            database, secrets, lambda: MASTER, lambda: SEED, now_ms=lambda: 1000, entropy=os.urandom
        )
        self.keys = Keys(database, now_ms=lambda: 1000, entropy=os.urandom)
        self.privacy = Privacy(database, self.contents)

    def live(self, email: str) -> AccountId:
        """An account that has done everything."""
        account = self.accounts.create(email=email, billing=Billing.PREPAID).id
        self.keys.create(account, name=f"laptop of {email}")
        self.credentials.create(account, provider="openai", key=SECRET, workspace=None)
        self.contents.keep(
            [
                Content(
                    GenerationId(f"gen-{account}"),
                    account,
                    WorkspaceId("w"),
                    1000,
                    b'[{"role":"user","content":"prompt canary"}]',
                    None,
                    "answer canary",
                    None,
                )
            ]
        )
        with self.database.begin() as connection:
            connection.execute(
                sa.insert(generations),
                [row_of(account, number) for number in range(RECORDS)],
            )
        return account

    def count(self, account: AccountId) -> dict[str, int]:
        with self.database.read() as connection:
            return {
                name: connection.execute(
                    sa.select(sa.func.count())
                    .select_from(metadata.tables[name])
                    .where(metadata.tables[name].c[fate.column] == account)
                ).scalar_one()
                for name, fate in FATES.items()
            }


def row_of(account: AccountId, number: int) -> dict[str, object]:
    generation = generation_of(account, number)
    return {
        "id": generation.id,
        "account_id": account,
        "key_id": generation.key,
        "created_ms": 1000 + number // 3,
        "model": generation.model,
        "endpoint": generation.endpoint,
        "provider": generation.provider,
        "outcome": generation.outcome.value,
        "prompt_tokens": 1,
        "cached_tokens": 0,
        "completion_tokens": 1,
        "reasoning_tokens": 0,
        "cost_nano": 7,
        "record": pack(generation),
    }


def generation_of(account: AccountId, number: int) -> Generation:
    return plain_generation(
        number,
        id=GenerationId(f"gen-{account}-{number:05}"),
        account=account,
        external_user="end-user canary",
        session_id="session canary",
        attribution=Attribution(referer="https://canary.example"),
    )


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


def test_every_table_has_its_fate() -> None:
    """Whoever adds a table says what of it is an account's."""
    assert set(metadata.tables) == set(FATES) | set(OF_NOBODY)
    assert not set(FATES) & set(OF_NOBODY)
    for name, fate in FATES.items():
        columns = set(metadata.tables[name].c.keys())
        assert {fate.column, *fate.secret, *dict(fate.blank)} <= columns
    for name in OF_NOBODY:
        assert "account_id" not in metadata.tables[name].c


def test_an_export_has_everything_and_opens_nothing(stage: Stage, tmp_path: Path) -> None:
    account = stage.live("ada@example.com")
    stage.live("eve@example.com")
    file = tmp_path / "ada.zip"
    count = stage.privacy.export(account, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        found = {
            name.removesuffix(".jsonl"): [json.loads(line) for line in archive.open(name)]
            for name in archive.namelist()
        }
        whole = b"".join(archive.read(name) for name in archive.namelist())
    held = stage.count(account)
    assert {name: len(rows) for name, rows in found.items()} == {
        name: held[name] for name, fate in FATES.items() if fate.is_exported
    }
    assert count == sum(map(len, found.values()))
    assert found["accounts"][0]["email"] == "ada@example.com"
    assert found["generations"][0]["external_user"] == "end-user canary"
    assert found["contents"][0]["messages"] == [{"role": "user", "content": "prompt canary"}]
    assert found["contents"][0]["completion"] == "answer canary"
    assert b"eve@example.com" not in whole
    assert SECRET.encode() not in whole
    assert not {"digest", "sealed", "wrapped", "password_hash"} & {
        column for rows in found.values() for row in rows for column in row
    }


def test_an_export_that_fails_leaves_no_half_file(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stage.live("ada@example.com")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        stage.privacy.export(account, tmp_path / "ada.zip", broken)
    assert not list(tmp_path.glob("ada*"))


def test_forgetting_leaves_what_money_needs_and_nothing_that_tells_whose(
    stage: Stage, database: Database
) -> None:
    account, other = stage.live("zoe@example.com"), stage.live("eve@example.com")
    before, others = stage.count(account), stage.count(other)
    with database.begin() as connection:
        stage.privacy.forget(connection, account)
        stage.accounts.delete_within(connection, account)
    after = stage.count(account)
    for gone in ("contents", "provider_credentials", "data_keys"):
        assert (before[gone], after[gone]) == (1, 0)
    assert after["generations"] == before["generations"] == RECORDS
    assert stage.count(other) == others
    assert stage.privacy.scrub(account) == RECORDS
    assert stage.privacy.scrub(account) == 0
    with database.read() as connection:
        for row in connection.execute(
            sa.select(generations.c.record, generations.c.cost_nano).where(
                generations.c.account_id == account
            )
        ):
            assert b"canary" not in row.record
            assert unpack(row.record).account == account
            assert row.cost_nano == 7
        for name in ("api_keys", "accounts", "workspaces", "audit_entries"):
            table, fate = metadata.tables[name], FATES[name]
            for row in connection.execute(sa.select(table).where(table.c[fate.column] == account)):
                assert "zoe" not in str(row)


def test_records_of_deleted_accounts_are_scrubbed_in_the_background(
    stage: Stage, database: Database
) -> None:
    deleted = [stage.live("ada@example.com"), stage.live("bob@example.com")]
    kept = stage.live("eve@example.com")
    for account in deleted:
        with database.begin() as connection:
            stage.accounts.delete_within(connection, account)
    while stage.privacy.scrub_due(now_ms=2000):
        """Some hundred at a time."""
    with database.begin() as connection:  # one that came late
        connection.execute(sa.insert(generations), [row_of(deleted[0], 50_000)])
    while stage.privacy.scrub_due(now_ms=3000):
        """And again, an hour later."""
    with database.read() as connection:
        for row in connection.execute(sa.select(generations.c.account_id, generations.c.record)):
            assert (b"canary" in row.record) is (row.account_id == kept)
    assert stage.privacy.scrub_due(now_ms=200_000_000) == 0
    with database.begin() as connection:
        assert privacy_queries.to_scrub(connection, late_ms=LATE_MS, limit=9) == []


def test_what_was_sealed_is_unreadable_even_from_a_copy(stage: Stage, database: Database) -> None:
    account = stage.live("ada@example.com")
    with database.read() as connection:
        copy = connection.execute(sa.select(contents_table)).one()
    with database.begin() as connection:
        stage.privacy.forget(connection, account)
    with database.begin() as connection:
        connection.execute(sa.insert(contents_table).values(copy._mapping))
        assert stage.contents.opened_within(connection, account, GenerationId(copy[0])) is None
        assert connection.execute(sa.select(data_keys)).all() == []
