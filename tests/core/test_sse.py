from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.sse import SSEDecoder, StreamTooLong, data_frame

_lines = st.one_of(
    st.binary(max_size=20).map(lambda b: b"data: " + b.replace(b"\n", b"").replace(b"\r", b"")),
    st.sampled_from([b"", b": comment", b"event: error", b"data", b"data:", b"id: 1", b"retry: 5"]),
)
_streams = st.lists(st.tuples(_lines, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
    lambda parts: b"".join(line + end for line, end in parts)
)


def _all(chunks: list[bytes]) -> list[tuple[str, bytes]]:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.finish()


def _split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(_streams, st.lists(st.integers(min_value=0, max_value=10_000), max_size=20))
def test_any_chunking_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert _all(_split(stream, cuts)) == _all([stream])


@given(st.lists(st.binary(min_size=1, max_size=30).filter(lambda b: not set(b) & set(b"\r\n"))))
def test_what_is_framed_is_read_back(payloads: list[bytes]) -> None:
    assert _all([b"".join(map(data_frame, payloads))]) == [("", payload) for payload in payloads]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_ending_is_understood(end: bytes) -> None:
    stream = end.join([b"event: error", b"data: one", b"data: two", b"", b"data:three", b"", b""])
    assert _all([stream]) == [("error", b"one\ntwo"), ("", b"three")]


def test_comments_and_unknown_fields_are_skipped() -> None:
    assert _all([b": hello\n\nid: 3\ndata: x\n\n"]) == [("", b"x")]


def test_a_name_belongs_to_its_own_event_only() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"event: error\n") == []
    assert decoder.feed(b"data: x\n\ndata: y\n\n") == [("error", b"x"), ("", b"y")]


def test_an_unfinished_event_is_pending() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: whole\n\ndata: par") == [("", b"whole")]
    assert decoder.pending
    assert decoder.feed(b"t\n\n") == [("", b"part")]
    assert not decoder.pending


@pytest.mark.parametrize("endless", [b"data: " + b"x" * 200, b"data: x\n" * 60])
def test_an_event_without_end_is_refused(endless: bytes) -> None:
    decoder = SSEDecoder(bytes_max=50)

    def feed_piecewise() -> None:
        for start in range(0, len(endless), 10):
            decoder.feed(endless[start : start + 10])

    with pytest.raises(StreamTooLong):
        feed_piecewise()
