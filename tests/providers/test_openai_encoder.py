"""What is sent to a provider of the OpenAI format: as written, but for what must be changed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.chat import (
    AssistantMessage,
    ChatBody,
    ChatRequest,
    Function,
    FunctionCall,
    ReasoningSettings,
    SystemMessage,
    Tool,
    ToolCall,
    UserMessage,
    WireFormat,
)
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.pricing import PriceSheet
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.registry import PROVIDERS
from fairlead.wire.openai_messages import PlainMessages

KEY = Credential("https://example.test/v1/", "secret", {})
HELLO = [{"role": "user", "content": "Hello"}]


def endpoint(
    provider: str = "together",
    model: str = "meta-llama/llama-3",
    *,
    supported: frozenset[str] = frozenset(),
    reasoning: Reasoning = Reasoning(),  # noqa: B008 - immutable
    provider_model_id: str = "their-name",
) -> Endpoint:
    return Endpoint(
        id=EndpointId(f"{provider}:{provider_model_id}"),
        model=ModelId(model),
        provider=ProviderSlug(provider),
        tag=provider,
        provider_model_id=provider_model_id,
        context_length=100_000,
        max_completion_tokens=None,
        max_prompt_tokens=None,
        quantization="unknown",
        prices=PriceSheet(),
        price_version="v1",
        supported_parameters=supported,
        reasoning=reasoning,
    )


def encode(
    fields: dict[str, Any], to: Endpoint, *, credential: Credential = KEY
) -> tuple[UpstreamRequest, dict[str, Any]]:
    request = OpenAIChat().decode(msgspec.json.encode({"messages": HELLO, **fields}))
    chat = PROVIDERS[to.provider].chat
    assert chat is not None
    sent = chat.encode(request, to, credential)
    return sent, json.loads(sent.body)


def sent_to(provider: str, fields: dict[str, Any], **about: Any) -> dict[str, Any]:
    return encode(fields, endpoint(provider, **about))[1]


def test_the_request_goes_to_the_providers_address_with_its_key() -> None:
    sent, body = encode({"model": "meta-llama/llama-3"}, endpoint())
    assert sent.method == "POST"
    assert sent.url == "https://example.test/v1/chat/completions"
    assert dict(sent.headers)["authorization"] == "Bearer secret"
    assert body == {"model": "their-name", "messages": HELLO}


@pytest.mark.parametrize(
    ("store", "kept"), [({}, False), ({"store": False}, False), ({"store": True}, True)]
)
def test_openai_gets_metadata_only_with_an_answer_that_it_stores(
    store: dict[str, bool], kept: bool
) -> None:
    """OpenAI answers 400 otherwise, and to most callers metadata is a label for our own records."""
    fields = {"metadata": {"a": "b"}, **store}
    assert ("metadata" in sent_to("openai", fields)) is kept


def test_azure_has_its_own_header_and_version() -> None:
    credential = Credential("https://x.test/openai/v1", "secret", {"api_version": "preview"})
    sent, _ = encode({}, endpoint("azure"), credential=credential)
    assert dict(sent.headers)["api-key"] == "secret"
    assert "authorization" not in dict(sent.headers)
    assert sent.url == "https://x.test/openai/v1/chat/completions?api-version=preview"


def test_an_engine_without_a_key_gets_none() -> None:
    sent, _ = encode({}, endpoint("ollama"), credential=Credential("http://x.test", "", {}))
    assert {name for name, _ in sent.headers} == {"content-type", "accept"}


def test_messages_travel_byte_for_byte() -> None:
    messages = '[{"role" : "user", "content":"caf\\u00e9", "odd": [1,  2]}]'
    request = OpenAIChat().decode(f'{{"messages":{messages}}}'.encode())
    chat = PROVIDERS["together"].chat
    assert chat is not None
    assert messages.encode() in chat.encode(request, endpoint(), KEY).body


def test_unknown_parameters_are_passed_on_and_ours_are_not() -> None:
    ours: dict[str, Any] = {
        "models": ["a/b"], "provider": {"only": ["x"]}, "plugins": [], "route": "fallback", "preset": "p",
        "session_id": "s", "usage": {"include": True}, "trace": {}, "debug": {}, "transforms": [],
        "user": "somebody@example.test", "include_reasoning": True, "stream": False,
    }  # fmt: skip
    body = sent_to("mistral", {**ours, "safe_prompt": True, "temperature": 1})
    assert body == {
        "model": "their-name",
        "messages": HELLO,
        "safe_prompt": True,
        "temperature": 1,
    }


def test_unsupported_parameters_are_dropped() -> None:
    fields = {"temperature": 0.5, "top_k": 5, "seed": 1, "logit_bias": {"1": 1}, "odd": 1}
    body = sent_to("together", fields, supported=frozenset({"temperature", "seed"}))
    assert body.keys() == {"model", "messages", "temperature", "seed", "odd"}


def test_nulls_and_empty_tool_lists_are_not_sent() -> None:
    body = sent_to("openai", {"temperature": None, "tools": [], "tool_choice": "auto"})
    assert body == {"model": "their-name", "messages": HELLO}


@pytest.mark.parametrize(
    ("provider", "model", "name"),
    [
        ("openai", "openai/o1", "max_completion_tokens"),
        ("azure", "openai/o1", "max_completion_tokens"),
        ("azure", "deepseek/deepseek-r1", "max_tokens"),
        ("aimlapi", "openai/o1", "max_completion_tokens"),
        ("aimlapi", "meta-llama/llama-3", "max_tokens"),
        ("together", "meta-llama/llama-3", "max_tokens"),
    ],
)
def test_the_token_limit_has_the_name_that_is_known_there(
    provider: str, model: str, name: str
) -> None:
    for limit in ("max_tokens", "max_completion_tokens"):
        body = sent_to(provider, {limit: 7}, model=model, supported=frozenset({"max_tokens"}))
        assert body == {"model": "their-name", "messages": HELLO, name: 7}


def test_a_stream_asks_for_usage_where_that_is_known() -> None:
    assert sent_to("openai", {"stream": True})["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent_to("mistral", {"stream": True, "stream_options": {}})
    assert "stream_options" not in sent_to("openai", {"stream_options": {"include_usage": True}})


def test_mistral_has_another_name_for_the_seed() -> None:
    body = sent_to("mistral", {"seed": 5}, supported=frozenset({"seed"}))
    assert body["random_seed"] == 5
    assert "seed" not in body


def test_a_developer_is_a_system_where_nobody_knows_developers() -> None:
    messages = [{"role": "developer", "content": "x", "odd": 1}, *HELLO]
    assert sent_to("together", {"messages": messages})["messages"][0] == {
        "role": "system",
        "content": "x",
        "odd": 1,
    }
    kept = sent_to("openai", {"messages": messages}, model="openai/o1")["messages"]
    assert kept[0]["role"] == "developer"


def test_names_become_text_where_they_are_not_known() -> None:
    messages = [
        {"role": "user", "name": "Ann", "content": "Hi"},
        {"role": "user", "name": "Bob", "content": [{"type": "text", "text": "Ho"}]},
        {"role": "tool", "name": "f", "tool_call_id": "1", "content": "r"},
    ]
    ann, bob, tool = sent_to("together", {"messages": messages})["messages"]
    assert ann == {"role": "user", "content": "Ann: Hi"}
    assert bob["content"][0] == {"type": "text", "text": "Bob: "}
    assert tool == messages[2]
    assert sent_to("openai", {"messages": messages}, model="openai/o1")["messages"] == messages


def test_cache_marks_go_only_to_those_who_know_them() -> None:
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "content": [part]}]
    assert sent_to("openrouter", {"messages": messages})["messages"] == messages
    cleaned = sent_to("groq", {"messages": messages})["messages"]
    assert cleaned == [{"role": "user", "content": [{"type": "text", "text": "x"}]}]


@pytest.mark.parametrize(
    ("provider", "history"),
    [
        ("groq", {"reasoning": "hm"}),
        ("deepseek", {"reasoning_content": "hm"}),
        ("openai", {}),
        (
            "openrouter",
            {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text"}], "refusal": None},
        ),
    ],
)
def test_earlier_thoughts_go_back_as_they_are_taken(provider: str, history: dict[str, Any]) -> None:
    answer = {
        "role": "assistant",
        "content": "4",
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.text"}],
        "refusal": None,
    }
    body = sent_to(provider, {"messages": [*HELLO, answer, *HELLO]})
    assert body["messages"][1] == {"role": "assistant", "content": "4", **history}


@pytest.mark.parametrize("provider", ["openai", "openrouter", "groq", "vllm"])
def test_the_number_of_a_call_does_not_go_back_with_it(provider: str) -> None:
    """Our answers have it, as those of most providers, and callers return answers as they are."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "assistant", "content": "x", "tool_calls": [{"index": 0, **call}]}
    result = {"role": "tool", "tool_call_id": "c", "content": "y"}
    sent = sent_to(provider, {"messages": [*HELLO, answer, result]})
    assert sent["messages"][1]["tool_calls"] == [call]


def test_a_prompt_is_one_user_message_where_there_is_only_chat() -> None:
    legacy = OpenAICompletions()
    chat = PROVIDERS["xai"].chat
    assert chat is not None
    request = legacy.decode(b'{"prompt":"Once","echo":true,"logprobs":3,"max_tokens":4}')
    body = json.loads(chat.encode(request, endpoint("xai"), KEY).body)
    assert body == {
        "model": "their-name",
        "messages": [{"role": "user", "content": "Once"}],
        "max_tokens": 4,
    }
    with pytest.raises(RequestInvalid) as caught:
        chat.encode(legacy.decode(b'{"prompt":["a","b"]}'), endpoint("xai"), KEY)
    assert caught.value.param == "prompt"


def test_a_prompt_stays_a_prompt_where_completions_are_known() -> None:
    chat = PROVIDERS["vllm"].chat
    assert chat is not None
    request = OpenAICompletions().decode(b'{"prompt":["a", "b"],"echo":true,"max_tokens":4}')
    sent = chat.encode(request, endpoint("vllm"), KEY)
    assert sent.url.endswith("/v1/completions")
    assert json.loads(sent.body) == {
        "model": "their-name",
        "prompt": ["a", "b"],
        "echo": True,
        "max_tokens": 4,
    }


def test_a_request_from_another_format_is_written_from_its_meaning() -> None:
    schema = msgspec.Raw(b'{"type":"object"}')
    call = ToolCall(function=FunctionCall("f", "{}"), id="c1")
    body = ChatBody(
        messages=[SystemMessage("s"), UserMessage("u"), AssistantMessage(tool_calls=[call])],
        tools=[Tool("function", Function("f", parameters=schema))],
        temperature=0.5,
        max_tokens=9,
        stream=True,
    )
    request = ChatRequest(
        source=WireFormat.ANTHROPIC_MESSAGES,
        fields={"system": msgspec.Raw(b'"s"')},
        body=body,
        reasoning=ReasoningSettings(effort="low"),
        modalities=frozenset(),
        characters=2,
    )
    chat = PROVIDERS["openai"].chat
    assert chat is not None
    sent = json.loads(chat.encode(request, endpoint("openai", "openai/o1"), KEY).body)
    assert sent == {
        "model": "their-name",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u"},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        ],
        "temperature": 0.5,
        "max_completion_tokens": 9,
        "reasoning_effort": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


LOW_TO_HIGH = Reasoning(supported=True, efforts=("high", "medium", "low"))


@pytest.mark.parametrize(
    ("settings", "effort"),
    [
        ({"effort": "low"}, "low"),
        ({"effort": "minimal"}, "low"),
        ({"effort": "xhigh"}, "high"),
        ({"effort": "max"}, "high"),
        ({"effort": "none"}, "low"),
        ({"enabled": True}, "medium"),
        ({"enabled": False}, "low"),
        ({"max_tokens": 800}, "high"),
        ({"max_tokens": 450}, "medium"),
        ({"max_tokens": 10}, "low"),
        ({}, None),
        ({"exclude": True}, None),
    ],
)
def test_effort_is_the_nearest_that_the_model_has(
    settings: dict[str, Any], effort: str | None
) -> None:
    body = sent_to("openai", {"reasoning": settings, "max_tokens": 1000}, reasoning=LOW_TO_HIGH)
    assert body.get("reasoning_effort") == effort
    assert "reasoning" not in body


@pytest.mark.parametrize("off", [{"effort": "none"}, {"enabled": False}, {"max_tokens": 0}])
def test_reasoning_that_cannot_be_off_is_refused(off: dict[str, Any]) -> None:
    mandatory = Reasoning(supported=True, mandatory=True)
    with pytest.raises(RequestInvalid) as caught:
        sent_to("openai", {"reasoning": off}, reasoning=mandatory)
    assert caught.value.problem().status == 400


@pytest.mark.parametrize(
    ("provider", "settings", "sent"),
    [
        ("openrouter", {"effort": "xhigh"}, {"reasoning": {"effort": "xhigh"}}),
        ("openrouter", {"max_tokens": 5}, {"reasoning": {"max_tokens": 5}}),
        ("openrouter", {"enabled": True}, {"reasoning": {"enabled": True}}),
        ("z-ai", {"enabled": True}, {"thinking": {"type": "enabled"}}),
        ("z-ai", {"effort": "none"}, {"thinking": {"type": "disabled"}}),
        ("alibaba", {"effort": "low"}, {"enable_thinking": True, "thinking_budget": 200}),
        ("alibaba", {"effort": "high"}, {"enable_thinking": True, "thinking_budget": 500}),
        ("alibaba", {"enabled": False}, {"enable_thinking": False}),
        ("vllm", {"effort": "none"}, {"chat_template_kwargs": {"enable_thinking": False}}),
        ("ai21", {"effort": "low"}, {}),
    ],
)
def test_reasoning_is_asked_for_in_the_providers_way(
    provider: str, settings: dict[str, Any], sent: dict[str, Any]
) -> None:
    about = Reasoning(supported=True, toggle=True, budget_min=100, budget_max=500)
    body = sent_to(provider, {"reasoning": settings, "max_tokens": 1000}, reasoning=about)
    for name in ("model", "messages", "max_tokens"):
        del body[name]
    assert body == sent


def test_reasoning_is_not_asked_of_a_model_without_it() -> None:
    body = sent_to("openai", {"reasoning_effort": "low"}, supported=frozenset({"temperature"}))
    assert body == {"model": "their-name", "messages": HELLO}


def test_a_secret_is_in_no_text() -> None:
    assert "secret" not in repr(KEY)


# --- messages that travel byte for byte -----------------------------------------------------------

TEXT_PART = {"type": "text", "text": "x"}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:,x", "detail": "low"}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PLAIN: list[dict[str, Any]] = [
    {"role": "system", "content": "x"},
    {"role": "user", "content": "[", "name": None},
    {"role": "user", "content": [TEXT_PART, IMAGE_PART]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "r", "tool_call_id": "c"},
]
ODD: list[dict[str, Any]] = [
    {"role": "developer", "content": "x"},
    {"role": "user", "content": [{**TEXT_PART, "cache_control": {"type": "ephemeral"}}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u", "detail": "original"}}]},
    {"role": "user", "content": [{"type": "input_video", "video_url": {"url": "u"}}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": "u"}]},
    {"role": "user", "content": [{"type": "video_url", "video_url": "u"}]},
    {"role": "user", "content": "x", "unknown": 1},
    {"role": "assistant", "content": "x", "refusal": None},
    {"role": "assistant", "content": "x", "tool_calls": None},
    {"role": "assistant", "content": "x", "tool_calls": []},
    {"role": "assistant", "content": "x", "tool_calls": [{**CALL, "index": 0}]},
    {"role": "assistant", "content": "x", "name": ""},
    {"role": "assistant", "content": "x", "reasoning": "hm"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": CALL["function"]}]},
]  # fmt: skip


def are_plain(messages: list[dict[str, Any]]) -> bool:
    body = msgspec.json.encode({"messages": messages})
    return isinstance(OpenAIChat().decode(body).body.messages, PlainMessages)


@pytest.mark.parametrize("message", PLAIN)
def test_what_every_provider_takes_is_plain(message: dict[str, Any]) -> None:
    assert are_plain([message])


@given(st.lists(st.sampled_from(PLAIN + ODD), min_size=1, max_size=4))
def test_no_provider_has_plain_messages_rewritten(messages: list[dict[str, Any]]) -> None:
    if not are_plain(messages):
        return
    # A message with an unknown field is looked at.
    looked_at = [{**message, "unknown": 1} for message in messages]
    for provider in ("openai", "groq", "mistral", "openrouter", "deepseek"):
        assert sent_to(provider, {"messages": looked_at})["messages"] == looked_at


def test_messages_around_one_that_is_rewritten_stay_as_they_were() -> None:
    plain, odd = b'{ "role":"user", "content":"1" }', b'{"role":"developer","content":"2"}'
    body = b'{"messages":[%b,%b,%b]}' % (plain, odd, plain)
    chat = PROVIDERS["groq"].chat
    assert chat is not None
    sent = chat.encode(OpenAIChat().decode(body), endpoint("groq"), KEY).body
    rewritten = b'{"role":"system","content":"2"}'
    assert b'"messages":[%b,%b,%b]' % (plain, rewritten, plain) in sent


@pytest.mark.parametrize("message", [message for message in ODD if "unknown" not in message])
def test_what_some_provider_refuses_is_not_plain(message: dict[str, Any]) -> None:
    assert not are_plain([message])
    sent = [
        sent_to(provider, {"messages": [message]})["messages"]
        for provider in ("openai", "xai", "together")
    ]
    assert any(messages != [message] for messages in sent)


@pytest.mark.parametrize("kind", ["image_url", "video_url"])
def test_an_address_given_as_text_is_sent_as_documented(kind: str) -> None:
    messages = [{"role": "user", "content": [{"type": kind, kind: "https://host.test/a"}]}]
    (message,) = sent_to("openai", {"messages": messages})["messages"]
    assert message["content"] == [{"type": kind, kind: {"url": "https://host.test/a"}}]


def test_messages_that_need_no_change_travel_byte_for_byte() -> None:
    body = b'{"messages": [ {"role":"user", "content":"x", "odd": 1.0e0} ]}'
    chat = PROVIDERS["groq"].chat
    assert chat is not None
    sent = chat.encode(OpenAIChat().decode(body), endpoint("groq"), KEY)
    assert b'[ {"role":"user", "content":"x", "odd": 1.0e0} ]' in sent.body
