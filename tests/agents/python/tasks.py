"""What the programs here share: the tools, and running all tasks of the argument at the same time."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Given:
    """url: of the server. streamed: whether the model's answers shall be."""

    url: str
    key: str
    kind: str
    model: str
    streamed: bool
    folder: Path
    prompt: str

    def read_file(self, path: str) -> str:
        """What a file says."""
        return (self.folder / path).read_text("utf-8")

    def write_file(self, path: str, content: str) -> str:
        """Write a text into a file."""
        (self.folder / path).write_text(content, "utf-8")
        return "written"


def run(work: Callable[[Given], Awaitable[str]]) -> None:
    """Prints {name: {"text": ...} | {"failure": ...}}."""
    asked = json.loads(sys.argv[1])

    async def outcome(task: dict[str, object]) -> dict[str, str]:
        given = Given(asked["url"], asked["key"], **{**task, "folder": Path(str(task["folder"]))})
        try:
            return {"text": await work(given)}
        except Exception:  # noqa: BLE001 - told to the test, which fails with it
            return {"failure": traceback.format_exc()}

    async def every() -> list[dict[str, str]]:
        return await asyncio.gather(*map(outcome, asked["tasks"].values()))

    print(json.dumps(dict(zip(asked["tasks"], asyncio.run(every()), strict=True))))
