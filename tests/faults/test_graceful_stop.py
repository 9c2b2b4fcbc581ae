"""SIGTERM while streams run: who is being served is served, within a limit; nobody new comes in."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sqlite3
import urllib.parse
from pathlib import Path

import pytest

from tests.faults.rest import wait_until
from tests.faults.stage import FIRST, MODEL, OTHER_MODEL, STREAMS, ask, stage_configuration
from tests.recordings import recording
from tests.replay.caller import Caller, Ending, Heard, read_ending
from tests.replay.gateway import running_gateway
from tests.replay.playing import events_of
from tests.replay.replay_server import ReplayServer

DRAIN_S = 1


@pytest.mark.parametrize("workers", [1, 2])
def test_running_streams_end_in_time_or_with_an_error_and_nobody_new_is_served(
    workers: int, tmp_path: Path
) -> None:
    with ReplayServer([recording(STREAMS["text"])]) as upstream:
        stop_in_mid_stream(workers, tmp_path, upstream)


def stop_in_mid_stream(workers: int, tmp_path: Path, upstream: ReplayServer) -> None:
    events = len(events_of(recording(STREAMS["text"])))
    short_ms, long_ms = 600 // events, 300
    assert events * long_ms / 1000 > 3 * DRAIN_S
    upstream.on(model=MODEL, answer=STREAMS["text"], fault=f"event_delay_ms={short_ms}")
    upstream.on(model=OTHER_MODEL, answer=STREAMS["text"], fault=f"event_delay_ms={long_ms}")
    toml = stage_configuration(upstream, more=f"[server]\ndrain_s = {DRAIN_S}\n")
    with (
        running_gateway(tmp_path, toml, "--workers", str(workers)) as gateway,
        Caller(gateway.fairlead) as first,
        Caller(gateway.fairlead) as second,
        Caller(gateway.fairlead) as waiting,
    ):
        assert waiting.generation("gen-none") is None  # an idle connection, kept alive
        long = first.ask(ask(FIRST, streamed=True, model=OTHER_MODEL))
        short = second.ask(ask(FIRST, streamed=True, model=MODEL))
        gateway.program.terminate()
        wait_until(lambda: not is_served(gateway.fairlead.url))
        assert upstream.connections.in_flight == 2, "refused at once, not when all is over"
        assert ending_of(short).kind == "complete"
        broken = ending_of(long)
        assert gateway.program.exit_code() == 0
    assert broken.kind == "broken"
    assert broken.error is not None
    assert broken.error["code"] == 503
    assert broken.said is not None
    assert recorded(gateway.fairlead.data / "fairlead.db") == {
        short.headers["x-generation-id"]: ("completed", True),
        long.headers["x-generation-id"]: ("failed", False),
    }
    upstream.wait_until(lambda: not upstream.connections.open)
    assert [request.outcome for request in upstream.received] == ["client_gone", "complete"]


def ending_of(response: http.client.HTTPResponse) -> Ending:
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return read_ending(Heard(response.status, headers, body))


def is_served(url: str) -> bool:
    address = urllib.parse.urlsplit(url)
    with contextlib.suppress(OSError), socket.create_connection((address.hostname, address.port)):
        return True
    return False


def recorded(database: Path) -> dict[str, tuple[str, bool]]:
    """Outcome, and whether it was charged, by id."""
    query = "SELECT id, outcome, cost_nano > 0 FROM generations"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return {row[0]: (row[1], bool(row[2])) for row in connection.execute(query)}
