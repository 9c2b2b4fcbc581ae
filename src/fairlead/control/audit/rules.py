"""What an entry of the audit log may hold. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fairlead.control.audit.types import Actor

__all__ = ["ID_ENTROPY_BYTES", "actor", "bounded", "details", "entry_id", "first_id"]

ID_ENTROPY_BYTES: Final = 10
DETAILS_MAX: Final = 12
TEXT_CHARACTERS_MAX: Final = 300

_ACTION: Final = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def entry_id(unix_ms: int, action: str, entropy: bytes) -> str:
    """`audit-` + milliseconds since 1970 (12 hex) + the entropy."""
    assert len(entropy) == ID_ENTROPY_BYTES
    assert _ACTION.fullmatch(action), action
    return f"{first_id(unix_ms)}{entropy.hex()}"


def first_id(unix_ms: int) -> str:
    """Sorts before every id of that moment, and behind all earlier ones."""
    return f"audit-{unix_ms & 0xFFFFFFFFFFFF:012x}"


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
