"""Reading an answer that is one JSON body: collected up to its bound, then read at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from fairlead.core.chat import ChatEvent
from fairlead.core.errors import FailureKind, UpstreamFailure

__all__ = ["ANSWER_BYTES_MAX", "WholeBody", "garbage"]

ANSWER_BYTES_MAX: Final = 128 * 1024 * 1024  # a whole answer may hold several base64 images


class WholeBody:
    """Decoder of one JSON body, in any chunking. read: what it means; raises UpstreamFailure."""

    __slots__ = ("_body", "_bytes_max", "_is_finished", "_read", "_size")

    def __init__(
        self, read: Callable[[bytes], Sequence[ChatEvent]], *, bytes_max: int = ANSWER_BYTES_MAX
    ) -> None:
        self._read = read
        self._bytes_max = bytes_max
        self._body: list[bytes] = []
        self._size = 0
        self._is_finished = False

    @property
    def is_over(self) -> bool:
        return self._is_finished

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        self._size += len(chunk)
        if self._size > self._bytes_max:
            raise garbage(f"it is longer than {self._bytes_max} bytes")
        self._body.append(chunk)
        return []

    def finish(self) -> list[ChatEvent]:
        if self._is_finished:
            return []
        self._is_finished = True
        body = b"".join(self._body)
        self._body = []
        if not body.strip():
            raise UpstreamFailure("The provider's answer was empty.", kind=FailureKind.EMPTY)
        return list(self._read(body))


def garbage(why: str) -> UpstreamFailure:
    """An answer that cannot be read. why: about its form, never with what it says."""
    return UpstreamFailure(
        f"The provider's answer could not be read: {why}.", kind=FailureKind.GARBAGE
    )
