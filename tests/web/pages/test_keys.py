"""`/settings/keys`: made, shown once, changed, turned off; one's own, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from fairlead.control.audit.types import OPERATOR
from fairlead.control.keys.types import ApiKey, LimitReset
from fairlead.control.workspaces.types import WorkspaceChange
from fairlead.core.ids import UserId
from fairlead.core.money import NanoUSD
from tests.web.management.stage import Person, Stage
from tests.web.pages.visits import HOSTILE, HTML, Visit

SECRET = re.compile(r"sk-fl-(?:mgmt-)?v1-[0-9a-f]{64}")


@pytest.fixture
def ada(stage: Stage) -> Visit:
    return Visit(stage, stage.ada)


def path_of(person: Person) -> str:
    return f"/settings/keys/{person.hash}"


def named(stage: Stage, person: Person, name: str) -> ApiKey:
    (found,) = [one for one in stage.control.keys.page(person.account) if one.name == name]
    return found


def test_a_key_is_shown_once_and_opens(stage: Stage, ada: Visit) -> None:
    made = ada.post(
        "/settings/keys", name="  new \u202e  o\u200bne ", limit="$1,000.50", limit_reset="monthly",
        expires="2099-01-31",
    )  # fmt: skip
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    (secret,) = set(SECRET.findall(made.text))
    assert stage.ask("GET /key", key=secret).status_code == 200
    key = named(stage, stage.ada, "new one")
    assert key.limit == 1_000_500_000_000
    assert key.limit_reset is LimitReset.MONTHLY
    assert key.expires_ms == 4_073_587_199_999  # the last of that day
    for path in ("/settings/keys", f"/settings/keys/{key.digest.hex()}"):
        page = ada.get(path)
        assert "new one" in page.text
        assert secret not in page.text
    assert "$1,000.50 a month" in ada.get("/settings/keys").text


@pytest.mark.parametrize(
    ("fields", "at", "words"),
    [
        ({"name": " "}, "name", "A key needs a name."),
        ({"name": "x" * 201}, "name", "at most 200 characters"),
        ({"name": "a", "limit": "much"}, "limit", "an amount in dollars"),
        ({"name": "a", "limit": "1e9"}, "limit", "an amount in dollars"),
        ({"name": "a", "limit": "99999999999"}, "limit", "more than anybody could mean"),
        ({"name": "a", "limit_reset": "yearly"}, "limit_reset", "Choose one of these."),
        ({"name": "a", "expires": "tomorrow"}, "expires", "This is a day"),
        ({"name": "a", "expires": "2020-01-01"}, "expires", "is in the future"),
        ({"name": "a", "workspace": "nobody's"}, "", "You do not work in that workspace."),
    ],
)
def test_what_was_wrong_is_said_at_its_field(
    ada: Visit, fields: Mapping[str, str], at: str, words: str
) -> None:
    page = ada.post("/settings/keys", **fields)
    assert page.status_code == 422
    assert words in page.text
    if at:
        assert re.search(rf'id="field-{at}"[^>]*aria-invalid="true"', page.text)
    assert not SECRET.search(page.text)


def test_settings_limits_and_state_change(stage: Stage, ada: Visit) -> None:
    path = path_of(stage.ada)
    changed = ada.post(path, name="renamed", limit="5", limit_reset="daily", with_byok="true")
    assert (changed.status_code, changed.headers["location"]) == (303, f"{path}?notice=saved")
    key = stage.control.keys.find(stage.ada.account, stage.ada.key.key.id)
    assert (key.name, key.limit, key.includes_byok) == ("renamed", NanoUSD(5_000_000_000), True)
    stage.settle(stage.ada, cost=1_250_000_000)
    page = ada.get(f"{path}?notice=saved").text
    assert "Saved." in page
    assert "$1.25" in page
    assert ada.post(f"{path}/disable").headers["location"].endswith("notice=key-disabled")
    assert "Disabled" in ada.get("/settings/keys").text
    ada.post(f"{path}/enable")
    assert not stage.control.keys.find(stage.ada.account, key.id).is_disabled
    ada.post(path, name="renamed", limit="")
    assert stage.control.keys.find(stage.ada.account, key.id).limit is None


def test_rotation_and_deletion_are_asked_about_first(stage: Stage, ada: Visit) -> None:
    path = path_of(stage.ada)
    assert "Programs that have the secret" in ada.get(f"{path}/rotate").text
    rotated = ada.post(f"{path}/rotate")
    (secret,) = set(SECRET.findall(rotated.text))
    stage.refresh_keys()
    assert stage.ask("GET /key", key=secret).status_code == 200
    assert stage.ask("GET /key", key=stage.ada.key.secret).status_code == 401
    key = stage.control.keys.find(stage.ada.account, stage.ada.key.key.id)
    now = f"/settings/keys/{key.digest.hex()}"
    assert ada.get(path).status_code == 404  # its hash is another now
    assert "cannot be undone" in ada.get(f"{now}/delete").text
    assert ada.post(f"{now}/delete").headers["location"] == "/settings/keys?notice=key-deleted"
    assert ada.get(now).status_code == 404


def test_keys_for_managing_are_apart(stage: Stage, ada: Visit) -> None:
    page = ada.get("/settings/keys?kind=management").text
    assert ">ci<" in page
    assert ">laptop<" not in page
    made = ada.post("/settings/keys", name="robot", kind="management")
    (secret,) = set(SECRET.findall(made.text))
    assert secret.startswith("sk-fl-mgmt-v1-")
    assert stage.ask("GET /keys", key=secret).status_code == 200


def test_members_have_their_own_and_only_make_them_stricter(stage: Stage) -> None:
    account = stage.organisation(stage.ada, stage.bob)
    admin, member = Visit(stage, stage.ada, account), Visit(stage, stage.bob, account)
    admin.post("/settings/keys", name="the-admins")
    assert member.post("/settings/keys", name="the-members", limit="10").status_code == 201
    keys = {one.name: one for one in stage.control.keys.page(account)}
    assert "the-admins" not in member.get("/settings/keys").text
    seen_by_admin = admin.get("/settings/keys").text
    assert "the-admins" in seen_by_admin
    assert "the-members" in seen_by_admin
    theirs = f"/settings/keys/{keys['the-members'].digest.hex()}"
    others = f"/settings/keys/{keys['the-admins'].digest.hex()}"
    for answer in (
        member.get(others),
        member.get(f"{others}/delete"),
        member.post(f"{others}/delete"),
        member.post(others, name="mine"),
        member.get("/settings/keys?kind=management"),
        member.get("/settings/keys/new?kind=management"),
        member.post("/settings/keys", name="robot", kind="management"),
    ):
        assert answer.status_code == 404
    refused = member.post(theirs, name="the-members", limit="11")
    assert refused.status_code == 422
    assert "Only an admin can raise or remove a limit." in refused.text
    assert member.post(theirs, name="the-members", limit="9").status_code == 303
    member.post(f"{theirs}/disable")
    assert "Only an admin of this account can enable a key." in member.get(theirs).text
    assert member.post(f"{theirs}/enable").status_code == 400
    assert admin.post(f"{theirs}/enable").status_code == 303


def test_keys_of_another_account_are_not_there(stage: Stage, ada: Visit) -> None:
    path = path_of(stage.bob)
    for answer in (
        ada.get(path),
        ada.get(f"{path}/rotate"),
        ada.post(path, name="mine"),
        *(ada.post(f"{path}/{action}") for action in ("rotate", "delete", "disable", "enable")),
        ada.get("/settings/keys/not-a-hash"),
        ada.post(f"{path_of(stage.ada)}/burn"),
    ):
        assert answer.status_code == 404
    assert stage.ask("GET /key", key=stage.bob.key.secret).status_code == 200


def test_forms_of_other_sites_do_nothing(stage: Stage, ada: Visit) -> None:
    path = path_of(stage.ada)
    for target in ("/settings/keys", path, f"{path}/rotate", f"{path}/delete", f"{path}/disable"):
        answer = ada.post(target, csrf="guessed", name="theirs")
        assert answer.status_code == 403
        assert not SECRET.search(answer.text)
    assert [one.name for one in stage.control.keys.page(stage.ada.account)] == ["laptop", "ci"]


def test_nobody_is_sent_to_sign_in(stage: Stage) -> None:
    answer = stage.send("GET", "/settings/keys", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/settings/keys")


def test_hostile_names_are_only_text(stage: Stage, ada: Visit) -> None:
    made = ada.post("/settings/keys", name=HOSTILE)
    key = named(stage, stage.ada, HOSTILE)
    path = f"/settings/keys/{key.digest.hex()}"
    for page in (made, ada.get("/settings/keys"), ada.get(path), ada.get(f"{path}/delete")):
        assert "<img" not in page.text
        assert "<script>alert" not in page.text
    refused = ada.post("/settings/keys", name=HOSTILE, limit=HOSTILE)
    assert refused.status_code == 422
    assert "<img" not in refused.text


def test_many_keys_come_in_pages(stage: Stage, ada: Visit) -> None:
    for number in range(60):
        stage.control.keys.create(stage.ada.account, name=f"key-{number:02}")
    first = ada.get("/settings/keys").text
    second = ada.get("/settings/keys?page=2").text
    names = [re.findall(r">key-(\d\d)<", page) for page in (first, second)]
    assert len(names[0]) == 50
    assert sorted(names[0] + names[1]) == [f"{number:02}" for number in range(60)]
    part = ada.get("/settings/keys?page=2", **{"hx-request": "true"}).text
    assert part.strip() in second


def test_a_workspace_beyond_those_that_are_offered_is_reached_from_its_page(
    stage: Stage, ada: Visit
) -> None:
    for number in range(101):
        wanted = WorkspaceChange(name=f"Room {number}", slug=f"room-{number}")
        stage.control.workspaces.create(stage.ada.account, wanted, actor=OPERATOR)
    offered = ada.get("/settings/keys").text
    assert "2 more can be opened from" in offered
    assert "Room 100" not in offered
    there = ada.get("/settings/keys?workspace=room-100").text
    assert re.search(r'<option value="[^"]+" selected>Room 100</option>', there)
    room = stage.control.workspaces.find(stage.ada.account, "room-100").id
    assert ada.post("/settings/keys", name="inside", workspace=room).status_code == 201
    assert named(stage, stage.ada, "inside").workspace == room
    assert ada.get("/settings/keys?workspace=room-101").status_code == 404
    for path in ("/settings/byok", "/settings/presets", "/settings/privacy"):
        page = ada.get(f"{path}?workspace=room-100").text
        assert "1 more can be opened from" in page
        assert re.search(r'<option value="[^"]+" selected>Room 100</option>', page)
    page = ada.get("/settings/byok/new?provider=openai&workspace=room-100").text
    assert f'<option value="{room}" selected>Room 100</option>' in page
    assert "These are the first." in page
    # It would be a key for all of them.
    assert ada.get("/settings/byok/new?provider=openai&workspace=room-101").status_code == 404


def test_members_choose_among_workspaces_that_they_work_in(stage: Stage) -> None:
    account = stage.organisation(stage.ada, stage.bob)
    member, spaces = Visit(stage, stage.bob, account), stage.control.workspaces
    made = [
        spaces.create(account, WorkspaceChange(name=name, slug=name), actor=OPERATOR)
        for name in ("inside", "outside")
    ]
    spaces.add_members(account, "inside", [UserId(stage.bob.user)], actor=OPERATOR)
    page = member.get("/settings/keys/new").text
    assert "inside" in page
    assert "outside" not in page
    answers = [member.post("/settings/keys", name="a", workspace=one.id) for one in made]
    assert [one.status_code for one in answers] == [201, 422]
    assert member.get("/settings/keys?workspace=outside").status_code == 404
