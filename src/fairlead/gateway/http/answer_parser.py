"""The bytes of one connection become answers: one parser, and its callbacks.

httptools parses; what it lets pass and we do not is refused here. The parser stays with its connection from
one message to the next, for which httptools must be 0.9: earlier ones kept the last trailer of a message,
and handed it out as the first header of the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

import httptools

from fairlead.gateway.http.answer import Answer, Terms
from fairlead.gateway.http.content_coding import body_decoder

__all__ = ["AnswerParser"]

# content-length, content-encoding, transfer-encoding: the only headers looked at while parsing.
_FRAMING_NAME_LENGTHS: Final = frozenset({14, 16, 17})
_NO_BODY_STATUSES: Final = frozenset({204, 304})
_CHUNKED, _COUNTED, _CLOSED = range(3)  # how the end of the body is known


class Violation(Exception):
    """The peer broke the protocol in a way the parser does not see. Stops the parser."""


class AnswerParser:
    """Belongs to a connection. `begin` with each answer, then `feed` it bytes, which raises httptools' errors.

    The methods named `on_...` are httptools' to call, within `feed`.
    violation: what we refused, if it was us.
    """

    __slots__ = (
        "_answer",
        "_coding",
        "_fields",
        "_framing",
        "_is_informational",
        "_parser",
        "_terms",
        "feed",
        "violation",
    )

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._answer: Answer | None = None
        self._coding = ""
        self._fields: list[tuple[bytes, bytes]] = []  # of the head, then of the trailer
        self._framing = _CLOSED
        self._is_informational = False
        parser = httptools.HttpResponseParser(self)
        self._parser: httptools.HttpResponseParser | None = parser
        self.feed: Callable[[bytes], None] = parser.feed_data
        self.violation = ""

    def begin(self, answer: Answer) -> None:
        """From here on the bytes belong to this answer; the one before was complete."""
        self._answer = answer
        self._fields = []
        self._framing = _CLOSED
        self._coding = ""

    def end(self) -> None:
        """No more bytes will come. Parser and callbacks let go of each other."""
        self._answer = self._parser = None
        self.feed = _refuse_bytes

    def ends_with_the_connection(self) -> bool:
        """Whether the closing of the connection is the proper end of this message."""
        answer = self._answer
        return answer is not None and answer.is_head_complete and self._framing == _CLOSED

    # ---- for httptools --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        answer = self._answer
        if answer is None or answer.is_complete:
            raise Violation  # a second message that nobody asked for; the first one stands

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        answer, parser, fields = self._answer, self._parser, self._fields
        assert answer is not None
        assert parser is not None
        self._fields = []
        for name, value in fields:
            if len(name) in _FRAMING_NAME_LENGTHS:
                self._note_framing(name.lower(), value)
        status = parser.get_status_code()
        if status < 200:
            if status == 101:
                self._refuse("the server switched protocols unasked")
            self._is_informational = True
            self._framing = _CLOSED
            self._coding = ""
            return
        self._is_informational = False
        answer.status = status
        answer.fields = fields
        answer.is_head_complete = True
        is_reusable = parser.should_keep_alive()
        if self._framing == _CHUNKED and parser.get_http_version() != "1.1":
            # RFC 9112, 6.1: the framing is not to be trusted beyond this message
            is_reusable = False
        if not answer.expects_body or status in _NO_BODY_STATUSES:
            # To a HEAD, the parser would now wait for the body that the headers announce.
            # A peer that sends one anyway must not have it taken for the next answer.
            answer.is_complete = True
            is_reusable = is_reusable and answer.expects_body
        elif self._coding:
            answer.decoder = body_decoder(self._coding, self._terms.buffered_bytes_max)
        answer.is_reusable = is_reusable

    def on_body(self, body: bytes) -> None:
        answer = self._answer
        if answer is None or answer.is_complete:
            raise Violation  # a body where there can be none
        answer.chunks.append(body)
        answer.buffered_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._is_informational:
            return
        limit = self._terms.header_bytes_max
        if self._fields and sum(len(name) + len(value) + 4 for name, value in self._fields) > limit:
            self._refuse(f"trailers are longer than {limit} bytes")
        assert self._answer is not None
        self._answer.is_complete = True
        self._answer = None

    # ---- details --------------------------------------------------------------------------------

    def _note_framing(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._framing = _COUNTED  # the parser checks the value and refuses a second one
        elif name == b"transfer-encoding":
            if self._framing == _CHUNKED or value.strip(b" \t").lower() != b"chunked":
                self._refuse("a transfer-encoding other than chunked")
            self._framing = _CHUNKED
        elif name == b"content-encoding":
            # Several codings are none that we decode; joined they are refused on reading.
            self._coding = self._coding + "," * bool(self._coding) + value.decode("latin-1")

    def _refuse(self, violation: str) -> NoReturn:
        self.violation = violation
        raise Violation


def _refuse_bytes(data: bytes) -> None:
    raise AssertionError(f"{len(data)} bytes for a connection that has ended")
