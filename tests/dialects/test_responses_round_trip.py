"""A conversation over several turns through the official SDK: what we answer comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from fairlead.core.answer import collect
from fairlead.core.chat import (
    AssistantMessage,
    ChatEvent,
    ChatRequest,
    Finished,
    FinishReason,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolMessage,
)
from tests.dialects.responses_sdk import DIALECT, accumulated, head_for, told, whole

PNG = "data:image/png;base64,aGk="
CALLED = Finished(FinishReason.TOOL_CALLS, "tool_calls")
MODEL = "acme/one"


def sent(**fields: Any) -> ChatRequest:
    """What the SDK sends for this call, read by the dialect."""
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200, content=b"{}", headers={"content-type": "application/json"})

    client = openai.OpenAI(
        api_key="none",
        base_url="http://gateway.invalid/api/v1",
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )
    client.responses.create(model=MODEL, **fields)
    return DIALECT.decode(bodies[0])


def sent_back(response: Response, *more: Any) -> ChatRequest:
    asked = {"role": "user", "content": "Hello"}
    return sent(input=[asked, *response.output, *more])


def assistant_in(request: ChatRequest) -> AssistantMessage:
    (found,) = [m for m in request.body.messages or () if isinstance(m, AssistantMessage)]
    return found


def thought(text: str, **fields: object) -> ReasoningDelta:
    detail = {"type": "reasoning.text", "text": text, "index": 0, **fields}
    return ReasoningDelta(text, details=(detail,))


TURNS: dict[str, list[ChatEvent]] = {
    "signed thinking": [
        thought("Hm, ", format="anthropic-claude-v1"),
        thought("yes.", format="anthropic-claude-v1"),
        thought("", format="anthropic-claude-v1", signature="c2ln"),
        ReasoningDelta(
            "",
            details=(
                {
                    "type": "reasoning.encrypted",
                    "data": "cmVkYWN0ZWQ=",
                    "format": "anthropic-claude-v1",
                    "index": 1,
                },
            ),
        ),
        TextDelta("I look."),
        ToolCallDelta(0, '{"city":"Paris"}', id="toolu_1", name="weather"),
        ToolCallDelta(1, "{}", id="toolu_2", name="clock"),
        CALLED,
    ],
    "thought signatures of calls": [
        TextDelta("I look."),
        ToolCallDelta(0, "{}", id="call_1", name="clock"),
        ReasoningDelta(
            "",
            details=(
                {
                    "type": "reasoning.encrypted",
                    "data": "dGhvdWdodA==",
                    "id": "call_1",
                    "format": "google-gemini-v1",
                    "index": 0,
                },
            ),
        ),
        CALLED,
    ],
    "encrypted summaries": [
        ReasoningDelta(
            "One",
            details=(
                {
                    "type": "reasoning.summary",
                    "summary": "One",
                    "id": "rs_1",
                    "format": "openai-responses-v1",
                    "index": 0,
                },
                {
                    "type": "reasoning.encrypted",
                    "data": "c2VjcmV0",
                    "id": "rs_1",
                    "format": "openai-responses-v1",
                    "index": 1,
                },
            ),
        ),
        TextDelta("Hello."),
        Finished(FinishReason.STOP, "stop"),
    ],
    "a call that the provider ran": [
        ReasoningDelta(
            "",
            details=(
                {
                    "type": "reasoning.server_tool_call",
                    "tool_name": "search",
                    "arguments": "{}",
                    "tool_call_id": "t1",
                    "signature": "c2ln",
                    "format": "google-gemini-v1",
                    "index": 0,
                },
            ),
        ),
        TextDelta("Found."),
        Finished(FinishReason.STOP, "stop"),
    ],
    "a refusal": [RefusalDelta("No."), Finished(FinishReason.STOP, "stop")],
}


@pytest.mark.parametrize("events", [pytest.param(turn, id=name) for name, turn in TURNS.items()])
def test_a_turn_comes_back_as_it_was(events: list[ChatEvent]) -> None:
    (choice,) = collect([Started(), *events]).choices
    for response in (accumulated(told(events)), whole(events)):
        message = assistant_in(sent_back(response))
        calls = [
            (call.id, call.function.name, call.function.arguments)
            for call in message.tool_calls or ()
            if call.function is not None
        ]
        assert calls == [(call.id, call.name, call.arguments) for call in choice.calls]
        if choice.refusal:
            assert not isinstance(message.content, str)
        else:
            assert message.content == choice.text
        details = json.loads(msgspec.json.encode(message.reasoning_details or []))
        assert [without_nulls(detail) for detail in details] == [
            without_nulls(detail) for detail in choice.reasoning_details
        ]


def without_nulls(detail: Any) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if value is not None}


def test_the_result_of_a_tool_follows_its_call() -> None:
    events = [ToolCallDelta(0, "{}", id="call_1", name="clock"), CALLED]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "noon"}
    request = sent_back(accumulated(told(events)), result)
    *_, assistant, tool = request.body.messages or ()
    assert isinstance(assistant, AssistantMessage)
    assert tool == ToolMessage("noon", tool_call_id="call_1")


def test_a_custom_tool_is_called_and_answered() -> None:
    patch = {"type": "custom", "name": "patch", "description": "Patch."}
    request = sent(input="Hello", tools=[patch])
    (tool,) = request.body.tools or ()
    assert tool.function is not None
    events = [
        ToolCallDelta(0, '{"input":"x"}', id="call_1", name=tool.function.name),
        CALLED,
    ]
    head = head_for(request)
    response = accumulated(told(events, head=head))
    result = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"}
    message = assistant_in(sent_back(response, result))
    (call,) = message.tool_calls or ()
    assert call.function is not None
    assert (call.function.name, call.function.arguments) == ("patch", '{"input":"x"}')


def test_an_image_comes_back_with_the_turn() -> None:
    image = MediaAdded("images", [{"image_url": {"url": PNG}}])
    response = accumulated(told([image, Finished(FinishReason.STOP)]))
    (made,) = assistant_in(sent_back(response)).images or ()
    assert made.image_url.url == PNG


def test_images_and_files_are_sent_by_the_sdk_as_documented() -> None:
    parts = [
        {"type": "input_text", "text": "Compare."},
        {"type": "input_image", "image_url": PNG, "detail": "low"},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,aGk=",
        },
    ]
    request = sent(input=[{"role": "user", "content": parts}])
    assert request.modalities == {"image", "file"}


def test_a_schema_and_a_tool_made_by_the_sdk_are_read() -> None:
    class City(BaseModel):
        """A city."""

        name: str

    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        events = [TextDelta('{"name":"Paris"}'), Finished(FinishReason.STOP)]
        return httpx.Response(
            200, content=told(events), headers={"content-type": "text/event-stream"}
        )

    client = openai.OpenAI(
        api_key="none",
        base_url="http://gateway.invalid/api/v1",
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )
    tool: Any = openai.pydantic_function_tool(City, name="city")
    flat = {"type": "function", **tool["function"]}
    with client.responses.stream(
        model=MODEL, input="Hello", text_format=City, tools=[flat]
    ) as reading:
        assert reading.get_final_response().output_parsed == City(name="Paris")
    body = DIALECT.decode(bodies[0]).body
    assert body.response_format is not None
    assert body.response_format.json_schema is not None
    assert body.response_format.json_schema.strict is True
    (offered,) = body.tools or ()
    assert offered.function is not None
    assert (offered.function.name, offered.function.strict) == ("city", True)
