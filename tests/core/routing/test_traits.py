from __future__ import annotations

import json

import msgspec
import pytest

from fairlead.core.capability import Capability
from fairlead.core.routing.traits import counted, fitted, traits_of
from fairlead.core.routing.types import Traits
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.testing.builders import a_request, an_endpoint

TOOL = {"type": "function", "function": {"name": "f"}}


def of(**fields: object) -> Traits:
    return traits_of(a_request(**fields), Capability.CHAT)


def test_a_plain_request_has_estimates_and_no_more() -> None:
    assert of() == Traits(Capability.CHAT, 2, 500, 5)


@pytest.mark.parametrize(
    ("fields", "completion_tokens", "max_tokens"),
    [
        ({}, 500, None),
        ({"max_tokens": 100}, 100, 100),
        ({"max_tokens": 9000}, 500, 9000),
        ({"max_completion_tokens": 20, "max_tokens": 10}, 20, 20),
    ],
)
def test_an_answer_is_expected_to_be_short_and_within_its_limit(
    fields: dict[str, object], completion_tokens: int, max_tokens: int | None
) -> None:
    found = of(**fields)
    assert (found.completion_tokens, found.max_tokens) == (completion_tokens, max_tokens)


def test_what_does_not_write_is_expected_to_write_nothing() -> None:
    assert traits_of(a_request(), Capability.EMBEDDINGS).completion_tokens == 0


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"temperature": 0, "user": "x", "unheard_of": 1}, ("temperature",)),
        ({"max_completion_tokens": 5}, ("max_tokens",)),
        ({"max_completion_tokens": 5, "max_tokens": 5}, ("max_tokens",)),
        ({"tools": [TOOL], "tool_choice": "auto"}, ("tool_choice", "tools")),
        ({"tools": [], "tool_choice": None, "stop": None}, ()),
        ({"response_format": {"type": "json_object"}}, ("response_format",)),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            ("response_format", "structured_outputs"),
        ),
        ({"logprobs": False}, ("logprobs",)),
    ],
)
def test_parameters_are_those_asked_for(
    fields: dict[str, object], parameters: tuple[str, ...]
) -> None:
    assert of(**fields).parameters == parameters
    assert of(**fields).has_tools == ("tools" in parameters)


def test_another_formats_parameters_have_the_catalogues_names() -> None:
    asked = {
        "model": "a/b",
        "max_tokens": 10,
        "stop_sequences": ["x"],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": "Hi"}],
    }
    found = traits_of(AnthropicMessages().decode(json.dumps(asked).encode()), Capability.CHAT)
    assert found.parameters == ("max_tokens", "stop", "tools")
    assert found.is_ceiling


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        (None, None),
        ("auto", None),
        ("default", "default"),
        ("flex", "flex"),
        ("fast", "priority"),
        ("priority", "priority"),
    ],
)
def test_a_service_tier_has_one_word(asked: str | None, tier: str | None) -> None:
    assert of(service_tier=asked).service_tier == tier


def test_modalities_are_sorted() -> None:
    request = msgspec.structs.replace(a_request(), modalities=frozenset({"image", "audio"}))
    assert traits_of(request, Capability.CHAT).modalities == ("audio", "image")


def test_a_prompt_is_counted_by_its_text_and_not_by_its_bytes() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "é" * 80}]}, ensure_ascii=True)
    request = OpenAIChat().decode(body.encode())
    rough = traits_of(request, Capability.CHAT)
    assert rough.characters > 6 * 80
    exact = counted(rough, request)
    assert (exact.characters, exact.prompt_tokens) == (80, 20)
    assert counted(exact, request) is exact


def test_a_limit_that_a_format_demands_is_lowered_to_what_the_endpoint_writes() -> None:
    short = an_endpoint("short", max_completion_tokens=100)
    asked = {"model": "a/b", "max_tokens": 32_000, "messages": [{"role": "user", "content": "Hi"}]}
    request = AnthropicMessages().decode(json.dumps(asked).encode())
    lowered = fitted(request, short)
    assert lowered.max_tokens == 100
    assert bytes(lowered.fields["max_tokens"]) == b"100"
    assert fitted(request, an_endpoint("long")) is request
    chat = a_request(max_tokens=101)
    assert fitted(chat, short) is chat
