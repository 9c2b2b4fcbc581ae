"""One routing decision as it is kept: all that went into it, and what came out.

With the catalogue of that version it can be made again, bit for bit: the same inputs give the same plan. No
prompt is in it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import Facts
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import Opening, Question, Removed, Why

__all__ = ["ROUTING_VERSION", "Chosen", "Decision"]

ROUTING_VERSION: Final = 1  # of the rules in this folder; a change that gives other plans adds one


class Chosen(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A choice without its endpoint's data."""

    endpoint: EndpointId
    key: str | None
    price: PicoUSD
    why: Why


class Decision(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One decision.

    access: of the providers that offer the models asked for; one that is absent could not be asked.
    facts: of the endpoints that anything was known of.
    removed: without those that had no credential: whatever is in neither list.
    """

    question: Question
    preferences: Preferences
    access: tuple[tuple[ProviderSlug, tuple[Opening, ...]], ...]
    facts: tuple[tuple[EndpointId, Facts], ...]
    seed: int
    choices: tuple[Chosen, ...]
    removed: tuple[Removed, ...]
    version: int = ROUTING_VERSION
