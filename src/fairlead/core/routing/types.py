"""The vocabulary of a routing decision: what is asked, what is chosen, what is left out and why.

Nothing here holds a prompt: `Traits` are what routing may know of one, so that a decision can be stored,
explained and made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD

__all__ = [
    "INSTALLATION",
    "Access",
    "Choice",
    "Opening",
    "Plan",
    "Question",
    "Removal",
    "Removed",
    "Target",
    "Traits",
    "Warm",
    "Why",
]


class Traits(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What routing knows of a request.

    prompt_tokens, completion_tokens: estimates, for comparing prices only.
    characters: length of all text, at most; exact where that decides.
    max_tokens: the caller's limit on the answer. is_ceiling: it is lowered to what an endpoint writes, not
        demanded of it.
    modalities: what the messages hold besides text. parameters: those asked for, by their catalogue names;
        both sorted.
    """

    capability: Capability
    prompt_tokens: int
    completion_tokens: int
    characters: int
    max_tokens: int | None = None
    is_ceiling: bool = False
    modalities: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    service_tier: str | None = None

    @property
    def has_tools(self) -> bool:
        return "tools" in self.parameters


class Target(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One model to serve the request with, and the dynamic variants it was asked with."""

    model: ModelId
    variants: tuple[str, ...] = ()


class Warm(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where this conversation's prompt cache is warm. cached_tokens: what it is expected to read there."""

    endpoint: EndpointId
    cached_tokens: int = 0


class Opening(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One credential that opens a provider.

    key: the id of the caller's own credential; None: the installation's.
    region: where it leads, "eu" or "us"; None: not known, or anywhere.
    is_fallback: after the installation's own. is_exclusive: in place of it.
    models: the only models it is for; None: all.
    """

    key: str | None = None
    region: str | None = None
    is_fallback: bool = False
    is_exclusive: bool = False
    models: tuple[str, ...] | None = None


# A provider that only the installation has a credential for, whatever the model: almost all of them.
INSTALLATION: Final = (Opening(),)

# What opens each provider, in the order of trying; a provider that is absent cannot be asked.
Access = Mapping[ProviderSlug, tuple[Opening, ...]]


class Question(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One request as routing sees it. targets: in the caller's order, at least one."""

    targets: tuple[Target, ...]
    traits: Traits
    warm: Warm | None = None


class Removal(StrEnum):
    """Why an endpoint is not in the plan."""

    NO_CREDENTIAL = "no_credential"
    NO_ADAPTER = "no_adapter"  # we do not speak this capability of the provider
    UNPRICED = "unpriced"
    ACCOUNT_PROVIDERS = "account_providers"  # not on the account's list, or on its ignore list
    ACCOUNT_MODELS = "account_models"
    NOT_ALLOWED = "not_allowed"  # `only` does not name it
    IGNORED = "ignored"
    DATA_POLICY = "data_policy"  # keeps or trains on prompts, or nobody knows
    ZDR = "zdr"
    REGION = "region"
    DISTILLABLE = "distillable"
    QUANTIZATION = "quantization"
    MAX_PRICE = "max_price"
    MODALITY = "modality"
    CONTEXT_LENGTH = "context_length"
    MAX_TOKENS = "max_tokens"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    SERVICE_TIER = (
        "service_tier"  # an endpoint of a tier that was not asked for, or not of the one that was
    )
    VARIANT = "variant"
    FALLBACKS_OFF = "fallbacks_off"


class Why(StrEnum):
    """What put a choice where it is: the rule that decided against the next one."""

    OWN_KEY = "own_key"
    STICKY = "sticky"
    ORDER = "order"
    TIER = "tier"
    SORT = "sort"
    QUALITY = "quality"
    DRAWN = "drawn"
    PRICE = "price"
    MODEL = "model"  # of a later model of the caller's list
    THRESHOLD = "threshold"  # misses a preferred latency or throughput
    DEPRECATED = "deprecated"
    STANDING = "standing"  # others are healthier


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One endpoint to try. key: whose credential; price: expected of this request, picodollars.

    is_probe: it was down, and this call finds out whether it still is.
    """

    endpoint: Endpoint
    key: str | None
    price: PicoUSD
    why: Why
    is_probe: bool = False


class Removed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One endpoint that will not be tried. detail: what was seen against what was wanted, for people."""

    model: ModelId
    endpoint: EndpointId
    reason: Removal
    detail: str = ""


class Plan(msgspec.Struct, frozen=True, gc=False):
    """Choices, best first; and what will not be tried. Every endpoint of every target is in one of the two."""

    choices: tuple[Choice, ...]
    removed: tuple[Removed, ...]
