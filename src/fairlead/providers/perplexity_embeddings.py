"""Perplexity's embeddings: OpenAI's format, but vectors are whole numbers of 8 bits in base64.

They are not normalised, and come in no other precision; callers read the numbers as they are, from -128 to
127. Models with context make vectors of the parts of one document; each input is taken for a document of its
own, as the format of callers knows no more.

Source: https://docs.perplexity.ai/docs/embeddings/best-practices (read 2026-11-21), and recorded traffic.
"""

from __future__ import annotations

import binascii
from array import array
from base64 import b64decode
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ABSENT, ChatRequest, Frame
from fairlead.core.errors import UpstreamFailure
from fairlead.providers.base import ChatDecoder, Credential, ResponseHeaders, UpstreamRequest
from fairlead.providers.embeddings_asked import asked_for_embeddings, plain_texts
from fairlead.providers.openai_embeddings import Reported
from fairlead.providers.openai_failures import failure_inside, failure_of
from fairlead.providers.whole_json import WholeJson, garbage, json_call, read_json
from fairlead.wire.embeddings import embeddings_frame, numbers_vector
from fairlead.wire.openai_usage import read_cost_usd
from fairlead.wire.wordless import read_prompt_usage

__all__ = ["PerplexityEmbeddings"]


class PerplexityEmbeddings:
    """See the file's docstring."""

    __slots__ = ()

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for inputs that are not text."""
        asked = asked_for_embeddings(request)
        texts = plain_texts(asked)
        has_context = "-context-" in endpoint.provider_model_id
        fields: dict[str, object] = {
            "model": endpoint.provider_model_id,
            "input": [[text] for text in texts] if has_context else texts,
        }
        if asked.dimensions is not None:
            fields["dimensions"] = asked.dimensions
        path = "/v1/contextualizedembeddings" if has_context else "/v1/embeddings"
        return json_call(credential, path, fields)

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — vectors are never streamed
        return WholeJson(read_small_embeddings)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


class _Item(msgspec.Struct, frozen=True, gc=False):
    """embedding: of a text. data: of the parts of a document."""

    index: int = 0
    embedding: str | None = None
    data: list[_Item] | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    data: list[_Item]
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = ABSENT


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode


def read_small_embeddings(body: bytes) -> Frame:
    """One whole answer. Raises UpstreamFailure for an error or garbage in it."""
    answer = read_json(body, _decode_answer, failure_inside)
    reported = Reported(answer.usage).fields
    return embeddings_frame(
        [_vector(item) for item in sorted(answer.data, key=lambda item: item.index)],
        usage=read_prompt_usage(reported),
        answer_id=answer.id,
        model=answer.model,
        cost_usd=read_cost_usd(reported),
    )


def _vector(item: _Item) -> msgspec.Raw:
    if item.embedding is None and item.data is not None and len(item.data) == 1:
        item = item.data[0]  # a document of one part
    if item.embedding is None:
        raise garbage("it holds no vector for an input")
    try:
        packed = b64decode(item.embedding, validate=True)
    except binascii.Error:
        raise garbage("a vector is not base64") from None
    return numbers_vector(array("b", packed).tolist())
