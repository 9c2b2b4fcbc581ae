"""The task that every agent is given: read one file, and write what it says into another."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Task", "new_task"]


@dataclass(frozen=True)
class Task:
    """folder: where it is done. secret: in `in.txt`, known to nobody else. tag: of its calls at the twin."""

    folder: Path
    secret: str
    tag: str

    def prompt(self, *calls: tuple[str, dict[str, str]]) -> str:
        """calls: what the simulated model does, one after the other, with the tools that this agent has."""
        script = [f"twin-call: {tool} {json.dumps(arguments)}" for tool, arguments in calls]
        lines = [f"Copy in.txt to out.txt, please. twin:tag={self.tag}", *script]
        return "\n".join(lines)

    @property
    def is_done(self) -> bool:
        """Some agents number the lines that they read, so the copy may say more."""
        out = self.folder / "out.txt"
        return out.is_file() and self.secret in out.read_text("utf-8")


def new_task(folder: Path, tag: str) -> Task:
    folder.mkdir(parents=True)
    secret = secrets.token_hex(8)
    (folder / "in.txt").write_text(f"The word is {secret}.\n", "utf-8")
    return Task(folder, secret, tag)
