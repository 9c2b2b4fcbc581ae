"""What callers of the Messages dialect ask, in our vocabulary."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import (
    AssistantMessage,
    CacheControl,
    ChatRequest,
    FilePart,
    ImagePart,
    OtherPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
    WireFormat,
)
from fairlead.core.errors import RequestInvalid
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.wire.anthropic_reasoning import signature
from tests.recordings import Recording, load_native

DIALECT = AnthropicMessages()
PIXEL = "iVBORw0KGgo="
HELLO: dict[str, Any] = {"role": "user", "content": "hello"}
RECORDED = load_native("anthropic")


def decode(**fields: Any) -> ChatRequest:
    given: dict[str, Any] = {"model": "a/b", "max_tokens": 100, "messages": [HELLO], **fields}
    return DIALECT.decode(json.dumps(given).encode())


def messages(*said: Any, **fields: Any) -> list[Any]:
    read = decode(messages=list(said), **fields).body.messages
    assert read is not None
    return read


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


# --- messages ---


def test_plain_words_are_strings() -> None:
    assert messages(HELLO, {"role": "assistant", "content": "hi"}, user(text("bye"))) == [
        UserMessage("hello"),
        AssistantMessage("hi"),
        UserMessage("bye"),
    ]


def test_the_system_prompt_comes_first_with_its_marks() -> None:
    marked = text("b", cache_control={"type": "ephemeral", "ttl": "1h"})
    (system, _) = messages(HELLO, system=[text("a"), marked])
    assert system == SystemMessage([TextPart("a"), TextPart("b", CacheControl("ephemeral", "1h"))])
    assert messages(HELLO, system="a")[0] == SystemMessage("a")
    assert messages(HELLO, system="") == messages(HELLO, system=[]) == [UserMessage("hello")]


def test_a_system_message_in_the_middle_stays_there() -> None:
    read = messages(HELLO, {"role": "system", "content": [text("now")]}, HELLO)
    assert read == [UserMessage("hello"), SystemMessage("now"), UserMessage("hello")]


def test_images_become_addresses() -> None:
    inline = {"type": "base64", "media_type": "image/webp", "data": PIXEL}
    (message,) = messages(
        user(
            {"type": "image", "source": inline, "cache_control": {"type": "ephemeral"}},
            {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}},
        )
    )
    first, second = message.content
    assert first.image_url.url == f"data:image/webp;base64,{PIXEL}"
    assert first.cache_control == CacheControl()
    assert second.image_url.url == "https://a.test/b.png"
    assert decode(messages=[user({"type": "image", "source": inline})]).modalities == {"image"}


def test_documents_become_files_or_text() -> None:
    def document(source: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"type": "document", "source": source, **more}

    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    request = decode(
        messages=[
            user(
                document(pdf, title="report.pdf", context="of 2025"),
                document(pdf),
                document({"type": "url", "url": "https://a.test/b.pdf"}),
                document({"type": "file", "file_id": "file-1"}),
                document({"type": "text", "media_type": "text/plain", "data": "words"}, title="T"),
                document({"type": "content", "content": "more"}),
                document({"type": "content", "content": [text("x"), text("y")]}, title="U"),
            )
        ]
    )
    assert request.body.messages is not None
    (message,) = request.body.messages
    assert isinstance(message.content, list)
    told = [
        (part.file.filename, part.file.file_data, part.file.file_id)
        if isinstance(part, FilePart)
        else part
        for part in message.content
    ]
    assert told == [
        TextPart("of 2025"),
        ("report.pdf", "data:application/pdf;base64,JVBERi0=", None),
        ("document.pdf", "data:application/pdf;base64,JVBERi0=", None),
        (None, "https://a.test/b.pdf", None),
        (None, None, "file-1"),
        TextPart("T\n\nwords"),
        TextPart("more"),
        TextPart("U"),
        TextPart("x"),
        TextPart("y"),
    ]
    assert request.modalities == {"file"}


def test_calls_and_their_results_are_messages() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"z": 1, "a": [2]}}
    read = messages(
        HELLO,
        assistant(text("I look."), call, {**call, "id": "call/2", "input": {}}),
        user(
            text("Here."),
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
            {"type": "tool_result", "tool_use_id": "call/2", "is_error": True,
             "content": [text("boom")]},
        ),
    )  # fmt: skip
    _, said, first, second, rest = read
    assert said.content == "I look."
    assert [(c.id, c.function.name, c.function.arguments) for c in said.tool_calls] == [
        ("toolu_1", "f", '{"z": 1, "a": [2]}'),
        ("call/2", "f", "{}"),
    ]
    assert first == ToolMessage("sunny", tool_call_id="toolu_1")
    assert second == ToolMessage("boom", tool_call_id="call/2", is_error=True)
    assert rest == UserMessage("Here.")


@pytest.mark.parametrize("given", [{}, {"input": None}])
def test_a_call_without_input_has_an_empty_one(given: dict[str, Any]) -> None:
    (said,) = messages(assistant({"type": "tool_use", "id": "t", "name": "f", **given}))
    assert said.content is None
    assert said.tool_calls[0].function.arguments == "{}"


def test_a_result_may_hold_anything() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}}
    result = {"type": "tool_result", "tool_use_id": "t"}
    found = {"type": "search_result", "source": "s", "title": "T", "content": [text("w")]}
    marked = {**result, "content": "a", "cache_control": {"type": "ephemeral"}}
    read = messages(user({**result, "content": [text("a"), image, found]}, result, marked))
    seen, nothing, kept = read
    assert isinstance(seen.content[1], ImagePart)
    assert seen.content[2] == TextPart("T\ns\n\nw")
    assert nothing.content == ""
    assert kept.content == [TextPart("a", CacheControl())]


def test_a_summary_of_reasoning_is_what_was_thought() -> None:
    """For providers that take back words alone, as from callers of every other dialect."""
    detail = {"type": "reasoning.summary", "summary": "hm", "format": "openai-responses-v1"}
    thinking = {"type": "thinking", "thinking": "hm", "signature": signature(detail)}
    (said,) = messages(assistant(thinking, text("yes")))
    assert said.reasoning == "hm"


def test_images_that_a_model_made_go_back_apart_from_its_words() -> None:
    """As an answer told them. Among its words no provider takes one, and some refuse the whole request."""
    source = {"type": "base64", "media_type": "image/png", "data": "x"}
    (said,) = messages(assistant(text("Here."), {"type": "image", "source": source}))
    assert said.content == "Here."
    assert [image.image_url.url for image in said.images] == ["data:image/png;base64,x"]
    (said,) = messages(assistant({"type": "image", "source": {"type": "file", "file_id": "f"}}))
    assert not said.images


def test_reasoning_keeps_its_signature() -> None:
    (said,) = messages(
        assistant(
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "secret"},
            {"type": "thinking", "thinking": "so", "signature": ""},
            text("yes"),
        )
    )
    assert said.content == "yes"
    assert said.reasoning == "hmso"
    assert json.loads(msgspec.json.encode(said.reasoning_details)) == [
        {"type": "reasoning.text", "text": "hm", "signature": "sig",
         "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "secret",
         "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "text": "so", "format": "unknown", "index": 2},
    ]  # fmt: skip


def test_blocks_we_do_not_know_ride_along() -> None:
    odd = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"b": 1, "a": 2}}
    (asked, said) = messages(user(text("a"), odd), assistant(odd, text("b")))
    for message, place in ((asked, 1), (said, 0)):
        part = message.content[place]
        assert isinstance(part, OtherPart)
        assert bytes(part.part) == json.dumps(odd).encode()


# --- parameters ---


def test_the_callers_own_fields_are_kept_as_written() -> None:
    request = decode(context_management={"edits": []}, tools=[{"type": "bash_1", "name": "bash"}])
    assert request.source is WireFormat.ANTHROPIC_MESSAGES
    assert bytes(request.fields["context_management"]) == b'{"edits": []}'
    assert bytes(request.fields["tools"]) == b'[{"type": "bash_1", "name": "bash"}]'
    assert request.body.tools is None


def test_parameters_have_our_names() -> None:
    body = decode(
        stop_sequences=["a", "b"], temperature=0.5, top_p=0.9, top_k=4, stream=True,
        metadata={"user_id": "u"}, service_tier="standard_only", session_id="s",
        models=["c/d"], provider={"order": ["x"]}, plugins=[{"id": "web"}], route="fallback",
        cache_control={"type": "ephemeral"}, trace={"trace_id": "t"},
    ).body  # fmt: skip
    assert (body.model, body.models, body.max_tokens, body.stream) == ("a/b", ["c/d"], 100, True)
    assert (body.stop, body.temperature, body.top_p, body.top_k) == (["a", "b"], 0.5, 0.9, 4)
    assert (body.user, body.service_tier, body.session_id) == ("u", "default", "s")
    assert body.provider is not None
    assert not isinstance(body.provider, str)
    assert body.provider.order == ["x"]
    assert body.cache_control == CacheControl()
    assert body.metadata is None
    assert decode(user="v", metadata={"user_id": "u"}).body.user == "v"
    assert decode(speed="fast").body.service_tier == "priority"
    assert decode(stop_sequences=[]).body.stop is None


def test_fallbacks_are_models() -> None:
    assert decode(fallbacks=[{"model": "c/d"}, {"model": "e/f"}]).body.models == ["c/d", "e/f"]


def test_tools_are_functions() -> None:
    schema = {"type": "object", "properties": {"z": {}, "a": {}}}
    body = decode(
        tools=[
            {"name": "f", "description": "d", "input_schema": schema, "strict": True,
             "cache_control": {"type": "ephemeral"}},
            {"type": "custom", "name": "g", "input_schema": {}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    ).body  # fmt: skip
    assert body.tools is not None
    first, second = body.tools
    assert first.type == second.type == "function"
    assert first.function is not None
    assert first.function.strict is True
    assert json.dumps(schema).encode() == bytes(first.function.parameters)
    assert first.cache_control == CacheControl()
    assert json.loads(msgspec.json.encode(body.tool_choice)) == {
        "type": "function",
        "function": {"name": "f"},
    }
    assert body.parallel_tool_calls is False


@pytest.mark.parametrize(("theirs", "ours"), [("auto", "auto"), ("any", "required"), ("none",) * 2])
def test_tool_choices_have_our_names(theirs: str, ours: str) -> None:
    body = decode(tool_choice={"type": theirs}).body
    assert (body.tool_choice, body.parallel_tool_calls) == (ours, None)


@pytest.mark.parametrize(
    ("fields", "reasoning", "verbosity"),
    [
        ({}, None, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"max_tokens": 2000}, None),
        ({"thinking": {"type": "disabled"}}, {"enabled": False}, None),
        ({"thinking": {"type": "adaptive"}}, {"enabled": True}, None),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
            {"enabled": True, "effort": "xhigh"},
            None,
        ),
        ({"output_config": {"effort": "low"}}, None, "low"),
        (
            {
                "thinking": {"type": "enabled", "budget_tokens": 9},
                "output_config": {"effort": "low"},
            },
            {"max_tokens": 9},
            "low",
        ),
    ],
)
def test_thinking_is_a_wish_about_reasoning(
    fields: dict[str, Any], reasoning: dict[str, Any] | None, verbosity: str | None
) -> None:
    request = decode(**fields)
    assert json.loads(msgspec.json.encode(request.reasoning)) == reasoning
    assert request.body.verbosity == verbosity


@pytest.mark.parametrize("place", ["output_format", "output_config"])
def test_a_schema_for_the_answer_is_kept(place: str) -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object", "b": 1, "a": 2}}
    body = decode(**{place: wanted if place == "output_format" else {"format": wanted}}).body
    assert body.response_format is not None
    assert body.response_format.type == "json_schema"
    assert body.response_format.json_schema is not None
    assert bytes(body.response_format.json_schema.schema) == json.dumps(wanted["schema"]).encode()


def test_a_limit_may_be_left_to_the_provider() -> None:
    body = json.dumps({"model": "a/b", "messages": [HELLO], "system": "abc"}).encode()
    assert DIALECT.decode_count(body).characters == 8
    assert DIALECT.decode(body).max_tokens is None


def test_feature_flags_come_in_a_header_and_travel_with_the_fields() -> None:
    body = json.dumps({"model": "a/b", "messages": [HELLO], "max_tokens": 9}).encode()
    request = DIALECT.decode(body, {b"anthropic-beta": b"one-2025-01-01,two"})
    assert bytes(request.fields["betas"]) == b'"one-2025-01-01,two"'
    assert "betas" not in DIALECT.decode(body).fields


# --- what is wrong ---


def block(**fields: Any) -> dict[str, Any]:
    return {"messages": [HELLO, user(text("a"), fields)]}


AT = "messages[1].content[1]"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["a"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages[0].content[0]"),
        (block(a=1), f"{AT}.type"),
        (block(type="text"), f"{AT}.text"),
        (block(type="text", text=1), f"{AT}.text"),
        (block(type="image", source={"type": "base64"}), f"{AT}.source.data"),
        (block(type="image", source="x"), f"{AT}.source"),
        (block(type="document", source={"type": "url"}), f"{AT}.source.url"),
        (block(type="document", source={"type": "content"}), f"{AT}.source.content"),
        (block(type="tool_result"), f"{AT}.tool_use_id"),
        (
            block(type="tool_result", tool_use_id="t", content=[{"type": "text", "text": 1}]),
            f"{AT}.content[0].text",
        ),
        (
            {"messages": [assistant({"type": "tool_use", "id": "t", "name": "f", "input": 1})]},
            "messages[0].content[0].input",
        ),
        ({"messages": [assistant({"type": "thinking"})]}, "messages[0].content[0].thinking"),
        ({"system": [text("a"), {"type": "text"}]}, "system[1].text"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "1"}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 0}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "perhaps"}}, "thinking.type"),
        ({"output_config": {"effort": "utmost"}}, "output_config.effort"),
        ({"output_format": {"type": "json_schema", "schema": 1}}, "output_format.schema"),
        ({"fallbacks": [{"model": "a", "max_tokens": 1}]}, "fallbacks[0]"),
        ({"fallbacks": [{"model": "a"}] * 4}, "fallbacks"),
        ({"fallbacks": [{"model": "a"}], "models": ["b"]}, "fallbacks"),
        ({"session_id": "s" * 257}, "session_id"),
        ({"user": "u" * 257}, "user"),
        ({"metadata": {"user_id": "u" * 513}}, "metadata.user_id"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        decode(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages":"\xff"}', b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        DIALECT.decode(body)


def test_a_block_that_is_too_deep_is_refused() -> None:
    deep = b'{"type":"x","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    body = b'{"max_tokens":1,"messages":[{"role":"user","content":[%b]}]}' % deep
    with pytest.raises(RequestInvalid, match="too deeply"):
        DIALECT.decode(body)


@given(st.binary())
def test_arbitrary_bytes_are_refused_or_read(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        DIALECT.decode(body)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KINDS = ("text", "image", "document", "search_result", "tool_use", "tool_result", "thinking")


@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(KINDS)},
            optional=dict.fromkeys(("text", "source", "content", "input", "id", "name"), VALUES),
        )
    ),
    st.sampled_from(("user", "assistant", "system")),
)
def test_blocks_of_any_shape_are_read_or_refused(blocks: list[Any], role: str) -> None:
    refused: RequestInvalid | None = None
    try:
        decode(messages=[{"role": role, "content": blocks}])
    except RequestInvalid as error:
        refused = error
    assert refused is None or (refused.param or "").startswith("messages[0].content")


# --- recorded requests ---


def test_there_is_something_recorded() -> None:
    assert len(RECORDED) > 400


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in RECORDED])
def test_recorded_requests_are_understood(case: Recording) -> None:
    """Every word that the caller said is in what we read, once."""
    body = json.dumps(case.request).encode()
    request = (DIALECT.decode_count if "count_tokens" in case.path else DIALECT.decode)(body)
    read = request.body.messages
    assert read is not None
    told = json.loads(msgspec.json.encode(read))
    said = [*case.request["messages"], {"role": "system", "content": case.request.get("system")}]
    assert sorted(_texts(told)) == sorted(_texts(said))
    assert _calls(read) == [
        (block["id"], block["name"], block["input"])
        for message in case.request["messages"]
        for block in _blocks(message)
        if block["type"] == "tool_use"
    ]
    results = [message for message in read if isinstance(message, ToolMessage)]
    assert [(m.tool_call_id, m.is_error) for m in results] == [
        (block["tool_use_id"], block.get("is_error"))
        for message in case.request["messages"]
        for block in _blocks(message)
        if block["type"] == "tool_result"
    ]


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    return message["content"] if isinstance(message["content"], list) else []


def _calls(read: list[Any]) -> list[tuple[str, str, Any]]:
    return [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for message in read
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls or ()
    ]


def _texts(told: list[Any]) -> list[str]:
    """All words of messages in either form."""
    found: list[str] = []
    for message in told:
        content = message.get("content")
        if isinstance(content, str):
            found.append(content)
        for part in content if isinstance(content, list) else ():
            if part["type"] == "text":
                found.append(part["text"])
            elif part["type"] == "tool_result":
                found.extend(_texts([part]))
            elif part["type"] == "search_result":
                words = [piece["text"] for piece in part["content"]]
                found.append("\n".join([part["title"], part["source"], "", *words]))
            elif part["type"] == "document" and part["source"]["type"] == "text":
                found.append("\n\n".join(filter(None, (part.get("title"), part["source"]["data"]))))
            elif part["type"] == "thinking":
                found.append(part["thinking"])
        found.extend(detail.get("text") for detail in message.get("reasoning_details") or ())
    return [text for text in found if text]
