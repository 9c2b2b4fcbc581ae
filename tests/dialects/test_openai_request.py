"""Reading requests: precise about what is wrong, lenient about what we do not know, nothing lost."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.chat import (
    ABSENT,
    ChatBody,
    ChatRequest,
    ImagePart,
    OtherPart,
    ReasoningSettings,
    TextPart,
    UserMessage,
    VideoPart,
)
from fairlead.core.errors import RequestInvalid
from fairlead.core.prompt import prompt_text
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.reading import measure
from fairlead.wire.openai_messages import PlainMessages
from tests.recordings import Recording, load, names

CHAT = OpenAIChat()
HELLO = [{"role": "user", "content": "Hello"}]


def decode(**fields: Any) -> ChatRequest:
    return CHAT.decode(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())


def refused(body: bytes) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        CHAT.decode(body)
    return caught.value


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [*HELLO, {"role": "tool", "content": ""}]},
        {"tools": [{"function": {"name": "f"}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
    ],
)
def test_what_some_providers_own_callers_leave_out_is_not_missed(fields: dict[str, Any]) -> None:
    """The format requires these; Z.AI's, Mistral's and Perplexity's callers do without."""
    OpenAIChat().decode(json.dumps({"messages": HELLO, **fields}).encode())


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "captain", "content": ""}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"top_a": -1}, "top_a"),
        ({"frequency_penalty": 3}, "frequency_penalty"),
        ({"presence_penalty": -3}, "presence_penalty"),
        ({"repetition_penalty": 2.5}, "repetition_penalty"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"top_logprobs": 5}, "top_logprobs"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"metadata": {str(i): "" for i in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: ""}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"session_id": "s" * 257}, "session_id"),
        ({"user": "u" * 257}, "user"),
        (
            {"tools": [{"type": "function", "function": {"name": "n" * 65}}]},
            "tools[0].function.name",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n" * 65}}},
            "response_format.json_schema.name",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a name"}}},
            "response_format.json_schema.name",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": 5}}},
            "response_format.json_schema.schema",
        ),
        ({"logprobs": 1}, "logprobs"),
        ({"prediction": "x"}, "prediction"),
        ({"audio": []}, "audio"),
        ({"image_config": "large"}, "image_config"),
        ({"web_search_options": True}, "web_search_options"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"effort": "low", "max_tokens": 5}}, "reasoning"),
        ({"reasoning": {"max_tokens": -5}}, "reasoning.max_tokens"),
        ({"reasoning": {"effort": "low"}, "reasoning_effort": "high"}, "reasoning_effort"),
        ({"reasoning": {"max_tokens": 10}, "reasoning_effort": "high"}, "reasoning_effort"),
        ({"provider": {"order": 5}}, "provider.order"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_the_offending_field_is_named(fields: dict[str, Any], param: str) -> None:
    problem = refused(json.dumps({"model": "m", "messages": HELLO, **fields}).encode()).problem()
    assert problem.param == param
    assert problem.status == 400
    assert f"`{param}`" in problem.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no body"),
        (b"  ", "no body"),
        (b'{"model":', "ends early, at byte 9"),
        (b'{"a":1,}', "at byte 7"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b"[]", "must be a JSON object"),
        (b'"hi"', "must be a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"x":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_said_to_be_none(body: bytes, words: str) -> None:
    assert words in refused(body).message


def test_only_the_legacy_format_asks_for_a_number_of_logprobs() -> None:
    legacy = OpenAICompletions().decode(b'{"model":"m","prompt":"x","logprobs":1}')
    assert legacy.body.logprobs == 1


def test_a_null_is_as_if_absent() -> None:
    absent = decode().body
    optional = [
        name
        for name in absent.__struct_fields__
        if name not in ("messages", "model") and getattr(absent, name) is None
    ]
    assert len(optional) > 40
    assert decode(**dict.fromkeys(optional)).body == absent
    for name in ("prediction", "audio", "image_config", "web_search_options"):
        decode(**{name: None})


def test_a_field_kept_raw_is_read_with_any_value() -> None:
    """A union with None would have been read as None alone."""
    request = decode(
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}},
        prediction={"type": "content", "content": "x"},
        provider={"sort": "price", "max_price": {"prompt": 1}},
    )
    body = request.body
    assert body.tools is not None
    assert body.tools[0].function is not None
    assert json.loads(bytes(body.tools[0].function.parameters)) == {"type": "object"}
    assert json.loads(bytes(body.prediction)) == {"type": "content", "content": "x"}
    assert body.audio == ABSENT


def test_unknown_fields_are_kept_as_written() -> None:
    raw = b'{"messages":[{"role":"user","content":"x"}],"safe_prompt" : true,"odd":{"a":[1, 2 ,3]}}'
    request = CHAT.decode(raw)
    assert bytes(request.fields["odd"]) == b'{"a":[1, 2 ,3]}'
    assert bytes(request.fields["safe_prompt"]) == b"true"


def test_unknown_parts_are_wrapped_and_never_refused() -> None:
    request = decode(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "document_url", "document_url": "https://a/b.pdf"},
                    {"type": "text", "text": "See above."},
                    {"type": "image_url", "image_url": "data:image/png;base64,AA=="},
                    {"type": "input_video", "video_url": {"url": "https://a/v.mp4"}},
                ],
            }
        ]
    )
    assert request.body.messages is not None
    message = request.body.messages[0]
    assert isinstance(message, UserMessage)
    other, text, image, video = message.content
    assert isinstance(other, OtherPart)
    assert json.loads(bytes(other.part)) == {
        "type": "document_url",
        "document_url": "https://a/b.pdf",
    }
    assert isinstance(text, TextPart)
    assert isinstance(image, ImagePart)
    assert isinstance(video, VideoPart)
    assert request.modalities == {"image", "video"}
    assert request.characters == len("See above.")


def test_an_unknown_part_does_not_hide_another_mistake() -> None:
    content = [{"type": "new"}, {"type": "text", "text": 3}]
    body = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    assert refused(body).param == "messages[0].content[1].text"


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, None),
        ({"reasoning_effort": "low"}, ReasoningSettings(effort="low")),
        ({"reasoning": {"effort": "low"}}, ReasoningSettings(effort="low")),
        ({"reasoning": {}, "reasoning_effort": "low"}, ReasoningSettings(effort="low")),
        (
            {"reasoning": {"effort": "low"}, "reasoning_effort": "low"},
            ReasoningSettings(effort="low"),
        ),
        ({"include_reasoning": True}, ReasoningSettings()),
        ({"include_reasoning": False}, ReasoningSettings(exclude=True)),
        (
            {"include_reasoning": False, "reasoning": {"max_tokens": 9}},
            ReasoningSettings(max_tokens=9, exclude=True),
        ),
        ({"reasoning": {"enabled": True}}, ReasoningSettings(enabled=True)),
    ],
)
def test_three_spellings_of_reasoning_have_one_meaning(
    fields: dict[str, Any], reasoning: ReasoningSettings | None
) -> None:
    assert decode(**fields).reasoning == reasoning


def test_characters_count_all_text_that_a_model_reads() -> None:
    request = decode(
        messages=[
            {"role": "system", "content": "12345"},
            {
                "role": "assistant",
                "content": None,
                "reasoning": "hm",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "123"},
        ]
    )
    assert request.characters == 5 + 2 + 1 + 2 + 3


def test_the_legacy_dialect_wants_a_prompt() -> None:
    legacy = OpenAICompletions()
    request = legacy.decode(b'{"model":"m","prompt":["ab","c"],"logprobs":3}')
    assert request.body.prompt == ["ab", "c"]
    assert request.characters >= 3
    with pytest.raises(RequestInvalid) as caught:
        legacy.decode(b'{"model":"m"}')
    assert caught.value.param == "prompt"
    with pytest.raises(RequestInvalid) as caught:
        legacy.decode(b'{"model":"m","prompt":[]}')
    assert caught.value.param == "prompt"


@given(st.binary(max_size=300))
def test_any_bytes_give_a_request_or_a_refusal(body: bytes) -> None:
    with contextlib.suppress(RequestInvalid):
        CHAT.decode(body)


RECURSIVE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*decode().body.__struct_fields__, "type", "x"]), RECURSIVE, max_size=6
    ),
    st.lists(
        st.dictionaries(
            st.sampled_from(["role", "content", "name", "tool_calls", "type"]),
            st.sampled_from(["user", "assistant", "text"]) | RECURSIVE,
            max_size=4,
        ),
        max_size=3,
    ),
)
def test_any_json_gives_a_request_or_a_refusal(
    fields: dict[str, Any], messages: list[dict[str, Any]]
) -> None:
    body = msgspec.json.encode({"messages": messages, **fields})
    try:
        request = CHAT.decode(body)
    except RequestInvalid:
        return
    assert {name: json.loads(bytes(raw)) for name, raw in request.fields.items()} == json.loads(
        body
    )


# What plain messages are made of, and what is nearly that.
TEXTS = st.sampled_from(["", "x", "[", "é", 'a"b\\n', "\U0001f600"])
NEARLY = st.one_of(TEXTS, st.none(), st.integers(0, 1), st.just([]), st.just({}))
PARTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}),
    st.fixed_dictionaries({"type": st.just("text"), "text": NEARLY}),
    st.fixed_dictionaries(
        {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": NEARLY})}
    ),
    st.fixed_dictionaries({"type": st.just("image_url"), "image_url": NEARLY}),
    st.fixed_dictionaries({"type": st.just("new")}),
)
CALLS = st.fixed_dictionaries(
    {
        "id": NEARLY,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": NEARLY, "arguments": NEARLY}),
    }
)
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant", "tool", "developer", "captain"]),
        "content": TEXTS | st.lists(PARTS, max_size=2) | NEARLY,
    },
    optional={
        "name": NEARLY,
        "tool_call_id": TEXTS | NEARLY,
        "tool_calls": st.lists(CALLS, max_size=2) | NEARLY,
        "refusal": NEARLY,
    },
)


@settings(max_examples=500)
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.booleans())
def test_messages_that_are_not_read_are_what_they_would_be_read_as(
    messages: list[dict[str, Any]], has_escapes: bool
) -> None:
    body = json.dumps({"messages": messages}, ensure_ascii=has_escapes).encode()
    try:
        request = CHAT.decode(body)
    except RequestInvalid:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=ChatBody)
        return
    told = request.body.messages
    assert told is not None
    assert len(told) == len(messages)
    with contextlib.suppress(msgspec.ValidationError):  # unknown parts are wrapped
        read = msgspec.json.decode(body, type=ChatBody)
        assert told == read.messages
        assert (request.modalities, len(prompt_text(read))) == (
            measure(read)[0],
            len(prompt_text(request.body)),
        )
        return
    assert not isinstance(told, PlainMessages)


@pytest.mark.parametrize(
    "content",
    [b'"\xff"', b'"\\q"', b'"\\u12"', b'"\\ud800"', b'"a\nb"', b'"\x01"', b'"', b"nul", b"01"],
)
def test_a_text_that_is_not_read_is_still_checked(content: bytes) -> None:
    good = b'{"messages":[{"role":"user","content":%b}]}'
    assert CHAT.decode(good % b'"x"').body.messages == [UserMessage("x")]
    assert "not valid JSON" in refused(good % content).message


def _readable(case: Recording) -> bool:
    return isinstance(case.request, dict) and bool(case.request.get("messages"))


@pytest.mark.parametrize("name", names())
def test_real_requests_are_read(name: str) -> None:
    read = 0
    for case in load(name):
        if _readable(case):
            request = CHAT.decode(json.dumps(case.request).encode())
            assert request.body.messages is not None
            assert len(request.body.messages) == len(case.request["messages"])
            assert request.fields.keys() == case.request.keys()
            read += 1
    assert read
