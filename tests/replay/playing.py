"""From a recording and a fault to what happens on the connection, step by step. Pure."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.recordings import Recording
from tests.replay.faults import Fault

__all__ = ["Cut", "Hang", "Head", "Pause", "Send", "Step", "events_of", "play"]

GARBAGE = (
    b'data: {"id":"x","choices":[{"delta":{"content":"\xff\xfe\x00\x80 <!DOCTYPE html>\n\n'
    b"data: {not json\n\n\x00\x01\x02event without colon\n\n"
)
PAGE = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center></body></html>"
ERROR_EVENT = (
    b'data: {"error":{"message":"The server had an error while processing your request.",'
    b'"type":"server_error","param":null,"code":null}}\n\n'
)
# How OpenAI words its errors, by status: (type, code).
_ERROR_WORDS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
COMMENT = b": keep-alive\n\n"


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers, as bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes of the body as they go over the wire. events: recorded events completed by them."""

    data: bytes
    events: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    ms: int


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing more, until the client leaves."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection now. is_reset: with a TCP reset."""

    is_reset: bool


Step = Head | Send | Pause | Hang | Cut


def events_of(recording: Recording) -> list[bytes]:
    """The body cut into its events; together they are the body. What is no stream is one event."""
    if not recording.is_sse:
        return [recording.body]
    separator = b"\r\n\r\n" if b"\r\n\r\n" in recording.body else b"\n\n"
    *events, rest = recording.body.split(separator)
    return [event + separator for event in events] + ([rest] if rest else [])


def play(recording: Recording, fault: Fault, errors: Iterable[Recording] = ()) -> Iterator[Step]:
    """errors: recorded refusals of the same provider, for the fault `status`."""
    if fault.refuse:
        yield Cut(is_reset=fault.cut == "rst")
        return
    if fault.delay_headers_ms:
        yield Pause(fault.delay_headers_ms)
    if fault.hang == "headers":
        yield Hang()
        return
    status, content_type, events = _answer(recording, fault, errors)
    is_stream = content_type.startswith("text/event-stream")
    body = list(_body(events, fault, is_stream=is_stream))
    is_chunked = is_stream or fault.gzip or any(isinstance(step, Cut | Hang) for step in body)
    headers: dict[str, str] = {"content-type": content_type}
    if fault.no_content_type:
        del headers["content-type"]
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    if fault.gzip:
        headers["content-encoding"] = "gzip"
    if fault.close:
        headers["connection"] = "close"
    if is_chunked:
        headers["transfer-encoding"] = "chunked"
    else:
        size = sum(len(step.data) for step in body if isinstance(step, Send))
        headers["content-length"] = str(size)
    yield Head(_head(status, headers))
    if fault.hang == "body":
        yield Hang()
        return
    if fault.delay_first_byte_ms:
        yield Pause(fault.delay_first_byte_ms)
    if fault.gzip:
        body = list(_compressed(body))
    if fault.cut_after_bytes is not None:
        body = list(_cut_short(body, fault.cut_after_bytes, is_reset=fault.cut == "rst"))
    yield from _chunked(body) if is_chunked else body


def _answer(
    recording: Recording, fault: Fault, errors: Iterable[Recording]
) -> tuple[int, str, list[bytes]]:
    """(status, content type, events)."""
    status = recording.status
    content_type = fault.content_type or recording.headers.get("content-type") or "application/json"
    if fault.status is not None:
        status = fault.status
        if fault.html:
            return status, "text/html", [PAGE % (status, status)]
        return status, "application/json", [_error(status, errors)]
    if fault.garbage:
        return status, content_type, [GARBAGE * 3]
    events = events_of(recording)
    if fault.crlf and recording.is_sse:
        events = [re.sub(rb"\r?\n", b"\r\n", event) for event in events]
    return status, content_type, events


def _error(status: int, errors: Iterable[Recording]) -> bytes:
    for error in errors:
        if error.status == status:
            return error.body
    error_type, code = _ERROR_WORDS.get(status, ("server_error", None))
    error = {"message": f"Error {status}.", "type": error_type, "param": None, "code": code}
    return json.dumps({"error": error}).encode()


def _body(events: list[bytes], fault: Fault, *, is_stream: bool) -> Iterator[Step]:
    """Before framing and compression."""
    if fault.chunking == "whole":
        yield Send(b"".join(events), len(events))
        return
    if fault.chunking.startswith("bytes:"):
        step, whole = int(fault.chunking[6:]), b"".join(events)
        for at in range(0, len(whole), step):
            yield Send(whole[at : at + step])
        return
    for index in range(len(events) + 1):
        if fault.garbage_after_events == index:
            yield Send(GARBAGE)
        if fault.hang_after_events == index:
            yield Hang()
            return
        if fault.cut_after_events == index:
            yield Cut(is_reset=fault.cut == "rst")
            return
        if fault.error_event_after == index:
            yield Send(ERROR_EVENT)
            return
        if fault.truncate_after_events == index or index == len(events):
            return
        if index and is_stream:
            if fault.event_delay_ms:
                yield Pause(fault.event_delay_ms)
            if fault.comments:
                yield Send(COMMENT)
        yield Send(events[index], 1)


def _compressed(body: Iterable[Step]) -> Iterator[Step]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    for step in body:
        if isinstance(step, Send):
            yield Send(packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH), step.events)
        else:
            yield step
            if isinstance(step, Cut | Hang):
                return
    yield Send(packer.flush(zlib.Z_FINISH))


def _cut_short(body: Iterable[Step], bytes_left: int, *, is_reset: bool) -> Iterator[Step]:
    for step in body:
        if isinstance(step, Send):
            if len(step.data) >= bytes_left:
                yield Send(step.data[:bytes_left])
                break
            bytes_left -= len(step.data)
        yield step
    yield Cut(is_reset=is_reset)


def _chunked(body: Iterable[Step]) -> Iterator[Step]:
    for step in body:
        if isinstance(step, Send):
            if step.data:
                yield Send(b"%x\r\n%b\r\n" % (len(step.data), step.data), step.events)
        else:
            yield step
            if isinstance(step, Cut | Hang):
                return
    yield Send(b"0\r\n\r\n")


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
