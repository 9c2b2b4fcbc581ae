"""The journal loses nothing that it took, and takes nothing that it may lose."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import Overloaded
from fairlead.store import journal_files
from fairlead.store.journal import Durability, Journal, JournalUnwritable
from fairlead.store.journal_files import (
    START,
    adopted,
    lock_directory,
    put_aside,
    read_batch,
)
from fairlead.store.journal_format import (
    ATTEMPT,
    JournalCorrupt,
    Position,
    frame,
    segment_path,
    segments,
)
from fairlead.store.records import unpack
from fairlead.testing.generations import plain_generation

MANY = 10_000
RECORD_BYTES = len(frame(plain_generation(1)))
PATIENCE_S = 30.0


def everything(directory: Path, position: Position = START) -> list[str]:
    """The ids of all records from there on."""
    return [front.id for front in read_batch(directory, position, records_max=MANY).fronts]


def ids(*numbers: int) -> list[str]:
    return [plain_generation(number).id for number in numbers]


@pytest.fixture
def journal(data: Path):
    journal = Journal(data / "journal", writer="w1")
    yield journal
    journal.close()


def test_a_record_is_written_when_append_returns(journal: Journal):
    assert journal.append(plain_generation(1)) is None
    batch = read_batch(journal.directory, START, records_max=MANY)
    assert list(map(unpack, batch.records)) == [plain_generation(1)]


def test_reading_goes_on_across_segments_and_settled_ones_are_deleted(data: Path):
    journal = Journal(data / "journal", writer="w1", segment_bytes_max=RECORD_BYTES * 2)
    for number in range(7):
        journal.append(plain_generation(number))
    assert segments(journal.directory) == [1, 2, 3, 4]
    assert everything(journal.directory) == ids(*range(7))
    first = read_batch(journal.directory, START, records_max=5)
    assert [front.id for front in first.fronts] == ids(*range(5))
    journal.settled(first.end)
    assert segments(journal.directory) == [3, 4]
    assert everything(journal.directory, first.end) == ids(5, 6)
    assert 0 < journal.backlog_bytes < RECORD_BYTES * 3
    journal.settled(journal.end)
    assert journal.backlog_bytes == 0
    journal.close()


def test_a_record_that_is_written_while_the_reader_looks_is_not_skipped(
    data: Path, monkeypatch: pytest.MonkeyPatch
):
    """The reader finds no more in a segment; then the writer adds to it and begins the next."""
    journal = Journal(data / "journal", writer="w1", segment_bytes_max=RECORD_BYTES * 2)
    journal.append(plain_generation(0))
    numbers = iter(range(1, 8))

    true_read = journal_files.read_frames

    def read_and_then_more(*arguments, **options):
        frames = true_read(*arguments, **options)
        for _ in range(0 if frames.records else 2):
            if (number := next(numbers, None)) is not None:
                journal.append(plain_generation(number))
        return frames

    monkeypatch.setattr(journal_files, "read_frames", read_and_then_more)
    position, read = START, []
    for _ in range(10):
        batch = read_batch(journal.directory, position, records_max=MANY)
        read += [front.id for front in batch.fronts]
        position = batch.end
    assert read == ids(*range(8))
    journal.close()


@given(st.integers(0, RECORD_BYTES * 3), st.booleans())
def test_wherever_a_writer_dies_its_whole_records_are_read(
    tmp_path_factory: pytest.TempPathFactory, size: int, has_earlier_segment: bool
):
    directory = tmp_path_factory.mktemp("journal")
    last = 1
    expected = []
    if has_earlier_segment:
        segment_path(directory, 1).write_bytes(frame(plain_generation(9)))
        expected, last = ids(9), 2
    content = b"".join(frame(plain_generation(number)) for number in range(3))
    segment_path(directory, last).write_bytes(content[:size])
    batch = read_batch(directory, START, records_max=MANY)
    whole, part = divmod(min(size, len(content)), RECORD_BYTES)
    assert [front.id for front in batch.fronts] == expected + ids(*range(whole))
    assert batch.is_torn == bool(part)


def test_a_record_that_is_being_written_is_read_when_it_is_whole(data: Path):
    path = segment_path(data, 1)
    record = frame(plain_generation(1))
    path.write_bytes(record[:100])
    torn = read_batch(data, START, records_max=MANY)
    assert (torn.records, torn.end, torn.is_torn) == ([], START, True)
    path.write_bytes(record)
    assert everything(data, torn.end) == ids(1)


def test_damage_in_the_middle_is_reported_after_what_is_whole_before_it(data: Path):
    records = [bytearray(frame(plain_generation(number))) for number in range(3)]
    records[1][40] ^= 1
    segment_path(data, 1).write_bytes(b"".join(records))
    segment_path(data, 2).write_bytes(frame(plain_generation(3)))
    before = read_batch(data, START, records_max=MANY)
    assert [front.id for front in before.fronts] == ids(0)
    with pytest.raises(JournalCorrupt, match=r"segment 1 at byte .*checksum") as raised:
        read_batch(data, before.end, records_max=MANY)
    assert raised.value.position == before.end
    assert everything(data, Position(2, 0)) == ids(3)


@pytest.mark.parametrize(
    ("first", "reason"),
    [(frame(plain_generation(1))[:-1], "another follows"), (None, "segment is missing")],
)
def test_a_finished_segment_that_is_cut_or_missing_is_damage(data: Path, first, reason: str):
    if first is not None:
        segment_path(data, 1).write_bytes(first)
    segment_path(data, 2).write_bytes(frame(plain_generation(2)))
    with pytest.raises(JournalCorrupt, match=reason):
        read_batch(data, START, records_max=MANY)


def test_a_damaged_segment_is_kept_and_the_writer_goes_on_in_a_new_one(
    data: Path, journal: Journal
):
    journal.append(plain_generation(1))
    following = journal.put_aside(JournalCorrupt(START, "said the test"))
    journal.append(plain_generation(2))
    assert everything(journal.directory, following) == ids(2)
    kept = data / "quarantine" / "w1-00000001.log"
    assert kept.read_bytes() == frame(plain_generation(1))
    assert put_aside(journal.directory, 1) is None


class FullDisk:
    """`os.write` for a disk that has so many bytes left."""

    def __init__(self, bytes_left: int) -> None:
        self.bytes_left = bytes_left
        self._write = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.bytes_left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(descriptor, data[: self.bytes_left])
        self.bytes_left -= written
        return written


@pytest.mark.parametrize("bytes_left", [0, 1, 16, RECORD_BYTES - 1])
def test_a_full_disk_refuses_calls_until_there_is_space(
    journal: Journal,
    bytes_left: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    journal.append(plain_generation(1))
    disk = FullDisk(bytes_left)
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr("fairlead.store.journal.os.write", disk.write)
        for number in (2, 3, 4):
            with pytest.raises(Overloaded):
                journal.append(plain_generation(number))
            assert everything(journal.directory) == ids(1)
            disk.bytes_left = bytes_left
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    journal.append(plain_generation(5))
    assert everything(journal.directory) == ids(1, 5)
    assert "recording again" in caplog.text


def test_nothing_is_written_behind_a_part_that_could_not_be_taken_back(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
):
    journal.append(plain_generation(1))

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("fairlead.store.journal.os.write", FullDisk(50).write)
        patched.setattr("fairlead.store.journal.os.ftruncate", broken)
        with pytest.raises(Overloaded):
            journal.append(plain_generation(2))
    with monkeypatch.context() as patched:
        patched.setattr("fairlead.store.journal.os.ftruncate", broken)
        with pytest.raises(Overloaded):
            journal.append(plain_generation(3))
    journal.append(plain_generation(4))
    assert everything(journal.directory) == ids(1, 4)


def test_a_real_size_limit_refuses_calls_and_lifting_it_takes_them_again(data: Path):
    """The kernel's own short write and error, in a process of its own."""
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from fairlead.core.errors import Overloaded
        from fairlead.store.journal import Journal
        from fairlead.testing.generations import plain_generation

        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
        journal = Journal(Path(sys.argv[1]), writer="w1")
        for number in range(100):
            try:
                journal.append(plain_generation(number))
            except Overloaded:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                print("refused", number)
    """)
    ran = subprocess.run(
        [sys.executable, "-c", program, str(data / "journal"), str(RECORD_BYTES * 2 + 100)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert ran.stdout.splitlines() == ["refused 2"]
    assert everything(data / "journal" / "w1") == ids(0, 1, *range(3, 100))


def test_who_would_begin_a_call_is_told_as_long_as_there_is_no_space(data: Path):
    """And learns by itself that there is, without a call that would have to be told."""
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from fairlead.core.errors import Overloaded
        from fairlead.store.journal import Journal
        from fairlead.testing.generations import plain_generation

        def says_no(function, *arguments):
            try:
                function(*arguments)
            except Overloaded:
                return True
            return False

        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        journal = Journal(Path(sys.argv[1]), writer="w1")
        journal.append(plain_generation(0))
        assert not says_no(journal.check)
        for more in (0, 1, 100):
            resource.setrlimit(resource.RLIMIT_FSIZE, (journal.end.offset + more, hard))
            assert not journal.is_failing
            assert says_no(journal.append, plain_generation(1))
            assert journal.is_failing
            assert says_no(journal.check) and says_no(journal.check)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert not says_no(journal.check)
        journal.append(plain_generation(2))
    """)
    ran = subprocess.run(
        [sys.executable, "-c", program, str(data / "journal")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert everything(data / "journal" / "w1") == ids(0, 2)


@pytest.mark.parametrize("size_bytes", [1, 15, 16, 17, len(ATTEMPT)])
def test_an_attempt_to_write_looks_like_a_record_that_is_being_written(data: Path, size_bytes: int):
    with closing(Journal(data / "journal", writer="w1")) as journal:
        journal.append(plain_generation(1))
        path = segment_path(journal.directory, 1)
        path.write_bytes(path.read_bytes() + ATTEMPT[:size_bytes])
        batch = read_batch(journal.directory, START, records_max=10)
        assert (len(batch.records), batch.end) == (1, journal.end)
        assert read_batch(journal.directory, batch.end, records_max=10).is_torn


def test_no_more_is_taken_when_the_database_is_too_far_behind(data: Path):
    journal = Journal(data / "journal", writer="w1", backlog_bytes_max=RECORD_BYTES * 3)
    for number in range(3):
        journal.append(plain_generation(number))
    with pytest.raises(Overloaded):
        journal.append(plain_generation(3))
    journal.settled(Position(1, RECORD_BYTES))
    journal.append(plain_generation(4))
    with pytest.raises(Overloaded):
        journal.append(plain_generation(5))
    assert everything(journal.directory) == ids(0, 1, 2, 4)
    journal.close()


def test_a_record_that_cannot_be_written_down_is_refused_and_harms_nothing(journal: Journal):
    with pytest.raises(Overloaded):
        journal.append(plain_generation(1, cost=2**64))
    journal.append(plain_generation(2))
    assert everything(journal.directory) == ids(2)


def test_no_new_segment_is_no_reason_to_refuse_calls(data: Path, monkeypatch: pytest.MonkeyPatch):
    journal = Journal(data / "journal", writer="w1", segment_bytes_max=RECORD_BYTES)
    true_open = os.open

    def open_none(path, *arguments, **options):
        if str(path).endswith(".log") and arguments[0] & os.O_CREAT:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return true_open(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr("fairlead.store.journal.os.open", open_none)
        journal.append(plain_generation(1))
        journal.append(plain_generation(2))
    journal.append(plain_generation(3))
    journal.append(plain_generation(4))
    assert everything(journal.directory) == ids(1, 2, 3, 4)
    assert len(segments(journal.directory)) > 1
    journal.close()


# Durability beyond the process.


@pytest.mark.anyio
async def test_callers_share_a_sync_and_none_returns_before_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
):
    true_sync = os.fdatasync
    may_sync = threading.Event()
    syncs = []

    def sync(descriptor: int) -> None:
        assert may_sync.wait(PATIENCE_S)
        true_sync(descriptor)
        syncs.append(descriptor)

    monkeypatch.setattr("fairlead.store.journal.os.fdatasync", sync)
    journal = Journal(data / "journal", writer="w1", durability=Durability.MACHINE)
    waiting = [journal.append(plain_generation(number)) for number in range(50)]
    await asyncio.sleep(0)
    assert not any(future.done() for future in waiting)
    may_sync.set()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*waiting)
    assert 1 <= len(syncs) <= 2
    assert everything(journal.directory) == ids(*range(50))
    journal.close()


@pytest.mark.anyio
async def test_a_failed_sync_is_told_to_those_who_wait_and_the_next_ones_succeed(
    data: Path, monkeypatch: pytest.MonkeyPatch
):
    journal = Journal(data / "journal", writer="w1", durability=Durability.MACHINE)

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with asyncio.timeout(PATIENCE_S):
        with monkeypatch.context() as patched:
            patched.setattr("fairlead.store.journal.os.fdatasync", broken)
            with pytest.raises(Overloaded):
                await journal.append(plain_generation(1))
        await journal.append(plain_generation(2))
    assert segments(journal.directory) == [1, 2]
    assert everything(journal.directory) == ids(1, 2)
    journal.close()


@pytest.mark.anyio
async def test_syncing_covers_every_segment_that_was_written(data: Path):
    journal = Journal(
        data / "journal",
        writer="w1",
        durability=Durability.MACHINE,
        segment_bytes_max=RECORD_BYTES,
    )
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(journal.append(plain_generation(number)) for number in range(20)))
    assert len(segments(journal.directory)) == 20
    journal.close()


@pytest.mark.anyio
async def test_who_waits_for_the_database_is_answered_up_to_what_is_settled(data: Path):
    journal = Journal(data / "journal", writer="w1", durability=Durability.DATABASE)
    first = journal.append(plain_generation(1))
    reached = journal.end
    second = journal.append(plain_generation(2))
    await asyncio.to_thread(journal.settled, reached)
    async with asyncio.timeout(PATIENCE_S):
        await first
    assert not second.done()
    journal.close()
    with pytest.raises(Overloaded):
        await second


@pytest.mark.anyio
async def test_a_caller_who_left_does_not_disturb_the_others(data: Path):
    journal = Journal(data / "journal", writer="w1", durability=Durability.DATABASE)
    left = journal.append(plain_generation(1))
    stays = journal.append(plain_generation(2))
    left.cancel()
    journal.settled(journal.end)
    async with asyncio.timeout(PATIENCE_S):
        await stays
    journal.close()


# Whose directory it is.


def test_a_second_writer_of_the_same_name_is_refused(data: Path, journal: Journal):
    with pytest.raises(JournalUnwritable, match="in use"):
        Journal(data / "journal", writer="w1")
    assert lock_directory(journal.directory) is None


def test_a_lock_on_a_directory_that_was_just_removed_is_no_lock(
    data: Path, monkeypatch: pytest.MonkeyPatch
):
    """An adopter takes a directory away between its creation by a new writer and the lock."""
    directory = data / "journal" / "w1"
    true_lock = fcntl.flock

    def removed_first(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        directory.rmdir()
        true_lock(descriptor, operation)

    monkeypatch.setattr("fairlead.store.journal_files.fcntl.flock", removed_first)
    journal = Journal(data / "journal", writer="w1")
    journal.append(plain_generation(1))
    assert everything(directory) == ids(1)
    assert lock_directory(directory) is None
    journal.close()


def test_an_unwritable_place_is_one_line(data: Path):
    (data / "journal").write_text("not a directory")
    with pytest.raises(JournalUnwritable) as raised:
        Journal(data / "journal", writer="w1")
    assert "\n" not in str(raised.value)


def test_a_journal_is_adopted_only_when_its_writer_is_gone(data: Path):
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from fairlead.store.journal import Journal
        from fairlead.testing.generations import plain_generation

        journal = Journal(Path(sys.argv[1]), writer="other")
        journal.append(plain_generation(1))
        print("written", flush=True)
        sys.stdin.read()
    """)
    directory = data / "journal" / "other"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(data / "journal")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout.readline() == b"written\n"
        with adopted(directory) as is_ours:
            assert not is_ours
        assert everything(directory) == ids(1)
        writer.kill()
        writer.wait(PATIENCE_S)
    with adopted(directory) as is_ours:
        assert is_ours
        assert lock_directory(directory) is None


def test_writing_after_closing_is_refused(data: Path):
    journal = Journal(data / "journal", writer="w1")
    journal.close()
    journal.close()
    with pytest.raises(Overloaded):
        journal.append(plain_generation(1))
