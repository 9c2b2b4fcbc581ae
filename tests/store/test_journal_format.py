"""A segment's end is clean, torn or damaged, and never in doubt."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.store.journal_format import (
    RECORD_BYTES_MAX,
    Tail,
    frame,
    parse,
)
from fairlead.store.records import RecordImpossible, unpack
from fairlead.testing.generations import arbitrary_generation, plain_generation
from tests.seeded import SEEDED

MANY = 1000
WRITTEN = [plain_generation(number) for number in range(4)]
FRAMES = [frame(generation) for generation in WRITTEN]
SEGMENT = b"".join(FRAMES)
BOUNDARIES = [sum(map(len, FRAMES[:count])) for count in range(len(FRAMES) + 1)]


@given(SEEDED, st.integers(0, 5))
def test_what_is_written_is_read(source: random.Random, count: int):
    written = [arbitrary_generation(source, number) for number in range(count)]
    data = b"".join(map(frame, written))
    read = parse(data, records_max=MANY)
    assert list(map(unpack, read.records)) == written
    assert (read.end, read.tail) == (len(data), Tail.CLEAN)


def test_any_truncation_leaves_the_whole_records_before_it():
    for size in range(len(SEGMENT) + 1):
        whole = max(index for index, end in enumerate(BOUNDARIES) if end <= size)
        read = parse(SEGMENT[:size], records_max=MANY)
        assert list(map(unpack, read.records)) == WRITTEN[:whole]
        assert read.end == BOUNDARIES[whole]
        assert read.tail is (Tail.CLEAN if size in BOUNDARIES else Tail.TORN)


@given(st.integers(0, len(SEGMENT) * 8 - 1))
def test_any_flipped_bit_is_damage_and_nothing_after_it_is_trusted(bit: int):
    data = bytearray(SEGMENT)
    data[bit // 8] ^= 1 << bit % 8
    whole = max(index for index, end in enumerate(BOUNDARIES) if end <= bit // 8)
    read = parse(bytes(data), records_max=MANY)
    assert list(map(unpack, read.records)) == WRITTEN[:whole]
    assert (read.end, read.tail) == (BOUNDARIES[whole], Tail.DAMAGED)


@given(st.binary(max_size=200), st.integers(0, 4))
def test_arbitrary_bytes_after_whole_records_never_become_a_record(rest: bytes, count: int):
    read = parse(SEGMENT[: BOUNDARIES[count]] + rest, records_max=MANY)
    assert list(map(unpack, read.records)) == WRITTEN[:count]
    assert read.end == BOUNDARIES[count]
    assert (read.tail is Tail.CLEAN) == (not rest)


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_reading_stops_at_the_number_asked_for_and_goes_on_from_there(at_once: int, start: int):
    read, end = [], start
    while end < start + len(SEGMENT):
        frames = parse(SEGMENT[end - start :], records_max=at_once, start=end)
        assert 1 <= len(frames.records) <= at_once
        read += map(unpack, frames.records)
        end = frames.end
    assert read == WRITTEN


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": "x" * RECORD_BYTES_MAX},
        {"cost": 2**64},
        {"external_user": "\ud800"},
    ],
)
def test_a_record_that_could_not_be_read_back_is_refused(changes):
    with pytest.raises(RecordImpossible):
        frame(plain_generation(1, **changes))
