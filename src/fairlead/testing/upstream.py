"""An upstream in memory: says what it is told to say, when it is told to, and fails on cue.

It keeps the contract of `gateway.upstream` (deadlines, phases, closing), so a pipeline cannot tell it
from the wire; and it counts what is open, so that a test can ask whether anything was left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from fairlead.gateway.upstream import Phase, TransportFailure
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
        self.is_closed = False

    async def wait(self, seconds: float) -> None:
        """Time passes, unless the deadline comes first."""
        left_s = self._expire_at_s - self._loop.time()
        if seconds >= left_s:
            await asyncio.sleep(max(0.0, left_s))
            raise TransportFailure("scripted time-out", phase=self._phase, timed_out=True)
        await asyncio.sleep(seconds)

    async def read(self) -> bytes:
        assert not self.is_closed, "read after close"
        if self._steps:
            pause_s, data = self._steps.pop(0)
            await self.wait(pause_s)
            return data
        if self._script.end == "hang":
            await self.wait(float("inf"))
        if self._script.end == "cut":
            raise TransportFailure("scripted cut", phase=Phase.READ)
        return b""

    async def read_all(self, bytes_max: int) -> bytes:
        body = b""
        while chunk := await self.read():
            body += chunk
            if len(body) > bytes_max:
                raise TransportFailure("scripted answer too long", phase=Phase.READ)
        return body

    def expire_at(self, at_s: float, phase: Phase) -> None:
        self._expire_at_s, self._phase = at_s, phase

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._done()


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
