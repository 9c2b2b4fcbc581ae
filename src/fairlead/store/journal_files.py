"""The directories of the usage journal: who writes which, what is left to read, what is put aside.

    <root>/<writer>/NNNNNNNN.log    segments, numbered from 1
    <root>/../quarantine/           damaged segments and impossible records, kept for the operator

A writer holds an exclusive lock (flock) on its directory for as long as its process lives, and the kernel
lets go of it however the process ends. So "can I lock it?" answers "is its writer dead?".
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fairlead.store.journal_format import (
    Frames,
    JournalCorrupt,
    Position,
    Tail,
    read_frames,
    segment_path,
    segments,
)
from fairlead.store.records import Front, RecordUnreadable, front, readable, unpack

__all__ = [
    "QUARANTINE_DIRECTORY",
    "START",
    "Batch",
    "adopted",
    "create_and_lock",
    "drop_segments",
    "journals",
    "lock_directory",
    "put_aside",
    "put_aside_record",
    "read_batch",
]

START: Final = Position(1, 0)
QUARANTINE_DIRECTORY: Final = "quarantine"
READ_BYTES_MAX: Final = 1 << 20  # at once; some 3,500 records
LOCK_TRIES_MAX: Final = 50
LOCK_PAUSE_S: Final = (
    0.01  # an adopter needs a few milliseconds to see that a new directory is empty
)
DAMAGE_READS: Final = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order in which they were written, and the place after them.

    records: as `records.pack` makes them. fronts: of each.
    is_torn: the journal ends inside a record. With a dead writer that record is lost for good, and its
    caller was never told that it was written; with a live one there is more to come.
    """

    fronts: list[Front]
    records: list[bytes]
    end: Position
    is_torn: bool


def read_batch(directory: Path, position: Position, *, records_max: int) -> Batch:
    """The next whole records from `position` on, across segments. An empty batch: nothing more for now.

    Raises JournalCorrupt, once everything whole before the damage has been returned by earlier calls.
    """
    # Looked up before anything is read: if a later segment exists by now, nothing is added to this one
    # any more, so its end is its end. The other way round a record written in between would be skipped.
    last = max(segments(directory), default=0)
    fronts: list[Front] = []
    records: list[bytes] = []
    while len(records) < records_max:
        try:
            frames = _read(directory, position, records_max=records_max - len(records))
        except FileNotFoundError:
            if last <= position.segment:
                break
            frames = Frames([], [], position.offset, Tail.DAMAGED, "the segment is missing")
        fronts += frames.fronts
        records += frames.records
        tail, reason = frames.tail, frames.reason
        has_progressed = frames.end != position.offset
        position = Position(position.segment, frames.end)
        if tail is Tail.TORN and not has_progressed and last > position.segment:
            tail, reason = Tail.DAMAGED, "the segment ends inside a record, and another follows"
        if tail is Tail.DAMAGED:
            if records:
                break
            raise JournalCorrupt(position, reason)
        if has_progressed:
            continue
        if tail is Tail.TORN:
            return Batch(fronts, records, position, is_torn=True)
        if last <= position.segment:
            break
        position = Position(position.segment + 1, 0)
    return Batch(fronts, records, position, is_torn=False)


def _read(directory: Path, position: Position, *, records_max: int) -> Frames:
    """Read on in one segment. Damage must show several times before it is believed.

    A live writer that ran out of space takes back a part of a record and may write another in its place;
    one read can see some of both.
    """
    path = segment_path(directory, position.segment)
    reads_left = DAMAGE_READS
    while True:
        frames = read_frames(
            path, offset=position.offset, records_max=records_max, bytes_max=READ_BYTES_MAX
        )
        reads_left -= 1
        if frames.tail is not Tail.DAMAGED or not reads_left:
            return frames


def lock_directory(directory: Path) -> int | None:
    """Lock an existing directory. Returns a descriptor, to be closed to unlock; None: someone holds it."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been removed between our two calls; then we hold a lock on nothing.
        if directory.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def create_and_lock(directory: Path) -> int:
    """Make a writer's directory its own. Raises OSError; FileExistsError if a live writer has it."""
    for _ in range(LOCK_TRIES_MAX):
        # An adopter may remove it between the next two calls, taking it for a dead writer's.
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = lock_directory(directory)
        if descriptor is not None:
            return descriptor
        time.sleep(LOCK_PAUSE_S)
    raise FileExistsError(f"{directory} is in use by another process")


def journals(root: Path) -> list[Path]:
    """The directory of every writer, dead or alive."""
    try:
        return sorted(path for path in root.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


@contextmanager
def adopted(directory: Path) -> Iterator[bool]:
    """Hold a dead writer's journal. Gives False, and holds nothing, if the writer lives."""
    descriptor = lock_directory(directory)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def drop_segments(directory: Path, *, before: int) -> None:
    """Delete the segments below number `before`."""
    for segment in segments(directory):
        if segment < before:
            segment_path(directory, segment).unlink(missing_ok=True)


def put_aside_record(root: Path, record: bytes) -> Path:
    """Keep, for the operator, one record that the database will not take. root: of all journals."""
    quarantine = root.parent / QUARANTINE_DIRECTORY
    quarantine.mkdir(exist_ok=True)
    name = front(record).id
    try:
        target, content = quarantine / f"{name}.json", readable(unpack(record))
    except RecordUnreadable:
        target, content = quarantine / f"{name}.msgpack", record
    target.write_bytes(content)
    return target


def put_aside(directory: Path, segment: int) -> Path | None:
    """Move a damaged segment out of its journal, for the operator. None: there was no such file."""
    quarantine = directory.parent.parent / QUARANTINE_DIRECTORY
    quarantine.mkdir(exist_ok=True)
    source = segment_path(directory, segment)
    target = quarantine / f"{directory.name}-{source.name}"
    try:
        source.rename(target)
    except FileNotFoundError:
        return None
    return target
