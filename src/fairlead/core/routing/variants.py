"""Suffixes of a model's name, where the catalogue has no model of that name: what each changes. Pure.

Two narrow the endpoints (`free`, `extended`), one switches reasoning on (`thinking`), the others are about
order (`nitro`, `floor`, `exacto`), a plugin (`online`) or nothing any more (`beta`). They stack in any order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from fairlead.core.catalog import DYNAMIC_VARIANTS, Endpoint, EndpointStatus, Model
from fairlead.core.catalog_contenders import is_free
from fairlead.core.chat import ReasoningSettings
from fairlead.core.ids import EndpointId

__all__ = [
    "EXTENDED",
    "FREE",
    "LATEST",
    "ONLINE",
    "THINKING",
    "VARIANTS",
    "has_free",
    "narrowed",
    "reasoning_for",
]

FREE: Final = "free"
EXTENDED: Final = "extended"
THINKING: Final = "thinking"
ONLINE: Final = "online"
VARIANTS: Final = DYNAMIC_VARIANTS | {FREE, EXTENDED, THINKING}
# No suffix, but a mark of ours on targets that a latest alias chose: the caller cannot know what it can do.
LATEST: Final = "latest"

_NOT_FOR_AUTHOR: Final = "anthropic"  # whose models have no such variant: they think when asked to
_EFFORTS_DESCENDING: Final = ("max", "xhigh", "high", "medium", "low", "minimal", "none")


def has_free(model: Model) -> bool:
    """Whether somebody serves the model for nothing."""
    return any(one.status is not _UNPRICED and is_free(one) for one in model.endpoints)


_UNPRICED: Final = EndpointStatus.UNPRICED


def narrowed(
    endpoints: Sequence[Endpoint], variants: tuple[str, ...]
) -> Collection[EndpointId] | None:
    """Those of a model's endpoints that the variants leave; the others are removed as `variant`.

    endpoints: those that can be asked here, priced. None: the variants say nothing about endpoints.
    extended: the longest context that any of them has; with `free`, that any free one has.
    """
    if FREE not in variants and EXTENDED not in variants:
        return None
    left = [one for one in endpoints if is_free(one)] if FREE in variants else endpoints
    if EXTENDED in variants:
        longest = max((one.context_length for one in left), default=0)
        left = [one for one in left if one.context_length == longest]
    return frozenset(one.id for one in left)


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
