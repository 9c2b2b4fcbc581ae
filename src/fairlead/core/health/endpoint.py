"""All that is known of one endpoint's health, and the `Facts` that routing makes of it.

Writing is done for each call, reading for each endpoint of each decision, so `facts` are kept until
something happened that may change them, or a deadline within them has passed, or a few seconds went by. And
what changes nothing but counts, as almost every call of an endpoint that is well, is collected and counted when
somebody reads: see `count_usual`.
"""

from __future__ import annotations

import math
from math import isfinite
from typing import Final

import msgspec

from fairlead.core.health.breaker import Breaker, BreakerState, RateLimit
from fairlead.core.health.counts import CountRing
from fairlead.core.health.news import News
from fairlead.core.health.outcome import MEANINGS, EndpointOutcome, Meaning
from fairlead.core.health.saved import SavedEndpoint, breaker_of, saved_breaker
from fairlead.core.health.silence import CALLS_IN_SILENCE, Silences, patience_s
from fairlead.core.health.sketches import (
    FIVE_MINUTES,
    Merged,
    SketchRing,
    bin_of,
    percentiles_of_cost,
    percentiles_of_yield,
    quantile,
)
from fairlead.core.ids import EndpointId
from fairlead.core.routing.facts import UNKNOWN, Facts, Percentiles, Standing
from fairlead.core.tool_calls import ToolVerdict

__all__ = [
    "DEGRADED_UPTIME",
    "DOWN_UPTIME",
    "FORGIVEN_EVERY_S",
    "UNSTABLE_SHARE",
    "UPTIME_REQUESTS_MIN",
    "EndpointFigures",
    "EndpointHealth",
    "uptime",
]

UPTIME_REQUESTS_MIN: Final = 100
DEGRADED_UPTIME: Final = 95.0  # percent; below it
DOWN_UPTIME: Final = 80.0
UNSTABLE_SHARE: Final = 0.05  # of the last half minute's calls; more is a significant outage
FORGIVEN_EVERY_S: Final = 300.0

RECENT_SLOT_S: Final = 3.0
_RECENT_SLOTS: Final = 10  # half a minute
_WEIGHED_SLOT_S: Final = 30.0
_WEIGHED_SLOTS: Final = 10  # five minutes
_MINUTES: Final = 30
_HOURS: Final = 24
_FORGOTTEN_S: Final = (_MINUTES + 1) * 60.0  # then everything is over but the tools' figures
_TOOL_SLOT_S: Final = 600.0
_TOOL_SLOTS: Final = 12  # two hours
_VALID, _INVALID = 0, 1  # columns of the tool verdicts

# Facts are made anew after so long, even if nothing seems to have changed. Different for each endpoint, so
# that those of one model do not all come due in the same decision.
_FRESH_S: Final = 4.0
_FRESH_STEP_S: Final = 0.25
_FRESH_STEPS: Final = 16
_IDLE_FRESH_S: Final = 30.0  # where nothing has happened since they were made last
_STALE: Final = float("-inf")
_USUAL_MAX: Final = 64  # outcomes that are collected before they are counted


class EndpointFigures(msgspec.Struct, frozen=True, gc=False):
    """What the public API shows of an endpoint.

    uptime_*: percent; None: under `UPTIME_REQUESTS_MIN` calls that tell.
    latency_30m: seconds to the first token. throughput_30m: output tokens per second. None: nothing known.
    tool_requests_2h, tool_errors_2h: as in `Facts`.
    """

    standing: Standing = Standing.GOOD
    uptime_5m: float | None = None
    uptime_30m: float | None = None
    uptime_1d: float | None = None
    latency_30m: Percentiles | None = None
    throughput_30m: Percentiles | None = None
    tool_requests_2h: int = 0
    tool_errors_2h: int = 0


def uptime(successes: int, outages: int) -> float | None:
    """Percent of the calls that tell; None: too few of them."""
    told = successes + outages
    return 100.0 * successes / told if told >= UPTIME_REQUESTS_MIN else None


class EndpointHealth:
    """One endpoint. Times are wall-clock Unix seconds.

    recent, weighed: what the standing is judged by, of 30 s and 5 min. They begin anew when the breaker
        closes (`_recovered`), and calls from before that are left out.
    minutes: what is published, of 5 and 30 min; every outcome. day: successes and outages of 24 h.
    """

    __slots__ = (
        "_forgiven_at_s",
        "_fresh_for_s",
        "_is_idle",
        "_latency_p95_s",
        "_measured",
        "_measured_until_s",
        "_usual_count",
        "_usual_latencies_s",
        "_usual_rates",
        "_usual_slot",
        "breaker",
        "day",
        "facts",
        "fresh_until_s",
        "heard_at_s",
        "latency",
        "limit",
        "made_at_s",
        "minutes",
        "recent",
        "silences",
        "throughput",
        "tools",
        "weighed",
    )

    def __init__(self, ordinal: int) -> None:
        """ordinal: which endpoint this is of many; spreads their work over time."""
        self.breaker = Breaker()
        self.limit = RateLimit()
        self.recent = CountRing(slot_s=RECENT_SLOT_S, slots=_RECENT_SLOTS, columns=2)
        self.weighed = CountRing(slot_s=_WEIGHED_SLOT_S, slots=_WEIGHED_SLOTS, columns=2)
        self.minutes = CountRing(slot_s=60.0, slots=_MINUTES, columns=len(Meaning))
        self.day = CountRing(slot_s=3600.0, slots=_HOURS, columns=2)
        self.tools = CountRing(slot_s=_TOOL_SLOT_S, slots=_TOOL_SLOTS, columns=2)
        self.latency = SketchRing()
        self.throughput = SketchRing()
        self.silences = Silences()
        self.facts = UNKNOWN
        self.made_at_s = self.fresh_until_s = _STALE
        self.heard_at_s = _STALE
        self._fresh_for_s = _FRESH_S + _FRESH_STEP_S * (ordinal % _FRESH_STEPS)
        self._measured: tuple[tuple[int, int, int], ...] = ()
        self._measured_until_s = _STALE
        self._latency_p95_s: float | None = None
        self._forgiven_at_s = _STALE
        self._is_idle = False  # nothing happened between the last two times that facts were made
        self._usual_count = 0
        self._usual_rates: list[float] = []
        self._usual_latencies_s: list[float] = []
        self._usual_slot = 0.0

    # What happens

    def began(self, now_s: float) -> None:
        if not self.breaker.is_closed:
            self.breaker.began(now_s)
            self.fresh_until_s = _STALE

    def waits(self, now_s: float) -> None:
        if self._is_idle:
            self._stir(now_s)
        self.silences.waits(now_s)

    def spoke(self, began_s: float, now_s: float) -> None:
        """A first token is all that a probe has to show; its answer may take a minute more."""
        self.silences.spoke(began_s)
        if not self.breaker.is_closed and self.breaker.succeeded(began_s, now_s):
            self._recovered(now_s)

    def _was_silent(self, silent_s: float | None, now_s: float) -> None:
        """A call that was let go would have had its first token later than that.

        Left out, an endpoint whose slow calls are let go would seem to have none. A silence shorter than
        most tells nothing: many callers leave at once.
        """
        usual = self.facts.latency_s
        if silent_s is not None and usual is not None and silent_s > usual.p50:
            self.measured_latency(bin_of(silent_s), now_s)

    def ended(self, outcome: EndpointOutcome, now_s: float) -> None:
        self.heard_at_s = now_s
        if self._is_idle:
            self._stir(now_s)
        began_s = now_s - outcome.duration_s
        if self.silences.began_s:
            self.silences.is_over(began_s)
        if self._says_the_usual(outcome, began_s):
            number = now_s // RECENT_SLOT_S
            if number != self._usual_slot or self._usual_count >= _USUAL_MAX:
                self.count_usual()
                self._usual_slot = number
            self._usual_count += 1
            if outcome.output_tokens > 0 and outcome.duration_s > 0:
                self._usual_rates.append(outcome.output_tokens / outcome.duration_s)
            if outcome.first_token_s is not None:
                self._usual_latencies_s.append(outcome.first_token_s)
            return
        self.count_usual()
        if outcome.is_abandoned:
            self._says_nothing(began_s)
            self._was_silent(outcome.silent_s, now_s)
            return
        meaning = MEANINGS[outcome.failure]
        self.minutes.add(meaning, now_s)
        if meaning is Meaning.SUCCESS:
            self.succeeded(1, began_s, now_s)
        elif meaning is Meaning.OUTAGE:
            self.failed(1, began_s, now_s)
        else:
            if meaning is Meaning.LIMITED:
                self.limit.limited(now_s, outcome.retry_after_s)
                self.fresh_until_s = _STALE
            self._says_nothing(began_s)
        first_token_s = outcome.first_token_s
        if first_token_s is not None:
            self.measured_latency(bin_of(first_token_s), now_s)
        if meaning is Meaning.SUCCESS and outcome.output_tokens > 0 and outcome.duration_s > 0:
            rate = outcome.output_tokens / outcome.duration_s
            self.measured_throughput(bin_of(rate), now_s)
        if outcome.tools is not None:
            self.tools.add(_VALID if outcome.tools is ToolVerdict.VALID else _INVALID, now_s)

    def _stir(self, now_s: float) -> None:
        """Something happens again: facts grow old as usual."""
        self._is_idle = False
        self.fresh_until_s = min(self.fresh_until_s, now_s + self._fresh_for_s)

    def _says_the_usual(self, outcome: EndpointOutcome, began_s: float) -> bool:
        """Whether it is one more success of an endpoint that is well, which changes nothing but counts."""
        facts = self.facts
        return (
            outcome.failure is None
            and outcome.tools is None
            and not outcome.is_abandoned
            and not facts.standing
            and (facts.throughput is not None or not (outcome.output_tokens and outcome.duration_s))
            and (facts.latency_s is not None or outcome.first_token_s is None)
            and not self.limit.is_repeated
            and self.breaker.is_untroubled(began_s)
        )

    def count_usual(self) -> None:
        """Count what has only been collected. To be called before anything here is read.

        All that was collected is of one slot of the shortest ring, and so of one slot of each.
        """
        count = self._usual_count
        if not count:
            return
        at_s = self._usual_slot * RECENT_SLOT_S
        for ring in (self.minutes, self.day, self.recent, self.weighed):
            ring.add(Meaning.SUCCESS, at_s, count)
        for rate in self._usual_rates:
            self.throughput.add(bin_of(rate), at_s)
        for latency_s in self._usual_latencies_s:
            self.latency.add(bin_of(latency_s), at_s)
        self._usual_count = 0
        self._usual_rates.clear()
        self._usual_latencies_s.clear()

    def heard(self, news: News, now_s: float) -> None:
        """What another process saw: as if its calls had ended here, just now."""
        self.count_usual()
        self.heard_at_s = now_s
        self._stir(now_s)
        counts = (news.successes, news.outages, news.limited, news.callers)
        for meaning, count in zip(Meaning, counts, strict=True):
            self.minutes.add(meaning, now_s, count)
        began_s = now_s - news.outage_age_s
        if news.outages > news.outages_in_a_row:
            earlier = news.outages - news.outages_in_a_row
            self.failed(earlier, began_s, now_s, in_a_row=0)
        if news.successes:
            self.succeeded(news.successes, now_s - news.success_age_s, now_s)
        if news.outages_in_a_row:
            self.failed(news.outages_in_a_row, began_s, now_s)
        if news.limited_for_s:
            self.limit.limit_for(news.limited_for_s, now_s)
            self.fresh_until_s = _STALE
        for value_bin, count in news.latency.items():
            self.measured_latency(value_bin, now_s, count)
        for value_bin, count in news.throughput.items():
            self.measured_throughput(value_bin, now_s, count)
        self.tools.add(_VALID, now_s, news.tools_valid)
        self.tools.add(_INVALID, now_s, news.tools_invalid)

    def succeeded(self, count: int, began_s: float, now_s: float) -> None:
        """count: calls, all of which began at that time or later."""
        breaker = self.breaker
        self.limit.succeeded()
        if breaker.succeeded(began_s, now_s):
            self._recovered(now_s)
        self.day.add(Meaning.SUCCESS, now_s, count)
        if not breaker.is_of_before(began_s, now_s):
            self.recent.add(Meaning.SUCCESS, now_s, count)
            self.weighed.add(Meaning.SUCCESS, now_s, count)
        if self.facts.standing:
            self.fresh_until_s = _STALE

    def failed(
        self, count: int, began_s: float, now_s: float, *, in_a_row: int | None = None
    ) -> None:
        """in_a_row: how many of them came after the last success; None: all."""
        breaker = self.breaker
        self.day.add(Meaning.OUTAGE, now_s, count)
        if not breaker.is_of_before(began_s, now_s):
            self.recent.add(Meaning.OUTAGE, now_s, count)
            self.weighed.add(Meaning.OUTAGE, now_s, count)
            in_a_row = count if in_a_row is None else in_a_row
            if in_a_row:
                breaker.failed(began_s, now_s, outages=in_a_row)
        self.fresh_until_s = _STALE

    def measured_latency(self, value_bin: int, now_s: float, count: int = 1) -> None:
        self.latency.add(value_bin, now_s, count)
        if self.facts.latency_s is None:
            self.forget_facts()

    def measured_throughput(self, value_bin: int, now_s: float, count: int = 1) -> None:
        self.throughput.add(value_bin, now_s, count)
        if self.facts.throughput is None:
            self.forget_facts()

    def forget_facts(self) -> None:
        """Have them made anew, percentiles included."""
        self.fresh_until_s = self._measured_until_s = _STALE

    def _says_nothing(self, began_s: float) -> None:
        if not self.breaker.is_closed:
            self.breaker.says_nothing(began_s)
            self.fresh_until_s = _STALE

    def _recovered(self, now_s: float) -> None:
        """The breaker closed: judge by what comes from now on.

        The calls that were under way when the endpoint died have all failed, enough of them perhaps to hold
        it down for five minutes after it came back. That is forgiven, but not again and again: an endpoint
        that comes and goes keeps its reputation.
        """
        self.recent.clear()
        self.silences.forget()
        if not 0 <= now_s - self._forgiven_at_s < FORGIVEN_EVERY_S:
            self._forgiven_at_s = now_s
            self.weighed.clear()
        self.fresh_until_s = _STALE

    # What outlives the process

    def saved(self, endpoint: EndpointId) -> SavedEndpoint:
        self.count_usual()
        return SavedEndpoint(
            endpoint=endpoint,
            heard_at_s=self.heard_at_s,
            breaker=saved_breaker(self.breaker),
            limited_until_s=self.limit.until_s if isfinite(self.limit.until_s) else None,
            recent=self.recent.saved(),
            weighed=self.weighed.saved(),
            minutes=self.minutes.saved(),
            day=self.day.saved(),
            tools=self.tools.saved(),
            latency=self.latency.saved(),
            throughput=self.throughput.saved(),
        )

    def adopt(self, saved: SavedEndpoint, now_s: float) -> None:
        """Take over what another process knew when it saved this; the newer knowledge counts."""
        self.count_usual()
        self.heard_at_s = max(self.heard_at_s, min(saved.heard_at_s, now_s))
        other = breaker_of(saved.breaker)
        if other.precedence > self.breaker.precedence:
            self.breaker = other
        if saved.limited_until_s is not None:
            self.limit.limit_for(max(saved.limited_until_s - now_s, 0.0), now_s)
        self.recent.adopt(saved.recent, now_s)
        self.weighed.adopt(saved.weighed, now_s)
        self.minutes.adopt(saved.minutes, now_s)
        self.day.adopt(saved.day, now_s)
        self.tools.adopt(saved.tools, now_s)
        self.latency.adopt(saved.latency, now_s)
        self.throughput.adopt(saved.throughput, now_s)
        self.forget_facts()

    # What follows

    def facts_at(self, now_s: float) -> Facts:
        """Use `facts` while `made_at_s <= now_s < fresh_until_s`, and this otherwise."""
        self.count_usual()
        if now_s - self.heard_at_s > _FORGOTTEN_S and self.breaker.is_closed and not self.silences:
            return self._hardly_known(now_s)
        latency, throughput = self._speed(now_s)
        silent_until_s = self._hear_silence(latency, now_s)
        standing, is_probe, until_s = self._standing(now_s)
        valid, invalid = self.tools.totals(now_s)
        self.facts = Facts(
            standing=standing,
            is_probe=is_probe,
            latency_s=latency,
            throughput=throughput,
            requests_30m=self.minutes.total(now_s),
            tool_requests_2h=valid + invalid,
            tool_errors_2h=invalid,
        )
        fresh_for_s = self._renewed(now_s)
        self.fresh_until_s = min(until_s, silent_until_s, now_s + fresh_for_s)
        return self.facts

    def _renewed(self, now_s: float) -> float:
        """Facts were made. Returns for how long they may be used."""
        self._is_idle = self.heard_at_s < self.made_at_s and not self.silences
        self.made_at_s = now_s
        return _IDLE_FRESH_S if self._is_idle else self._fresh_for_s

    def _hardly_known(self, now_s: float) -> Facts:
        """Nothing was heard for so long that only the tools' figures can be left; most endpoints are so."""
        valid, invalid = self.tools.totals(now_s)
        self.facts = (
            Facts(tool_requests_2h=valid + invalid, tool_errors_2h=invalid)
            if valid or invalid
            else UNKNOWN
        )
        self._latency_p95_s = None
        self._measured = ()
        self._measured_until_s = _STALE
        self.fresh_until_s = now_s + self._renewed(now_s)
        return self.facts

    def _hear_silence(self, latency: Percentiles | None, now_s: float) -> float:
        """If calls have been left waiting for too long, that is an outage. Returns when it will be one."""
        if not self.breaker.is_closed:
            return math.inf
        patience = patience_s(None if latency is None else latency.p99)
        too_long_at_s = self.silences.too_long_at_s(patience)
        if too_long_at_s > now_s:
            return too_long_at_s
        self.silences.forget()
        self.breaker.failed(now_s, now_s, outages=CALLS_IN_SILENCE)
        return math.inf

    def latency_p95_s(self, now_s: float) -> float | None:
        if not self.made_at_s <= now_s < self.fresh_until_s:
            self.facts_at(now_s)
        return self._latency_p95_s

    def figures(self, now_s: float) -> EndpointFigures:
        self.count_usual()
        last_5m = self.minutes.totals(now_s, FIVE_MINUTES)
        last_30m = self.minutes.totals(now_s)
        last_1d = self.day.totals(now_s)
        valid, invalid = self.tools.totals(now_s)
        return EndpointFigures(
            standing=self.standing(now_s),
            uptime_5m=uptime(last_5m[Meaning.SUCCESS], last_5m[Meaning.OUTAGE]),
            uptime_30m=uptime(last_30m[Meaning.SUCCESS], last_30m[Meaning.OUTAGE]),
            uptime_1d=uptime(last_1d[Meaning.SUCCESS], last_1d[Meaning.OUTAGE]),
            latency_30m=percentiles_of_cost(self.latency.merged(now_s, _MINUTES)),
            throughput_30m=percentiles_of_yield(self.throughput.merged(now_s, _MINUTES)),
            tool_requests_2h=valid + invalid,
            tool_errors_2h=invalid,
        )

    def standing(self, now_s: float) -> Standing:
        """As in `figures`."""
        standing, is_probe, _ = self._standing(now_s)
        return Standing.DOWN if is_probe else standing

    def _standing(self, now_s: float) -> tuple[Standing, bool, float]:
        """The standing, whether a probe may be sent, and when this may change with nothing happening."""
        state = self.breaker.state(now_s)
        if state is BreakerState.HALF_OPEN:
            # As if it were well, for one call: last in line it would never be asked.
            return Standing.GOOD, True, float("inf")
        if state is not BreakerState.CLOSED:
            return Standing.DOWN, False, self.breaker.changes_at_s(now_s)
        weighed = uptime(*self.weighed.totals(now_s))
        if weighed is not None and weighed < DOWN_UPTIME:
            return Standing.DOWN, False, now_s + RECENT_SLOT_S
        successes, outages = self.recent.totals(now_s)
        if outages > UNSTABLE_SHARE * (successes + outages):
            return Standing.UNSTABLE, False, now_s + RECENT_SLOT_S
        if self.limit.is_on(now_s):
            return Standing.LIMITED, False, self.limit.until_s
        if weighed is not None and weighed < DEGRADED_UPTIME:
            return Standing.DEGRADED, False, now_s + RECENT_SLOT_S
        return Standing.GOOD, False, float("inf")

    def _speed(self, now_s: float) -> tuple[Percentiles | None, Percentiles | None]:
        """Percentiles of five minutes or, if nothing came then, of half an hour. The dear part of facts."""
        facts = self.facts
        measured = (self.latency.lately(now_s), self.throughput.lately(now_s))
        if measured == self._measured or self.made_at_s <= now_s < self._measured_until_s:
            return facts.latency_s, facts.throughput
        self._measured = measured
        self._measured_until_s = now_s + self._fresh_for_s
        latency = _lately(self.latency, now_s)
        self._latency_p95_s = quantile(latency, 0.95)
        return percentiles_of_cost(latency), percentiles_of_yield(_lately(self.throughput, now_s))


def _lately(ring: SketchRing, now_s: float) -> Merged:
    merged = ring.merged(now_s, FIVE_MINUTES)
    return merged if merged.running else ring.merged(now_s, _MINUTES)
