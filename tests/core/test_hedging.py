from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead.core.hedging import (
    AFTER_S_MIN,
    ALLOWANCE,
    SHARE_PERMILLE,
    HedgeBudget,
    HedgeBudgets,
    Stake,
    hedge_after_s,
    loser_cost,
)
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD, PicoUSD
from fairlead.core.pricing import PriceOverride, PriceSheet
from fairlead.core.routing.facts import UNKNOWN, Facts, Standing
from fairlead.core.routing.preferences import Hedge
from fairlead.testing.builders import an_endpoint

DAY_S = 86_400.0
NOON_S = 20_000 * DAY_S + DAY_S / 2
HEDGE = Hedge()
PROBED = Facts(is_probe=True)


# --- when -------------------------------------------------------------------------------------------


def test_a_hedge_starts_after_the_p95_of_the_first_endpoint() -> None:
    assert hedge_after_s(HEDGE, first=UNKNOWN, second=UNKNOWN, p95_s=1.5) == 1.5


def test_a_caller_who_says_when_is_followed() -> None:
    asked = Hedge(after_s=0.7)
    assert hedge_after_s(asked, first=UNKNOWN, second=UNKNOWN, p95_s=1.5) == 0.7
    assert hedge_after_s(asked, first=UNKNOWN, second=UNKNOWN, p95_s=None) == 0.7


def test_without_a_p95_or_a_wish_nothing_says_when() -> None:
    assert hedge_after_s(HEDGE, first=UNKNOWN, second=UNKNOWN, p95_s=None) is None


@pytest.mark.parametrize(("hedge", "p95_s"), [(HEDGE, 0.001), (Hedge(after_s=0.0), None)])
def test_no_hedge_starts_almost_at_once(hedge: Hedge, p95_s: float | None) -> None:
    assert hedge_after_s(hedge, first=UNKNOWN, second=UNKNOWN, p95_s=p95_s) == AFTER_S_MIN


def test_nobody_is_hedged_who_did_not_ask() -> None:
    assert hedge_after_s(None, first=UNKNOWN, second=UNKNOWN, p95_s=1.5) is None


def test_one_endpoint_alone_is_not_hedged() -> None:
    assert hedge_after_s(HEDGE, first=UNKNOWN, second=None, p95_s=1.5) is None


@pytest.mark.parametrize(("first", "second"), [(PROBED, UNKNOWN), (UNKNOWN, PROBED)])
def test_a_probe_is_left_alone(first: Facts, second: Facts) -> None:
    assert hedge_after_s(Hedge(after_s=1.0), first=first, second=second, p95_s=1.5) is None


@pytest.mark.parametrize("standing", list(Standing))
def test_help_is_asked_only_of_who_is_well(standing: Standing) -> None:
    after_s = hedge_after_s(HEDGE, first=UNKNOWN, second=Facts(standing), p95_s=1.5)
    assert (after_s is not None) == (standing in (Standing.GOOD, Standing.DEGRADED))


# --- what it costs ----------------------------------------------------------------------------------


def test_a_loser_costs_its_prompt_and_its_request() -> None:
    sheet = PriceSheet(prompt=PicoUSD(1_000_000), completion=PicoUSD(5_000_000), request=PicoUSD(7))
    endpoint = msgspec.structs.replace(an_endpoint(), prices=sheet)
    assert loser_cost(endpoint, 2000, at_s=NOON_S) == 2_000_001


def test_a_long_prompt_is_lost_at_the_price_of_long_prompts() -> None:
    dear = PriceOverride({"prompt": PicoUSD(3_000_000)}, min_prompt_tokens=1000)
    sheet = PriceSheet(prompt=PicoUSD(1_000_000), overrides=(dear,))
    endpoint = msgspec.structs.replace(an_endpoint(), prices=sheet)
    assert loser_cost(endpoint, 1001, at_s=NOON_S) == 3_003_000
    assert loser_cost(endpoint, 1000, at_s=NOON_S) == 1_000_000


def test_the_first_calls_of_a_day_live_off_the_allowance() -> None:
    budget = HedgeBudget(share_permille=50, allowance=NanoUSD(100))
    assert budget.stake(NanoUSD(101), NOON_S) is None
    assert budget.stake(NanoUSD(60), NOON_S) is not None
    assert budget.stake(NanoUSD(41), NOON_S) is None
    assert budget.stake(NanoUSD(40), NOON_S) is not None


def test_spend_makes_room_for_its_share() -> None:
    budget = HedgeBudget(share_permille=50, allowance=NanoUSD(0))
    budget.earned(NanoUSD(1000), NOON_S)
    assert budget.stake(NanoUSD(51), NOON_S) is None
    assert budget.stake(NanoUSD(50), NOON_S) is not None


def test_what_was_put_aside_in_vain_can_be_used_again() -> None:
    budget = HedgeBudget(share_permille=50, allowance=NanoUSD(100))
    stake = budget.stake(NanoUSD(100), NOON_S)
    assert stake is not None
    budget.lost(stake, NanoUSD(30), NOON_S)
    figures = budget.figures(NOON_S)
    assert (figures.extra, figures.staked) == (30, 0)
    assert budget.stake(NanoUSD(71), NOON_S) is None
    assert budget.stake(NanoUSD(70), NOON_S) is not None


def test_a_loser_dearer_than_its_stake_is_a_bug() -> None:
    budget = HedgeBudget()
    stake = budget.stake(NanoUSD(10), NOON_S)
    assert stake is not None
    with pytest.raises(AssertionError):
        budget.lost(stake, NanoUSD(11), NOON_S)


def test_each_day_has_a_budget_of_its_own() -> None:
    budget = HedgeBudget(share_permille=50, allowance=NanoUSD(100))
    budget.earned(NanoUSD(10_000), NOON_S)
    late = budget.stake(NanoUSD(600), NOON_S)
    assert late is not None
    tomorrow_s = NOON_S + DAY_S
    assert budget.stake(NanoUSD(101), tomorrow_s) is None, "yesterday's spend pays for nothing"
    budget.lost(late, NanoUSD(600), tomorrow_s)
    assert budget.figures(tomorrow_s).extra == 0, "yesterday has counted it"
    assert budget.stake(NanoUSD(100), tomorrow_s) is not None


def test_a_clock_that_steps_back_over_midnight_brings_no_second_allowance() -> None:
    budget = HedgeBudget(allowance=NanoUSD(100))
    midnight_s = 20_001 * DAY_S
    assert budget.stake(NanoUSD(100), midnight_s + 1) is not None
    assert budget.stake(NanoUSD(100), midnight_s - 1) is None
    assert budget.stake(NanoUSD(100), midnight_s + 2) is None


class HedgesOfManyDays(RuleBasedStateMachine):
    """Whatever happens, and in whatever order: no day's losers and stakes cost more than its cap."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = HedgeBudget()
        self.now_s = NOON_S
        self.staked: list[Stake] = []
        self.spend: dict[int, int] = {}
        self.extra: dict[int, int] = {}

    @property
    def today(self) -> int:
        return int(self.now_s // DAY_S)

    @rule(cost=st.integers(0, 10**9))
    def an_answer_is_paid_for(self, cost: int) -> None:
        self.budget.earned(NanoUSD(cost), self.now_s)
        self.spend[self.today] = self.spend.get(self.today, 0) + cost

    @rule(cost=st.integers(0, 2 * ALLOWANCE))
    def a_hedge_is_wanted(self, cost: int) -> None:
        stake = self.budget.stake(NanoUSD(cost), self.now_s)
        if stake is not None:
            self.staked.append(stake)
            self.extra[self.today] = self.extra.get(self.today, 0) + cost

    @precondition(lambda self: self.staked)
    @rule(data=st.data(), share=st.floats(0, 1))
    def a_hedge_is_over(self, data: st.DataObject, share: float) -> None:
        stake = self.staked.pop(data.draw(st.integers(0, len(self.staked) - 1)))
        cost = int(stake.cost * share)
        self.budget.lost(stake, NanoUSD(cost), self.now_s)
        if stake.day == self.today:
            self.extra[self.today] -= stake.cost - cost

    @rule(passed_s=st.floats(0, DAY_S))
    def time_passes(self, passed_s: float) -> None:
        self.now_s += passed_s

    @invariant()
    def every_day_kept_to_its_cap(self) -> None:
        for day, extra in self.extra.items():
            cap = ALLOWANCE + self.spend.get(day, 0) * SHARE_PERMILLE // 1000
            assert 0 <= extra <= cap
        figures = self.budget.figures(self.now_s)
        assert figures.extra + figures.staked == self.extra.get(self.today, 0)
        assert figures.extra + figures.staked <= figures.cap


TestHedgesOfManyDays = HedgesOfManyDays.TestCase


@given(costs=st.lists(st.integers(1, 10**7), min_size=20, max_size=60))
def test_a_hedge_that_never_pays_off_cannot_spend_more_than_its_share(costs: list[int]) -> None:
    """Every call is hedged that may be, and every loser costs as much as an answer: the worst there is."""
    budget = HedgeBudget()
    extra = 0
    for cost in costs:
        stake = budget.stake(NanoUSD(cost), NOON_S)
        if stake is not None:
            extra += cost
            budget.lost(stake, NanoUSD(cost), NOON_S)
        budget.earned(NanoUSD(cost), NOON_S)
    assert extra <= ALLOWANCE + sum(costs) * SHARE_PERMILLE // 1000


# --- whose it is ------------------------------------------------------------------------------------


def test_one_account_does_not_hedge_on_another_ones_spend() -> None:
    budgets = HedgeBudgets(allowance=NanoUSD(0))
    rich, poor = AccountId("rich"), AccountId("poor")
    budgets.of(rich).earned(NanoUSD(10**6), NOON_S)
    assert budgets.of(poor).stake(NanoUSD(1), NOON_S) is None
    assert budgets.of(rich).stake(NanoUSD(1), NOON_S) is not None


def test_the_account_that_was_unused_longest_is_forgotten_first() -> None:
    budgets = HedgeBudgets(accounts_max=2)
    one, two = budgets.of(AccountId("1")), budgets.of(AccountId("2"))
    assert budgets.of(AccountId("1")) is one
    budgets.of(AccountId("3"))
    assert len(budgets) == 2
    assert budgets.of(AccountId("1")) is one
    assert budgets.of(AccountId("2")) is not two
