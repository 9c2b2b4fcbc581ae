"""What is written to sockets in one turn of the event loop, written together at its end.

To write to a socket wakes the process at its other end. Where that sleeps, waking it costs several times the
write, more so on a virtual machine; and a write between two others' computations makes both slower. So a
busy loop first does the work of everybody who is ready, and then writes for all of them. A loop with little
to do comes to the end of its turn at once, and writes then.

Bytes of one transport keep their order. What is held is bounded: beyond HELD_BYTES_MAX a transport gets its
bytes at once, so that its own flow control sees them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

__all__ = ["HELD_BYTES_MAX", "Outbox"]

_log = logging.getLogger(__name__)

HELD_BYTES_MAX: Final = 64 * 1024  # of one transport: as much as asyncio's own buffers hold unasked


class Outbox:
    """The writes of one event loop, or of some of its transports."""

    __slots__ = ("_held", "_is_flushing_soon", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._held: dict[asyncio.WriteTransport, bytes] = {}
        self._is_flushing_soon = False

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """As `transport.write`, a little later. Who closes a transport must `flush` it before."""
        held = self._held.get(transport)
        if held is not None:
            data = held + data
        if len(data) > HELD_BYTES_MAX:
            if held is not None:
                del self._held[transport]
            transport.write(data)
            return
        self._held[transport] = data
        if not self._is_flushing_soon:
            self._is_flushing_soon = True
            self._loop.call_soon(self._flush)

    def holds(self, transport: asyncio.WriteTransport) -> int:
        """Bytes that were given for this transport and not to it yet."""
        held = self._held.get(transport)
        return 0 if held is None else len(held)

    def flush(self, transport: asyncio.WriteTransport) -> None:
        """Give this transport now what is held for it."""
        held = self._held.pop(transport, None)
        if held is not None and not transport.is_closing():
            transport.write(held)

    def _flush(self) -> None:
        self._is_flushing_soon = False
        for transport in tuple(self._held):
            try:
                self.flush(transport)
            except Exception:  # noqa: BLE001 — one transport's failure must not cost the others their bytes
                _log.exception("A connection could not be written to.")
