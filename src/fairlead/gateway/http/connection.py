"""One socket to an upstream: bytes in, bytes out, one timer, and who may use it.

Invariants
- At most one answer is attached. It is detached when its message is complete (the connection then rests in
  the pool, or closes) or when the connection fails; nothing touches it afterwards.
- A connection is in the pool only if the last message was framed beyond doubt, both sides want to keep it,
  the request was fully written and no byte followed the answer.
- Bytes, or an end, that arrive while no answer is attached close the connection.
- Closing is always `abort`: nothing of ours is worth sending any more, a TLS goodbye would make us wait for
  the peer's, and an upstream learns at once that nobody listens. Message framing, not the goodbye, protects
  our own requests against truncation.
- Exactly one timer per connection, for the exchange's deadline or the pool's patience. It is not moved when
  the due time moves later, only when it fires too early: a stream of a thousand chunks, or a thousand
  requests in quick succession, cost one. Silence is measured the same way: an arrival notes its time and
  touches no timer.

Writing relies on the transport's buffer: the body is in memory already, so it bounds what waits to be
written. `pause_writing` only tells whether the request is fully written.
"""

from __future__ import annotations

import asyncio
import math
import socket
from typing import TYPE_CHECKING, cast

import httptools

from fairlead.gateway.http.answer import Answer, Terms
from fairlead.gateway.http.answer_parser import AnswerParser
from fairlead.gateway.http.request_head import RequestHead
from fairlead.gateway.outbox import Outbox
from fairlead.gateway.upstream import Limits, Phase, TransportFailure

if TYPE_CHECKING:
    from fairlead.gateway.http.origin import Origin

__all__ = ["Connection"]

_JOINED_BODY_BYTES_MAX = (
    64 * 1024
)  # below it, copying head and body together is cheaper than two writes
_NEVER_S = math.inf
_PROTOCOL_NAME = b"HTTP/1."
# A pooled connection that dies this soon after a request, without a byte of answer, was closed by a peer
# that had not seen the request. Later than that it may well have been working on it.
_DIED_UNUSED_WITHIN_S = 1.0


class Connection(asyncio.Protocol):
    __slots__ = (
        "_answer",
        "_armed_s",
        "_between_s",
        "_due_s",
        "_framing_bytes",
        "_has_answered",
        "_head_bytes",
        "_heard_s",
        "_held",
        "_is_reading_paused",
        "_is_writing_paused",
        "_label",
        "_limits",
        "_loop",
        "_origin",
        "_outbox",
        "_parser",
        "_phase",
        "_sent_at_s",
        "_terms",
        "_timer",
        "_transport",
        "is_closed",
        "was_used",
    )

    def __init__(
        self,
        origin: Origin,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        label: str,
        outbox: Outbox,
    ) -> None:
        self._outbox = outbox
        self._origin = origin
        self._loop = loop
        self._limits = limits
        self._label = label
        self._terms = Terms(loop, label, limits.header_bytes_max, limits.buffered_bytes_max)
        self._parser = AnswerParser(self._terms)
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._armed_s = _NEVER_S
        self._between_s = _NEVER_S
        self._due_s = _NEVER_S
        self._heard_s = 0.0
        self._phase = Phase.FIRST_TOKEN
        self._timer: asyncio.TimerHandle | None = None
        self._sent_at_s = 0.0
        self._head_bytes = 0
        self._framing_bytes = 0
        self._held = b""
        self._has_answered = False
        self._is_reading_paused = False
        self._is_writing_paused = False
        self.is_closed = False
        self.was_used = False

    # ---- for the client and the pool ------------------------------------------------------------

    def begin(self, head: RequestHead, body: bytes, expire_at_s: float) -> Answer:
        """Send a request. The answer is attached until its message is complete or broken."""
        transport = self._transport
        assert transport is not None, "not connected"
        assert self._answer is None, "one answer at a time"
        answer = self._answer = Answer(self, self._terms, expects_body=head.expects_body)
        self._parser.begin(answer)
        self._head_bytes = self._framing_bytes = 0
        self._has_answered = False
        self._sent_at_s = self._loop.time()
        self.expire_at(expire_at_s, Phase.FIRST_TOKEN)
        if len(body) <= _JOINED_BODY_BYTES_MAX:
            self._outbox.write(transport, head.with_body(body))
        else:
            transport.write(head.before_body(len(body)))
            transport.write(body)
        return answer

    def expire_at(self, at_s: float, phase: Phase) -> None:
        self._phase = phase
        self._due_s = at_s
        self._between_s = _NEVER_S
        if at_s < self._armed_s:
            self._arm(at_s)

    def expire_if_silent(self, between_s: float, until_s: float) -> None:
        """Expire when no body has come for `between_s` although we read, and at `until_s` at the latest."""
        self._phase = Phase.TOTAL
        self._due_s = until_s
        self._between_s = between_s
        self._listen()

    def rest(self) -> None:
        """In the pool from now on; closed if unused for `idle_s`."""
        self.was_used = True
        self.expire_at(self._loop.time() + self._limits.idle_s, Phase.CONNECT)

    def pause(self) -> None:
        """The reader wants no more for now."""
        if not self._is_reading_paused:
            assert self._transport is not None
            if not self._transport.is_closing():
                self._is_reading_paused = True
                self._transport.pause_reading()

    def resume(self) -> None:
        """The reader took what was buffered."""
        if self._is_reading_paused:
            self._is_reading_paused = False
            assert self._transport is not None
            if not self._transport.is_closing():  # which a failed write may have made it meanwhile
                self._transport.resume_reading()
            self._listen()

    def drop(self) -> None:
        """Close at once; nobody wants the rest of the answer."""
        self._answer = None
        self._abort()

    def shut(self) -> None:
        """The client closes: end whatever is going on."""
        self._break("the client was closed", Phase.READ)

    # ---- for the event loop ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's is one only in its behaviour
        raw = self._transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._transport.set_write_buffer_limits(high=1, low=0)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self._abort()
            return
        buffered_bytes = answer.buffered_bytes
        try:
            if answer.is_head_complete:
                self._parser.feed(data)
            elif not self._feed_head(answer, data):
                return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not answer.is_complete:
                self._break(
                    f"broken answer from {self._label}: {self._parser.violation or error}",
                    Phase.READ,
                )
                return
            answer.is_reusable = False  # the message stands, what follows it does not
        if answer.is_complete:
            self._finish(answer)
            return
        if answer.buffered_bytes != buffered_bytes:
            self._framing_bytes = 0
            self._heard_s = self._loop.time()
            if answer.buffered_bytes > self._limits.buffered_bytes_max and not answer.is_poured:
                self.pause()
        elif not answer.is_head_complete or not self._is_framing_bounded(len(data)):
            return
        answer.wake()

    def eof_received(self) -> None:
        self.is_closed = True  # the transport closes itself after this
        answer = self._answer
        if answer is not None and self._parser.ends_with_the_connection():
            answer.is_reusable = False
            self._finish(answer)

    def pause_writing(self) -> None:
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        self._is_writing_paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.fail(
                self._loss(answer, exc),
                died_unused=self.was_used
                and not self._has_answered
                and self._loop.time() - self._sent_at_s < _DIED_UNUSED_WITHIN_S,
            )
        self._transport = None
        self._parser.end()
        self._origin.forget(self)

    # ---- details --------------------------------------------------------------------------------

    def _feed_head(self, answer: Answer, data: bytes) -> bool:
        """Feed bytes of which at least the first belong to the head. False if that ended the exchange."""
        feed = self._parser.feed
        if not self._has_answered:
            # The parser would also take RTSP, empty lines and other versions for an answer.
            if self._held:
                data, self._held = self._held + data, b""
            if not data.startswith(_PROTOCOL_NAME):
                if _PROTOCOL_NAME.startswith(data):
                    self._held = data
                    return False
                self._has_answered = True
                self._break(f"the answer from {self._label} is not HTTP/1", Phase.READ)
                return False
            self._has_answered = True
        allowed = self._limits.header_bytes_max - self._head_bytes
        self._head_bytes += len(data)
        if len(data) <= allowed:
            feed(data)
            return True
        feed(data[:allowed])
        if not answer.is_head_complete:
            limit = self._limits.header_bytes_max
            self._break(
                f"the head of the answer from {self._label} exceeds {limit} bytes", Phase.READ
            )
            return False
        feed(data[allowed:])
        return True

    def _is_framing_bounded(self, length: int) -> bool:
        """Count bytes that brought no body: chunk extensions and trailers are headers to our limits."""
        self._framing_bytes += length
        if self._framing_bytes <= self._limits.header_bytes_max:
            return True
        limit = self._limits.header_bytes_max
        self._break(
            f"the chunk framing of the answer from {self._label} exceeds {limit} bytes", Phase.READ
        )
        return False

    def _finish(self, answer: Answer) -> None:
        """The message is complete."""
        self._answer = None
        if self._is_reading_paused:
            self.resume()
        if answer.is_reusable and self._is_request_written():
            self._origin.release(self)
        else:
            self._abort()
        answer.detach()

    def _is_request_written(self) -> bool:
        transport = self._transport
        held = 0 if transport is None else self._outbox.holds(transport)
        return not (held or self._is_writing_paused)

    def _break(self, message: str, phase: Phase, *, timed_out: bool = False) -> None:
        """End the connection; its answer, if any, fails."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.fail(TransportFailure(message, phase=phase, timed_out=timed_out))
        self._abort()

    def _loss(self, answer: Answer, exc: Exception | None) -> TransportFailure:
        how = (
            "closed the connection"
            if exc is None
            else f"broke the connection ({type(exc).__name__})"
        )
        if not answer.is_head_complete:
            when = (
                "before the request was sent" if self._is_writing_paused else "before it answered"
            )
        else:
            when = "before the answer was complete"
        phase = Phase.SEND if self._is_writing_paused else Phase.READ
        return TransportFailure(f"{self._label} {how} {when}", phase=phase)

    def _abort(self) -> None:
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def _listen(self) -> None:
        """Silence counts from now."""
        self._heard_s = self._loop.time()
        due_s = self._due()[0]
        if due_s < self._armed_s:
            self._arm(due_s)

    def _due(self) -> tuple[float, Phase]:
        """When the exchange expires as things stand, and in which phase."""
        silent_s = self._heard_s + self._between_s
        if silent_s < self._due_s and not self._is_reading_paused:
            return silent_s, Phase.BETWEEN_TOKENS
        return self._due_s, self._phase

    def _arm(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_s = at_s
        self._timer = self._loop.call_at(at_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._armed_s = _NEVER_S
        due_s, phase = self._due()
        if self._loop.time() < due_s:
            if due_s < _NEVER_S:
                self._arm(due_s)
            return
        answer = self._answer
        if answer is None:
            self._abort()
            return
        if self._is_writing_paused and phase is Phase.FIRST_TOKEN:
            phase = Phase.SEND
        self._break(f"{self._label} exceeded the time-out '{phase}'", phase, timed_out=True)
