"""Whether a call can be paid for, before anybody is asked: the most that it can cost is held.

A caller whom no budget limits passes without a thought. For others the ceiling is worked out from the plan,
amply first, and closely where that does not fit; then it is held against all of the caller's budgets at once.
An answer whose length its caller left open may be shortened to what there is money for.

What a refusal says is for the person who pays: what it takes, what is left, of which limit, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from fairlead.core.budgets.slices import NOTHING_HELD, Lack
from fairlead.core.budgets.types import BudgetKind, CallerBudget, Reset
from fairlead.core.ceiling import ANSWER_TOKENS_MIN, Ceiling, Ceilings, ample, close
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import BudgetExhausted, ErrorType
from fairlead.core.money import NANO_PER_USD, NanoUSD, usd
from fairlead.core.prompt import prompt_text
from fairlead.core.routing.deciding import Decided
from fairlead.gateway.ports import Caller, Hold, TokenCounter, Wallet

__all__ = ["FREELY", "Admission", "Admitted", "refusal"]

RETRY_AFTER_S: Final = 2  # calls under way end by and by; a wallet has waited about as long already


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A call that may be sent.

    answer_tokens: how long the answer is to be at most, where there is not money for any length; None: as
        long as was asked for.
    ceiling: what the hold was worked out from; None: nothing limits the call.
    """

    hold: Hold
    answer_tokens: int | None = None
    ceiling: Ceiling | None = None

    def paid_tokens(self) -> int | None:
        """What the hold pays for, all answers together; None: nothing limits it."""
        amount, ceiling = self.hold.amount, self.ceiling
        if amount is None or ceiling is None:
            return None
        return ceiling.affordable_tokens(amount) * ceiling.extent.answers


FREELY: Final = Admitted(NOTHING_HELD)


class Admission:
    """Holds calls before they are sent. credits_page: where credits can be added."""

    def __init__(self, wallet: Wallet, tokens: TokenCounter, *, credits_page: str) -> None:
        self._wallet = wallet
        self._tokens = tokens
        self._credits_page = credits_page
        self._ceilings = Ceilings()

    async def admitted(
        self, caller: Caller, request: ChatRequest, decided: Decided, now_s: float
    ) -> Admitted:
        """Raises BudgetExhausted; Overloaded where nobody can say. now_s: wall-clock time."""
        if caller.is_in_debt:
            raise self._in_debt()
        budgets = _that_count(caller.budgets, decided)
        if not budgets:
            return FREELY
        endpoints = [choice.endpoint for choice in decided.plan.choices]
        ceiling = self._ceilings.of(ample(request), endpoints)
        if ceiling.is_free:
            return FREELY
        held = self._wallet.hold(budgets, ceiling.wanted, now_s)
        if held is not None:
            if held.amount == ceiling.wanted.full:
                return _admitted(held, ceiling)
            held.release()
        model = decided.last_model
        ceiling = self._ceilings.of(
            close(request, self._counted(request, model.tokenizer)), endpoints
        )
        held = self._wallet.hold(budgets, ceiling.wanted, now_s)
        if held is None:
            obtained = await self._wallet.obtain(budgets, ceiling.wanted)
            if isinstance(obtained, Lack):
                raise refusal(obtained, ceiling, credits_page=self._credits_page)
            held = obtained
        return _admitted(held, ceiling)

    def _counted(self, request: ChatRequest, tokenizer: str) -> Callable[[], int]:
        return lambda: self._tokens.count(prompt_text(request.body), tokenizer=tokenizer)

    def _in_debt(self) -> BudgetExhausted:
        return BudgetExhausted(
            "This account has less than no credits. Until some are added, no model can be called,"
            f" not even a free one: {self._credits_page}",
            metadata={"limit": BudgetKind.ACCOUNT.value},
        )


def _admitted(hold: Hold, ceiling: Ceiling) -> Admitted:
    amount = hold.amount
    if amount is None or amount >= ceiling.wanted.full:
        return Admitted(hold, None, ceiling)
    return Admitted(hold, ceiling.affordable_tokens(amount), ceiling)


def _that_count(budgets: tuple[CallerBudget, ...], decided: Decided) -> Sequence[CallerBudget]:
    """Where only credentials of the account's own can serve, those that are to count such calls."""
    for choice in decided.plan.choices:
        if choice.key is None:
            return budgets
    return [one for one in budgets if one.counts_byok]


# Limits that others have set for the caller: more credits would not help.
_OTHERS: Final = frozenset({BudgetKind.WORKSPACE, BudgetKind.MEMBER, BudgetKind.GUARDRAIL})
_INTERVALS: Final[dict[Reset | None, str]] = {
    None: "lifetime",
    Reset.DAILY: "daily",
    Reset.WEEKLY: "weekly",
    Reset.MONTHLY: "monthly",
}
_RESETS: Final[dict[Reset | None, str]] = {
    None: "",
    Reset.DAILY: " It begins anew at midnight UTC.",
    Reset.WEEKLY: " It begins anew on Monday at midnight UTC.",
    Reset.MONTHLY: " It begins anew on the first of the month at midnight UTC.",
}


def refusal(lack: Lack, ceiling: Ceiling, *, credits_page: str) -> BudgetExhausted:
    """What a caller is told whose call cannot be paid for."""
    kind, reset = lack.budget.kind, lack.budget.reset
    interval = _INTERVALS[reset]
    affordable = ceiling.affordable_tokens(lack.left)
    match kind:
        case BudgetKind.WORKSPACE:
            message = f"Workspace {interval} budget of {usd_text(lack.limit)} exceeded."
            remedy = "an administrator of the workspace can raise it"
        case BudgetKind.MEMBER:
            message = (
                f"Your {interval} limit of {usd_text(lack.limit)} in this organization is reached."
            )
            remedy = "an administrator of the organization can raise it"
        case BudgetKind.GUARDRAIL:
            message = f"The guardrail's {interval} limit of {usd_text(lack.limit)} is reached."
            remedy = "an administrator can raise it"
        case BudgetKind.KEY:
            message = f"This API key's {interval} limit of {usd_text(lack.limit)} is reached."
            remedy = "raise the limit of the key"
        case _:
            message = "This account has not enough credits for this call."
            remedy = f"add credits: {credits_page}"
    takes = "takes at least" if ceiling.extent.is_flexible else "may cost up to"
    message += f" The call {takes} {usd_text(lack.needed)}, and {usd_text(lack.left)} is left.{_RESETS[reset]}"
    if ceiling.answer_tokens and affordable >= ANSWER_TOKENS_MIN:
        message += f" Lower `max_tokens` from {ceiling.answer_tokens} to {affordable} or less, or {remedy}."
    else:
        message += f" {remedy[0].upper()}{remedy[1:]}."
    if not lack.is_final:
        message += " Calls under way hold a part of it: some may come back when they end."
    metadata: dict[str, object] = {
        "limit": kind.value,
        "needed_usd": usd(lack.needed),
        "left_usd": usd(lack.left),
        "affordable_tokens": affordable if ceiling.answer_tokens else 0,
    }
    return BudgetExhausted(
        message,
        error_type=ErrorType.PERMISSION_DENIED if kind in _OTHERS else ErrorType.PAYMENT_REQUIRED,
        metadata=metadata,
        retry_after_s=None if lack.is_final else RETRY_AFTER_S,
    )


def usd_text(amount: NanoUSD) -> str:
    """Exact dollars, cents at least: "$0.0123", "$5.00"."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), NANO_PER_USD)
    digits = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{digits}"
