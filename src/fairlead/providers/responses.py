"""Providers that speak OpenAI's Responses format: one adapter, for what a provider offers in no other.

Writing a request is in `responses_encoder.py`, reading an answer in `responses_reader.py` and
`responses_decoder.py`; errors have the envelope of the chat format.
"""

from __future__ import annotations

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import UpstreamFailure
from fairlead.providers.base import ChatDecoder, Credential, ResponseHeaders, UpstreamRequest
from fairlead.providers.openai_failures import failure_of
from fairlead.providers.responses_decoder import ResponsesStreamDecoder, ResponsesWholeDecoder
from fairlead.providers.responses_encoder import ResponsesRow, encode_responses_request

__all__ = ["ResponsesFormatChat"]


class ResponsesFormatChat:
    """Chat with a provider of the Responses format."""

    __slots__ = ("_row",)

    def __init__(self, row: ResponsesRow) -> None:
        self._row = row

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        return encode_responses_request(self._row, request, endpoint, credential)

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        make = ResponsesStreamDecoder if streamed else ResponsesWholeDecoder
        return make(self._row.reasoning_format)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)
