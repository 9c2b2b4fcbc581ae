"""One call's life from its decision to its last byte.

Whatever happens after an upstream was asked, the call is settled once: completed, cancelled or failed. How,
is told in `ending.py`; what is known of a call until then is in its `course.py`.

A call has one leg, normally. It has more when endpoints fail before their first token, when two are raced
(`race.py`), or when a stream that broke is continued (`continuing.py`); what the caller gets is then
made of several parts, and paid once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Final, assert_never

from fairlead.core.attempts import Attempts, GiveUp, Try, Wait
from fairlead.core.ceiling import shortened
from fairlead.core.chat import ChatRequest, Finished, FinishReason
from fairlead.core.continuation import Finish
from fairlead.core.errors import (
    FailureKind,
    FairleadError,
    Overloaded,
    Problem,
    UpstreamFailure,
)
from fairlead.core.generation import AttemptKind, Outcome
from fairlead.core.hedging import Stake, hedge_after_s, loser_cost
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.router_metadata import with_router_metadata
from fairlead.core.routing.deciding import Decided
from fairlead.dialects.base import AnswerHead, Closing, Dialect, StreamEncoder
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.contents import Takedown
from fairlead.gateway.continuing import Continuing
from fairlead.gateway.course import Course
from fairlead.gateway.ending import settle
from fairlead.gateway.leg import Leg
from fairlead.gateway.ports import Caller
from fairlead.gateway.race import first_of_two
from fairlead.gateway.refusals import exhausted, no_endpoints
from fairlead.gateway.relay import Cutoff, HoldReached, relay
from fairlead.gateway.services import Services
from fairlead.gateway.telling import STREAM_HEAD, WHOLE_HEAD, with_id

__all__ = ["Call"]

_log = logging.getLogger(__name__)

# Python 3.11 takes longer to look a member up than to compare it.
_COMPLETED: Final = Outcome.COMPLETED
_TURN: Final = AttemptKind.TURN


class Call:
    """Drives one call through its steps."""

    __slots__ = ("_attempts", "_course", "_encoder", "_services", "_side")

    def __init__(
        self,
        caller_side: CallerSide,
        dialect: Dialect,
        services: Services,
        caller: Caller,
        request: ChatRequest,
    ) -> None:
        self._course = Course(caller_side, dialect, services, caller, request)
        self._side = caller_side
        self._services = services
        self._attempts: Attempts | None = None
        self._encoder: StreamEncoder | None = None

    @property
    def id(self) -> GenerationId:
        return self._course.id

    async def run(self) -> None:
        """Decide, attempt, deliver. Raises FairleadError while nothing has reached the caller."""
        services, course = self._services, self._course
        request = course.request
        if request.streamed:
            head = with_id(STREAM_HEAD, course.id, course.dialect)
            self._side.stream(head, keep_alive=course.dialect.keep_alive)
        decided = course.decided = await course.deciding.admitted()
        if self._is_kept(decided):
            course.takedown = Takedown()
        if not decided.plan.choices:
            raise no_endpoints(
                request,
                decided.last_model,
                decided.plan.removed,
                decided.snapshot,
                course.deciding.can_serve,
                decided.preferences,
            )
        if course.caller.budgets or course.caller.is_in_debt:
            request = await self._held(decided)
        attempts = self._attempts = Attempts(
            decided.plan.choices,
            deadline_s=course.deadline_s,
            first_token_s=services.timeouts.first_token,
        )
        try:
            leg = course.leg = await self._first_to_answer(decided, attempts)
            course.first_token_s = leg.first_token_s or services.loop.time()
            if not request.streamed:
                await self._whole(leg)
            else:
                if decided.preferences.continue_streams:
                    course.continuing = Continuing(
                        request, decided, attempts, services, begun=self._begun_to_go_on
                    )
                await self._stream(leg)
        finally:
            for one in course.legs:
                one.end(was_let_go=True)  # which says nothing of those that have ended

    def release(self) -> None:
        """It is over. Whatever happened, nothing stays held for it."""
        self._course.admitted.hold.release()

    def _is_kept(self, decided: Decided) -> bool:
        """Whether the account wants this call's prompt and answer kept; never where a region was demanded."""
        course = self._course
        belongings = course.deciding.belongings
        if not belongings.contents or decided.preferences.region is not None:
            return False
        return belongings.keeps(course.caller, course.id)

    async def _held(self, decided: Decided) -> ChatRequest:
        """Hold what it can cost. The request with as long an answer as there is money for.

        Raises BudgetExhausted.
        """
        services, course = self._services, self._course
        admitted = course.admitted = await services.admission.admitted(
            course.caller, course.request, decided, services.clock.now_s()
        )
        if admitted.answer_tokens is not None:
            course.request = shortened(course.request, admitted.answer_tokens)
        return course.request

    # --- up to the first token ---

    async def _first_to_answer(self, decided: Decided, attempts: Attempts) -> Leg:
        """The first leg to say something. Raises AllFailed."""
        loop, request = self._services.loop, self._course.request
        while True:
            step = attempts.next(loop.time())
            match step:
                case Try():
                    kind = AttemptKind.PROBE if step.choice.is_probe else _TURN
                    leg = self._begun(step, request, kind)
                    after_s = self._hedge_after_s(decided, attempts, leg)
                    if after_s is not None:
                        winner = await self._race(decided, attempts, leg, after_s)
                    else:
                        winner = await self._opened(leg)
                    if winner is not None:
                        attempts.committed()
                        return winner
                case Wait(until_s):
                    await asyncio.sleep(max(0.0, until_s - loop.time()))
                case GiveUp():
                    await self._lost(step)
                    raise exhausted(step, decided.snapshot, request)
                case _:
                    assert_never(step)

    async def _lost(self, end: GiveUp) -> None:
        """Every attempt has failed. Nobody owes anything; what was tried, and why there, is kept."""
        try:
            await settle(self._course, Outcome.FAILED, _nothing, end.verdict)
        except Overloaded as error:  # he is told what failed him either way
            _log.error("A call that failed could not be recorded: %s", error)

    def _begun(self, step: Try, request: ChatRequest, kind: AttemptKind) -> Leg:
        course = self._course
        leg = Leg(
            step,
            course.decided.asked_of(step.choice.endpoint, request),
            kind=kind,
            capability=course.dialect.capability,
            deadline_s=course.deadline_s,
            services=self._services,
            belongings=course.deciding.belongings,
        )
        course.legs.append(leg)
        course.leg = leg
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
        if wish is None or not self._course.request.streamed:
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
        course = self._course
        budget = services.hedges.of(course.caller.account)
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
            return None if step is None else self._begun(step, course.request, AttemptKind.HEDGE)

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
            course.leg = winner
        return winner

    # --- from the first token on ---

    async def _whole(self, leg: Leg) -> None:
        course = self._course
        leg.end()
        if course.takedown is not None:
            course.takedown.answer.watch(leg.events)
        head, dialect = course.head(leg), course.dialect
        body = await settle(
            course, _COMPLETED, lambda closing: dialect.whole(head, leg.events, closing)
        )
        self._side.answer(200, with_id(WHOLE_HEAD, course.id, dialect), body)

    async def _stream(self, leg: Leg) -> None:
        """Relay, and where the stream breaks and the caller wants it so, go on with another leg."""
        side, course = self._side, self._course
        continuing = course.continuing
        encoder = course.dialect.stream(course.head(leg))
        if course.takedown is not None:
            encoder = course.takedown.of(encoder)
        self._encoder = encoder
        while True:
            try:
                await relay(
                    leg,
                    side=side,
                    encoder=encoder,
                    services=self._services,
                    deadline_s=course.deadline_s,
                    passage=None if continuing is None else continuing.passage,
                    cutoff=self._cutoff(leg),
                )
                leg.end()
                break
            except HoldReached:
                course.leg = leg
                leg.end(was_let_go=True)
                self._finish(leg, _cut_off(course.request), encoder)
                course.is_cut = True
                break
            except UpstreamFailure as broken:
                failure = broken
            # A provider is well if its caller let the time pass, because he takes less than comes, or if the
            # whole call's time is over, of which others may have had the most.
            is_its_fault = failure.kind is not FailureKind.TIMEOUT or not (
                side.is_congested or self._services.loop.time() >= course.deadline_s
            )
            leg.end(failure, is_its_fault=is_its_fault)
            following = None
            if continuing is not None and is_its_fault:
                following = await continuing.after(leg)
            if isinstance(following, Leg):
                leg = following
                continue
            course.leg = leg  # of those that were asked to go on with it, nobody did
            if following is None:
                side.end(await self._settle_broken(encoder, failure))
                return
            self._finish(leg, following, encoder)
            break
        side.end(await settle(course, _COMPLETED, encoder.close))

    def _finish(self, leg: Leg, end: Finish, encoder: StreamEncoder) -> None:
        leg.tally.watch(end.events)
        if data := encoder.feed(end.events):
            self._side.write(data)

    def _cutoff(self, leg: Leg) -> Cutoff | None:
        """Where the answer ends that there is money for; None: nothing limits it."""
        course = self._course
        tokens = course.admitted.paid_tokens()
        if tokens is None:
            return None
        model, counter = course.decided.snapshot.models[leg.endpoint.model], self._services.tokens
        return Cutoff(tokens, lambda: leg.tally.tokens_so_far(model, counter))

    async def _settle_broken(self, encoder: StreamEncoder, failure: UpstreamFailure) -> bytes:
        problem = self.problem_of(failure)
        return await settle(
            self._course, Outcome.FAILED, lambda closing: encoder.fail(problem, closing), failure
        )

    # --- ends before its time ---

    async def cancelled(self) -> None:
        """The caller left, and `run` was cancelled: what was used is settled."""
        course = self._course
        if course.leg is not None and not course.is_settled:
            await settle(course, Outcome.CANCELLED, _nothing)

    async def cut_short(self, error: FairleadError) -> None:
        """We stop before the answer did. It is our fault, so it is free; the caller is told in band."""
        course = self._course
        leg = course.leg
        if leg is None or course.is_settled:
            return
        stream, problem = self._encoder, self.problem_of(error)
        if stream is None:
            head = AnswerHead(course.id, leg.endpoint.model, leg.endpoint.provider, 0)
            stream = course.dialect.stream(head)
        end = await settle(
            course, Outcome.FAILED, lambda closing: stream.fail(problem, closing), is_stopped=True
        )
        if self._side.has_started and not self._side.is_complete:
            self._side.end(end)

    def problem_of(self, error: FairleadError) -> Problem:
        """The error as the caller sees it, with how he was routed if he asked for that."""
        course, problem = self._course, error.problem()
        if problem.availability is not None:
            explained = replace(problem.availability, docs_url=self._services.errors_page)
            problem = replace(problem, availability=explained)
        if not course.wants_metadata or not course.is_decided:
            return problem
        return with_router_metadata(problem, course.metadata(selected=None))


def _nothing(_: Closing) -> bytes:
    """The last bytes for a caller who has left."""
    return b""


def _cut_off(request: ChatRequest) -> Finish:
    """In place of the rest of an answer that there is no money for."""
    choices = range(request.body.n or 1)
    return Finish(tuple([Finished(FinishReason.LENGTH, choice=index) for index in choices]))
