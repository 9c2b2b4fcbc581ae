"""Asking a local engine for its list of models, through the one HTTP client."""

from __future__ import annotations

import asyncio
from typing import Final

from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.ids import ProviderSlug
from fairlead.gateway.ports import Credentials
from fairlead.gateway.upstream import TransportFailure, UpstreamClient
from fairlead.providers.base import UpstreamRequest

__all__ = ["EngineLists"]

ANSWER_S: Final = 3.0  # an engine on this machine or beside it answers in milliseconds


class EngineLists:
    """`GET {base_url}/models` of engines that are configured."""

    def __init__(self, upstream: UpstreamClient, credentials: Credentials) -> None:
        self._upstream = upstream
        self._credentials = credentials

    async def __call__(self, provider: ProviderSlug, *, bytes_max: int) -> bytes:
        """The body of a 200. Raises UpstreamFailure for everything else, an engine that is not configured
        included."""
        if provider not in self._credentials.access:
            raise UpstreamFailure(f"{provider} is not configured.", kind=FailureKind.AUTHENTICATION)
        credential = self._credentials.find(provider)
        headers: tuple[tuple[str, str], ...] = (("accept", "application/json"),)
        if credential.api_key:
            headers += (("authorization", f"Bearer {credential.api_key}"),)
        request = UpstreamRequest(
            method="GET", url=f"{credential.base_url}/models", headers=headers, body=b""
        )
        expire_at_s = asyncio.get_running_loop().time() + ANSWER_S
        try:
            exchange = await self._upstream.send(request, expire_at_s=expire_at_s)
            try:
                if exchange.status != 200:
                    raise UpstreamFailure(
                        f"{provider} answered {exchange.status} to a question for its models.",
                        kind=FailureKind.SERVER,
                        status=exchange.status,
                    )
                return await exchange.read_all(bytes_max)
            finally:
                exchange.close()
        except TransportFailure as failure:
            raise UpstreamFailure(
                f"{provider}: {failure}", kind=FailureKind.UNREACHABLE
            ) from failure
