"""What one process tells the others: for each endpoint, the outcomes of the last second or so, added up.

Times are told as "so long ago" and "for so long", so that the clocks of two machines need not agree; who
hears the news takes it for having happened now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from fairlead.core.health.breaker import LIMIT_TOLD_MAX_S, RateLimit
from fairlead.core.health.counts import COUNT_MAX
from fairlead.core.health.outcome import MEANINGS, EndpointOutcome, Meaning
from fairlead.core.health.sketches import BIN_MAX, BIN_MIN, BINS_MAX, bin_of
from fairlead.core.ids import EndpointId
from fairlead.core.tool_calls import ToolVerdict

__all__ = ["News", "NewsUnreadable", "Notes", "decode_news", "encode_news"]

NEWS_VERSION: Final = 1
ENDPOINTS_MAX: Final = 64  # in one piece of news: hearing one takes milliseconds at most

_Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
_AgeS = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
_Bins = Annotated[
    dict[Annotated[int, msgspec.Meta(ge=BIN_MIN, le=BIN_MAX)], _Count],
    msgspec.Meta(max_length=BINS_MAX),
]


class NewsUnreadable(ValueError):
    """Written by another version, or not by us at all."""


class News(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Of one endpoint.

    successes, outages, limited, callers: calls by meaning. outages_in_a_row: those after the last success.
    success_age_s, outage_age_s: how long ago the youngest call of that kind began.
    limited_for_s: how long to wait still; 0: not at all.
    latency, throughput: how many values in each bin of the sketches.
    """

    endpoint: Annotated[EndpointId, msgspec.Meta(max_length=500)]
    successes: _Count = 0
    outages: _Count = 0
    limited: _Count = 0
    callers: _Count = 0
    outages_in_a_row: _Count = 0
    success_age_s: _AgeS = 0.0
    outage_age_s: _AgeS = 0.0
    limited_for_s: Annotated[float, msgspec.Meta(ge=0, le=LIMIT_TOLD_MAX_S)] = 0.0
    tools_valid: _Count = 0
    tools_invalid: _Count = 0
    latency: _Bins = {}
    throughput: _Bins = {}


class Notes:
    """News of one endpoint in the making."""

    __slots__ = (
        "_counts",
        "_in_a_row",
        "_latency",
        "_outage_began_s",
        "_success_began_s",
        "_throughput",
        "_tools",
    )

    def __init__(self) -> None:
        self._counts = [0] * len(Meaning)
        self._in_a_row = 0
        self._success_began_s = self._outage_began_s = float("-inf")
        self._tools = [0, 0]
        self._latency: dict[int, int] = {}
        self._throughput: dict[int, int] = {}

    def ended(self, outcome: EndpointOutcome, now_s: float) -> None:
        if outcome.is_abandoned:
            return
        meaning = MEANINGS[outcome.failure]
        self._counts[meaning] += 1
        began_s = now_s - outcome.duration_s
        if meaning is Meaning.SUCCESS:
            self._in_a_row = 0
            self._success_began_s = max(self._success_began_s, began_s)
        elif meaning is Meaning.OUTAGE:
            self._in_a_row += 1
            self._outage_began_s = max(self._outage_began_s, began_s)
        if outcome.first_token_s is not None:
            _count(self._latency, bin_of(outcome.first_token_s))
        if meaning is Meaning.SUCCESS and outcome.output_tokens > 0 and outcome.duration_s > 0:
            _count(self._throughput, bin_of(outcome.output_tokens / outcome.duration_s))
        if outcome.tools is not None:
            self._tools[outcome.tools is not ToolVerdict.VALID] += 1

    def news(self, endpoint: EndpointId, limit: RateLimit, now_s: float) -> News:
        successes, outages, limited, callers = self._counts
        return News(
            endpoint=endpoint,
            successes=successes,
            outages=outages,
            limited=limited,
            callers=callers,
            outages_in_a_row=self._in_a_row,
            success_age_s=_age_s(self._success_began_s, now_s) if successes else 0.0,
            outage_age_s=_age_s(self._outage_began_s, now_s) if outages else 0.0,
            limited_for_s=(
                min(limit.until_s - now_s, LIMIT_TOLD_MAX_S)
                if limited and limit.is_on(now_s)
                else 0.0
            ),
            tools_valid=self._tools[0],
            tools_invalid=self._tools[1],
            latency=self._latency,
            throughput=self._throughput,
        )


_Piece = tuple[int, Annotated[tuple[News, ...], msgspec.Meta(max_length=ENDPOINTS_MAX)]]
_DECODER: Final[msgspec.msgpack.Decoder[_Piece]] = msgspec.msgpack.Decoder(_Piece)
_VERSION_ONLY: Final = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])


def encode_news(news: Sequence[News]) -> list[bytes]:
    """In pieces of at most `ENDPOINTS_MAX` endpoints."""
    return [
        msgspec.msgpack.encode((NEWS_VERSION, news[start : start + ENDPOINTS_MAX]))
        for start in range(0, len(news), ENDPOINTS_MAX)
    ]


def decode_news(piece: bytes) -> tuple[News, ...]:
    """Raises NewsUnreadable."""
    try:
        if _VERSION_ONLY.decode(piece)[0] != NEWS_VERSION:
            raise NewsUnreadable("written by another version")
        return _DECODER.decode(piece)[1]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NewsUnreadable(str(error)) from error


def _age_s(began_s: float, now_s: float) -> float:
    return min(max(now_s - began_s, 0.0), 86_400.0)


def _count(bins: dict[int, int], value_bin: int) -> None:
    bins[value_bin] = bins.get(value_bin, 0) + 1
