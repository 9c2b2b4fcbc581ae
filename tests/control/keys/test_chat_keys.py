"""The key of somebody's browser: there once, known by whose it is, and opened by no secret."""

from __future__ import annotations

import os
from itertools import count
from typing import Any, NamedTuple

import pytest

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.keys.chat import ChatKeys, chat_digest
from fairlead.control.keys.ending import EndingKeys
from fairlead.control.keys.service import Keys, LiveKeys
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import WorkspaceChange, WorkspaceInUse, WorkspaceUnknown
from fairlead.core.ids import AccountId, UserId
from fairlead.store.database import Database


class Ada(NamedTuple):
    account: AccountId
    user: UserId


WORKSPACE = WorkspaceChange(name="Lab", slug="lab")


@pytest.fixture
def made() -> dict[str, Any]:
    return {"now_ms": count(1_795_219_200_000).__next__, "entropy": os.urandom}


@pytest.fixture
def workspaces(database: Database, made: dict[str, Any]) -> Workspaces:
    return Workspaces(database, Audit(database, **made), keys=None, limits=None, **made)


@pytest.fixture
def chat(database: Database, workspaces: Workspaces, made: dict[str, Any]) -> ChatKeys:
    return ChatKeys(database, workspaces, **made)


@pytest.fixture
def keys(database: Database, made: dict[str, Any]) -> Keys:
    return Keys(database, **made)


@pytest.fixture
def ada(database: Database, made: dict[str, Any]) -> Ada:
    with database.begin() as connection:
        founded = Accounts(database, **made).create_within(
            connection, email="ada@example.com", billing=Billing.PREPAID
        )
    assert founded.user is not None
    return Ada(founded.account.id, founded.user)


def opened(chat: ChatKeys, whose: Ada, workspace: str | None = None) -> None:
    account, user = whose.account, whose.user
    place = workspace or default_workspace(account)
    chat.open(account, user, place, actor=Actor.user(user))


def test_each_workspace_has_one_made_once(
    chat: ChatKeys, keys: Keys, workspaces: Workspaces, ada: Ada
):
    account, user = ada.account, ada.user
    lab = workspaces.create(account, WORKSPACE, actor=Actor.user(user)).id
    for place in (None, None, lab, lab):
        opened(chat, ada, place)
    found = {key.workspace: key for key in keys.page(account)}
    assert set(found) == {default_workspace(account), lab}
    assert len(keys.page(account)) == 2
    for place, key in found.items():
        assert (key.name, key.creator) == ("Chat", user)
        assert key.digest == chat_digest(account, user, place)


def test_there_is_none_where_they_do_not_work(
    database: Database, chat: ChatKeys, keys: Keys, workspaces: Workspaces, ada: Ada
):
    account = ada.account
    lab = workspaces.create(account, WORKSPACE, actor=Actor.user(ada.user))
    for elsewhere in ("", "lab", "00000000-0000-4000-8000-000000000000", lab.id.upper()):
        with pytest.raises(WorkspaceUnknown):
            chat.open(account, ada.user, elsewhere, actor=Actor.user(ada.user))
    with pytest.raises(WorkspaceUnknown):
        chat.open(account, UserId("user-eve"), lab.id, actor=Actor.user(ada.user))
    assert keys.page(account) == []


def test_a_disabled_one_stays_and_a_deleted_one_is_made_anew(chat: ChatKeys, keys: Keys, ada: Ada):
    account = ada.account
    opened(chat, ada)
    (first,) = keys.page(account)
    keys.disable(account, first.id)
    opened(chat, ada)
    assert [key.is_disabled for key in keys.page(account)] == [True]
    keys.delete(account, first.id)
    opened(chat, ada)
    (second,) = keys.page(account)
    assert second.id != first.id
    assert not second.is_disabled


def test_it_goes_with_its_workspace_and_with_who_is_removed_from_it(
    database: Database, chat: ChatKeys, keys: Keys, made: dict[str, Any], ada: Ada
):
    live = LiveKeys(now_ms=made["now_ms"])
    workspaces = Workspaces(database, Audit(database, **made), keys=live, limits=None, **made)
    account, user, by = ada.account, ada.user, Actor.user(ada.user)
    lab = workspaces.create(account, WORKSPACE, actor=by, creator=user).id
    opened(chat, ada, lab)
    opened(chat, ada)
    workspaces.remove_members(account, lab, [user], actor=by)
    assert [key.workspace for key in keys.page(account)] == [default_workspace(account)]
    opened(chat, ada, lab)  # an admin works in all
    rotated = keys.rotate(account, keys.page(account)[-1].id).key
    with pytest.raises(WorkspaceInUse):  # it has a secret now, which somebody may use
        workspaces.delete(account, lab, actor=by)
    keys.delete(account, rotated.id)
    opened(chat, ada, lab)
    workspaces.delete(account, lab, actor=by)
    assert [key.workspace for key in keys.page(account)] == [default_workspace(account)]


def test_who_is_removed_while_it_is_being_made_gets_none(
    chat: ChatKeys,
    keys: Keys,
    workspaces: Workspaces,
    ada: Ada,
    monkeypatch: pytest.MonkeyPatch,
):
    answers = iter([True, False])
    monkeypatch.setattr(workspaces, "works_in", lambda *_: next(answers))
    with pytest.raises(WorkspaceUnknown):
        opened(chat, ada)
    assert keys.page(ada.account) == []


def test_it_goes_with_who_leaves_unless_it_was_disabled(
    database: Database, chat: ChatKeys, keys: Keys, made: dict[str, Any], ada: Ada
):
    account, user = ada

    def leave() -> None:
        with database.begin() as connection:
            EndingKeys(now_ms=made["now_ms"]).disable_of_member(connection, account, user)

    opened(chat, ada)
    leave()
    assert keys.page(account) == []
    opened(chat, ada)
    (second,) = keys.page(account)
    keys.disable(account, second.id)
    leave()
    assert [(key.id, key.is_disabled) for key in keys.page(account)] == [(second.id, True)]


def test_people_accounts_and_workspaces_have_each_their_own():
    digests = {
        chat_digest(AccountId(account), UserId(user), place)
        for account, user, place in (
            ("a", "b", default_workspace(AccountId("a"))),
            ("a", "b", "c"),
            ("a", "c", "c"),
            ("ab", "", "c"),
            ("", "ab", "c"),
        )
    }
    assert len(digests) == 5
