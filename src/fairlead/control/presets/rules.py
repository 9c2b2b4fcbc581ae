"""What presets may be called, how many there may be, and how much they may say. Pure."""

from __future__ import annotations

from typing import Final

from fairlead.control.presets.types import PresetInvalid, PresetVersion
from fairlead.core.one_line import one_line
from fairlead.core.presets import SLUG_CHARACTERS_MAX, is_slug

__all__ = [
    "KEPT_BYTES_MAX",
    "PRESETS_MAX",
    "VERSIONS_MAX",
    "VERSION_BYTES",
    "described",
    "kept_bytes",
    "named",
    "slug",
]

NAME_CHARACTERS_MAX: Final = 100
DESCRIPTION_CHARACTERS_MAX: Final = 500
PRESETS_MAX: Final = 500  # of one workspace
VERSIONS_MAX: Final = 1000  # of one preset
# Of all versions of one workspace: the bounds on their number and on each one's size multiply to 64 GB.
KEPT_BYTES_MAX: Final = 16 * 1024 * 1024
VERSION_BYTES: Final = 256  # of each, besides what it says: ids, times, its place in indices
_PAGE: Final = "new"  # beside a preset's own: /settings/presets/new


def kept_bytes(version: PresetVersion) -> int:
    prompt = version.system_prompt or ""
    return VERSION_BYTES + len(version.config.encode()) + len(prompt.encode())


def slug(text: str) -> str:
    """As it was written. Raises PresetInvalid."""
    if text == _PAGE:
        raise PresetInvalid(f"no preset can be called {_PAGE!r}: a page has that name", "slug")
    if not is_slug(text):
        raise PresetInvalid(
            f"a slug has 1 to {SLUG_CHARACTERS_MAX} lower-case letters, digits, - and _,"
            " and begins with a letter or a digit",
            "slug",
        )
    return text


def named(text: str) -> str:
    """One line of what can be seen. Raises PresetInvalid."""
    name = one_line(text).strip()
    if not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise PresetInvalid(f"a name has 1 to {NAME_CHARACTERS_MAX} characters", "name")
    return name


def described(text: str | None) -> str | None:
    """None for an empty one. Raises PresetInvalid."""
    about = (text or "").strip()
    if len(about) > DESCRIPTION_CHARACTERS_MAX:
        raise PresetInvalid(
            f"a description has at most {DESCRIPTION_CHARACTERS_MAX} characters", "description"
        )
    return about or None
