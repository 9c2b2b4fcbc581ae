"""Calls from our own pages: a session counts as a key of its own, and only with the proof of our pages."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fairlead.compose.visitors import build_visitors
from fairlead.control.accounts.rules import default_workspace
from fairlead.control.audit.types import Actor
from fairlead.control.keys.types import ApiKey
from fairlead.control.workspaces.types import WorkspaceChange
from fairlead.core.caller import Caller
from fairlead.core.errors import NotAuthenticated, NotFound, PermissionDenied
from fairlead.core.ids import AccountId, UserId
from tests.web.management.stage import ADDRESS, Stage


def found(stage: Stage, headers: Mapping[str, str]) -> Caller:
    visitors = build_visitors(stage.control, stage.people.auth, clock=stage.clock)
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    return stage.run(visitors.find(fields, (ADDRESS, 40000)))


def chat_keys(stage: Stage, account: AccountId) -> list[ApiKey]:
    return [key for key in stage.control.keys.page(account) if key.name == "Chat"]


def test_who_is_signed_in_calls_for_their_account_within_its_budgets(stage: Stage):
    ada = stage.signed_in(stage.ada.user)
    caller = found(stage, ada)
    assert (caller.account, caller.user) == (stage.ada.account, stage.ada.user)
    assert caller.is_prepaid
    assert [one.id for one in caller.budgets] == [f"account:{stage.ada.account}"]
    assert found(stage, ada) == caller
    assert [key.id for key in chat_keys(stage, stage.ada.account)] == [caller.key]
    entries = stage.control.audit.page(stage.ada.account)
    made = [one for one in entries if one.subject == caller.key]
    assert [(one.action, one.actor.name) for one in made] == [("key.create", stage.ada.user)]


def test_who_acts_for_an_organisation_calls_for_it(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    caller = found(stage, stage.signed_in(stage.bob.user, crew))
    assert (caller.account, caller.user) == (crew, stage.bob.user)


def test_they_call_in_the_workspace_that_they_name_if_they_work_there(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    wanted = WorkspaceChange(name="Lab", slug="lab")
    lab = stage.control.workspaces.create(crew, wanted, actor=Actor.user(stage.ada.user)).id
    ada, bob = (stage.signed_in(one.user, crew) for one in (stage.ada, stage.bob))
    first, second = found(stage, ada), found(stage, ada | {"x-workspace": lab})
    assert (first.workspace, second.workspace) == (default_workspace(crew), lab)
    assert first.key != second.key
    with pytest.raises(NotFound, match="workspace"):
        found(stage, bob | {"x-workspace": lab})
    assert len(chat_keys(stage, crew)) == 2


def test_who_works_in_a_workspace_no_more_calls_there_no_more(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    wanted = WorkspaceChange(name="Lab", slug="lab")
    lab = stage.control.workspaces.create(crew, wanted, actor=Actor.user(stage.ada.user)).id
    bob = stage.signed_in(stage.bob.user, crew) | {"x-workspace": lab}

    def become(role: str) -> None:
        text = "UPDATE memberships SET role = :role WHERE user_id = :user AND account_id = :account"
        stage.execute(text, role=role, user=stage.bob.user, account=crew)

    become("admin")
    caller = found(stage, bob)
    assert caller.workspace == lab
    become("member")
    with pytest.raises(NotFound, match="workspace"):
        found(stage, bob)
    stage.control.workspaces.add_members(
        crew, lab, [UserId(stage.bob.user)], actor=Actor.user(stage.ada.user)
    )
    assert found(stage, bob) == caller


@pytest.mark.parametrize(
    "changed",
    [
        {"x-csrf-token": ""},
        {"x-csrf-token": "another's"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
    ],
)
def test_other_sites_cannot_call_in_their_name(stage: Stage, changed: dict[str, str]):
    with pytest.raises(PermissionDenied):
        found(stage, stage.signed_in(stage.ada.user) | changed)
    assert chat_keys(stage, stage.ada.account) == []


def test_a_key_is_no_session(stage: Stage):
    with pytest.raises(NotAuthenticated):
        found(stage, {"authorization": f"Bearer {stage.ada.key.secret}"})


def test_the_digest_in_lists_opens_nothing(stage: Stage):
    """Whoever manages an account sees the digests of its keys."""
    found(stage, stage.signed_in(stage.ada.user))
    digest = chat_keys(stage, stage.ada.account)[0].digest
    assert stage.ask("GET /key", key=digest.hex()).status_code == 401


def test_an_admin_can_switch_it_off(stage: Stage):
    ada = stage.signed_in(stage.ada.user)
    key = found(stage, ada).key
    stage.control.keys.disable(stage.ada.account, key)
    stage.refresh_keys()
    with pytest.raises(PermissionDenied, match="key named Chat"):
        found(stage, ada)
