"""`make screenshots`: every page, desktop and phone, light and dark, into `.screenshots/`, to be looked at.

A new page is one line in `PAGES`. `ARGS="models"` takes only the pages with that in their name.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser.chromium import running_chromium
from tests.browser.stage import DESKTOP, PHONE, serving, sign_in, window

OUT = Path(".screenshots")
SIZES = (("desktop", DESKTOP), ("phone", PHONE))
THEMES = ("light", "dark")


@dataclass(frozen=True)
class Shot:
    """name: of the file. as_owner: signed in as the owner."""

    name: str
    path: str
    as_owner: bool = False


PAGES = (
    Shot("home", "/"),
    Shot("models", "/models"),
    Shot("models-table", "/models?view=table"),
    Shot("models-none", "/models?q=nothing-is-called-that"),
    Shot("not-found", "/nothing/here"),
    Shot("design-system", "/docs/design-system"),
    Shot("model-overview", "/openai/o4-mini?tab=overview"),
    Shot("model-providers", "/openai/o4-mini?tab=providers"),
    Shot("model-performance", "/openai/o4-mini?tab=performance"),
    Shot("model-pricing", "/openai/o4-mini?tab=pricing"),
    Shot("model-benchmarks", "/openai/o4-mini?tab=benchmarks"),
    Shot("model-apps", "/openai/o4-mini?tab=apps"),
    Shot("model-activity", "/openai/o4-mini?tab=activity"),
    Shot("model-uptime", "/openai/o4-mini?tab=uptime"),
    Shot("model-api", "/openai/o4-mini?tab=api"),
    Shot("model-unknown", "/openai/o3-minni"),
    Shot("model-router", "/fairlead/auto"),
    Shot("compare", "/compare?models=openai/o1,openai/o3-mini,openai/o4-mini"),
    Shot("compare-none", "/compare"),
)


def main(wanted: str = "") -> None:
    OUT.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        serving(Path(place)) as served,
        running_chromium(Path(place)) as browser,
    ):
        state: Any = None
        shots = [shot for shot in PAGES if wanted in shot.name]
        if any(shot.as_owner for shot in shots):
            with window(browser, served.url) as (page, _):
                sign_in(page, served.link)
                state = page.context.storage_state()
        for size_name, size in SIZES:
            for theme in THEMES:
                for shot in shots:
                    kept = state if shot.as_owner else None
                    with window(browser, served.url, size=size, theme=theme, state=kept) as (
                        page,
                        watched,
                    ):
                        page.goto(shot.path, wait_until="networkidle")
                        path = OUT / f"{shot.name}-{size_name}-{theme}.png"
                        page.screenshot(path=path, full_page=True)
                        print(path, *watched.wrongs, sep="\n  ")


if __name__ == "__main__":
    main(*sys.argv[1:2])
