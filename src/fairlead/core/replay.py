"""Stored decisions made again: do they come out as they were, and what would other wishes have changed?

    measured = Measured()
    for generation in stored: measured.note(generation)          # a first look: how endpoints did, hour by hour
    replay = Replay(plan, measured, wishes)                      # wishes None: only whether decisions agree
    for generation in stored: replay.add(generation, snapshot)   # a second look
    replay.report()

Nothing is sent, so what did not happen is estimated, and only for calls whose first choice would have been
another one:

    cost       what was used, at the prices of the new first choice
    latency    the mean to the first token there in the same hour; else the median that the decision knew of
    failures   the share of attempts there that failed in the same hour

The models that a router chose stay as they are, and so do the answers' lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint, Snapshot
from fairlead.core.errors import FAILURES, FailureKind
from fairlead.core.generation import Generation, Outcome
from fairlead.core.ids import EndpointId, GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import charge
from fairlead.core.routing.decision import (
    ROUTING_VERSION,
    Decision,
    Planner,
    agrees,
    replayed,
)
from fairlead.core.routing.preferences import Preferences

__all__ = ["DIFFERING_SHOWN_MAX", "Measured", "Replay", "Report", "Wishes"]

DIFFERING_SHOWN_MAX: Final = 10
HOUR_S: Final = 3600
_MS_PER_S: Final = 1000
_NOTHING: Final = NanoUSD(0)


class Wishes(msgspec.Struct, frozen=True, gc=False):
    """Preferences to try. changed: names of the fields that replace those of each call.

    What protects prompts is only ever added: which of a call's wishes were its account's is not kept.
    """

    preferences: Preferences
    changed: frozenset[str]

    def put_on(self, preferences: Preferences) -> Preferences:
        fields = {name: getattr(self.preferences, name) for name in self.changed}
        for name in _PROTECTING & self.changed:
            fields[name] = fields[name] or getattr(preferences, name)
        return msgspec.structs.replace(preferences, **fields)


_PROTECTING: Final = frozenset({"no_training", "zdr", "enforce_distillable_text"})


class _Hour:
    """One endpoint in one hour."""

    __slots__ = ("answers", "failures", "latency_ms")

    def __init__(self) -> None:
        self.answers = 0
        self.failures = 0
        self.latency_ms = 0  # of all answers together


class Measured:
    """How endpoints did, hour by hour: some 300 bytes for each endpoint that was used in an hour."""

    __slots__ = ("_hours",)

    def __init__(self) -> None:
        self._hours: dict[tuple[int, str], _Hour] = {}

    def note(self, generation: Generation) -> None:
        hour_number = _hour_of(generation)
        for attempt in generation.attempts:
            if attempt.was_let_go:
                continue
            hour = self._hours.setdefault((hour_number, attempt.endpoint), _Hour())
            if attempt.failure is None:
                hour.answers += 1
                hour.latency_ms += attempt.latency_ms
            elif _is_of_the_endpoint(attempt.failure):
                hour.failures += 1

    def failure_share(self, endpoint: EndpointId, generation: Generation) -> float | None:
        """Of the attempts there in the hour of this call; None: there were none."""
        hour = self._hours.get((_hour_of(generation), endpoint))
        count = 0 if hour is None else hour.answers + hour.failures
        return None if hour is None or not count else hour.failures / count

    def latency_ms(self, endpoint: EndpointId, generation: Generation) -> float | None:
        hour = self._hours.get((_hour_of(generation), endpoint))
        return None if hour is None or not hour.answers else hour.latency_ms / hour.answers


@dataclass(slots=True)
class Report:
    """What came of a replay.

    generations: looked at. undecided: without a decision, from before they were kept. of_other_rules: decided
        by another version of the rules. without_catalogue: their version of it is not kept any more.
    replayed: all others. agreeing: of those, came out as they were. differing: ids of some that did not.

    Under other wishes, of those replayed:
    unchanged: the same first choice. moved: another. refused: none at all.
    cost_before, cost_after: of calls that are charged and not refused. costed: how many those are.
    latency_before_ms, latency_after_ms: sums over `timed` of them, where both are known.
    failures_before, failures_after: first attempts that failed, and that would have, over `judged` moved calls.
    """

    generations: int = 0
    undecided: int = 0
    of_other_rules: int = 0
    without_catalogue: int = 0
    replayed: int = 0
    agreeing: int = 0
    differing: tuple[GenerationId, ...] = ()
    unchanged: int = 0
    moved: int = 0
    refused: int = 0
    costed: int = 0
    cost_before: NanoUSD = _NOTHING
    cost_after: NanoUSD = _NOTHING
    timed: int = 0
    latency_before_ms: float = 0.0
    latency_after_ms: float = 0.0
    judged: int = 0
    failures_before: int = 0
    failures_after: float = 0.0


class Replay:
    """Adds up one generation after another; holds none of them."""

    __slots__ = ("_measured", "_plan", "_report", "_wishes")

    def __init__(self, plan: Planner, measured: Measured, wishes: Wishes | None = None) -> None:
        self._plan = plan
        self._measured = measured
        self._wishes = wishes
        self._report = Report()

    def add(self, generation: Generation, snapshot: Snapshot | None) -> None:
        """snapshot: of the version that the generation names; None: not kept."""
        report, decision = self._report, generation.decision
        report.generations += 1
        if decision is None:
            report.undecided += 1
        elif decision.version != ROUTING_VERSION:
            report.of_other_rules += 1
        elif snapshot is None or not _has_models(snapshot, decision):
            report.without_catalogue += 1
        else:
            report.replayed += 1
            if agrees(decision, replayed(decision, snapshot, self._plan)):
                report.agreeing += 1
            elif len(report.differing) < DIFFERING_SHOWN_MAX:
                report.differing += (generation.id,)
            if self._wishes is not None:
                self._compare(generation, decision, snapshot, self._wishes)

    def report(self) -> Report:
        return replace(self._report)

    def _compare(
        self, generation: Generation, decision: Decision, snapshot: Snapshot, wishes: Wishes
    ) -> None:
        preferences = wishes.put_on(decision.preferences)
        other = replayed(decision, snapshot, self._plan, preferences=preferences)
        if not other.choices:
            self._report.refused += 1
            return
        first: Endpoint | None = other.choices[0].endpoint
        if decision.choices and first is not None and decision.choices[0].endpoint == first.id:
            self._report.unchanged += 1
            first = None
        else:
            self._report.moved += 1
        self._compare_cost(generation, first)
        self._compare_latency(generation, first, decision)
        if first is not None:
            self._compare_failures(generation, first)

    # moved_to: the other first choice; None: it is the same, and so is what came of the call.

    def _compare_cost(self, generation: Generation, moved_to: Endpoint | None) -> None:
        if generation.outcome is Outcome.FAILED:
            return  # it was free, whatever was used
        after = generation.cost
        if moved_to is not None:
            after = charge(generation.usage, moved_to.prices, at_s=generation.created_s).total
        report = self._report
        report.costed += 1
        report.cost_before = NanoUSD(report.cost_before + generation.cost)
        report.cost_after = NanoUSD(report.cost_after + after)

    def _compare_latency(
        self, generation: Generation, moved_to: Endpoint | None, decision: Decision
    ) -> None:
        after: float | None = generation.latency_ms
        if moved_to is not None:
            after = self._measured.latency_ms(moved_to.id, generation)
            if after is None:
                after = _known_latency_ms(decision, moved_to.id)
        if after is not None:
            self._report.timed += 1
            self._report.latency_before_ms += generation.latency_ms
            self._report.latency_after_ms += after

    def _compare_failures(self, generation: Generation, moved_to: Endpoint) -> None:
        share = self._measured.failure_share(moved_to.id, generation)
        if share is None or not generation.attempts:
            return
        failure = generation.attempts[0].failure
        self._report.judged += 1
        if failure is not None and _is_of_the_endpoint(failure):
            self._report.failures_before += 1
        self._report.failures_after += share


_BY_WORD: Final[Mapping[str, FailureKind]] = {kind.value: kind for kind in FailureKind}


def _is_of_the_endpoint(failure: str) -> bool:
    """Whether another endpoint might have done better: the caller's own mistakes fail everywhere."""
    kind = _BY_WORD.get(failure)
    return kind is None or FAILURES[kind].elsewhere


def _hour_of(generation: Generation) -> int:
    return int(generation.created_s // HOUR_S)


def _has_models(snapshot: Snapshot, decision: Decision) -> bool:
    return all(target.model in snapshot.models for target in decision.question.targets)


def _known_latency_ms(decision: Decision, endpoint: EndpointId) -> float | None:
    for known, facts in decision.facts:
        if known == endpoint and facts.latency_s is not None:
            return facts.latency_s.p50 * _MS_PER_S
    return None
