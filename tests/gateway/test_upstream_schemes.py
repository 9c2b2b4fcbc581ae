"""A request goes to the client of its scheme; the seldom ones are made when they are first wanted."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.gateway.upstream import Exchange, TransportFailure
from fairlead.gateway.upstream_schemes import UpstreamsByScheme
from fairlead.providers.base import UpstreamRequest


class Sent(Exception):
    """Instead of an exchange."""


class Client:
    def __init__(self) -> None:
        self.sent = 0
        self.is_closed = False

    async def send(self, request: UpstreamRequest, *, expire_at_s: float) -> Exchange:
        self.sent += 1
        raise Sent

    async def aclose(self) -> None:
        self.is_closed = True


def test_a_seldom_client_is_made_once_when_it_is_first_wanted() -> None:
    usual, made = Client(), list[Client]()

    def make() -> Client:
        made.append(Client())
        return made[-1]

    clients = UpstreamsByScheme({"https": usual}, seldom={"sandbox": make})

    def send(url: str) -> None:
        request = UpstreamRequest(method="POST", url=url, headers=(), body=b"")
        with pytest.raises(Sent):
            asyncio.run(clients.send(request, expire_at_s=1.0))

    send("https://api.example/v1")
    assert (usual.sent, made) == (1, [])
    send("sandbox://local/v1")
    send("sandbox://local/v1")
    assert [one.sent for one in made] == [2]
    with pytest.raises(TransportFailure, match="scheme"):
        send("gopher://local/v1")
    asyncio.run(clients.aclose())
    assert [one.is_closed for one in (usual, *made)] == [True, True]
