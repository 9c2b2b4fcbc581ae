"""One text of a JSON document, without the rest."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["text_between"]

_decode: Final = msgspec.json.Decoder(str).decode


def text_between(written: str) -> str | None:
    """The text that is written so between quotes; None: that is not one text."""
    if written.isprintable() and '"' not in written and "\\" not in written:
        return written
    try:
        return _decode(f'"{written}"')
    except msgspec.DecodeError:
        return None
