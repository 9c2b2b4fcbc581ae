"""A raw TCP upstream that plays a script: every byte, pause and break of a connection is the test's choice.

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")

    async with scripted_upstream(script) as server:
        ... server.url ...

The script runs once per accepted connection. A failing assertion in a script fails the test; a caller who
hangs up only ends its script.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

__all__ = ["Peer", "ReceivedRequest", "Script", "ScriptedUpstream", "scripted_upstream"]

_HEAD_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it came. head: request line and headers, raw. headers: names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    head: bytes


class Peer:
    """One accepted connection. number: counts from 0 in the order of acceptance."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.number = number
        self.is_gone = asyncio.Event()  # the client's end was seen closed
        self._reader = reader
        self._writer = writer

    async def head(self) -> bytes:
        """Read up to the empty line. Raises asyncio.IncompleteReadError when the client closes."""
        try:
            return await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.is_gone.set()
            raise

    async def request(self) -> ReceivedRequest:
        """Read one whole request with a counted body, or none."""
        head = await self.head()
        line, *fields = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = line.split(" ")
        headers = dict(_field(text) for text in fields)
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return ReceivedRequest(method, target, headers, body, head)

    async def send(self, *pieces: bytes) -> None:
        """Write the pieces one after the other, letting the client read in between.

        Raises ConnectionError when the client has closed the connection.
        """
        for piece in pieces:
            if self._writer.is_closing():  # uvloop would raise RuntimeError
                raise ConnectionResetError("the client has closed the connection")
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def answer(self, body: bytes, *, status: str = "200 OK", headers: str = "") -> None:
        """A plain answer with a counted body. headers: lines, each ended by CRLF."""
        head = f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n"
        await self.send(head.encode("latin-1") + body)

    async def gone(self) -> None:
        """Wait until the client has closed the connection; bytes it still sends are dropped."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        self.is_gone.set()

    def half_close(self) -> None:
        """End our sending side; the client reads an end of file."""
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        """Drop the connection; what was not yet written is lost."""
        self._writer.transport.abort()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """From here on the connection is encrypted."""
        await self._writer.start_tls(context)

    @property
    def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """For scripts that relay bytes, such as a proxy."""
        return self._reader, self._writer


Script = Callable[[Peer], Awaitable[None]]


class ScriptedUpstream:
    """A listening upstream. peers: every connection ever accepted, in order."""

    def __init__(self, host: str, *, is_tls: bool) -> None:
        self.host = host
        self.port = 0
        self.is_tls = is_tls
        self.peers: list[Peer] = []

    @property
    def url(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.host}:{self.port}"


@asynccontextmanager
async def scripted_upstream(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[ScriptedUpstream]:
    """Serve the script on a free port of the loopback until the block ends.

    host: the name in the server's URL; a name of 127.0.0.1.
    """
    upstream = ScriptedUpstream(host, is_tls=tls is not None)
    async with asyncio.TaskGroup() as group:
        tasks: set[asyncio.Task[None]] = set()

        async def play(peer: Peer, writer: asyncio.StreamWriter) -> None:
            try:
                await script(peer)
            except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                peer.is_gone.set()
            finally:
                writer.transport.abort() if tls else writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = Peer(reader, writer, len(upstream.peers))
            upstream.peers.append(peer)
            task = group.create_task(play(peer, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls, limit=_HEAD_BYTES_MAX)
        upstream.port = server.sockets[0].getsockname()[1]
        try:
            yield upstream
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()
