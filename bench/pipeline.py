"""What a call costs inside Fairlead, without sockets: the best of many short batches, in microseconds.

    .venv/bin/python bench/pipeline.py            # all rows
    .venv/bin/python bench/pipeline.py --profile  # and the hottest functions of each

It takes seconds, so it shows the effect of a change that `make bench` cannot tell from noise. On a shared
machine even the best batch is slowed down; `loops` compares each row with a fixed loop that was timed in
between, and moves less. What all this leaves out: the server, the client, the kernel.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop
from bodies import as_messages, as_responses, conversation
from streams import generate_stream, messages_stream

from fairlead.control.generations.jobs import Settler
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Generation
from fairlead.gateway.ports import Generations
from fairlead.gateway.server.connection import Connections
from fairlead.providers.base import UpstreamRequest
from fairlead.store.database import open_database
from fairlead.store.journal import Durability, Journal
from fairlead.store.migrate import prepare
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.caller_line import CallerLine, Reader
from fairlead.testing.gateway import KEY, GatewayInMemory
from fairlead.testing.settling import settling_steps
from fairlead.testing.upstream import chat_stream, chat_whole

BATCH_S = 0.005  # short enough to fall between two turns of a neighbour
MODEL = "acme/one"
CHUNKS = 500
RECORDS = 1000


class ReadyUpstream:
    """Has its answer at once, in the pieces it is given."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def send(self, request: UpstreamRequest, *, expire_at_s: float) -> ReadyAnswer:
        del request, expire_at_s
        return ReadyAnswer(self._pieces)

    async def aclose(self) -> None:
        pass


class ReadyAnswer:
    status = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    def take_whole(self) -> bytes:
        return b"".join(self._pieces)

    async def read_all(self, bytes_max: int) -> bytes:
        del bytes_max
        return b"".join(self._pieces)

    async def pour(
        self, take: Callable[[bytes], None], *, between_s: float, until_s: float
    ) -> None:
        del between_s, until_s
        for piece in self._pieces:
            take(piece)

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def expire_at(self, at_s: float, phase: object) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. parts: units of work in one call. path: of the caller's dialect."""

    name: str
    body: bytes
    pieces: list[bytes]
    parts: int = 1
    unit: str = "a call"
    provider: str = "openai"
    path: str = "chat/completions"


def snapshot(provider: str) -> Snapshot:
    return a_snapshot(
        a_model(an_endpoint(provider), an_endpoint("groq", prompt="0.000003")),
        providers=(a_provider(provider), a_provider("groq")),
    )


def caller(row: Row) -> tuple[GatewayInMemory, Callable[[], Awaitable[None]]]:
    """A data plane, and a function that makes one call to it."""
    upstream = ReadyUpstream(row.pieces)
    gateway = GatewayInMemory(upstream, snapshot(row.provider))  # type: ignore[arg-type] # enough of one
    body = row.body
    head = (
        f"POST /v1/{row.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {KEY}\r\nuser-agent: bench/1\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    line = Wire(gateway.connections)

    async def call() -> None:
        gateway.recorded.clear()
        line.connection.data_received(head + body)
        serving = line.connection.serving
        assert serving is not None
        assert serving.task is not None
        await serving.task

    return gateway, call


class Wire(CallerLine):
    """A caller who takes everything at once and looks at none of it."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections, Reader())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass


def fixed_loop() -> int:
    """The yardstick: some microseconds of plain Python, always the same."""
    total = 0
    for number in range(100):
        total += number * number
    return total


class Best:
    """The least processor time of one unit of work, and of the fixed loop beside it."""

    def __init__(self) -> None:
        self._unit_s = self._loop_s = float("inf")

    def note(self, took_s: float, units: int) -> None:
        self._unit_s = min(self._unit_s, took_s / units)
        began_s = time.thread_time()
        for _ in range(100):
            fixed_loop()
        self._loop_s = min(self._loop_s, (time.thread_time() - began_s) / 100)

    def show(self, name: str, unit: str) -> None:
        loops = self._unit_s / self._loop_s
        print(f"{name:22} {self._unit_s * 1e6:8.2f} us {unit:10} {loops:8.2f} loops", flush=True)


async def best(call: Callable[[], Awaitable[None]], seconds: float, *, parts: int) -> Best:
    """In batches of BATCH_S each. parts: units of work in one call."""
    await call()
    began_s = time.thread_time()
    await call()
    count = max(1, int(BATCH_S / max(time.thread_time() - began_s, 1e-6)))
    found = Best()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_s = time.thread_time()
        for _ in range(count):
            await call()
        found.note(time.thread_time() - began_s, count * parts)
    return found


@contextmanager
def profiled(wanted: bool, title: str) -> Iterator[None]:
    if not wanted:
        yield
        return
    profile = cProfile.Profile()
    with profile:
        yield
    print(f"\n{title}")
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(25)


async def measure_calls(seconds: float, *, with_profile: bool) -> None:
    for row in rows():
        gateway, call = caller(row)
        await call()
        if len(gateway.recorded) != 1 or gateway.recorded[0].outcome != "completed":
            raise SystemExit(f"{row.name}: the call failed")
        (await best(call, seconds, parts=row.parts)).show(row.name, row.unit)
        with profiled(with_profile, row.name):
            for _ in range(max(1, 3000 // row.parts)):
                await call()


def rows() -> list[Row]:
    whole = [chat_whole("hello " * 100)]
    words = [f"word{index} " for index in range(CHUNKS)]
    chat = chat_stream(words)
    asked = conversation(MODEL, 2048, streamed=True)

    def chunks(name: str, body: bytes, pieces: list[bytes], provider: str, path: str) -> Row:
        return Row(name, body, pieces, CHUNKS, "a chunk", provider, path)

    own = "chat/completions"
    return [
        Row("2 KB call", conversation(MODEL, 2048), whole),
        Row("80 KB call", conversation(MODEL, 80_000), whole),
        chunks("forwarded", asked, chat, "openai", own),
        chunks("anthropic to chat", asked, messages_stream(words), "anthropic", own),
        chunks("google to chat", asked, generate_stream(words), "google-ai-studio", own),
        chunks("openai to messages", as_messages(asked), chat, "openai", "messages"),
        chunks("openai to responses", as_responses(asked), chat, "openai", "responses"),
        chunks(
            "anthropic to messages",
            as_messages(asked),
            messages_stream(words),
            "anthropic",
            "messages",
        ),
    ]


def one_generation() -> Generation:
    """What one call puts into the journal."""

    async def record() -> Generation:
        gateway, call = caller(
            Row("2 KB call", conversation(MODEL, 2048), [chat_whole("hello " * 100)])
        )
        await call()
        return gateway.recorded[0]

    return asyncio.run(record())


def measure_settling(seconds: float, *, with_profile: bool) -> None:
    """Appending to the journal, and moving it into the database, in this thread."""
    generation = one_generation()
    appending, settling = Best(), Best()
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "fairlead.db")
        prepare(database)
        journal = Journal(Path(folder) / "journal", writer="bench", durability=Durability.PROCESS)
        settler = Settler(database, journal, settling_steps(database))
        recorder: Generations = journal
        number = 0
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            records = [
                msgspec.structs.replace(generation, id=f"gen-{number + index:032x}")
                for index in range(RECORDS)
            ]
            number += RECORDS
            began_s = time.thread_time()
            for record in records:
                recorder.append(record)
            appending.note(time.thread_time() - began_s, RECORDS)
            began_s = time.thread_time()
            with profiled(with_profile and number == RECORDS * 2, "settle"):
                settler.settle()
            settling.note(time.thread_time() - began_s, RECORDS)
        journal.close()
        database.close()
    appending.show("append", "a record")
    settling.show("settle", "a record")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="What a call costs inside Fairlead, without sockets."
    )
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of each row")
    parser.add_argument("--profile", action="store_true", help="the hottest functions, too")
    arguments = parser.parse_args()
    uvloop.run(measure_calls(arguments.seconds, with_profile=arguments.profile))
    measure_settling(arguments.seconds, with_profile=arguments.profile)


if __name__ == "__main__":
    main()
