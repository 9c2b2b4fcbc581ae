"""Secrets at rest: what opens, what does not, and whose the master key is."""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.core.ids import AccountId
from fairlead.store.database import Database, open_database
from fairlead.store.master_key import (
    MASTER_KEY_FILE,
    KnownMasterKeys,
    MasterKeyUnusable,
    master_keys,
    written_master_keys,
)
from fairlead.store.sealing import (
    MASTER_KEYS_MAX,
    DataKey,
    MasterKeyInvalid,
    MasterKeys,
    MasterKeyUnknown,
    Unsealable,
    read_master_keys,
)
from fairlead.store.secrets import Secrets, check_value
from fairlead.store.tables.secrets import data_keys

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
CANARY = b"sk-canary-in-the-database"
PLACE = "provider_credentials/1/key"


# --- sealing ----------------------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.text(max_size=40))
def test_what_was_sealed_opens_in_its_place_alone(value: bytes, place: str) -> None:
    key = DataKey(OLD)
    sealed = key.seal(value, place, os.urandom)
    assert key.unseal(sealed, place) == value
    for other, elsewhere in ((key, place + "x"), (DataKey(NEW), place)):
        with pytest.raises(Unsealable):
            other.unseal(sealed, elsewhere)


def test_the_same_value_is_never_sealed_alike() -> None:
    key = DataKey(OLD)
    assert key.seal(CANARY, PLACE, os.urandom) != key.seal(CANARY, PLACE, os.urandom)


def test_every_changed_bit_is_noticed() -> None:
    key = DataKey(OLD)
    sealed = key.seal(CANARY, PLACE, os.urandom)
    for index in range(len(sealed)):
        for bit in (0x01, 0x80):
            changed = bytearray(sealed)
            changed[index] ^= bit
            with pytest.raises(Unsealable):
                key.unseal(bytes(changed), PLACE)
    for length in range(len(sealed)):
        with pytest.raises(Unsealable):
            key.unseal(sealed[:length], PLACE)


def test_a_wrapped_key_is_its_accounts_and_its_master_keys() -> None:
    keys = MasterKeys((OLD,))
    wrapped = keys.wrap(NEW, "acc-1", os.urandom)
    assert keys.unwrapped(wrapped, "acc-1", keys.current_id) == NEW
    with pytest.raises(Unsealable):
        keys.unwrap(wrapped, "acc-2", keys.current_id)
    other = MasterKeys((NEW,))
    with pytest.raises(MasterKeyUnknown, match=f"{keys.current_id}.*{other.current_id}"):
        other.unwrap(wrapped, "acc-1", keys.current_id)


def test_no_repr_shows_a_key() -> None:
    shown = f"{MasterKeys((OLD,))!r} {DataKey(OLD)!r}"
    assert OLD.hex()[:8] not in shown
    assert "0001020304" not in shown


# --- the master key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        OLD.hex(),
        OLD.hex().upper(),
        b64encode(OLD).decode(),
        b64encode(OLD).decode().rstrip("="),
        f"  {OLD.hex()}\n",
    ],
)
def test_a_key_may_be_written_in_hexadecimal_or_base64(text: str) -> None:
    assert read_master_keys(text) == (OLD,)


def test_several_keys_are_taken_the_current_one_first() -> None:
    assert read_master_keys(f"{NEW.hex()}, {OLD.hex()}\n{NEW.hex()}") == (NEW, OLD)


@pytest.mark.parametrize(
    "text", ["", "secret-canary", OLD.hex()[:-1], OLD.hex() + "00", "ü" * 44, "x " * 20]
)
def test_what_is_no_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(MasterKeyInvalid) as caught:
        read_master_keys(text)
    assert "canary" not in str(caught.value)
    assert OLD.hex()[:20] not in str(caught.value)


def test_there_are_only_so_many_keys() -> None:
    with pytest.raises(MasterKeyInvalid):
        read_master_keys(" ".join(os.urandom(32).hex() for _ in range(MASTER_KEYS_MAX + 1)))


def test_the_first_start_makes_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    keys = master_keys(None, tmp_path, entropy=os.urandom, may_create=True)
    path = tmp_path / MASTER_KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = master_keys(None, tmp_path, entropy=os.urandom, may_create=False)
    assert again.current_id == keys.current_id
    assert [one.name for one in tmp_path.iterdir()] == [MASTER_KEY_FILE]


def test_of_many_first_starts_one_makes_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = threads.map(
            lambda _: master_keys(None, tmp_path, entropy=os.urandom, may_create=True), range(16)
        )
        assert len({keys.current_id for keys in made}) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    master_keys(None, tmp_path, entropy=os.urandom, may_create=True)
    path = tmp_path / MASTER_KEY_FILE
    path.chmod(mode)
    with pytest.raises(MasterKeyUnusable, match=f"mode {mode:04o}.*chmod 600 {path}"):
        master_keys(None, tmp_path, entropy=os.urandom, may_create=True)


def test_a_missing_key_is_not_replaced_where_something_is_sealed(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnusable, match=r"master\.key is missing"):
        master_keys(None, tmp_path, entropy=os.urandom, may_create=False)
    assert not list(tmp_path.iterdir())


def test_the_configured_key_needs_no_file(tmp_path: Path) -> None:
    keys = master_keys(OLD.hex(), tmp_path, entropy=os.urandom, may_create=True)
    assert keys.current_id == MasterKeys((OLD,)).current_id
    assert not list(tmp_path.iterdir())
    with pytest.raises(MasterKeyUnusable, match=r"security\.master_key") as caught:
        master_keys("canary", tmp_path, entropy=os.urandom, may_create=True)
    assert "canary" not in str(caught.value)


def test_a_file_of_two_keys_wraps_with_the_first(tmp_path: Path) -> None:
    written_master_keys(tmp_path, NEW, OLD)
    keys = master_keys(None, tmp_path, entropy=os.urandom, may_create=False)
    assert keys.current_id == MasterKeys((NEW,)).current_id
    assert keys.knows(MasterKeys((OLD,)).current_id)
    assert stat.S_IMODE((tmp_path / MASTER_KEY_FILE).stat().st_mode) == 0o600


def test_a_running_process_takes_over_a_new_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written_master_keys(tmp_path, OLD)
    keys = KnownMasterKeys(None, tmp_path, entropy=os.urandom, may_create=False)
    assert keys() is keys()
    written_master_keys(tmp_path, NEW, OLD)
    assert keys().current_id == MasterKeys((NEW,)).current_id
    (tmp_path / MASTER_KEY_FILE).chmod(0o644)
    assert keys().current_id == keys().current_id == MasterKeys((NEW,)).current_id
    assert caplog.text.count("stays as it was") == 1
    (tmp_path / MASTER_KEY_FILE).unlink()
    assert keys().knows(MasterKeys((OLD,)).current_id)


# --- data keys --------------------------------------------------------------------------------------------


def secrets_with(database: Database, *keys: bytes) -> Secrets:
    known = MasterKeys(keys or (OLD,))
    return Secrets(database, lambda: known, now_ms=lambda: 0, entropy=os.urandom)


@pytest.fixture
def account(database: Database) -> AccountId:
    return new_account(database, "ada@example.com")


def new_account(database: Database, email: str) -> AccountId:
    accounts = Accounts(database, now_ms=lambda: 0, entropy=os.urandom)
    return accounts.create(email=email, billing=Billing.PREPAID).id


def sealed_by(secrets: Secrets, database: Database, account: AccountId) -> bytes:
    with database.begin() as connection:
        return secrets.seal(secrets.data_key_for(connection, account), CANARY, PLACE)


def opened_by(
    secrets: Secrets, database: Database, account: AccountId, sealed: bytes
) -> bytes | None:
    with database.read() as connection:
        key = secrets.data_key(connection, account)
        return None if key is None else key.unseal(sealed, PLACE)


def test_a_value_is_read_by_another_process_with_the_same_key(
    database: Database, account: AccountId
) -> None:
    sealed = sealed_by(secrets_with(database), database, account)
    assert opened_by(secrets_with(database), database, account, sealed) == CANARY


def test_processes_that_seal_at_once_agree_on_one_data_key(
    database: Database, database_address: str, account: AccountId
) -> None:
    others = [open_database(database_address) for _ in range(4)]
    try:
        with ThreadPoolExecutor(len(others)) as threads:
            sealed = list(
                threads.map(lambda one: sealed_by(secrets_with(one), one, account), others)
            )
    finally:
        for one in others:
            one.close()
    secrets = secrets_with(database)
    assert all(opened_by(secrets, database, account, one) == CANARY for one in sealed)


def test_before_anything_is_sealed_any_key_will_do(database: Database) -> None:
    secrets_with(database, OLD).check()
    secrets_with(database, NEW).check()
    assert check_value(database) is None


def test_another_master_key_is_told_at_the_start_and_seals_nothing(
    database: Database, account: AccountId
) -> None:
    secrets = secrets_with(database, OLD)
    sealed = sealed_by(secrets, database, account)
    assert check_value(database) == MasterKeys((OLD,)).current_id
    secrets.check()
    stranger = secrets_with(database, NEW)
    with pytest.raises(MasterKeyUnusable, match="sealed with master key") as caught:
        stranger.check()
    assert "\n" not in str(caught.value)
    with pytest.raises(MasterKeyUnknown):
        opened_by(stranger, database, account, sealed)
    second = new_account(database, "bob@example.com")
    with pytest.raises(MasterKeyUnusable):
        sealed_by(stranger, database, second)


def test_a_new_master_key_wraps_everything_again_and_seals_nothing_again(
    database: Database, account: AccountId
) -> None:
    old = secrets_with(database, OLD)
    sealed = sealed_by(old, database, account)
    both = secrets_with(database, NEW, OLD)
    both.check()
    done: list[int] = []
    assert both.rotate(done.append) == 1
    assert done == [1]
    assert both.rotate() == 0
    new = secrets_with(database, NEW)
    new.check()
    assert opened_by(new, database, account, sealed) == CANARY
    with pytest.raises(MasterKeyUnusable):
        old.check()


def test_a_rotation_without_the_old_key_changes_nothing(
    database: Database, account: AccountId
) -> None:
    sealed = sealed_by(secrets_with(database, OLD), database, account)
    with pytest.raises(MasterKeyUnknown):
        secrets_with(database, NEW).rotate()
    assert opened_by(secrets_with(database, OLD), database, account, sealed) == CANARY


def test_what_was_sealed_with_a_destroyed_key_is_gone(
    database: Database, account: AccountId
) -> None:
    secrets = secrets_with(database)
    sealed = sealed_by(secrets, database, account)
    with database.begin() as connection:
        secrets.destroy(connection, account)
    assert opened_by(secrets, database, account, sealed) is None
    sealed_by(secrets, database, account)  # the account goes on with another one
    with pytest.raises(Unsealable):
        opened_by(secrets, database, account, sealed)


def test_a_data_key_moved_to_another_account_does_not_open(
    database: Database, account: AccountId
) -> None:
    secrets = secrets_with(database)
    sealed = sealed_by(secrets, database, account)
    thief = new_account(database, "eve@example.com")
    with database.begin() as connection:
        connection.execute(sa.update(data_keys).values(account_id=thief))
    with pytest.raises(Unsealable):
        opened_by(secrets, database, thief, sealed)
