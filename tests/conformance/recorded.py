"""Every recorded call: who reads its answer, what the answer says, and why some are not compared.

What an answer says is read with nothing but `json` (and AWS's own framing), by the plain readers of each
format. What they leave as it was written is put into one form here: the words for an end, and the counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from fairlead.providers.base import ChatAdapter
from fairlead.providers.compatible import OpenAIFormatChat
from fairlead.providers.openai_encoder import Row
from fairlead.providers.registry import PROVIDERS
from fairlead.providers.responses import ResponsesFormatChat
from fairlead.providers.responses_encoder import ResponsesRow
from tests import anthropic_truth, recordings_google_truth, recordings_truth
from tests.bedrock_truth import read_converse
from tests.cohere_truth import read_cohere
from tests.conformance.meaning import Call, Choice, Counts, Meaning, arguments_in
from tests.recordings import Recording, load, load_native, names

__all__ = [
    "NOT_COMPARED",
    "SOURCES",
    "Source",
    "adapter_of",
    "answers",
    "apart",
    "is_stream",
    "refusals",
]


@dataclass(frozen=True)
class Source:
    """One file of recordings. provider: its slug with us; None: any row of the format reads it."""

    file: str
    format: str
    provider: str | None
    reader: Callable[[Recording], Meaning]

    @property
    def name(self) -> str:
        return self.file.removeprefix("native/")

    def read(self, case: Recording) -> Meaning:
        """What the recorded answer says."""
        return self.reader(case)

    def cases(self) -> tuple[Recording, ...]:
        if self.file.startswith("native/"):
            return load_native(self.name)
        return load(self.file)


# --- what is not compared, and why ----------------------------------------------------------------------

# By file, by the end of the path, by both, or by id. Each must apply to something, and stands in the page.
NOT_COMPARED: dict[str, str] = {
    "native/bedrock-invoke": "the models' own formats behind InvokeModel; we call Bedrock through Converse",
    "native/embeddings": "no conversations: embeddings and rankings have suites of their own",
    "native/ollama": "Ollama's own format; we call Ollama in the OpenAI format",
    "/count_tokens": "a count, not an answer",
    ":countTokens": "a count, not an answer",
    "/embed": "no conversation",
    "/rerank": "no conversation",
    "native/cohere /v1/chat": "Cohere's version 1; we speak version 2",
    "writer.completions-oll-9e2932c0ac-0": "another format under a familiar path: a token per event, no end",
    "openai.responses-pai-6e1fc9263e-0": "begun in the background and still running; we never ask for that",
}
# Failures under status 200: told as errors, see `test_errors.py`.
FAILED_INSIDE: dict[str, str] = {
    "groq.chat_completions-reqllm-75c25450f3-0": "error event",
    "groq.chat_completions-pai-091d4f2452-0": "error event after good ones",
    "openrouter.chat_completions-reqllm-0d221f9fb3-0": "error inside a choice",
    "openrouter.chat_completions-reqllm-5efad8ae06-0": "error inside a choice",
}


def apart(source: Source, case: Recording) -> str | None:
    """The key in NOT_COMPARED that keeps the case out; None: it is compared."""
    path = case.path.partition("?")[0]
    for key in NOT_COMPARED:
        file, _, end = key.rpartition(" ")
        if key == case.id or (end[0] in "/:" and path.endswith(end) and file in ("", source.file)):
            return key
    return None


def is_failed(case: Recording) -> bool:
    """Whether an answer under status 200 is an error all the same."""
    return (
        case.id in FAILED_INSIDE
        or (case.provider == "cohere" and b"INVALID_TOOL_GENERATION" in case.body)
        or (case.provider in ("gemini", "vertex") and b'"blockReason"' in case.body)
    )


@cache
def answers(source: Source) -> tuple[Recording, ...]:
    return tuple(
        case
        for case in source.cases()
        if case.status == 200 and apart(source, case) is None and not is_failed(case)
    )


@cache
def refusals(source: Source) -> tuple[Recording, ...]:
    """Errors: by status, and those under status 200."""
    return tuple(
        case
        for case in source.cases()
        if apart(source, case) is None and (case.status != 200 or is_failed(case))
    )


def is_stream(case: Recording) -> bool:
    """Whether the answer came as a stream; Bedrock's are binary."""
    return case.is_sse or (case.provider == "bedrock" and case.streamed and case.status == 200)


def adapter_of(source: Source) -> ChatAdapter:
    if source.provider is None:
        return OpenAIFormatChat(Row("recorded"))
    if source.provider == "responses":
        return ResponsesFormatChat(ResponsesRow("recorded"))
    chat = PROVIDERS[source.provider].chat
    assert chat is not None
    return chat


# --- what each says -------------------------------------------------------------------------------------


def _chat(case: Recording) -> Meaning:
    said = recordings_truth.read(case.body, is_sse=case.is_sse)
    extras = _chat_extras(case)
    choices = []
    for index, choice in sorted(said.choices.items()):
        finish = choice.finish
        if not finish:  # some providers leave it out
            finish = "stop" if choice.text or choice.reasoning else "length"
            finish = "tool_calls" if choice.calls else finish
        spoken, images, cited = extras.get(index, ("", (), frozenset()))
        calls = tuple(Call(c.id, c.name, arguments_in(c.arguments)) for c in choice.calls)
        choices.append(
            Choice(
                choice.text, choice.reasoning, choice.refusal, calls, finish, spoken, images, cited
            )
        )
    return Meaning(tuple(choices), _chat_counts(said.usage))


def _chat_extras(case: Recording) -> dict[int, tuple[str, tuple[str, ...], frozenset[str]]]:
    """Audio, images and citations, which the plain reader of this format leaves out."""
    objects = anthropic_truth.events_in(case.body) if case.is_sse else [json.loads(case.body)]
    found: dict[int, tuple[str, tuple[str, ...], frozenset[str]]] = {}
    for answer in objects:
        for position, entry in enumerate(answer.get("choices") or []):
            holder = entry.get("message") or entry.get("delta") or {}
            index = entry.get("index", position)
            spoken, images, cited = found.get(index, ("", (), frozenset()))
            spoken += (holder.get("audio") or {}).get("transcript") or ""
            for image in holder.get("images") or ():
                images = (*images, image["image_url"]["url"].partition(";base64,")[2])
            for note in holder.get("annotations") or ():
                if note["type"] == "url_citation":
                    cited |= {note["url_citation"]["url"]}
            if index == 0:  # some tell their sources beside the choices
                cited |= {result["url"] for result in answer.get("search_results") or ()}
                cited |= {*(answer.get("citations") or ())}
            found[index] = (spoken, images, cited - {""})
    return found


def _chat_counts(said: recordings_truth.SaidUsage | None) -> Counts | None:
    """Where the total is more than its parts, the rest was audio beside the prompt, or else was thought."""
    if said is None:
        return None
    gap = said.total - said.prompt - said.completion
    cached = min(said.cached, said.prompt)
    if gap and gap == said.audio:
        return Counts(said.prompt + gap, said.completion, said.reasoning, cached)
    completion = said.completion + gap
    return Counts(said.prompt, completion, min(said.reasoning or gap, completion), cached)


_ANTHROPIC_ENDS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
}


def _messages(case: Recording) -> Meaning:
    said = anthropic_truth.read(case.body, is_sse=case.is_sse)
    counts = said.usage
    cached = counts.get("cache_read_input_tokens") or 0
    written = counts.get("cache_creation_input_tokens") or 0
    choice = Choice(
        text=said.text,
        reasoning="".join(thought.text for thought in said.thoughts),
        calls=tuple(Call(call.id, call.name, call.input) for call in said.calls),
        finish=_ANTHROPIC_ENDS[said.stop_reason],
        cited=frozenset(said.urls),
    )
    thinking = (counts.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    prompt = counts["input_tokens"] + cached + written
    return Meaning((choice,), Counts(prompt, counts["output_tokens"], thinking, cached))


_GOOGLE_ENDS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "UNEXPECTED_TOOL_CALL": "tool_calls",
}


def _google(case: Recording) -> Meaning:
    said = recordings_google_truth.read(case.body, is_sse=case.is_sse)
    choices = []
    for _, choice in sorted(said.choices.items()):
        finish = _GOOGLE_ENDS[choice.finish]
        choices.append(
            Choice(
                text=choice.text,
                reasoning=choice.thoughts,
                calls=tuple(Call(call.id, call.name, call.arguments) for call in choice.calls),
                finish="tool_calls" if choice.calls and finish == "stop" else finish,
                images=tuple(data for _, data in choice.images),
                cited=frozenset(choice.sources),
            )
        )
    usage = said.usage
    counts = usage and Counts(
        usage.prompt + usage.tools, usage.answer + usage.thoughts, usage.thoughts, usage.cached
    )
    return Meaning(tuple(choices), counts)


_CONVERSE_ENDS = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "guardrail_intervened": "content_filter",
}


def _converse(case: Recording) -> Meaning:
    said = read_converse(case.body, is_stream=case.streamed)
    choice = Choice(
        text=said.text,
        reasoning=said.reasoning,
        calls=tuple(Call(*call) for call in said.calls),
        finish=_CONVERSE_ENDS[said.finish],
        cited=None,
    )
    usage = said.usage
    cached = usage.get("cacheReadInputTokens", 0)
    prompt = usage["inputTokens"] + cached + usage.get("cacheWriteInputTokens", 0)
    return Meaning((choice,), Counts(prompt, usage["outputTokens"], 0, cached))


_COHERE_ENDS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}


def _cohere(case: Recording) -> Meaning:
    said = read_cohere(case.body, is_sse=case.streamed)
    choice = Choice(
        text=said.text,
        reasoning=said.plan + said.thinking,
        calls=tuple(Call(id_, name, arguments_in(text)) for id_, name, text in said.calls),
        finish=_COHERE_ENDS[said.finish],
        cited=None,
    )
    billed, tokens = said.usage["billed_units"], said.usage["tokens"]
    # What is billed is told; of the cached tokens, those that are billed, for the others cost nothing.
    images = tokens.get("image_tokens", 0)
    unbilled = tokens["input_tokens"] + images - billed["input_tokens"]
    cached = max(0, said.usage.get("cached_tokens", 0) - unbilled)
    reasoning = tokens.get("reasoning_tokens", 0)
    counts = Counts(billed["input_tokens"], billed["output_tokens"], reasoning, cached)
    return Meaning((choice,), counts)


def _responses(case: Recording) -> Meaning:
    answer = json.loads(case.body) if not case.is_sse else _last_response(case.body)
    output = answer["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    texts = [part for part in parts if part["type"] == "output_text"]
    calls = tuple(
        Call(item["call_id"], item["name"], arguments_in(item["arguments"]))
        for item in output
        if item["type"] == "function_call"
    )
    finish = "tool_calls" if calls else "stop"
    choice = Choice(
        text="".join(part["text"] for part in texts),
        reasoning="".join(
            piece["text"]
            for item in output
            if item["type"] == "reasoning"
            for piece in [*item["summary"], *(item.get("content") or ())]
        ),
        refusal="".join(part["refusal"] for part in parts if part["type"] == "refusal"),
        calls=calls,
        finish="length" if answer["status"] == "incomplete" else finish,
        images=tuple(
            item["result"]
            for item in output
            if item["type"] == "image_generation_call" and item["result"]
        ),
        cited=frozenset(
            note["url"]
            for part in texts
            for note in part.get("annotations") or ()
            if note["type"] == "url_citation"
        ),
    )
    return Meaning((choice,), _responses_counts(answer.get("usage")))


def _last_response(body: bytes) -> dict[str, Any]:
    ends = ("response.completed", "response.incomplete")
    events = [event for event in anthropic_truth.events_in(body) if event["type"] in ends]
    found: dict[str, Any] = events[-1]["response"]
    return found


def _responses_counts(usage: dict[str, Any] | None) -> Counts | None:
    """The total is believed, where it is more than its parts."""
    if usage is None:
        return None
    prompt = usage["input_tokens"]
    completion = usage["total_tokens"] - prompt
    beside = completion - usage["output_tokens"]
    reasoning = usage["output_tokens_details"]["reasoning_tokens"] or beside
    cached = usage["input_tokens_details"]["cached_tokens"]
    return Counts(prompt, completion, min(reasoning, completion), cached)


# --- all of them ----------------------------------------------------------------------------------------

_SLUGS = {"zai": "z-ai"}


def _chat_source(file: str) -> Source:
    slug = _SLUGS.get(file, file)
    # Those we have no row for, or know in a format of their own, spoke the format all the same.
    known = slug in PROVIDERS and isinstance(PROVIDERS[slug].chat, OpenAIFormatChat)
    provider = slug if known or slug == "openai" else None
    return Source(file, "OpenAI chat", provider, _chat)


SOURCES: tuple[Source, ...] = (
    *(_chat_source(file) for file in names()),
    Source("native/anthropic", "Messages", "anthropic", _messages),
    Source("native/bedrock", "Converse", "amazon-bedrock", _converse),
    Source("native/cohere", "Cohere chat", "cohere", _cohere),
    Source("native/gemini", "generateContent", "google-ai-studio", _google),
    Source("native/vertex", "generateContent", "google-vertex", _google),
    Source("native/responses", "Responses", "responses", _responses),
)
