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
from typing import Annotated, Final

import msgspec

from fairlead.core.usage import Usage
from fairlead.wire.openai_usage import TOKENS_MAX

__all__ = ["Counts", "read_counts", "usage_of"]

_Count = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]


class _OfKind(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """modality: a number comes from a server that was asked for numbers instead of words."""

    modality: str | int | None = None
    token_count: _Count = 0


_Kinds = tuple[_OfKind, ...] | None


class Counts(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """`usageMetadata`, as Google has it."""

    prompt_token_count: _Count | None = None
    candidates_token_count: _Count | None = None
    thoughts_token_count: _Count | None = None
    tool_use_prompt_token_count: _Count | None = None
    cached_content_token_count: _Count | None = None
    total_token_count: _Count | None = None
    prompt_tokens_details: _Kinds = None
    candidates_tokens_details: _Kinds = None
    tool_use_prompt_tokens_details: _Kinds = None
    cache_tokens_details: _Kinds = None
    service_tier: str | None = None
    traffic_type: str | int | None = None

    @property
    def tier(self) -> str | None:
        """The tier that served, in our words; None if the provider does not say."""
        traffic = self.traffic_type if isinstance(self.traffic_type, str) else ""
        return _TIERS.get(self.service_tier or "") or _TIERS.get(traffic)


_TIERS: Final[Mapping[str, str]] = {
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
}
_decode: Final = msgspec.json.Decoder(Counts).decode


def read_counts(raw: msgspec.Raw) -> Counts | None:
    """None for what cannot be read: an answer is not worth less because its counts make no sense."""
    if not raw:
        return None
    try:
        return _decode(raw)
    except (ValueError, RecursionError):
        return None


def usage_of(counts: Counts, *, web_searches: int = 0) -> Usage | None:
    """The counts in disjoint buckets, or None if there is none."""
    told_prompt, answer = counts.prompt_token_count, counts.candidates_token_count
    thoughts, total = counts.thoughts_token_count, counts.total_token_count
    if told_prompt is answer is thoughts is total is None:
        return None
    told_prompt = told_prompt or 0
    answer = answer or 0
    prompt = told_prompt + (counts.tool_use_prompt_token_count or 0)
    reasoning = thoughts or 0
    reasoning += max(0, (total or 0) - prompt - answer - reasoning)
    cache_read = min(told_prompt, counts.cached_content_token_count or 0)
    left = prompt - cache_read
    audio = image = video = 0
    if _has_media(counts.prompt_tokens_details) or counts.tool_use_prompt_tokens_details:
        audio = min(left, _fresh(counts, "AUDIO"))
        image = min(left - audio, _fresh(counts, "IMAGE"))
        video = min(left - audio - image, _fresh(counts, "VIDEO"))
    answer_image = answer_audio = 0
    if _has_media(counts.candidates_tokens_details):
        answer_image = min(answer, _of(counts.candidates_tokens_details, "IMAGE"))
        answer_audio = min(answer - answer_image, _of(counts.candidates_tokens_details, "AUDIO"))
    return Usage(
        prompt=left - audio - image - video,
        cache_read=cache_read,
        prompt_audio=audio,
        prompt_image=image,
        prompt_video=video,
        completion=answer - answer_image - answer_audio,
        reasoning=reasoning,
        completion_audio=answer_audio,
        completion_image=answer_image,
        web_searches=web_searches,
    )


def _fresh(counts: Counts, kind: str) -> int:
    """Tokens of one kind in the prompt that did not come from the cache."""
    told = _of(counts.prompt_tokens_details, kind) - _of(counts.cache_tokens_details, kind)
    return max(0, told + _of(counts.tool_use_prompt_tokens_details, kind))


_NUMBERS: Final[Mapping[str, int]] = {"IMAGE": 2, "VIDEO": 3, "AUDIO": 4}


def _of(kinds: _Kinds, kind: str) -> int:
    number = _NUMBERS[kind]
    return sum(one.token_count for one in kinds or () if one.modality in (kind, number))


def _has_media(kinds: _Kinds) -> bool:
    """Whether there is anything but text, which by far most answers have alone."""
    return any(one.modality not in ("TEXT", 1) for one in kinds or ())
