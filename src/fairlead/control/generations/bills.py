"""What of a finished call is money: whom it charges, and which budgets count it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from fairlead.control.ledger.types import Charge
from fairlead.core.budgets.types import BudgetKind, BudgetRef
from fairlead.core.ids import AccountId, GenerationId
from fairlead.core.money import NanoUSD
from fairlead.store.records import RecordUnreadable

__all__ = ["Bill", "bill", "charged_to", "charges"]

_NOTHING: Final = NanoUSD(0)
_RAW: Final = msgspec.Raw(b"\xc0")
_CREDIT: Final = f"{BudgetKind.ACCOUNT.value}:"


class Bill(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A core.generation.Generation, field by field in its place; what is not money stays bytes, which costs a
    quarter of reading all of it."""

    id: GenerationId
    account: AccountId
    key: msgspec.Raw
    created_s: msgspec.Raw
    model: msgspec.Raw
    endpoint: msgspec.Raw
    provider: msgspec.Raw
    outcome: msgspec.Raw
    usage: msgspec.Raw
    cost: Annotated[NanoUSD, msgspec.Meta(ge=0)]
    api_type: msgspec.Raw
    requested_model: msgspec.Raw
    price_version: msgspec.Raw
    cost_prompt: msgspec.Raw
    cost_completion: msgspec.Raw
    streamed: msgspec.Raw
    attempts: msgspec.Raw
    latency_ms: msgspec.Raw = _RAW
    duration_ms: msgspec.Raw = _RAW
    finish_reason: msgspec.Raw = _RAW
    native_finish_reason: msgspec.Raw = _RAW
    upstream_id: msgspec.Raw = _RAW
    upstream_cost: msgspec.Raw = _RAW
    service_tier: msgspec.Raw = _RAW
    session_id: msgspec.Raw = _RAW
    external_user: msgspec.Raw = _RAW
    attribution: msgspec.Raw = _RAW
    error_type: msgspec.Raw = _RAW
    catalog_version: msgspec.Raw = _RAW
    decision: msgspec.Raw = _RAW
    splices: msgspec.Raw = _RAW
    router: msgspec.Raw = _RAW
    workspace: msgspec.Raw = _RAW
    user: msgspec.Raw = _RAW
    is_byok: bool = False
    list_cost: Annotated[NanoUSD, msgspec.Meta(ge=0)] = _NOTHING
    discount: NanoUSD = _NOTHING
    waived: NanoUSD = _NOTHING
    rule: msgspec.Raw = _RAW
    budgets: tuple[BudgetRef, ...] = ()


_DECODER: Final = msgspec.msgpack.Decoder(Bill)


def bill(record: bytes) -> Bill:
    """record: as `store.records.pack` makes it. Raises RecordUnreadable."""
    try:
        return _DECODER.decode(record)
    except msgspec.MsgspecError as error:
        raise RecordUnreadable(str(error)) from error


def charges(bills: Sequence[Bill]) -> list[Charge]:
    """One for each account, for calls that have not been charged before.

    Its reference names one of them, and no call is ever in two charges: so no two charges share a reference,
    however calls were brought together.
    """
    amounts: Counter[AccountId] = Counter()
    fees: Counter[AccountId] = Counter()
    counts: Counter[AccountId] = Counter()
    firsts: dict[AccountId, GenerationId] = {}
    for one in bills:
        account = one.account
        amounts[account] += one.cost
        counts[account] += 1
        firsts.setdefault(account, one.id)
        if one.is_byok:
            fees[account] += one.cost
    return [
        Charge(
            account=account,
            reference=f"usage:{first}",
            amount=NanoUSD(amounts[account]),
            generations_count=counts[account],
            byok_fees=NanoUSD(fees[account]),
        )
        for account, first in firsts.items()
    ]


def charged_to(bills: Iterable[Bill]) -> dict[BudgetRef, NanoUSD]:
    """What each budget counts of these calls.

    With a credential of the account's own, the account's credit pays a fee; the others count list prices.
    """
    amounts: Counter[BudgetRef] = Counter()
    for one in bills:
        for ref in one.budgets:
            counts_cost = not one.is_byok or ref.startswith(_CREDIT)
            amounts[ref] += one.cost if counts_cost else one.list_cost
    return {ref: NanoUSD(amount) for ref, amount in amounts.items()}
