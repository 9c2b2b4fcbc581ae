"""A key that gets a limit in the middle of a period has used some of it already."""

from __future__ import annotations

import pytest

from fairlead.control.budgets.earlier import used_by_keys
from fairlead.control.budgets.service import Budgets
from fairlead.control.usage.types import KeyUsage, SpanUsage
from fairlead.core.budgets.types import account_budget, key_budget
from fairlead.core.ids import AccountId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

KEY, ACCOUNT = KeyId("key-1"), AccountId("acc-1")


class KnownUsage:
    """As much of `Usage` as is asked for."""

    def of_keys(self, keys):
        spans = [SpanUsage(NanoUSD(cost), NanoUSD(1)) for cost in (400, 100, 200, 300)]
        return {key: KeyUsage(*spans) for key in keys if key == KEY}


@pytest.mark.parametrize(
    ("reset", "spent"), [(None, 400), ("daily", 100), ("weekly", 200), ("monthly", 300)]
)
@pytest.mark.parametrize("counts_byok", [False, True])
def test_a_new_limit_begins_with_what_is_known_to_be_spent(
    database: Database, reset: str | None, spent: int, counts_byok: bool
) -> None:
    service = Budgets(
        database, now_ms=lambda: 1_795_305_540_000, used_before=used_by_keys(KnownUsage())
    )
    budget = key_budget(KEY)
    with database.begin() as connection:
        service.define(
            connection,
            budget=budget,
            account=ACCOUNT,
            limit=NanoUSD(1000),
            reset=reset,
            counts_byok=counts_byok,
        )
    assert service.standing([budget])[budget].spent == spent + counts_byok
    with database.begin() as connection:
        service.define(connection, budget=budget, account=ACCOUNT, limit=NanoUSD(10), reset=reset)
    assert service.standing([budget])[budget].remaining == 10 - spent - counts_byok


@pytest.mark.parametrize("budget", [key_budget(KeyId("key-2")), account_budget(ACCOUNT)])
def test_what_nothing_is_known_of_begins_with_nothing(database: Database, budget) -> None:
    service = Budgets(database, now_ms=lambda: 0, used_before=used_by_keys(KnownUsage()))
    with database.begin() as connection:
        service.define(connection, budget=budget, account=ACCOUNT, limit=NanoUSD(1000))
    assert service.standing([budget])[budget].spent == 0
