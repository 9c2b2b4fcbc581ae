"""What a caller and an account wish of routing, in one value. Pure.

A request's `provider` object and the account's own settings are merged in `wishes.py`, once; `plan` sees only
the result. The account's lists are a ceiling: a request narrows them and never widens them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from fairlead.core.money import PicoUSD

__all__ = [
    "NO_ACCOUNT_WISHES",
    "NO_WISHES",
    "VARIANT_SORTS",
    "AccountPreferences",
    "Bounds",
    "Hedge",
    "MaxPrice",
    "Partition",
    "Preferences",
    "Sort",
]


class Sort(StrEnum):
    """By what endpoints are put in order, where the caller or a variant says so."""

    PRICE = "price"
    THROUGHPUT = "throughput"
    LATENCY = "latency"
    EXACTO = "exacto"


# The variants that stand for a sort.
VARIANT_SORTS: Final = {
    "nitro": Sort.THROUGHPUT,
    "floor": Sort.PRICE,
    "exacto": Sort.EXACTO,
}


class Partition(StrEnum):
    """Whether endpoints of different models are ordered apart or together."""

    MODEL = "model"
    NONE = "none"


class Bounds(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A wish about a percentile each: seconds or tokens per second. All that are given must hold."""

    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p99: float | None = None


class MaxPrice(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Picodollars per token, request, image or second of audio; an endpoint at the bound is kept."""

    prompt: PicoUSD | None = None
    completion: PicoUSD | None = None
    request: PicoUSD | None = None
    image: PicoUSD | None = None
    audio: PicoUSD | None = None


class Hedge(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Start a second endpoint when the first is slow to begin.

    after_s: how slow; None: the endpoint's own p95 time to the first token.
    """

    after_s: float | None = None


class Preferences(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, cache_hash=True):
    """All wishes about one call.

    order, only, ignore: provider names as the caller wrote them, lower case (slugs, tags or display names).
    allowed_providers, ignored_providers: the account's; allowed None: all. Same for models (slugs, and
        patterns with `*`).
    no_training: endpoints that may train on or keep prompts are out (`data_collection: deny`).
    zdr: endpoints that keep prompts at all are out. zdr_authors: the same for models of these authors.
    no_paid_training, no_free_training, no_free_publication: the account's switches; an unknown policy counts as
        the worst.
    region: "eu" or "us": only endpoints there.
    sort: the request's own; default_sort: the account's, which a variant or a service tier outweighs.
    """

    order: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    no_training: bool = False
    zdr: bool = False
    enforce_distillable_text: bool = False
    quantizations: tuple[str, ...] = ()
    sort: Sort | None = None
    partition: Partition = Partition.MODEL
    max_price: MaxPrice | None = None
    preferred_min_throughput: Bounds | None = None
    preferred_max_latency: Bounds | None = None
    hedge: Hedge | None = None
    continue_streams: bool = False
    region: str | None = None
    allowed_providers: tuple[str, ...] | None = None
    ignored_providers: tuple[str, ...] = ()
    allowed_models: tuple[str, ...] | None = None
    ignored_models: tuple[str, ...] = ()
    zdr_authors: tuple[str, ...] = ()
    no_paid_training: bool = False
    no_free_training: bool = False
    no_free_publication: bool = False
    default_sort: Sort | None = None


class AccountPreferences(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True
):
    """What an account has set for all of its calls. Names as in the public documentation.

    default_provider_order: tried first, in this order, by calls that say neither an order nor a sort.
    """

    allowed_providers: tuple[str, ...] | None = None
    ignored_providers: tuple[str, ...] = ()
    allowed_models: tuple[str, ...] | None = None
    ignored_models: tuple[str, ...] = ()
    data_collection_deny: bool = False
    zdr: bool = False
    enforce_zdr_authors: tuple[str, ...] = ()
    enable_paid_model_training: bool = True
    enable_free_model_training: bool = True
    enable_free_model_publication: bool = True
    enforce_distillable_text: bool = False
    default_provider_sort: Sort | None = None
    default_provider_order: tuple[str, ...] = ()
    default_model: str | None = None
    continue_streams: bool = False
    hedge: bool = False


NO_WISHES: Final = Preferences()
NO_ACCOUNT_WISHES: Final = AccountPreferences()
