"""A routing decision for people: every endpoint of every model asked for, at its place or left out, and why.

    explained(decision, snapshot)     a value: what `fairlead route explain` prints
    document(decision, snapshot, ...) the same as the public API shows it

snapshot: of the version that the decision was made with. Without it, the decision tells only of the endpoints
that could be asked: those that nobody has a credential for are known by the catalogue alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.catalog import ProviderInfo, Snapshot
from fairlead.core.generation import Attempt, Splice
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD, price_text, usd
from fairlead.core.routing.decision import Decision
from fairlead.core.routing.facts import UNKNOWN, Facts, Percentiles
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import Removal, Removed, Why
from fairlead.core.routing.words import REMOVALS, WHYS

__all__ = ["Candidate", "Explanation", "LeftOut", "Offer", "document", "explained"]

_MS_PER_S: Final = 1000


class Offer(msgspec.Struct, frozen=True, gc=False):
    """Which endpoint it is. model: empty where it is not known any more."""

    endpoint: EndpointId
    model: str
    provider: str
    provider_name: str
    tag: str


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An endpoint that may be tried. place: from 1. price: expected of the request. key: whose credential."""

    place: int
    offer: Offer
    why: Why
    price: PicoUSD
    key: str | None
    facts: Facts


class LeftOut(msgspec.Struct, frozen=True, gc=False):
    """An endpoint that is not tried. detail: what was seen, or what to do about it; perhaps empty."""

    offer: Offer
    reason: Removal
    detail: str

    @property
    def words(self) -> str:
        """A sentence or two: what was seen ends the first, what to do about it is the second."""
        said = REMOVALS[self.reason]
        if not self.detail or self.detail.endswith("."):
            return f"{said} {self.detail}".rstrip()
        return f"{said.removesuffix('.')}: {self.detail}."


class Explanation(msgspec.Struct, frozen=True, gc=False):
    """candidates: best first. left_out: in the order of the models and of their endpoints.

    is_whole: all endpoints of the models are in one of the two.
    """

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    is_whole: bool


def explained(decision: Decision, snapshot: Snapshot | None) -> Explanation:
    offers = {} if snapshot is None else _offers(decision, snapshot)
    facts = dict(decision.facts)
    candidates = tuple(
        Candidate(
            place,
            offers.get(choice.endpoint) or _bare_offer(choice.endpoint, decision),
            choice.why,
            choice.price,
            choice.key,
            facts.get(choice.endpoint, UNKNOWN),
        )
        for place, choice in enumerate(decision.choices, 1)
    )
    removed = {one.endpoint: one for one in decision.removed}
    if snapshot is None:
        left_out = [
            LeftOut(_bare_offer(one.endpoint, decision, one.model), one.reason, one.detail)
            for one in decision.removed
        ]
        return Explanation(candidates, tuple(left_out), is_whole=False)
    chosen = {choice.endpoint for choice in decision.choices}
    left_out = [
        _left_out(offer, removed.get(offer.endpoint), snapshot)
        for offer in offers.values()
        if offer.endpoint not in chosen
    ]
    return Explanation(candidates, tuple(left_out), is_whole=True)


def _left_out(offer: Offer, removed: Removed | None, snapshot: Snapshot) -> LeftOut:
    if removed is not None:
        return LeftOut(offer, removed.reason, removed.detail)
    info = snapshot.providers.get(ProviderSlug(offer.provider))
    return LeftOut(offer, Removal.NO_CREDENTIAL, _remedy(info))


def _remedy(info: ProviderInfo | None) -> str:
    """What opens a provider."""
    if info is None:
        return ""
    if info.auth_env:
        return f"Set {info.auth_env[0]}."
    return f"Add a [providers.{info.slug}] table to the configuration."


def _offers(decision: Decision, snapshot: Snapshot) -> dict[EndpointId, Offer]:
    found: dict[EndpointId, Offer] = {}
    for target in decision.question.targets:
        model = snapshot.models.get(target.model)
        for endpoint in () if model is None else model.endpoints:
            info = snapshot.providers.get(endpoint.provider)
            found[endpoint.id] = Offer(
                endpoint.id,
                endpoint.model,
                endpoint.provider,
                endpoint.provider if info is None else info.name,
                endpoint.tag,
            )
    return found


def _bare_offer(endpoint: EndpointId, decision: Decision, model: ModelId | None = None) -> Offer:
    """What an endpoint's id alone tells: "tag:name of the model there", and a tag begins with its provider."""
    tag = endpoint.partition(":")[0]
    provider = tag.partition("/")[0]
    targets = decision.question.targets
    if model is None and len(targets) == 1:
        model = targets[0].model
    return Offer(endpoint, model or "", provider, provider, tag)


# --- as the public API shows it -----------------------------------------------------------------------


def document(
    decision: Decision,
    snapshot: Snapshot | None,
    *,
    requested: str,
    catalog_version: str,
    attempts: Sequence[Attempt] = (),
    selected: Attempt | None = None,
    splices: Sequence[Splice] = (),
) -> dict[str, object]:
    """What `GET /generation/{id}/routing` and `POST /routing/explain` answer.

    requested: the model as the caller wrote it. catalog_version: that the decision was made with.
    attempts, splices: what came of it; none where nothing was sent. selected: the attempt that answered.
    """
    told = explained(decision, snapshot)
    served = None
    if selected is not None:
        wanted = (selected.endpoint, selected.key)
        served = next((c for c in told.candidates if (c.offer.endpoint, c.key) == wanted), None)
    question, traits = decision.question, decision.question.traits
    return {
        "requested": requested,
        "strategy": decision.strategy,
        "catalog_version": catalog_version,
        "routing_version": decision.version,
        "seed": decision.seed,
        "models": [
            {"model": target.model, "variants": list(target.variants)}
            for target in question.targets
        ],
        "request": {
            "capability": traits.capability,
            "prompt_tokens": traits.prompt_tokens,
            "completion_tokens": traits.completion_tokens,
            "characters": traits.characters,
            "max_tokens": traits.max_tokens,
            "modalities": list(traits.modalities),
            "parameters": list(traits.parameters),
            "service_tier": traits.service_tier,
        },
        "warm": None
        if question.warm is None
        else {
            "endpoint_id": question.warm.endpoint,
            "cached_tokens": question.warm.cached_tokens,
        },
        "preferences": preferences_shown(decision.preferences),
        "candidates": [_candidate(one, is_selected=one is served) for one in told.candidates],
        "removed": [
            _offer(one.offer)
            | {
                "reason": one.reason.value,
                "explanation": REMOVALS[one.reason],
                "detail": one.detail,
            }
            for one in told.left_out
        ],
        "is_complete": told.is_whole,
        "attempts": [_attempt(one) for one in attempts],
        "splices": [msgspec.structs.asdict(one) for one in splices],
    }


def preferences_shown(preferences: Preferences) -> dict[str, object]:
    """Only what differs from no wishes; prices as text in USD per unit."""
    shown: dict[str, object] = msgspec.to_builtins(preferences)
    if preferences.max_price is not None:
        bounds = msgspec.structs.asdict(preferences.max_price)
        shown["max_price"] = {
            name: price_text(price) for name, price in bounds.items() if price is not None
        }
    return shown


def _candidate(one: Candidate, *, is_selected: bool) -> dict[str, object]:
    return _offer(one.offer) | {
        "place": one.place,
        "why": one.why.value,
        "explanation": WHYS[one.why],
        "expected_cost": price_text(one.price),
        "is_byok": one.key is not None,
        "selected": is_selected,
        "facts": None if one.facts == UNKNOWN else _facts(one.facts),
    }


def _offer(offer: Offer) -> dict[str, object]:
    return {
        "endpoint_id": offer.endpoint,
        "model": offer.model or None,
        "provider": offer.provider,
        "provider_name": offer.provider_name,
        "tag": offer.tag,
    }


def _facts(facts: Facts) -> dict[str, object]:
    """Latencies in milliseconds, as the endpoints of a model are listed with."""
    return {
        "standing": facts.standing.name.lower(),
        "is_probe": facts.is_probe,
        "latency_ms": _percentiles(facts.latency_s, _MS_PER_S),
        "tokens_per_second": _percentiles(facts.throughput, 1),
        "requests_last_30m": facts.requests_30m,
        "tool_requests_last_2h": facts.tool_requests_2h,
        "tool_errors_last_2h": facts.tool_errors_2h,
    }


def _percentiles(values: Percentiles | None, factor: int) -> Mapping[str, float] | None:
    if values is None:
        return None
    return {
        name: round(value * factor, 1) for name, value in msgspec.structs.asdict(values).items()
    }


def _attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "endpoint_id": attempt.endpoint,
        "model": attempt.model,
        "provider": attempt.provider,
        "status": attempt.status,
        "latency_ms": attempt.latency_ms,
        "failure": attempt.failure,
        "kind": attempt.kind.value,
        "is_byok": attempt.key is not None,
        "was_let_go": attempt.was_let_go,
        "extra_cost": usd(attempt.spend),
    }
