"""Several gateways, each with a data directory of its own, on one PostgreSQL."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead.store.database import DATABASE_FILE, open_database
from fairlead.store.tables.generations import generations
from tests.cli.conftest import ANSWER_S, Ended
from tests.cli.test_serving import READY, asked, stopped, until
from tests.faults.rest import wait_until
from tests.postgres_server import PostgresDatabases

Program = Callable[..., subprocess.Popen[str]]
Call = Callable[..., Ended]
KEY = re.compile(r"sk-fl-v1-[0-9a-f]{64}")


@pytest.fixture
def url(postgres_databases: PostgresDatabases, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of an empty database, that every command of this test uses."""
    with postgres_databases.empty() as url:
        monkeypatch.setenv("FAIRLEAD_DATABASE__URL", url)
        yield url


def recorded(url: str) -> int:
    with closing(open_database(url)) as database, database.read() as connection:
        counting = sa.select(sa.func.count()).select_from(generations)
        return int(connection.execute(counting).scalar_one())


def test_two_gateways_start_at_once_on_an_empty_database_and_share_what_is_in_it(
    url: str, program: Program, fairlead: Call, tmp_path: Path
) -> None:
    places = [tmp_path / "one", tmp_path / "other"]
    servers = [program("serve", "--port", "0", "--data", str(place)) for place in places]
    addresses: list[str] = []
    first_keys: set[str] = set()
    for server in servers:
        assert server.stdout is not None
        addresses.append(until(server.stdout, READY)[1])
    created = fairlead("keys", "create", "--name", "any", "--data", str(places[0])).out.strip()
    assert KEY.fullmatch(created)
    for address in addresses:
        assert asked(address, created) == "Hello"
    wait_until(lambda: recorded(url) == len(servers))
    for server in servers:
        server.send_signal(signal.SIGTERM)
        assert server.stdout is not None
        first_keys |= set(KEY.findall(server.stdout.read()))  # from where the ready line was
        assert server.wait(ANSWER_S) == 0
    assert len(first_keys) == 1, "one of them was the first, and told its key"
    assert recorded(url) == len(servers)
    assert not [place for place in places if (place / DATABASE_FILE).exists()]


def test_every_command_works_on_it(url: str, program: Program, fairlead: Call) -> None:
    assert fairlead("migrate").out.endswith("is up to date now.\n")
    key = fairlead("keys", "create", "--name", "laptop").out.strip()
    assert "laptop" in fairlead("keys", "list").out
    assert fairlead("accounts", "create", "ada@example.com").code == 0
    assert "ada@example.com" in fairlead("accounts", "list").out
    told = fairlead("doctor")
    assert "is up to date" in told.out + told.err
    server = program("serve", "--port", "0")
    assert server.stdout is not None
    assert asked(until(server.stdout, READY)[1], key) == "Hello"
    assert stopped(server, signal.SIGTERM) == (0, "")
    assert fairlead("migrate").out.endswith("is up to date.\n")


@pytest.mark.parametrize("command", ["serve", "migrate", "doctor", "keys"])
def test_a_database_that_is_away_is_one_line_without_the_password(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("FAIRLEAD_DATABASE__URL", "postgresql://me:hunter2@127.0.0.1:1/fairlead")
    ended = fairlead(command, *(["list"] if command == "keys" else []))
    assert ended.code in (1, 2)
    assert "postgresql://me@127.0.0.1:1/fairlead: connection failed" in ended.out + ended.err
    assert "hunter2" not in ended.out + ended.err
    assert "Traceback" not in ended.err
