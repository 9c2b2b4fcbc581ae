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

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from fairlead.core.catalog import Snapshot
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import UNKNOWN, Facts, HealthView
from fairlead.core.routing.index import Askable, index_of
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import (
    Access,
    Opening,
    Plan,
    Question,
    Removal,
    Removed,
    Target,
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
    if len(question.targets) == 1:
        askable = _askable(question.targets[0], snapshot, access)
    else:
        askable = _joined([_askable(target, snapshot, access) for target in question.targets])
    known = [
        (endpoint, facts)
        for endpoint in askable.endpoints
        if (facts := health.facts(endpoint)) is not UNKNOWN
    ]
    return Decision(
        question=question,
        preferences=preferences,
        access=askable.openings,
        facts=tuple(known),
        seed=seed,
        choices=tuple(
            [
                Chosen(choice.endpoint.id, choice.key, choice.price, choice.why)
                for choice in chosen.choices
            ]
        ),
        removed=_kept(chosen) if chosen.removed else (),
        strategy=strategy,
    )


def _askable(target: Target, snapshot: Snapshot, access: Access) -> Askable:
    """Who could be asked for a model; kept with its index for the next decision."""
    index = index_of(snapshot, target.model)
    last = index.askable
    if last and last[0].access is access:
        return last[0]
    # In the order of the catalogue.
    endpoints = [one for one in index.model.endpoints if access.get(one.provider)]
    providers = dict.fromkeys(endpoint.provider for endpoint in endpoints)
    index.askable[:] = [
        Askable(
            access,
            tuple([(provider, access[provider]) for provider in providers]),
            tuple([endpoint.id for endpoint in endpoints]),
        )
    ]
    return index.askable[0]


def _joined(all_askable: Sequence[Askable]) -> Askable:
    """Of several models, each provider and each endpoint once."""
    return Askable(
        all_askable[0].access,
        tuple({one: None for askable in all_askable for one in askable.openings}),
        tuple({one: None for askable in all_askable for one in askable.endpoints}),
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
