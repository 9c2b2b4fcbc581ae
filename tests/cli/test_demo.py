"""`fairlead demo`: for empty installations, unless somebody is sure; and away again."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tests.cli.conftest import Ended

pytestmark = pytest.mark.usefixtures("installed")

Call = Callable[..., Ended]
FEW = ("--calls", "40", "--days", "3")


def emails(fairlead: Call) -> list[str]:
    return [
        row["email"]
        for row in msgspec.json.decode(fairlead("accounts", "list", "--json").out)
        if row["email"]
    ]


def test_it_fills_an_empty_installation_says_how_to_look_and_goes_away(fairlead: Call) -> None:
    filled = fairlead("demo", *FEW)
    assert (filled.code, filled.out) == (0, "")
    assert "fairlead demo --remove" in filled.err
    shown = filled.err.split("fairlead accounts link ")[1].strip()
    assert shown in emails(fairlead)
    assert fairlead("accounts", "link", shown).code == 0
    again = fairlead("demo", "--yes", *FEW)
    assert (again.code, again.out) == (2, "")
    assert "--remove" in again.err

    assert fairlead("demo", "--remove").code == 0
    assert emails(fairlead) == []
    assert fairlead("ledger", "check").code == 0
    assert fairlead("demo", "--remove").code == 2

    # Its calls stay in the books: to a later one they are as real as any.
    refused = fairlead("demo", *FEW)
    assert (refused.code, refused.out) == (2, "")
    assert "--yes" in refused.err
    assert fairlead("demo", "--yes", *FEW).code == 0
