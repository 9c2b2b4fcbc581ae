"""A whole data plane in memory: the real pipeline, dialects and providers; everything outside is a fake.

    gateway = GatewayInMemory(upstream, snapshot)
    answer = await gateway.call("/api/v1/chat/completions", {"model": "acme/one", ...})
    gateway.recorded  # the generations

Callers may read slowly and hang up; time is whatever the event loop says, so it may be virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from fairlead.core.affinity import WarmPlaces
from fairlead.core.belongings import Belongings
from fairlead.core.budgets.lending import Standing
from fairlead.core.budgets.slices import Held, Lack, Slices
from fairlead.core.budgets.types import BudgetRef, CallerBudget, Wanted
from fairlead.core.caller import Caller, KeyRefused
from fairlead.core.catalog import Snapshot
from fairlead.core.content import Content
from fairlead.core.errors import Overloaded, RateLimited
from fairlead.core.generation import Generation
from fairlead.core.health import HealthBook
from fairlead.core.hedging import HedgeBudgets
from fairlead.core.ids import AccountId, GenerationId, KeyId, ProviderSlug, generation_id
from fairlead.core.money import NanoUSD
from fairlead.core.presets import Preset
from fairlead.core.routing.types import INSTALLATION, Access
from fairlead.core.tool_calls import ToolJudge
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.embeddings import Embeddings
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.openai_responses import OpenAIResponses
from fairlead.dialects.rerank import Rerank
from fairlead.gateway.admission import Admission
from fairlead.gateway.app import CALLS_MAX, DataPlane
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.own_keys import OwnKeys
from fairlead.gateway.ports import Hold, Visitors, Wallet
from fairlead.gateway.server.connection import Connections, ServerBounds
from fairlead.gateway.services import Services, Timeouts
from fairlead.gateway.upstream import UpstreamClient
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.testing.caller_line import Answer, CallerLine, Reader

__all__ = [
    "ACCOUNT",
    "KEY",
    "Answer",
    "BelongingsInMemory",
    "GatewayInMemory",
    "PresetsInMemory",
    "PurseInMemory",
    "Reader",
]

ACCOUNT: Final = AccountId("account")
KEY: Final = "sk-fl-v1-" + "0" * 64


class KeysInMemory:
    """One good key; everything else is unknown. `is_away` plays a store that does not answer."""

    def __init__(self) -> None:
        self.is_away = False
        self.refused: dict[bytes, KeyRefused] = {}
        self.caller = Caller(ACCOUNT, KeyId("key"))
        self._digest = sha256(KEY.encode()).digest()

    def peek(self, digest: bytes) -> Caller | KeyRefused | None:
        return self.caller if digest == self._digest else None

    async def find(self, digest: bytes) -> Caller | KeyRefused:
        if self.is_away:
            raise Overloaded("The key store does not answer.")
        return self.refused.get(digest) or KeyRefused("This API key is not known here.")


class LimitsInMemory:
    """No limits, unless `refusal` is set."""

    def __init__(self) -> None:
        self.refusal: RateLimited | None = None
        self.asked: list[bool] = []  # of each counted call, whether it was a free one

    def needs_check(self, caller: Caller, *, is_free: bool) -> bool:
        del caller, is_free
        return self.refusal is not None

    async def admit(self, caller: Caller, *, is_free: bool, now_s: float) -> RateLimited | None:
        del caller, now_s
        self.asked.append(is_free)
        return self.refusal


class CatalogInMemory:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


class CredentialsInMemory:
    """Every provider of the snapshot is configured, but for those named."""

    def __init__(self, snapshot: Snapshot, missing: frozenset[str]) -> None:
        self._snapshot = snapshot
        self.access: Access = {
            slug: INSTALLATION for slug in snapshot.providers if slug not in missing
        }

    def find(self, provider: ProviderSlug) -> Credential:
        info = self._snapshot.providers[provider]
        return Credential(base_url=info.base_url, api_key="upstream-secret", options={})


class JournalInMemory:
    """Keeps what is appended; `refuses` plays a full disk, `takes_s` a slow one."""

    def __init__(self) -> None:
        self.records: list[Generation] = []
        self.refuses = False
        self.takes_s = 0.0
        self._is_failing = False

    def check(self) -> None:
        if self._is_failing and self.refuses:
            raise Overloaded("Usage cannot be recorded at the moment.")
        self._is_failing = False

    def append(self, generation: Generation) -> Awaitable[None] | None:
        if self.refuses:
            self._is_failing = True
            raise Overloaded("Usage cannot be recorded at the moment.")
        self.records.append(generation)
        if not self.takes_s:
            return None
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        loop.call_later(self.takes_s, written.set_result, None)
        return written


class PurseInMemory:
    """A wallet in which each budget has so much, whatever its limit; there is no store to ask.

    left: nanodollars. holds: all that were made.
    """

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.holds: list[Held] = []
        self._slices = Slices(wake=lambda: None)
        self._known: set[BudgetRef] = set()
        self._now_s = 0.0

    def hold(self, budgets: Sequence[CallerBudget], wanted: Wanted, now_s: float) -> Hold | None:
        self._now_s = now_s
        held = self._slices.hold(budgets, wanted, now_s)
        if held is not None:
            self.holds.append(held)
        return held

    async def obtain(self, budgets: Sequence[CallerBudget], wanted: Wanted) -> Hold | Lack:
        order = self._slices.order([(budgets, wanted)], self._now_s)
        assert order is not None
        amount = NanoUSD(self.left)
        self._slices.answered(
            order,
            {
                ref: Standing(amount, NanoUSD(0), amount, amount, is_new=ref not in self._known)
                for ref in order.watched
            },
        )
        self._known.update(order.watched)
        held = self.hold(budgets, wanted, self._now_s)
        if held is not None:
            return held
        lack = self._slices.lack(budgets, wanted, self._now_s)
        assert lack is not None
        return lack

    @property
    def held(self) -> int:
        """What is held now, of all budgets."""
        return self._slices.figures().held


class BelongingsInMemory:
    """What the one account has. is_away: as a store that does not answer. kept: contents that were to be
    kept.
    """

    def __init__(self, has: Belongings, *, fee: int = 0, discount: int = 0) -> None:
        self.has = has
        self.is_away = False
        self.kept: list[Content] = []
        self._fee = fee
        self._discount = discount

    def peek(self, caller: Caller) -> Belongings | None:
        del caller
        return None

    async def find(self, caller: Caller) -> Belongings:
        del caller
        if self.is_away:
            raise Overloaded("Your account cannot be looked up at the moment.")
        return self.has

    def fee(self, caller: Caller, list_cost: NanoUSD) -> NanoUSD:
        del caller
        return NanoUSD(min(list_cost, self._fee))

    def discount(self, caller: Caller, has: Belongings, cost: NanoUSD) -> NanoUSD:
        del caller, has
        return NanoUSD(min(cost, self._discount))

    def keep(self, content: Content) -> None:
        self.kept.append(content)


class PresetsInMemory:
    """Those of every workspace, by slug."""

    def __init__(self, **presets: Preset) -> None:
        self.asked: list[str] = []
        self._presets = presets

    async def find(self, caller: Caller, slug: str) -> Preset | Sequence[str]:
        del caller
        self.asked.append(slug)
        return self._presets.get(slug) or tuple(self._presets)


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

    def seed(self) -> int:
        """Always the cheapest is drawn."""
        return 0


class LoopClock:
    """Wall-clock time that moves with the event loop's."""

    def now_s(self) -> float:
        return 1_767_225_600.0 + asyncio.get_running_loop().time()


_PATIENT: Final = Reader()


class GatewayInMemory:
    """See the top of the file. Create it inside a running loop."""

    def __init__(
        self,
        upstream: UpstreamClient,
        snapshot: Snapshot,
        *,
        timeouts: Timeouts | None = None,
        bounds: ServerBounds | None = None,
        calls_max: int = CALLS_MAX,
        missing_credentials: frozenset[str] = frozenset(),
        body_bytes_max: int = 1 << 20,
        wallet: Wallet | None = None,
        belongings: BelongingsInMemory | None = None,
        visitors: Visitors | None = None,
        presets: PresetsInMemory | None = None,
    ) -> None:
        self.keys = KeysInMemory()
        self.journal = JournalInMemory()
        self.health = HealthBook()
        self.catalog = CatalogInMemory(snapshot)
        self.limits = LimitsInMemory()
        self.services = Services(
            keys=self.keys,
            limits=self.limits,
            admission=Admission(wallet or PurseInMemory(), WordCounter(), credits_page="/credits"),
            catalog=self.catalog,
            credentials=CredentialsInMemory(snapshot, missing_credentials),
            providers=lambda slug: PROVIDERS.get(slug) or PROVIDERS["vllm"],
            upstream=upstream,
            health=self.health,
            affinity=WarmPlaces(),
            hedges=HedgeBudgets(),
            tools=ToolJudge(),
            generations=self.journal,
            tokens=WordCounter(),
            ids=CountingIds(),
            clock=LoopClock(),
            loop=asyncio.get_running_loop(),
            timeouts=timeouts or Timeouts(),
            body_bytes_max=body_bytes_max,
            errors_page="https://gate.example/docs/errors",
            belongings=belongings,
            own_keys=OwnKeys(lambda: snapshot.providers, dict, client=upstream, clock=LoopClock()),
            contents=belongings,
            presets=presets,
        )
        self.app = DataPlane(
            self.services,
            {
                "/chat/completions": OpenAIChat(),
                "/completions": OpenAICompletions(),
                "/responses": OpenAIResponses(),
                "/messages": AnthropicMessages(),
                "/embeddings": Embeddings(),
                "/rerank": Rerank(),
            },
            _not_found,
            counters={"/messages/count_tokens": AnthropicMessages()},
            explained={"/routing/explain": OpenAIChat()},
            of_pages={"/chat/completions": OpenAIChat()},
            visitors=visitors,
            calls_max=calls_max,
        )
        self.connections = Connections(
            self.app, bounds or ServerBounds(), self.services.loop, self.services.clock.now_s
        )

    @property
    def recorded(self) -> list[Generation]:
        return self.journal.records

    async def chat(self, reader: Reader = _PATIENT, **fields: object) -> Answer:
        """One chat call; a short message unless `messages` is given."""
        return await self._followed(self.chatting(reader, **fields))

    def chatting(self, reader: Reader = _PATIENT, **fields: object) -> CallerLine:
        """A chat call that has just been sent."""
        fields.setdefault("model", "acme/one")
        fields.setdefault("messages", [{"role": "user", "content": "Hello there"}])
        return self._begun("/api/v1/chat/completions", fields, {}, "POST", reader)

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
        return await self._followed(self._begun(path, body, headers or {}, method, reader))

    def _begun(
        self, path: str, body: object, headers: dict[str, str], method: str, reader: Reader
    ) -> CallerLine:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {"authorization": f"Bearer {KEY}", "content-length": str(len(raw))} | headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        line = CallerLine(self.connections, reader)
        line.send(
            f"{method} {path} HTTP/1.1\r\nhost: gateway\r\n{lines}\r\n".encode("latin-1") + raw
        )
        return line

    async def _followed(self, line: CallerLine) -> Answer:
        """Wait until it is over."""
        try:
            async with asyncio.TaskGroup() as tasks:
                leaving = tasks.create_task(line.leave_in_time())
                await line.is_over.wait()
                leaving.cancel()
        except asyncio.CancelledError:  # as a server that is told to stop at once
            await line.cut_short()
            raise
        line.close()
        while self.connections.tasks:  # those whose caller has left still settle
            await self.connections.change()
        return line.answer


async def _not_found(side: CallerSide) -> None:
    side.answer(404, b"", b"{}")
