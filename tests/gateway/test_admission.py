"""A call is held for before it is sent, and a refusal says precisely what is lacking."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fairlead.core.budgets.slices import NOTHING_HELD
from fairlead.core.budgets.types import (
    CallerBudget,
    Reset,
    account_budget,
    key_budget,
    member_budget,
    workspace_budget,
)
from fairlead.core.caller import Caller
from fairlead.core.catalog import Endpoint
from fairlead.core.errors import BudgetExhausted
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.core.routing.types import Choice, Plan, Why
from fairlead.gateway.admission import FREELY, Admission, Admitted, usd_text
from fairlead.gateway.tokens import EstimatingCounter
from fairlead.testing.builders import a_model, a_request, a_snapshot, an_endpoint
from fairlead.testing.gateway import PurseInMemory

pytestmark = pytest.mark.anyio

NOW_S = 1_795_305_540.0
ACCOUNT, KEY = AccountId("acc-1"), KeyId("key-1")
CREDIT = CallerBudget(account_budget(ACCOUNT))
WORKSPACE = WorkspaceId("5d1d4b1e-0000-5000-8000-000000000000")


@dataclass(frozen=True)
class Decision:
    """As much of a Decided as admission reads."""

    plan: Plan
    last_model: object


def decision(*endpoints: Endpoint, key: str | None = None) -> Decision:
    choices = [Choice(one, key, price=0, why=Why.PRICE) for one in endpoints]
    model = a_model(*endpoints)
    return Decision(Plan(tuple(choices), ()), a_snapshot(model).models[model.id])


PRICED = an_endpoint(prompt="0", completion="0.000001", max_completion_tokens=10_000)


async def admitted(
    left: int, *budgets: CallerBudget, endpoint: Endpoint = PRICED, key: str | None = None, **body
) -> Admitted:
    admission = Admission(
        PurseInMemory(left), EstimatingCounter(), credits_page="https://gateway/credits"
    )
    caller = Caller(ACCOUNT, KEY, budgets=budgets or (CREDIT,))
    return await admission.admitted(caller, a_request(**body), decision(endpoint, key=key), NOW_S)


async def refused(left: int, *budgets: CallerBudget, **body) -> BudgetExhausted:
    with pytest.raises(BudgetExhausted) as raised:
        await admitted(left, *budgets, **body)
    return raised.value


async def test_the_worst_case_is_held_for_where_there_is_room() -> None:
    found = await admitted(10**9)
    assert (found.hold.amount, found.answer_tokens) == (10_000_000, None)
    found = await admitted(10**9, max_tokens=100)
    assert (found.hold.amount, found.answer_tokens) == (100_000, None)


async def test_an_answer_of_open_length_is_shortened_to_what_there_is_money_for() -> None:
    found = await admitted(20_000_000)
    assert (found.hold.amount, found.answer_tokens) == (5_000_000, 5000)
    found = await admitted(1_000_000)
    assert (found.hold.amount, found.answer_tokens) == (1_000_000, 1000)
    assert (await admitted(16_000)).answer_tokens == 16
    error = await refused(15_999)
    assert "takes at least $0.000016, and $0.000015999 is left" in error.message


async def test_a_length_that_cannot_be_paid_for_is_refused_and_one_that_can_is_named() -> None:
    problem = (await refused(50_000, max_tokens=100)).problem()
    assert problem.status == 402
    assert problem.message == (
        "This account has not enough credits for this call. The call may cost up to $0.0001, and"
        " $0.00005 is left. Lower `max_tokens` from 100 to 50 or less, or add credits:"
        " https://gateway/credits."
    )
    assert problem.metadata == {
        "limit": "account",
        "needed_usd": 0.0001,
        "left_usd": 0.00005,
        "affordable_tokens": 50,
    }


@pytest.mark.parametrize(
    ("budget", "status", "beginning"),
    [
        (CREDIT, 402, "This account has not enough credits for this call."),
        (
            CallerBudget(key_budget(KEY), Reset.MONTHLY),
            402,
            "This API key's monthly limit of $0.00001 is reached.",
        ),
        (
            CallerBudget(workspace_budget(WORKSPACE, Reset.DAILY), Reset.DAILY),
            403,
            "Workspace daily budget of $0.00001 exceeded.",
        ),
        (
            CallerBudget(member_budget(ACCOUNT, UserId("user-1")), Reset.WEEKLY),
            403,
            "Your weekly limit of $0.00001 in this organization is reached.",
        ),
    ],
)
async def test_each_kind_of_limit_has_its_words(
    budget: CallerBudget, status: int, beginning: str
) -> None:
    problem = (await refused(10_000, budget, max_tokens=100)).problem()
    assert problem.status == status
    assert problem.message.startswith(beginning)
    assert ("midnight UTC" in problem.message) is (budget.reset is not None)
    assert ("credits" in problem.message) is (budget is CREDIT)


async def test_of_several_limits_the_broadest_that_lacks_is_named() -> None:
    broad = CallerBudget(workspace_budget(WORKSPACE, None))
    narrow = CallerBudget(workspace_budget(WORKSPACE, Reset.DAILY), Reset.DAILY)
    assert "Workspace lifetime budget" in (await refused(10, broad, narrow)).message


async def test_a_free_model_holds_nothing_but_is_refused_in_debt() -> None:
    free = an_endpoint(prompt="0", completion="0")
    assert await admitted(0, endpoint=free) is FREELY
    admission = Admission(
        PurseInMemory(0), EstimatingCounter(), credits_page="https://gateway/credits"
    )
    caller = Caller(ACCOUNT, KEY, is_prepaid=True, budgets=(CREDIT,), is_in_debt=True)
    with pytest.raises(BudgetExhausted) as raised:
        await admission.admitted(caller, a_request(), decision(free), NOW_S)
    assert raised.value.problem().status == 402
    assert "https://gateway/credits" in raised.value.message


async def test_a_caller_without_budgets_is_not_even_asked_about() -> None:
    admission = Admission(PurseInMemory(0), EstimatingCounter(), credits_page="")
    found = await admission.admitted(Caller(ACCOUNT, KEY), a_request(), decision(PRICED), NOW_S)
    assert found is FREELY
    assert found.hold is NOTHING_HELD
    assert found.hold.settle(NanoUSD(5)) == 5


async def test_with_credentials_of_his_own_only_budgets_that_count_them_matter() -> None:
    counting = CallerBudget(key_budget(KEY), counts_byok=True)
    assert await admitted(0, CREDIT, key="byok-1") is FREELY
    assert (await admitted(10**9, CREDIT, counting, key="byok-1")).hold.refs == ("key:key-1@",)


async def test_a_prompt_is_read_only_where_its_bytes_do_not_fit() -> None:
    dear = an_endpoint(prompt="0.00001", completion="0", context_length=1_000_000)
    request = a_request(messages=[{"role": "user", "content": "harbour " * 2000}])
    amounts = []
    for left in (10**12, 10**8):
        purse = PurseInMemory(left)
        admission = Admission(purse, EstimatingCounter(), credits_page="")
        caller = Caller(ACCOUNT, KEY, budgets=(CREDIT,))
        for _ in range(2):  # the first asks the store
            found = await admission.admitted(caller, request, decision(dear), NOW_S)
            assert found.hold.amount is not None
        amounts.append(found.hold.amount)
    assert amounts[0] > 16_000 * 10_000 > 4_000 * 10_000 > amounts[1]


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (5 * 10**9, "$5.00"), (12_300_000, "$0.0123"), (-1, "-$0.000000001"),
     (1_234_567_890_000, "$1,234.56789")],
)  # fmt: skip
def test_dollars_are_exact(amount: int, text: str) -> None:
    assert usd_text(NanoUSD(amount)) == text
