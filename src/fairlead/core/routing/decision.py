"""One routing decision as it is kept: all that went into it, and what came out.

With the catalogue of that version it can be made again, bit for bit: the same inputs give the same plan. No
prompt is in it.

    decision = decision_of(question, preferences, access, health, seed, chosen, snapshot)
    ...
    agrees(decision, replayed(decision, snapshot, plan))

A plan is long where a model is offered by many: each endpoint that nobody has a credential for is in it, with
the same reason. Those are left out here, and found again by their absence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from fairlead.core.catalog import Snapshot
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import UNKNOWN, Facts, HealthView
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import (
    Access,
    Opening,
    Plan,
    Question,
    Removal,
    Removed,
    Why,
)

__all__ = [
    "DIRECT",
    "ROUTING_VERSION",
    "Chosen",
    "Decision",
    "Planner",
    "agrees",
    "decision_of",
    "replayed",
]

ROUTING_VERSION: Final = 1  # of the rules in this folder; a change that gives other plans adds one
DIRECT: Final = "direct"  # the caller named the model himself

_NO_CREDENTIAL: Final = Removal.NO_CREDENTIAL


class Chosen(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A choice without its endpoint's data."""

    endpoint: EndpointId
    key: str | None
    price: PicoUSD
    why: Why


class Decision(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One decision.

    Kept by position (`store/records.py`): a new field goes to the end, with a default.

    access: of the providers that offer the models asked for; one that is absent could not be asked.
    facts: of the endpoints that could be asked and that anything was known of.
    removed: without those that had no credential: whatever is in neither list.
    strategy: how the models came about, in the words of the router metadata.
    """

    question: Question
    preferences: Preferences
    access: tuple[tuple[ProviderSlug, tuple[Opening, ...]], ...]
    facts: tuple[tuple[EndpointId, Facts], ...]
    seed: int
    choices: tuple[Chosen, ...]
    removed: tuple[Removed, ...]
    version: int = ROUTING_VERSION
    strategy: str = DIRECT


class Planner(Protocol):
    """`plan`, as an argument: what is kept need not know the rules that made it."""

    def __call__(
        self,
        question: Question,
        snapshot: Snapshot,
        health: HealthView,
        preferences: Preferences,
        seed: int,
        access: Access,
        *,
        can_serve: Callable[[ProviderSlug], bool],
    ) -> Plan: ...


def decision_of(
    question: Question,
    preferences: Preferences,
    access: Access,
    health: HealthView,
    seed: int,
    chosen: Plan,
    snapshot: Snapshot,
    *,
    strategy: str = DIRECT,
) -> Decision:
    """What to keep of one decision. chosen: the plan that these inputs gave."""
    opened: dict[ProviderSlug, tuple[Opening, ...]] = {}
    known: dict[EndpointId, Facts] = {}
    for target in question.targets:
        for endpoint in snapshot.models[target.model].endpoints:
            provider = endpoint.provider
            openings = access.get(provider)
            if not openings:
                continue
            opened[provider] = openings
            facts = health.facts(endpoint.id)
            if facts is not UNKNOWN:
                known[endpoint.id] = facts
    return Decision(
        question=question,
        preferences=preferences,
        access=tuple(opened.items()),
        facts=tuple(known.items()),
        seed=seed,
        choices=tuple(
            [
                Chosen(choice.endpoint.id, choice.key, choice.price, choice.why)
                for choice in chosen.choices
            ]
        ),
        removed=_kept(chosen),
        strategy=strategy,
    )


def replayed(
    decision: Decision,
    snapshot: Snapshot,
    plan: Planner,
    *,
    preferences: Preferences | None = None,
) -> Plan:
    """The plan that the inputs of a decision give now.

    snapshot: of the version that the decision was made with; raises KeyError for one without its models.
    preferences: others than it was made with; None: those.
    """
    facts = _KeptFacts(dict(decision.facts))
    cannot = _unserved(decision, snapshot)
    return plan(
        decision.question,
        snapshot,
        facts,
        decision.preferences if preferences is None else preferences,
        decision.seed,
        dict(decision.access),
        can_serve=lambda provider: provider not in cannot,
    )


def agrees(decision: Decision, again: Plan) -> bool:
    """Whether a plan says exactly what the decision says."""
    return decision.removed == _kept(again) and decision.choices == tuple(
        Chosen(choice.endpoint.id, choice.key, choice.price, choice.why) for choice in again.choices
    )


def _kept(chosen: Plan) -> tuple[Removed, ...]:
    return tuple([one for one in chosen.removed if one.reason is not _NO_CREDENTIAL])


def _unserved(decision: Decision, snapshot: Snapshot) -> frozenset[ProviderSlug]:
    """The providers that the program of that day did not speak to, or not in this way."""
    without = {one.endpoint for one in decision.removed if one.reason is Removal.NO_ADAPTER}
    if not without:
        return frozenset()
    return frozenset(
        endpoint.provider
        for target in decision.question.targets
        for endpoint in snapshot.models[target.model].endpoints
        if endpoint.id in without
    )


class _KeptFacts:
    """A health view of the moment of the decision."""

    __slots__ = ("_facts",)

    def __init__(self, facts: Mapping[EndpointId, Facts]) -> None:
        self._facts = facts

    def facts(self, endpoint: EndpointId) -> Facts:
        return self._facts.get(endpoint, UNKNOWN)
