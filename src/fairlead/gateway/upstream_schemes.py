"""Sends each request with the client for its URL's scheme: `https` over the wire, `sandbox` in process."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fairlead.gateway.upstream import Exchange, Phase, TransportFailure, UpstreamClient
from fairlead.providers.base import UpstreamRequest

__all__ = ["UpstreamsByScheme"]


class UpstreamsByScheme:
    """An `UpstreamClient` made of others.

    clients: scheme to client; one client may serve several.
    seldom: scheme to what makes its client, for those that few installations need.
    """

    def __init__(
        self,
        clients: Mapping[str, UpstreamClient],
        *,
        seldom: Mapping[str, Callable[[], UpstreamClient]],
    ) -> None:
        self._clients = dict(clients)
        self._seldom = seldom

    def send(
        self, request: UpstreamRequest, *, expire_at_s: float
    ) -> Coroutine[Any, Any, Exchange]:
        """As `UpstreamClient.send`; hands over the client's own coroutine, to spare each call one more."""
        scheme = request.url[: request.url.find(":")]
        client = self._clients.get(scheme) or self._made(scheme)
        return client.send(request, expire_at_s=expire_at_s)

    def _made(self, scheme: str) -> UpstreamClient:
        make = self._seldom.get(scheme)
        if make is None:
            raise TransportFailure(
                "The provider's address has a scheme that nothing here speaks.",
                phase=Phase.CONNECT,
                untouched=True,
            )
        client = self._clients[scheme] = make()
        return client

    async def aclose(self) -> None:
        for client in dict.fromkeys(self._clients.values()):
            await client.aclose()
