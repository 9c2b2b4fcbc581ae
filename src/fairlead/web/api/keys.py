"""`/keys`: an account's API keys. A key itself is in one answer, that to its creation.

A management key sees those of all people in the account, in one workspace at a time. Keys for managing are not
among them: those are made at the command line, and belong to the whole account.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from fairlead.control.keys.types import ApiKey, KeyChange, LimitReset
from fairlead.control.usage.types import KeyUsage
from fairlead.core.budgets.types import key_budget
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import UserId
from fairlead.core.money import NanoUSD, usd
from fairlead.web.answers import answer, timestamp, timestamp_or_none
from fairlead.web.doors import Requester
from fairlead.web.management import Management
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.reading import Moment, nano_dollars, utc_ms

__all__ = ["key_object", "key_operations", "limit_fields", "usage_fields"]

PAGE_KEYS: Final = 100
MEMBERS_PAGE: Final = 100

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_NO_USAGE: Final = KeyUsage()


class _New(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1)]
    limit: float | None = None
    limit_reset: LimitReset | None = None
    include_byok_in_limit: bool = False
    expires_at: Moment | None = None
    workspace_id: UUID | UnsetType = UNSET
    creator_user_id: Annotated[str, Meta(min_length=1)] | None = None


class _Changed(msgspec.Struct, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    limit: float | UnsetType | None = UNSET
    limit_reset: LimitReset | UnsetType | None = UNSET
    include_byok_in_limit: bool | UnsetType = UNSET


def key_operations(management: Management) -> list[Operation]:
    api = _Keys(management)
    return [
        Operation("GET", "/keys", api.listed, Who.PEOPLE_ELSE_401),
        Operation("POST", "/keys", api.created, Who.PEOPLE_ELSE_403, body=_New),
        Operation("GET", "/keys/{hash}", api.found, Who.PEOPLE_ELSE_401),
        Operation("PATCH", "/keys/{hash}", api.changed, Who.PEOPLE_ELSE_401, body=_Changed),
        Operation("DELETE", "/keys/{hash}", api.deleted, Who.PEOPLE_ELSE_401),
    ]


class _Keys:
    def __init__(self, management: Management) -> None:
        self._management = management

    async def listed(self, asked: Asked) -> Response:
        requester, wanted = asked.requester, asked.workspace()
        with_disabled, page = asked.flag("include_disabled"), asked.page(limit_default=PAGE_KEYS)

        def listed() -> list[dict[str, object]]:
            workspace = self._management.place(requester.account, wanted)
            keys = self._management.keys.page_of_workspace(
                requester.account,
                workspace,
                creator=_only_theirs(requester),
                with_disabled=with_disabled,
                offset=page.offset,
                limit=page.limit,
            )
            return self._shown(keys)

        return answer({"data": await self._management.do(listed)})

    async def created(self, asked: Asked) -> Response:
        requester, wanted = asked.requester, await asked.body(_New)
        if not requester.may_manage and wanted.creator_user_id not in (None, requester.user):
            raise RequestInvalid("This is not you.", param="creator_user_id")
        limit = None if wanted.limit is None else nano_dollars(wanted.limit, "limit")
        expires_ms = None if wanted.expires_at is None else utc_ms(wanted.expires_at, "expires_at")
        workspace = None if wanted.workspace_id is UNSET else str(wanted.workspace_id)

        def created() -> dict[str, object]:
            new = self._management.keys.create(
                requester.account,
                name=wanted.name,
                limit=limit,
                limit_reset=wanted.limit_reset,
                includes_byok=wanted.include_byok_in_limit,
                expires_ms=expires_ms,
                workspace=self._management.own_place(
                    requester.account,
                    workspace,
                    user=requester.user,
                    may_manage=requester.may_manage,
                ),
                creator=self._creator(requester, wanted.creator_user_id),
                actor=requester.actor,
            )
            return {"data": self._shown([new.key])[0], "key": new.secret}

        return answer(await self._management.do(created), status=201)

    async def found(self, asked: Asked) -> Response:
        requester, digest = asked.requester, _digest(asked)

        def found() -> dict[str, object]:
            return self._shown([self._find(requester, digest)])[0]

        return answer({"data": await self._management.do(found)})

    async def changed(self, asked: Asked) -> Response:
        requester, digest, wanted = asked.requester, _digest(asked), await asked.body(_Changed)
        limit = wanted.limit
        change = KeyChange(
            name=wanted.name,
            is_disabled=wanted.disabled,
            limit=nano_dollars(limit, "limit") if isinstance(limit, float) else limit,
            limit_reset=wanted.limit_reset,
            includes_byok=wanted.include_byok_in_limit,
        )

        def changed() -> dict[str, object]:
            key = self._find(requester, digest)
            after = self._management.keys.update(
                requester.account,
                key.id,
                change,
                only_stricter=not requester.may_manage,
                actor=requester.actor,
            )
            return self._shown([after])[0]

        return answer({"data": await self._management.do(changed)})

    async def deleted(self, asked: Asked) -> Response:
        requester, digest = asked.requester, _digest(asked)

        def deleted() -> None:
            key = self._find(requester, digest)
            self._management.keys.delete(requester.account, key.id, actor=requester.actor)

        await self._management.do(deleted)
        return answer({"deleted": True})

    # What follows is called in the database's threads.

    def _shown(self, keys: Sequence[ApiKey]) -> list[dict[str, object]]:
        usages = self._management.usages.of_keys([key.id for key in keys])
        limited = [key_budget(key.id) for key in keys if key.limit is not None]
        standings = self._management.standings.standing(limited) if limited else {}
        return [
            key_object(
                key,
                usages.get(key.id, _NO_USAGE),
                spent=standing.spent if (standing := standings.get(key_budget(key.id))) else None,
            )
            for key in keys
        ]

    def _find(self, requester: Requester, digest: bytes) -> ApiKey:
        key = self._management.keys.find_by_digest(requester.account, digest)
        is_theirs = requester.may_manage or key.creator == requester.user
        if key.is_management or not is_theirs:
            raise NotFound("This account has no such key.")
        return key

    def _creator(self, requester: Requester, wanted: str | None) -> UserId | None:
        """Somebody who belongs to the account; None wanted: who asks."""
        if wanted is None or wanted == requester.user:
            return requester.user
        for offset in range(0, MEMBERS_PAGE * MEMBERS_PAGE, MEMBERS_PAGE):
            members, total = self._management.people.members(
                requester.account, offset=offset, limit=MEMBERS_PAGE
            )
            if any(member.user == wanted for member in members):
                return UserId(wanted)
            if offset + MEMBERS_PAGE >= total:
                break
        raise RequestInvalid(
            "`creator_user_id` is somebody who belongs to this account.", param="creator_user_id"
        )


def key_object(key: ApiKey, usage: KeyUsage, *, spent: NanoUSD | None = None) -> dict[str, object]:
    """A key as the public API shows it. spent: under its limit; None: as its usage says. Pure."""
    return {
        "hash": key.digest.hex(),
        "label": key.label,
        "name": key.name,
        "disabled": key.is_disabled or key.revoked_ms is not None,
        **limit_fields(key, usage, spent=spent),
        **usage_fields(usage),
        "created_at": timestamp(key.created_ms),
        "updated_at": timestamp_or_none(key.updated_ms),
        "expires_at": timestamp_or_none(key.expires_ms),
        "last_used_at": timestamp_or_none(usage.last_used_ms),
        "creator_user_id": key.creator,
        "workspace_id": key.workspace,
        "app_id": key.app_id or None,
        "external_user": None,
    }


def limit_fields(key: ApiKey, usage: KeyUsage, *, spent: NanoUSD | None) -> dict[str, object]:
    limit = key.limit
    if limit is None:
        remaining = None
    else:
        counted = spent_under_limit(key, usage) if spent is None else spent
        remaining = usd(NanoUSD(max(0, limit - counted)))
    return {
        "limit": None if limit is None else usd(limit),
        "limit_remaining": remaining,
        "limit_reset": None if key.limit_reset is None else key.limit_reset.value,
        "include_byok_in_limit": key.includes_byok,
    }


def spent_under_limit(key: ApiKey, usage: KeyUsage) -> NanoUSD:
    """What counts in the current span of its limit."""
    span = {
        None: usage.total,
        LimitReset.DAILY: usage.daily,
        LimitReset.WEEKLY: usage.weekly,
        LimitReset.MONTHLY: usage.monthly,
    }[key.limit_reset]
    return NanoUSD(span.cost + (span.byok if key.includes_byok else 0))


def usage_fields(usage: KeyUsage) -> dict[str, object]:
    return {
        "usage": usd(usage.total.cost),
        "usage_daily": usd(usage.daily.cost),
        "usage_weekly": usd(usage.weekly.cost),
        "usage_monthly": usd(usage.monthly.cost),
        "byok_usage": usd(usage.total.byok),
        "byok_usage_daily": usd(usage.daily.byok),
        "byok_usage_weekly": usd(usage.weekly.byok),
        "byok_usage_monthly": usd(usage.monthly.byok),
    }


def _only_theirs(requester: Requester) -> UserId | None:
    """None: everybody's."""
    return None if requester.may_manage else requester.user


def _digest(asked: Asked) -> bytes:
    text = asked.segment("hash")
    if _HASH.fullmatch(text) is None:
        raise NotFound(
            "This account has no such key. Its hash is 64 lower-case hexadecimal digits."
        )
    return bytes.fromhex(text)
