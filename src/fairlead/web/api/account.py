"""`/credits` and `/organization/members`: what an account has, and who belongs to it."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.responses import Response

from fairlead.control.accounts.types import AccountKind
from fairlead.control.people.types import Member
from fairlead.core.errors import Gone, NotFound
from fairlead.core.ids import AccountId
from fairlead.core.money import usd
from fairlead.web.answers import answer
from fairlead.web.management import Management
from fairlead.web.operations import Asked, Operation, Who

__all__ = ["account_operations"]

_ROLES: Final = {"admin": "org:admin", "member": "org:member"}


def account_operations(management: Management) -> list[Operation]:
    async def balance(asked: Asked) -> Response:
        totals = await management.do(partial(management.credits.totals, asked.requester.account))
        return answer(
            {"data": {"total_credits": usd(totals.credits), "total_usage": usd(totals.usage)}}
        )

    async def coinbase(_asked: Asked) -> Response:
        raise Gone("Buying credits this way was removed. Buy them on the web app's credits page.")

    async def members(asked: Asked) -> Response:
        account, page = asked.requester.account, asked.page()
        found, total = await management.do(
            partial(_members, management, account, offset=page.offset, limit=page.limit)
        )
        return answer({"data": [_member_object(one) for one in found], "total_count": total})

    return [
        Operation("GET", "/credits", balance, Who.MANAGER_ELSE_403),
        Operation("POST", "/credits/coinbase", coinbase, Who.ANYONE),
        Operation("GET", "/organization/members", members, Who.MANAGER_ELSE_401),
    ]


def _members(
    management: Management, account: AccountId, *, offset: int, limit: int
) -> tuple[tuple[Member, ...], int]:
    found = management.accounts.find(account)
    if found is None or found.kind is not AccountKind.ORGANISATION:
        raise NotFound("This account is no organization.")
    return management.people.members(account, offset=offset, limit=limit)


def _member_object(member: Member) -> dict[str, object]:
    first_name, _, last_name = member.name.partition(" ")
    return {
        "id": member.user,
        "email": member.email or "",
        "first_name": first_name or None,
        "last_name": last_name or None,
        "role": _ROLES[member.role],
    }
