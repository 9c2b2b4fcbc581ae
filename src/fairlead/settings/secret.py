"""Settings that open something, and addresses."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

__all__ = ["Address", "Secret", "revealed"]

Address = Annotated[str, Meta(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$")]


class Secret:
    """A text that opens something. Only `reveal` shows it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
