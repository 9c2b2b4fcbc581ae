"""Google's embeddings: of Gemini models at AI Studio and Vertex AI, and of older models at Vertex AI.

AI Studio takes any number of inputs as a batch. Vertex AI has one method for one input and another for
several, and asks older models to `predict`, as Google's own client does.

What a text is for is a field, but models from the second generation on read it in the text itself.

Sources (read 2026-11-21): https://ai.google.dev/gemini-api/docs/embeddings, and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import (
    ABSENT,
    AudioPart,
    ChatRequest,
    FilePart,
    Frame,
    ImagePart,
    TextPart,
    UserMessage,
    VideoPart,
)
from fairlead.core.errors import RequestInvalid, UpstreamFailure
from fairlead.core.retrieval import EmbeddingInput, EmbeddingsRequest
from fairlead.core.usage import Usage
from fairlead.providers.base import ChatDecoder, Credential, ResponseHeaders, UpstreamRequest
from fairlead.providers.embeddings_asked import (
    Purpose,
    asked_for_embeddings,
    plain_text,
    purpose_of,
)
from fairlead.providers.google_contents import conversation
from fairlead.providers.google_failures import failure_inside, failure_of
from fairlead.providers.google_models import generation_of
from fairlead.providers.google_usage import read_counts, usage_of
from fairlead.providers.whole_json import WholeJson, garbage, json_call, read_json
from fairlead.wire.embeddings import embeddings_frame

__all__ = ["GoogleEmbeddings", "VertexEmbeddings", "read_google_embeddings"]

_TASKS: Final[Mapping[Purpose, str]] = {
    Purpose.QUERY: "RETRIEVAL_QUERY",
    Purpose.DOCUMENT: "RETRIEVAL_DOCUMENT",
    Purpose.CLASSIFICATION: "CLASSIFICATION",
    Purpose.CLUSTERING: "CLUSTERING",
    Purpose.SIMILARITY: "SEMANTIC_SIMILARITY",
    Purpose.QUESTION: "QUESTION_ANSWERING",
    Purpose.FACT: "FACT_VERIFICATION",
    Purpose.CODE: "CODE_RETRIEVAL_QUERY",
}
_PREFIXES: Final[Mapping[Purpose, str]] = {
    Purpose.QUERY: "task: search result | query: ",
    Purpose.DOCUMENT: "title: none | text: ",
    Purpose.CLASSIFICATION: "task: classification | query: ",
    Purpose.CLUSTERING: "task: clustering | query: ",
    Purpose.SIMILARITY: "task: sentence similarity | query: ",
    Purpose.QUESTION: "task: question answering | query: ",
    Purpose.FACT: "task: fact checking | query: ",
    Purpose.CODE: "task: code retrieval | query: ",
}
_READS_TASKS_IN_TEXTS: Final = re.compile(r"gemini-embedding-([2-9]|1\d)\b")

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class GoogleEmbeddings:
    """Embeddings of Google AI Studio. The key goes into a header: addresses end up in logs."""

    __slots__ = ()

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for inputs that Google cannot read."""
        asked = asked_for_embeddings(request)
        model_id = endpoint.provider_model_id
        settings = _settings(asked, model_id)
        name = model_id if "/" in model_id else f"models/{model_id}"
        requests = [
            {"model": name, "content": content, **settings}
            for content in _contents(asked, model_id)
        ]
        path = f"/{quote(name, safe='/@:.')}:batchEmbedContents"
        return json_call(credential, path, {"requests": requests}, key_header="x-goog-api-key")

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — vectors are never streamed
        return WholeJson(read_google_embeddings)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


class VertexEmbeddings:
    """Embeddings of Vertex AI. located: a base address as its location has it."""

    __slots__ = ("_located",)

    def __init__(self, located: Callable[[str], str]) -> None:
        self._located = located

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for inputs that the model cannot read."""
        asked = asked_for_embeddings(request)
        model_id = endpoint.provider_model_id
        if "gemini" not in model_id:
            method, fields = "predict", _prediction(asked)
        else:
            settings = _settings(asked, model_id)
            config: dict[str, object] = {"embedContentConfig": settings} if settings else {}
            contents = [{"content": one, **config} for one in _contents(asked, model_id)]
            if len(contents) == 1:
                method, fields = "embedContent", contents[0]
            else:
                method, fields = "batchEmbedContents", {"requests": contents}
        path = f"/publishers/google/models/{quote(model_id, safe='@:.')}:{method}"
        there = replace(credential, base_url=self._located(credential.base_url))
        return json_call(there, path, fields)

    def decoder(self, *, streamed: bool) -> ChatDecoder:  # noqa: ARG002 — vectors are never streamed
        return WholeJson(read_google_embeddings)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


# --- requests -------------------------------------------------------------------------------------------


def _settings(asked: EmbeddingsRequest, model_id: str) -> dict[str, object]:
    settings: dict[str, object] = {}
    purpose = purpose_of(asked.input_type)
    if purpose is not None and not _READS_TASKS_IN_TEXTS.search(model_id):
        settings["taskType"] = _TASKS[purpose]
    if asked.dimensions is not None:
        settings["outputDimensionality"] = asked.dimensions
    return settings


def _contents(asked: EmbeddingsRequest, model_id: str) -> list[dict[str, object]]:
    prefix = ""
    purpose = purpose_of(asked.input_type)
    if purpose is not None and _READS_TASKS_IN_TEXTS.search(model_id):
        prefix = _PREFIXES[purpose]
    return [_content(item, prefix, f"input[{at}]") for at, item in enumerate(asked.inputs)]


def _content(item: EmbeddingInput, prefix: str, at: str) -> dict[str, object]:
    if isinstance(item, str):
        return {"parts": [{"text": prefix + item}]}
    parts: list[TextPart | ImagePart | AudioPart | VideoPart | FilePart] = []
    for part in item:
        if isinstance(part, int):
            raise RequestInvalid(
                f"This model takes text; `{at}` holds numbers of tokens.", param=at
            )
        parts.append(part)
    if prefix and isinstance(first := parts[0], TextPart):
        parts[0] = TextPart(prefix + first.text)
    told = conversation([UserMessage([*parts])], generation_of(""), takes_call_ids=True)
    return {"parts": told.contents[0]["parts"]}


def _prediction(asked: EmbeddingsRequest) -> dict[str, object]:
    purpose = purpose_of(asked.input_type)
    task = {} if purpose is None else {"task_type": _TASKS[purpose]}
    fields: dict[str, object] = {
        "instances": [
            {"content": plain_text(item, f"input[{at}]"), **task}
            for at, item in enumerate(asked.inputs)
        ]
    }
    if asked.dimensions is not None:
        fields["parameters"] = {"outputDimensionality": asked.dimensions}
    return fields


# --- answers --------------------------------------------------------------------------------------------


class _Statistics(msgspec.Struct, frozen=True, gc=False):
    token_count: int | float | None = None


class _Vector(msgspec.Struct, frozen=True, gc=False):
    values: msgspec.Raw
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct, frozen=True, gc=False):
    embeddings: _Vector


class _Answer(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """embeddings: of a batch. embedding: of one input. predictions: of an older model."""

    embeddings: list[_Vector] | None = None
    embedding: _Vector | None = None
    predictions: list[_Prediction] | None = None
    usage_metadata: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode


def read_google_embeddings(body: bytes) -> Frame:
    """One whole answer of any of the methods. Raises UpstreamFailure for an error or garbage in it."""
    answer = read_json(body, _decode_answer, failure_inside)
    if answer.embeddings is not None:
        vectors = answer.embeddings
    elif answer.embedding is not None:
        vectors = [answer.embedding]
    elif answer.predictions is not None:
        vectors = [prediction.embeddings for prediction in answer.predictions]
    elif answer.error:
        raise failure_inside({"error": _decode(answer.error)})
    else:
        raise garbage("it holds no vectors")
    if any(bytes(memoryview(vector.values)[:1]) != b"[" for vector in vectors):
        raise garbage("a vector is no list of numbers")
    usage = _usage(answer.usage_metadata) or _counted_one_by_one(vectors)
    return embeddings_frame([vector.values for vector in vectors], usage=usage)


def _usage(raw: msgspec.Raw) -> Usage | None:
    """AI Studio has a name of its own for the details of a prompt here."""
    try:
        fields = _decode(raw) if raw else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if "promptTokenDetails" in fields:
        fields.setdefault("promptTokensDetails", fields.pop("promptTokenDetails"))
    counts = read_counts(msgspec.Raw(_encode(fields)))
    return None if counts is None else usage_of(counts)


def _counted_one_by_one(vectors: list[_Vector]) -> Usage | None:
    counts = [vector.statistics.token_count for vector in vectors if vector.statistics is not None]
    told = [int(count) for count in counts if count is not None and 0 <= count < 1e9]
    return Usage(prompt=sum(told)) if len(told) == len(vectors) > 0 else None
