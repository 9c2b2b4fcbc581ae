"""The database goes away while customers call.

Whom the server knows goes on being served within what it has leased of their budgets; whoever needs more, or is
not known, is told 503 and never that a key is wrong. When the database is back everything is settled by itself.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fairlead.store.postgresql import CONNECT_TIMEOUT_S, SILENCE_MAX_S
from tests.faults.away import KINDS, SPENDING_UNKNOWN, check, outage
from tests.faults.bank import Customer, bank, usd
from tests.faults.crowd import Crowd
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.heavy

# One statement that is under way, and the next one that finds no connection; and a busy machine.
STOP_MAX_S = SILENCE_MAX_S + 2 * CONNECT_TIMEOUT_S + 20.0


@pytest.mark.parametrize("kind", KINDS)
def test_known_keys_go_on_within_their_leases_and_afterwards_all_is_settled(
    kind: str, tmp_path: Path
) -> None:
    outcome = outage(tmp_path, kind)
    assert outcome.answered > 50
    assert outcome.refused


def test_a_server_whose_database_hangs_can_be_stopped_and_loses_nothing(tmp_path: Path) -> None:
    """What it could not settle is settled by the next one."""
    with postgres_server(is_durable=True, is_synced=False) as server:
        address = server.create("bank")
        with bank(tmp_path, address) as made:
            free, prepaid = made.customer("free"), made.customer("prepaid", credit=usd(1))
            with made.server() as (url, program):
                crowd = Crowd(url)
                asyncio.run(serve_some(crowd, free, prepaid))
                assert set(crowd.statuses(prepaid)) == {200}
                mark = crowd.mark()
                server.freeze()
                asyncio.run(serve_some(crowd, free, prepaid))
                for answer in crowd.since(mark, prepaid):
                    check(answer, SPENDING_UNKNOWN)
                program.terminate()
                try:
                    assert program.exit_code(timeout_s=STOP_MAX_S) == 0
                finally:
                    server.thaw()
            with made.server():
                made.wait_until_settled(crowd.whole())
            made.compare(crowd.whole())


async def serve_some(crowd: Crowd, free: Customer, prepaid: Customer) -> None:
    async with crowd.calling([free, prepaid], parallel=2) as load:
        await load.until(lambda: load.answered_min() >= 3)
    assert set(crowd.statuses(free)) == {200}, "nothing limits it"
