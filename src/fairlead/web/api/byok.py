"""`/byok`: an account's own credentials for providers. Keys go in and never come out.

Management keys only. What the public document lacks and newer clients send is taken as well: `is_required`,
`is_byok_only`, `declared_region`; and `workspace_id: null` on creation stands for all workspaces.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.audit.types import Actor
from fairlead.control.credentials.types import Changes, CredentialId, ProviderCredential
from fairlead.core.errors import NotFound, PayloadTooLarge, PermissionDenied, RequestInvalid
from fairlead.core.ids import WorkspaceId
from fairlead.web.answers import answer
from fairlead.web.doors import peer_address
from fairlead.web.reading import check_keepable, is_keepable
from fairlead.web.services import Byok, Caller, WebServices

__all__ = ["byok_object", "byok_routes"]

BODY_BYTES_MAX: Final = 128 * 1024  # the longest key in JSON's escapes, and its filters
PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 100
OFFSET_MAX: Final = 1_000_000
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
    workspace_id: str | UnsetType | None = UNSET


class _Changed(_Wanted, frozen=True, kw_only=True):
    key: str | UnsetType = UNSET


_read_new: Final = msgspec.json.Decoder(_New).decode
_read_changed: Final = msgspec.json.Decoder(_Changed).decode


def byok_routes(services: WebServices) -> list[Route]:
    if services.byok is None:
        return []
    api = _ByokApi(services, services.byok)
    return [
        Route("/byok", api.listed),
        Route("/byok", api.created, methods=["POST"]),
        Route("/byok/{id}", api.found),
        Route("/byok/{id}", api.changed, methods=["PATCH"]),
        Route("/byok/{id}", api.deleted, methods=["DELETE"]),
    ]


class _ByokApi:
    def __init__(self, services: WebServices, byok: Byok) -> None:
        self._services = services
        self._byok = byok

    async def listed(self, request: Request) -> Response:
        account = (await self._manager(request)).account
        query = request.query_params
        workspace = query.get("workspace_id")
        page = await self._byok.page(
            account,
            workspace=None if workspace is None else _workspace(workspace),
            provider=_provider(query.get("provider")),
            offset=_number(query.get("offset"), "offset", default=0, least=0, most=OFFSET_MAX),
            limit=_number(
                query.get("limit"), "limit", default=PAGE_DEFAULT, least=1, most=PAGE_MAX
            ),
        )
        found = [byok_object(one) for one in page.credentials]
        return answer({"data": found, "total_count": page.total})

    async def created(self, request: Request) -> Response:
        caller = await self._manager(request)
        wanted = _decoded(_read_new, await _body(request))
        place = wanted.workspace_id
        made = await self._byok.create(
            caller.account,
            provider=wanted.provider,
            key=wanted.key,
            workspace=_workspace(place) if isinstance(place, str) else None,
            is_global=place is None,
            settings=wanted.changes(),
            actor=_actor(caller, request),
        )
        response = answer({"data": byok_object(made)})
        response.status_code = 201
        return response

    async def found(self, request: Request) -> Response:
        account = (await self._manager(request)).account
        return answer({"data": byok_object(await self._byok.find(account, _id(request)))})

    async def changed(self, request: Request) -> Response:
        caller = await self._manager(request)
        wanted = _decoded(_read_changed, await _body(request))
        after = await self._byok.change(
            caller.account,
            _id(request),
            wanted.changes(wanted.key),
            actor=_actor(caller, request),
        )
        return answer({"data": byok_object(after)})

    async def deleted(self, request: Request) -> Response:
        caller = await self._manager(request)
        await self._byok.delete(caller.account, _id(request), actor=_actor(caller, request))
        return answer({"deleted": True})

    async def _manager(self, request: Request) -> Caller:
        caller = await self._services.keys.authenticate(request.headers.get("authorization"))
        if not caller.is_management:
            raise PermissionDenied("Only management keys can perform this operation.")
        return caller


def byok_object(credential: ProviderCredential) -> dict[str, object]:
    """The credential as the public API shows it; the second half is what official clients ask for besides."""
    created = datetime.fromtimestamp(credential.created_ms / 1000, UTC)
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
        "created_at": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "declared_region": _REGION_NAMES[credential.region],
        "declared_zdr": None,
        "is_byok_only": credential.is_exclusive,
        "is_required": credential.is_required,
    }


def _id(request: Request) -> CredentialId:
    """One that is no UUID is one that nobody has."""
    text = request.path_params["id"]
    try:
        return CredentialId(str(UUID(text)))
    except ValueError:
        raise NotFound("This account has no such credential.") from None


def _workspace(text: str) -> WorkspaceId:
    try:
        return WorkspaceId(str(UUID(text)))
    except ValueError:
        raise RequestInvalid("`workspace_id` is no UUID.", param="workspace_id") from None


def _actor(caller: Caller, request: Request) -> Actor:
    return Actor.key(caller.key, peer_address(request))


def _provider(text: str | None) -> str | None:
    if text is not None and not is_keepable(text):
        raise RequestInvalid("`provider` has characters that no text has.", param="provider")
    return text


def _number(text: str | None, name: str, *, default: int, least: int, most: int) -> int:
    if text is None or text in ("", "null"):
        return default
    if text.isascii() and text.isdigit() and least <= (number := int(text[:20])) <= most:
        return number
    raise RequestInvalid(f"`{name}` must be a whole number from {least} to {most}.", param=name)


def _decoded(read: Any, body: bytes) -> Any:  # noqa: ANN401 - either of the two
    try:
        check_keepable(body)
        return read(body)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        path = where.removesuffix("`").lstrip(".")
        raise RequestInvalid(f"{what}.", param=path or None) from None
    except (msgspec.DecodeError, RecursionError):
        raise RequestInvalid("The body is not valid JSON.") from None


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise PayloadTooLarge(f"A credential's body has at most {BODY_BYTES_MAX} bytes.")
    return bytes(body)
