"""The whole life of a call, from a caller's bytes to a settled record.

    authenticate ─> read ─> decode ─> resolve ─> plan ─┬─> attempt ──> relay ──> settle
                                                       └──── next ────┘
                                                         (until the first token)

Every step that decides is pure and lives elsewhere; this file puts them in order and holds the only
`await`s between them. Whatever happens after an upstream was asked, the call is settled: completed,
cancelled or failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from fairlead.core.attempts_until_now import Attempts, GiveUp
from fairlead.core.catalog import Endpoint, Model, Resolved, Snapshot
from fairlead.core.chat import ChatEvent, ChatRequest, ReasoningSettings
from fairlead.core.end_user import with_end_user
from fairlead.core.errors import (
    FailureKind,
    FairleadError,
    NotAuthenticated,
    Overloaded,
    PermissionDenied,
    Problem,
    UpstreamFailure,
)
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.ids import GenerationId, IdSource, ProviderSlug
from fairlead.core.routing import fitted, plan
from fairlead.dialects.base import AnswerHead, Closing, Dialect, StreamEncoder
from fairlead.gateway.caller_side import CallerSide, header_lines
from fairlead.gateway.ports import (
    Caller,
    CatalogFeed,
    Clock,
    Credentials,
    Generations,
    Health,
    KeyDirectory,
    TokenCounter,
)
from fairlead.gateway.refusals import (
    AllFailed,
    exhausted,
    no_endpoints,
    requested_names,
    unknown_model,
    wrong_endpoint,
)
from fairlead.gateway.settlement import Tally, closing_charge
from fairlead.gateway.upstream import Exchange, Phase, TransportFailure, UpstreamClient
from fairlead.providers.base import ChatAdapter, ChatDecoder, Provider

__all__ = ["Refusing", "Services", "Timeouts", "authenticate", "refuse", "serve_chat"]

_log = logging.getLogger(__name__)

ERROR_BODY_BYTES_MAX: Final = 256 * 1024
ATTRIBUTION_CHARACTERS_MAX: Final = 256
END_S: Final = 1.0  # for an upstream to end its message once it has said that its answer is over
APP_CATEGORIES_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Of one call, in seconds. The time to connect is the client's own matter.

    first_token: from asking an upstream until its first token; of a whole answer, its first byte, which
        comes when a model has thought to the end. between_tokens: between two pieces of an answer.
    total: the whole call, all attempts together.
    """

    first_token: float = 300.0
    between_tokens: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Services:
    """All that a call needs, plugged together in one place."""

    keys: KeyDirectory
    catalog: CatalogFeed
    credentials: Credentials
    providers: Callable[[ProviderSlug], Provider | None]
    upstream: UpstreamClient
    health: Health
    generations: Generations
    tokens: TokenCounter
    ids: IdSource
    clock: Clock
    loop: asyncio.AbstractEventLoop
    timeouts: Timeouts
    body_bytes_max: int


async def serve_chat(caller_side: CallerSide, *, dialect: Dialect, services: Services) -> None:
    """Serve one call completely. Only a shutdown's cancellation comes out of here."""
    call: _Call | None = None
    try:
        caller = await authenticate(caller_side, services)
        body = await caller_side.body(services.body_bytes_max)
        request = dialect.decode(body, caller_side.headers)
        call = _Call(caller_side, dialect, services, caller, request)
        await call.run()
    except FairleadError as error:
        if not caller_side.has_left:
            _tell(caller_side, dialect, error.problem(), call.id if call else None)
    except asyncio.CancelledError:
        # We are cancelled when the caller leaves; anybody else means it.
        if not caller_side.has_left:
            stopping = Overloaded(_STOPPING)
            if call is not None:
                await call.cut_short(stopping)
            _tell(caller_side, dialect, stopping.problem(), call.id if call else None)
            raise
        # Still marked as cancelled, so that a shutdown does not interrupt the settling.
        if call is not None:
            await call.cancelled()
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
    except Exception:  # noqa: BLE001 — the outermost edge of a call: nothing may pass it
        _log.exception("A call failed for a reason of our own.")
        masked = FairleadError(_MASKED)
        if call is not None:
            await call.cut_short(masked)
        _tell(caller_side, dialect, masked.problem(), call.id if call else None)


_STOPPING: Final = "The server is stopping. Please send the call again."
_MASKED: Final = "Something went wrong on our side. The call was not charged."


async def authenticate(caller_side: CallerSide, services: Services) -> Caller:
    """Who calls. Raises NotAuthenticated only when the store positively says no."""
    header = caller_side.headers.get(b"authorization")
    if header is not None and header[:7].lower() == b"bearer ":
        secret = header[7:].strip()
    else:
        secret = caller_side.headers.get(b"x-api-key", b"").strip()
    if not secret:
        raise NotAuthenticated(
            "No API key was sent. Put it in the header `Authorization: Bearer <key>`."
        )
    digest = sha256(secret).digest()
    found = services.keys.peek(digest)
    if found is None:
        found = await services.keys.find(digest)
    if not isinstance(found, Caller):
        raise NotAuthenticated(found.reason)
    if found.is_management:
        raise PermissionDenied("A management key cannot be used for inference. Use an API key.")
    return found


def _tell(
    caller_side: CallerSide, dialect: Dialect, problem: Problem, generation: GenerationId | None
) -> None:
    """Tell an error, in band if the answer has already begun."""
    if caller_side.is_complete:
        return
    if caller_side.has_started:
        # Keep-alive comments went out before any token: status 200 is gone, the stream must say it.
        head = AnswerHead(generation or GenerationId(""), "", "", 0)
        caller_side.end(dialect.stream(head).fail(problem, None))
    else:
        refuse(caller_side, dialect, problem, generation)


class Refusing(Protocol):
    """What is needed of a dialect to say no."""

    @property
    def id_header(self) -> bytes: ...

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes: ...


def refuse(
    caller_side: CallerSide, dialect: Refusing, problem: Problem, generation: GenerationId | None
) -> None:
    """Answer with an error; nothing has been said yet."""
    own = [(name.encode(), value.encode("latin-1")) for name, value in problem.headers]
    head_lines = _WHOLE_HEAD + header_lines(own)
    if generation is not None:
        head_lines = _with_id(head_lines, generation, dialect)
    caller_side.answer(problem.status, head_lines, dialect.problem(problem, generation))


def _with_id(head_lines: bytes, generation: GenerationId, dialect: Refusing) -> bytes:
    name = generation.encode()
    return b"%bx-generation-id: %b\r\n%b: %b\r\n" % (head_lines, name, dialect.id_header, name)


_CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"x-generation-id, x-request-id, request-id, retry-after"),
)
_WHOLE_HEAD: Final = header_lines(((b"content-type", b"application/json"), *_CORS))
_STREAM_HEAD: Final = header_lines(
    (
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),  # a proxy in front of us must not collect the events
        *_CORS,
    )
)


@dataclass(slots=True)
class _Opened:
    """An attempt that has begun to answer. events: what came up to the first token, or all of it."""

    endpoint: Endpoint
    exchange: Exchange
    decoder: ChatDecoder
    events: list[ChatEvent]
    is_over: bool


class _Call:
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
        self._snapshot: Snapshot = services.catalog.snapshot
        self._records: list[Attempt] = []
        self._failures: list[tuple[Endpoint, UpstreamFailure]] = []  # of models given up
        self._tally = Tally()
        self._model: Model | None = None
        self._endpoint: Endpoint | None = None
        self._exchange: Exchange | None = None
        self._encoder: StreamEncoder | None = None
        self._first_token_s: float | None = None
        self._is_settled = False
        self.id = services.ids.generation()

    async def run(self) -> None:
        """Plan, attempt, relay. Raises FairleadError while nothing has reached the caller."""
        if self._request.streamed:
            head = _with_id(_STREAM_HEAD, self.id, self._dialect)
            self._side.stream(head, keep_alive=self._dialect.keep_alive)
        told: FairleadError | None = None
        for resolved in self._models():
            try:
                await self._run_model(resolved)
                return
            except FairleadError as error:
                if self._first_token_s is not None:
                    raise
                # The caller's list of models: any error moves on, the last one is told. That a later
                # model could not be tried does not hide that an earlier one failed and may be well soon.
                if isinstance(error, AllFailed) or not isinstance(told, AllFailed):
                    told = error
        assert told is not None, "a list of models is never empty"
        raise told

    def _models(self) -> list[Resolved]:
        names = requested_names(self._request)
        resolved: list[Resolved] = []
        for name in names:
            found = self._snapshot.resolve(name)
            if not isinstance(found, Resolved):
                raise unknown_model(found, names)
            if refusal := wrong_endpoint(found.model, names, self._dialect.capability):
                raise refusal
            resolved.append(found)
        if not resolved:
            raise unknown_model(None, ())
        return resolved

    async def _run_model(self, resolved: Resolved) -> None:
        services = self._services
        model = self._model = resolved.model
        request = _with_presets(self._request, model)
        now_s = services.loop.time()
        chosen = plan(
            request,
            model,
            health=services.health.at(now_s),
            has_credential=services.credentials.has,
            providers=self._snapshot.providers,
        )
        if not chosen.endpoints:
            raise no_endpoints(self._request, model, chosen, self._snapshot, self._can_serve)
        attempts = Attempts(chosen.endpoints, deadline_s=self._deadline_s)
        while True:
            step = attempts.next(services.loop.time())
            if isinstance(step, GiveUp):
                earlier = tuple(self._failures)
                self._failures += step.failures
                raise exhausted(step, self._snapshot, self._request, earlier=earlier)
            began_s = services.loop.time()
            try:
                opened = await self._open(request, step.endpoint, began_s)
            except UpstreamFailure as failure:
                self._let_go()
                services.health.failed(step.endpoint.id, failure, now_s=services.loop.time())
                attempts.failed(step.endpoint, failure)
                self._note_attempt(step.endpoint, failure.status, began_s, failure.kind)
                continue
            attempts.committed()
            self._note_attempt(step.endpoint, opened.exchange.status, began_s, None)
            await self._deliver(opened)
            return

    # --- one attempt, up to its first token ---

    async def _open(self, request: ChatRequest, endpoint: Endpoint, began_s: float) -> _Opened:
        """Ask one endpoint until it has said something. Raises UpstreamFailure."""
        services = self._services
        provider, adapter = self._provider(endpoint)
        self._tally = Tally()
        self._endpoint = endpoint
        expire_at_s = min(began_s + services.timeouts.first_token, self._deadline_s)
        try:
            credential = services.credentials.find(endpoint.provider)
        except KeyError:  # the configuration changed since the plan was made
            raise UpstreamFailure(
                f"{endpoint.provider} is no longer configured.", kind=FailureKind.MODEL_NOT_FOUND
            ) from None
        upstream_request = adapter.encode(fitted(request, endpoint), endpoint, credential)
        if provider.sign is not None:
            now_s = services.clock.now_s()
            upstream_request = provider.sign(upstream_request, credential, now_s)
        try:
            exchange = await services.upstream.send(upstream_request, expire_at_s=expire_at_s)
            self._exchange = exchange
            if exchange.status >= 300:
                body = await exchange.read_all(ERROR_BODY_BYTES_MAX)
                raise adapter.failure(exchange.status, exchange.headers, body)
            decoder = adapter.decoder(streamed=request.streamed)
            if not request.streamed:
                return await self._whole_answer(endpoint, exchange, decoder)
            return await self._first_token(endpoint, exchange, decoder)
        except TransportFailure as failure:
            raise _meaning(failure) from failure

    async def _whole_answer(
        self, endpoint: Endpoint, exchange: Exchange, decoder: ChatDecoder
    ) -> _Opened:
        """An answer that is not streamed. One that arrives slowly but steadily is let arrive."""
        events: list[ChatEvent] = []
        body = exchange.take_whole()
        if body is not None:
            events += decoder.feed(body)
            events += decoder.finish()
            self._watch(events)
            return _Opened(endpoint, exchange, decoder, events, is_over=True)
        between_s = self._services.timeouts.between_tokens
        while chunk := await exchange.read():
            events += decoder.feed(chunk)
            soon_s = self._services.loop.time() + between_s
            exchange.expire_at(min(soon_s, self._deadline_s), Phase.BETWEEN_TOKENS)
        events += decoder.finish()
        self._watch(events)
        return _Opened(endpoint, exchange, decoder, events, is_over=True)

    async def _first_token(
        self, endpoint: Endpoint, exchange: Exchange, decoder: ChatDecoder
    ) -> _Opened:
        events: list[ChatEvent] = []
        while True:
            chunk = await exchange.read()
            fresh = decoder.feed(chunk) if chunk else decoder.finish()
            events += fresh
            if self._watch(fresh) or not chunk:
                return _Opened(endpoint, exchange, decoder, events, is_over=not chunk)

    def _can_serve(self, slug: ProviderSlug) -> bool:
        provider = self._services.providers(slug)
        return provider is not None and provider.adapter(self._dialect.capability) is not None

    def _provider(self, endpoint: Endpoint) -> tuple[Provider, ChatAdapter]:
        provider = self._services.providers(endpoint.provider)
        capability = self._dialect.capability
        adapter = None if provider is None else provider.adapter(capability)
        if provider is None or adapter is None:
            raise UpstreamFailure(
                f"{endpoint.provider} does not serve {capability} here.",
                kind=FailureKind.MODEL_NOT_FOUND,
            )
        return provider, adapter

    def _watch(self, events: list[ChatEvent]) -> bool:
        has_content = self._tally.watch(events)
        if has_content and self._first_token_s is None:
            self._first_token_s = self._services.loop.time()
        return has_content

    # --- from the first token on ---

    async def _deliver(self, opened: _Opened) -> None:
        head = AnswerHead(
            generation=self.id,
            model=opened.endpoint.model,
            provider=self._provider_name(opened.endpoint),
            created_s=int(self._began_at_s),
            show_reasoning=_shows_reasoning(self._request),
            request=self._request,
        )
        self._first_token_s = self._first_token_s or self._services.loop.time()
        if self._request.streamed:
            self._encoder = self._dialect.stream(head)
            await self._relay(opened, self._encoder)
        else:
            self._let_go()
            self._services.health.succeeded(opened.endpoint.id)
            body = await self._settle(
                Outcome.COMPLETED,
                lambda closing: self._dialect.whole(head, opened.events, closing),
            )
            self._side.answer(200, _with_id(_WHOLE_HEAD, self.id, self._dialect), body)

    async def _relay(self, opened: _Opened, encoder: StreamEncoder) -> None:
        """The stream: each piece is translated and written the moment it arrives, in the upstream's callback.

        A caller who takes less than comes pauses his own upstream, and nobody else's.
        """
        services, side, exchange, decoder, tally = (
            self._services,
            self._side,
            opened.exchange,
            opened.decoder,
            self._tally,
        )

        def take(chunk: bytes) -> None:
            forward(decoder.feed(chunk))
            if decoder.is_over:
                exchange.expire_at(services.loop.time() + END_S, Phase.TOTAL)

        def forward(events: list[ChatEvent]) -> None:
            if events:
                tally.watch(events)
                if data := encoder.feed(events):
                    side.write(data)

        try:
            if data := encoder.feed(opened.events):
                side.write(data)
            if not opened.is_over:
                side.when_congested(exchange.pause, exchange.resume)
                between_s, until_s = services.timeouts.between_tokens, self._deadline_s
                if decoder.is_over:
                    until_s = min(until_s, services.loop.time() + END_S)
                try:
                    await exchange.pour(take, between_s=between_s, until_s=until_s)
                except TransportFailure as lost:
                    forward(_last_events(decoder, lost))
                else:
                    forward(decoder.finish())
        except (UpstreamFailure, TransportFailure) as broken:
            failure = _meaning(broken) if isinstance(broken, TransportFailure) else broken
            self._let_go()
            # If the caller let the time pass, because he takes less than comes, his provider is well.
            if failure.kind is not FailureKind.TIMEOUT or not side.is_congested:
                services.health.failed(opened.endpoint.id, failure, now_s=services.loop.time())
            problem = failure.problem()
            end = await self._settle(
                Outcome.FAILED, lambda closing: encoder.fail(problem, closing), failure
            )
            side.end(end)
            return
        self._let_go()
        services.health.succeeded(opened.endpoint.id)
        side.end(await self._settle(Outcome.COMPLETED, encoder.close))

    async def cancelled(self) -> None:
        """The caller left: the upstream is let go at once, what was used is settled."""
        self._let_go()
        if self._endpoint is not None and not self._is_settled:
            await self._settle(Outcome.CANCELLED, _nothing)

    async def cut_short(self, error: FairleadError) -> None:
        """We stop before the answer did. It is our fault, so it is free; the caller is told in band."""
        self._let_go()
        if self._endpoint is None or self._is_settled:
            return
        stream, problem = self._encoder, error.problem()
        if stream is None:
            head = AnswerHead(self.id, self._endpoint.model, self._endpoint.provider, 0)
            stream = self._dialect.stream(head)
        end = await self._settle(Outcome.FAILED, lambda closing: stream.fail(problem, closing))
        if self._side.has_started and not self._side.is_complete:
            self._side.end(end)

    def _let_go(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()

    # --- the record ---

    async def _settle(
        self,
        outcome: Outcome,
        write: Callable[[Closing], bytes],
        failure: UpstreamFailure | None = None,
    ) -> bytes:
        """Price the call, write its last bytes, record it: once. Returns the bytes.

        They are written before the record is, so that an answer which cannot be written is not charged,
        and sent after it. Raises Overloaded if the call cannot be recorded, and what `write` raises.
        """
        assert self._endpoint is not None
        assert self._model is not None
        assert not self._is_settled
        services, request, tally, endpoint = (
            self._services,
            self._request,
            self._tally,
            self._endpoint,
        )
        usage, charge = closing_charge(
            tally,
            outcome,
            request=request,
            model=self._model,
            endpoint=endpoint,
            counter=services.tokens,
            at_s=self._began_at_s,
        )
        now_s = services.loop.time()
        completed_s = int(self._began_at_s + now_s - self._began_s)
        last = write(Closing(usage=usage, charge=charge, completed_s=completed_s))
        self._is_settled = True
        body = request.body
        recorded = services.generations.append(
            Generation(
                id=self.id,
                account=self._caller.account,
                key=self._caller.key,
                created_s=self._began_at_s,
                api_type=self._dialect.api_type,
                requested_model=body.model or "",
                model=endpoint.model,
                endpoint=endpoint.id,
                provider=endpoint.provider,
                price_version=endpoint.price_version,
                outcome=outcome,
                usage=usage,
                cost=charge.total,
                cost_prompt=charge.prompt,
                cost_completion=charge.completion,
                streamed=request.streamed,
                attempts=tuple(self._records),
                latency_ms=_milliseconds((self._first_token_s or now_s) - self._began_s),
                duration_ms=_milliseconds(now_s - self._began_s),
                finish_reason=tally.finish,
                native_finish_reason=tally.native_finish,
                upstream_id=tally.upstream_id,
                upstream_cost=tally.upstream_cost,
                service_tier=tally.service_tier,
                session_id=body.session_id or _bounded(self._side, b"x-session-id"),
                external_user=body.user,
                attribution=_attribution(self._side),
                error_type=None if failure is None else failure.error_type.value,
                catalog_version=self._snapshot.version,
            )
        )
        if recorded is not None:
            await asyncio.shield(recorded)
        return last

    def _note_attempt(
        self, endpoint: Endpoint, status: int | None, began_s: float, failure: FailureKind | None
    ) -> None:
        self._records.append(
            Attempt(
                endpoint=endpoint.id,
                provider=endpoint.provider,
                model=endpoint.model,
                status=status,
                latency_ms=_milliseconds(self._services.loop.time() - began_s),
                failure=None if failure is None else failure.value,
            )
        )

    def _provider_name(self, endpoint: Endpoint) -> str:
        info = self._snapshot.providers.get(endpoint.provider)
        return endpoint.provider if info is None else info.name


def _nothing(_: Closing) -> bytes:
    """The last bytes for a caller who has left."""
    return b""


def _with_presets(request: ChatRequest, model: Model) -> ChatRequest:
    """A slug such as `openai/o3-mini-high` presets an effort, unless the caller names one."""
    if model.preset_effort is None:
        return request
    asked = request.reasoning
    if asked is not None and (asked.effort is not None or asked.max_tokens is not None):
        return request
    preset = ReasoningSettings(
        effort=model.preset_effort,  # type: ignore[arg-type] # the catalogue was checked when it was read
        exclude=asked.exclude if asked is not None else False,
    )
    return msgspec.structs.replace(request, reasoning=preset)


def _shows_reasoning(request: ChatRequest) -> bool:
    return request.reasoning is None or not request.reasoning.exclude


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


def _meaning(failure: TransportFailure) -> UpstreamFailure:
    """What a failure on the wire means. The message names no host: it is for the caller."""
    if failure.timed_out:
        return UpstreamFailure(_TIMED_OUT[failure.phase], kind=FailureKind.TIMEOUT)
    kind = _MEANINGS[failure.phase]
    return UpstreamFailure(_BROKEN[kind], kind=kind)


def _last_events(decoder: ChatDecoder, failure: TransportFailure) -> list[ChatEvent]:
    """An answer that had come to its end is whole, however its connection ended; any other raises `failure`."""
    try:
        return decoder.finish()
    except UpstreamFailure:
        raise failure from None


_ATTRIBUTING: Final = frozenset(
    {b"http-referer", b"referer", b"x-openrouter-title", b"x-title", b"x-openrouter-categories"}
)


def _attribution(side: CallerSide) -> Attribution | None:
    agent = _bounded(side, b"user-agent")
    if _ATTRIBUTING.isdisjoint(side.headers):
        return Attribution(user_agent=agent) if agent else None
    referer = _bounded(side, b"http-referer") or _bounded(side, b"referer")
    title = _bounded(side, b"x-openrouter-title") or _bounded(side, b"x-title")
    categories = _bounded(side, b"x-openrouter-categories")
    if not (referer or title or categories or agent):
        return None
    return Attribution(
        referer=referer,
        title=title,
        categories=tuple(
            name.strip()
            for name in (categories or "").split(",")[:APP_CATEGORIES_MAX]
            if name.strip()
        ),
        user_agent=agent,
    )


def _bounded(side: CallerSide, name: bytes) -> str | None:
    value = side.headers.get(name)
    if value is None:
        return None
    return value[:ATTRIBUTION_CHARACTERS_MAX].decode("utf-8", "replace")


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
