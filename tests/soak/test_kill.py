"""`make soak`: kill -9 at random moments under 64 parallel calls, 1,050 rounds.

There are 450 on either database, and 150 in which PostgreSQL itself dies. Who dies, what is compared, and what
may be recorded although its caller did not see the end, is told in tests/crash/rounds.py. Every 25 rounds
begin with a new database.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.crash.rounds import Report, Victim, kill_rounds
from tests.postgres_server import PostgresDatabases, postgres_server

ROUNDS = 25
COMPARE_EVERY = 9
OF_ONE_WORKER = [Victim.SERVER] * ROUNDS
OF_TWO_WORKERS = [Victim.SERVER] * 12 + [Victim.WORKER] * 13
OF_DATABASE = [Victim.DATABASE] * 10 + [Victim.BACKEND] * 10 + [Victim.BOTH] * 5


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("workers", "victims", "times", "seed"),
    [(1, OF_ONE_WORKER, 14, 20260), (2, OF_TWO_WORKERS, 4, 20270)],
)
def test_no_death_loses_or_invents_a_record_or_a_nanodollar(
    workers: int,
    victims: list[Victim],
    times: int,
    seed: int,
    database_kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    total = Report()
    for turn in range(times):
        directory = tmp_path / str(turn)
        directory.mkdir()
        with _empty(database_kind, request) as url:
            total.add(
                kill_rounds(
                    directory,
                    victims=victims,
                    workers=workers,
                    seed=seed + turn,
                    compare_every=COMPARE_EVERY,
                    database_url=url,
                )
            )
    with capsys.disabled():
        print(f"\n{database_kind}, {workers} worker(s): {total}")
    assert total.rounds.total() == ROUNDS * times
    assert total.finished > 10 * ROUNDS * times


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("workers", "times", "seed"), [(1, 5, 20280), (2, 1, 20290)])
def test_no_death_of_the_database_loses_or_invents_a_record_or_a_nanodollar(
    workers: int, times: int, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    total = Report()
    with postgres_server(is_durable=True, is_synced=False) as server:
        for turn in range(times):
            directory = tmp_path / str(turn)
            directory.mkdir()
            total.add(
                kill_rounds(
                    directory,
                    victims=OF_DATABASE,
                    workers=workers,
                    seed=seed + turn,
                    compare_every=COMPARE_EVERY,
                    database_url=server.create(f"crash_{turn}"),
                    server=server,
                )
            )
    with capsys.disabled():
        print(f"\npostgresql and its deaths, {workers} worker(s): {total}")
    assert total.rounds.total() == ROUNDS * times
    assert total.finished > 10 * ROUNDS * times


def _empty(
    database_kind: str, request: pytest.FixtureRequest
) -> AbstractContextManager[str | None]:
    """The URL of a database without tables; None: SQLite."""
    if database_kind == "sqlite":
        return nullcontext()
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    return databases.empty()
