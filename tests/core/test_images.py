from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.images import TOKENS_MAX, TOKENS_MIN, image_size, image_tokens


def _png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def _gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def _jpeg(width: int, height: int) -> bytes:
    preview = b"\xff\xe0" + struct.pack(">H", 16) + bytes(14)
    frame = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)
    return b"\xff\xd8" + preview + frame


def _webp(kind: bytes, payload: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + payload


def _webp_extended(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _webp(b"VP8X", bytes(4) + sides)


def _webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return _webp(b"VP8L", b"\x2f" + bits.to_bytes(4, "little") + bytes(5))


def _webp_lossy(width: int, height: int) -> bytes:
    return _webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height))


@pytest.mark.parametrize("make", [_png, _gif, _jpeg, _webp_extended, _webp_lossless, _webp_lossy])
def test_the_size_is_read_from_the_first_bytes_of_every_common_format(make) -> None:
    assert image_size(make(640, 481)) == (640, 481)


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBP"]),
)
def test_arbitrary_bytes_have_a_positive_size_or_none(rest: bytes, start: bytes) -> None:
    size = image_size(start + rest)
    assert size is None or min(size) > 0


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_tokens_stay_within_bounds_for_every_size(width: int, height: int) -> None:
    url = "data:image/png;base64," + base64.b64encode(_png(width, height)).decode()
    assert TOKENS_MIN <= image_tokens(url) <= TOKENS_MAX


def test_a_photo_counts_for_its_pixels() -> None:
    url = "data:image/png;base64," + base64.b64encode(_png(750, 750)).decode()
    assert image_tokens(url) == 750


def test_low_detail_is_the_least_whatever_the_size() -> None:
    assert image_tokens("https://example.com/x.png", detail="low") == TOKENS_MIN


@pytest.mark.parametrize(
    "url", ["https://example.com/x.png", "data:image/png;base64,@@@", "data:,x", ""]
)
def test_an_image_that_cannot_be_measured_counts_as_a_common_one(url: str) -> None:
    assert image_tokens(url) == 1399
