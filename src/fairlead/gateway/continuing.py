"""Going on with a stream that broke after tokens were sent: who goes on, and what the answer is made of then.

    leg ──breaks──> another leg of the same model that opens    its text is joined to what the caller has
                    nobody has to: only the end is missing      it is written, and the answer is whole
                    nobody can                                  the caller is told that the answer broke off

How an endpoint is asked to go on is decided in `core/continuation.py`; here it is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, assert_never

from fairlead.core.attempts import Attempts, Try
from fairlead.core.chat import ChatRequest
from fairlead.core.continuation import (
    NOTHING_LEFT,
    Continue,
    Finish,
    Impossible,
    Prefill,
    Restart,
    Resumption,
    Transcript,
    continuation,
)
from fairlead.core.errors import FAILURES, FailureKind, UpstreamFailure
from fairlead.core.generation import Splice
from fairlead.core.routing.deciding import Decided
from fairlead.gateway.leg import Leg
from fairlead.gateway.relay import Passage
from fairlead.gateway.services import Services
from fairlead.gateway.settlement import Part

__all__ = ["SPLICES_MAX", "Continuing"]

SPLICES_MAX: Final = 4  # of one answer; a stream that breaks more often is not worth saving


class Continuing:
    """One answer that is wanted whole, whoever gives it.

    passage: what events go through on their way to the caller. splices: where it was gone on with.
    """

    __slots__ = (
        "_attempts",
        "_begun",
        "_decided",
        "_earlier",
        "_is_ended",
        "_request",
        "_services",
        "passage",
        "splices",
    )

    def __init__(
        self,
        request: ChatRequest,
        decided: Decided,
        attempts: Attempts,
        services: Services,
        *,
        begun: Callable[[Try, ChatRequest], Leg],
    ) -> None:
        """begun: makes a leg, for a request that goes on with the answer."""
        self._request = request
        self._decided = decided
        self._attempts = attempts
        self._services = services
        self._begun = begun
        self._earlier: list[Part] = []
        self._is_ended = False  # the last leg broke off, and nothing but its end was missing
        self.passage = Passage(Transcript())
        self.splices: list[Splice] = []

    def parts(self, leg: Leg) -> list[Part]:
        """What the answer is made of by now. leg: the one that answers, or was asked last."""
        return [*self._earlier, self._part(leg, broke=self._is_ended)]

    async def after(self, broken: Leg) -> Leg | Finish | None:
        """Another leg that goes on with the answer, or its mere end; None: the answer is lost."""
        if len(self.splices) == SPLICES_MAX:
            return None
        attempts, services, transcript = self._attempts, self._services, self.passage.transcript
        # From here on it is a part of the answer, whatever becomes of the next leg.
        self._earlier.append(self._part(broken, broke=True))
        tokenizer = self._decided.snapshot.models[broken.endpoint.model].tokenizer
        written_tokens = services.tokens.count(transcript.text, tokenizer=tokenizer)
        while (step := attempts.resume(broken.choice, services.loop.time())) is not None:
            is_same = step.choice is broken.choice
            way = self._way(step, written_tokens)
            match way:
                case Impossible():
                    if is_same:
                        break
                    continue  # one that can be prefilled may do what another cannot
                case Finish():
                    return self._ended_with(way, broken)
            leg = self._begun(step, way.request)
            try:
                await leg.open()
            except UpstreamFailure as failure:
                if isinstance(way, Continue) and way.had_nothing_left(failure):
                    leg.end()
                    return self._ended_with(NOTHING_LEFT, broken)
                leg.end(failure)
                if is_same or not _may_go_on_elsewhere(failure):
                    break
                continue
            self._joined(broken, leg, way)
            return leg
        self._earlier.pop()
        return None

    def _way(self, step: Try, written_tokens: int) -> Resumption:
        endpoint = step.choice.endpoint
        provider = self._services.providers(endpoint.provider)
        return continuation(
            self.passage.transcript,
            self._request,
            Prefill.NONE if provider is None else provider.prefill(self._request, endpoint),
            written_tokens=written_tokens,
            judge=self._services.tools,
        )

    def _joined(self, broken: Leg, leg: Leg, way: Restart | Continue) -> None:
        match way:
            case Restart():
                self._earlier.pop()  # nothing of it is in the answer
                manner = "restart"
            case Continue():
                manner = "prefill" if way.by_prefill else "instruction"
            case _:
                assert_never(way)
        self._note_splice(broken, leg, manner)
        self.passage = Passage(self.passage.transcript, way.splicer)

    def _ended_with(self, way: Finish, broken: Leg) -> Finish:
        """The answer is what came of it, and an end."""
        self._earlier.pop()
        self._is_ended = True
        self._note_splice(broken, broken, "finish")
        return way

    def _note_splice(self, broken: Leg, by: Leg, manner: str) -> None:
        characters = len(self.passage.transcript.text)
        self.splices.append(Splice(broken.endpoint.id, by.endpoint.id, manner, characters))

    def _part(self, leg: Leg, *, broke: bool) -> Part:
        return Part(
            leg.tally,
            leg.endpoint,
            adds=bool(self._earlier),
            broke=broke,
            withheld_characters=self.passage.withheld_characters,
        )


def _may_go_on_elsewhere(failure: UpstreamFailure) -> bool:
    """Of the caller's request itself one endpoint has thought well; a bad one is the way it is gone on with."""
    return FAILURES[failure.kind].elsewhere or failure.kind is FailureKind.BAD_REQUEST
