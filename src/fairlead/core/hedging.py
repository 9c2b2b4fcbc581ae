"""When a second endpoint may be started because the first is slow to begin, and what that may cost. Pure.

A hedge pays twice for a prompt to get rid of the slowest answers. Started after the first endpoint's p95
time to first token it concerns one call in twenty; `HedgeBudget` sees to it that the extra spend stays a
small share even where an endpoint is slow more often than that.

    stake = budget.stake(...)  ─> both run ─> one loses ─> budget.lost(stake, its cost)
      └── None: not now                   └─> none does ─> budget.lost(stake, 0)

Why these rules: docs/decisions/0023-warm-places-and-hedges.md
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import charge
from fairlead.core.routing.facts import Facts, Standing
from fairlead.core.routing.preferences import Hedge
from fairlead.core.usage import Usage, UsageSource

__all__ = [
    "HedgeBudget",
    "HedgeBudgets",
    "HedgeFigures",
    "Stake",
    "hedge_after_s",
    "loser_cost",
]

AFTER_S_MIN: Final = 0.05  # two endpoints differ by that much without either being slow
SHARE_PERMILLE: Final = 50  # of what calls with hedging cost: 5 %
ALLOWANCE: Final = NanoUSD(10_000_000)  # a cent a day, so that the first calls of a day can hedge
ACCOUNTS_MAX: Final = 10_000
_DAY_S: Final = 86_400


def hedge_after_s(
    hedge: Hedge | None, *, first: Facts, second: Facts | None, p95_s: float | None
) -> float | None:
    """How many seconds of silence of the first endpoint start the second; None: no hedge.

    first, second: what is known of the two; second None: there is no other of the same model.
    p95_s: the first one's p95 time to first token; None: not known, and then only the caller can say.

    A probe is left alone, on either side: it is there to find out whether an endpoint is back, and a
    cancelled one has found out nothing. Nor is help asked of an endpoint that is not well itself.
    """
    if hedge is None or second is None or first.is_probe or second.is_probe:
        return None
    if second.standing > Standing.DEGRADED:
        return None
    after_s = p95_s if hedge.after_s is None else hedge.after_s
    return None if after_s is None else max(after_s, AFTER_S_MIN)


def loser_cost(endpoint: Endpoint, prompt_tokens: int, *, at_s: float) -> NanoUSD:
    """What an attempt costs that was cancelled before its first token, at most.

    Nobody reports the usage of such an attempt. Providers that bill it have read the prompt and written
    nothing; that is assumed of all.

    prompt_tokens: an estimate. at_s: when it began, Unix seconds.
    """
    usage = Usage(prompt=prompt_tokens, source=UsageSource.ESTIMATED)
    return charge(usage, endpoint.prices, at_s=at_s).total


class Stake(msgspec.Struct, frozen=True, gc=False):
    """What one hedge may cost, put aside until it is known. day: number of the UTC day that pays."""

    cost: NanoUSD
    day: int


class HedgeFigures(msgspec.Struct, frozen=True, gc=False):
    """One day so far, in nanodollars. spend: of answers to calls with hedging. extra: of losers.

    staked: of hedges under way. cap: extra and staked together are never more.
    """

    spend: NanoUSD
    extra: NanoUSD
    staked: NanoUSD
    cap: NanoUSD


class HedgeBudget:
    """Keeps the extra spend of one payer's hedges to a share of what his calls with hedging cost.

    Each UTC day stands alone: at every moment of it, losers and hedges under way cost no more than
    ALLOWANCE and SHARE_PERMILLE of the day's spend. A hedge belongs to the day on which it was started.
    """

    __slots__ = ("_allowance", "_day", "_extra", "_share_permille", "_spend", "_staked")

    def __init__(
        self, *, share_permille: int = SHARE_PERMILLE, allowance: NanoUSD = ALLOWANCE
    ) -> None:
        self._share_permille = share_permille
        self._allowance = allowance
        self._day = 0
        self._spend = self._extra = self._staked = 0

    def earned(self, cost: NanoUSD, now_s: float) -> None:
        """An answer was paid for whose caller had asked for hedging, hedged or not."""
        self._begin_day(now_s)
        self._spend += cost

    def stake(self, cost: NanoUSD, now_s: float) -> Stake | None:
        """Put aside what a hedge may cost; None: it would go beyond the cap.

        cost: the dearer of the two losers that there may be. Every stake is given back to `lost`.
        """
        self._begin_day(now_s)
        if self._extra + self._staked + cost > self._cap:
            return None
        self._staked += cost
        return Stake(cost, self._day)

    def lost(self, stake: Stake, cost: NanoUSD, now_s: float) -> None:
        """A hedge is over. cost: of its loser; 0 if there was none, as when one of the two failed."""
        assert 0 <= cost <= stake.cost, "a loser costs no more than was put aside"
        self._begin_day(now_s)
        if stake.day == self._day:  # else its day is over, and had counted it in full
            self._staked -= stake.cost
            self._extra += cost

    def figures(self, now_s: float) -> HedgeFigures:
        self._begin_day(now_s)
        return HedgeFigures(
            NanoUSD(self._spend), NanoUSD(self._extra), NanoUSD(self._staked), NanoUSD(self._cap)
        )

    @property
    def _cap(self) -> int:
        return self._allowance + self._spend * self._share_permille // 1000

    def _begin_day(self, now_s: float) -> None:
        day = int(now_s) // _DAY_S
        if day > self._day:  # a clock that steps back stays in the later day
            self._day = day
            self._spend = self._extra = self._staked = 0


class HedgeBudgets:
    """A budget for each account. Bounded: the longest unused goes first, and would begin a day anew."""

    __slots__ = ("_accounts_max", "_allowance", "_budgets", "_share_permille")

    def __init__(
        self,
        *,
        share_permille: int = SHARE_PERMILLE,
        allowance: NanoUSD = ALLOWANCE,
        accounts_max: int = ACCOUNTS_MAX,
    ) -> None:
        self._share_permille = share_permille
        self._allowance = allowance
        self._accounts_max = accounts_max
        self._budgets: OrderedDict[AccountId, HedgeBudget] = OrderedDict()

    def __len__(self) -> int:
        return len(self._budgets)

    def of(self, account: AccountId) -> HedgeBudget:
        budget = self._budgets.get(account)
        if budget is None:
            budget = HedgeBudget(share_permille=self._share_permille, allowance=self._allowance)
            self._budgets[account] = budget
            if len(self._budgets) > self._accounts_max:
                self._budgets.popitem(last=False)
        else:
            self._budgets.move_to_end(account)
        return budget
