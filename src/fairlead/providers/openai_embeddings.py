"""Embeddings in OpenAI's format: `input` in, `data` of vectors out.

A request travels as it was written, unknown fields included. Two things are put as each provider takes them:
the spelling of vectors, which is asked for only where base64 is known to be had (the caller's side converts),
and what a text is for, which OpenAI has no place for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ABSENT, ChatRequest, Frame
from fairlead.core.errors import UpstreamFailure
from fairlead.core.retrieval import EmbeddingsRequest
from fairlead.providers.base import ChatDecoder, Credential, ResponseHeaders, UpstreamRequest
from fairlead.providers.embeddings_asked import (
    Purpose,
    asked_for_embeddings,
    plain_texts,
    purpose_of,
)
from fairlead.providers.openai_failures import failure_inside, failure_of
from fairlead.providers.whole_json import WholeJson, garbage, json_call, read_json
from fairlead.wire.embeddings import embeddings_frame
from fairlead.wire.openai_usage import read_cost_usd
from fairlead.wire.wordless import read_prompt_usage

__all__ = ["WITHHELD", "EmbeddingsRow", "OpenAIFormatEmbeddings", "Reported", "read_embeddings"]

# Ours, or written by us.
WITHHELD: Final = frozenset(
    {
        "model", "models", "input", "provider", "user", "encoding_format", "dimensions", "input_type",
        "stream", "session_id", "usage", "trace", "debug", "metadata", "plugins", "route", "transforms",
        "preset",
    }
)  # fmt: skip
_NULL: Final = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class EmbeddingsRow:
    """One provider of the format: where it differs from the others.

    key_header: the header that carries the key; "authorization" means a bearer token.
    path: below the provider's base.
    takes_base64: whether it is known to take `encoding_format`.
    takes_parts: whether it takes images and sound as callers write them here.
    dimensions_field: its name for the length of a vector.
    input_types: its words for what a text is for; "as_written": it reads the caller's. None: it has none.
    """

    slug: str
    key_header: str = "authorization"
    path: str = "/embeddings"
    takes_base64: bool = False
    takes_parts: bool = False
    dimensions_field: str = "dimensions"
    input_types: Mapping[Purpose, str] | Literal["as_written"] | None = None


class OpenAIFormatEmbeddings:
    """Embeddings of a provider of the OpenAI format."""

    __slots__ = ("_row",)

    def __init__(self, row: EmbeddingsRow) -> None:
        self._row = row

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for inputs that the model cannot read."""
        asked = asked_for_embeddings(request)
        row = self._row
        fields: dict[str, object] = {
            "model": endpoint.provider_model_id,
            "input": _input(asked, takes_parts=row.takes_parts),
        }
        own = request.fields.items()
        fields.update({name: raw for name, raw in own if name not in WITHHELD and raw != _NULL})
        if asked.dimensions is not None:
            fields[row.dimensions_field] = asked.dimensions
        if row.takes_base64 and "encoding_format" in request.fields:
            fields["encoding_format"] = asked.encoding
        if (purpose := self._input_type(asked)) is not None:
            fields["input_type"] = purpose
        return json_call(credential, row.path, fields, key_header=row.key_header)

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — vectors are never streamed
        return WholeJson(read_embeddings)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)

    def _input_type(self, asked: EmbeddingsRequest) -> str | None:
        words = self._row.input_types
        if words is None or asked.input_type is None:
            return None
        if words == "as_written":
            return asked.input_type
        purpose = purpose_of(asked.input_type)
        return None if purpose is None else words.get(purpose)


def _input(asked: EmbeddingsRequest, *, takes_parts: bool) -> object:
    """As the caller wrote it, if he did, unless it is in parts and need not be."""
    first = asked.inputs[0]  # all are of the same kind
    has_parts = not isinstance(first, str) and not isinstance(first[0], int)
    if has_parts and not takes_parts:
        return plain_texts(asked)
    return asked.fields.get("input", asked.inputs)


# --- answers ------------------------------------------------------------------------------------------


class _Item(msgspec.Struct, frozen=True, gc=False):
    embedding: msgspec.Raw
    index: int | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    """embedding, embeddings: instead of `data`, in what Ollama calls its own format."""

    data: list[_Item] | None = None
    embedding: msgspec.Raw = ABSENT
    embeddings: list[msgspec.Raw] | None = None
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode: Final = msgspec.json.Decoder().decode
_SPELLINGS: Final = (b"[", b'"')


def read_embeddings(body: bytes) -> Frame:
    """One whole answer. Raises UpstreamFailure for an error or garbage in it."""
    answer = read_json(body, _decode_answer, failure_inside)
    items = answer.data
    if items is None and answer.error:
        raise failure_inside({"error": _decode(answer.error)})
    if items is None:
        vectors = answer.embeddings or ([answer.embedding] if answer.embedding else [])
        if not vectors:
            raise garbage("it holds no vectors")
        items = [_Item(vector) for vector in vectors]
    reported = Reported(answer.usage)
    return embeddings_frame(
        _in_order(items),
        usage=read_prompt_usage(reported.fields),
        answer_id=answer.id,
        model=answer.model,
        cost_usd=read_cost_usd(reported.fields),
    )


def _in_order(items: list[_Item]) -> list[msgspec.Raw]:
    """The vectors in the order of the inputs. Raises UpstreamFailure."""
    told = [item.index for item in items]
    if None not in told:
        items = sorted(items, key=lambda item: item.index or 0)
        if [item.index for item in items] != list(range(len(items))):
            raise garbage("its vectors are not numbered one by one")
    for item in items:
        if bytes(memoryview(item.embedding)[:1]) not in _SPELLINGS:
            raise garbage("a vector is neither numbers nor base64")
    return [item.embedding for item in items]


class Reported:
    """The `usage` object, whatever it holds."""

    __slots__ = ("fields",)

    def __init__(self, raw: msgspec.Raw) -> None:
        try:
            fields = _decode(raw) if raw else None
        except (ValueError, RecursionError):  # an answer is not worth less for its counts
            fields = None
        self.fields: Mapping[str, object] = fields if isinstance(fields, dict) else {}
