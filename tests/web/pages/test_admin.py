"""`/admin`: everything for the owner, nothing for anybody else."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fairlead.compose.administration import build_administration
from fairlead.control.ledger.check_job import LedgerCheckJob
from fairlead.core.errors import Overloaded
from fairlead.core.ids import ProviderSlug, UserId
from fairlead.settings import Settings
from fairlead.settings.secret import Secret
from fairlead.settings.types import Database, Metrics, ProviderSettings, Server
from fairlead.store.database import DATABASE_FILE
from fairlead.web.administration import ProviderFound
from tests.web.management.stage import Person, Stage
from tests.web.pages.visits import HOSTILE, HTML, Visit

PAGES = (
    "/admin",
    "/admin/providers",
    "/admin/providers?show=all",
    "/admin/endpoints",
    "/admin/accounts",
    "/admin/payments",
    "/admin/payments/refunds",
    "/admin/payments/events",
    "/admin/feedback",
    "/admin/ledger",
    "/admin/configuration",
    "/admin/audit",
)
SECRET = "sk-provider-secret-0123456789abcd"
SETTINGS = Settings(
    server=Server(port=9999),
    metrics=Metrics(token=Secret("metrics-token-secret")),
    database=Database(url=Secret("postgresql://user:database-password@db/x")),
    providers={ProviderSlug("openai"): ProviderSettings(api_key=Secret(SECRET))},
    models=({"id": "openai/o3-mini", "name": HOSTILE},),
    sources={"server.port": "--port", "providers.openai.api_key": "OPENAI_API_KEY"},
)


class Probes:
    """Providers that answer as they are told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_busy = False

    def found(self) -> list[ProviderFound]:
        return [
            ProviderFound(ProviderSlug("openai"), None, "https://api.example/v1", SECRET[-4:]),
            ProviderFound(ProviderSlug("mistral"), "set MISTRAL_API_KEY", "", None),
        ]

    async def check(self, provider: ProviderSlug) -> tuple[bool, str]:
        if self.is_busy:
            raise Overloaded("Another provider is being checked: try again in a moment.")
        self.asked.append(provider)
        return True, "openai/gpt-5-nano answered in 321 ms"


class AdminStage(Stage):
    """With the pages of the operator, and an owner."""

    owner: Person
    probes: Probes
    begun: list[bool]

    def open(self) -> None:
        self.probes, self.begun = Probes(), []
        self.job = LedgerCheckJob(
            self.control.database,
            now_ms=self.clock.now_ms,
            start=lambda: self.begun.append(True),
        )
        self.app = self.edge(
            administration=build_administration(
                self.control,
                self.people.services,
                clock=self.clock,
                settings=lambda: SETTINGS,
                calls_under_way=lambda: 3,
                providers=self.probes,
                ledger_checks=self.job,
            )
        )
        account = self.control.accounts.ensure_owner().account.id
        keys = self.control.keys
        self.owner = Person(
            account,
            keys.create(account, name="laptop"),
            keys.create(account, name="ci", is_management=True),
        )


@pytest.fixture(scope="module")
def _admin_stage(
    prepared_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AdminStage]:
    data = tmp_path_factory.mktemp("admin")
    path = str(shutil.copy(prepared_sqlite, data / DATABASE_FILE))
    with closing(AdminStage(path, data)) as stage:
        stage.open()
        yield stage


@pytest.fixture
def stage(_admin_stage: AdminStage) -> AdminStage:
    _admin_stage.newcomers()
    _admin_stage.probes.asked.clear()
    _admin_stage.probes.is_busy = False
    return _admin_stage


@pytest.fixture
def owner(stage: AdminStage) -> Visit:
    return Visit(stage, stage.owner)


def test_the_owner_sees_every_page(stage: AdminStage, owner: Visit) -> None:
    stage.settle(stage.ada)
    for path in PAGES:
        page = owner.get(path)
        assert page.status_code == 200, path
        assert page.headers["cache-control"] == "no-store"
        assert HOSTILE not in page.text


@pytest.mark.parametrize("path", [*PAGES, "/admin/accounts/acc_1"])
def test_nobody_else_sees_that_there_is_anything(stage: AdminStage, path: str) -> None:
    assert Visit(stage, stage.ada).get(path).status_code == 404
    away = stage.send("GET", path, headers=HTML)
    assert away.status_code == 303
    assert away.headers["location"].startswith("/sign-in")


def test_nobody_else_changes_anything(stage: AdminStage, owner: Visit) -> None:
    ada, account = Visit(stage, stage.ada), stage.bob.account
    for path in (
        f"/admin/accounts/{account}/grant",
        f"/admin/accounts/{account}/disable",
        "/admin/providers/openai/check",
        "/admin/ledger",
    ):
        fields = {"amount": "5", "reason": "none", "reference": "x", "user": stage.bob.user}
        assert ada.post(path, **fields).status_code == 404, path
        assert owner.post(path, csrf="wrong", **fields).status_code == 403, path
    assert stage.control.ledger.book(account).balance == 0
    assert stage.people.services.people.find(UserId(stage.bob.user)).may_sign_in  # type: ignore[union-attr]
    assert not stage.probes.asked


def test_credit_is_given_once_for_one_form_and_noted(stage: AdminStage, owner: Visit) -> None:
    account = stage.ada.account
    path = f"/admin/accounts/{account}"
    reference = re.search(r'name="reference" value="([^"]+)"', owner.get(path).text)
    assert reference is not None
    fields = {"amount": "$12.50", "reason": f"sorry {HOSTILE}", "reference": reference[1]}
    for _ in range(2):
        given = owner.post(f"{path}/grant", **fields)
        assert (given.status_code, given.headers["location"]) == (303, f"{path}?notice=granted")
    assert stage.control.ledger.book(account).balance == 12_500_000_000
    (entry,) = stage.control.audit.page(account)[:1]
    assert (entry.action, entry.actor.name) == ("credits.grant", stage.owner.user)
    assert entry.details["amount_usd"] == "12.5"
    assert "$12.50" in owner.get(path).text
    log = owner.get(f"/admin/audit?account={account}&action=credits").text
    assert "credits.grant" in log
    assert "amount</span> $12.50" in log
    assert "<script>alert" not in log


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"amount": "much", "reason": "a"}, "amount"),
        ({"amount": "0", "reason": "a"}, "amount"),
        ({"amount": "-5", "reason": "a"}, "amount"),
        ({"amount": "5", "reason": "  "}, "reason"),
        ({"amount": "5", "reason": "a", "expires_days": "soon"}, "expires_days"),
        ({"amount": "5", "reason": "a", "expires_days": "99999"}, "expires_days"),
    ],
)
def test_a_grant_that_cannot_be_says_why_at_its_field(
    stage: AdminStage, owner: Visit, fields: dict[str, str], at: str
) -> None:
    account = stage.ada.account
    page = owner.post(f"/admin/accounts/{account}/grant", reference="x", **fields)
    assert page.status_code == 422
    assert re.search(rf'id="field-{at}"[^>]*aria-invalid="true"', page.text)
    assert stage.control.ledger.book(account).balance == 0


def test_somebody_is_shut_out_and_let_in_again(stage: AdminStage, owner: Visit) -> None:
    path = f"/admin/accounts/{stage.ada.account}"
    ada = Visit(stage, stage.ada)
    assert ada.get("/settings/keys").status_code == 200
    # It is asked about first, on a page of its own.
    question = f"{path}/disable?user={stage.ada.user}"
    assert f'href="{question}"' in owner.get(path).text
    asked = owner.get(question).text
    assert "Disable this person?" in asked
    assert f'action="{path}/disable"' in asked
    assert ada.get("/settings/keys").status_code == 200
    for nothing in (f"{path}/disable?user=nobody", f"{path}/enable?user={stage.ada.user}"):
        assert owner.get(nothing).status_code == 404
    assert ada.get(question).status_code == 404
    assert owner.post(f"{path}/disable", user=stage.ada.user).status_code == 303
    assert "Disabled" in owner.get(path).text
    assert owner.post(f"{path}/enable", user=stage.ada.user).status_code == 303
    actions = [one.action for one in stage.control.audit.page(stage.ada.account)]
    assert actions[:2] == ["user.enable", "user.disable"]
    assert owner.post(f"{path}/disable", user="nobody").status_code == 404
    assert owner.post(f"{path}/vanish", user=stage.ada.user).status_code == 404
    own = f"/admin/accounts/{stage.owner.account}"
    assert owner.post(f"{own}/disable", user=stage.owner.user).status_code == 409


def test_accounts_are_found_and_nothing_is_run(stage: AdminStage, owner: Visit) -> None:
    stage.execute(
        "UPDATE accounts SET name = :name WHERE id = :id", name=HOSTILE, id=stage.ada.account
    )
    page = owner.get(f"/admin/accounts?q={stage.ada.account}")
    assert stage.ada.account in page.text
    assert stage.bob.account not in page.text
    assert "<script>alert" not in page.text
    assert "No such account" in owner.get("/admin/accounts?q=%25_%25").text
    fragment = owner.get("/admin/accounts?q=ada", **{"hx-request": "true"}).text
    assert fragment.startswith('<div id="results">')
    assert "<script>alert" not in owner.get(f"/admin/accounts/{stage.ada.account}").text
    for number in range(51):
        stage.control.keys.create(stage.ada.account, name=f"key-{number:02}")
    first = owner.get(f"/admin/accounts/{stage.ada.account}").text
    (later,) = re.findall(r'href="([^"]+keys_after[^"]+)#keys-title"', first)
    assert "key-50" not in first
    assert "key-50" in owner.get(later).text
    assert owner.get("/admin/accounts/acc_nobody").status_code == 404


def test_a_provider_is_checked_one_at_a_time(stage: AdminStage, owner: Visit) -> None:
    page = owner.post("/admin/providers/openai/check")
    assert "answered in 321 ms" in page.text
    assert SECRET not in page.text
    assert stage.probes.asked == ["openai"]
    (entry,) = stage.control.audit.page(stage.owner.account)[:1]
    assert (entry.action, entry.subject) == ("provider.check", "openai")
    assert owner.post("/admin/providers/nobody/check").status_code == 404
    stage.probes.is_busy = True
    assert "Another provider is being checked" in owner.post("/admin/providers/openai/check").text


def test_the_ledger_is_checked_once_at_a_time(stage: AdminStage, owner: Visit) -> None:
    stage.begun.clear()
    assert owner.post("/admin/ledger").headers["location"].endswith("ledger-check-begun")
    assert owner.post("/admin/ledger").headers["location"].endswith("ledger-check-runs")
    assert stage.begun == [True]
    running = owner.get("/admin/ledger").text
    assert "Checking" in running
    assert 'hx-trigger="every 2s"' in running
    stage.job.run()
    done = owner.get("/admin/ledger").text
    assert "Everything is in order." in done
    assert "every 2s" not in done


def test_configuration_shows_sources_and_no_secret(owner: Visit) -> None:
    page = owner.get("/admin/configuration").text
    assert "--port" in page
    assert "OPENAI_API_KEY" in page
    for secret in (SECRET, "metrics-token-secret", "database-password"):
        assert secret not in page
    assert "<script>alert" not in page


def test_the_audit_log_is_paged_and_filtered(stage: AdminStage, owner: Visit) -> None:
    for number in range(60):
        stage.control.keys.create(stage.ada.account, name=f"key {number}")
    first = owner.get(f"/admin/audit?account={stage.ada.account}")
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older is not None
    second = owner.get(older[1].replace("&amp;", "&"))
    assert second.text.count("<tr>") >= 10
    assert "Newest" not in first.text
    assert "Newest" in second.text
    assert "Nothing there" in owner.get("/admin/audit?action=nothing.ever").text
    assert "Nothing there" in owner.get("/admin/audit?actor=nobody").text


def test_the_operator_reads_what_people_say_of_answers(stage: AdminStage, owner: Visit) -> None:
    ada = Visit(stage, stage.ada)
    call = stage.settle(stage.ada)
    said = f"/activity/{call.id}/feedback"
    assert ada.post(said, category="latency", comment=HOSTILE).status_code == 303
    page = owner.get("/admin/feedback").text
    assert "It took too long" in page
    assert call.id in page
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
    for number in range(3):
        for _ in range(19 if number == 0 else 20):
            ada.post(said, category="other", comment=f"number {number}")
        call = stage.settle(stage.ada, cost=number)
        said = f"/activity/{call.id}/feedback"
    older = re.search(r'rel="next" href="([^"]+)"', owner.get("/admin/feedback").text)
    assert older is not None
    assert "It took too long" in owner.get(older[1].replace("&amp;", "&")).text


def test_endpoints_are_filtered(owner: Visit) -> None:
    page = owner.get("/admin/endpoints?q=openai/o3-mini&state=own").text
    assert "Changed" in page
    assert "No such endpoint" in owner.get("/admin/endpoints?q=nothing-is-called-that").text
