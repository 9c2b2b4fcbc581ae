"""The book of health: what the gateway tells of every call, and what routing asks for every decision.

    book.began(endpoint, now_s)             a call goes out
    book.waits(endpoint, now_s)             it is streamed, so it should hear something soon
    book.spoke(endpoint, waited_s, now_s)   it did
    book.ended(endpoint, outcome, now_s)    it came to this
    book.at(now_s).facts(endpoint)          what is known now

    book.take_news(now_s), hear(news)       in step with other processes
    book.saved(), adopt(saved)              across restarts

One book per process, touched by one thread. `now_s` is wall-clock time in Unix seconds, so that what is
known outlives a restart and can be shared; it may be set back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from fairlead.core.health.endpoint import EndpointFigures, EndpointHealth
from fairlead.core.health.news import News, Notes
from fairlead.core.health.outcome import EndpointOutcome
from fairlead.core.health.saved import SavedEndpoint
from fairlead.core.ids import EndpointId
from fairlead.core.routing.facts import UNKNOWN, Facts, Standing

__all__ = ["ENDPOINTS_MAX", "HealthBook", "HealthNow"]

# Endpoints held at once; those not heard of for longest make room. The package's catalogue has some 2,600.
ENDPOINTS_MAX: Final = 4096
DAY_S: Final = 86_400.0
_ROOM_SHARE: Final = 16  # one sixteenth of the endpoints makes room at a time
_NO_FIGURES: Final = EndpointFigures()


class HealthBook:
    """Every endpoint that was heard of."""

    __slots__ = ("_endpoints", "_endpoints_max", "_notes", "_ordinal")

    def __init__(self, *, endpoints_max: int = ENDPOINTS_MAX, takes_notes: bool = False) -> None:
        """takes_notes: see `take_notes`."""
        self._endpoints: dict[EndpointId, EndpointHealth] = {}
        self._notes: dict[EndpointId, Notes] | None = {} if takes_notes else None
        self._endpoints_max = endpoints_max
        self._ordinal = 0

    def __len__(self) -> int:
        return len(self._endpoints)

    def at(self, now_s: float) -> HealthNow:
        """The view for one decision."""
        return HealthNow(self._endpoints, now_s)

    def began(self, endpoint: EndpointId, now_s: float) -> None:
        """A call goes out. If the endpoint's breaker is half open, this call is the probe."""
        known = self._endpoints.get(endpoint)
        if known is not None:
            known.began(now_s)

    def waits(self, endpoint: EndpointId, now_s: float) -> None:
        """A streamed call that has just begun waits for its first token, until `spoke` or `ended`."""
        (self._endpoints.get(endpoint) or self._admit(endpoint)).waits(now_s)

    def spoke(self, endpoint: EndpointId, waited_s: float, now_s: float) -> None:
        """A streamed call got its first token."""
        known = self._endpoints.get(endpoint)
        if known is not None:
            known.spoke(now_s - waited_s, now_s)

    def ended(self, endpoint: EndpointId, outcome: EndpointOutcome, now_s: float) -> None:
        """A call came to its end, in whatever way."""
        known = self._endpoints.get(endpoint)
        if known is None:
            known = self._admit(endpoint)
        known.ended(outcome, now_s)
        if self._notes is not None:
            notes = self._notes.get(endpoint)
            if notes is None:
                notes = self._notes[endpoint] = Notes()
            notes.ended(outcome, now_s)

    def first_token_p95_s(self, endpoint: EndpointId, now_s: float) -> float | None:
        """Within which 95 % of its calls brought their first token lately; None: not known."""
        known = self._endpoints.get(endpoint)
        return None if known is None else known.latency_p95_s(now_s)

    def figures(self, endpoint: EndpointId, now_s: float) -> EndpointFigures:
        """What the public API shows."""
        known = self._endpoints.get(endpoint)
        return _NO_FIGURES if known is None else known.figures(now_s)

    def in_trouble(self, now_s: float) -> dict[EndpointId, Standing]:
        """How those stand that do not stand well: a tenth of the work of asking for all their figures."""
        found: dict[EndpointId, Standing] = {}
        for endpoint, known in self._endpoints.items():
            known.count_usual()
            standing = known.standing(now_s)
            if standing is not Standing.GOOD:
                found[endpoint] = standing
        return found

    def tool_calls(self, now_s: float) -> dict[EndpointId, tuple[int, int]]:
        """Of two hours, where there were any: answers that ended in tool calls, and those of them with a call
        that was not valid."""
        found: dict[EndpointId, tuple[int, int]] = {}
        for endpoint, known in self._endpoints.items():
            valid, invalid = known.tools.totals(now_s)
            if valid or invalid:
                found[endpoint] = valid + invalid, invalid
        return found

    def take_notes(self) -> None:
        """From now on, for `take_news`, which somebody must then call regularly."""
        if self._notes is None:
            self._notes = {}

    def take_news(self, now_s: float) -> list[News]:
        """What ended here since this was last asked, for `hear` of other processes' books."""
        if not self._notes:
            return []
        notes, self._notes = self._notes, {}
        return [
            notes[endpoint].news(endpoint, known.limit, now_s)
            for endpoint in notes
            if (known := self._endpoints.get(endpoint)) is not None
        ]

    def hear(self, news: Iterable[News], now_s: float) -> None:
        """What another process's `take_news` said. It is not passed on."""
        for one in news:
            (self._endpoints.get(one.endpoint) or self._admit(one.endpoint)).heard(one, now_s)

    def saved(self, now_s: float) -> Iterator[SavedEndpoint]:
        """Every endpoint that was heard of within a day, the latest first; forgets the others.

        May be read on while calls end: each is as it is when its turn comes.
        """
        for endpoint in [
            endpoint
            for endpoint, known in self._endpoints.items()
            if not now_s - DAY_S < known.heard_at_s
        ]:
            del self._endpoints[endpoint]
        for endpoint in sorted(
            self._endpoints, key=lambda one: self._endpoints[one].heard_at_s, reverse=True
        ):
            known = self._endpoints.get(endpoint)
            if known is not None:
                yield known.saved(endpoint)

    def adopt(self, saved: Iterable[SavedEndpoint], now_s: float) -> None:
        """Take over what another process saved, as far as it is not too old."""
        for one in saved:
            if one.heard_at_s > now_s - DAY_S:
                known = self._endpoints.get(one.endpoint) or self._admit(one.endpoint)
                known.adopt(one, now_s)

    def _admit(self, endpoint: EndpointId) -> EndpointHealth:
        if len(self._endpoints) >= self._endpoints_max:
            self._make_room()
        self._ordinal += 1
        known = self._endpoints[endpoint] = EndpointHealth(self._ordinal)
        return known

    def _make_room(self) -> None:
        """Forget those not heard of for longest; several at once, because finding them looks at all."""
        oldest = sorted(self._endpoints, key=lambda one: self._endpoints[one].heard_at_s)
        for endpoint in oldest[: max(1, self._endpoints_max // _ROOM_SHARE)]:
            del self._endpoints[endpoint]
            if self._notes is not None:
                self._notes.pop(endpoint, None)


class HealthNow:
    """The book at one moment; a `routing.facts.HealthView`."""

    __slots__ = ("_endpoints", "_now_s")

    def __init__(self, endpoints: dict[EndpointId, EndpointHealth], now_s: float) -> None:
        self._endpoints = endpoints
        self._now_s = now_s

    def facts(self, endpoint: EndpointId) -> Facts:
        known = self._endpoints.get(endpoint)
        if known is None:
            return UNKNOWN
        if known.made_at_s <= self._now_s < known.fresh_until_s:
            return known.facts
        return known.facts_at(self._now_s)
