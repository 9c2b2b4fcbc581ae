"""The `response` object: what was asked, what was answered and how it ended.

It repeats the caller's settings as they were written, and says of what this API never does that it was not
done: nothing is stored, nothing runs in the background, nothing is cut from a long input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.chat import ChatRequest, FinishReason, Tool
from fairlead.core.errors import ErrorType, Problem
from fairlead.core.money import usd
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.wire.openai_errors import error_fields

__all__ = ["LIMITS", "Fields", "ResponseObject", "incomplete_reason", "response_error"]

Fields = dict[str, object]

# Limits that an answer ran into are no errors in this API: the answer ends there, incomplete.
LIMITS: Final = frozenset(
    {
        ErrorType.CONTEXT_LENGTH_EXCEEDED,
        ErrorType.MAX_TOKENS_EXCEEDED,
        ErrorType.TOKEN_LIMIT_EXCEEDED,
        ErrorType.STRING_TOO_LONG,
    }
)
_CODES: Final[Mapping[ErrorType, str]] = {
    ErrorType.RATE_LIMIT_EXCEEDED: "rate_limit_exceeded",
    ErrorType.INVALID_REQUEST: "invalid_prompt",
    ErrorType.CONTEXT_LENGTH_EXCEEDED: "invalid_prompt",
    ErrorType.CONTENT_POLICY_VIOLATION: "image_content_policy_violation",
}
_OTHER_CODE: Final = "server_error"

# The caller's own words, repeated; and what is said if there are none.
_ECHOED: Final[Mapping[str, object]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": None,
    "top_p": None,
    "top_logprobs": 0,
    "presence_penalty": None,
    "frequency_penalty": None,
    "reasoning": None,
    "tool_choice": "auto",
    "prompt_cache_key": None,
    "safety_identifier": None,
    "user": None,
}
_NEVER: Final[Mapping[str, object]] = {
    "background": False,
    "previous_response_id": None,
    "store": False,
    "truncation": "disabled",
}
_NULL: Final = msgspec.Raw(b"null")
_NOTHING: Final[Mapping[str, msgspec.Raw]] = {}

_read_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ResponseObject:
    """What stays the same in all snapshots of one response."""

    __slots__ = ("_fields", "_head")

    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        self._fields = _settings(head.request)

    def fields(
        self,
        status: str,
        output: Sequence[Fields],
        *,
        service_tier: str | None,
        closing: Closing | None = None,
    ) -> Fields:
        """A snapshot. `usage` is in it once it is known: a null there is taken for a mistake by some."""
        head = self._head
        completed_s = closing.completed_s if closing is not None else None
        fields: Fields = {
            "id": head.generation,
            "object": "response",
            "created_at": head.created_s,
            "completed_at": completed_s if status == "completed" else None,
            "status": status,
            "model": head.model,
            "provider": head.provider,
            "output": output,
            "output_text": _output_text(output),
            "error": None,
            "incomplete_details": None,
            "service_tier": service_tier,
            **self._fields,
        }
        if closing is not None:
            fields["usage"] = _usage(closing)
        return fields


def incomplete_reason(finish: FinishReason | None) -> str | None:
    """Why an answer is incomplete; None: it is not."""
    if finish is FinishReason.LENGTH:
        return "max_output_tokens"
    if finish is FinishReason.CONTENT_FILTER:
        return "content_filter"
    return None


def response_error(problem: Problem) -> Fields:
    """`error` of a failed response, in the closed vocabulary of its codes."""
    return {
        "code": _CODES.get(problem.error_type, _OTHER_CODE),
        "message": error_fields(problem)["message"],
    }


def _output_text(output: Sequence[Fields]) -> str:
    return "".join(
        str(part["text"])
        for item in output
        if item["type"] == "message" and isinstance(item["content"], list)
        for part in item["content"]
        if part["type"] == "output_text"
    )


def _settings(request: ChatRequest | None) -> Fields:
    asked = _NOTHING if request is None else request.fields
    settings: Fields = {}
    for name, default in _ECHOED.items():
        given = asked.get(name, _NULL)
        settings[name] = default if given == _NULL else given
    settings.update(_NEVER)
    settings["text"] = _text(asked.get("text", _NULL))
    settings["tools"] = _tools(asked.get("tools", _NULL))
    return settings


def _text(given: msgspec.Raw) -> Fields:
    text: Fields = {} if given == _NULL else dict(_read_fields(given))
    if text.get("format", _NULL) == _NULL:
        text["format"] = {"type": "text"}
    return text


def _tools(given: msgspec.Raw) -> list[object]:
    """As written; a function has all the fields that readers of the format count on."""
    if given == _NULL:
        return []
    tools: list[object] = []
    for raw in _read_raw_list(given):
        tool: Fields = dict(_read_fields(raw))
        if tool.get("type") == _FUNCTION:
            tool = {"parameters": None, "strict": None, **tool}
            if "name" not in tool and "function" in tool:
                nested = _read_tool(raw)
                assert nested.function is not None  # the request was read before
                tool["name"] = nested.function.name
        tools.append(tool)
    return tools


_FUNCTION: Final = msgspec.Raw(b'"function"')
_read_tool: Final = msgspec.json.Decoder(Tool).decode


def _usage(closing: Closing) -> Fields:
    usage, charge = closing.usage, closing.charge
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total_tokens,
        "cost": usd(charge.total),
        "is_byok": closing.is_byok,
        "cost_details": {
            "upstream_inference_cost": (None if charge.upstream is None else usd(charge.upstream)),
            "upstream_inference_input_cost": usd(charge.prompt),
            "upstream_inference_output_cost": usd(charge.completion),
        },
        "server_tool_use_details": {
            "tool_calls_requested": usage.web_searches,
            "tool_calls_executed": usage.web_searches,
            "web_search_requests": usage.web_searches,
        },
    }
