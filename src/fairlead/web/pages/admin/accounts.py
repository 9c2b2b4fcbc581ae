"""`/admin/accounts`: find one, see all that it has, give it credit, shut its people out and let them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.accounts.types import Account, AccountKind
from fairlead.control.keys.types import ApiKey
from fairlead.control.ledger.types import Book, LotKind
from fairlead.control.oversight.types import AccountFigures, GrantRefused
from fairlead.control.people.types import Member, OwnerStays, SignedIn, User, UserUnknown
from fairlead.core.errors import Conflict, NotFound, RequestInvalid
from fairlead.core.ids import AccountId, KeyId, UserId
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.pages.form_fields import nano
from fairlead.web.pages.keys_view import key_state
from fairlead.web.pages.paging import PAGE_ROWS, Paging, addressed, page_number, paging
from fairlead.web.reading import is_keepable

__all__ = ["account_pages"]

PATH: Final = "/admin/accounts"
DAYS_MAX: Final = 36_500
_LOTS: Final = {
    LotKind.PURCHASE: "Purchase",
    LotKind.GRANT: "Grant",
    LotKind.FREE_ALLOWANCE: "Free allowance",
    LotKind.REFUND: "Refund",
    LotKind.TRANSFER: "Transfer",
}


@dataclass(frozen=True, slots=True)
class PersonRow:
    user: User
    role: str
    may_disable: bool


@dataclass(frozen=True, slots=True)
class KeyLine:
    """state, tone: in a word, and of its badge."""

    key: ApiKey
    state: str
    tone: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """keys, people: of one page each. later_keys: the address of the next; None: these are the last."""

    account: Account
    book: Book
    lots: tuple[tuple[str, object], ...]
    keys: tuple[KeyLine, ...]
    later_keys: str | None
    people: tuple[PersonRow, ...]
    pages: Paging


def account_pages(desk: AdminDesk) -> list[Route]:
    accounts = _Accounts(desk)
    return [
        Route("/admin/accounts", accounts.listed),
        Route("/admin/accounts/{account}", accounts.shown),
        Route("/admin/accounts/{account}/grant", accounts.grant, methods=["POST"]),
        Route("/admin/accounts/{account}/{action}", accounts.asked, methods=["GET"]),
        Route("/admin/accounts/{account}/{action}", accounts.switched, methods=["POST"]),
    ]


class _Accounts:
    def __init__(self, desk: AdminDesk) -> None:
        self._desk = desk
        self._administration = self._desk.administration

    async def listed(self, request: Request) -> Response:
        member = await self._desk.owner(request)
        wanted = request.query_params.get("q", "")
        text = wanted if is_keepable(wanted) else ""
        number = page_number(request.query_params.get("page"))
        read = partial(
            self._administration.oversight.accounts,
            text,
            offset=(number - 1) * PAGE_ROWS,
            limit=PAGE_ROWS + 1,
        )
        found: list[AccountFigures] = await self._administration.do(read)

        def address(page: int) -> str:
            return addressed(PATH, {"q": text, "page": str(page) if page > 1 else ""})

        rows = found[:PAGE_ROWS]
        pages = paging(number, len(rows), has_more=len(found) > PAGE_ROWS, address=address)
        return await self._desk.page(
            request, "accounts", member, title="Accounts", fragment="admin/account_rows.html",
            rows=rows, pages=pages, q=text,
        )  # fmt: skip

    async def shown(self, request: Request) -> Response:
        member = await self._desk.owner(request)
        return await self._account_page(request, member, _account_id(request), {}, {})

    async def _account_page(
        self,
        request: Request,
        member: SignedIn,
        account: AccountId,
        values: dict[str, str],
        problems: dict[str, str],
    ) -> Response:
        number = page_number(request.query_params.get("page"))
        after = request.query_params.get("keys_after", "")
        read = partial(self._read, account, number, after if is_keepable(after) else "")
        view = await self._administration.do(read)
        # Names the grant: whoever sends the form twice gives once.
        reference = values.get("reference") or f"{member.session.id[:12]}-{self._desk.now_ms():x}"
        return await self._desk.page(
            request, "account", member, title=view.account.name or view.account.id,
            status=422 if problems else 200,
            view=view, values=values, problems=problems, reference=reference,
        )  # fmt: skip

    def _read(self, wanted: AccountId, number: int, after: str) -> AccountView:
        """number: of the page of people. after: the key behind which those that are shown begin."""
        management, now_ms = self._desk.management, self._desk.now_ms()
        account = management.accounts.find(wanted)
        if account is None:
            raise NotFound("There is no such account.")
        book = self._administration.ledger.book(account.id)
        found = management.keys.page(account.id, after=KeyId(after), limit=PAGE_ROWS + 1)
        keys = found[:PAGE_ROWS]
        offset = (number - 1) * PAGE_ROWS
        members, count = management.people.members(account.id, offset=offset, limit=PAGE_ROWS)
        path = f"{PATH}/{account.id}"
        return AccountView(
            account=account,
            book=book,
            lots=tuple((_LOTS[lot.kind], lot) for lot in book.lots),
            keys=tuple(KeyLine(key, *key_state(key, now_ms)) for key in keys),
            later_keys=addressed(path, {"keys_after": keys[-1].id})
            if len(found) > PAGE_ROWS
            else None,
            people=self._people(account, members),
            pages=paging(
                number,
                len(members),
                has_more=offset + len(members) < count,
                address=lambda page: addressed(path, {"page": str(page) if page > 1 else ""}),
                total=count,
            ),
        )

    def _people(self, account: Account, members: Sequence[Member]) -> tuple[PersonRow, ...]:
        management = self._desk.management
        users = management.people.find_all([one.user for one in members])
        owner = management.accounts.owner()
        is_shared = account.kind is AccountKind.ORGANISATION
        return tuple(
            PersonRow(
                user=user,
                role=one.role.value if is_shared else "holder",
                may_disable=owner is None or user.account != owner.id,
            )
            for one in members
            if (user := users.get(one.user)) is not None
        )

    async def grant(self, request: Request) -> Response:
        member, form = await self._desk.posted(request)
        account = _account_id(request)
        values = {
            name: form.fields.get(name, "")[:400]
            for name in ("amount", "reason", "expires_days", "reference")
        }
        actor = self._desk.actor(request, member)

        def give() -> None:
            found = self._desk.management.accounts.find(account)
            if found is None:
                raise NotFound("There is no such account.")
            if found.deleted_ms is not None:
                raise RequestInvalid("This account was deleted.")
            try:
                self._administration.oversight.grant(
                    account,
                    nano(values["amount"], "amount"),
                    reason=values["reason"],
                    reference=f"page:{values['reference'] or actor.name}",
                    actor=actor,
                    expires_days=_days(values["expires_days"]),
                )
            except GrantRefused as error:
                raise RequestInvalid(str(error), param=error.field) from error

        try:
            await self._administration.do(give)
        except RequestInvalid as error:
            return await self._account_page(
                request, member, account, values, {error.param or "": error.message}
            )
        return self._desk.site.go(f"{PATH}/{account}", notice="granted")

    async def asked(self, request: Request) -> Response:
        """Whether the operator means it: it signs somebody out and refuses their keys."""
        member = await self._desk.owner(request)
        account, user = _account_id(request), request.query_params.get("user", "")
        if request.path_params["action"] != "disable" or not is_keepable(user):
            raise NotFound("There is no such page.")
        people = self._desk.management.people
        found = await self._administration.do(partial(people.find, UserId(user)))
        if found is None or found.deleted_ms is not None:
            raise NotFound("There is no such person.")
        return await self._desk.page(
            request, "disable", member, title="Disable this person?",
            person=found, path=f"{PATH}/{account}",
        )  # fmt: skip

    async def switched(self, request: Request) -> Response:
        member, form = await self._desk.posted(request)
        account, user = _account_id(request), UserId(form.fields.get("user", ""))
        action: str = request.path_params["action"]
        actor = self._desk.actor(request, member)
        change = self._administration.disabling.disable
        if action == "enable":
            change = self._administration.disabling.enable
        elif action != "disable":
            raise NotFound("There is no such page.")

        def switch() -> None:
            try:
                change(user, actor=actor)
            except UserUnknown as error:
                raise NotFound("There is no such person.") from error
            except OwnerStays as error:
                raise Conflict(str(error)) from error

        await self._administration.do(switch)
        notice = "person-disabled" if action == "disable" else "person-enabled"
        return self._desk.site.go(f"{PATH}/{account}", notice=notice)


def _account_id(request: Request) -> AccountId:
    text: str = request.path_params["account"]
    if not is_keepable(text):
        raise NotFound("There is no such account.")
    return AccountId(text)


def _days(text: str) -> int | None:
    """None: nothing was said. Raises RequestInvalid."""
    said = text.strip()
    if not said:
        return None
    if not (said.isascii() and said.isdigit()) or len(said) > 5 or not 1 <= int(said) <= DAYS_MAX:
        raise RequestInvalid(f"A number of days from 1 to {DAYS_MAX:,}.", param="expires_days")
    return int(said)
