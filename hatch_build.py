"""Refuses to make a package without what the pages send to browsers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MANIFEST = Path("src/fairlead/web/static/built/manifest.json")


class PagesAreBuilt(BuildHookInterface):  # type: ignore[type-arg]
    """An editable install comes before the build, and may do without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if version != "editable" and not (Path(self.root) / MANIFEST).is_file():
            raise SystemExit(f"{MANIFEST} is missing: run `make wheel`, which builds it first.")
