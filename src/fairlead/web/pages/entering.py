"""The ways in: `/sign-in`, `/sign-up`, `/reset`, and where the links of mails lead.

Programs have `/auth/...` (`web/auth/`); these pages ask the same services. A link of a mail only looks until
its button is pressed: programs that check mail follow links, too. Whoever signs in gets a session of their own,
and the one that their browser had before is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.rules import Purpose, SignUp
from fairlead.control.people.types import (
    LinkInvalid,
    NewSession,
    OrganisationInvalid,
    SignInFirst,
    SignInRefused,
)
from fairlead.core.errors import Gone, PermissionDenied
from fairlead.web.auth.exchange import Form, read_form, refusal_of
from fairlead.web.auth.services import AuthServices
from fairlead.web.pages.attempts import NO_PROBLEMS, WHOLE, Refused, attempted
from fairlead.web.pages.site import NOBODY, Site, Visitor
from fairlead.web.sessions import check_own_origin, local_path

__all__ = ["entering_pages"]

NEXT: Final = "next"
_DOORS: Final = ("/sign-in", "/sign-up", "/sign-out", "/reset")
_NOT_KEPT: Final = frozenset({"password", "csrf"})  # never written back into a page


@dataclass(frozen=True, slots=True)
class _Button:
    """A way in beside the password."""

    title: str
    href: str


def entering_pages(site: Site) -> list[Route]:
    auth = site.services.auth
    if auth is None:
        return []
    it = _Entering(site, auth)
    return [
        Route("/sign-in", it.sign_in, methods=["GET", "POST"]),
        Route("/sign-in/link", it.ask_for_link, methods=["POST"]),
        Route("/sign-in/{token}", it.link, methods=["GET", "POST"]),
        Route("/sign-up", it.sign_up, methods=["GET", "POST"]),
        Route("/sign-up/{token}", it.link, methods=["GET", "POST"]),
        Route("/reset", it.ask_for_reset, methods=["GET", "POST"]),
        Route("/reset/{token}", it.reset, methods=["GET", "POST"]),
        Route("/verify/{token}", it.verify, methods=["GET", "POST"]),
        Route("/join/{token}", it.join, methods=["GET", "POST"]),
        Route("/sign-out", it.sign_out, methods=["GET", "POST"]),
    ]


class _Entering:
    def __init__(self, site: Site, auth: AuthServices) -> None:
        self._site = site
        self._auth = auth
        least = auth.rules.password_characters_min
        self._password_hint = f"At least {least} characters; a sentence is a good one."

    # With a password, or a link that is asked for.

    async def sign_in(self, request: Request) -> Response:
        if request.method != "POST":
            visitor = await self._site.visitor(request)
            to = _after(request.query_params.get(NEXT))
            if visitor.is_signed_in:
                return self._site.go(to)
            return await self._sign_in_page(request, to)
        form = await self._form(request)
        to = _after(form.fields.get(NEXT))
        made = await attempted(
            self._auth.sign_in.with_password(
                form.fields.get("email", ""),
                form.fields.get("password", ""),
                self._auth.doorway.place(request),
            )
        )
        if isinstance(made, Refused):
            return await self._sign_in_page(request, to, form=form, refused=made)
        return await self._entered(request, made, to)

    async def ask_for_link(self, request: Request) -> Response:
        form = await self._form(request)
        to = _after(form.fields.get(NEXT))
        asked = await attempted(
            self._auth.sign_in.ask_for_link(
                form.fields.get("email", ""),
                self._auth.doorway.place(request),
                next_path=_told(to),
            )
        )
        if isinstance(asked, Refused):
            renamed = asked.renamed({"email": "link_email", WHOLE: "link_email"})
            return await self._sign_in_page(request, to, form=form, refused=renamed)
        return await self._sent(request, form, "sign-in", to)

    async def _sign_in_page(
        self,
        request: Request,
        to: str,
        *,
        form: Form | None = None,
        refused: Refused | None = None,
    ) -> Response:
        return await self._page(
            request,
            "sign_in",
            "Sign in",
            form=form,
            refused=refused,
            to=to,
            buttons=[
                _Button(one.title, f"/auth/oidc/{quote(one.name)}?return_to={quote(to, safe='')}")
                for one in self._auth.openid.providers.values()
            ],
            sign_up_path=None
            if self._auth.rules.sign_up is SignUp.CLOSED
            else _with_next("/sign-up", to),
        )

    # A new account.

    async def sign_up(self, request: Request) -> Response:
        rules = self._auth.rules
        form: Form | None = None
        refused: Refused | None = None
        to = _after(request.query_params.get(NEXT))
        if request.method == "POST":
            form = await self._form(request)
            to = _after(form.fields.get(NEXT))
            if rules.sign_up is SignUp.CLOSED:
                raise PermissionDenied("This installation takes no new accounts.")
            asked = await attempted(
                self._auth.sign_in.ask_for_account(
                    form.fields.get("email", ""),
                    self._auth.doorway.place(request),
                    next_path=_told(to),
                )
            )
            if not isinstance(asked, Refused):
                return await self._sent(request, form, "sign-up", to)
            refused = asked
        elif (await self._site.visitor(request)).is_signed_in:
            return self._site.go(to)
        return await self._page(
            request, "sign_up", "Create an account", form=form, refused=refused,
            sign_up=rules.sign_up.value, to=to, sign_in_path=_with_next("/sign-in", to),
        )  # fmt: skip

    async def link(self, request: Request) -> Response:
        """Signs in, or makes an account: what the link is for is in our books, not in its address."""
        token = request.path_params["token"]
        try:
            opened = await self._auth.sign_in.look(token, Purpose.SIGN_IN)
        except LinkInvalid:
            return await self._worn_out(request)
        is_new = opened.purpose is Purpose.SIGN_UP
        form: Form | None = None
        refused: Refused | None = None
        if request.method == "POST":
            form = await self._form(request)
            made = await attempted(
                self._auth.sign_in.with_link(
                    token,
                    self._auth.doorway.place(request),
                    name=form.fields.get("name", ""),
                    password=form.text_or_none("password"),
                )
            )
            if not isinstance(made, Refused):
                return await self._entered(request, made, _after(request.query_params.get(NEXT)))
            refused = made
        return await self._page(
            request,
            "new_account" if is_new else "link",
            "Create your account" if is_new else "Sign in",
            form=form,
            refused=refused,
            email=opened.email,
            password_hint=self._password_hint,
        )

    # A new password.

    async def ask_for_reset(self, request: Request) -> Response:
        form: Form | None = None
        refused: Refused | None = None
        if request.method == "POST":
            form = await self._form(request)
            asked = await attempted(
                self._auth.sign_in.ask_for_reset(
                    form.fields.get("email", ""), self._auth.doorway.place(request)
                )
            )
            if not isinstance(asked, Refused):
                return await self._sent(request, form, "reset", "/")
            refused = asked
        return await self._page(
            request, "ask_for_reset", "Choose a new password", form=form, refused=refused
        )

    async def reset(self, request: Request) -> Response:
        token = request.path_params["token"]
        try:
            opened = await self._auth.sign_in.look(token, Purpose.RESET_PASSWORD)
        except LinkInvalid:
            return await self._worn_out(request, "/reset")
        form: Form | None = None
        refused: Refused | None = None
        if request.method == "POST":
            form = await self._form(request)
            made = await attempted(
                self._auth.sign_in.reset_password(
                    token, form.fields.get("password", ""), self._auth.doorway.place(request)
                )
            )
            if not isinstance(made, Refused):
                return await self._entered(request, made, "/settings/profile", "password-changed")
            refused = made
        return await self._page(
            request,
            "reset",
            "Choose a new password",
            form=form,
            refused=refused,
            email=opened.email,
            password_hint=self._password_hint,
        )

    # An address, an organisation.

    async def verify(self, request: Request) -> Response:
        """Of whoever is signed in: the link was made for them."""
        token = request.path_params["token"]
        if request.method != "POST":
            member = await self._site.member(request)
            return await self._page(request, "verify", "Confirm your address", Visitor(member))
        member, _ = await self._site.posted(request)
        place = self._auth.doorway.place(request)
        try:
            verified = await attempted(self._auth.sign_in.verify_email(token, member, place))
        except Gone:
            return await self._worn_out(request, "/settings/profile")
        if isinstance(verified, Refused):
            return await self._page(
                request, "verify", "Confirm your address", Visitor(member), refused=verified
            )
        return self._site.go("/settings/profile", notice="email-verified")

    async def join(self, request: Request) -> Response:
        """An invitation lives long and is passed on: it makes an account, but opens none that is there."""
        token = request.path_params["token"]
        organisations = self._auth.organisations
        visitor = await self._visitor(request)
        try:
            invitation, account = await self._auth.in_thread(partial(organisations.look, token))
        except LinkInvalid:
            return await self._worn_out(request, "/")
        form: Form | None = None
        refused: Refused | None = None
        must_sign_in = False
        if request.method == "POST":
            form = await self._form(request)
            member = visitor.signed_in
            accept = partial(
                organisations.accept,
                token,
                self._auth.doorway.place(request),
                name=form.fields.get("name", ""),
                signed_in=None if member is None else member.user.id,
            )
            try:
                made = await self._auth.in_thread(accept)
            except SignInFirst:
                must_sign_in = True
            except LinkInvalid:
                return await self._worn_out(request, "/")
            except (OrganisationInvalid, SignInRefused) as error:
                refused = Refused({WHOLE: refusal_of(error).message})
            else:
                return await self._entered(request, made, "/settings/organisation", "joined")
        return await self._page(
            request,
            "join",
            f"Join {account.name}",
            visitor,
            form=form,
            refused=Refused(NO_PROBLEMS) if must_sign_in else refused,
            invitation=invitation,
            organisation=account.name,
            must_sign_in=must_sign_in,
        )

    # Out.

    async def sign_out(self, request: Request) -> Response:
        if request.method != "POST":
            member = await self._site.member(request)
            return await self._page(request, "sign_out", "Sign out", Visitor(member))
        await self._site.posted(request)
        token = self._auth.sessions.token(request)
        assert token is not None, "somebody is signed in"
        await self._auth.sign_in.end(token)
        response = self._site.go("/", notice="signed-out")
        self._auth.sessions.drop(response)
        return response

    # What they have in common.

    async def _form(self, request: Request) -> Form:
        """Of nobody in particular, so there is no session to prove it by; but from our own pages."""
        check_own_origin(request.headers, self._auth.doorway)
        return await read_form(request)

    async def _visitor(self, request: Request) -> Visitor:
        """Also for a form that holds no session's token: it is proved by `_form`."""
        token = self._auth.sessions.token(request)
        found = None if token is None else await self._auth.sign_in.find(token)
        return Visitor(found)

    async def _entered(
        self, request: Request, new: NewSession, to: str, notice: str | None = None
    ) -> Response:
        before = self._auth.sessions.token(request)
        if before is not None:
            await self._auth.sign_in.end(before)
        response = self._site.go(to, notice=notice)
        self._auth.sessions.keep(request, response, new)
        return response

    async def _sent(self, request: Request, form: Form, way: str, to: str) -> Response:
        """The same for whatever address: nobody learns here who has an account."""
        return await self._page(
            request, "sent", "Look into your mailbox", way=way, again=_with_next(f"/{way}", to),
            email=form.fields.get("email", ""),
        )  # fmt: skip

    async def _worn_out(self, request: Request, again: str = "/sign-in") -> Response:
        return await self._page(
            request, "worn_out", "This link does not work any more",
            await self._visitor(request), status=410, again=again,
        )  # fmt: skip

    async def _page(
        self,
        request: Request,
        name: str,
        title: str,
        visitor: Visitor = NOBODY,
        *,
        form: Form | None = None,
        refused: Refused | None = None,
        status: int = 200,
        **shown: Any,  # noqa: ANN401 - whatever the template shows
    ) -> Response:
        values: Mapping[str, str] = {} if form is None else form.fields
        response = await self._site.page(
            request,
            f"entering/{name}.html",
            visitor,
            title=title,
            is_indexed=False,
            status=status if refused is None else refused.status,
            problems=NO_PROBLEMS if refused is None else refused.problems,
            values={field: said for field, said in values.items() if field not in _NOT_KEPT},
            **shown,
        )
        # An address with a token in it, and forms of nobody: no cache keeps either.
        response.headers["cache-control"] = "no-store"
        return response


def _after(text: str | None) -> str:
    """Where to go on once somebody is signed in: a path of ours, and none of these pages."""
    path = local_path(text)
    return "/" if path.startswith(_DOORS) else path


def _told(to: str) -> str:
    """Where a link goes on to; "" for where one arrives anyway."""
    return "" if to == "/" else to


def _with_next(path: str, to: str) -> str:
    return f"{path}?{urlencode({NEXT: to})}" if _told(to) else path
