"""The same question in every caller's dialect, to every provider: the same arrives, or a rule says what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.providers.compatible import ROWS
from fairlead.providers.openai_encoder import Row
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
def test_what_was_asked_arrives_or_a_rule_says_what_does(
    question: Question, target: Target
) -> None:
    rule = RULES.get((question.name, target.name))
    for caller in DIALECTS:
        body = sent(target, asked(caller, question))
        if rule is not None and rule.kind == "refuse":
            assert body is None
            continue
        assert body is not None
        lost = missing(body, question.needles)
        if (question.name, caller, target.format) not in DIFFERENCES:
            assert lost == (() if rule is None else rule.missing), caller
        mark = question.mark(target)
        assert mark is not None or (rule is not None and rule.kind == "drop")
        assert (mark or "") in compact(body), caller


@EVERY_TARGET
@EVERY_QUESTION
def test_the_provider_gets_the_same_from_every_caller(question: Question, target: Target) -> None:
    theirs = normal(target, sent(target, asked("chat", question)))
    for caller in DIALECTS[1:]:
        if normal(target, sent(target, asked(caller, question))) != theirs:
            assert (question.name, caller, target.format) in DIFFERENCES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.slug)
def test_every_provider_of_the_openai_format_is_asked_the_same(row: Row) -> None:
    """What is not told to some of them, settings that they do not take, is the same from every caller."""
    target = Target(row.slug, "OpenAI chat", row.slug, "author/model")
    for question in QUESTIONS:
        theirs = sent(target, asked("chat", question))
        assert theirs is not None
        assert missing(theirs, question.needles) == (), question.name
        for caller in DIALECTS[1:]:
            if (question.name, caller, target.format) not in DIFFERENCES:
                assert sent(target, asked(caller, question)) == theirs, (question.name, caller)


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
