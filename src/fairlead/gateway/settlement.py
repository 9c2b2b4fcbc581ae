"""From an answer to its record: what was used, what it costs, who pays. Decides; does no I/O.

Who pays is in core/who_pays.py, one table by how the call ended. What was used is what was reported, else an
estimate from the text that went each way.

An answer that several endpoints gave in turn (a stream that broke and was continued) is paid once: the prompt
as the first of them took it, and of each the text that it added. That the prompt was sent again, and that a
later one thought again, which the caller was not shown, is ours to bear.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from fairlead.core.answer import AnsweredCall
from fairlead.core.catalog import Endpoint, Model
from fairlead.core.chat import (
    ChatEvent,
    ChatRequest,
    Finished,
    FinishReason,
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
from fairlead.core.pricing import Charge, PriceSheet, charge, charges, prices_in_force
from fairlead.core.prompt import prompt_text
from fairlead.core.retrieval import RerankRequest
from fairlead.core.service_tiers import prices_served
from fairlead.core.usage import Usage, UsageSource
from fairlead.core.who_pays import RULES, Cause, Pays, cause_of
from fairlead.gateway.ports import TokenCounter

__all__ = [
    "FREE",
    "NO_USAGE",
    "TEXT_KEPT_CHARACTERS_MAX",
    "Closed",
    "Part",
    "Tally",
    "closing_charge",
]

# Longer than the longest answers of today's models; what an unbounded stream may hold of our memory.
TEXT_KEPT_CHARACTERS_MAX: Final = 1_000_000
CALLS_KEPT_MAX: Final = 128  # of one answer; providers allow as many tools

# Python 3.11 takes longer to look a member up than to compare it.
_COMPLETED: Final = Outcome.COMPLETED
_CANCELLED: Final = Outcome.CANCELLED
_REPORTED: Final = UsageSource.REPORTED
_PAYS_NOTHING: Final = Pays.NOTHING
_PAYS_SEARCHES: Final = Pays.SEARCHES

FREE = Charge(total=NanoUSD(0), prompt=NanoUSD(0), completion=NanoUSD(0))
NO_USAGE = Usage(requests=0, source=UsageSource.NONE)


class _Text:
    """What was produced, for an estimate: the beginning as it was, of the rest the length alone."""

    __slots__ = ("_kept", "_more_characters", "_room_characters")

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._room_characters = TEXT_KEPT_CHARACTERS_MAX
        self._more_characters = 0

    def add(self, piece: str) -> None:
        if self._room_characters > 0:
            self._kept.append(piece)
            self._room_characters -= len(piece)
        else:
            self._more_characters += len(piece)

    @property
    def characters(self) -> int:
        return TEXT_KEPT_CHARACTERS_MAX - self._room_characters + self._more_characters

    def tokens(self, counter: TokenCounter, tokenizer: str, *, skipped_characters: int = 0) -> int:
        """As if the rest were like the beginning. skipped_characters: so many at the beginning do not count."""
        kept = "".join(self._kept)[skipped_characters:]
        count = counter.count(kept, tokenizer=tokenizer)
        if not self._more_characters:
            return count
        return count + round(count * self._more_characters / max(1, len(kept)))


class Tally:
    """Watches the events of one attempt: enough to settle it, however it ends."""

    __slots__ = (
        "_calls",
        "_characters_in_usage",
        "_keeps_calls",
        "_reasoning",
        "_text",
        "finish",
        "native_finish",
        "service_tier",
        "upstream_cost_usd",
        "upstream_id",
        "usage",
    )

    def __init__(self, *, keeps_calls: bool = False) -> None:
        self._text = _Text()
        self._reasoning = _Text()
        self._keeps_calls = keeps_calls
        self._calls: dict[int, tuple[AnsweredCall, list[str]]] = {}
        self.usage: Usage | None = None
        self._characters_in_usage = 0  # what had come when usage was reported last
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
                self._characters_in_usage = self._characters
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
                if self._keeps_calls:
                    self._keep(event)
                return True
            case _:
                return True  # media and annotations

    def _keep(self, event: ToolCallDelta) -> None:
        kept = self._calls.get(event.index)
        if kept is None:
            if len(self._calls) == CALLS_KEPT_MAX:
                return
            kept = self._calls[event.index] = (AnsweredCall(event.index, type=event.type), [])
        call, pieces = kept
        if event.name:
            call.name = event.name
        if event.arguments:
            pieces.append(event.arguments)

    def answered_calls(self) -> list[AnsweredCall]:
        """The tool calls so far, if they are kept."""
        for call, pieces in self._calls.values():
            call.arguments = "".join(pieces)
        return [call for call, _ in self._calls.values()]

    @property
    def _characters(self) -> int:
        return self._text.characters + self._reasoning.characters

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

    def estimated(
        self,
        request: ChatRequest,
        model: Model,
        counter: TokenCounter,
        *,
        withheld_characters: int = 0,
    ) -> Usage:
        """withheld_characters: of the text, what the caller was not given."""
        completion, reasoning = self._counted(model, counter, withheld_characters)
        return Usage(
            prompt=counter.count(prompt_text(request.body), tokenizer=model.tokenizer),
            completion=completion,
            reasoning=reasoning,
            source=UsageSource.ESTIMATED,
        )

    def used_so_far(
        self,
        request: ChatRequest,
        model: Model,
        counter: TokenCounter,
        *,
        withheld_characters: int = 0,
    ) -> Usage:
        """Of an answer that is not whole. Some providers report usage before the first token: then what came
        after it is estimated."""
        usage = self.usage
        if usage is None:
            return self.estimated(request, model, counter, withheld_characters=withheld_characters)
        if self._characters_in_usage == self._characters:
            return usage
        completion, reasoning = self._counted(model, counter, withheld_characters)
        return msgspec.structs.replace(
            usage,
            completion=max(completion, usage.completion),
            reasoning=max(reasoning, usage.reasoning),
            source=UsageSource.ESTIMATED,
        )

    @property
    def characters(self) -> int:
        """Of text and reasoning, so far."""
        return self._characters

    def tokens_so_far(self, model: Model, counter: TokenCounter) -> int:
        """An estimate of all that was produced."""
        return sum(self._counted(model, counter, 0))

    def _counted(
        self, model: Model, counter: TokenCounter, withheld_characters: int
    ) -> tuple[int, int]:
        tokenizer = model.tokenizer
        text = self._text.tokens(counter, tokenizer, skipped_characters=withheld_characters)
        return text, self._reasoning.tokens(counter, tokenizer)


class Part(msgspec.Struct, frozen=True, gc=False):
    """What one endpoint gave of an answer.

    adds: another came before it, which had the prompt. broke: it ended before it said so.
    withheld_characters: of its text, what the caller had already, or was never given.
    """

    tally: Tally
    endpoint: Endpoint
    adds: bool = False
    broke: bool = False
    withheld_characters: int = 0


class Closed(msgspec.Struct, frozen=True, gc=False):
    """What an ended call used, what its caller pays for that at list prices, and by which rule."""

    usage: Usage
    charge: Charge
    cause: Cause


def closing_charge(
    parts: Sequence[Part],
    outcome: Outcome,
    *,
    request: ChatRequest,
    model: Model,
    counter: TokenCounter,
    at_s: float,
    is_stopped: bool = False,
    is_cut: bool = False,
) -> Closed:
    """Usage and charge of one ended call.

    parts: what the caller was given, in order; usually one, none before a first token.
    at_s: when the call began. is_stopped: by us, before its end. is_cut: where its hold ended.
    """
    tally = parts[-1].tally if parts else None
    usage, total = NO_USAGE, FREE
    if parts:
        is_whole = outcome is _COMPLETED and not parts[-1].broke and not is_cut
        usage, total = _used(
            parts, is_whole=is_whole, request=request, model=model, counter=counter, at_s=at_s
        )
    cause = cause_of(
        is_completed=outcome is _COMPLETED,
        is_cancelled=outcome is _CANCELLED,
        is_stopped=is_stopped,
        has_begun=bool(parts),
        has_error=tally is not None and tally.finish == _ERROR,
        is_empty=tally is not None and tally.finish is None and usage.completion_tokens == 0,
        is_reported=usage.source is _REPORTED,
        is_cut=is_cut,
    )
    pays = RULES[cause].pays
    if pays is _PAYS_NOTHING:
        total = FREE
    elif pays is _PAYS_SEARCHES:
        searched = Usage(web_searches=usage.web_searches, requests=0)
        total = charge(searched, _sheet(parts[-1]), at_s=at_s) if usage.web_searches else FREE
    return Closed(usage, total, cause)


def _used(
    parts: Sequence[Part],
    *,
    is_whole: bool,
    request: ChatRequest,
    model: Model,
    counter: TokenCounter,
    at_s: float,
) -> tuple[Usage, Charge]:
    last = parts[-1]
    tally = last.tally
    if len(parts) > 1 or not is_whole:
        return _spliced(
            parts, is_whole=is_whole, request=request, model=model, counter=counter, at_s=at_s
        )
    usage = tally.used(request, model, counter)
    if (
        isinstance(request, RerankRequest)
        and not usage.total_tokens
        and not last.endpoint.prices.request
    ):
        # The provider counts units and charges for tokens: the units have no price.
        usage = tally.estimated(request, model, counter)
    return usage, charge(usage, _sheet(last), at_s=at_s)


_ERROR: Final = FinishReason.ERROR.value


def _sheet(part: Part) -> PriceSheet:
    """The prices of the tier that the provider says it served."""
    return prices_served(part.endpoint, part.tally.service_tier)[0]


def _spliced(
    parts: Sequence[Part],
    *,
    is_whole: bool,
    request: ChatRequest,
    model: Model,
    counter: TokenCounter,
    at_s: float,
) -> tuple[Usage, Charge]:
    """Each part at its own endpoint's prices, rounded up once. is_whole: the last of them is."""
    usages: list[Usage] = []
    sheets: list[PriceSheet] = []
    for part in parts:
        tally = part.tally
        if tally.usage is not None and is_whole and part is parts[-1]:
            used = tally.usage
        else:
            used = tally.used_so_far(
                request, model, counter, withheld_characters=part.withheld_characters
            )
        # A long prompt has its prices, although only one part pays for it.
        sheet = prices_in_force(_sheet(part), prompt_tokens=used.prompt_tokens, at_s=at_s)
        sheets.append(msgspec.structs.replace(sheet, overrides=()))
        usages.append(_answer_alone(used) if part.adds else used)
    total = charges(list(zip(usages, sheets, strict=True)), at_s)
    return (usages[0] if len(usages) == 1 else _sum(usages)), total


def _answer_alone(usage: Usage) -> Usage:
    return msgspec.structs.replace(
        usage,
        prompt=0,
        cache_read=0,
        cache_write=0,
        cache_write_1h=0,
        prompt_audio=0,
        prompt_image=0,
        prompt_video=0,
        reasoning=0,
        requests=0,
    )


def _sum(usages: Sequence[Usage]) -> Usage:
    counts = {
        name: sum(getattr(usage, name) for usage in usages)
        for name in Usage.__struct_fields__
        if name != "source"
    }
    return Usage(**counts, source=UsageSource.ESTIMATED)
