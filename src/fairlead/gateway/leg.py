"""One attempt at one endpoint, from asking it to letting go of it.

A call has one leg, normally; more after failures, with a hedge, or when a broken stream is continued. A leg
has a tally and a connection of its own, so that two can run side by side and each is recorded. Whatever
happens, `end` is called exactly once: it frees the connection and tells health what was seen.
"""

from __future__ import annotations

from typing import Final

from fairlead.core.attempts import Try
from fairlead.core.belongings import NOTHING, Belongings
from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatEvent, ChatRequest, FinishReason
from fairlead.core.errors import CallerError, FailureKind, UpstreamFailure
from fairlead.core.generation import Attempt, AttemptKind
from fairlead.core.health import EndpointOutcome
from fairlead.core.money import NanoUSD
from fairlead.core.own_keys import is_owners_fault, refused
from fairlead.gateway.services import Services
from fairlead.gateway.settlement import Tally
from fairlead.gateway.upstream import Exchange, Phase, TransportFailure
from fairlead.providers.base import ChatAdapter, ChatDecoder, Credential, Provider

__all__ = ["ERROR_BODY_BYTES_MAX", "Leg", "meaning"]

ERROR_BODY_BYTES_MAX: Final = 256 * 1024


class Leg:
    """See the top of the file.

    events: what came up to the first token, or all of it. is_over: nothing more will come.
    """

    __slots__ = (
        "_belongings",
        "_capability",
        "_deadline_s",
        "_exchange",
        "_failure",
        "_is_ended",
        "_services",
        "_status",
        "_was_let_go",
        "_was_paused",
        "began_s",
        "choice",
        "decoder",
        "ended_s",
        "events",
        "expire_at_s",
        "first_token_s",
        "is_over",
        "kind",
        "request",
        "spend",
        "tally",
    )

    def __init__(
        self,
        step: Try,
        request: ChatRequest,
        *,
        kind: AttemptKind,
        capability: Capability,
        deadline_s: float,
        services: Services,
        belongings: Belongings = NOTHING,
    ) -> None:
        """request: as this endpoint is to be asked. deadline_s: of the whole call, event-loop time.

        belongings: what the caller has, of which the choice names a key.
        """
        self.choice = step.choice
        self.expire_at_s = step.expire_at_s
        self._deadline_s = deadline_s
        self.request = request
        self.kind = kind
        self.tally = Tally(keeps_calls=bool(request.body.tools))
        self.events: list[ChatEvent] = []
        self.is_over = False
        self.decoder: ChatDecoder | None = None
        self.began_s = services.loop.time()
        self.first_token_s: float | None = None
        self.ended_s: float | None = None
        self.spend = NanoUSD(0)
        self._services = services
        self._capability = capability
        self._belongings = belongings
        self._exchange: Exchange | None = None
        self._status: int | None = None
        self._failure: UpstreamFailure | None = None
        self._was_let_go = False
        self._was_paused = False
        self._is_ended = False
        now_s = services.clock.now_s()
        services.health.began(step.choice.endpoint.id, now_s)
        if request.streamed:
            services.health.waits(step.choice.endpoint.id, now_s)

    @property
    def endpoint(self) -> Endpoint:
        return self.choice.endpoint

    @property
    def exchange(self) -> Exchange:
        assert self._exchange is not None, "nothing was asked yet, or it was let go"
        return self._exchange

    # --- up to the first token ---

    async def open(self) -> None:
        """Ask the endpoint until it has said something. Raises UpstreamFailure; the caller of this ends it."""
        try:
            await self._ask()
        except UpstreamFailure as failure:
            if self.choice.key is None:
                raise
            told = refused(failure, provider=self.choice.endpoint.provider)
            if told is failure:
                raise
            raise told from failure

    async def _callers(self, key: str) -> Credential:
        """The caller's own credential that the plan names. Raises UpstreamFailure."""
        own_keys = self._services.own_keys
        assert own_keys is not None, "somebody has put own keys into the plan"
        return await own_keys.open(self._belongings, self.choice.endpoint.provider, key)

    def _ours(self) -> Credential:
        """The installation's credential. Raises UpstreamFailure."""
        provider = self.choice.endpoint.provider
        try:
            return self._services.credentials.find(provider)
        except KeyError:  # the configuration changed since the plan was made
            raise UpstreamFailure(
                f"{provider} is no longer configured.", kind=FailureKind.MODEL_NOT_FOUND
            ) from None

    async def _ask(self) -> None:
        services, endpoint = self._services, self.choice.endpoint
        provider, adapter = self._provider(endpoint)
        key = self.choice.key
        credential = self._ours() if key is None else await self._callers(key)
        try:
            upstream_request = adapter.encode(self.request, endpoint, credential)
        except CallerError as refusal:  # which another provider may not have to say
            raise UpstreamFailure(
                refusal.message,
                kind=FailureKind.UNSUPPORTED,
                error_type=refusal.error_type,
                param=refusal.problem().param,
            ) from refusal
        if provider.sign is not None:
            upstream_request = provider.sign(upstream_request, credential, services.clock.now_s())
        try:
            exchange = await services.upstream.send(upstream_request, expire_at_s=self.expire_at_s)
            self._exchange = exchange
            self._status = exchange.status
            if exchange.status >= 300:
                body = await exchange.read_all(ERROR_BODY_BYTES_MAX)
                raise adapter.failure(exchange.status, exchange.headers, body)
            decoder = self.decoder = adapter.decoder(streamed=self.request.streamed)
            if self.request.streamed:
                await self._first_token(exchange, decoder)
            else:
                await self._whole_answer(exchange, decoder)
        except TransportFailure as failure:
            raise meaning(failure) from failure

    async def _whole_answer(self, exchange: Exchange, decoder: ChatDecoder) -> None:
        """An answer that is not streamed. One that arrives slowly but steadily is let arrive."""
        events = self.events
        self.is_over = True
        body = exchange.take_whole()
        if body is not None:
            events += decoder.feed(body)
        else:
            between_s = self._services.timeouts.between_tokens
            while chunk := await exchange.read():
                events += decoder.feed(chunk)
                soon_s = self._services.loop.time() + between_s
                exchange.expire_at(min(soon_s, self._deadline_s), Phase.BETWEEN_TOKENS)
        events += decoder.finish()
        self.tally.watch(events)
        self.first_token_s = self._services.loop.time()

    async def _first_token(self, exchange: Exchange, decoder: ChatDecoder) -> None:
        services = self._services
        while True:
            chunk = await exchange.read()
            fresh = decoder.feed(chunk) if chunk else decoder.finish()
            self.events += fresh
            has_content = self.tally.watch(fresh)
            if has_content or not chunk:
                now_s = self.first_token_s = services.loop.time()
                self.is_over = not chunk
                waited_s = now_s - self.began_s
                services.health.spoke(self.endpoint.id, waited_s, services.clock.now_s())
                return

    def _provider(self, endpoint: Endpoint) -> tuple[Provider, ChatAdapter]:
        provider = self._services.providers(endpoint.provider)
        adapter = None if provider is None else provider.adapter(self._capability)
        if provider is None or adapter is None:
            raise UpstreamFailure(
                f"{endpoint.provider} does not serve {self._capability} here.",
                kind=FailureKind.MODEL_NOT_FOUND,
            )
        return provider, adapter

    # --- while it is passed on ---

    def pause(self) -> None:
        """The caller takes less than comes."""
        self._was_paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        """He has caught up."""
        if self._exchange is not None:
            self._exchange.resume()

    # --- the end ---

    def close(self) -> None:
        """Free the connection. Idempotent."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()

    def end(
        self,
        failure: UpstreamFailure | None = None,
        *,
        was_let_go: bool = False,
        is_its_fault: bool = True,
    ) -> None:
        """It is over: answered, failed, or nobody wants it any more. Only the first call counts.

        is_its_fault: False for a failure that says nothing about the endpoint.
        """
        if self._is_ended:
            return
        self._is_ended = True
        self.close()
        services = self._services
        now_s = self.ended_s = services.loop.time()
        self._failure, self._was_let_go = failure, was_let_go
        duration_s = now_s - self.began_s
        first_token_s = None
        if self.request.streamed and self.first_token_s is not None:
            first_token_s = self.first_token_s - self.began_s
        tally = self.tally
        if failure is None and not was_let_go:
            outcome = EndpointOutcome(
                failure=FailureKind.SERVER if tally.finish == _ERROR else None,
                first_token_s=first_token_s,
                # Of an answer that had to wait for its caller, the pace is his.
                output_tokens=0
                if tally.usage is None or self._was_paused
                else tally.usage.completion_tokens,
                duration_s=duration_s,
                tools=services.tools.verdict(tally.answered_calls(), self.request.body.tools)
                if tally.finish == _TOOL_CALLS
                else None,
            )
        elif failure is not None and is_its_fault and not self._is_callers(failure):
            outcome = EndpointOutcome(
                failure=failure.kind,
                retry_after_s=failure.retry_after_s,
                first_token_s=first_token_s,
                duration_s=duration_s,
            )
        else:
            is_silent = self.request.streamed and self.first_token_s is None
            outcome = EndpointOutcome(
                failure=None,
                is_abandoned=True,
                first_token_s=first_token_s,
                duration_s=duration_s,
                silent_s=duration_s if is_silent else None,
            )
        services.health.ended(self.choice.endpoint.id, outcome, services.clock.now_s())

    def _is_callers(self, failure: UpstreamFailure) -> bool:
        """Whether it is about a credential of the caller's own, and says nothing about the endpoint."""
        return self.choice.key is not None and is_owners_fault(failure.kind)

    def record(self, now_s: float) -> Attempt:
        """What the generation keeps of it."""
        endpoint, until_s = self.choice.endpoint, self.first_token_s or self.ended_s or now_s
        return Attempt(
            endpoint=endpoint.id,
            provider=endpoint.provider,
            model=endpoint.model,
            status=self._status
            if self._failure is None or self._failure.status is None
            else self._failure.status,
            latency_ms=max(0, round((until_s - self.began_s) * 1000)),
            failure=None if self._failure is None else self._failure.kind.value,
            kind=self.kind,
            key=self.choice.key,
            was_let_go=self._was_let_go,
            spend=self.spend,
        )


_ERROR: Final = FinishReason.ERROR.value
_TOOL_CALLS: Final = FinishReason.TOOL_CALLS.value
_MEANINGS: Final = {
    Phase.CONNECT: FailureKind.UNREACHABLE,
    Phase.SEND: FailureKind.UNREACHABLE,
    Phase.FIRST_TOKEN: FailureKind.CUT,
    Phase.BETWEEN_TOKENS: FailureKind.CUT,
    Phase.TOTAL: FailureKind.CUT,
    Phase.READ: FailureKind.CUT,
}
_TIMED_OUT: Final = {
    Phase.CONNECT: "The provider could not be reached in time.",
    Phase.SEND: "The provider did not take the request in time.",
    Phase.FIRST_TOKEN: "The provider did not begin to answer in time.",
    Phase.BETWEEN_TOKENS: "The provider stopped in the middle of its answer.",
    Phase.TOTAL: "The answer took longer than a call may take.",
    Phase.READ: "The provider did not finish its answer in time.",
}
_BROKEN: Final = {
    FailureKind.UNREACHABLE: "The provider could not be reached.",
    FailureKind.CUT: "The provider's answer broke off.",
}


def meaning(failure: TransportFailure) -> UpstreamFailure:
    """What a failure on the wire means. The message names no host: it is for the caller."""
    if failure.timed_out:
        return UpstreamFailure(_TIMED_OUT[failure.phase], kind=FailureKind.TIMEOUT)
    kind = _MEANINGS[failure.phase]
    return UpstreamFailure(_BROKEN[kind], kind=kind)
