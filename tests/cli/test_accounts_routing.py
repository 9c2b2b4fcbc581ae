"""`fairlead accounts routing`: what an account wishes, shown, replaced, cleared."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Ended

Call = Callable[..., Ended]


def shown(ended: Ended) -> object:
    assert ended.code == 0, ended.err
    return msgspec.json.decode(ended.out)


def refused(ended: Ended) -> str:
    """The one line of a command that refused."""
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    return ended.err


def test_wishes_are_set_from_a_file_shown_and_cleared(fairlead: Call, tmp_path: Path) -> None:
    file = tmp_path / "wishes.json"
    file.write_text('{"zdr": true, "ignored_providers": ["deepinfra"]}')
    assert shown(fairlead("accounts", "routing")) == {}
    ended = fairlead("accounts", "routing", "--set", str(file))
    assert shown(ended) == {"zdr": True, "ignored_providers": ["deepinfra"]}
    assert "within two seconds" in ended.err
    assert ended.out.startswith('{\n  "zdr": true,')
    assert shown(fairlead("accounts", "routing")) == shown(ended)
    assert shown(fairlead("accounts", "routing", "--clear")) == {}
    assert shown(fairlead("accounts", "routing")) == {}


def test_wishes_come_from_standard_input_and_belong_to_one_account(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fairlead("accounts", "create", "ada@example.com")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"hedge": true}')))
    assert shown(fairlead("accounts", "routing", "Ada@example.com", "--set", "-")) == {
        "hedge": True
    }
    assert shown(fairlead("accounts", "routing", "ada@example.com")) == {"hedge": True}
    assert shown(fairlead("accounts", "routing")) == {}, "the owner's are another account's"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "this is not JSON"),
        ('{"hegde": true}', "hegde is unknown; did you mean hedge?"),
        ('{"allowed_providers": ["opnai"]}', "did you mean openai?"),
    ],
)
def test_wrong_wishes_are_refused_and_change_nothing(
    fairlead: Call, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "wishes.json"
    file.write_text('{"zdr": true}')
    fairlead("accounts", "routing", "--set", str(file))
    file.write_text(text)
    assert message in refused(fairlead("accounts", "routing", "--set", str(file)))
    assert shown(fairlead("accounts", "routing")) == {"zdr": True}


def test_what_cannot_be_done_is_said_in_one_line(fairlead: Call, tmp_path: Path) -> None:
    file = tmp_path / "wishes.json"
    assert "No such file" in refused(fairlead("accounts", "routing", "--set", str(file)))
    file.write_text("{}")
    both = fairlead("accounts", "routing", "--set", str(file), "--clear")
    assert "exclude each other" in refused(both)
    nobody = refused(fairlead("accounts", "routing", "nobody@example.com"))
    assert "fairlead accounts create nobody@example.com" in nobody
    assert "is not an email" in refused(fairlead("accounts", "routing", "nobody"))
