"""Who hears of each step while the output of a Responses answer is built."""

from __future__ import annotations

from typing import Protocol

from fairlead.dialects.responses_object import Fields

__all__ = ["Listener", "Silence"]


class Listener(Protocol):
    """Who hears of each step."""

    def event(self, kind: str, fields: Fields) -> None: ...

    def text(self, item_id: str, output_index: int, content_index: int, text: str) -> None:
        """A piece of text without log probabilities: by far the most frequent event."""
        ...


class Silence:
    """Nobody listens."""

    def event(self, kind: str, fields: Fields) -> None: ...

    def text(self, item_id: str, output_index: int, content_index: int, text: str) -> None: ...
