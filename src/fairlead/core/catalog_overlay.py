"""What an installation adds to the package's catalogue. Pure.

Two sources, laid over the seed in this order:

- `[[models]]` tables of the configuration file add a model or an endpoint, or change one (`ExtraModel`);
- local engines (Ollama, vLLM, LM Studio, llama.cpp) say which models they have. Such a model is
  `ollama/llama3:8b`: the engine's slug, then the engine's own name, colons and slashes included. It costs
  nothing. A table of the same id goes first.

The result is a snapshot of its own version: equal input gives an equal version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from fairlead.core.catalog import (
    Endpoint,
    EndpointStatus,
    Modality,
    Model,
    ModelKind,
    ProviderInfo,
    Reasoning,
    Snapshot,
    TierPrices,
)
from fairlead.core.catalog_amendments import with_prices
from fairlead.core.catalog_assembly import assembled
from fairlead.core.catalog_data import cheapest_first, with_presets
from fairlead.core.catalog_tables import (
    ConfigurationInvalid,
    ExtraModel,
    perhaps,
    prices_of,
    read_table,
)
from fairlead.core.data_regions import region_of
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet, price_version
from fairlead.core.service_tiers import without_tiers

__all__ = ["ConfigurationInvalid", "Discovered", "ExtraModel", "overlay"]

MODELS_EXTRA_MAX: Final = 10_000
_OUTPUTS: Final = {
    ModelKind.CHAT: "text",
    ModelKind.EMBEDDING: "embeddings",
    ModelKind.RERANK: "rerank",
    ModelKind.IMAGE: "image",
    ModelKind.SPEECH: "speech",
    ModelKind.TRANSCRIPTION: "transcription",
}
# What an OpenAI-compatible server of one's own usually takes; it ignores what it does not know.
_ENGINE_PARAMETERS: Final = frozenset(
    {
        "max_tokens", "temperature", "top_p", "top_k", "min_p", "frequency_penalty",
        "presence_penalty", "repetition_penalty", "seed", "stop", "logit_bias", "logprobs", "top_logprobs",
        "tools", "tool_choice", "response_format", "structured_outputs", "reasoning", "include_reasoning",
        "reasoning_effort",
    }
)  # fmt: skip


class Discovered(msgspec.Struct, frozen=True):
    """A model that a running engine says it has.

    id: the engine's own name. context_length: 0 if unsaid. input_modalities: empty if unsaid.
    """

    id: str
    context_length: int = 0
    input_modalities: tuple[Modality, ...] = ()


def overlay(
    seed: Snapshot,
    extra_models: Sequence[Mapping[str, object]] = (),
    discovered: Mapping[ProviderSlug, Sequence[Discovered]] | None = None,
    *,
    extra_providers: Sequence[ProviderInfo] = (),
) -> Snapshot:
    """The seed with the configuration's tables and the engines' models.

    extra_models: the tables as read from TOML. extra_providers: those that only the configuration knows.
    Raises ConfigurationInvalid for a table that cannot be used; nothing is applied in part.
    """
    found = {slug: tuple(models) for slug, models in (discovered or {}).items() if models}
    if not extra_models and not found and not extra_providers:
        return seed
    if len(extra_models) > MODELS_EXTRA_MAX:
        raise ConfigurationInvalid("models", f"more than {MODELS_EXTRA_MAX} tables")
    providers = dict(seed.providers)
    providers.update((provider.slug, provider) for provider in extra_providers)
    models = without_tiers(seed.models)
    tables = [read_table(f"models[{index}]", one) for index, one in enumerate(extra_models)]
    for index, table in enumerate(tables):
        model = _applied(f"models[{index}]", table, models, providers)
        models[model.id] = model
    for slug, offers in found.items():
        if slug in providers:
            for offer in offers:
                model = _discovered(providers[slug], offer)
                models.setdefault(model.id, model)
    models = _with_unique_endpoints(with_presets(models))
    content = msgspec.json.encode((seed.version, tables, sorted(found.items()), extra_providers))
    return assembled(
        version=f"{seed.version}+{blake2b(content, digest_size=6).hexdigest()}",
        as_of=seed.as_of,
        models=models,
        providers=providers,
        records=seed.records,
    )


# -- Tables ----------------------------------------------------------------------------------------------


def _applied(
    path: str,
    table: ExtraModel,
    models: Mapping[ModelId, Model],
    providers: Mapping[ProviderSlug, ProviderInfo],
) -> Model:
    """The model as the table wants it."""
    known = models.get(ModelId(table.id))
    if table.provider is None:
        return _changed_model(path, table, known, models)
    provider = providers.get(ProviderSlug(table.provider))
    if provider is None:
        raise ConfigurationInvalid(
            f"{path}.provider",
            f"{table.provider!r} is no provider{perhaps(table.provider, providers)}",
        )
    model = known or _new_model(table, provider)
    tag = provider.slug if table.tag is None else f"{provider.slug}/{table.tag}"
    by_tag = {one.tag: one for one in reversed(model.endpoints)}
    others = [one for one in model.endpoints if one.tag != tag]
    existing = by_tag.get(tag)
    if table.service_tier is not None:
        endpoint = _with_tier(path, table, existing)
    elif existing is None and provider.slug in by_tag:
        region = region_of(table.tag or "")
        like = msgspec.structs.replace(by_tag[provider.slug], tag=tag, data_region=region)
        endpoint = _changed_endpoint(path, table, like, model.kind)
    elif existing is not None:
        endpoint = _changed_endpoint(path, table, existing, model.kind)
    else:
        endpoint = _new_endpoint(path, table, model, provider, tag)
    return _described(
        table, msgspec.structs.replace(model, endpoints=cheapest_first([endpoint, *others]))
    )


def _changed_model(
    path: str, table: ExtraModel, known: Model | None, models: Mapping[ModelId, Model]
) -> Model:
    if known is None:
        raise ConfigurationInvalid(
            f"{path}.provider",
            f"must be given, because {table.id!r} is not in the catalogue{perhaps(table.id, models)}",
        )
    for name in (
        "tag", "service_tier", "data_region", "provider_model_id", "max_prompt_tokens", "quantization",
        "usd_per_million_tokens", "usd_per_token", "usd_per_unit",
    ):  # fmt: skip
        if getattr(table, name):
            raise ConfigurationInvalid(
                f"{path}.{name}", "belongs to an endpoint: say which with `provider`"
            )
    parameters = table.supported_parameters
    return _described(
        table,
        msgspec.structs.replace(
            known,
            context_length=table.context_length or known.context_length,
            max_completion_tokens=table.max_completion_tokens or known.max_completion_tokens,
            supported_parameters=(
                known.supported_parameters if parameters is None else tuple(parameters)
            ),
        ),
    )


def _described(table: ExtraModel, model: Model) -> Model:
    """What a table may say about the model itself, whether or not it names a provider."""
    kind = table.kind or model.kind
    outputs = model.output_modalities if kind is model.kind else (_OUTPUTS[kind],)
    inputs = model.input_modalities
    modality = model.modality
    if table.input_modalities is not None:
        inputs = frozenset(table.input_modalities)
    if inputs != model.input_modalities or outputs != model.output_modalities:
        modality = _modality(inputs, outputs)
    return msgspec.structs.replace(
        model,
        name=table.name or model.name,
        short_name=table.name or model.short_name,
        description=model.description if table.description is None else table.description,
        kind=kind,
        input_modalities=inputs,
        output_modalities=outputs,
        modality=modality,
    )


def _new_model(table: ExtraModel, provider: ProviderInfo) -> Model:
    kind = table.kind or ModelKind.CHAT
    parameters = table.supported_parameters
    return _plain_model(
        ModelId(table.id),
        name=table.name or table.id.partition("/")[2],
        description=table.description or f"{table.id} at {provider.name}, added by configuration.",
        kind=kind,
        context_length=table.context_length or 0,
        max_completion_tokens=table.max_completion_tokens,
        inputs=frozenset(table.input_modalities or (Modality.TEXT,)),
        parameters=_ENGINE_PARAMETERS if parameters is None else frozenset(parameters),
    )


def _plain_model(
    slug: ModelId,
    *,
    name: str,
    description: str,
    kind: ModelKind,
    context_length: int,
    max_completion_tokens: int | None,
    inputs: frozenset[str],
    parameters: frozenset[str],
) -> Model:
    """A model of which no more is known than what is given; without endpoints."""
    outputs = (_OUTPUTS[kind],)
    return Model(
        id=slug,
        canonical_slug=slug,
        name=name,
        short_name=name,
        author=slug.partition("/")[0],
        kind=kind,
        created=0,
        description=description,
        context_length=context_length,
        max_completion_tokens=max_completion_tokens,
        modality=_modality(inputs, outputs),
        input_modalities=inputs,
        output_modalities=outputs,
        tokenizer="Other",
        instruct_type=None,
        knowledge_cutoff=None,
        hugging_face_id=None,
        reasoning=Reasoning(supported="reasoning" in parameters),
        supported_parameters=tuple(sorted(parameters)),
        endpoints=(),
    )


def _new_endpoint(
    path: str, table: ExtraModel, model: Model, provider: ProviderInfo, tag: str
) -> Endpoint:
    prices = prices_of(path, table)
    if not prices and provider.kind != "local":
        raise ConfigurationInvalid(
            path,
            f"{table.id!r} at {provider.slug!r} needs prices, as `usd_per_million_tokens = "
            '{ prompt = "0.15", completion = "0.60" }`; 0 means free',
        )
    if prices:
        _require_both_sides(path, prices, model.kind)
    sheet = msgspec.structs.replace(PriceSheet(), **prices)
    native = table.provider_model_id or table.id.partition("/")[2]
    parameters = table.supported_parameters
    return Endpoint(
        id=EndpointId(f"{tag}:{native}"),
        model=model.id,
        provider=provider.slug,
        tag=tag,
        provider_model_id=native,
        context_length=table.context_length or model.context_length,
        max_completion_tokens=table.max_completion_tokens or model.max_completion_tokens,
        max_prompt_tokens=table.max_prompt_tokens,
        quantization=table.quantization or "unknown",
        prices=sheet,
        price_version=price_version(sheet),
        supported_parameters=frozenset(
            model.supported_parameters if parameters is None else parameters
        ),
        data_region=table.data_region or region_of(table.tag or ""),
    )


def _with_tier(path: str, table: ExtraModel, endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise ConfigurationInvalid(
            f"{path}.service_tier",
            "belongs to an endpoint that the catalogue or a table before has",
        )
    for name in table.__struct_fields__:
        if name not in _OF_A_TIER and getattr(table, name) is not None:
            raise ConfigurationInvalid(f"{path}.{name}", "is the endpoint's, not the tier's")
    prices = prices_of(path, table)
    if not prices or table.service_tier is None:
        raise ConfigurationInvalid(path, f"the tier {table.service_tier!r} needs prices")
    others = (one for one in endpoint.service_tiers if one.tier != table.service_tier)
    tiers = (*others, TierPrices(table.service_tier, prices))
    return msgspec.structs.replace(endpoint, service_tiers=tiers)


_OF_A_TIER: Final = frozenset(
    {
        "id", "provider", "tag", "service_tier", "usd_per_million_tokens", "usd_per_token", "usd_per_unit",
    }
)  # fmt: skip


def _changed_endpoint(
    path: str, table: ExtraModel, endpoint: Endpoint, kind: ModelKind
) -> Endpoint:
    prices = prices_of(path, table)
    if prices:
        if endpoint.status is EndpointStatus.UNPRICED:
            _require_both_sides(path, prices, kind)
        endpoint = with_prices(endpoint, prices)
    native = table.provider_model_id or endpoint.provider_model_id
    parameters = table.supported_parameters
    return msgspec.structs.replace(
        endpoint,
        id=EndpointId(f"{endpoint.tag}:{native}"),
        provider_model_id=native,
        context_length=table.context_length or endpoint.context_length,
        max_completion_tokens=table.max_completion_tokens or endpoint.max_completion_tokens,
        max_prompt_tokens=table.max_prompt_tokens or endpoint.max_prompt_tokens,
        quantization=table.quantization or endpoint.quantization,
        supported_parameters=(
            endpoint.supported_parameters if parameters is None else frozenset(parameters)
        ),
        data_region=table.data_region or endpoint.data_region,
    )


def _require_both_sides(path: str, prices: Mapping[str, PicoUSD], kind: ModelKind) -> None:
    """A chat model without a price for its answers would give them away."""
    for required in ("prompt", "completion"):
        if required not in prices and kind is ModelKind.CHAT:
            raise ConfigurationInvalid(path, f"there is no {required} price; 0 means free")


# -- Engines ---------------------------------------------------------------------------------------------


def _discovered(provider: ProviderInfo, offer: Discovered) -> Model:
    slug = ModelId(f"{provider.slug}/{offer.id}".lower())
    # No list of models says what they are for; the name is all there is.
    kind = ModelKind.EMBEDDING if "embed" in slug else ModelKind.CHAT
    parameters = _ENGINE_PARAMETERS if kind is ModelKind.CHAT else frozenset[str]()
    model = _plain_model(
        slug,
        name=f"{provider.name}: {offer.id}",
        description=f"{offer.id}, served by {provider.name} on this installation's own machines.",
        kind=kind,
        context_length=offer.context_length,
        max_completion_tokens=None,
        inputs=_inputs(kind, offer),
        parameters=parameters,
    )
    sheet = PriceSheet()
    endpoint = Endpoint(
        id=EndpointId(f"{provider.slug}:{offer.id}"),
        model=slug,
        provider=provider.slug,
        tag=provider.slug,
        provider_model_id=offer.id,
        context_length=offer.context_length,
        max_completion_tokens=None,
        max_prompt_tokens=None,
        quantization="unknown",
        prices=sheet,
        price_version=price_version(sheet),
        supported_parameters=parameters,
    )
    return msgspec.structs.replace(model, endpoints=(endpoint,))


def _inputs(kind: ModelKind, offer: Discovered) -> frozenset[str]:
    if offer.input_modalities:
        return frozenset({Modality.TEXT, *offer.input_modalities})
    # Where it is not said whether a model sees: the engine refuses an image that it cannot read.
    return frozenset({Modality.TEXT, Modality.IMAGE} if kind is ModelKind.CHAT else {Modality.TEXT})


# -- Details ---------------------------------------------------------------------------------------------


def _with_unique_endpoints(models: Mapping[ModelId, Model]) -> dict[ModelId, Model]:
    """Two models may be the same thing at a provider; their endpoints then say which model they serve."""
    taken: dict[EndpointId, ModelId] = {}
    unique: dict[ModelId, Model] = {}
    for slug, model in models.items():
        if any(taken.setdefault(one.id, slug) != slug for one in model.endpoints):
            endpoints = tuple(
                one
                if taken[one.id] == slug
                else msgspec.structs.replace(one, id=EndpointId(f"{one.id}@{slug}"))
                for one in model.endpoints
            )
            model = msgspec.structs.replace(model, endpoints=endpoints)
        unique[slug] = model
    return unique


def _modality(inputs: frozenset[str], outputs: tuple[str, ...]) -> str:
    ordered = [modality for modality in Modality if modality in inputs]
    return f"{'+'.join(ordered)}->{'+'.join(outputs)}"
