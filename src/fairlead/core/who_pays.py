"""Who pays for a call, by how it ended: one table. Pure.

Each generation keeps the name of its rule (`Generation.rule`), so everybody can read why it cost what it cost.
What the caller does not pay, the installation does: a provider may well charge for an answer that broke off.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["RULES", "Cause", "Pays", "WhoPays", "cause_of", "explained"]


class Cause(StrEnum):
    """How a call ended, as far as it matters to its bill; the name of the rule that then holds."""

    COMPLETED = "completed"
    UNREPORTED = "usage_not_reported"
    REACHED_LIMIT = "budget_reached"
    EMPTY = "empty_answer"
    ERROR_INSIDE = "error_in_answer"
    CALLER_LEFT = "caller_left"
    CALLER_LEFT_EARLY = "caller_left_before_answer"
    UPSTREAM_DIED = "provider_failed"
    NOT_ANSWERED = "no_provider_answered"
    STOPPED = "gateway_stopped"


class Pays(StrEnum):
    """What of a call its caller pays; the rest is the installation's."""

    USED = "used"  # what was used: as reported, else estimated
    SEARCHES = "searches"  # web searches that were made, and no tokens
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class WhoPays:
    """pays: the caller's part. why: for people."""

    pays: Pays
    why: str


RULES: Final[dict[Cause, WhoPays]] = {
    Cause.COMPLETED: WhoPays(
        Pays.USED, "The answer is complete: you pay for what the provider says was used."
    ),
    Cause.UNREPORTED: WhoPays(
        Pays.USED,
        "The answer is complete, but the provider did not say what was used: you pay for an estimate.",
    ),
    Cause.REACHED_LIMIT: WhoPays(
        Pays.USED,
        "The answer was cut where your budget ended: you pay for what was used till then.",
    ),
    Cause.EMPTY: WhoPays(
        Pays.SEARCHES, "The answer was empty: you pay for nothing but web searches that were made."
    ),
    Cause.ERROR_INSIDE: WhoPays(
        Pays.SEARCHES,
        "The answer ended in an error: you pay for nothing but web searches that were made.",
    ),
    Cause.CALLER_LEFT: WhoPays(
        Pays.USED,
        "You left before the end, and the provider was stopped: you pay for what was used till then.",
    ),
    Cause.CALLER_LEFT_EARLY: WhoPays(
        Pays.NOTHING, "You left before the first token: you pay for nothing."
    ),
    Cause.UPSTREAM_DIED: WhoPays(
        Pays.NOTHING, "The provider failed in the middle of its answer: you pay for nothing."
    ),
    Cause.NOT_ANSWERED: WhoPays(Pays.NOTHING, "No provider answered: you pay for nothing."),
    Cause.STOPPED: WhoPays(
        Pays.NOTHING, "We stopped before the answer was complete: you pay for nothing."
    ),
}


def cause_of(
    *,
    is_completed: bool,
    is_cancelled: bool,
    is_stopped: bool,
    has_begun: bool,
    has_error: bool,
    is_empty: bool,
    is_reported: bool,
    is_cut: bool = False,
) -> Cause:
    """How a call ended; a completed one and a cancelled one are not the same, all others have failed.

    is_stopped: by us. has_begun: something of an answer came. has_error: it says so itself, as its finish
    reason. is_empty: no token, and no finish reason either. is_cut: where its hold ended.
    """
    assert not (is_completed and is_cancelled)
    if is_completed or is_cancelled:
        if not has_begun:
            return Cause.CALLER_LEFT_EARLY if is_cancelled else Cause.EMPTY
        if has_error:
            return Cause.ERROR_INSIDE
        if is_empty:
            return Cause.EMPTY
        if is_cancelled:
            return Cause.CALLER_LEFT
        if is_cut:
            return Cause.REACHED_LIMIT
        return Cause.COMPLETED if is_reported else Cause.UNREPORTED
    if is_stopped:
        return Cause.STOPPED
    return Cause.UPSTREAM_DIED if has_begun else Cause.NOT_ANSWERED


def explained(rule: str) -> str | None:
    """Why a generation cost what it cost, for people. rule: as it keeps it; None: not a rule of ours."""
    try:
        return RULES[Cause(rule)].why
    except ValueError:
        return None
