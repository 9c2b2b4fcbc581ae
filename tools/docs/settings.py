"""Write docs/operate/settings.md from the settings' own types, bounds and descriptions.

python tools/docs/settings.py            write the page
python tools/docs/settings.py --print    print it instead
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from fairlead.settings.people import OidcSettings
from fairlead.settings.types import SECTIONS, ProviderSettings
from fairlead.settings.words import Setting, every_setting

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operate" / "settings.md"

_HEAD = """\
# Settings

Every setting, with its name in the environment. How they are read: [configuration](configuration.md). This page
is written by `tools/docs/settings.py`; edit the descriptions in `fairlead/settings`.
"""


_STRUCTS = {**SECTIONS, "oidc.<name>": OidcSettings, "providers.<slug>": ProviderSettings}


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for section, settings in groupby(every_setting(), key=_section):
        struct = _STRUCTS[section]
        summary = " ".join((struct.__doc__ or "").split())
        parts.append(f"## `[{section}]`\n\n{summary}\n\n{_table(list(settings))}")
    return "\n".join(parts)


def _section(setting: Setting) -> str:
    return setting.name.rpartition(".")[0]


def _table(settings: list[Setting]) -> str:
    lines = ["| Setting | Default | What it is |", "|---|---|---|"]
    for one in settings:
        default = f"`{one.default}`" if one.default else "none"
        name = f"`{one.name}`<br>`{one.variable}`"
        lines.append(f"| {name} | {default} | {one.description} Wanted: {one.wanted}. |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--print" in sys.argv[1:]:
        print(page(), end="")
    else:
        PAGE.write_text(page(), encoding="utf-8")
