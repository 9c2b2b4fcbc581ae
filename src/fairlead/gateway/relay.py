"""From the first token on: each piece is translated and written in the callback that brought it.

A caller who takes less than comes pauses his own upstream, and nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fairlead.core.chat import ChatEvent
from fairlead.core.continuation import Transcript
from fairlead.core.errors import UpstreamFailure
from fairlead.core.splicing import Splicer
from fairlead.dialects.base import StreamEncoder
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.leg import Leg, meaning
from fairlead.gateway.services import Services
from fairlead.gateway.upstream import Phase, TransportFailure
from fairlead.providers.base import ChatDecoder

__all__ = ["END_S", "Cutoff", "HoldReached", "Passage", "relay"]

END_S: Final = 1.0  # for an upstream to end its message once it has said that its answer is over


CHARACTERS_PER_TOKEN_MIN: Final = 2  # on average; so seldom must we count
CUT_PERCENT: Final = 110  # of the tokens that are paid for: our count is an estimate


class HoldReached(Exception):
    """The answer is as long as there is money for, and it goes on."""


class Cutoff:
    """Ends an answer where its hold ends, whatever its provider makes of a limit.

    tokens: that are paid for. characters: of text and reasoning so far. counted: an estimate of its tokens.
    """

    __slots__ = ("_again_at_characters", "_counted", "_tokens_max")

    def __init__(self, tokens: int, counted: Callable[[], int]) -> None:
        self._tokens_max = tokens * CUT_PERCENT // 100 + 1
        self._counted = counted
        self._again_at_characters = self._tokens_max * CHARACTERS_PER_TOKEN_MIN

    def check(self, characters: int) -> None:
        """Raises HoldReached."""
        if characters < self._again_at_characters:
            return
        left = self._tokens_max - self._counted()
        if left < 0:
            raise HoldReached
        self._again_at_characters = characters + max(64, left * CHARACTERS_PER_TOKEN_MIN)


class Passage:
    """Between a leg and the caller, where a stream may have to be continued.

    It remembers what he was sent, and joins a later leg to it.
    """

    __slots__ = ("_splicer", "transcript")

    def __init__(self, transcript: Transcript, splicer: Splicer | None = None) -> None:
        self.transcript = transcript
        self._splicer = splicer

    def feed(self, events: list[ChatEvent]) -> list[ChatEvent]:
        if self._splicer is not None:
            events = self._splicer.feed(events)
        self.transcript.watch(events)
        return events

    @property
    def withheld_characters(self) -> int:
        """Of the leg's text, what the caller had already, or has not been given yet."""
        return 0 if self._splicer is None else self._splicer.withheld_characters

    def finish(self) -> list[ChatEvent]:
        """What was held back."""
        if self._splicer is None:
            return []
        events = self._splicer.finish()
        self.transcript.watch(events)
        return events


async def relay(
    leg: Leg,
    *,
    side: CallerSide,
    encoder: StreamEncoder,
    services: Services,
    deadline_s: float,
    passage: Passage | None = None,
    cutoff: Cutoff | None = None,
) -> None:
    """Give the caller all of an answer that has begun. Raises UpstreamFailure if it breaks off, and
    HoldReached where it is cut.

    passage: what events go through on their way to the caller; None: nothing.
    """
    decoder, tally = leg.decoder, leg.tally
    assert decoder is not None, "an answer has begun"

    def take(chunk: bytes) -> None:
        forward(decoder.feed(chunk))
        if decoder.is_over:
            leg.exchange.expire_at(services.loop.time() + END_S, Phase.TOTAL)

    def forward(events: list[ChatEvent]) -> None:
        if events:
            tally.watch(events)
            write(events)

    def write(events: list[ChatEvent]) -> None:
        if passage is not None:
            events = passage.feed(events)
        if data := encoder.feed(events):
            side.write(data)
        if cutoff is not None:
            cutoff.check(tally.characters)

    write(leg.events)
    if not leg.is_over:
        exchange = leg.exchange
        side.when_congested(leg.pause, leg.resume)
        until_s = deadline_s
        if decoder.is_over:
            until_s = min(until_s, services.loop.time() + END_S)
        try:
            await exchange.pour(take, between_s=services.timeouts.between_tokens, until_s=until_s)
        except TransportFailure as lost:
            forward(_last_events(decoder, lost))
        else:
            forward(decoder.finish())
    if passage is not None and (data := encoder.feed(passage.finish())):
        side.write(data)


def _last_events(decoder: ChatDecoder, failure: TransportFailure) -> list[ChatEvent]:
    """An answer that had come to its end is whole, however its connection ended; any other raises."""
    try:
        return decoder.finish()
    except UpstreamFailure:
        raise meaning(failure) from failure
