"""Periods begin at midnight UTC; weeks on Monday."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.budgets.types import LIFETIME, BudgetRef, Reset, period_of, reference, split
from fairlead.core.ids import BudgetId


@pytest.mark.parametrize(
    ("reset", "moment", "name", "ends"),
    [
        (Reset.DAILY, "2026-11-21T23:59:59", "2026-11-21", "2026-11-22"),
        (Reset.DAILY, "2026-11-22T00:00:00", "2026-11-22", "2026-11-23"),
        (Reset.WEEKLY, "2026-11-22T12:00:00", "2026-11-16", "2026-11-23"),  # a Sunday
        (Reset.WEEKLY, "2026-11-23T00:00:00", "2026-11-23", "2026-11-30"),
        (Reset.MONTHLY, "2026-02-28T23:00:00", "2026-02-01", "2026-03-01"),
        (Reset.MONTHLY, "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        (Reset.MONTHLY, "2028-02-29T00:00:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_a_period_has_the_name_of_its_first_day(
    reset: Reset, moment: str, name: str, ends: str
) -> None:
    period = period_of(reset, _unix_s(moment))
    assert (period.name, period.ends_s) == (name, _unix_s(f"{ends}T00:00:00"))


@given(
    st.sampled_from(Reset),
    st.floats(86_400.0 * 365, 86_400.0 * 365 * 130),
)
def test_every_moment_is_in_one_period_and_the_next_begins_where_it_ends(
    reset: Reset, now_s: float
) -> None:
    period = period_of(reset, now_s)
    began_s = _unix_s(f"{period.name}T00:00:00")
    assert began_s <= now_s < period.ends_s
    assert period_of(reset, began_s) == period
    following = period_of(reset, period.ends_s)
    assert following.name == (datetime.fromtimestamp(period.ends_s, UTC)).date().isoformat()
    assert timedelta(seconds=period.ends_s - began_s) <= timedelta(days=31)


def test_what_never_resets_has_one_period() -> None:
    assert period_of(None, 0.0) is LIFETIME


def test_a_reference_says_budget_and_period() -> None:
    assert reference(BudgetId("key:key-1"), "2026-11-01") == "key:key-1@2026-11-01"
    assert split(BudgetRef("account:acc-1@")) == ("account:acc-1", "")


def _unix_s(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
