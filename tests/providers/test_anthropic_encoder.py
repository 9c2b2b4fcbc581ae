"""What is sent in the Messages format: every wish in its words, and nothing that it would refuse."""

from __future__ import annotations

import base64
import json
import string
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.catalog_data import load_snapshot
from fairlead.core.chat import ChatRequest, WireFormat
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import ModelId
from fairlead.providers.anthropic import AnthropicChat
from fairlead.providers.anthropic_encoder import Platform, anthropic_betas, anthropic_body
from fairlead.providers.anthropic_reader import ANSWER_TOOL
from fairlead.providers.base import Credential
from tests.providers.anthropic_asking import (
    ADAPTIVE,
    BUDGETED,
    CALL,
    TOOL,
    asked,
    assistant,
    body_of,
    endpoint,
    result,
    sent,
    text,
    user,
)

KEY = Credential("https://example.test/v1/", "secret", {})
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
OPEN_SCHEMA = {"type": "object", "additionalProperties": {"type": "string"}}


# --- the envelope -------------------------------------------------------------------------------------


def test_the_request_goes_to_messages_with_key_and_version() -> None:
    request = AnthropicChat().encode(asked(stream=True), endpoint(), KEY)
    assert (request.method, request.url) == ("POST", "https://example.test/v1/messages")
    headers = dict(request.headers)
    assert headers["x-api-key"] == "secret"
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["accept"] == "text/event-stream"
    assert "anthropic-beta" not in headers
    body = json.loads(request.body)
    assert (body["model"], body["stream"]) == ("claude-sonnet-4.5", True)


def test_a_request_without_a_stream_or_a_key_says_neither() -> None:
    request = AnthropicChat().encode(asked(), endpoint(), Credential("https://x.test", "", {}))
    assert "x-api-key" not in dict(request.headers)
    assert "stream" not in json.loads(request.body)


def test_the_body_can_be_had_for_another_platform() -> None:
    platform = Platform(version="there-2023-05-31", refuses=frozenset({"service_tier"}))
    body = body_of(asked(service_tier="auto", stream=True), platform=platform)
    assert body["anthropic_version"] == "there-2023-05-31"
    assert body.keys().isdisjoint({"model", "stream", "service_tier"})


# --- reasoning ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_tokens", "reasoning", "budget"),
    [
        (4000, {"effort": "high"}, 3200),
        (4000, {"effort": "medium"}, 2000),
        (4000, {"effort": "low"}, 1024),
        (4000, {"effort": "minimal"}, 1024),
        (4000, {"effort": "max"}, 3800),
        (4000, {"effort": "xhigh"}, 3800),
        (200_000, {"effort": "high"}, 128_000),
        (4000, {"enabled": True}, 2000),
        (4000, {"max_tokens": 3000}, 3000),
        (4000, {"max_tokens": 10}, 1024),
        (4000, {"max_tokens": 9000}, 3999),
        (None, {"effort": "low"}, 12_800),
        (1025, {"effort": "high"}, 1024),
    ],
)
def test_an_effort_is_a_share_of_the_limit(
    max_tokens: int | None, reasoning: dict[str, Any], budget: int
) -> None:
    limited = {} if max_tokens is None else {"max_tokens": max_tokens}
    body = sent(to=endpoint(reasoning=BUDGETED), reasoning=reasoning, **limited)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] > budget


@given(
    limit=st.integers(1, 300_000),
    budget=st.integers(1, 300_000) | st.sampled_from(["low", "max", "minimal"]),
)
def test_a_budget_is_within_its_bounds_and_below_the_limit(limit: int, budget: int | str) -> None:
    wish = {"max_tokens": budget} if isinstance(budget, int) else {"effort": budget}
    body = sent(to=endpoint(reasoning=BUDGETED), reasoning=wish, max_tokens=limit)
    assert body["max_tokens"] == limit
    if "thinking" in body:
        assert 1024 <= body["thinking"]["budget_tokens"] <= 128_000
        assert body["thinking"]["budget_tokens"] < limit
    else:
        assert limit <= 1024


def test_no_wish_is_no_setting_and_off_is_said() -> None:
    thinker = endpoint(reasoning=BUDGETED)
    assert "thinking" not in sent(to=thinker)
    assert "thinking" not in sent(to=thinker, reasoning={"exclude": True})
    for off in ({"effort": "none"}, {"enabled": False}, {"max_tokens": 0}):
        assert sent(to=thinker, reasoning=off)["thinking"] == {"type": "disabled"}
    assert "thinking" not in sent(to=endpoint(), reasoning={"effort": "high"})


def test_a_model_that_always_thinks_cannot_be_told_not_to() -> None:
    always = endpoint(reasoning=Reasoning(supported=True, mandatory=True))
    with pytest.raises(RequestInvalid):
        sent(to=always, reasoning={"effort": "none"})


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        ({"effort": "high"}, "high"),
        ({"effort": "max"}, "max"),
        ({"effort": "minimal"}, "low"),
        ({"enabled": True}, "medium"),
        ({"max_tokens": 3200}, "high"),
    ],
)
def test_a_model_without_budgets_is_told_an_effort(reasoning: dict[str, Any], effort: str) -> None:
    body = sent(to=endpoint(reasoning=ADAPTIVE), reasoning=reasoning, max_tokens=4000)
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": effort}


def test_the_nearest_effort_that_the_model_has_is_taken() -> None:
    few = Reasoning(supported=True, efforts=("high", "medium", "low"))
    body = sent(to=endpoint(reasoning=few), reasoning={"effort": "xhigh"})
    assert body["output_config"] == {"effort": "high"}


def test_thinking_that_is_not_shown_is_not_summarised() -> None:
    body = sent(to=endpoint(reasoning=ADAPTIVE), reasoning={"effort": "low", "exclude": True})
    assert body["thinking"]["display"] == "omitted"


def test_verbosity_is_the_effort_of_the_whole_answer() -> None:
    assert sent(to=endpoint(reasoning=ADAPTIVE), verbosity="low")["output_config"] == {
        "effort": "low"
    }
    both = sent(to=endpoint(reasoning=ADAPTIVE), verbosity="low", reasoning={"effort": "high"})
    assert both["output_config"] == {"effort": "low"}
    assert "output_config" not in sent(to=endpoint(reasoning=BUDGETED), verbosity="low")


@pytest.mark.parametrize(
    ("messages", "fields"),
    [
        ([user("x")], {"tools": [TOOL], "tool_choice": "required"}),
        ([user("x"), assistant("So")], {}),
        ([user("x"), assistant(tool_calls=[CALL]), result("1")], {"tools": [TOOL]}),
    ],
    ids=["a tool must be called", "the answer is begun", "tool use began without thinking"],
)
def test_a_budget_is_not_sent_where_it_would_be_refused(
    messages: list[dict[str, Any]], fields: dict[str, Any]
) -> None:
    wish = {"reasoning": {"effort": "high"}, **fields}
    assert "thinking" not in sent(*messages, to=endpoint(reasoning=BUDGETED), **wish)
    assert (
        sent(*messages, to=endpoint(reasoning=ADAPTIVE), **wish)["thinking"]["type"] == "adaptive"
    )


def test_tool_use_that_began_with_thinking_goes_on_thinking() -> None:
    thought = {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"}
    began = assistant(tool_calls=[CALL], reasoning_details=[thought])
    body = sent(
        user("x"), began, result("1"), to=endpoint(reasoning=BUDGETED), reasoning={"effort": "high"}
    )
    assert body["thinking"]["type"] == "enabled"


# --- parameters ---------------------------------------------------------------------------------------


def test_a_limit_is_required_so_the_endpoints_is_taken() -> None:
    assert sent()["max_tokens"] == 64_000
    assert sent(max_tokens=5)["max_tokens"] == 5
    assert sent(max_tokens=5, max_completion_tokens=6)["max_tokens"] == 6
    assert sent(to=endpoint(max_completion_tokens=None))["max_tokens"] == 32_000


def test_a_long_prompt_leaves_less_for_the_answer() -> None:
    small = endpoint(context_length=100_000)
    assert 49_000 < sent(user("x" * 100_000), to=small)["max_tokens"] <= 50_000
    assert sent(user("x" * 300_000), to=small)["max_tokens"] == 4096


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"top_p": 0.5, "top_k": 3}, {"top_p": 0.5, "top_k": 3}),
        ({"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}),
        ({"top_k": 0}, {}),
    ],
)
def test_sampling_is_put_as_the_model_takes_it(
    fields: dict[str, Any], kept: dict[str, Any]
) -> None:
    body = sent(**fields)
    assert {n: body[n] for n in ("temperature", "top_p", "top_k") if n in body} == kept


def test_early_models_take_both_ways_of_sampling() -> None:
    both = {"temperature": 0.5, "top_p": 0.5}
    for model in ("claude-3.5-sonnet", "claude-3-haiku", "claude-sonnet-4", "claude-opus-4:beta"):
        assert "top_p" in sent(to=endpoint(f"anthropic/{model}"), **both)
    for model in ("claude-opus-4.1", "claude-sonnet-4.5", "claude-haiku-4.5"):
        assert "top_p" not in sent(to=endpoint(f"anthropic/{model}"), **both)


def test_a_thinking_model_samples_as_it_likes() -> None:
    fields = {"temperature": 0.5, "top_k": 3, "top_p": 0.5, "reasoning": {"effort": "high"}}
    body = sent(to=endpoint(reasoning=BUDGETED), **fields)
    assert body.keys().isdisjoint({"temperature", "top_p", "top_k"})
    assert sent(to=endpoint(reasoning=BUDGETED), **{**fields, "top_p": 0.97})["top_p"] == 0.97
    del fields["reasoning"]
    body = sent(to=endpoint(reasoning=ADAPTIVE), **fields)
    assert body.keys().isdisjoint({"temperature", "top_p", "top_k"})


def test_what_the_endpoint_does_not_support_is_left_out() -> None:
    to = endpoint(supported=frozenset({"max_tokens"}))
    body = sent(to=to, temperature=0.5, top_p=0.5, top_k=3, tools=[TOOL], tool_choice="auto")
    assert body.keys() == {"max_tokens", "messages"}


def test_what_the_format_cannot_say_is_left_out() -> None:
    body = sent(
        seed=1, n=2, frequency_penalty=1, logit_bias={"1": 1}, logprobs=True, min_p=0.1, user="Ada",
        metadata={"a": "b"}, prompt_cache_key="k", session_id="s", provider={"only": ["x"]},
    )  # fmt: skip
    assert body.keys() == {"max_tokens", "messages"}


def test_blank_stops_are_left_out() -> None:
    assert sent(stop="END")["stop_sequences"] == ["END"]
    assert sent(stop=["\n", "END"])["stop_sequences"] == ["END"]
    assert "stop_sequences" not in sent(stop=["\n\n"])


@pytest.mark.parametrize(
    ("tier", "native"),
    [
        ("auto", "auto"),
        ("priority", "auto"),
        ("fast", "auto"),
        ("default", "standard_only"),
        ("flex", None),
    ],
)
def test_service_tiers_are_named_as_here(tier: str, native: str | None) -> None:
    assert sent(service_tier=tier).get("service_tier") == native


# --- tools --------------------------------------------------------------------------------------------


def test_tools_are_put_in_this_form_with_their_schema_as_written() -> None:
    described = {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds.",
            "strict": True,
            "parameters": {"type": "object", "properties": {}, "$defs": {}},
        },
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    plain = {"type": "function", "function": {"name": "now"}}
    odd = {"function": {"name": "odd", "parameters": {"properties": {"a": {}}}}}
    assert sent(tools=[described, plain, odd])["tools"] == [
        {
            "name": "add",
            "description": "Adds.",
            "input_schema": {"type": "object", "properties": {}, "$defs": {}},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        {"name": "odd", "input_schema": {"properties": {"a": {}}, "type": "object"}},
    ]


def test_arguments_are_streamed_as_they_are_written() -> None:
    assert sent(tools=[TOOL], stream=True)["tools"][0]["eager_input_streaming"] is True
    lazy = body_of(asked(tools=[TOOL], stream=True), platform=Platform(takes_eager_tools=False))
    assert "eager_input_streaming" not in lazy["tools"][0]


def test_tools_of_the_providers_own_pass_and_others_do_not() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    body = sent(tools=[search, TOOL, {"type": "custom", "custom": {"name": "x"}}])
    assert [tool["name"] for tool in body["tools"]] == ["web_search", "add"]
    assert body["tools"][0] == search


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
            {"type": "tool", "name": "add"},
        ),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_the_choice_among_tools_is_put_in_this_form(fields: dict[str, Any], choice: Any) -> None:
    assert sent(tools=[TOOL], **fields).get("tool_choice") == choice
    assert "tool_choice" not in sent(**fields)


# --- the form of the answer ---------------------------------------------------------------------------


def schema_of(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def test_a_schema_goes_natively_where_that_can_be() -> None:
    body = sent(response_format=schema_of(SCHEMA), tools=[TOOL])
    assert body["output_config"] == {
        "format": {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}
    }
    assert [tool["name"] for tool in body["tools"]] == ["add"]


@pytest.mark.parametrize(
    ("to", "platform", "schema"),
    [
        (endpoint("anthropic/claude-3.7-sonnet"), Platform(), SCHEMA),
        (endpoint(), Platform(takes_schemas=False), SCHEMA),
        (endpoint(), Platform(), OPEN_SCHEMA),
    ],
    ids=["early model", "other platform", "schema that does not fit"],
)
def test_elsewhere_it_is_the_input_of_a_tool(to: Endpoint, platform: Platform, schema: Any) -> None:
    body = body_of(asked(response_format=schema_of(schema)), to, platform)
    assert "output_config" not in body
    assert body["tools"][-1]["name"] == ANSWER_TOOL
    assert body["tools"][-1]["input_schema"] == schema
    forced = {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}
    assert body["tool_choice"] == forced


@pytest.mark.parametrize(
    ("choice", "expected", "has_answer_tool"),
    [
        (None, {"type": "any"}, True),
        ("auto", {"type": "any"}, True),
        ("none", {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}, True),
        ("required", {"type": "any"}, False),
        (
            {"type": "function", "function": {"name": "add"}},
            {"type": "tool", "name": "add"},
            False,
        ),
    ],
)
def test_the_callers_tools_stay_callable_beside_it(
    choice: Any, expected: dict[str, Any], *, has_answer_tool: bool
) -> None:
    chosen = {} if choice is None else {"tool_choice": choice}
    body = sent(
        to=endpoint("anthropic/claude-3.7-sonnet"),
        response_format=schema_of(SCHEMA),
        tools=[TOOL],
        **chosen,
    )
    names = [tool["name"] for tool in body["tools"]]
    assert names == (["add", ANSWER_TOOL] if has_answer_tool else ["add"])
    assert body["tool_choice"] == expected


def test_what_no_tool_can_hold_is_asked_for_in_words() -> None:
    body = sent(
        to=endpoint("anthropic/claude-3-haiku"), response_format=schema_of({"type": "array"})
    )
    assert '{"type":"array"}' in body["system"][-1]["text"]
    body = sent(
        {"role": "system", "content": "Hi."}, user("x"), response_format={"type": "json_object"}
    )
    assert body["system"][0] == text("Hi.")
    assert "JSON" in body["system"][1]["text"]
    assert "system" not in sent(response_format={"type": "text"})


# --- caching ------------------------------------------------------------------------------------------


def marks(body: dict[str, Any]) -> list[str]:
    blocks = [*body.get("tools", []), *body.get("system", [])]
    blocks += [block for turn in body["messages"] for block in turn["content"]]
    return [block.get("text", block.get("name")) for block in blocks if "cache_control" in block]


def marked(content: str) -> dict[str, Any]:
    return text(content, cache_control={"type": "ephemeral"})


def test_marks_for_the_cache_stay_where_they_were() -> None:
    body = sent(
        {"role": "system", "content": [marked("a")]},
        user([marked("b"), text("c")]),
        tools=[{**TOOL, "cache_control": {"type": "ephemeral"}}],
    )
    assert marks(body) == ["add", "a", "b"]


def test_of_too_many_marks_the_first_go() -> None:
    body = sent(user([marked(letter) for letter in "abcdef"]))
    assert marks(body) == list("cdef")
    automatic = sent(
        user([marked(letter) for letter in "abcdef"]), cache_control={"type": "ephemeral"}
    )
    assert marks(automatic) == list("def")


def test_automatic_caching_is_a_field_or_a_mark_on_the_last_block() -> None:
    request = asked(user([text("a"), text("b")]), cache_control={"type": "ephemeral", "ttl": "1h"})
    assert body_of(request)["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    elsewhere = body_of(request, platform=Platform(refuses=frozenset({"cache_control"})))
    assert "cache_control" not in elsewhere
    assert marks(elsewhere) == ["b"]
    assert elsewhere["messages"][0]["content"][1]["cache_control"]["ttl"] == "1h"


# --- requests in this format --------------------------------------------------------------------------


def written(**fields: Any) -> ChatRequest:
    encoded = msgspec.json.encode({"messages": [user("Hi")], **fields})
    return msgspec.structs.replace(
        asked(),
        source=WireFormat.ANTHROPIC_MESSAGES,
        fields=msgspec.json.decode(encoded, type=dict[str, msgspec.Raw]),
    )


def test_what_is_ours_stays_here_and_all_else_travels() -> None:
    body = body_of(
        written(
            model="anthropic/claude", stream=True, models=["a"], fallbacks=[], provider={}, plugins=[],
            session_id="s", user="Ada", trace={}, betas=[], novelty={"a": 1}, max_tokens=7,
            metadata={"user_id": "their own", "more": 1},
        )
    )  # fmt: skip
    assert body == {
        "messages": [user("Hi")],
        "novelty": {"a": 1},
        "max_tokens": 7,
        "metadata": {"more": 1},
    }


def test_an_end_user_is_told_as_a_digest_only() -> None:
    request = written(metadata={"user_id": "ada@example.com"})
    told = msgspec.structs.replace(request, end_user="d1ge57")
    assert body_of(told)["metadata"] == {"user_id": "d1ge57"}
    assert "metadata" not in body_of(request)


def test_fields_travel_byte_for_byte() -> None:
    fields = {"messages": msgspec.Raw(b'[ {"role":"user",  "content":"\\u0041"} ]')}
    raw = msgspec.json.encode(anthropic_body(written(**fields), endpoint()))
    assert b'[ {"role":"user",  "content":"\\u0041"} ]' in raw


def test_sampling_that_the_endpoint_refuses_is_left_out_of_them_too() -> None:
    to = endpoint(supported=frozenset({"max_tokens", "top_p"}))
    body = body_of(written(temperature=1, top_p=0.5, max_tokens=5), to)
    assert (body.get("temperature"), body["top_p"]) == (None, 0.5)


def test_thinking_that_claude_did_not_sign_is_taken_out_of_them() -> None:
    signed = {"type": "thinking", "thinking": "a", "signature": "c2ln"}
    unsigned = {"type": "thinking", "thinking": "b", "signature": ""}
    foreign = {"type": "redacted_thinking", "data": "fairlead.reasoning:" + packed("other-v1")}
    redacted = {"type": "redacted_thinking", "data": "eHg="}
    turns = [
        user("x"),
        assistant([signed, unsigned, foreign, redacted, text("c")]),
        user("y"),
        assistant([unsigned]),
        user("z"),
    ]
    body = body_of(written(messages=turns))
    assert body["messages"] == [
        user("x"),
        assistant([signed, redacted, text("c")]),
        user("y"),
        user("z"),
    ]


def packed(reasoning_format: str) -> str:
    fields = {"type": "reasoning.encrypted", "format": reasoning_format, "data": "x"}
    return base64.b64encode(json.dumps(fields).encode()).decode()


def test_flags_of_the_caller_and_those_that_fields_need_are_sent() -> None:
    request = written(
        betas=["a-2026-01-01", "b"], anthropic_beta="b, c", context_management={}, output_format={}
    )
    assert anthropic_betas(request, endpoint()) == (
        "a-2026-01-01",
        "b",
        "c",
        "structured-outputs-2025-11-13",
        "context-management-2025-06-27",
    )
    sent_headers = dict(AnthropicChat().encode(request, endpoint(), KEY).headers)
    assert sent_headers["anthropic-beta"].startswith("a-2026-01-01,b,c,")


@given(st.text() | st.lists(st.text() | st.none() | st.integers()) | st.integers())
def test_flags_never_break_out_of_their_header(betas: Any) -> None:
    for flag in anthropic_betas(written(betas=betas), endpoint()):
        assert set(flag) <= {*string.ascii_letters, *string.digits, ".", "_", "-"}


@pytest.mark.parametrize("request_of", [asked, written], ids=["translated", "native"])
def test_speed_is_the_endpoints_whatever_the_caller_wrote(request_of: Any) -> None:
    """Fast answers cost six times as much: a call that is charged as usual must not ask for them."""
    wanted = {"service_tier": "priority"} if request_of is asked else {"speed": "fast"}
    fast = msgspec.structs.replace(endpoint(), tier="priority")
    for request in (request_of(), request_of(**wanted)):
        assert "speed" not in anthropic_body(request, endpoint())
        assert anthropic_body(request, fast)["speed"] == msgspec.Raw(b'"fast"')
        assert "fast-mode-2026-02-01" in anthropic_betas(request, fast)


def test_a_native_tier_that_nobody_sells_here_stays_here() -> None:
    for tier, told in (("priority", None), ("standard_only", msgspec.Raw(b'"standard_only"'))):
        body = msgspec.structs.replace(asked().body, service_tier=tier)
        request = msgspec.structs.replace(written(service_tier=tier), body=body)
        assert anthropic_body(request, endpoint()).get("service_tier") == told


# --- the catalogue's own models -----------------------------------------------------------------------


def test_every_model_of_the_catalogue_gets_a_request_it_can_take() -> None:
    data = files("fairlead.data")
    snapshot = load_snapshot(
        data.joinpath("models.json").read_bytes(), data.joinpath("providers.json").read_bytes()
    )
    offers = [e for m in snapshot.models.values() for e in m.endpoints if e.provider == "anthropic"]
    assert len(offers) > 20
    assert ModelId("anthropic/claude-opus-4.7") in {offer.model for offer in offers}
    for offer in offers:
        body = sent(to=offer, reasoning={"effort": "high"}, temperature=0.3, top_p=0.3)
        assert body["max_tokens"] > 0
        thinking = body.get("thinking", {}).get("type")
        assert (thinking is not None) is offer.reasoning.supported
        if thinking:
            assert body.keys().isdisjoint({"temperature", "top_p"})
        if offer.model in ("anthropic/claude-opus-4.7", "anthropic/claude-opus-5"):
            assert thinking == "adaptive"
        if offer.model == "anthropic/claude-sonnet-4.5":
            assert thinking == "enabled"
