"""The last requests that the twin received, as they came: what a gateway really sent.

Kept only on request (`fairlead twin --keep-requests N`): they hold whatever the callers wrote.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

__all__ = ["RECEIVED_BYTES_MAX", "Received", "ReceivedPage", "ReceivedRequest"]

RECEIVED_BYTES_MAX: Final = 32 * 1024 * 1024  # of all bodies together


class ReceivedRequest(msgspec.Struct, frozen=True):
    """number: of the call in the bill. body: the JSON as it came; None: it was no JSON."""

    number: int
    tag: str | None
    path: str
    body: msgspec.Raw | None


class ReceivedPage(msgspec.Struct, frozen=True):
    """What `GET /_twin/requests` answers, oldest first."""

    requests: list[ReceivedRequest]


class Received:
    """Bounded in number and in bytes: the oldest are forgotten first."""

    def __init__(self, kept_max: int) -> None:
        self._kept_max = kept_max
        self._requests: deque[tuple[ReceivedRequest, int]] = deque()
        self._size = 0

    def add(self, number: int, tag: str | None, path: str, body: bytes) -> None:
        if self._kept_max == 0:
            return
        self._requests.append((ReceivedRequest(number, tag, path, _json(body)), len(body)))
        self._size += len(body)
        while len(self._requests) > self._kept_max or self._size > RECEIVED_BYTES_MAX:
            self._size -= self._requests.popleft()[1]

    def page(self, *, tag: str | None = None) -> ReceivedPage:
        """All that are still known, or those with a tag."""
        return ReceivedPage([one for one, _ in self._requests if tag is None or one.tag == tag])

    def reset(self) -> None:
        self._requests.clear()
        self._size = 0


def _json(body: bytes) -> msgspec.Raw | None:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return msgspec.Raw(body)
