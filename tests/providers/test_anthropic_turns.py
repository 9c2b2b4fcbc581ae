"""A conversation as turns and blocks of the Messages format: nothing lost, and nothing that it would refuse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.errors import RequestInvalid
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.providers.anthropic_encoder import Platform, anthropic_betas, anthropic_body
from tests.providers.anthropic_asking import (
    CALL,
    PNG,
    asked,
    assistant,
    body_of,
    endpoint,
    result,
    sent,
    text,
    user,
)

# --- the conversation ---------------------------------------------------------------------------------


def test_instructions_stand_apart_wherever_they_were() -> None:
    body = sent(
        {"role": "system", "content": "Be brief."},
        user("Hi"),
        {"role": "developer", "content": [text("Be kind.", cache_control={"type": "ephemeral"})]},
    )
    assert body["system"] == [
        text("Be brief."),
        text("Be kind.", cache_control={"type": "ephemeral"}),
    ]
    assert body["messages"] == [user([text("Hi")])]


def test_instructions_alone_are_what_the_user_says() -> None:
    body = sent({"role": "system", "content": "Say hi."})
    assert "system" not in body
    assert body["messages"] == [user([text("Say hi.")])]


def test_messages_of_one_side_are_one_turn() -> None:
    body = sent(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert body["messages"] == [
        user([text("a"), text("b")]),
        assistant([text("c"), text("d")]),
        user([text("e")]),
    ]


def test_blank_text_is_left_out_and_empty_messages_with_it() -> None:
    body = sent(user("a"), assistant(""), user([text(" \n"), text("b")]))
    assert body["messages"] == [user([text("a"), text("b")])]


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(RequestInvalid):
        sent(user("  "))


def test_results_of_tools_come_first_in_the_users_turn() -> None:
    other = {**CALL, "id": "c2"}
    body = sent(
        user("Add"),
        assistant("Let me.", tool_calls=[CALL, other]),
        result("1"),
        user("Quick!"),
        result([text("2", cache_control={"type": "ephemeral"})], "c2", is_error=True),
    )
    assert body["messages"][1:] == [
        assistant(
            [
                text("Let me."),
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "add", "input": {"a": 1}},
            ]
        ),
        user(
            [
                {"type": "tool_result", "tool_use_id": "c1", "content": "1"},
                {
                    "type": "tool_result",
                    "tool_use_id": "c2",
                    "cache_control": {"type": "ephemeral"},
                    "content": [text("2")],
                    "is_error": True,
                },
                text("Quick!"),
            ]
        ),
    ]


def test_a_result_may_hold_an_image_or_nothing() -> None:
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    body = sent(user("x"), assistant(tool_calls=[CALL]), result([picture]))
    assert body["messages"][2]["content"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    ]
    body = sent(user("x"), assistant(tool_calls=[CALL]), result(""))
    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "c1"}]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ('{"a": 1.50}', {"a": 1.5}),
        ("", {}),
        ("  ", {}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": ', {"arguments": '{"a": '}),
        ("[1]", {"arguments": "[1]"}),
        ("[" * 100_000, {"arguments": "[" * 100_000}),
    ],
)
def test_arguments_become_an_object_whatever_the_model_wrote(arguments: str, value: Any) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": arguments}}
    body = sent(user("x"), assistant(tool_calls=[call]), result("1"))
    assert body["messages"][1]["content"][0]["input"] == value


def test_arguments_travel_byte_for_byte() -> None:
    call = {**CALL, "function": {"name": "add", "arguments": '{"b":1.0, "a":1e2}'}}
    raw = msgspec.json.encode(
        anthropic_body(asked(user("x"), assistant(tool_calls=[call])), endpoint())
    )
    assert b'"input":{"b":1.0, "a":1e2}' in raw


def test_ids_that_the_format_refuses_are_rewritten_alike_and_stay_different() -> None:
    calls = [{**CALL, "id": "functions.add:0"}, {**CALL, "id": "functions_add.0"}]
    body = sent(
        user("x"),
        assistant(tool_calls=calls),
        result("1", "functions.add:0"),
        result("2", "functions_add.0"),
    )
    made = [block["id"] for block in body["messages"][1]["content"]]
    answered = [block["tool_use_id"] for block in body["messages"][2]["content"]]
    assert made == answered
    assert len(set(made)) == 2
    assert all(call_id.replace("_", "").isalnum() for call_id in made)


def test_calls_and_results_without_ids_find_each_other() -> None:
    calls = [
        {"type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("f", "g")
    ]
    body = sent(
        user("x"),
        assistant(tool_calls=calls),
        {"role": "tool", "name": "g", "content": "2"},
        {"role": "tool", "content": "1"},
    )
    made = {block["name"]: block["id"] for block in body["messages"][1]["content"]}
    answered = {block["content"]: block["tool_use_id"] for block in body["messages"][2]["content"]}
    assert answered == {"2": made["g"], "1": made["f"]}


def test_the_forerunners_of_tool_calls_are_tool_calls() -> None:
    body = sent(
        user("x"),
        assistant(function_call={"name": "add", "arguments": "{}"}),
        {"role": "function", "name": "add", "content": "1"},
    )
    call, answer = body["messages"][1]["content"][0], body["messages"][2]["content"][0]
    assert (call["name"], answer["content"]) == ("add", "1")
    assert call["id"] == answer["tool_use_id"]


def test_names_stand_in_front_of_what_is_said() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    body = sent({**user("Hi"), "name": "Ada"}, {**user([picture]), "name": "Bob"})
    assert [b.get("text") for b in body["messages"][0]["content"]] == ["Ada: Hi", "Bob:", None]


def test_a_prefill_goes_through_without_white_space_at_its_end() -> None:
    body = sent(user("x"), assistant("Answer: \n"))
    assert body["messages"][-1] == assistant([text("Answer:")])


def test_a_refusal_is_what_the_assistant_said() -> None:
    body = sent(user("x"), assistant(refusal="No."), user("y"))
    assert body["messages"][1] == assistant([text("No.")])


def test_a_prompt_of_legacy_completions_is_what_the_user_says() -> None:
    request = OpenAICompletions().decode(b'{"prompt": "Once upon"}')
    assert body_of(request)["messages"] == [user([text("Once upon")])]
    with pytest.raises(RequestInvalid):
        body_of(OpenAICompletions().decode(b'{"prompt": ["a", "b"]}'))


# --- parts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,aGk="}},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="},
            },
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": "https://x.test/a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/csv;charset=utf-8;base64,w6k7MQ=="}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "é;1"},
            },
        ),
        (
            {"type": "file", "file": {"file_data": "data:,a%20b"}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "a b"},
            },
        ),
        (
            {"type": "file", "file": {"file_data": PNG}},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
            },
        ),
        (
            {"type": "file", "file": {"file_id": "file_1", "filename": "a.png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        ),
        (
            {"type": "file", "file": {"file_id": "file_1"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ),
        (
            {"type": "document", "source": {"type": "content", "content": "x"}},
            {"type": "document", "source": {"type": "content", "content": "x"}},
        ),
    ],
)
def test_parts_become_blocks(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert sent(user([part]))["messages"] == [user([block])]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}, ""),
        ({"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}}, ""),
        ({"type": "novelty", "x": 1}, ".type"),
        ({"type": "image_url", "image_url": {"url": "ftp://x.test/a.png"}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png"}}, ".image_url.url"),
        ({"type": "file", "file": {}}, ".file"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}, ".file.file_data"),
    ],
)
def test_what_has_no_form_is_refused_with_its_path(part: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        sent(user([text("Look"), part]))
    assert caught.value.param == f"messages[0].content[1]{param}"


def test_a_platform_without_addresses_takes_data_only() -> None:
    platform = Platform(takes_urls=False)
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    assert body_of(asked(user([picture])), platform=platform)
    picture["image_url"] = {"url": "https://x.test/a.png"}
    with pytest.raises(RequestInvalid):
        body_of(asked(user([picture])), platform=platform)


def test_an_uploaded_file_needs_a_flag() -> None:
    assert anthropic_betas(
        asked(user([{"type": "file", "file": {"file_id": "f"}}])), endpoint()
    ) == ("files-api-2025-04-14",)
    assert anthropic_betas(asked(), endpoint()) == ()


# --- thinking of earlier turns ------------------------------------------------------------------------


def thought(words: str, signature: str | None = "c2ln", **fields: Any) -> dict[str, Any]:
    return {
        "type": "reasoning.text",
        "text": words,
        "signature": signature,
        "format": "anthropic-claude-v1",
        "index": 0,
        **fields,
    }


def test_signed_thinking_comes_back_in_its_order_before_all_else() -> None:
    hidden = {
        "type": "reasoning.encrypted",
        "data": "eHg=",
        "format": "anthropic-claude-v1",
        "index": 1,
    }
    body = sent(
        user("x"),
        assistant(
            "So:",
            tool_calls=[CALL],
            reasoning_details=[thought("Hm."), hidden, thought("Ah.", index=2)],
        ),
        result("1"),
    )
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHg="},
        {"type": "thinking", "thinking": "Ah.", "signature": "c2ln"},
        text("So:"),
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
    ]


def test_pieces_of_thinking_as_a_stream_told_them_are_joined() -> None:
    pieces = [thought("H", None), thought("m.", None), thought("", "c2ln")]
    del pieces[2]["text"]
    body = sent(user("x"), assistant("y", reasoning_details=pieces), user("z"))
    assert body["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "Hm.",
        "signature": "c2ln",
    }


@pytest.mark.parametrize(
    "detail",
    [
        thought("Hm.", None),
        thought("Hm.", ""),
        thought("Hm.", format="google-gemini-v1"),
        thought("Hm.", format="unknown"),
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
        {"type": "reasoning.encrypted", "data": "[REDACTED]"},
        {"type": "reasoning.summary", "summary": "Hm.", "format": "anthropic-claude-v1"},
    ],
)
def test_thinking_that_claude_did_not_sign_stays_behind(detail: dict[str, Any]) -> None:
    body = sent(user("x"), assistant("y", reasoning="Hm.", reasoning_details=[detail]), user("z"))
    assert body["messages"][1]["content"] == [text("y")]
