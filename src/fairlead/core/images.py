"""How large an image is, read from its first bytes, and what it counts for. Pure.

The rule is one for all providers: an image counts for a token per 750 pixels once it fits into a square of
1,568 pixels, from 85 to 1,600. It lies between what the large providers charge, and it needs no table that
ages. An image that we cannot measure (an address, a format we do not know) counts as 1024 by 1024.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Final

__all__ = ["image_size", "image_tokens"]

TOKENS_MIN: Final = 85
TOKENS_MAX: Final = 1_600
_PIXELS_PER_TOKEN: Final = 750
_SIDE_MAX: Final = 1_568
_UNMEASURED: Final = (1_024, 1_024)
_HEAD_BYTES_MAX: Final = 48 * 1024  # a JPEG may carry a preview image before its own size


def image_tokens(url: str, *, detail: str | None = None) -> int:
    """Tokens of one image. url: data URL or address. detail: `low` asks for the least."""
    if detail == "low":
        return TOKENS_MIN
    width, height = _measured(url) or _UNMEASURED
    shrink = min(1.0, _SIDE_MAX / max(width, height))
    tokens = math.ceil(width * shrink * height * shrink / _PIXELS_PER_TOKEN)
    return max(TOKENS_MIN, min(TOKENS_MAX, tokens))


def _measured(url: str) -> tuple[int, int] | None:
    if not url.startswith("data:"):
        return None
    comma = url.find(";base64,", 0, 256)
    if comma < 0:
        return None
    start = comma + len(";base64,")
    try:
        return image_size(base64.b64decode(url[start : start + _HEAD_BYTES_MAX * 4 // 3 // 4 * 4]))
    except (binascii.Error, ValueError):
        return None


def image_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) of a PNG, JPEG, GIF or WebP; None for anything else. head: its first bytes."""
    size: tuple[int, int] | None = None
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    elif head[:6] in (b"GIF87a", b"GIF89a") and len(head) >= 10:
        size = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP" and len(head) >= 30:
        size = _webp_size(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg_size(head)
    return size if size is not None and min(size) > 0 else None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """The three kinds of WebP: extended, lossless, lossy (RFC 9649, sections 2.5 to 2.7)."""
    match head[12:16]:
        case b"VP8X":
            return (
                int.from_bytes(head[24:27], "little") + 1,
                int.from_bytes(head[27:30], "little") + 1,
            )
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return (
                int.from_bytes(head[26:28], "little") & 0x3FFF,
                int.from_bytes(head[28:30], "little") & 0x3FFF,
            )
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Walk the segments up to the first start-of-frame."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return (
                int.from_bytes(head[at + 7 : at + 9], "big"),
                int.from_bytes(head[at + 5 : at + 7], "big"),
            )
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
