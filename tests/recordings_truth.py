"""What a recorded answer says, read with nothing but `json`: the truth that our decoders are held to.

Deliberately naive and independent of the product. It also reads what our dialects write, because that is
the same format: so one function says whether an answer came through unchanged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Said", "SaidUsage", "read", "read_stream", "read_whole"]

_STOPS = {"eos": "stop", "function_call": "tool_calls"}


@dataclass
class SaidCall:
    """id "" means: the provider gave none."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class SaidChoice:
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[SaidCall] = field(default_factory=list)
    finish: str = ""


@dataclass
class SaidUsage:
    prompt: int
    completion: int
    total: int
    reasoning: int
    cached: int
    audio: int


@dataclass
class Said:
    choices: dict[int, SaidChoice] = field(default_factory=dict)
    usage: SaidUsage | None = None
    error: Any = None
    is_done: bool = False

    def choice(self, index: int) -> SaidChoice:
        return self.choices.setdefault(index, SaidChoice())


def read(body: bytes, *, is_sse: bool) -> Said:
    return read_stream(body) if is_sse else read_whole(body)


def read_whole(body: bytes) -> Said:
    said = Said()
    answer = json.loads(body)
    said.error = answer.get("error")
    for position, entry in enumerate(answer.get("choices") or []):
        choice = said.choice(entry.get("index", position))
        message = entry.get("message") or {}
        _add_texts(choice, message, entry)
        for call in message.get("tool_calls") or []:
            function = call["function"]
            choice.calls.append(
                SaidCall(call.get("id") or "", function["name"], function["arguments"])
            )
        _add_legacy_call(choice, message)
        choice.finish = _finish(entry)
    said.usage = _usage(answer)
    return said


def read_stream(body: bytes) -> Said:
    said = Said()
    for block in body.decode().replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(
            line.removeprefix("data:").strip()
            for line in block.split("\n")
            if line.startswith("data:")
        )
        if not data:
            continue
        if data == "[DONE]":
            said.is_done = True
            continue
        chunk = json.loads(data)
        said.error = said.error or chunk.get("error")
        said.usage = _usage(chunk) or said.usage
        for entry in chunk.get("choices") or []:
            choice = said.choice(entry.get("index", 0))
            delta = entry.get("delta") or {}
            _add_texts(choice, delta, entry)
            for piece in delta.get("tool_calls") or []:
                _add_call_piece(choice, piece)
            _add_legacy_call(choice, delta)
            choice.finish = choice.finish or _finish(entry)
    return said


def _add_texts(choice: SaidChoice, holder: dict[str, Any], entry: dict[str, Any]) -> None:
    content = holder.get("content")
    if isinstance(content, list):
        for part in content:
            if part["type"] == "thinking":
                choice.reasoning += "".join(piece["text"] for piece in part["thinking"])
            else:
                choice.text += part["text"]
    elif content is not None:
        choice.text += content
    elif not holder and "text" in entry:
        choice.text += entry["text"]
    plain = holder.get("reasoning") or holder.get("reasoning_content") or ""
    details = holder.get("reasoning_details") or []
    choice.reasoning += plain or "".join(
        detail.get("text") or detail.get("summary") or "" for detail in details
    )
    choice.refusal += holder.get("refusal") or ""


def _add_call_piece(choice: SaidChoice, piece: dict[str, Any]) -> None:
    function = piece.get("function") or {}
    index = piece.get("index")
    if index is None:
        index = len(choice.calls) if piece.get("id") else len(choice.calls) - 1
    while len(choice.calls) <= index:
        choice.calls.append(SaidCall())
    call = choice.calls[index]
    call.id = call.id or piece.get("id") or ""
    call.name = call.name or function.get("name") or ""
    call.arguments += function.get("arguments") or ""


def _add_legacy_call(choice: SaidChoice, holder: dict[str, Any]) -> None:
    call = holder.get("function_call") or {}
    if call.get("name"):
        choice.calls.append(SaidCall("", call["name"], ""))
    if call.get("arguments"):
        choice.calls[-1].arguments += call["arguments"]


def _finish(entry: dict[str, Any]) -> str:
    word = entry.get("finish_reason") or ""
    return _STOPS.get(word, word)


def _usage(answer: dict[str, Any]) -> SaidUsage | None:
    usage = answer.get("usage") or (answer.get("x_groq") or {}).get("usage")
    if not usage:
        return None
    inside = usage.get("prompt_tokens_details") or usage.get("prompt_token_details") or {}
    produced = usage.get("completion_tokens_details") or usage.get("completion_token_details") or {}
    return SaidUsage(
        prompt=usage["prompt_tokens"],
        completion=usage["completion_tokens"],
        total=usage["total_tokens"],
        reasoning=produced.get("reasoning_tokens") or 0,
        cached=inside.get("cached_tokens")
        or usage.get("cached_tokens")
        or usage.get("num_cached_tokens")
        or usage.get("prompt_cache_hit_tokens")
        or 0,
        audio=inside.get("audio_tokens") or 0,
    )
