"""How a command ends when it cannot do its work: one line for a person, and an exit code for a script."""

from __future__ import annotations

from typing import Final

__all__ = ["BROKEN", "INTERRUPTED", "REFUSED", "Stop"]

BROKEN: Final = 1  # something failed: a check, or we ourselves
REFUSED: Final = 2  # the command, the configuration or the surroundings must change first
INTERRUPTED: Final = 130  # as shells report Ctrl-C


class Stop(Exception):
    """End the command with this line on standard error. It says what was wrong and what to do."""

    def __init__(self, message: str, *, code: int = REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
