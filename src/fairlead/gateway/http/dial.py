"""From a route to a live connection: TCP, TLS, and the proxies on the way.

Certificates are always verified, against the system's roots and, if given, one file of additional ones.
Time limits are the caller's.

A name may have several addresses, some of which lead nowhere: an IPv6 address where there is no such route
is the common case. They are tried in turn, families alternating, the next one when the one before failed or
has kept silent for a moment, and the first that answers is taken (RFC 8305).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from aiohappyeyeballs import AddrInfoType, start_connection

from fairlead.gateway.http.connection import Connection
from fairlead.gateway.http.request_head import Proxy, Route
from fairlead.gateway.outbox import Outbox
from fairlead.gateway.upstream import Limits, Phase, TransportFailure

if TYPE_CHECKING:
    from fairlead.gateway.http.origin import Origin

__all__ = ["Dialler", "tls_context"]

_TUNNEL_REPLY_BYTES_MAX: Final = 16 * 1024
_ADDRESSES_MAX: Final = 8  # of a name that are tried
_STAGGER_S: Final = (
    0.25  # RFC 8305, 5: how long an address may keep silent before the next one is tried
)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Verifying, HTTP/1.1 only. ca_file: PEM certificates trusted beside the system's. Raises OSError."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialler:
    """Makes connections for origins."""

    __slots__ = ("_ca_file", "_context", "_limits", "_loop", "_outbox")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: Limits, ca_file: Path | None
    ) -> None:
        self._loop = loop
        self._outbox = Outbox(loop)
        self._limits = limits
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    async def dial(self, origin: Origin) -> Connection:
        """A new connection to the origin's route. Raises TransportFailure (CONNECT)."""
        route = origin.route
        connection = Connection(origin, self._loop, self._limits, route.label, self._outbox)
        try:
            if route.tunnel is not None:
                await self._dial_through(route.tunnel, route, connection)
            else:
                await self._open(connection, route.host, route.port, is_tls=route.is_tls)
        except (
            OSError,
            UnicodeError,
        ) as error:  # UnicodeError: a label of the host name is too long
            if isinstance(error, TimeoutError):
                raise
            raise TransportFailure(
                f"cannot connect to {route.label}: {_reason(error)}",
                phase=Phase.CONNECT,
                untouched=True,
            ) from error
        return connection

    async def _open(
        self, protocol: asyncio.Protocol, host: str, port: int, *, is_tls: bool
    ) -> None:
        tls = self._tls() if is_tls else None
        server_hostname = host if is_tls else None
        # Beyond our own limit, which covers name, TCP and TLS together and so ends first.
        handshake_s = 2 * self._limits.connect_s if is_tls else None
        if _is_address(host):
            await self._loop.create_connection(
                lambda: protocol,
                host,
                port,
                ssl=tls,
                server_hostname=server_hostname,
                ssl_handshake_timeout=handshake_s,
            )
            return
        addresses = await self.resolve(host, port)
        connected = await connect_first(addresses, self._loop)
        await self._loop.create_connection(
            lambda: protocol,
            sock=connected,
            ssl=tls,
            server_hostname=server_hostname,
            ssl_handshake_timeout=handshake_s,
        )

    async def resolve(self, host: str, port: int) -> list[AddrInfoType]:
        """The addresses of a name, in the system's order of preference. Raises OSError, UnicodeError."""
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(found)

    async def _dial_through(self, proxy: Proxy, route: Route, connection: Connection) -> None:
        """Ask the proxy for a tunnel (RFC 9110, 9.3.6), then talk TLS through it."""
        tunnel = _Tunnel(self._loop, f"{proxy.host}:{proxy.port}")
        await self._open(tunnel, proxy.host, proxy.port, is_tls=proxy.scheme == "https")
        try:
            transport = await tunnel.ask_for(route, proxy)
            secured = await self._loop.start_tls(
                transport,
                connection,
                self._tls(),
                server_hostname=route.host,
                ssl_handshake_timeout=2 * self._limits.connect_s,
            )
        except BaseException:
            tunnel.abort()
            raise
        if secured is None:  # only says the type: a transport that was closed meanwhile
            raise ConnectionResetError("closed during the TLS handshake")
        connection.connection_made(secured)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = tls_context(self._ca_file)
        return self._context


async def connect_first(
    addresses: list[AddrInfoType], loop: asyncio.AbstractEventLoop
) -> socket.socket:
    """A socket connected to the first address that answers. Raises OSError if none does."""
    return await start_connection(
        addresses[:_ADDRESSES_MAX], happy_eyeballs_delay=_STAGGER_S, interleave=1, loop=loop
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Tunnel(asyncio.Protocol):
    """The conversation with a proxy until the tunnel stands."""

    def __init__(self, loop: asyncio.AbstractEventLoop, label: str) -> None:
        self._label = label
        self._reply = b""
        self._opened: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None

    async def ask_for(self, route: Route, proxy: Proxy) -> asyncio.Transport:
        """The transport, once the proxy has agreed. Raises TransportFailure (CONNECT) if it does not."""
        assert self._transport is not None
        host = f"[{route.host}]" if ":" in route.host else route.host
        lines = [f"CONNECT {host}:{route.port} HTTP/1.1", f"host: {host}:{route.port}"]
        if proxy.authorization:
            lines.append(f"proxy-authorization: {proxy.authorization}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await self._opened
        return self._transport

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's is one only in its behaviour

    def data_received(self, data: bytes) -> None:
        self._reply += data
        head, separator, rest = self._reply.partition(b"\r\n\r\n")
        if not separator:
            if len(self._reply) > _TUNNEL_REPLY_BYTES_MAX:
                self._fail("answered CONNECT with too long a head")
            return
        protocol, _, status = head.partition(b"\r\n")[0].partition(b" ")
        code = status[:3]
        if not protocol.startswith(b"HTTP/1.") or not code.isdigit():
            self._fail("did not answer CONNECT in HTTP")
        elif not code.startswith(b"2"):
            self._fail(f"refused the tunnel with status {code.decode()}")
        elif rest:
            self._fail("sent bytes before the tunnel was in use")
        elif not self._opened.done():
            self._opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's name
        self._fail("closed the connection before the tunnel was open")

    def _fail(self, what: str) -> None:
        if not self._opened.done():
            self._opened.set_exception(
                TransportFailure(f"proxy {self._label} {what}", phase=Phase.CONNECT, untouched=True)
            )


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return "the host name is not valid"
