"""A day in the life of many endpoints: their offers, their troubles, and who calls them when.

Nothing here depends on how calls are routed: what an endpoint would answer to a call at a moment is fixed when
the world is made. So another router can live through the same day, and an oracle can know it beforehand. How a
world comes from a seed is told in `routing_making.py` and `routing_callers.py`.

Traffic is thin for most of the day and dense around the deaths that are watched (`Death`): from a moment before
an endpoint dies until some time after it is back, so that what a router does about it can be counted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import exp
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint, Snapshot
from fairlead.core.errors import FailureKind
from fairlead.core.ids import EndpointId
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import Access, Target, Traits

__all__ = [
    "AFTER_RECOVERY_S",
    "BEFORE_DEATH_S",
    "DAY_S",
    "DEADLY",
    "MIDNIGHT_S",
    "SHORT_DEATH_S",
    "Call",
    "Death",
    "Offer",
    "Said",
    "Spell",
    "Trouble",
    "Wishes",
    "World",
]

MIDNIGHT_S: Final = 1_767_225_600.0  # of the day that is simulated, Unix seconds
DAY_S: Final = 86_400.0

BEFORE_DEATH_S: Final = 60.0
SHORT_DEATH_S: Final = 120.0  # dense all through; of longer ones, only the beginning and the end
AFTER_RECOVERY_S: Final = 75.0
SPORADIC_SHARE: Final = 0.002  # of what a healthy endpoint is asked
BETWEEN_TOKENS_S: Final = 60.0  # the gateway's own patience with a stream


class Trouble(StrEnum):
    SLOW = "slow"
    LIMITED = "limited"
    REFUSING = "refusing"  # no connection
    FAILING = "failing"  # status 500
    OVERLOADED = "overloaded"
    OUT_OF_QUOTA = "out of quota"
    HANGING = "hanging"  # takes the request and says nothing


DEADLY: Final = (
    Trouble.REFUSING,
    Trouble.FAILING,
    Trouble.OVERLOADED,
    Trouble.OUT_OF_QUOTA,
    Trouble.HANGING,
)
# What each looks like from outside, and after how many seconds. A silence lasts until it is given up.
_SEEN_AS: Final[Mapping[Trouble, tuple[FailureKind, float]]] = {
    Trouble.LIMITED: (FailureKind.RATE_LIMIT, 0.1),
    Trouble.REFUSING: (FailureKind.UNREACHABLE, 0.05),
    Trouble.FAILING: (FailureKind.SERVER, 0.4),
    Trouble.OVERLOADED: (FailureKind.OVERLOADED, 0.2),
    Trouble.OUT_OF_QUOTA: (FailureKind.OUT_OF_QUOTA, 0.2),
}


@dataclass(frozen=True, slots=True)
class Spell:
    """Trouble from one moment to another.

    slowness: factor on all times. hint_s: what a limit says about when it ends; None: nothing.
    """

    start_s: float
    end_s: float
    trouble: Trouble
    slowness: float = 1.0
    hint_s: float | None = None


@dataclass(slots=True)
class Offer:
    """One endpoint and its day. spells: in order, none overlapping another."""

    endpoint: Endpoint
    first_token_s: float
    tokens_per_s: float
    spells: list[Spell]
    starts_s: list[float]

    def trouble_at(self, now_s: float) -> Spell | None:
        place = bisect_right(self.starts_s, now_s) - 1
        if place < 0:
            return None
        spell = self.spells[place]
        return spell if now_s < spell.end_s else None

    def death_at(self, now_s: float) -> Spell | None:
        spell = self.trouble_at(now_s)
        return spell if spell is not None and spell.trouble in DEADLY else None


class Said(msgspec.Struct, frozen=True, gc=False):
    """What an endpoint says to a call, and when. failure None: its first token.

    ends_s: when the answer is over. is_cut: it breaks off there.
    """

    at_s: float
    failure: FailureKind | None = None
    hint_s: float | None = None
    ends_s: float = 0.0
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """What callers of one kind ask of routing.

    permitted: places of the offers that may serve them, worked out here and not by the router.
    is_price_sorted: their spend is compared with an oracle's.
    is_bound: they name endpoints themselves, so that a dead one is asked because they say so.
    has_fallbacks: False: only the first choice is tried, by their own wish.
    """

    name: str
    preferences: Preferences
    targets: tuple[Target, ...]
    parameters: tuple[str, ...]
    permitted: frozenset[int]
    is_price_sorted: bool = False
    is_bound: bool = False
    has_fallbacks: bool = True


class Call(msgspec.Struct, frozen=True, gc=False):
    """luck: its place among fast and slow calls, normal. session: of which conversation, if any."""

    number: int
    at_s: float
    model: int
    wishes: Wishes
    traits: Traits
    prompt_tokens: int
    completion_tokens: int
    luck: float
    is_bad: bool
    session: int | None = None


@dataclass(frozen=True, slots=True)
class Death:
    """An endpoint's death amid dense traffic. start_s, end_s: when it dies and is back."""

    place: int
    model: int
    trouble: Trouble
    start_s: float
    end_s: float

    def is_dense_at(self, now_s: float) -> bool:
        if self.end_s - self.start_s <= SHORT_DEATH_S:
            return self.start_s - BEFORE_DEATH_S <= now_s < self.end_s + AFTER_RECOVERY_S
        return (
            self.start_s - BEFORE_DEATH_S <= now_s < self.start_s + SHORT_DEATH_S
            or self.end_s - BEFORE_DEATH_S <= now_s < self.end_s + AFTER_RECOVERY_S
        )


@dataclass(slots=True)
class World:
    """offers: all endpoints; a place is an index into them. models: places of each model's."""

    seed: int
    snapshot: Snapshot
    access: Access
    offers: list[Offer]
    places: dict[EndpointId, int]
    models: list[tuple[int, ...]]
    calls: list[Call]
    deaths: list[Death]

    def says(self, call: Call, place: int, asked_s: float, expire_at_s: float) -> Said:
        """What an endpoint says to a call that reaches it at a moment, and is given up at another."""
        offer = self.offers[place]
        spell = offer.trouble_at(asked_s)
        slowness = 1.0
        if spell is not None:
            if spell.trouble is Trouble.HANGING:
                return Said(expire_at_s, FailureKind.TIMEOUT)
            if spell.trouble is Trouble.SLOW:
                slowness = spell.slowness
            else:
                kind, after_s = _SEEN_AS[spell.trouble]
                return Said(asked_s + after_s, kind, spell.hint_s)
        if call.is_bad:
            return Said(asked_s + 0.1, FailureKind.BAD_REQUEST)
        chance = _chance(self.seed, call.number, place)
        if chance < SPORADIC_SHARE:
            return Said(asked_s + 0.3, FailureKind.SERVER)
        first_token_at_s = asked_s + offer.first_token_s * exp(0.35 * call.luck) * slowness
        if first_token_at_s > expire_at_s:
            return Said(expire_at_s, FailureKind.TIMEOUT)
        dying = offer.death_at(first_token_at_s)
        if dying is not None:
            if dying.trouble is Trouble.HANGING:
                return Said(expire_at_s, FailureKind.TIMEOUT)
            return Said(max(dying.start_s, asked_s), FailureKind.CUT)
        ends_s = first_token_at_s + call.completion_tokens * slowness / offer.tokens_per_s
        dying = offer.death_at(ends_s)
        if dying is not None:
            # A stream that falls silent is given up after a while.
            stalls_s = BETWEEN_TOKENS_S if dying.trouble is Trouble.HANGING else 0.0
            ends_s = max(dying.start_s, first_token_at_s) + stalls_s
            return Said(first_token_at_s, None, None, ends_s, is_cut=True)
        return Said(first_token_at_s, None, None, ends_s, chance > 1 - SPORADIC_SHARE / 2)

    def would_answer(self, call: Call, place: int, now_s: float, *, patience_s: float) -> bool:
        return self.says(call, place, now_s, now_s + patience_s).failure is None


def _chance(seed: int, number: int, place: int) -> float:
    """In [0, 1), the same for the same call at the same endpoint, whoever asks and when."""
    mixed = (seed * 0x9E3779B97F4A7C15 + number * 0xC2B2AE3D27D4EB4F + place) & _MASK
    mixed = (mixed ^ mixed >> 31) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return (mixed >> 11) / 2**53


_MASK: Final = 2**64 - 1
