"""Models, endpoints and providers: one immutable snapshot, swapped as a whole.

A call sees one snapshot from its first byte to its settlement, so a change of prices or models in the
middle of a call cannot split it. Reading the package's data files into a snapshot is
`catalog_data.py`'s story; this file is what the rest of the program sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

import msgspec

from fairlead.core.catalog_quality import Record
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet

__all__ = [
    "DYNAMIC_VARIANTS",
    "PARAMETERS",
    "Contender",
    "DataPolicy",
    "Endpoint",
    "EndpointStatus",
    "Family",
    "Modality",
    "Model",
    "ModelKind",
    "ProviderInfo",
    "Reasoning",
    "Resolved",
    "Snapshot",
    "TierPrices",
    "UnknownModel",
]

NEAR_NAMES_MAX: Final = 3
NEAR_CHARACTERS_MAX: Final = 100  # of a wrong name are compared; the longest right one has 56

# Suffixes that work on every model because they change the order or add a plugin, not the endpoints.
DYNAMIC_VARIANTS: Final = frozenset({"nitro", "floor", "online", "exacto", "beta"})

# The words that `supported_parameters` may hold: the public vocabulary, closed.
PARAMETERS: Final = frozenset(
    {
        "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty",
        "repetition_penalty", "max_tokens", "max_completion_tokens", "logit_bias", "logprobs",
        "top_logprobs", "prediction", "seed", "response_format", "structured_outputs", "stop", "tools",
        "tool_choice", "parallel_tool_calls", "include_reasoning", "reasoning", "reasoning_effort",
        "web_search_options", "verbosity",
    }
)  # fmt: skip


class ModelKind(StrEnum):
    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    IMAGE = "image"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"


class Modality(StrEnum):
    TEXT = "text"
    IMAGE = "image"
    FILE = "file"
    AUDIO = "audio"
    VIDEO = "video"


class EndpointStatus(StrEnum):
    ACTIVE = "active"
    DEPRECATED = "deprecated"  # routable, but others first
    UNPRICED = "unpriced"  # the id is known, a price is not: never routed to


class Reasoning(msgspec.Struct, frozen=True):
    """How a model takes reasoning settings. efforts: accepted levels, highest first; empty = no choice."""

    supported: bool = False
    efforts: tuple[str, ...] = ()
    budget_min: int | None = None
    budget_max: int | None = None
    toggle: bool = False
    mandatory: bool = False


class DataPolicy(msgspec.Struct, frozen=True):
    """None means not known, which privacy filters treat as the worst case."""

    trains_on_prompts: bool | None = None
    retains_prompts: bool | None = None
    retention_days: int | None = None

    @property
    def keeps_nothing(self) -> bool:
        """Neither retains prompts nor trains on them, as far as is known."""
        return self.retains_prompts is False and self.trains_on_prompts is False


class ProviderInfo(msgspec.Struct, frozen=True):
    slug: ProviderSlug
    name: str
    kind: str  # lab, cloud, host, aggregator, local, sandbox
    base_url: str
    api_dialect: str
    auth_type: str
    auth_header: str
    auth_env: tuple[str, ...]
    extra_headers: tuple[tuple[str, str], ...] = ()
    openai_compatible_base_url: str | None = None
    docs_url: str | None = None
    privacy_policy_url: str | None = None
    terms_of_service_url: str | None = None
    status_page_url: str | None = None
    headquarters: str | None = None
    datacenters: tuple[str, ...] | None = None
    data_policy: DataPolicy = DataPolicy()
    authors: tuple[str, ...] = ()
    enabled_by_default: bool = True


class TierPrices(msgspec.Struct, frozen=True):
    """What a service tier (batch, flex, priority) costs: prices that replace the sheet's, by name."""

    tier: str
    prices: dict[str, PicoUSD]


class Endpoint(msgspec.Struct, frozen=True):
    """One offer: a model at a provider, with its price, limits and abilities.

    tag: provider slug, with a suffix (region, variant, tier) where one provider has several.
    context_length: tokens; 0 where it is not known.
    price_version: names the price sheet for ever; every generation says which one priced it.
    deprecation_date: when the provider switches it off, or did; "YYYY-MM-DD".
    reasoning: the model's, repeated here because adapters see only the endpoint.
    tier: "priority" or "flex" where the provider is asked for that service tier; None: the usual one.
    data_region: "eu" or "us" where the endpoint promises to answer there; None: not known, or anywhere.
    default_prices: of an endpoint of a tier, the sheet that holds when the provider did not serve the tier.
    """

    id: EndpointId
    model: ModelId
    provider: ProviderSlug
    tag: str
    provider_model_id: str
    context_length: int
    max_completion_tokens: int | None
    max_prompt_tokens: int | None
    quantization: str
    prices: PriceSheet
    price_version: str
    supported_parameters: frozenset[str]
    status: EndpointStatus = EndpointStatus.ACTIVE
    deprecation_date: str | None = None
    service_tiers: tuple[TierPrices, ...] = ()
    reasoning: Reasoning = Reasoning()
    tier: str | None = None
    data_region: str | None = None
    default_prices: PriceSheet | None = None


class Model(msgspec.Struct, frozen=True):
    """A model and every endpoint that offers it.

    created: Unix seconds; 0 where no release date is known.
    context_length: tokens; 0 where it is not known.
    endpoints: cheapest routable first: active, then deprecated, then unpriced; by price within each. Those
        of service tiers come last: see `usual_endpoints`.
    expiration_date: after this day ("YYYY-MM-DD") the model may be gone: its author's own endpoint, or
        every endpoint, is switched off by then.
    preset_effort: this slug is another model with a reasoning effort preset, as `o3-mini-high`.
    """

    id: ModelId
    canonical_slug: str
    name: str
    short_name: str
    author: str
    kind: ModelKind
    created: int
    description: str
    context_length: int
    max_completion_tokens: int | None
    modality: str
    input_modalities: frozenset[str]
    output_modalities: tuple[str, ...]
    tokenizer: str
    instruct_type: str | None
    knowledge_cutoff: str | None
    hugging_face_id: str | None
    reasoning: Reasoning
    supported_parameters: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    expiration_date: str | None = None
    preset_effort: str | None = None
    open_weights: bool | None = None
    family: str | None = None

    @property
    def usual_endpoints(self) -> tuple[Endpoint, ...]:
        """Those that are not of a service tier: what the model offers whoever asks for nothing special."""
        return tuple(one for one in self.endpoints if one.tier is None)


class Contender(msgspec.Struct, frozen=True, gc=False):
    """A chat model as routers compare it.

    price: picodollars of three prompt tokens and one of completion, at its cheapest endpoint.
    quality: 0 to 1, among all contenders.
    abilities: the parameters that some endpoint supports, and `in:image` and the like for what it reads.
    context_length: tokens, of the most generous endpoint; 0 where it is not known. max_completion_tokens:
        the same; None: no bound is known.
    free_at: the providers that charge nothing for it.
    """

    model: ModelId
    price: int
    quality: float
    abilities: frozenset[str]
    context_length: int
    max_completion_tokens: int | None
    providers: frozenset[ProviderSlug]
    free_at: frozenset[ProviderSlug]
    is_sandbox: bool


class Family(msgspec.Struct, frozen=True, gc=False):
    """alias: `~author/family-latest`, in lower case. newest: the model that it means. is_listed: shown
    among the models, because there is more than one to choose from, and its author serves them."""

    alias: str
    newest: ModelId
    is_listed: bool


class Resolved(msgspec.Struct, frozen=True, gc=False):
    """What a requested name means. variants: dynamic suffixes, in the order given, without colons."""

    model: Model
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownModel:
    """No model has this name. near: names that were perhaps meant, best first."""

    name: str
    near: tuple[ModelId, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All models and providers at one moment.

    names: every accepted name in lower case to a model id: ids, canonical slugs, aliases, and bare slugs
        ("o1") that only one author uses.
    records: what benchmarks say of models; many have none.
    families: aliases such as `~anthropic/claude-opus-latest`, in lower case, and what they mean today.
    contenders: chat models, cheapest first, for routers to choose from.
    hidden: models that the operator hid; they are not among `models`, and what was counted of them is told
        without their names.
    routing: what routing works out of a model once and keeps, at most one value for each; see routing/index.py.
    """

    version: str
    as_of: str
    models: Mapping[ModelId, Model]
    providers: Mapping[ProviderSlug, ProviderInfo]
    names: Mapping[str, ModelId]
    records: Mapping[ModelId, Record] = field(default_factory=dict)
    families: Mapping[str, Family] = field(default_factory=dict)
    contenders: tuple[Contender, ...] = ()
    hidden: frozenset[ModelId] = frozenset()
    routing: dict[ModelId, object] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def resolve(self, name: str) -> Resolved | UnknownModel:
        """The model and variants that a name stands for. A static variant is a model of its own."""
        found = self.names.get(name)
        if found is not None:
            return Resolved(self.models[found])
        base = name.lower()
        variants: list[str] = []
        while True:
            found = self.names.get(base)
            if found is not None:
                return Resolved(self.models[found], tuple(reversed(variants)))
            base, colon, suffix = base.rpartition(":")
            if not colon or suffix not in DYNAMIC_VARIANTS:
                return UnknownModel(name, self._near(name))
            variants.append(suffix)

    def _near(self, name: str) -> tuple[ModelId, ...]:
        """Ids like this name. Bounded work: wrong names come at the rate of right ones."""
        wanted = name.lower().partition(":")[0][:NEAR_CHARACTERS_MAX]
        author, slash, _ = wanted.partition("/")
        if not slash:
            candidates = {slug.partition("/")[2]: slug for slug in self.models}
        else:
            candidates = {slug: slug for slug in self.models if slug.startswith(f"{author}/")}
            candidates = candidates or {slug: slug for slug in self.models}
        close = get_close_matches(wanted, candidates, n=NEAR_NAMES_MAX, cutoff=0.6)
        return tuple(candidates[match] for match in close)
