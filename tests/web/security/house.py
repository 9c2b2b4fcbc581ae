"""An installation with everything in it, whose every name is hostile, and its table of routes.

What is checked of all routes is checked of the app's own table: one that is new is checked as soon as it is
there, and one with a new part in its path needs a line in `House.things`.
"""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html import unescape
from typing import Final
from urllib.parse import quote

import httpx
import msgspec
from starlette.routing import Route

from fairlead.compose.administration import build_administration
from fairlead.compose.billing import billing_edge, build_billing_plane
from fairlead.control.ledger.check_job import LedgerCheckJob
from fairlead.control.people.passwords import Passwords
from fairlead.control.people.rules import Purpose
from fairlead.control.people.sign_in import Pace
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Attempt, Attribution
from fairlead.core.ids import AccountId, UserId
from fairlead.settings import Billing
from tests.control.people.world import CHEAP
from tests.web.management.stage import Person, Stage
from tests.web.pages.test_admin import SETTINGS, Probes
from tests.web.pages.visits import HOSTILE, Visit

PART: Final = re.compile(r"{(\w+)(?::path)?}")
# Routes that answer nothing without one.
QUESTIONS: Final = {
    "/auth": "callback_url=https%3A%2F%2Fapp.example%2Fback",
    "/activity/over-time.csv": "metric=spend",
    "/activity/session": f"id={quote(HOSTILE)}",
    "/admin/accounts/{account}/{action}": "user={member}",
    "/admin/endpoints/prices": "endpoint=openai%3Ao1",
    "/credits/buy": "amount=20&method=card",
}
_WORDS: Final = frozenset({"rotate", "disable"})  # of ours, and nobody's
_HOUR_MS: Final = 3_600_000
_TAG: Final = re.compile(r"<[a-z][^>]*>", re.IGNORECASE)
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_RUNS: Final = re.compile(r"[\s/](?:on[a-z]+|style|srcdoc)\s*=")
_NEVER: Final = ("<iframe", "<object", "<embed", "<base", "<style")
_GOAL: Final = re.compile(
    r"[\s](href|src|action|formaction|hx-get|hx-post)=\"([^\"]*)\"", re.IGNORECASE
)


class House(Stage):
    """crew: an organisation, in which Ada is an admin and Bob a member. Eve has nothing to do with it.

    things: what of the crew's stands for a part of a path, by what is before that part.
    """

    crew: AccountId
    owner: Person
    eve: Person
    things: Mapping[str, str]

    def open(self) -> None:
        settings = msgspec.structs.replace(self.settings, billing=Billing(test_payments=True))
        plane = build_billing_plane(
            self.control, settings, outbox=self.people.services.outbox, clock=self.clock,
            address="http://fairlead.test",
        )  # fmt: skip
        self.probes = Probes()
        # All come from one address here; how often may be tried has tests of its own.
        self.people.auth.sign_in._pace = Pace(0, 0, 0, 0)
        self.people.auth.sign_in._passwords = Passwords(entropy=os.urandom, cost=CHEAP)
        self.control.catalog._snapshot = hostile(self.control.catalog.snapshot)
        self.app = self.edge(
            settings,
            billing=billing_edge(plane, self.control.ledger),
            administration=build_administration(
                self.control,
                self.people.services,
                clock=self.clock,
                settings=lambda: SETTINGS,
                calls_under_way=lambda: 0,
                providers=self.probes,
                ledger_checks=LedgerCheckJob(
                    self.control.database, now_ms=self.clock.now_ms, start=lambda: None
                ),
            ),
        )
        self.newcomers()
        self.eve = self.person("eve@example.com")
        account = self.control.accounts.ensure_owner().account.id
        key = self.control.keys.create(account, name="laptop")
        self.owner = Person(account, key, key)
        self.crew = self.organisation(self.ada, self.bob)
        self._operator, self._admin = self.operator(), self.admin()
        self.things = self._furnished()

    def admin(self) -> Visit:
        return Visit(self, self.ada, self.crew)

    def member(self) -> Visit:
        return Visit(self, self.bob, self.crew)

    def stranger(self) -> Visit:
        return Visit(self, self.eve)

    def operator(self) -> Visit:
        return Visit(self, self.owner)

    def viewer(self, template: str) -> Visit:
        """Who sees most of it."""
        return self._operator if template.startswith("/admin") else self._admin

    def form(self) -> dict[str, str]:
        """What would do something wherever it is sent, if it were taken."""
        return {
            "name": "Taken", "slug": "taken", "new_name": "Taken", "email": "mallory@example.com",
            "role": "member", "limit": "5", "limit_reset": "", "user": self.eve.user, "account": self.crew,
            "workspace": "lab", "provider": "openai", "section": "first", "is_enabled": "true",
            "key": "sk-proj-0123456789abcdefghijefgh", "amount": "20", "method": "card", "outcome": "pay",
            "threshold": "10", "monthly_max": "100", "when": "never", "daily": "1", "sampling": "50",
            "confirm": "lab", "reason": "none", "reference": "none", "category": "other",
        }  # fmt: skip

    def routes(self, method: str) -> list[str]:
        """The path of each that takes the method, but for the API: it has a document and tests of its own."""
        return [
            route.path
            for route in self.app.routes
            if isinstance(route, Route) and method in (route.methods or ())
        ]

    def place(self, template: str, *, is_made_up: bool = False) -> str:
        """A path of that template, with what is the crew's in it. is_made_up: with what nobody has."""
        path = template
        for part in PART.finditer(template):
            thing = self.things[template[: part.start()]]
            if is_made_up and thing not in _WORDS:
                thing = thing[:-1] + ("1" if thing[-1] != "1" else "2")
            path = path.replace(part.group(), thing, 1)
        question = QUESTIONS.get(template, "").format(member=self.bob.user)
        return f"{path}?{question}" if question else path

    def link(self, purpose: Purpose, subject: str = "", email: str | None = None) -> str:
        """The token of a link as a mail has it."""
        with self.control.database.begin() as connection:
            return self.people.services.tokens.mint(
                connection, purpose, subject, email=email, valid_ms=_HOUR_MS
            )

    def _furnished(self) -> dict[str, str]:
        admin, crew = self.admin(), self.crew
        saved(admin.post("/settings/profile/name", name=f"Ada {HOSTILE}"))
        saved(admin.post("/settings/organisation/name", name=f"Crew {HOSTILE}"))
        saved(
            admin.post(
                "/settings/workspaces", name=f"Lab {HOSTILE}", slug="lab", description=HOSTILE
            )
        )
        saved(
            admin.post(
                "/settings/presets/new", name="fast", model="openai/o1", allow_fallbacks="true"
            )
        )
        secret = "sk-proj-0123456789abcdefghijabcd"
        saved(
            admin.post(
                "/settings/byok/new", provider="openai", key=secret, name=HOSTILE, workspace="all"
            )
        )
        saved(admin.post("/settings/organisation/invite", email="zoe@example.com", role="member"))
        saved(admin.post("/credits/details", name=HOSTILE, address=HOSTILE, tax_ids=""))
        key = self.control.keys.create(crew, name=f"Key {HOSTILE}", creator=UserId(self.ada.user))
        call = self.settle(
            Person(crew, key, key),
            requested_model=HOSTILE,
            finish_reason=HOSTILE,
            native_finish_reason=HOSTILE,
            session_id=HOSTILE,
            external_user=HOSTILE,
            attempts=(Attempt("openai:o1", "openai", "openai/o1", 200, 9, HOSTILE),),
            attribution=Attribution(
                "https://evil.example/<script>alert(1)</script>", HOSTILE, user_agent=HOSTILE
            ),
        )
        begun = admin.post("/credits/buy", amount="100", method="card", key="furniture")
        paying = begun.headers["location"]
        saved(admin.post(paying, outcome="pay"))
        self.execute("UPDATE sessions SET user_agent = :hostile", hostile=HOSTILE)
        purchase = paying.rpartition("/")[2]
        organisation = admin.get("/settings/organisation").text
        return {
            "/settings/keys/": key.key.digest.hex(),
            "/settings/keys/{hash}/": "rotate",
            "/settings/byok/": one(r"/settings/byok/([0-9a-f-]{36})", admin.get("/settings/byok").text),
            "/settings/presets/": "fast",
            "/settings/workspaces/": "lab",
            "/settings/sessions/": one(r"/sessions/(session[\w-]+)/end", admin.get("/settings/sessions").text),
            "/settings/organisation/invitations/": one(r"invitations/(inv[\w-]+)/revoke", organisation),
            "/settings/organisation/members/": self.bob.user,
            "/credits/purchases/": purchase,
            "/billing/test-payment/": purchase,
            "/credits/documents/": one(r"/credits/documents/(\d+)", admin.get("/credits/invoices").text),
            "/activity/": call.id,
            "/admin/accounts/": crew,
            "/admin/accounts/{account}/": "disable",
            "/admin/providers/": "openai",
            "/auth/organisations/": crew,
            "/auth/organisations/{account}/members/": self.bob.user,
            "/auth/organisations/{account}/invitations/": one(r"invitations/(inv[\w-]+)/revoke", organisation),
            "/auth/sessions/": one(r"/sessions/(session[\w-]+)/end", admin.get("/settings/sessions").text),
            "/auth/oidc/": "acme",
            # Of nobody in particular.
            "/providers/": "openai",
            "/": "openai",
            "/{author}/": "o1",
            "/docs/": "quickstart",
            "/docs/api/": "keys",
            "/docs/images/": "models.png",
            "/static/built/": "shell.js",
            # Links that open nothing.
            **dict.fromkeys(
                ("/sign-in/", "/sign-up/", "/reset/", "/verify/", "/join/", "/auth/link/",
                 "/auth/reset/", "/auth/verify/", "/auth/invitations/"),
                "A" * 43,
            ),
        }  # fmt: skip


def hostile(snapshot: Snapshot) -> Snapshot:
    """With a model and a provider that are called what somebody would like to run."""
    models, providers = dict(snapshot.models), dict(snapshot.providers)
    for name in ("openai/o1", "openai/o3-mini"):
        models[name] = msgspec.structs.replace(  # type: ignore[index]
            models[name],  # type: ignore[index]
            name=f"OpenAI: {HOSTILE}",
            short_name=HOSTILE,
            description=HOSTILE,
            tokenizer=HOSTILE,
            knowledge_cutoff=HOSTILE,
            hugging_face_id=HOSTILE,
        )
    providers["openai"] = msgspec.structs.replace(  # type: ignore[index]
        providers["openai"],  # type: ignore[index]
        name=HOSTILE,
        headquarters=HOSTILE,
        datacenters=(HOSTILE,),
    )
    return replace(snapshot, models=models, providers=providers)


def saved(answer: httpx.Response) -> None:
    assert answer.status_code == 303, (str(answer.request.url), answer.status_code, answer.text)


def one(pattern: str, text: str) -> str:
    """The first that fits."""
    found = re.search(pattern, text)
    assert found is not None, pattern
    return found[1]


def parted(templates: Iterable[str]) -> list[str]:
    """Those with a part."""
    return [template for template in templates if PART.search(template)]


def dangers(text: str) -> list[str]:
    """What a page would run, or load from elsewhere, or run when it is clicked."""
    found = []
    for tag in _TAG.findall(text):
        bare = _QUOTED.sub('""', tag).lower()
        if (
            _RUNS.search(bare)
            or bare.startswith(_NEVER)
            or (bare.startswith("<script") and not tag.startswith('<script src="/static/built/'))
        ):
            found.append(tag)
    for name, there in _GOAL.findall(text):
        scheme, colon, _ = unescape(there).strip().lower().partition(":")
        if colon and scheme.isalpha() and scheme not in ("http", "https", "mailto", "data"):
            found.append(there)
        if name == "src" and not there.startswith(("/static/built/", "/docs/images/")):
            found.append(there)
    return found


def check(answer: httpx.Response) -> None:
    """That nothing of it runs."""
    where, kind = str(answer.request.url)[:200], answer.headers.get("content-type", "")
    assert answer.status_code < 500, where
    if kind.startswith("text/html"):
        assert not dangers(answer.text), where
        assert HOSTILE not in answer.text, where
    elif "xml" in kind:
        assert HOSTILE not in answer.text, where
        for element in ElementTree.fromstring(answer.text).iter():
            assert element.tag.rpartition("}")[2] != "script", where
    elif kind.startswith("application/json"):
        json.loads(answer.text)
    else:
        assert not kind.startswith(("text/javascript", "image/svg")) or "/static/" in where, where
