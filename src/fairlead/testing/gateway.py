"""A whole data plane in memory: the real pipeline, dialects and providers; everything outside is a fake.

    gateway = GatewayInMemory(upstream, snapshot)
    answer = await gateway.call("/api/v1/chat/completions", {"model": "acme/one", ...})
    gateway.recorded  # the generations

Callers may read slowly and hang up; time is whatever the event loop says, so it may be virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec

from fairlead.core.caller import Caller, KeyRefused
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import Overloaded
from fairlead.core.generation import Generation
from fairlead.core.health import RecentOutages
from fairlead.core.ids import AccountId, GenerationId, KeyId, ProviderSlug, generation_id
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.gateway.app import DataPlane, Patience
from fairlead.gateway.pipeline import Services, Timeouts
from fairlead.gateway.upstream import UpstreamClient
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS

__all__ = ["KEY", "Answer", "GatewayInMemory", "Reader"]

KEY: Final = "sk-fl-v1-" + "0" * 64

Message = MutableMapping[str, Any]


class KeysInMemory:
    """One good key; everything else is unknown. `is_away` plays a store that does not answer."""

    def __init__(self) -> None:
        self.is_away = False
        self.refused: dict[bytes, KeyRefused] = {}
        self._known = {sha256(KEY.encode()).digest(): Caller(AccountId("account"), KeyId("key"))}

    def peek(self, digest: bytes) -> Caller | KeyRefused | None:
        return self._known.get(digest)

    async def find(self, digest: bytes) -> Caller | KeyRefused:
        if self.is_away:
            raise Overloaded("The key store does not answer.")
        return self.refused.get(digest) or KeyRefused("This API key is not known here.")


class CatalogInMemory:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


class CredentialsInMemory:
    """Every provider of the snapshot is configured, but for those named."""

    def __init__(self, snapshot: Snapshot, missing: frozenset[str]) -> None:
        self._snapshot = snapshot
        self._missing = missing

    def has(self, provider: ProviderSlug) -> bool:
        return provider not in self._missing

    def find(self, provider: ProviderSlug) -> Credential:
        info = self._snapshot.providers[provider]
        return Credential(base_url=info.base_url, api_key="upstream-secret", options={})


class JournalInMemory:
    """Keeps what is appended; `refuses` plays a full disk."""

    def __init__(self) -> None:
        self.records: list[Generation] = []
        self.refuses = False

    def append(self, generation: Generation) -> Awaitable[None] | None:
        if self.refuses:
            raise Overloaded("Usage cannot be recorded at the moment.")
        self.records.append(generation)
        return None


class WordCounter:
    """Counts words: wrong, but plain to predict."""

    def count(self, text: str, *, tokenizer: str) -> int:
        del tokenizer
        return len(text.split())


class CountingIds:
    def __init__(self) -> None:
        self._last = 0

    def generation(self) -> GenerationId:
        self._last += 1
        return generation_id(1_767_225_600_000, self._last)


class LoopClock:
    """Wall-clock time that moves with the event loop's."""

    def now_s(self) -> float:
        return 1_767_225_600.0 + asyncio.get_running_loop().time()


@dataclass(slots=True)
class Answer:
    """What a caller got. pieces: each write, with the moment it came. is_complete: properly ended."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    is_complete: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    def json(self) -> Any:  # noqa: ANN401 — tests look into it freely
        return msgspec.json.decode(self.body)

    def events(self) -> list[Any]:
        """The JSON payloads of a stream, without comments and `[DONE]`."""
        lines = self.body.split(b"\n\n")
        datas = [line[6:] for line in lines if line.startswith(b"data: ")]
        return [msgspec.json.decode(data) for data in datas if data != b"[DONE]"]

    def text(self) -> str:
        """All text of the first choice, streamed or whole."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            return "".join(
                choice["delta"].get("content") or ""
                for event in self.events()
                for choice in event["choices"][:1]
            )
        text = self.json()["choices"][0]["message"]["content"]
        assert isinstance(text, str)
        return text


@dataclass(frozen=True, slots=True)
class Reader:
    """How a caller behaves. pause_s: before taking each piece. leaves_after_s: hangs up then.
    leaves_after_pieces: hangs up after so many writes."""

    pause_s: float = 0.0
    leaves_after_s: float | None = None
    leaves_after_pieces: int | None = None


_PATIENT: Final = Reader()


class GatewayInMemory:
    """See the top of the file. Create it inside a running loop."""

    def __init__(
        self,
        upstream: UpstreamClient,
        snapshot: Snapshot,
        *,
        timeouts: Timeouts | None = None,
        patience: Patience | None = None,
        missing_credentials: frozenset[str] = frozenset(),
        body_bytes_max: int = 1 << 20,
    ) -> None:
        self.keys = KeysInMemory()
        self.journal = JournalInMemory()
        self.health = RecentOutages()
        self.services = Services(
            keys=self.keys,
            catalog=CatalogInMemory(snapshot),
            credentials=CredentialsInMemory(snapshot, missing_credentials),
            providers=lambda slug: PROVIDERS.get(slug) or PROVIDERS["vllm"],
            upstream=upstream,
            health=self.health,
            generations=self.journal,
            tokens=WordCounter(),
            ids=CountingIds(),
            clock=LoopClock(),
            loop=asyncio.get_running_loop(),
            timeouts=timeouts or Timeouts(),
            body_bytes_max=body_bytes_max,
        )
        self.app = DataPlane(
            self.services,
            {"/chat/completions": OpenAIChat(), "/completions": OpenAICompletions()},
            _not_found,
            patience or Patience(),
        )

    @property
    def recorded(self) -> list[Generation]:
        return self.journal.records

    async def chat(self, reader: Reader = _PATIENT, **fields: object) -> Answer:
        """One chat call; a short message unless `messages` is given."""
        fields.setdefault("model", "acme/one")
        fields.setdefault("messages", [{"role": "user", "content": "Hello there"}])
        return await self.call("/api/v1/chat/completions", fields, reader=reader)

    async def call(
        self,
        path: str,
        body: object,
        *,
        headers: dict[str, str] | None = None,
        method: str = "POST",
        reader: Reader = _PATIENT,
    ) -> Answer:
        """body: bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {"authorization": f"Bearer {KEY}", "content-length": str(len(raw))} | (headers or {})
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        line = _Line(raw, reader)
        async with asyncio.TaskGroup() as tasks:
            leaving = tasks.create_task(line.leave_in_time())
            await self.app(scope, line.receive, line.send)
            leaving.cancel()
        return line.answer


class _Line:
    """One caller's connection, in the way uvicorn behaves: writes to a caller who left go nowhere."""

    def __init__(self, body: bytes, reader: Reader) -> None:
        self._body: bytes | None = body
        self._reader = reader
        self._gone = asyncio.Event()
        self.answer = Answer()

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            self.answer.status = message["status"]
            self.answer.headers = {n.decode(): v.decode() for n, v in message["headers"]}
            return
        if self._reader.pause_s:
            await asyncio.sleep(self._reader.pause_s)
        if self._gone.is_set():
            return
        now_s = asyncio.get_running_loop().time()
        if message.get("body"):
            self.answer.pieces.append((now_s, message["body"]))
        if not message.get("more_body", False):
            self.answer.is_complete = True
        limit = self._reader.leaves_after_pieces
        if limit is not None and len(self.answer.pieces) >= limit:
            self._gone.set()

    async def leave_in_time(self) -> None:
        if self._reader.leaves_after_s is not None:
            await asyncio.sleep(self._reader.leaves_after_s)
            self._gone.set()


async def _not_found(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
