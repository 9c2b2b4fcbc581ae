"""Token counts in the OpenAI format: a provider's arithmetic in, the documented object out.

Reading. Providers agree on names and disagree on sums. Most count cached prompt tokens inside
`prompt_tokens` and reasoning inside `completion_tokens`; some count reasoning, or audio input, beside
them, and a few hide it in `total_tokens` alone. The total settles it: whatever the total has more than
prompt plus completion is put where the details say it belongs, and counts as reasoning where they say
nothing. So the buckets always add up to the provider's own total, and no token is free or paid twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from fairlead.core.money import usd
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage

__all__ = [
    "TOKENS_MAX",
    "DocumentedUsage",
    "WrittenUsage",
    "read_cost_usd",
    "read_usage",
    "written_usage",
]

# A count above this is not a count. The largest context known is 10 million tokens.
TOKENS_MAX: Final = 1_000_000_000

_NOTHING: Final[Mapping[str, object]] = {}


def read_usage(reported: Mapping[str, object]) -> Usage | None:
    """The provider's `usage` object as disjoint counts; None if it holds no count at all.

    Any value may be missing, null or of the wrong type: what is not a count is taken as absent.
    """
    return _read_documented(reported) or _read_any(reported)


_Count = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]


class _PromptDetails(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Count = 0
    audio_tokens: _Count = 0


class _CompletionDetails(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: _Count = 0
    audio_tokens: _Count = 0
    accepted_prediction_tokens: _Count = 0
    rejected_prediction_tokens: _Count = 0


class DocumentedUsage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Usage exactly as OpenAI documents it. Groq adds how many seconds it took, which is nobody's usage."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    queue_time: float | None = None
    prompt_time: float | None = None
    completion_time: float | None = None
    total_time: float | None = None

    def disjoint(self) -> Usage | None:
        """The same as disjoint counts; None if its sums do not agree, so that only `_read_any` can tell."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        if prompt + completion != self.total_tokens:
            return None
        of_prompt = self.prompt_tokens_details or _NO_PROMPT_DETAILS
        of_completion = self.completion_tokens_details or _NO_COMPLETION_DETAILS
        cached, prompt_audio = of_prompt.cached_tokens, of_prompt.audio_tokens
        reasoning, completion_audio = of_completion.reasoning_tokens, of_completion.audio_tokens
        if cached + prompt_audio > prompt or reasoning + completion_audio > completion:
            return None
        return Usage(
            prompt=prompt - cached - prompt_audio,
            cache_read=cached,
            prompt_audio=prompt_audio,
            completion=completion - reasoning - completion_audio,
            reasoning=reasoning,
            completion_audio=completion_audio,
            accepted_prediction=of_completion.accepted_prediction_tokens,
            rejected_prediction=of_completion.rejected_prediction_tokens,
        )


_NO_PROMPT_DETAILS: Final = _PromptDetails()
_NO_COMPLETION_DETAILS: Final = _CompletionDetails()


def _read_documented(reported: Mapping[str, object]) -> Usage | None:
    """What `_read_any` says, in a fraction of the time. None: it is not the documented form."""
    try:
        return msgspec.convert(reported, DocumentedUsage).disjoint()
    except msgspec.ValidationError:
        return None


def _read_any(reported: Mapping[str, object]) -> Usage | None:
    """As `read_usage`, whoever reports."""
    prompt = _first_count(reported, "prompt_tokens", "input_tokens")
    completion = _first_count(reported, "completion_tokens", "output_tokens")
    total = _count(reported.get("total_tokens"))
    if prompt is None and completion is None and total is None:
        return None
    prompt = prompt or 0
    completion = completion or 0
    prompt_details = _details(
        reported, "prompt_tokens_details", "prompt_token_details", "input_tokens_details"
    )
    completion_details = _details(
        reported, "completion_tokens_details", "completion_token_details", "output_tokens_details"
    )
    reasoning = (
        _first_count(completion_details, "reasoning_tokens")
        or _first_count(reported, "reasoning_tokens")
        or 0
    )
    prompt_audio = _first_count(prompt_details, "audio_tokens") or 0

    # What the total has on top of the two sums.
    beside = max(0, (total or 0) - prompt - completion)
    if beside:
        if reasoning and (beside == reasoning or reasoning > completion):
            completion += beside
        elif prompt_audio and beside == prompt_audio:
            prompt += beside
        else:
            completion += beside
            reasoning += beside
    elif total is None and reasoning > completion:
        completion += reasoning  # nothing to go by but this: it cannot be inside

    left = prompt
    cache_read = min(left, _cached(reported, prompt_details))
    left -= cache_read
    cache_write_1h, cache_write = _written(reported, prompt_details)
    cache_write_1h = min(left, cache_write_1h)
    left -= cache_write_1h
    cache_write = min(left, cache_write)
    left -= cache_write
    prompt_audio = min(left, prompt_audio)
    left -= prompt_audio
    prompt_image = min(left, _first_count(prompt_details, "image_tokens") or 0)
    left -= prompt_image
    prompt_video = min(left, _first_count(prompt_details, "video_tokens") or 0)
    left -= prompt_video

    visible = completion
    reasoning = min(visible, reasoning)
    visible -= reasoning
    completion_audio = min(visible, _first_count(completion_details, "audio_tokens") or 0)
    visible -= completion_audio
    completion_image = min(visible, _first_count(completion_details, "image_tokens") or 0)
    visible -= completion_image

    return Usage(
        prompt=left,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=cache_write_1h,
        prompt_audio=prompt_audio,
        prompt_image=prompt_image,
        prompt_video=prompt_video,
        completion=visible,
        reasoning=reasoning,
        completion_audio=completion_audio,
        completion_image=completion_image,
        web_searches=_web_searches(reported),
        accepted_prediction=_first_count(completion_details, "accepted_prediction_tokens") or 0,
        rejected_prediction=_first_count(completion_details, "rejected_prediction_tokens") or 0,
    )


def read_cost_usd(reported: Mapping[str, object]) -> float | None:
    """What the provider says it charged, in dollars; None if it does not say.

    `cost` is a number, or an object with `total_cost`; `estimated_cost` is a third spelling.
    """
    cost = reported.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if cost is None:
        cost = reported.get("estimated_cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        return None
    return float(cost) if 0 <= cost < TOKENS_MAX else None


class _WrittenPromptDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: int
    cache_write_tokens: int
    audio_tokens: int
    image_tokens: int
    video_tokens: int


class _WrittenCompletionDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: int
    audio_tokens: int
    image_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class _WrittenCosts(msgspec.Struct, frozen=True, gc=False):
    upstream_inference_cost: float | None
    upstream_inference_prompt_cost: float
    upstream_inference_completions_cost: float


class _WrittenServerTools(msgspec.Struct, frozen=True, gc=False):
    tool_calls_requested: int
    tool_calls_executed: int
    web_search_requests: int


class WrittenUsage(msgspec.Struct, frozen=True, gc=False):
    """The documented `usage` object. Costs are dollars.

    Server tools appear under both documented names, because clients of either exist.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _WrittenPromptDetails
    completion_tokens_details: _WrittenCompletionDetails
    cost: float
    is_byok: bool
    cost_details: _WrittenCosts
    server_tool_use: _WrittenServerTools
    server_tool_use_details: _WrittenServerTools


def written_usage(usage: Usage, charge: Charge, *, is_byok: bool) -> WrittenUsage:
    """What a caller is told of one generation."""
    prompt_tokens, completion_tokens = usage.prompt_tokens, usage.completion_tokens
    searches = usage.web_searches
    server_tools = _WrittenServerTools(searches, searches, searches)
    return WrittenUsage(
        prompt_tokens,
        completion_tokens,
        prompt_tokens + completion_tokens,
        _WrittenPromptDetails(
            cached_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write + usage.cache_write_1h,
            audio_tokens=usage.prompt_audio,
            image_tokens=usage.prompt_image,
            video_tokens=usage.prompt_video,
        ),
        _WrittenCompletionDetails(
            reasoning_tokens=usage.reasoning,
            audio_tokens=usage.completion_audio,
            image_tokens=usage.completion_image,
            accepted_prediction_tokens=usage.accepted_prediction,
            rejected_prediction_tokens=usage.rejected_prediction,
        ),
        cost=usd(charge.total),
        is_byok=is_byok,
        cost_details=_WrittenCosts(
            None if charge.upstream is None else usd(charge.upstream),
            usd(charge.prompt),
            usd(charge.completion),
        ),
        server_tool_use=server_tools,
        server_tool_use_details=server_tools,
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


def _first_count(fields: Mapping[str, object], *names: str) -> int | None:
    for name in names:
        found = _count(fields.get(name))
        if found is not None:
            return found
    return None


def _details(reported: Mapping[str, object], *names: str) -> Mapping[str, object]:
    for name in names:
        found = reported.get(name)
        if isinstance(found, dict):
            return found
    return _NOTHING


def _cached(reported: Mapping[str, object], details: Mapping[str, object]) -> int:
    return (
        _first_count(details, "cached_tokens", "cache_read_tokens")
        or _first_count(
            reported,
            "cached_tokens",
            "num_cached_tokens",
            "prompt_cache_hit_tokens",
            "cache_read_input_tokens",
        )
        or 0
    )


def _written(reported: Mapping[str, object], details: Mapping[str, object]) -> tuple[int, int]:
    """Tokens written to a cache: (for an hour, for the short time)."""
    written = (
        _first_count(details, "cache_write_tokens", "cache_creation_tokens")
        or _first_count(reported, "cache_creation_input_tokens")
        or 0
    )
    by_time = _details(details, "cache_creation_token_details", "cache_creation")
    for_an_hour = min(written, _first_count(by_time, "ephemeral_1h_input_tokens") or 0)
    return for_an_hour, written - for_an_hour


def _web_searches(reported: Mapping[str, object]) -> int:
    tools = _details(reported, "server_tool_use_details", "server_tool_use")
    return (
        _first_count(tools, "web_search_requests")
        or _first_count(reported, "num_search_queries")
        or 0
    )
