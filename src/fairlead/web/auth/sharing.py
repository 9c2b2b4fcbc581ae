"""`/auth/organisations`: what people share, who is invited, and what was done.

`{account}` is an organisation's id; it need not be the active one.
"""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.types import NotAdmin, Role, SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import AccountId, UserId
from fairlead.core.money import parse_amount
from fairlead.web.auth import shapes
from fairlead.web.auth.exchange import Form, answering, done, read_form
from fairlead.web.auth.services import AuthServices
from fairlead.web.sessions import check_own_origin

__all__ = ["sharing_routes"]

AUDIT_PAGE_MAX = 100


def sharing_routes(services: AuthServices) -> list[Route]:
    it = _Sharing(services)
    return [
        Route("/auth/organisations", answering(it.create), methods=["POST"]),
        Route("/auth/organisations/{account}/name", answering(it.rename), methods=["POST"]),
        Route("/auth/organisations/{account}/leave", answering(it.leave), methods=["POST"]),
        Route("/auth/organisations/{account}/members", answering(it.members), methods=["GET"]),
        Route(
            "/auth/organisations/{account}/members/{user}/role",
            answering(it.set_role),
            methods=["POST"],
        ),
        Route(
            "/auth/organisations/{account}/members/{user}/limit",
            answering(it.set_limit),
            methods=["POST"],
        ),
        Route(
            "/auth/organisations/{account}/members/{user}/remove",
            answering(it.remove),
            methods=["POST"],
        ),
        Route(
            "/auth/organisations/{account}/invitations",
            answering(it.invitations),
            methods=["GET", "POST"],
        ),
        Route(
            "/auth/organisations/{account}/invitations/{invitation}/resend",
            answering(it.resend),
            methods=["POST"],
        ),
        Route(
            "/auth/organisations/{account}/invitations/{invitation}/revoke",
            answering(it.revoke),
            methods=["POST"],
        ),
        Route("/auth/invitations/{token}", answering(it.invitation), methods=["GET", "POST"]),
        Route("/auth/audit", answering(it.audit), methods=["GET"]),
    ]


class _Sharing:
    """An endpoint each."""

    def __init__(self, services: AuthServices) -> None:
        self._services = services
        self._sessions = services.sessions
        self._doorway = services.doorway
        self._organisations = services.organisations
        self._in_thread = services.in_thread

    async def _asked(self, request: Request) -> tuple[SignedIn, Form, AccountId]:
        form = await read_form(request)
        account = AccountId(request.path_params.get("account", ""))
        return await self._sessions.required(request, form.fields), form, account

    async def create(self, request: Request) -> Response:
        signed_in, form, _ = await self._asked(request)
        made = await self._in_thread(
            partial(
                self._organisations.create,
                signed_in.user,
                form.text("name"),
                self._doorway.place(request),
            )
        )
        return done(request, shapes.account(made), to=form.next_path, status=201)

    async def rename(self, request: Request) -> Response:
        signed_in, form, account = await self._asked(request)
        name = await self._in_thread(
            partial(
                self._organisations.rename,
                signed_in.user.id,
                account,
                form.text("name"),
                self._doorway.place(request),
            )
        )
        return done(request, {"name": name}, to=form.next_path)

    async def leave(self, request: Request) -> Response:
        signed_in, form, account = await self._asked(request)
        await self._in_thread(
            partial(
                self._organisations.leave, signed_in.user.id, account, self._doorway.place(request)
            )
        )
        return done(request, to=form.next_path)

    async def members(self, request: Request) -> Response:
        signed_in = await self._sessions.required(request)
        account = AccountId(request.path_params["account"])
        mine = await self._in_thread(partial(self._organisations.of_user, signed_in.user.id))
        if account not in {one.account.id for one in mine}:
            raise NotAdmin
        found, total = await self._in_thread(partial(self._services.people.members, account))
        shown = [shapes.member(one) for one in found]
        return done(request, {"members": shown, "total_count": total})

    async def set_role(self, request: Request) -> Response:
        signed_in, form, account = await self._asked(request)
        await self._in_thread(
            partial(
                self._organisations.set_role,
                signed_in.user.id,
                account,
                _member(request),
                _role(form),
                self._doorway.place(request),
            )
        )
        return done(request, to=form.next_path)

    async def set_limit(self, request: Request) -> Response:
        """limit: dollars; empty: none."""
        signed_in, form, account = await self._asked(request)
        text = form.text_or_none("limit")
        try:
            limit = None if text is None else parse_amount(text)
        except ValueError as error:
            raise RequestInvalid("The limit is not an amount in dollars.", param="limit") from error
        await self._in_thread(
            partial(
                self._organisations.set_limit,
                signed_in.user.id,
                account,
                _member(request),
                self._doorway.place(request),
                limit=limit,
                reset=form.text_or_none("limit_reset"),
            )
        )
        return done(request, to=form.next_path)

    async def remove(self, request: Request) -> Response:
        signed_in, form, account = await self._asked(request)
        await self._in_thread(
            partial(
                self._organisations.remove,
                signed_in.user.id,
                account,
                _member(request),
                self._doorway.place(request),
            )
        )
        return done(request, to=form.next_path)

    async def invitations(self, request: Request) -> Response:
        """GET: those that nobody has answered. POST: email, role."""
        signed_in, form, account = await self._asked(request)
        who = signed_in.user.id
        if request.method != "POST":
            found = await self._in_thread(partial(self._organisations.invitations, who, account))
            return done(request, [shapes.invitation(one) for one in found])
        email = form.text("email")
        await self._services.sign_in.count_mail(email.strip().lower(), self._doorway.place(request))
        made = await self._in_thread(
            partial(
                self._organisations.invite,
                who,
                account,
                email,
                _role(form),
                self._doorway.place(request),
            )
        )
        return done(request, shapes.invitation(made), to=form.next_path, status=201)

    async def resend(self, request: Request) -> Response:
        signed_in, form, account = await self._asked(request)
        invitation = request.path_params["invitation"]
        await self._services.sign_in.count_mail(invitation, self._doorway.place(request))
        again = await self._in_thread(
            partial(
                self._organisations.resend,
                signed_in.user.id,
                account,
                invitation,
                self._doorway.place(request),
            )
        )
        return done(request, shapes.invitation(again), to=form.next_path)

    async def revoke(self, request: Request) -> Response:
        signed_in, form, account = await self._asked(request)
        await self._in_thread(
            partial(
                self._organisations.revoke,
                signed_in.user.id,
                account,
                request.path_params["invitation"],
                self._doorway.place(request),
            )
        )
        return done(request, to=form.next_path)

    async def invitation(self, request: Request) -> Response:
        """GET only looks: programs that check mail follow links, too."""
        token = request.path_params["token"]
        if request.method != "POST":
            found, account = await self._in_thread(partial(self._organisations.look, token))
            shown = {**shapes.invitation(found), "organisation": account.name}
            return done(request, shown, to=f"/join/{token}")
        check_own_origin(request.headers, self._doorway)
        form = await read_form(request)
        before = self._sessions.token(request)
        signed_in = None if before is None else await self._services.sign_in.find(before)
        new = await self._in_thread(
            partial(
                self._organisations.accept,
                token,
                self._doorway.place(request),
                name=form.text_or_none("name") or "",
                signed_in=None if signed_in is None else signed_in.user.id,
            )
        )
        if before is not None:
            await self._services.sign_in.end(before)
        entered = shapes.session(new.session, current=new.session.id)
        response = done(request, entered, to=form.next_path)
        self._sessions.keep(request, response, new)
        return response

    async def audit(self, request: Request) -> Response:
        """What was done in the active account, the newest first; `all=true`: everywhere, for the owner."""
        signed_in = await self._sessions.required(request)
        if not signed_in.is_admin:
            raise NotAdmin
        before = request.query_params.get("before") or None
        if request.query_params.get("all") == "true" and signed_in.is_owner:
            read = partial(self._services.audit.page_of_all, before=before, limit=AUDIT_PAGE_MAX)
        else:
            read = partial(
                self._services.audit.page, signed_in.account.id, before=before, limit=AUDIT_PAGE_MAX
            )
        return done(request, [shapes.audit_entry(one) for one in await self._in_thread(read)])


def _member(request: Request) -> UserId:
    return UserId(request.path_params["user"])


def _role(form: Form) -> Role:
    text = form.text("role")
    try:
        return Role(text)
    except ValueError:
        raise RequestInvalid("role is admin or member.", param="role") from None
