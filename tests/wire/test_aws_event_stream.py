"""The binary event stream: what AWS's own encoder and decoder say, ours says too."""

from __future__ import annotations

from contextlib import suppress
from struct import pack
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from fairlead.wire.aws_event_stream import (
    HEADERS_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    EventStreamDecoder,
    EventStreamError,
    Message,
)
from tests.event_streams import cuts, frame, split
from tests.recordings import Recording, load_native

STREAMS = [
    case
    for case in load_native("bedrock")
    if case.headers.get("content-type") == "application/vnd.amazon.eventstream"
]

# One header of every type, as the format's description gives them.
EVERY_TYPE = (
    b"\x01t\x00" + b"\x01f\x01" + b"\x01b\x02\x7f" + b"\x01s\x03\x01\x02" + b"\x01i\x04\x01\x02\x03\x04"
    + b"\x01l\x05" + bytes(8) + b"\x01y\x06\x00\x03abc" + b"\x01n\x07\x00\x04name"
    + b"\x01w\x08" + bytes(8) + b"\x01u\x09" + bytes(16)
)  # fmt: skip


def decode(*chunks: bytes) -> list[Message]:
    decoder = EventStreamDecoder()
    return [message for chunk in chunks for message in decoder.feed(chunk)]


def test_there_are_recorded_streams() -> None:
    assert len(STREAMS) >= 9


@pytest.mark.parametrize("case", STREAMS, ids=repr)
def test_recorded_streams_are_read_as_botocore_reads_them(case: Recording) -> None:
    theirs = EventStreamBuffer()
    theirs.add_data(case.body)
    decoder = EventStreamDecoder()
    ours = decoder.feed(case.body)
    assert [(dict(m.headers), m.payload) for m in ours] == [(m.headers, m.payload) for m in theirs]
    assert not decoder.pending


@given(
    messages=st.lists(
        st.tuples(
            st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=40), max_size=4),
            st.binary(max_size=200),
        ),
        max_size=5,
    ),
    where=cuts(),
)
def test_any_chunking_gives_the_same_messages(
    messages: list[tuple[dict[str, str], bytes]], where: list[int]
) -> None:
    written = b"".join(frame(headers, payload) for headers, payload in messages)
    read = decode(*split(written, where))
    assert [(dict(message.headers), message.payload) for message in read] == messages


def test_headers_of_every_type_are_stepped_over() -> None:
    assert decode(raw_frame(EVERY_TYPE, b"{}")) == [Message({"n": "name"}, b"{}")]


@pytest.mark.parametrize("position", range(len(frame({"a": "b"}, b"payload"))))
def test_one_damaged_byte_is_noticed(position: int) -> None:
    damaged = bytearray(frame({"a": "b"}, b"payload"))
    damaged[position] ^= 0x10
    with pytest.raises(EventStreamError):
        decode(bytes(damaged))


def test_what_came_before_the_damage_can_be_had() -> None:
    decoder = EventStreamDecoder()
    good = frame({"a": "b"}, b"good")
    assert decoder.next(good + b"x" * 16) == Message({"a": "b"}, b"good")
    with pytest.raises(EventStreamError):
        decoder.next()


@pytest.mark.parametrize(
    ("total", "headers"),
    [
        (15, 0),
        (20, 10),
        (16 + HEADERS_BYTES_MAX + MESSAGE_BYTES_MAX + 1, 0),
        (2**32 - 1, 0),
        (HEADERS_BYTES_MAX + 100, HEADERS_BYTES_MAX + 1),
    ],
)
def test_impossible_lengths_are_refused_before_anything_is_buffered(
    total: int, headers: int
) -> None:
    lengths = pack(">II", total, headers)
    with pytest.raises(EventStreamError):
        decode(lengths + pack(">I", crc32(lengths)))


@pytest.mark.parametrize(
    "headers", [b"\x05ab", b"\x01a\x07\x00\x09b", b"\x01a\x63", b"\x01\xff\x00"]
)
def test_headers_that_make_no_sense_are_refused(headers: bytes) -> None:
    with pytest.raises(EventStreamError):
        decode(raw_frame(headers, b"{}"))


@given(st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes_end_in_messages_or_a_typed_error(noise: bytes, is_framed: bool) -> None:
    with suppress(EventStreamError):
        decode(raw_frame(noise, noise) if is_framed else noise)


def raw_frame(headers: bytes, payload: bytes) -> bytes:
    prelude = pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + pack(">I", crc32(prelude)) + headers + payload
    return message + pack(">I", crc32(message))
