"""Two servers and one cache: what one of them sees, the other knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cache_server import CacheServer
from tests.faults.rest import wait_until
from tests.faults.stage import FIRST, MODEL, SECOND, STREAMS, ask
from tests.replay.caller import CHAT
from tests.replay.replay_server import ReplayServer
from tests.routed.stage import NEW_KEY, Installation, Server, installed

GOOD, DOWN = 0, -5
OUTAGES_IN_A_ROW = 3


@pytest.fixture
def installation(upstream: ReplayServer, shared_cache: CacheServer, tmp_path: Path) -> Installation:
    return installed(tmp_path / "one", upstream, more=f'[cache]\nurl = "{shared_cache.url}"\n')


@pytest.fixture
def key(installation: Installation) -> str:
    return installation.command(*NEW_KEY, "--requests-per-minute", "6")


@pytest.fixture
def servers(
    installation: Installation, key: str, tmp_path: Path
) -> Iterator[tuple[Server, Server]]:
    """Each with a data directory of its own; keys and accounts are the same."""
    other = installation.copied(tmp_path / "other")
    with installation.serving() as one, other.serving() as another:
        yield one, another


def test_an_endpoint_that_dies_under_one_is_passed_over_by_the_other(
    servers: tuple[Server, Server], upstream: ReplayServer
) -> None:
    one, other = servers
    assert {tag: told["status"] for tag, told in other.endpoints().items()} == {
        FIRST: GOOD,
        SECOND: GOOD,
    }
    upstream.on(provider=FIRST, answer=STREAMS["text"], fault="status=503")
    for _ in range(OUTAGES_IN_A_ROW):
        assert one.post(CHAT, ask(FIRST, SECOND, streamed=True)).status == 200
    asked = [request.provider for request in upstream.received]
    assert asked == [FIRST, SECOND] * OUTAGES_IN_A_ROW
    wait_until(lambda: other.endpoints()[FIRST]["status"] == DOWN)
    upstream.forget()
    upstream.on(answer=STREAMS["text"])
    assert other.post(CHAT, ask(FIRST, SECOND, streamed=True)).status == 200
    assert [request.provider for request in upstream.received] == [SECOND]
    told = other.explained(ask(FIRST, SECOND, streamed=True))["candidates"]
    assert [(one["tag"], one["why"]) for one in told] == [(SECOND, "order"), (FIRST, "standing")]


def test_how_fast_an_endpoint_is_is_known_where_nobody_called_it(
    servers: tuple[Server, Server], upstream: ReplayServer
) -> None:
    one, other = servers
    assert other.endpoints()[FIRST]["latency_last_30m"] is None
    assert one.post(CHAT, ask(FIRST, streamed=True)).status == 200
    wait_until(lambda: other.endpoints()[FIRST]["latency_last_30m"] is not None)
    shown = ("latency_last_30m", "throughput_last_30m")
    assert [other.endpoints()[FIRST][name] for name in shown] == [
        one.endpoints()[FIRST][name] for name in shown
    ]
    assert other.endpoints()[SECOND]["latency_last_30m"] is None


def test_they_share_out_what_a_key_may_send_and_serve_on_without_the_cache(
    servers: tuple[Server, Server], key: str, shared_cache: CacheServer
) -> None:
    body = {"model": MODEL, **ask(FIRST, streamed=True)}
    statuses = [server.post(CHAT, body, key=key).status for _ in range(5) for server in servers]
    assert statuses == [200] * 6 + [429] * 4
    shared_cache.stop()
    alone = [server.post(CHAT, body, key=key).status for server in servers]
    assert alone == [200, 200], "each counts for itself now"
