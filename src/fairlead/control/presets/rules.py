"""What presets may be called, and how many there may be. Pure."""

from __future__ import annotations

from typing import Final

from fairlead.control.presets.types import PresetInvalid
from fairlead.core.one_line import one_line
from fairlead.core.presets import SLUG_CHARACTERS_MAX, is_slug

__all__ = [
    "PRESETS_MAX",
    "VERSIONS_MAX",
    "described",
    "named",
    "slug",
]

NAME_CHARACTERS_MAX: Final = 100
DESCRIPTION_CHARACTERS_MAX: Final = 500
PRESETS_MAX: Final = 500  # of one workspace
VERSIONS_MAX: Final = 1000  # of one preset
_PAGE: Final = "new"  # beside a preset's own: /settings/presets/new


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
