"""What a recorded answer of Google says, read with nothing but `json`: the truth that our decoder is held to.

Deliberately naive and independent of the product.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Said", "SaidCall", "SaidChoice", "SaidUsage", "read"]

_NUMBERS = {1: "STOP"}


@dataclass
class SaidCall:
    """id "" means: the provider gave none. signature: what must come back with it."""

    name: str
    arguments: dict[str, Any]
    id: str
    signature: str


@dataclass
class SaidChoice:
    text: str = ""
    thoughts: str = ""
    calls: list[SaidCall] = field(default_factory=list)
    finish: str = ""
    signatures: list[str] = field(default_factory=list)  # all of them, in order
    images: list[tuple[str, str]] = field(default_factory=list)  # type, base64
    sources: set[str] = field(default_factory=set)
    searches: int = 0
    logprobs: list[tuple[str, float]] = field(default_factory=list)
    own_tools: int = 0


@dataclass
class SaidUsage:
    prompt: int
    answer: int
    thoughts: int
    tools: int
    cached: int
    total: int


@dataclass
class Said:
    id: str = ""
    model: str = ""
    choices: dict[int, SaidChoice] = field(default_factory=dict)
    usage: SaidUsage | None = None
    blocked: str = ""


def read(body: bytes, *, is_sse: bool) -> Said:
    said = Said()
    if is_sse:
        lines = body.decode().splitlines()
        objects = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
    else:
        objects = [json.loads(body)]
    for answer in objects:
        said.id = answer.get("responseId", said.id)
        said.model = answer.get("modelVersion", said.model)
        said.blocked = answer.get("promptFeedback", {}).get("blockReason", said.blocked)
        counts = answer.get("usageMetadata", {})
        if any(name.endswith("TokenCount") for name in counts):
            said.usage = _usage(counts)
        for candidate in answer.get("candidates", []):
            choice = said.choices.setdefault(candidate.get("index", 0), SaidChoice())
            _add(choice, candidate)
    return said


def _add(choice: SaidChoice, candidate: dict[str, Any]) -> None:
    for part in candidate.get("content", {}).get("parts", []):
        signature = part.get("thoughtSignature", "")
        if signature:
            choice.signatures.append(signature)
        if part.get("thought"):
            choice.thoughts += part["text"]
        elif "text" in part:
            choice.text += part["text"]
        elif "functionCall" in part:
            call = part["functionCall"]
            choice.calls.append(SaidCall(call["name"], call["args"], call.get("id", ""), signature))
        elif "inlineData" in part:
            choice.images.append((part["inlineData"]["mimeType"], part["inlineData"]["data"]))
        else:
            choice.own_tools += 1
    word = candidate.get("finishReason")
    if word is not None:
        choice.finish = _NUMBERS.get(word, word)
    grounding = candidate.get("groundingMetadata", {})
    for chunk in grounding.get("groundingChunks", []):
        for source in chunk.values():
            if source.get("uri"):
                choice.sources.add(source["uri"])
    choice.searches += len(grounding.get("webSearchQueries", []))
    for token in candidate.get("logprobsResult", {}).get("chosenCandidates", []):
        choice.logprobs.append((token["token"], token["logProbability"]))


def _usage(counts: dict[str, Any]) -> SaidUsage:
    prompt = counts.get("promptTokenCount", 0)
    answer = counts.get("candidatesTokenCount", 0)
    thoughts = counts.get("thoughtsTokenCount", 0)
    tools = counts.get("toolUsePromptTokenCount", 0)
    return SaidUsage(
        prompt=prompt,
        answer=answer,
        thoughts=thoughts,
        tools=tools,
        cached=counts.get("cachedContentTokenCount", 0),
        total=counts.get("totalTokenCount", prompt + answer + thoughts + tools),
    )
