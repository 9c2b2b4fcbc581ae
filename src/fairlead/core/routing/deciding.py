"""All steps of routing in their order, from a request to a decision. Pure.

    names ─> models      targets.py      `meant`
    traits               traits.py
    wishes               wishes.py       `decided`
    plan                 planner.py
    what is kept         decision.py

In two parts, because between them somebody may want to say no: to an account that asks too often, say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from fairlead.core.affinity import can_be_warm
from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint, Model, Snapshot
from fairlead.core.chat import ChatRequest
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing.decision import Decision, decision_of
from fairlead.core.routing.earlier import model_of_last_answer
from fairlead.core.routing.facts import HealthView
from fairlead.core.routing.index import index_of
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import AccountPreferences, Preferences
from fairlead.core.routing.targets import Asked, Targets, resolve_targets
from fairlead.core.routing.traits import counted, fitted, traits_of
from fairlead.core.routing.types import Access, Plan, Question, Traits, Warm
from fairlead.core.routing.variants import reasoning_for
from fairlead.core.routing.wishes import preferences_of

__all__ = ["Circumstances", "Decided", "Meant", "decided", "meant"]

_NO_VARIANTS: Final[tuple[str, ...]] = ()


class Circumstances(msgspec.Struct, frozen=True, gc=False):
    """All that a decision depends on beside the request.

    access, can_serve, seed: as for `plan`. region: of the host that was called, "eu" or "us".
    warm: where the conversation's prompt cache is warm, asked only where there is a choice; None: nowhere.
    """

    snapshot: Snapshot
    health: HealthView
    account: AccountPreferences
    access: Access
    can_serve: Callable[[ProviderSlug], bool]
    seed: int
    region: str | None = None
    warm: Callable[[], Warm | None] | None = None


class Meant(msgspec.Struct, frozen=True, gc=False):
    """The models that a request means, and what routing knows of it."""

    targets: Targets
    traits: Traits


class Decided(msgspec.Struct, frozen=True, gc=False):
    """One decision. decision: the same as it is kept. The plan may be empty; why is in it."""

    snapshot: Snapshot
    targets: Targets
    question: Question
    preferences: Preferences
    plan: Plan
    decision: Decision

    @property
    def last_model(self) -> Model:
        """Of the caller's list; usually the only one."""
        return self.snapshot.models[self.question.targets[-1].model]

    def asked_of(self, endpoint: Endpoint, request: ChatRequest) -> ChatRequest:
        """The request as this endpoint is to be asked."""
        model = self.snapshot.models[endpoint.model]
        variants = _NO_VARIANTS
        for target in self.question.targets:
            if target.model == model.id:
                variants = target.variants
                break
        reasoning = reasoning_for(request.reasoning, model, variants)
        if reasoning is not request.reasoning:
            request = msgspec.structs.replace(request, reasoning=reasoning)
        return fitted(request, endpoint)


def meant(
    request: ChatRequest,
    circumstances: Circumstances,
    *,
    capability: Capability,
    adjust: Callable[[Traits], Traits] | None = None,
) -> Meant:
    """What the request's names mean.

    adjust: changes what is known of the request, for who has no request yet.
    Raises CallerError for names that mean nothing.
    """
    it, body = circumstances, request.body
    traits = traits_of(request, capability)
    if adjust is not None:
        traits = adjust(traits)
    targets = resolve_targets(
        body.model,
        *_asked(request, it.snapshot),
        snapshot=it.snapshot,
        account=it.account,
        traits=traits,
        access=it.access,
        seed=it.seed,
    )
    if not isinstance(targets, Targets):
        raise targets
    if adjust is None:
        for target in targets.targets:
            if traits.characters > index_of(it.snapshot, target.model).decisive_characters:
                traits = counted(traits, request)
                break
    return Meant(targets, traits)


def decided(request: ChatRequest, what: Meant, circumstances: Circumstances) -> Decided:
    """Which endpoints, in which order, and why. Raises RequestInvalid for wishes that mean nothing."""
    it, targets, traits = circumstances, what.targets, what.traits
    body = request.body
    preferences = preferences_of(body.provider, it.account, route=body.route, region=it.region)
    question = Question(targets.targets, traits)
    chosen = _plan(question, preferences, it)
    if (
        it.warm is not None
        and len(chosen.choices) > 1
        and not preferences.order
        and traits.capability is _CHAT
        and any(map(can_be_warm, [choice.endpoint for choice in chosen.choices]))
    ):
        # Only where there is a choice does it matter where the conversation's cache is warm.
        warm = it.warm()
        if warm is not None:
            if warm.cached_tokens > traits.prompt_tokens:
                warm = Warm(warm.endpoint, traits.prompt_tokens)
            question = Question(targets.targets, traits, warm)
            chosen = _plan(question, preferences, it)
    return Decided(
        snapshot=it.snapshot,
        targets=targets,
        question=question,
        preferences=preferences,
        plan=chosen,
        decision=decision_of(
            question,
            preferences,
            it.access,
            it.health,
            it.seed,
            chosen,
            it.snapshot,
            strategy=targets.strategy,
        ),
    )


_CHAT: Final = Capability.CHAT


def _plan(question: Question, preferences: Preferences, it: Circumstances) -> Plan:
    return plan(
        question,
        it.snapshot,
        it.health,
        preferences,
        it.seed,
        it.access,
        can_serve=it.can_serve,
    )


def _asked(request: ChatRequest, snapshot: Snapshot) -> tuple[Asked, ...]:
    """The other fields that say which models are wanted; none where a plain name says all."""
    body = request.body
    if body.models is None and body.model in snapshot.names:
        return ()
    return (
        Asked(
            models=body.models or (),
            provider=body.provider,
            plugins=body.plugins,
            earlier=lambda: model_of_last_answer(request),
        ),
    )
