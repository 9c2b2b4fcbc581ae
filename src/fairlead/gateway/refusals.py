"""Why nothing could answer, in words and in the documented `availability` vocabulary. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from fairlead.core.attempts import GiveUp
from fairlead.core.capability import PATHS, Capability
from fairlead.core.catalog import Endpoint, Model, Snapshot
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import (
    Availability,
    ErrorType,
    FailureKind,
    FairleadError,
    ModelUnavailable,
    Problem,
    RequestInvalid,
    whole_seconds,
)
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing.index import index_of
from fairlead.core.routing.preferences import NO_WISHES, Preferences
from fairlead.core.routing.types import Choice, Removal, Removed

__all__ = [
    "AllFailed",
    "exhausted",
    "no_endpoints",
    "requested_names",
    "wrong_endpoint",
]

_PROVIDERS_NAMED_MAX: Final = 4
_NAMES_MAX: Final = 8  # of providers, in a message
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
    Removal.FALLBACKS_OFF: "allowed_providers",  # an empty plan: `order` names nobody who is left
}
# What else the request demands, in words of ours.
_DEMANDED: Final[dict[Removal, str]] = {
    Removal.MAX_TOKENS: "max_tokens",
    Removal.MODALITY: "input_modalities",
    Removal.DISTILLABLE: "enforce_distillable_text",
    Removal.SERVICE_TIER: "service_tier",
    Removal.VARIANT: "variant",
}
_FIELDS: Final = {**_DEMANDED, **_EXCLUDED_BY}
_PRIVATE: Final = frozenset({Removal.DATA_POLICY, Removal.ZDR})
_BY_PROVIDER: Final = frozenset(
    {Removal.NOT_ALLOWED, Removal.IGNORED, Removal.ACCOUNT_PROVIDERS, Removal.FALLBACKS_OFF}
)
_IN_WORDS: Final[dict[Removal, str]] = {
    Removal.ACCOUNT_PROVIDERS: "left out by the account's settings",
    Removal.ACCOUNT_MODELS: "of a model that the account's settings leave out",
    Removal.IGNORED: "ignored by the request",
    Removal.NOT_ALLOWED: "not among the providers that the request names",
    Removal.QUANTIZATION: "of another quantization",
    Removal.DATA_POLICY: "may keep or train on prompts, which the request or the account rules out",
    Removal.ZDR: "may keep prompts, which the request or the account rules out",
    Removal.REGION: "not known to be in the region",
    Removal.DISTILLABLE: "of a model whose author is not known to allow distillation",
    Removal.MAX_PRICE: "above the maximum price",
    Removal.MODALITY: "cannot read what the messages contain",
    Removal.CONTEXT_LENGTH: "with too short a context",
    Removal.MAX_TOKENS: "cannot write that many tokens",
    Removal.UNSUPPORTED_PARAMETER: "without a parameter that is required",
    Removal.SERVICE_TIER: "of another service tier",
    Removal.VARIANT: "not of the variant",
    Removal.FALLBACKS_OFF: "not in `order`, and fallbacks are off",
}
# Reasons whose details say more than the words do.
_TELLING: Final = frozenset(
    {
        Removal.QUANTIZATION,
        Removal.REGION,
        Removal.MAX_PRICE,
        Removal.MODALITY,
        Removal.CONTEXT_LENGTH,
        Removal.MAX_TOKENS,
        Removal.UNSUPPORTED_PARAMETER,
        Removal.SERVICE_TIER,
        Removal.VARIANT,
    }
)
# Nothing that the request could change: what has to be set up here.
_NOT_SET_UP: Final = frozenset({Removal.NO_CREDENTIAL, Removal.NO_ADAPTER, Removal.UNPRICED})
# Alone, these are a mistake in the request as a provider would tell it, and clients know what to do then.
_MISTAKES: Final[dict[Removal, tuple[ErrorType, str]]] = {
    Removal.CONTEXT_LENGTH: (ErrorType.CONTEXT_LENGTH_EXCEEDED, "The prompt is too long for"),
    Removal.MAX_TOKENS: (ErrorType.MAX_TOKENS_EXCEEDED, "`max_tokens` is too large for"),
}
_DETAILS_MAX: Final = 3  # of one reason


def no_endpoints(
    request: ChatRequest,
    model: Model,
    removed: Sequence[Removed],
    snapshot: Snapshot,
    can_serve: Callable[[ProviderSlug], bool],
    preferences: Preferences = NO_WISHES,
) -> ModelUnavailable:
    """The model exists, but the plan is empty. Says what to change.

    model: the last of those asked for. removed: every endpoint of the models asked for; of this model it tells.
    can_serve: whether we speak to this provider at all; a key for another one would change nothing.
    """
    requested = _shown(requested_names(request))
    ours = [one for one in removed if one.model == model.id]
    reasons = _reasons(model, ours)
    if not reasons:
        message = f"No provider of {model.id} is configured here."
        if settings := _settings_for(model.endpoints, model, snapshot, can_serve):
            message += f" Set {settings}."
        elif not any(can_serve(endpoint.provider) for endpoint in model.endpoints):
            message = f"This version speaks to no provider of {model.id}."
        return ModelUnavailable(
            message,
            availability=Availability(
                code="no_endpoints", retryable=False, requested_models=requested
            ),
        )
    told = {reason: _told(reason, ours) for reason in reasons}
    excluded = tuple(dict.fromkeys(_EXCLUDED_BY[r] for r in reasons if r in _EXCLUDED_BY))
    demanded = next((reason for reason in reasons if reason in _FIELDS), None)
    is_private = not _PRIVATE.isdisjoint(reasons)
    constraint = None
    if demanded is not None and not is_private:
        constraint = (_FIELDS[demanded], told[demanded])
    error_type = ErrorType.NOT_FOUND
    if len(reasons) == 1 and demanded in _MISTAKES:
        error_type, beginning = _MISTAKES[demanded]
        message = f"{beginning} {model.id}: {_details(demanded, ours) or told[demanded]}."
    else:
        words = "; ".join(f"{count} {told[reason]}" for reason, count in reasons.items())
        message = (
            f"No endpoint of {model.id} can serve this request."
            f" Of {sum(reasons.values())} that can be asked here, {words}."
        )
        if not _BY_PROVIDER.isdisjoint(reasons):
            message += _who_is_permitted(model, ours, snapshot, can_serve, preferences)
    return ModelUnavailable(
        message,
        error_type=error_type,
        availability=Availability(
            code="privacy_restricted"
            if is_private
            else "no_endpoints"
            if constraint is None
            else "constraint_filtered",
            retryable=False,
            requested_models=requested,
            excluded_by=excluded or None,
            constraint=constraint,
        ),
    )


def _reasons(model: Model, ours: Sequence[Removed]) -> dict[Removal, int]:
    """How many endpoints that can be asked here are out for each reason, the most frequent one first.

    An endpoint of a tier is left out like its sister, or for being one: that says nothing new.
    """
    tiers = {endpoint.id for endpoint in model.endpoints if endpoint.tier is not None}
    usual = Counter(one.reason for one in ours if one.endpoint not in tiers)
    tiered = Counter(one.reason for one in ours if one.endpoint in tiers)
    for reason, count in tiered.items():
        if reason not in usual and reason is not Removal.SERVICE_TIER:
            usual[reason] = count
    return {reason: count for reason, count in usual.most_common() if reason not in _NOT_SET_UP}


def _told(reason: Removal, ours: Sequence[Removed]) -> str:
    """A reason in words, with what was seen against what was wanted."""
    words = _IN_WORDS[reason]
    details = _details(reason, ours) if reason in _TELLING else ""
    return f"{words} ({details})" if details else words


def _details(reason: Removal, ours: Sequence[Removed]) -> str:
    details = dict.fromkeys(one.detail for one in ours if one.reason is reason and one.detail)
    return _listed(list(details), _DETAILS_MAX, "; ")


def _who_is_permitted(
    model: Model,
    ours: Sequence[Removed],
    snapshot: Snapshot,
    can_serve: Callable[[ProviderSlug], bool],
    preferences: Preferences,
) -> str:
    """Who serves the model here, who may, and who would, if there were a credential for it."""
    absent = {one.endpoint for one in ours if one.reason in _NOT_SET_UP}
    here = dict.fromkeys(
        _shown_name(snapshot, one.provider) for one in model.endpoints if one.id not in absent
    )
    said = [f"served here by {_listed(list(here), _NAMES_MAX)}"]
    wanted = preferences.only or ()
    if not preferences.allow_fallbacks:
        wanted = preferences.order or wanted
    for names, does in (
        (wanted, "the request permits"),
        (preferences.ignore, "the request ignores"),
        (preferences.allowed_providers, "the account permits"),
        (preferences.ignored_providers, "the account ignores"),
    ):
        if names is not None and (names or does == "the account permits"):
            said.append(f"{does} {_listed(names, _NAMES_MAX) or 'nobody'}")
    index = index_of(snapshot, model.id)
    named = index.named(wanted)
    closed = [one for one in model.endpoints if one.id in absent and index.bits[one.id] & named]
    settings = _settings_for(closed, model, snapshot, can_serve)
    ending = f" To use what the request permits, set {settings}." if settings else ""
    return f" The model is {'; '.join(said)}.{ending}"


def _listed(names: Sequence[str], most: int, between: str = ", ") -> str:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return between.join([*names[:most], *more])


def _settings_for(
    endpoints: Sequence[Endpoint],
    model: Model,
    snapshot: Snapshot,
    can_serve: Callable[[ProviderSlug], bool],
) -> str:
    """The settings that would open one of these endpoints, the author's own first; "" if there is none."""
    names: list[str] = []
    first = ""
    for endpoint in sorted(endpoints, key=lambda e: e.provider != model.author):
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
    """The error for the caller once every endpoint was tried: that of the model tried last.

    Whose error it is, is told with it; what became of all the others is in `previous_errors`.
    """
    verdict = given_up.verdict
    assert verdict is not None, "a plan without endpoints is refused earlier"
    problem = verdict.problem()
    told = next(choice for choice, failure in given_up.failures if failure is verdict)
    failures = [
        (choice, failure)
        for choice, failure in given_up.failures
        if choice.endpoint.model == told.endpoint.model
    ]
    kinds = {failure.kind for _, failure in failures}
    if len(kinds) > 1:
        kinds.discard(FailureKind.UNSUPPORTED)  # of the others, some may answer later
    requested = _shown(requested_names(request))
    hints = [f.retry_after_s for _, f in failures if f.retry_after_s is not None]
    retry_after_s = whole_seconds(min(hints)) if hints else None
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
    metadata["provider_name"] = _name(snapshot, told)
    previous = [(choice, f) for choice, f in given_up.failures if f is not verdict]
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
    return _shown_name(snapshot, choice.endpoint.provider)


def _shown_name(snapshot: Snapshot, slug: ProviderSlug) -> str:
    info = snapshot.providers.get(slug)
    return slug if info is None else info.name
