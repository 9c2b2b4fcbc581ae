"""Our own HTTP/1.1 client: the default behind `UpstreamClient`. The pieces are in `http/`.

No background work: everything happens in the caller's task or in a callback of the event loop. The only
tasks are those that race for the first connection to a name with several addresses, while a caller waits.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from fairlead.gateway.http.answer import Answer
from fairlead.gateway.http.dial import Dialler
from fairlead.gateway.http.origin import Origin
from fairlead.gateway.http.proxies import ProxyChoice
from fairlead.gateway.http.request_head import RequestHead, Route, UnsendableRequest, encode_head
from fairlead.gateway.upstream import Limits, Phase, TransportFailure
from fairlead.providers.base import UpstreamRequest

__all__ = ["NativeUpstreamClient"]

# Heads repeat: few methods, URLs and credentials, thousands of calls. 4 KiB times 512 is 2 MiB at most.
_CACHED_HEADS_MAX: Final = 512
_CACHED_HEAD_BYTES_MAX: Final = 4 * 1024

_HeadKey = tuple[str, str, tuple[tuple[str, str], ...]]


class NativeUpstreamClient:
    """A pool of connections to upstreams; see `UpstreamClient`. Belongs to the loop that first sends.

    ca_file: PEM certificates to trust beside the system's roots.
    proxy: URL of a forward proxy for every request, `http://user:password@host:port`. Raises ValueError.
    environment_proxies: whether HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY count when `proxy` is None.
    """

    __slots__ = (
        "_ca_file",
        "_dialler",
        "_gone",
        "_heads",
        "_is_closed",
        "_limits",
        "_loop",
        "_origins",
        "_proxies",
    )

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
        self._heads: dict[_HeadKey, RequestHead] = {}
        self._origins: dict[str, Origin] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dialler: Dialler | None = None
        self._gone: asyncio.Future[None] | None = None
        self._is_closed = False

    async def send(self, request: UpstreamRequest, *, expire_at_s: float) -> Answer:
        """See `UpstreamClient.send`."""
        if self._is_closed:
            raise TransportFailure("the client is closed", phase=Phase.CONNECT, untouched=True)
        head = self._heads.get((request.method, request.url, request.headers)) or self._encode(
            request
        )
        origin = self._origins.get(head.route.key) or self._add_origin(head.route)
        connection = origin.take_idle() or await origin.open(expire_at_s)
        answer = connection.begin(head, request.body, expire_at_s)
        try:
            await answer.wait_for_head()
        except TransportFailure:
            if not answer.died_unused or self._is_closed:
                raise
            origin = self._origins.get(head.route.key) or self._add_origin(head.route)
            connection = await origin.open(expire_at_s)
            answer = connection.begin(head, request.body, expire_at_s)
            await answer.wait_for_head()
        return answer

    async def aclose(self) -> None:
        """See `UpstreamClient.aclose`. Idempotent."""
        self._is_closed = True
        self._heads.clear()
        for origin in list(self._origins.values()):
            origin.shut()
        while self._origins:
            if self._gone is None:
                self._gone = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._gone)
        # A socket whose TLS handshake was broken off closes within the two turns that follow.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _encode(self, request: UpstreamRequest) -> RequestHead:
        try:
            head = encode_head(
                request.method, request.url, request.headers, proxy_for=self._proxies.proxy_for
            )
        except UnsendableRequest as error:
            raise TransportFailure(str(error), phase=Phase.SEND, untouched=True) from None
        if len(head.prefix) <= _CACHED_HEAD_BYTES_MAX:
            if len(self._heads) >= _CACHED_HEADS_MAX:
                del self._heads[next(iter(self._heads))]
            self._heads[request.method, request.url, request.headers] = head
        return head

    def _add_origin(self, route: Route) -> Origin:
        if self._loop is None or self._dialler is None:
            self._loop = asyncio.get_running_loop()
            self._dialler = Dialler(self._loop, self._limits, self._ca_file)
        origin = Origin(route, self._dialler, self._loop, self._limits, self._forget)
        self._origins[route.key] = origin
        return origin

    def _forget(self, origin: Origin) -> None:
        if self._origins.get(origin.route.key) is origin:
            del self._origins[origin.route.key]
        if not self._origins and self._gone is not None:
            self._gone.set_result(None)
            self._gone = None
