"""Google's token counts as disjoint ones.

`totalTokenCount` = `promptTokenCount` + `candidatesTokenCount` + `thoughtsTokenCount` +
`toolUsePromptTokenCount`. Cached tokens are inside the prompt's; thoughts are beside the answer's; what tools
of Google's own read is beside the prompt, and is prompt to us. Details tell the kinds apart: those of the
prompt include cached tokens, whose own kinds are in `cacheTokensDetails`.

The total is believed: what it has more than the sums is counted as thought.

Source: https://ai.google.dev/api/generate-content#UsageMetadata (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.core.usage import Usage
from fairlead.wire.openai_usage import TOKENS_MAX

__all__ = ["read_usage", "service_tier_of"]

Reported = Mapping[str, object]

# Numbers instead of words come from a server that was asked for them.
_MODALITIES: Final[Mapping[object, str]] = {2: "IMAGE", 3: "VIDEO", 4: "AUDIO"}


def read_usage(reported: Reported, *, web_searches: int = 0) -> Usage | None:
    """The counts, or None if there is none. What is not a count is taken as absent."""
    told_prompt = _count(reported, "promptTokenCount")
    told_answer = _count(reported, "candidatesTokenCount")
    total = _count(reported, "totalTokenCount")
    thoughts = _count(reported, "thoughtsTokenCount")
    if told_prompt is None and told_answer is None and total is None and thoughts is None:
        return None
    of_tools = _count(reported, "toolUsePromptTokenCount") or 0
    prompt = (told_prompt or 0) + of_tools
    answer = told_answer or 0
    reasoning = thoughts or 0
    reasoning += max(0, (total or 0) - prompt - answer - reasoning)

    cache_read = min(told_prompt or 0, _count(reported, "cachedContentTokenCount") or 0)
    left = prompt - cache_read
    kinds = _kinds(reported, "promptTokensDetails")
    cached_kinds = _kinds(reported, "cacheTokensDetails")
    tool_kinds = _kinds(reported, "toolUsePromptTokensDetails")
    prompts: dict[str, int] = {}
    for kind in ("AUDIO", "IMAGE", "VIDEO"):
        fresh = kinds.get(kind, 0) - cached_kinds.get(kind, 0) + tool_kinds.get(kind, 0)
        prompts[kind] = max(0, min(left, fresh))
        left -= prompts[kind]

    answer_kinds = _kinds(reported, "candidatesTokensDetails")
    completion_image = min(answer, answer_kinds.get("IMAGE", 0))
    completion_audio = min(answer - completion_image, answer_kinds.get("AUDIO", 0))
    return Usage(
        prompt=left,
        cache_read=cache_read,
        prompt_audio=prompts["AUDIO"],
        prompt_image=prompts["IMAGE"],
        prompt_video=prompts["VIDEO"],
        completion=answer - completion_image - completion_audio,
        reasoning=reasoning,
        completion_audio=completion_audio,
        completion_image=completion_image,
        web_searches=web_searches,
    )


_TIERS: Final[Mapping[str, str]] = {
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
}


def service_tier_of(reported: Reported) -> str | None:
    """The tier that served, in our words; None if the provider does not say."""
    for name in ("serviceTier", "trafficType"):
        told = reported.get(name)
        if isinstance(told, str) and told in _TIERS:
            return _TIERS[told]
    return None


def _count(reported: Reported, name: str) -> int | None:
    value = reported.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= TOKENS_MAX else None


def _kinds(reported: Reported, name: str) -> dict[str, int]:
    kinds: dict[str, int] = {}
    details = reported.get(name)
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            told = detail.get("modality")
            kind = _MODALITIES.get(told) or told
            if isinstance(kind, str):
                kinds[kind] = kinds.get(kind, 0) + (_count(detail, "tokenCount") or 0)
    return kinds
