"""Code that makes a call to this API, in the language one asks for. Pure.

    snippet("python", "https://gate.example.com/api/v1", "openai/o1", messages, {"seed": 7}, stream=True)

What is said in the code may be anybody's text: it is written as a literal of the language, and characters that
cannot be seen, or turn the direction of the text around them, are escaped.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["FIRST_MODEL", "LANGUAGES", "snippet"]

# As one asks for it, and as it is called.
LANGUAGES: Final[tuple[tuple[str, str], ...]] = (
    ("python", "Python"),
    ("requests", "Python (requests)"),
    ("typescript", "TypeScript"),
    ("fetch", "TypeScript (fetch)"),
    ("curl", "curl"),
)
FIRST_MODEL: Final = "sandbox/echo"  # answers without anybody's key
KEY_VARIABLE: Final = "FAIRLEAD_API_KEY"
TIMEOUT_S: Final = 600  # without a byte
LINE_CHARACTERS_MAX: Final = 88

# What the OpenAI libraries know by name. Everything else goes to them as something extra.
_KNOWN_TO_LIBRARIES: Final = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "stop",
        "n",
        "user",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "response_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning_effort",
        "verbosity",
        "service_tier",
        "metadata",
        "modalities",
        "audio",
        "prediction",
        "store",
    }
)


def snippet(
    language: str,
    base_url: str,
    model: str,
    messages: Sequence[Mapping[str, object]],
    parameters: Mapping[str, object],
    stream: bool,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A whole program, without a line break at its end.

    language: of `LANGUAGES`. base_url: with the version, as "https://gate.example.com/api/v1".
    messages, parameters: values of JSON. headers: besides the key.
    Raises KeyError for a language that is not there.
    """
    body: dict[str, object] = {"model": model, "messages": list(messages), **parameters}
    if stream:
        body["stream"] = True
    return _WRITERS[language](_Call(base_url, body, headers, stream))


@dataclass(frozen=True, slots=True)
class _Call:
    base_url: str
    body: Mapping[str, object]
    headers: Mapping[str, str]
    is_streamed: bool

    @property
    def url(self) -> str:
        return f"{self.base_url}/chat/completions"


def _python(call: _Call) -> str:
    known = {name: value for name, value in call.body.items() if name in _KNOWN_TO_LIBRARIES}
    extra = {name: value for name, value in call.body.items() if name not in _KNOWN_TO_LIBRARIES}
    if extra:
        known["extra_body"] = extra
    client = [f"base_url={_PYTHON.text(call.base_url)}", f'api_key=os.environ["{KEY_VARIABLE}"]']
    if call.headers:
        client.append(f"default_headers={_PYTHON.write(call.headers, depth=1)}")
    arguments = [f"{name}={_PYTHON.write(value, depth=1)}" for name, value in known.items()]
    head = f"""\
import os

from openai import OpenAI

client = OpenAI(
{_indented(client)}
)

"""
    if call.is_streamed:
        return f"""{head}stream = client.chat.completions.create(
{_indented(arguments)}
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()"""
    return f"""{head}completion = client.chat.completions.create(
{_indented(arguments)}
)
print(completion.choices[0].message.content)"""


def _requests(call: _Call) -> str:
    bearer = f'"Authorization": f"Bearer {{os.environ[\'{KEY_VARIABLE}\']}}"'
    headers = [bearer, *(f"{_PYTHON.text(a)}: {_PYTHON.text(b)}" for a, b in call.headers.items())]
    arguments = [
        _PYTHON.text(call.url),
        f"headers={_PYTHON.braced(headers, depth=1)}",
        f"json={_PYTHON.write(call.body, depth=1)}",
        f"timeout={TIMEOUT_S}",
    ]
    if call.is_streamed:
        arguments.append("stream=True")
    request = f"requests.post(\n{_indented(arguments)}\n)"
    if call.is_streamed:
        return f"""\
import json
import os

import requests

with {request} as response:
    response.raise_for_status()
    for line in response.iter_lines():
        # Lines that begin with a colon only keep the connection open.
        if not line.startswith(b"data: ") or line == b"data: [DONE]":
            continue
        chunk = json.loads(line.removeprefix(b"data: "))
        if chunk.get("error"):
            raise RuntimeError(chunk["error"]["message"])
        for choice in chunk["choices"]:
            print(choice["delta"].get("content") or "", end="", flush=True)
print()"""
    return f"""\
import os

import requests

response = {request}
response.raise_for_status()
print(response.json()["choices"][0]["message"]["content"])"""


def _typescript(call: _Call) -> str:
    client = [
        f"baseURL: {_SCRIPT.text(call.base_url)}",
        f"apiKey: process.env.{KEY_VARIABLE}",
    ]
    if call.headers:
        client.append(f"defaultHeaders: {_SCRIPT.write(call.headers, depth=1)}")
    # The library's types name what it knows; it sends everything.
    kind = "Streaming" if call.is_streamed else "NonStreaming"
    has_extra = any(name not in _KNOWN_TO_LIBRARIES for name in call.body)
    seen_as = f" as OpenAI.ChatCompletionCreateParams{kind}" if has_extra else ""
    body = _SCRIPT.write(call.body, depth=0, is_broken=True)
    head = f"""\
import OpenAI from "openai";

const client = new OpenAI({{
{_indented(client, "  ")}
}});

"""
    if call.is_streamed:
        return f"""{head}const stream = await client.chat.completions.create({body}{seen_as});
for await (const chunk of stream) {{
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
}}"""
    return f"""{head}const completion = await client.chat.completions.create({body}{seen_as});
console.log(completion.choices[0]?.message.content);"""


def _fetch(call: _Call) -> str:
    headers = [
        f"Authorization: `Bearer ${{process.env.{KEY_VARIABLE}}}`",
        '"Content-Type": "application/json"',
        *(f"{_SCRIPT.name(name)}: {_SCRIPT.text(value)}" for name, value in call.headers.items()),
    ]
    head = f"""\
const response = await fetch({_SCRIPT.text(call.url)}, {{
  method: "POST",
  headers: {_SCRIPT.braced(headers, depth=1)},
  body: JSON.stringify({_SCRIPT.write(call.body, depth=1, is_broken=True)}),
}});
if (!response.ok) throw new Error(await response.text());
"""
    if call.is_streamed:
        return f"""{head}
let rest = "";
for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {{
  const lines = (rest + part).split("\\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {{
    // Lines that begin with a colon only keep the connection open.
    if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
    const chunk = JSON.parse(line.slice("data: ".length));
    if (chunk.error) throw new Error(chunk.error.message);
    process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  }}
}}"""
    return f"""{head}const completion = await response.json();
console.log(completion.choices[0].message.content);"""


def _curl(call: _Call) -> str:
    options = ["--no-buffer"] if call.is_streamed else []
    options += [
        f'-H "Authorization: Bearer ${KEY_VARIABLE}"',
        '-H "Content-Type: application/json"',
    ]
    options += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in call.headers.items()]
    # No quote is left in it that could end the shell's.
    data = _JSON.write(call.body, depth=0, is_broken=True).replace("'", "\\u0027")
    options.append(f"-d '{data}'")
    return " \\\n  ".join((f"curl {shlex.quote(call.url)}", *options))


_WRITERS: Final[Mapping[str, Callable[[_Call], str]]] = MappingProxyType(
    {
        "python": _python,
        "requests": _requests,
        "typescript": _typescript,
        "fetch": _fetch,
        "curl": _curl,
    }
)


@dataclass(frozen=True, slots=True)
class _Notation:
    """How a language writes what JSON can say.

    words: for true, false and null. has_bare_names: keys need no quotes where they are names.
    has_last_comma: after the last of several lines. has_wide_escapes: as "\\U0001f600".
    """

    words: tuple[str, str, str]
    indent: str
    has_bare_names: bool
    has_last_comma: bool
    has_wide_escapes: bool

    def write(self, value: object, *, depth: int, is_broken: bool = False) -> str:
        """depth: of the line that it is put on. is_broken: one line for each part, however short they are."""
        match value:
            case None:
                return self.words[2]
            case bool():
                return self.words[0 if value else 1]
            case str():
                return self.text(value)
            case int() | float():
                return json.dumps(value, allow_nan=False)
            case Mapping():
                parts = [
                    f"{self.name(str(key))}: {self.write(one, depth=depth + 1)}"
                    for key, one in value.items()
                ]
                return self.braced(parts, depth=depth, is_broken=is_broken)
            case Sequence():
                parts = [self.write(one, depth=depth + 1) for one in value]
                return self.braced(parts, depth=depth, is_broken=is_broken, braces="[]")
        raise TypeError(f"JSON has no {type(value).__name__}")

    def braced(
        self, parts: Sequence[str], *, depth: int, is_broken: bool = False, braces: str = "{}"
    ) -> str:
        before, after = braces[0], braces[1]
        is_spaced = braces == "{}" and self.has_bare_names
        inside = ", ".join(parts)
        line = f"{before} {inside} {after}" if is_spaced and parts else f"{before}{inside}{after}"
        room = LINE_CHARACTERS_MAX - len(self.indent) * depth - len('"messages": ,')
        if not parts or (not is_broken and len(line) <= room and "\n" not in line):
            return line
        step = self.indent * (depth + 1)
        comma = "," if self.has_last_comma else ""
        lines = f",\n{step}".join(parts)
        return f"{before}\n{step}{lines}{comma}\n{self.indent * depth}{after}"

    def name(self, key: str) -> str:
        return key if self.has_bare_names and _NAME.fullmatch(key) else self.text(key)

    def text(self, text: str) -> str:
        quoted = json.dumps(text, ensure_ascii=False)
        return "".join(one if one.isprintable() else self._escaped(one) for one in quoted)

    def _escaped(self, character: str) -> str:
        code = ord(character)
        if code <= 0xFFFF:
            return f"\\u{code:04x}"
        return f"\\U{code:08x}" if self.has_wide_escapes else json.dumps(character)[1:-1]


_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PYTHON: Final = _Notation(
    words=("True", "False", "None"),
    indent="    ",
    has_bare_names=False,
    has_last_comma=True,
    has_wide_escapes=True,
)
_SCRIPT: Final = _Notation(
    words=("true", "false", "null"),
    indent="  ",
    has_bare_names=True,
    has_last_comma=True,
    has_wide_escapes=False,
)
_JSON: Final = _Notation(
    words=("true", "false", "null"),
    indent="  ",
    has_bare_names=False,
    has_last_comma=False,
    has_wide_escapes=False,
)


def _indented(parts: Sequence[str], step: str = "    ") -> str:
    """Each on a line of its own, with its comma."""
    return "\n".join(f"{step}{one}," for one in parts)
