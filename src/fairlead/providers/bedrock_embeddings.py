"""Embeddings at Bedrock, through InvokeModel: each family of models in a format of its own.

Amazon's own models take one input in a call. Several are not sent one by one: an endpoint elsewhere, if the
model has one, takes them together.

Sources (read 2026-11-21): https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest, Frame
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.retrieval import EmbeddingsRequest
from fairlead.core.usage import Usage
from fairlead.providers.base import ChatDecoder, Credential, ResponseHeaders, UpstreamRequest
from fairlead.providers.bedrock_failures import failure_of
from fairlead.providers.cohere_retrieval import cohere_embed_fields, read_cohere_embeddings
from fairlead.providers.embeddings_asked import (
    Purpose,
    asked_for_embeddings,
    plain_text,
    purpose_of,
)
from fairlead.providers.whole_json import WholeJson, garbage, json_call, read_json
from fairlead.wire.embeddings import embeddings_frame
from fairlead.wire.openai_usage import TOKENS_MAX

__all__ = ["BedrockEmbeddings", "read_bedrock_embeddings"]

_PURPOSES: Final[Mapping[Purpose, str]] = {
    Purpose.QUERY: "TEXT_RETRIEVAL",
    Purpose.QUESTION: "TEXT_RETRIEVAL",
    Purpose.FACT: "TEXT_RETRIEVAL",
    Purpose.CODE: "TEXT_RETRIEVAL",
    Purpose.DOCUMENT: "GENERIC_INDEX",
    Purpose.CLASSIFICATION: "CLASSIFICATION",
    Purpose.CLUSTERING: "CLUSTERING",
}
_USUAL: Final = "GENERIC_INDEX"


class BedrockEmbeddings:
    """See the file's docstring."""

    __slots__ = ()

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for inputs that are not text, UpstreamFailure for too many of them."""
        asked = asked_for_embeddings(request)
        model_id = endpoint.provider_model_id
        if "cohere." in model_id:
            fields = cohere_embed_fields(asked)
        elif "nova" in model_id:
            fields = _for_nova(asked)
        else:
            fields = _for_titan(asked, takes_dimensions="-v2" in model_id)
        return json_call(credential, f"/model/{quote(model_id, safe='')}/invoke", fields)

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — vectors are never streamed
        return WholeJson(read_bedrock_embeddings)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


def _for_titan(asked: EmbeddingsRequest, *, takes_dimensions: bool) -> dict[str, object]:
    fields: dict[str, object] = {"inputText": _only_text(asked)}
    if asked.dimensions is not None and takes_dimensions:
        fields["dimensions"] = asked.dimensions
    return fields


def _for_nova(asked: EmbeddingsRequest) -> dict[str, object]:
    purpose = purpose_of(asked.input_type)
    params: dict[str, object] = {
        "embeddingPurpose": _USUAL if purpose is None else _PURPOSES.get(purpose, _USUAL),
        "text": {"value": _only_text(asked), "truncationMode": "END"},
    }
    if asked.dimensions is not None:
        params["embeddingDimension"] = asked.dimensions
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}


def _only_text(asked: EmbeddingsRequest) -> str:
    if len(asked.inputs) > 1:
        # Of all kinds, the one that tries elsewhere and blames nobody: the request is longer than it may be.
        raise UpstreamFailure(
            "This model takes one input in a call at this provider.",
            kind=FailureKind.CONTEXT_LENGTH,
        )
    return plain_text(asked.inputs[0], "input")


# --- answers ----------------------------------------------------------------------------------------------


class _Vector(msgspec.Struct, frozen=True, gc=False):
    embedding: msgspec.Raw


class _OfTitan(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    embedding: msgspec.Raw
    input_text_token_count: int | float | None = None


class _OfNova(msgspec.Struct, frozen=True, gc=False):
    embeddings: list[_Vector]


_decode_titan: Final = msgspec.json.Decoder(_OfTitan).decode
_decode_nova: Final = msgspec.json.Decoder(_OfNova).decode


def read_bedrock_embeddings(body: bytes) -> Frame:
    """One whole answer of any family. Raises UpstreamFailure for garbage in it."""
    try:
        of_nova = _decode_nova(body)
    except (ValueError, RecursionError):
        pass
    else:
        return _frame([vector.embedding for vector in of_nova.embeddings], None)
    try:
        return read_cohere_embeddings(body)
    except UpstreamFailure:
        pass
    answer = read_json(body, _decode_titan, _failure_inside)
    count = answer.input_text_token_count
    has_count = count is not None and 0 <= count <= TOKENS_MAX
    return _frame([answer.embedding], Usage(prompt=int(count or 0)) if has_count else None)


def _frame(vectors: list[msgspec.Raw], usage: Usage | None) -> Frame:
    if any(bytes(memoryview(vector)[:1]) != b"[" for vector in vectors):
        raise garbage("a vector is no list of numbers")
    return embeddings_frame(vectors, usage=usage)


def _failure_inside(fields: Mapping[str, object]) -> UpstreamFailure:  # noqa: ARG001
    """Bedrock has no errors under status 200; what looks like one says no more than that."""
    return UpstreamFailure("The provider failed.", kind=FailureKind.SERVER)
