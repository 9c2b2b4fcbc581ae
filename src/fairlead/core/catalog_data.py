"""From the catalogue's files to a snapshot. Pure.

`load_snapshot` gives the package's own data with the sandbox's models beside it. What an installation adds
to that is `catalog_overlay.py`'s story.

A file that is not as expected is refused as a whole: half a catalogue would route and bill wrongly.
The format of the files is described in `fairlead/data/README.md`.

Price sheets and parameter lists repeat a great deal (2,555 endpoints share 164 lists of parameters), so
equal ones are one object. That keeps a snapshot at 4 MB and its loading under 100 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from fairlead.core.catalog import (
    DataPolicy,
    Endpoint,
    EndpointStatus,
    Model,
    ModelKind,
    ProviderInfo,
    Reasoning,
    Snapshot,
    TierPrices,
)
from fairlead.core.catalog_assembly import assembled
from fairlead.core.catalog_quality import Score, records_of
from fairlead.core.catalog_sandbox import SANDBOX_MODELS, SANDBOX_PROVIDER
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD, PriceInvalid, parse_price
from fairlead.core.pricing import PRICE_NAMES, PriceOverride, PriceSheet, price_version

__all__ = [
    "UNPRICED",
    "CatalogInvalid",
    "cheapest_first",
    "is_of_a_preset",
    "load_snapshot",
    "with_presets",
]

FORMAT: Final = 1
UNPRICED: Final = "unpriced"  # the price version of endpoints that have no price
_EFFORTS_DESCENDING: Final = ("max", "xhigh", "high", "medium", "low", "minimal", "none")
_PRESET_SUFFIX: Final = "-high"
_PRESET_EFFORT: Final = "high"
_PRESET_MARK: Final = f"@{_PRESET_EFFORT}"  # at the end of the id of an endpoint that is shared so


class CatalogInvalid(ValueError):
    """The data is not a catalogue that we can use. The message says where."""


# -- The files, as they are ------------------------------------------------------------------------------


class _Architecture(msgspec.Struct):
    modality: str
    input_modalities: list[str]
    output_modalities: list[str]
    tokenizer: str
    instruct_type: str | None


class _Budget(msgspec.Struct):
    min: int | None = None
    max: int | None = None


class _ReasoningRow(msgspec.Struct):
    supported: bool
    effort: list[str] = []
    budget_tokens: _Budget | None = None
    toggle: bool = False


class _EndpointRow(msgspec.Struct):
    provider: str
    provider_model_id: str
    context_length: int | None
    max_completion_tokens: int | None
    quantization: str
    pricing: msgspec.Raw
    supported_parameters: msgspec.Raw
    status: EndpointStatus
    max_prompt_tokens: int | None = None
    deprecation_date: str | None = None
    service_tiers: dict[str, dict[str, str]] = {}


class _ModelRow(msgspec.Struct):
    id: str
    canonical_slug: str
    name: str
    short_name: str
    author: str
    kind: ModelKind
    created: int | None
    description: str
    context_length: int | None
    max_completion_tokens: int | None
    architecture: _Architecture
    knowledge_cutoff: str | None
    family: str | None
    hugging_face_id: str | None
    open_weights: bool | None
    reasoning: _ReasoningRow
    supported_parameters: list[str]
    endpoints: list[_EndpointRow]


class _ModelsFile(msgspec.Struct):
    format: int
    as_of: str
    models: list[_ModelRow]


class _Auth(msgspec.Struct):
    type: str
    header: str | None
    env: list[str]
    extra_headers: dict[str, str]


class _ProviderRow(msgspec.Struct):
    slug: str
    name: str
    kind: str
    base_url: str
    api_dialect: str
    auth: _Auth
    data_policy: DataPolicy
    openai_compatible_base_url: str | None = None
    docs_url: str | None = None
    privacy_policy_url: str | None = None
    terms_of_service_url: str | None = None
    status_page_url: str | None = None
    headquarters: str | None = None
    authors: list[str] = []
    enabled_by_default: bool = True


class _ProvidersFile(msgspec.Struct):
    format: int
    providers: list[_ProviderRow]


class _ScoreRow(msgspec.Struct):
    model: str
    benchmark: str
    score: float
    reported_by: str = ""


class _BenchmarksFile(msgspec.Struct):
    format: int
    benchmarks: list[_ScoreRow]


_BENCHMARKS_DECODER: Final = msgspec.json.Decoder(_BenchmarksFile)
_MODELS_DECODER: Final = msgspec.json.Decoder(_ModelsFile)
_PROVIDERS_DECODER: Final = msgspec.json.Decoder(_ProvidersFile)
_PRICING_DECODER: Final = msgspec.json.Decoder(
    dict[str, str | list[dict[str, str | int | list[int]]]] | None
)
_PARAMETERS_DECODER: Final = msgspec.json.Decoder(frozenset[str])


# -- Reading ---------------------------------------------------------------------------------------------


def load_snapshot(
    models_json: bytes, providers_json: bytes, benchmarks_json: bytes = b""
) -> Snapshot:
    """The package's catalogue with the sandbox's models added.

    benchmarks_json: without it, all models count as equally good.
    Raises CatalogInvalid: unreadable, of another format, a repeated id, an unknown provider or price.
    """
    try:
        models_file = _MODELS_DECODER.decode(models_json)
        providers_file = _PROVIDERS_DECODER.decode(providers_json)
    except msgspec.DecodeError as error:
        raise CatalogInvalid(f"the catalogue cannot be read: {error}") from error
    if models_file.format != FORMAT or providers_file.format != FORMAT:
        raise CatalogInvalid(f"the catalogue is of another format than {FORMAT}")

    providers = {row.slug: _provider(row) for row in providers_file.providers}
    own_provider = {author: one.slug for one in providers.values() for author in one.authors}
    reader = _Reader(own_provider)
    models: dict[ModelId, Model] = {}
    for row in models_file.models:
        model = reader.model(row)
        if model.id in models:
            raise CatalogInvalid(f"model {model.id} is there twice")
        unknown = [one.provider for one in model.endpoints if one.provider not in providers]
        if unknown:
            raise CatalogInvalid(
                f"model {model.id} has an endpoint of unknown provider {unknown[0]}"
            )
        models[model.id] = model
    models = with_presets(models)
    models.update((model.id, model) for model in SANDBOX_MODELS)
    records = records_of(_scores(benchmarks_json)) if benchmarks_json else {}
    all_providers = {ProviderSlug(slug): one for slug, one in providers.items()}
    all_providers[SANDBOX_PROVIDER.slug] = SANDBOX_PROVIDER
    digest = blake2b(models_json + providers_json + benchmarks_json, digest_size=6).hexdigest()
    return assembled(
        version=f"{models_file.as_of}-{digest}",
        as_of=models_file.as_of,
        models=models,
        providers=all_providers,
        records=records,
    )


def _scores(benchmarks_json: bytes) -> list[Score]:
    try:
        file = _BENCHMARKS_DECODER.decode(benchmarks_json)
    except msgspec.DecodeError as error:
        raise CatalogInvalid(f"the benchmarks cannot be read: {error}") from error
    if file.format != FORMAT:
        raise CatalogInvalid(f"the benchmarks are of another format than {FORMAT}")
    return [
        Score(ModelId(row.model), f"{row.benchmark}, {row.reported_by}", row.score)
        for row in file.benchmarks
    ]


def cheapest_first(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Active before deprecated before unpriced; by prompt + completion price; then as they came."""
    return tuple(
        sorted(
            endpoints,
            key=lambda one: (
                _STATUS_RANK[one.status],
                one.prices.prompt + one.prices.completion,
            ),
        )
    )


_STATUS_RANK: Final = {
    EndpointStatus.ACTIVE: 0,
    EndpointStatus.DEPRECATED: 1,
    EndpointStatus.UNPRICED: 2,
}


class _Reader:
    """Turns rows into models; remembers what it has read, so that equal parts become one object."""

    def __init__(self, own_provider: Mapping[str, str]) -> None:
        """own_provider: author to the provider that the author runs."""
        self._own_provider = own_provider
        self._sheets: dict[bytes, tuple[PriceSheet, str]] = {}
        self._parameters: dict[bytes, frozenset[str]] = {}
        self._modalities: dict[frozenset[str], frozenset[str]] = {}

    def model(self, row: _ModelRow) -> Model:
        endpoints = cheapest_first(self._endpoint(row, one) for one in row.endpoints)
        modalities = frozenset(row.architecture.input_modalities)
        return Model(
            id=ModelId(row.id),
            canonical_slug=row.canonical_slug,
            name=row.name,
            short_name=row.short_name,
            author=row.author,
            kind=row.kind,
            created=row.created or 0,
            description=row.description,
            context_length=row.context_length or 0,
            max_completion_tokens=row.max_completion_tokens,
            modality=row.architecture.modality,
            input_modalities=self._modalities.setdefault(modalities, modalities),
            output_modalities=tuple(row.architecture.output_modalities),
            tokenizer=row.architecture.tokenizer,
            instruct_type=row.architecture.instruct_type,
            knowledge_cutoff=row.knowledge_cutoff,
            hugging_face_id=row.hugging_face_id,
            reasoning=_reasoning(row.reasoning),
            supported_parameters=tuple(row.supported_parameters),
            endpoints=endpoints,
            expiration_date=self._expiration_date(row, endpoints),
            open_weights=row.open_weights,
            family=row.family,
        )

    def _endpoint(self, model: _ModelRow, row: _EndpointRow) -> Endpoint:
        try:
            prices, version = self._prices(bytes(row.pricing))
            tiers = tuple(
                TierPrices(tier, _parsed(prices)) for tier, prices in row.service_tiers.items()
            )
        except (PriceInvalid, msgspec.DecodeError) as error:
            raise CatalogInvalid(f"price of {model.id} at {row.provider}: {error}") from error
        if (version == UNPRICED) != (row.status is EndpointStatus.UNPRICED):
            raise CatalogInvalid(f"{model.id} at {row.provider}: its status and its price disagree")
        parameters = bytes(row.supported_parameters)
        if parameters not in self._parameters:
            self._parameters[parameters] = _PARAMETERS_DECODER.decode(parameters)
        return Endpoint(
            id=EndpointId(f"{row.provider}:{row.provider_model_id}"),
            model=ModelId(model.id),
            provider=ProviderSlug(row.provider),
            tag=row.provider,
            provider_model_id=row.provider_model_id,
            context_length=row.context_length or model.context_length or 0,
            max_completion_tokens=row.max_completion_tokens,
            max_prompt_tokens=row.max_prompt_tokens,
            quantization=row.quantization,
            prices=prices,
            price_version=version,
            supported_parameters=self._parameters[parameters],
            status=row.status,
            deprecation_date=row.deprecation_date,
            service_tiers=tiers,
            reasoning=_reasoning(model.reasoning),
        )

    def _prices(self, pricing: bytes) -> tuple[PriceSheet, str]:
        known = self._sheets.get(pricing)
        if known is None:
            table = _PRICING_DECODER.decode(pricing)
            if table is None:
                known = (PriceSheet(), UNPRICED)
            else:
                sheet = _sheet(table)
                known = (sheet, price_version(sheet))
            self._sheets[pricing] = known
        return known

    def _expiration_date(self, row: _ModelRow, endpoints: tuple[Endpoint, ...]) -> str | None:
        """When the author's own endpoint goes, if the model cannot live elsewhere; or when all are gone."""
        if not row.open_weights:
            own = self._own_provider.get(row.author)
            for endpoint in endpoints:
                if endpoint.provider == own and endpoint.status is EndpointStatus.DEPRECATED:
                    return endpoint.deprecation_date
        dates = []
        for endpoint in endpoints:
            if endpoint.status is EndpointStatus.ACTIVE:
                return None
            if endpoint.status is EndpointStatus.DEPRECATED and endpoint.deprecation_date:
                dates.append(endpoint.deprecation_date)
        return max(dates, default=None)


def _sheet(table: Mapping[str, str | list[dict[str, str | int | list[int]]]]) -> PriceSheet:
    prices: dict[str, str] = {}
    overrides: list[PriceOverride] = []
    for name, value in table.items():
        if isinstance(value, str):
            prices[name] = value
        elif name == "overrides":
            overrides = [_override(one) for one in value]
        else:
            raise PriceInvalid(f"{name} is not a price")
    for required in ("prompt", "completion"):
        if required not in prices:
            raise PriceInvalid(f"there is no {required} price")
    return msgspec.structs.replace(PriceSheet(overrides=tuple(overrides)), **_parsed(prices))


def _override(table: Mapping[str, str | int | list[int]]) -> PriceOverride:
    prices = {name: value for name, value in table.items() if isinstance(value, str)}
    conditions = {name: value for name, value in table.items() if name not in prices}
    if not conditions.keys() <= _CONDITIONS or not conditions:
        raise PriceInvalid(f"an override has other conditions than we know: {sorted(conditions)}")
    return msgspec.convert({"prices": _parsed(prices), **conditions}, PriceOverride)


_CONDITIONS: Final = frozenset(PriceOverride.__struct_fields__) - {"prices"}


def _parsed(prices: Mapping[str, str]) -> dict[str, PicoUSD]:
    """Every price by its name. A name that we do not know is refused: it would be a price not charged."""
    unknown = prices.keys() - PRICE_NAMES
    if unknown:
        raise PriceInvalid(f"no price is called {min(unknown)}")
    return {name: parse_price(text) for name, text in prices.items()}


def _reasoning(row: _ReasoningRow) -> Reasoning:
    efforts = tuple(sorted(row.effort, key=_EFFORTS_DESCENDING.index))
    budget = row.budget_tokens
    can_be_off = row.toggle or budget is not None or "none" in efforts
    return Reasoning(
        supported=row.supported,
        efforts=efforts,
        budget_min=budget.min if budget is not None else None,
        budget_max=budget.max if budget is not None else None,
        toggle=row.toggle,
        mandatory=row.supported and bool(efforts) and not can_be_off,
    )


def with_presets(models: dict[ModelId, Model]) -> dict[ModelId, Model]:
    """Let slugs that preset an effort be served by the endpoints of the model they stand for.

    `o3-mini-high` is `o3-mini` with effort high. Its own endpoints stay where that model has none.
    """
    return {slug: _preset(model, models) for slug, model in models.items()}


def is_of_a_preset(model: Model, endpoint: Endpoint) -> bool:
    """Whether it is an endpoint of the model that this one stands for."""
    return model.preset_effort is not None and endpoint.id.endswith(_PRESET_MARK)


def _preset(model: Model, models: Mapping[ModelId, Model]) -> Model:
    if model.reasoning.efforts != (_PRESET_EFFORT,) or not model.id.endswith(_PRESET_SUFFIX):
        return model
    base = models.get(ModelId(model.id.removesuffix(_PRESET_SUFFIX)))
    if base is None:
        return model
    shared = [
        msgspec.structs.replace(
            endpoint, id=EndpointId(f"{endpoint.id}{_PRESET_MARK}"), model=model.id
        )
        for endpoint in base.endpoints
    ]
    served = {endpoint.provider for endpoint in shared}
    own = [
        endpoint
        for endpoint in model.endpoints
        if endpoint.provider not in served and not endpoint.id.endswith(_PRESET_MARK)
    ]
    return msgspec.structs.replace(
        model,
        endpoints=cheapest_first([*shared, *own]),
        expiration_date=base.expiration_date,
        preset_effort=_PRESET_EFFORT,
    )


def _provider(row: _ProviderRow) -> ProviderInfo:
    return ProviderInfo(
        slug=ProviderSlug(row.slug),
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        api_dialect=row.api_dialect,
        auth_type=row.auth.type,
        auth_header=row.auth.header or "",
        auth_env=tuple(row.auth.env),
        extra_headers=tuple(row.auth.extra_headers.items()),
        openai_compatible_base_url=row.openai_compatible_base_url,
        docs_url=row.docs_url,
        privacy_policy_url=row.privacy_policy_url,
        terms_of_service_url=row.terms_of_service_url,
        status_page_url=row.status_page_url,
        headquarters=row.headquarters,
        data_policy=row.data_policy,
        authors=tuple(row.authors),
        enabled_by_default=row.enabled_by_default,
    )
