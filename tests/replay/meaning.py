"""What a request in the OpenAI format asks for, whatever words it uses: a plain reading, to compare by.

Two requests with the same meaning may differ in this, and in nothing else:

- the model's name, which is the caller's on one side and the provider's on the other;
- `stream_options`: usage is always asked for; `stream: false`, null and `tools: []` say nothing;
- the limit's name, `max_tokens` or `max_completion_tokens`;
- how an effort of reasoning is put (`reasoning`, `reasoning_effort`, `thinking`), and its degree where the
  provider only has a switch;
- what speaks to a router: `provider`, `models`, `route`, `preset`, `transforms`, `plugins`, `usage`, `user`,
  `session_id`;
- what an earlier answer held beside its text and tool calls and the provider does not take back: reasoning,
  annotations, empty fields;
- the number of a tool call that goes back, which no provider looks at;
- an image's address as text or as an object;
- settings for tool calls where there are no tools;
- a `service_tier` that chooses an endpoint (`priority`, `fast`, `flex`): the endpoint that was chosen decides
  what its provider is asked for, and these are of no tier. A provider's own words come through.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CHOOSING_TIERS", "meaning"]

CHOOSING_TIERS = ("priority", "fast", "flex")

_SAYS_NOTHING = (
    "model", "stream_options", "reasoning", "reasoning_effort", "thinking",
    "provider", "models", "route", "preset", "transforms", "plugins", "usage", "user", "session_id",
)  # fmt: skip
_NOT_TAKEN_BACK = ("reasoning", "reasoning_content", "reasoning_details", "annotations")
_FOR_TOOLS = ("tool_choice", "parallel_tool_calls")
_LIMITS = ("max_tokens", "max_completion_tokens")


def meaning(request: dict[str, Any], *, has_switch: bool = False) -> dict[str, Any]:
    """has_switch: reasoning is on or off at this provider."""
    said = {name: value for name, value in request.items() if value is not None}
    means = {name: value for name, value in said.items() if name not in (*_SAYS_NOTHING, *_LIMITS)}
    means["stream"] = said.get("stream", False)
    means["limit"] = next((said[name] for name in _LIMITS if name in said), None)
    reasoning = said.get("reasoning") or {}
    effort = reasoning.get("effort") or said.get("reasoning_effort")
    if has_switch:
        thinking = said.get("thinking") or {}
        effort = effort not in (None, "none") or thinking.get("type") == "enabled"
    means["effort"] = effort
    if means.get("service_tier") in CHOOSING_TIERS:
        del means["service_tier"]
    if not means.get("tools"):
        for name in ("tools", *_FOR_TOOLS):
            means.pop(name, None)
    if "messages" in said:
        means["messages"] = [_message(message) for message in said["messages"]]
    return means


def _message(message: dict[str, Any]) -> dict[str, Any]:
    means = dict(message)
    if message["role"] == "assistant":
        means = {
            name: value
            for name, value in message.items()
            if value not in (None, "", []) and name not in _NOT_TAKEN_BACK
        }
        if "tool_calls" in means:
            means["tool_calls"] = [
                {name: value for name, value in call.items() if name != "index"}
                for call in means["tool_calls"]
            ]
    if isinstance(means.get("content"), list):
        means["content"] = [_part(part) for part in means["content"]]
    return means


def _part(part: Any) -> Any:
    if isinstance(part, dict) and isinstance(part.get("image_url"), str):
        return {**part, "image_url": {"url": part["image_url"]}}
    return part
