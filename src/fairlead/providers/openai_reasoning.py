"""Reasoning settings, as each provider of the OpenAI format takes them.

Callers give an effort, a budget, or a switch; providers take one of these. What does not fit is
translated: an effort to the nearest that the model has, an effort to a share of the token limit, a budget to
the effort whose share is nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, assert_never

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.chat import ReasoningSettings
from fairlead.core.errors import RequestInvalid

__all__ = ["EFFORT_SHARES", "ReasoningStyle", "budget_of", "effort_of", "reasoning_fields"]


class ReasoningStyle(StrEnum):
    """How a provider takes reasoning settings."""

    EFFORT = "effort"  # reasoning_effort: "low"
    OBJECT = "object"  # reasoning: {"effort": "low"}, as callers write it
    THINKING = "thinking"  # thinking: {"type": "enabled"}
    ENABLE_THINKING = "enable_thinking"  # enable_thinking: true, thinking_budget: 1000
    TEMPLATE = "template"  # chat_template_kwargs: {"enable_thinking": true}
    NONE = "none"  # not at all


# The share of the token limit that an effort stands for.
EFFORT_SHARES: Final[Mapping[str, float]] = {
    "minimal": 0.10,
    "low": 0.20,
    "medium": 0.50,
    "high": 0.80,
    "xhigh": 0.95,
    "max": 0.95,
}
_LADDER: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_DEFAULT_EFFORT: Final = "medium"
_TOKEN_LIMIT_ASSUMED: Final = 32_000  # where neither caller nor catalogue names a limit


def reasoning_fields(
    style: ReasoningStyle,
    settings: ReasoningSettings,
    endpoint: Endpoint,
    *,
    token_limit: int | None,
) -> dict[str, object]:
    """The provider's fields for the caller's wish; empty if it has no say, or the caller no wish.

    Raises RequestInvalid if reasoning is to be off on a model that always reasons.
    """
    model = endpoint.reasoning
    is_off = settings.effort == "none" or settings.enabled is False or settings.max_tokens == 0
    if is_off and model.mandatory:
        raise RequestInvalid(
            "This model always reasons: its reasoning cannot be switched off.",
            param="reasoning.effort" if settings.effort == "none" else "reasoning",
        )
    supported = endpoint.supported_parameters
    if supported and not supported & {"reasoning", "reasoning_effort"}:
        return {}
    has_wish = is_off or settings.effort or settings.max_tokens or settings.enabled
    if not has_wish:
        return {}
    limit = token_limit or endpoint.max_completion_tokens or _TOKEN_LIMIT_ASSUMED
    match style:
        case ReasoningStyle.NONE:
            return {}
        case ReasoningStyle.EFFORT:
            return {"reasoning_effort": effort_of(settings, model, limit, is_off=is_off)}
        case ReasoningStyle.OBJECT:
            return {"reasoning": _object(settings, is_off=is_off)}
        case ReasoningStyle.THINKING:
            fields: dict[str, object] = {"thinking": {"type": "disabled" if is_off else "enabled"}}
            knows_efforts = model.efforts or not supported or "reasoning_effort" in supported
            if not is_off and settings.effort and knows_efforts:
                fields["reasoning_effort"] = effort_of(settings, model, limit, is_off=False)
            return fields
        case ReasoningStyle.ENABLE_THINKING:
            if is_off:
                return {"enable_thinking": False}
            return {"enable_thinking": True, "thinking_budget": budget_of(settings, model, limit)}
        case ReasoningStyle.TEMPLATE:
            template: dict[str, object] = {"chat_template_kwargs": {"enable_thinking": not is_off}}
            if not is_off and model.efforts:
                template["reasoning_effort"] = effort_of(settings, model, limit, is_off=False)
            return template
        case _:
            assert_never(style)


def effort_of(settings: ReasoningSettings, model: Reasoning, limit: int, *, is_off: bool) -> str:
    """The effort to ask for: one that the model has, if its efforts are known."""
    if is_off:
        return _nearest("none", model.efforts, may_be_off=True)
    wanted: str | None = settings.effort
    if wanted is None and settings.max_tokens:
        share = settings.max_tokens / limit
        wanted = min(
            ("minimal", "low", "medium", "high", "xhigh"),
            key=lambda effort: abs(EFFORT_SHARES[effort] - share),
        )
    return _nearest(wanted or _DEFAULT_EFFORT, model.efforts, may_be_off=False)


def budget_of(settings: ReasoningSettings, model: Reasoning, limit: int) -> int:
    """Tokens for reasoning, within what the model allows."""
    effort = settings.effort or _DEFAULT_EFFORT
    budget = settings.max_tokens or int(EFFORT_SHARES[effort] * limit)
    if model.budget_max is not None:
        budget = min(budget, model.budget_max)
    return max(budget, model.budget_min or 1)


def _nearest(wanted: str, efforts: tuple[str, ...], *, may_be_off: bool) -> str:
    """The model's effort nearest to the wanted one; of two as near, the lower: it costs less."""
    choices = [
        effort for effort in efforts if effort in _LADDER and (may_be_off or effort != "none")
    ]
    if not choices:
        return wanted
    at = _LADDER.index(wanted)
    return min(choices, key=lambda effort: (abs(_LADDER.index(effort) - at), _LADDER.index(effort)))


def _object(settings: ReasoningSettings, *, is_off: bool) -> dict[str, object]:
    if is_off:
        return {"effort": "none"} if settings.effort == "none" else {"enabled": False}
    fields: dict[str, object] = {}
    if settings.effort is not None:
        fields["effort"] = settings.effort
    elif settings.max_tokens is not None:
        fields["max_tokens"] = settings.max_tokens
    else:
        fields["enabled"] = True
    if settings.summary is not None:
        fields["summary"] = settings.summary
    return fields
