"""A ranking: how an answer holds it between provider and caller.

An answer is one whole frame of places, best first. The documents are the caller's own, so no provider is
asked to send them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from fairlead.core.chat import ChatEvent, Frame, WireFormat
from fairlead.core.usage import Usage
from fairlead.wire.wordless import wordless_events

__all__ = ["Place", "places_of", "rerank_frame"]

_FORMAT: Final = WireFormat.RERANK


class Place(msgspec.Struct, frozen=True, gc=False):
    """index: of the document, among those that were sent. relevance_score: higher is better."""

    index: int
    relevance_score: float


def rerank_frame(
    places: Iterable[Place],
    *,
    usage: Usage | None,
    answer_id: str | None = None,
    model: str | None = None,
    cost_usd: float | None = None,
) -> Frame:
    """A whole answer. places: in any order; of equal scores the earlier document goes first."""
    ranked = sorted(places, key=lambda place: (-place.relevance_score, place.index))
    return Frame(
        _FORMAT,
        {"places": tuple(ranked)},
        wordless_events(usage=usage, answer_id=answer_id, model=model, cost_usd=cost_usd),
        is_whole=True,
    )


def places_of(events: Sequence[ChatEvent]) -> tuple[Place, ...]:
    """The ranking of an answer, best first; empty of anything else."""
    for event in events:
        if isinstance(event, Frame) and event.format is _FORMAT:
            places = event.fields["places"]
            assert isinstance(places, tuple)
            return places
    return ()
