"""Libraries that bring the loop around the model: each does the task with every format that it can call us in.

Each runs once, all its tasks at the same time; the tests here judge them one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import pytest

from fairlead.testing.serving import Pair
from tests.agents.conftest import FOLDER, NODE, PYTHON, Run
from tests.agents.task import Task, new_task

MODELS = ("anthropic/claude-sonnet-4.5", "openai/gpt-4o-mini", "sandbox/tools")
PROGRAMS = {
    "vercel": [NODE, FOLDER / "node" / "vercel.mjs"],
    "langchain": [PYTHON, FOLDER / "python" / "langchain_program.py"],
    "pydantic_ai": [PYTHON, FOLDER / "python" / "pydantic_ai_program.py"],
}
KINDS = {
    "vercel": ("openrouter", "anthropic", "responses"),
    "langchain": ("chat", "responses", "anthropic", "openrouter"),
    "pydantic_ai": ("chat", "responses", "anthropic", "openrouter"),
}
CALLS = (
    ("read_file", {"path": "in.txt"}),
    ("write_file", {"path": "out.txt", "content": "$result"}),
)


@dataclass(frozen=True)
class Ran:
    """outcomes: as the program printed them, by the name of the task."""

    tasks: dict[str, Task]
    outcomes: dict[str, dict[str, str]]


def name_of(kind: str, model: str, streamed: bool) -> str:
    return f"{kind}-{model.replace('/', '-')}-{'streamed' if streamed else 'whole'}"


@pytest.fixture(scope="module")
def ran(pair: Pair, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """ran(library): what its program came to; it runs when it is asked for first."""

    @cache
    def ran(library: str) -> Ran:
        home = tmp_path_factory.mktemp(library)
        tasks, asked = {}, {}
        for kind, model, streamed in product(KINDS[library], MODELS, (False, True)):
            name = name_of(kind, model, streamed)
            tasks[name] = task = new_task(home / name, f"{library}-{name}")
            asked[name] = {
                "kind": kind,
                "model": model,
                "streamed": streamed,
                "folder": str(task.folder),
                "prompt": task.prompt(*CALLS),
            }
        argument = {"url": pair.fairlead.url, "key": pair.fairlead.key, "tasks": asked}
        printed = run([*PROGRAMS[library], json.dumps(argument)], cwd=home)
        return Ran(tasks, json.loads(printed))

    return ran


CASES = [
    pytest.param(library, kind, model, streamed, id=f"{library}-{name_of(kind, model, streamed)}")
    for library, kinds in KINDS.items()
    for kind, model, streamed in product(kinds, MODELS, (False, True))
]


@pytest.mark.parametrize(("library", "kind", "model", "streamed"), CASES)
def test_the_task_is_done(ran, pair: Pair, library: str, kind: str, model: str, streamed: bool):
    name = name_of(kind, model, streamed)
    task, outcome = ran(library).tasks[name], ran(library).outcomes[name]
    assert "failure" not in outcome, outcome["failure"]
    assert outcome["text"] == "The tools say: written"
    assert (task.folder / "out.txt").read_text() == (task.folder / "in.txt").read_text()
    if not model.startswith("sandbox/"):  # that one is no twin: it runs within the server
        assert len(pair.twin.requests(task.tag)) == len(CALLS) + 1
