"""How a call was routed, for the caller who asks for it with a header: beside his answer or his error.

The documented shape, with additions: what came of each attempt, whether two endpoints were raced, and where an
answer was continued by another endpoint. Stages that change a request have no part in it: there are none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from fairlead.core.catalog import Snapshot
from fairlead.core.errors import FAILURES, HTTP_STATUS, ErrorType, FailureKind, Problem
from fairlead.core.generation import Attempt, AttemptKind, Splice
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.money import NanoUSD, usd
from fairlead.core.routing.decision import Decision

__all__ = ["HEADERS", "is_metadata_wanted", "router_metadata", "with_router_metadata"]

# Any of them; the second is what the first was called once.
HEADERS: Final = (
    b"x-openrouter-metadata",
    b"x-openrouter-experimental-metadata",
    b"x-fairlead-metadata",
)
_HEADERS: Final = frozenset(HEADERS)
_ENABLED: Final = b"enabled"
_OK: Final = 200
_LET_GO: Final = 499  # a proxy's word for a caller who left; here it was we who did
# Faults of our own: what they have to do with the routing is ours to find out.
_OURS: Final = frozenset({ErrorType.SERVER, ErrorType.UNMAPPED})


def is_metadata_wanted(headers: Mapping[bytes, bytes]) -> bool:
    """headers: of the request, names in lower case."""
    if _HEADERS.isdisjoint(headers):
        return False
    for name in HEADERS:
        value = headers.get(name)
        if value is not None and value.strip().lower() == _ENABLED:
            return True
    return False


def router_metadata(
    decision: Decision,
    attempts: Sequence[Attempt],
    snapshot: Snapshot,
    *,
    requested: str,
    selected: Attempt | None = None,
    splices: Sequence[Splice] = (),
) -> dict[str, object]:
    """`openrouter_metadata` of one call.

    requested: the model as the caller wrote it. attempts: until now, in order.
    selected: the attempt that answers, None if none does.

    Not counted are endpoints of providers that have no credential here: `total` is how many could have been
    asked, `available` those that might be.
    """
    available: list[dict[str, object]] = []
    name = ""
    models = _models(decision, snapshot)
    for choice in decision.choices:
        is_selected = (
            selected is not None
            and not name
            and choice.endpoint == selected.endpoint
            and choice.key == selected.key
        )
        model, provider = models.get(choice.endpoint, ("", ""))
        if is_selected:
            name = provider
        available.append({"model": model, "provider": provider, "selected": is_selected})
    summary = f"available={len(available)}"
    metadata: dict[str, object] = {
        "requested": requested,
        "strategy": decision.strategy,
        "region": None,
        "summary": f"{summary}, selected={name}" if name else summary,
        "attempt": len(attempts),
        "is_byok": selected is not None and selected.key is not None,
        "endpoints": {
            "total": len(available) + len(decision.removed),
            "available": available,
        },
    }
    if attempts:
        metadata["attempts"] = [_attempt(attempt, snapshot) for attempt in attempts]
        if any(attempt.kind is AttemptKind.HEDGE for attempt in attempts):
            metadata["hedge"] = _race(attempts, selected)
    if splices:
        metadata["splices"] = [_splice(splice, models) for splice in splices]
    return metadata


def with_router_metadata(problem: Problem, metadata: Mapping[str, object] | None) -> Problem:
    """The problem with how its call was routed, if it may be told. None: nobody asked."""
    if metadata is None or problem.error_type in _OURS:
        return problem
    return replace(problem, router_metadata=metadata)


def _models(decision: Decision, snapshot: Snapshot) -> dict[EndpointId, tuple[str, str]]:
    """Model and display name of the provider, for each endpoint of the models asked for."""
    return {
        endpoint.id: (endpoint.model, _name(endpoint.provider, snapshot))
        for target in decision.question.targets
        for endpoint in snapshot.models[target.model].endpoints
    }


def _attempt(attempt: Attempt, snapshot: Snapshot) -> dict[str, object]:
    told: dict[str, object] = {
        "model": attempt.model,
        "provider": _name(attempt.provider, snapshot),
        "status": _status(attempt),
    }
    if attempt.kind is not AttemptKind.TURN:
        told["kind"] = attempt.kind.value
    if attempt.failure is not None:
        told["reason"] = attempt.failure
    if attempt.was_let_go:
        told["was_let_go"] = True
    return told


def _race(attempts: Sequence[Attempt], selected: Attempt | None) -> dict[str, object]:
    """What came of asking a second endpoint beside the first. extra_cost: of those let go, USD, estimated."""
    extra = sum(attempt.spend for attempt in attempts if attempt.was_let_go)
    return {
        "started": sum(1 for attempt in attempts if attempt.kind is AttemptKind.HEDGE),
        "won": selected is not None and selected.kind is AttemptKind.HEDGE,
        "extra_cost": usd(NanoUSD(extra)),
    }


def _splice(splice: Splice, models: Mapping[EndpointId, tuple[str, str]]) -> dict[str, object]:
    def provider(endpoint: str) -> str:
        return models.get(EndpointId(endpoint), ("", endpoint))[1]

    return {
        "after": provider(splice.after),
        "by": provider(splice.by),
        "manner": splice.manner,
        "characters": splice.characters,
    }


def _status(attempt: Attempt) -> int:
    """The upstream's own; where it gave none, that which the failure has in an answer of ours.

    The documented field is a number, and official SDKs take nothing else.
    """
    if attempt.status is not None:
        return attempt.status
    if attempt.was_let_go:
        return _LET_GO
    if attempt.failure is None:
        return _OK
    return HTTP_STATUS[FAILURES[FailureKind(attempt.failure)].error_type]


def _name(provider: str, snapshot: Snapshot) -> str:
    info = snapshot.providers.get(ProviderSlug(provider))
    return provider if info is None else info.name
