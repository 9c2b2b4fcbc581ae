"""The replay server: plays a provider on a real socket, from recorded traffic, and misbehaves on demand.

    with ReplayServer(load("openai")) as server:
        gateway's base URL = server.base("openai")        # http://127.0.0.1:port/openai/v1
        server.on(provider="openai", answer=recording.id, fault="cut_after_events=3")
        ...
        server.received[-1].outcome                       # "cut"

Which recording answers a request: the one that a rule names (`on`), else the one whose request is most
like it among those of the provider with the same stream flag. A base URL may carry a fault or a recording
of its own: `/_fault/<fault>/_id/<recording>/<provider>/v1`. Faults: see faults.py.

It runs in a thread of its own. What it received can be read at any time, and waited for (`wait_until`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.recordings import Recording
from tests.replay.faults import NO_FAULT, Fault, parse
from tests.replay.playing import Cut, Hang, Head, Pause, Send, Step, play

__all__ = ["Difference", "Received", "ReplayServer"]

WAIT_S = 20.0
HEAD_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Difference:
    """Between the recorded request and the one that came; None: absent there. at: path of the value."""

    at: str
    recorded: object
    received: object


@dataclass(slots=True)
class Received:
    """One request, and what became of its answer.

    outcome: "open", then "complete", "cut", or "client_gone" if the client hung up before the end.
    bytes_sent: of the body, as far as the network has taken them.
    """

    provider: str
    path: str
    headers: dict[str, str]
    body: Any
    recording: Recording | None = None
    fault: Fault = NO_FAULT
    events_sent: int = 0
    bytes_sent: int = 0
    outcome: str = "open"

    @property
    def differences(self) -> list[Difference]:
        if self.recording is None:
            return []
        recorded, received = _leaves(self.recording.request), _leaves(self.body)
        return [
            Difference(at, recorded.get(at), received.get(at))
            for at in {**recorded, **received}
            if at not in recorded or at not in received or not _is_same(recorded[at], received[at])
        ]


@dataclass(slots=True)
class _Rule:
    provider: str | None
    model: str | None
    answer: str | None
    fault: Fault
    times: int | None


@dataclass(slots=True)
class Connections:
    """open: now, idle ones included. in_flight: requests being answered."""

    open: int = 0
    total: int = 0
    in_flight: int = 0


class _Gone(Exception):
    """The client closed the connection."""


class _Over(Exception):
    """We close the connection."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def notice_leaving(self) -> None:
        """While an answer is under way nothing more may come: clients do not send ahead."""
        with contextlib.suppress(ConnectionError):
            assert not await self.reader.read(1), "the client sent more than its request"
        self.gone.set()

    async def write(self, data: bytes) -> None:
        if self.gone.is_set():
            raise _Gone
        self.writer.write(data)
        if not self.writer.transport.get_write_buffer_size():
            await asyncio.sleep(0)  # the network has taken all; the other tasks get their turn
            return
        draining = asyncio.ensure_future(self.writer.drain())
        leaving = asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait((draining, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not draining.done():
                raise _Gone
            draining.result()
        finally:
            draining.cancel()
            leaving.cancel()

    async def pause(self, s: float | None) -> None:
        """None: until the client leaves."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), s)
            raise _Gone

    def cut(self, *, is_reset: bool) -> None:
        if is_reset:
            linger = struct.pack("ii", 1, 0)
            raw = self.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.writer.transport.abort()


class ReplayServer:
    """See the top of the file."""

    def __init__(self, recordings: Iterable[Recording]) -> None:
        self._recordings: dict[str, Recording] = {case.id: case for case in recordings}
        self._rules: list[_Rule] = []
        self._changed = threading.Condition()
        self.received: list[Received] = []
        self.connections = Connections()

    # --- what tests say ---

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def base(self, provider: str, *, fault: str = "", answer: str = "") -> str:
        """A provider's base URL, with the version segment."""
        words = [f"/_fault/{urllib.parse.quote(fault)}" if fault else ""]
        words += [f"/_id/{urllib.parse.quote(answer)}" if answer else ""]
        return f"{self.url}{''.join(words)}/{provider}/v1"

    def add(self, recording: Recording) -> None:
        self._recordings[recording.id] = recording

    def on(
        self,
        *,
        provider: str | None = None,
        model: str | None = None,
        answer: str | None = None,
        fault: str = "",
        times: int | None = None,
    ) -> None:
        """Requests to this provider for this model get this answer, spoilt like this. The last rule wins.

        times: how many of them; None: all.
        """
        assert answer is None or answer in self._recordings
        self._rules.insert(0, _Rule(provider, model, answer, parse(fault), times))

    def forget(self) -> None:
        """The rules, and what was received."""
        self._rules = []
        self.received = []

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Looks whenever anything changes here. Fails after a while."""
        with self._changed:
            assert self._changed.wait_for(is_so, WAIT_S), [
                (request.outcome, request.bytes_sent) for request in self.received
            ]

    # --- running ---

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="replay", daemon=True
        )
        self._thread.start()
        assert started.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.open += 1
        self.connections.total += 1
        try:
            while True:
                await self._answer_one(reader, writer)
        except (_Over, _Gone, ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # the server stops; nobody waits for this task
        finally:
            writer.close()
            self.connections.open -= 1
            self._tell()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request, words = _request(first.split(" ")[1], headers, body)
        self.received.append(request)
        steps = self._choose(request, words)
        self.connections.in_flight += 1
        connection = _Connection(reader, writer)
        watch = asyncio.ensure_future(connection.notice_leaving())
        try:
            await self._perform(steps, request, connection)
            request.outcome = "complete"
        except (_Gone, ConnectionError):
            request.outcome = "client_gone"
            raise
        except _Over:
            request.outcome = "cut"
            raise
        finally:
            self.connections.in_flight -= 1
            watch.cancel()
            await asyncio.wait((watch,))
            self._tell()
        if request.fault.close:
            raise _Over

    def _choose(self, request: Received, words: dict[str, str]) -> Iterable[Step]:
        answer, fault = words.get("_id"), parse(words.get("_fault", ""))
        model = request.body.get("model") if isinstance(request.body, dict) else None
        for rule in self._rules:
            is_meant = rule.provider in (None, request.provider) and rule.model in (None, model)
            if is_meant and rule.times != 0:
                if rule.times is not None:
                    rule.times -= 1
                answer, fault = answer or rule.answer, rule.fault
                break
        request.fault = fault
        found = self._recordings.get(answer) if answer else self._most_like(request)
        if found is None:
            raise _Over
        request.recording = found
        errors = (
            case
            for case in self._recordings.values()
            if case.provider == request.provider and case.status >= 400
        )
        return play(found, fault, errors)

    def _most_like(self, request: Received) -> Recording | None:
        mine = _leaves(request.body).items()
        is_streamed = isinstance(request.body, dict) and request.body.get("stream") is True

        def likeness(case: Recording) -> float:
            theirs = _leaves(case.request).items()
            shared = sum(1 for leaf in mine if leaf in theirs)
            return 2 * shared / (len(mine) + len(theirs))

        cases = [
            case
            for case in self._recordings.values()
            if case.provider == request.provider and case.streamed == is_streamed
        ]
        return max(cases, key=likeness, default=None)

    async def _perform(
        self, steps: Iterable[Step], request: Received, connection: _Connection
    ) -> None:
        fault = request.fault
        for step in steps:
            match step:
                case Head():
                    drip = fault.drip_bytes if fault.drip_headers else 0
                    async for _ in self._dripped(step.data, drip, fault.drip_ms, connection):
                        pass
                case Send():
                    async for size in self._dripped(
                        step.data, fault.drip_bytes, fault.drip_ms, connection
                    ):
                        request.bytes_sent += size
                    request.events_sent += step.events
                    self._tell()
                case Pause():
                    await connection.pause(step.ms / 1000)
                case Hang():
                    await connection.pause(None)
                case Cut():
                    connection.cut(is_reset=step.is_reset)
                    raise _Over

    async def _dripped(
        self, data: bytes, drip_bytes: int, drip_ms: int, connection: _Connection
    ) -> Any:
        size = drip_bytes or len(data)
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            await connection.write(piece)
            yield len(piece)
            if drip_bytes:
                await connection.pause(drip_ms / 1000)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _request(target: str, headers: dict[str, str], body: bytes) -> tuple[Received, dict[str, str]]:
    """The request, and the words that its path carried for us."""
    path = target.partition("?")[0]
    segments = path.removeprefix("/").split("/")
    words: dict[str, str] = {}
    while segments[0].startswith("_"):
        words[segments[0]] = urllib.parse.unquote(segments[1])
        segments = segments[2:]
    parsed = json.loads(body) if body else None
    return Received(segments[0], "/" + "/".join(segments[1:]), headers, parsed), words


def _leaves(value: Any, at: str = "") -> dict[str, object]:
    """Every value that holds no other, by its path."""
    if isinstance(value, dict) and value:
        leaves: dict[str, object] = {}
        for name, inner in value.items():
            leaves |= _leaves(inner, f"{at}.{name}" if at else name)
        return leaves
    if isinstance(value, list) and value:
        leaves = {}
        for index, inner in enumerate(value):
            leaves |= _leaves(inner, f"{at}[{index}]")
        return leaves
    return {at: value}


def _is_same(a: object, b: object) -> bool:
    return a == b and type(a) is type(b)
