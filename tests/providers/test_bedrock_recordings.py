"""Every recorded call of Bedrock: its answer read as it was said, its request built again."""

from __future__ import annotations

import base64
import gzip
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import botocore
import msgspec
import pytest
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.answer import collect
from fairlead.core.chat import ChatEvent, FinishReason
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential
from fairlead.providers.bedrock import BedrockChat
from fairlead.testing.builders import an_endpoint
from tests.bedrock_requests import as_openai, model_of
from tests.bedrock_truth import read_converse
from tests.event_streams import cuts, split
from tests.recordings import Recording, load_native

ADAPTER = BedrockChat()
ALL = load_native("bedrock")
ANSWERS = [case for case in ALL if case.status == 200]
REFUSALS = [case for case in ALL if case.status != 200]
STREAMS = [case for case in ANSWERS if case.streamed]
# Recorded as text that is no longer JSON, because it was cut short.
REQUESTS = [case for case in ALL if isinstance(case.request, dict)]

FINISHES = {
    "end_turn": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
}


def events_of(case: Recording, pieces: list[bytes] | None = None) -> list[ChatEvent]:
    decoder = ADAPTER.decoder(streamed=case.streamed)
    events: list[ChatEvent] = []
    for piece in pieces if pieces is not None else [case.body]:
        events += decoder.feed(piece)
    return events + decoder.finish()


def test_there_is_something_to_check() -> None:
    assert len(ANSWERS) >= 121
    assert len(STREAMS) >= 9
    assert len(REFUSALS) >= 9
    assert len(REQUESTS) >= 129


# --- answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ANSWERS, ids=repr)
def test_the_answer_is_read_as_it_was_recorded(case: Recording) -> None:
    said = read_converse(case.body, is_stream=case.streamed)
    answer = collect(events_of(case))
    assert answer.started is not None
    (choice,) = answer.choices
    assert choice.text == said.text
    assert choice.reasoning == said.reasoning
    assert [(c.id, c.name, json.loads(c.arguments)) for c in choice.calls] == said.calls
    assert (choice.finish, choice.native_finish) == (FINISHES[said.finish], said.finish)
    details = choice.reasoning_details
    assert [d["signature"] for d in details if d.get("signature")] == said.signatures
    assert [d["data"] for d in details if d["type"] == "reasoning.encrypted"] == said.redacted
    kind = "reasoning.server_tool_call"
    assert [d["tool_name"] for d in details if d["type"] == kind] == said.server_calls
    told = [a["url_citation"] for a in choice.annotations]
    assert [c["title"] for c in told] == said.cited
    for citation in told:
        assert 0 <= citation["start_index"] < citation["end_index"] <= len(said.text)


@pytest.mark.parametrize("case", ANSWERS, ids=repr)
def test_every_token_is_in_one_bucket(case: Recording) -> None:
    said = read_converse(case.body, is_stream=case.streamed).usage
    answer = collect(events_of(case))
    assert answer.usage is not None
    usage = answer.usage.usage
    assert usage.total_tokens == said["totalTokens"]
    assert usage.completion_tokens == said["outputTokens"]
    assert usage.prompt == said["inputTokens"]
    assert usage.cache_read == said.get("cacheReadInputTokens", 0)
    assert usage.cache_write == said.get("cacheWriteInputTokens", 0)


@pytest.mark.parametrize("case", STREAMS, ids=repr)
def test_the_end_of_a_stream_is_known(case: Recording) -> None:
    decoder = ADAPTER.decoder(streamed=True)
    decoder.feed(case.body)
    assert decoder.is_over
    assert decoder.finish() == []


@given(case=st.sampled_from(ANSWERS), where=cuts())
def test_any_chunking_gives_the_same_events(case: Recording, where: list[int]) -> None:
    assert events_of(case, split(case.body, where)) == events_of(case)


@given(case=st.sampled_from(STREAMS), kept=st.integers(0, 5000))
def test_a_stream_that_breaks_off_is_a_cut_unless_only_counts_are_missing(
    case: Recording, kept: int
) -> None:
    body = case.body[:kept]
    decoder = ADAPTER.decoder(streamed=True)
    events = decoder.feed(body)
    if b'"stopReason"' in body and collect(events).choices[0].finish is not None:
        assert decoder.finish() == []
    else:
        with pytest.raises(UpstreamFailure) as caught:
            decoder.finish()
        assert caught.value.kind is FailureKind.CUT


@given(case=st.sampled_from(ANSWERS), at=st.integers(0), flip=st.integers(1, 255))
def test_a_damaged_answer_ends_in_events_or_a_typed_failure(
    case: Recording, at: int, flip: int
) -> None:
    damaged = bytearray(case.body)
    damaged[at % len(damaged)] ^= flip
    if case.streamed:  # guarded by two checksums
        with pytest.raises(UpstreamFailure) as caught:
            events_of(case, [bytes(damaged)])
        assert caught.value.kind is FailureKind.GARBAGE or caught.value.kind is FailureKind.CUT
    else:
        with suppress(UpstreamFailure):
            events_of(case, [bytes(damaged)])


@pytest.mark.parametrize("case", [case for case in ANSWERS if not case.streamed], ids=repr)
def test_an_answer_goes_back_as_it_came(case: Recording) -> None:
    """What a caller returns to us in the next turn is what Bedrock said, thoughts and signatures included."""
    choice = collect(events_of(case)).choices[0]
    answer = {
        "role": "assistant",
        "content": choice.text,
        "reasoning": choice.reasoning,
        "reasoning_details": choice.reasoning_details,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in choice.calls
        ],
    }
    history = [{"role": "user", "content": "Hi"}, answer, {"role": "user", "content": "And?"}]
    model = model_of(case.path)
    endpoint = an_endpoint("amazon-bedrock", model=f"author/{model}", supported=frozenset())
    request = OpenAIChat().decode(msgspec.json.encode({"messages": history}))
    sent = json.loads(ADAPTER.encode(request, endpoint, UNSIGNED).body)
    came = json.loads(case.body)["output"]["message"]["content"]
    told = [block for m in sent["messages"] if m["role"] == "assistant" for block in m["content"]]
    assert told == returnable(came, is_claude="anthropic" in model)


def returnable(blocks: list[dict[str, Any]], *, is_claude: bool) -> list[dict[str, Any]]:
    """What of an answer Bedrock takes back: only Claude's thoughts, and of citations the words."""
    kept: list[dict[str, Any]] = []
    for block in blocks:
        if "citationsContent" in block:
            kept.append({"text": "".join(c["text"] for c in block["citationsContent"]["content"])})
        elif is_claude or "reasoningContent" not in block:
            _normal_block(block)
            kept.append(block)
    return _joined_texts(kept)


# --- refusals -----------------------------------------------------------------------------------------

MEANINGS = {
    "The provided model identifier is invalid.": FailureKind.MODEL_NOT_FOUND,
    "The security token included in the request is invalid.": FailureKind.AUTHENTICATION,
    "The model returned the following errors: Input Tokens Exceeded": FailureKind.CONTEXT_LENGTH,
    "The model returned the following errors: Malformed input": FailureKind.BAD_REQUEST,
    "This model doesn't support the": FailureKind.BAD_REQUEST,
}


@pytest.mark.parametrize("case", REFUSALS, ids=repr)
def test_a_recorded_refusal_has_its_meaning(case: Recording) -> None:
    message = json.loads(case.body)["message"]
    (meaning,) = {kind for start, kind in MEANINGS.items() if message.startswith(start)}
    failure = ADAPTER.failure(case.status, case.headers, case.body)
    assert failure.kind is meaning
    assert failure.status == case.status
    named = (case.headers.get("x-amzn-errortype") or "").partition(":")[0]
    assert failure.provider_code == (named or None)


# --- requests -----------------------------------------------------------------------------------------

UNSIGNED = Credential("https://bedrock-runtime.us-east-1.amazonaws.com", "key", {})


@cache
def converse_types() -> Any:
    folder = Path(botocore.__file__).parent / "data" / "bedrock-runtime" / "2023-09-30"
    described = json.loads(gzip.decompress((folder / "service-2.json.gz").read_bytes()))
    return ServiceModel(described, "bedrock-runtime")


def build(case: Recording) -> tuple[str, dict[str, Any]]:
    """(path, body) of what we send for the same request in the OpenAI dialect."""
    asked = as_openai(case.request)
    if case.streamed:
        asked["stream"] = True
    model = model_of(case.path)
    endpoint = an_endpoint("amazon-bedrock", model=f"author/{model}", supported=frozenset())
    request = OpenAIChat().decode(msgspec.json.encode(asked))
    sent = ADAPTER.encode(request, endpoint, UNSIGNED)
    assert sent.url.startswith(UNSIGNED.base_url)
    return sent.url.removeprefix(UNSIGNED.base_url), json.loads(sent.body)


def with_bytes(node: Any) -> Any:
    """Blobs are bytes to botocore, and base64 in JSON."""
    if isinstance(node, list):
        return [with_bytes(item) for item in node]
    if not isinstance(node, dict):
        return node
    blobs = ("bytes", "redactedContent")
    return {
        name: base64.b64decode(value, validate=True)
        if name in blobs and isinstance(value, str)
        else with_bytes(value)
        for name, value in node.items()
    }


@pytest.mark.parametrize("case", REQUESTS, ids=repr)
def test_what_we_send_is_of_awss_own_types(case: Recording) -> None:
    path, body = build(case)
    name = "ConverseStream" if case.streamed else "Converse"
    shape = converse_types().operation_model(name).input_shape
    asked = {"modelId": model_of(path), **with_bytes(body)}
    report = ParamValidator().validate(asked, shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("case", REQUESTS, ids=repr)
def test_what_we_send_is_what_was_recorded(case: Recording) -> None:
    """The same words, blocks, tools and settings, in the same places."""
    path, body = build(case)
    assert path == case.path.replace(":", "%3A")
    assert normal(body) == normal(case.request)


def normal(request: dict[str, Any]) -> Any:
    """A request without what means nothing: empty fields, key order, and where a thing has two spellings."""
    request = json.loads(json.dumps(request))
    for message in request["messages"]:
        if message["role"] == "assistant":
            message["content"] = _joined_texts(message["content"])
        for block in message["content"]:
            _normal_block(block)
    schema = (
        request.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema")
    )
    if schema is not None:
        schema["schema"] = _closed(json.loads(schema["schema"]))
    thinking = request.get("additionalModelRequestFields", {})
    if thinking.get("thinking") == {"type": "adaptive"}:
        thinking.setdefault("output_config", {"effort": "medium"})
    return {name: value for name, value in request.items() if value not in ({}, [])}


def _joined_texts(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The OpenAI dialect has one text for an answer, in front of its calls."""
    text = "".join(block.get("text", "") for block in blocks)
    thoughts = [b for b in blocks if "reasoningContent" in b or _is_servers(b)]
    calls = [b for b in blocks if "toolUse" in b and not _is_servers(b)]
    return [*thoughts, *([{"text": text}] if text else []), *calls]


def _is_servers(block: dict[str, Any]) -> bool:
    return "toolResult" in block or block.get("toolUse", {}).get("type") == "server_tool_use"


def _normal_block(block: dict[str, Any]) -> None:
    if "toolUse" in block and block["toolUse"].get("type") == "tool_use":
        del block["toolUse"]["type"]
    document = block.get("document")
    if document is not None:
        document.pop("citations", None)  # the OpenAI dialect cannot ask for them
        if "text" in document["source"]:
            text = document["source"].pop("text")
            document["source"]["bytes"] = base64.b64encode(text.encode()).decode()
    result = block.get("toolResult")
    if result is not None:
        result["content"] = [
            {"text": json.dumps(inner["json"])}
            if "json" in inner and "type" not in result
            else inner
            for inner in result["content"]
        ]


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "object":
        node = {"additionalProperties": False, **node}
    if "minLength" in node:  # a limit that Claude reads in words
        limit = node.pop("minLength")
        node = {**node, "description": f"(minLength: {limit})"}
    return {name: _closed(value) for name, value in node.items()}
