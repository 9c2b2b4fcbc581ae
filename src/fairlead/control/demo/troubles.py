"""When providers were in trouble, in the demonstration. Pure."""

from __future__ import annotations

import random  # noqa: TID251 - only for its type: callers bring a seeded one
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.core.errors import FailureKind
from fairlead.core.ids import ProviderSlug

__all__ = ["Trouble", "failure_of", "troubles"]

A_DAY: Final = 0.008  # troubles of one provider
MINUTES: Final = (38, 0.6)  # median, and the spread of its logarithm
SHARES: Final = (1.0, 0.7, 0.4)  # of calls that fail meanwhile
KINDS: Final = (
    FailureKind.OVERLOADED,
    FailureKind.SERVER,
    FailureKind.TIMEOUT,
    FailureKind.UNREACHABLE,
)
LIMITED: Final = 0.004  # share of calls that are asked to wait
MINUTES_PER_RETRY: Final = 5
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Trouble:
    """share: of calls that fail, in (0, 1]. calls: how many are made because others failed."""

    provider: ProviderSlug
    start_s: float
    end_s: float
    share: float
    kind: FailureKind

    @property
    def calls(self) -> int:
        return 4 + int((self.end_s - self.start_s) / 60 / MINUTES_PER_RETRY)


def troubles(
    source: random.Random, providers: Sequence[ProviderSlug], *, begin_s: float, end_s: float
) -> tuple[Trouble, ...]:
    """Now and then one of each; and two for who looks right away: one of last night, one that goes on."""
    made = [
        _trouble(source, provider, begin_s + (day + source.random()) * DAY_S)
        for provider in providers
        for day in range(int((end_s - begin_s) / DAY_S) - 1)
        if source.random() < A_DAY
    ]
    ended, going_on = source.sample(
        ("azure", "fireworks", "deepinfra", "google-vertex", "novita"), 2
    )
    made.append(
        Trouble(
            ProviderSlug(ended), end_s - 13 * 3600, end_s - 12 * 3600, 1.0, FailureKind.OVERLOADED
        )
    )
    made.append(
        Trouble(ProviderSlug(going_on), end_s - 40 * 60, end_s + 60, 0.8, FailureKind.SERVER)
    )
    return tuple(made)


def failure_of(
    source: random.Random,
    known: Sequence[Trouble],
    provider: ProviderSlug,
    at_s: float,
    *,
    usual: float,
) -> FailureKind | None:
    """What goes wrong with a call; None: nothing. usual: share of calls that fail at the best of times."""
    for one in known:
        if one.provider == provider and one.start_s <= at_s < one.end_s:
            return one.kind if source.random() < one.share else None
    drawn = source.random()
    if drawn < usual:
        return source.choice(KINDS)
    return FailureKind.RATE_LIMIT if drawn < usual + LIMITED else None


def _trouble(source: random.Random, provider: ProviderSlug, start_s: float) -> Trouble:
    median, spread = MINUTES
    minutes = min(300.0, median * source.lognormvariate(0, spread))
    return Trouble(
        provider, start_s, start_s + minutes * 60, source.choice(SHARES), source.choice(KINDS)
    )
