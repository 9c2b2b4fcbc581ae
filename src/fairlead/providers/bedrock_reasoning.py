"""Reasoning settings, as the models on Bedrock take them: fields of the model's own, beside Converse."""

from __future__ import annotations

from typing import Final, assert_never

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest, ReasoningSettings
from fairlead.core.errors import RequestInvalid
from fairlead.providers.bedrock_models import Family, Thinking
from fairlead.providers.openai_reasoning import EFFORT_SHARES, effort_of

__all__ = ["thinking_fields"]

BUDGET_TOKENS_MIN: Final = 1_024  # Claude's own bounds
BUDGET_TOKENS_MAX: Final = 128_000
_TOKEN_LIMIT_ASSUMED: Final = 32_000  # where neither caller nor catalogue names a limit
_DEFAULT_EFFORT: Final = "medium"
_CLAUDE_EFFORTS: Final = ("max", "xhigh", "high", "medium", "low")
_COMMON_EFFORTS: Final = ("high", "medium", "low")

Fields = dict[str, object]


def thinking_fields(family: Family, request: ChatRequest, endpoint: Endpoint) -> Fields:
    """The model's fields for the caller's wish; empty if it has no say, or the caller no wish.

    Raises RequestInvalid for reasoning that cannot be switched off, or leaves no room for an answer.
    """
    settings = request.reasoning
    if settings is None:
        return {}
    is_off = settings.effort == "none" or settings.enabled is False or settings.max_tokens == 0
    if is_off and endpoint.reasoning.mandatory:
        raise RequestInvalid(
            "This model always reasons: its reasoning cannot be switched off.",
            param="reasoning.effort" if settings.effort == "none" else "reasoning",
        )
    supported = endpoint.supported_parameters
    if supported and not supported & {"reasoning", "reasoning_effort"}:
        return {}
    if not (is_off or settings.effort or settings.max_tokens or settings.enabled):
        return {}
    match family.thinking:
        case Thinking.NONE:
            return {}
        case Thinking.BUDGET | Thinking.ADAPTIVE | Thinking.EITHER:
            if is_off:
                return {"thinking": {"type": "disabled"}} if endpoint.reasoning.toggle else {}
            if family.thinking is Thinking.BUDGET or (
                family.thinking is Thinking.EITHER and settings.max_tokens
            ):
                return {"thinking": _budget(settings, request, endpoint)}
            effort = _effort(settings, request, endpoint, _CLAUDE_EFFORTS)
            thinking = {"type": "adaptive"}
            if family.thinking is Thinking.ADAPTIVE:
                thinking["display"] = "summarized"  # these hide their thoughts unless asked
            return {"thinking": thinking, "output_config": {"effort": effort}}
        case Thinking.NOVA:
            if is_off:
                return {"reasoningConfig": {"type": "disabled"}}
            effort = _effort(settings, request, endpoint, _COMMON_EFFORTS)
            return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
        case Thinking.EFFORT:
            if is_off and "none" not in endpoint.reasoning.efforts:
                return {}
            wanted = "none" if is_off else _effort(settings, request, endpoint, _COMMON_EFFORTS)
            return {"reasoning_effort": wanted}
        case Thinking.CONFIG:
            if is_off:
                return {}
            return {
                "reasoning_config": _effort(settings, request, endpoint, _COMMON_EFFORTS),
            }
        case _:
            assert_never(family.thinking)


def _limit(request: ChatRequest, endpoint: Endpoint) -> int:
    return request.max_tokens or endpoint.max_completion_tokens or _TOKEN_LIMIT_ASSUMED


def _effort(
    settings: ReasoningSettings, request: ChatRequest, endpoint: Endpoint, usual: tuple[str, ...]
) -> str:
    """The nearest effort that the model has; usual: what its family has, if the catalogue does not say."""
    model = endpoint.reasoning
    if not model.efforts:
        model = msgspec.structs.replace(model, efforts=usual)
    return effort_of(settings, model, _limit(request, endpoint), is_off=False)


def _budget(settings: ReasoningSettings, request: ChatRequest, endpoint: Endpoint) -> Fields:
    """Claude's budget. The limit on the answer counts thoughts too, so it must be larger."""
    limit = _limit(request, endpoint)
    if settings.max_tokens:
        wanted = settings.max_tokens
    else:
        share = EFFORT_SHARES[settings.effort or _DEFAULT_EFFORT]
        wanted = min(int(share * limit), BUDGET_TOKENS_MAX)
    budget = max(wanted, BUDGET_TOKENS_MIN)
    if budget >= limit:
        raise RequestInvalid(
            f"`max_tokens` must be above the {budget} tokens that go to reasoning, not {limit}.",
            param="max_tokens",
        )
    return {"type": "enabled", "budget_tokens": budget}
