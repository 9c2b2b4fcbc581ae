"""The shape of Google's answers: `GenerateContentResponse`, as far as we read it.

What is only passed on, or may be missing its shape without harm, stays raw or a plain object.

Source: https://ai.google.dev/api/generate-content (read 2026-11-21).
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ABSENT

__all__ = [
    "Blob",
    "Call",
    "Candidate",
    "Content",
    "Feedback",
    "OwnTool",
    "Part",
    "Response",
    "decode_response",
]


class Blob(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    mime_type: str = ""
    data: str = ""
    file_uri: str = ""


class Call(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    args: msgspec.Raw = ABSENT
    id: str | None = None


class OwnTool(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What Google ran itself: a call or its result. The fields of all its shapes."""

    id: str | None = None
    tool_type: str | None = None
    args: msgspec.Raw = ABSENT
    response: msgspec.Raw = ABSENT
    language: str | None = None
    code: str | None = None
    outcome: str | None = None
    output: str | None = None


class Part(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: Call | None = None
    inline_data: Blob | None = None
    file_data: Blob | None = None
    executable_code: OwnTool | None = None
    code_execution_result: OwnTool | None = None
    tool_call: OwnTool | None = None
    tool_response: OwnTool | None = None


class Content(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    parts: list[Part] | None = None


class Candidate(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    content: Content | None = None
    finish_reason: str | int | None = None
    index: int | None = None
    grounding_metadata: dict[str, object] | None = None
    citation_metadata: dict[str, object] | None = None
    logprobs_result: dict[str, object] | None = None


class Feedback(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    block_reason: str | int | None = None
    block_reason_message: str | None = None


class Response(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: msgspec.Raw = ABSENT
    model_version: str | None = None
    response_id: str | None = None
    error: msgspec.Raw = ABSENT


decode_response: Final = msgspec.json.Decoder(Response).decode
