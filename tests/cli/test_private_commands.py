"""`fairlead secrets`, `fairlead accounts export` and `delete`, from the shell."""

from __future__ import annotations

import os
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.cli.errors import REFUSED
from fairlead.cli.main import run
from fairlead.control.catalog.files import load_seed
from fairlead.control.credentials.service import Credentials
from fairlead.core.ids import AccountId
from fairlead.store.database import DATABASE_FILE, open_database
from fairlead.store.master_key import MASTER_KEY_FILE
from fairlead.store.secrets import open_secrets

SECRET = "sk-proj-canary-0123456789"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fairlead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    for name in list(os.environ):
        if name.startswith("FAIRLEAD_"):
            monkeypatch.delenv(name)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run([*arguments, "--data", str(tmp_path)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def bring(data: Path, account: str) -> Callable[[], str]:
    """A credential for an account; what is returned opens it again, as another process would."""

    def opened(write: bool = False) -> str:
        database = open_database(data / DATABASE_FILE)
        try:
            secrets, keys = open_secrets(database, None, data, now_ms=lambda: 0, entropy=os.urandom)
            service = Credentials(
                database, secrets, keys, load_seed, now_ms=lambda: 0, entropy=os.urandom
            )
            if write:
                service.create(AccountId(account), provider="openai", key=SECRET, workspace=None)
            with database.read() as connection:
                return service.opened(service.usable(connection, [AccountId(account)])[0])
        finally:
            database.close()

    assert opened(write=True) == SECRET
    return opened


def test_a_new_master_key_is_made_twice_and_everything_still_opens(
    fairlead: Run, tmp_path: Path
) -> None:
    _, account, _ = fairlead("accounts", "create", "ada@example.com")
    assert "nothing is sealed yet" in fairlead("secrets", "status")[1]
    opened = bring(tmp_path, account.strip())
    first = (tmp_path / MASTER_KEY_FILE).read_text()
    for _ in range(2):
        code, out, err = fairlead("secrets", "rotate")
        assert (code, out) == (0, "")
        assert "1 accounts' data keys" in err
        assert opened() == SECRET
    now = (tmp_path / MASTER_KEY_FILE).read_text()
    assert len(now.split()) == 2
    assert first.strip() not in now
    _, status, _ = fairlead("secrets", "status")
    assert MASTER_KEY_FILE in status
    assert not any(key in status for key in now.split())


def test_another_master_key_is_refused_in_one_line(fairlead: Run, tmp_path: Path) -> None:
    _, account, _ = fairlead("accounts", "create", "ada@example.com")
    bring(tmp_path, account.strip())
    (tmp_path / MASTER_KEY_FILE).write_text(os.urandom(32).hex())
    for command in (("secrets", "status"), ("secrets", "rotate")):
        code, _, err = fairlead(*command)
        assert code == REFUSED
        assert err.count("\n") == 1
        assert "sealed with master key" in err
    (tmp_path / MASTER_KEY_FILE).unlink()
    assert "is missing" in fairlead("secrets", "status")[2]
    assert not (tmp_path / MASTER_KEY_FILE).exists()


def test_an_account_is_exported_and_deleted(fairlead: Run, tmp_path: Path) -> None:
    _, account, _ = fairlead("accounts", "create", "ada@example.com", "--name", "Ada Canary")
    fairlead("keys", "create", "--name", "laptop", "--account", "ada@example.com")
    bring(tmp_path, account.strip())
    file = tmp_path / "ada.zip"
    code, out, err = fairlead("accounts", "export", "ada@example.com", str(file))
    assert (code, out) == (0, "")
    assert str(file) in err
    with zipfile.ZipFile(file) as archive:
        assert b"Ada Canary" in archive.read("accounts.jsonl")
        assert b"laptop" in archive.read("api_keys.jsonl")
    file.unlink()
    assert fairlead("accounts", "delete", "ada@example.com", "--yes")[0] == 0
    assert fairlead("accounts", "delete", "ada@example.com", "--yes")[0] == REFUSED
    database = sqlite3.connect(tmp_path / DATABASE_FILE)
    database.execute("VACUUM")
    database.close()
    for path in tmp_path.iterdir():
        if path.is_file():
            told = path.read_bytes()
            assert b"ada@example.com" not in told, path
            assert b"Ada Canary" not in told, path
            assert b"laptop" not in told, path
            assert SECRET.encode() not in told, path


def test_the_owner_is_not_deleted_and_strangers_are_not_found(fairlead: Run) -> None:
    for command in (("export", "who@example.com", "x.zip"), ("delete", "who@example.com", "--yes")):
        code, _, err = fairlead("accounts", *command)
        assert (code, err) == (REFUSED, "fairlead: there is no account who@example.com\n")
