"""Reasoning settings as Google's `thinkingConfig`.

A model thinks by a level or within a budget, never both. An effort becomes the nearest level, or a share of
the token limit; a budget stays one. Thoughts come with the answer unless the caller hides them.

Source: https://ai.google.dev/gemini-api/docs/thinking (read 2026-11-21).
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ReasoningSettings
from fairlead.core.errors import RequestInvalid
from fairlead.providers.google_models import Generation
from fairlead.providers.openai_reasoning import budget_of, effort_of

__all__ = ["thinking_config"]

_TOKEN_LIMIT_ASSUMED: Final = 32_000  # where neither caller nor catalogue names a limit


def thinking_config(
    settings: ReasoningSettings | None,
    endpoint: Endpoint,
    generation: Generation,
    *,
    token_limit: int | None,
) -> dict[str, object]:
    """The fields of `thinkingConfig`; none where the model does not think, or nobody asked.

    Raises RequestInvalid if thinking is to be off on a model that always thinks.
    """
    if not _thinks(settings, endpoint):
        return {}
    settings = settings or ReasoningSettings()
    is_off = settings.effort == "none" or settings.enabled is False or settings.max_tokens == 0
    if is_off and endpoint.reasoning.mandatory:
        raise RequestInvalid(
            "This model always reasons: its reasoning cannot be switched off.",
            param="reasoning.effort" if settings.effort == "none" else "reasoning",
        )
    config: dict[str, object] = {}
    if not (is_off or settings.exclude):
        config["includeThoughts"] = True
    if is_off or settings.effort or settings.max_tokens or settings.enabled:
        limit = token_limit or endpoint.max_completion_tokens or _TOKEN_LIMIT_ASSUMED
        if generation.thinks_in_levels and not settings.max_tokens:
            config["thinkingLevel"] = _level(settings, endpoint, generation, limit, is_off=is_off)
        else:
            config["thinkingBudget"] = _budget(settings, endpoint, limit, is_off=is_off)
    return config


def _thinks(settings: ReasoningSettings | None, endpoint: Endpoint) -> bool:
    """An endpoint of which nothing is known thinks if the caller says so."""
    if endpoint.reasoning.supported:
        return True
    supported = endpoint.supported_parameters
    if supported:
        return bool(supported & {"reasoning", "reasoning_effort"})
    return settings is not None


def _level(
    settings: ReasoningSettings,
    endpoint: Endpoint,
    generation: Generation,
    limit: int,
    *,
    is_off: bool,
) -> str:
    """One of the model's levels. Few can be switched off: the lowest is what there is."""
    known = tuple(effort for effort in endpoint.reasoning.efforts if effort != "max")
    model = msgspec.structs.replace(endpoint.reasoning, efforts=known or generation.levels)
    level = effort_of(settings, model, limit, is_off=is_off)
    return "minimal" if level == "none" else level


def _budget(settings: ReasoningSettings, endpoint: Endpoint, limit: int, *, is_off: bool) -> int:
    if not is_off:
        return budget_of(settings, endpoint.reasoning, limit)
    # Off is 0, but to a model that has no switch and must think a little.
    return 0 if endpoint.reasoning.toggle else endpoint.reasoning.budget_min or 0
