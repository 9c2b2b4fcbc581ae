"""Answers that no provider was recorded to give, written by hand after the documentation of each format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.conformance.meaning import Choice, Counts, Meaning
from tests.conformance.recorded import SOURCES, Source
from tests.recordings import RecordedHeaders, Recording

__all__ = ["SCRIPTED", "Scripted"]

_PIXEL = "iVBORw0KGgo="


@dataclass(frozen=True)
class Scripted:
    """One whole answer to a provider's format, and what it says. what: the feature it has."""

    source: Source
    what: str
    case: Recording
    meaning: Meaning


def _scripted(file: str, what: str, answer: dict[str, Any], meaning: Meaning) -> Scripted:
    source = next(source for source in SOURCES if source.file == file)
    case = Recording(
        id=f"{source.name}.scripted-{what}",
        provider=source.name,
        path="",
        streamed=False,
        request=None,
        status=200,
        headers=RecordedHeaders({"content-type": "application/json"}),
        body=json.dumps(answer).encode(),
    )
    return Scripted(source, what, case, meaning)


def _chat(message: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    usage = {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}
    return {
        "id": "1",
        "object": "chat.completion",
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


def _said(**fields: Any) -> Meaning:
    return Meaning((Choice(**fields),), Counts(4, 5, 0, 0))


SCRIPTED: tuple[Scripted, ...] = (
    _scripted(
        "openai",
        "audio",
        _chat({"content": None, "audio": {"id": "a", "data": "AAAA", "transcript": "Good day."}}),
        _said(spoken="Good day."),
    ),
    _scripted(
        "openrouter",
        "images",
        _chat(
            {
                "content": "Here.",
                "images": [
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{_PIXEL}"},
                    }
                ],
            }
        ),
        _said(text="Here.", images=(_PIXEL,)),
    ),
    _scripted(
        "native/anthropic",
        "refusal",
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [{"type": "text", "text": "I will not."}],
            "stop_reason": "refusal",
            "stop_sequence": None,
            "usage": {"input_tokens": 4, "output_tokens": 5},
        },
        _said(text="I will not.", finish="content_filter"),
    ),
    _scripted(
        "native/cohere",
        "length stop",
        {
            "id": "1",
            "finish_reason": "MAX_TOKENS",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "It is"}]},
            "usage": {
                "billed_units": {"input_tokens": 4, "output_tokens": 5},
                "tokens": {"input_tokens": 4, "output_tokens": 5},
            },
        },
        _said(text="It is", finish="length"),
    ),
    _scripted(
        "native/gemini",
        "images",
        {
            "responseId": "1",
            "modelVersion": "m",
            "candidates": [
                {
                    "index": 0,
                    "finishReason": "STOP",
                    "content": {
                        "role": "model",
                        "parts": [
                            {"text": "Here."},
                            {"inlineData": {"mimeType": "image/png", "data": _PIXEL}},
                        ],
                    },
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 4,
                "candidatesTokenCount": 5,
                "totalTokenCount": 9,
            },
        },
        _said(text="Here.", images=(_PIXEL,)),
    ),
    _scripted(
        "native/responses",
        "content filter",
        {
            "id": "resp_1",
            "object": "response",
            "model": "m",
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
            "output": [
                {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "status": "incomplete",
                    "content": [{"type": "output_text", "text": "It is", "annotations": []}],
                }
            ],
            "usage": {"input_tokens": 4, "output_tokens": 5, "total_tokens": 9},
        },
        _said(text="It is", finish="content_filter"),
    ),
)
