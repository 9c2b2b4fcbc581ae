"""One call's life from its decision to its record.

Whatever happens after an upstream was asked, the call is settled once: completed, cancelled or failed.

A call has one leg, normally. It has more when endpoints fail before their first token, when two are raced
(`race.py`), or when a stream that broke is continued (`continuing.py`); what the caller gets is then
made of several parts, and paid once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, assert_never

from fairlead.core.affinity import can_be_warm
from fairlead.core.attempts import Attempts, GiveUp, Try, Wait
from fairlead.core.belongings import NOTHING
from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint
from fairlead.core.ceiling import shortened
from fairlead.core.chat import ChatRequest, Finished, FinishReason
from fairlead.core.continuation import Finish
from fairlead.core.end_user import with_end_user
from fairlead.core.errors import (
    FailureKind,
    FairleadError,
    Overloaded,
    Problem,
    UpstreamFailure,
)
from fairlead.core.generation import Attempt, AttemptKind, Generation, Outcome
from fairlead.core.hedging import Stake, hedge_after_s, loser_cost
from fairlead.core.money import NanoUSD
from fairlead.core.router_metadata import (
    is_metadata_wanted,
    router_metadata,
    with_router_metadata,
)
from fairlead.core.routing.deciding import Decided
from fairlead.core.service_tiers import prices_served
from fairlead.core.usage import Usage
from fairlead.dialects.base import AnswerHead, Closing, Dialect, StreamEncoder
from fairlead.gateway.admission import FREELY
from fairlead.gateway.billing import Billed, billed
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.contents import Takedown
from fairlead.gateway.continuing import Continuing
from fairlead.gateway.deciding import Deciding
from fairlead.gateway.leg import Leg
from fairlead.gateway.ports import Caller
from fairlead.gateway.race import first_of_two
from fairlead.gateway.record import attribution, bounded_header, milliseconds
from fairlead.gateway.refusals import exhausted, no_endpoints
from fairlead.gateway.relay import Cutoff, HoldReached, relay
from fairlead.gateway.services import Services
from fairlead.gateway.settlement import Closed, Part, closing_charge
from fairlead.gateway.telling import STREAM_HEAD, WHOLE_HEAD, with_id

__all__ = ["Call"]

_log = logging.getLogger(__name__)


class Call:
    """One call's state between its steps."""

    def __init__(
        self,
        caller_side: CallerSide,
        dialect: Dialect,
        services: Services,
        caller: Caller,
        request: ChatRequest,
    ) -> None:
        self._side = caller_side
        self._dialect = dialect
        self._services = services
        self._caller = caller
        self._request = with_end_user(request, caller.account)
        self._began_s = services.loop.time()
        self._began_at_s = services.clock.now_s()
        self._deadline_s = self._began_s + services.timeouts.total
        self._deciding = Deciding(
            self._request, caller, caller_side, capability=dialect.capability, services=services
        )
        self._decided: Decided | None = None
        self._attempts: Attempts | None = None
        self._legs: list[Leg] = []  # all that were begun, in order
        self._continuing: Continuing | None = None  # None: a stream that breaks is not continued
        self._leg: Leg | None = None  # the one that answers, or was asked last
        self._encoder: StreamEncoder | None = None
        self._first_token_s: float | None = None
        self._wants_metadata = is_metadata_wanted(caller_side.headers)
        self._is_settled = False
        self._is_cut = False  # where there was no more money
        self._admitted = FREELY  # what is held for it
        self._takedown: Takedown | None = None  # None: nothing of the call is kept
        self.id = services.ids.generation()

    async def run(self) -> None:
        """Decide, attempt, deliver. Raises FairleadError while nothing has reached the caller."""
        services, request = self._services, self._request
        if request.streamed:
            head = with_id(STREAM_HEAD, self.id, self._dialect)
            self._side.stream(head, keep_alive=self._dialect.keep_alive)
        decided = self._decided = await self._deciding.admitted()
        if self._is_kept(decided):
            self._takedown = Takedown()
        if not decided.plan.choices:
            raise no_endpoints(
                request,
                decided.last_model,
                decided.plan.removed,
                decided.snapshot,
                self._deciding.can_serve,
                decided.preferences,
            )
        if self._caller.budgets or self._caller.is_in_debt:
            request = await self._held(decided)
        attempts = self._attempts = Attempts(
            decided.plan.choices,
            deadline_s=self._deadline_s,
            first_token_s=services.timeouts.first_token,
        )
        try:
            leg = self._leg = await self._first_to_answer(decided, attempts)
            self._first_token_s = leg.first_token_s or services.loop.time()
            if not request.streamed:
                await self._whole(leg)
            else:
                if decided.preferences.continue_streams:
                    self._continuing = Continuing(
                        request, decided, attempts, services, begun=self._begun_to_go_on
                    )
                await self._stream(leg)
        finally:
            for one in self._legs:
                one.end(was_let_go=True)  # which says nothing of those that have ended

    def release(self) -> None:
        """It is over. Whatever happened, nothing stays held for it."""
        self._admitted.hold.release()

    async def _held(self, decided: Decided) -> ChatRequest:
        """Hold what it can cost. The request with as long an answer as there is money for.

        Raises BudgetExhausted.
        """
        services = self._services
        admitted = self._admitted = await services.admission.admitted(
            self._caller, self._request, decided, services.clock.now_s()
        )
        if admitted.answer_tokens is not None:
            self._request = shortened(self._request, admitted.answer_tokens)
        return self._request

    # --- up to the first token ---

    async def _first_to_answer(self, decided: Decided, attempts: Attempts) -> Leg:
        """The first leg to say something. Raises AllFailed."""
        loop = self._services.loop
        while True:
            step = attempts.next(loop.time())
            match step:
                case GiveUp():
                    await self._lost(step)
                    raise exhausted(step, decided.snapshot, self._request)
                case Wait(until_s):
                    await asyncio.sleep(max(0.0, until_s - loop.time()))
                case Try():
                    kind = AttemptKind.PROBE if step.choice.is_probe else AttemptKind.TURN
                    leg = self._begun(step, self._request, kind)
                    after_s = self._hedge_after_s(decided, attempts, leg)
                    if after_s is not None:
                        winner = await self._race(decided, attempts, leg, after_s)
                    else:
                        winner = await self._opened(leg)
                    if winner is not None:
                        attempts.committed()
                        return winner
                case _:
                    assert_never(step)

    async def _lost(self, end: GiveUp) -> None:
        """Every attempt has failed. Nobody owes anything; what was tried, and why there, is kept."""
        try:
            await self._settle(Outcome.FAILED, _nothing, end.verdict)
        except Overloaded as error:  # he is told what failed him either way
            _log.error("A call that failed could not be recorded: %s", error)

    def _begun(self, step: Try, request: ChatRequest, kind: AttemptKind) -> Leg:
        assert self._decided is not None
        leg = Leg(
            step,
            self._decided.asked_of(step.choice.endpoint, request),
            kind=kind,
            capability=self._dialect.capability,
            deadline_s=self._deadline_s,
            services=self._services,
            belongings=self._deciding.belongings,
        )
        self._legs.append(leg)
        self._leg = leg
        return leg

    def _begun_to_go_on(self, step: Try, request: ChatRequest) -> Leg:
        return self._begun(step, request, AttemptKind.CONTINUATION)

    async def _opened(self, leg: Leg) -> Leg | None:
        try:
            await leg.open()
        except UpstreamFailure as failure:
            self._failed(leg, failure)
            return None
        return leg

    def _failed(self, leg: Leg, failure: UpstreamFailure) -> None:
        assert self._attempts is not None
        leg.end(failure)
        self._attempts.failed(leg.choice, failure, self._services.loop.time())

    def _hedge_after_s(self, decided: Decided, attempts: Attempts, leg: Leg) -> float | None:
        """How long to wait for `leg` before another is asked beside it; None: as long as it takes."""
        wish = decided.preferences.hedge
        if wish is None or not self._request.streamed:
            return None
        second = attempts.rival_choice
        if second is None:
            return None
        now_s = self._services.clock.now_s()
        health = self._services.health
        known = health.at(now_s)
        return hedge_after_s(
            wish,
            first=known.facts(leg.endpoint.id),
            second=known.facts(second.endpoint.id),
            p95_s=health.first_token_p95_s(leg.endpoint.id, now_s),
        )

    async def _race(
        self, decided: Decided, attempts: Attempts, leg: Leg, after_s: float
    ) -> Leg | None:
        services, now_s = self._services, self._services.clock.now_s
        budget = services.hedges.of(self._caller.account)
        prompt_tokens = decided.question.traits.prompt_tokens
        stake: Stake | None = None
        extra = NanoUSD(0)

        def rival() -> Leg | None:
            nonlocal stake
            second = attempts.rival_choice
            if second is None:
                return None
            cost = max(
                loser_cost(one, prompt_tokens, at_s=now_s())
                for one in (leg.endpoint, second.endpoint)
            )
            stake = budget.stake(cost, now_s())
            step = None if stake is None else attempts.rival(services.loop.time())
            return None if step is None else self._begun(step, self._request, AttemptKind.HEDGE)

        def let_go(loser: Leg) -> None:
            nonlocal extra
            if stake is not None:
                loser.spend = loser_cost(loser.endpoint, prompt_tokens, at_s=now_s())
                extra = min(stake.cost, NanoUSD(extra + loser.spend))
            loser.end(was_let_go=True)

        try:
            winner = await first_of_two(
                leg, after_s=after_s, rival=rival, failed=self._failed, let_go=let_go
            )
        finally:
            if stake is not None:
                budget.lost(stake, extra, now_s())
        if winner is not None:
            self._leg = winner
        return winner

    # --- from the first token on ---

    async def _whole(self, leg: Leg) -> None:
        leg.end()
        if self._takedown is not None:
            self._takedown.answer.watch(leg.events)
        head = self._head(leg)
        body = await self._settle(
            Outcome.COMPLETED, lambda closing: self._dialect.whole(head, leg.events, closing)
        )
        self._side.answer(200, with_id(WHOLE_HEAD, self.id, self._dialect), body)

    async def _stream(self, leg: Leg) -> None:
        """Relay, and where the stream breaks and the caller wants it so, go on with another leg."""
        side, continuing = self._side, self._continuing
        encoder = self._dialect.stream(self._head(leg))
        if self._takedown is not None:
            encoder = self._takedown.of(encoder)
        self._encoder = encoder
        while True:
            try:
                await relay(
                    leg,
                    side=side,
                    encoder=encoder,
                    services=self._services,
                    deadline_s=self._deadline_s,
                    passage=None if continuing is None else continuing.passage,
                    cutoff=self._cutoff(leg),
                )
                leg.end()
                break
            except HoldReached:
                self._leg = leg
                leg.end(was_let_go=True)
                self._finish(leg, _cut_off(self._request), encoder)
                self._is_cut = True
                break
            except UpstreamFailure as broken:
                failure = broken
            # A provider is well if its caller let the time pass, because he takes less than comes, or if the
            # whole call's time is over, of which others may have had the most.
            is_its_fault = failure.kind is not FailureKind.TIMEOUT or not (
                side.is_congested or self._services.loop.time() >= self._deadline_s
            )
            leg.end(failure, is_its_fault=is_its_fault)
            following = None
            if continuing is not None and is_its_fault:
                following = await continuing.after(leg)
            if isinstance(following, Leg):
                leg = following
                continue
            self._leg = leg  # of those that were asked to go on with it, nobody did
            if following is None:
                side.end(await self._settle_broken(encoder, failure))
                return
            self._finish(leg, following, encoder)
            break
        side.end(await self._settle(Outcome.COMPLETED, encoder.close))

    def _finish(self, leg: Leg, end: Finish, encoder: StreamEncoder) -> None:
        leg.tally.watch(end.events)
        if data := encoder.feed(end.events):
            self._side.write(data)

    def _cutoff(self, leg: Leg) -> Cutoff | None:
        """Where the answer ends that there is money for; None: nothing limits it."""
        tokens = self._admitted.paid_tokens()
        if tokens is None:
            return None
        assert self._decided is not None
        model, counter = self._decided.snapshot.models[leg.endpoint.model], self._services.tokens
        return Cutoff(tokens, lambda: leg.tally.tokens_so_far(model, counter))

    async def _settle_broken(self, encoder: StreamEncoder, failure: UpstreamFailure) -> bytes:
        problem = self.problem_of(failure)
        return await self._settle(
            Outcome.FAILED, lambda closing: encoder.fail(problem, closing), failure
        )

    # --- the end ---

    async def cancelled(self) -> None:
        """The caller left, and `run` was cancelled: what was used is settled."""
        if self._leg is not None and not self._is_settled:
            await self._settle(Outcome.CANCELLED, _nothing)

    async def cut_short(self, error: FairleadError) -> None:
        """We stop before the answer did. It is our fault, so it is free; the caller is told in band."""
        leg = self._leg
        if leg is None or self._is_settled:
            return
        stream, problem = self._encoder, self.problem_of(error)
        if stream is None:
            head = AnswerHead(self.id, leg.endpoint.model, leg.endpoint.provider, 0)
            stream = self._dialect.stream(head)
        end = await self._settle(
            Outcome.FAILED, lambda closing: stream.fail(problem, closing), is_stopped=True
        )
        if self._side.has_started and not self._side.is_complete:
            self._side.end(end)

    def problem_of(self, error: FairleadError) -> Problem:
        """The error as the caller sees it, with how he was routed if he asked for that."""
        problem = error.problem()
        if not self._wants_metadata or self._decided is None:
            return problem
        return with_router_metadata(problem, self._metadata(selected=None))

    def _metadata(self, *, selected: Leg | None) -> Mapping[str, object]:
        """How the call was routed. selected: the leg that answers."""
        decided = self._decided
        assert decided is not None
        return router_metadata(
            decided.decision,
            self._attempt_records(),
            decided.snapshot,
            requested=self._request.body.first_model,
            selected=None if selected is None else selected.record(self._services.loop.time()),
            splices=() if self._continuing is None else self._continuing.splices,
        )

    def _attempt_records(self) -> tuple[Attempt, ...]:
        now_s = self._services.loop.time()
        return tuple([leg.record(now_s) for leg in self._legs])

    async def _settle(
        self,
        outcome: Outcome,
        write: Callable[[Closing], bytes],
        failure: UpstreamFailure | None = None,
        *,
        is_stopped: bool = False,
    ) -> bytes:
        """Price the call, write its last bytes, record it: once. Returns the bytes.

        They are written before the record is, so that an answer which cannot be written is not charged,
        and sent after it. Raises Overloaded if the call cannot be recorded, and what `write` raises.
        """
        leg, decided = self._leg, self._decided
        assert leg is not None
        assert decided is not None
        assert not self._is_settled
        closed = closing_charge(
            self._parts(leg),
            outcome,
            request=self._request,
            model=decided.snapshot.models[leg.endpoint.model],
            counter=self._services.tokens,
            at_s=self._began_at_s,
            is_stopped=is_stopped,
            is_cut=self._is_cut,
        )
        is_byok = leg.choice.key is not None
        fee, discount = self._fee_and_discount(closed.charge.total, is_byok=is_byok)
        bill = billed(
            self._admitted.hold, closed.charge, is_byok=is_byok, fee=fee, discount=discount
        )
        try:
            last, recorded = self._recorded(leg, outcome, write, failure, closed, bill)
        except BaseException:
            self._admitted.hold.undo()
            raise
        if recorded is not None:
            await asyncio.shield(recorded)
        if self._takedown is not None:
            self._keep(self._takedown, leg, failure)
        return last

    def _recorded(
        self,
        leg: Leg,
        outcome: Outcome,
        write: Callable[[Closing], bytes],
        failure: UpstreamFailure | None,
        closed: Closed,
        bill: Billed,
    ) -> tuple[bytes, Awaitable[None] | None]:
        """The last bytes; and what to wait for until the record is durable, None: it is."""
        decided = self._decided
        assert decided is not None
        services, request, tally, endpoint = self._services, self._request, leg.tally, leg.endpoint
        usage, charge = closed.usage, bill.charge
        now_s = services.loop.time()
        completed_s = int(self._began_at_s + now_s - self._began_s)
        last = write(
            Closing(
                usage=usage,
                charge=charge,
                is_byok=leg.choice.key is not None,
                completed_s=completed_s,
                metadata=self._metadata(selected=leg) if self._wants_metadata else None,
            )
        )
        self._is_settled = True
        if (
            outcome is Outcome.COMPLETED
            and len(decided.plan.choices) > 1
            and tally.finish != FinishReason.ERROR
        ):
            # What a leg that only went on found in its cache is in no sum.
            self._stay(endpoint, tally.usage or usage)
        if decided.preferences.hedge is not None:
            services.hedges.of(self._caller.account).earned(bill.list_cost, services.clock.now_s())
        body = request.body
        recorded = services.generations.append(
            Generation(
                id=self.id,
                account=self._caller.account,
                key=self._caller.key,
                created_s=self._began_at_s,
                api_type=self._dialect.api_type,
                requested_model=body.first_model,
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
                attempts=self._attempt_records(),
                latency_ms=milliseconds((self._first_token_s or now_s) - self._began_s),
                duration_ms=milliseconds(now_s - self._began_s),
                finish_reason=tally.finish,
                native_finish_reason=tally.native_finish,
                upstream_id=tally.upstream_id,
                upstream_cost=tally.upstream_cost,
                service_tier=tally.service_tier,
                session_id=body.session_id or bounded_header(self._side, b"x-session-id"),
                external_user=body.user,
                attribution=attribution(self._side),
                error_type=None if failure is None else failure.error_type.value,
                catalog_version=decided.snapshot.version,
                decision=decided.decision,
                splices=() if self._continuing is None else tuple(self._continuing.splices),
                router=decided.targets.router,
                workspace=self._caller.workspace,
                user=self._caller.user,
                is_byok=leg.choice.key is not None,
                list_cost=bill.list_cost,
                discount=bill.discount,
                waived=bill.waived,
                rule=closed.cause.value,
                budgets=bill.refs,
            )
        )
        return last, recorded

    def _fee_and_discount(self, cost: NanoUSD, *, is_byok: bool) -> tuple[NanoUSD, NanoUSD]:
        belongings, has = self._services.belongings, self._deciding.belongings
        if belongings is None or has is NOTHING:
            return _FREE, _FREE
        if is_byok:
            return belongings.fee(self._caller, cost), _FREE
        return _FREE, belongings.discount(self._caller, has, cost)

    def _is_kept(self, decided: Decided) -> bool:
        """Whether the account wants this call's prompt and answer kept; never where a region was demanded."""
        belongings = self._deciding.belongings
        if not belongings.contents or decided.preferences.region is not None:
            return False
        return belongings.keeps(self._caller, self.id)

    def _keep(self, takedown: Takedown, leg: Leg, failure: UpstreamFailure | None) -> None:
        if self._services.contents is not None:
            content = takedown.content(
                self.id,
                self._caller,
                self._request,
                created_s=self._began_at_s,
                problem=None if failure is None else failure.problem(),
                provider=None if failure is None else leg.endpoint.provider,
            )
            self._services.contents.keep(content)

    def _parts(self, leg: Leg) -> Sequence[Part]:
        """What the caller was given of an answer."""
        if self._first_token_s is None:
            return ()
        if self._continuing is not None:
            return self._continuing.parts(leg)
        return (Part(leg.tally, leg.endpoint),)

    def _stay(self, endpoint: Endpoint, usage: Usage) -> None:
        """The conversation's next call had better go where its prompt is in the cache."""
        if self._dialect.capability is Capability.CHAT and can_be_warm(endpoint):
            conversation = self._deciding.conversation()
            if conversation is not None:
                now_s = self._services.clock.now_s()
                self._services.affinity.succeeded(conversation, endpoint, usage, now_s)

    def _head(self, leg: Leg) -> AnswerHead:
        assert self._decided is not None
        request, endpoint = self._request, leg.endpoint
        info = self._decided.snapshot.providers.get(endpoint.provider)
        return AnswerHead(
            generation=self.id,
            model=endpoint.model,
            provider=endpoint.provider if info is None else info.name,
            created_s=int(self._began_at_s),
            show_reasoning=request.reasoning is None or not request.reasoning.exclude,
            request=request,
        )


_FREE: Final = NanoUSD(0)


def _nothing(_: Closing) -> bytes:
    """The last bytes for a caller who has left."""
    return b""


def _cut_off(request: ChatRequest) -> Finish:
    """In place of the rest of an answer that there is no money for."""
    choices = range(request.body.n or 1)
    return Finish(tuple([Finished(FinishReason.LENGTH, choice=index) for index in choices]))
