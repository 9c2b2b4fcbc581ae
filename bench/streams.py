"""What providers answer with, for `pipeline.py`: streams in their own formats, as they really look."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

__all__ = ["generate_stream", "messages_stream"]

PROMPT_TOKENS = 421
_PADDING_CHARACTERS = 12  # Anthropic hides how long a text is behind blanks of changing number


def messages_stream(words: Sequence[str]) -> list[bytes]:
    """A streamed answer in Anthropic's Messages format, an event an item; one token a word."""
    message = {
        "id": "msg_01BenchMock0123456789", "type": "message", "role": "assistant", "model": "mock-model",
        "content": [], "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": 1},
    }  # fmt: skip
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    block = {"type": "text", "text": ""}
    events = [
        _named({"type": "message_start", "message": message}),
        _named({"type": "content_block_start", "index": 0, "content_block": block}),
    ]
    for position, word in enumerate(words):
        delta = {"type": "text_delta", "text": word}
        event = _named({"type": "content_block_delta", "index": 0, "delta": delta})
        padding = b" " * (position % _PADDING_CHARACTERS)
        events.append(event.removesuffix(b"}\n\n") + padding + b"}\n\n")
    return [
        *events,
        _named({"type": "content_block_stop", "index": 0}),
        _named({
            "type": "message_delta", "delta": ending, "usage": {"output_tokens": len(words)}
        }),
        _named({"type": "message_stop"}),
    ]  # fmt: skip


def generate_stream(words: Sequence[str]) -> list[bytes]:
    """A streamed answer in Google's format, an event an item; one token a word."""
    events = []
    for count, word in enumerate(words, start=1):
        candidate: dict[str, object] = {
            "content": {"parts": [{"text": word}], "role": "model"},
            "index": 0,
        }
        if count == len(words):
            candidate["finishReason"] = "STOP"
        usage = {
            "promptTokenCount": PROMPT_TOKENS,
            "candidatesTokenCount": count,
            "totalTokenCount": PROMPT_TOKENS + count,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": PROMPT_TOKENS}],
        }
        fields = {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": "mock-model",
            "responseId": "0123456789abcdefghijkl",
        }
        events.append(b"data: %b\r\n\r\n" % msgspec.json.encode(fields))
    return events


def _named(fields: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(fields["type"]).encode(), msgspec.json.encode(fields))
