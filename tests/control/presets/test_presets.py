"""Presets and their versions on both databases, and what becomes of those that accounts had before."""

from __future__ import annotations

import json
import os
from contextlib import closing
from itertools import count

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import OPERATOR
from fairlead.control.presets import rules
from fairlead.control.presets.service import Presets
from fairlead.control.presets.types import PresetInvalid, PresetInWay, PresetPlace, PresetUnknown
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import WorkspaceChange
from fairlead.core.ids import AccountId, WorkspaceId
from fairlead.core.presets import Preset, PresetDraft, PresetStatus
from fairlead.store import migrate
from fairlead.store.database import Database, open_database
from fairlead.store.tables.presets import preset_versions
from fairlead.store.tables.presets import presets as preset_rows
from tests.store.revisions import migrate_to

FIRST = PresetDraft("Be brief.", '{"model":"openai/o1"}')
SECOND = PresetDraft(None, '{"model":"openai/o3"}')
BEFORE = "0014"  # the revision before presets


class Stage:
    def __init__(self, database: Database) -> None:
        ticks = count(1000)
        audit = self.audit = Audit(database, now_ms=lambda: 0, entropy=os.urandom)
        self.presets = Presets(database, audit, now_ms=lambda: next(ticks), entropy=os.urandom)
        accounts = Accounts(database, now_ms=lambda: 1000, entropy=os.urandom)
        account = accounts.create(email="ada@example.com", billing=Billing.PREPAID).id
        self.place = PresetPlace(account, default_workspace(account))


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


def test_a_preset_is_revised_taken_back_and_switched_off(stage: Stage):
    presets, place = stage.presets, stage.place
    made = presets.put(place, "a", FIRST, actor=OPERATOR)
    assert presets.find(place, "a") == made
    assert (made.designated.number, made.status, made.status_updated_ms) == (1, "active", None)
    after = presets.put(place, "a", SECOND, actor=OPERATOR)
    assert (after.designated.number, after.designated.config) == (2, SECOND.config)
    presets.designate(place, "a", 1, actor=OPERATOR)
    assert presets.find(place, "a").designated == made.designated
    assert presets.put(place, "a", SECOND, actor=OPERATOR).designated.number == 3
    newest = presets.versions(place, "a", limit=2, is_newest_first=True)
    assert ([one.number for one in newest.versions], newest.total) == ([3, 2], 3)

    archived = presets.set_status(place, "a", PresetStatus.ARCHIVED, actor=OPERATOR)
    assert archived.status_updated_ms is not None
    assert presets.set_status(place, "a", PresetStatus.ARCHIVED, actor=OPERATOR) == archived
    with pytest.raises(PresetInWay, match="archived"):
        presets.put(place, "a", FIRST, actor=OPERATOR)
    with pytest.raises(PresetInWay, match="archived"):
        presets.designate(place, "a", 1, actor=OPERATOR)
    with pytest.raises(PresetInWay, match="archived"):
        presets.change(place, "a", SECOND, name="New", description=None, actor=OPERATOR)
    assert presets.find(place, "a") == archived
    presets.delete(place, "a", actor=OPERATOR)
    with pytest.raises(PresetUnknown):
        presets.versions(place, "a")
    assert presets.put(place, "a", FIRST, actor=OPERATOR).designated.number == 1
    with pytest.raises(PresetInWay):
        presets.delete(place, "a", actor=OPERATOR)


def test_a_change_that_says_the_same_makes_no_version(stage: Stage):
    presets, place = stage.presets, stage.place
    presets.create(place, "a", FIRST, name="Answers", description=" short ", actor=OPERATOR)
    renamed = presets.change(place, "a", FIRST, name="Replies", description="", actor=OPERATOR)
    assert (renamed.name, renamed.description, renamed.designated.number) == ("Replies", None, 1)
    revised = presets.change(place, "a", SECOND, name="R", description=None, actor=OPERATOR)
    assert presets.find(place, "a") == revised
    assert (revised.name, revised.designated.number) == ("R", 2)
    with pytest.raises(PresetInWay, match="already"):
        presets.create(place, "a", FIRST, actor=OPERATOR)
    for slug, name in (("b", " "), ("b", "x" * 101), ("B", "b"), ("", "b"), ("new", "b")):
        with pytest.raises(PresetInvalid):
            presets.create(place, slug, FIRST, name=name, actor=OPERATOR)


def test_they_go_with_their_workspace(stage: Stage, database: Database):
    workspaces = Workspaces(
        database, stage.audit, now_ms=lambda: 1000, entropy=os.urandom, keys=None, limits=None
    )
    account = stage.place.account
    wanted = WorkspaceChange(name="Trial", slug="trial")
    trial = workspaces.create(account, wanted, actor=OPERATOR)
    for place in (stage.place, PresetPlace(account, trial.id)):
        stage.presets.put(place, "a", FIRST, actor=OPERATOR)
        stage.presets.put(place, "a", SECOND, actor=OPERATOR)
    workspaces.delete(account, trial.id, actor=OPERATOR)
    assert stage.presets.page(stage.place).total == 1
    with database.read() as connection:
        for table, left in ((preset_rows, 1), (preset_versions, 2)):
            count_of = sa.select(sa.func.count()).select_from(table)
            assert connection.execute(count_of).scalar_one() == left


def test_there_is_an_end_to_them(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rules, "PRESETS_MAX", 2)
    monkeypatch.setattr(rules, "VERSIONS_MAX", 2)
    for slug in ("a", "b", "b"):
        stage.presets.put(stage.place, slug, FIRST, actor=OPERATOR)
    with pytest.raises(PresetInWay, match="2 versions"):
        stage.presets.put(stage.place, "b", FIRST, actor=OPERATOR)
    with pytest.raises(PresetInWay, match="2 presets"):
        stage.presets.put(stage.place, "c", FIRST, actor=OPERATOR)


def test_there_is_an_end_to_what_all_versions_of_a_workspace_say_together(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    presets, place = stage.presets, stage.place
    long = PresetDraft("\N{EURO SIGN}" * 100, FIRST.config)  # three bytes each
    version_bytes = rules.VERSION_BYTES + 300 + len(FIRST.config)
    monkeypatch.setattr(rules, "KEPT_BYTES_MAX", 2 * version_bytes)
    presets.put(place, "a", long, actor=OPERATOR)
    presets.put(place, "a", long, actor=OPERATOR)
    for slug in ("a", "b"):
        with pytest.raises(PresetInWay, match=f"at most {2 * version_bytes} bytes"):
            presets.put(place, slug, PresetDraft(None, "{}"), actor=OPERATOR)
    assert presets.page(place).total == 1
    assert presets.versions(place, "a").total == 2
    assert presets.change(place, "a", long, name="A", description=None, actor=OPERATOR).name == "A"
    elsewhere = PresetPlace(place.account, WorkspaceId("elsewhere"))
    presets.put(elsewhere, "a", long, actor=OPERATOR)
    presets.set_status(place, "a", PresetStatus.ARCHIVED, actor=OPERATOR)
    presets.delete(place, "a", actor=OPERATOR)
    assert presets.put(place, "b", long, actor=OPERATOR).designated.number == 1


def test_what_a_preset_says_is_in_no_text_about_it(stage: Stage):
    made = stage.presets.put(stage.place, "a", FIRST, actor=OPERATOR)
    for one in (made, FIRST, Preset("id", "a", 1, made.status, "Be brief.", {})):
        assert "brief" not in repr(one)
        assert "o1" not in repr(one)


def test_presets_that_accounts_had_become_first_versions(fresh_address: str):
    kept = {"model": "openai/o3", "models": ["openai/o1"], "provider": {"zdr": True}}
    texts = {
        "acc-1": json.dumps({"zdr": True, "presets": {"quick": kept, "bare": {}}}),
        "acc-2": 'nonsense with "presets"',
        "acc-3": None,
    }
    with closing(open_database(fresh_address)) as database:
        migrate_to(database, BEFORE)
        with database.begin() as connection:
            for account, text in texts.items():
                connection.execute(
                    sa.text(
                        "INSERT INTO accounts (id, name, billing, is_owner, created_ms, preferences)"
                        " VALUES (:id, 'A', 'prepaid', false, 77, :text)"
                    ),
                    {"id": account, "text": text},
                )
                for workspace in ("one", "two"):
                    connection.execute(
                        sa.text(
                            "INSERT INTO workspaces (id, account_id, is_default, name, slug,"
                            " io_logging, io_logging_sampling_rate, broadcast,"
                            " data_discount_logging, include_byok_in_budgets, created_ms)"
                            " VALUES (:id, :account, :is_default, 'W', :slug,"
                            " false, 1, false, false, false, 1)"
                        ),
                        {
                            "id": f"{account}-{workspace}",
                            "account": account,
                            "is_default": workspace == "one",
                            "slug": workspace,
                        },
                    )
        migrate.upgrade(database)
        with database.read() as connection:
            left = dict(connection.execute(sa.text("SELECT id, preferences FROM accounts")).all())
        assert left == texts
        stage = Stage(database)
        for account in texts:
            for workspace in ("one", "two"):
                place = PresetPlace(AccountId(account), WorkspaceId(f"{account}-{workspace}"))
                page = stage.presets.page(place)
                assert page.total == (2 if account == "acc-1" else 0)
                if account != "acc-1":
                    continue
                found = stage.presets.find(place, "quick")
                assert json.loads(found.designated.config) == kept
                assert (found.designated.number, found.status) == (1, PresetStatus.ACTIVE)
                assert (found.name, found.created_ms) == ("quick", 77)
