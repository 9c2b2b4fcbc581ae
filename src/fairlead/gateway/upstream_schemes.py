"""Sends each request with the client for its URL's scheme: `https` over the wire, `sandbox` in process."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from fairlead.gateway.upstream import Exchange, Phase, TransportFailure, UpstreamClient
from fairlead.providers.base import UpstreamRequest

__all__ = ["UpstreamsByScheme"]


class UpstreamsByScheme:
    """An `UpstreamClient` made of others. clients: scheme to client; one client may serve several."""

    def __init__(self, clients: Mapping[str, UpstreamClient]) -> None:
        self._clients = dict(clients)

    def send(
        self, request: UpstreamRequest, *, expire_at_s: float
    ) -> Coroutine[Any, Any, Exchange]:
        """As `UpstreamClient.send`; hands over the client's own coroutine, to spare each call one more."""
        client = self._clients.get(request.url[: request.url.find(":")])
        if client is None:
            raise TransportFailure(
                "The provider's address has a scheme that nothing here speaks.",
                phase=Phase.CONNECT,
                untouched=True,
            )
        return client.send(request, expire_at_s=expire_at_s)

    async def aclose(self) -> None:
        for client in dict.fromkeys(self._clients.values()):
            await client.aclose()
