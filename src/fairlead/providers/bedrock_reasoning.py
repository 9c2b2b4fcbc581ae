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


def thinking_fields(
    family: Family, request: ChatRequest, endpoint: Endpoint, *, may_think: bool, may_budget: bool
) -> Fields:
    """The model's fields for the caller's wishes; empty if it has no say, or the caller no wish.

    may_think: Claude does not think where it must call a tool. may_budget: nor, by a budget, in a turn that
        began without thoughts.
    Raises RequestInvalid for reasoning that cannot be switched off.
    """
    fields = _verbosity(family, request, endpoint) if family.is_claude else {}
    settings = request.reasoning
    if settings is None:
        return fields
    is_off = settings.effort == "none" or settings.enabled is False or settings.max_tokens == 0
    if is_off and endpoint.reasoning.mandatory:
        raise RequestInvalid(
            "This model always reasons: its reasoning cannot be switched off.",
            param="reasoning.effort" if settings.effort == "none" else "reasoning",
        )
    supported = endpoint.supported_parameters
    if supported and not supported & {"reasoning", "reasoning_effort"}:
        return fields
    if is_off:
        return {**fields, **_off(family, endpoint)}
    if not (settings.effort or settings.max_tokens or settings.enabled):
        return fields
    match family.thinking:
        case Thinking.NONE:
            return {}
        case Thinking.BUDGET | Thinking.ADAPTIVE | Thinking.EITHER if not may_think:
            return fields
        case Thinking.EITHER if not settings.max_tokens:
            return {**_adaptive(settings, request, endpoint, display=None), **fields}
        case Thinking.BUDGET | Thinking.EITHER:
            budget = _budget(settings, request, endpoint) if may_budget else None
            return fields if budget is None else {**fields, "thinking": budget}
        case Thinking.ADAPTIVE:  # these hide their thoughts unless asked
            display = "omitted" if settings.exclude else "summarized"
            return {**_adaptive(settings, request, endpoint, display=display), **fields}
        case Thinking.NOVA:
            effort = _effort(settings, request, endpoint, _COMMON_EFFORTS)
            return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
        case Thinking.EFFORT:
            return {"reasoning_effort": _effort(settings, request, endpoint, _COMMON_EFFORTS)}
        case Thinking.CONFIG:
            return {"reasoning_config": _effort(settings, request, endpoint, _COMMON_EFFORTS)}
        case _:
            assert_never(family.thinking)


def _off(family: Family, endpoint: Endpoint) -> Fields:
    """Most do not reason unless asked, and some have no word for it."""
    if family.is_claude and endpoint.reasoning.toggle:
        return {"thinking": {"type": "disabled"}}
    if family.thinking is Thinking.NOVA:
        return {"reasoningConfig": {"type": "disabled"}}
    if family.thinking is Thinking.EFFORT and "none" in endpoint.reasoning.efforts:
        return {"reasoning_effort": "none"}
    return {}


def _verbosity(family: Family, request: ChatRequest, endpoint: Endpoint) -> Fields:
    """How much Claude says is its effort, too: there is one word for both, and the plainer wish wins."""
    wanted = request.body.verbosity
    has_efforts = family.thinking in (Thinking.ADAPTIVE, Thinking.EITHER)
    if wanted not in _CLAUDE_EFFORTS or not (has_efforts or endpoint.reasoning.efforts):
        return {}
    settings = msgspec.convert({"effort": wanted}, ReasoningSettings)
    return {"output_config": {"effort": _effort(settings, request, endpoint, _CLAUDE_EFFORTS)}}


def _adaptive(
    settings: ReasoningSettings, request: ChatRequest, endpoint: Endpoint, *, display: str | None
) -> Fields:
    thinking = {"type": "adaptive"} if display is None else {"type": "adaptive", "display": display}
    effort = _effort(settings, request, endpoint, _CLAUDE_EFFORTS)
    return {"thinking": thinking, "output_config": {"effort": effort}}


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


def _budget(settings: ReasoningSettings, request: ChatRequest, endpoint: Endpoint) -> Fields | None:
    """Claude's budget; None where the limit, which counts thoughts too, leaves no room for the least one."""
    limit = _limit(request, endpoint)
    share = EFFORT_SHARES[settings.effort or _DEFAULT_EFFORT]
    wanted = settings.max_tokens or min(int(share * limit), BUDGET_TOKENS_MAX)
    budget = min(max(wanted, BUDGET_TOKENS_MIN), limit - 1)
    if budget < BUDGET_TOKENS_MIN:
        return None
    return {"type": "enabled", "budget_tokens": budget}
