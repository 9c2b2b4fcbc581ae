"""What a dialect is: how callers speak to us. Pure.

A dialect turns a body into a `ChatRequest` and events back into bytes. It knows nothing of providers,
sockets or money beyond the numbers it is given to print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.chat import ChatEvent, ChatRequest
from fairlead.core.errors import Problem
from fairlead.core.ids import GenerationId
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage

__all__ = ["NO_HEADERS", "AnswerHead", "Closing", "Dialect", "StreamEncoder"]

NO_HEADERS: Final[Mapping[bytes, bytes]] = MappingProxyType({})


class AnswerHead(msgspec.Struct, frozen=True, gc=False):
    """What is known when an answer begins.

    model: the slug that answers. provider: its display name. created_s: Unix seconds.
    request: what is answered, for dialects that repeat it; None if it was never read.
    """

    generation: GenerationId
    model: str
    provider: str
    created_s: int
    show_reasoning: bool = True
    request: ChatRequest | None = None


class Closing(msgspec.Struct, frozen=True, gc=False):
    """What is known when an answer ends.

    is_byok: the caller's own credential was used. completed_s: Unix seconds, None if nobody looked.
    metadata: how the call was routed, for callers who asked for it. An answer that ends in an error has that of
        its problem instead.
    """

    usage: Usage
    charge: Charge
    is_byok: bool = False
    completed_s: int | None = None
    metadata: Mapping[str, object] | None = None


class StreamEncoder(Protocol):
    """Writes one streamed answer. Every call returns bytes for the caller, perhaps none."""

    def feed(self, events: Sequence[ChatEvent]) -> bytes: ...

    def close(self, closing: Closing) -> bytes:
        """The proper end: usage, then the dialect's end mark."""
        ...

    def fail(self, problem: Problem, closing: Closing | None) -> bytes:
        """The answer broke off: an error in band, and the end."""
        ...


class Dialect(Protocol):
    """One public format.

    id_header: the header in which its clients look for the id of an answer, beside `x-generation-id`.
    """

    name: str
    api_type: str
    capability: Capability
    id_header: bytes
    keep_alive: bytes  # sent while the upstream is silent; ignored by every client

    def decode(self, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> ChatRequest:
        """headers: of the request, names in lower case. Raises RequestInvalid with the path of the
        offending field."""
        ...

    def stream(self, head: AnswerHead) -> StreamEncoder: ...

    def whole(self, head: AnswerHead, events: Sequence[ChatEvent], closing: Closing) -> bytes:
        """A complete answer. Raises UpstreamFailure if the events do not make one."""
        ...

    def partial(
        self, head: AnswerHead, events: Sequence[ChatEvent], problem: Problem, closing: Closing
    ) -> bytes:
        """A whole answer that broke off after it had begun: what came, and the error inside."""
        ...

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes:
        """An error that comes instead of an answer."""
        ...
