"""Recorded answers of providers with formats of their own, told as Responses and handed back by the caller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from fairlead.core.answer import Choice, collect
from fairlead.core.chat import AssistantMessage, ChatEvent
from fairlead.core.errors import UpstreamFailure
from fairlead.core.ids import ProviderSlug
from fairlead.providers.registry import PROVIDERS
from tests.dialects.responses_sdk import CLOSING, DIALECT, HEAD, accumulated, events_of, told
from tests.recordings import Recording, load_native

# File of recordings, provider, and how many answers there are at least.
SOURCES = [
    ("anthropic", "anthropic", 400),
    ("gemini", "google-ai-studio", 300),
    ("bedrock", "amazon-bedrock", 100),
    ("cohere", "cohere", 70),
]


def events_in(case: Recording, provider: str) -> list[ChatEvent] | None:
    """None: an error under status 200, or no answer of a conversation."""
    chat = PROVIDERS[ProviderSlug(provider)].chat
    assert chat is not None
    decoder = chat.decoder(streamed=case.streamed)
    try:
        return [*decoder.feed(case.body), *decoder.finish()]
    except UpstreamFailure:
        return None


@pytest.mark.parametrize(("name", "provider", "answers_min"), SOURCES)
def test_every_answer_comes_through_and_comes_back(
    name: str, provider: str, answers_min: int
) -> None:
    """Text, calls and reasoning with its signatures: nothing is lost on the way there and back."""
    answers = 0
    for case in load_native(name):
        events = events_in(case, provider) if case.status == 200 else None
        if not events:
            continue
        answers += 1
        (choice, *_) = collect(events).choices
        stream = told(events)
        final = events_of(stream)[-1]["response"]
        assert json.loads(DIALECT.whole(HEAD, events, CLOSING)) == final, case.id
        assert final["output_text"] == choice.text, case.id
        if final["status"] == "completed":
            assert accumulated(stream).output_text == choice.text, case.id
            assert_comes_back(final["output"], choice, case.id)
    assert answers >= answers_min


def assert_comes_back(output: list[dict[str, Any]], choice: Choice, case_id: str) -> None:
    asked = {"role": "user", "content": "Hello"}
    body = json.dumps({"model": "m", "input": [asked, *output]}).encode()
    _, message = DIALECT.decode(body).body.messages or ()
    assert isinstance(message, AssistantMessage)
    calls = [call.function for call in message.tool_calls or () if call.function is not None]
    assert [(call.name, call.arguments) for call in calls] == [
        (call.name, call.arguments or "{}") for call in choice.calls
    ], case_id
    details = json.loads(msgspec.json.encode(message.reasoning_details or []))
    assert [said(detail) for detail in details] == [
        said(detail) for detail in choice.reasoning_details if len(said(detail)) > len(COMMON)
    ], case_id


COMMON = ("type", "format")


def said(detail: Mapping[str, object]) -> dict[str, object]:
    """What a piece of reasoning says. Its number is counted anew, and no words are as good as none."""
    return {
        name: value for name, value in detail.items() if name != "index" and value not in (None, "")
    }
