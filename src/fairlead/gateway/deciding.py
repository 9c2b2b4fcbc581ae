"""What a decision depends on beside the request, brought together; and who may say no to it.

The deciding itself is pure and lives in core/routing/deciding.py. It is the same for a call and for a caller
who only wants to know what would become of one (`explaining.py`).
"""

from __future__ import annotations

from fairlead.core.affinity import Conversation, conversation_of
from fairlead.core.belongings import NOTHING
from fairlead.core.capability import CAPABILITIES, Capability
from fairlead.core.catalog import Model
from fairlead.core.chat import ChatRequest
from fairlead.core.data_regions import region_demanded_by
from fairlead.core.limits import counts_as_free
from fairlead.core.routing.deciding import Circumstances, Decided, Meant, decided, meant
from fairlead.core.routing.types import Access, Warm
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.ports import Caller
from fairlead.gateway.record import bounded_header
from fairlead.gateway.refusals import requested_names, wrong_endpoint
from fairlead.gateway.services import Services

__all__ = ["Deciding"]


class Deciding:
    """The decision of one call.

    belongings: what the caller has, once it was decided.
    conversation: the one that the call belongs to, if anybody had to know.
    """

    __slots__ = (
        "_caller",
        "_capability",
        "_conversation",
        "_is_known",
        "_request",
        "_services",
        "_side",
        "belongings",
        "can_serve",
    )

    def __init__(
        self,
        request: ChatRequest,
        caller: Caller,
        side: CallerSide,
        *,
        capability: Capability,
        services: Services,
    ) -> None:
        self._request = request
        self._caller = caller
        self._side = side
        self._capability = capability
        self._services = services
        self._conversation: Conversation | None = None
        self._is_known = False
        self.can_serve = services.spoken[capability]
        self.belongings = NOTHING

    async def admitted(self) -> Decided:
        """The decision for a call that is to be made: it counts against the caller's limits.

        Raises CallerError for names and wishes that mean nothing, RateLimited for one call too many.
        """
        services = self._services
        if services.belongings is not None:
            known = services.belongings.peek(self._caller)
            self.belongings = known or await services.belongings.find(self._caller)
        circumstances = self._circumstances()
        what = self._meant(circumstances)
        limits, caller = self._services.limits, self._caller
        is_free = counts_as_free(what.targets.targets)
        if limits.needs_check(caller, is_free=is_free):
            now_s = self._services.clock.now_s()
            if refusal := await limits.admit(caller, is_free=is_free, now_s=now_s):
                raise refusal
        return decided(self._request, what, circumstances)

    def pondered(self) -> Decided:
        """The decision for a call that will not be made. What the caller has was asked for before."""
        services = self._services
        if services.belongings is not None:
            self.belongings = services.belongings.peek(self._caller) or NOTHING
        circumstances = self._circumstances()
        return decided(self._request, self._meant(circumstances), circumstances)

    def first_model(self) -> Model:
        """The model that is meant, or the first of them, whatever it can be asked for.

        Raises CallerError for names that mean nothing.
        """
        circumstances = self._circumstances()
        what = meant(self._request, circumstances, capability=self._capability)
        return circumstances.snapshot.models[what.targets.targets[0].model]

    def conversation(self) -> Conversation | None:
        """Which conversation the call belongs to; None: nothing tells."""
        if not self._is_known:
            self._is_known = True
            session = bounded_header(self._side, b"x-session-id")
            self._conversation = conversation_of(self._request, self._caller.account, session)
        return self._conversation

    def _circumstances(self) -> Circumstances:
        services = self._services
        return Circumstances(
            snapshot=services.catalog.snapshot,
            health=services.health.at(services.clock.now_s()),
            account=self._caller.preferences,
            access=self._access(),
            can_serve=self.can_serve,
            seed=services.ids.seed(),
            region=region_demanded_by(self._side.headers.get(b"host", b"")),
            warm=self._warm,
        )

    def _access(self) -> Access:
        services = self._services
        shared = services.credentials.access
        if services.own_keys is None:
            return shared
        return services.own_keys.access_of(self.belongings, self._caller, shared)

    def _meant(self, circumstances: Circumstances) -> Meant:
        capability = self._capability
        what = meant(self._request, circumstances, capability=capability)
        for target in what.targets.targets:
            model = circumstances.snapshot.models[target.model]
            if CAPABILITIES.get(model.kind) is not capability:
                raise wrong_endpoint(model, requested_names(self._request), capability)
        return what

    def _warm(self) -> Warm | None:
        conversation = self.conversation()
        if conversation is None:
            return None
        services = self._services
        place = services.affinity.find(conversation, services.clock.now_s())
        return None if place is None else place.warm
