"""Many callers at once, who note down what each call was answered."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.faults.bank import MODEL, Customer

__all__ = ["Answer", "Crowd", "Load", "body", "figures", "get"]

PATIENCE_S = 30.0
LOOK_S = 0.02
ANSWER_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class Answer:
    """headers: names in lower case. body: without its framing."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def generation(self) -> str:
        return self.headers["x-generation-id"]

    @property
    def error(self) -> dict[str, Any] | None:
        """Of a refusal, or in the band of a stream."""
        if not self.headers["content-type"].startswith("text/event-stream"):
            found = json.loads(self.body).get("error")
        else:
            lines = [line for line in self.body.split(b"\n") if line.startswith(b"data: {")]
            found = json.loads(lines[-1].removeprefix(b"data: ")).get("error")
        assert found is None or isinstance(found, dict)
        return found

    @property
    def cost_usd(self) -> float:
        """As its caller was told."""
        text = self.body
        if self.headers["content-type"].startswith("text/event-stream"):
            text = [line for line in text.split(b"\n") if line.startswith(b"data: {")][-1][6:]
        return float(json.loads(text)["usage"]["cost"])

    @property
    def is_whole(self) -> bool:
        """The caller got a proper answer, to its end."""
        if self.status != 200:
            return False
        return self.error is None and (
            not self.headers["content-type"].startswith("text/event-stream")
            or b"data: [DONE]\n\n" in self.body
        )


@dataclass
class Crowd:
    """answers: all of them, by customer's name, in the order in which they ended."""

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: int = 0

    async def ask(
        self, customer: Customer, *, streamed: bool = False, more: str = "", at: str = ""
    ) -> Answer:
        """One call. more: directives for the twin. at: another server than the usual one."""
        self.asked += 1
        request = body(streamed=streamed, more=f"tag={customer.name}-{self.asked};{more}")
        answer = await _exchange(
            at or self.url, "POST", "/v1/chat/completions", customer.key, request
        )
        self.answers.setdefault(customer.name, []).append(answer)
        return answer

    @asynccontextmanager
    async def calling(
        self, customers: Iterable[Customer], *, parallel: int, pause_s: float = 0.0
    ) -> AsyncIterator[Load]:
        """While the block runs, every customer calls, in so many lines; calls under way are then finished.

        pause_s: a line that was refused waits so long.
        """
        load = Load(self, list(customers), parallel, pause_s)
        async with asyncio.TaskGroup() as tasks:
            for customer in load.customers:
                for number in range(parallel):
                    tasks.create_task(load.line(customer, number))
            try:
                yield load
            finally:
                load.is_over.set()

    def mark(self) -> dict[str, int]:
        """This moment, for `since`."""
        return {name: len(answers) for name, answers in self.answers.items()}

    def since(self, mark: dict[str, int], customer: Customer) -> list[Answer]:
        return self.answers.get(customer.name, [])[mark.get(customer.name, 0) :]

    def statuses(self, customer: Customer, *, since: dict[str, int] | None = None) -> Counter[int]:
        return Counter(answer.status for answer in self.since(since or {}, customer))

    def whole(self) -> set[str]:
        """The generations that their callers saw to their ends."""
        return {
            one.generation for answers in self.answers.values() for one in answers if one.is_whole
        }


class Load:
    """Lines of calls, each one call after another."""

    def __init__(
        self, crowd: Crowd, customers: list[Customer], parallel: int, pause_s: float
    ) -> None:
        self.crowd = crowd
        self.customers = customers
        self.is_over = asyncio.Event()
        self._parallel = parallel
        self._pause_s = pause_s
        self._turns = dict.fromkeys(
            [(one.name, number) for one in customers for number in range(parallel)], 0
        )

    def answered_min(self) -> int:
        """So many calls has every line made, at least."""
        return min(self._turns.values())

    async def until(self, is_enough: Callable[[], bool], *, give_up_s: float | None = None) -> None:
        """give_up_s: by the monotonic clock."""
        give_up_s = give_up_s or time.monotonic() + PATIENCE_S
        while not is_enough():
            assert time.monotonic() < give_up_s, {
                one.name: self.crowd.statuses(one) for one in self.customers
            }
            await asyncio.sleep(LOOK_S)

    async def line(self, customer: Customer, number: int) -> None:
        while not self.is_over.is_set():
            streamed = (number + self._turns[customer.name, number]) % 2 == 0
            answer = await self.crowd.ask(customer, streamed=streamed)
            self._turns[customer.name, number] += 1
            if not answer.is_whole and self._pause_s:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s):
                        await self.is_over.wait()


def body(*, streamed: bool, more: str = "") -> bytes:
    message = {"role": "user", "content": f"word word word twin:tokens=10;{more}"}
    return json.dumps(
        {"model": MODEL, "messages": [message], "stream": streamed, "max_tokens": 40}
    ).encode()


async def get(url: str, path: str, key: str = "none") -> Answer:
    return await _exchange(url, "GET", path, key, b"")


async def figures(url: str) -> dict[str, float]:
    """What /metrics says."""
    lines = (await get(url, "/metrics")).body.decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


async def _exchange(url: str, method: str, path: str, key: str, request: bytes) -> Answer:
    address = urllib.parse.urlsplit(url)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(
            address.hostname, address.port, limit=ANSWER_BYTES_MAX
        )
        try:
            writer.write(
                b"%b %b HTTP/1.1\r\nhost: fairlead\r\nconnection: close\r\n"
                b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
                % (method.encode(), path.encode(), key.encode(), len(request), request)
            )
            raw = await reader.read()
        finally:
            writer.close()
    return _answer(raw)


def _answer(raw: bytes) -> Answer:
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        rest = _unchunked(rest)
    return Answer(int(first.split(" ")[1]), headers, rest)


def _unchunked(body: bytes) -> bytes:
    pieces: list[bytes] = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        pieces.append(body[:length])
        body = body[length + 2 :]
    return b"".join(pieces)
