"""The official Anthropic client as a reader of what we write: no network, its own accumulator."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2

__all__ = ["StreamRefused", "assert_official_order", "named_events", "read_stream", "read_whole"]

StreamRefused = anthropic.APIStatusError
ASKED: dict[str, Any] = {
    "model": "author/model",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hello"}],
}


def client(status: int, content_type: str, body: bytes) -> anthropic.Anthropic:
    """A client to whom every call is answered with these bytes."""
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(status, headers={"content-type": content_type}, content=body)
    )
    return anthropic.Anthropic(
        api_key="key",
        base_url="http://gateway.test",
        max_retries=0,
        http_client=httpx2.Client(transport=transport),
    )


def read_stream(body: bytes) -> Any:
    """The message that the client puts together. Raises StreamRefused for an error inside."""
    with client(200, "text/event-stream", body) as sdk, sdk.messages.stream(**ASKED) as stream:
        stream.until_done()
        return stream.get_final_message()


def read_whole(body: bytes, status: int = 200) -> Any:
    """The message as the client types it. Raises the client's errors for a status of 400 and up."""
    with client(status, "application/json", body) as sdk:
        return sdk.messages.create(**ASKED)


def named_events(body: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream. Each has a name, which is its type, and one line of data."""
    events: list[tuple[str, dict[str, Any]]] = []
    for block in body.split(b"\n\n")[:-1]:
        name, data = block.split(b"\n")
        fields = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + fields["type"].encode()
        events.append((fields["type"], fields))
    return events


def assert_official_order(body: bytes) -> None:
    """One message, its blocks one after the other and numbered without a gap; an error ends it anywhere."""
    names = [(name, fields) for name, fields in named_events(body) if name != "ping"]
    if names and names[-1][0] == "error":
        *names, _ = names
        ended = False
    else:
        assert [name for name, _ in names[-2:]] == ["message_delta", "message_stop"]
        *names, _, _ = names
        ended = True
    assert not names or names[0][0] == "message_start"
    next_index, is_open = 0, False
    for name, fields in names[1:]:
        match name:
            case "content_block_start":
                assert not is_open
                assert fields["index"] == next_index
                is_open = True
            case "content_block_delta":
                assert is_open
                assert fields["index"] == next_index
            case "content_block_stop":
                assert is_open
                assert fields["index"] == next_index
                next_index, is_open = next_index + 1, False
            case _:
                raise AssertionError(f"{name} inside a message")
    assert not (ended and is_open)
