"""What an entry of the audit log may hold. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fairlead.control.audit.types import Actor
from fairlead.core.ids import first_timed_id, timed_id

__all__ = ["actor", "bounded", "details", "entry_id", "first_id"]

DETAILS_MAX: Final = 12
TEXT_CHARACTERS_MAX: Final = 300

_PREFIX: Final = "audit"
_ACTION: Final = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def entry_id(unix_ms: int, action: str, entropy: bytes) -> str:
    assert _ACTION.fullmatch(action), action
    return timed_id(_PREFIX, unix_ms, entropy)


def first_id(unix_ms: int) -> str:
    """Sorts before every id of that moment, and behind all earlier ones."""
    return first_timed_id(_PREFIX, unix_ms)


def bounded(text: str) -> str:
    """One line of a length that does not matter."""
    line = " ".join(text.split())
    return line if len(line) <= TEXT_CHARACTERS_MAX else f"{line[: TEXT_CHARACTERS_MAX - 3]}..."


def details(values: Mapping[str, object]) -> dict[str, str]:
    """What is not None, as text."""
    assert len(values) <= DETAILS_MAX
    return {name: bounded(str(value)) for name, value in values.items() if value is not None}


def actor(who: Actor) -> Actor:
    return Actor(bounded(who.name), bounded(who.address))
