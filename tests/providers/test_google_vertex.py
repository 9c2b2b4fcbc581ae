"""Vertex AI: the model decides how it is asked, the answer says how it is read."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.answer import collect, plain
from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatEvent
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.pricing import PriceSheet
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import ChatDecoder, Credential, UpstreamRequest
from fairlead.providers.google_decoder import GoogleStreamDecoder
from fairlead.providers.google_vertex import GOOGLE_VERTEX, located
from fairlead.providers.registry import PROVIDERS
from tests.recordings import RecordedHeaders, Recording, load, load_native

BASE = "https://europe-west4-aiplatform.googleapis.com/v1/projects/ours/locations/europe-west4"
TOKEN = Credential(BASE, "ya29.token", {"project": "ours", "location": "europe-west4"})
HELLO = [{"role": "user", "content": "Hello"}]


def sent(
    model_id: str,
    *,
    model: str = "author/model",
    tier: str | None = None,
    credential: Credential = TOKEN,
    **fields: Any,
) -> tuple[UpstreamRequest, dict[str, Any]]:
    endpoint = Endpoint(
        id=EndpointId(f"google-vertex:{model_id}"),
        model=ModelId(model),
        provider=ProviderSlug("google-vertex"),
        tag="google-vertex",
        provider_model_id=model_id,
        context_length=100_000,
        max_completion_tokens=8_000,
        max_prompt_tokens=None,
        quantization="unknown",
        prices=PriceSheet(),
        price_version="v1",
        supported_parameters=frozenset(),
        tier=tier,
    )
    request = OpenAIChat().decode(msgspec.json.encode({"messages": HELLO, **fields}))
    assert GOOGLE_VERTEX.chat is not None
    written = GOOGLE_VERTEX.chat.encode(request, endpoint, credential)
    return written, json.loads(written.body)


@pytest.mark.parametrize(
    ("model_id", "streamed", "path"),
    [
        ("gemini-3-flash-preview", False, "publishers/google/models/{}:generateContent"),
        ("gemini-2.5-pro", True, "publishers/google/models/{}:streamGenerateContent?alt=sse"),
        ("claude-sonnet-5", False, "publishers/anthropic/models/{}:rawPredict"),
        ("claude-sonnet-5", True, "publishers/anthropic/models/{}:streamRawPredict"),
        ("mistral-medium-3", False, "publishers/mistralai/models/{}:rawPredict"),
        ("mistral-large@2407", True, "publishers/mistralai/models/{}:streamRawPredict"),
        ("codestral-2501", False, "publishers/mistralai/models/{}:rawPredict"),
        ("jamba-1.5-large", True, "publishers/ai21/models/{}:streamRawPredict"),
        ("deepseek-ai/deepseek-v3.2-maas", True, "endpoints/openapi/chat/completions"),
    ],
)
def test_each_model_has_its_address(model_id: str, streamed: bool, path: str) -> None:
    written, _ = sent(model_id, stream=streamed)
    assert written.url == f"{BASE}/{path.format(model_id)}"
    headers = dict(written.headers)
    assert headers["authorization"] == "Bearer ya29.token"
    assert headers["accept"] == ("text/event-stream" if streamed else "application/json")
    assert "ya29" not in written.url
    assert "x-goog-api-key" not in headers


def test_locations_without_a_host_of_their_own_are_found() -> None:
    path = "/v1/projects/ours/locations"
    usual = "-aiplatform.googleapis.com"
    assert located(f"https://global{usual}{path}/global") == (
        f"https://aiplatform.googleapis.com{path}/global"
    )
    assert located(f"https://us{usual}{path}/us") == (
        f"https://aiplatform.us.rep.googleapis.com{path}/us"
    )
    assert located(f"{BASE}/") == BASE
    assert located("http://127.0.0.1:1/v1") == "http://127.0.0.1:1/v1"


def test_claude_is_asked_in_its_own_format_without_model_and_with_a_version() -> None:
    written, body = sent("claude-opus-4-1-20250805", max_tokens=50, stream=True)
    assert written.url.endswith(
        "/publishers/anthropic/models/claude-opus-4-1@20250805:streamRawPredict"
    )
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert body["stream"] is True
    assert body["max_tokens"] == 50
    assert "model" not in body
    assert body["messages"][0]["role"] == "user"
    _, whole = sent("claude-opus-4-1-20250805")
    assert "stream" not in whole


def test_open_models_are_asked_in_the_openai_format() -> None:
    _, body = sent("openai/gpt-oss-120b-maas", model="openai/gpt-oss-120b", max_tokens=9, seed=3)
    assert body["model"] == "openai/gpt-oss-120b-maas"
    assert (body["max_tokens"], body["seed"]) == (9, 3)
    _, mistral = sent("mistral-medium-3", seed=3)
    assert mistral["model"] == "mistral-medium-3"
    assert mistral["random_seed"] == 3


def test_calls_have_no_ids_and_results_come_in_their_order() -> None:
    """The stable version of the format refuses a request that has them."""
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": f'{{"x":{i}}}'}}
        for i in range(3)
    ]
    results = [{"role": "tool", "tool_call_id": f"c{i}", "content": f"r{i}"} for i in (2, 0, 1)]
    said = {"role": "assistant", "tool_calls": calls}
    _, body = sent(
        "gemini-2.5-flash",
        messages=[*HELLO, said, *results, {"role": "user", "content": "And?"}],
    )
    assert body["contents"][1]["parts"] == [
        {"functionCall": {"name": "f", "args": {"x": i}}} for i in range(3)
    ]
    assert body["contents"][2]["parts"] == [
        *({"functionResponse": {"name": "f", "response": {"output": f"r{i}"}}} for i in range(3)),
        {"text": "And?"},
    ]


@pytest.mark.parametrize(
    ("wanted", "tier"), [("flex", "flex"), ("default", "priority"), (None, "flex"), ("fast", None)]
)
def test_the_endpoints_tier_is_a_header(wanted: str | None, tier: str | None) -> None:
    fields = {} if wanted is None else {"service_tier": wanted}
    written, body = sent("gemini-2.5-flash", tier=tier, **fields)
    assert dict(written.headers).get("x-vertex-ai-llm-shared-request-type") == tier
    assert "serviceTier" not in body


# --- answers in any format --------------------------------------------------------------------------------

STREAMS = [
    case
    for name, cases in (
        ("anthropic", load_native("anthropic")),
        ("vertex", load_native("vertex")),
        ("deepseek", load("deepseek")),
    )
    for case in sorted(
        (c for c in cases if c.status == 200 and c.is_sse and 500 < len(c.body) < 20_000),
        key=lambda c: (len(c.body), c.id),
    )[:12]
]


def own_decoder(case: Recording, *, streamed: bool) -> ChatDecoder:
    """The decoder of the recording's own provider."""
    if case.provider == "vertex":
        return GoogleStreamDecoder()
    chat = PROVIDERS[case.provider].chat
    assert chat is not None
    return chat.decoder(streamed=streamed)


def read(decoder: ChatDecoder, pieces: list[bytes]) -> list[ChatEvent]:
    events: list[ChatEvent] = []
    for piece in pieces:
        events += decoder.feed(piece)
    return events + decoder.finish()


def decoder() -> ChatDecoder:
    assert GOOGLE_VERTEX.chat is not None
    return GOOGLE_VERTEX.chat.decoder(streamed=True)


@given(case=st.sampled_from(STREAMS), data=st.data())
@settings(deadline=None, max_examples=60)
def test_an_answer_is_read_in_the_format_that_it_has(case: Recording, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(case.body)), max_size=10).map(sorted))
    edges = [0, *cuts, len(case.body)]
    pieces = [case.body[a:b] for a, b in itertools.pairwise(edges)]
    expected = read(own_decoder(case, streamed=True), [case.body])
    assert list(plain(read(decoder(), pieces))) == list(plain(expected))


def test_whole_answers_are_told_apart_too() -> None:
    assert GOOGLE_VERTEX.chat is not None
    for name, cases in (("anthropic", load_native("anthropic")), ("deepseek", load("deepseek"))):
        case = next(c for c in cases if c.status == 200 and not c.is_sse and b'"usage"' in c.body)
        chat = PROVIDERS[name].chat
        assert chat is not None
        found = read(GOOGLE_VERTEX.chat.decoder(streamed=False), [case.body[:9], case.body[9:]])
        assert collect(found) == collect(read(chat.decoder(streamed=False), [case.body]))
        assert collect(found).choices[0].text


def test_an_error_before_the_first_object_has_googles_form() -> None:
    error = b'{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}'
    with pytest.raises(UpstreamFailure) as caught:
        read(decoder(), [b"data: ", error, b"\n\n"])
    assert caught.value.kind is FailureKind.OVERLOADED


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
            FailureKind.OVERLOADED,
        ),
        (
            b'[{"error":{"code":429,"message":"Resource exhausted.","status":"RESOURCE_EXHAUSTED"}}]',
            FailureKind.RATE_LIMIT,
        ),
        (
            b'{"error":{"code":404,"message":"Publisher Model was not found","status":"NOT_FOUND"}}',
            FailureKind.MODEL_NOT_FOUND,
        ),
        (b'{"detail":"insufficient credits"}', FailureKind.OUT_OF_QUOTA),
    ],
)
def test_refusals_come_in_each_format(body: bytes, kind: FailureKind) -> None:
    assert GOOGLE_VERTEX.chat is not None
    assert GOOGLE_VERTEX.chat.failure(429, RecordedHeaders({}), body).kind is kind
