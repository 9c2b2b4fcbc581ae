"""The turn after: a caller sends an answer back with the results of its calls; its author gets back its own.

Whoever the caller is, the provider must get the same: text, calls with their ids, results, and reasoning with
the signatures by which it knows its own.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.callers import CALLERS, Caller, whole
from tests.conformance.meaning import arguments_in
from tests.conformance.questions import TARGETS, Target, sent
from tests.conformance.recorded import SOURCES, Source
from tests.conformance.sample import sample
from tests.conformance.test_answers import events_of
from tests.conformance.test_pairs import normal
from tests.recordings import Recording

# By source: the target that its answers go back to.
AUTHORS = {
    "native/anthropic": "anthropic",
    "native/bedrock": "amazon-bedrock (Claude)",
    "native/cohere": "cohere",
    "native/gemini": "google-ai-studio",
    "native/vertex": "google-vertex",
    "native/responses": "openai (Responses)",
    "openrouter": "openrouter",
    "groq": "groq",
    "openai": "openai",
}
CHAT, RESPONSES, MESSAGES = CALLERS[:3]
ASKED = {"role": "user", "content": "Where is it?"}
GO_ON = "Go on."
RESULT = "eleven degrees"


def next_request(caller: Caller, answer: Any) -> dict[str, Any]:
    """The body of the next request: what was asked, the answer as it came, and the results of its calls."""
    if caller is CHAT:
        message = answer["choices"][0]["message"]
        calls = message.get("tool_calls") or ()
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in calls
        ]
        more = results or [{"role": "user", "content": GO_ON}]
        return {"model": "m", "max_tokens": 4096, "messages": [ASKED, message, *more]}
    if caller is RESPONSES:
        results = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": RESULT}
            for item in answer["output"]
            if item["type"] == "function_call"
        ]
        more = results or [{"role": "user", "content": GO_ON}]
        body = {"model": "m", "max_output_tokens": 4096}
        return {**body, "input": [ASKED, *answer["output"], *more]}
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": RESULT}
        for block in answer["content"]
        if block["type"] == "tool_use"
    ]
    more = [{"role": "user", "content": results or GO_ON}]
    said = {"role": "assistant", "content": answer["content"]}
    return {"model": "m", "max_tokens": 4096, "messages": [ASKED, said, *more]}


def returned(caller: Caller, source: Source, case: Recording, target: Target) -> Any:
    """What the author of the answer gets in the next turn."""
    answer = json.loads(whole(caller, events_of(source, case)))
    request = caller.dialect.decode(json.dumps(next_request(caller, answer)).encode())
    return plainly(normal(target, sent(target, request)))


def plainly(node: Any) -> Any:
    """Without what says nothing: null and empty fields, spaces around texts and between tokens of arguments,
    borders between texts that follow each other, ids of items, numbers of thoughts, and that a call was made
    directly."""
    if isinstance(node, list):
        joined: list[Any] = []
        for item in map(plainly, node):
            if item in ({"role": "assistant"}, {"type": "text"}, {}):  # nothing is said
                continue
            last = joined[-1] if joined else None
            if _is_text(last) and _is_text(item) and "thoughtSignature" not in last:
                joined[-1] = {**item, "text": last["text"] + item["text"]}
            else:
                joined.append(item)
        return joined
    if not isinstance(node, dict):
        return node
    node = {name: plainly(value) for name, value in node.items()}
    if isinstance(node.get("text"), str):
        node["text"] = node["text"].strip()
    node = {name: value for name, value in node.items() if value not in (None, [], "")}
    if str(node.get("type")).startswith("reasoning."):
        node.pop("index", None)
    if isinstance(node.get("arguments"), str):
        node["arguments"] = arguments_in(node["arguments"])
    if node.get("type") in ("reasoning", "message", "function_call"):
        node.pop("id", None)
    if node.get("caller") == {"type": "direct"}:
        del node["caller"]
    return node


def _is_text(item: object) -> bool:
    return isinstance(item, dict) and "text" in item and item.keys() <= {"text", "thoughtSignature"}


def is_apart(source: Source, case: Recording) -> bool:
    """Not the same for every caller, by rules of `callers.LOSSES`: refusals, and arguments that were cut.

    The forerunner of calls, `function_call`, stays what it is for callers of its own format alone.
    """
    (choice, *_) = source.read(case).choices
    return (
        bool(choice.refusal)
        or any(isinstance(call.arguments, str) for call in choice.calls)
        or b'"function_call":{' in case.body.replace(b" ", b"")
    )


PAIRS = [
    pytest.param(file, caller, id=f"{file}-{caller.name}")
    for file in AUTHORS
    for caller in (RESPONSES, MESSAGES)
    # In the author's own format an answer goes back as it came, with what only that format knows.
    if (file, caller) != ("native/anthropic", MESSAGES)
]


@pytest.mark.parametrize(("file", "caller"), PAIRS)
def test_an_answer_goes_back_the_same_from_every_caller(file: str, caller: Caller) -> None:
    source = next(source for source in SOURCES if source.file == file)
    target = next(target for target in TARGETS if target.name == AUTHORS[file])
    found = []
    for case in sample(source):
        if is_apart(source, case):
            continue
        ours = returned(caller, source, case, target)
        theirs = returned(CHAT, source, case, target)
        if ours != theirs:
            found.append(f"{case.id}: {ours} instead of {theirs}")
    assert found == []
