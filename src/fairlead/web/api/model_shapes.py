"""Models, endpoints and providers as the public API shows them. Pure.

The shapes are those of the public API's document, and of its official clients where those ask for more.
Prices are decimal text in dollars per token or unit. What is not known is null, never a guess.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from typing import Final

from fairlead.core.catalog import (
    Endpoint,
    EndpointStatus,
    Modality,
    Model,
    ProviderInfo,
    Snapshot,
)
from fairlead.core.money import price_text
from fairlead.core.pricing import PriceSheet
from fairlead.web.api.endpoint_health import UNMEASURED

__all__ = [
    "Json",
    "endpoint_object",
    "listed_endpoints",
    "model_endpoints_object",
    "model_object",
    "provider_object",
    "zero_retention_endpoints",
]

Json = dict[str, object]

_PRICE_NAMES: Final = tuple(
    name
    for name in PriceSheet.__struct_fields__
    if name not in ("prompt", "completion", "overrides")
)
_CONDITIONS: Final = ("min_prompt_tokens", "utc_start", "utc_end", "weekdays")


def _unmeasured(_endpoint: Endpoint) -> Json:
    return UNMEASURED


def model_object(model: Model) -> Json:
    """One entry of the models list. The price is that of the cheapest endpoint, the first to be asked.

    `object` and `owned_by` are OpenAI's; its clients read them.
    """
    first = model.endpoints[0] if model.endpoints else None
    shown: Json = {
        "id": model.id,
        "object": "model",
        "owned_by": model.author,
        "canonical_slug": model.canonical_slug,
        "hugging_face_id": model.hugging_face_id,
        "name": model.name,
        "created": model.created,
        "description": model.description,
        "context_length": model.context_length or None,
        "architecture": _architecture(model),
        "pricing": _pricing(first.prices if first is not None else PriceSheet()),
        "top_provider": {
            "context_length": None if first is None else first.context_length or None,
            "max_completion_tokens": None if first is None else first.max_completion_tokens,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": model.supported_parameters,
        "default_parameters": None,
        "supported_voices": None,
        "knowledge_cutoff": _whole_date(model.knowledge_cutoff),
        "expiration_date": model.expiration_date,
        "links": {"details": f"/api/v1/models/{model.id}/endpoints"},
    }
    if model.reasoning.supported:
        shown["reasoning"] = _reasoning(model)
    return shown


def model_endpoints_object(
    model: Model, snapshot: Snapshot, health: Callable[[Endpoint], Json] = _unmeasured
) -> Json:
    """A model with every endpoint that it can be called at. health: `health_fields` of each."""
    return {
        "id": model.id,
        "name": model.name,
        "created": model.created,
        "description": model.description,
        "architecture": _architecture(model),
        "endpoints": [
            endpoint_object(
                endpoint, model, snapshot.providers[endpoint.provider], health(endpoint)
            )
            for endpoint in listed_endpoints(model)
        ],
    }


def listed_endpoints(model: Model) -> list[Endpoint]:
    """Those with a price, service tiers last. The others are never routed to, and a price of nothing would
    be a lie."""
    return [one for one in model.endpoints if one.status is not EndpointStatus.UNPRICED]


def endpoint_object(
    endpoint: Endpoint, model: Model, provider: ProviderInfo, health: Json = UNMEASURED
) -> Json:
    """One endpoint. health: its `health_fields`; uptime and speed are null until they are measured."""
    parameters = endpoint.supported_parameters
    has_tool_choice = "tool_choice" in parameters
    prices = endpoint.prices
    return {
        "name": f"{provider.name} | {model.canonical_slug}",
        "model_id": model.id,
        "model_name": model.name,
        "provider_name": provider.name,
        "tag": endpoint.tag,
        "quantization": endpoint.quantization,
        "context_length": endpoint.context_length,
        "max_completion_tokens": endpoint.max_completion_tokens,
        "max_prompt_tokens": endpoint.max_prompt_tokens,
        "pricing": {**_pricing(prices), "discount": 0},
        "supported_parameters": sorted(parameters),
        "deprecation_date": endpoint.deprecation_date,
        **health,
        # Where writing to the cache has a price of its own, caching is asked for; elsewhere it happens.
        "supports_implicit_caching": (
            prices.input_cache_read is not None and prices.input_cache_write is None
        ),
        "supports_voice_cloning": False,
        "supports_diarization": False,
        "supports_tool_choice": dict.fromkeys(
            ("auto", "none", "required", "function"), has_tool_choice
        ),
        "native_tools": {},
        "service_tier": endpoint.tier,
    }


def zero_retention_endpoints(snapshot: Snapshot) -> list[Json]:
    """Endpoints of providers that, as far as is known, neither keep prompts nor train on them.

    Made once for each snapshot, so without their health: that is in each model's own list.
    """
    return [
        endpoint_object(endpoint, model, provider)
        for model in snapshot.models.values()
        for endpoint in listed_endpoints(model)
        if endpoint.tier is None
        and (provider := snapshot.providers[endpoint.provider]).data_policy.keeps_nothing
    ]


def provider_object(provider: ProviderInfo) -> Json:
    return {
        "name": provider.name,
        "slug": provider.slug,
        "privacy_policy_url": provider.privacy_policy_url,
        "terms_of_service_url": provider.terms_of_service_url,
        "status_page_url": provider.status_page_url,
        "datacenters": provider.datacenters,
        "headquarters": provider.headquarters,
    }


def _architecture(model: Model) -> Json:
    return {
        "modality": model.modality,
        "input_modalities": [one for one in Modality if one in model.input_modalities],
        "output_modalities": model.output_modalities,
        "tokenizer": model.tokenizer,
        "instruct_type": model.instruct_type,
    }


def _pricing(sheet: PriceSheet) -> Json:
    shown: Json = {
        "prompt": price_text(sheet.prompt),
        "completion": price_text(sheet.completion),
    }
    for name in _PRICE_NAMES:
        price = getattr(sheet, name)
        if price is not None:
            shown[name] = price_text(price)
    if sheet.overrides:
        shown["overrides"] = [
            {
                **{
                    name: condition
                    for name in _CONDITIONS
                    if (condition := getattr(override, name)) is not None
                },
                **{name: price_text(price) for name, price in override.prices.items()},
            }
            for override in sheet.overrides
        ]
    return shown


def _reasoning(model: Model) -> Json:
    """No `supported_efforts`: the model takes no effort."""
    reasoning = model.reasoning
    shown: Json = {"mandatory": reasoning.mandatory}
    if reasoning.efforts:
        shown["supported_efforts"] = reasoning.efforts
    if model.preset_effort is not None:
        shown["default_effort"] = model.preset_effort
    if reasoning.budget_min is not None or reasoning.budget_max is not None:
        shown["supports_max_tokens"] = True
    return shown


def _whole_date(date: str | None) -> str | None:
    """A month is shown as its last day: the document wants a whole date."""
    if date is None or len(date) != len("2024-10"):
        return date
    year, month = int(date[:4]), int(date[5:])
    return f"{date}-{monthrange(year, month)[1]:02d}"
