"""What is asked of Bedrock beside the conversation: sign-in, parameters, reasoning, tools, formats, caching."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from fairlead.core.catalog import Reasoning
from fairlead.providers.base import Credential
from fairlead.providers.bedrock import sign
from tests.bedrock_sending import (
    BASE,
    CALL,
    LLAMA,
    NEWEST,
    NOVA,
    SCHEMA,
    SONNET,
    SONNET_4,
    TOOL,
    WANTED,
    WITH_KEY,
    an_offer,
    encode,
    refused,
    sent,
)

# --- the request --------------------------------------------------------------------------------------


def test_the_model_is_in_the_path_and_the_key_in_a_header() -> None:
    request = encode(
        {"stream": True}, an_offer("arn:aws:bedrock:us-east-1:1:inference-profile/a.b")
    )
    path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa.b/converse-stream"
    assert request.url == BASE + path
    headers = dict(request.headers)
    assert headers["authorization"] == "Bearer api-key"
    assert headers["accept"] == "application/vnd.amazon.eventstream"


KEYS = {"access_key_id": "AKID", "secret_access_key": "secret", "region": "us-west-2"}


@pytest.mark.parametrize(
    ("base_url", "options", "region"),
    [
        (BASE, KEYS, "eu-west-1"),
        ("http://127.0.0.1:8080", KEYS, "us-west-2"),
        ("http://127.0.0.1:8080", {**KEYS, "region": ""}, "us-east-1"),
    ],
)
def test_an_access_key_signs_for_the_region_of_the_address(
    base_url: str, options: dict[str, str], region: str
) -> None:
    credential = Credential(base_url, "", {**options, "session_token": "token"})
    request = sign(encode({}, an_offer(), credential), credential, 1_767_225_600.0)
    headers = dict(request.headers)
    assert f"/20260101/{region}/bedrock/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "token"


@pytest.mark.parametrize(
    "credential", [WITH_KEY, Credential(BASE, "key", KEYS), Credential(BASE, "", {})]
)
def test_nothing_is_signed_where_a_key_opens_or_nothing_can_be(credential: Credential) -> None:
    request = encode({}, an_offer(), credential)
    assert sign(request, credential, 0.0) == request


# --- parameters ---------------------------------------------------------------------------------------


def test_parameters_are_put_in_converses_range_and_the_rest_is_left_out() -> None:
    body = sent(
        {
            "temperature": 1.7,
            "max_tokens": 5,
            "seed": 1,
            "n": 1,
            "frequency_penalty": 1,
            "stop": "",
        },
        NOVA,
    )
    assert body["inferenceConfig"] == {"maxTokens": 5, "temperature": 1.0}
    assert set(body) == {"messages", "inferenceConfig"}


def test_what_the_endpoint_does_not_support_is_left_out() -> None:
    asked = {"temperature": 0.5, "top_p": 0.5, "top_k": 5, "stop": "x", "tools": [TOOL]}
    body = sent(
        {**asked, "max_tokens": 5, "tool_choice": "required"}, supported=frozenset({"max_tokens"})
    )
    assert body["inferenceConfig"] == {"maxTokens": 5}
    assert set(body) == {"messages", "inferenceConfig"}


def test_recent_claude_gets_one_of_the_two_samplings_and_the_latest_none() -> None:
    asked = {"temperature": 0.5, "top_p": 0.5}
    assert set(sent({**asked, "top_k": 5}, NEWEST)) == {"messages"}
    assert sent(asked)["inferenceConfig"] == {"temperature": 0.5}
    assert sent(asked, SONNET_4)["inferenceConfig"] == {"temperature": 0.5, "topP": 0.5}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (SONNET, {"top_k": 7}),
        (NOVA, {"inferenceConfig": {"topK": 7}}),
        ("cohere.command-r-v1:0", {"k": 7}),
        ("qwen.qwen3-32b-v1:0", None),
    ],
)
def test_top_k_is_where_the_model_has_it(model: str, fields: Any) -> None:
    assert sent({"top_k": 7}, model).get("additionalModelRequestFields") == fields


def test_converses_own_fields_travel_as_written() -> None:
    own = {
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "performanceConfig": {"latency": "optimized"},
        "requestMetadata": {"a": "b"},
        "additionalModelRequestFields": {"top_k": 9, "other": True},
    }
    body = sent({**own, "top_k": 7, "service_tier": "default"})
    assert {name: body[name] for name in own} == own
    assert body["serviceTier"] == {"type": "default"}
    assert refused({"additionalModelRequestFields": [1]}).param == "additionalModelRequestFields"


# --- reasoning ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "asked", "fields"),
    [
        (SONNET, {"effort": "high"}, {"thinking": {"type": "enabled", "budget_tokens": 3200}}),
        (SONNET, {"effort": "minimal"}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (SONNET, {"enabled": True}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (SONNET, {"max_tokens": 10}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (SONNET, {"max_tokens": 2048}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (SONNET, {"effort": "none"}, None),
        (SONNET, {"exclude": True}, None),
        (
            "anthropic.claude-sonnet-4-6",
            {"max_tokens": 2048},
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
        (
            "anthropic.claude-sonnet-4-6",
            {"effort": "minimal"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        (
            NEWEST,
            {"max_tokens": 3800},
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "xhigh"},
            },
        ),
        (
            "us.amazon.nova-2-lite-v1:0",
            {"effort": "xhigh"},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
        ),
        (
            "us.amazon.nova-2-lite-v1:0",
            {"enabled": False},
            {"reasoningConfig": {"type": "disabled"}},
        ),
        ("openai.gpt-oss-120b-1:0", {"effort": "medium"}, {"reasoning_effort": "medium"}),
        ("openai.gpt-oss-120b-1:0", {"effort": "none"}, None),
        ("qwen.qwen3-32b-v1:0", {"effort": "low"}, {"reasoning_config": "low"}),
        ("moonshot.kimi-k2-thinking", {"effort": "low"}, None),
        ("anthropic.claude-3-haiku-20240307-v1:0", {"effort": "low"}, None),
    ],
)
def test_reasoning_is_asked_for_as_the_model_takes_it(
    model: str, asked: dict[str, Any], fields: Any
) -> None:
    body = sent({"reasoning": asked, "max_tokens": 4000}, model)
    assert body.get("additionalModelRequestFields") == fields


def test_the_documented_budgets_hold_at_their_bounds() -> None:
    thinking = sent({"reasoning": {"effort": "high"}}, limit=200_000)[
        "additionalModelRequestFields"
    ]
    assert thinking["thinking"]["budget_tokens"] == 128_000


def test_a_budget_leaves_room_for_the_answer() -> None:
    most = sent({"reasoning": {"max_tokens": 3000}, "max_tokens": 3000})
    assert most["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2999
    few = sent({"reasoning": {"effort": "low"}, "max_tokens": 1024})
    assert "additionalModelRequestFields" not in few


@pytest.mark.parametrize(
    "asked", [{"tools": [TOOL], "tool_choice": "required"}, {"response_format": WANTED}]
)
@pytest.mark.parametrize("effort", ["low", "high"])
def test_claude_does_not_think_where_it_must_call_a_tool(asked: Any, effort: str) -> None:
    body = sent({**asked, "reasoning": {"effort": effort}, "temperature": 0.5}, SONNET_4)
    assert "additionalModelRequestFields" not in body
    assert "auto" not in body["toolConfig"]["toolChoice"]
    assert body["inferenceConfig"] == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("model", "asked", "effort"),
    [
        (NEWEST, {"verbosity": "low"}, "low"),
        (NEWEST, {"verbosity": "low", "reasoning": {"effort": "high"}}, "low"),
        (SONNET, {"verbosity": "low"}, None),
        (NOVA, {"verbosity": "low"}, None),
    ],
)
def test_verbosity_is_claudes_effort(model: str, asked: Any, effort: str | None) -> None:
    fields = sent(asked, model).get("additionalModelRequestFields", {})
    assert fields.get("output_config", {}).get("effort") == effort


def test_thoughts_that_nobody_wants_stay_away() -> None:
    fields = sent({"reasoning": {"effort": "low", "exclude": True}}, NEWEST)
    assert fields["additionalModelRequestFields"]["thinking"]["display"] == "omitted"


def test_reasoning_that_is_mandatory_cannot_be_switched_off() -> None:
    always = Reasoning(supported=True, mandatory=True)
    error = refused({"reasoning": {"effort": "none"}}, NEWEST, reasoning=always)
    assert error.param == "reasoning.effort"


def test_reasoning_is_switched_off_where_there_is_a_switch() -> None:
    toggled = Reasoning(supported=True, toggle=True)
    body = sent({"reasoning": {"enabled": False}}, NEWEST, reasoning=toggled)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}


def test_thinking_claude_gets_nothing_that_it_refuses_then() -> None:
    body = sent(
        {
            "reasoning": {"effort": "low"},
            "max_tokens": 9000,
            "temperature": 0.2,
            "top_k": 5,
            "top_p": 0.5,
        }
    )
    assert body["inferenceConfig"] == {"maxTokens": 9000}
    assert set(body["additionalModelRequestFields"]) == {"thinking"}
    assert "topP" in sent({"reasoning": {"effort": "low"}, "top_p": 0.97})["inferenceConfig"]


def test_nova_at_its_highest_gets_no_limits() -> None:
    body = sent(
        {"reasoning": {"effort": "high"}, "max_tokens": 900, "temperature": 1, "stop": "x"},
        "us.amazon.nova-2-lite-v1:0",
    )
    assert body["inferenceConfig"] == {"stopSequences": ["x"]}


def test_a_turn_that_began_without_thoughts_goes_on_without_them() -> None:
    """Claude refuses a budget then, as when the turn began at another provider."""
    history = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
    ]
    asked = {"messages": history, "tools": [TOOL], "reasoning": {"effort": "low"}}
    assert "additionalModelRequestFields" not in sent(asked)
    assert "additionalModelRequestFields" in sent(asked, NEWEST)
    over = [*history, {"role": "assistant", "content": "Done"}, {"role": "user", "content": "Why?"}]
    assert "additionalModelRequestFields" in sent({**asked, "messages": over})


def test_thoughts_go_back_signed_or_not_at_all() -> None:
    details = [
        {"type": "reasoning.text", "text": "Let me ", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "see", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "", "signature": "s1", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "EuIB", "format": "anthropic-claude-v1"},
        {
            "type": "reasoning.text",
            "text": "theirs",
            "signature": "x",
            "format": "google-gemini-v1",
        },
        {"type": "reasoning.text", "text": "unsigned", "format": "unknown"},
        {"type": "reasoning.summary", "summary": "short", "format": "openai-responses-v1"},
    ]
    history = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello", "reasoning_details": details},
        {"role": "user", "content": "And?"},
    ]
    answer = sent({"messages": history})["messages"][1]["content"]
    assert answer == [
        {"reasoningContent": {"reasoningText": {"text": "Let me see", "signature": "s1"}}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"EuIB").decode()}},
        {"text": "Hello"},
    ]
    assert sent({"messages": history}, NOVA)["messages"][1]["content"] == [{"text": "Hello"}]


# --- tools --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "look"}}, {"tool": {"name": "look"}}),
        (None, None),
    ],
)
def test_tool_choices_have_their_names(choice: Any, told: Any) -> None:
    body = sent({"tools": [TOOL], "tool_choice": choice})
    assert body["toolConfig"].get("toolChoice") == told
    assert "toolChoice" not in sent({"tools": [TOOL], "tool_choice": choice}, LLAMA)["toolConfig"]


def test_a_tool_without_parameters_takes_an_empty_object() -> None:
    tools = [
        {"type": "function", "function": {"name": "a", "description": "", "strict": True}},
        {"type": "function", "function": {"name": "b", "parameters": None}},
        {"type": "web_search"},
    ]
    told = sent({"tools": tools})["toolConfig"]["tools"]
    empty = {"json": {"type": "object", "properties": {}}}
    assert told == [
        {"toolSpec": {"name": "a", "inputSchema": empty, "strict": True}},
        {"toolSpec": {"name": "b", "inputSchema": empty}},
    ]


def test_no_calls_are_wanted_where_none_were_made() -> None:
    assert "toolConfig" not in sent({"tools": [TOOL], "tool_choice": "none"})


@pytest.mark.parametrize("tools", [{"tools": [TOOL], "tool_choice": "none"}, {}])
def test_a_conversation_with_calls_keeps_their_tools_and_words_against_more(tools: Any) -> None:
    history = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
    ]
    body = sent({"messages": history, **tools})
    (spec,) = body["toolConfig"]["tools"]
    assert spec["toolSpec"]["name"] == "look"
    assert "do not call any tool" in body["system"][0]["text"]


# --- the format of the answer -------------------------------------------------------------------------


def test_a_schema_is_asked_for_natively_with_closed_objects() -> None:
    told = sent({"response_format": WANTED})["outputConfig"]["textFormat"]
    schema = told["structure"]["jsonSchema"]
    assert (told["type"], schema["name"]) == ("json_schema", "Thing")
    assert json.loads(schema["schema"]) == {**SCHEMA, "additionalProperties": False}
    open_models = sent({"response_format": WANTED}, "google.gemma-3-27b-it")["outputConfig"]
    assert json.loads(open_models["textFormat"]["structure"]["jsonSchema"]["schema"]) == SCHEMA


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        (NOVA, SCHEMA),
        (SONNET_4, SCHEMA),
        (SONNET, {"type": "object", "additionalProperties": True}),
    ],
)
def test_elsewhere_a_tool_takes_the_answer(model: str, schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "Thing", "schema": schema}}
    body = sent({"response_format": wanted}, model)
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "fairlead_answer"}}
    assert body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"] == {"json": schema}
    beside = sent({"response_format": wanted, "tools": [TOOL], "tool_choice": "auto"}, model)
    assert beside["toolConfig"]["toolChoice"] == {"any": {}}
    assert len(beside["toolConfig"]["tools"]) == 2


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({"response_format": WANTED}, LLAMA),
        ({"response_format": {"type": "json_object"}}, SONNET),
    ],
)
def test_where_no_tool_can_be_forced_words_ask_for_json(fields: Any, model: str) -> None:
    body = sent(fields, model)
    assert "JSON" in body["system"][-1]["text"]
    assert "toolConfig" not in body
    assert "outputConfig" not in body


def test_text_is_what_comes_anyway() -> None:
    assert set(sent({"response_format": {"type": "text"}})) == {"messages"}


# --- caching ------------------------------------------------------------------------------------------

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
POINT = {"cachePoint": {"type": "default"}}


def marked(text: str, mark: Any = MARK) -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": mark}


def test_marks_follow_what_they_cache() -> None:
    asked = {
        "messages": [
            {"role": "system", "content": [marked("Long.", HOUR)]},
            {"role": "user", "content": [marked("First"), {"type": "text", "text": "Second"}]},
        ],
        "tools": [{**TOOL, "cache_control": MARK}],
    }
    body = sent(asked)
    assert body["system"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["messages"][0]["content"] == [{"text": "First"}, POINT, {"text": "Second"}]
    assert body["toolConfig"]["tools"][1] == POINT
    assert len(sent(asked, NOVA)["toolConfig"]["tools"]) == 1
    assert "cachePoint" not in json.dumps(sent(asked, LLAMA))


def test_a_mark_for_all_goes_to_the_end_unless_marks_are_used_up() -> None:
    four = [marked(str(number)) for number in range(4)]
    few = sent({"cache_control": MARK})["messages"][0]["content"]
    assert few == [{"text": "Hello"}, POINT]
    many = sent(
        {
            "cache_control": MARK,
            "messages": [{"role": "user", "content": [*four, {"type": "text", "text": "x"}]}],
        }
    )
    assert json.dumps(many).count("cachePoint") == 4


def test_a_mark_inside_a_tools_result_follows_the_result() -> None:
    history = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": [marked("seen")]},
    ]
    content = sent({"messages": history, "tools": [TOOL]})["messages"][2]["content"]
    assert content[0]["toolResult"]["content"] == [{"text": "seen"}]
    assert content[1] == POINT
