"""Cohere: chat, embeddings and ranking in its own formats, version 2."""

from __future__ import annotations

from typing import Final

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
from fairlead.providers.cohere_decoder import CohereStreamDecoder, CohereWholeDecoder
from fairlead.providers.cohere_encoder import encode_request
from fairlead.providers.cohere_failures import failure_of
from fairlead.providers.cohere_retrieval import CohereEmbeddings, CohereRerank

__all__ = ["COHERE", "CohereChat"]


class CohereChat:
    """Chat through `/v2/chat`."""

    __slots__ = ()

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        return encode_request(request, endpoint, credential)

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        return CohereStreamDecoder() if streamed else CohereWholeDecoder()

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


COHERE: Final = Provider(
    slug="cohere", chat=CohereChat(), embeddings=CohereEmbeddings(), rerank=CohereRerank()
)
