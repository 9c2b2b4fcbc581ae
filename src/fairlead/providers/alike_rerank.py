"""Ranking in the format that most share: `query` and `documents` in, places with `relevance_score` out.

It began with Cohere and Jina; hosts and engines of open models took it over, and Voyage with other names. The
places are in `results`, or in `data`. Documents are never asked back: the caller's side has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ABSENT, ChatRequest, Frame
from fairlead.core.errors import RequestInvalid, UpstreamFailure
from fairlead.core.retrieval import RerankRequest
from fairlead.providers.base import ChatDecoder, Credential, ResponseHeaders, UpstreamRequest
from fairlead.providers.openai_embeddings import Reported
from fairlead.providers.openai_failures import failure_inside, failure_of
from fairlead.providers.whole_json import WholeJson, garbage, json_call, read_json
from fairlead.wire.openai_usage import read_cost_usd
from fairlead.wire.rerank import Place, rerank_frame
from fairlead.wire.wordless import read_prompt_usage

__all__ = ["AlikeRerank", "RerankRow", "asked_for_ranking", "read_ranking", "rerank_fields"]

# Ours, written by us, or of no use: documents come back from ourselves.
_WITHHELD: Final = frozenset(
    {
        "model", "models", "query", "documents", "top_n", "top_k", "return_documents", "provider", "user",
        "stream", "session_id", "usage", "trace", "debug", "metadata", "plugins", "route", "transforms",
        "preset",
    }
)  # fmt: skip
_NULL: Final = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class RerankRow:
    """One provider of the format: where it differs from the others.

    key_header: the header that carries the key; "authorization" means a bearer token.
    path: below the provider's base. limit_field: its name for how many places it tells.
    takes_images: whether documents may be objects with an image.
    """

    slug: str
    key_header: str = "authorization"
    path: str = "/rerank"
    limit_field: str = "top_n"
    takes_images: bool = False


class AlikeRerank:
    """Ranking by a provider of that format."""

    __slots__ = ("_row",)

    def __init__(self, row: RerankRow) -> None:
        self._row = row

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for documents that the model cannot read."""
        row = self._row
        fields = rerank_fields(
            asked_for_ranking(request),
            endpoint,
            limit_field=row.limit_field,
            takes_images=row.takes_images,
        )
        return json_call(credential, row.path, fields, key_header=row.key_header)

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — a ranking is never streamed
        return WholeJson(read_ranking)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


def asked_for_ranking(request: ChatRequest) -> RerankRequest:
    assert isinstance(request, RerankRequest), "the pipeline asks the adapter of the capability"
    return request


def rerank_fields(
    asked: RerankRequest, endpoint: Endpoint, *, limit_field: str, takes_images: bool
) -> dict[str, object]:
    """The body. Raises RequestInvalid for documents that the model cannot read."""
    documents: list[object] = []
    for position, document in enumerate(asked.documents):
        if document.image is None:
            documents.append(document.text)
        elif takes_images:
            documents.append(document)
        else:
            at = f"documents[{position}]"
            raise RequestInvalid(f"This model takes text; `{at}` holds an image.", param=at)
    fields: dict[str, object] = {
        "model": endpoint.provider_model_id,
        "query": asked.query,
        "documents": documents,
    }
    if asked.top_n is not None:
        fields[limit_field] = asked.top_n
    own = asked.fields.items()
    fields.update({name: raw for name, raw in own if name not in _WITHHELD and raw != _NULL})
    return fields


# --- answers ------------------------------------------------------------------------------------------


class _Units(msgspec.Struct, frozen=True, gc=False):
    """What Cohere and those who follow it count; numbers come as floats, too."""

    search_units: float | None = None
    input_tokens: float | None = None


class _Meta(msgspec.Struct, frozen=True, gc=False):
    billed_units: _Units | None = None
    tokens: _Units | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    results: list[Place] | None = None
    data: list[Place] | None = None
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = ABSENT
    meta: _Meta | None = None
    error: str | dict[str, object] | None = None


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode


def read_ranking(body: bytes) -> Frame:
    """One whole answer. Raises UpstreamFailure for an error or garbage in it."""
    answer = read_json(body, _decode_answer, failure_inside)
    places = answer.data if answer.results is None else answer.results
    if answer.error:
        raise failure_inside({"error": answer.error})
    if places is None:
        raise garbage("it holds no ranking")
    reported = {**_counts(answer.meta), **Reported(answer.usage).fields}
    return rerank_frame(
        places,
        usage=read_prompt_usage(reported),
        answer_id=answer.id,
        model=answer.model,
        cost_usd=read_cost_usd(reported),
    )


def _counts(meta: _Meta | None) -> dict[str, object]:
    if meta is None:
        return {}
    billed = meta.billed_units or _Units()
    tokens = meta.tokens or _Units()
    units = billed.search_units
    read = billed.input_tokens
    if read is None and units is None:
        read = tokens.input_tokens  # what was read, where nothing says what costs
    return {"search_units": units, "input_tokens": read}
