"""A conversation and its files, as they are sent to Bedrock."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from fairlead.core.errors import ErrorType
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.providers.bedrock import BedrockChat
from tests.bedrock_sending import (
    CALL,
    LLAMA,
    NOVA,
    PDF,
    PNG,
    SONNET,
    TOOL,
    WITH_KEY,
    an_offer,
    blocks,
    file,
    image,
    refused,
    sent,
)

# --- messages -----------------------------------------------------------------------------------------


def test_neighbours_of_one_role_are_one_message_and_the_system_is_apart() -> None:
    body = sent(
        {
            "messages": [
                {"role": "system", "content": "One."},
                {"role": "user", "content": "Look", "name": "ann"},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": ""},
                {"role": "developer", "content": "Two."},
                {"role": "user", "content": "And?"},
            ],
            "tools": [TOOL],
        }
    )
    assert body["system"] == [{"text": "One."}, {"text": "Two."}]
    result = {"toolUseId": "c1", "content": [{"text": "(no output)"}]}
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "ann: Look"}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "c1", "name": "look", "input": {}}}],
        },
        {"role": "user", "content": [{"toolResult": result}, {"text": "And?"}]},
    ]


def test_a_model_that_wants_it_gets_an_answer_between_result_and_user() -> None:
    history = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "user", "content": "And?"},
    ]
    told = sent({"messages": history, "tools": [TOOL]}, LLAMA)["messages"]
    assert [message["role"] for message in told] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]


def test_a_system_alone_speaks_as_the_user() -> None:
    body = sent({"messages": [{"role": "system", "content": "Say hi."}]})
    assert body["messages"] == [{"role": "user", "content": [{"text": "Say hi."}]}]
    assert "system" not in body


def test_empty_text_is_left_out() -> None:
    body = sent(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": ""}, {"type": "text", "text": "a"}],
                },
                {"role": "assistant", "content": ""},
                {"role": "user", "content": "b"},
            ]
        }
    )
    assert body["messages"] == [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]


def test_a_prompt_is_the_users() -> None:
    request = OpenAICompletions().decode(b'{"model":"m","prompt":["Once"],"stop":["."]}')
    body = json.loads(BedrockChat().encode(request, an_offer(), WITH_KEY).body)
    assert body["messages"] == [{"role": "user", "content": [{"text": "Once"}]}]
    assert body["inferenceConfig"] == {"stopSequences": ["."]}


@pytest.mark.parametrize(("model", "text"), [(SONNET, "The answer:"), (NOVA, "The answer:  \n")])
def test_a_prefill_for_claude_ends_in_a_word(model: str, text: str) -> None:
    history = [
        {"role": "user", "content": "Say"},
        {"role": "assistant", "content": "The answer:  \n"},
    ]
    assert sent({"messages": history}, model)["messages"][-1]["content"] == [{"text": text}]


def test_ids_are_written_in_the_characters_that_converse_takes() -> None:
    ids = ["call|1", "call 1", "x" * 70, "toolu_01.a:b-c"]
    calls = [{**CALL, "id": call_id} for call_id in ids]
    results = [{"role": "tool", "tool_call_id": call_id, "content": "r"} for call_id in ids]
    body = sent(
        {
            "messages": [
                {"role": "user", "content": "Look"},
                {"role": "assistant", "tool_calls": calls},
                *results,
            ],
            "tools": [TOOL],
        }
    )
    made = [block["toolUse"]["toolUseId"] for block in body["messages"][1]["content"]]
    answered = [block["toolResult"]["toolUseId"] for block in body["messages"][2]["content"]]
    assert made == answered
    assert len(set(made)) == 4
    assert all(len(made_id) <= 64 and "|" not in made_id and " " not in made_id for made_id in made)
    assert made[3] == "toolu_01.a:b-c"


@pytest.mark.parametrize(
    ("arguments", "sent_as"),
    [
        ("", {}),
        ('{"n": 1.0}', {"n": 1.0}),
        ('{"n": ', {"invalid_arguments": '{"n": '}),
        ("[1]", {"invalid_arguments": "[1]"}),
    ],
)
def test_arguments_are_sent_as_an_object(arguments: str, sent_as: Any) -> None:
    call = {**CALL, "function": {"name": "look", "arguments": arguments}}
    history = [{"role": "user", "content": "Look"}, {"role": "assistant", "tool_calls": [call]}]
    body = sent({"messages": history, "tools": [TOOL]})
    assert body["messages"][1]["content"][0]["toolUse"]["input"] == sent_as


def test_a_tool_that_failed_is_said_to_have() -> None:
    history = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": [image(PNG)], "is_error": True},
    ]
    (block,) = sent({"messages": history, "tools": [TOOL]})["messages"][2]["content"]
    assert block["toolResult"]["status"] == "error"
    assert block["toolResult"]["content"][0]["image"]["format"] == "png"


def test_the_forerunner_of_tool_calls_is_understood() -> None:
    history = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "seen"},
    ]
    told = sent({"messages": history, "tools": [TOOL]})["messages"]
    assert told[1]["content"][0]["toolUse"]["toolUseId"] == "look"
    assert told[2]["content"][0]["toolResult"]["toolUseId"] == "look"


# --- files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "kind", "file_format"),
    [
        (image(PNG), "image", "png"),
        (image("data:image/jpg;base64,AAAA"), "image", "jpeg"),
        (file(PNG), "image", "png"),
        ({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}, "video", "mp4"),
        ({"type": "video_url", "video_url": {"url": "s3://bucket/a.3gp"}}, "video", "three_gp"),
        (file("s3://bucket/a.md"), "document", "md"),
        (file("data:text/x-python;base64,AAAA", "a.py"), "document", "txt"),
        (file("data:application/octet-stream;base64,AAAA", "a.DOCX"), "document", "docx"),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            "audio",
            "wav",
        ),
    ],
)
def test_a_file_is_what_its_data_says(part: dict[str, Any], kind: str, file_format: str) -> None:
    (block,) = [b for b in blocks(part) if "text" not in b]
    assert block[kind]["format"] == file_format
    assert block[kind]["source"]


def test_a_data_url_in_plain_text_becomes_bytes() -> None:
    (_, block) = blocks(file("data:text/plain,caf%C3%A9", "a.txt"))
    assert base64.b64decode(block["document"]["source"]["bytes"]).decode() == "café"


def test_documents_have_plain_and_different_names_and_a_word_beside_them() -> None:
    names = [
        "a/b_ü.pdf",
        "b.pdf",
        "x" * 300 + ".pdf",
        "x" * 300 + ".pdf",
        None,
        "?.pdf",
        "b (2).pdf",
        "b.pdf",
    ]
    first, *rest = blocks(*(file(PDF, name) for name in names))
    told = [block["document"]["name"] for block in rest]
    assert "text" in first
    assert told[:2] == ["b", "b (2)"]
    assert len(set(told)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9()]+( [A-Za-z0-9()]+)*", name) for name in told)
    assert max(map(len, told)) <= 200


@pytest.mark.parametrize(
    ("part", "param", "error_type"),
    [
        (image("https://a.test/a.png"), "image_url.url", ErrorType.INVALID_REQUEST),
        (image("data:image/tiff;base64,AAAA"), "image_url.url", ErrorType.UNSUPPORTED_IMAGE_FORMAT),
        (image("data:image/png;base64,"), "image_url.url", ErrorType.INVALID_REQUEST),
        (file("https://a.test/a.pdf"), "file.file_data", ErrorType.INVALID_REQUEST),
        (
            file("data:application/zip;base64,AAAA", "a.zip"),
            "file.file_data",
            ErrorType.INVALID_REQUEST,
        ),
        ({"type": "file", "file": {"file_id": "f1"}}, "file.file_id", ErrorType.INVALID_REQUEST),
        ({"type": "hologram", "hologram": {}}, "type", ErrorType.INVALID_REQUEST),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "aiff"}},
            "input_audio.format",
            ErrorType.INVALID_REQUEST,
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place(
    part: dict[str, Any], param: str, error_type: ErrorType
) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "See"}, part]}]
    error = refused({"messages": messages})
    assert error.param == f"messages[0].content[1].{param}"
    assert error.error_type is error_type
