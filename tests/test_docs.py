"""The documentation is true: what it points at exists, what it shows works, what is public is explained."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shlex
import tomllib
from pathlib import Path

import click
import msgspec
import pytest

from fairlead.cli.main import commands
from fairlead.control.catalog.files import load_seed
from fairlead.core.catalog_overlay import ExtraModel, overlay
from fairlead.core.catalog_sandbox import SANDBOX_MODELS
from fairlead.core.errors import (
    HTTP_STATUS,
    Availability,
    ErrorType,
    FailureKind,
    Problem,
    UpstreamFailure,
)
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.sandbox.faults import NO_FAULT, Fault, parse_fault
from fairlead.wire.openai_errors import error_fields, problem_fields

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "fairlead"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "changelog.d").glob("*.md"),
        *PACKAGE.rglob("*.md"),
        *(
            page
            for page in (ROOT / "tests").rglob("*.md")
            if "node_modules" not in page.parts and "recordings" not in page.parts
        ),
    ]
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(\s*([^)\s]+)\s*\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def fenced(text: str, language: str) -> list[str]:
    """The contents of all fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """What a heading is called in a link, as code hosts do it."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere, as they are written."""
    broken = []
    for target in _LINK.findall(prose(page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (
            anchor and goal.suffix == ".md" and anchor not in anchors(goal.read_text("utf-8"))
        ):
            broken.append(target)
    return broken


def make_targets() -> set[str]:
    return set(
        re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_resolves(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](#a-title) [b](gone.md) [c](#gone) [d](https://example.org)\n")
    assert broken_links(page) == ["gone.md", "#gone"]


def test_every_decision_is_in_the_index_under_its_title() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    for page in DECISIONS:
        title = page.read_text("utf-8").partition("\n")[0].removeprefix(f"# {page.name[:4]} ")
        assert f"[{page.name[:4]}]({page.name}) | {title} |" in index


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_every_decision_says_context_choice_consequences_and_doubt(page: Path) -> None:
    text = page.read_text("utf-8").lower()
    for part in ("context", "choice", "consequences", "what would change our mind"):
        assert part in text


def test_decisions_have_different_numbers() -> None:
    numbers = [page.name[:4] for page in DECISIONS]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    in_code = re.findall(r"`[^`]*`", prose(text)) + fenced(text, "sh") + fenced(text, "text")
    named = {target for code in in_code for target in re.findall(r"\bmake\s+([a-z][a-z-]*)", code)}
    assert named <= make_targets()


def test_every_make_target_that_a_person_runs_is_explained_to_contributors() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for target in make_targets() - {"help", "setup"}:
        assert f"make {target}" in page


@pytest.mark.parametrize(
    "folder",
    sorted(path for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("_")),
    ids=name_of,
)
def test_every_folder_of_the_package_has_a_readme(folder: Path) -> None:
    assert (folder / "README.md").is_file()


@pytest.mark.parametrize("readme", sorted(PACKAGE.glob("*/README.md")), ids=name_of)
def test_every_file_that_a_folder_readme_names_exists(readme: Path) -> None:
    missing = [
        named
        for named in re.findall(r"`([a-z_]+\.py)`", readme.read_text("utf-8"))
        if not any(readme.parent.rglob(named))
    ]
    assert missing == []


def test_every_code_file_that_the_pages_name_exists() -> None:
    folders = "|".join(path.name for path in PACKAGE.iterdir() if path.is_dir())
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    missing = [
        (name_of(page), named)
        for page in pages
        for named in re.findall(rf"`((?:{folders})/[a-z_/]+\.py)`", page.read_text("utf-8"))
        if not (PACKAGE / named).is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("word", list(ErrorType))
def test_every_error_type_is_explained_with_its_status(word: ErrorType) -> None:
    page = (ROOT / "docs" / "api" / "errors.md").read_text("utf-8")
    assert f"| {HTTP_STATUS[word]} | `{word}` |" in page


def test_every_availability_code_is_explained() -> None:
    page = (ROOT / "docs" / "api" / "errors.md").read_text("utf-8")
    source = (PACKAGE / "gateway" / "refusals.py").read_text("utf-8")
    codes = {
        constant.value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Availability"
        for keyword in call.keywords
        if keyword.arg == "code"
        for constant in ast.walk(keyword.value)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    assert len(codes) > 1
    assert {code for code in codes if f"| `{code}` |" not in page} == set()


def routes() -> set[str]:
    """Every path that is served, as the code spells it, with a model's name as {author}/{slug}."""
    place_of_path = {"Route": 0, "Operation": 1}
    web = {
        constant.value.replace("{id:path}", "{author}/{slug}")
        for file in (PACKAGE / "web").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in place_of_path
        for constant in call.args[place_of_path[ast.unparse(call.func)] :][:1]
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    inference = {
        key.value
        for table in ast.walk(ast.parse((PACKAGE / "compose" / "data_plane.py").read_text("utf-8")))
        if isinstance(table, ast.Dict)
        for key in table.keys
        if isinstance(key, ast.Constant)
        and isinstance(key.value, str)
        and key.value.startswith("/")
    }
    assert "/healthz" in web
    assert "/chat/completions" in inference
    return web | inference


def test_the_endpoints_page_lists_the_routes_that_exist_and_no_others() -> None:
    page = (ROOT / "docs" / "api" / "README.md").read_text("utf-8")
    listed = set(re.findall(r"^\| [A-Z, ]+ \| `([^`]*)` \|", page, re.MULTILINE))
    billing = (ROOT / "docs" / "api" / "billing.md").read_text("utf-8")  # which the page refers to
    pages = (ROOT / "docs" / "web.md").read_text("utf-8")
    for other in (billing, pages):
        listed |= set(re.findall(r"^\| [A-Z, ]+ \| `([^`]*)` \|", other, re.MULTILINE))
    assert listed == routes()


def test_every_error_example_is_what_a_caller_gets() -> None:
    """The examples are rebuilt from their own values, so a change of the envelope shows here."""
    page = (ROOT / "docs" / "api" / "errors.md").read_text("utf-8")
    alone, unavailable, in_stream = (json.loads(block) for block in fenced(page, "json"))
    for body in (alone, unavailable):
        error = body["error"]
        availability = error.get("availability")
        problem = Problem(
            status=error["code"],
            error_type=ErrorType(error["metadata"]["error_type"]),
            message=error["message"],
            param=error["param"],
            availability=availability
            and Availability(
                code=availability["code"],
                retryable=availability["retryable"],
                requested_models=tuple(availability["requested_models"]),
            ),
        )
        assert json.loads(msgspec.json.encode(problem_fields(problem))) == body
    broken = UpstreamFailure(in_stream["error"]["message"], kind=FailureKind.CUT).problem()
    assert error_fields(broken) == in_stream["error"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_json_example_is_json(page: Path) -> None:
    for block in fenced(page.read_text("utf-8"), "json"):
        json.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_python_example_compiles(page: Path) -> None:
    for block in fenced(page.read_text("utf-8"), "python"):
        ast.parse(block)


def test_every_fault_of_the_twin_is_explained() -> None:
    page = (ROOT / "docs" / "operate" / "twin.md").read_text("utf-8")
    table = "\n".join(re.findall(r"^\| `.*$", page, re.MULTILINE))
    explained = set(re.findall(r"`([a-z_]+)(?:=[A-Z]+)?`", table))
    assert explained == {field.name for field in dataclasses.fields(Fault)}


def test_every_fault_example_is_understood_by_the_twin() -> None:
    page = (ROOT / "docs" / "operate" / "twin.md").read_text("utf-8")
    faults = fenced(page, "text")[0]
    for line in faults.splitlines():
        assert parse_fault(line) != NO_FAULT


def test_every_models_table_is_accepted_and_every_field_of_it_explained() -> None:
    page = (ROOT / "docs" / "operate" / "configuration.md").read_text("utf-8")
    tables = [
        table
        for block in re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        for table in tomllib.loads(block).get("models", [])
    ]
    assert len(tables) >= 3
    overlay(load_seed(), tables)
    for field in ExtraModel.__struct_fields__:
        assert f"`{field}`" in page


def test_every_command_is_listed() -> None:
    page = (ROOT / "docs" / "operate" / "commands.md").read_text("utf-8")
    listed = re.findall(r"^\| `fairlead ([a-z]+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(commands.list_commands(click.Context(commands)))


def test_every_dependency_has_its_reason_and_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs" / "decisions" / "0012-libraries.md").read_text("utf-8")
    wanted = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    assert wanted == set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE))


def curl_examples() -> list[list[str]]:
    """The words of each `curl` command of the README, line ends joined."""
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = [block.replace("\\\n", " ") for block in fenced(text, "sh")]
    return [
        shlex.split(line)
        for block in blocks
        for line in block.splitlines()
        if line.startswith("curl")
    ]


def test_the_curl_example_names_a_route_and_carries_a_request_that_decodes() -> None:
    (words,) = curl_examples()
    assert words[1] == "http://127.0.0.1:8400/api/v1/chat/completions"
    request = OpenAIChat().decode(words[words.index("-d") + 1].encode())
    assert request.body.model == "sandbox/echo"


def test_every_sandbox_model_that_the_readme_names_exists_and_every_chat_model_is_named() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"sandbox/[a-z]+", text))
    assert named <= {model.id for model in SANDBOX_MODELS}
    assert {model.id for model in SANDBOX_MODELS if model.kind.value == "chat"} <= named
