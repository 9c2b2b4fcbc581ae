"""`/settings/keys`: an account's API keys. A key itself is shown once, in the answer to the form that made it.

Members see and change their own keys, and may only make them stricter; admins those of everybody, and the keys
for managing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.keys.types import ApiKey, KeyChange, LimitReset, NewKey
from fairlead.control.people.types import SignedIn
from fairlead.control.workspaces.types import WorkspaceUnknown
from fairlead.core.budgets.types import key_budget
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.web.management import Management
from fairlead.web.pages.form_fields import actor_of, day_end_ms, nano_or_none
from fairlead.web.pages.keys_view import (
    LIMIT_RESETS,
    KeyForm,
    KeyList,
    KeyRow,
    filled_form,
    form_of,
    key_path,
    key_row,
    typed_form,
)
from fairlead.web.pages.paging import PAGE_ROWS, addressed, page_number, paging
from fairlead.web.pages.site import Site
from fairlead.web.pages.workspace_choice import chosen_workspace
from fairlead.web.reading import is_digest

__all__ = ["key_pages"]

_PATH: Final = "/settings/keys"
_MANAGEMENT: Final = "management"
_CONFIRMED: Final = frozenset({"rotate", "delete"})  # asked about before they are done
_FORM_FIELDS: Final = frozenset(KeyForm.__dataclass_fields__)
# As the services name fields, where forms do otherwise.
_FIELD_NAMES: Final = {"expires_at": "expires", "include_byok_in_limit": "with_byok"}


def key_pages(site: Site) -> list[Route]:
    management = site.services.management
    if management is None:
        return []
    desk = _Desk(site, management)
    return [
        Route("/settings/keys", desk.listed, methods=["GET"]),
        Route("/settings/keys", desk.created, methods=["POST"]),
        Route("/settings/keys/new", desk.new),
        Route("/settings/keys/{hash}", desk.shown, methods=["GET"]),
        Route("/settings/keys/{hash}", desk.changed, methods=["POST"]),
        Route("/settings/keys/{hash}/{action}", desk.asked, methods=["GET"]),
        Route("/settings/keys/{hash}/{action}", desk.done, methods=["POST"]),
    ]


class _Desk:
    def __init__(self, site: Site, management: Management) -> None:
        self._site = site
        self._management = management

    # --- looking ---

    async def listed(self, request: Request) -> Response:
        member = await self._site.member(request)
        is_management = request.query_params.get("kind") == _MANAGEMENT
        if is_management and not member.is_admin:
            raise NotFound("There is nothing of that name.")
        number = page_number(request.query_params.get("page"))
        wanted = request.query_params.get("workspace") or ""
        read = partial(self._list, member, wanted, number, is_management=is_management)
        view = await self._management.do(read)
        return await self._site.page(
            request,
            "keys/list.html",
            member,
            title="Management keys" if is_management else "API keys",
            fragment="keys/rows.html",
            member=member,
            view=view,
        )

    async def new(self, request: Request) -> Response:
        member = await self._site.member(request)
        is_management = self._may_make_management(
            member, request.query_params.get("kind") == _MANAGEMENT
        )
        form = KeyForm(
            workspace=request.query_params.get("workspace") or "", is_management=is_management
        )
        return await self._form_page(request, member, form)

    async def shown(self, request: Request) -> Response:
        member = await self._site.member(request)
        key = await self._found(request, member)
        return await self._key_page(request, member, key, form_of(key))

    async def asked(self, request: Request) -> Response:
        """Without scripts: whether one means it."""
        member = await self._site.member(request)
        action = _action(request, _CONFIRMED)
        row = await self._row(member, await self._found(request, member))
        titles = {"rotate": "Rotate this key?", "delete": "Delete this key?"}
        return await self._site.page(
            request, "keys/confirm.html", member, title=titles[action], member=member, key=row,
            action=action,
        )  # fmt: skip

    # --- changing ---

    async def created(self, request: Request) -> Response:
        member, posted = await self._site.posted(request)
        form = filled_form(posted.fields)
        self._may_make_management(member, form.is_management)
        try:
            new = await self._management.do(partial(self._create, request, member, form))
        except RequestInvalid as error:
            return await self._form_page(request, member, _refused(form, error))
        return await self._reveal(request, member, new, is_new=True)

    async def changed(self, request: Request) -> Response:
        member, posted = await self._site.posted(request)
        key = await self._found(request, member)
        form = typed_form(posted.fields, key)
        try:
            await self._management.do(partial(self._change, request, member, key, form))
        except RequestInvalid as error:
            return await self._key_page(request, member, key, _refused(form, error))
        return self._site.go(key_path(key), notice="saved")

    async def done(self, request: Request) -> Response:
        member, _ = await self._site.posted(request)
        key = await self._found(request, member)
        keys, actor = self._management.keys, actor_of(self._site, request, member)
        action = _action(request, {"disable", "enable", *_CONFIRMED})
        account = member.account.id
        if action == "rotate":
            new = await self._management.do(partial(keys.rotate, account, key.id, actor=actor))
            return await self._reveal(request, member, new, is_new=False)
        if action == "delete":
            await self._management.do(partial(keys.delete, account, key.id, actor=actor))
            return self._site.go(_list_path(key), notice="key-deleted")
        change = KeyChange(is_disabled=action == "disable")
        is_member = not member.is_admin
        update = partial(keys.update, account, key.id, change, only_stricter=is_member, actor=actor)
        await self._management.do(update)
        notice = "key-disabled" if action == "disable" else "key-enabled"
        return self._site.go(key_path(key), notice=notice)

    # --- pages ---

    async def _form_page(self, request: Request, member: SignedIn, form: KeyForm) -> Response:
        choose = partial(
            chosen_workspace, self._management.workspaces, member, form.workspace or None
        )
        choice = await self._management.do(choose)
        return await self._site.page(
            request, "keys/new.html", member,
            title="New management key" if form.is_management else "New API key",
            status=422 if form.problems else 200,
            member=member, form=form, workspaces=choice.options,
            workspaces_left_out=choice.left_out, resets=LIMIT_RESETS,
        )  # fmt: skip

    async def _key_page(
        self, request: Request, member: SignedIn, key: ApiKey, form: KeyForm
    ) -> Response:
        row = await self._row(member, key)
        return await self._site.page(
            request, "keys/key.html", member, title=key.name,
            status=422 if form.problems else 200,
            member=member, key=row, form=form, resets=LIMIT_RESETS,
        )  # fmt: skip

    async def _reveal(
        self, request: Request, member: SignedIn, new: NewKey, *, is_new: bool
    ) -> Response:
        """The only page that a key is on."""
        row = await self._row(member, new.key)
        return await self._site.page(
            request, "keys/secret.html", member,
            title="Your new key", status=201 if is_new else 200,
            member=member, key=row, secret=new.secret, is_new=is_new,
            origin=self._site.origin(request),
        )  # fmt: skip

    # --- what is asked of services ---

    async def _found(self, request: Request, member: SignedIn) -> ApiKey:
        """Raises NotFound, also for what is somebody else's."""
        text = request.path_params["hash"]
        nothing = NotFound("This account has no such key.")
        if not is_digest(text):
            raise nothing
        find = partial(self._management.keys.find_by_digest, member.account.id, bytes.fromhex(text))
        key = await self._management.do(find)
        if not member.is_admin and (key.is_management or key.creator != member.user.id):
            raise nothing
        return key

    async def _row(self, member: SignedIn, key: ApiKey) -> KeyRow:
        def read() -> KeyRow:
            try:
                workspace = self._management.workspaces.find(member.account.id, key.workspace)
            except WorkspaceUnknown:  # a key of it may outlive it
                return self._rows(member, [key], "")[0]
            return self._rows(member, [key], workspace.name)[0]

        return await self._management.do(read)

    def _may_make_management(self, member: SignedIn, wanted: bool) -> bool:
        if wanted and not member.is_admin:
            raise NotFound("There is nothing of that name.")
        return wanted

    # What follows is called in the database's threads.

    def _list(self, member: SignedIn, wanted: str, number: int, *, is_management: bool) -> KeyList:
        keys, account = self._management.keys, member.account.id
        choice = chosen_workspace(self._management.workspaces, member, wanted)
        if choice.chosen is None:
            raise NotFound("You work in no workspace of that name.")
        workspace, first = choice.chosen, choice.offered[0]
        bounds = {"offset": (number - 1) * PAGE_ROWS, "limit": PAGE_ROWS + 1}
        if is_management:
            found = keys.page_of_management(account, **bounds)
        else:
            creator = None if member.is_admin else member.user.id
            found = keys.page_of_workspace(
                account, workspace.id, creator=creator, with_disabled=True, **bounds
            )

        def address(page: int) -> str:
            chosen = {
                "kind": _MANAGEMENT if is_management else "",
                "workspace": workspace.id if workspace is not first else "",
                "page": str(page) if page > 1 else "",
            }
            return addressed(_PATH, chosen)

        rows = self._rows(member, found[:PAGE_ROWS], workspace.name)
        return KeyList(
            rows=tuple(rows),
            is_management=is_management,
            may_manage=member.is_admin,
            workspaces=tuple(choice.options),
            workspaces_left_out=choice.left_out,
            workspace=workspace.id,
            pages=paging(number, len(rows), has_more=len(found) > PAGE_ROWS, address=address),
        )

    def _rows(self, member: SignedIn, keys: list[ApiKey], workspace: str) -> list[KeyRow]:
        """workspace: the name of theirs."""
        usages = self._management.usages.of_keys([key.id for key in keys])
        limited = [key_budget(key.id) for key in keys if key.limit is not None]
        standings = self._management.standings.standing(limited) if limited else {}
        makers = self._makers(member, keys)
        now_ms = self._site.now_ms()
        return [
            key_row(
                key,
                usages.get(key.id),
                standings.get(key_budget(key.id)),
                workspace=workspace,
                creator=makers.get(key.creator or "", ""),
                now_ms=now_ms,
            )
            for key in keys
        ]

    def _makers(self, member: SignedIn, keys: list[ApiKey]) -> dict[str, str]:
        """Who made them, where that may be somebody else."""
        others = {key.creator for key in keys if key.creator is not None} - {member.user.id}
        if not others:
            return {}
        found = self._management.people.find_all(others)
        return {user: one.name or one.email or "" for user, one in found.items()}

    def _create(self, request: Request, member: SignedIn, form: KeyForm) -> NewKey:
        choice = chosen_workspace(self._management.workspaces, member, form.workspace)
        if choice.chosen is None:
            raise RequestInvalid("You do not work in that workspace.", param="workspace")
        return self._management.keys.create(
            member.account.id,
            name=form.name,
            is_management=form.is_management,
            limit=nano_or_none(form.limit, "limit"),
            limit_reset=_reset(form.limit_reset),
            includes_byok=form.with_byok,
            expires_ms=day_end_ms(form.expires, "expires") if form.expires else None,
            workspace=choice.chosen.id,
            creator=member.user.id,
            actor=actor_of(self._site, request, member),
        )

    def _change(self, request: Request, member: SignedIn, key: ApiKey, form: KeyForm) -> None:
        change = KeyChange(
            name=form.name,
            limit=nano_or_none(form.limit, "limit"),
            limit_reset=_reset(form.limit_reset),
            includes_byok=form.with_byok,
        )
        if key.is_management:
            change = KeyChange(name=form.name)
        self._management.keys.update(
            member.account.id,
            key.id,
            change,
            only_stricter=not member.is_admin,
            actor=actor_of(self._site, request, member),
        )


def _reset(text: str) -> LimitReset | None:
    if not text:
        return None
    try:
        return LimitReset(text)
    except ValueError:
        raise RequestInvalid("Choose one of these.", param="limit_reset") from None


def _refused(form: KeyForm, error: RequestInvalid) -> KeyForm:
    """With the message at its field."""
    name = _FIELD_NAMES.get(error.param or "", error.param or "")
    return replace(form, problems={name if name in _FORM_FIELDS else "": error.message})


def _action(request: Request, known: set[str] | frozenset[str]) -> str:
    action: str = request.path_params["action"]
    if action not in known:
        raise NotFound("There is nothing of that name.")
    return action


def _list_path(key: ApiKey) -> str:
    return f"{_PATH}?kind={_MANAGEMENT}" if key.is_management else _PATH
