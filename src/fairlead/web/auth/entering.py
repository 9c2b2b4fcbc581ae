"""`/auth`: the ways in and out. Password, link, new account, new password, another provider."""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fairlead.control.people.oidc_rules import OidcFailed
from fairlead.control.people.rules import Purpose
from fairlead.control.people.types import NewSession
from fairlead.core.errors import CallerError, NotFound
from fairlead.web.auth.exchange import Form, answering, done, page, read_form, wants_json
from fairlead.web.auth.services import AuthServices
from fairlead.web.auth.shapes import session as session_shape
from fairlead.web.sessions import check_own_origin, local_path

__all__ = ["entering_routes"]

_log = logging.getLogger(__name__)

OIDC_COOKIE: Final = "fairlead_oidc"
OIDC_COOKIE_AGE_S: Final = 900  # to sign in at the other end
SENT: Final = "If this address can sign in here, a message is on its way to it."


def entering_routes(services: AuthServices) -> list[Route]:
    it = _Entering(services)
    return [
        Route("/auth/sign-in", answering(it.with_password), methods=["POST"]),
        Route("/auth/sign-out", answering(it.sign_out), methods=["POST"]),
        Route("/auth/sign-up", answering(it.ask_for_account), methods=["POST"]),
        Route("/auth/link", answering(it.ask_for_link), methods=["POST"]),
        Route("/auth/link/{token}", answering(it.link), methods=["GET", "POST"]),
        Route("/auth/reset", answering(it.ask_for_reset), methods=["POST"]),
        Route("/auth/reset/{token}", answering(it.reset), methods=["GET", "POST"]),
        Route("/auth/oidc", answering(it.providers), methods=["GET"]),
        Route("/auth/oidc/{name}", answering(it.begin_elsewhere), methods=["GET"]),
        Route("/auth/oidc/{name}/callback", answering(it.end_elsewhere), methods=["GET"]),
    ]


class _Entering:
    """An endpoint each."""

    def __init__(self, services: AuthServices) -> None:
        self._services = services
        self._sign_in = services.sign_in
        self._sessions = services.sessions
        self._doorway = services.doorway

    async def _entered(self, request: Request, new: NewSession, *, to: str) -> Response:
        """With a session of their own; the one that the browser had before is over."""
        before = self._sessions.token(request)
        if before is not None:
            await self._sign_in.end(before)
        response = done(request, session_shape(new.session, current=new.session.id), to=to)
        self._sessions.keep(request, response, new)
        return response

    async def with_password(self, request: Request) -> Response:
        check_own_origin(request.headers, self._doorway)
        form = await read_form(request)
        new = await self._sign_in.with_password(
            form.text("email"), form.text("password"), self._doorway.place(request)
        )
        return await self._entered(request, new, to=form.next_path)

    async def sign_out(self, request: Request) -> Response:
        form = await read_form(request)
        await self._sessions.signed_in(request, form.fields)  # refuses what comes from elsewhere
        token = self._sessions.token(request)
        if token is not None:
            await self._sign_in.end(token)
        response = done(request, to=form.next_path)
        self._sessions.drop(response)
        return response

    async def ask_for_account(self, request: Request) -> Response:
        check_own_origin(request.headers, self._doorway)
        form = await read_form(request)
        await self._sign_in.ask_for_account(
            form.text("email"), self._doorway.place(request), next_path=_beyond_home(form)
        )
        return _sent(request)

    async def ask_for_link(self, request: Request) -> Response:
        check_own_origin(request.headers, self._doorway)
        form = await read_form(request)
        await self._sign_in.ask_for_link(
            form.text("email"), self._doorway.place(request), next_path=_beyond_home(form)
        )
        return _sent(request)

    async def ask_for_reset(self, request: Request) -> Response:
        check_own_origin(request.headers, self._doorway)
        form = await read_form(request)
        await self._sign_in.ask_for_reset(form.text("email"), self._doorway.place(request))
        return _sent(request)

    async def link(self, request: Request) -> Response:
        """GET only looks: programs that check mail follow links, too."""
        token = request.path_params["token"]
        if request.method != "POST":
            opened = await self._sign_in.look(token, Purpose.SIGN_IN)
            is_new = opened.purpose is Purpose.SIGN_UP
            shown = {"is_new": is_new, "email": opened.email}
            return done(request, shown, to=f"/sign-in/{token}")
        check_own_origin(request.headers, self._doorway)
        form = await read_form(request)
        new = await self._sign_in.with_link(
            token,
            self._doorway.place(request),
            name=form.text_or_none("name") or "",
            password=form.text_or_none("password"),
        )
        return await self._entered(request, new, to=form.next_path)

    async def reset(self, request: Request) -> Response:
        token = request.path_params["token"]
        if request.method != "POST":
            opened = await self._sign_in.look(token, Purpose.RESET_PASSWORD)
            return done(request, {"email": opened.email}, to=f"/reset/{token}")
        check_own_origin(request.headers, self._doorway)
        form = await read_form(request)
        new = await self._sign_in.reset_password(
            token, form.text("password"), self._doorway.place(request)
        )
        return await self._entered(request, new, to=form.next_path)

    async def begin_elsewhere(self, request: Request) -> Response:
        name = _provider(request, self._services)
        try:
            url, secret = await self._services.openid.begin(name)
        except OidcFailed as error:
            raise _elsewhere_failed(name, error) from error
        response = RedirectResponse(url, status_code=303, headers={"cache-control": "no-store"})
        back = quote(local_path(request.query_params.get("return_to")), safe="/")
        response.set_cookie(
            OIDC_COOKIE,
            f"{secret}.{back}",
            max_age=OIDC_COOKIE_AGE_S,
            path=f"/auth/oidc/{name}",
            httponly=True,
            samesite="lax",
            secure=self._doorway.is_encrypted(request),
        )
        return response

    async def end_elsewhere(self, request: Request) -> Response:
        name = _provider(request, self._services)
        secret, _, back = request.cookies.get(OIDC_COOKIE, "").partition(".")
        try:
            elsewhere = await self._services.openid.finish(name, secret, request.query_params)
        except OidcFailed as error:
            raise _elsewhere_failed(name, error) from error
        new = await self._sign_in.with_identity(elsewhere, self._doorway.place(request))
        response = await self._entered(request, new, to=local_path(unquote(back)))
        response.delete_cookie(OIDC_COOKIE, path=f"/auth/oidc/{name}")
        return response

    async def providers(self, request: Request) -> Response:
        """The buttons beside the password."""
        shown = [
            {"name": one.name, "title": one.title}
            for one in self._services.openid.providers.values()
        ]
        return done(request, shown)


class ElsewhereFailed(CallerError):
    """Signing in at a provider did not work; why is in the log."""


def _elsewhere_failed(name: str, error: OidcFailed) -> ElsewhereFailed:
    # What a provider says comes by way of the browser: it may be anybody's, and more than a line.
    said = "".join(filter(str.isprintable, str(error)))
    _log.warning("signing in elsewhere failed", extra={"provider": name, "problem": said})
    return ElsewhereFailed("Signing in there did not work. Try again, or another way.")


def _provider(request: Request, services: AuthServices) -> str:
    name = request.path_params["name"]
    assert isinstance(name, str)
    if name not in services.openid.providers:
        raise NotFound("There is no such way to sign in.")
    return name


def _sent(request: Request) -> Response:
    """The same for whatever address."""
    if wants_json(request):
        return done(request, {"message": SENT}, status=202)
    return page("Look into your mailbox", f"<p>{SENT}</p>")


def _beyond_home(form: Form) -> str:
    """Where a link is to go on to; "" for where one arrives anyway."""
    return "" if form.next_path == "/" else form.next_path
