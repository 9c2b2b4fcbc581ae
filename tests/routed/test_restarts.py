"""A server that is stopped and started again knows what it knew of its endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.faults.stage import FIRST, MODEL, OTHER_MODEL, SECOND, STREAMS, ask
from tests.replay.caller import CHAT
from tests.replay.replay_server import ReplayServer
from tests.routed.stage import Server, installed

LIMITED, DOWN = -1, -5
SHOWN = ("status", "latency_last_30m", "throughput_last_30m")


def shown(server: Server, model: str) -> dict[str, list[Any]]:
    return {tag: [told[name] for name in SHOWN] for tag, told in server.endpoints(model).items()}


def candidates(server: Server, model: str) -> list[tuple[str, str, object]]:
    """Who would be asked for the fastest answer, why, and what is known of them."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "provider": {"sort": "latency"},
    }
    return [(one["tag"], one["why"], one["facts"]) for one in server.explained(body)["candidates"]]


def test_health_survives_a_restart(upstream: ReplayServer, tmp_path: Path) -> None:
    installation = installed(tmp_path / "one", upstream)
    with installation.serving() as server:
        assert [facts for _, _, facts in candidates(server, MODEL)] == [None, None]
        upstream.on(provider=FIRST, answer=STREAMS["text"], fault="delay_first_byte_ms=100")
        for provider in (FIRST, SECOND):
            assert server.post(CHAT, ask(provider, streamed=True)).status == 200
        upstream.on(model=OTHER_MODEL, provider=FIRST, answer=STREAMS["text"], fault="status=503")
        upstream.on(
            model=OTHER_MODEL,
            provider=SECOND,
            answer=STREAMS["text"],
            fault="status=429;retry_after=59",
        )
        for provider in (FIRST, FIRST, FIRST, SECOND):
            assert server.post(CHAT, ask(provider, streamed=True, model=OTHER_MODEL)).status >= 400
        known = {model: shown(server, model) for model in (MODEL, OTHER_MODEL)}
        planned = candidates(server, MODEL)
    assert known[MODEL][FIRST][1]["p50"] >= 100 > known[MODEL][SECOND][1]["p50"]
    assert [(tag, why) for tag, why, _ in planned] == [(SECOND, "sort"), (FIRST, "sort")]
    assert known[OTHER_MODEL] == {FIRST: [DOWN, None, None], SECOND: [LIMITED, None, None]}
    with installation.serving() as server:
        assert {model: shown(server, model) for model in known} == known
        assert candidates(server, MODEL) == planned
