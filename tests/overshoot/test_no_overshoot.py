"""Four processes, two hundred calls at once to each, and money for thirty-seven: thirty-seven are answered.

Each case has a customer of its own, on servers that all cases share. A call costs the same whatever is in it,
so what is held for it is what it costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.overshoot.stage import PRICE, Stage, stage

ENOUGH = 37
CALLS = 200
PLENTY = 10_000
SETTLED_S = 20.0


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("overshoot")
    now_ms = time.time_ns() // 1_000_000
    if request.param == "sqlite":
        with stage(directory, postgres_url=None, now_ms=now_ms) as servers:
            yield servers
    else:
        databases = request.getfixturevalue("postgres_databases")
        with (
            databases.empty() as url,
            stage(directory, postgres_url=url, now_ms=now_ms) as servers,
        ):
            yield servers


@pytest.mark.parametrize(
    ("credit", "key", "workspace", "refused"),
    [
        pytest.param(ENOUGH, None, None, 402, id="the account's balance"),
        pytest.param(PLENTY, ENOUGH, None, 402, id="the key's limit"),
        pytest.param(PLENTY, None, ENOUGH, 403, id="the workspace's budget"),
        pytest.param(ENOUGH, ENOUGH, ENOUGH, 402, id="all at once"),
    ],
)
def test_parallel_calls_get_exactly_what_there_is(
    servers: Stage, credit: int, key: int | None, workspace: int | None, refused: int
) -> None:
    customer = servers.customer(
        credit=credit * PRICE,
        key_limit=None if key is None else key * PRICE,
        workspace_limit=None if workspace is None else workspace * PRICE,
    )
    statuses = asyncio.run(servers.crowd(customer, calls=CALLS))
    assert statuses == {200: ENOUGH, refused: len(servers.urls) * CALLS - ENOUGH}
    limited = {"account": credit, "key": key, "workspace": workspace}
    give_up_s = time.monotonic() + SETTLED_S
    for name, limit in limited.items():
        if limit is None:
            continue
        # What the settler does is seen in the database alone, so this looks again and again.
        while (standing := servers.standing(customer.budgets[name])).leased or (
            standing.spent != ENOUGH * PRICE
        ):
            assert time.monotonic() < give_up_s, standing
            time.sleep(0.05)
        assert standing.remaining == (limit - ENOUGH) * PRICE
