"""What a provider is: a name, and one adapter per capability. Pure: bytes and values in, values out.

The shell (`gateway/`) owns the sockets. An adapter only says what to send, how to read what comes back,
and what a refusal means. Recorded bytes are therefore enough to test every provider completely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, assert_never

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatEvent, ChatRequest
from fairlead.core.continuation import Prefill
from fairlead.core.errors import UpstreamFailure

__all__ = [
    "ChatAdapter",
    "ChatDecoder",
    "Credential",
    "PrefillAbility",
    "Provider",
    "ResponseHeaders",
    "Signature",
    "UpstreamRequest",
    "no_prefill",
]


class UpstreamRequest(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request, ready to send.

    url: absolute, `http` or `https`; path and query are already percent-encoded.
    headers: without `host`, `content-length`, `connection` and `accept-encoding`, which the client adds.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class ResponseHeaders(Protocol):
    """Header look-up by lower-case name; repeated headers give the first."""

    def get(self, name: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Credential:
    """What opens one provider: resolved by the shell, never logged.

    base_url: includes the version segment; the adapter appends the format's path.
    api_key: empty for engines that want none.
    options: the provider's own settings (region, resource, project), by name.
    """

    base_url: str
    api_key: str
    options: Mapping[str, str]

    def __repr__(self) -> str:  # a credential in a traceback or a log line stays a secret
        return f"Credential(base_url={self.base_url!r}, api_key=***)"


class ChatDecoder(Protocol):
    """Reads one answer. `feed` takes any chunking of the bytes; a whole answer is a stream of one chunk."""

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        """Events completed by these bytes. Raises UpstreamFailure for an error or garbage inside."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the upstream has said that its answer is complete; what may follow means nothing."""
        ...

    def finish(self) -> list[ChatEvent]:
        """The upstream closed. Raises UpstreamFailure (kind CUT) if the answer was not complete."""
        ...


class ChatAdapter(Protocol):
    """How one upstream speaks, for one capability.

    For embeddings and ranking the request is of the type in core/retrieval.py; the answer is one frame.
    """

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest: ...

    def decoder(self, *, streamed: bool) -> ChatDecoder: ...

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure: ...


PrefillAbility = Callable[[ChatRequest, Endpoint], Prefill]
Signature = Callable[[UpstreamRequest, Credential, float], UpstreamRequest]


def no_prefill(_: ChatRequest, __: Endpoint) -> Prefill:
    return Prefill.NONE


@dataclass(frozen=True, slots=True)
class Provider:
    """One upstream. A capability it lacks is None.

    sign: makes a finished request acceptable where a key in a header is not enough; takes the time as Unix
        seconds. None: requests go as they are.
    prefill: what it does with a conversation that ends with a message of the assistant, by endpoint.
    """

    slug: str
    chat: ChatAdapter | None = None
    embeddings: ChatAdapter | None = None
    rerank: ChatAdapter | None = None
    sign: Signature | None = None
    prefill: PrefillAbility = no_prefill

    def adapter(self, capability: Capability) -> ChatAdapter | None:
        match capability:
            case Capability.CHAT:
                return self.chat
            case Capability.EMBEDDINGS:
                return self.embeddings
            case Capability.RERANK:
                return self.rerank
            case _:
                assert_never(capability)
