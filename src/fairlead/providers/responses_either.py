"""A provider that offers some of its models in the Responses format only, and the rest in the chat format.

What to send follows from the model. How to read what comes back follows from the answer itself: a stream
of the one begins with an event whose type is `response.created`, a stream of the other with choices; whole
answers name their kind in `object`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatEvent, ChatRequest
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.sse import SSEDecoder, StreamTooLong
from fairlead.providers.base import (
    ChatAdapter,
    ChatDecoder,
    Credential,
    ResponseHeaders,
    UpstreamRequest,
)
from fairlead.providers.whole_body import ANSWER_BYTES_MAX

__all__ = ["ChatOrResponses"]

_BEGINNING_BYTES_MAX: Final = (
    256 * 1024
)  # a first event repeats the caller's tools and instructions


class ChatOrResponses:
    """Two adapters as one. only_responses: whether a model, by the provider's name, needs the second."""

    __slots__ = ("_chat", "_only_responses", "_responses")

    def __init__(
        self, chat: ChatAdapter, responses: ChatAdapter, only_responses: Callable[[str], bool]
    ) -> None:
        self._chat = chat
        self._responses = responses
        self._only_responses = only_responses

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        adapter = (
            self._responses if self._only_responses(endpoint.provider_model_id) else self._chat
        )
        return adapter.encode(request, endpoint, credential)

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        make = _Stream if streamed else _Whole
        return make(self._chat, self._responses)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        """Both formats have the same errors."""
        return self._chat.failure(status, headers, body)


class _Kind(msgspec.Struct, frozen=True):
    object: str | None = None
    type: str | None = None


_read_kind: Final = msgspec.json.Decoder(_Kind).decode


# How nearly every answer in the chat format begins: most need not be read to know it.
_BEGINS_AS_CHAT: Final = re.compile(
    rb'\s*\{\s*"id"\s*:\s*"[^"\\]*"\s*,\s*"object"\s*:\s*"chat\.completion(\.chunk)?"'
)


def _is_of_responses(data: bytes) -> bool:
    """What cannot be read is left to the decoder of the chat format, which says what is wrong with it."""
    if _BEGINS_AS_CHAT.match(data) is not None:
        return False
    try:
        kind = _read_kind(data)
    except (ValueError, RecursionError):
        return False
    word = kind.type or ""
    return kind.object == "response" or word == "error" or word.startswith("response.")


class _Stream:
    """Holds the beginning back until its first event tells which decoder is to read it."""

    __slots__ = ("_chat", "_chosen", "_held", "_responses", "_sse")

    def __init__(self, chat: ChatAdapter, responses: ChatAdapter) -> None:
        self._chat = chat
        self._responses = responses
        self._chosen: ChatDecoder | None = None
        self._held = b""
        self._sse = SSEDecoder(_BEGINNING_BYTES_MAX)

    @property
    def is_over(self) -> bool:
        return self._chosen is not None and self._chosen.is_over

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        if self._chosen is None:
            self._held += chunk
            adapter = self._choice(chunk)
            if adapter is None:
                return []
            self._chosen = adapter.decoder(streamed=True)
            chunk, self._held = self._held, b""
        return self._chosen.feed(chunk)

    def finish(self) -> list[ChatEvent]:
        events: list[ChatEvent] = []
        if self._chosen is None:
            self._chosen = self._chat.decoder(streamed=True)
            events = self._chosen.feed(self._held)
        return events + self._chosen.finish()

    def _choice(self, chunk: bytes) -> ChatAdapter | None:
        """None: not to be told yet."""
        if (
            self._held.lstrip()[:1] == b"{"
        ):  # no stream at all: only the chat format's decoder knows of such
            return self._chat
        try:
            for _, data in self._sse.feed(chunk):
                if data.strip():
                    return self._responses if _is_of_responses(data) else self._chat
        except StreamTooLong:
            return self._chat
        return None


class _Whole:
    """Holds the answer back until it is there."""

    __slots__ = ("_chat", "_chosen", "_held", "_responses", "_size")

    def __init__(self, chat: ChatAdapter, responses: ChatAdapter) -> None:
        self._chat = chat
        self._responses = responses
        self._chosen: ChatDecoder | None = None
        self._held: list[bytes] = []
        self._size = 0

    @property
    def is_over(self) -> bool:
        return self._chosen is not None and self._chosen.is_over

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        self._size += len(chunk)
        if self._size > ANSWER_BYTES_MAX:
            raise UpstreamFailure(
                f"The provider's answer could not be read: it is longer than {ANSWER_BYTES_MAX} bytes.",
                kind=FailureKind.GARBAGE,
            )
        self._held.append(chunk)
        return []

    def finish(self) -> list[ChatEvent]:
        events: list[ChatEvent] = []
        if self._chosen is None:
            body = b"".join(self._held)
            self._held = []
            adapter = self._responses if _is_of_responses(body) else self._chat
            self._chosen = adapter.decoder(streamed=False)
            events = self._chosen.feed(body)
        return events + self._chosen.finish()
