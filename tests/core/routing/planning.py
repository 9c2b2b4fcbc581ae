"""A small world to plan in: say what matters of it, get a plan. Names of providers are names of endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.catalog import DataPolicy, Endpoint, Model, ProviderInfo, Snapshot
from fairlead.core.chat import ChatBody
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.routing.facts import UNKNOWN, Facts, Percentiles, Standing
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import (
    NO_ACCOUNT_WISHES,
    NO_WISHES,
    AccountPreferences,
    Preferences,
)
from fairlead.core.routing.types import (
    INSTALLATION,
    Opening,
    Plan,
    Question,
    Removal,
    Target,
    Traits,
    Warm,
)
from fairlead.core.routing.wishes import preferences_of
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint

MODEL: Final = "acme/one"
OTHER: Final = "acme/two"
CAREFUL: Final = DataPolicy(trains_on_prompts=False, retains_prompts=False)


def traits(**changes: object) -> Traits:
    """A short chat request without wishes: 1,000 tokens in, 500 out."""
    usual = Traits(Capability.CHAT, 1000, 500, 4000)
    return msgspec.structs.replace(usual, **changes)


def offer(provider: str, usd_per_million: float = 1, **changes: object) -> Endpoint:
    """An endpoint at one price for prompt and completion."""
    made = {name: changes.pop(name) for name in list(changes) if name in _OF_BUILDER}
    price = f"{usd_per_million / 1_000_000:.12f}"
    made.setdefault("prompt", price)
    made.setdefault("completion", price)
    made.setdefault("model", MODEL)
    return msgspec.structs.replace(an_endpoint(provider, **made), **changes)


_OF_BUILDER: Final = frozenset(
    {
        "model", "prompt", "completion", "status", "supported", "context_length",
        "max_completion_tokens", "quantization", "tag",
    }
)  # fmt: skip


def world(
    *endpoints: Endpoint,
    inputs: frozenset[str] = frozenset({"text"}),
    policies: Mapping[str, DataPolicy] | None = None,
    names: Mapping[str, str] | None = None,
    open_weights: bool | None = None,
) -> Snapshot:
    """Their models and providers; whose policy is not named keeps nothing."""
    by_model: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_model.setdefault(endpoint.model, []).append(endpoint)
    return a_snapshot(
        *(_model(slug, own, inputs, open_weights) for slug, own in by_model.items()),
        providers=tuple(
            _provider(slug, (policies or {}).get(slug, CAREFUL), (names or {}).get(slug))
            for slug in dict.fromkeys(endpoint.provider for endpoint in endpoints)
        ),
    )


def _model(
    slug: str, endpoints: list[Endpoint], inputs: frozenset[str], open_weights: bool | None
) -> Model:
    return msgspec.structs.replace(
        a_model(*endpoints, slug=slug, inputs=inputs), open_weights=open_weights
    )


def _provider(slug: str, policy: DataPolicy, name: str | None) -> ProviderInfo:
    usual = a_provider(slug)
    return msgspec.structs.replace(usual, data_policy=policy, name=name or usual.name)


class Known:
    """Facts by provider, or by endpoint id."""

    def __init__(self, known: Mapping[str, Facts]) -> None:
        self._known = known

    def facts(self, endpoint: EndpointId) -> Facts:
        found = self._known.get(endpoint)
        return found or self._known.get(endpoint.partition(":")[0], UNKNOWN)


def planned(
    where: Snapshot,
    wishes: Mapping[str, object] | Preferences | str | None = None,
    *,
    asked: Traits | None = None,
    targets: tuple[Target, ...] | None = None,
    known: Mapping[str, Facts] | None = None,
    seed: int = 0,
    access: Mapping[str, tuple[Opening, ...]] | None = None,
    warm: Warm | None = None,
    account: AccountPreferences = NO_ACCOUNT_WISHES,
    unspoken: frozenset[str] = frozenset(),
    can_serve: Callable[[ProviderSlug], bool] | None = None,
) -> Plan:
    """wishes: a request's `provider` value as JSON would have it, or preferences that are ready.

    can_serve: instead of `unspoken`, to plan with one and the same function.
    """
    preferences = wishes if isinstance(wishes, Preferences) else read(wishes, account=account)
    return plan(
        Question(targets or (Target(MODEL),), asked or traits(), warm),
        where,
        Known(known or {}),
        preferences,
        seed,
        dict.fromkeys(where.providers, INSTALLATION) if access is None else access,
        can_serve=can_serve or (lambda slug: slug not in unspoken),
    )


def read(
    provider: object, *, account: AccountPreferences = NO_ACCOUNT_WISHES, **others: object
) -> Preferences:
    """Preferences as a request's JSON gives them."""
    if provider is None and not others and account is NO_ACCOUNT_WISHES:
        return NO_WISHES
    body = msgspec.json.decode(msgspec.json.encode({"provider": provider}), type=ChatBody)
    return preferences_of(body.provider, account, **others)


def order(chosen: Plan) -> list[str]:
    """Tags, in the order of trying; with the key where it is the caller's own."""
    return [
        choice.endpoint.tag if choice.key is None else f"{choice.endpoint.tag} by {choice.key}"
        for choice in chosen.choices
    ]


def reasons(chosen: Plan) -> dict[str, Removal]:
    """By tag."""
    return {one.endpoint.partition(":")[0]: one.reason for one in chosen.removed}


def standing(value: Standing) -> Facts:
    return Facts(standing=value)


def speed(*, latency_s: float | None = None, throughput: float | None = None) -> Facts:
    """The same at every percentile."""
    return Facts(
        latency_s=None if latency_s is None else Percentiles(*[latency_s] * 4),
        throughput=None if throughput is None else Percentiles(*[throughput] * 4),
    )
