"""What is known of one call while it runs: who asks for what, what was decided, whom we asked, what came.

`call.py` drives a call and writes all this down; `ending.py` settles the call by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlead.core.chat import ChatRequest
from fairlead.core.end_user import with_end_user
from fairlead.core.generation import Attempt
from fairlead.core.router_metadata import is_metadata_wanted, router_metadata
from fairlead.core.routing.deciding import Decided
from fairlead.dialects.base import AnswerHead, Dialect
from fairlead.gateway.admission import FREELY
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.contents import Takedown
from fairlead.gateway.continuing import Continuing
from fairlead.gateway.deciding import Deciding
from fairlead.gateway.leg import Leg
from fairlead.gateway.ports import Caller
from fairlead.gateway.services import Services
from fairlead.gateway.settlement import Part

__all__ = ["Course"]


class Course:
    """One call so far.

    request: as it is to be asked; its answer may be shorter than was asked for. admitted: what is held for it.
    began_s, deadline_s, first_token_s: event-loop time; began_at_s: wall-clock time.
    legs: all that were begun, in order. leg: the one that answers, or was asked last.
    continuing: None: a stream that breaks is not continued. takedown: None: nothing of the call is kept.
    is_cut: it ended where there was no more money. is_settled: it is over.
    """

    __slots__ = (
        "_decided",
        "admitted",
        "began_at_s",
        "began_s",
        "caller",
        "continuing",
        "deadline_s",
        "deciding",
        "dialect",
        "first_token_s",
        "id",
        "is_cut",
        "is_settled",
        "leg",
        "legs",
        "request",
        "services",
        "side",
        "takedown",
        "wants_metadata",
    )

    def __init__(
        self,
        side: CallerSide,
        dialect: Dialect,
        services: Services,
        caller: Caller,
        request: ChatRequest,
    ) -> None:
        self.id = services.ids.generation()
        self.side = side
        self.dialect = dialect
        self.services = services
        self.caller = caller
        self.request = with_end_user(request, caller.account)
        self.began_s = services.loop.time()
        self.began_at_s = services.clock.now_s()
        self.deadline_s = self.began_s + services.timeouts.total
        self.deciding = Deciding(
            self.request, caller, side, capability=dialect.capability, services=services
        )
        self._decided: Decided | None = None
        self.admitted = FREELY
        self.legs: list[Leg] = []
        self.leg: Leg | None = None
        self.continuing: Continuing | None = None
        self.first_token_s: float | None = None
        self.takedown: Takedown | None = None
        self.wants_metadata = is_metadata_wanted(side.headers)
        self.is_cut = False
        self.is_settled = False

    @property
    def is_decided(self) -> bool:
        return self._decided is not None

    @property
    def decided(self) -> Decided:
        assert self._decided is not None, "nobody is asked before it is decided whom"
        return self._decided

    @decided.setter
    def decided(self, decided: Decided) -> None:
        self._decided = decided

    def head(self, leg: Leg) -> AnswerHead:
        """What is known when the answer of `leg` begins."""
        request, endpoint = self.request, leg.endpoint
        info = self.decided.snapshot.providers.get(endpoint.provider)
        return AnswerHead(
            generation=self.id,
            model=endpoint.model,
            provider=endpoint.provider if info is None else info.name,
            created_s=int(self.began_at_s),
            show_reasoning=request.reasoning is None or not request.reasoning.exclude,
            request=request,
        )

    def parts(self, leg: Leg) -> Sequence[Part]:
        """What the caller was given of an answer."""
        if self.first_token_s is None:
            return ()
        if self.continuing is not None:
            return self.continuing.parts(leg)
        return (Part(leg.tally, leg.endpoint),)

    def attempts(self) -> tuple[Attempt, ...]:
        """What came of each leg until now, as it is recorded."""
        now_s = self.services.loop.time()
        return tuple([leg.record(now_s) for leg in self.legs])

    def metadata(self, *, selected: Leg | None) -> Mapping[str, object]:
        """How the call was routed. selected: the leg that answers."""
        decided = self.decided
        return router_metadata(
            decided.decision,
            self.attempts(),
            decided.snapshot,
            requested=self.request.first_model,
            selected=None if selected is None else selected.record(self.services.loop.time()),
            splices=() if self.continuing is None else self.continuing.splices,
        )
