"""Coding agents, without a terminal: one speaks Messages, one speaks Responses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead.testing.serving import Pair
from tests.agents.conftest import FOLDER, NODE, Run
from tests.agents.task import Task, new_task

MODULES = FOLDER / "node" / "node_modules"
CLAUDE_CODE = MODULES / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"
CODEX = MODULES / "@openai" / "codex" / "bin" / "codex.js"
MODELS = ("anthropic/claude-sonnet-4.5", "openai/gpt-5-mini", "sandbox/tools")


@pytest.fixture
def task(request, tmp_path: Path) -> Task:
    return new_task(tmp_path / "work", request.node.name.replace("/", "-"))


@pytest.mark.parametrize("model", MODELS)
def test_claude_code(pair: Pair, run: Run, task: Task, model: str, tmp_path: Path):
    prompt = task.prompt(
        ("Read", {"file_path": str(task.folder / "in.txt")}),
        ("Write", {"file_path": str(task.folder / "out.txt"), "content": "$result"}),
    )
    allowed = ["--permission-mode", "acceptEdits", "--allowedTools", "Read Write"]
    printed = run(
        [NODE, CLAUDE_CODE, "-p", "--output-format", "json", *allowed, "--", prompt],
        cwd=task.folder,
        environment={
            "ANTHROPIC_BASE_URL": pair.fairlead.anthropic_url,
            "ANTHROPIC_AUTH_TOKEN": pair.fairlead.key,
            "ANTHROPIC_MODEL": model,
            "ANTHROPIC_SMALL_FAST_MODEL": model,
            "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_TELEMETRY": "1",
        },
    )
    report = json.loads(printed[printed.index("{") :])
    assert (report["is_error"], report["num_turns"]) == (False, 3)
    assert report["result"].startswith("The tools say: ")
    assert task.is_done


CODEX_CONFIG = """
model = "{model}"
model_provider = "fairlead"
check_for_update_on_startup = false
[model_providers.fairlead]
name = "Fairlead"
base_url = "{url}"
env_key = "FAIRLEAD_KEY"
wire_api = "responses"
[analytics]
enabled = false
[features]
plugins = false
apps = false
"""


@pytest.mark.parametrize("model", MODELS)
def test_codex(pair: Pair, run: Run, task: Task, model: str, tmp_path: Path):
    home = tmp_path / "codex"
    home.mkdir()
    config = CODEX_CONFIG.format(model=model, url=pair.fairlead.openrouter_url)
    (home / "config.toml").write_text(config, "utf-8")
    prompt = task.prompt(
        ("exec_command", {"cmd": "cat in.txt"}),
        ("exec_command", {"cmd": "cat > out.txt <<'END'\n$result\nEND"}),
    )
    # Its own sandbox needs rights that a container may not have; the folder is all there is to spoil.
    free = "--dangerously-bypass-approvals-and-sandbox"
    printed = run(
        [NODE, CODEX, "exec", "--json", "--skip-git-repo-check", free, prompt],
        cwd=task.folder,
        environment={"CODEX_HOME": str(home), "FAIRLEAD_KEY": pair.fairlead.key},
    )
    events = [json.loads(line) for line in printed.splitlines()]
    assert events[-1]["type"] == "turn.completed"
    assert events[-1]["usage"]["input_tokens"] > 0
    said = [event["item"] for event in events if event["type"] == "item.completed"]
    assert said[-1]["text"].startswith("The tools say: ")
    assert task.is_done
