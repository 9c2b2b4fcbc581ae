"""Keys for apps by consent: who may ask, what a code is good for, and who gets the key."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.apps import rules
from fairlead.control.apps.service import Apps
from fairlead.control.apps.types import (
    ChallengeMethod,
    CodeRefused,
    CodeRequest,
    ConsentInvalid,
    TooManyCodes,
)
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import KeyInvalid, LimitReset
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import WorkspaceChange, WorkspaceUnknown
from fairlead.core.ids import WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
NOW_MS = 1_795_219_200_000
VERIFIER = "a-verifier_of.enough~characters-0123456789-abcdef"
S256 = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "https://app.example/back?state=1"
WITH_S256 = CodeRequest(BACK, challenge=S256, method=ChallengeMethod.S256)
ADA = Actor("user-ada")


@dataclass
class World:
    database: Database
    now_ms: int = NOW_MS
    entropy: Callable[[int], bytes] = field(default=os.urandom)

    def __post_init__(self) -> None:
        made = {"now_ms": lambda: self.now_ms, "entropy": self.entropy}
        self.accounts = Accounts(self.database, **made)
        self.audit = Audit(self.database, **made)
        self.keys = Keys(self.database, **made, audit=self.audit)
        self.workspaces = Workspaces(self.database, self.audit, keys=None, limits=None, **made)
        self.apps = Apps(
            self.database, keys=self.keys, workspaces=self.workspaces, audit=self.audit, **made
        )
        created = self.accounts.create(email="ada@example.com", billing=Billing.PREPAID)
        self.account = created.id
        self.user = self.keys.create(self.account, name="laptop").key.creator

    def code(self, request: CodeRequest = WITH_S256) -> str:
        return self.apps.consent(self.account, self.user, request, actor=ADA).code

    def exchange(self, code: str, verifier: str | None = VERIFIER, method=None):
        return self.apps.exchange(code, verifier=verifier, method=method)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_the_app_gets_the_key_that_the_person_agreed_to(world: World):
    request = replace(
        WITH_S256,
        key_name="My agent",
        limit=NanoUSD(5_000_000_000),
        limit_reset=LimitReset.WEEKLY,
        expires_ms=NOW_MS + DAY_MS,
    )
    new = world.apps.consent(world.account, world.user, request, actor=ADA)
    assert new.redirect_to == f"https://app.example/back?state=1&code={new.code}"
    assert new.app_id > 0
    key = world.exchange(new.code, method=ChallengeMethod.S256)
    assert key.secret.startswith("sk-fl-v1-")
    assert world.keys.find(world.account, key.key.id) == key.key
    shown = key.key
    assert (shown.name, shown.limit, shown.limit_reset) == ("My agent", request.limit, "weekly")
    assert (shown.expires_ms, shown.creator) == (request.expires_ms, world.user)
    assert (shown.app_id, shown.is_management) == (new.app_id, False)
    assert shown.workspace == default_workspace(world.account)


def test_a_key_without_a_name_has_the_apps(world: World):
    assert world.exchange(world.code()).key.name == "app.example"
    local = replace(WITH_S256, callback_url="http://localhost:3000/back")
    assert world.exchange(world.code(local)).key.name == "localhost:3000"


def test_an_app_is_the_same_whatever_its_callbacks_path(world: World):
    def app(url: str) -> int:
        request = replace(WITH_S256, callback_url=url)
        return world.apps.consent(world.account, world.user, request, actor=ADA).app_id

    assert app(BACK) == app("https://app.example/elsewhere") == app("https://APP.example")
    assert app(BACK) != app("https://app.example:8443/back")
    assert app("http://localhost:3000/a") != app("http://localhost:3001/a")


def test_without_a_callback_the_code_is_for_copying(world: World):
    headless = replace(WITH_S256, callback_url=None)
    new = world.apps.consent(world.account, world.user, headless, actor=ADA)
    assert (new.redirect_to, new.app_id) == (None, 0)
    key = world.exchange(new.code).key
    assert (key.app_id, key.name) == (0, "An app on your device")
    with pytest.raises(ConsentInvalid) as raised:
        world.code(CodeRequest(None))
    assert raised.value.path == "code_challenge"


def test_a_code_works_once(world: World):
    code = world.code()
    world.exchange(code)
    for _ in range(2):
        with pytest.raises(CodeRefused, match="was used"):
            world.exchange(code)
    assert len(world.keys.page(world.account)) == 2


def test_of_many_who_come_with_a_code_one_gets_the_key(world: World):
    code = world.code()

    def come(_: int) -> bool:
        try:
            world.exchange(code)
        except CodeRefused:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(come, range(8))) == 1
    assert len(world.keys.page(world.account)) == 2


def test_a_code_works_for_ten_minutes(world: World):
    early, late = world.code(), world.code()
    world.now_ms += 10 * MINUTE_MS - 1
    world.exchange(early)
    world.now_ms += 1
    with pytest.raises(CodeRefused, match="expired"):
        world.exchange(late)


@pytest.mark.parametrize("verifier", [None, "", VERIFIER + "x", VERIFIER[:-1], S256, "\x00", "ä"])
def test_whoever_lacks_the_verifier_gets_nothing_and_the_app_still_does(world: World, verifier):
    code = world.code()
    with pytest.raises(CodeRefused, match="code_verifier"):
        world.exchange(code, verifier)
    assert len(world.keys.page(world.account)) == 1
    assert world.exchange(code)


def test_verifiers_cannot_be_guessed_for_ever(world: World):
    code = world.code()
    for number in range(rules.WRONG_VERIFIERS_MAX):
        with pytest.raises(CodeRefused):
            world.exchange(code, f"{VERIFIER}{number}")
    with pytest.raises(CodeRefused, match="too many"):
        world.exchange(code)


def test_a_plain_challenge_is_its_own_verifier_also_where_no_method_was_named(world: World):
    for method in (ChallengeMethod.PLAIN, None):
        request = CodeRequest(BACK, challenge=VERIFIER, method=method)
        assert world.exchange(world.code(request), method=ChallengeMethod.PLAIN)


def test_another_method_than_that_of_the_challenge_is_refused(world: World):
    code = world.code()
    with pytest.raises(ConsentInvalid) as raised:
        world.exchange(code, method=ChallengeMethod.PLAIN)
    assert raised.value.path == "code_challenge_method"
    assert world.exchange(code)


def test_without_a_challenge_whoever_has_the_code_is_the_app(world: World):
    assert world.exchange(world.code(CodeRequest(BACK)), None)


def test_a_code_that_there_is_not_says_no_more(world: World):
    for code in ("", "ac-v1-" + "0" * 64, "\x00", "x" * 200):
        with pytest.raises(CodeRefused, match="not known"):
            world.exchange(code)


def test_a_key_that_would_have_expired_is_not_made(world: World):
    code = world.code(replace(WITH_S256, expires_ms=NOW_MS + MINUTE_MS))
    world.now_ms += MINUTE_MS
    with pytest.raises(CodeRefused, match="expired"):
        world.exchange(code)


def test_a_workspace_that_is_gone_by_then_gives_no_key(world: World):
    wanted = WorkspaceChange(name="W", slug="w")
    workspace = world.workspaces.create(world.account, wanted, actor=ADA).id
    code, other = (world.code(replace(WITH_S256, workspace=workspace)) for _ in range(2))
    assert world.exchange(code).key.workspace == workspace
    world.workspaces.delete(world.account, workspace, actor=ADA)
    with pytest.raises(CodeRefused, match="workspace"):
        world.exchange(other)
    with pytest.raises(WorkspaceUnknown):
        world.code(
            replace(WITH_S256, workspace=WorkspaceId("11111111-2222-4333-8444-555555555555"))
        )


def test_codes_that_nobody_comes_for_are_bounded_and_forgotten(world: World, monkeypatch):
    monkeypatch.setattr(rules, "CODES_WAITING_MAX", 3)
    codes = [world.code() for _ in range(3)]
    with pytest.raises(TooManyCodes):
        world.code()
    world.exchange(codes[0])
    world.code()
    world.now_ms += 11 * MINUTE_MS
    world.code()
    assert world.apps.sweep() == 0
    world.now_ms += DAY_MS
    assert world.apps.sweep() == 4


def test_consent_is_noted_without_the_code(world: World):
    new = world.apps.consent(world.account, world.user, WITH_S256, actor=ADA)
    noted = {one.action: one for one in world.audit.page(world.account)}["app.consent"]
    assert (noted.actor.name, noted.subject) == (ADA.name, str(new.app_id))
    assert new.code not in f"{noted} {new!r}"


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/back",
        "ftp://localhost/back",
        "javascript:alert(1)",
        "//app.example/back",
        "/back",
        "https://",
        "https://user:password@app.example/",
        "https://app.example/#fragment",
        "https://app.example/\r\nset-cookie: a=b",
        "https://app.example\\@evil.example/",
        "https://app.example /",
        "https://app.example:port/",
        "https://app.example:99999/",
        "https://[::1]/",
        "https://ex\u00e4mple.de/",
        "http://localhost.evil.example/",
        "http://127.0.0.2/",
        "https://app.example/" + "x" * 2000,
        "",
    ],
)
def test_a_code_is_sent_nowhere_but_over_tls_or_to_ones_own_machine(url: str):
    with pytest.raises(ConsentInvalid) as raised:
        rules.asking_app(url)
    assert raised.value.path == "callback_url"


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://app.example", "app.example"),
        ("https://app.example:8443/a/b?c=d", "app.example:8443"),
        ("http://localhost:3000/back", "localhost:3000"),
        ("http://127.0.0.1:1/", "127.0.0.1:1"),
        ("https://localhost/back", "localhost"),
    ],
)
def test_an_app_is_called_by_its_host(url: str, title: str):
    app = rules.asking_app(url)
    assert app.title == title
    assert app.callback is not None
    assert app.callback.is_local == ("localhost" in url or "127" in url)


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (CodeRequest(BACK, challenge="short", method=ChallengeMethod.S256), "code_challenge"),
        (CodeRequest(BACK, challenge=S256 + "=", method=ChallengeMethod.S256), "code_challenge"),
        (CodeRequest(BACK, challenge="x" * 42), "code_challenge"),
        (CodeRequest(BACK, challenge="x" * 129), "code_challenge"),
        (CodeRequest(BACK, challenge="y" * 43 + "\n"), "code_challenge"),
        (CodeRequest(BACK, method=ChallengeMethod.S256), "code_challenge"),
        (replace(WITH_S256, key_name="x" * 101), "key_label"),
    ],
)
def test_what_no_app_can_mean_is_refused_by_the_fields_name(request_: CodeRequest, path: str):
    with pytest.raises(ConsentInvalid) as raised:
        rules.check_request(request_)
    assert raised.value.path == path


def test_a_limit_or_an_expiry_that_no_key_has_is_refused(world: World):
    for wrong in (
        replace(WITH_S256, limit=NanoUSD(-1)),
        replace(WITH_S256, expires_ms=NOW_MS),
    ):
        with pytest.raises(KeyInvalid):
            world.code(wrong)


_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


@given(
    verifier=st.text(_UNRESERVED, min_size=43, max_size=128),
    other=st.text(_UNRESERVED, min_size=43, max_size=128),
)
def test_a_challenge_is_met_by_its_verifier_alone(verifier: str, other: str):
    hashed = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    for challenge, method in (
        (hashed, ChallengeMethod.S256),
        (verifier, ChallengeMethod.PLAIN),
    ):
        request = CodeRequest(BACK, challenge=challenge, method=method)
        rules.check_request(request)
        met = {one: rules.meets(challenge, method, one) for one in (verifier, other)}
        assert met[verifier]
        assert met[other] == (other == verifier)
