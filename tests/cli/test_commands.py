"""What each command prints, and how it ends when it cannot do its work."""

from __future__ import annotations

import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import click
import msgspec
import pytest

from fairlead.cli import main as cli_main
from fairlead.cli.main import commands, run
from fairlead.cli.running import claimed, is_claimed, server_process
from fairlead.store.database import DatabaseUnreadable
from tests.cli.conftest import Ended

Call = Callable[..., Ended]
KEY = re.compile(r"sk-fl-v1-[0-9a-f]{64}\n")


def refused(ended: Ended) -> str:
    """The one line of a command that refused, without its prefix."""
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("fairlead: ")
    assert ended.err.count("\n") == 1
    return ended.err.removeprefix("fairlead: ").rstrip()


def test_keys_create_prints_the_key_alone(fairlead: Call) -> None:
    ended = fairlead("keys", "create", "--name", "laptop")
    assert ended.code == 0
    assert KEY.fullmatch(ended.out)
    assert ended.out.strip() not in ended.err


def test_a_management_key_says_so(fairlead: Call) -> None:
    ended = fairlead("keys", "create", "--name", "ci", "--management")
    assert re.fullmatch(r"sk-fl-mgmt-v1-[0-9a-f]{64}\n", ended.out)


def test_keys_are_listed_without_secrets_and_revoked_by_any_of_their_names(fairlead: Call) -> None:
    secret = fairlead(
        "keys", "create", "--name", "a", "--limit", "12.5", "--limit-reset", "daily"
    ).out
    fairlead("keys", "create", "--name", "b")
    listed = fairlead("keys", "list")
    assert secret.strip() not in listed.out
    first, second = [line.split("\t") for line in listed.out.splitlines()]
    assert first[2:] == ["a", "active", "12.5", "daily", "-", "-"]
    assert fairlead("keys", "revoke", first[0]).code == 0
    assert fairlead("keys", "revoke", secret.strip()).code == 0
    rows = msgspec.json.decode(fairlead("keys", "list", "--json").out)
    assert [row["state"] for row in rows] == ["revoked", "active"]
    assert rows[1]["id"] == second[0]


def test_the_pace_of_a_key_is_listed(fairlead: Call) -> None:
    limits = ("--requests-per-minute", "30", "--requests-per-day", "1000")
    fairlead("keys", "create", "--name", "slow", *limits)
    assert fairlead("keys", "list").out.rstrip().split("\t")[-2:] == ["30", "1000"]
    row = msgspec.json.decode(fairlead("keys", "list", "--json").out)[0]
    assert (row["requests_per_minute"], row["requests_per_day"]) == (30, 1000)


def test_a_key_that_is_not_there_cannot_be_revoked(fairlead: Call) -> None:
    assert "`fairlead keys list`" in refused(fairlead("keys", "revoke", "key-nothing"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--limit", "much"), "--limit: "),
        (("--limit", "-1"), "--limit: "),
        (("--limit-reset", "daily"), "--limit-reset needs a --limit"),
        (("--limit", "1", "--limit-reset", "hourly"), "'hourly' is not one of"),
        (("--requests-per-minute", "0"), "0 is not in the range"),
        (("--requests-per-day", "many"), "'many' is not a valid integer"),
        (("--account", "nobody@example.com"), "fairlead accounts create nobody@example.com"),
        (("--account", "nobody"), "--account: "),
    ],
)
def test_a_key_of_wrong_make_is_refused(
    fairlead: Call, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused(fairlead("keys", "create", "--name", "x", *arguments))


def test_a_key_is_disabled_enabled_and_rotated(fairlead: Call) -> None:
    secret = fairlead("keys", "create", "--name", "a").out.strip()

    def state() -> str:
        return msgspec.json.decode(fairlead("keys", "list", "--json").out)[0]["state"]

    assert fairlead("keys", "disable", secret).code == 0
    assert state() == "disabled"
    assert fairlead("keys", "enable", secret).code == 0
    assert state() == "active"
    rotated = fairlead("keys", "rotate", secret)
    assert re.fullmatch(r"sk-fl-v1-[0-9a-f]{64}\n", rotated.out)
    assert secret[9:] not in rotated.out + rotated.err
    assert "no key is meant" in refused(fairlead("keys", "disable", secret))
    assert fairlead("keys", "revoke", rotated.out.strip()).code == 0
    assert "for good" in refused(fairlead("keys", "enable", rotated.out.strip()))
    assert "for good" in refused(fairlead("keys", "rotate", rotated.out.strip()))


def test_a_key_belongs_to_a_workspace_that_there_is(fairlead: Call) -> None:
    assert fairlead("keys", "create", "--name", "a", "--workspace", "default").code == 0
    create = ("keys", "create", "--name", "a", "--workspace")
    assert "no workspace" in refused(fairlead(*create, "production"))
    assert "all workspaces" in refused(fairlead(*create, "default", "--management"))


def test_accounts_are_created_listed_and_get_keys_of_their_own(fairlead: Call) -> None:
    created = fairlead("accounts", "create", "Ada@example.com", "--postpaid")
    assert created.code == 0
    fairlead("accounts", "create", "bob@example.com")
    rows = msgspec.json.decode(fairlead("accounts", "list", "--json").out)
    assert [(row["email"], row["billing"]) for row in rows] == [
        ("ada@example.com", "postpaid"),
        ("bob@example.com", "prepaid"),
    ]
    assert rows[0]["id"] == created.out.strip()
    fairlead("keys", "create", "--name", "hers", "--account", "ada@example.com")
    assert "hers" in fairlead("keys", "list", "--account", "ada@example.com").out
    assert fairlead("keys", "list", "--account", "bob@example.com").out == ""


def test_an_address_is_taken_once(fairlead: Call) -> None:
    fairlead("accounts", "create", "ada@example.com")
    assert "exists already" in refused(fairlead("accounts", "create", "ada@example.com"))


def test_models_are_filtered_and_say_who_would_answer(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = fairlead("models", "list", "sandbox/")
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert ["sandbox/echo", "128000", "0.1", "0.4", "sandbox"] in lines
    assert all(line[0].startswith("sandbox/") for line in lines)
    row = msgspec.json.decode(fairlead("models", "list", "openai/o3-mini", "--json").out)[0]
    assert row["routable"] is False
    assert fairlead("models", "list", "openai/o3-mini", "--routable").out == ""
    monkeypatch.setenv("OPENAI_API_KEY", "anything")
    row = msgspec.json.decode(fairlead("models", "list", "openai/o3-mini", "--json").out)[0]
    assert row["providers"] == ["openai"]


def test_providers_say_what_to_set(fairlead: Call) -> None:
    rows = {
        row["slug"]: row for row in msgspec.json.decode(fairlead("providers", "list", "--json").out)
    }
    assert rows["sandbox"]["ready"] is True
    assert rows["groq"]["remedy"] == "set GROQ_API_KEY, or providers.groq.api_key"


def test_the_sandbox_passes_the_check(fairlead: Call) -> None:
    ended = fairlead("providers", "check", "sandbox")
    assert ended.code == 0
    assert re.fullmatch(r"sandbox\tok\tsandbox/\w+ answered in \d+ ms\n", ended.out)


def test_a_provider_that_does_not_answer_fails_the_check_and_names_the_setting(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("GROQ_API_KEY", "the-secret-key")
    monkeypatch.setenv("GROQ_BASE_URL", f"http://127.0.0.1:{port}/v1")
    ended = fairlead("providers", "check")
    assert ended.code == 1
    assert ended.out.startswith("groq\tfailed\tnot reachable")
    assert "providers.groq.base_url" in ended.out
    assert "the-secret-key" not in ended.out + ended.err


def test_a_provider_nobody_has_heard_of_names_the_nearest(fairlead: Call) -> None:
    assert refused(fairlead("providers", "check", "opnai")).endswith("did you mean openai?")


def test_doctor_finds_nothing_broken_in_a_fresh_installation(
    fairlead: Call, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "fairlead.toml").touch(mode=0o600)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (tmp_path / "data" / "fairlead.toml").write_text(f"[server]\nport = {port}")
    ended = fairlead("doctor")
    assert "BROKEN" not in ended.out
    assert ended.code == 0
    assert f"port {port} is free" in ended.out


def test_doctor_sees_credentials_without_showing_them(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "the-secret-key")
    out = fairlead("doctor").out
    assert re.search(r"^ok +credentials +openai", out, re.MULTILINE)
    assert "the-secret-key" not in out


def test_doctor_exits_with_1_when_something_is_broken(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "fairlead.db").write_text("no database at all, but long enough " * 40)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("FAIRLEAD_SERVER__PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr("fairlead.cli.doctor.ANSWER_S", 0.1)
        ended = fairlead("doctor")
    assert ended.code == 1
    broken = [line.split()[1] for line in ended.out.splitlines() if line.startswith("BROKEN")]
    assert broken == ["database", "port"]


def test_a_data_directory_that_cannot_be_written_is_one_line(
    fairlead: Call, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ended = fairlead("keys", "create", "--name", "x", "--data", str(tmp_path / "file" / "data"))
    assert "cannot write to the data directory" in refused(ended)


def test_a_fresh_data_directory_is_nobody_elses_business(fairlead: Call, tmp_path: Path) -> None:
    fairlead("keys", "list")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_no_database_is_one_line(fairlead: Call, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fairlead.db").write_text("no database at all, but long enough " * 40)
    assert "file is not a database; move the file away" in refused(fairlead("keys", "list"))


def test_a_database_of_a_newer_version_is_one_line(fairlead: Call, tmp_path: Path) -> None:
    fairlead("keys", "list")
    _set_revision(tmp_path / "data" / "fairlead.db", "r9999")
    for command in (("keys", "list"), ("migrate",), ("serve", "--port", "0")):
        assert "install the version that wrote it" in refused(fairlead(*command))


def test_migrate_says_when_there_is_nothing_to_do(fairlead: Call) -> None:
    assert fairlead("migrate").out.endswith("is up to date now.\n")
    assert fairlead("migrate").out.endswith("is up to date.\n")


def _set_revision(path: Path, revision: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def test_an_unknown_setting_is_one_line(fairlead: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_SERVER__PROT", "1")
    for command in (("serve",), ("keys", "list"), ("models", "list")):
        assert refused(fairlead(*command)).endswith("did you mean FAIRLEAD_SERVER__PORT?")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[[models]]\nbroken = true", "models[0]"),
        (
            "[upstream]\nca_file = '/nowhere/ca.pem'",
            "upstream.ca_file: cannot read /nowhere/ca.pem",
        ),
        ("[server", "is not valid TOML"),
    ],
)
def test_a_configuration_that_cannot_be_served_is_one_line(
    fairlead: Call, tmp_path: Path, toml: str, message: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fairlead.toml").write_text(toml)
    assert message in refused(fairlead("serve", "--port", "0"))


def test_a_taken_port_is_one_line(fairlead: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(fairlead("serve", "--port", str(port)))
    assert f"port {port} on 127.0.0.1 is taken" in line
    assert "--port" in line


def test_an_address_of_another_machine_is_one_line(fairlead: Call) -> None:
    assert "cannot listen on 192.0.2.1" in refused(
        fairlead("serve", "--host", "192.0.2.1", "--port", "0")
    )


def test_a_data_directory_has_one_server(fairlead: Call, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with claimed(data) as claim:
        assert is_claimed(data)
        assert server_process(data) is None
        claim.tell_process()
        assert server_process(data) is not None
        assert "in use by another server" in refused(fairlead("serve", "--port", "0"))
    assert not is_claimed(data)


@pytest.mark.parametrize("arguments", [("--prot",), ("serve", "--port", "many"), ("srve",)])
def test_a_wrong_command_line_is_one_line(fairlead: Call, arguments: tuple[str, ...]) -> None:
    assert "--help`" in refused(fairlead(*arguments))


def test_a_surprise_is_one_line_with_a_way_to_see_more(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("odd: sk-abcdefghijklmnopqrstuvwxyz\nmore")

    monkeypatch.setattr(cli_main.commands, "main", broken)
    ended = fairlead("doctor")
    assert ended.code == 1
    assert ended.err == (
        "fairlead: unexpected RuntimeError: odd: sk-***;"
        " FAIRLEAD_LOG__LEVEL=debug shows the traceback\n"
    )
    monkeypatch.setenv("FAIRLEAD_LOG__LEVEL", "debug")
    with pytest.raises(RuntimeError):
        run(["doctor"])


def test_ctrl_c_is_quiet(fairlead: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_main.commands, "main", interrupted)
    assert fairlead("doctor") == Ended(130, "", "")


def test_every_command_says_what_it_does_and_takes_the_data_directory() -> None:
    def leaves(command: click.Command) -> list[click.Command]:
        if not isinstance(command, click.Group):
            return [command]
        context = click.Context(command)
        found = [command.get_command(context, name) for name in command.list_commands(context)]
        return [leaf for one in found if one is not None for leaf in leaves(one)]

    for command in leaves(commands):
        assert command.help, command.name
        assert {"data", "config"} <= {parameter.name for parameter in command.params}


def test_the_version_needs_none_of_the_heavy_parts() -> None:
    """It must stay quick; what is imported decides, and does not depend on how busy the machine is."""
    script = (
        "import sys; from fairlead.cli.main import run; run(['--version']);"
        "heavy = ('sqlalchemy', 'aiohttp', 'uvicorn', 'starlette', 'asyncio', 'msgspec', 'email');"
        "print(*(name for name in heavy if name in sys.modules), end='', file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stderr == ""
    assert ended.stdout == f"fairlead {metadata.version('fairlead')}\n"


def test_a_database_that_goes_away_during_the_start_is_one_line(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> int:
        raise DatabaseUnreadable("postgresql://***@/x: connection is bad")

    monkeypatch.setattr("fairlead.compose.serving.serve", gone)
    ended = fairlead("serve", "--port", "0")
    assert ended.code != 0
    assert "connection is bad; `fairlead doctor` looks closer" in ended.err
    assert "unexpected" not in ended.err
