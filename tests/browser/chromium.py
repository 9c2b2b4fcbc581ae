"""Chromium, as `make dev-setup` unpacks it, driven by Playwright: nothing of it is installed in the system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

TOOLS = Path(__file__).parent / "tools"
UNPACKED = TOOLS / "chromium"
AXE = TOOLS / "node_modules" / "axe-core" / "axe.min.js"
_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
</fontconfig>
"""


@contextmanager
def running_chromium(place: Path) -> Iterator[Browser]:
    """Until the block ends. place: where it may write."""
    assert (UNPACKED / "chromium").is_file(), "make dev-setup installs the browser"
    fonts = place / "fonts.conf"
    fonts.write_text(_FONTS.format(fonts=UNPACKED / "fonts", cache=place / "fonts"))
    environment: dict[str, str | float | bool] = {
        "HOME": str(place),
        "FONTCONFIG_FILE": str(fonts),
        # Before the system's: some machines have none of these.
        "LD_LIBRARY_PATH": str(UNPACKED / "lib"),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=UNPACKED / "chromium",
            env=environment,
            args=[
                "--no-sandbox",  # builds run as root in containers; it opens our own pages only
                "--disable-gpu",
                "--force-color-profile=srgb",
                "--font-render-hinting=none",
            ],
        )
        try:
            yield browser
        finally:
            browser.close()
