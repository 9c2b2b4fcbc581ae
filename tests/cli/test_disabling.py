"""`fairlead accounts disable` and `enable`, from the shell."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.cli.errors import REFUSED
from tests.cli.conftest import Ended


def test_who_is_disabled_gets_no_link_until_they_are_enabled(
    fairlead: Callable[..., Ended],
) -> None:
    assert fairlead("accounts", "create", "ada@example.com").code == 0
    disabled = fairlead("accounts", "disable", "Ada@example.com")
    assert (disabled.code, disabled.out) == (0, "")
    assert "is disabled" in disabled.err
    refused = fairlead("accounts", "link", "ada@example.com")
    assert (refused.code, refused.out) == (REFUSED, "")
    enabled = fairlead("accounts", "enable", "ada@example.com")
    assert (enabled.code, enabled.out) == (0, "")
    assert "/sign-in/" in fairlead("accounts", "link", "ada@example.com").out


def test_who_is_not_there_is_refused_in_one_line(fairlead: Callable[..., Ended]) -> None:
    for command, email in (("disable", "nobody@example.com"), ("enable", "no address")):
        refused = fairlead("accounts", command, email)
        assert (refused.code, refused.out) == (REFUSED, "")
        assert refused.err.count("\n") == 1
