"""What dialects share that never stream: a writer of streams with nothing to write."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.chat import ChatEvent
from fairlead.core.errors import Problem
from fairlead.dialects.base import Closing

__all__ = ["Unstreamed"]


class Unstreamed:
    """The pipeline ends a call that is cut short through a stream's writer, whether it was streamed or not."""

    __slots__ = ()

    def feed(self, events: Sequence[ChatEvent]) -> bytes:  # noqa: ARG002
        return b""

    def close(self, closing: Closing) -> bytes:  # noqa: ARG002
        return b""

    def fail(self, problem: Problem, closing: Closing | None) -> bytes:  # noqa: ARG002
        return b""
