"""From an answer to its record: what was used, what it costs, who pays. Decides; does no I/O.

The rule of today, by how the call ended:

    completed, with usage reported     the reported usage
    completed, none reported           an estimate, marked so
    cancelled after the first token    what was reported, else an estimate of what was produced
    cancelled before it                nothing
    failed in the middle               nothing: an answer that ends in an error is free
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead.core.catalog import Endpoint, Model
from fairlead.core.chat import (
    ChatEvent,
    ChatRequest,
    Finished,
    Frame,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextChunk,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from fairlead.core.generation import Outcome
from fairlead.core.money import NanoUSD, parse_amount
from fairlead.core.pricing import Charge, charge
from fairlead.core.prompt import prompt_text
from fairlead.core.retrieval import RerankRequest
from fairlead.core.usage import Usage, UsageSource
from fairlead.gateway.ports import TokenCounter

__all__ = ["FREE", "NO_USAGE", "TEXT_KEPT_CHARACTERS_MAX", "Tally", "closing_charge"]

# Longer than the longest answers of today's models; what an unbounded stream may hold of our memory.
TEXT_KEPT_CHARACTERS_MAX: Final = 1_000_000

FREE = Charge(total=NanoUSD(0), prompt=NanoUSD(0), completion=NanoUSD(0))
NO_USAGE = Usage(requests=0, source=UsageSource.NONE)


class _Text:
    """What was produced, for an estimate: the beginning as it was, of the rest the length alone."""

    __slots__ = ("_kept", "_more_characters", "_room_characters")

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._room_characters = TEXT_KEPT_CHARACTERS_MAX
        self._more_characters = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, piece: str) -> None:
        if self._room_characters > 0:
            self._kept.append(piece)
            self._room_characters -= len(piece)
        else:
            self._more_characters += len(piece)

    def tokens(self, counter: TokenCounter, tokenizer: str) -> int:
        """As if the rest were like the beginning."""
        kept = "".join(self._kept)
        count = counter.count(kept, tokenizer=tokenizer)
        if not self._more_characters:
            return count
        return count + round(count * self._more_characters / len(kept))


class Tally:
    """Watches the events of one attempt: enough to settle it, however it ends."""

    __slots__ = (
        "_reasoning",
        "_text",
        "finish",
        "native_finish",
        "service_tier",
        "upstream_cost_usd",
        "upstream_id",
        "usage",
    )

    def __init__(self) -> None:
        self._text = _Text()
        self._reasoning = _Text()
        self.usage: Usage | None = None
        self.upstream_cost_usd: float | None = None
        self.upstream_id: str | None = None
        self.finish: str | None = None
        self.native_finish: str | None = None
        self.service_tier: str | None = None

    def watch(self, events: Iterable[ChatEvent]) -> bool:
        """Take note. Returns whether any of the events is content: a token for the caller."""
        has_content = False
        for event in events:
            kind = type(event)
            if kind is TextChunk:
                self._text.add(event.text)  # type: ignore[union-attr] # narrowed by `kind`
                has_content = True
            elif kind is Frame:
                for inner in event.events:  # type: ignore[union-attr]
                    has_content |= self._note(inner)
            else:
                has_content |= self._note(event)  # type: ignore[arg-type] # a PlainEvent
        return has_content

    def _note(self, event: PlainEvent) -> bool:
        kind = type(event)
        if kind is TextDelta or kind is RefusalDelta:
            self._text.add(event.text)  # type: ignore[union-attr] # narrowed by `kind`
            return True
        if kind is ReasoningDelta:
            self._reasoning.add(event.text)  # type: ignore[union-attr]
            return True
        match event:
            case Finished():
                self.finish = str(event.reason)
                self.native_finish = event.native
                return False
            case UsageReported():
                self.usage = event.usage
                if event.cost_usd is not None:
                    self.upstream_cost_usd = event.cost_usd
                return False
            case Started():
                self.upstream_id = event.id or self.upstream_id
                self.service_tier = event.service_tier or self.service_tier
                return False
            case ToolCallDelta():
                if event.name:
                    self._text.add(event.name)
                if event.arguments:
                    self._text.add(event.arguments)
                return True
            case _:
                return True  # media and annotations

    @property
    def has_produced(self) -> bool:
        return bool(self._text or self._reasoning)

    @property
    def upstream_cost(self) -> NanoUSD | None:
        """What the provider says it charged, in nanodollars, rounded to the nearest."""
        if self.upstream_cost_usd is None or self.upstream_cost_usd < 0:
            return None
        return parse_amount(f"{self.upstream_cost_usd:.9f}")

    def used(self, request: ChatRequest, model: Model, counter: TokenCounter) -> Usage:
        """The reported usage, or an estimate from the text that went each way."""
        if self.usage is not None:
            return self.usage
        return self.estimated(request, model, counter)

    def estimated(self, request: ChatRequest, model: Model, counter: TokenCounter) -> Usage:
        return Usage(
            prompt=counter.count(prompt_text(request.body), tokenizer=model.tokenizer),
            completion=self._text.tokens(counter, model.tokenizer),
            reasoning=self._reasoning.tokens(counter, model.tokenizer),
            source=UsageSource.ESTIMATED,
        )


def closing_charge(
    tally: Tally,
    outcome: Outcome,
    *,
    request: ChatRequest,
    model: Model,
    endpoint: Endpoint,
    counter: TokenCounter,
    at_s: float,
) -> tuple[Usage, Charge]:
    """Usage and charge of one ended call; see the table above. at_s: when the call began."""
    if outcome is not Outcome.COMPLETED:
        if outcome is Outcome.FAILED:
            return tally.used(request, model, counter), FREE
        if not tally.has_produced and tally.usage is None:
            return NO_USAGE, FREE
    usage = tally.used(request, model, counter)
    if (
        isinstance(request, RerankRequest)
        and not usage.total_tokens
        and not endpoint.prices.request
    ):
        # The provider counts units and charges for tokens: the units have no price.
        usage = tally.estimated(request, model, counter)
    if usage.completion_tokens == 0 and tally.finish is None:
        return usage, FREE
    return usage, charge(usage, endpoint.prices, at_s=at_s)
