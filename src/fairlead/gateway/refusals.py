"""Why nothing could answer, in words and in the documented `availability` vocabulary. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from fairlead.core.attempts_until_now import GiveUp
from fairlead.core.capability import CAPABILITIES, PATHS, Capability
from fairlead.core.catalog import Endpoint, Model, Snapshot, UnknownModel
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import (
    Availability,
    ErrorType,
    FailureKind,
    FairleadError,
    ModelUnavailable,
    Problem,
    RequestInvalid,
    UpstreamFailure,
)
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing import Plan, Removal

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
) -> RequestInvalid | None:
    """Why this model cannot be asked for that; None: it can."""
    if CAPABILITIES.get(model.kind) is capability:
        return None
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


_EXCLUDED_BY: Final[dict[Removal, str]] = {
    Removal.DATA_POLICY: "data_policy:training",
    Removal.CONTEXT_LENGTH: "context_length",
    Removal.UNSUPPORTED_PARAMETER: "require_parameters",
    Removal.QUANTIZATION: "quantization",
    Removal.NOT_ALLOWED: "allowed_providers",
    Removal.IGNORED: "allowed_providers",
}
_IN_WORDS: Final[dict[Removal, str]] = {
    Removal.NO_CREDENTIAL: "without a credential here",
    Removal.UNPRICED: "without a price",
    Removal.IGNORED: "ignored by the request",
    Removal.NOT_ALLOWED: "not among the allowed providers",
    Removal.QUANTIZATION: "of another quantization",
    Removal.DATA_POLICY: "may keep or train on prompts",
    Removal.MODALITY: "cannot read what the messages contain",
    Removal.CONTEXT_LENGTH: "with too short a context",
    Removal.MAX_TOKENS: "cannot write that many tokens",
    Removal.UNSUPPORTED_PARAMETER: "without a parameter that is required",
    Removal.FALLBACKS_OFF: "left out, because fallbacks are off",
}


def no_endpoints(
    request: ChatRequest,
    model: Model,
    chosen: Plan,
    snapshot: Snapshot,
    can_serve: Callable[[ProviderSlug], bool],
) -> ModelUnavailable:
    """The model exists, but the plan is empty. Says what to change.

    can_serve: whether we speak to this provider at all; a key for another one would change nothing.
    """
    reasons = Counter(reason for _, reason in chosen.removed)
    requested = _shown(requested_names(request))
    without_key = reasons[Removal.NO_CREDENTIAL] + reasons[Removal.UNPRICED]
    if without_key == len(chosen.removed):
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
    is_private = reasons[Removal.DATA_POLICY] > 0
    return ModelUnavailable(
        f"No endpoint of {model.id} can serve this request. Of {len(chosen.removed)}, {words}.",
        availability=Availability(
            code="privacy_restricted"
            if is_private
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


def exhausted(
    given_up: GiveUp,
    snapshot: Snapshot,
    request: ChatRequest,
    *,
    earlier: Sequence[tuple[Endpoint, UpstreamFailure]] = (),
) -> AllFailed:
    """The error for the caller once every endpoint was tried.

    earlier: failures of models that came before in the caller's list.
    """
    verdict = given_up.verdict
    assert verdict is not None, "a plan without endpoints is refused earlier"
    problem = verdict.problem()
    kinds = {failure.kind for _, failure in given_up.failures}
    requested = _shown(requested_names(request))
    hints = [f.retry_after_s for _, f in given_up.failures if f.retry_after_s is not None]
    retry_after_s = max(1, round(min(hints))) if hints else None
    providers = tuple(dict.fromkeys(_name(snapshot, e.provider) for e, _ in given_up.failures))
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
    metadata["provider_name"] = _name(snapshot, given_up.failures[-1][0].provider)
    previous = (*earlier, *given_up.failures[:-1])
    if previous:
        metadata["previous_errors"] = [
            {
                "provider": _name(snapshot, e.provider),
                "code": f.error_type.value,
                "status": f.status,
            }
            for e, f in previous
        ]
    headers = problem.headers
    if retry_after_s is not None and problem.status in (429, 503):
        headers = (("retry-after", str(retry_after_s)),)
    return AllFailed(
        replace(problem, metadata=metadata, availability=availability, headers=headers)
    )


def _name(snapshot: Snapshot, slug: ProviderSlug) -> str:
    info = snapshot.providers.get(slug)
    return slug if info is None else info.name
