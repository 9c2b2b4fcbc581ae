"""Reading Converse's answers: a binary stream of events, or one JSON body.

A stream is a message of blocks, each with its index: started, continued, stopped. `messageStop` says why it
ended and `metadata`, which comes last, what was used. An answer without `messageStop` was cut.

What has no sense in pieces is held until its block stops: signatures, redacted thoughts, images, citations,
and the calls that Bedrock makes and answers itself. A whole answer is told as if it had been streamed, block
by block, so both say the same.

An error found behind good events is raised by the next call: the events come first.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ChatEvent, PlainEvent, UsageReported
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.bedrock_blocks import MessageReader
from fairlead.providers.bedrock_failures import failure_inside
from fairlead.providers.bedrock_usage import read_usage
from fairlead.providers.whole_body import WholeBody, garbage
from fairlead.wire.aws_event_stream import EventStreamDecoder, EventStreamError, Message
from fairlead.wire.bedrock_converse import Delta, Start, TokenUsage, WholeBlock

__all__ = ["ConverseStreamDecoder", "ConverseWholeDecoder"]


class _BlockStarted(msgspec.Struct, frozen=True, gc=False):
    start: Start
    index: int = msgspec.field(name="contentBlockIndex", default=0)


class _BlockContinued(msgspec.Struct, frozen=True, gc=False):
    delta: Delta
    index: int = msgspec.field(name="contentBlockIndex", default=0)


class _BlockStopped(msgspec.Struct, frozen=True, gc=False):
    index: int = msgspec.field(name="contentBlockIndex", default=0)


class _MessageStopped(msgspec.Struct, frozen=True, gc=False):
    stop_reason: str | None = msgspec.field(name="stopReason", default=None)


class _Tier(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    usage: TokenUsage | None = None


class _WholeMessage(msgspec.Struct, frozen=True, gc=False):
    content: list[WholeBlock] | None = None


class _Output(msgspec.Struct, frozen=True, gc=False):
    message: _WholeMessage | None = None


class _Whole(msgspec.Struct, frozen=True, gc=False):
    """stop_reason: required, for that is how an answer is known from anything else."""

    stop_reason: str = msgspec.field(name="stopReason")
    output: _Output | None = None
    usage: TokenUsage | None = None
    service_tier: _Tier | None = msgspec.field(name="serviceTier", default=None)


_decode_started: Final = msgspec.json.Decoder(_BlockStarted).decode
_decode_continued: Final = msgspec.json.Decoder(_BlockContinued).decode
_decode_stopped: Final = msgspec.json.Decoder(_BlockStopped).decode
_decode_message_stopped: Final = msgspec.json.Decoder(_MessageStopped).decode
_decode_metadata: Final = msgspec.json.Decoder(_Metadata).decode
_decode_whole: Final = msgspec.json.Decoder(_Whole).decode


class ConverseWholeDecoder(WholeBody):
    """One JSON body, in any chunking."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(read_whole)


def read_whole(body: bytes) -> list[PlainEvent]:
    """One whole answer. Raises UpstreamFailure for anything else."""
    try:
        return _told(_decode_whole(body))
    except (ValueError, RecursionError):  # also text that is kept raw and is not UTF-8
        raise garbage("it is no answer of Converse") from None


def _told(answer: _Whole) -> list[PlainEvent]:
    reader = MessageReader()
    tier = answer.service_tier
    events = reader.begin(service_tier=tier.type if tier is not None else None)
    message = answer.output.message if answer.output is not None else None
    blocks = message.content if message is not None else None
    for index, block in enumerate(blocks or ()):
        events += reader.whole_block(index, block)
    events += reader.stop(answer.stop_reason)
    if answer.usage is not None:
        events.append(UsageReported(read_usage(answer.usage)))
    return events


class ConverseStreamDecoder:
    """The binary stream. One JSON body in its place, as a proxy may send, is understood too."""

    __slots__ = (
        "_failure",
        "_frames",
        "_has_begun",
        "_is_finished",
        "_is_over",
        "_reader",
        "_whole",
    )

    def __init__(self) -> None:
        self._frames = EventStreamDecoder()
        self._reader = MessageReader()
        self._whole: ConverseWholeDecoder | None = None
        self._failure: UpstreamFailure | None = None
        self._has_begun = False
        self._is_over = False
        self._is_finished = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        if self._is_over:
            return []
        if not self._has_begun and chunk:
            self._has_begun = True
            if chunk.lstrip()[:1] == b"{":  # as a length, that would be two gigabytes
                self._whole = ConverseWholeDecoder()
        if self._whole is not None:
            return self._whole.feed(chunk)
        events: list[ChatEvent] = []
        try:
            while (message := self._frames.next(chunk)) is not None:
                chunk = b""
                events += self._read(message)
        except EventStreamError as error:
            self._fail(garbage(str(error)), events)
        except UpstreamFailure as failure:
            self._fail(failure, events)
        return events

    def finish(self) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        if self._is_finished:
            return []
        self._is_finished = True
        if self._whole is not None:
            return self._whole.finish()
        if not self._reader.is_stopped:
            raise UpstreamFailure(
                "The provider's answer broke off before its end.", kind=FailureKind.CUT
            )
        return []

    def _read(self, message: Message) -> list[PlainEvent]:
        headers = message.headers
        match headers.get(":message-type"):
            case "event":
                try:
                    return self._event(headers.get(":event-type"), message.payload)
                except (ValueError, RecursionError):
                    raise garbage("an event in it is not of its format") from None
            case "exception":
                raise failure_inside(headers.get(":exception-type", ""), message.payload)
            case "error":
                raise failure_inside(
                    headers.get(":error-code", ""),
                    msgspec.json.encode({"message": headers.get(":error-message", "")}),
                )
            case _:
                return []

    def _event(self, name: str | None, payload: bytes) -> list[PlainEvent]:
        reader = self._reader
        match name:
            case "contentBlockDelta":
                continued = _decode_continued(payload)
                return reader.delta(continued.index, continued.delta)
            case "contentBlockStart":
                started = _decode_started(payload)
                return reader.start(started.index, started.start)
            case "contentBlockStop":
                return reader.end_block(_decode_stopped(payload).index)
            case "messageStart":
                return reader.begin()
            case "messageStop":
                return reader.stop(_decode_message_stopped(payload).stop_reason or "")
            case "metadata":
                usage = _decode_metadata(payload).usage
                self._is_over = reader.is_stopped
                return [] if usage is None else [UsageReported(read_usage(usage))]
            case _:
                return []  # an event of a later version

    def _fail(self, failure: UpstreamFailure, events: list[ChatEvent]) -> None:
        self._failure = failure
        if not events:
            raise failure
