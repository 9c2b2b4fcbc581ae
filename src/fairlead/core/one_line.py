"""Names and titles that people give, as lists and mails can hold them. Pure."""

from __future__ import annotations

__all__ = ["one_line"]


def one_line(text: str) -> str:
    """On one line, without what nobody can see: no name looks like another, or turns the text around it."""
    words = ("".join(filter(str.isprintable, word)) for word in text.split())
    return " ".join(filter(None, words))
