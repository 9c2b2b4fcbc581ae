"""Binary event streams for tests: how AWS writes them, and how a network cuts them."""

from __future__ import annotations

import json
from itertools import pairwise
from struct import pack
from zlib import crc32

from hypothesis import strategies as st

__all__ = ["cuts", "event", "exception", "frame", "split"]


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message with text headers."""
    written = b"".join(
        bytes([len(name.encode())])
        + name.encode()
        + b"\x07"
        + pack(">H", len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = pack(">II", 16 + len(written) + len(payload), len(written))
    message = prelude + pack(">I", crc32(prelude)) + written + payload
    return message + pack(">I", crc32(message))


def event(name: str, fields: object) -> bytes:
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps(fields).encode())


def exception(name: str, message: str) -> bytes:
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"message": message}).encode())


def cuts() -> st.SearchStrategy[list[int]]:
    """Places to cut at; those beyond the end mean nothing."""
    return st.lists(st.integers(0, 4000), max_size=12)


def split(data: bytes, where: list[int]) -> list[bytes]:
    edges = [0, *sorted(place for place in where if place < len(data)), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]
