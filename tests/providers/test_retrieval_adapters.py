"""What the recordings do not hold: other requests, and answers that are no answers."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.capability import Capability
from fairlead.core.chat import Frame
from fairlead.core.errors import FailureKind, RequestInvalid, UpstreamFailure
from fairlead.core.usage import Usage
from fairlead.dialects.embeddings import Embeddings
from fairlead.dialects.rerank import Rerank
from fairlead.gateway.settlement import Tally
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.registry import PROVIDERS
from fairlead.testing.builders import an_endpoint
from fairlead.wire.embeddings import vectors_of

# One of each kind: all rows of a table are read alike.
ADAPTERS = {
    type(adapter).__name__: adapter
    for capability in (Capability.EMBEDDINGS, Capability.RERANK)
    for provider in PROVIDERS.values()
    if (adapter := provider.adapter(capability)) is not None
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
CREDENTIAL = Credential(base_url="https://x.test/v1", api_key="key", options={})


def embed(slug: str, model: str = "m", **fields: Any) -> UpstreamRequest:
    request = Embeddings().decode(json.dumps({"model": "m", "input": "Hi", **fields}).encode())
    endpoint = msgspec.structs.replace(an_endpoint(slug), provider_model_id=model)
    adapter = PROVIDERS[slug].embeddings
    assert adapter is not None
    return adapter.encode(request, endpoint, CREDENTIAL)


def rank(slug: str, **fields: Any) -> UpstreamRequest:
    asked = {"model": "m", "query": "q", "documents": ["a"], **fields}
    adapter = PROVIDERS[slug].rerank
    assert adapter is not None
    return adapter.encode(
        Rerank().decode(json.dumps(asked).encode()), an_endpoint(slug), CREDENTIAL
    )


def body_of(request: UpstreamRequest) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body)
    return body


def read(slug: str, capability: Capability, body: object) -> Frame:
    adapter = PROVIDERS[slug].adapter(capability)
    assert adapter is not None
    decoder = adapter.decoder(streamed=False)
    assert decoder.feed(body if isinstance(body, bytes) else json.dumps(body).encode()) == []
    [frame] = decoder.finish()
    assert decoder.is_over
    assert decoder.finish() == []
    assert isinstance(frame, Frame)
    return frame


def failure(slug: str, capability: Capability, body: object) -> FailureKind:
    with pytest.raises(UpstreamFailure) as caught:
        read(slug, capability, body)
    return caught.value.kind


WORDS = [
    ("cohere", "m", "search_query", {"input_type": "search_query"}),
    ("cohere", "m", "passage", {"input_type": "search_document"}),
    ("cohere", "m", None, {"input_type": "search_document"}),
    ("cohere", "m", "image", {"input_type": "image"}),
    ("voyage", "m", "search_query", {"input_type": "query"}),
    ("voyage", "m", "clustering", {"input_type": None}),
    ("nvidia", "m", "search_document", {"input_type": "passage"}),
    ("openrouter", "m", "anything", {"input_type": "anything"}),
    ("openai", "m", "search_query", {"input_type": None}),
]


@pytest.mark.parametrize(("slug", "model", "input_type", "told"), WORDS)
def test_what_a_text_is_for_is_said_in_the_providers_words(
    slug: str, model: str, input_type: str | None, told: dict[str, Any]
) -> None:
    body = body_of(embed(slug, model, input_type=input_type))
    assert {name: body.get(name) for name in told} == told


def test_google_reads_what_a_text_is_for_in_a_field_or_in_the_text() -> None:
    [first] = body_of(embed("google-ai-studio", "gemini-embedding-001", input_type="query"))[
        "requests"
    ]
    assert first["taskType"] == "RETRIEVAL_QUERY"
    assert first["content"] == {"parts": [{"text": "Hi"}]}
    [newer] = body_of(embed("google-ai-studio", "gemini-embedding-2", input_type="query"))[
        "requests"
    ]
    assert "taskType" not in newer
    assert newer["content"] == {"parts": [{"text": "task: search result | query: Hi"}]}


def test_vertex_has_a_method_for_one_input_one_for_several_and_one_for_older_models() -> None:
    one = embed("google-vertex", "gemini-embedding-001", dimensions=8, input_type="query")
    assert one.url.endswith("/publishers/google/models/gemini-embedding-001:embedContent")
    assert body_of(one) == {
        "content": {"parts": [{"text": "Hi"}]},
        "embedContentConfig": {"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8},
    }
    several = embed("google-vertex", "gemini-embedding-001", input=["a", "b"])
    assert several.url.endswith(":batchEmbedContents")
    assert [one["content"]["parts"][0]["text"] for one in body_of(several)["requests"]] == [
        "a",
        "b",
    ]
    older = embed("google-vertex", "text-embedding-005", dimensions=8, input_type="document")
    assert older.url.endswith("/text-embedding-005:predict")
    assert body_of(older) == {
        "instances": [{"content": "Hi", "task_type": "RETRIEVAL_DOCUMENT"}],
        "parameters": {"outputDimensionality": 8},
    }


def test_an_older_model_of_vertex_counts_each_text() -> None:
    vector = {"values": [1.0], "statistics": {"token_count": 3, "truncated": False}}
    frame = read(
        "google-vertex",
        Capability.EMBEDDINGS,
        {"predictions": [{"embeddings": vector}, {"embeddings": vector}]},
    )
    tally = Tally()
    tally.watch([frame])
    assert tally.usage == Usage(prompt=6)
    assert len(vectors_of([frame])) == 2


def test_models_with_context_take_an_input_for_a_document_of_one_part() -> None:
    asked = embed("voyage", "voyage-context-3", input=["a", "b"])
    assert asked.url.endswith("/contextualizedembeddings")
    assert body_of(asked)["inputs"] == [["a"], ["b"]]
    documents = [{"index": i, "data": [{"index": 0, "embedding": [i]}]} for i in (1, 0)]
    frame = read("voyage", Capability.EMBEDDINGS, {"data": documents, "usage": {"total_tokens": 2}})
    assert [bytes(vector) for vector in vectors_of([frame])] == [b"[0]", b"[1]"]
    asked = embed("perplexity", "pplx-embed-context-v1-4b", input=["a"])
    assert asked.url == "https://x.test/v1/v1/contextualizedembeddings"
    documents = [{"index": 0, "data": [{"index": 0, "embedding": "gH8="}]}]
    frame = read("perplexity", Capability.EMBEDDINGS, {"data": documents})
    assert [bytes(vector) for vector in vectors_of([frame])] == [b"[-128,127]"]


def test_images_go_where_models_see() -> None:
    content = [{"content": [{"type": "text", "text": "Hi"}, IMAGE]}]
    assert body_of(embed("cohere", input=content))["inputs"] == content
    asked = embed("voyage", "voyage-multimodal-3", input=content)
    assert asked.url.endswith("/multimodalembeddings")
    assert body_of(asked)["inputs"][0]["content"][1] == {
        "type": "image_base64",
        "image_base64": IMAGE["image_url"]["url"],  # type: ignore[index] # a dict, see above
    }
    assert body_of(embed("openrouter", input=content))["input"] == content


@pytest.mark.parametrize("slug", ["openai", "mistral", "perplexity", "voyage"])
def test_an_image_is_refused_where_models_read_text_alone(slug: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        embed(slug, input=[{"content": [IMAGE]}])
    assert caught.value.param == "input[0]"


@pytest.mark.parametrize("slug", ["cohere", "google-ai-studio", "google-vertex", "voyage"])
def test_numbers_of_tokens_are_refused_where_they_mean_nothing(slug: str) -> None:
    with pytest.raises(RequestInvalid, match="numbers of tokens"):
        embed(slug, input=[[1, 2]])


def test_texts_in_parts_become_plain_texts() -> None:
    content = [{"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    assert body_of(embed("openai", input=content))["input"] == ["a\nb"]


def test_base64_is_asked_for_only_where_it_is_to_be_had() -> None:
    assert body_of(embed("openai", encoding_format="base64"))["encoding_format"] == "base64"
    assert "encoding_format" not in body_of(embed("mistral", encoding_format="base64"))
    assert "encoding_format" not in body_of(embed("openai"))


def test_what_is_ours_stays_here() -> None:
    body = body_of(embed("openai", user="u", provider={"order": ["x"]}, session_id="s", other=None))
    assert body == {"model": "m", "input": "Hi"}
    body = body_of(rank("fireworks", user="u", return_documents=True, truncate="END"))
    assert body == {"model": "one", "query": "q", "documents": ["a"], "truncate": "END"}


def test_voyage_calls_the_limit_by_another_name() -> None:
    assert body_of(rank("voyage", top_n=3))["top_k"] == 3
    frame = read("voyage", Capability.RERANK, {"data": [{"index": 0, "relevance_score": 0.5}]})
    assert len(frame.fields["places"]) == 1  # type: ignore[arg-type] # a tuple, see wire/rerank.py


def test_an_image_is_refused_where_documents_are_text() -> None:
    with pytest.raises(RequestInvalid) as caught:
        rank("cohere", documents=["a", {"image": "https://x.test/a.png"}])
    assert caught.value.param == "documents[1]"


def test_vectors_are_put_into_the_order_of_the_inputs() -> None:
    items = [{"index": 1, "embedding": [1]}, {"index": 0, "embedding": [0]}]
    frame = read("openai", Capability.EMBEDDINGS, {"data": items})
    assert [bytes(vector) for vector in vectors_of([frame])] == [b"[0]", b"[1]"]
    twice = [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [0]}]
    assert failure("openai", Capability.EMBEDDINGS, {"data": twice}) is FailureKind.GARBAGE


ERROR = {"error": {"message": "Rate limit reached", "type": "rate_limit_error", "code": 429}}


@pytest.mark.parametrize("capability", [Capability.EMBEDDINGS, Capability.RERANK])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (ERROR, FailureKind.RATE_LIMIT),
        (b"", FailureKind.EMPTY),
        (b"<html>", FailureKind.GARBAGE),
        ({}, FailureKind.GARBAGE),
        ([], FailureKind.GARBAGE),
        ({"data": [{}]}, FailureKind.GARBAGE),
        ({"data": [{"index": 0, "embedding": 1}]}, FailureKind.GARBAGE),
    ],
)
def test_what_is_no_answer_is_a_failure(
    capability: Capability, body: object, kind: FailureKind
) -> None:
    assert failure("openrouter", capability, body) is kind


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["data", "embedding", "embeddings", "index", "results", "relevance_score", "usage",
             "total_tokens", "meta", "billed_units", "float", "values", "predictions", "error",
             "usageMetadata", "promptTokenCount", "statistics", "token_count", "search_units"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
@given(body=st.binary(max_size=40) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_end_in_an_answer_or_a_failure(adapter: Any, body: bytes) -> None:
    decoder = adapter.decoder(streamed=False)
    decoder.feed(body)
    with contextlib.suppress(UpstreamFailure):
        [frame] = decoder.finish()
        tally = Tally()
        tally.watch([frame])
        assert tally.finish == "stop"
        assert tally.usage is None or tally.usage.prompt_tokens >= 0
    assert isinstance(adapter.failure(500, {}, body), UpstreamFailure)
