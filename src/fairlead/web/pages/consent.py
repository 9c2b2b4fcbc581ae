"""`/auth`: an app asks a person for a key (OAuth with PKCE).

    /auth?callback_url=https://app.example/back&code_challenge=...&code_challenge_method=S256

A browser sees who asks for what, chooses the workspace, a limit and how long, and allows or denies. Allowed: it
is sent to the app's callback with a code; an app without one has the code shown, for copying. Programs
(`Accept` without HTML) are told the same as JSON, and answer with `POST /api/v1/auth/keys/code`.

Asking changes nothing. A question that makes no sense is refused here, and never by sending anybody anywhere: a
callback is gone to only after `describe` has found it good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fairlead.control.apps.types import (
    AskingApp,
    Callback,
    ChallengeMethod,
    CodeRequest,
    NewCode,
)
from fairlead.control.audit.types import Actor
from fairlead.control.keys.types import LimitReset
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.core.money import NanoUSD, usd
from fairlead.web.answers import answer, timestamp_or_none
from fairlead.web.api.oauth import check_may_give
from fairlead.web.auth.exchange import Form
from fairlead.web.doors import Requester, peer_address
from fairlead.web.management import Management
from fairlead.web.operations import Asked, workspace_id
from fairlead.web.pages import shown
from fairlead.web.pages.attempts import Refused, attempted
from fairlead.web.pages.refusals import wants_page
from fairlead.web.pages.site import Site
from fairlead.web.pages.workspace_choice import WorkspaceChoice, chosen_workspace
from fairlead.web.reading import nano_dollars, utc_ms

__all__ = ["consent_pages"]

WORKSPACES_SHOWN: Final = 100
DAY_MS: Final = 86_400_000

_ASKED: Final = (
    "callback_url",
    "code_challenge",
    "code_challenge_method",
    "key_label",
    "expires_at",
)
_AS_ASKED: Final = "asked"
_LIFETIMES: Final = (("", "Never"), ("1", "In a day"), ("7", "In 7 days"), ("30", "In 30 days"),
                     ("90", "In 90 days"), ("365", "In a year"))  # fmt: skip
_RESETS: Final = (
    ("", "In total"),
    ("daily", "Each day"),
    ("weekly", "Each week"),
    ("monthly", "Each month"),
)

_Words = TypeVar("_Words", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class _Question:
    """What the page shows. hidden: what the form sends back as it was asked. lifetimes, workspaces: pairs."""

    app: AskingApp
    key_name: str
    hidden: Mapping[str, str]
    limit: str
    limit_reset: str
    lifetime: str
    lifetimes: Sequence[tuple[str, str]]
    workspace: str
    workspaces: Sequence[tuple[str, str]]
    workspaces_left_out: int
    resets: Sequence[tuple[str, str]] = _RESETS


def consent_pages(site: Site) -> list[Route]:
    management = site.services.management
    if management is None:
        return []
    it = _Consent(site, management)
    return [Route("/auth", it.serve, methods=["GET", "POST"])]


class _Consent:
    def __init__(self, site: Site, management: Management) -> None:
        self._site = site
        self._management = management

    async def serve(self, request: Request) -> Response:
        return await (self.answered(request) if request.method == "POST" else self.asked(request))

    async def asked(self, request: Request) -> Response:
        management, sessions = self._management, self._site.services.sessions
        wanted = _request(Asked(request, None))
        app = await management.do(lambda: management.apps.describe(wanted))
        if wants_page(request) and sessions is not None:
            member = await self._site.member(request)
            return await self._ask(request, member, wanted, app, dict(request.query_params))
        signed_in = None if sessions is None else await sessions.signed_in(request)
        told = await management.do(lambda: _shown(management, app, wanted, signed_in))
        return answer({"data": told})

    async def answered(self, request: Request) -> Response:
        member, form = await self._site.posted(request)
        as_asked = _as_asked(form)
        app = await self._management.do(lambda: self._management.apps.describe(as_asked))
        if form.fields.get("answer") != "allow":
            return await self._refused(request, member, app)
        made = await attempted(self._given(request, member, form, as_asked))
        if isinstance(made, Refused):
            return await self._ask(request, member, as_asked, app, form.fields, made)
        if made.redirect_to is not None:
            return _away(made.redirect_to)
        return await self._site.page(
            request, "consent/code.html", member, title="Your code", is_indexed=False,
            code=made.code,
        )  # fmt: skip

    async def _ask(
        self,
        request: Request,
        member: SignedIn,
        wanted: CodeRequest,
        app: AskingApp,
        said: Mapping[str, str],
        refused: Refused | None = None,
    ) -> Response:
        workspaces, named = self._management.workspaces, said.get("workspace_id")
        choice = await self._management.do(partial(chosen_workspace, workspaces, member, named))
        return await self._site.page(
            request,
            "consent/ask.html",
            member,
            title=f"Allow {app.title}?",
            is_indexed=False,
            status=200 if refused is None else refused.status,
            goes_to=() if app.callback is None else (app.callback.origin,),
            question=_question(wanted, app, said, choice),
            account=member.account.name or member.user.email or "your account",
            problems={} if refused is None else refused.problems,
        )

    async def _refused(self, request: Request, member: SignedIn, app: AskingApp) -> Response:
        if app.callback is not None:
            return _away(_denied(app.callback))
        return await self._site.page(
            request, "consent/denied.html", member, title="Denied", is_indexed=False
        )

    async def _given(
        self, request: Request, member: SignedIn, form: Form, as_asked: CodeRequest
    ) -> NewCode:
        management = self._management
        wanted = _chosen(form, as_asked, now_ms=self._site.now_ms())
        requester = Requester(
            account=member.account.id,
            actor=Actor.user(member.user.id, _place(self._site, request)),
            user=member.user.id,
            may_manage=member.is_admin,
        )

        def given() -> NewCode:
            check_may_give(management, requester, wanted)
            return management.apps.consent(
                member.account.id, member.user.id, wanted, actor=requester.actor
            )

        return await management.do(given)


def _away(address: str) -> Response:
    """To the app. address: of a callback that was found good."""
    return RedirectResponse(
        address, 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    )


def _denied(callback: Callback) -> str:
    """RFC 6749, section 4.1.2.1."""
    parts = urlsplit(callback.url)
    query = "&".join(one for one in (parts.query, urlencode({"error": "access_denied"})) if one)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def _place(site: Site, request: Request) -> str:
    auth = site.services.auth
    return peer_address(request) if auth is None else auth.doorway.place(request).address


def _question(
    wanted: CodeRequest,
    app: AskingApp,
    said: Mapping[str, str],
    choice: WorkspaceChoice,
) -> _Question:
    """said: the fields of the form, where somebody has chosen already; else the question's own."""
    lifetimes = list(_LIFETIMES)
    lifetime = said.get("lifetime", "")
    if wanted.expires_ms is not None:
        lifetimes.insert(0, (_AS_ASKED, shown.moment(wanted.expires_ms / 1000)))
        lifetime = said.get("lifetime", _AS_ASKED)
    return _Question(
        app=app,
        key_name=wanted.key_name or app.title,
        hidden={name: said[name] for name in _ASKED if said.get(name)},
        limit=said.get("limit", ""),
        limit_reset=said.get("usage_limit_type", ""),
        lifetime=lifetime,
        lifetimes=lifetimes,
        workspace="" if choice.chosen is None else choice.chosen.id,
        workspaces=choice.options,
        workspaces_left_out=choice.left_out,
    )


class _Sent:
    """A form's fields, read as the parameters of an address are."""

    def __init__(self, form: Form) -> None:
        self._form = form

    def parameter(self, name: str) -> str | None:
        return self._form.text_or_none(name)


def _as_asked(form: Form) -> CodeRequest:
    """What the app asked, as the form sends it back; nothing of what the person chose."""
    sent = _Sent(form)
    expires_at = sent.parameter("expires_at")
    return CodeRequest(
        callback_url=sent.parameter("callback_url"),
        challenge=sent.parameter("code_challenge"),
        method=_word(sent, "code_challenge_method", ChallengeMethod),
        key_name=sent.parameter("key_label"),
        expires_ms=None if expires_at is None else _moment_ms(expires_at),
    )


def _chosen(form: Form, asked: CodeRequest, *, now_ms: int) -> CodeRequest:
    """With the limits that the person has set. Raises RequestInvalid."""
    sent = _Sent(form)
    limit, workspace = sent.parameter("limit"), sent.parameter("workspace_id")
    reset = _word(sent, "usage_limit_type", LimitReset)
    amount = None if limit is None else _dollars(limit)
    return replace(
        asked,
        limit=amount,
        limit_reset=None if amount is None else reset,
        expires_ms=_lifetime_ms(form.fields.get("lifetime", ""), asked, now_ms=now_ms),
        workspace=None if workspace is None else workspace_id(workspace),
    )


def _lifetime_ms(days: str, asked: CodeRequest, *, now_ms: int) -> int | None:
    if days == _AS_ASKED:
        return asked.expires_ms
    if days not in dict(_LIFETIMES):
        raise RequestInvalid("Choose one of these.", param="lifetime")
    return now_ms + int(days) * DAY_MS if days else None


def _request(asked: Asked) -> CodeRequest:
    expires_at, limit = asked.parameter("expires_at"), asked.parameter("limit")
    return CodeRequest(
        callback_url=asked.parameter("callback_url"),
        challenge=asked.parameter("code_challenge"),
        method=_word(asked, "code_challenge_method", ChallengeMethod),
        key_name=asked.parameter("key_label"),
        limit=None if limit is None else _dollars(limit),
        limit_reset=_word(asked, "usage_limit_type", LimitReset),
        expires_ms=None if expires_at is None else _moment_ms(expires_at),
        workspace=asked.workspace(),
    )


def _shown(
    management: Management, app: AskingApp, wanted: CodeRequest, signed_in: SignedIn | None
) -> dict[str, object]:
    callback = app.callback
    return {
        "app": {
            "title": app.title,
            "origin": None if callback is None else callback.origin,
            "is_local": callback is not None and callback.is_local,
        },
        "is_headless": callback is None,
        "wants": {
            "key_label": wanted.key_name or app.title,
            "limit": _usd(wanted.limit),
            "usage_limit_type": wanted.limit_reset,
            "expires_at": timestamp_or_none(wanted.expires_ms),
            "workspace_id": wanted.workspace,
        },
        "is_signed_in": signed_in is not None,
        "account": None if signed_in is None else _account(management, signed_in),
    }


def _account(management: Management, signed_in: SignedIn) -> dict[str, object]:
    account = signed_in.account
    page = management.workspaces.page(account.id, limit=WORKSPACES_SHOWN)
    return {
        "id": account.id,
        "name": account.name,
        "workspaces": [
            {"id": one.id, "name": one.name, "slug": one.slug, "is_default": one.is_default}
            for one in page.workspaces
        ],
    }


def _word(asked: Asked | _Sent, name: str, kind: type[_Words]) -> _Words | None:
    text = asked.parameter(name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        choices = ", ".join(kind)
        raise RequestInvalid(f"`{name}` is one of {choices}.", param=name) from None


def _dollars(text: str) -> NanoUSD:
    try:
        return nano_dollars(float(text), "limit")
    except ValueError:
        raise RequestInvalid("`limit` is a number of dollars.", param="limit") from None


def _moment_ms(text: str) -> int:
    try:
        return utc_ms(msgspec.convert(text, datetime, strict=False), "expires_at")
    except msgspec.ValidationError:
        raise RequestInvalid(
            "`expires_at` is a time, as 2027-01-31T00:00:00Z.", param="expires_at"
        ) from None


def _usd(amount: NanoUSD | None) -> float | None:
    return None if amount is None else usd(amount)
