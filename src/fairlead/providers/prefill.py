"""Who goes on with a conversation that ends with a message of the assistant, and how he wants it marked.

Most providers answer such a message or refuse it, so only what is documented is in the table below. Models that
think before they answer are asked in words everywhere but at Anthropic: a begun answer leaves them no place to
think, and some servers refuse it.

Sources (read 2026-11-21): https://platform.claude.com/docs/en/about-claude/models/migration-guide (Claude 4.6
and later refuse it), https://docs.mistral.ai/api/ (`prefix`), https://console.groq.com/docs/prefilling,
https://platform.kimi.ai/docs/guide/use-partial-mode-feature-of-kimi-api (`partial`),
https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (`continue_final_message`),
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md (`--no-prefill-assistant`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest, WireFormat
from fairlead.core.continuation import Prefill
from fairlead.providers.base import PrefillAbility

__all__ = ["PREFILLS", "mark_last_message", "mark_request"]


def _continues(_: ChatRequest, endpoint: Endpoint) -> Prefill:
    return Prefill.NONE if endpoint.reasoning.supported else Prefill.CONTINUES


def _echoes(_: ChatRequest, endpoint: Endpoint) -> Prefill:
    return Prefill.NONE if endpoint.reasoning.supported else Prefill.ECHOES


# Claude up to 4.5.
_TAKES_PREFILLS: Final = re.compile(r"claude-(instant|2|3|(opus|sonnet|haiku)-4([.-][015])?(:|$))")


def _claude_continues(request: ChatRequest, endpoint: Endpoint) -> Prefill:
    """Thinking and prefills exclude each other. Where we write the request, it goes without thinking."""
    is_as_written = request.source is WireFormat.ANTHROPIC_MESSAGES
    if is_as_written and ("thinking" in request.fields or "output_config" in request.fields):
        return Prefill.NONE
    if _TAKES_PREFILLS.search(endpoint.model) is None:
        return Prefill.NONE
    return Prefill.CONTINUES


def _claude_continues_without_thinking(request: ChatRequest, endpoint: Endpoint) -> Prefill:
    return _claude_continues(request, endpoint) if request.reasoning is None else Prefill.NONE


# By provider; who is not here does not continue, or does not say so.
PREFILLS: Final[dict[str, PrefillAbility]] = {
    "amazon-bedrock": _claude_continues_without_thinking,
    "anthropic": _claude_continues,
    "google-vertex": _claude_continues,
    "groq": _continues,
    "llama.cpp": _continues,
    "mistral": _echoes,
    "moonshotai": _continues,
    "sandbox": _continues,
    "vllm": _continues,
}

# --- marks --------------------------------------------------------------------------------------------

_ROLE: Final = re.compile(rb'"role"\s*:\s*"(\w+)"')
_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


def mark_last_message(name: str) -> Callable[[dict[str, object], ChatRequest, Endpoint], None]:
    """For `Row.adjust`: sets the field in a last message that is the assistant's."""

    def mark(fields: dict[str, object], _: ChatRequest, __: Endpoint) -> None:
        messages = fields.get("messages")
        if not _ends_with_begun_answer(messages):
            return
        held = _list(_split(messages) if isinstance(messages, msgspec.Raw) else messages)
        last = held[-1]
        message = _decode(last) if isinstance(last, msgspec.Raw) else last
        assert isinstance(message, dict)  # it has a role
        fields["messages"] = [*held[:-1], {**message, name: True}]

    return mark


def mark_request(fields: dict[str, object], _: ChatRequest, __: Endpoint) -> None:
    """For `Row.adjust`: as vLLM wants to be told."""
    if _ends_with_begun_answer(fields.get("messages")):
        fields["continue_final_message"] = True
        fields["add_generation_prompt"] = False


def _ends_with_begun_answer(messages: object) -> bool:
    if isinstance(messages, msgspec.Raw):
        # The last one that is a key, but for a tool's arguments that come after it: inside of texts every
        # quote is escaped.
        written = bytes(messages)
        found = _ROLE.match(written, max(0, written.rfind(b'"role"')))
        if found is None or found[1] != b"assistant":
            return False
        messages = _split(messages)
    held = _list(messages)
    if not held:
        return False
    last = held[-1]
    message = _decode(last) if isinstance(last, msgspec.Raw) else last
    return (
        isinstance(message, dict)
        and message.get("role") == "assistant"
        and bool(message.get("content"))
        and not message.get("tool_calls")
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
