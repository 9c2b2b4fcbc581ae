"""Callers who leave, and callers who do not read: the provider feels it, nobody else does."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.faults.rest import at_rest, wait_until
from tests.faults.stage import (
    FIRST,
    MODEL,
    OTHER_MODEL,
    SECOND,
    STREAMS,
    TIMEOUT_S,
    WHOLE,
    ask,
    stage_configuration,
)
from tests.recordings import RecordedHeaders, Recording
from tests.replay.caller import Caller
from tests.replay.gateway import RunningGateway, running_gateway
from tests.replay.replay_server import ReplayServer

PROMPTLY_S = 1.0
LARGE_TIMEOUT_S = 1.5
PIECE, PIECES = "la " * 21_000, 800  # 50 MB
MEMORY_BYTES_MAX = 16_000_000
IN_FLIGHT_BYTES_MAX = 25_000_000  # the kernel's buffers on four sockets hold most of it


@pytest.mark.parametrize("kind", [kind for kind in STREAMS if kind != WHOLE])
def test_hanging_up_in_mid_stream_is_felt_by_the_provider_at_once(
    kind: str, upstream: ReplayServer, caller: Caller
) -> None:
    upstream.on(answer=STREAMS[kind], fault="hang_after_events=5")
    generation = caller.leave(ask(FIRST, SECOND, streamed=True), after_bytes=1)
    left_s = time.monotonic()
    upstream.wait_until(lambda: upstream.received[0].outcome == "client_gone")
    assert time.monotonic() - left_s < min(PROMPTLY_S, TIMEOUT_S)
    wait_until(lambda: caller.generation(generation) is not None)
    record = caller.generation(generation)
    assert record is not None
    assert record["cancelled"]
    assert record["tokens_prompt"] > 0, "what the provider had read and written was used"
    assert record["tokens_completion"] > 0
    assert record["total_cost"] > 0
    assert len(upstream.received) == 1


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_hanging_up_before_the_answer_is_felt_by_the_provider_at_once(
    streamed: bool, upstream: ReplayServer, caller: Caller
) -> None:
    upstream.on(answer=STREAMS["text"] if streamed else STREAMS[WHOLE], fault="hang=headers")
    caller.send(ask(FIRST, SECOND, streamed=streamed))
    wait_until(lambda: upstream.connections.in_flight == 1)
    caller.close()
    left_s = time.monotonic()
    upstream.wait_until(lambda: upstream.received[0].outcome == "client_gone")
    assert time.monotonic() - left_s < min(PROMPTLY_S, TIMEOUT_S)
    assert len(upstream.received) == 1, "nobody else is asked for a caller who has left"


def test_who_does_not_read_slows_his_own_provider_and_nothing_else(
    upstream: ReplayServer, tmp_path: Path
) -> None:
    """A server of its own: 50 MB take their time, so its time-outs are longer."""
    toml = stage_configuration(upstream, timeout_s=LARGE_TIMEOUT_S)
    with running_gateway(tmp_path, toml) as gateway, Caller(gateway.fairlead) as caller:
        doze_off(upstream, gateway, caller)


def doze_off(upstream: ReplayServer, gateway: RunningGateway, caller: Caller) -> None:
    big = large_stream()
    upstream.add(big)
    upstream.on(model=MODEL, answer=big.id)
    upstream.on(model=OTHER_MODEL, answer=STREAMS["text"])
    before = memory_bytes(gateway.program.pid)
    with Caller(gateway.fairlead) as sleeper:
        response = sleeper.ask(ask(FIRST, streamed=True))
        request = upstream.received[0]
        upstream.wait_until(lambda: request.bytes_sent > len(PIECE))
        sent = at_rest(lambda: request.bytes_sent)
        assert sent < IN_FLIGHT_BYTES_MAX
        for _ in range(20):
            began_s = time.monotonic()
            other = caller.ending(ask(FIRST, streamed=True, model=OTHER_MODEL))
            assert other.kind == "complete"
            assert time.monotonic() - began_s < LARGE_TIMEOUT_S
        assert memory_bytes(gateway.program.pid) - before < MEMORY_BYTES_MAX
        assert request.bytes_sent == sent, "nothing more was taken in the meantime"
        # All this took longer than a provider may be silent, and none of it was the provider's fault.
        wait_until(lambda: time.monotonic() > began_s + 2 * LARGE_TIMEOUT_S)
        body = response.read()
    *events, last = body.removesuffix(b"\n\n").split(b"\n\n")
    assert last == b"data: [DONE]"
    deltas = (json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"] for event in events)
    assert "".join(delta.get("content") or "" for delta in deltas) == PIECE * PIECES
    assert memory_bytes(gateway.program.pid) - before < MEMORY_BYTES_MAX


def large_stream() -> Recording:
    """Text in large events."""

    def event(delta: dict[str, str], finish: str | None = None, **more: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "big", "object": "chat.completion.chunk", "choices": [choice], **more}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    pieces = [event({"role": "assistant", "content": ""}), *[event({"content": PIECE})] * PIECES]
    pieces += [event({}, "stop", usage=usage), b"data: [DONE]\n\n"]
    headers = RecordedHeaders({"content-type": "text/event-stream"})
    return Recording(
        "deepinfra.large", "deepinfra", "/v1/x", True, None, 200, headers, b"".join(pieces)
    )


def memory_bytes(process: int) -> int:
    """Resident."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("it has no memory")
