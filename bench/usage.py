"""What adding usage up costs a settler, by the call: bench/usage.py -h. A program of its own.

Batches of 1000 calls, as a busy settler gets them: of 50 accounts and 200 keys, each of which asks three of
thirty models, one of them most of the time. What is measured is `UsageRollup.add_within` in a transaction that
does nothing else, its commit included: processor time of this process, and of PostgreSQL's that serves it. Exit
code 1: it is more than it may be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests/postgres_server.py

import sqlalchemy as sa

from fairlead.control.usage.rollup import UsageRollup
from fairlead.core.generation import Attempt, Attribution
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.store import migrate
from fairlead.store.database import Database, open_database
from fairlead.store.records import pack
from fairlead.testing.decisions import arbitrary_decision
from fairlead.testing.generations import plain_generation

CALLS: Final = 1000
ACCOUNTS: Final = 50
KEYS: Final = 200
MODELS: Final = 30
BATCH_S: Final = 0.5  # what a batch is apart from the next
BEGIN_S: Final = 1_795_219_200
LIMIT_US: Final = 100.0


def main() -> int:
    arguments = _arguments()
    found: dict[str, dict[str, float]] = {}
    for kind in arguments.databases.split(","):
        with _database(kind) as database:
            found[kind] = _measured(database, arguments.batches)
        print(
            f"{kind}: {found[kind]['wall_us']:.0f} us a call; processor time: "
            f"ours {found[kind]['own_us']:.0f}, the server's {found[kind]['server_us']:.0f}"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found))
    spent_us = [one["own_us"] + one["server_us"] for one in found.values()]
    return 0 if max(spent_us) <= LIMIT_US else 1


def _measured(database: Database, batches: int) -> dict[str, float]:
    source = random.Random(3)
    models = [source.sample(range(MODELS), 3) for _ in range(KEYS)]
    step = UsageRollup(database)
    walls, owns, servers = [], [], []
    for batch in range(batches + 1):
        records = _batch(source, models, batch)
        began_s, began_own_s = time.perf_counter(), time.process_time()
        with database.begin() as connection:
            server = _server(connection)
            before_s = _spent_s(server)
            step.add_within(connection, records)
        walls.append(time.perf_counter() - began_s)
        owns.append(time.process_time() - began_own_s)
        servers.append(_spent_s(server) - before_s)
    # The first finds nothing there, and makes every series.
    return {
        "wall_us": statistics.median(walls[1:]) / CALLS * 1e6,
        "own_us": statistics.median(owns[1:]) / CALLS * 1e6,
        # In hundredths of a second: only the sum of many says anything.
        "server_us": statistics.mean(servers[1:]) / CALLS * 1e6,
    }


def _server(connection: sa.Connection) -> int | None:
    """The process that serves this connection; None: there is none."""
    if connection.dialect.name != "postgresql":
        return None
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def _spent_s(process: int | None) -> float:
    """Processor time of a process on this machine."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _batch(source: random.Random, models: list[list[int]], batch: int) -> list[bytes]:
    decision = arbitrary_decision(source)
    records = []
    for number in range(CALLS):
        key = source.randrange(KEYS)
        model = source.choices(models[key], weights=(7, 2, 1))[0]
        name, provider = f"author-{model % 7}/model-{model}", f"provider-{model % 9}"
        endpoint = f"{provider}:model-{model}"
        referer = f"https://app-{key % 20}.example/" if key % 2 else None
        records.append(
            pack(
                plain_generation(
                    batch * CALLS + number,
                    account=AccountId(f"acc-0192f3a4b5c6{key % ACCOUNTS:020x}"),
                    key=KeyId(f"key-0192f3a4b5c6{key:020x}"),
                    workspace=WorkspaceId(f"550e8400-e29b-41d4-a716-{key % ACCOUNTS:012x}"),
                    user=UserId(f"user-0192f3a4b5c6{key % 100:020x}"),
                    created_s=BEGIN_S + batch * BATCH_S + number * BATCH_S / CALLS,
                    model=name,
                    endpoint=endpoint,
                    provider=provider,
                    attempts=(Attempt(endpoint, provider, name, 200, 345),),
                    attribution=Attribution(referer=referer, title="App"),
                    decision=decision,
                )
            )
        )
    return records


@contextmanager
def _database(kind: str) -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as temporary:
        if kind == "sqlite":
            with closing(open_database(Path(temporary) / "usage.db")) as database:
                migrate.prepare(database)
                yield database
        else:
            from tests.postgres_server import shared_databases

            with (
                shared_databases(Path(temporary), prefix="bench") as databases,
                databases.prepared() as url,
                closing(open_database(url)) as database,
            ):
                yield database


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
