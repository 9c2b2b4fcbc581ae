"""`/settings/workspaces`: the parts of an account, each with defaults, members and budgets of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.accounts.types import AccountKind
from fairlead.control.people.service import People
from fairlead.control.people.types import Member, SignedIn, User
from fairlead.control.workspaces.types import (
    BudgetSpan,
    Workspace,
    WorkspaceBudget,
    WorkspaceChange,
    WorkspaceMember,
    WorkspaceUnknown,
)
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import AccountId, UserId
from fairlead.core.money import NanoUSD
from fairlead.web.auth.exchange import Form
from fairlead.web.management import Management
from fairlead.web.pages import shown
from fairlead.web.pages.attempts import Refused, attempted, refused
from fairlead.web.pages.form_fields import nano_or_none, typed_dollars
from fairlead.web.pages.paging import PAGE_ROWS, Paging, addressed, page_number, paging
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin
from fairlead.web.pages.settings.routing import SORTS
from fairlead.web.reading import is_keepable

__all__ = ["workspace_pages"]

_PATH: Final = "/settings/workspaces"
OFFERED_MAX: Final = 100  # in a select
_SORTS: Final = (("", "As the account has it"), *SORTS[1:])
_SPANS: Final = {
    BudgetSpan.DAILY: "Each day",
    BudgetSpan.WEEKLY: "Each week",
    BudgetSpan.MONTHLY: "Each month",
    BudgetSpan.LIFETIME: "In total",
}


@dataclass(frozen=True, slots=True)
class _Budget:
    """limit: for the field. fraction: of it that is spent; None: there is none."""

    name: str
    label: str
    limit: str
    spent: str
    fraction: float | None


@dataclass(frozen=True, slots=True)
class _Person:
    user: UserId
    name: str
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class _Inside:
    """people: of one page, who works in it; None: everybody. others: who could be added; None: too many to
    offer, they are named."""

    workspace: Workspace
    budgets: Sequence[_Budget]
    people: Sequence[_Person] | None
    pages: Paging | None
    others: Sequence[tuple[str, str]] | None


def workspace_pages(desk: SettingsDesk) -> list[Route]:
    it = _Workspaces(desk)
    return [
        Route("/settings/workspaces", it.listed, methods=["GET", "POST"]),
        Route("/settings/workspaces/{workspace}", it.one),
        Route("/settings/workspaces/{workspace}/general", it.change, methods=["POST"]),
        Route("/settings/workspaces/{workspace}/routing", it.set_defaults, methods=["POST"]),
        Route("/settings/workspaces/{workspace}/budgets", it.set_budgets, methods=["POST"]),
        Route("/settings/workspaces/{workspace}/members/add", it.add_member, methods=["POST"]),
        Route(
            "/settings/workspaces/{workspace}/members/remove", it.remove_member, methods=["POST"]
        ),
        Route("/settings/workspaces/{workspace}/delete", it.delete, methods=["POST"]),
    ]


class _Workspaces:
    """A page or a form each."""

    def __init__(self, desk: SettingsDesk) -> None:
        self._desk = desk
        self._management = desk.management
        self._service = desk.management.workspaces

    async def show_all(
        self,
        request: Request,
        member: SignedIn,
        problem: Refused | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Response:
        number = page_number(request.query_params.get("page"))
        offset = (number - 1) * PAGE_ROWS
        read = partial(
            self._service.page,
            member.account.id,
            user=None if member.is_admin else member.user.id,
            offset=offset,
            limit=PAGE_ROWS,
        )
        found = await self._management.do(read)
        return await self._desk.page(
            request,
            "workspaces",
            member,
            title="Workspaces",
            refused=problem,
            values=values,
            workspaces=found.workspaces,
            pages=_pages(_PATH, number, len(found.workspaces), found.total),
        )

    async def listed(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.create(request)
        return await self.show_all(request, await self._desk.site.member(request))

    async def create(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        name = form.fields.get("name", "")
        wanted = WorkspaceChange(
            name=name,
            slug=form.fields.get("slug", "").strip() or _slug(name),
            description=form.text_or_none("description"),
        )
        made = await attempted(
            self._management.do(
                partial(
                    self._service.create,
                    member.account.id,
                    wanted,
                    actor=self._desk.actor(request, member),
                    creator=member.user.id,
                )
            )
        )
        if isinstance(made, Refused):
            return await self.show_all(request, member, made, form.fields)
        return self._desk.site.go(f"{_PATH}/{made.slug}", notice="saved")

    async def show(
        self,
        request: Request,
        member: SignedIn,
        problem: Refused | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Response:
        number = page_number(request.query_params.get("page"))
        inside = await self._management.do(
            partial(_inside, self._desk, member, _name(request), number)
        )
        return await self._desk.page(
            request,
            "workspace",
            member,
            title=inside.workspace.name,
            refused=problem,
            values=_values(inside) if values is None else {**_values(inside), **values},
            sorts=_SORTS,
            inside=inside,
            is_shared=member.account.kind is AccountKind.ORGANISATION,
        )

    async def one(self, request: Request) -> Response:
        return await self.show(request, await self._desk.site.member(request))

    async def change(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        wanted = WorkspaceChange(
            name=form.fields.get("name", ""),
            slug=form.fields.get("slug", "").strip(),
            description=form.text_or_none("description"),
        )
        return await self.changed(request, member, form, wanted)

    async def set_defaults(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        wanted = WorkspaceChange(
            default_text_model=form.fields.get("default_text_model", "").strip() or None,
            default_provider_sort=form.text_or_none("default_provider_sort"),
        )
        return await self.changed(request, member, form, wanted)

    async def changed(
        self, request: Request, member: SignedIn, form: Form, wanted: WorkspaceChange
    ) -> Response:
        check_admin(member)
        done = await attempted(
            self._management.do(
                partial(
                    self._service.update,
                    member.account.id,
                    _name(request),
                    wanted,
                    actor=self._desk.actor(request, member),
                )
            )
        )
        if isinstance(done, Refused):
            return await self.show(request, member, done, form.fields)
        return self._desk.site.go(f"{_PATH}/{done.slug}", notice="saved")

    async def set_budgets(self, request: Request) -> Response:
        """All of them at once: what is empty is none."""
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        actor = self._desk.actor(request, member)

        async def kept() -> None:
            await self._management.do(
                partial(
                    self._service.set_budgets,
                    member.account.id,
                    _name(request),
                    _limits(form),
                    include_byok=form.fields.get("include_byok") == "true",
                    actor=actor,
                )
            )

        done = await attempted(kept())
        if isinstance(done, Refused):
            renamed = done.renamed({"limit_usd": "budgets"})
            return await self.show(request, member, renamed, form.fields)
        return self._desk.site.go(f"{_PATH}/{_name(request)}", notice="saved")

    async def add_member(self, request: Request) -> Response:
        return await self.with_member(request, is_added=True)

    async def remove_member(self, request: Request) -> Response:
        return await self.with_member(request, is_added=False)

    async def with_member(self, request: Request, *, is_added: bool) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        act = self._service.add_members if is_added else self._service.remove_members
        actor, account = self._desk.actor(request, member), member.account.id

        def changed() -> object:
            user = _user_named(self._management.people, account, form.fields.get("user", ""))
            return act(account, _name(request), [user], actor=actor)

        done = await attempted(self._management.do(changed))
        if isinstance(done, Refused):
            return await self.show(request, member, done.renamed({"user_ids": "user"}), form.fields)
        return self._desk.site.go(f"{_PATH}/{_name(request)}", notice="saved")

    async def delete(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        found = await self._management.do(
            partial(self._service.find, member.account.id, _name(request))
        )
        if form.fields.get("confirm", "").strip() != found.slug:
            wrong = refused(f"Type {found.slug} to confirm.", "confirm")
            return await self.show(request, member, wrong)
        done = await attempted(
            self._management.do(
                partial(
                    self._service.delete,
                    member.account.id,
                    found.id,
                    actor=self._desk.actor(request, member),
                )
            )
        )
        if isinstance(done, Refused):
            return await self.show(request, member, done.renamed({"": "confirm"}))
        return self._desk.site.go(_PATH, notice="deleted")


def _inside(desk: SettingsDesk, member: SignedIn, name: str, number: int) -> _Inside:
    """Everything about one workspace. number: of the page of its members. Blocks.

    Raises WorkspaceUnknown, also for one in which they do not work.
    """
    management, account = desk.management, member.account.id
    found, budgets = management.workspaces.budgets(account, name)
    is_theirs = member.is_admin or management.works_in(account, member.user.id, found.id)
    if not is_theirs and not found.is_default:
        raise WorkspaceUnknown(f"this account has no workspace {name[:80]!r}")
    standing = management.standings.standing([one.budget for one in budgets])
    spent = {one.span: standing[one.budget].spent for one in budgets if one.budget in standing}
    people: Sequence[_Person] | None = None
    pages, others = None, None
    if not found.is_default:
        offset = (number - 1) * PAGE_ROWS
        inside, total = management.workspaces.members(
            account, found.id, offset=offset, limit=PAGE_ROWS
        )
        people = _people(inside, management.people.find_all([one.user for one in inside]))
        pages = _pages(f"{_PATH}/{found.slug}", number, len(inside), total)
        others = _others(management, account, found)
    return _Inside(
        workspace=found,
        budgets=[
            _budget(span, next((one for one in budgets if one.span is span), None), spent.get(span))
            for span in BudgetSpan
        ],
        people=people,
        pages=pages,
        others=others,
    )


def _others(
    management: Management, account: AccountId, workspace: Workspace
) -> list[tuple[str, str]] | None:
    """Who could be added; None: there are too many to offer."""
    everybody, count = management.people.members(account, limit=OFFERED_MAX)
    if count > len(everybody):
        return None
    inside, _ = management.workspaces.members(account, workspace.id, limit=OFFERED_MAX)
    within = {one.user for one in inside}
    return [(one.user, _said(one)) for one in everybody if one.user not in within]


def _user_named(people: People, account: AccountId, text: str) -> UserId:
    """By the id of a member, or by their address. Blocks. Raises RequestInvalid, EmailInvalid."""
    said = text.strip()
    if "@" not in said:
        return UserId(said)
    found = people.find_by_email(said)
    if found is None or people.member(account, found.id) is None:
        raise RequestInvalid("Nobody of this address belongs to the account.", param="user")
    return found.id


def _pages(path: str, number: int, rows: int, total: int) -> Paging:
    return paging(
        number,
        rows,
        has_more=(number - 1) * PAGE_ROWS + rows < total,
        address=lambda page: addressed(path, {"page": str(page) if page > 1 else ""}),
        total=total,
    )


def _budget(span: BudgetSpan, kept: WorkspaceBudget | None, spent: NanoUSD | None) -> _Budget:
    if kept is None:
        return _Budget(span.value, _SPANS[span], "", shown.UNKNOWN, None)
    used = spent or NanoUSD(0)
    return _Budget(
        name=span.value,
        label=_SPANS[span],
        limit=typed_dollars(kept.limit),
        spent=shown.money(used),
        fraction=min(1.0, used / kept.limit),
    )


def _people(inside: Sequence[WorkspaceMember], known: Mapping[UserId, User]) -> list[_Person]:
    return [
        _Person(
            user=one.user,
            name=known[one.user].name or one.user if one.user in known else one.user,
            email=(known[one.user].email or "") if one.user in known else "",
            role=one.role,
        )
        for one in inside
    ]


def _said(member: Member) -> str:
    return (
        f"{member.name} ({member.email})"
        if member.name and member.email
        else member.name or member.user
    )


def _values(inside: _Inside) -> dict[str, str]:
    workspace = inside.workspace
    return {
        "name": workspace.name,
        "slug": workspace.slug,
        "description": workspace.description or "",
        "default_text_model": workspace.default_text_model or "",
        "default_provider_sort": workspace.default_provider_sort or "",
        "include_byok": "true" if workspace.include_byok_in_budgets else "",
        **{one.name: one.limit for one in inside.budgets},
    }


def _limits(form: Form) -> dict[BudgetSpan, NanoUSD]:
    """Raises RequestInvalid, which names the field."""
    found: dict[BudgetSpan, NanoUSD] = {}
    for span in BudgetSpan:
        limit = nano_or_none(form.fields.get(span.value, ""), span.value)
        if limit is not None:
            found[span] = limit
    return found


def _slug(name: str) -> str:
    """What a name is in an address: "Back office" is back-office. Pure."""
    words = "".join(
        letter if letter.isascii() and letter.isalnum() else " " for letter in name.lower()
    )
    return "-".join(words.split())[:50].rstrip("-")


def _name(request: Request) -> str:
    name = request.path_params["workspace"]
    assert isinstance(name, str)
    if not is_keepable(name):
        raise NotFound("You have no such workspace.")
    return name
