"""How the usage journal looks on disk, and reading it. Theory of operation in `journal.py`.

A segment is frames one after another. A frame is a 16-byte header and a payload:

    bytes   0..3    magic, "FLJ2"
            4..7    length of the payload, little-endian
            8..11   the same with every bit turned over
            12..15  CRC-32 of the payload
            16..    payload: one generation (`records.py`)

A frame with the magic "FLJ1" has a first record as its payload; it is read as if it were one of ours.

The length is there twice because a damaged one would otherwise look like a record that is still being
written. So the end of the data is one of three, and never in doubt:

    clean    the file ends where a frame ends
    torn     the file ends inside a frame: a writer died in it, is in it, or is about to undo it
    damaged  bytes that no writer can have left behind
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from fairlead.core.generation import Generation
from fairlead.store.records import (
    Front,
    RecordImpossible,
    RecordUnreadable,
    front,
    pack,
    unpack_first,
)

__all__ = [
    "ATTEMPT",
    "RECORD_BYTES_MAX",
    "Frames",
    "JournalCorrupt",
    "Position",
    "Tail",
    "frame",
    "parse",
    "read_frames",
    "segment_number",
    "segment_path",
    "segments",
]

# A record is about 300 bytes; what it quotes from headers is cut earlier.
RECORD_BYTES_MAX: Final = 1 << 20
HEADER_BYTES: Final = 16
SEGMENT_DIGITS: Final = 8

_MAGIC: Final = b"FLJ2"
_MAGICS: Final = (_MAGIC, b"FLJ1")
_HEADER: Final = struct.Struct("<4sIII")
_ALL_BITS: Final = 0xFFFF_FFFF


# What a writer writes, and takes back, to see whether there is room for some records. Whoever reads meanwhile,
# or after it died, sees the beginning of a frame.
_ATTEMPT_BYTES: Final = 4096
ATTEMPT: Final = _HEADER.pack(_MAGIC, _ATTEMPT_BYTES, _ATTEMPT_BYTES ^ _ALL_BITS, 0) + bytes(
    _ATTEMPT_BYTES - HEADER_BYTES
)


class JournalCorrupt(Exception):
    """Bytes in a segment that no writer can have left behind; nothing after them is trusted.

    position: of the first bad byte's frame.
    """

    def __init__(self, position: Position, reason: str) -> None:
        super().__init__(f"segment {position.segment} at byte {position.offset}: {reason}")
        self.position = position
        self.reason = reason


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place between two frames of one journal. offset: bytes into the segment."""

    segment: int
    offset: int


class Tail(Enum):
    """How the bytes that were read end."""

    CLEAN = "clean"
    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Frames:
    """What was read. end: offset after the last whole record. reason: of damage.

    records: as `records.pack` makes them. fronts: of each.
    """

    fronts: list[Front]
    records: list[bytes]
    end: int
    tail: Tail
    reason: str = ""


def frame(generation: Generation) -> bytes:
    """One record, ready to be appended. Raises RecordImpossible."""
    record = pack(generation)
    length = len(record)
    if length > RECORD_BYTES_MAX:
        raise RecordImpossible(f"it has {length} bytes, more than {RECORD_BYTES_MAX}")
    return _HEADER.pack(_MAGIC, length, length ^ _ALL_BITS, zlib.crc32(record)) + record


def parse(data: bytes, *, records_max: int, start: int = 0) -> Frames:
    """The whole records at the front of `data`, at most `records_max`.

    start: where in the segment `data` begins; offsets in the answer count from the segment's beginning.
    """
    fronts: list[Front] = []
    records: list[bytes] = []
    at, size = 0, len(data)

    def ending(tail: Tail, reason: str = "") -> Frames:
        return Frames(fronts, records, start + at, tail, reason)

    while at < size and len(records) < records_max:
        if size - at < HEADER_BYTES:
            return ending(Tail.TORN)
        magic, length, length_again, checksum = _HEADER.unpack_from(data, at)
        if magic not in _MAGICS or length != length_again ^ _ALL_BITS:
            return ending(Tail.DAMAGED, "this is not the header of a record")
        if length > RECORD_BYTES_MAX:
            return ending(Tail.DAMAGED, f"a record of {length} bytes")
        record_at = at + HEADER_BYTES
        record_end = record_at + length
        if record_end > size:
            return ending(Tail.TORN)
        record = data[record_at:record_end]
        if zlib.crc32(record) != checksum:
            return ending(Tail.DAMAGED, "the record's checksum is wrong")
        try:
            if magic != _MAGIC:
                record = pack(unpack_first(record))
            fronts.append(front(record))
        except RecordUnreadable as error:
            return ending(Tail.DAMAGED, f"not a generation: {error}")
        records.append(record)
        at = record_end
    return ending(Tail.CLEAN)


def read_frames(path: Path, *, offset: int, records_max: int, bytes_max: int) -> Frames:
    """As `parse`, from a file. Raises FileNotFoundError, OSError.

    bytes_max: how much to read, at least one largest record; a record that it cuts is read next time.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(descriptor, max(bytes_max, HEADER_BYTES + RECORD_BYTES_MAX), offset)
    finally:
        os.close(descriptor)
    return parse(data, records_max=records_max, start=offset)


def segment_path(directory: Path, segment: int) -> Path:
    return directory / f"{segment:0{SEGMENT_DIGITS}d}.log"


def segment_number(path: Path) -> int | None:
    """The number of a segment, None for any other file."""
    is_segment = path.suffix == ".log" and path.stem.isdecimal()
    return int(path.stem) if is_segment else None


def segments(directory: Path) -> list[int]:
    """The segments that a journal has now, in order; none if it is gone."""
    try:
        numbers = [segment_number(path) for path in directory.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(number for number in numbers if number is not None)
