"""From a request to a decision, where nothing is sent: all steps of routing in their order. Pure.

names ─> models      targets.py
wishes               wishes.py
traits               traits.py
plan                 planner.py
what is kept         decision.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.catalog import Snapshot
from fairlead.core.chat import ChatRequest, ProviderPreferences
from fairlead.core.errors import CallerError, RequestInvalid
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing.decision import Decision, decision_of
from fairlead.core.routing.facts import HealthView
from fairlead.core.routing.index import index_of
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import AccountPreferences
from fairlead.core.routing.targets import Asked, Targets, resolve_targets
from fairlead.core.routing.traits import counted, traits_of
from fairlead.core.routing.types import Access, Question, Traits, Warm
from fairlead.core.routing.wishes import preferences_of

__all__ = ["Circumstances", "decided"]

_PROVIDER: Final = "provider"


class Circumstances(msgspec.Struct, frozen=True, gc=False):
    """All that a decision depends on beside the request.

    access, can_serve, seed: as for `plan`. region: of the host that was called, "eu" or "us".
    warm_of: where the conversation's prompt cache is warm, once its models are known; None: nowhere.
    """

    snapshot: Snapshot
    health: HealthView
    account: AccountPreferences
    access: Access
    can_serve: Callable[[ProviderSlug], bool]
    seed: int
    region: str | None = None
    warm_of: Callable[[Targets], Warm | None] | None = None


def decided(
    request: ChatRequest,
    circumstances: Circumstances,
    *,
    capability: Capability,
    adjust: Callable[[Traits], Traits] | None = None,
) -> Decision:
    """The decision as it would be kept. It may have no choices; why not is in it.

    adjust: changes what is known of the request, for who has no request yet.
    Raises CallerError for names or wishes that mean nothing.
    """
    it, body = circumstances, request.body
    traits = traits_of(request, capability)
    if adjust is not None:
        traits = adjust(traits)
    raw = request.fields.get(_PROVIDER)
    targets = resolve_targets(
        body.model,
        Asked(
            models=body.models or (),
            preset=_preset(request),
            provider=raw,
            plugins=body.plugins,
        ),
        snapshot=it.snapshot,
        account=it.account,
        traits=traits,
        access=it.access,
        seed=it.seed,
    )
    if isinstance(targets, CallerError):
        raise targets
    preferences = preferences_of(
        body.provider if targets.provider is None else _provider(targets.provider),
        it.account,
        route=body.route,
        region=it.region,
    )
    if adjust is None and any(
        traits.characters > index_of(it.snapshot, target.model).decisive_characters
        for target in targets.targets
    ):
        traits = counted(traits, request)
    warm = None if it.warm_of is None else it.warm_of(targets)
    question = Question(targets.targets, traits, warm)
    chosen = plan(
        question,
        it.snapshot,
        it.health,
        preferences,
        it.seed,
        it.access,
        can_serve=it.can_serve,
    )
    return decision_of(
        question,
        preferences,
        it.access,
        it.health,
        it.seed,
        chosen,
        it.snapshot,
        strategy=targets.strategy,
    )


_read_provider: Final = msgspec.json.Decoder(ProviderPreferences | str | None).decode
_read_preset: Final = msgspec.json.Decoder(str | None).decode


def _provider(raw: msgspec.Raw) -> ProviderPreferences | str | None:
    try:
        wishes: ProviderPreferences | str | None = _read_provider(raw)
    except msgspec.DecodeError as error:
        raise RequestInvalid(f"`provider`: {error}.", param=_PROVIDER) from error
    return wishes


def _preset(request: ChatRequest) -> str | None:
    raw = request.fields.get("preset")
    if raw is None:
        return None
    try:
        slug: str | None = _read_preset(raw)
    except msgspec.DecodeError:
        raise RequestInvalid("`preset` must be text.", param="preset") from None
    return slug
