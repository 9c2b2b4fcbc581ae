"""Reasons of a routing decision, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.core.routing.types import Removal, Why

__all__ = ["REMOVALS", "WHYS"]

REMOVALS: Final[Mapping[Removal, str]] = {
    Removal.NO_CREDENTIAL: "No credential for this provider is configured here.",
    Removal.NO_ADAPTER: "This version does not speak to this provider in this way.",
    Removal.UNPRICED: "Its price is not known, and nothing is sent where the price is not known.",
    Removal.ACCOUNT_PROVIDERS: "The account's settings leave this provider out.",
    Removal.ACCOUNT_MODELS: "The account's settings leave this model out.",
    Removal.NOT_ALLOWED: "The request names the only providers to use, and not this one.",
    Removal.IGNORED: "The request leaves this provider out.",
    Removal.DATA_POLICY: "It keeps prompts or trains on them, or nobody knows.",
    Removal.ZDR: "Only endpoints that keep nothing are allowed, and it is not known to be one.",
    Removal.REGION: "It is not known to be in the region that is demanded.",
    Removal.DISTILLABLE: "The model's author does not allow others to be trained on what it writes.",
    Removal.QUANTIZATION: "Its quantization is none of those asked for.",
    Removal.MAX_PRICE: "It costs more than the request allows.",
    Removal.MODALITY: "It cannot read what the messages hold.",
    Removal.CONTEXT_LENGTH: "The request is too long for it.",
    Removal.MAX_TOKENS: "It cannot write as many tokens as the request asks for.",
    Removal.UNSUPPORTED_PARAMETER: "It does not support a parameter of the request that others do, or that is"
    " required.",
    Removal.SERVICE_TIER: "It is of another service tier than was asked for.",
    Removal.VARIANT: "It is not of the variant that was asked for.",
    Removal.FALLBACKS_OFF: "The request allows no fallback, and others come first.",
}

WHYS: Final[Mapping[Why, str]] = {
    Why.OWN_KEY: "The caller's own credential opens it.",
    Why.STICKY: "The conversation's prompt cache is warm there.",
    Why.ORDER: "The request names it in its order.",
    Why.TIER: "It is of the service tier that was asked for.",
    Why.SORT: "It does better by the measure that the request sorts by.",
    Why.QUALITY: "Its tool calls are sound more often than those of the next.",
    Why.DRAWN: "It was drawn, cheap endpoints more often than dear ones.",
    Why.PRICE: "It comes by its price: what the request is expected to cost there.",
    Why.MODEL: "It serves a model further down in the list of models.",
    Why.THRESHOLD: "It misses a preferred latency or throughput.",
    Why.DEPRECATED: "Its provider is about to switch it off.",
    Why.STANDING: "Others are healthier.",
}
