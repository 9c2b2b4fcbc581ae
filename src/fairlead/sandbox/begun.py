"""An answer that has been begun already, and is to be gone on with.

A conversation says so in two ways: it ends with a message of the assistant, which real models then continue (a
prefill); or with one of a user who says that it `was cut off`. In both cases a simulated model says what
it would have said to the conversation before, without what is there already. If that is not how it would have
begun, it answers anew.

Asked by a user, it does as it is told: when his message ends with the last words of the answer, on lines of
their own, it begins with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["ASSISTANT_ROLES", "Begun", "begun"]

ASSISTANT_ROLES: Final = ("assistant", "model")
_SAYS_SO: Final = "was cut off"


class Begun(NamedTuple):
    """text: what is there. repeated_characters: so many of its end the model says again first.

    is_prefill: nobody asked; so there is no place for thoughts either.
    """

    text: str
    repeated_characters: int = 0
    is_prefill: bool = True

    def rest(self, pieces: tuple[str, ...], repeated_characters: int | None) -> tuple[str, ...]:
        """What is left to say of a whole answer. repeated_characters: in place of its own."""
        if not "".join(pieces).startswith(self.text):
            return pieces
        again = self.repeated_characters if repeated_characters is None else repeated_characters
        skipped = max(0, len(self.text) - again)
        rest: list[str] = []
        for piece in pieces:
            if skipped < len(piece):
                rest.append(piece[skipped:])
            skipped = max(0, skipped - len(piece))
        return tuple(rest)


def begun(turns: Sequence[tuple[str, str]]) -> tuple[int, Begun | None]:
    """(how many of the messages come before the begun answer, that answer). turns: (role, text) of each."""
    count = len(turns)
    if count >= 2 and _is_begun(turns[-1]):
        return count - 1, Begun(turns[-1][1])
    if count >= 3 and _is_begun(turns[-2]) and _SAYS_SO in turns[-1][1]:
        text = turns[-2][1]
        return count - 2, Begun(text, _told_again(text, turns[-1][1]), is_prefill=False)
    return count, None


def _is_begun(turn: tuple[str, str]) -> bool:
    return turn[0] in ASSISTANT_ROLES and bool(turn[1].strip())


def _told_again(text: str, asked: str) -> int:
    """How much of the end of `text` stands at the end of `asked`, behind a line break."""
    at = asked.find("\n")
    while at >= 0:
        words = asked[at + 1 :]
        if words and text.endswith(words):
            return len(words)
        at = asked.find("\n", at + 1)
    return 0
