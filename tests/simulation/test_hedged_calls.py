"""Hedging against a bimodal endpoint, on a virtual clock: how much sooner slow answers begin, and for what.

Two endpoints of a model mostly begin within half a second; now and then, each on its own, one is silent for
several. The policy, its budget and the health book that knows the p95 are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from math import exp
from random import Random

from fairlead.core.catalog import Endpoint
from fairlead.core.health import EndpointOutcome, HealthBook
from fairlead.core.hedging import HedgeBudget, hedge_after_s, loser_cost
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import charge
from fairlead.core.routing.preferences import Hedge
from fairlead.core.usage import Usage
from fairlead.testing.builders import an_endpoint

CALLS = 6000
PER_S = 2.0
WALL_S = 1_767_225_600.0
USUAL = an_endpoint("usual", prompt="0.000001", completion="0.000004")
OTHER = an_endpoint("other", prompt="0.0000012", completion="0.0000048")
COMPLETION_TOKENS = 300
TOKENS_PER_S = 60.0


@dataclass(slots=True)
class Seen:
    """What callers and the payer saw. first_token_s: of each call. Costs in nanodollars."""

    first_token_s: list[float] = field(default_factory=list)
    hedges: int = 0
    spend: int = 0
    extra: int = 0

    def quantile_s(self, share: float) -> float:
        return sorted(self.first_token_s)[int(share * len(self.first_token_s))]


class Hours:
    """Calls one after the other and beside each other; nothing but a heap of what happens when."""

    def __init__(
        self, seed: int, *, slow_share: float, hedge: Hedge | None, tells_of_losers: bool = True
    ) -> None:
        self.seen = Seen()
        self._random = Random(seed)
        self._slow_share = slow_share
        self._hedge = hedge
        self._tells_of_losers = tells_of_losers
        self._health = HealthBook()
        self._budget = HedgeBudget()
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = 0

    def run(self) -> Seen:
        at_s = WALL_S
        for _ in range(CALLS):
            at_s += self._random.expovariate(PER_S)
            self._at(at_s, self._arrival(self._silence_s(), self._silence_s()))
        while self._queue:
            now_s, _, happens = heappop(self._queue)
            happens(now_s)
        return self.seen

    def _at(self, at_s: float, happens: Callable[[float], None]) -> None:
        self._order += 1
        heappush(self._queue, (at_s, self._order, happens))

    def _silence_s(self) -> float:
        """Until a first token: half a second, or several."""
        is_slow = self._random.random() < self._slow_share
        return (6.0 if is_slow else 0.4) * exp(self._random.gauss(0, 0.25))

    def _arrival(self, usual_s: float, other_s: float) -> Callable[[float], None]:
        prompt_tokens = int(exp(self._random.gauss(6.5, 0.8)))

        def arrives(now_s: float) -> None:
            view = self._health.at(now_s)
            self._health.began(USUAL.id, now_s)
            after_s = hedge_after_s(
                self._hedge,
                first=view.facts(USUAL.id),
                second=view.facts(OTHER.id),
                p95_s=self._health.first_token_p95_s(USUAL.id, now_s),
            )
            if after_s is not None and usual_s > after_s:
                self._at(now_s + after_s, hedges(now_s))
            else:
                self._at(now_s + usual_s, begins(USUAL, now_s, now_s))

        def hedges(began_s: float) -> Callable[[float], None]:
            def hedge(now_s: float) -> None:
                losses = [loser_cost(one, prompt_tokens, at_s=began_s) for one in (USUAL, OTHER)]
                stake = self._budget.stake(max(losses), now_s)
                if stake is None:
                    self._at(began_s + usual_s, begins(USUAL, began_s, began_s))
                    return
                self.seen.hedges += 1
                self._health.began(OTHER.id, now_s)
                wins = now_s + other_s < began_s + usual_s
                winner, loser = (OTHER, USUAL) if wins else (USUAL, OTHER)
                over_s = min(now_s + other_s, began_s + usual_s)

                def over(over_s: float) -> None:
                    lost = losses[0] if loser is USUAL else losses[1]
                    self._budget.lost(stake, lost, over_s)
                    self.seen.extra += lost
                    silent_s = over_s - (began_s if loser is USUAL else now_s)
                    self._abandon(loser, silent_s, over_s)
                    begins(winner, now_s if winner is OTHER else began_s, began_s)(over_s)

                self._at(over_s, over)

            return hedge

        def begins(endpoint: Endpoint, asked_s: float, began_s: float) -> Callable[[float], None]:
            def begin(now_s: float) -> None:
                self.seen.first_token_s.append(now_s - began_s)
                lasts_s = COMPLETION_TOKENS / TOKENS_PER_S
                outcome = EndpointOutcome(
                    None,
                    first_token_s=now_s - asked_s,
                    output_tokens=COMPLETION_TOKENS,
                    duration_s=now_s - asked_s + lasts_s,
                )
                self._at(now_s + lasts_s, ends(endpoint, outcome))

            return begin

        def ends(endpoint: Endpoint, outcome: EndpointOutcome) -> Callable[[float], None]:
            def end(now_s: float) -> None:
                self._health.ended(endpoint.id, outcome, now_s)
                usage = Usage(prompt=prompt_tokens, completion=COMPLETION_TOKENS)
                cost = charge(usage, endpoint.prices, at_s=now_s).total
                self.seen.spend += cost
                if self._hedge is not None:
                    self._budget.earned(NanoUSD(cost), now_s)

            return end

        return arrives

    def _abandon(self, loser: Endpoint, silent_s: float, now_s: float) -> None:
        """A loser was silent at least so long: that is part of how fast its endpoint is."""
        outcome = EndpointOutcome(
            None,
            silent_s=silent_s if self._tells_of_losers else None,
            duration_s=silent_s,
            is_abandoned=True,
        )
        self._health.ended(loser.id, outcome, now_s)


@cache
def _hours(*, slow_share: float, hedge: Hedge | None, tells_of_losers: bool = True) -> Seen:
    return Hours(7, slow_share=slow_share, hedge=hedge, tells_of_losers=tells_of_losers).run()


def test_hedging_halves_the_p99_for_five_percent_more_spend() -> None:
    plain = _hours(slow_share=0.03, hedge=None)
    hedged = _hours(slow_share=0.03, hedge=Hedge())
    assert plain.hedges == 0
    assert plain.quantile_s(0.99) > 4.0
    assert hedged.quantile_s(0.99) <= plain.quantile_s(0.99) / 2
    assert 0 < hedged.extra <= 0.05 * hedged.spend
    assert hedged.quantile_s(0.5) <= plain.quantile_s(0.5) * 1.05, "nobody waits for it"


def test_one_call_in_twenty_is_hedged() -> None:
    hedged = _hours(slow_share=0.03, hedge=Hedge())
    assert 0.02 * CALLS < hedged.hedges < 0.08 * CALLS


def test_an_endpoint_that_is_slow_half_of_the_time_cannot_make_hedging_dear() -> None:
    """The caller says when to hedge, so half of all calls want to: the budget says how many may."""
    hedged = _hours(slow_share=0.5, hedge=Hedge(after_s=1.0))
    assert hedged.hedges > 100
    budget = HedgeBudget().figures(WALL_S).cap
    assert hedged.extra <= budget + 0.05 * hedged.spend


def test_if_losers_went_unheard_of_hedging_would_feed_on_itself() -> None:
    """The p95 would be that of calls quick enough not to be hedged, and fall with each hedge."""
    hedged = _hours(slow_share=0.03, hedge=Hedge())
    deaf = _hours(slow_share=0.03, hedge=Hedge(), tells_of_losers=False)
    assert deaf.hedges > 1.3 * hedged.hedges
