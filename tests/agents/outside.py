"""Where the way out would be: a proxy that lets nobody through and remembers who wanted to go where."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Outside", "nobody_leaves"]

ATTEMPTS_MAX = 1000


@dataclass
class Outside:
    """attempts: the request lines that the proxy got, `CONNECT host:port HTTP/1.1`."""

    url: str
    attempts: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """For a program that shall not leave the machine. Node looks at proxies only if it is told to."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        proxies = {spelt: self.url for name in names for spelt in (name, name.lower())}
        local = "127.0.0.1,localhost"
        return {**proxies, "NO_PROXY": local, "no_proxy": local, "NODE_USE_ENV_PROXY": "1"}


@contextmanager
def nobody_leaves() -> Iterator[Outside]:
    class Refuse(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline(8192).decode("latin-1").strip()
            if len(outside.attempts) < ATTEMPTS_MAX:
                outside.attempts.append(line)
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse) as server:
        server.daemon_threads = True
        outside = Outside(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield outside
        finally:
            server.shutdown()
            thread.join()
