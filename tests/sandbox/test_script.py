"""Scripted calls: one at a time, whatever format the conversation comes in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.sandbox import anthropic, gemini, openai
from fairlead.sandbox.ask import Ask
from fairlead.sandbox.behaviour import answer
from fairlead.sandbox.script import CALLS_MAX, Cue, Line, cue

SCRIPT = """Copy the file, please.
twin-call: read {"path": "in.txt"}
twin-call: write {"path": "out.txt", "lines": ["<$result>"]}"""
READ = Cue("read", '{"path":"in.txt"}')
WRITE = Cue("write", '{"path":"out.txt","lines":["<hello>"]}')


def test_each_call_waits_for_the_result_of_the_one_before():
    lines = [Line(SCRIPT)]
    assert cue(lines) == READ
    lines.append(Line("hello", is_result=True))
    assert cue(lines) == WRITE
    lines.append(Line("written", is_result=True))
    assert cue(lines) == Cue()


def test_remarks_do_not_disturb_a_script_and_a_new_script_replaces_it():
    lines = [Line("Hi"), Line(SCRIPT), Line("hello", is_result=True), Line("remember: be brief")]
    assert cue(lines) == WRITE
    assert cue([*lines, Line(SCRIPT)]) == READ


@pytest.mark.parametrize(
    "text",
    [
        "",
        "please twin-call: read {}",
        "twin-call: read",
        "twin-call: read {not json}",
        "twin-call: read []",
    ],
)
def test_what_is_no_proper_call_means_nothing(text: str):
    assert cue([Line(text)]) is None


def test_a_script_is_bounded():
    lines = [Line("twin-call: read {}\n" * (CALLS_MAX + 1))]
    lines += [Line("", is_result=True)] * CALLS_MAX
    assert cue(lines[:-1]) is not None
    assert cue(lines) == Cue()


@given(st.lists(st.builds(Line, st.text() | st.just("twin-call: a {}"), st.booleans())))
def test_no_conversation_is_too_odd(lines: list[Line]):
    found = cue(lines)
    assert found is None or isinstance(json.loads(found.arguments), dict)


OPENAI: dict[str, Any] = {
    "model": "any",
    "messages": [
        {"role": "user", "content": SCRIPT},
        {"role": "assistant", "tool_calls": []},
        {"role": "tool", "tool_call_id": "1", "content": "hello"},
    ],
    "tools": [{"type": "function", "function": {"name": n}} for n in ("look", "read", "write")],
}
ANTHROPIC: dict[str, Any] = {
    "model": "any",
    "max_tokens": 1000,
    "messages": [
        {"role": "user", "content": SCRIPT},
        {"role": "assistant", "content": []},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "hello"},
                {"type": "text", "text": "remember: be brief"},
            ],
        },
    ],
    "tools": [{"name": n} for n in ("look", "read", "write")],
}


def the_call(ask: Ask) -> tuple[str, Any]:
    (call,) = answer(ask).choices[0].calls
    return call.name, json.loads("".join(call.arguments))


@pytest.mark.parametrize(
    ("read", "body"),
    [(openai.read_chat, OPENAI), (anthropic.read, ANTHROPIC)],
    ids=["openai", "anthropic"],
)
def test_the_formats_agree_on_where_a_conversation_stands(read, body):
    first = {**body, "messages": body["messages"][:1]}
    assert the_call(read(json.dumps(first).encode())) == ("read", {"path": "in.txt"})
    assert the_call(read(json.dumps(body).encode())) == ("write", json.loads(WRITE.arguments))


def test_gemini_sees_results_as_the_json_that_they_are():
    said = {"role": "user", "parts": [{"text": SCRIPT}]}
    result = {"functionResponse": {"name": "read", "response": {"result": "hello"}}}
    body = {
        "contents": [said, {"role": "user", "parts": [result]}],
        "tools": [{"functionDeclarations": [{"name": n} for n in ("look", "read", "write")]}],
    }
    name, arguments = the_call(gemini.read(json.dumps(body).encode(), model="any", streamed=False))
    assert (name, arguments["lines"]) == ("write", ['<{"result":"hello"}>'])


def test_a_tool_that_is_not_offered_is_not_called():
    body = {**OPENAI, "tools": OPENAI["tools"][:1]}
    assert answer(openai.read_chat(json.dumps(body).encode())).choices[0].calls == ()
