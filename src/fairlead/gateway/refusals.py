"""Why nothing could answer, in words and in the documented `availability` vocabulary. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from fairlead.core.attempts import GiveUp
from fairlead.core.capability import PATHS, Capability
from fairlead.core.catalog import Model, Snapshot, UnknownModel
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import (
    Availability,
    ErrorType,
    FailureKind,
    FairleadError,
    ModelUnavailable,
    Problem,
    RequestInvalid,
)
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing.types import Choice, Removal, Removed

__all__ = [
    "AllFailed",
    "exhausted",
    "no_endpoints",
    "requested_names",
    "unknown_model",
    "wrong_endpoint",
]

_PROVIDERS_NAMED_MAX: Final = 4
_NAME_CHARACTERS_MAX: Final = 200  # a name may be as long as a body, its echo may not
_DOES_NOT: Final[Mapping[Capability, str]] = {
    Capability.CHAT: "does not chat",
    Capability.EMBEDDINGS: "does not make embeddings",
    Capability.RERANK: "does not rank documents",
}


def requested_names(request: ChatRequest) -> tuple[str, ...]:
    """The models that the caller named, in the order in which they are tried."""
    body = request.body
    names = ([body.model] if body.model else []) + (body.models or [])
    return tuple(dict.fromkeys(names))


def _shown(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name[:_NAME_CHARACTERS_MAX] for name in names)


def unknown_model(unknown: UnknownModel | None, requested: tuple[str, ...]) -> RequestInvalid:
    """No such model, or none named."""
    if unknown is None:
        return RequestInvalid("No model was named. Set `model`.", param="model")
    message = f"There is no model {unknown.name[:_NAME_CHARACTERS_MAX]!r}."
    if unknown.near:
        message += f" Did you mean {', '.join(unknown.near)}?"
    return RequestInvalid(
        message,
        param="model",
        availability=Availability(
            code="model_not_found",
            retryable=False,
            requested_models=_shown(requested),
            fallback_models=tuple(unknown.near) or None,
        ),
    )


def wrong_endpoint(
    model: Model, requested: tuple[str, ...], capability: Capability
) -> RequestInvalid:
    """The model does something else than it was asked for. Says where it is called."""
    instead = PATHS[model.kind]
    return RequestInvalid(
        f"{model.id} {_DOES_NOT[capability]}. Call it at {instead}.",
        param="model",
        availability=Availability(
            code="wrong_endpoint",
            retryable=False,
            requested_models=_shown(requested),
            constraint=("model", instead),
        ),
    )


# The documented words for what left an endpoint out.
_EXCLUDED_BY: Final[dict[Removal, str]] = {
    Removal.DATA_POLICY: "data_policy:training",
    Removal.ZDR: "data_policy:zdr",
    Removal.REGION: "data_region",
    Removal.MAX_PRICE: "max_price",
    Removal.CONTEXT_LENGTH: "context_length",
    Removal.UNSUPPORTED_PARAMETER: "require_parameters",
    Removal.QUANTIZATION: "quantization",
    Removal.NOT_ALLOWED: "allowed_providers",
    Removal.IGNORED: "allowed_providers",
    Removal.ACCOUNT_PROVIDERS: "allowed_providers",
}
_PRIVATE: Final = frozenset({Removal.DATA_POLICY, Removal.ZDR})
_IN_WORDS: Final[dict[Removal, str]] = {
    Removal.NO_CREDENTIAL: "without a credential here",
    Removal.NO_ADAPTER: "at a provider that this version does not speak to in this way",
    Removal.UNPRICED: "without a price",
    Removal.ACCOUNT_PROVIDERS: "left out by the account's settings",
    Removal.ACCOUNT_MODELS: "of a model that the account's settings leave out",
    Removal.IGNORED: "ignored by the request",
    Removal.NOT_ALLOWED: "not among the allowed providers",
    Removal.QUANTIZATION: "of another quantization",
    Removal.DATA_POLICY: "may keep or train on prompts",
    Removal.ZDR: "may keep prompts",
    Removal.REGION: "not known to be in the region",
    Removal.DISTILLABLE: "of a model whose author forbids distillation",
    Removal.MAX_PRICE: "above the maximum price",
    Removal.MODALITY: "cannot read what the messages contain",
    Removal.CONTEXT_LENGTH: "with too short a context",
    Removal.MAX_TOKENS: "cannot write that many tokens",
    Removal.UNSUPPORTED_PARAMETER: "without a parameter that is required",
    Removal.SERVICE_TIER: "of another service tier",
    Removal.VARIANT: "not of the variant",
    Removal.FALLBACKS_OFF: "left out, because fallbacks are off",
}
# Nothing that the request could change: what has to be set up here.
_NOT_SET_UP: Final = frozenset({Removal.NO_CREDENTIAL, Removal.NO_ADAPTER, Removal.UNPRICED})


def no_endpoints(
    request: ChatRequest,
    model: Model,
    removed: Sequence[Removed],
    snapshot: Snapshot,
    can_serve: Callable[[ProviderSlug], bool],
) -> ModelUnavailable:
    """The model exists, but the plan is empty. Says what to change.

    model: the last of those asked for. removed: every endpoint of the models asked for; of this model it tells.
    can_serve: whether we speak to this provider at all; a key for another one would change nothing.
    """
    # An endpoint of a tier is left out like its sister, or for being one: that says nothing new.
    tiers = {endpoint.id for endpoint in model.endpoints if endpoint.tier is not None}
    ours = [one for one in removed if one.model == model.id]
    reasons = Counter(one.reason for one in ours if one.endpoint not in tiers)
    requested = _shown(requested_names(request))
    if not reasons.keys() - _NOT_SET_UP:
        message = f"No provider of {model.id} is configured here."
        if settings := _settings_for(model, snapshot, can_serve):
            message += f" Set {settings}."
        elif not any(can_serve(endpoint.provider) for endpoint in model.endpoints):
            message = f"This version speaks to no provider of {model.id}."
        return ModelUnavailable(
            message,
            availability=Availability(
                code="no_endpoints", retryable=False, requested_models=requested
            ),
        )
    words = "; ".join(f"{count} {_IN_WORDS[reason]}" for reason, count in reasons.most_common())
    excluded = tuple(dict.fromkeys(_EXCLUDED_BY[r] for r in reasons if r in _EXCLUDED_BY))
    details = tuple(dict.fromkeys(one.detail for one in ours if one.detail))
    message = f"No endpoint of {model.id} can serve this request. Of {reasons.total()}, {words}."
    if len(details) == 1:
        message = f"{message[:-1]} ({details[0]})."
    return ModelUnavailable(
        message,
        availability=Availability(
            code="privacy_restricted"
            if not _PRIVATE.isdisjoint(reasons)
            else "constraint_filtered"
            if excluded
            else "no_endpoints",
            retryable=False,
            requested_models=requested,
            excluded_by=excluded or None,
        ),
    )


def _settings_for(
    model: Model, snapshot: Snapshot, can_serve: Callable[[ProviderSlug], bool]
) -> str:
    """The settings that would open a provider of the model, its author's own first."""
    names: list[str] = []
    first = ""
    for endpoint in sorted(model.endpoints, key=lambda e: e.provider != model.author):
        info = snapshot.providers.get(endpoint.provider)
        if not can_serve(endpoint.provider):
            continue
        if info is not None and info.auth_env and info.auth_env[0] not in names:
            names.append(info.auth_env[0])
            if len(names) == 1:
                first = f"{info.auth_env[0]} (or providers.{info.slug}.api_key in fairlead.toml)"
    others = names[1:_PROVIDERS_NAMED_MAX]
    if not others:
        return first
    return f"{first}, or {'one of ' if len(others) > 1 else ''}{', '.join(others)}"


class AllFailed(FairleadError):
    """Every attempt failed. Carries the verdict's own error type, and what happened to each."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self._problem = problem

    def problem(self) -> Problem:
        return self._problem


_WORN_OUT: Final = frozenset({FailureKind.OVERLOADED, FailureKind.SERVER, FailureKind.TIMEOUT})


def exhausted(given_up: GiveUp, snapshot: Snapshot, request: ChatRequest) -> AllFailed:
    """The error for the caller once every endpoint was tried: that of the model tried last."""
    verdict = given_up.verdict
    assert verdict is not None, "a plan without endpoints is refused earlier"
    problem = verdict.problem()
    last, _ = given_up.failures[-1]
    failures = [
        (choice, failure)
        for choice, failure in given_up.failures
        if choice.endpoint.model == last.endpoint.model
    ]
    kinds = {failure.kind for _, failure in failures}
    requested = _shown(requested_names(request))
    hints = [f.retry_after_s for _, f in failures if f.retry_after_s is not None]
    retry_after_s = max(1, round(min(hints))) if hints else None
    providers = tuple(dict.fromkeys(_name(snapshot, choice) for choice, _ in failures))
    availability = None
    if kinds == {FailureKind.RATE_LIMIT}:
        availability = Availability(
            code="capacity_exhausted",
            retryable=True,
            requested_models=requested,
            retry_after_s=retry_after_s,
            affected_providers=providers,
        )
    elif kinds <= _WORN_OUT:
        availability = Availability(
            code="temporarily_unavailable",
            retryable=True,
            requested_models=requested,
            retry_after_s=retry_after_s,
            affected_providers=providers,
        )
        if kinds != {FailureKind.TIMEOUT}:
            problem = replace(problem, status=503, error_type=ErrorType.PROVIDER_OVERLOADED)
    elif kinds == {FailureKind.MODEL_NOT_FOUND}:
        availability = Availability(
            code="model_unavailable_upstream",
            retryable=False,
            requested_models=requested,
            affected_providers=providers,
        )
        problem = replace(problem, status=404, error_type=ErrorType.NOT_FOUND)
    metadata = dict(problem.metadata)
    metadata["provider_name"] = _name(snapshot, last)
    previous = given_up.failures[:-1]
    if previous:
        metadata["previous_errors"] = [
            {
                "provider": _name(snapshot, choice),
                "code": f.error_type.value,
                "status": f.status,
            }
            for choice, f in previous
        ]
    headers = problem.headers
    if retry_after_s is not None and problem.status in (429, 503):
        headers = (("retry-after", str(retry_after_s)),)
    return AllFailed(
        replace(problem, metadata=metadata, availability=availability, headers=headers)
    )


def _name(snapshot: Snapshot, choice: Choice) -> str:
    slug = choice.endpoint.provider
    info = snapshot.providers.get(slug)
    return slug if info is None else info.name
