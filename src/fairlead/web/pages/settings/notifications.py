"""`/settings/notifications`: what an account is written about, to whom, and from which balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.accounts.types import AccountKind, Billing
from fairlead.control.billing.profiles import Profile
from fairlead.control.billing.types import NANO_PER_CENT
from fairlead.control.notifications.types import USUAL, Kind, Rule, Wanted
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import UserId
from fairlead.web.pages import shown
from fairlead.web.pages.attempts import Refused, attempted
from fairlead.web.pages.form_fields import cents, typed_dollars
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin, lines

__all__ = ["notification_pages"]

_PATH: Final = "/settings/notifications"
NEVER_CENTS: Final = 0


@dataclass(frozen=True, slots=True)
class _Subject:
    """One kind of message. has_owner: it is about a key, and somebody made that."""

    kind: Kind
    title: str
    when: str
    hint: str
    has_owner: bool = False


_SUBJECTS: Final = (
    _Subject(
        Kind.KEY_LIMIT,
        "Limits of keys",
        "Write when a key has used 80% and 100% of its limit",
        "Calls with it are refused at 100%.",
        has_owner=True,
    ),
    _Subject(
        Kind.WORKSPACE_BUDGET,
        "Budgets of workspaces",
        "Write when 80% and 100% of a budget are used",
        "Calls of the workspace are refused at 100%.",
    ),
    _Subject(
        Kind.MODEL_ENDING,
        "Models that end",
        "Write when a model that was called within 30 days gets an end date",
        "Once for each model.",
    ),
)


def notification_pages(desk: SettingsDesk) -> list[Route]:
    it = _Notifications(desk)
    return [
        Route("/settings/notifications", it.serve, methods=["GET", "POST"]),
        Route("/settings/notifications/test", it.test, methods=["POST"]),
    ]


class _Notifications:
    """A page or a form each."""

    def __init__(self, desk: SettingsDesk) -> None:
        self._desk = desk
        self._edge = desk.site.services.billing
        self._service = desk.auth.notifications

    async def serve(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.change(request)
        return await self.show(request, await self._desk.site.member(request))

    async def show(
        self,
        request: Request,
        member: SignedIn,
        problem: Refused | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Response:
        profile = await self._profile(member)
        usual = 0 if self._edge is None else self._edge.billing.terms.low_balance_cents
        return await self._desk.page(
            request,
            "notifications",
            member,
            title="Notifications",
            refused=problem,
            values=values or {**await self._rules(member), **_threshold(profile)},
            subjects=_SUBJECTS,
            usual=shown.dollars_from_cents(usual) if usual else None,
            has_balance=profile is not None,
            is_shared=member.account.kind is AccountKind.ORGANISATION,
        )

    async def change(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        fields, actor = form.fields, self._desk.actor(request, member)
        account, edge = member.account, self._edge
        is_watched = edge is not None and account.billing is Billing.PREPAID
        is_shared = account.kind is AccountKind.ORGANISATION

        async def save() -> None:
            low = _wanted_threshold(fields) if is_watched else NEVER_CENTS
            kinds = [one.kind for one in _SUBJECTS] + (
                [] if low == NEVER_CENTS else [Kind.LOW_BALANCE]
            )
            wanted = {kind: _wanted(kind, fields, is_shared=is_shared) for kind in kinds}
            await self._desk.management.do(
                partial(self._service.choose, account.id, wanted, actor=actor)
            )
            if edge is not None and is_watched:
                await edge.do(partial(edge.profiles.watch_balance, account.id, actor, low))

        done = await attempted(save())
        if isinstance(done, Refused):
            return await self.show(request, member, done, dict(fields))
        return self._desk.site.go(_PATH, notice="saved")

    async def test(self, request: Request) -> Response:
        """To whoever asks, and nobody else: so it annoys nobody."""
        member, _ = await self._desk.site.posted(request)
        email = member.user.email

        async def send() -> None:
            if email is None:
                raise RequestInvalid("You have given no address.", param="test")
            await self._desk.management.do(partial(self._service.test, email))

        done = await attempted(send())
        if isinstance(done, Refused):
            return await self.show(request, member, done.renamed({"": "test"}))
        return self._desk.site.go(_PATH, notice="test-sent")

    async def _profile(self, member: SignedIn) -> Profile | None:
        edge = self._edge
        if edge is None:
            return None
        return await edge.do(lambda: edge.profiles.find(member.account.id))

    async def _rules(self, member: SignedIn) -> dict[str, str]:
        """As fields of the form; members by their addresses, and nobody who has left."""

        def read() -> dict[str, str]:
            rules = self._service.rules(member.account.id)
            people = {one for rule in rules.values() for one in rule.people}
            names = self._service.members(member.account.id, people)
            return {
                name: said
                for kind, rule in rules.items()
                for name, said in _fields(kind, rule, names).items()
            }

        return await self._desk.management.do(read)


def _fields(kind: Kind, rule: Rule, names: Mapping[UserId, str | None]) -> dict[str, str]:
    return {
        f"{kind}_on": "true" if rule.is_on else "",
        f"{kind}_admins": "true" if rule.to_admins else "",
        f"{kind}_owner": "true" if rule.to_owner else "",
        f"{kind}_people": "\n".join(names[one] or one for one in rule.people if one in names),
    }


def _threshold(profile: Profile | None) -> dict[str, str]:
    """As fields of the form."""
    low = None if profile is None else profile.low_balance_cents
    return {
        "low_balance_on": "" if low == NEVER_CENTS else "true",
        "when": "own" if low else "default",
        "low_balance": typed_dollars(low * NANO_PER_CENT) if low else "",
    }


def _wanted(kind: Kind, fields: Mapping[str, str], *, is_shared: bool) -> Wanted:
    """is_shared: with several people, among whom one chooses."""
    # Of a balance, the threshold says it.
    is_on = kind is Kind.LOW_BALANCE or fields.get(f"{kind}_on") == "true"
    if not is_shared:
        usual = USUAL[kind]
        return Wanted(is_on, usual.to_admins, usual.to_owner, ())
    return Wanted(
        is_on,
        to_admins=fields.get(f"{kind}_admins") == "true",
        to_owner=fields.get(f"{kind}_owner") == "true",
        people=lines(fields.get(f"{kind}_people", "")),
    )


def _wanted_threshold(fields: Mapping[str, str]) -> int | None:
    """In cents; None: the installation's. Raises RequestInvalid."""
    if fields.get("low_balance_on") != "true":
        return NEVER_CENTS
    match fields.get("when"):
        case "default":
            return None
        case "own":
            low = cents(fields.get("low_balance", ""), "low_balance")
            if not low:
                raise RequestInvalid("More than nothing.", param="low_balance")
            return low
        case _:
            raise RequestInvalid("Choose one of these.", param="when")
