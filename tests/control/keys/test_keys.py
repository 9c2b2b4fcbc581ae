"""What becomes of a key: changed, disabled, rotated, deleted; where it belongs and what limits it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.keys import rules
from fairlead.control.keys.service import Keys, LiveKeys
from fairlead.control.keys.types import KeyChange, KeyInvalid, KeyUnknown, LimitReset
from fairlead.core.budgets.types import key_budget
from fairlead.core.caller import KeyRefused
from fairlead.core.ids import AccountId, BudgetId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

DOLLAR = NanoUSD(1_000_000_000)
NOW_MS = 1_795_219_200_000
OTHER_WORKSPACE = WorkspaceId("7b1e9f5e-0d0c-4a0c-9f51-3f4f2f4f8a10")
SOMEBODY = Actor("user-somebody", "198.51.100.7")


@dataclass
class WrittenLimits:
    """What would be kept."""

    kept: dict[str, tuple[int, str | None, bool]] = field(default_factory=dict)

    def define(
        self,
        connection: sa.Connection,
        *,
        budget: BudgetId,
        account: AccountId,
        limit: NanoUSD,
        reset: str | None,
        counts_byok: bool,
    ) -> None:
        self.kept[budget] = (limit, reset, counts_byok)

    def remove(self, connection: sa.Connection, budget: BudgetId) -> None:
        self.kept.pop(budget, None)


@dataclass
class World:
    database: Database
    now_ms: Any = field(default_factory=lambda: count(NOW_MS).__next__)
    limits: WrittenLimits = field(default_factory=WrittenLimits)

    def __post_init__(self) -> None:
        made = {"now_ms": self.now_ms, "entropy": os.urandom}
        self.accounts = Accounts(self.database, **made)
        self.audit = Audit(self.database, **made)
        self.keys = Keys(self.database, **made, audit=self.audit, limits=self.limits)
        self.account = self.accounts.create(email="ada@example.com", billing=Billing.PREPAID).id

    def actions(self) -> list[tuple[str, str, str]]:
        entries = self.audit.page(self.account)
        return [(one.action, one.actor.name, one.subject) for one in reversed(entries)]


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_a_key_belongs_to_the_default_workspace_and_to_its_accounts_person(world: World):
    key = world.keys.create(world.account, name="laptop").key
    assert key.workspace == default_workspace(world.account)
    assert key.creator is not None
    assert key.creator.startswith("user-")
    assert world.keys.find(world.account, key.id) == key
    assert world.keys.find_by_digest(world.account, key.digest) == key


def test_keys_are_listed_by_workspace_the_newest_first_without_those_for_managing(world: World):
    keys, account = world.keys, world.account
    mine = [keys.create(account, name=name).key for name in ("a", "b", "c")]
    keys.create(account, name="ci", is_management=True)
    there = keys.create(account, name="d", workspace=OTHER_WORKSPACE, creator=UserId("u")).key
    home = default_workspace(account)
    assert keys.page_of_workspace(account, home) == mine[::-1]
    assert keys.page_of_workspace(account, home, offset=1, limit=1) == [mine[1]]
    assert keys.page_of_workspace(account, OTHER_WORKSPACE) == [there]
    assert keys.page_of_workspace(account, OTHER_WORKSPACE, creator=UserId("v")) == []
    keys.disable(account, mine[0].id)
    keys.revoke(account, mine[1].id)
    keys.delete(account, mine[2].id)
    assert keys.page_of_workspace(account, home) == []
    listed = keys.page_of_workspace(account, home, with_disabled=True)
    assert [one.id for one in listed] == [mine[1].id, mine[0].id]


def test_a_key_that_a_program_without_workspaces_made_is_in_the_default_one(world: World):
    key = world.keys.create(world.account, name="old").key
    with world.database.begin() as connection:
        connection.execute(sa.text("UPDATE api_keys SET workspace_id = NULL"))
    home = default_workspace(world.account)
    assert world.keys.find(world.account, key.id).workspace == home
    assert world.keys.page_of_workspace(world.account, home) == [key]


def test_only_what_was_named_is_changed(world: World):
    keys, account = world.keys, world.account
    key = keys.create(account, name="laptop", limit=DOLLAR, limit_reset=LimitReset.DAILY).key
    renamed = keys.update(account, key.id, KeyChange(name="  desk  top "))
    assert (renamed.name, renamed.limit, renamed.limit_reset) == ("desk top", DOLLAR, "daily")
    assert renamed.updated_ms is not None
    free = keys.update(account, key.id, KeyChange(limit=None, limit_reset=None))
    assert (free.name, free.limit, free.limit_reset) == ("desk top", None, None)
    assert keys.find(account, key.id) == free


def test_what_a_key_may_spend_is_kept_as_it_was_set(world: World):
    keys, account = world.keys, world.account
    free = keys.create(account, name="free").key
    key = keys.create(account, name="limited", limit=DOLLAR, includes_byok=True).key
    budget = key_budget(key.id)
    assert world.limits.kept == {budget: (DOLLAR, None, True)}
    keys.update(account, key.id, KeyChange(limit_reset=LimitReset.WEEKLY, includes_byok=False))
    assert world.limits.kept == {budget: (DOLLAR, "weekly", False)}
    keys.update(account, free.id, KeyChange(limit=NanoUSD(0)))
    assert world.limits.kept[key_budget(free.id)] == (0, None, False)
    keys.update(account, key.id, KeyChange(limit=None))
    assert budget not in world.limits.kept


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (KeyChange(name=" "), "name"),
        (KeyChange(name="x" * 201), "name"),
        (KeyChange(limit=NanoUSD(-1)), "limit"),
        (KeyChange(limit=NanoUSD(rules.LIMIT_MAX + 1)), "limit"),
    ],
)
def test_what_a_key_cannot_be_is_refused_by_the_fields_name(
    world: World, change: KeyChange, path: str
):
    key = world.keys.create(world.account, name="laptop").key
    with pytest.raises(KeyInvalid) as raised:
        world.keys.update(world.account, key.id, change)
    assert raised.value.path == path
    assert world.keys.find(world.account, key.id) == key


def test_a_key_does_not_begin_expired(world: World):
    with pytest.raises(KeyInvalid) as raised:
        world.keys.create(world.account, name="laptop", expires_ms=NOW_MS)
    assert raised.value.path == "expires_at"


def test_a_deleted_key_is_gone_for_everybody_but_those_who_check_it(world: World):
    keys, account = world.keys, world.account
    key = keys.create(account, name="laptop").key
    keys.delete(account, key.id)
    for touch in (keys.find, keys.delete, keys.disable, keys.revoke, keys.rotate):
        with pytest.raises(KeyUnknown):
            touch(account, key.id)
    with pytest.raises(KeyUnknown):
        keys.find_by_digest(account, key.digest)
    assert keys.page(account) == []
    verdict = rules.verdict(keys.by_digests([key.digest])[key.digest], now_ms=NOW_MS)
    assert verdict == KeyRefused("This API key was deleted.")


def test_a_rotated_key_is_the_same_key_behind_another_secret(world: World):
    keys, account = world.keys, world.account
    old = keys.create(account, name="laptop", limit=DOLLAR, is_management=True)
    new = keys.rotate(account, old.key.id)
    assert new.secret != old.secret
    assert new.secret.startswith("sk-fl-mgmt-v1-")
    assert new.key.digest == rules.digest(new.secret)
    assert (new.key.id, new.key.limit) == (old.key.id, DOLLAR)
    assert set(keys.by_digests([old.key.digest, new.key.digest])) == {new.key.digest}


def test_nobody_opens_anything_in_a_deleted_account(world: World):
    key = world.keys.create(world.account, name="laptop").key
    with world.database.begin() as connection:
        world.accounts.delete_within(connection, world.account)
    found = world.keys.by_digests([key.digest])[key.digest]
    verdict = rules.verdict(found, now_ms=NOW_MS)
    assert verdict == KeyRefused("The account of this API key was deleted.")


def test_live_keys_of_a_workspace_are_counted(world: World):
    keys, account = world.keys, world.account
    for creator in ("u", "u", "v", "w"):
        key = keys.create(account, name="k", workspace=OTHER_WORKSPACE, creator=UserId(creator)).key
    keys.delete(account, key.id)
    keys.disable(account, keys.page(account)[0].id)
    keys.create(account, name="home")
    with world.database.read() as connection:
        live = LiveKeys(now_ms=lambda: NOW_MS)
        assert live.count(connection, OTHER_WORKSPACE) == 3
        assert live.count(connection, OTHER_WORKSPACE, creators=[UserId("u")]) == 2
        assert live.count(connection, OTHER_WORKSPACE, creators=[UserId("w")]) == 0


def test_whatever_happens_to_a_key_is_noted_with_who_did_it(world: World):
    keys, account = world.keys, world.account
    new = keys.create(account, name="laptop", actor=SOMEBODY)
    key = new.key
    keys.disable(account, key.id, actor=SOMEBODY)
    rotated = keys.rotate(account, key.id, actor=SOMEBODY)
    keys.revoke(account, key.id, actor=SOMEBODY)
    keys.delete(account, key.id, actor=SOMEBODY)
    done = ["key.create", "key.update", "key.rotate", "key.revoke", "key.delete"]
    assert world.actions() == [(action, SOMEBODY.name, key.id) for action in done]
    written = str(world.audit.page(account))
    assert new.secret[9:] not in written
    assert rotated.secret[9:] not in written
