"""A twin on a real loopback port, in a thread of its own, so that synchronous clients can be tried too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fairlead.sandbox.bill import BillPage
from fairlead.sandbox.faults import FAULT_HEADER
from fairlead.sandbox.twin import Twin, address, listen, twin_server

__all__ = ["FAULT_HEADER", "RunningTwin", "running_twin"]

_STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class RunningTwin:
    """url: `http://127.0.0.1:port`, without a version segment."""

    url: str
    twin: Twin

    def bill(self, tag: str | None = None) -> BillPage:
        """Read without asking the server; its numbers change under the reader's eyes."""
        return self.twin.bill.page(tag=tag)


@contextmanager
def running_twin(
    *, key: str | None = None, seed: int = 0, requests_kept_max: int = 0
) -> Iterator[RunningTwin]:
    """Serve until the block ends; open calls are dropped then."""
    twin = Twin(key=key, seed=seed, requests_kept_max=requests_kept_max)
    with listen("127.0.0.1", 0) as listener:
        server = twin_server(twin)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield RunningTwin(address(listener), twin)
        finally:
            server.should_exit = True
            thread.join(_STOP_TIMEOUT_S)
            assert not thread.is_alive(), "the twin did not stop"
