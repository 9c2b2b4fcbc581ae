"""The narrow interface between Fairlead and HTTP: how the data plane talks to upstreams.

Two implementations stand behind it, under one contract suite (`tests/gateway/test_upstream.py`):
`upstream_native.py` (our own client on httptools, the default) and `upstream_aiohttp.py`. Nothing
else in the data plane knows an HTTP library, and no exception of one passes this border: all that can
go wrong is a `TransportFailure` that says in which phase.

An `Exchange` is one answer in progress. Its life:

    send() ──> status and headers known ──> read() ... read() == b"" ──> close()
      │                                     pour()
      └ TransportFailure                       └ TransportFailure; the connection is gone

`read` is for an answer that is wanted whole, `pour` for a stream that is passed on: it hands each piece over
in the callback that brought it, without a task waking up for it.

Time-outs are several and named (`Phase`). The client itself applies `connect_s`; all later ones are one
re-armable deadline on the exchange, moved by the caller with `expire_at`, or by each arrival during a
`pour`, so that a stream of a thousand chunks costs one timer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fairlead.providers.base import UpstreamRequest

__all__ = [
    "Exchange",
    "HeaderView",
    "Limits",
    "Phase",
    "TransportFailure",
    "UpstreamClient",
]


class Phase(StrEnum):
    """Where a call was when it failed."""

    CONNECT = (
        "connect"  # no connection: refused, unresolvable, TLS not verified, or connect time-out
    )
    SEND = "send"  # connected, request not fully written
    FIRST_TOKEN = "first_token"  # sent; nothing useful came yet
    BETWEEN_TOKENS = "between_tokens"  # the stream stalled
    TOTAL = "total"  # the whole call took too long
    READ = "read"  # the answer broke off or was malformed


class TransportFailure(Exception):
    """The call did not complete on the wire. Messages name hosts and limits, never headers or bodies.

    timed_out: whether a named time-out ended it, rather than the peer.
    untouched: certain that the upstream acted on nothing (no byte of the request was accepted), so that
        sending it again cannot do it twice.
    """

    def __init__(
        self, message: str, *, phase: Phase, timed_out: bool = False, untouched: bool = False
    ) -> None:
        super().__init__(message)
        self.phase = phase
        self.timed_out = timed_out
        self.untouched = untouched


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the client. Sizes in bytes, times in seconds."""

    connect_s: float = 10.0
    idle_s: float = 30.0  # a pooled connection is closed after this long unused
    connections_per_host_max: int = 4096
    idle_per_host_max: int = 256
    header_bytes_max: int = 64 * 1024  # status line and all headers together
    buffered_bytes_max: int = (
        256 * 1024
    )  # unread body held for a slow reader before the socket is paused


class HeaderView(Protocol):
    """Response headers. Names are lower case; repeated headers give the first; values are latin-1."""

    def get(self, name: str) -> str | None: ...

    def items(self) -> list[tuple[str, str]]: ...


class Exchange(Protocol):
    """One answer in progress; exactly one reader."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> HeaderView: ...

    async def read(self) -> bytes:
        """The next bytes of the body, all that is buffered; b"" at the proper end of the message.

        Raises TransportFailure if the connection ended early, the framing was broken or the deadline
        passed.
        """
        ...

    def take_whole(self) -> bytes | None:
        """The rest of the body if its proper end has come already, as with most short answers; None, and
        nothing is taken, if there may be more to wait for or a failure to raise: then `read`."""
        ...

    async def read_all(self, bytes_max: int) -> bytes:
        """The whole body. Raises TransportFailure (READ) beyond `bytes_max`."""
        ...

    async def pour(
        self, take: Callable[[bytes], None], *, between_s: float, until_s: float
    ) -> None:
        """Give every further piece of the body to `take` the moment it arrives; return at its proper end.

        take: called with one piece after the other, never empty, from a callback of the event loop; what is
            buffered already comes first, within this call. What it raises closes the exchange and comes out
            of here. It may call `pause`, `resume`, `expire_at` and `close`.
        between_s: how long nothing may come (BETWEEN_TOKENS), which does not count while paused.
        until_s: event-loop time at which all must have been taken (TOTAL), paused or not. `expire_at` during
            the pour replaces both.
        Raises TransportFailure as `read` does, after all that came before it was taken; after a passed
        deadline the rest is dropped. Cancelling closes the exchange.
        """
        ...

    def pause(self) -> None:
        """Let a pour take nothing and read nothing from the peer, so that a slow caller slows his upstream.

        What was read already is held: at most one read of the socket, or `buffered_bytes_max`. Idempotent.
        """
        ...

    def resume(self) -> None:
        """Undo `pause`. What is held is given first, perhaps within this call. Idempotent, raises nothing."""
        ...

    def expire_at(self, at_s: float, phase: Phase) -> None:
        """Move the deadline (event-loop time). When it passes, a pending or later read fails with `phase`."""
        ...

    def close(self) -> None:
        """Let go. A fully read keep-alive connection returns to the pool; any other is closed at once,
        which is how an upstream learns that nobody listens any more. Idempotent, never blocks."""
        ...


class UpstreamClient(Protocol):
    """A pool of connections to upstreams."""

    async def send(self, request: UpstreamRequest, *, expire_at_s: float) -> Exchange:
        """Send one request and wait for the head of its answer (1xx are skipped; redirects are not followed).

        expire_at_s: event-loop time by which the head must have come (phase FIRST_TOKEN); it stays the
            exchange's deadline until `expire_at` moves it.
        A request on a pooled connection that turns out to have died unused is sent again, once, on a
        fresh one; nothing else is ever retried here. Cancelling `send` closes the connection.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection, in use or idle, and wait until the sockets are gone."""
        ...
