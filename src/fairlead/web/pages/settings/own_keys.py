"""`/settings/byok`: an account's own keys for providers. A key goes in and never comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Final
from uuid import UUID

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.types import Changes, CredentialId, ProviderCredential
from fairlead.control.people.types import SignedIn
from fairlead.control.workspaces.types import Workspace
from fairlead.core.catalog import ProviderInfo
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import ProviderSlug, WorkspaceId
from fairlead.web.asking import Desk
from fairlead.web.auth.exchange import Form
from fairlead.web.pages.attempts import Refused, attempted
from fairlead.web.pages.paging import PAGE_ROWS, addressed, page_number, paging
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin, lines

__all__ = ["own_key_pages"]

_PATH: Final = "/settings/byok"
_WITHOUT_KEYS: Final = ("local", "sandbox")
_ALL_WORKSPACES: Final = "all"
_SECTIONS: Final = (
    ("first", "First, before this installation's own"),
    ("required", "Always, for the models it is for"),
    ("exclusive", "Always, for every model of the provider"),
    ("fallback", "Only if this installation's own fails"),
)
_REGIONS: Final = (("", "Any"), ("eu", "Europe"), ("us", "United States"))
_FIELDS: Final = {
    "allowed_api_key_hashes": "allowed_keys",
    "allowed_user_ids": "allowed_users",
    "workspace_id": "workspace",
    "is_fallback": "section",
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a key of a provider is written. examples: pairs of what it is and the text."""

    hint: str
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    credential: ProviderCredential
    section: str
    workspace: str
    only_for: str


@dataclass(frozen=True, slots=True)
class _Group:
    provider: str
    slug: str
    rows: Sequence[_Row]


def own_key_pages(desk: SettingsDesk) -> list[Route]:
    byok = desk.site.services.byok
    if byok is None:
        return []
    it = _OwnKeys(desk, byok)
    return [
        Route("/settings/byok", it.listed),
        Route("/settings/byok/new", it.new, methods=["GET", "POST"]),
        Route("/settings/byok/{id}", it.one, methods=["GET", "POST"]),
        Route("/settings/byok/{id}/delete", it.delete, methods=["POST"]),
    ]


class _OwnKeys:
    """A page or a form each."""

    def __init__(self, desk: SettingsDesk, byok: Desk[Credentials]) -> None:
        self._desk = desk
        self._byok = byok
        self._service = byok.service
        self._catalog = desk.site.services.catalog

    def provider_named(self, slug: str | None) -> ProviderInfo | None:
        return None if slug is None else _with_keys(self._catalog.snapshot.providers).get(slug)

    async def listed(self, request: Request) -> Response:
        member = await self._desk.site.member(request)
        check_admin(member)
        choice = await self._desk.workspace(member, request.query_params.get("workspace"))
        workspace, workspaces = choice.chosen, choice.offered
        if workspace is None:
            raise NotFound("You have no such workspace.")
        number = page_number(request.query_params.get("page"))
        offset = (number - 1) * PAGE_ROWS
        page = await self._byok.do(
            partial(
                self._service.page,
                member.account.id,
                workspace=workspace.id,
                provider=None,
                offset=offset,
                limit=PAGE_ROWS,
            )
        )

        def address(wanted: int) -> str:
            chosen = {
                "workspace": "" if workspace.is_default else workspace.slug,
                "page": str(wanted) if wanted > 1 else "",
            }
            return addressed(_PATH, chosen)

        has_more = offset + len(page.credentials) < page.total
        return await self._desk.page(
            request,
            "own_keys",
            member,
            title="Your provider keys",
            groups=_groups(page.credentials, self._catalog.snapshot.providers, workspaces),
            pages=paging(
                number,
                len(page.credentials),
                has_more=has_more,
                address=address,
                total=page.total,
            ),
            workspace=workspace,
            workspaces=choice.pages(_PATH),
            workspaces_left_out=choice.left_out,
            terms=self._desk.site.services.terms,
        )

    async def new(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.create(request)
        member = await self._desk.site.member(request)
        check_admin(member)
        query = request.query_params
        info = self.provider_named(query.get("provider"))
        values = {"section": "first", "workspace": query.get("workspace", _ALL_WORKSPACES)}
        return await self.ask(request, member, info, values)

    async def ask(
        self,
        request: Request,
        member: SignedIn,
        info: ProviderInfo | None,
        values: Mapping[str, str],
        problem: Refused | None = None,
    ) -> Response:
        """First for which provider: the form says how its keys are written."""
        wanted = values.get("workspace", _ALL_WORKSPACES)
        is_global = wanted == _ALL_WORKSPACES
        choice = await self._desk.workspace(member, None if is_global else wanted)
        workspace = None if is_global else choice.chosen
        if workspace is None and not is_global and problem is None:
            raise NotFound("You have no such workspace.")
        return await self._desk.page(
            request,
            "own_key_new",
            member,
            title="Add a provider key",
            refused=problem,
            values=values,
            provider=info,
            shape=None if info is None else _shape(info),
            providers=sorted(
                (
                    (one.slug, one.name)
                    for one in _with_keys(self._catalog.snapshot.providers).values()
                ),
                key=lambda one: one[1].lower(),
            ),
            sections=_SECTIONS,
            regions=_REGIONS,
            workspace=_ALL_WORKSPACES if workspace is None else workspace.id,
            workspaces=[(_ALL_WORKSPACES, "All workspaces"), *choice.options],
            workspaces_left_out=choice.left_out,
        )

    async def create(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        info = self.provider_named(form.fields.get("provider"))
        if info is None:
            problem = Refused({"provider": "Choose one of these."})
            return await self.ask(request, member, None, form.fields, problem)
        actor, account = self._desk.actor(request, member), member.account.id
        place = form.fields.get("workspace", _ALL_WORKSPACES)
        is_global = place == _ALL_WORKSPACES

        async def made() -> ProviderCredential:
            wanted = partial(
                self._service.create,
                account,
                provider=info.slug,
                key=form.fields.get("key", ""),
                workspace=None if is_global else WorkspaceId(place),
                is_global=is_global,
                settings=_changes(form),
                actor=actor,
            )
            return await self._byok.do(wanted)

        done = await attempted(made())
        if isinstance(done, Refused):
            return await self.ask(request, member, info, form.fields, done.renamed(_FIELDS))
        return self._desk.site.go(_PATH, notice="saved")

    async def found(self, request: Request, member: SignedIn) -> ProviderCredential:
        return await self._byok.do(partial(self._service.find, member.account.id, _id(request)))

    async def one(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.change(request)
        member = await self._desk.site.member(request)
        check_admin(member)
        credential = await self.found(request, member)
        return await self.edit(request, member, credential, _values(credential))

    async def edit(
        self,
        request: Request,
        member: SignedIn,
        credential: ProviderCredential,
        values: Mapping[str, str],
        problem: Refused | None = None,
    ) -> Response:
        info = self._catalog.snapshot.providers.get(credential.provider)
        return await self._desk.page(
            request,
            "own_key",
            member,
            title=credential.name or credential.label,
            refused=problem,
            values=values,
            credential=credential,
            provider_name=credential.provider if info is None else info.name,
            shape=None if info is None else _shape(info),
            sections=_SECTIONS,
            regions=_REGIONS,
        )

    async def change(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        credential, actor = await self.found(request, member), self._desk.actor(request, member)

        async def changed() -> ProviderCredential:
            wanted = _changes(form, is_disabled=form.fields.get("is_enabled") != "true")
            return await self._byok.do(
                partial(self._service.change, member.account.id, credential.id, wanted, actor=actor)
            )

        done = await attempted(changed())
        if isinstance(done, Refused):
            return await self.edit(request, member, credential, form.fields, done.renamed(_FIELDS))
        return self._desk.site.go(_PATH, notice="saved")

    async def delete(self, request: Request) -> Response:
        member, _ = await self._desk.site.posted(request)
        check_admin(member)
        actor, credential = self._desk.actor(request, member), _id(request)
        await self._byok.do(
            partial(self._service.delete, member.account.id, credential, actor=actor)
        )
        return self._desk.site.go(_PATH, notice="deleted")


def _with_keys(providers: Mapping[ProviderSlug, ProviderInfo]) -> dict[str, ProviderInfo]:
    """Those that want a key."""
    return {slug: info for slug, info in providers.items() if info.kind not in _WITHOUT_KEYS}


def _changes(form: Form, *, is_disabled: bool | UnsetType = UNSET) -> Changes:
    """What the form wants. An empty key: the old one stays. Raises RequestInvalid."""
    fields = form.fields
    section = fields.get("section", "first")
    if section not in dict(_SECTIONS):
        raise RequestInvalid("Choose one of these.", param="section")
    order: int | UnsetType = UNSET
    if text := fields.get("sort_order", "").strip():
        if not (text.isascii() and text.isdigit() and len(text) <= 7):
            raise RequestInvalid("A whole number, 0 or more.", param="sort_order")
        order = int(text)
    key = fields.get("key", "")
    return Changes(
        key=key if key.strip() and is_disabled is not UNSET else UNSET,
        name=fields.get("name", "").strip() or None,
        is_disabled=is_disabled,
        is_fallback=section == "fallback",
        is_required=section == "required",
        is_exclusive=section == "exclusive",
        region=fields.get("region") or None,
        sort_order=order,
        allowed_models=lines(fields.get("allowed_models", "")) or None,
        allowed_key_hashes=lines(fields.get("allowed_keys", "")) or None,
        allowed_users=lines(fields.get("allowed_users", "")) or None,
    )


def _section(credential: ProviderCredential) -> str:
    if credential.is_fallback:
        return "fallback"
    if credential.is_exclusive:
        return "exclusive"
    return "required" if credential.is_required else "first"


def _values(credential: ProviderCredential) -> dict[str, str]:
    return {
        "name": credential.name or "",
        "is_enabled": "" if credential.is_disabled else "true",
        "section": _section(credential),
        "sort_order": str(credential.sort_order),
        "region": credential.region or "",
        "allowed_models": "\n".join(credential.allowed_models or ()),
        "allowed_keys": "\n".join(credential.allowed_key_hashes or ()),
        "allowed_users": "\n".join(credential.allowed_users or ()),
    }


def _groups(
    found: Sequence[ProviderCredential],
    providers: Mapping[ProviderSlug, ProviderInfo],
    workspaces: Sequence[Workspace],
) -> list[_Group]:
    """As they come: by provider, then in the order of trying."""
    names = {one.id: one.name for one in workspaces}

    def row(one: ProviderCredential) -> _Row:
        bounds = (
            (one.allowed_models, "model"), (one.allowed_key_hashes, "key"), (one.allowed_users, "person"),
        )  # fmt: skip
        only_for = ", ".join(
            f"{len(some)} {word if len(some) == 1 else _MANY[word]}"
            for some, word in bounds
            if some
        )
        place = "All" if one.workspace is None else names.get(one.workspace, "Another")
        return _Row(one, dict(_SECTIONS)[_section(one)], place, only_for)

    return [
        _Group(
            provider=providers[slug].name if slug in providers else slug,
            slug=slug,
            rows=[row(one) for one in some],
        )
        for slug, some in groupby(found, key=lambda one: one.provider)
    ]


_MANY: Final = {"model": "models", "key": "keys", "person": "people"}


def _shape(info: ProviderInfo) -> _Shape:
    """As `core.own_keys` reads it."""
    if info.auth_type == "gcp-oauth":
        return _Shape(
            "The JSON of a service account, with a region if you want one other than global.",
            (("Service account", _SERVICE_ACCOUNT),),
        )
    if info.auth_type == "aws-sigv4":
        return _Shape(
            "An API key for the region us-east-1, or JSON that names the region.",
            (("API key for a region", _REGION_KEY), ("Access key", _ACCESS_KEY)),
        )
    if "{resource}" in info.base_url:
        return _Shape(
            "JSON: resources, deployments, or both. Deployments are tried first.",
            (("Resources", _RESOURCES), ("A deployment of one model", _DEPLOYMENT)),
        )
    blanks = [part.partition("}")[0] for part in info.base_url.split("{")[1:]]
    if blanks:
        inner = "".join(f',\n  "{name}": "..."' for name in blanks)
        return _Shape("JSON with the key and what else its address needs.",
                      (("Key", f'{{\n  "api_key": "..."{inner}\n}}'),))  # fmt: skip
    return _Shape("As the provider shows it, in one line.")


_RESOURCES: Final = """\
[
  {
    "api_key": "...",
    "resource_name": "my-resource",
    "resource_type": "openai"
  }
]"""
_DEPLOYMENT: Final = """\
[
  {
    "model_slug": "openai/gpt-4o",
    "endpoint_url": "https://my-resource.openai.azure.com/openai/deployments/my-gpt-4o/chat/completions",
    "api_key": "...",
    "model_id": "my-gpt-4o"
  }
]"""
_REGION_KEY: Final = """\
{
  "api_key": "...",
  "region": "eu-central-1"
}"""
_ACCESS_KEY: Final = """\
{
  "accessKeyId": "...",
  "secretAccessKey": "...",
  "region": "eu-central-1"
}"""
_SERVICE_ACCOUNT: Final = """\
{
  "type": "service_account",
  "project_id": "my-project",
  "private_key_id": "...",
  "private_key": "-----BEGIN PRIVATE KEY-----\\n...\\n-----END PRIVATE KEY-----\\n",
  "client_email": "gateway@my-project.iam.gserviceaccount.com",
  "region": "europe-west1"
}"""


def _id(request: Request) -> CredentialId:
    """One that is no UUID is one that nobody has."""
    try:
        return CredentialId(str(UUID(request.path_params["id"])))
    except ValueError:
        raise NotFound("This account has no such credential.") from None
