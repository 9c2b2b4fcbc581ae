"""Cohere's embeddings and ranking, version 2.

Cohere wants to know what a text is for. A caller who does not say it stores documents, which is what most
calls do; whoever asks with them says `input_type: "search_query"`.

Source: https://docs.cohere.com/reference/embed and https://docs.cohere.com/reference/rerank (read 2026-11-21),
and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest, Frame, ImagePart, TextPart
from fairlead.core.errors import FailureKind, RequestInvalid, UpstreamFailure
from fairlead.core.retrieval import EmbeddingInput, EmbeddingsRequest
from fairlead.core.usage import Usage
from fairlead.providers.alike_rerank import asked_for_ranking, read_ranking, rerank_fields
from fairlead.providers.base import ChatDecoder, Credential, ResponseHeaders, UpstreamRequest
from fairlead.providers.cohere_failures import failure_of
from fairlead.providers.embeddings_asked import (
    Purpose,
    asked_for_embeddings,
    plain_text,
    purpose_of,
)
from fairlead.providers.whole_json import WholeJson, garbage, json_call, read_json
from fairlead.wire.embeddings import embeddings_frame
from fairlead.wire.openai_usage import TOKENS_MAX

__all__ = ["CohereEmbeddings", "CohereRerank", "cohere_embed_fields", "read_cohere_embeddings"]

_WORDS: Final[Mapping[Purpose, str]] = {
    Purpose.QUERY: "search_query",
    Purpose.QUESTION: "search_query",
    Purpose.FACT: "search_query",
    Purpose.CODE: "search_query",
    Purpose.DOCUMENT: "search_document",
    Purpose.CLASSIFICATION: "classification",
    Purpose.CLUSTERING: "clustering",
}
_USUAL: Final = "search_document"
_OWN_FIELDS: Final = ("truncate", "max_tokens", "priority")
_NULL: Final = msgspec.Raw(b"null")


class CohereEmbeddings:
    """Embeddings through `/v2/embed`."""

    __slots__ = ()

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for inputs that Cohere cannot read."""
        fields = {
            "model": endpoint.provider_model_id,
            **cohere_embed_fields(asked_for_embeddings(request)),
        }
        return json_call(credential, "/embed", fields)

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — vectors are never streamed
        return WholeJson(read_cohere_embeddings)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


class CohereRerank:
    """Ranking through `/v2/rerank`."""

    __slots__ = ()

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for documents that are not text."""
        asked = asked_for_ranking(request)
        fields = rerank_fields(asked, endpoint, limit_field="top_n", takes_images=False)
        return json_call(credential, "/rerank", fields)

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — a ranking is never streamed
        return WholeJson(read_ranking)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


def cohere_embed_fields(asked: EmbeddingsRequest) -> dict[str, object]:
    """The body but for the model's name. Raises RequestInvalid for inputs that Cohere cannot read."""
    fields: dict[str, object] = {
        "input_type": _input_type(asked.input_type),
        "embedding_types": ["float"],
    }
    if all(_is_text(item) for item in asked.inputs):
        fields["texts"] = [plain_text(item, "input") for item in asked.inputs]
    else:
        fields["inputs"] = [
            {"content": _content(item, f"input[{at}]")} for at, item in enumerate(asked.inputs)
        ]
    if asked.dimensions is not None:
        fields["output_dimension"] = asked.dimensions
    given = {name: asked.fields.get(name, _NULL) for name in _OWN_FIELDS}
    fields.update({name: raw for name, raw in given.items() if raw != _NULL})
    return fields


def _input_type(written: str | None) -> str:
    """A word that is of no provider we know is Cohere's own, or a mistake that it explains."""
    purpose = purpose_of(written)
    return written or _USUAL if purpose is None else _WORDS.get(purpose, _USUAL)


def _is_text(item: EmbeddingInput) -> bool:
    return isinstance(item, str) or all(isinstance(part, TextPart) for part in item)


def _content(item: EmbeddingInput, at: str) -> list[dict[str, object]]:
    content: list[dict[str, object]] = []
    for part in (TextPart(item),) if isinstance(item, str) else item:
        match part:
            case TextPart():
                content.append({"type": "text", "text": part.text})
            case ImagePart():
                content.append({"type": "image_url", "image_url": {"url": part.image_url.url}})
            case _:
                what = "numbers of tokens" if isinstance(part, int) else "neither text nor an image"
                raise RequestInvalid(
                    f"This model takes text and images; `{at}` holds {what}.", param=at
                )
    return content


# --- answers ------------------------------------------------------------------------------------------


class _ByType(msgspec.Struct, frozen=True, gc=False):
    floats: list[msgspec.Raw] = msgspec.field(name="float")


class _Billed(msgspec.Struct, frozen=True, gc=False):
    """Counts come as floats, too."""

    input_tokens: int | float | None = None
    image_tokens: int | float | None = None


class _Meta(msgspec.Struct, frozen=True, gc=False):
    billed_units: _Billed | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    """embeddings: by type, or a list alone where types were not asked for."""

    embeddings: _ByType | list[msgspec.Raw]
    id: str | None = None
    meta: _Meta | None = None


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode


def read_cohere_embeddings(body: bytes) -> Frame:
    """One whole answer. Raises UpstreamFailure for an error or garbage in it."""
    answer = read_json(body, _decode_answer, _failure_inside)
    by_type = answer.embeddings
    vectors = by_type if isinstance(by_type, list) else by_type.floats
    return embeddings_frame(_checked(vectors), usage=_usage(answer.meta), answer_id=answer.id)


def _checked(vectors: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
    if any(bytes(memoryview(vector)[:1]) != b"[" for vector in vectors):
        raise garbage("a vector is no list of numbers")
    return vectors


def _usage(meta: _Meta | None) -> Usage | None:
    billed = meta.billed_units if meta is not None else None
    if billed is None or billed.input_tokens is None:
        return None
    counts = (billed.input_tokens, billed.image_tokens or 0)
    if not all(0 <= count <= TOKENS_MAX for count in counts):
        return None
    text, image = map(int, counts)
    return Usage(prompt=text, prompt_image=image)


def _failure_inside(fields: Mapping[str, object]) -> UpstreamFailure:  # noqa: ARG001
    """Cohere has no errors under status 200; what looks like one says no more than that."""
    return UpstreamFailure("The provider failed.", kind=FailureKind.SERVER)
