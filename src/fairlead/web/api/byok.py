"""`/byok`: an account's own credentials for providers. Keys go in and never come out.

For management keys, and admins who are signed in. What the public document lacks and newer clients send is
taken as well: `is_required`, `is_byok_only`, `declared_region`; and `workspace_id: null` on creation stands for
all workspaces.
"""

from __future__ import annotations

from functools import partial
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.types import Changes, CredentialId, ProviderCredential
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import WorkspaceId
from fairlead.web.answers import answer, timestamp
from fairlead.web.asking import Desk
from fairlead.web.operations import Asked, Operation, Who

__all__ = ["byok_object", "byok_operations"]

BODY_BYTES_MAX: Final = 128 * 1024  # the longest key in JSON's escapes, and its filters
_REGIONS: Final = {"europe": "eu", "us": "us", "global": None, None: None}
_REGION_NAMES: Final = {"eu": "europe", "us": "us", None: None}


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What both bodies may hold; absent: stays, or the default."""

    name: str | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET
    is_fallback: bool | UnsetType = UNSET
    is_required: bool | UnsetType = UNSET
    is_byok_only: bool | UnsetType = UNSET
    declared_region: Literal["global", "europe", "us"] | UnsetType | None = UNSET
    declared_zdr: bool | UnsetType | None = UNSET
    sort_order: int | UnsetType = UNSET
    allowed_models: tuple[str, ...] | UnsetType | None = UNSET
    allowed_api_key_hashes: tuple[str, ...] | UnsetType | None = UNSET
    allowed_user_ids: tuple[str, ...] | UnsetType | None = UNSET

    def changes(self, key: str | UnsetType = UNSET) -> Changes:
        if isinstance(self.declared_zdr, bool):
            raise RequestInvalid(
                "`declared_zdr` cannot be set here: the catalogue's policy of the provider holds.",
                param="declared_zdr",
            )
        region = self.declared_region
        return Changes(
            key=key,
            name=self.name,
            is_disabled=self.disabled,
            is_fallback=self.is_fallback,
            is_required=self.is_required,
            is_exclusive=self.is_byok_only,
            region=UNSET if region is UNSET else _REGIONS[region],
            sort_order=self.sort_order,
            allowed_models=self.allowed_models,
            allowed_key_hashes=self.allowed_api_key_hashes,
            allowed_users=self.allowed_user_ids,
        )


class _New(_Wanted, frozen=True, kw_only=True):
    provider: str
    key: str
    workspace_id: UUID | UnsetType | None = UNSET


class _Changed(_Wanted, frozen=True, kw_only=True):
    key: str | UnsetType = UNSET


def byok_operations(byok: Desk[Credentials] | None) -> list[Operation]:
    if byok is None:
        return []
    api = _Byok(byok)
    return [
        Operation("GET", "/byok", api.listed, Who.MANAGER_ELSE_401),
        Operation("POST", "/byok", api.created, Who.MANAGER_ELSE_403, body=_New),
        Operation("GET", "/byok/{id}", api.found, Who.MANAGER_ELSE_401),
        Operation("PATCH", "/byok/{id}", api.changed, Who.MANAGER_ELSE_401, body=_Changed),
        Operation("DELETE", "/byok/{id}", api.deleted, Who.MANAGER_ELSE_401),
    ]


class _Byok:
    def __init__(self, desk: Desk[Credentials]) -> None:
        self._do = desk.do
        self._credentials = desk.service

    async def listed(self, asked: Asked) -> Response:
        wanted = asked.page()
        page = await self._do(
            partial(
                self._credentials.page,
                asked.requester.account,
                workspace=asked.workspace(),
                provider=asked.parameter("provider"),
                offset=wanted.offset,
                limit=wanted.limit,
            )
        )
        found = [byok_object(one) for one in page.credentials]
        return answer({"data": found, "total_count": page.total})

    async def created(self, asked: Asked) -> Response:
        requester = asked.requester
        wanted = await asked.body(_New, bytes_max=BODY_BYTES_MAX)
        place = wanted.workspace_id
        made = await self._do(
            partial(
                self._credentials.create,
                requester.account,
                provider=wanted.provider,
                key=wanted.key,
                workspace=WorkspaceId(str(place)) if isinstance(place, UUID) else None,
                is_global=place is None,
                settings=wanted.changes(),
                actor=requester.actor,
            )
        )
        return answer({"data": byok_object(made)}, status=201)

    async def found(self, asked: Asked) -> Response:
        account, credential = asked.requester.account, _id(asked)
        found = await self._do(partial(self._credentials.find, account, credential))
        return answer({"data": byok_object(found)})

    async def changed(self, asked: Asked) -> Response:
        requester = asked.requester
        wanted = await asked.body(_Changed, bytes_max=BODY_BYTES_MAX)
        after = await self._do(
            partial(
                self._credentials.change,
                requester.account,
                _id(asked),
                wanted.changes(wanted.key),
                actor=requester.actor,
            )
        )
        return answer({"data": byok_object(after)})

    async def deleted(self, asked: Asked) -> Response:
        requester, credential = asked.requester, _id(asked)
        await self._do(
            partial(self._credentials.delete, requester.account, credential, actor=requester.actor)
        )
        return answer({"deleted": True})


def byok_object(credential: ProviderCredential) -> dict[str, object]:
    """The credential as the public API shows it; the second half is what official clients ask for besides."""
    return {
        "id": credential.id,
        "provider": credential.provider,
        "workspace_id": credential.workspace,
        "label": credential.label,
        "name": credential.name,
        "disabled": credential.is_disabled,
        "is_fallback": credential.is_fallback,
        "allowed_models": credential.allowed_models,
        "allowed_api_key_hashes": credential.allowed_key_hashes,
        "allowed_user_ids": credential.allowed_users,
        "sort_order": credential.sort_order,
        "created_at": timestamp(credential.created_ms),
        "declared_region": _REGION_NAMES[credential.region],
        "declared_zdr": None,
        "is_byok_only": credential.is_exclusive,
        "is_required": credential.is_required,
    }


def _id(asked: Asked) -> CredentialId:
    """One that is no UUID is one that nobody has."""
    try:
        return CredentialId(str(UUID(asked.segment("id"))))
    except ValueError:
        raise NotFound("This account has no such credential.") from None
