"""The end of a call: what it used is priced, its last bytes are written, and its record goes out. Once.

What it costs and who pays is decided in `settlement.py` and `billing.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fairlead.core.affinity import can_be_warm
from fairlead.core.belongings import NOTHING
from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint
from fairlead.core.chat import FinishReason
from fairlead.core.errors import UpstreamFailure
from fairlead.core.generation import Generation, Outcome
from fairlead.core.money import NanoUSD
from fairlead.core.service_tiers import prices_served
from fairlead.core.usage import Usage
from fairlead.dialects.base import Closing
from fairlead.gateway.billing import Billed, billed
from fairlead.gateway.course import Course
from fairlead.gateway.leg import Leg
from fairlead.gateway.record import attribution, bounded_header, milliseconds
from fairlead.gateway.settlement import Closed, closing_charge

__all__ = ["settle"]

Write = Callable[[Closing], bytes]

_FREE: Final = NanoUSD(0)
# Python 3.11 takes longer to look a member up than to compare it.
_COMPLETED: Final = Outcome.COMPLETED
_ERROR: Final = FinishReason.ERROR
_CHAT: Final = Capability.CHAT


async def settle(
    course: Course,
    outcome: Outcome,
    write: Write,
    failure: UpstreamFailure | None = None,
    *,
    is_stopped: bool = False,
) -> bytes:
    """Price the call, write its last bytes, record it: once. Returns the bytes.

    They are written before the record is, so that an answer which cannot be written is not charged,
    and sent after it. Raises Overloaded if the call cannot be recorded, and what `write` raises.

    write: the last bytes, for what is known when the answer ends. is_stopped: by us, before it was whole.
    """
    leg = course.leg
    assert leg is not None
    assert not course.is_settled
    services = course.services
    closed = closing_charge(
        course.parts(leg),
        outcome,
        request=course.request,
        model=course.decided.snapshot.models[leg.endpoint.model],
        counter=services.tokens,
        at_s=course.began_at_s,
        is_stopped=is_stopped,
        is_cut=course.is_cut,
    )
    bill = _billed(course, leg, closed)
    try:
        last, recorded = _recorded(course, leg, outcome, write, failure, closed, bill)
    except BaseException:
        course.admitted.hold.undo()
        raise
    if recorded is not None:
        await asyncio.shield(recorded)
    if course.takedown is not None and services.contents is not None:
        content = course.takedown.content(
            course.id,
            course.caller,
            course.request,
            created_s=course.began_at_s,
            problem=None if failure is None else failure.problem(),
            provider=None if failure is None else leg.endpoint.provider,
        )
        services.contents.keep(content)
    return last


def _billed(course: Course, leg: Leg, closed: Closed) -> Billed:
    """Settles the hold. An account that has nothing here has no fee and no discount."""
    hold, charge, is_byok = course.admitted.hold, closed.charge, leg.choice.key is not None
    belongings, has = course.services.belongings, course.deciding.belongings
    fee = discount = _FREE
    if belongings is not None and has is not NOTHING:
        if is_byok:
            fee = belongings.fee(course.caller, charge.total)
        else:
            discount = belongings.discount(course.caller, has, charge.total)
    return billed(hold, charge, is_byok=is_byok, fee=fee, discount=discount)


def _recorded(
    course: Course,
    leg: Leg,
    outcome: Outcome,
    write: Write,
    failure: UpstreamFailure | None,
    closed: Closed,
    bill: Billed,
) -> tuple[bytes, Awaitable[None] | None]:
    """The last bytes; and what to wait for until the record is durable, None: it is."""
    services, request, decided, caller = (
        course.services, course.request, course.decided, course.caller,
    )  # fmt: skip
    tally, endpoint, is_byok = leg.tally, leg.endpoint, leg.choice.key is not None
    usage, charge = closed.usage, bill.charge
    now_s = services.loop.time()
    last = write(
        Closing(
            usage=usage,
            charge=charge,
            is_byok=is_byok,
            completed_s=int(course.began_at_s + now_s - course.began_s),
            metadata=course.metadata(selected=leg) if course.wants_metadata else None,
        )
    )
    course.is_settled = True
    if outcome is _COMPLETED and len(decided.plan.choices) > 1 and tally.finish != _ERROR:
        # What a leg that only went on found in its cache is in no sum.
        _stay(course, endpoint, tally.usage or usage)
    if decided.preferences.hedge is not None:
        services.hedges.of(caller.account).earned(bill.list_cost, services.clock.now_s())
    body = request.body
    recorded = services.generations.append(
        Generation(
            id=course.id,
            account=caller.account,
            key=caller.key,
            created_s=course.began_at_s,
            api_type=course.dialect.api_type,
            requested_model=course.request.first_model,
            model=endpoint.model,
            endpoint=endpoint.id,
            provider=endpoint.provider,
            price_version=prices_served(endpoint, tally.service_tier)[1],
            outcome=outcome,
            usage=usage,
            cost=charge.total,
            cost_prompt=charge.prompt,
            cost_completion=charge.completion,
            streamed=request.streamed,
            attempts=course.attempts(),
            latency_ms=milliseconds((course.first_token_s or now_s) - course.began_s),
            duration_ms=milliseconds(now_s - course.began_s),
            finish_reason=tally.finish,
            native_finish_reason=tally.native_finish,
            upstream_id=tally.upstream_id,
            upstream_cost=tally.upstream_cost,
            service_tier=tally.service_tier,
            session_id=body.session_id or bounded_header(course.side, b"x-session-id"),
            external_user=body.user,
            attribution=attribution(course.side),
            error_type=None if failure is None else failure.error_type.value,
            catalog_version=decided.snapshot.version,
            decision=decided.decision,
            splices=() if course.continuing is None else tuple(course.continuing.splices),
            router=decided.targets.router,
            workspace=caller.workspace,
            user=caller.user,
            is_byok=is_byok,
            list_cost=bill.list_cost,
            discount=bill.discount,
            waived=bill.waived,
            rule=str(closed.cause),
            budgets=bill.refs,
            preset=course.request.preset,
        )
    )
    return last, recorded


def _stay(course: Course, endpoint: Endpoint, usage: Usage) -> None:
    """The conversation's next call had better go where its prompt is in the cache."""
    if course.dialect.capability is _CHAT and can_be_warm(endpoint):
        conversation = course.deciding.conversation()
        if conversation is not None:
            services = course.services
            services.affinity.succeeded(conversation, endpoint, usage, services.clock.now_s())
