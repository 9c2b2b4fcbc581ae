"""Suffixes of a model's name, where the catalogue has no model of that name: what each changes. Pure.

Two narrow the endpoints (`free`, `extended`), one switches reasoning on (`thinking`), the others are about
order (`nitro`, `floor`, `exacto`), a plugin (`online`) or nothing any more (`beta`). They stack in any order.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.catalog import DYNAMIC_VARIANTS, Endpoint, EndpointStatus, Model
from fairlead.core.catalog_contenders import is_free
from fairlead.core.chat import ReasoningSettings

__all__ = [
    "DYNAMIC",
    "EXTENDED",
    "FREE",
    "LATEST",
    "ONLINE",
    "THINKING",
    "VARIANTS",
    "has_free",
    "in_variants",
    "reasoning_for",
]

FREE: Final = "free"
EXTENDED: Final = "extended"
THINKING: Final = "thinking"
ONLINE: Final = "online"
DYNAMIC: Final = DYNAMIC_VARIANTS
VARIANTS: Final = DYNAMIC | {FREE, EXTENDED, THINKING}
# No suffix, but a mark of ours on targets that a latest alias chose: the caller cannot know what it can do.
LATEST: Final = "latest"

_NOT_FOR_AUTHOR: Final = "anthropic"  # whose models have no such variant: they think when asked to
_EFFORTS_DESCENDING: Final = ("max", "xhigh", "high", "medium", "low", "minimal", "none")


def has_free(model: Model) -> bool:
    """Whether somebody serves the model for nothing."""
    return any(one.status is not _UNPRICED and is_free(one) for one in model.endpoints)


_UNPRICED: Final = EndpointStatus.UNPRICED


def in_variants(endpoint: Endpoint, model: Model, variants: tuple[str, ...]) -> bool:
    """Whether the endpoint is of those that the variants leave: the removal is `variant` otherwise.

    extended: the endpoints with the longest context that any of the model's has.
    """
    if FREE in variants and not (endpoint.status is not _UNPRICED and is_free(endpoint)):
        return False
    if EXTENDED in variants:
        offered = [one for one in model.endpoints if one.status is not _UNPRICED]
        if FREE in variants:
            offered = [one for one in offered if is_free(one)]
        longest = max((one.context_length for one in offered), default=0)
        return endpoint.context_length == longest
    return True


def reasoning_for(
    asked: ReasoningSettings | None, model: Model, variants: tuple[str, ...] = ()
) -> ReasoningSettings | None:
    """The reasoning settings to send, now that the model is known. asked: the caller's.

    A slug that presets an effort (`o3-mini-high`) and the variant `thinking` say something only where the
    caller says nothing. What the newest of a family cannot do is left out, or put as near as it can.
    """
    if LATEST in variants and asked is not None:
        asked = _possible(asked, model)
    if model.preset_effort is not None and (asked is None or _says_nothing(asked)):
        return ReasoningSettings(
            effort=model.preset_effort,  # type: ignore[arg-type] # the catalogue was checked when it was read
            exclude=asked is not None and asked.exclude,
        )
    if THINKING in variants and model.reasoning.supported and model.author != _NOT_FOR_AUTHOR:
        if asked is None:
            return ReasoningSettings(enabled=True)
        if _says_nothing(asked) and asked.enabled is None:
            return msgspec.structs.replace(asked, enabled=True)
    return asked


def _says_nothing(asked: ReasoningSettings) -> bool:
    return asked.effort is None and asked.max_tokens is None


def _possible(asked: ReasoningSettings, model: Model) -> ReasoningSettings | None:
    """As much of it as the model takes."""
    takes = model.reasoning
    if not takes.supported:
        return None
    effort = asked.effort
    if effort is not None and takes.efforts and effort not in takes.efforts:
        wanted = _EFFORTS_DESCENDING.index(effort)
        # Of two that are as near, the lower one: it costs less.
        nearest = min(
            takes.efforts,
            key=lambda one: (
                abs(_EFFORTS_DESCENDING.index(one) - wanted),
                -_EFFORTS_DESCENDING.index(one),
            ),
        )
        return msgspec.structs.replace(asked, effort=nearest)
    if asked.enabled is False and takes.mandatory:
        return msgspec.structs.replace(asked, enabled=None)
    return asked
