"""Giving credit and looking at it from the shell, and what the check says there."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Ended

pytestmark = pytest.mark.usefixtures("installed")

Call = Callable[..., Ended]
ADA = "ada@example.com"


@pytest.fixture
def ada(fairlead: Call) -> str:
    assert fairlead("accounts", "create", ADA).code == 0
    return ADA


def granted(fairlead: Call, usd: str, *more: str) -> Ended:
    return fairlead("credits", "grant", ADA, usd, "--reason", "welcome", *more)


def test_a_grant_prints_the_new_balance_alone(fairlead: Call, ada: str) -> None:
    assert granted(fairlead, "12.5").out == "12.5\n"
    assert granted(fairlead, "0.000000001").out == "12.500000001\n"
    assert fairlead("credits", "show", ada).out.splitlines()[0] == "12.500000001"
    assert fairlead("credits", "show").out == "0\n", "the owner's"


def test_a_grant_with_a_name_of_its_own_is_made_once(fairlead: Call, ada: str) -> None:
    named = ("--reference", "january")
    assert granted(fairlead, "5", *named).out == "5\n"
    again = granted(fairlead, "5", *named)
    assert (again.code, again.out) == (0, "5\n")
    assert "already" in again.err
    other = granted(fairlead, "6", *named)
    assert (other.code, other.out) == (2, "")
    assert fairlead("credits", "show", ada).out.splitlines()[0] == "5"


@pytest.mark.parametrize("usd", ["0", "-1", "five", "1e999", "0.0000000001", "nan"])
def test_a_grant_of_no_amount_is_refused(fairlead: Call, ada: str, usd: str) -> None:
    ended = granted(fairlead, "--", usd) if usd == "-1" else granted(fairlead, usd)
    assert (ended.code, ended.out) == (2, "")
    assert fairlead("credits", "show", ada).out == "0\n"


def test_a_grant_to_nobody_says_how_to_create_the_account(fairlead: Call) -> None:
    ended = fairlead("credits", "grant", ADA, "5", "--reason", "welcome")
    assert ended.code == 2
    assert f"fairlead accounts create {ADA}" in ended.err


def test_credit_is_shown_by_origin(fairlead: Call, ada: str) -> None:
    granted(fairlead, "5", "--expires-in-days", "30")
    granted(fairlead, "7")
    [row] = msgspec.json.decode(fairlead("credits", "show", ada, "--json").out)
    assert (row["balance_usd"], row["total_credits_usd"], row["total_usage_usd"]) == (
        "12",
        "12",
        "0",
    )
    assert [(lot["kind"], lot["left_usd"], lot["expires"] is None) for lot in row["lots"]] == [
        ("grant", "5", False),
        ("grant", "7", True),
    ]


def test_entries_are_shown_latest_first(fairlead: Call, ada: str) -> None:
    granted(fairlead, "5")
    granted(fairlead, "7")
    rows = msgspec.json.decode(fairlead("ledger", "show", ada, "--json").out)
    assert [(row["entry"], row["kind"], row["usd"]) for row in rows] == [
        (2, "add_credit", "7"),
        (1, "add_credit", "5"),
    ]
    assert sum(amount for _, amount, _ in rows[0]["postings"]) == 0
    assert len(fairlead("ledger", "show", ada, "--limit", "1").out.splitlines()) == 1


@pytest.mark.parametrize(("billing", "balance"), [("--prepaid", "0.1"), ("--postpaid", "0")])
def test_new_prepaid_accounts_begin_with_the_configured_allowance(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch, billing: str, balance: str
) -> None:
    monkeypatch.setenv("FAIRLEAD_BILLING__FREE_ALLOWANCE_USD", "0.10")
    fairlead("accounts", "create", ADA, billing)
    assert fairlead("credits", "show", ADA).out.splitlines()[0] == balance


def test_an_installation_gives_nothing_away_unasked(fairlead: Call, ada: str) -> None:
    assert fairlead("credits", "show", ada).out == "0\n"


def test_the_check_prints_what_it_saw_and_an_anchor_for_the_next(fairlead: Call, ada: str) -> None:
    granted(fairlead, "5")
    ended = fairlead("ledger", "check")
    assert ended.code == 0
    assert "1 entries, 2 postings, 0 calls: everything is in order" in ended.out
    anchor = re.search(r"last entry (1:[0-9a-f]{64})", ended.out)
    assert anchor is not None
    granted(fairlead, "6")
    assert fairlead("ledger", "check", "--anchor", anchor[1]).code == 0
    assert fairlead("ledger", "check", "--since", "1").code == 0
    wrong = fairlead("ledger", "check", "--anchor", "1:00")
    assert wrong.code == 1
    assert "anchor_wrong" in wrong.out
    assert fairlead("ledger", "check", "--anchor", "yesterday").code == 2


def test_the_check_tells_findings_line_by_line_and_fails(
    fairlead: Call, ada: str, tmp_path: Path
) -> None:
    granted(fairlead, "5")
    with closing(sqlite3.connect(tmp_path / "data" / "fairlead.db")) as connection:
        connection.execute(
            "UPDATE ledger_postings SET amount_nano = amount_nano + 1 WHERE line = 2"
        )
        connection.commit()
    ended = fairlead("ledger", "check")
    assert ended.code == 1
    assert "entry 1: " in ended.out
    assert "chain_broken" in ended.out
    assert ended.err.startswith("fairlead: the ledger has ")
