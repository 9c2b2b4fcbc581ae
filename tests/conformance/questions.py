"""The same question in the words of each caller's dialect, and who is asked.

A question has needles: what must be found, word for word, in whatever a provider gets. Where one is not
found there is a rule, and it stands in RULES.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import RequestInvalid
from fairlead.providers.base import ChatAdapter, Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.providers.responses import ResponsesFormatChat
from fairlead.providers.responses_encoder import ResponsesRow
from fairlead.testing.builders import an_endpoint
from tests.conformance.callers import CALLERS

__all__ = [
    "DIFFERENCES",
    "QUESTIONS",
    "RULES",
    "TARGETS",
    "Question",
    "Rule",
    "Target",
    "asked",
    "missing",
    "sent",
]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKMSAwIG9iago8PD4+CmVuZG9iagp0cmFpbGVyCjw8Pj4KJSVFT0YK"
SCHEMA = {
    "type": "object",
    "properties": {"city_name": {"type": "string"}},
    "required": ["city_name"],
    "additionalProperties": False,
}
FORMAT = {
    "type": "object",
    "properties": {"verdict": {"type": "string"}},
    "required": ["verdict"],
    "additionalProperties": False,
}


THINKS = Reasoning(supported=True)
THINKS_BY_BUDGET = Reasoning(supported=True, budget_min=1024)

# --- who is asked ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """One provider with one model. provider "responses": OpenAI, where only that format is offered."""

    name: str
    format: str
    provider: str
    model: str
    reasoning: Reasoning = THINKS

    @property
    def adapter(self) -> ChatAdapter:
        if self.provider == "responses":
            return ResponsesFormatChat(ResponsesRow("openai"))
        chat = PROVIDERS[self.provider].chat
        assert chat is not None
        return chat

    @property
    def endpoint(self) -> Endpoint:
        endpoint = an_endpoint(
            self.provider, model=self.model, supported=frozenset(), max_completion_tokens=32_000
        )
        return msgspec.structs.replace(endpoint, reasoning=self.reasoning)


TARGETS: tuple[Target, ...] = (
    Target("openai", "OpenAI chat", "openai", "openai/gpt-5"),
    Target("openrouter", "OpenAI chat", "openrouter", "openai/gpt-5"),
    Target("groq", "OpenAI chat", "groq", "qwen/qwen3-32b"),
    Target("openai (Responses)", "Responses", "responses", "openai/gpt-5-pro"),
    Target("anthropic", "Messages", "anthropic", "anthropic/claude-sonnet-4.5", THINKS_BY_BUDGET),
    Target("google-ai-studio", "generateContent", "google-ai-studio", "google/gemini-2.5-flash"),
    Target("google-vertex", "generateContent", "google-vertex", "google/gemini-2.5-flash"),
    Target(
        "amazon-bedrock (Claude)",
        "Converse",
        "amazon-bedrock",
        "anthropic/anthropic.claude-sonnet-4-5",
        THINKS_BY_BUDGET,
    ),
    Target("amazon-bedrock (Nova)", "Converse", "amazon-bedrock", "amazon/amazon.nova-pro"),
    Target("cohere", "Cohere chat", "cohere", "cohere/command-a-reasoning"),
)
_CREDENTIAL = Credential(
    "https://example.test/v1", "secret", {"project": "p", "location": "us-central1"}
)


# --- what is asked --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """bodies: by caller's dialect. needles: texts and numbers that must arrive.

    marks: a piece of what a provider gets, as compact JSON, by which it is told a wish; by format, or by the
    name of a target that differs. None: it is not told, see RULES.
    """

    name: str
    bodies: dict[str, dict[str, Any]]
    needles: tuple[object, ...]
    marks: Mapping[str, str | None] = field(default_factory=dict)

    def mark(self, target: Target) -> str | None:
        """What stands for the wish in this target's body; "": there is no wish."""
        if target.name in self.marks:
            return self.marks[target.name]
        return self.marks.get(target.format, "")


def _user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def _texts(
    chat: dict[str, Any], responses: dict[str, Any], messages: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """The three bodies, with what a request in each must have."""
    hello = [{"role": "user", "content": "Where is it?"}]
    return {
        "chat": {"model": "m", "max_tokens": 4096, "messages": hello, **chat},
        "responses": {"model": "m", "max_output_tokens": 4096, "input": hello, **responses},
        "messages": {"model": "m", "max_tokens": 4096, "messages": hello, **messages},
    }


_CALLS = (
    ("call_1", "find_city", {"city_name": "Lyon"}),
    ("call_2", "find_city", {"city_name": "Nice"}),
)
_RESULTS = (("call_1", "eleven degrees"), ("call_2", "sixteen degrees"))


def _conversation(count: int) -> dict[str, dict[str, Any]]:
    """A question, calls, and their results."""
    calls, results = _CALLS[:count], _RESULTS[:count]
    asked_first = {"role": "user", "content": "Where is it?"}
    return _texts(
        {
            "messages": [
                asked_first,
                {"role": "assistant", "content": "I look.", "tool_calls": [
                    {"id": id_, "type": "function",
                     "function": {"name": name, "arguments": json.dumps(value)}}
                    for id_, name, value in calls
                ]},
                *({"role": "tool", "tool_call_id": id_, "content": text} for id_, text in results),
            ],
            "tools": [_chat_tool("find_city")],
        },
        {
            "input": [
                asked_first,
                {"role": "assistant", "content": "I look."},
                *({"type": "function_call", "call_id": id_, "name": name,
                   "arguments": json.dumps(value)} for id_, name, value in calls),
                *({"type": "function_call_output", "call_id": id_, "output": text}
                  for id_, text in results),
            ],
            "tools": [_responses_tool("find_city")],
        },
        {
            "messages": [
                asked_first,
                {"role": "assistant", "content": [
                    {"type": "text", "text": "I look."},
                    *({"type": "tool_use", "id": id_, "name": name, "input": value}
                      for id_, name, value in calls),
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": id_, "content": text}
                    for id_, text in results
                ]},
            ],
            "tools": [_messages_tool("find_city")],
        },
    )  # fmt: skip


def _chat_tool(name: str) -> dict[str, Any]:
    function = {"name": name, "description": "Finds a city.", "parameters": SCHEMA}
    return {"type": "function", "function": function}


def _responses_tool(name: str) -> dict[str, Any]:
    return {"type": "function", "name": name, "description": "Finds a city.", "parameters": SCHEMA}


def _messages_tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": "Finds a city.", "input_schema": SCHEMA}


_TOOL_NEEDLES = ("find_city", "Finds a city.", "city_name")
_IMAGE_URL = f"data:image/png;base64,{PNG}"
_FILE_URL = f"data:application/pdf;base64,{PDF}"
_LOOK = {"type": "text", "text": "What is this?"}
_SCHEMA_FORMAT = {"type": "json_schema", "name": "judgement", "schema": FORMAT, "strict": True}

QUESTIONS: tuple[Question, ...] = (
    Question(
        "text and settings",
        _texts(
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Where is it?"},
                ],
                "temperature": 0.25,
                "top_p": 0.75,
            },
            {"instructions": "Be brief.", "temperature": 0.25, "top_p": 0.75},
            {"system": "Be brief.", "temperature": 0.25, "top_p": 0.75},
        ),
        ("Be brief.", "Where is it?", 0.25, 0.75, 4096),
    ),
    Question(
        "reasoning",
        _texts(
            {"reasoning": {"effort": "high"}},
            {"reasoning": {"effort": "high"}},
            {"thinking": {"type": "enabled", "budget_tokens": 3276}},
        ),
        ("Where is it?",),
        {
            "OpenAI chat": '"reasoning_effort":"high"',
            "openrouter": '"reasoning":{',
            "Responses": '"reasoning":{"effort":"high"}',
            "Messages": '"thinking":{"type":"enabled","budget_tokens":3276}',
            "generateContent": '"thinkingBudget":3276',
            "Converse": '"thinking":{"type":"enabled","budget_tokens":3276}',
            "amazon-bedrock (Nova)": None,
            "Cohere chat": '"thinking":{"type":"enabled","token_budget":3276}',
        },
    ),
    Question(
        "one tool",
        _texts(
            {"tools": [_chat_tool("find_city")], "tool_choice": "required"},
            {"tools": [_responses_tool("find_city")], "tool_choice": "required"},
            {"tools": [_messages_tool("find_city")], "tool_choice": {"type": "any"}},
        ),
        _TOOL_NEEDLES,
        {
            "OpenAI chat": '"tool_choice":"required"',
            "Responses": '"tool_choice":"required"',
            "Messages": '"tool_choice":{"type":"any"}',
            "generateContent": '"mode":"ANY"',
            "Converse": '"toolChoice":{"any":{}}',
            "Cohere chat": '"tool_choice":"REQUIRED"',
        },
    ),
    Question(
        "named tool",
        _texts(
            {
                "tools": [_chat_tool("find_city"), _chat_tool("find_sea")],
                "tool_choice": {"type": "function", "function": {"name": "find_sea"}},
            },
            {
                "tools": [_responses_tool("find_city"), _responses_tool("find_sea")],
                "tool_choice": {"type": "function", "name": "find_sea"},
            },
            {
                "tools": [_messages_tool("find_city"), _messages_tool("find_sea")],
                "tool_choice": {"type": "tool", "name": "find_sea"},
            },
        ),
        ("find_sea", "find_city", "city_name"),
        {
            "OpenAI chat": '"tool_choice":{"type":"function","function":{"name":"find_sea"}}',
            "Responses": '"tool_choice":{"type":"function","name":"find_sea"}',
            "Messages": '"tool_choice":{"type":"tool","name":"find_sea"}',
            "generateContent": '"allowedFunctionNames":["find_sea"]',
            "Converse": '"toolChoice":{"tool":{"name":"find_sea"}}',
            "Cohere chat": '"tool_choice":"REQUIRED"',
        },
    ),
    Question(
        "no parallel tools",
        _texts(
            {
                "tools": [_chat_tool("find_city")],
                "tool_choice": "auto",
                "parallel_tool_calls": False,
            },
            {
                "tools": [_responses_tool("find_city")],
                "tool_choice": "auto",
                "parallel_tool_calls": False,
            },
            {
                "tools": [_messages_tool("find_city")],
                "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            },
        ),
        _TOOL_NEEDLES,
        {
            "OpenAI chat": '"parallel_tool_calls":false',
            "Responses": '"parallel_tool_calls":false',
            "Messages": '"disable_parallel_tool_use":true',
            "generateContent": None,
            "Converse": None,
            "Cohere chat": None,
        },
    ),
    Question(
        "tool result",
        _conversation(1),
        ("Where is it?", "I look.", "find_city", "Lyon", "eleven degrees"),
    ),
    Question(
        "parallel tool results",
        _conversation(2),
        ("I look.", "find_city", "Lyon", "Nice", "eleven degrees", "sixteen degrees"),
    ),
    Question(
        "image",
        _texts(
            {"messages": _user(_LOOK, {"type": "image_url", "image_url": {"url": _IMAGE_URL}})},
            {
                "input": _user(
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": _IMAGE_URL},
                )
            },
            {
                "messages": _user(
                    _LOOK,
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                    },
                )
            },
        ),
        ("What is this?", PNG),
    ),
    Question(
        "PDF",
        _texts(
            {
                "messages": _user(
                    _LOOK,
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": _FILE_URL}},
                )
            },
            {
                "input": _user(
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": _FILE_URL},
                )
            },
            {
                "messages": _user(
                    _LOOK,
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    },
                )
            },
        ),
        ("What is this?", PDF),
    ),
    Question(
        "JSON schema",
        _texts(
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "judgement", "schema": FORMAT, "strict": True},
                }
            },
            {"text": {"format": _SCHEMA_FORMAT}},
            {"output_config": {"format": {"type": "json_schema", "schema": FORMAT}}},
        ),
        ("Where is it?", "verdict"),
        {
            "OpenAI chat": '"response_format":{"type":"json_schema"',
            "Responses": '"text":{"format":{"type":"json_schema"',
            "Messages": '"output_config":{"format":{"type":"json_schema"',
            "generateContent": '"responseJsonSchema":{',
            "Converse": '"textFormat":{"type":"json_schema"',
            "amazon-bedrock (Nova)": '"toolChoice":{"tool":{"name":"fairlead_answer"}}',
            "Cohere chat": '"response_format":{"type":"json_object"',
        },
    ),
)


@dataclass(frozen=True)
class Rule:
    """What does not arrive as it was asked. kind: drop (not told), map (told in other words), refuse (400).

    missing: needles that do not arrive then.
    """

    kind: str
    why: str
    missing: tuple[object, ...] = ()


_BESIDE_TEMPERATURE = Rule(
    "drop", "Claude takes `temperature` or `top_p`, not both; the first stays", (0.75,)
)
_MAY_CALL_SEVERAL = Rule("drop", "the format has no word for one call at a time")

# By question and target. A pair without a rule arrives as it was asked.
RULES: dict[tuple[str, str], Rule] = {
    ("text and settings", "anthropic"): _BESIDE_TEMPERATURE,
    ("text and settings", "amazon-bedrock (Claude)"): _BESIDE_TEMPERATURE,
    ("reasoning", "amazon-bedrock (Nova)"): Rule("drop", "the model has no setting for it"),
    ("named tool", "cohere"): Rule(
        "map", "only the named tool is offered, and a call is required", ("find_city",)
    ),
    ("no parallel tools", "google-ai-studio"): _MAY_CALL_SEVERAL,
    ("no parallel tools", "google-vertex"): _MAY_CALL_SEVERAL,
    ("no parallel tools", "amazon-bedrock (Claude)"): _MAY_CALL_SEVERAL,
    ("no parallel tools", "amazon-bedrock (Nova)"): _MAY_CALL_SEVERAL,
    ("no parallel tools", "cohere"): _MAY_CALL_SEVERAL,
    ("PDF", "cohere"): Rule("refuse", "Cohere reads text files and images only"),
    ("JSON schema", "amazon-bedrock (Nova)"): Rule(
        "map", "asked for by a forced tool whose arguments are the answer"
    ),
}

# Where a provider gets something else than a caller of `/chat/completions` would have sent it; by question,
# caller and format.
DIFFERENCES: dict[tuple[str, str, str], str] = {
    (
        "text and settings",
        "messages",
        "Messages",
    ): "settings in the provider's own format are left as they are",
    (
        "reasoning",
        "messages",
        "OpenAI chat",
    ): "a budget stays a budget where the provider takes one",
    (
        "JSON schema",
        "messages",
        "OpenAI chat",
    ): "Messages has neither a name for a schema nor `strict`",
    (
        "JSON schema",
        "messages",
        "Responses",
    ): "Messages has neither a name for a schema nor `strict`",
    ("JSON schema", "messages", "Converse"): "Messages has no name for a schema",
}


def asked(caller: str, question: Question, *, streamed: bool = False) -> ChatRequest:
    """Read by the caller's dialect."""
    dialect = next(known.dialect for known in CALLERS if known.name == caller)
    body = {**question.bodies[caller], **({"stream": True} if streamed else {})}
    return dialect.decode(json.dumps(body).encode())


def sent(target: Target, request: ChatRequest) -> dict[str, Any] | None:
    """What the provider gets; None: refused."""
    try:
        wire = target.adapter.encode(request, target.endpoint, _CREDENTIAL)
    except RequestInvalid:
        return None
    body: dict[str, Any] = json.loads(wire.body)
    return body


def missing(body: object, needles: tuple[object, ...]) -> tuple[object, ...]:
    """Needles that are in no text of the body, and among no numbers of it."""
    values = list(_values(body))
    texts = [value for value in values if isinstance(value, str)]
    return tuple(
        needle
        for needle in needles
        if needle not in values
        and not (isinstance(needle, str) and any(needle in text for text in texts))
    )


def _values(node: object) -> Iterator[object]:
    """Every name and value."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield name
            yield from _values(value)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value)
    else:
        yield node
