"""`/auth`: what people see and change of themselves: who they are, sessions, password, address, the end."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.types import SignedIn, SignInRefused
from fairlead.core.errors import NotFound
from fairlead.core.ids import AccountId
from fairlead.web.auth import shapes
from fairlead.web.auth.exchange import Form, answering, done, read_form
from fairlead.web.auth.services import AuthServices

__all__ = ["self_service_routes"]


def self_service_routes(services: AuthServices) -> list[Route]:
    it = _SelfService(services)
    return [
        Route("/auth/session", answering(it.who_am_i), methods=["GET"]),
        Route("/auth/session/account", answering(it.choose_account), methods=["POST"]),
        Route("/auth/sessions", answering(it.all_sessions), methods=["GET"]),
        Route(
            "/auth/sessions/revoke-others", answering(it.revoke_other_sessions), methods=["POST"]
        ),
        Route("/auth/sessions/{session}/revoke", answering(it.revoke_session), methods=["POST"]),
        Route("/auth/name", answering(it.change_name), methods=["POST"]),
        Route("/auth/password", answering(it.change_password), methods=["POST"]),
        Route("/auth/verify", answering(it.ask_for_verification), methods=["POST"]),
        Route("/auth/verify/{token}", answering(it.verify), methods=["GET", "POST"]),
        Route("/auth/account/delete", answering(it.delete_account), methods=["POST"]),
    ]


class _SelfService:
    """An endpoint each."""

    def __init__(self, services: AuthServices) -> None:
        self._services = services
        self._sign_in = services.sign_in
        self._sessions = services.sessions
        self._doorway = services.doorway

    async def _asked(self, request: Request) -> tuple[SignedIn, Form]:
        form = await read_form(request)
        return await self._sessions.required(request, form.fields), form

    async def who_am_i(self, request: Request) -> Response:
        """data: null for nobody."""
        signed_in = await self._sessions.signed_in(request)
        if signed_in is None:
            return done(request, None)
        memberships = await self._services.in_thread(
            partial(self._services.organisations.of_user, signed_in.user.id)
        )
        return done(request, shapes.signed_in(signed_in, memberships))

    async def all_sessions(self, request: Request) -> Response:
        signed_in = await self._sessions.required(request)
        current = signed_in.session.id
        found = await self._sign_in.sessions(signed_in)
        return done(request, [shapes.session(one, current=current) for one in found])

    async def revoke_session(self, request: Request) -> Response:
        signed_in, form = await self._asked(request)
        session = request.path_params["session"]
        if not await self._sign_in.revoke_session(signed_in, session, self._doorway.place(request)):
            raise NotFound("You have no such session.")
        response = done(request, to=form.next_path)
        if session == signed_in.session.id:
            self._sessions.drop(response)
        return response

    async def revoke_other_sessions(self, request: Request) -> Response:
        signed_in, form = await self._asked(request)
        count = await self._sign_in.revoke_other_sessions(signed_in, self._doorway.place(request))
        return done(request, {"revoked": count}, to=form.next_path)

    async def choose_account(self, request: Request) -> Response:
        """account: the id of one that they belong to."""
        signed_in, form = await self._asked(request)
        token = self._sessions.token(request)
        assert token is not None, "somebody is signed in"
        await self._sign_in.choose_account(token, signed_in.user, AccountId(form.text("account")))
        return done(request, to=form.next_path)

    async def change_name(self, request: Request) -> Response:
        signed_in, form = await self._asked(request)
        name = await self._sign_in.rename(signed_in, form.text("name"))
        return done(request, {"name": name}, to=form.next_path)

    async def change_password(self, request: Request) -> Response:
        signed_in, form = await self._asked(request)
        new = await self._sign_in.change_password(
            signed_in,
            present=form.text_or_none("present_password"),
            wanted=form.text("password"),
            place=self._doorway.place(request),
        )
        shown = shapes.session(new.session, current=new.session.id)
        response = done(request, shown, to=form.next_path)
        self._sessions.keep(request, response, new)
        return response

    async def ask_for_verification(self, request: Request) -> Response:
        """email: a new address, and present_password; without it, the one they have."""
        signed_in, form = await self._asked(request)
        email = form.text_or_none("email") or signed_in.user.email or ""
        await self._sign_in.ask_for_verification(
            signed_in,
            email,
            self._doorway.place(request),
            present=form.text_or_none("present_password"),
        )
        return done(request, {"message": "A message is on its way."}, to=form.next_path, status=202)

    async def verify(self, request: Request) -> Response:
        signed_in = await self._sessions.signed_in(request) if request.method != "POST" else None
        token = request.path_params["token"]
        if request.method != "POST":
            shown = {"is_signed_in": signed_in is not None}
            return done(request, shown, to=f"/verify/{token}")
        signed_in, form = await self._asked(request)
        user = await self._sign_in.verify_email(token, signed_in, self._doorway.place(request))
        return done(request, shapes.user(user), to=form.next_path)

    async def delete_account(self, request: Request) -> Response:
        """confirm: their address, or their account's id; so nobody does it by accident."""
        signed_in, form = await self._asked(request)
        if form.text("confirm") not in (signed_in.user.email, signed_in.user.account):
            raise SignInRefused
        await self._services.in_thread(
            partial(self._services.leaving.delete, signed_in.user, self._doorway.place(request))
        )
        response = done(request, {"deleted": True}, to="/")
        self._sessions.drop(response)
        return response
