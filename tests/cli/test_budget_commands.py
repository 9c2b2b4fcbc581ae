"""`fairlead budgets`: who holds something of budgets, and giving up a machine that is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from fairlead.control.budgets.service import Budgets
from fairlead.core.budgets.lending import CallAsk, Order
from fairlead.core.budgets.types import Wanted, key_budget, reference
from fairlead.core.ids import AccountId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.store.database import DATABASE_FILE, open_database
from tests.cli.conftest import Ended

KEY = key_budget(KeyId("key-1"))
REF = reference(KEY, "")


def test_a_holder_is_listed_and_released(fairlead: Callable[..., Ended], tmp_path: Path) -> None:
    place = ["--data", str(tmp_path)]
    assert fairlead("migrate", *place).code == 0
    with closing(open_database(tmp_path / DATABASE_FILE)) as database:
        budgets = Budgets(database, now_ms=lambda: 1_795_305_540_000)
        with database.begin() as connection:
            budgets.define(
                connection, budget=KEY, account=AccountId("acc-1"), limit=NanoUSD(2_000_000)
            )
        ask = CallAsk((REF,), Wanted.exactly(NanoUSD(1_500_000)))
        budgets.exchange("lost", Order(watched=(REF,), calls=(ask,)))
        [row] = json.loads(fairlead("budgets", "holders", "--json", *place).out)
        assert row == {
            "holder": "lost",
            "budgets": 1,
            "usd": "0.0015",
            "last_heard": "2026-11-21T23:59:00+00:00",
        }
        assert "lost" in fairlead("budgets", "holders", *place).out
        assert fairlead("budgets", "release", "nobody", *place).code != 0
        assert fairlead("budgets", "release", "lost", *place).code == 0
        assert budgets.standing([KEY])[KEY].leased == 0
    assert fairlead("budgets", "holders", *place).out == ""
