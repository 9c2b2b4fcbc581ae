"""Callers for crashes: each makes one call after another, and goes on whatever becomes of them."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from fairlead.testing.serving import RunningFairlead

__all__ = ["MODEL", "PRICES_NANO", "Call", "calling"]

MODEL = "crash/model"
PRICES_NANO = (2_000, 8_000)  # per prompt token, per completion token
ANSWER_BYTES_MAX = 4 * 1024 * 1024
CALL_MAX_S = 60.0  # whoever dies: a caller learns it, and does not hang
PAUSE_S = 0.02  # of a caller who was refused
# What a server may say that stops, or whose database is away; all of it is no fault of the caller's.
REFUSALS = (
    "API keys cannot be checked at the moment.",
    "What may still be spent cannot be checked at the moment.",
    "Your account cannot be looked up at the moment.",
    "The server is stopping. Please send the call again.",
    "The server is stopping.",
)


@dataclass(slots=True)
class Call:
    """One call as its caller saw it.

    tag: what the upstream knows it by. generation: its id, once a head came. is_finished: the caller has
    the whole body, or has read `[DONE]`. is_refused: he was told to come back. usage: as the caller was told.
    """

    tag: str
    streamed: bool
    generation: str | None = None
    is_finished: bool = False
    is_refused: bool = False
    usage: dict[str, float] = field(default_factory=dict)


@contextmanager
def calling(
    fairlead: RunningFairlead, calls: list[Call], *, parallel: int, seed: int, prefix: str
) -> Iterator[None]:
    """While the block runs there are so many callers; what is under way at its end still ends, somehow.

    calls: where all that are begun are noted. prefix: of their tags.
    """
    is_over = threading.Event()

    async def caller(number: int) -> None:
        chance = random.Random(f"{seed}.{number}")
        turn = 0
        while not is_over.is_set():
            call = Call(f"{prefix}-{number}-{turn}", streamed=chance.random() < 0.5)
            turn += 1
            try:
                raw = await _exchange(fairlead, _body(call, chance), calls, call)
            except ConnectionError:  # nobody is there
                await asyncio.sleep(PAUSE_S)
                continue
            _understand(call, raw)
            if not call.is_finished:
                await asyncio.sleep(PAUSE_S)

    async def everybody() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(parallel):
                tasks.create_task(caller(number))

    # The callers are in the thread, and not the block: a database that it starts ends with the thread it is
    # started from.
    with ThreadPoolExecutor(1, thread_name_prefix="callers") as thread:
        running = thread.submit(asyncio.run, everybody())
        try:
            yield
        finally:
            is_over.set()
        running.result()


def _body(call: Call, chance: random.Random) -> bytes:
    directives = (
        f"twin:tag={call.tag};tokens={chance.randrange(1, 30)}"
        f";delay_first_ms={chance.choice((0, 0, 5, 50))}"
        f";delay_between_ms={chance.choice((0, 0, 1, 8))}"
    )
    message = {"role": "user", "content": f"{'word ' * chance.randrange(1, 40)}{directives}"}
    return json.dumps({"model": MODEL, "messages": [message], "stream": call.streamed}).encode()


async def _exchange(fairlead: RunningFairlead, body: bytes, calls: list[Call], call: Call) -> bytes:
    """All that came until the connection ended, however it did. ConnectionError if there was none."""
    address = urllib.parse.urlsplit(fairlead.url)
    async with asyncio.timeout(CALL_MAX_S):
        reader, writer = await asyncio.open_connection(
            address.hostname, address.port, limit=ANSWER_BYTES_MAX
        )
        calls.append(call)
        received = bytearray()
        try:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: fairlead\r\nconnection: close\r\n"
                b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
                % (fairlead.key.encode(), len(body), body)
            )
            while piece := await reader.read(65_536):
                received += piece
        except ConnectionError:
            pass  # killed
        finally:
            writer.close()
    return bytes(received)


def _understand(call: Call, raw: bytes) -> None:
    head, _, rest = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    if not rest:
        return
    if lines[0].split(" ")[1] == "503" and len(rest) == int(headers["content-length"]):
        assert json.loads(rest)["error"]["message"] in REFUSALS, raw
        assert int(headers["retry-after"]) >= 1
        call.is_refused = True
        return
    assert lines[0].split(" ")[1] == "200", raw[:400]
    call.generation = headers["x-generation-id"]
    if call.streamed:
        payload = b"".join(_chunks(rest))
        if b"data: [DONE]\n\n" not in payload:
            assert b'"error"' not in payload, payload[-400:]
            return
        last = payload.split(b"\n\n")[-3]
        answer = json.loads(last.removeprefix(b"data: "))
    else:
        if len(rest) != int(headers["content-length"]):
            return
        answer = json.loads(rest)
    call.is_finished = True
    call.usage = answer["usage"]


def _chunks(body: bytes) -> Iterator[bytes]:
    """The payload of a chunked body, the last chunk perhaps in part."""
    while body:
        size, found, body = body.partition(b"\r\n")
        if not found or size == b"0":
            return
        yield body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
