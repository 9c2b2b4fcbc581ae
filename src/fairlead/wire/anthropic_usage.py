"""Token counts in the Anthropic Messages format, into disjoint buckets and back.

There `input_tokens` is what was neither read from a cache nor written to one, so the prompt's buckets are
disjoint from the start; `output_tokens` holds the thinking, which `output_tokens_details` may tell apart.
In a stream counts are cumulative: what `message_delta` says replaces what `message_start` said.

`cache_creation` splits the tokens written by how long they are kept. After tools that ran at the provider
it can cover less than `cache_creation_input_tokens`; the rest was kept for the short time. The sum is never
taken from it where there is one.

`iterations` lists the turns of such a call. The sums cover those of type `message`; a `compaction` is
billed on top, at the same prices, and is added. What an advisor, another model, used is priced elsewhere
and is in no bucket.

Source: https://docs.claude.com/en/api/messages, `usage` (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.core.money import usd
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage

__all__ = [
    "TOKENS_MAX",
    "count_fields",
    "merged",
    "native_service_tier",
    "read_usage",
    "service_tier_of",
    "usage_fields",
]

# A count above this is not a count. The largest context known is 10 million tokens.
TOKENS_MAX: Final = 1_000_000_000

_NOTHING: Final[Mapping[str, object]] = {}


# --- as the provider reports ------------------------------------------------------------------------


def merged(earlier: Mapping[str, object], later: object) -> dict[str, object]:
    """What two reports of one stream say together: a later count replaces an earlier one, null does not."""
    fields = dict(earlier)
    if isinstance(later, dict):
        fields.update((name, value) for name, value in later.items() if value is not None)
    return fields


def read_usage(reported: Mapping[str, object]) -> Usage | None:
    """The provider's `usage` object as disjoint counts; None if it holds no count at all.

    Any value may be missing, null or of the wrong type: what is not a count is taken as absent.
    """
    usage = _read_one(reported)
    iterations = reported.get("iterations")
    if usage is None or not isinstance(iterations, list):
        return usage
    for iteration in iterations:
        if isinstance(iteration, dict) and iteration.get("type") == "compaction":
            usage = _with_compaction(usage, iteration)
    return usage


def service_tier_of(reported: Mapping[str, object]) -> str | None:
    """The tier that served the call, in our words: `standard` is `default`, and fast is `priority`."""
    if reported.get("speed") == "fast":
        return "priority"
    tier = reported.get("service_tier")
    if not isinstance(tier, str) or not tier:
        return None
    return "default" if tier == "standard" else tier


def _read_one(reported: Mapping[str, object]) -> Usage | None:
    prompt = _count(reported.get("input_tokens"))
    output = _count(reported.get("output_tokens"))
    if prompt is None and output is None:
        return None
    by_time = _object(reported, "cache_creation")
    for_an_hour = _count(by_time.get("ephemeral_1h_input_tokens")) or 0
    written = _count(reported.get("cache_creation_input_tokens"))
    if written is None:
        written = for_an_hour + (_count(by_time.get("ephemeral_5m_input_tokens")) or 0)
    for_an_hour = min(for_an_hour, written)
    output = output or 0
    details = _object(reported, "output_tokens_details")
    thinking = min(output, _count(details.get("thinking_tokens")) or 0)
    server_tools = _object(reported, "server_tool_use")
    return Usage(
        prompt=prompt or 0,
        cache_read=_count(reported.get("cache_read_input_tokens")) or 0,
        cache_write=written - for_an_hour,
        cache_write_1h=for_an_hour,
        completion=output - thinking,
        reasoning=thinking,
        web_searches=_count(server_tools.get("web_search_requests")) or 0,
    )


def _with_compaction(usage: Usage, iteration: Mapping[str, object]) -> Usage:
    more = _read_one(iteration)
    if more is None:
        return usage
    return Usage(
        prompt=usage.prompt + more.prompt,
        cache_read=usage.cache_read + more.cache_read,
        cache_write=usage.cache_write + more.cache_write,
        cache_write_1h=usage.cache_write_1h + more.cache_write_1h,
        completion=usage.completion + more.completion,
        reasoning=usage.reasoning + more.reasoning,
        web_searches=usage.web_searches,
    )


def _count(value: object) -> int | None:
    """A number of tokens, or None for anything else. JSON has no integers of its own: 12.0 is 12."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and 0 <= value <= TOKENS_MAX:
        return value
    return None


def _object(reported: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = reported.get(name)
    return found if isinstance(found, dict) else _NOTHING


# --- as we report -----------------------------------------------------------------------------------


def count_fields(usage: Usage, *, service_tier: str | None = None) -> dict[str, object]:
    """The `usage` object without its costs. service_tier: in our words."""
    return {
        "input_tokens": usage.prompt + usage.prompt_audio + usage.prompt_image + usage.prompt_video,
        "output_tokens": usage.completion_tokens,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "server_tool_use": {"web_search_requests": usage.web_searches, "web_fetch_requests": 0},
        "service_tier": native_service_tier(service_tier),
        "inference_geo": None,
    }


def usage_fields(
    usage: Usage, charge: Charge, *, is_byok: bool, service_tier: str | None = None
) -> dict[str, object]:
    """The documented `usage` object. Costs are dollars."""
    return {
        **count_fields(usage, service_tier=service_tier),
        "cost": usd(charge.total),
        "is_byok": is_byok,
        "cost_details": {
            "upstream_inference_cost": (None if charge.upstream is None else usd(charge.upstream)),
            "upstream_inference_prompt_cost": usd(charge.prompt),
            "upstream_inference_completions_cost": usd(charge.completion),
        },
    }


def native_service_tier(tier: str | None) -> str | None:
    """Our word for the tier that served a call in this format's: `default` is `standard`."""
    return "standard" if tier == "default" else tier
