"""The same client on aiohttp: the second opinion, for upstreams and proxies that ours does not get on with.

Slower, lenient where aiohttp's parser is, and otherwise under the same contract. No exception of aiohttp
leaves this file. What it does less well than the native client:

- bytes that came right before a connection broke may be lost to the reader;
- a body that ends with the connection seems whole when the connection was reset;
- a chunked body that is malformed, or cut while its socket is paused, may be noticed at the deadline only;
- only each header line, not yet the whole head, is bounded while it arrives;
- header values beyond ASCII are sent as UTF-8;
- an answer in one piece with bytes that do not belong to it is dropped;
- bytes that an upstream sends while its connection is idle are taken for the next answer;
- idle connections have no maximum, and the one idle longest is used first.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import aiohttp
import yarl
from aiohttp.abc import AbstractStreamWriter

from fairlead.gateway.http.content_coding import BodyDecoder, BrokenCoding, body_decoder
from fairlead.gateway.http.dial import tls_context
from fairlead.gateway.http.proxies import ProxyChoice
from fairlead.gateway.http.request_head import RequestHead, UnsendableRequest, encode_head
from fairlead.gateway.upstream import HeaderView, Limits, Phase, TransportFailure
from fairlead.gateway.upstream_pour import ReadPour
from fairlead.providers.base import UpstreamRequest

__all__ = ["AiohttpUpstreamClient"]

_HEADERS_MAX = 1024  # lines; the bytes of all together are checked afterwards
_DIED_UNUSED_WITHIN_S = 1.0  # as in the native client
# What aiohttp raises for trouble on the wire. ValueError: some malformed headers surface as such.
_FAILURES = (aiohttp.ClientError, OSError, ValueError)


class AiohttpUpstreamClient:
    """A pool of connections to upstreams; see `UpstreamClient`. Arguments as for the native client."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        ca_file: Path | None = None,
        proxy: str | None = None,
        environment_proxies: bool = False,
    ) -> None:
        self._limits = limits or Limits()
        self._ca_file = ca_file
        self._proxies = ProxyChoice(proxy, from_environment=environment_proxies)
        self._pooled: aiohttp.ClientSession | None = None
        self._unpooled: aiohttp.ClientSession | None = None
        self._exchanges: set[_AiohttpExchange] = set()
        self._context: ssl.SSLContext | None = None
        self._is_closed = False

    async def send(self, request: UpstreamRequest, *, expire_at_s: float) -> _AiohttpExchange:
        """See `UpstreamClient.send`."""
        try:
            head = encode_head(
                request.method, request.url, request.headers, proxy_for=self._proxies.proxy_for
            )
        except UnsendableRequest as error:
            raise TransportFailure(str(error), phase=Phase.SEND, untouched=True) from None
        attempt = _Attempt()
        try:
            return await self._attempt(request, head, attempt, expire_at_s)
        except TransportFailure:
            if not attempt.died_unused or self._is_closed:
                raise
        attempt = _Attempt(needs_fresh_connection=True)
        return await self._attempt(request, head, attempt, expire_at_s)

    async def aclose(self) -> None:
        """See `UpstreamClient.aclose`. Idempotent."""
        self._is_closed = True
        for exchange in list(self._exchanges):
            exchange.shut()
        for session in (self._pooled, self._unpooled):
            if session is not None:
                await session.close()
        # aiohttp waits for its transports to close, and a transport closes its socket one turn later.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _attempt(
        self, request: UpstreamRequest, head: RequestHead, attempt: _Attempt, expire_at_s: float
    ) -> _AiohttpExchange:
        label = head.route.label
        if self._is_closed:
            raise TransportFailure("the client is closed", phase=Phase.CONNECT, untouched=True)
        session = self._session(fresh=attempt.needs_fresh_connection)
        body = _Body(request.body) if request.body else None
        headers = [*request.headers, ("accept-encoding", "identity")]
        proxy = self._proxies.proxy_for(request.url.partition(":")[0].lower(), head.route.host)
        proxy_headers: dict[str, str] = {}
        if proxy is not None and proxy.authorization:
            if head.route.tunnel is None:
                headers.append(("proxy-authorization", proxy.authorization))
            else:
                proxy_headers = {"proxy-authorization": proxy.authorization}
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(None if expire_at_s == math.inf else expire_at_s):
                response = await session.request(
                    request.method,
                    yarl.URL(request.url, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    proxy=None
                    if proxy is None
                    else _proxy_url(proxy.scheme, proxy.host, proxy.port),
                    proxy_headers=proxy_headers,
                    ssl=self._tls() if head.route.is_tls or head.route.tunnel else True,
                    trace_request_ctx=attempt,
                )
        except TimeoutError as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError) or not attempt.is_connected:
                message = f"{label}: no connection within the time-out 'connect'"
                raise TransportFailure(
                    message, phase=Phase.CONNECT, timed_out=True, untouched=True
                ) from None
            phase = Phase.FIRST_TOKEN if body is None or body.is_written else Phase.SEND
            raise TransportFailure(
                f"{label} exceeded the time-out '{phase}'", phase=phase, timed_out=True
            ) from None
        except _FAILURES as error:
            attempt.note_loss(error, loop.time())
            _raise_failure(error, label, attempt, body)
        exchange = _AiohttpExchange(response, label, self._limits, expire_at_s, self._exchanges)
        exchange.check_head()
        return exchange

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:  # reading the roots takes tens of milliseconds: only if needed
            self._context = tls_context(self._ca_file)
        return self._context

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        session = self._unpooled if fresh else self._pooled
        if session is None:
            session = self._new_session(fresh=fresh)
            if fresh:
                self._unpooled = session
            else:
                self._pooled = session
        return session

    def _new_session(self, *, fresh: bool) -> aiohttp.ClientSession:
        limits = self._limits
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=limits.connections_per_host_max,
                force_close=fresh,
                keepalive_timeout=None if fresh else limits.idle_s,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Content-Type"),
            auto_decompress=False,
            trust_env=False,  # it would also read ~/.netrc
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_s),
            read_bufsize=max(
                1, limits.buffered_bytes_max // 2
            ),  # the socket is paused at twice this
            max_line_size=limits.header_bytes_max,
            max_field_size=limits.header_bytes_max,
            max_headers=_HEADERS_MAX,
            trace_configs=[_connection_trace()],
        )
        # aiohttp would by itself send a GET again, also on a fresh connection. No public switch.
        session._retry_connection = False  # noqa: SLF001
        return session


class _Attempt:
    """What is known about the connection of one attempt; filled by the trace."""

    __slots__ = (
        "connected_at_s",
        "died_unused",
        "is_connected",
        "is_reused",
        "needs_fresh_connection",
    )

    def __init__(self, *, needs_fresh_connection: bool = False) -> None:
        self.needs_fresh_connection = needs_fresh_connection
        self.is_connected = False
        self.is_reused = False
        self.connected_at_s = 0.0
        self.died_unused = False

    def note_loss(self, error: Exception, now_s: float) -> None:
        """Decide whether a pooled connection had died before anybody saw the request."""
        is_gone = isinstance(
            error, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError
        )
        # A disconnect in the midst of a head carries what was parsed of it.
        has_answered = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(
            error.message, str | None
        )
        is_soon = now_s - self.connected_at_s < _DIED_UNUSED_WITHIN_S
        self.died_unused = self.is_reused and is_gone and is_soon and not has_answered


class _Body(aiohttp.Payload):
    """A request body that knows whether it was written."""

    _value: bytes

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._size = len(body)
        self.is_written = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._value)
        await writer.drain()
        self.is_written = True


class _Headers:
    """See `HeaderView`."""

    __slots__ = ("_raw",)

    def __init__(self, raw: tuple[tuple[bytes, bytes], ...]) -> None:
        self._raw = raw

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.items() if key == name), None)

    def items(self) -> list[tuple[str, str]]:
        return [
            (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
            for name, value in self._raw
        ]


class _AiohttpExchange:
    """Implements `Exchange`."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        label: str,
        limits: Limits,
        expire_at_s: float,
        open_exchanges: set[_AiohttpExchange],
    ) -> None:
        self.status = response.status
        self.headers: HeaderView = _Headers(response.raw_headers)
        self._response = response
        self._label = label
        self._limits = limits
        self._open_exchanges = open_exchanges
        self._failure: TransportFailure | None = None
        self._is_complete = False
        self._decoder: BodyDecoder | None = None
        self._loop = asyncio.get_running_loop()
        self._pour = ReadPour(self, self._loop)
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = math.inf
        open_exchanges.add(self)
        self.set_deadline(expire_at_s, Phase.FIRST_TOKEN)

    def check_head(self) -> None:
        """Refuse what aiohttp lets pass. Raises TransportFailure."""
        length = sum(len(name) + len(value) + 4 for name, value in self._response.raw_headers)
        if length > self._limits.header_bytes_max:
            limit = self._limits.header_bytes_max
            self._break(f"the head of the answer from {self._label} exceeds {limit} bytes")
        if self.status == 101:
            self._break(f"broken answer from {self._label}: the server switched protocols unasked")
        codings = [value for name, value in self.headers.items() if name == "transfer-encoding"]
        if codings and [coding.lower() for coding in codings] != ["chunked"]:
            self._break(f"broken answer from {self._label}: a transfer-encoding other than chunked")
        encodings = [value for name, value in self.headers.items() if name == "content-encoding"]
        has_body = self._response.method != "HEAD" and self.status not in (204, 304)
        if encodings and has_body:
            self._decoder = body_decoder(",".join(encodings), self._limits.buffered_bytes_max)

    async def read(self) -> bytes:
        if self._decoder is None:
            return await self._read_raw()
        try:
            while not (piece := self._decoder.take()):
                raw = await self._read_raw()
                if not raw:
                    self._decoder.finish()
                    return b""
                self._decoder.feed(raw)
        except BrokenCoding as error:
            self._break(f"broken answer from {self._label}: {error}")
        if self._failure is not None:
            raise self._failure
        return piece

    def take_whole(self) -> None:
        return None

    async def read_all(self, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        length = 0
        while piece := await self.read():
            length += len(piece)
            if length > bytes_max:
                self._break(f"the body from {self._label} is longer than {bytes_max} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def pour(
        self, take: Callable[[bytes], None], *, between_s: float, until_s: float
    ) -> None:
        await self._pour.run(take, between_s=between_s, until_s=until_s)

    def pause(self) -> None:
        self._pour.pause()

    def resume(self) -> None:
        self._pour.resume()

    def expire_at(self, at_s: float, phase: Phase) -> None:
        self._pour.expire_at(at_s, phase)

    def set_deadline(self, at_s: float, phase: Phase) -> None:
        """As `expire_at`; a pour goes on as it was."""
        self._due_s, self._phase = at_s, phase
        if at_s < self._armed_s and self._response.connection is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._arm(at_s)

    def close(self) -> None:
        self._fail(f"the answer from {self._label} was closed before it was read")

    def shut(self) -> None:
        """The client closes."""
        self._fail("the client was closed")

    async def _read_raw(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        if self._is_complete:
            return b""
        try:
            piece = await self._response.content.readany()
        except asyncio.CancelledError:
            self.close()
            raise
        except _FAILURES as error:
            if self._failure is not None:  # the deadline closed it
                raise self._failure from None
            self._break(f"{self._label} broke off its answer ({type(error).__name__})")
        if self._failure is not None:
            raise self._failure
        if not piece:
            self._is_complete = True
            self._let_go()
        return piece

    def _arm(self, at_s: float) -> None:
        self._armed_s = at_s
        self._timer = self._loop.call_at(at_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._armed_s = math.inf
        if self._response.connection is None:
            return  # the message is complete
        if self._loop.time() < self._due_s:
            if self._due_s < math.inf:
                self._arm(self._due_s)
            return
        message = f"{self._label} exceeded the time-out '{self._phase}'"
        self._fail(message, self._phase, timed_out=True)

    def _fail(self, message: str, phase: Phase = Phase.READ, *, timed_out: bool = False) -> None:
        if self._failure is None:
            self._failure = TransportFailure(message, phase=phase, timed_out=timed_out)
        self._response.close()
        self._let_go()
        self._pour.close()

    def _break(self, message: str) -> NoReturn:
        """Fail from the reader's side."""
        failure = TransportFailure(message, phase=Phase.READ)
        self._failure = self._failure or failure
        self._response.close()
        self._let_go()
        raise failure from None

    def _let_go(self) -> None:
        self._open_exchanges.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _connection_trace() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()

    def note(context: SimpleNamespace, *, is_reused: bool) -> None:
        attempt: _Attempt = context.trace_request_ctx
        attempt.is_connected = True
        attempt.is_reused = is_reused
        attempt.connected_at_s = asyncio.get_running_loop().time()

    async def on_created(_session: object, context: SimpleNamespace, _params: object) -> None:
        note(context, is_reused=False)

    async def on_reused(_session: object, context: SimpleNamespace, _params: object) -> None:
        note(context, is_reused=True)

    trace.on_connection_create_end.append(on_created)
    trace.on_connection_reuseconn.append(on_reused)
    return trace


def _proxy_url(scheme: str, host: str, port: int) -> yarl.URL:
    return yarl.URL.build(scheme=scheme, host=host, port=port)


def _raise_failure(error: Exception, label: str, attempt: _Attempt, body: _Body | None) -> NoReturn:
    """What went wrong before there was an answer, in our words."""
    if not attempt.is_connected:
        raise TransportFailure(
            f"cannot connect to {label}: {_reason(error)}", phase=Phase.CONNECT, untouched=True
        ) from error
    is_sent = body is None or body.is_written
    if isinstance(error, aiohttp.ClientResponseError):
        raise TransportFailure(f"broken answer from {label}", phase=Phase.READ) from None
    raise TransportFailure(
        f"{label} broke the connection before it answered ({type(error).__name__})",
        phase=Phase.READ if is_sent else Phase.SEND,
    ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        verify_message = getattr(error.certificate_error, "verify_message", "")
        return f"its certificate is not trusted: {verify_message}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "TLS failed"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused the tunnel with status {error.status}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
