"""Accounts' own credentials: write-only, bound to their account and row, refused precisely."""

from __future__ import annotations

import os
from itertools import count

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.credentials import rules
from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.types import (
    Changes,
    CredentialId,
    CredentialInvalid,
    CredentialUnknown,
    ProviderCredential,
)
from fairlead.control.keys.service import Keys
from fairlead.core.errors import Overloaded
from fairlead.core.ids import AccountId, WorkspaceId
from fairlead.store.database import Database
from fairlead.store.sealing import MasterKeys, MasterKeyUnknown, Unsealable
from fairlead.store.secrets import Secrets
from fairlead.store.tables.credentials import provider_credentials
from tests.shipped import SEED

SECRET = "sk-proj-canary-0123456789"
MASTER = MasterKeys((bytes(32),))


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, now_ms=lambda: 1000, entropy=os.urandom)


@pytest.fixture
def account(accounts: Accounts) -> AccountId:
    return accounts.create(email="ada@example.com", billing=Billing.PREPAID).id


@pytest.fixture
def other(accounts: Accounts) -> AccountId:
    return accounts.create(email="eve@example.com", billing=Billing.PREPAID).id


def service_of(database: Database, master: MasterKeys = MASTER) -> Credentials:
    ticks = count(1_000_000)
    secrets = Secrets(database, lambda: master, now_ms=lambda: 0, entropy=os.urandom)
    return Credentials(
        database,
        secrets,
        lambda: master,
        lambda: SEED,
        now_ms=lambda: next(ticks),
        entropy=os.urandom,
    )


@pytest.fixture
def credentials(database: Database) -> Credentials:
    return service_of(database)


def made(
    credentials: Credentials, account: AccountId, provider: str = "openai", **changes: object
) -> ProviderCredential:
    return credentials.create(
        account, provider=provider, key=SECRET, workspace=None, settings=Changes(**changes)
    )


def opened(credentials: Credentials, database: Database, *accounts: AccountId) -> dict[str, str]:
    with database.read() as connection:
        found = credentials.usable(connection, accounts)
    return {one.credential.id: credentials.opened(one) for one in found}


def test_a_key_is_shown_to_calls_and_to_nobody_else(
    credentials: Credentials, account: AccountId, database: Database
) -> None:
    new = made(credentials, account, name="Production")
    assert (new.label, new.name, new.sort_order) == ("sk-...6789", "Production", 0)
    assert new.workspace is not None
    assert credentials.find(account, new.id) == new
    page = credentials.page(account, workspace=None, provider=None, offset=0, limit=50)
    assert (page.credentials, page.total) == ((new,), 1)
    assert opened(credentials, database, account) == {new.id: SECRET}
    assert "canary" not in repr((new, page, Changes(key=SECRET)))


def test_nothing_of_a_key_is_in_the_database(
    credentials: Credentials, account: AccountId, database: Database
) -> None:
    made(credentials, account)
    with database.read() as connection:
        for table in provider_credentials.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                for value in row:
                    text = value if isinstance(value, bytes) else str(value).encode()
                    assert b"canary" not in text
    if database.path is not None:
        for path in database.path.parent.iterdir():
            assert b"canary" not in path.read_bytes()


def test_a_new_key_takes_the_place_of_the_old_one(
    credentials: Credentials, account: AccountId, database: Database
) -> None:
    new = made(credentials, account, name="n")
    later = credentials.change(account, new.id, Changes(key="sk-proj-another-9876543210"))
    assert (later.label, later.name) == ("sk-...3210", "n")
    assert later.updated_ms > new.updated_ms
    assert opened(credentials, database, account) == {new.id: "sk-proj-another-9876543210"}


def test_a_deleted_one_is_wiped_and_keeps_its_row(
    credentials: Credentials, account: AccountId, database: Database
) -> None:
    new = made(credentials, account)
    credentials.delete(account, new.id)
    with pytest.raises(CredentialUnknown):
        credentials.delete(account, new.id)
    with pytest.raises(CredentialUnknown):
        credentials.find(account, new.id)
    assert opened(credentials, database, account) == {}
    with database.read() as connection:
        row = connection.execute(sa.select(provider_credentials)).one()
    assert (row.id, row.sealed, row.label) == (new.id, None, "...")


def test_a_disabled_one_is_seen_and_not_used(
    credentials: Credentials, account: AccountId, database: Database
) -> None:
    new = made(credentials, account, is_disabled=True)
    assert opened(credentials, database, account) == {}
    assert credentials.change(account, new.id, Changes(is_disabled=False)).is_disabled is False
    assert opened(credentials, database, account) == {new.id: SECRET}


def test_what_is_not_said_stays_and_null_clears(
    credentials: Credentials, account: AccountId
) -> None:
    new = made(credentials, account, allowed_models=("OpenAI/GPT-4o", "not/there-yet"))
    assert new.allowed_models == ("openai/gpt-4o", "not/there-yet")
    kept = credentials.change(account, new.id, Changes(name="x"))
    assert kept.allowed_models == new.allowed_models
    assert credentials.change(account, new.id, Changes(allowed_models=None)).allowed_models is None


def test_each_providers_credentials_are_in_an_order_of_their_own(
    credentials: Credentials, account: AccountId, database: Database
) -> None:
    first, second = made(credentials, account), made(credentials, account)
    groq = made(credentials, account, "groq")
    assert (first.sort_order, second.sort_order, groq.sort_order) == (0, 1, 0)
    credentials.change(account, first.id, Changes(sort_order=7))
    assert list(opened(credentials, database, account)) == [groq.id, second.id, first.id]
    page = credentials.page(account, workspace=None, provider="openai", offset=1, limit=1)
    assert ([one.id for one in page.credentials], page.total) == ([first.id], 2)


def test_a_global_one_is_seen_in_every_workspace(
    credentials: Credentials, account: AccountId
) -> None:
    own = made(credentials, account)
    all_over = credentials.create(
        account, provider="groq", key=SECRET, workspace=None, is_global=True
    )
    assert all_over.workspace is None
    page = credentials.page(account, workspace=own.workspace, provider=None, offset=0, limit=50)
    assert {one.id for one in page.credentials} == {own.id, all_over.id}


def test_another_account_sees_and_changes_nothing(
    credentials: Credentials, account: AccountId, other: AccountId, database: Database
) -> None:
    new = made(credentials, account)
    for attempt in (
        lambda: credentials.find(other, new.id),
        lambda: credentials.change(other, new.id, Changes(name="mine")),
        lambda: credentials.delete(other, new.id),
    ):
        with pytest.raises(CredentialUnknown):
            attempt()
    with pytest.raises(CredentialInvalid, match="workspace"):
        credentials.create(other, provider="openai", key=SECRET, workspace=new.workspace)
    assert opened(credentials, database, other) == {}


def test_a_row_that_was_moved_to_another_account_does_not_open(
    credentials: Credentials, account: AccountId, other: AccountId, database: Database
) -> None:
    new, bait = made(credentials, account), made(credentials, other)
    with database.begin() as connection:
        sealed = connection.execute(
            sa.select(provider_credentials.c.sealed).where(provider_credentials.c.id == new.id)
        ).scalar_one()
        connection.execute(
            sa.update(provider_credentials)
            .where(provider_credentials.c.id == bait.id)
            .values(sealed=sealed)
        )
    with pytest.raises(Unsealable):
        opened(credentials, database, other)


def test_another_master_key_opens_nothing_and_says_so(
    credentials: Credentials, account: AccountId, database: Database
) -> None:
    made(credentials, account)
    stranger = service_of(database, MasterKeys((bytes([1] * 32),)))
    with pytest.raises(MasterKeyUnknown):
        opened(stranger, database, account)
    with pytest.raises(Overloaded):
        made(stranger, account)


def test_filters_name_live_keys_of_the_account(
    credentials: Credentials, account: AccountId, other: AccountId, database: Database
) -> None:
    keys = Keys(database, now_ms=lambda: 1000, entropy=os.urandom)
    mine = keys.create(account, name="mine").key
    theirs = keys.create(other, name="theirs").key
    new = made(credentials, account, allowed_key_hashes=(mine.digest.hex(),))
    assert new.allowed_key_hashes == (mine.digest.hex(),)
    for wrong in (theirs.digest.hex(), "0" * 64):
        with pytest.raises(CredentialInvalid) as caught:
            credentials.change(account, new.id, Changes(allowed_key_hashes=(wrong,)))
        assert caught.value.param == "allowed_api_key_hashes[0]"
    keys.revoke(account, mine.id)
    with pytest.raises(CredentialInvalid, match="live key"):
        made(credentials, account, allowed_key_hashes=(mine.digest.hex(),))


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"allowed_models": ()}, "allowed_models"),
        ({"allowed_key_hashes": ()}, "allowed_api_key_hashes"),
        ({"allowed_users": ()}, "allowed_user_ids"),
        ({"allowed_models": ("m",) * 101}, "allowed_models"),
        ({"allowed_models": ("m", "")}, "allowed_models[1]"),
        ({"allowed_key_hashes": ("A" * 64,)}, "allowed_api_key_hashes[0]"),
        ({"allowed_users": ("user-nobody",)}, "allowed_user_ids[0]"),
        ({"name": "n" * 256}, "name"),
        ({"sort_order": -1}, "sort_order"),
        ({"is_fallback": True, "is_exclusive": True}, "is_fallback"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    credentials: Credentials, account: AccountId, changes: dict[str, object], param: str
) -> None:
    with pytest.raises(CredentialInvalid) as caught:
        made(credentials, account, **changes)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("provider", "key", "param"),
    [
        ("opnai", SECRET, "provider"),
        ("sandbox", SECRET, "provider"),
        ("", SECRET, "provider"),
        ("openai", "canary with spaces", "key"),
        ("azure", SECRET, "key"),
    ],
)
def test_a_wrong_provider_or_key_is_refused_and_not_shown(
    credentials: Credentials, account: AccountId, provider: str, key: str, param: str
) -> None:
    with pytest.raises(CredentialInvalid) as caught:
        credentials.create(account, provider=provider, key=key, workspace=None)
    assert caught.value.param == param
    assert "canary" not in str(caught.value)


def test_an_account_has_only_so_many(
    credentials: Credentials, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "CREDENTIALS_MAX", 1)
    made(credentials, account)
    with pytest.raises(CredentialInvalid, match="at most 1 credentials"):
        made(credentials, account)


def test_a_workspace_that_is_nobodys_is_refused(
    credentials: Credentials, account: AccountId
) -> None:
    with pytest.raises(CredentialInvalid, match="no such workspace"):
        credentials.page(
            account, workspace=WorkspaceId("nowhere"), provider=None, offset=0, limit=1
        )
    with pytest.raises(CredentialUnknown):
        credentials.find(account, CredentialId("'; DROP TABLE accounts; --"))
