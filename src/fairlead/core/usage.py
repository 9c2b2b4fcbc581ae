"""What a call used, in disjoint buckets, whatever the provider's own arithmetic.

Providers disagree: some count cached tokens inside the prompt and some beside it, some count reasoning
inside the completion and some on top. That is settled once, where the answer is read; from then on no
token is in two buckets and none is missing.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["Usage", "UsageSource"]


class UsageSource(StrEnum):
    """Where the counts come from."""

    REPORTED = "reported"  # by the provider
    ESTIMATED = "estimated"  # by our own tokenizer, because the provider sent none
    NONE = "none"  # nothing was produced and nothing was reported


class Usage(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Counts of one generation; all >= 0. Kept by position, as core.generation.Generation is.

    Prompt side: prompt, cache_read, cache_write, cache_write_1h, prompt_audio, prompt_image,
        prompt_video. `prompt` is whatever has no bucket of its own: uncached text, normally.
    Completion side: completion (visible text), reasoning, completion_audio, completion_image.
    Not tokens: requests, web_searches.
    Notes about tokens that are counted above already: accepted_prediction, rejected_prediction.
    """

    prompt: int = 0
    cache_read: int = 0
    cache_write: int = 0  # kept for the provider's short time, 5 minutes where it has a choice
    cache_write_1h: int = 0
    prompt_audio: int = 0
    prompt_image: int = 0
    prompt_video: int = 0
    completion: int = 0
    reasoning: int = 0
    completion_audio: int = 0
    completion_image: int = 0
    requests: int = 1
    web_searches: int = 0
    accepted_prediction: int = 0
    rejected_prediction: int = 0
    source: UsageSource = UsageSource.REPORTED

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached ones included."""
        return (
            self.prompt
            + self.cache_read
            + self.cache_write
            + self.cache_write_1h
            + self.prompt_audio
            + self.prompt_image
            + self.prompt_video
        )

    @property
    def completion_tokens(self) -> int:
        """All tokens produced, reasoning included."""
        return self.completion + self.reasoning + self.completion_audio + self.completion_image

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens
