"""One answer in progress, between the parser that fills it and its reader.

The body lives here and not in the connection. When the message is complete the answer lets go of its
connection, which may carry the next request before this reader has taken a single byte.

States, each reached at most once and in this order: waiting for the head, in the body, and then either
complete or failed. Bytes that came before a break are still read before the failure is raised; after a
passed deadline nothing is.

A reader either asks for the body (`read`: a future for each wait) or has it poured (`pour`: one future for
all of it). A pour gives from within the callback that brought the bytes, after the parser is done with them,
so that whatever its taker does (pause, close, raise) meets no parser in the middle of its work.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from fairlead.gateway.http.content_coding import BodyDecoder, BrokenCoding
from fairlead.gateway.upstream import Phase, TransportFailure

if TYPE_CHECKING:
    from fairlead.gateway.http.connection import Connection

__all__ = ["Answer", "HeaderFields", "Terms"]


class HeaderFields:
    """Response headers as received; see `HeaderView`. Decoded only when somebody looks."""

    __slots__ = ("_first", "_raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._first: dict[str, str] | None = None

    def get(self, name: str) -> str | None:
        first = self._first
        if first is None:
            first = self._first = {}
            for key, value in self.items():
                first.setdefault(key, value)
        return first.get(name)

    def items(self) -> list[tuple[str, str]]:
        return [
            (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
            for name, value in self._raw
        ]


class _Pour:
    """A body on its way to its taker.

    until_s, phase: the last moment of it all; kept here too, because the connection may be gone before a
        paused taker has had everything. timer: runs only in that case.
    error: what the taker raised.
    """

    __slots__ = ("error", "is_giving", "is_over", "phase", "take", "timer", "until_s")

    def __init__(self, take: Callable[[bytes], None], until_s: float) -> None:
        self.take = take
        self.until_s = until_s
        self.phase = Phase.TOTAL
        self.timer: asyncio.TimerHandle | None = None
        self.error: BaseException | None = None
        self.is_giving = False
        self.is_over = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What all answers of one connection have in common. label: host:port, for messages."""

    loop: asyncio.AbstractEventLoop
    label: str
    header_bytes_max: int
    buffered_bytes_max: int


class Answer:
    """Implements `Exchange`. Everything public beyond it is for the parser and the connection.

    fields: the headers as received.
    chunks, buffered_bytes: the part of the body that arrived and was not taken.
    decoder: undoes the body's coding, if it has one that was not undone completely.
    is_reusable: whether the connection may serve another request after this message.
    died_unused: the connection was lost before the peer can have seen the request.
    """

    __slots__ = (
        "_connection",
        "_failure",
        "_is_paused",
        "_pour",
        "_terms",
        "_waiter",
        "buffered_bytes",
        "chunks",
        "decoder",
        "died_unused",
        "expects_body",
        "fields",
        "is_complete",
        "is_head_complete",
        "is_reusable",
        "status",
    )

    def __init__(self, connection: Connection, terms: Terms, *, expects_body: bool) -> None:
        self._connection: Connection | None = connection
        self._terms = terms
        self._failure: TransportFailure | None = None
        self._is_paused = False
        self._pour: _Pour | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.buffered_bytes = 0
        self.chunks: list[bytes] = []
        self.decoder: BodyDecoder | None = None
        self.died_unused = False
        self.expects_body = expects_body
        self.fields: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self.is_head_complete = False
        self.is_reusable = False
        self.status = 0

    # ---- for the caller -------------------------------------------------------------------------

    async def wait_for_head(self) -> None:
        """Return once status and headers are there. Raises TransportFailure."""
        if not self.is_head_complete and self._failure is None:
            waiter = self._waiter = self._terms.loop.create_future()
            try:
                await waiter
            except asyncio.CancelledError:
                self.close()
                raise
            finally:
                self._waiter = None
        if not self.is_head_complete:
            assert self._failure is not None
            raise self._failure

    @property
    def headers(self) -> HeaderFields:
        return HeaderFields(self.fields)

    def take_whole(self) -> bytes | None:
        if not self.is_complete or self.decoder is not None or self._failure is not None:
            return None
        return self._take()

    async def read(self) -> bytes:
        assert self._pour is None, "an exchange has exactly one reader"
        while not (piece := self._next_piece()):
            if self._failure is not None:
                raise self._failure
            if self.is_complete:
                return b""
            await self._wait()
        return piece

    async def pour(
        self, take: Callable[[bytes], None], *, between_s: float, until_s: float
    ) -> None:
        assert self._pour is None, "an exchange has exactly one reader"
        assert self._waiter is None, "an exchange has exactly one reader"
        pour = self._pour = _Pour(take, until_s)
        if self._connection is not None:
            self._connection.expire_if_silent(between_s, until_s)
        try:
            self._give(pour)
            if not pour.is_over:
                await self._wait()
        finally:
            self._pour = None
            if pour.timer is not None:
                pour.timer.cancel()
        if pour.error is not None:
            raise pour.error
        if self._failure is not None:
            raise self._failure

    def pause(self) -> None:
        self._is_paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if not self._is_paused:
            return
        self._is_paused = False
        if self._connection is not None:
            self._connection.resume()
        if self._pour is not None:
            self.wake()

    async def read_all(self, bytes_max: int) -> bytes:
        if self.buffered_bytes <= bytes_max and (whole := self.take_whole()) is not None:
            return whole
        pieces: list[bytes] = []
        length = 0
        while piece := await self.read():
            length += len(piece)
            if length > bytes_max:
                self._break(f"the body from {self._terms.label} is longer than {bytes_max} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def expire_at(self, at_s: float, phase: Phase) -> None:
        if self._connection is not None:
            self._connection.expire_at(at_s, phase)
        pour = self._pour
        if pour is not None:
            pour.until_s, pour.phase = at_s, phase
            if pour.timer is not None:
                self._watch_held(pour)

    def close(self) -> None:
        is_read = self.is_complete and not self.chunks and self.decoder is None
        if self._failure is None and not is_read:
            self._failure = TransportFailure(
                f"the answer from {self._terms.label} was closed before it was read",
                phase=Phase.READ,
            )
        connection, self._connection = self._connection, None
        self.decoder = None
        self.chunks.clear()
        if connection is not None:
            connection.drop()
        if self._pour is not None:
            self.wake()

    # ---- for the connection ---------------------------------------------------------------------

    @property
    def is_poured(self) -> bool:
        return self._pour is not None

    def wake(self) -> None:
        """There is something new: give it to the taker, or tell a waiting reader."""
        pour = self._pour
        if pour is not None:
            self._give(pour)
            if not pour.is_over:
                return
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def detach(self) -> None:
        """The message is complete: the connection goes its own way."""
        self.is_complete = True
        self._connection = None
        self.wake()

    def fail(self, failure: TransportFailure, *, died_unused: bool = False) -> None:
        """The message will never be complete: the connection is gone."""
        self._failure = failure
        self.died_unused = died_unused
        self._connection = None
        if failure.timed_out:
            self.chunks.clear()
            self.decoder = None
        self.wake()

    # ---- details --------------------------------------------------------------------------------

    async def _wait(self) -> None:
        assert self._waiter is None, "an exchange has exactly one reader"
        self._waiter = self._terms.loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._waiter = None

    def _give(self, pour: _Pour) -> None:
        """Give the taker all there is, unless he pauses; then see whether that was the end."""
        if pour.is_giving:
            return  # he resumed or closed from within `take`; the loop that called him goes on
        pour.is_giving = True
        try:
            while not self._is_paused and (piece := self._next_piece()):
                pour.take(piece)
        except BaseException as error:  # noqa: BLE001 -- it is raised again, by `pour`
            pour.error = error
            pour.is_over = True
            self.close()
            return
        finally:
            pour.is_giving = False
        if self.is_complete or self._failure is not None:
            if not self._is_paused or not (self.chunks or self.decoder):
                pour.is_over = True
            elif self._connection is None and pour.timer is None:
                self._watch_held(pour)

    def _watch_held(self, pour: _Pour) -> None:
        """There is no connection any more whose timer would end a pour that stays paused."""
        if pour.timer is not None:
            pour.timer.cancel()
        at_s = pour.until_s
        pour.timer = (
            None if at_s == math.inf else self._terms.loop.call_at(at_s, self._drop_held, pour)
        )

    def _drop_held(self, pour: _Pour) -> None:
        message = (
            f"the answer from {self._terms.label} was not taken within the time-out '{pour.phase}'"
        )
        self.fail(TransportFailure(message, phase=pour.phase, timed_out=True))

    def _next_piece(self) -> bytes:
        """The next bytes of the body if there are any. Raises TransportFailure if their coding is broken."""
        decoder = self.decoder
        if decoder is None:
            return self._take() if self.chunks else b""
        try:
            while not (piece := decoder.take()) and self.chunks:
                decoder.feed(self._take())
            if not piece and self.is_complete:
                decoder.finish()
                self.decoder = None
        except BrokenCoding as error:
            self._break(f"broken answer from {self._terms.label}: {error}")
        return piece

    def _take(self) -> bytes:
        """All that arrived."""
        chunks = self.chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.buffered_bytes = 0
        if self._connection is not None:
            self._connection.resume()
        return body

    def _break(self, message: str) -> NoReturn:
        """Fail from the reader's side."""
        failure = TransportFailure(message, phase=Phase.READ)
        self.close()
        self._failure = failure
        raise failure from None
