"""The request bodies: a conversation of a given size, the same for every target but for the model's name.

It is an OpenAI chat request; `as_messages` and `as_responses` say the same in other callers' formats.
"""

from __future__ import annotations

import json
import random

__all__ = ["as_messages", "as_responses", "conversation"]

_VOCABULARY = """the of a proxy request model token stream budget latency region customer invoice café naïve
please summarise explain "quoted" value list table line column answer context"""
_SEED = 7
_TURN_CHARACTERS_SHORT = 360
_TURN_CHARACTERS_LONG = 1500
_LONG_FROM_BYTES = 10_000
_TURN_OVERHEAD_BYTES = 40  # of JSON around one turn


def conversation(
    model: str, size_bytes: int, *, directive: str = "", streamed: bool = False
) -> bytes:
    """A chat request of about `size_bytes`.

    directive: what the upstream shall do with it, such as "mock:n=64,d=20000; " (see mockup.c).
    """
    generator = random.Random(_SEED)
    turn = _TURN_CHARACTERS_SHORT if size_bytes < _LONG_FROM_BYTES else _TURN_CHARACTERS_LONG
    system = {"role": "system", "content": "You are a helpful assistant. " + directive}
    messages = [system]
    body: dict[str, object] = {
        "model": model,
        "messages": messages,
        "temperature": 0.7,
        "max_tokens": 512,
        "top_p": 1,
        "user": "user-1234",
    }
    if streamed:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    while True:
        room = size_bytes - len(_encode(body)) - _TURN_OVERHEAD_BYTES
        if room <= 0:
            break
        role = "user" if len(messages) % 2 else "assistant"
        messages.append({"role": role, "content": _text(generator, min(turn, room))})
    messages[-1]["role"] = "user"
    return _encode(body)


def as_messages(body: bytes) -> bytes:
    """The same conversation as an Anthropic Messages request."""
    fields = json.loads(body)
    system, *turns = fields["messages"]
    return _encode(
        {
            "model": fields["model"],
            "max_tokens": fields["max_tokens"],
            "temperature": fields["temperature"],
            "system": system["content"],
            "messages": turns,
            "stream": fields.get("stream", False),
        }
    )


def as_responses(body: bytes) -> bytes:
    """The same conversation as an OpenAI Responses request."""
    fields = json.loads(body)
    system, *turns = fields["messages"]
    return _encode(
        {
            "model": fields["model"],
            "max_output_tokens": fields["max_tokens"],
            "temperature": fields["temperature"],
            "instructions": system["content"],
            "input": turns,
            "stream": fields.get("stream", False),
        }
    )


def _encode(body: dict[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _text(generator: random.Random, characters: int) -> str:
    vocabulary = _VOCABULARY.split()
    words: list[str] = []
    length = 0
    while length < characters:
        word = generator.choice(vocabulary)
        words.append(word)
        length += len(word) + 1
    return " ".join(words)[:characters]
