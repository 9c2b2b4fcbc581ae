"""The book of health on disk, and in step with other processes through a real server."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fairlead.control.serving import health_files
from fairlead.control.serving.health import STREAM, HealthKeeper
from fairlead.core.errors import FailureKind
from fairlead.core.health import EndpointOutcome, HealthBook
from fairlead.core.ids import EndpointId
from fairlead.core.routing.facts import UNKNOWN, Standing
from fairlead.store.cache import BEFORE_ALL, Cache
from tests.cache_server import CacheServer

A = EndpointId("alpha:model")
GOOD = EndpointOutcome(None, first_token_s=0.5, output_tokens=100, duration_s=2.0)
DEAD = EndpointOutcome(FailureKind.UNREACHABLE)


class Clock:
    """Wall time that stands still unless it is moved. Files have real dates, so it begins at one."""

    def __init__(self, directory: Path) -> None:
        self.at_s = directory.stat().st_mtime

    def now_s(self) -> float:
        return self.at_s


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def keeper(book: HealthBook, directory: Path, clock: Clock) -> HealthKeeper:
    return HealthKeeper(book, directory, now_s=clock.now_s)


def states(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.state"))


def loaded(directory: Path, clock: Clock) -> HealthBook:
    book = HealthBook()
    keeper(book, directory, clock).load()
    return book


# On disk


def test_what_is_known_outlives_the_process(tmp_path: Path, clock: Clock) -> None:
    book = HealthBook()
    for _ in range(120):
        book.ended(A, GOOD, clock.at_s)
    keeper(book, tmp_path / "health", clock).close()
    heir = loaded(tmp_path / "health", clock)
    assert heir.at(clock.at_s).facts(A) == book.at(clock.at_s).facts(A)
    assert heir.figures(A, clock.at_s).uptime_1d == 100.0


def test_a_first_start_finds_nothing_and_says_nothing(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(loaded(tmp_path / "health", clock)) == 0
    assert caplog.records == []


def test_processes_keep_files_of_their_own_and_leave_them_to_the_next(
    tmp_path: Path, clock: Clock
) -> None:
    one, two, three = (keeper(HealthBook(), tmp_path, clock) for _ in range(3))
    asyncio.run(one.save())
    asyncio.run(two.save())
    assert states(tmp_path) == ["0.state", "1.state"]
    one.close()
    asyncio.run(three.save())
    assert states(tmp_path) == ["0.state", "1.state"]
    two.close()
    three.close()


def test_what_several_processes_left_is_read_together(tmp_path: Path, clock: Clock) -> None:
    books = {EndpointId(f"p:{number}"): HealthBook() for number in range(3)}
    keepers = [keeper(book, tmp_path, clock) for book in books.values()]
    for endpoint, book in books.items():
        book.ended(endpoint, GOOD, clock.at_s)
    for one in keepers:
        asyncio.run(one.save())
    heir = loaded(tmp_path, clock)
    assert [heir.at(clock.at_s).facts(one).requests_30m for one in books] == [1, 1, 1]
    for one in keepers:
        one.close()


def test_what_is_older_than_a_day_is_deleted(tmp_path: Path, clock: Clock) -> None:
    book = HealthBook()
    book.ended(A, GOOD, clock.at_s)
    keeper(book, tmp_path, clock).close()
    os.utime(tmp_path / "0.state", (clock.at_s - 86_500, clock.at_s - 86_500))
    assert len(loaded(tmp_path, clock)) == 0
    assert states(tmp_path) == []


@pytest.mark.parametrize("damage", [b"", b"\x00", b"not at all", b"\x92\x01"])
def test_a_damaged_file_is_logged_and_ignored(
    tmp_path: Path, clock: Clock, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    book = HealthBook()
    book.ended(A, GOOD, clock.at_s)
    keeper(book, tmp_path, clock).close()
    (tmp_path / "7.state").write_bytes(damage)
    assert loaded(tmp_path, clock).at(clock.at_s).facts(A).requests_30m == 1
    assert "7.state" in caplog.text


def test_a_file_cut_short_is_ignored(tmp_path: Path, clock: Clock) -> None:
    book = HealthBook()
    book.ended(A, GOOD, clock.at_s)
    keeper(book, tmp_path, clock).close()
    path = tmp_path / "0.state"
    path.write_bytes(path.read_bytes()[:-1])
    assert loaded(tmp_path, clock).at(clock.at_s).facts(A) is UNKNOWN


def test_a_file_never_grows_over_its_bound_and_keeps_the_latest(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.control.serving.health.STATE_BYTES_MAX", 10_000)
    monkeypatch.setattr(health_files, "STATE_BYTES_MAX", 10_000)
    book = HealthBook()
    for number in range(500):
        book.ended(EndpointId(f"p:{number}"), GOOD, clock.at_s - 500 + number)
    keeper(book, tmp_path, clock).close()
    assert 9_000 < (tmp_path / "0.state").stat().st_size <= 10_000
    heir = loaded(tmp_path, clock)
    assert heir.at(clock.at_s).facts(EndpointId("p:499")).requests_30m == 1
    assert heir.at(clock.at_s).facts(EndpointId("p:0")) is UNKNOWN


def test_a_directory_that_cannot_be_written_is_said_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "health").write_text("a file where the directory should be")
    one = keeper(HealthBook(), tmp_path / "health", clock)
    one.load()
    asyncio.run(one.save())
    asyncio.run(one.save())
    one.close()
    assert len([one for one in caplog.records if "cannot be saved" in one.message]) == 1


def test_nothing_is_written_once_it_is_closed(tmp_path: Path) -> None:
    files = health_files.HealthFiles(tmp_path)
    files.write(b"last")
    files.close()
    files.write(b"a thread that came late")
    assert (tmp_path / "0.state").read_bytes() == b"last"


@pytest.mark.anyio
async def test_it_is_saved_from_time_to_time(tmp_path: Path, clock: Clock) -> None:
    book = HealthBook()
    book.ended(A, GOOD, clock.at_s)
    one = HealthKeeper(book, tmp_path, now_s=clock.now_s, save_every_s=0.0, share_every_s=0.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(one.run())
        while not states(tmp_path):  # noqa: ASYNC110 - the file appears from a thread
            await asyncio.sleep(0)
        running.cancel()
    one.close()
    assert loaded(tmp_path, clock).at(clock.at_s).facts(A).requests_30m == 1


# Between processes


@asynccontextmanager
async def processes(
    server: CacheServer, directory: Path, clock: Clock, count: int
) -> AsyncIterator[list[tuple[HealthBook, HealthKeeper]]]:
    caches = [Cache(server.url, rest_s=0.0, answer_timeout_s=5.0) for _ in range(count)]
    books = [HealthBook() for _ in range(count)]
    keepers = [
        HealthKeeper(book, directory, now_s=clock.now_s, cache=cache, name=b"process %d" % number)
        for number, (book, cache) in enumerate(zip(books, caches, strict=True))
    ]
    for one in keepers:
        await one.share()
    try:
        yield list(zip(books, keepers, strict=True))
    finally:
        for cache in caches:
            await cache.aclose()


@pytest.mark.anyio
async def test_processes_see_each_others_outages(
    shared_cache: CacheServer, tmp_path: Path, clock: Clock
) -> None:
    async with processes(shared_cache, tmp_path, clock, 3) as (first, second, third):
        for book, _ in (first, second, third):
            book.ended(A, DEAD, clock.at_s)
        for _ in range(2):
            for _, one in (first, second, third):
                await one.share()
        for book, _ in (first, second, third):
            facts = book.at(clock.at_s).facts(A)
            assert facts.standing is Standing.DOWN
            assert facts.requests_30m == 3, "each call once"


@pytest.mark.anyio
async def test_processes_see_each_others_speeds_and_recoveries(
    shared_cache: CacheServer, tmp_path: Path, clock: Clock
) -> None:
    async with processes(shared_cache, tmp_path, clock, 2) as ((mine, me), (theirs, they)):
        for _ in range(3):
            theirs.ended(A, DEAD, clock.at_s)
        clock.at_s += 10
        mine.ended(A, GOOD, clock.at_s)
        await me.share()
        await they.share()
        facts = theirs.at(clock.at_s).facts(A)
        assert facts.standing is Standing.GOOD
        assert facts.latency_s is not None
        assert facts.latency_s.p50 == pytest.approx(0.5, rel=0.03)


@pytest.mark.anyio
async def test_a_book_goes_on_while_the_cache_is_away_and_hears_again_afterwards(
    shared_cache: CacheServer, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with processes(shared_cache, tmp_path, clock, 2) as ((mine, me), (theirs, they)):
        shared_cache.stop()
        mine.ended(A, GOOD, clock.at_s)
        for _ in range(3):
            await me.share()
            await they.share()
        assert mine.at(clock.at_s).facts(A).requests_30m == 1
        shared_cache.start()
        await they.share()
        mine.ended(A, GOOD, clock.at_s)
        await me.share()
        await they.share()
        assert theirs.at(clock.at_s).facts(A).requests_30m == 1
    messages = [one.message for one in caplog.records]
    assert len([one for one in messages if "is away" in one]) == 2, "once for each process"
    assert len([one for one in messages if "is back" in one]) == 2


@pytest.mark.anyio
async def test_what_is_not_news_is_passed_over(
    shared_cache: CacheServer, tmp_path: Path, clock: Clock
) -> None:
    async with processes(shared_cache, tmp_path, clock, 2) as ((mine, me), (theirs, they)):
        cache = Cache(shared_cache.url)
        await cache.append(STREAM, sender=b"a stranger", payload=b"\xff", entries_max=10)
        await cache.aclose()
        mine.ended(A, GOOD, clock.at_s)
        await me.share()
        await they.share()
        assert theirs.at(clock.at_s).facts(A).requests_30m == 1


@pytest.mark.anyio
async def test_who_comes_later_hears_only_what_is_new(
    shared_cache: CacheServer, tmp_path: Path, clock: Clock
) -> None:
    async with processes(shared_cache, tmp_path, clock, 1) as [(mine, me)]:
        mine.ended(A, DEAD, clock.at_s)
        await me.share()
        async with processes(shared_cache, tmp_path, clock, 1) as [(late, they)]:
            await they.share()
            assert late.at(clock.at_s).facts(A) is UNKNOWN


@pytest.mark.anyio
async def test_who_has_just_begun_hears_what_is_told_from_then_on(
    shared_cache: CacheServer, tmp_path: Path, clock: Clock
) -> None:
    """Before its first round is over: what another one saw in that second would be lost."""
    cache = Cache(shared_cache.url, answer_timeout_s=5.0)
    late = HealthBook()
    they = HealthKeeper(
        late, tmp_path, now_s=clock.now_s, cache=cache, name=b"late", share_every_s=3600.0
    )
    late.ended(EndpointId("beta:model"), GOOD, clock.at_s)  # by which we see that it has begun
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(they.run())
        while await cache.newest(STREAM) == BEFORE_ALL:  # noqa: ASYNC110 - another client's doing
            await asyncio.sleep(0)
        running.cancel()
    async with processes(shared_cache, tmp_path, clock, 1) as [(mine, me)]:
        mine.ended(A, GOOD, clock.at_s)
        await me.share()
        await they.share()
    await cache.aclose()
    assert late.at(clock.at_s).facts(A).requests_30m == 1
