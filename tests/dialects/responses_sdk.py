"""The official SDK as the reader of what the Responses dialect writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import openai
from openai.types.responses import Response

from fairlead.core.chat import ChatEvent, ChatRequest
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.dialects.openai_responses import OpenAIResponses

__all__ = [
    "CLOSING",
    "DIALECT",
    "HEAD",
    "accumulated",
    "client_of",
    "events_of",
    "head_for",
    "told",
    "types_of",
    "whole",
]

DIALECT = OpenAIResponses()
HEAD = AnswerHead(GenerationId("gen-01"), "acme/one", "Acme", 1_700_000_000)
CLOSING = Closing(
    usage=Usage(prompt=10, cache_read=4, completion=5, reasoning=3),
    charge=Charge(NanoUSD(45_000), NanoUSD(15_000), NanoUSD(30_000)),
    completed_s=1_700_000_003,
)


def head_for(request: ChatRequest) -> AnswerHead:
    return AnswerHead(HEAD.generation, HEAD.model, HEAD.provider, HEAD.created_s, request=request)


def client_of(body: bytes, *, status: int = 200, is_sse: bool = True) -> openai.OpenAI:
    """The official client, whose every call is answered with this."""
    kind = "text/event-stream; charset=utf-8" if is_sse else "application/json"

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"content-type": kind}, content=body)

    return openai.OpenAI(
        api_key="none",
        base_url="http://gateway.invalid/api/v1",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )


def told(events: Iterable[ChatEvent], *, head: AnswerHead = HEAD) -> bytes:
    """A whole stream of these events, each fed on its own."""
    stream = DIALECT.stream(head)
    return b"".join([*(stream.feed([event]) for event in events), stream.close(CLOSING)])


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """What a stream says, without its end mark. Checks what holds for every stream."""
    blocks = [block for block in stream.decode().split("\n\n") if block]
    data = [block.removeprefix("data: ") for block in blocks]
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    assert "[DONE]" not in data[:-1]
    events = [json.loads(line) for line in data if line != "[DONE]"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def types_of(stream: bytes) -> list[str]:
    """The types of its events, each run of one type once."""
    types: list[str] = []
    for event in events_of(stream):
        kind = event["type"].removeprefix("response.")
        if not types or types[-1] != kind:
            types.append(kind)
    return types


def whole(events: Sequence[ChatEvent], *, head: AnswerHead = HEAD) -> Response:
    """The same answer in one piece, as the SDK reads it."""
    body = DIALECT.whole(head, events, CLOSING)
    return client_of(body, is_sse=False).responses.create(model="acme/one", input="Hello")


def accumulated(stream: bytes) -> Response:
    """The final response, as the SDK's own accumulator puts it together."""
    with client_of(stream).responses.stream(model="acme/one", input="Hello") as reading:
        return reading.get_final_response()
