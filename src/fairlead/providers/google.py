"""Google AI Studio, and what it has in common with Vertex AI: chat in Google's own format."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import UpstreamFailure
from fairlead.providers.base import (
    ChatDecoder,
    Credential,
    Provider,
    ResponseHeaders,
    UpstreamRequest,
)
from fairlead.providers.google_decoder import GoogleStreamDecoder, GoogleWholeDecoder
from fairlead.providers.google_embeddings import GoogleEmbeddings
from fairlead.providers.google_encoder import google_body
from fairlead.providers.google_failures import failure_of

__all__ = ["GOOGLE_AI_STUDIO", "GoogleChat", "headers_of", "model_url"]

_STREAMED: Final = "streamGenerateContent?alt=sse"
_WHOLE: Final = "generateContent"


class GoogleChat:
    """Chat with Google AI Studio. The key goes into a header: addresses end up in logs."""

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        key = (("x-goog-api-key", credential.api_key),) if credential.api_key else ()
        model_id = endpoint.provider_model_id
        kind = "" if "/" in model_id else "models/"  # "tunedModels/..." says it itself
        method = _STREAMED if request.streamed else _WHOLE
        return UpstreamRequest(
            method="POST",
            url=model_url(credential.base_url, f"{kind}{model_id}", method),
            headers=(*headers_of(request), *key),
            body=google_body(request, endpoint),
        )

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        return GoogleStreamDecoder() if streamed else GoogleWholeDecoder()

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


def model_url(base_url: str, path: str, method: str) -> str:
    """The address of a method of a model. path: of the model, below the base."""
    return f"{base_url.rstrip('/')}/{quote(path, safe='/@:.')}:{method}"


def headers_of(request: ChatRequest) -> tuple[tuple[str, str], ...]:
    accepted = "text/event-stream" if request.streamed else "application/json"
    return (("content-type", "application/json"), ("accept", accepted))


GOOGLE_AI_STUDIO: Final = Provider(
    slug="google-ai-studio", chat=GoogleChat(), embeddings=GoogleEmbeddings()
)
