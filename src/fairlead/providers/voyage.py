"""Voyage: embeddings and ranking, in formats like OpenAI's and Cohere's with names of their own.

Models of texts, of parts of documents (with context) and of texts beside images are asked at three paths. A
model with context takes each input for a document of one part, as the format of callers knows no more.

Sources (read 2026-11-21): https://docs.voyageai.com/reference/embeddings-api,
https://docs.voyageai.com/reference/contextualized-embeddings-api,
https://docs.voyageai.com/reference/multimodal-embeddings-api,
https://docs.voyageai.com/reference/reranker-api, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ABSENT, ChatRequest, Frame, ImagePart, TextPart, VideoPart
from fairlead.core.errors import RequestInvalid, UpstreamFailure
from fairlead.core.retrieval import EmbeddingInput
from fairlead.providers.alike_rerank import AlikeRerank, RerankRow
from fairlead.providers.base import (
    ChatDecoder,
    Credential,
    Provider,
    ResponseHeaders,
    UpstreamRequest,
)
from fairlead.providers.embeddings_asked import (
    Purpose,
    asked_for_embeddings,
    plain_texts,
    purpose_of,
)
from fairlead.providers.openai_embeddings import Reported, read_embeddings
from fairlead.providers.openai_failures import failure_of
from fairlead.providers.whole_json import WholeJson, garbage, json_call
from fairlead.wire.embeddings import embeddings_frame
from fairlead.wire.wordless import read_prompt_usage

__all__ = ["VOYAGE", "VoyageEmbeddings", "read_voyage_embeddings"]

_WORDS: Final[Mapping[Purpose, str]] = {
    Purpose.QUERY: "query",
    Purpose.QUESTION: "query",
    Purpose.FACT: "query",
    Purpose.CODE: "query",
    Purpose.DOCUMENT: "document",
}
_OWN_FIELDS: Final = ("truncation",)
_NULL: Final = msgspec.Raw(b"null")


class VoyageEmbeddings:
    """See the file's docstring."""

    __slots__ = ()

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for inputs that the model cannot read."""
        asked = asked_for_embeddings(request)
        model_id = endpoint.provider_model_id
        fields: dict[str, object] = {"model": model_id}
        takes_base64 = True
        if "-multimodal-" in model_id:
            path, takes_base64 = "/multimodalembeddings", False
            fields["inputs"] = [
                {"content": _content(item, f"input[{at}]")} for at, item in enumerate(asked.inputs)
            ]
        elif "-context-" in model_id:
            path = "/contextualizedembeddings"
            fields["inputs"] = [[text] for text in plain_texts(asked)]
        else:
            path = "/embeddings"
            fields["input"] = plain_texts(asked)
        purpose = purpose_of(asked.input_type)
        if purpose is not None and purpose in _WORDS:
            fields["input_type"] = _WORDS[purpose]
        if asked.dimensions is not None:
            fields["output_dimension"] = asked.dimensions
        if asked.encoding == "base64" and takes_base64:
            fields["encoding_format"] = "base64"
        given = {name: asked.fields.get(name, _NULL) for name in _OWN_FIELDS}
        fields.update({name: raw for name, raw in given.items() if raw != _NULL})
        return json_call(credential, path, fields)

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — vectors are never streamed
        return WholeJson(read_voyage_embeddings)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


def _content(item: EmbeddingInput, at: str) -> list[dict[str, object]]:
    content: list[dict[str, object]] = []
    for part in (TextPart(item),) if isinstance(item, str) else item:
        match part:
            case TextPart():
                content.append({"type": "text", "text": part.text})
            case ImagePart():
                content.append(_media("image", part.image_url.url))
            case VideoPart():
                content.append(_media("video", part.video_url.url))
            case _:
                raise RequestInvalid(
                    f"This model takes text, images and video; `{at}` holds something else.",
                    param=at,
                )
    return content


def _media(kind: str, url: str) -> dict[str, object]:
    name = f"{kind}_base64" if url.startswith("data:") else f"{kind}_url"
    return {"type": name, name: url}


# --- answers ----------------------------------------------------------------------------------------------


class _Part(msgspec.Struct, frozen=True, gc=False):
    embedding: msgspec.Raw


class _Document(msgspec.Struct, frozen=True, gc=False):
    data: list[_Part]
    index: int = 0


class _WithContext(msgspec.Struct, frozen=True, gc=False):
    data: list[_Document]
    model: str | None = None
    usage: msgspec.Raw = ABSENT


_decode_with_context: Final = msgspec.json.Decoder(_WithContext).decode


def read_voyage_embeddings(body: bytes) -> Frame:
    """One whole answer at any of the paths. Raises UpstreamFailure for an error or garbage in it."""
    try:
        answer = _decode_with_context(body)
    except (ValueError, RecursionError):
        return read_embeddings(body)
    vectors: list[msgspec.Raw] = []
    for document in sorted(answer.data, key=lambda one: one.index):
        if len(document.data) != 1:
            raise garbage("a document of one part has not one vector")
        vectors.append(document.data[0].embedding)
    if any(bytes(memoryview(vector)[:1]) not in (b"[", b'"') for vector in vectors):
        raise garbage("a vector is neither numbers nor base64")
    usage = read_prompt_usage(Reported(answer.usage).fields)
    return embeddings_frame(vectors, usage=usage, model=answer.model)


VOYAGE: Final = Provider(
    slug="voyage",
    embeddings=VoyageEmbeddings(),
    rerank=AlikeRerank(RerankRow("voyage", limit_field="top_k")),
)
