"""Every record that a process wrote is settled once, whoever dies when."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.control.generations import queries
from fairlead.control.generations.jobs import Settler
from fairlead.control.generations.service import GenerationStore
from fairlead.control.ledger.check import check
from fairlead.core.errors import Overloaded
from fairlead.core.ids import AccountId
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.journal import Durability, Journal
from fairlead.store.journal_files import journals
from fairlead.store.journal_format import frame, segment_path
from fairlead.store.records import front, pack
from fairlead.store.tables.generations import generations, journal_positions
from fairlead.testing.generations import arbitrary_generation, plain_generation
from fairlead.testing.settling import settling_steps
from tests.control.writer import PER_LIFE, write_until_killed
from tests.forked import forked
from tests.money import forget_money
from tests.seeded import SEEDED

ACCOUNT = AccountId("acc-1")
PATIENCE_S = 60.0
KILLS = 12
ONE_DATABASE = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # for all examples, each of which begins with `clear`


def stored(database: Database) -> list[str]:
    with database.read() as connection:
        return list(
            connection.execute(sa.select(generations.c.id).order_by(generations.c.id)).scalars()
        )


def clear(database: Database) -> None:
    with database.begin() as connection:
        for table in (generations, journal_positions):
            connection.execute(sa.delete(table))
        forget_money(connection)


def assert_charged_once(database: Database, count: int) -> None:
    """Every generation is charged by one entry, for what it cost, and all of the ledger adds up."""
    checked = check(database)
    assert checked.findings == ()
    assert checked.generations == count


def ids(*numbers: int) -> list[str]:
    return [plain_generation(number).id for number in numbers]


@pytest.fixture
def journal(data: Path):
    journal = Journal(data / "journal", writer="w1")
    yield journal
    journal.close()


@given(SEEDED)
@settings(parent=ONE_DATABASE, max_examples=30)
def test_every_field_comes_back_as_it_was(database: Database, source: random.Random):
    clear(database)
    written = [arbitrary_generation(source, number) for number in range(5)]
    with database.begin() as connection:
        records = list(map(pack, written))
        queries.insert_new(
            database, connection, [queries.row(front(one), one, None) for one in records]
        )
    store = GenerationStore(database, journals=None)
    assert [store.look_up(one.id, one.account) for one in written] == written


def test_what_was_appended_is_settled_and_its_segments_go(database: Database, data: Path):
    journal = Journal(data / "journal", writer="w1", segment_bytes_max=2000)
    for number in range(30):
        journal.append(plain_generation(number))
    settler = Settler(database, journal, settling_steps(database), batch_records_max=7)
    assert settler.settle() == 30
    assert settler.settle() == 0
    assert stored(database) == ids(*range(30))
    assert len(list(journal.directory.iterdir())) == 1
    assert journal.backlog_bytes == 0
    journal.close()


class Crash(BaseException):
    """The process ends here."""


class DyingDatabase(Database):
    """Ends the process before or after a chosen transaction is committed."""

    def __init__(self, real: Database, *, at: int, is_committed: bool) -> None:
        self.__dict__.update(real.__dict__)
        self.writes = 0
        self.at = at
        self.is_committed = is_committed

    @contextmanager
    def begin(self):
        self.writes += 1
        is_last = self.writes == self.at
        with super().begin() as connection:
            yield connection
            if is_last and not self.is_committed:
                raise Crash
        if is_last:
            raise Crash


@given(
    crashes=st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=6),
    per_life=st.integers(0, 9),
    batch=st.integers(1, 4),
    torn=st.integers(0, 300),
)
@settings(parent=ONE_DATABASE, max_examples=40)
def test_any_series_of_crashes_settles_every_record_once(
    database: Database,
    tmp_path_factory: pytest.TempPathFactory,
    crashes: list[tuple[int, bool]],
    per_life: int,
    batch: int,
    torn: int,
):
    """Each life appends, settles and dies at some transaction; the last one finishes for all."""
    data = tmp_path_factory.mktemp("data")
    clear(database)
    written = 0
    for life, (at, is_committed) in enumerate([*crashes, (0, False)]):
        journal = Journal(data / "journal", writer=f"w{life}", segment_bytes_max=1500)
        for _ in range(per_life):
            journal.append(plain_generation(written))
            written += 1
        settler = Settler(
            DyingDatabase(database, at=at, is_committed=is_committed),
            journal,
            settling_steps(database),
            batch_records_max=batch,
        )
        try:
            settler.settle()
            settler.adopt()
        except Crash:
            with segment_path(journal.directory, journal.end.segment).open("ab") as end:
                end.write(frame(plain_generation(99_999))[:torn])
        journal.close()
    assert stored(database) == ids(*range(written))
    with database.read() as connection:
        left = connection.execute(sa.select(journal_positions.c.journal)).scalars().all()
    assert len(left) <= len(journals(data / "journal")), "the finished ones are forgotten"
    assert not (data / "quarantine").exists(), "no crash looks like damage"
    assert_charged_once(database, written)


def test_a_kill_at_any_moment_loses_nothing_and_counts_nothing_twice(
    database: Database, database_address: str, data: Path
):
    """Real processes, two at a time on one data directory, append, settle, adopt and are killed."""
    source = random.Random(20_261_121)
    expected: list[str] = []
    surplus: set[str] = set()
    for first_life in range(1, KILLS, 2):
        with ExitStack() as both:
            writers = [
                both.enter_context(
                    forked(
                        partial(write_until_killed, database_address, data, life),
                        data / f"{life}.log",
                    )
                )
                for life in (first_life, first_life + 1)
            ]
            for life, writer in enumerate(writers, first_life):
                kill_after = source.randrange(1, 1500)
                for line in writer.stdout:
                    if int(line) >= kill_after:
                        break
                writer.kill()
                rest = writer.stdout.read().split("\n")[:-1]  # the last may be cut
                writer.wait(PATIENCE_S)
                told = max([int(line) for line in rest] + [kill_after])
                first = life * PER_LIFE
                expected += ids(*range(first, first + told + 1))
                # Written, but killed before it could say so: fine too, and there can be one.
                surplus |= set(ids(first + told + 1))
    Settler(database, None, settling_steps(database), root=data / "journal").adopt()
    found = stored(database)
    assert sorted(set(found) - surplus) == sorted(expected)
    assert len(found) == len(set(found))
    assert journals(data / "journal") == []
    assert not (data / "quarantine").exists()
    assert_charged_once(database, len(found))


def test_damage_is_reported_and_kept_and_the_rest_is_settled(
    database: Database, data: Path, caplog: pytest.LogCaptureFixture
):
    journal = Journal(
        data / "journal", writer="w1", segment_bytes_max=len(frame(plain_generation(1))) * 2
    )
    for number in range(6):
        journal.append(plain_generation(number))
    path = segment_path(journal.directory, 2)
    content = bytearray(path.read_bytes())
    content[60] ^= 1  # in the third record
    path.write_bytes(content)
    Settler(database, journal, settling_steps(database)).settle()
    assert stored(database) == ids(0, 1, 4, 5)
    assert (data / "quarantine" / "w1-00000002.log").read_bytes() == content
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    assert "segment 2" in caplog.text
    journal.append(plain_generation(6))
    Settler(database, journal, settling_steps(database)).settle()
    assert stored(database) == ids(0, 1, 4, 5, 6)
    journal.close()


def test_damage_in_a_dead_writers_journal_is_reported_and_kept(
    database: Database, data: Path, caplog: pytest.LogCaptureFixture
):
    directory = data / "journal" / "dead"
    directory.mkdir(parents=True)
    records = [bytearray(frame(plain_generation(number))) for number in range(3)]
    records[1][-1] ^= 1
    segment_path(directory, 1).write_bytes(b"".join(records))
    segment_path(directory, 2).write_bytes(frame(plain_generation(3)))
    assert Settler(database, None, settling_steps(database), root=data / "journal").adopt() == 2
    assert stored(database) == ids(0, 3)
    assert (data / "quarantine" / "dead-00000001.log").exists()
    assert any(record.levelno == logging.CRITICAL for record in caplog.records)
    assert journals(data / "journal") == []


def test_an_impossible_value_is_put_aside_and_holds_up_nobody(
    database: Database, data: Path, journal: Journal, caplog: pytest.LogCaptureFixture
):
    impossible = plain_generation(2, cost=2**63)
    for generation in (plain_generation(1), impossible, plain_generation(3)):
        journal.append(generation)
    Settler(database, journal, settling_steps(database)).settle()
    assert stored(database) == ids(1, 3)
    assert (data / "quarantine" / f"{impossible.id}.json").exists()
    assert impossible.id in caplog.text
    assert journal.backlog_bytes == 0


def test_the_journal_of_a_living_process_is_left_to_it(
    database: Database, data: Path, journal: Journal
):
    journal.append(plain_generation(1))
    assert Settler(database, None, settling_steps(database), root=data / "journal").adopt() == 0
    assert stored(database) == []


# The thread.


def test_the_thread_settles_what_is_appended_and_drains_when_it_stops(
    database: Database, journal: Journal
):
    settler = Settler(database, journal, settling_steps(database), tick_s=PATIENCE_S)
    settler.start()
    for number in range(100):
        journal.append(plain_generation(number))
    assert settler.stop(drain_timeout_s=PATIENCE_S)
    assert stored(database) == ids(*range(100))


@pytest.mark.anyio
async def test_who_waits_for_the_database_is_answered_when_it_is_there(
    database: Database, data: Path
):
    journal = Journal(data / "journal", writer="w1", durability=Durability.DATABASE)
    settler = Settler(database, journal, settling_steps(database), tick_s=PATIENCE_S)
    settler.start()
    async with asyncio.timeout(PATIENCE_S):
        for round_ in range(3):
            numbers = range(round_ * 10, round_ * 10 + 10)
            await asyncio.gather(*(journal.append(plain_generation(number)) for number in numbers))
            assert set(ids(*numbers)) <= set(await database.run(stored, database))
    assert await asyncio.to_thread(settler.stop, drain_timeout_s=PATIENCE_S)
    journal.close()


class AwayDatabase(Database):
    """Refuses writes while `is_away`, and says when it did."""

    def __init__(self, real: Database) -> None:
        self.__dict__.update(real.__dict__)
        self.is_away = True
        self.refused = threading.Event()

    def begin(self):
        if self.is_away:
            self.refused.set()
            raise DatabaseUnreadable("away")
        return super().begin()


def test_a_database_that_is_away_is_tried_again_and_nothing_is_lost(
    database: Database, journal: Journal, caplog: pytest.LogCaptureFixture
):
    away = AwayDatabase(database)
    settler = Settler(away, journal, settling_steps(database), tick_s=0.01)
    settler.start()
    journal.append(plain_generation(1))
    assert away.refused.wait(PATIENCE_S)
    away.refused.clear()
    assert away.refused.wait(PATIENCE_S), "it tries again"
    assert settler.is_failing
    journal.append(plain_generation(2))
    away.is_away = False
    assert settler.stop(drain_timeout_s=PATIENCE_S)
    assert not settler.is_failing
    assert stored(database) == ids(1, 2)
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


def test_stopping_while_the_database_is_away_ends_in_time_and_leaves_the_rest_to_the_next(
    database: Database, data: Path
):
    journal = Journal(data / "journal", writer="w1")
    settler = Settler(AwayDatabase(database), journal, settling_steps(database))
    settler.start()
    journal.append(plain_generation(1))
    assert not settler.stop(drain_timeout_s=0.05)
    journal.close()
    assert Settler(database, None, settling_steps(database), root=data / "journal").adopt() == 1
    assert stored(database) == ids(1)


# Finding.


@pytest.mark.anyio
async def test_a_generation_is_found_before_and_after_it_is_settled(
    database: Database, data: Path, journal: Journal
):
    store = GenerationStore(database, journals=data / "journal")
    generation = plain_generation(1)
    assert await store.find(generation.id, ACCOUNT) is None
    journal.append(generation)
    assert await store.find(generation.id, ACCOUNT) == generation
    assert await store.find(generation.id, AccountId("acc-other")) is None
    Settler(database, journal, settling_steps(database)).settle()
    assert await store.find(generation.id, ACCOUNT) == generation
    assert await store.find(generation.id, AccountId("acc-other")) is None


@pytest.mark.anyio
async def test_a_generation_of_another_worker_on_this_machine_is_found(
    database: Database, data: Path, journal: Journal
):
    other = Journal(data / "journal", writer="w2")
    other.append(plain_generation(1))
    store = GenerationStore(database, journals=data / "journal")
    assert await store.find(plain_generation(1).id, ACCOUNT) == plain_generation(1)
    other.close()


def test_a_generation_that_moves_while_it_is_looked_for_is_found(
    database: Database, data: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
):
    """Not yet in the database at the first look, no longer in the journal at the second."""
    journal.append(plain_generation(1))
    settler = Settler(database, journal, settling_steps(database))
    store = GenerationStore(database, journals=data / "journal")
    look_into_journals = store._in_journals

    def settled_meanwhile(*arguments):
        settler.settle()
        return look_into_journals(*arguments)

    monkeypatch.setattr(store, "_in_journals", settled_meanwhile)
    assert store.look_up(plain_generation(1).id, ACCOUNT) == plain_generation(1)


@pytest.mark.anyio
async def test_a_database_that_is_away_is_not_a_missing_generation(database: Database, data: Path):
    class Away(Database):
        def __init__(self) -> None:
            self.__dict__.update(database.__dict__)

        def read(self):
            raise DatabaseUnreadable("away")

    with pytest.raises(Overloaded):
        await GenerationStore(Away(), journals=data / "journal").find(
            plain_generation(1).id, ACCOUNT
        )
