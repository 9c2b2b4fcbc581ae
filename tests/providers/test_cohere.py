"""Cohere, beyond what was recorded: what is sent, how answers are read, what refusals mean."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.answer import collect
from fairlead.core.catalog import Reasoning
from fairlead.core.chat import ChatEvent, FinishReason
from fairlead.core.errors import FAILURES, FailureKind, RequestInvalid, UpstreamFailure
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.providers.base import Credential
from fairlead.providers.cohere import CohereChat
from fairlead.testing.builders import an_endpoint
from tests.recordings import RecordedHeaders

KEY = Credential("https://api.cohere.com/v2/", "", {})
THINKS = Reasoning(supported=True, toggle=True, budget_min=1)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Look", "parameters": SCHEMA},
}
OTHER = {"type": "function", "function": {"name": "listen"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
WANTED = {"type": "json_schema", "json_schema": {"name": "Thing", "schema": SCHEMA}}


def sent(
    fields: dict[str, Any],
    *,
    reasoning: Reasoning = Reasoning(),  # noqa: B008 - immutable
    supported: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    fields = {"messages": [{"role": "user", "content": "Hello"}], **fields}
    endpoint = msgspec.structs.replace(
        an_endpoint("cohere", model="cohere/command", supported=supported), reasoning=reasoning
    )
    request = OpenAIChat().decode(msgspec.json.encode(fields))
    upstream = CohereChat().encode(request, endpoint, KEY)
    assert upstream.url == "https://api.cohere.com/v2/chat"
    assert not dict(upstream.headers).get("authorization")
    body: dict[str, Any] = json.loads(upstream.body)
    return body


def settings_sent(fields: dict[str, Any], **about: Any) -> dict[str, Any]:
    body = sent(fields, **about)
    return {k: v for k, v in body.items() if k not in ("model", "messages", "stream")}


# --- what is sent -------------------------------------------------------------------------------------


def test_system_messages_stand_together_at_the_front() -> None:
    messages = [
        {"role": "user", "content": "Hi", "name": "ann"},
        {"role": "developer", "content": "Two."},
        {"role": "system", "content": [{"type": "text", "text": "Three."}]},
    ]
    body = sent({"messages": [{"role": "system", "content": "One."}, *messages]})
    texts = [{"type": "text", "text": text} for text in ("One.", "Two.", "Three.")]
    assert body["messages"] == [
        {"role": "system", "content": texts},
        {"role": "user", "content": "ann: Hi"},
    ]


def test_a_system_alone_speaks_as_the_user() -> None:
    body = sent({"messages": [{"role": "system", "content": "Say hi."}]})
    assert body["messages"] == [{"role": "user", "content": "Say hi."}]


def test_a_prompt_is_the_users() -> None:
    request = OpenAICompletions().decode(b'{"model":"m","prompt":"Once"}')
    body = json.loads(CohereChat().encode(request, an_endpoint("cohere"), KEY).body)
    assert body["messages"] == [{"role": "user", "content": "Once"}]


def test_images_go_as_they_are_and_text_files_become_documents() -> None:
    image = {
        "type": "image_url",
        "image_url": {"url": "https://a.test/a.png", "detail": "original"},
    }
    file = {
        "type": "file",
        "file": {"filename": "a.md", "file_data": "data:text/markdown,caf%C3%A9"},
    }
    parts = [{"type": "text", "text": "See"}, image, file]
    own = {"id": "own", "data": {"text": "mine"}}
    body = sent({"messages": [{"role": "user", "content": parts}], "documents": [own]})
    image["image_url"]["detail"] = "high"  # type: ignore[index]
    assert body["messages"] == [{"role": "user", "content": parts[:2]}]
    assert body["documents"] == [{"id": "doc:0", "data": {"text": "café", "title": "a.md"}}, own]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
            "file.file_data",
        ),
        ({"type": "file", "file": {"file_data": "https://a.test/a.txt"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}, "file.file_data"),
        ({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}, "type"),
        ({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AA"}}, "type"),
        ({"type": "hologram"}, "type"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place(part: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        sent({"messages": [{"role": "user", "content": [part]}]})
    assert caught.value.param == f"messages[0].content[0].{param}"


def test_a_plan_goes_back_with_its_calls_and_thoughts_with_their_text() -> None:
    history = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "reasoning": "I will look.", "content": "So:", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "seen"}]},
    ]
    calls = [{**CALL, "function": {"name": "look", "arguments": "{}"}}]
    plan, result = sent({"messages": history})["messages"][1:]
    assert plan == {
        "role": "assistant",
        "content": "So:",
        "tool_plan": "I will look.",
        "tool_calls": calls,
    }
    assert result == {"role": "tool", "tool_call_id": "c1", "content": "seen"}
    thought = sent({"messages": history}, reasoning=THINKS)["messages"][1]
    assert thought["content"] == [
        {"type": "thinking", "thinking": "I will look."},
        {"type": "text", "text": "So:"},
    ]
    details = [{"type": "reasoning.text", "text": "I "}, {"type": "reasoning.text", "text": "see."}]
    history[1] = {"role": "assistant", "content": "So:", "reasoning_details": details}
    told = sent({"messages": history[:2]}, reasoning=THINKS)["messages"][1]
    assert told["content"][0] == {"type": "thinking", "thinking": "I see."}


def test_results_without_an_id_answer_the_calls_in_order() -> None:
    history = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "seen"},
        {"role": "assistant", "tool_calls": [{**CALL, "id": None}]},
        {"role": "tool", "content": "again"},
    ]
    told = sent({"messages": history})["messages"]
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"] == "look"
    assert told[3]["tool_calls"][0]["id"] == told[4]["tool_call_id"] == "call_0"


def test_parameters_have_coheres_names_and_range() -> None:
    asked = {
        "max_completion_tokens": 5, "temperature": 0.5, "top_p": 0.999, "top_k": 900, "seed": 3,
        "frequency_penalty": -1, "presence_penalty": 1.5, "stop": "x", "logprobs": True,
        "logit_bias": {"1": 1}, "safety_mode": "NONE", "user": "me",
    }  # fmt: skip
    assert settings_sent(asked) == {
        "max_tokens": 5, "temperature": 0.5, "p": 0.99, "k": 500, "seed": 3,
        "presence_penalty": 1.0, "stop_sequences": ["x"], "logprobs": True, "safety_mode": "NONE",
    }  # fmt: skip
    assert settings_sent({"top_p": 1, "top_k": 0}) == {"k": 0}
    assert settings_sent({"frequency_penalty": 0.5, "presence_penalty": 0.5}) == {
        "frequency_penalty": 0.5
    }
    few = frozenset({"max_tokens"})
    assert settings_sent({**asked, "tools": [TOOL]}, supported=few) == {
        "max_tokens": 5,
        "safety_mode": "NONE",
    }


@pytest.mark.parametrize(
    ("choice", "told", "tools"),
    [
        ("auto", None, ["look", "listen"]),
        (None, None, ["look", "listen"]),
        ("required", "REQUIRED", ["look", "listen"]),
        ("none", "NONE", ["look", "listen"]),
        ({"type": "function", "function": {"name": "listen"}}, "REQUIRED", ["listen"]),
    ],
)
def test_tool_choices_have_their_names(choice: Any, told: Any, tools: list[str]) -> None:
    body = sent({"tools": [TOOL, OTHER, {"type": "web_search"}], "tool_choice": choice})
    assert body.get("tool_choice") == told
    assert [tool["function"]["name"] for tool in body["tools"]] == tools
    assert body["tools"][-1]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_a_schema_is_asked_for_natively_but_not_beside_tools() -> None:
    assert sent({"response_format": WANTED})["response_format"] == {
        "type": "json_object",
        "json_schema": SCHEMA,
    }
    plain = {"response_format": {"type": "json_object"}}
    assert sent(plain)["response_format"] == {"type": "json_object"}
    body = sent({"response_format": WANTED, "tools": [TOOL]})
    assert "response_format" not in body
    assert json.dumps(SCHEMA, separators=(",", ":")) in body["messages"][0]["content"]
    assert sent({**plain, "tools": [TOOL]})["messages"][0]["content"].endswith("nothing else.")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"effort": "low"}, {"type": "enabled", "token_budget": 800}),
        ({"max_tokens": 300}, {"type": "enabled", "token_budget": 300}),
        ({"effort": "none"}, {"type": "disabled"}),
        ({"exclude": True}, None),
    ],
)
def test_reasoning_is_a_budget_or_a_switch(asked: Any, told: Any) -> None:
    fields = {"reasoning": asked, "max_tokens": 4000}
    assert settings_sent(fields, reasoning=THINKS).get("thinking") == told
    assert "thinking" not in sent(fields, supported=frozenset({"max_tokens"}))


# --- how answers are read -----------------------------------------------------------------------------


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def message(**fields: Any) -> dict[str, Any]:
    return {"delta": {"message": fields}}


END = event("message-end", delta={"finish_reason": "COMPLETE"})


def read(*pieces: bytes, is_streamed: bool = True) -> list[ChatEvent]:
    decoder = CohereChat().decoder(streamed=is_streamed)
    return [e for piece in pieces for e in decoder.feed(piece)] + decoder.finish()


def failed(*pieces: bytes, is_streamed: bool = True) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        read(*pieces, is_streamed=is_streamed)
    return caught.value


def whole(**fields: Any) -> Any:
    body = json.dumps({"finish_reason": "COMPLETE", **fields}).encode()
    return collect(read(body, is_streamed=False))


def test_calls_of_one_index_one_after_the_other_are_two() -> None:
    def start(name: str) -> bytes:
        call = {"id": name, "function": {"name": name, "arguments": ""}}
        return event("tool-call-start", index=0, **message(tool_calls=call))

    more = event(
        "tool-call-delta", index=0, **message(tool_calls={"function": {"arguments": "{ }"}})
    )
    (choice,) = collect(read(start("a"), start("b"), more, END)).choices
    assert [(c.index, c.name, c.arguments) for c in choice.calls] == [
        (0, "a", "{}"),
        (1, "b", "{ }"),
    ]


def test_citations_of_plans_have_no_place_in_the_text() -> None:
    source = {"id": "doc:0", "document": {"title": "T", "url": "https://a.test", "n": 1}}
    cited = {
        "start": 3,
        "end": 9,
        "type": "PLAN",
        "sources": [source, {"tool_output": {"title": 1}}],
    }
    (choice,) = collect(read(event("citation-start", **message(citations=cited)), END)).choices
    assert [a["url_citation"] for a in choice.annotations] == [
        {"url": "https://a.test", "title": "T", "start_index": 0, "end_index": 0},
        {"url": "", "title": "", "start_index": 0, "end_index": 0},
    ]


def test_logprobs_are_told_as_tokens() -> None:
    told = {"text": "Hi", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}
    events = [
        read(event("content-delta", logprobs=told, **message(content={"text": "Hi"})), END),
        read(
            json.dumps(
                {
                    "finish_reason": "COMPLETE",
                    "message": {"content": [{"type": "text", "text": "Hi"}]},
                    "logprobs": [told],
                }
            ).encode(),
            is_streamed=False,
        ),
    ]
    for told_events in events:
        (choice,) = collect(told_events).choices
        (raw,) = choice.logprobs
        (token,) = msgspec.json.decode(raw)["content"]
        assert (token["token"], token["logprob"]) == ("Hi", -0.75)


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        (
            {"billed_units": {"input_tokens": 8.0, "output_tokens": 66}, "cached_tokens": 448,
             "tokens": {"input_tokens": 503, "output_tokens": 99, "reasoning_tokens": 29}},
            {"prompt": 8, "completion": 37, "reasoning": 29},
        ),
        (
            {"billed_units": {"input_tokens": 377, "output_tokens": 90}, "cached_tokens": 576,
             "tokens": {"input_tokens": 577, "output_tokens": 90}},
            {"prompt": 1, "cache_read": 376, "completion": 90},
        ),
        (
            {"tokens": {"input_tokens": 10, "output_tokens": 4, "image_tokens": 6}, "cached_tokens": 3},
            {"prompt": 7, "prompt_image": 6, "cache_read": 3, "completion": 4},
        ),
        (
            {"billed_units": {"input_tokens": -4, "output_tokens": 2, "reasoning_tokens": 9},
             "tokens": {"reasoning_tokens": 9}},
            {"completion": 0, "reasoning": 2},
        ),
    ],
)  # fmt: skip
def test_what_costs_is_what_counts(usage: Any, buckets: dict[str, int]) -> None:
    reported = whole(usage=usage).usage
    assert {name: getattr(reported.usage, name) for name in buckets} == buckets
    assert reported.usage.total_tokens == sum(buckets.values())


def test_no_counts_are_no_report() -> None:
    assert whole(usage={}).usage is None
    assert whole(usage=None).usage is None


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("ERROR_LIMIT", FinishReason.LENGTH),
        ("NEW", FinishReason.STOP),
    ],
)
def test_finish_reasons_have_their_meaning(native: str, reason: FinishReason) -> None:
    (choice,) = whole(finish_reason=native).choices
    assert (choice.finish, choice.native_finish) == (reason, native)


@pytest.mark.parametrize(
    ("native", "kind"),
    [
        ("ERROR", FailureKind.SERVER),
        ("TIMEOUT", FailureKind.TIMEOUT),
        ("ERROR_TOXIC", FailureKind.CONTENT_POLICY),
    ],
)
def test_an_answer_that_failed_is_a_failure(native: str, kind: FailureKind) -> None:
    failure = failed(event("message-end", delta={"finish_reason": native}))
    assert (failure.kind, failure.provider_code) == (kind, native)
    body = json.dumps({"finish_reason": native, "error_type": "X"}).encode()
    assert failed(body, is_streamed=False).provider_code == "X"


def test_an_error_event_is_a_failure_behind_the_events() -> None:
    decoder = CohereChat().decoder(streamed=True)
    text = event("content-delta", **message(content={"text": "Hi"}))
    assert collect(decoder.feed(text + event("error", message="boom"))).choices[0].text == "Hi"
    with pytest.raises(UpstreamFailure):
        decoder.feed(b"")


def test_a_whole_answer_in_place_of_a_stream_is_understood() -> None:
    body = {"finish_reason": "COMPLETE", "message": {"content": [{"type": "text", "text": "Hi"}]}}
    assert collect(read(json.dumps(body).encode())).choices[0].text == "Hi"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b" ", FailureKind.EMPTY),
        (b"{}", FailureKind.GARBAGE),
        (b'{"finish_reason":' + b"[" * 100_000, FailureKind.GARBAGE),
        (b'{"finish_reason":"COMPLETE","message":{"content":[{"text":1}]}}', FailureKind.GARBAGE),
    ],
)
def test_a_body_that_is_no_answer_is_a_failure(body: bytes, kind: FailureKind) -> None:
    assert failed(body, is_streamed=False).kind is kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["message", "content", "text", "thinking", "tool_calls", "function", "citations", "sources",
             "document", "title", "finish_reason", "usage", "tokens", "input_tokens", "start", "type"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip
KINDS = st.sampled_from(
    ["message-start", "content-start", "content-delta", "tool-plan-delta", "tool-call-start",
     "tool-call-delta", "tool-call-end", "citation-start", "message-end", "debug"]
)  # fmt: skip


@given(st.lists(st.tuples(KINDS, JSON, JSON), max_size=6))
def test_any_json_in_the_events_ends_in_events_or_a_typed_failure(told: list[Any]) -> None:
    with suppress(UpstreamFailure):
        read(*(event(kind, delta=delta, index=index) for kind, delta, index in told), END)


@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_end_in_events_or_a_typed_failure(noise: bytes, is_streamed: bool) -> None:
    with suppress(UpstreamFailure):
        read(noise, is_streamed=is_streamed)


# --- what refusals mean -------------------------------------------------------------------------------

KIND = FailureKind


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "too many tokens: size limit exceeded by 11326 tokens.", KIND.CONTEXT_LENGTH),
        (400, "blocked input: please adjust and try again", KIND.CONTENT_POLICY),
        (400, "invalid request: message must be at least 1 token long", KIND.BAD_REQUEST),
        (400, "image could not be decoded", KIND.IMAGE),
        (401, "invalid api token", KIND.AUTHENTICATION),
        (402, "Please add or update your payment method", KIND.OUT_OF_QUOTA),
        (403, "", KIND.AUTHENTICATION),
        (404, "model 'x' not found", KIND.MODEL_NOT_FOUND),
        (422, "unprocessable", KIND.BAD_REQUEST),
        (429, "limited to 40 API calls / minute", KIND.RATE_LIMIT),
        (429, "You are using a Trial key, limited to 1000 API calls / month.", KIND.OUT_OF_QUOTA),
        (498, "invalid token", KIND.AUTHENTICATION),
        (500, "", KIND.SERVER),
        (501, "", KIND.SERVER),
        (503, "", KIND.OVERLOADED),
        (504, "", KIND.TIMEOUT),
    ],
)
def test_refusals_have_their_meaning(status: int, text: str, kind: FailureKind) -> None:
    body = json.dumps({"id": "1", "message": text}).encode()
    failure = CohereChat().failure(status, RecordedHeaders({"retry-after": "3"}), body)
    assert (failure.kind, failure.status, failure.retry_after_s) == (kind, status, 3)
    if kind is KIND.BAD_REQUEST:
        assert failure.message == text


@given(st.integers(300, 599), st.binary(max_size=100))
def test_any_refusal_has_a_meaning(status: int, body: bytes) -> None:
    assert CohereChat().failure(status, RecordedHeaders({}), body).kind in FAILURES
