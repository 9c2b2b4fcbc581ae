"""After any number of failures nothing is left behind: no task, no socket, no file descriptor."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.rest import at_rest, wait_until
from tests.faults.stage import (
    FIRST,
    SECOND,
    STREAMS,
    WHOLE,
    ask,
    stage_configuration,
)
from tests.recordings import recording
from tests.replay.caller import Caller
from tests.replay.gateway import running_gateway
from tests.replay.replay_server import ReplayServer

FAULTS = (
    "",
    "status=429",
    "status=503;html",
    "refuse",
    "refuse;cut=rst",
    "hang=headers",
    "hang=body",
    "hang_after_events=3",
    "cut_after_events=0",
    "cut_after_events=3",
    "cut_after_events=3;cut=rst",
    "cut_after_bytes=70",
    "truncate_after_events=3",
    "error_event_after=3",
    "garbage",
    "garbage_after_events=3",
    "drip_bytes=24;drip_ms=40",
    "gzip;cut_after_events=4",
    "close",
)
ANSWER_S = 10.0
OTHER_DESCRIPTORS_MAX = (
    40  # the database's connections, one for each thread that ever asked; the journal
)


def every_fault_once(upstream: ReplayServer, caller: Caller) -> None:
    """Streamed and not, with and without another provider, heard to the end and left in the middle."""
    for fault, streamed in itertools.product(FAULTS, (True, False)):
        upstream.forget()
        upstream.on(provider=SECOND, answer=STREAMS["text"] if streamed else STREAMS[WHOLE])
        upstream.on(
            provider=FIRST,
            answer=STREAMS["tools"] if streamed else STREAMS[WHOLE],
            fault=fault,
        )
        caller.ending(ask(FIRST, streamed=streamed))
        caller.ending(ask(FIRST, SECOND, streamed=streamed))
        leave_in_the_middle(upstream, caller, streamed=streamed)


def leave_in_the_middle(upstream: ReplayServer, caller: Caller, *, streamed: bool) -> None:
    """Hang up while the provider is still busy."""
    upstream.forget()
    fault = "hang_after_events=4" if streamed else "hang=body"
    upstream.on(answer=STREAMS["tools"] if streamed else STREAMS[WHOLE], fault=fault)
    if streamed:
        caller.leave(ask(FIRST, streamed=True), after_bytes=1)
    else:
        caller.send(ask(FIRST, streamed=False))
        upstream.wait_until(lambda: len(upstream.received) == 1)
        caller.close()
    upstream.wait_until(
        lambda: [request.outcome for request in upstream.received] == ["client_gone"]
    )


def test_a_server_process_keeps_no_descriptor(tmp_path: Path) -> None:
    """What is open beyond the start is an idle connection to a provider, open at its other end as well."""
    with (
        replaying() as upstream,
        running_gateway(tmp_path, stage_configuration(upstream, timeout_s=0.1)) as gateway,
    ):
        process = gateway.program.pid

        def extra_sockets() -> int:
            return len(descriptors(process, "socket:")) - upstream.connections.open

        upstream.on(answer=STREAMS[WHOLE])
        with Caller(gateway.fairlead) as caller:  # whatever is opened once and kept
            assert caller.ending(ask(FIRST, streamed=False)).kind == "complete"
        before = at_rest(extra_sockets)
        for _ in range(2):
            with Caller(gateway.fairlead) as caller:
                every_fault_once(upstream, caller)
            upstream.wait_until(lambda: not upstream.connections.in_flight)
            wait_until(lambda: extra_sockets() == before)
            assert upstream.connections.open <= 2, "one idle connection for each of two providers"
            files = [name for name in descriptors(process) if not name.startswith("socket:")]
            assert len(files) <= OTHER_DESCRIPTORS_MAX, files


def test_a_server_keeps_no_task(tmp_path: Path) -> None:
    """The same in this process, where its tasks can be seen, and warnings about what was not closed."""
    from fairlead.cli import opening
    from fairlead.cli.first_start import first_start
    from fairlead.cli.opening import Place
    from fairlead.compose.serving import serve
    from fairlead.testing.serving import RunningFairlead

    config = tmp_path / "fairlead.toml"
    failures: list[BaseException] = []
    tasks: list[int] = []
    with replaying() as upstream, socket.create_server(("127.0.0.1", 0)) as listener:
        config.write_text(stage_configuration(upstream, timeout_s=0.1))
        place = Place(tmp_path, config)
        snapshot = opening.seed()
        settings = opening.load_settings(place, snapshot.providers, {})
        with opening.opened_database(settings, tmp_path) as database:
            started = first_start(database)
        assert started is not None
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fairlead = RunningFairlead(url, started.key, tmp_path)

        def drive(loop: asyncio.AbstractEventLoop) -> None:
            try:
                before = at_rest(lambda: tasks_of(loop))
                for _ in range(2):
                    with Caller(fairlead) as caller:
                        every_fault_once(upstream, caller)
                    wait_until(lambda: tasks_of(loop) <= before)
                    tasks.append(at_rest(lambda: tasks_of(loop)) - before)
            except BaseException as failure:  # noqa: BLE001 - for the main thread to raise
                failures.append(failure)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        def ready() -> None:
            threading.Thread(target=drive, args=(asyncio.get_running_loop(),), daemon=True).start()

        code = serve(settings, seed=snapshot, data=tmp_path, listener=listener, on_ready=ready)
    if failures:
        raise failures[0]
    assert (code, tasks) == (0, [0, 0])


@contextmanager
def replaying() -> Iterator[ReplayServer]:
    with ReplayServer([recording(case) for case in STREAMS.values()]) as server:
        yield server


def descriptors(process: int, kind: str = "") -> list[str]:
    """What is open, of this kind."""
    names: list[str] = []
    for entry in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            names.append(str(entry.readlink()))
    return [name for name in names if name.startswith(kind)]


def tasks_of(loop: asyncio.AbstractEventLoop) -> int:
    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    return asyncio.run_coroutine_threadsafe(count(), loop).result(ANSWER_S)
