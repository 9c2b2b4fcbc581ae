"""Which endpoints may serve a request, in which order, and why not the others. Pure.

The same inputs give the same plan, bit for bit, so a decision can be stored, explained and replayed.
Every endpoint of the model is either in the plan or in `removed`, with the reason.

Order today: the caller's `order`, then healthy before failing, active before deprecated, cheap before
dear. The price compared is prompt + completion per token.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from fairlead.core.catalog import Endpoint, EndpointStatus, Model, ProviderInfo
from fairlead.core.chat import ABSENT, ChatRequest, ProviderPreferences, WireFormat
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.prompt import prompt_text

__all__ = ["HealthView", "Plan", "Removal", "fitted", "plan"]

# Parameters that only endpoints able to honour them should get, as long as there is one.
_SOFT_PARAMETERS: Final = ("tools", "tool_choice", "response_format", "verbosity")
_CHARACTERS_PER_TOKEN_MAX: Final = (
    8  # so far above any tokenizer that only hopeless prompts are removed
)


class Removal(StrEnum):
    """Why an endpoint is not in the plan."""

    NO_CREDENTIAL = "no_credential"
    UNPRICED = "unpriced"
    IGNORED = "ignored"
    NOT_ALLOWED = "not_allowed"  # `only` does not name it
    QUANTIZATION = "quantization"
    DATA_POLICY = "data_policy"
    MODALITY = "modality"
    CONTEXT_LENGTH = "context_length"
    MAX_TOKENS = "max_tokens"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    FALLBACKS_OFF = "fallbacks_off"


# Python 3.11 takes longer to look a member up than to compare it, and most offers of most models are looked at
# for these alone.
_NO_CREDENTIAL: Final = Removal.NO_CREDENTIAL
_UNPRICED: Final = EndpointStatus.UNPRICED
_DEPRECATED: Final = EndpointStatus.DEPRECATED


class HealthView(Protocol):
    """What recent outcomes say about an endpoint."""

    def is_failing(self, endpoint: EndpointId) -> bool: ...


class Plan(msgspec.Struct, frozen=True, gc=False):
    """Endpoints to try, best first; and those that will not be tried."""

    endpoints: tuple[Endpoint, ...]
    removed: tuple[tuple[EndpointId, Removal], ...]


def plan(
    request: ChatRequest,
    model: Model,
    *,
    health: HealthView,
    has_credential: Callable[[ProviderSlug], bool],
    providers: Mapping[ProviderSlug, ProviderInfo],
) -> Plan:
    """The plan for one model.

    has_credential: whether the provider is configured here.
    providers: the snapshot's; one that is absent, or of unknown policy, is taken to keep prompts.
    """
    body = request.body
    wishes = (
        body.provider if isinstance(body.provider, ProviderPreferences) else _named(body.provider)
    )
    kept: list[Endpoint] = []
    removed: list[tuple[EndpointId, Removal]] = []
    unreadable = _unreadable(request, model)
    for endpoint in model.endpoints:
        if endpoint.tier is not None:
            continue  # nobody can ask for a tier yet
        # The two commonest reasons first: most offers of most models are not configured here.
        if not has_credential(endpoint.provider):
            removed.append((endpoint.id, _NO_CREDENTIAL))
            continue
        if unreadable:
            reason: Removal | None = Removal.MODALITY
        else:
            reason = _reason_against(endpoint, request, wishes, providers=providers)
        if reason is None:
            kept.append(endpoint)
        else:
            removed.append((endpoint.id, reason))

    if len(kept) > 1:
        kept = _prefer_able(kept, request, removed)
        if len(kept) > 1:
            kept.sort(key=lambda endpoint: _rank(endpoint, wishes, health))
    if wishes is not None and wishes.allow_fallbacks is False:
        keep = 1
        if wishes.order:
            keep = max(1, sum(1 for e in kept if _position(e, wishes.order) < len(wishes.order)))
        removed.extend((endpoint.id, Removal.FALLBACKS_OFF) for endpoint in kept[keep:])
        kept = kept[:keep]
    return Plan(tuple(kept), tuple(removed))


def _named(provider: str | None) -> ProviderPreferences | None:
    """AI/ML API's habit: a provider's name as text means that one, without fallback."""
    if provider is None or provider == "auto":
        return None
    return ProviderPreferences(only=[provider], allow_fallbacks=False)


def _reason_against(
    endpoint: Endpoint,
    request: ChatRequest,
    wishes: ProviderPreferences | None,
    *,
    providers: Mapping[ProviderSlug, ProviderInfo],
) -> Removal | None:
    if endpoint.status is _UNPRICED:
        return Removal.UNPRICED
    if _is_too_long(request, endpoint):
        return Removal.CONTEXT_LENGTH
    if _wants_more(request, endpoint) and request.source is not _LIMITS_BLINDLY:
        return Removal.MAX_TOKENS
    if wishes is None:
        return None
    if wishes.ignore and _position(endpoint, wishes.ignore) < len(wishes.ignore):
        return Removal.IGNORED
    if wishes.only and _position(endpoint, wishes.only) == len(wishes.only):
        return Removal.NOT_ALLOWED
    if wishes.quantizations and endpoint.quantization not in wishes.quantizations:
        return Removal.QUANTIZATION
    if wishes.data_collection == "deny" or wishes.zdr:
        info = providers.get(endpoint.provider)
        if info is None or not info.data_policy.keeps_nothing:
            return Removal.DATA_POLICY
    if wishes.require_parameters and not _sent(request) <= endpoint.supported_parameters:
        return Removal.UNSUPPORTED_PARAMETER
    return None


def fitted(request: ChatRequest, endpoint: Endpoint) -> ChatRequest:
    """The request as this endpoint can be asked.

    Anthropic's format demands a limit, so its clients fill in whatever their usual model can write. There it
    is a ceiling, and lowered to the endpoint's; in other formats it is a wish that an endpoint meets or not.
    """
    if request.source is not _LIMITS_BLINDLY or not _wants_more(request, endpoint):
        return request
    limit = endpoint.max_completion_tokens or 0
    return msgspec.structs.replace(
        request,
        fields={**request.fields, "max_tokens": msgspec.Raw(b"%d" % limit)},
        body=msgspec.structs.replace(request.body, max_tokens=limit),
    )


_LIMITS_BLINDLY: Final = WireFormat.ANTHROPIC_MESSAGES


def _wants_more(request: ChatRequest, endpoint: Endpoint) -> bool:
    """Whether the caller's limit is beyond what the endpoint writes at most."""
    wanted = request.max_tokens
    return wanted is not None and wanted > (endpoint.max_completion_tokens or wanted)


def _is_too_long(request: ChatRequest, endpoint: Endpoint) -> bool:
    """Whether the prompt cannot fit, however the model cuts it into tokens. It is read only when in doubt."""
    characters_max = endpoint.context_length * _CHARACTERS_PER_TOKEN_MAX
    return (
        request.characters > characters_max > 0 and len(prompt_text(request.body)) > characters_max
    )


def _unreadable(request: ChatRequest, model: Model) -> frozenset[str]:
    """What the messages contain that the model cannot take. A file can be read for a model that cannot;
    nothing can see or hear for it."""
    if not request.modalities:
        return request.modalities
    return request.modalities - model.input_modalities - {"file"}


def _sent(request: ChatRequest) -> frozenset[str]:
    """Parameters of the request that an endpoint can support or not, by their catalogue names."""
    return _CATALOGUED.intersection(_asked(request))


def _asked(request: ChatRequest) -> Collection[str]:
    """Names of what is asked for; in formats that call things by other names, those of the typed view."""
    if request.source in _OPENAI_FORMATS:
        return request.fields
    body = request.body
    return [name for name in _CATALOGUED if getattr(body, name, None) not in _NOT_ASKED]


_OPENAI_FORMATS: Final = frozenset({WireFormat.OPENAI_CHAT, WireFormat.OPENAI_COMPLETIONS})
_NOT_ASKED: Final[tuple[object, ...]] = (None, [], ABSENT)
_CATALOGUED: Final = frozenset(
    {
        "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty",
        "repetition_penalty", "max_tokens", "logit_bias", "logprobs", "top_logprobs", "prediction",
        "seed", "response_format", "structured_outputs", "stop", "tools", "tool_choice",
        "parallel_tool_calls", "include_reasoning", "reasoning", "reasoning_effort",
        "web_search_options", "verbosity",
    }
)  # fmt: skip


def _prefer_able(
    kept: list[Endpoint], request: ChatRequest, removed: list[tuple[EndpointId, Removal]]
) -> list[Endpoint]:
    """Narrow to endpoints that support a soft parameter, where any does."""
    asked = _asked(request)
    for name in _SOFT_PARAMETERS:
        if name in asked:
            able = [endpoint for endpoint in kept if name in endpoint.supported_parameters]
            if able and len(able) < len(kept):
                unable = {endpoint.id for endpoint in able}
                removed.extend(
                    (endpoint.id, Removal.UNSUPPORTED_PARAMETER)
                    for endpoint in kept
                    if endpoint.id not in unable
                )
                kept = able
    return kept


def _rank(
    endpoint: Endpoint, wishes: ProviderPreferences | None, health: HealthView
) -> tuple[int, bool, bool, int, str]:
    order = wishes.order if wishes is not None else None
    return (
        _position(endpoint, order) if order else 0,
        health.is_failing(endpoint.id),
        endpoint.status is _DEPRECATED,
        endpoint.prices.prompt + endpoint.prices.completion,
        endpoint.id,
    )


def _position(endpoint: Endpoint, names: list[str]) -> int:
    """Index of the first name that means this endpoint, or len(names). A base slug means all its tags."""
    for index, name in enumerate(names):
        wanted = name.lower()
        if wanted in (endpoint.tag, endpoint.provider):
            return index
    return len(names)
