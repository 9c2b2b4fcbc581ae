"""Reading Responses requests: what they mean in our vocabulary, and what is said of those that are wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import AssistantMessage, ChatRequest, WireFormat
from fairlead.core.errors import ErrorType, RequestInvalid
from fairlead.core.ids import GenerationId
from fairlead.dialects.base import AnswerHead
from fairlead.dialects.openai_responses import OpenAIResponses
from fairlead.dialects.responses_tools import TOOL_NAME_CHARACTERS_MAX
from tests.dialects.responses_sdk import CLOSING
from tests.recordings import Recording, load_native

DIALECT = OpenAIResponses()
PNG = "data:image/png;base64,aGk="
PDF = "data:application/pdf;base64,JVBERi0="
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}


def asked(**fields: object) -> ChatRequest:
    fields.setdefault("model", "acme/one")
    fields.setdefault("input", "Hello")
    return DIALECT.decode(json.dumps(fields).encode())


def body_of(**fields: object) -> dict[str, Any]:
    """The request in our vocabulary, as the chat format would write it."""
    written: dict[str, Any] = json.loads(msgspec.json.encode(asked(**fields).body))
    return written


def messages_of(*items: dict[str, Any], **fields: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body_of(input=list(items), **fields)["messages"]
    return found


def call(name: str, call_id: str, arguments: str = "{}", **more: object) -> dict[str, Any]:
    fields = {"type": "function_call", "name": name, "call_id": call_id, "arguments": arguments}
    return {**fields, **more}


def output(call_id: str, said: object) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": said}


# --- items --------------------------------------------------------------------------------------------


def test_a_text_is_what_the_user_says_below_the_instructions() -> None:
    request = asked(instructions="Be brief.")
    assert request.source is WireFormat.OPENAI_RESPONSES
    assert request.characters == len("Hello") + len("Be brief.")
    assert body_of(instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
    ]


def test_messages_keep_their_roles_with_and_without_a_type() -> None:
    items = [
        {"role": "system", "content": "a"},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "b"}]},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "e", "annotations": [], "logprobs": []}],
        },
        {"role": "user", "content": [{"type": "input_text", "text": "f"}]},
    ]
    assert messages_of(*items) == [
        {"role": "system", "content": "a"},
        {"role": "developer", "content": "b"},
        {"role": "user", "content": "c"},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "d"}, {"type": "text", "text": "e"}],
        },
        {"role": "user", "content": "f"},
    ]


def test_parts_of_every_kind_are_put_into_ours() -> None:
    parts = [
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "image_url": PNG, "detail": "high"},
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
        {"type": "input_file", "file_url": "https://files.example/b.pdf"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "input_video", "video_url": "https://files.example/c.mp4"},
    ]
    (message,) = messages_of({"role": "user", "content": parts})
    assert message["content"] == [
        {"type": "text", "text": "Look."},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
        {"type": "file", "file": {"file_data": "https://files.example/b.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://files.example/c.mp4"}},
    ]
    request = asked(input=[{"role": "user", "content": parts}])
    assert request.modalities == {"image", "file", "audio", "video"}


def test_a_refusal_in_the_history_stays_one() -> None:
    item = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    (message,) = messages_of(item)
    assert message["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_cache_breakpoint_is_a_cache_mark() -> None:
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    part = {"type": "input_text", "text": "Long.", **mark}
    (message,) = messages_of({"role": "user", "content": [part]})
    assert message["content"][0]["cache_control"] == {}  # of the type "ephemeral", the default
    request = asked(input=[{"role": "user", "content": [part]}])
    (user,) = request.body.messages or ()
    assert isinstance(user.content, list)
    assert getattr(user.content[0], "cache_control").type == "ephemeral"  # noqa: B009


def test_a_turn_of_the_model_is_one_message() -> None:
    """Providers want the calls of a turn together, before their results."""
    turn = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"role": "assistant", "content": "I look."},
        call("a", "call_1", '{"x":1}', id="fc_1", status="completed"),
        call("b", "call_2"),
    ]
    results = [output("call_1", "one"), output("call_2", "two")]
    messages = messages_of({"role": "user", "content": "Hi"}, *turn, *results)
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assistant = messages[1]
    assert assistant["content"] == "I look."
    assert assistant["reasoning"] == "Hm."
    assert [made["function"] for made in assistant["tool_calls"]] == [
        {"name": "a", "arguments": '{"x":1}'},
        {"name": "b", "arguments": "{}"},
    ]
    assert [made["id"] for made in assistant["tool_calls"]] == ["call_1", "call_2"]
    assert messages[2:] == [
        {"role": "tool", "content": "one", "tool_call_id": "call_1"},
        {"role": "tool", "content": "two", "tool_call_id": "call_2"},
    ]


def test_a_result_may_hold_images_and_files() -> None:
    said = [
        {"type": "input_text", "text": "Here."},
        {"type": "input_image", "image_url": PNG},
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
    ]
    _, tool = messages_of(call("a", "call_1"), output("call_1", said))
    assert [part["type"] for part in tool["content"]] == ["text", "image_url", "file"]


def test_reasoning_is_kept_piece_by_piece() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "A"}, "B"],
        "content": [{"type": "reasoning_text", "text": "C"}],
        "encrypted_content": "c2VjcmV0",
    }
    (message,) = messages_of(item)
    common = {"id": "rs_1", "format": "openai-responses-v1"}
    assert message["reasoning_details"] == [
        {"type": "reasoning.summary", "summary": "A", **common, "index": 0},
        {"type": "reasoning.summary", "summary": "B", **common, "index": 1},
        {"type": "reasoning.text", "text": "C", **common, "index": 2},
        {"type": "reasoning.encrypted", "data": "c2VjcmV0", **common, "index": 3},
    ]
    assert message["reasoning"] == "C"


def test_signatures_and_formats_of_other_makers_are_kept() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_gen-01_0",  # an id that we gave, because its maker gave none
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm."}],
        "format": "anthropic-claude-v1",
        "signature": "sig",
    }
    ((detail,),) = (message["reasoning_details"] for message in messages_of(item))
    assert detail == {
        "type": "reasoning.text",
        "text": "Hm.",
        "signature": "sig",
        "id": None,
        "format": "anthropic-claude-v1",
        "index": 0,
    }


def test_what_the_callers_machine_ran_becomes_calls_of_functions() -> None:
    shell = {
        "type": "local_shell_call",
        "id": "ls_1",
        "call_id": "call_1",
        "status": "completed",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
    }
    ran = {"type": "local_shell_call_output", "id": "call_1", "output": "a.txt"}
    assistant, tool = messages_of(shell, ran)
    (made,) = assistant["tool_calls"]
    assert made["function"]["name"] == "local_shell"
    assert json.loads(made["function"]["arguments"]) == {"action": shell["action"]}
    assert tool == {"role": "tool", "content": "a.txt", "tool_call_id": "call_1"}


def test_an_image_that_the_model_made_is_one_of_its_images() -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="}
    (message,) = messages_of(item)
    assert message["images"] == [{"type": "image_url", "image_url": {"url": PNG}}]


def test_traces_of_what_a_provider_ran_are_left_out() -> None:
    trace = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}
    server = {"type": "openrouter:web_search", "id": "st_1", "status": "completed"}
    assert messages_of({"role": "user", "content": "Hi"}, trace, server) == [
        {"role": "user", "content": "Hi"}
    ]


def test_tools_that_items_bring_along_are_offered() -> None:
    found = {**WEATHER, "name": "found", "defer_loading": True}
    items: list[object] = [
        {"role": "user", "content": "Hi"},
        {"type": "additional_tools", "role": "developer", "tools": [WEATHER]},
        {"type": "tool_search_output", "call_id": None, "execution": "server", "tools": [found]},
    ]
    tools = body_of(input=items)["tools"]
    assert [tool["function"]["name"] for tool in tools] == ["weather", "found"]


# --- tools and settings -------------------------------------------------------------------------------


def test_a_flat_function_is_one_of_ours() -> None:
    (tool,) = body_of(tools=[WEATHER])["tools"]
    assert tool["type"] == "function"
    assert tool["function"] == {
        name: WEATHER[name] for name in ("name", "description", "parameters", "strict")
    }


def test_the_chat_spelling_of_a_function_is_understood() -> None:
    nested = {"type": "function", "function": {"name": "a", "parameters": {"type": "object"}}}
    (tool,) = body_of(tools=[nested])["tools"]
    assert tool["function"] == {"name": "a", "parameters": {"type": "object"}}


def test_a_custom_tool_is_offered_as_a_function_and_its_history_with_it() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
    custom = {"type": "custom", "name": "patch", "description": "Patch.", "format": grammar}
    items = [
        {"role": "user", "content": "Hi"},
        {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": 'a "b"'},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"},
    ]
    body = body_of(tools=[custom], input=items)
    function = body["tools"][0]["function"]
    assert function["name"] == "patch"
    assert "start: /.+/" in function["description"]
    assert function["parameters"]["required"] == ["input"]
    made = body["messages"][1]["tool_calls"][0]["function"]
    assert json.loads(made["arguments"]) == {"input": 'a "b"'}
    assert body["messages"][2]["content"] == "done"


def test_tools_of_a_namespace_have_names_that_fit() -> None:
    space = {"type": "namespace", "name": "mcp__hub.v1__", "tools": [WEATHER], "description": "-"}
    body = body_of(tools=[space], input=[call("weather", "c", namespace="mcp__hub.v1__")])
    name = body["tools"][0]["function"]["name"]
    assert name == "mcp__hub_v1__weather"
    assert body["messages"][0]["tool_calls"][0]["function"]["name"] == name
    long = {**space, "name": "n" * 100}
    (tool,) = body_of(tools=[long])["tools"]
    assert len(tool["function"]["name"]) == TOOL_NAME_CHARACTERS_MAX
    assert tool["function"]["name"].endswith("__weather")


def test_tools_that_nobody_here_runs_are_left_out() -> None:
    """Coding agents offer them to every model; to refuse them would lock these agents out."""
    hosted = [{"type": "web_search"}, {"type": "mcp", "server_label": "x"}, {"type": "new_thing"}]
    body = body_of(tools=hosted, tool_choice="auto", parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()
    assert body_of(tools=[*hosted, WEATHER], tool_choice={"type": "web_search"})["tools"]


@pytest.mark.parametrize(
    ("choice", "meaning"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "weather"}, "weather"),
        ({"type": "function", "function": {"name": "weather"}}, "weather"),
        ({"type": "custom", "name": "patch"}, "patch"),
        ({"type": "web_search_preview"}, None),
    ],
)
def test_the_choice_of_a_tool(choice: object, meaning: str | None) -> None:
    tools = [WEATHER, {"type": "custom", "name": "patch"}]
    found = body_of(tools=tools, tool_choice=choice).get("tool_choice")
    if isinstance(found, dict):
        assert found["type"] == "function"
        found = found["function"]["name"]
    assert found == meaning


def test_allowed_tools_are_the_only_ones_offered() -> None:
    other = {**WEATHER, "name": "other"}
    names = [{"type": "function", "name": "other"}, {"type": "web_search"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": names}
    body = body_of(tools=[WEATHER, other], tool_choice=choice)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["other"]
    assert body["tool_choice"] == "required"


def test_settings_have_their_names_in_our_vocabulary() -> None:
    schema = {"type": "object", "properties": {}}
    wanted = {"type": "json_schema", "name": "city", "schema": schema, "strict": True}
    body = body_of(
        max_output_tokens=100,
        text={"format": wanted, "verbosity": "low"},
        top_logprobs=3,
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "low", "summary": "auto"},
        metadata={"a": "b"},
        models=["acme/two"],
        provider={"only": ["acme"]},
        session_id="s",
        prompt_cache_key="k",
        service_tier="flex",
        stream=True,
        safety_identifier="someone",
    )
    expected = {
        "max_tokens": 100,
        "verbosity": "low",
        "logprobs": True,
        "top_logprobs": 3,
        "temperature": 0.5,
        "top_p": 0.9,
        "metadata": {"a": "b"},
        "models": ["acme/two"],
        "provider": {"only": ["acme"]},
        "session_id": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "stream": True,
        "user": "someone",
    }
    assert {name: body[name] for name in expected} == expected
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": schema, "strict": True},
    }
    reasoning = asked(reasoning={"effort": "low", "summary": "auto"}).reasoning
    assert reasoning is not None
    assert (reasoning.effort, reasoning.summary) == ("low", "auto")


def test_log_probabilities_are_asked_for_by_either_name() -> None:
    assert body_of(include=["message.output_text.logprobs"])["logprobs"] is True
    assert "logprobs" not in body_of(top_logprobs=0, include=["reasoning.encrypted_content"])


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_simple_formats(kind: str) -> None:
    found = body_of(text={"format": {"type": kind}}).get("response_format")
    assert found == (None if kind == "text" else {"type": "json_object"})


def test_nulls_are_as_if_absent() -> None:
    names = [
        "instructions", "temperature", "tools", "tool_choice", "text", "reasoning", "include",
        "metadata", "previous_response_id", "conversation", "background", "prompt", "store",
        "truncation", "max_output_tokens", "provider", "user", "stream", "top_logprobs",
    ]  # fmt: skip
    assert body_of(**dict.fromkeys(names)) == body_of()
    assert asked(reasoning={"effort": None, "summary": None}).reasoning is None


def test_fields_that_we_do_not_know_survive() -> None:
    request = asked(client_metadata={"a": 1}, input="Hi")
    assert bytes(request.fields["client_metadata"]) == b'{"a": 1}'


def test_store_is_taken_and_answered_with_what_is_done() -> None:
    asked(store=True)


# --- what is wrong ------------------------------------------------------------------------------------

USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["Hi"]}, "input[0]"),
        ({"input": [USER, {"role": "tool", "content": "x"}]}, "input[1].role"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call", "name": "a"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "a"}]}, "input[0].name"),
        ({"input": [{"type": "function_call_output", "output": "a"}]}, "input[0].call_id"),
        ({"input": [USER, {"type": "item_reference", "id": "x"}]}, "input[1]"),
        ({"input": [USER, {"type": "compaction", "encrypted_content": "x"}]}, "input[1]"),
        ({"input": [USER, {"type": "unheard_of"}]}, "input[1].type"),
        ({"tools": {}}, "tools"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{**WEATHER, "name": "x" * 65}]}, "tools[0].name"),
        ({"tools": [{**WEATHER, "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [{"type": "custom", "name": ""}]}, "tools[0].name"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]},
            "tools[0].tools[0].name",
        ),
        ({"tools": [WEATHER], "tool_choice": "any"}, "tool_choice"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}},
            "tool_choice.name",
        ),
        ({"tools": [WEATHER], "tool_choice": {"type": "function"}}, "tool_choice.name"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "mode": "x"}},
            "tool_choice.mode",
        ),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"effort": "low", "max_tokens": 5}}, "reasoning"),
        ({"metadata": {"a": 1}}, "metadata[...]"),
        ({"modalities": ["text", "audio"]}, "modalities[1]"),
        ({"truncation": "middle"}, "truncation"),
        ({"session_id": "x" * 257}, "session_id"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
    ],
)
def test_the_field_that_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as raised:
        asked(**fields)
    assert raised.value.param == param
    assert raised.value.problem().status == 400
    assert raised.value.error_type is ErrorType.INVALID_REQUEST


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"input": "\\ud8"}',
        b'{"input": [{"role": "user", "content": "\\x"}]}',
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        DIALECT.decode(body)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["user", "a", "message"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "name", "tools", "call_id"]), inner
        )
    ),
    max_leaves=8,
)
KINDS = [
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
    "local_shell_call", "local_shell_call_output", "image_generation_call", "tool_search_output",
    "agent_message", "compaction", "web_search_call",
]  # fmt: skip


@given(
    st.fixed_dictionaries(
        {
            "input": st.lists(st.fixed_dictionaries({"type": st.sampled_from(KINDS)}), max_size=3)
            | values
        },
        optional=dict.fromkeys(
            ("tools", "tool_choice", "text", "reasoning", "include", "prompt", "models"), values
        ),
    )
)
def test_any_json_is_read_or_refused(fields: dict[str, Any]) -> None:
    body = json.dumps(fields).encode()
    try:
        request = DIALECT.decode(body)
    except RequestInvalid:
        return
    assert request.body.messages
    head = AnswerHead(GenerationId("gen-1"), "m", "p", 0, request=request)
    assert DIALECT.stream(head).close(CLOSING)  # repeats the settings, whatever they are


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        DIALECT.decode(body)
    except RequestInvalid:
        return
    assert body


# --- recorded requests --------------------------------------------------------------------------------

RECORDED = load_native("responses")
# What cannot be served without a store, and what was wrong when it was recorded.
REFUSED = {
    "openai.responses-oinf-17a4f58dcc-1": "previous_response_id",
    "openai.responses-pai-cebc362f9f-0": "previous_response_id",
    "openai.responses-pai-129a0a9aac-1": "previous_response_id",
    "openai.responses-pai-6e1fc9263e-0": "background",
    "openai.responses-pai-1bf9b183cd-0": "background",
    "openai.responses-pai-10170cd935-1": "conversation",
    "openai.responses-pai-253d4ba838-1": "conversation",
    "openai.responses-pai-253d4ba838-2": "conversation",
    "openai.responses-pai-7f5866b78b-1": "conversation",
    "openai.responses-pai-4571cad824-1": "conversation",
    "openai.responses-pai-4571cad824-2": "conversation",
    "openai.responses-pai-1daf5c6b95-3": "input[6]",  # compacted history
    "openai.responses-pai-129a0a9aac-3": "input[0]",
    "openai.responses-pai-129a0a9aac-5": "input[0]",
    "openai.responses-pai-129a0a9aac-7": "input[0]",
    "openai.responses-pai-c995b15817-0": "temperature",  # -1: the provider refused it too
}


def test_there_are_recorded_requests() -> None:
    assert len(RECORDED) > 450
    assert {case.id for case in RECORDED} >= REFUSED.keys()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in RECORDED])
def test_every_recorded_request_keeps_its_meaning(case: Recording) -> None:
    body = json.dumps(case.request).encode()
    if case.id in REFUSED:
        with pytest.raises(RequestInvalid) as raised:
            DIALECT.decode(body)
        assert raised.value.param == REFUSED[case.id]
        return
    request = DIALECT.decode(body)
    messages = request.body.messages or []
    written = json.dumps(json.loads(msgspec.json.encode(messages)))
    for text in said_in(case.request):
        assert json.dumps(text)[1:-1] in written
    calls = [
        call.id
        for message in messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls or ()
    ]
    items = case.request["input"] if isinstance(case.request["input"], list) else []
    kinds = ("function_call", "custom_tool_call")
    assert calls == [item["call_id"] for item in items if item.get("type") in kinds]
    offered = {tool.function.name for tool in request.body.tools or () if tool.function}
    if not isinstance(case.request.get("tool_choice"), dict):
        flat = [tool for tool in case.request.get("tools") or () if tool["type"] == "function"]
        assert {tool.get("name") or tool["function"]["name"] for tool in flat} <= offered


def said_in(request: dict[str, Any]) -> list[str]:
    """Every text in a request, found naively."""
    items = request["input"]
    found = [request.get("instructions") or ""]
    if isinstance(items, str):
        return [*found, items]
    for item in items:
        for name in ("content", "output", "summary"):
            value = item.get(name)
            if isinstance(value, str):
                found.append(value)
            elif isinstance(value, list) and item.get("type") != "mcp_call":
                found += [part.get("text", "") for part in value]
        if item.get("type") == "reasoning":
            found.append(item.get("encrypted_content") or "")
        if item.get("type") == "function_call":
            found += [item["name"], item["arguments"]]
    return found
