"""The same question in every caller's dialect, to every provider: the same arrives, or a rule says what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.questions import (
    DIFFERENCES,
    QUESTIONS,
    RULES,
    TARGETS,
    Question,
    Target,
    asked,
    missing,
    sent,
)

DIALECTS = ("chat", "responses", "messages")
EVERY_QUESTION = pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.name)
EVERY_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)


def compact(body: object) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


@EVERY_TARGET
@EVERY_QUESTION
@pytest.mark.parametrize("caller", DIALECTS)
def test_what_was_asked_arrives_or_a_rule_says_what_does(
    caller: str, question: Question, target: Target
) -> None:
    rule = RULES.get((question.name, target.name))
    body = sent(target, asked(caller, question))
    if rule is not None and rule.kind == "refuse":
        assert body is None
        return
    assert body is not None
    lost = missing(body, question.needles)
    if (question.name, caller, target.format) not in DIFFERENCES:
        assert lost == (() if rule is None else rule.missing)
    mark = question.mark(target)
    assert mark is not None or (rule is not None and rule.kind == "drop")
    assert (mark or "") in compact(body)


@EVERY_TARGET
@EVERY_QUESTION
@pytest.mark.parametrize("caller", DIALECTS[1:])
def test_the_provider_gets_the_same_from_every_caller(
    caller: str, question: Question, target: Target
) -> None:
    theirs = normal(target, sent(target, asked(caller, question)))
    ours = normal(target, sent(target, asked("chat", question)))
    if theirs != ours:
        assert (question.name, caller, target.format) in DIFFERENCES


def normal(target: Target, body: dict[str, Any] | None) -> object:
    """The Messages format has two spellings of a text alone; a body in it is sent as it was written."""
    if body is None or target.format != "Messages":
        return body
    if isinstance(body.get("system"), str):
        body["system"] = [{"type": "text", "text": body["system"]}]
    for message in body["messages"]:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        for block in message["content"]:
            if isinstance(block.get("content"), str):
                block["content"] = [{"type": "text", "text": block["content"]}]
    return body


def test_every_rule_is_needed() -> None:
    names, targets = {q.name for q in QUESTIONS}, {t.name for t in TARGETS}
    assert {name for name, _ in RULES} <= names
    assert {target for _, target in RULES} <= targets
    for (name, target_name), rule in RULES.items():
        question = next(q for q in QUESTIONS if q.name == name)
        target = next(t for t in TARGETS if t.name == target_name)
        is_told = question.mark(target) is not None
        assert not (rule.kind == "drop" and is_told and not rule.missing), (name, target_name)


@pytest.mark.parametrize(("name", "caller", "format_"), DIFFERENCES)
def test_every_difference_is_there(name: str, caller: str, format_: str) -> None:
    question = next(q for q in QUESTIONS if q.name == name)
    targets = [target for target in TARGETS if target.format == format_]
    assert any(
        normal(target, sent(target, asked(caller, question)))
        != normal(target, sent(target, asked("chat", question)))
        for target in targets
    )


def test_what_is_missing_is_found() -> None:
    assert missing({"a": ["bc", 2]}, ("b", "a", 2, "x", 3)) == ("x", 3)
