"""The comparison of three books after crashes; what must hold is told in `rounds`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa

from fairlead.control.generations import queries
from fairlead.control.ledger.check import check
from fairlead.control.ledger.service import Ledger
from fairlead.core.generation import Generation, Outcome
from fairlead.store.records import front, unpack
from fairlead.store.tables.budgets import budget_periods, leases
from fairlead.store.tables.generations import generations
from fairlead.store.tables.keys import api_keys
from tests.crash.calls import PRICES_NANO
from tests.crash.stage import CUSTOMER, Stage

__all__ = ["compare", "wait_until_resolved"]

SETTLE_S = 20.0
GIVEN_BACK_S = 60.0
LOOK_S = 0.05
_TWIN_BILL_MAX = 100_000


def wait_until_resolved(stage: Stage, alive: Callable[[], Collection[int]], where: str) -> None:
    """While a server runs: all that callers saw finished is recorded, and nothing is held for the dead.

    alive: its processes. What a settler does is seen in the database alone, so this looks again and again.
    """
    began_s = time.monotonic()
    finished = {call.generation for call in stage.calls if call.is_finished}
    with stage.database() as database:
        while True:
            with database.read() as connection:
                recorded = set(connection.execute(sa.select(generations.c.id)).scalars())
            missing = finished - recorded
            if not missing:
                break
            assert time.monotonic() < began_s + SETTLE_S, f"{where}: lost {missing}"
            time.sleep(LOOK_S)
        while True:
            with database.read() as connection:
                holders = connection.execute(sa.select(leases.c.holder).distinct()).scalars().all()
            # The last part of a holder's name is its process.
            living = alive()
            dead = [name for name in holders if int(name.rpartition("-")[2]) not in living]
            if not dead:
                break
            assert time.monotonic() < began_s + GIVEN_BACK_S, f"{where}: still leased to {dead}"
            time.sleep(LOOK_S)
    report = stage.report
    report.resolved_s_max = max(report.resolved_s_max, time.monotonic() - began_s)


def compare(stage: Stage, where: str) -> None:
    """After the orderly end of a server. Fails where the books differ."""
    records = _records(stage)
    cost = sum(record.cost for record in records)
    _compare_money(stage, cost, where)
    given = {call["id"]: call for call in stage.twin.every_call()}
    assert len(given) < _TWIN_BILL_MAX
    by_tag = {call.tag: call for call in stage.calls}
    tags_seen: set[str] = set()
    for record in records:
        bill = given.get(record.upstream_id or "")
        assert bill is not None, f"{where}: {record.id} was recorded, but no upstream served it"
        assert bill["state"] == "completed", f"{where}: {record.id} was not complete: {bill}"
        assert bill["tag"] not in tags_seen, f"{where}: {bill['tag']} was recorded twice"
        tags_seen.add(bill["tag"])
        call = by_tag[bill["tag"]]
        assert call.generation in (None, record.id)
        assert record.outcome is Outcome.COMPLETED
        assert record.streamed == call.streamed
        tokens = (record.usage.prompt, record.usage.completion)
        assert tokens == (bill["prompt_tokens"], bill["completion_tokens"])
        assert record.cost == _price(bill)
        if call.is_finished:
            told = call.usage
            assert tokens == (told["prompt_tokens"], told["completion_tokens"])
            assert record.cost == round(told["cost"] * 1e9)
    recorded = {record.id for record in records}
    finished = {call.generation for call in stage.calls if call.is_finished}
    assert len(recorded) == len(records)
    assert finished <= recorded, f"{where}: lost {finished - recorded}"
    _compare_unbroken(stage, given.values(), tags_seen, where)
    report = stage.report
    report.calls, report.finished, report.recorded = len(by_tag), len(finished), len(records)
    report.refused = sum(call.is_refused for call in stage.calls)
    report.unseen = len(recorded - finished)
    report.spent_nano = cost


def _compare_unbroken(
    stage: Stage, given: Collection[dict[str, Any]], tags_seen: set[str], where: str
) -> None:
    """Where no process of ours died, the twin's bill and ours are the same."""
    for bill in given:
        if bill["tag"].partition("-")[0] in stage.unbroken:
            assert bill["state"] == "completed", f"{where}: nobody left, and nothing broke: {bill}"
            assert bill["tag"] in tags_seen, f"{where}: {bill} was given, and not recorded"


def _price(bill: dict[str, Any]) -> int:
    prompt_nano, completion_nano = PRICES_NANO
    return int(bill["prompt_tokens"] * prompt_nano + bill["completion_tokens"] * completion_nano)


def _compare_money(stage: Stage, cost: int, where: str) -> None:
    with stage.database() as database:
        with database.read() as connection:
            spent = connection.execute(sa.select(budget_periods)).all()
            account = connection.execute(
                sa.select(api_keys.c.account_id).where(api_keys.c.name == CUSTOMER)
            ).scalar_one()
            leased = connection.execute(sa.select(leases)).all()
        totals = Ledger(database, now_ms=lambda: 0).book(account).totals
        assert check(database).findings == ()
    assert leased == [], f"{where}: something is leased to nobody"
    assert totals.usage == cost, f"{where}: the ledger differs from the records"
    mine = [row for row in spent if row.budget_id.startswith(("key:", f"account:{account}"))]
    assert len(mine) == 2
    for row in mine:
        assert (row.spent_nano, row.leased_nano) == (cost, 0), f"{where}: {row}"


def _records(stage: Stage) -> list[Generation]:
    with stage.database() as database, database.read() as connection:
        rows = [tuple(row) for row in connection.execute(sa.select(generations))]
    kept = [(bytes(row[-2]), row[-1]) for row in rows]
    assert rows == [tuple(queries.row(front(record), record, entry)) for record, entry in kept]
    return [unpack(record) for record, _ in kept]
