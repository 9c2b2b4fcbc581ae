"""A database is used only when it is what this version wants; an upgrade loses nothing."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead.control.generations import queries
from fairlead.control.ledger.check import check
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AddCredit, LotKind, Posted
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, GenerationId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage, UsageSource
from fairlead.store import migrate
from fairlead.store.database import Database, DatabaseUnreadable, open_database
from fairlead.store.migrate import Current, DatabaseOld, DatabaseUnknown, Fresh, Old, Unknown
from fairlead.store.records import front, pack, unpack
from fairlead.store.tables.generations import generations
from fairlead.testing.generations import plain_generation
from tests.store.revisions import differences, head, migrate_to

NEXT_REVISION = '''
"""A test's own step."""
import sqlalchemy as sa
from alembic import op

revision = "testnext"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("accounts", sa.Column("colour", sa.Text))
    {then}
'''


@pytest.fixture
def fresh(fresh_address: str) -> Iterator[Database]:
    with closing(open_database(fresh_address)) as database:
        yield database


def a_newer_program(data: Path, *, then: str = "") -> Path:
    """Migrations with one step more than ours."""
    migrations = data / "migrations"
    shutil.copytree(migrate.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "next.py").write_text(
        NEXT_REVISION.format(head=migrate.HEAD, then=then)
    )
    return migrations


def add_account(database: Database, name: str) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO accounts (id, name, billing, is_owner, created_ms)"
                " VALUES (:name, :name, 'prepaid', false, 0)"
            ),
            {"name": name},
        )


def test_a_fresh_database_gets_exactly_the_tables_that_we_declare(fresh: Database):
    assert migrate.state(fresh) == Fresh()
    migrate.prepare(fresh)
    assert migrate.state(fresh) == Current()
    assert differences(fresh) == []


def test_preparing_again_changes_nothing(database: Database):
    add_account(database, "a")
    migrate.prepare(database)
    assert migrate.upgrade(database) is None
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM accounts")).scalar() == 1


def test_several_processes_that_start_at_once_set_it_up_once(fresh_address: str):
    databases = [open_database(fresh_address) for _ in range(4)]
    with ThreadPoolExecutor(len(databases)) as threads:
        list(threads.map(migrate.prepare, databases))
    assert [migrate.state(database) for database in databases] == [Current()] * 4
    for database in databases:
        database.close()


def test_an_old_database_is_refused_in_one_line(database: Database, data: Path):
    newer = a_newer_program(data)
    assert migrate.state(database, migrations=newer) == Old(migrate.HEAD)
    with pytest.raises(DatabaseOld) as raised:
        migrate.prepare(database, migrations=newer)
    assert "\n" not in str(raised.value)
    assert migrate.state(database) == Current(), "it was not touched"


def test_several_processes_that_upgrade_at_once_do_it_once(
    database: Database, database_address: str, data: Path
):
    newer = a_newer_program(data)
    databases = [open_database(database_address) for _ in range(4)]

    def upgrade(database: Database) -> None:
        migrate.upgrade(database, migrations=newer)

    with ThreadPoolExecutor(len(databases)) as threads:
        list(threads.map(upgrade, databases))
    assert migrate.state(database, migrations=newer) == Current()
    for one in databases:
        one.close()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_upgrade_keeps_a_copy_of_what_was_there(database: Database, data: Path):
    add_account(database, "kept")
    newer = a_newer_program(data)
    backup = migrate.upgrade(database, migrations=newer)
    assert migrate.state(database, migrations=newer) == Current()
    assert backup is not None
    with sqlite3.connect(backup) as copy:
        assert copy.execute("SELECT name FROM accounts").fetchall() == [("kept",)]
        assert "colour" not in [row[1] for row in copy.execute("PRAGMA table_info(accounts)")]
    copy.close()
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT name, colour FROM accounts")).one() == (
            "kept",
            None,
        )


def test_an_upgrade_that_fails_half_way_leaves_the_database_as_it_was(
    database: Database, data: Path
):
    newer = a_newer_program(data, then='raise RuntimeError("half-way")')
    with pytest.raises(RuntimeError, match="half-way"):
        migrate.upgrade(database, migrations=newer)
    assert migrate.state(database) == Current()
    with database.read() as connection:
        assert "colour" not in [
            column["name"] for column in sa.inspect(connection).get_columns("accounts")
        ]


def test_a_database_from_a_newer_program_is_refused(database: Database, data: Path):
    migrate.upgrade(database, migrations=a_newer_program(data))
    assert migrate.state(database) == Unknown("testnext")
    for use in (migrate.prepare, migrate.require_current, migrate.upgrade):
        with pytest.raises(DatabaseUnknown, match="newer"):
            use(database)


def test_another_programs_database_is_refused(fresh: Database, database_kind: str):
    with fresh.begin() as connection:
        if database_kind == "postgresql":
            connection.execute(sa.text("CREATE SCHEMA fairlead"))
        connection.execute(sa.text("CREATE TABLE recipes (name TEXT)"))
    assert migrate.state(fresh) == Unknown(None)
    with pytest.raises(DatabaseUnknown, match="another program"):
        migrate.prepare(fresh)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_database_is_shared_with_other_programs(fresh: Database):
    theirs = sa.text("SELECT count(*) FROM public.accounts")
    with fresh.begin() as connection:
        connection.execute(sa.text("CREATE TABLE public.accounts (name TEXT)"))
    migrate.prepare(fresh)
    add_account(fresh, "ours")
    assert migrate.state(fresh) == Current()
    with fresh.read() as connection:
        assert connection.execute(theirs).scalar() == 0


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_user_without_the_right_to_make_schemas_has_one_made(fresh: Database, fresh_address: str):
    user = "weak_" + str(sa.make_url(fresh_address).database)
    with fresh.begin() as connection:
        connection.execute(sa.text(f"CREATE USER {user}"))
    weak = fresh_address.replace("//fairlead@", f"//{user}@")
    with closing(open_database(weak)) as database:
        with pytest.raises(DatabaseUnreadable, match="permission denied"):
            migrate.prepare(database)
        with fresh.begin() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA fairlead AUTHORIZATION {user}"))
        migrate.prepare(database)
        assert migrate.state(fresh) == Current()


def test_a_command_on_an_empty_database_says_what_to_do(fresh: Database):
    with pytest.raises(DatabaseOld, match="serve"):
        migrate.require_current(fresh)


def test_what_is_no_database_is_refused_in_one_line(data: Path):
    (data / "text.db").write_text("not a database " * 100)
    (data / "directory.db").mkdir()
    for where in (
        data / "text.db",
        data / "directory.db",
        data / "missing" / "x.db",
        "sqlite://",
        "nonsense://x",
        "://",
    ):
        with pytest.raises(DatabaseUnreadable) as raised:
            open_database(where)
        assert "\n" not in str(raised.value)


def test_generations_of_the_first_tables_become_records(fresh: Database):
    migrate_to(fresh, "0001")
    with fresh.begin() as connection:
        table = sa.Table("generations", sa.MetaData(), autoload_with=connection)
        plain = {
            column.name: 0 if isinstance(column.type, sa.Integer) else "text"
            for column in table.columns
            if not column.nullable
        } | {
            "outcome": "completed",
            "usage_source": "reported",
            "streamed": False,
            "attempts": "[]",
        }
        full = plain | {
            "id": "gen-full",
            "created_ms": 1_763_700_000_001,
            "outcome": "failed",
            "streamed": True,
            "cost_nano": 2**63 - 1,
            "upstream_cost_nano": 5,
            "finish_reason": "stop",
            "usage_prompt": 10,
            "usage_cache_read": 4,
            "usage_completion": 7,
            "usage_reasoning": 3,
            "usage_source": "estimated",
            "app_categories": '["one","two"]',
            "attempts": '[["a:x","a","m",null,12,"timeout"],["b:x","b","m",200,3]]',
            "catalog_version": "c",
        }
        many = [plain | {"id": f"gen-{number:04}"} for number in range(2500)]
        connection.execute(sa.insert(table), many)
        connection.execute(sa.insert(table).values(full))
    migrate.upgrade(fresh)
    assert differences(fresh) == []
    with fresh.read() as connection:
        rows = connection.execute(sa.select(generations).order_by(generations.c.id)).all()
    assert [row.id for row in rows] == [*(row["id"] for row in many), "gen-full"]
    for row in (rows[0], rows[-1]):
        assert tuple(row) == queries.row(front(row.record), row.record, row.entry)
    assert unpack(rows[-1].record) == Generation(
        id=GenerationId("gen-full"),
        account=AccountId("text"),
        key=KeyId("text"),
        created_s=1_763_700_000.001,
        api_type="text",
        requested_model="text",
        model="text",
        endpoint="text",
        provider="text",
        price_version="text",
        outcome=Outcome.FAILED,
        usage=Usage(
            prompt=10,
            cache_read=4,
            completion=7,
            reasoning=3,
            requests=0,
            source=UsageSource.ESTIMATED,
        ),
        cost=NanoUSD(2**63 - 1),
        cost_prompt=NanoUSD(0),
        cost_completion=NanoUSD(0),
        streamed=True,
        attempts=(
            Attempt("a:x", "a", "m", None, 12, "timeout"),
            Attempt("b:x", "b", "m", 200, 3),
        ),
        finish_reason="stop",
        upstream_cost=NanoUSD(5),
        attribution=Attribution(categories=("one", "two")),
        catalog_version="c",
    )


def test_accounts_and_keys_of_the_first_tables_wish_nothing_and_have_no_pace(fresh: Database):
    migrate_to(fresh, "0002")
    add_account(fresh, "acc")
    with fresh.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO api_keys (id, account_id, digest, label, name, is_management, is_disabled,"
                " created_ms) VALUES ('key', 'acc', :digest, 'l', 'n', false, false, 0)"
            ),
            {"digest": b"d"},
        )
    migrate.upgrade(fresh)
    with fresh.read() as connection:
        assert connection.execute(sa.text("SELECT preferences FROM accounts")).one() == (None,)
        paces = sa.text("SELECT id, requests_per_minute, requests_per_day FROM api_keys")
        assert connection.execute(paces).one() == ("key", None, None)


def test_what_was_used_before_there_was_a_ledger_is_charged_by_one_entry_for_each_account(
    fresh: Database,
):
    """A postpaid account owes it; a prepaid one could have no credit then, and is let off."""
    migrate_to(fresh, "0004")
    with fresh.begin() as connection:
        table = sa.Table("generations", sa.MetaData(), autoload_with=connection)
        for name, billing in (("acc-1", "postpaid"), ("acc-2", "prepaid"), ("acc-3", "prepaid")):
            connection.execute(
                sa.text(
                    "INSERT INTO accounts (id, name, billing, is_owner, created_ms)"
                    " VALUES (:name, :name, :billing, false, 0)"
                ),
                {"name": name, "billing": billing},
            )
        for number in range(12):
            # The last account is gone; what it used is recorded all the same.
            account = AccountId(("acc-1", "acc-2", "acc-gone")[number % 3])
            record = pack(plain_generation(number, account=account))
            values = queries.row(front(record), record, None)[:-1]
            connection.execute(sa.insert(table).values(values))
    migrate.upgrade(fresh)
    checked = check(fresh)
    assert checked.findings == ()
    assert (checked.generations, checked.entries) == (12, 4)
    ledger = Ledger(fresh, now_ms=lambda: 0)
    used = sum(plain_generation(number).cost for number in range(0, 12, 3))
    assert ledger.book(AccountId("acc-1")).debt == used
    assert ledger.totals(AccountId("acc-1")).usage == used
    let_off = ledger.totals(AccountId("acc-2"))
    assert (let_off.balance, let_off.purchased) == (0, 0)
    assert let_off.usage == sum(plain_generation(number).cost for number in range(1, 12, 3))
    assert ledger.book(AccountId("acc-gone")).debt > 0
    posted = ledger.post(
        AddCredit(
            account=AccountId("acc-2"),
            reference="grant:1",
            kind=LotKind.GRANT,
            amount=NanoUSD(5),
        )
    )
    assert isinstance(posted, Posted), "the chain goes on"
    assert posted.entry == 5
    assert check(fresh).findings == ()


def test_the_head_that_is_known_without_alembic_is_alembics() -> None:
    assert head() == migrate.HEAD
