"""`/settings/presets`: named parts of requests of a workspace, which calls ask for as `@preset/<slug>`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.audit.types import Actor
from fairlead.control.people.types import SignedIn
from fairlead.control.presets.types import KeptPreset, PresetPlace, PresetVersion
from fairlead.control.workspaces.types import Workspace
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.presets import PresetDraft, PresetStatus
from fairlead.web.pages.attempts import Refused, attempted
from fairlead.web.pages.builder_form import EFFORTS
from fairlead.web.pages.paging import PAGE_ROWS, Paging, addressed, page_number, paging
from fairlead.web.pages.settings.desk import SettingsDesk
from fairlead.web.pages.settings.preset_form import (
    FORM_FIELDS,
    draft_in,
    refusal_at,
    values_of,
)
from fairlead.web.pages.settings.routing import SORTS

__all__ = ["preset_pages"]

_PATH: Final = "/settings/presets"
FORM_BYTES_MAX: Final = 512 * 1024  # a long prompt and long tools, as browsers write them
_NEW: Final = PresetDraft(None, "{}")
_EFFORTS: Final = (("", "As the model has it"), *EFFORTS[1:])
_CACHES: Final = (("", "Not said"), ("on", "On"), ("off", "Off"))
_TONES: Final = {PresetStatus.ACTIVE: "success", PresetStatus.DISABLED: "warning"}


@dataclass(frozen=True, slots=True)
class _Row:
    preset: KeptPreset
    href: str
    models: str
    tone: str


@dataclass(frozen=True, slots=True)
class _Version:
    version: PresetVersion
    config: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks, and where. query: what addresses of that workspace end with.

    workspaces: (id, name, address) of each that may be chosen; left_out: how many more there are.
    """

    member: SignedIn
    actor: Actor
    workspace: Workspace
    workspaces: Sequence[tuple[str, str, str]]
    workspaces_left_out: int

    @property
    def place(self) -> PresetPlace:
        return PresetPlace(self.member.account.id, self.workspace.id)

    @property
    def query(self) -> str:
        return "" if self.workspace.is_default else f"?workspace={quote(self.workspace.slug)}"

    def address(self, slug: str = "", action: str = "") -> str:
        return self._path(slug, action) + self.query

    def paging(self, number: int, rows: int, total: int, *, slug: str = "") -> Paging:
        """Of the list, or of one preset's versions."""
        workspace = "" if self.workspace.is_default else self.workspace.slug

        def address(wanted: int) -> str:
            page = str(wanted) if wanted > 1 else ""
            return addressed(self._path(slug), {"workspace": workspace, "page": page})

        has_more = (number - 1) * PAGE_ROWS + rows < total
        return paging(number, rows, has_more=has_more, address=address, total=total)

    def _path(self, *parts: str) -> str:
        return "/".join((_PATH, *(quote(part, safe="") for part in parts if part)))


def preset_pages(desk: SettingsDesk) -> list[Route]:
    it = _Presets(desk)
    return [
        Route("/settings/presets", it.listed),
        Route("/settings/presets/new", it.new, methods=["GET", "POST"]),
        Route("/settings/presets/{name}", it.one, methods=["GET", "POST"]),
        Route("/settings/presets/{name}/designate", it.designate, methods=["POST"]),
        Route("/settings/presets/{name}/status", it.status, methods=["POST"]),
        Route("/settings/presets/{name}/delete", it.delete, methods=["POST"]),
    ]


class _Presets:
    """A page or a form each. Whoever works in a workspace may change its presets, as their keys may."""

    def __init__(self, desk: SettingsDesk) -> None:
        self._desk = desk
        self._do = desk.management.do
        self._presets = desk.management.presets

    # What there is.

    async def listed(self, request: Request) -> Response:
        asked = await self.asked(request, await self._desk.site.member(request))
        number = page_number(request.query_params.get("page"))
        offset = (number - 1) * PAGE_ROWS
        page = await self._do(
            partial(self._presets.page, asked.place, offset=offset, limit=PAGE_ROWS)
        )
        return await self._desk.page(
            request,
            "presets",
            asked.member,
            title="Presets",
            rows=[_row(one, asked) for one in page.presets],
            asked=asked,
            pages=asked.paging(number, len(page.presets), page.total),
        )

    async def new(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.make(request)
        asked = await self.asked(request, await self._desk.site.member(request))
        return await self.edit(request, asked, None, values_of(_NEW))

    async def one(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.change(request)
        asked = await self.asked(request, await self._desk.site.member(request))
        found = await self.found(request, asked)
        said = {"title": found.name, "description": found.description or ""}
        return await self.edit(request, asked, found, {**values_of(_draft(found)), **said})

    async def edit(
        self,
        request: Request,
        asked: _Asked,
        preset: KeptPreset | None,
        values: Mapping[str, str],
        problem: Refused | None = None,
    ) -> Response:
        """preset: None: a new one."""
        about: dict[str, Any] = {}
        if preset is not None:
            about = await self.about(request, asked, preset)
        return await self._desk.page(
            request,
            "preset",
            asked.member,
            title=preset.name if preset else "New preset",
            refused=problem,
            values=values,
            preset=preset,
            asked=asked,
            named=FORM_FIELDS,
            sorts=(("", "As the account has it"), *SORTS[1:]),
            efforts=_EFFORTS,
            caches=_CACHES,
            **about,
        )

    async def about(self, request: Request, asked: _Asked, preset: KeptPreset) -> dict[str, Any]:
        """Its versions, the newest first, and how it is called."""
        number = page_number(request.query_params.get("page"))
        offset = (number - 1) * PAGE_ROWS
        page = await self._do(
            partial(
                self._presets.versions,
                asked.place,
                preset.slug,
                offset=offset,
                limit=PAGE_ROWS,
                is_newest_first=True,
            )
        )
        return {
            "versions": [
                _Version(
                    one,
                    msgspec.json.format(one.config, indent=2),
                    one.id == preset.designated.id,
                )
                for one in page.versions
            ],
            "pages": asked.paging(number, len(page.versions), page.total, slug=preset.slug),
            "snippet": _snippet(self._desk.site.origin(request), preset.slug),
        }

    # What is done to it.

    async def make(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request, bytes_max=FORM_BYTES_MAX)
        asked, fields = await self.asked(request, member), form.fields
        slug = fields.get("name", "").strip()
        try:
            draft = draft_in(fields, None)
        except RequestInvalid as error:
            return await self.edit(request, asked, None, fields, refusal_at(error))
        done = await attempted(
            self._do(
                partial(
                    self._presets.create,
                    asked.place,
                    slug,
                    draft,
                    name=fields.get("title", "").strip() or slug,
                    description=fields.get("description", ""),
                    creator=member.user.id,
                    actor=asked.actor,
                )
            )
        )
        if isinstance(done, Refused):
            named = done.renamed({"slug": "name", "": "name", "name": "title"})
            return await self.edit(request, asked, None, fields, named)
        return self._desk.site.go(asked.address(done.slug), notice="saved")

    async def change(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request, bytes_max=FORM_BYTES_MAX)
        asked, fields = await self.asked(request, member), form.fields
        found = await self.found(request, asked)
        try:
            draft = draft_in(fields, _draft(found))
        except RequestInvalid as error:
            return await self.edit(request, asked, found, fields, refusal_at(error))
        done = await attempted(
            self._do(
                partial(
                    self._presets.change,
                    asked.place,
                    found.slug,
                    draft,
                    name=fields.get("title", "").strip() or found.slug,
                    description=fields.get("description", ""),
                    creator=member.user.id,
                    actor=asked.actor,
                )
            )
        )
        if isinstance(done, Refused):
            named = done.renamed({"name": "title"})
            return await self.edit(request, asked, found, fields, named)
        return self._desk.site.go(asked.address(found.slug), notice="saved")

    async def designate(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        asked = await self.asked(request, member)
        found, number = await self.found(request, asked), page_number(form.fields.get("version"))
        await self._do(
            partial(self._presets.designate, asked.place, found.slug, number, actor=asked.actor)
        )
        return self._desk.site.go(asked.address(found.slug), notice="saved")

    async def status(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        asked = await self.asked(request, member)
        found = await self.found(request, asked)
        try:
            status = PresetStatus(form.fields.get("status", ""))
        except ValueError:
            raise RequestInvalid("A preset has no such status.", param="status") from None
        await self._do(
            partial(self._presets.set_status, asked.place, found.slug, status, actor=asked.actor)
        )
        return self._desk.site.go(asked.address(found.slug), notice="saved")

    async def delete(self, request: Request) -> Response:
        member, _ = await self._desk.site.posted(request)
        asked = await self.asked(request, member)
        found = await self.found(request, asked)
        await self._do(partial(self._presets.delete, asked.place, found.slug, actor=asked.actor))
        return self._desk.site.go(asked.address(), notice="deleted")

    # Who asks, and for what.

    async def asked(self, request: Request, member: SignedIn) -> _Asked:
        """Raises NotFound for a workspace that they do not work in."""
        choice = await self._desk.workspace(member, request.query_params.get("workspace"))
        if choice.chosen is None:
            raise NotFound("You have no such workspace.")
        actor = self._desk.actor(request, member)
        return _Asked(member, actor, choice.chosen, choice.pages(_PATH), choice.left_out)

    async def found(self, request: Request, asked: _Asked) -> KeptPreset:
        """The one in the path. Raises NotFound."""
        return await self._do(partial(self._presets.find, asked.place, request.path_params["name"]))


def _draft(preset: KeptPreset) -> PresetDraft:
    return PresetDraft(preset.designated.system_prompt, preset.designated.config)


def _row(preset: KeptPreset, asked: _Asked) -> _Row:
    config = msgspec.json.decode(preset.designated.config)
    models = [config["model"]] if config.get("model") else []
    return _Row(
        preset=preset,
        href=asked.address(preset.slug),
        models=", ".join([*models, *(config.get("models") or ())]),
        tone=_TONES.get(preset.status, ""),
    )


def _snippet(origin: str, slug: str) -> str:
    return (
        f"curl {origin}/api/v1/chat/completions \\\n"
        '  -H "Authorization: Bearer $FAIRLEAD_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"""  -d '{{"model": "@preset/{slug}", "messages": [{{"role": "user", "content": "Hello"}}]}}'"""
    )
