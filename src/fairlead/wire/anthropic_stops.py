"""Why an answer ended, in the words of the Anthropic Messages format and in ours.

Source: https://docs.claude.com/en/build-with-claude/handling-stop-reasons (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.core.chat import FinishReason

__all__ = ["finish_reason_of", "stop_reason_of"]

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    # A long turn of the provider's own tools was put off; the caller sends it back to go on.
    "pause_turn": FinishReason.STOP,
    "compaction": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}

_STOP_REASONS: Final[Mapping[FinishReason, str]] = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    # The format has no word for it: its errors are events of their own.
    FinishReason.ERROR: "end_turn",
}


def finish_reason_of(stop_reason: str) -> FinishReason:
    """Our word for the format's `stop_reason`; an unknown one is a stop."""
    return _FINISH_REASONS.get(stop_reason, FinishReason.STOP)


def stop_reason_of(reason: FinishReason, native: str | None = None) -> str:
    """The format's `stop_reason` for our word. native: the provider's own, kept if the format has it.

    A native word that means something else than `reason` is another format's, or outdated by what followed.
    """
    if native is not None and _FINISH_REASONS.get(native) is reason:
        return native
    return _STOP_REASONS[reason]
