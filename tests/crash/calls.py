"""Callers for crashes: 64 at a time, each with one call after another, until the server is gone."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

from fairlead.testing.serving import RunningFairlead

__all__ = ["MODEL", "PRICES_NANO", "Call", "call_until_gone"]

MODEL = "crash/model"
PRICES_NANO = (2_000, 8_000)  # per prompt token, per completion token
ANSWER_BYTES_MAX = 4 * 1024 * 1024


@dataclass(slots=True)
class Call:
    """One call as its caller saw it.

    tag: what the upstream knows it by. generation: its id, once a head came. is_finished: the caller has
    the whole body, or has read `[DONE]`. usage: as the caller was told.
    """

    tag: str
    streamed: bool
    generation: str | None = None
    is_finished: bool = False
    usage: dict[str, float] = field(default_factory=dict)


async def call_until_gone(
    fairlead: RunningFairlead, *, parallel: int, seed: int, prefix: str
) -> list[Call]:
    """All calls that were begun. Each caller goes on until its connection fails."""
    calls: list[Call] = []

    async def caller(number: int) -> None:
        chance = random.Random(f"{seed}.{number}")
        for turn in range(10_000):
            call = Call(f"{prefix}-{number}-{turn}", streamed=chance.random() < 0.5)
            try:
                raw = await _exchange(fairlead, _body(call, chance), calls, call)
            except OSError:
                return
            _understand(call, raw)
            if not call.is_finished:
                return

    async with asyncio.TaskGroup() as tasks:
        for number in range(parallel):
            tasks.create_task(caller(number))
    return calls


def _body(call: Call, chance: random.Random) -> bytes:
    directives = (
        f"twin:tag={call.tag};tokens={chance.randrange(1, 30)}"
        f";delay_first_ms={chance.choice((0, 0, 5, 50))}"
        f";delay_between_ms={chance.choice((0, 0, 1, 8))}"
    )
    message = {"role": "user", "content": f"{'word ' * chance.randrange(1, 40)}{directives}"}
    return json.dumps({"model": MODEL, "messages": [message], "stream": call.streamed}).encode()


async def _exchange(fairlead: RunningFairlead, body: bytes, calls: list[Call], call: Call) -> bytes:
    """All that came until the connection ended, however it did. Raises OSError if there was none."""
    address = urllib.parse.urlsplit(fairlead.url)
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
