"""`/settings/organisation`: for which account somebody acts, who belongs to it, who is invited, what each may
spend.

What is changed is always the account that they act for; the services look whether they are its admin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.accounts.types import AccountKind
from fairlead.control.people.types import Invitation, Member, Membership, Role, SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import AccountId, UserId
from fairlead.web.auth.exchange import Form
from fairlead.web.pages import shown
from fairlead.web.pages.attempts import Refused, attempted
from fairlead.web.pages.form_fields import nano_or_none, typed_dollars
from fairlead.web.pages.paging import PAGE_ROWS, Paging, addressed, page_number, paging
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin

__all__ = ["organisation_pages"]

_PATH: Final = "/settings/organisation"
_ROLES: Final = (("member", "Member"), ("admin", "Admin"))
_RESETS: Final = (
    ("", "In total"),
    ("daily", "Each day"),
    ("weekly", "Each week"),
    ("monthly", "Each month"),
)

_Change = Callable[[SignedIn, Form, Request], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Person:
    member: Member
    limit: str  # for the field
    shown_limit: str
    is_self: bool

    @property
    def name(self) -> str:
        return self.member.name or self.member.email or self.member.user


@dataclass(frozen=True, slots=True)
class _Shared:
    """Of the organisation that somebody acts for. people: of one page. invitations: for admins, each with
    whether it is open."""

    people: Sequence[_Person]
    pages: Paging
    total: int
    members_max: int
    invitations: Sequence[tuple[Invitation, bool]]


def organisation_pages(desk: SettingsDesk) -> list[Route]:
    it = _Organisation(desk)
    return [
        Route("/settings/organisation", it.organisation),
        Route("/settings/organisation/create", it.form(it.create, "switched"), methods=["POST"]),
        Route("/settings/organisation/switch", it.form(it.switch, "switched"), methods=["POST"]),
        Route("/settings/organisation/name", it.form(it.rename, "saved"), methods=["POST"]),
        Route("/settings/organisation/leave", it.form(it.leave, "left"), methods=["POST"]),
        Route("/settings/organisation/invite", it.form(it.invite, "invited"), methods=["POST"]),
        Route(
            "/settings/organisation/invitations/{invitation}/resend",
            it.form(it.resend, "invited"),
            methods=["POST"],
        ),
        Route(
            "/settings/organisation/invitations/{invitation}/revoke",
            it.form(it.revoke, "deleted"),
            methods=["POST"],
        ),
        Route(
            "/settings/organisation/members/{user}",
            it.form(it.set_member, "saved"),
            methods=["POST"],
        ),
        Route(
            "/settings/organisation/members/{user}/remove",
            it.form(it.remove, "saved"),
            methods=["POST"],
        ),
    ]


class _Organisation:
    """The page, and what each of its forms does."""

    def __init__(self, desk: SettingsDesk) -> None:
        self._desk = desk
        self._auth = desk.auth
        self._organisations = desk.auth.organisations

    async def show(
        self,
        request: Request,
        member: SignedIn,
        problem: Refused | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Response:
        number = page_number(request.query_params.get("page"))
        memberships: list[Membership] = await self._auth.in_thread(
            partial(self._organisations.of_user, member.user.id)
        )
        is_shared = member.account.kind is AccountKind.ORGANISATION
        return await self._desk.page(
            request,
            "organisation",
            member,
            title="Organisation",
            refused=problem,
            values=values,
            memberships=memberships,
            own=member.user.account,
            shared=await self.shared(member, number) if is_shared else None,
            roles=_ROLES,
            resets=_RESETS,
        )

    async def shared(self, member: SignedIn, number: int) -> _Shared:
        """number: of the page of members."""
        account, who = member.account.id, member.user.id
        offset = (number - 1) * PAGE_ROWS
        found, total = await self._auth.in_thread(
            partial(self._auth.people.members, account, offset=offset, limit=PAGE_ROWS)
        )
        pages = paging(
            number,
            len(found),
            has_more=offset + len(found) < total,
            address=lambda page: addressed(_PATH, {"page": str(page) if page > 1 else ""}),
            total=total,
        )
        waiting: list[Invitation] = []
        if member.is_admin:
            waiting = await self._auth.in_thread(
                partial(self._organisations.invitations, who, account)
            )
        now_ms = self._desk.site.now_ms()
        return _Shared(
            people=[_person(one, who) for one in found],
            pages=pages,
            total=total,
            members_max=self._auth.rules.members_max,
            invitations=[(one, one.is_open(now_ms)) for one in waiting],
        )

    async def organisation(self, request: Request) -> Response:
        return await self.show(request, await self._desk.site.member(request))

    def form(self, change: _Change, notice: str) -> Callable[[Request], Awaitable[Response]]:
        """A form of this page; what it was refused for is said on the page."""

        async def changed(request: Request) -> Response:
            member, form = await self._desk.site.posted(request)
            done = await attempted(change(member, form, request))
            if isinstance(done, Refused):
                return await self.show(request, member, done, form.fields)
            return self._desk.site.go(_PATH, notice=notice)

        return changed

    async def create(self, member: SignedIn, form: Form, request: Request) -> None:
        place = self._desk.place(request)
        made = await self._auth.in_thread(
            partial(self._organisations.create, member.user, form.fields.get("new_name", ""), place)
        )
        await self.switch_to(member, request, made.id)

    async def switch(self, member: SignedIn, form: Form, request: Request) -> None:
        await self.switch_to(member, request, AccountId(form.text("account")))

    async def switch_to(self, member: SignedIn, request: Request, account: AccountId) -> None:
        token = self._auth.sessions.token(request)
        assert token is not None, "somebody is signed in"
        await self._auth.sign_in.choose_account(token, member.user, account)

    async def rename(self, member: SignedIn, form: Form, request: Request) -> None:
        await self._auth.in_thread(
            partial(
                self._organisations.rename,
                member.user.id,
                member.account.id,
                form.fields.get("name", ""),
                self._desk.place(request),
            )
        )

    async def leave(self, member: SignedIn, _: Form, request: Request) -> None:
        account = member.account.id
        await self._auth.in_thread(
            partial(self._organisations.leave, member.user.id, account, self._desk.place(request))
        )
        await self.switch_to(member, request, member.user.account)

    async def invite(self, member: SignedIn, form: Form, request: Request) -> None:
        check_admin(member)
        email = form.fields.get("email", "")
        await self._auth.sign_in.count_mail(email.strip().lower(), self._desk.place(request))
        await self._auth.in_thread(
            partial(
                self._organisations.invite,
                member.user.id,
                member.account.id,
                email,
                _role(form),
                self._desk.place(request),
            )
        )

    async def resend(self, member: SignedIn, _: Form, request: Request) -> None:
        check_admin(member)
        invitation = request.path_params["invitation"]
        await self._auth.sign_in.count_mail(invitation, self._desk.place(request))
        await self._auth.in_thread(
            partial(
                self._organisations.resend,
                member.user.id,
                member.account.id,
                invitation,
                self._desk.place(request),
            )
        )

    async def revoke(self, member: SignedIn, _: Form, request: Request) -> None:
        await self._auth.in_thread(
            partial(
                self._organisations.revoke,
                member.user.id,
                member.account.id,
                request.path_params["invitation"],
                self._desk.place(request),
            )
        )

    async def set_member(self, member: SignedIn, form: Form, request: Request) -> None:
        """Role and limit, from one row; the role only if it is another one."""
        who, account, place = member.user.id, member.account.id, self._desk.place(request)
        other = UserId(request.path_params["user"])
        role, limit = _role(form), nano_or_none(form.fields.get("limit", ""), "limit")
        reset = form.text_or_none("limit_reset")
        before = await self._auth.in_thread(partial(self._auth.people.member, account, other))
        if before is None or before.role is not role:
            await self._auth.in_thread(
                partial(self._organisations.set_role, who, account, other, role, place)
            )
        if before is None or (before.limit, before.limit_reset) != (limit, reset):
            await self._auth.in_thread(
                partial(
                    self._organisations.set_limit,
                    who,
                    account,
                    other,
                    place,
                    limit=limit,
                    reset=reset,
                )
            )

    async def remove(self, member: SignedIn, _: Form, request: Request) -> None:
        await self._auth.in_thread(
            partial(
                self._organisations.remove,
                member.user.id,
                member.account.id,
                UserId(request.path_params["user"]),
                self._desk.place(request),
            )
        )


def _person(member: Member, who: UserId) -> _Person:
    return _Person(
        member=member,
        limit=typed_dollars(member.limit),
        shown_limit="No limit" if member.limit is None else shown.dollars(member.limit),
        is_self=member.user == who,
    )


def _role(form: Form) -> Role:
    try:
        return Role(form.fields.get("role", ""))
    except ValueError:
        raise RequestInvalid("A role is admin or member.", param="role") from None
