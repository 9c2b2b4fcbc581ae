"""Settings: what each page shows of whom, and what its forms refuse."""

from __future__ import annotations

import io
import re
import zipfile
from urllib.parse import urlencode

import httpx
import pytest
import sqlalchemy as sa
from starlette.routing import Route

from fairlead.control.accounts.types import Billing
from fairlead.control.notifications.types import Kind
from fairlead.core.ids import AccountId, UserId
from fairlead.web.pages.settings.sessions import device
from tests.web.management.stage import Person, Stage
from tests.web.pages.test_frame import Elements

HTML = {"accept": "text/html,application/xhtml+xml"}
SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
OPENAI_KEY = "sk-proj-0123456789abcdefSECRETabcd"
PAGES = (
    "/settings/profile",
    "/settings/sessions",
    "/settings/byok",
    "/settings/byok/new",
    "/settings/byok/new?provider=azure",
    "/settings/byok/new?provider=amazon-bedrock",
    "/settings/byok/new?provider=google-vertex",
    "/settings/routing",
    "/settings/presets",
    "/settings/presets/new",
    "/settings/privacy",
    "/settings/notifications",
    "/settings/organisation",
    "/settings/workspaces",
    "/settings/workspaces/default",
    "/settings/account",
)


class Window:
    """Somebody's browser. account: that they act for; None: their own."""

    def __init__(self, stage: Stage, person: Person, account: AccountId | None = None) -> None:
        self._stage = stage
        headers = stage.signed_in(person.user, account)
        self.cookie, self.csrf = headers["cookie"], headers["x-csrf-token"]

    def get(self, path: str) -> httpx.Response:
        return self._stage.send("GET", path, headers={**HTML, "cookie": self.cookie})

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.send(path, {"csrf": self.csrf, **fields})

    def send(self, path: str, fields: dict[str, str]) -> httpx.Response:
        return self._stage.send(
            "POST",
            path,
            headers={
                **HTML,
                "cookie": self.cookie,
                "content-type": "application/x-www-form-urlencoded",
            },
            content=urlencode(fields).encode(),
        )


@pytest.fixture
def ada(stage: Stage) -> Window:
    return Window(stage, stage.ada)


@pytest.fixture
def bob(stage: Stage) -> Window:
    return Window(stage, stage.bob)


def saved(answer: httpx.Response) -> bool:
    return answer.status_code == 303 and "notice=" in answer.headers["location"]


def problem_at(answer: httpx.Response, field: str) -> str:
    """What is said at a field, or nothing."""
    found = re.search(rf'id="field-{field}-problem">([^<]*)', answer.text)
    return found[1] if answer.status_code == 422 and found else ""


def test_every_page_is_there_for_somebody_new(ada: Window) -> None:
    for path in PAGES:
        answer = ada.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "no-store"
        elements = Elements(answer.text).found
        assert [tag for tag, _ in elements].count("h1") == 1, path
        names = [name for _, attributes in elements for name in attributes]
        assert "style" not in names
        assert not [name for name in names if name.startswith("on")]
        ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
        assert len(ids) == len(set(ids)), path
        assert 'aria-current="page"' in answer.text, path
    assert ada.get("/settings").headers["location"] == "/settings/profile"


def test_nobody_is_sent_to_sign_in_and_back(stage: Stage) -> None:
    for path in PAGES:
        answer = stage.send("GET", path, headers=HTML)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=/settings/"), path


def test_no_form_works_without_its_token(stage: Stage, ada: Window) -> None:
    paths = [
        re.sub(r"{\w+}", "x", route.path)
        for route in stage.app.routes
        if isinstance(route, Route)
        and "POST" in (route.methods or ())
        and route.path.startswith(("/settings/", "/auth", "/sign-out"))
        and not route.path.startswith(("/auth/", "/auth-"))
    ]
    assert len(paths) > 25
    for path in paths:
        for token in ("", "A" * 43):
            assert ada.send(path, {"csrf": token}).status_code == 403, path


def test_a_name_is_text_whatever_it_is(ada: Window) -> None:
    assert saved(ada.post("/settings/profile/name", name=f"Ada {SCRIPT}{IMAGE}"))
    shown = ada.get("/settings/profile").text
    assert SCRIPT not in shown
    assert "<img src=x" not in shown
    assert "Ada &lt;script&gt;" in shown


def test_a_session_alone_changes_neither_password_nor_address(stage: Stage, ada: Window) -> None:
    stage.execute(
        "UPDATE users SET password_hash = 'no hash at all' WHERE id = :id", id=stage.ada.user
    )
    changed = ada.post("/settings/profile/password", password="a sentence that is long enough")
    assert problem_at(changed, "present_password") == "This is not your password."
    moved = ada.post("/settings/profile/email", email="eve@example.com", email_password="guess")
    assert problem_at(moved, "email_password") == "This is not your password."
    assert "guess" not in moved.text


def test_sessions_end_one_by_one_and_all_at_once(stage: Stage, ada: Window, bob: Window) -> None:
    other = Window(stage, stage.ada)
    shown = ada.get("/settings/sessions").text
    ids = re.findall(r"/settings/sessions/(session[\w-]+)/end", shown)
    assert len(ids) == 2
    assert shown.count("This one") == 1
    assert bob.post(f"/settings/sessions/{ids[1]}/end").status_code == 404
    assert saved(ada.post(f"/settings/sessions/{ids[1]}/end"))
    assert other.get("/settings/profile").status_code == 303
    third = Window(stage, stage.ada)
    assert saved(ada.post("/settings/sessions/end-others"))
    assert third.get("/settings/profile").status_code == 303
    out = ada.post(f"/settings/sessions/{ids[0]}/end")
    assert out.headers["location"] == "/?notice=signed-out"
    assert ada.get("/settings/profile").status_code == 303


def test_programs_are_named_by_what_they_call_themselves() -> None:
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537.36"
    assert device(chrome) == "Chrome on Linux"
    assert device("curl/8.5.0") == "curl"
    assert device("") == "Unknown device"
    assert device("x" * 500) == "x" * 40


def test_routing_is_kept_and_a_misspelt_provider_is_named(stage: Stage, ada: Window) -> None:
    wrong = ada.post("/settings/routing", ignored_providers="opneai")
    assert "did you mean openai" in problem_at(wrong, "ignored_providers")
    assert ">\nopneai</textarea>" in wrong.text
    assert saved(
        ada.post(
            "/settings/routing",
            default_provider_sort="latency",
            default_provider_order="azure, openai",
            ignored_models="openai/*",
            hedge="off",
        )
    )
    kept = stage.ask("GET /preferences", key=stage.ada.key.secret).json()["data"]
    assert kept == {
        "default_provider_sort": "latency",
        "default_provider_order": ["azure", "openai"],
        "ignored_models": ["openai/*"],
        "hedge": False,
    }
    assert "azure\nopenai" in ada.get("/settings/routing").text
    assert saved(ada.post("/settings/routing"))
    assert stage.ask("GET /preferences", key=stage.ada.key.secret).json()["data"] == {}


def test_privacy_is_set_for_the_account_and_for_a_workspace(
    stage: Stage, ada: Window, bob: Window
) -> None:
    assert saved(ada.post("/settings/privacy/policies", zdr="true", enforce_zdr_authors="OpenAI"))
    kept = stage.ask("GET /preferences", key=stage.ada.key.secret).json()["data"]
    assert kept == {
        "zdr": True,
        "enforce_zdr_authors": ["openai"],
        "enable_paid_model_training": False,
        "enable_free_model_training": False,
        "enable_free_model_publication": False,
    }
    name = stage.control.workspaces.default_of(stage.ada.account)
    wrong = ada.post("/settings/privacy/logging", workspace=name, sampling="200")
    assert "0.01 to 100" in problem_at(wrong, "sampling")
    fields = {"workspace": name, "io_logging": "true", "sampling": "12.5"}
    assert bob.post("/settings/privacy/logging", **fields).status_code == 404
    wrong = ada.post("/settings/privacy/logging", **fields, logged_keys=stage.bob.hash)
    assert "no active key" in problem_at(wrong, "logged_keys")
    assert saved(ada.post("/settings/privacy/logging", **fields, logged_keys=stage.ada.hash))
    found = stage.control.workspaces.find(stage.ada.account, name)
    assert (found.io_logging, found.io_logging_sampling_rate) == (True, 0.125)
    assert not found.data_discount_logging
    assert found.io_logging_keys == (stage.ada.key.key.id,)
    page = ada.get("/settings/privacy").text
    assert 'value="12.5"' in page
    assert stage.ada.hash in page


def test_a_provider_key_goes_in_and_never_comes_out(stage: Stage, ada: Window, bob: Window) -> None:
    wrong = ada.post("/settings/byok/new", provider="azure", key=OPENAI_KEY)
    assert "JSON array" in problem_at(wrong, "key")
    assert "SECRET" not in wrong.text
    assert ada.post("/settings/byok/new", provider="nobody", key="x").status_code == 422
    name = f"mine {IMAGE}"
    assert saved(
        ada.post(
            "/settings/byok/new", provider="openai", key=OPENAI_KEY, name=name, workspace="all"
        )
    )
    shown = ada.get("/settings/byok").text
    assert "sk-...abcd" in shown
    assert "SECRET" not in shown
    assert "<img src=x" not in shown
    (key,) = re.findall(r"/settings/byok/([0-9a-f-]{36})", shown)
    path = f"/settings/byok/{key}"
    for answer in (bob.get(path), bob.post(path, section="first"), bob.post(f"{path}/delete")):
        assert answer.status_code == 404
    assert ada.get("/settings/byok/nothing").status_code == 404
    wrong = ada.post(path, section="fallback", allowed_keys="short", is_enabled="true")
    assert problem_at(wrong, "allowed_keys")
    assert saved(
        ada.post(
            path,
            section="fallback",
            allowed_models="o1",
            allowed_keys=stage.ada.hash,
            sort_order="3",
        )
    )
    (kept,) = stage.ask("GET /byok", key=stage.ada.management.secret).json()["data"]
    assert (kept["is_fallback"], kept["disabled"], kept["sort_order"]) == (True, True, 3)
    assert kept["allowed_models"] == ["openai/o1"]
    assert kept["label"] == "sk-...abcd", "an empty field keeps the key"
    assert saved(ada.post(path, section="first", key="sk-another-0123456789-wxyz"))
    assert "sk-...wxyz" in ada.get(path).text
    assert saved(ada.post(f"{path}/delete"))
    assert "No provider keys yet" in ada.get("/settings/byok").text


def test_an_organisation_from_its_making_to_its_leaving(stage: Stage, ada: Window) -> None:
    organisation = "/settings/organisation"
    assert "Confirm your address first" in ada.get(organisation).text
    stage.execute("UPDATE users SET email_verified_ms = 1 WHERE id = :id", id=stage.ada.user)
    assert saved(ada.post(f"{organisation}/create", new_name=f"Crew {SCRIPT}"))
    shown = ada.get(organisation).text
    assert SCRIPT not in shown
    assert "Crew &lt;script&gt;" in shown
    assert problem_at(ada.post(f"{organisation}/invite", email="nobody", role="member"), "email")
    assert saved(ada.post(f"{organisation}/invite", email="eve@example.com", role="admin"))
    (invited,) = re.findall(r"invitations/(inv[\w-]+)/revoke", ada.get(organisation).text)
    assert saved(ada.post(f"{organisation}/invitations/{invited}/resend"))
    assert saved(ada.post(f"{organisation}/invitations/{invited}/revoke"))
    assert ada.post(f"{organisation}/invitations/{invited}/revoke").status_code == 404
    assert saved(ada.post(f"{organisation}/name", name="Crew"))
    assert ", for Crew</p>" in ada.get("/settings/sessions").text  # on every page
    refused = ada.post(f"{organisation}/leave")
    assert refused.status_code == 422
    assert "admin" in refused.text.split("<main", 1)[1]
    assert saved(ada.post(f"{organisation}/switch", account=stage.ada.account))
    assert "Share credit" in ada.get(organisation).text
    assert ", for Crew</p>" not in ada.get("/settings/sessions").text


def test_an_account_chooses_what_is_mailed_and_to_whom(stage: Stage, ada: Window) -> None:
    path = "/settings/notifications"
    assert "These members" not in ada.get(path).text
    assert saved(ada.post(path, model_ending_on="true"))
    service = stage.people.services.notifications
    is_on = {kind: rule.is_on for kind, rule in service.rules(stage.ada.account).items()}
    assert [kind for kind, on in is_on.items() if on] == [Kind.LOW_BALANCE, Kind.MODEL_ENDING]
    crew = stage.organisation(stage.ada, stage.bob)
    admin = Window(stage, stage.ada, crew)
    names = {
        user: one.email
        for user, one in stage.people.services.people.find_all([stage.bob.user]).items()
    }
    fields = {"key_limit_on": "true", "key_limit_owner": "true", "workspace_budget_on": "true"}
    wrong = admin.post(path, **fields, workspace_budget_people=f"nobody@example.com {IMAGE}")
    assert "does not belong" in problem_at(wrong, "workspace_budget_people")
    assert "Choose somebody" in problem_at(admin.post(path, **fields), "workspace_budget_people")
    bob = names[UserId(stage.bob.user)]
    assert saved(admin.post(path, **fields, workspace_budget_people=f"{bob}"))
    assert service.rules(crew)[Kind.WORKSPACE_BUDGET].people == (stage.bob.user,)
    assert f"{bob}</textarea>" in admin.get(path).text
    assert (
        bob
        not in Window(stage, stage.bob, crew).get(path).text.split("<form", 1)[1].split("</form")[0]
    )
    # Who has left is nobody to write to, and their address is theirs.
    assert saved(admin.post(f"/settings/organisation/members/{stage.bob.user}/remove"))
    assert bob not in admin.get(path).text


def test_a_test_message_goes_to_who_asks_once_in_a_minute(ada: Window) -> None:
    assert saved(ada.post("/settings/notifications/test"))
    again = ada.post("/settings/notifications/test")
    assert again.status_code == 422
    assert "within the last minute" in again.text


def test_members_use_an_organisation_and_admins_change_it(stage: Stage, ada: Window) -> None:
    crew = stage.organisation(stage.ada, stage.bob)
    admin, member = Window(stage, stage.ada, crew), Window(stage, stage.bob, crew)
    assert 'href="/credits"' in admin.get("/settings/sessions").text
    assert 'href="/credits"' not in member.get("/settings/sessions").text  # it refuses them
    path = f"/settings/organisation/members/{stage.bob.user}"
    wrong = admin.post(path, role="member", limit="lots")
    assert wrong.status_code == 422
    assert saved(admin.post(path, role="member", limit="12.50", limit_reset="monthly"))
    assert 'value="12.50"' in admin.get("/settings/organisation").text
    assert "$12.50" in member.get("/settings/organisation").text
    assert admin.post(path.replace(stage.bob.user, "nobody"), role="member").status_code == 404
    for where, fields in (
        ("/settings/organisation/name", {"name": "Mine"}),
        ("/settings/organisation/invite", {"email": "eve@example.com", "role": "admin"}),
        (path, {"role": "admin"}),
        (f"{path}/remove", {}),
        ("/settings/routing", {"default_model": "x"}),
        ("/settings/privacy/policies", {}),
        ("/settings/privacy/logging", {}),
        ("/settings/byok/new", {"provider": "openai", "key": OPENAI_KEY}),
        ("/settings/workspaces", {"name": "x"}),
        ("/settings/workspaces/default/budgets", {"daily": "1"}),
        ("/settings/account/export", {}),
        ("/settings/notifications", {}),
    ):
        assert member.post(where, **fields).status_code == 403, where
    assert member.get("/settings/byok").status_code == 403
    # Who does not belong to it cannot act for it.
    assert ada.post("/settings/organisation/switch", account=stage.bob.account).status_code == 404
    assert saved(admin.post(f"{path}/remove"))
    assert stage.bob.user not in admin.get("/settings/organisation").text


def test_a_workspace_has_budgets_that_grow_with_their_span(
    stage: Stage, ada: Window, bob: Window
) -> None:
    assert saved(ada.post("/settings/workspaces", name=f"Back office {IMAGE}", slug=""))
    (slug,) = re.findall(
        r"/settings/workspaces/(back-office[\w-]*)\"", ada.get("/settings/workspaces").text
    )
    path = f"/settings/workspaces/{slug}"
    assert "<img src=x" not in ada.get(path).text
    assert problem_at(ada.post(f"{path}/general", name="", slug=slug), "name")
    assert problem_at(
        ada.post(f"{path}/routing", default_text_model="x" * 201), "default_text_model"
    )
    assert problem_at(
        ada.post(f"{path}/routing", default_provider_sort="luck"), "default_provider_sort"
    )
    assert saved(
        ada.post(
            f"{path}/routing", default_text_model=" openai/o1 ", default_provider_sort="latency"
        )
    )
    wrong = ada.post(f"{path}/budgets", daily="5", monthly="2")
    assert wrong.status_code == 422
    assert "must be more than the daily budget" in wrong.text
    assert problem_at(ada.post(f"{path}/budgets", daily="much"), "daily")
    assert saved(ada.post(f"{path}/budgets", daily="5", monthly="20", include_byok="true"))
    assert saved(ada.post(f"{path}/budgets", daily="30", monthly="40"))
    found, budgets = stage.control.workspaces.budgets(stage.ada.account, slug)
    assert [(one.span.value, one.limit) for one in budgets] == [
        ("daily", 30_000_000_000),
        ("monthly", 40_000_000_000),
    ]
    assert not found.include_byok_in_budgets
    assert (found.default_text_model, found.default_provider_sort) == ("openai/o1", "latency")
    assert "$0.00 spent" in ada.get(path).text
    for answer in (bob.get(path), bob.post(f"{path}/budgets"), bob.post(f"{path}/delete")):
        assert answer.status_code == 404
    assert problem_at(ada.post(f"{path}/delete", confirm="other"), "confirm")
    assert saved(ada.post(f"{path}/delete", confirm=slug))
    assert ada.get(path).status_code == 404


def test_members_are_added_to_a_workspace_and_removed(stage: Stage) -> None:
    crew = stage.organisation(stage.ada, stage.bob)
    admin = Window(stage, stage.ada, crew)
    assert saved(admin.post("/settings/workspaces", name="Lab"))
    assert saved(admin.post("/settings/workspaces/lab/members/add", user=stage.bob.user))
    stranger = stage.person(f"eve.{stage.bob.user}@example.com")
    refused = admin.post("/settings/workspaces/lab/members/add", user=stranger.user)
    assert "does not belong to this account" in refused.text
    assert saved(admin.post("/settings/workspaces/lab/members/remove", user=stage.bob.user))
    # By their address, as one names them where there are too many to choose from.
    unknown = admin.post(
        "/settings/workspaces/lab/members/add", user=f"eve.{stage.bob.user}@example.com"
    )
    assert "Nobody of this address belongs to the account." in unknown.text
    bob = stage.people.services.people.find(UserId(stage.bob.user))
    assert bob is not None
    assert saved(admin.post("/settings/workspaces/lab/members/add", user=f" {bob.email} "))


def test_members_and_workspaces_come_in_pages(stage: Stage) -> None:
    crew = stage.organisation(stage.ada, stage.bob)
    admin = Window(stage, stage.ada, crew)
    assert saved(admin.post("/settings/workspaces", name="Lab"))
    with stage.control.database.begin() as connection:
        people = [
            stage.control.accounts.create_within(
                connection,
                email=f"{number:03}@{crew.replace('_', '-')}.example",
                billing=Billing.PREPAID,
                name=f"Member {number:03}",
            ).user
            for number in range(100)
        ]
        connection.execute(
            sa.text(
                "INSERT INTO memberships (account_id, user_id, role, joined_ms)"
                " VALUES (:account, :user, 'member', :joined)"
            ),
            [
                {"account": crew, "user": user, "joined": 2 + place}
                for place, user in enumerate(people)
            ],
        )
    first = admin.get("/settings/organisation").text
    assert "1\N{EN DASH}50 of 102" in first
    assert "Member 048" in first
    assert "Member 049" not in first
    assert "Member 099" in admin.get("/settings/organisation?page=3").text
    # Somebody of a later page is changed like those of the first.
    path = f"/settings/organisation/members/{people[99]}"
    assert saved(admin.post(path, role="member", limit="3"))
    assert 'value="3"' in admin.get("/settings/organisation?page=3").text
    assert "Add, by address or id" in admin.get("/settings/workspaces/lab").text


def test_everything_is_taken_away_in_one_file(stage: Stage, ada: Window) -> None:
    answer = ada.post("/settings/account/export")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith("attachment;")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert stage.ada.account in text
    assert stage.bob.account not in text
    assert stage.ada.key.secret not in text


def test_an_account_ends_only_by_its_own_name(stage: Stage, ada: Window) -> None:
    found = stage.people.services.people.of_account(stage.ada.account)
    assert found is not None
    assert found.email is not None
    assert problem_at(ada.post("/settings/account/delete", confirm="yes"), "confirm")
    assert ada.get("/settings/account").status_code == 200
    gone = ada.post("/settings/account/delete", confirm=found.email)
    assert gone.headers["location"] == "/?notice=account-deleted"
    assert 'fairlead_session=""' in gone.headers["set-cookie"]
    assert ada.get("/settings/account").status_code == 303
    assert stage.ask("GET /key", key=stage.ada.key.secret).status_code == 401
    assert stage.people.services.people.of_account(stage.bob.account) is not None


def test_the_owner_and_the_last_admin_stay(stage: Stage) -> None:
    crew = stage.organisation(stage.ada, stage.bob)
    ada = Window(stage, stage.ada)
    found = stage.people.services.people.of_account(stage.ada.account)
    assert found is not None
    refused = ada.post("/settings/account/delete", confirm=found.email or "")
    assert refused.status_code == 422
    assert "would be left without an admin" in refused.text
    acting = Window(stage, stage.ada, crew)
    assert acting.post("/settings/account/delete", confirm=found.email or "").status_code == 403
