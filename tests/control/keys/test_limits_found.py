"""Who calls is found together with every limit that his calls count in."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.budgets.service import Budgets
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import LimitReset
from fairlead.core.budgets.types import (
    CallerBudget,
    Reset,
    account_budget,
    key_budget,
    member_budget,
    reference,
    workspace_budget,
)
from fairlead.core.ids import UserId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.tables.budgets import budget_periods
from fairlead.store.tables.keys import api_keys

NOW_MS = 1_795_305_540_000
USER = UserId("user-1")


@pytest.fixture
def budgets(database: Database) -> Budgets:
    return Budgets(database, now_ms=lambda: NOW_MS)


@pytest.fixture
def keys(database: Database, budgets: Budgets) -> Keys:
    return Keys(database, now_ms=lambda: NOW_MS, entropy=os.urandom, limits=budgets)


def test_a_key_comes_with_all_that_limits_it_the_broadest_first(
    database: Database, budgets: Budgets, keys: Keys
) -> None:
    accounts = Accounts(database, now_ms=lambda: NOW_MS, entropy=os.urandom)
    account = accounts.create(email="ada@example.com", billing=Billing.PREPAID).id
    key = keys.create(account, name="laptop", limit=NanoUSD(100), limit_reset=LimitReset.WEEKLY).key
    other = keys.create(account, name="other").key
    workspace = key.workspace
    with database.begin() as connection:
        connection.execute(
            sa.update(api_keys).where(api_keys.c.id == key.id).values(creator_user_id=USER)
        )
        for name, reset in (
            (workspace_budget(workspace, Reset.DAILY), Reset.DAILY),
            (workspace_budget(workspace, None), None),
            (member_budget(account, USER), Reset.MONTHLY),
        ):
            budgets.define(
                connection, budget=name, account=account, limit=NanoUSD(1000), reset=reset
            )
    found = keys.by_digests([key.digest, other.digest])
    of_workspace = (
        CallerBudget(workspace_budget(workspace, None)),
        CallerBudget(workspace_budget(workspace, Reset.DAILY), Reset.DAILY),
    )
    assert found[key.digest].budgets == (
        CallerBudget(account_budget(account)),
        CallerBudget(key_budget(key.id), Reset.WEEKLY),
        *of_workspace,
        CallerBudget(member_budget(account, USER), Reset.MONTHLY),
    )
    assert found[other.digest].budgets == (CallerBudget(account_budget(account)), *of_workspace)
    keys.revoke(account, other.id)
    with database.begin() as connection:
        budgets.remove(connection, key_budget(key.id))
    assert key_budget(key.id) not in {
        one.id for one in keys.by_digests([key.digest])[key.digest].budgets
    }


@pytest.mark.parametrize(("spent", "is_in_debt"), [(0, False), (1000, False), (1001, True)])
@pytest.mark.parametrize("billing", list(Billing))
def test_only_a_prepaid_account_can_be_in_debt(
    database: Database,
    budgets: Budgets,
    keys: Keys,
    billing: Billing,
    spent: int,
    is_in_debt: bool,
) -> None:
    accounts = Accounts(database, now_ms=lambda: NOW_MS, entropy=os.urandom)
    account = accounts.create(email="ada@example.com", billing=billing).id
    key = keys.create(account, name="laptop").key
    credit = account_budget(account)
    with database.begin() as connection:
        budgets.define(connection, budget=credit, account=account, limit=NanoUSD(1000))
        connection.execute(sa.update(budget_periods).values(spent_nano=spent))
        assert reference(credit, "") == f"{credit}@"
    found = keys.by_digests([key.digest])[key.digest]
    assert found.is_in_debt is (is_in_debt and billing is Billing.PREPAID)
    assert bool(found.budgets) is (billing is Billing.PREPAID)
