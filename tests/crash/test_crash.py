"""The short form of `make soak`: see rounds.py for what must hold after a kill -9."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.rounds import Report, Victim, kill_rounds
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.heavy

ONE_WORKER = [Victim.SERVER] * 4
TWO_WORKERS = [Victim.SERVER, Victim.WORKER]
DATABASE = [Victim.DATABASE, Victim.BACKEND, Victim.BOTH, Victim.DATABASE, Victim.BACKEND]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("workers", "victims", "seed"), [(1, ONE_WORKER, 4), (2, TWO_WORKERS, 3)])
def test_what_a_caller_saw_finished_survives_the_servers_death_exactly_once(
    workers: int,
    victims: list[Victim],
    seed: int,
    fresh_address: str,
    database_kind: str,
    tmp_path: Path,
) -> None:
    report = kill_rounds(
        tmp_path,
        victims=victims,
        workers=workers,
        seed=seed,
        compare_every=len(victims),
        database_url=fresh_address if database_kind == "postgresql" else None,
    )
    check_meaning(report, victims)


@pytest.mark.timeout(300)
def test_it_survives_the_databases_death_exactly_once(tmp_path: Path) -> None:
    with postgres_server(is_durable=True, is_synced=False) as server:
        report = kill_rounds(
            tmp_path,
            victims=DATABASE,
            workers=1,
            seed=9,
            compare_every=len(DATABASE),
            database_url=server.create("crash"),
            server=server,
        )
    check_meaning(report, DATABASE)


def check_meaning(report: Report, victims: list[Victim]) -> None:
    """It shows something: enough calls on a busy machine, too, and rounds under load."""
    assert report.rounds.total() == len(victims)
    assert report.finished >= 5 * len(victims), report
