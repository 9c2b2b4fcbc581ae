"""`GET /generation?id=`: what one call used and cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from fairlead.control.accounts.rules import default_workspace
from fairlead.core.capability import Capability
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, GenerationId, ModelId, ProviderSlug
from fairlead.core.money import usd
from fairlead.core.who_pays import explained
from fairlead.web.answers import answer
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.services import Generations, WebServices
from fairlead.web.usage_desk import Beside

__all__ = [
    "ID_CHARACTERS_MAX",
    "data_region",
    "generation_object",
    "generation_of",
    "generation_operations",
    "wanted_generation",
]

ID_CHARACTERS_MAX: Final = 128
_NOTHING_BESIDE: Final = Beside()


def generation_operations(services: WebServices) -> list[Operation]:
    async def generation(asked: Asked) -> Response:
        wanted = wanted_generation(asked)
        found = await generation_of(asked.requester.account, wanted, services.generations)
        beside = Beside() if services.usage is None else await services.usage.beside(found)
        return answer({"data": generation_object(found, services.catalog.snapshot, beside)})

    return [Operation("GET", "/generation", generation, Who.ACCOUNT)]


def wanted_generation(asked: Asked) -> GenerationId:
    """Raises RequestInvalid where the parameter `id` can be no generation's."""
    text = asked.parameter("id")
    if text is None or len(text) > ID_CHARACTERS_MAX:
        path = asked.request.url.path
        raise RequestInvalid(f"Name the generation: {path}?id=gen-...", param="id")
    return GenerationId(text)


async def generation_of(
    account: AccountId, wanted: GenerationId, generations: Generations
) -> Generation:
    """Raises NotFound; Overloaded if we cannot tell."""
    found = await generations.find(wanted, account)
    if found is None:
        raise NotFound(f"This account has no generation {wanted!r}.")
    return found


def generation_object(
    generation: Generation, snapshot: Snapshot, beside: Beside = _NOTHING_BESIDE
) -> dict[str, object]:
    """The record as the public API shows it. What is not recorded is null. Pure.

    Of our own, beside what is documented: where the counts come from, who pays and why, what was taken off.
    """
    usage = generation.usage
    attribution = generation.attribution or Attribution()
    upstream_cost = generation.upstream_cost
    if upstream_cost is None and generation.is_byok:
        upstream_cost = generation.list_cost
    return {
        "id": generation.id,
        "upstream_id": generation.upstream_id,
        "request_id": generation.id,  # as the answer said; each request is one generation
        "session_id": generation.session_id,
        "created_at": datetime.fromtimestamp(generation.created_s, UTC).isoformat(),
        "model": generation.model,
        "provider_name": _provider_name(generation.provider, snapshot),
        "router": generation.router,
        "preset_id": generation.preset,
        "api_type": _API_TYPES.get(generation.api_type, "completions"),
        "service_tier": generation.service_tier,
        "data_region": data_region(generation),
        "is_byok": generation.is_byok,
        "streamed": generation.streamed,
        "cancelled": generation.outcome is Outcome.CANCELLED,
        "finish_reason": generation.finish_reason,
        "native_finish_reason": generation.native_finish_reason,
        "latency": generation.latency_ms,
        "generation_time": generation.duration_ms,
        "moderation_latency": None,
        "usage": usd(generation.cost),
        "total_cost": usd(generation.cost),
        "upstream_inference_cost": usd(upstream_cost) if upstream_cost is not None else None,
        "usage_source": usage.source.value,
        "cache_discount": None if beside.cache_saved is None else usd(beside.cache_saved),
        "payment": {
            "rule": generation.rule or None,
            "explanation": explained(generation.rule),
            "list_cost": usd(generation.list_cost),
            "discount": usd(generation.discount),
            "waived": usd(generation.waived),
        },
        "tokens_prompt": usage.prompt_tokens,
        "tokens_completion": usage.completion_tokens,
        "native_tokens_prompt": usage.prompt_tokens,
        "native_tokens_completion": usage.completion_tokens,
        "native_tokens_completion_images": usage.completion_image,
        "native_tokens_reasoning": usage.reasoning,
        "native_tokens_cached": usage.cache_read,
        "num_media_prompt": _none_of("image", "video", "audio", "file", generation=generation),
        "num_input_audio_prompt": _none_of("audio", generation=generation),
        "num_media_completion": None,
        "num_search_results": usage.web_searches or None,
        "num_fetches": None,
        "web_search_engine": None,
        "response_cache_source_id": None,
        "app_id": beside.app,
        "origin": _origin(attribution.referer),
        "http_referer": attribution.referer,
        "user_agent": attribution.user_agent,
        "external_user": generation.external_user,
        "workspace_id": generation.workspace or default_workspace(generation.account),
        "provider_responses": [
            _provider_response(attempt, generation, snapshot) for attempt in generation.attempts
        ],
    }


_API_TYPES: Final = {
    name: name for name in ("completions", "embeddings", "rerank", "tts", "stt", "video", "image")
}


def _provider_response(
    attempt: Attempt, generation: Generation, snapshot: Snapshot
) -> dict[str, object]:
    model = snapshot.models.get(ModelId(attempt.model))
    shown: dict[str, object] = {
        "endpoint_id": attempt.endpoint,
        "provider_name": _provider_name(attempt.provider, snapshot),
        "model_permaslug": attempt.model if model is None else model.canonical_slug,
        "status": attempt.status,
        "latency": attempt.latency_ms,
        "is_byok": attempt.key is not None,
    }
    if generation.upstream_id is not None and attempt.failure is None:
        shown["id"] = generation.upstream_id
    if model is not None:
        tier = next((one.tier for one in model.endpoints if one.id == attempt.endpoint), None)
        if tier is not None:
            shown["routed_service_tier"] = tier
    return shown


def _origin(referer: str | None) -> str:
    """Of an address, the part that names a site; "" where there is none."""
    try:
        address = urlsplit(referer or "")
    except ValueError:
        return ""
    return f"{address.scheme}://{address.netloc}/" if address.scheme and address.netloc else ""


def data_region(generation: Generation) -> str:
    """Where the call was bound to be answered."""
    decision = generation.decision
    region = None if decision is None else decision.preferences.region
    return "global" if region is None else _DATA_REGIONS[region]


def _none_of(*modalities: str, generation: Generation) -> int | None:
    """0 where the prompt had none of these; how many there were is not recorded."""
    decision = generation.decision
    if decision is None or decision.question.traits.capability is not Capability.CHAT:
        return None
    return None if set(modalities) & set(decision.question.traits.modalities) else 0


_DATA_REGIONS: Final = {"eu": "europe", "us": "us"}


def _provider_name(slug: str, snapshot: Snapshot) -> str:
    """The name it shows; its slug where it has left the catalogue since."""
    provider = snapshot.providers.get(ProviderSlug(slug))
    return provider.name if provider is not None else slug
