"""An upstream in memory: says what it is told to say, when it is told to, and fails on cue.

It keeps the contract of `gateway.upstream` (deadlines, phases, closing), so a pipeline cannot tell it
from the wire; and it counts what is open, so that a test can ask whether anything was left behind.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from fairlead.gateway.upstream import Phase, TransportFailure
from fairlead.gateway.upstream_pour import ReadPour
from fairlead.providers.base import UpstreamRequest

__all__ = ["Answer", "Script", "ScriptedUpstream", "chat_stream", "chat_whole"]

End = Literal["end", "cut", "hang"]


@dataclass(frozen=True, slots=True)
class Script:
    """One answer. steps: pause in seconds, then bytes. end: how it ends after the last step.

    refuses: no connection at all.
    """

    steps: Sequence[tuple[float, bytes]]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    head_after_s: float = 0.0
    end: End = "end"
    refuses: bool = False


class _Headers:
    def __init__(self, items: tuple[tuple[str, str], ...]) -> None:
        self._items = dict(items)

    def get(self, name: str) -> str | None:
        return self._items.get(name)

    def items(self) -> list[tuple[str, str]]:
        return list(self._items.items())


class Answer:
    """One scripted exchange."""

    def __init__(
        self,
        script: Script,
        loop: asyncio.AbstractEventLoop,
        expire_at_s: float,
        done: Callable[[], None],
    ) -> None:
        self.status = script.status
        self.headers = _Headers(script.headers)
        self._script = script
        self._steps = list(script.steps)
        self._loop = loop
        self._expire_at_s = expire_at_s
        self._phase = Phase.FIRST_TOKEN
        self._done = done
        self._pour = ReadPour(self, loop)
        self._waiter: asyncio.Future[None] | None = None
        self.is_closed = False

    async def wait(self, seconds: float) -> None:
        """Time passes, unless the deadline comes first or somebody closes."""
        await asyncio.sleep(0)
        due_s = self._loop.time() + seconds
        while True:
            if self.is_closed:
                raise TransportFailure("scripted answer was closed", phase=Phase.READ)
            now_s = self._loop.time()
            if now_s >= due_s:
                return
            if now_s >= self._expire_at_s:
                raise TransportFailure("scripted time-out", phase=self._phase, timed_out=True)
            await self._sleep_until(min(due_s, self._expire_at_s))

    async def read(self) -> bytes:
        if self.is_closed:
            raise TransportFailure("scripted answer was closed", phase=Phase.READ)
        if self._steps:
            pause_s, data = self._steps[0]
            await self.wait(pause_s)
            del self._steps[0]
            return data
        if self._script.end == "hang":
            await self.wait(math.inf)
        if self._script.end == "cut":
            raise TransportFailure("scripted cut", phase=Phase.READ)
        return b""

    async def _sleep_until(self, at_s: float) -> None:
        self._waiter = self._loop.create_future()
        timer = None if at_s == math.inf else self._loop.call_at(at_s, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take_whole(self) -> None:
        return None

    async def read_all(self, bytes_max: int) -> bytes:
        body = b""
        while chunk := await self.read():
            body += chunk
            if len(body) > bytes_max:
                raise TransportFailure("scripted answer too long", phase=Phase.READ)
        return body

    async def pour(
        self, take: Callable[[bytes], None], *, between_s: float, until_s: float
    ) -> None:
        await self._pour.run(take, between_s=between_s, until_s=until_s)

    def pause(self) -> None:
        self._pour.pause()

    def resume(self) -> None:
        self._pour.resume()

    def expire_at(self, at_s: float, phase: Phase) -> None:
        self._pour.expire_at(at_s, phase)

    def set_deadline(self, at_s: float, phase: Phase) -> None:
        """As `expire_at`; a pour goes on as it was."""
        self._expire_at_s, self._phase = at_s, phase
        self._wake()

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._done()
            self._pour.close()
            self._wake()


@dataclass(slots=True)
class ScriptedUpstream:
    """script: called for each request; says what happens to it."""

    script: Callable[[UpstreamRequest], Script]
    requests: list[UpstreamRequest] = field(default_factory=list)
    open_count: int = 0

    async def send(self, request: UpstreamRequest, *, expire_at_s: float) -> Answer:
        self.requests.append(request)
        script = self.script(request)
        if script.refuses:
            raise TransportFailure("scripted refusal", phase=Phase.CONNECT, untouched=True)
        self.open_count += 1
        answer = Answer(script, asyncio.get_running_loop(), expire_at_s, self._one_closed)
        try:
            await answer.wait(script.head_after_s)
        except BaseException:
            answer.close()
            raise
        return answer

    def _one_closed(self) -> None:
        self.open_count -= 1

    async def aclose(self) -> None:
        assert not self.open_count, "an exchange was left open"


def chat_whole(
    text: str, *, prompt_tokens: int = 10, completion_tokens: int | None = None
) -> bytes:
    """A whole answer in OpenAI's chat format."""
    completion = len(text.split()) if completion_tokens is None else completion_tokens
    return (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"upstream-name","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":%b},"finish_reason":"stop"}],"usage":%b}'
        % (_quoted(text), _usage(prompt_tokens, completion))
    )


def chat_stream(
    words: Sequence[str],
    *,
    prompt_tokens: int = 10,
    usage: bool = True,
    finish: str | None = "stop",
) -> list[bytes]:
    """The events of a streamed answer in OpenAI's chat format, one list item each; one token a word."""
    events = [_chunk(b'{"role":"assistant","content":""}')]
    events += [_chunk(b'{"content":%b}' % _quoted(word)) for word in words]
    if finish is not None:
        events.append(_chunk(b"{}", finish=finish))
    if usage:
        events.append(
            b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"upstream-name",'
            b'"choices":[],"usage":%b}\n\n' % _usage(prompt_tokens, len(words))
        )
    events.append(b"data: [DONE]\n\n")
    return events


def _chunk(delta: bytes, finish: str | None = None) -> bytes:
    reason = b"null" if finish is None else _quoted(finish)
    return (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"upstream-name",'
        b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n' % (delta, reason)
    )


def _usage(prompt: int, completion: int) -> bytes:
    return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (
        prompt,
        completion,
        prompt + completion,
    )


def _quoted(text: str) -> bytes:
    return msgspec.json.encode(text)
