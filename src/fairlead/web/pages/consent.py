"""`GET /auth`: an app asks a person for a key. What the consent page shows, as JSON.

    /auth?callback_url=https://app.example/back&code_challenge=...&code_challenge_method=S256

Nothing happens here: the page shows who asks for what, and the person's answer is `POST /api/v1/auth/keys/code`
with their session, which returns where to send the browser. A question that makes no sense is refused here, and
never by sending anybody anywhere.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.apps.types import AskingApp, ChallengeMethod, CodeRequest
from fairlead.control.keys.types import LimitReset
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.core.money import NanoUSD, usd
from fairlead.web.answers import answer, timestamp_or_none
from fairlead.web.management import Management
from fairlead.web.operations import Asked
from fairlead.web.reading import nano_dollars, utc_ms
from fairlead.web.services import WebServices

__all__ = ["consent_routes"]

WORKSPACES_SHOWN: Final = 100

_Words = TypeVar("_Words", bound=StrEnum)


def consent_routes(services: WebServices) -> list[Route]:
    management, sessions = services.management, services.sessions
    if management is None:
        return []

    async def consent(request: Request) -> Response:
        wanted = _request(Asked(request, None))
        app = await management.do(lambda: management.apps.describe(wanted))
        signed_in = None if sessions is None else await sessions.signed_in(request)
        shown = await management.do(lambda: _shown(management, app, wanted, signed_in))
        response = answer({"data": shown})
        response.headers["cache-control"] = "no-store"
        return response

    return [Route("/auth", consent)]


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


def _word(asked: Asked, name: str, kind: type[_Words]) -> _Words | None:
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
