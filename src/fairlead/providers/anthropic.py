"""Anthropic itself: Claude by the Messages API.

Other places that run Claude share the body (anthropic_encoder.py) and the reading of answers
(anthropic_decoder.py, anthropic_reader.py); they differ in address, sign-in and envelope.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import UpstreamFailure
from fairlead.providers.anthropic_decoder import AnthropicStreamDecoder, AnthropicWholeDecoder
from fairlead.providers.anthropic_encoder import anthropic_betas, anthropic_body
from fairlead.providers.anthropic_failures import failure_of
from fairlead.providers.base import (
    ChatDecoder,
    Credential,
    Provider,
    ResponseHeaders,
    UpstreamRequest,
)
from fairlead.providers.prefill import PREFILLS

__all__ = ["ANTHROPIC", "AnthropicChat"]

_VERSION: Final = "2023-06-01"  # of the API; there has been no other since
_encode: Final = msgspec.json.Encoder().encode


class AnthropicChat:
    """Chat by the Messages API."""

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        body: dict[str, object] = {"model": endpoint.provider_model_id}
        body.update(anthropic_body(request, endpoint))
        if request.streamed:
            body["stream"] = True
        return UpstreamRequest(
            method="POST",
            url=f"{credential.base_url.rstrip('/')}/messages",
            headers=_headers(request, endpoint, credential),
            body=_encode(body),
        )

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        return AnthropicStreamDecoder() if streamed else AnthropicWholeDecoder()

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


def _headers(
    request: ChatRequest, endpoint: Endpoint, credential: Credential
) -> tuple[tuple[str, str], ...]:
    accepted = "text/event-stream" if request.streamed else "application/json"
    headers = [
        ("content-type", "application/json"),
        ("accept", accepted),
        ("anthropic-version", _VERSION),
    ]
    if credential.api_key:
        headers.append(("x-api-key", credential.api_key))
    if betas := anthropic_betas(request, endpoint):
        headers.append(("anthropic-beta", ",".join(betas)))
    return tuple(headers)


ANTHROPIC: Final = Provider(slug="anthropic", chat=AnthropicChat(), prefill=PREFILLS["anthropic"])
