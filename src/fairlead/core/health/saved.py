"""What outlives a process: one endpoint's health as a value, and a whole book as bytes.

A book can adopt what several processes saved. They may have seen the same calls (when they share what they
see) or each its own, and nothing tells which. So a slot of one file replaces the same slot of another, the
fuller one stays, and nothing is ever added up: adopting is idempotent and the order of files does not matter.
Shares stay right, since either slot is a fair sample; counts may be those of one process of several.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Annotated, Final

import msgspec

from fairlead.core.health.breaker import COOLDOWN_FIRST_S, COOLDOWN_MAX_S, OUTAGES_IN_A_ROW, Breaker
from fairlead.core.health.counts import CountSlot
from fairlead.core.health.sketches import SketchSlot
from fairlead.core.ids import EndpointId

__all__ = [
    "SavedBreaker",
    "SavedEndpoint",
    "SavedUnreadable",
    "breaker_of",
    "decode_saved",
    "encode_book",
    "encode_endpoint",
    "saved_breaker",
]

SAVED_VERSION: Final = 1


class SavedUnreadable(ValueError):
    """Damaged, or written by another version."""


class SavedBreaker(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """moved_at_s: when it last opened or closed; None: never."""

    is_closed: bool = True
    moved_at_s: float | None = None
    cooldown_s: Annotated[float, msgspec.Meta(ge=0, le=COOLDOWN_MAX_S)] = COOLDOWN_FIRST_S
    outages_in_a_row: Annotated[int, msgspec.Meta(ge=0, lt=OUTAGES_IN_A_ROW)] = 0


class SavedEndpoint(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """See `EndpointHealth` for the parts. limited_until_s: None where nothing asked us to wait."""

    endpoint: EndpointId
    heard_at_s: float
    breaker: SavedBreaker
    limited_until_s: float | None
    recent: tuple[CountSlot, ...]
    weighed: tuple[CountSlot, ...]
    minutes: tuple[CountSlot, ...]
    day: tuple[CountSlot, ...]
    tools: tuple[CountSlot, ...]
    latency: tuple[SketchSlot, ...]
    throughput: tuple[SketchSlot, ...]


def saved_breaker(breaker: Breaker) -> SavedBreaker:
    moved_at_s = breaker.closed_at_s if breaker.is_closed else breaker.opened_at_s
    return SavedBreaker(
        is_closed=breaker.is_closed,
        moved_at_s=moved_at_s if isfinite(moved_at_s) else None,
        cooldown_s=breaker.cooldown_s,
        outages_in_a_row=breaker.outages_in_a_row,
    )


def breaker_of(saved: SavedBreaker) -> Breaker:
    breaker = Breaker()
    breaker.is_closed = saved.is_closed
    breaker.cooldown_s = saved.cooldown_s
    breaker.outages_in_a_row = saved.outages_in_a_row
    if saved.moved_at_s is not None:
        if saved.is_closed:
            breaker.closed_at_s = saved.moved_at_s
        else:
            breaker.opened_at_s = saved.moved_at_s
    return breaker


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[int, tuple[SavedEndpoint, ...]])
_VERSION_ONLY: Final = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])


def encode_endpoint(saved: SavedEndpoint) -> bytes:
    return _ENCODER.encode(saved)


def encode_book(endpoints: Iterable[bytes]) -> bytes:
    """endpoints: each as `encode_endpoint` makes it."""
    return _ENCODER.encode((SAVED_VERSION, [msgspec.Raw(one) for one in endpoints]))


def decode_saved(book: bytes) -> tuple[SavedEndpoint, ...]:
    """Raises SavedUnreadable."""
    try:
        if _VERSION_ONLY.decode(book)[0] != SAVED_VERSION:
            raise SavedUnreadable("written by another version")
        return _DECODER.decode(book)[1]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SavedUnreadable(str(error)) from error
