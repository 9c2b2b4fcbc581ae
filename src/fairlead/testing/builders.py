"""Small real values for tests: say what matters, get sensible rest."""

from __future__ import annotations

import msgspec

from fairlead.core.catalog import (
    Endpoint,
    EndpointStatus,
    Model,
    ModelKind,
    ProviderInfo,
    Reasoning,
    Snapshot,
)
from fairlead.core.chat import ChatBody, ChatRequest, WireFormat
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import parse_price
from fairlead.core.pricing import PriceSheet

__all__ = ["a_model", "a_provider", "a_request", "a_snapshot", "an_endpoint"]


def an_endpoint(
    provider: str = "acme",
    *,
    model: str = "acme/one",
    prompt: str = "0.000001",
    completion: str = "0.000002",
    status: EndpointStatus = EndpointStatus.ACTIVE,
    supported: frozenset[str] = frozenset({"max_tokens", "temperature", "tools", "tool_choice"}),
    context_length: int = 100_000,
    max_completion_tokens: int | None = None,
    quantization: str = "unknown",
    tag: str | None = None,
) -> Endpoint:
    return Endpoint(
        id=EndpointId(f"{tag or provider}:{model}"),
        model=ModelId(model),
        provider=ProviderSlug(provider),
        tag=tag or provider,
        provider_model_id=model.partition("/")[2],
        context_length=context_length,
        max_completion_tokens=max_completion_tokens,
        max_prompt_tokens=None,
        quantization=quantization,
        prices=PriceSheet(prompt=parse_price(prompt), completion=parse_price(completion)),
        price_version="test",
        supported_parameters=supported,
        status=status,
    )


def a_model(
    *endpoints: Endpoint,
    slug: str = "acme/one",
    inputs: frozenset[str] = frozenset({"text"}),
    preset_effort: str | None = None,
) -> Model:
    author, _, name = slug.partition("/")
    return Model(
        id=ModelId(slug),
        canonical_slug=f"{slug}-2026-01-01",
        name=f"{author}: {name}",
        short_name=name,
        author=author,
        kind=ModelKind.CHAT,
        created=1_767_225_600,
        description="A model for tests.",
        context_length=100_000,
        max_completion_tokens=None,
        modality="text->text",
        input_modalities=inputs,
        output_modalities=("text",),
        tokenizer="GPT",
        instruct_type=None,
        knowledge_cutoff=None,
        hugging_face_id=None,
        reasoning=Reasoning(),
        supported_parameters=(),
        endpoints=endpoints,
        preset_effort=preset_effort,
    )


def a_provider(slug: str = "acme", *, base_url: str = "http://127.0.0.1:9/v1") -> ProviderInfo:
    return ProviderInfo(
        slug=ProviderSlug(slug),
        name=slug.title(),
        kind="host",
        base_url=base_url,
        api_dialect="openai-chat",
        auth_type="bearer",
        auth_header="Authorization",
        auth_env=(f"{slug.upper()}_API_KEY",),
    )


def a_snapshot(*models: Model, providers: tuple[ProviderInfo, ...] = ()) -> Snapshot:
    return Snapshot(
        version="test",
        as_of="2026-01-01",
        models={model.id: model for model in models},
        providers={provider.slug: provider for provider in providers},
        names={model.id: model.id for model in models}
        | {model.canonical_slug: model.id for model in models},
    )


def a_request(**fields: object) -> ChatRequest:
    """A chat request with these top-level fields; one short message unless `messages` is given."""
    fields.setdefault("messages", [{"role": "user", "content": "Hello"}])
    encoded = msgspec.json.encode(fields)
    return ChatRequest(
        source=WireFormat.OPENAI_CHAT,
        fields=msgspec.json.decode(encoded, type=dict[str, msgspec.Raw]),
        body=msgspec.json.decode(encoded, type=ChatBody),
        reasoning=None,
        modalities=frozenset(),
        characters=5,
    )
