"""`/settings/presets`: named sets of wishes, which calls ask for as `@preset/<name>`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.accounts.service import Accounts
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.web.asking import Desk
from fairlead.web.auth.exchange import Form
from fairlead.web.pages.attempts import Refused, refused
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin
from fairlead.web.pages.settings.preferences import (
    Fields,
    change_preferences,
    put,
    put_list,
    read_preferences,
)
from fairlead.web.pages.settings.routing import SORTS

__all__ = ["preset_pages"]

_PATH = "/settings/presets"
_LISTS: Final = ("order", "only", "ignore")
_SWITCHES: Final = (
    # A field, and whether it is on where nothing is said.
    ("allow_fallbacks", True),
    ("require_parameters", False),
    ("zdr", False),
)
_PRICES: Final = ("prompt", "completion")


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    model: str
    wishes: str


def preset_pages(desk: SettingsDesk) -> list[Route]:
    accounts = desk.site.services.accounts
    if accounts is None:
        return []
    it = _Presets(desk, accounts)
    return [
        Route("/settings/presets", it.listed),
        Route("/settings/presets/new", it.new, methods=["GET", "POST"]),
        Route("/settings/presets/{name}", it.one, methods=["GET", "POST"]),
        Route("/settings/presets/{name}/delete", it.delete, methods=["POST"]),
    ]


class _Presets:
    """A page or a form each."""

    def __init__(self, desk: SettingsDesk, accounts: Desk[Accounts]) -> None:
        self._desk = desk
        self._accounts = accounts
        self._catalog = desk.site.services.catalog

    async def kept(self, member: SignedIn) -> Mapping[str, Any]:
        found = await read_preferences(self._accounts, member.account.id)
        presets = found.fields.get("presets") or {}
        assert isinstance(presets, dict)
        return presets

    async def listed(self, request: Request) -> Response:
        member = await self._desk.site.member(request)
        rows = [_row(name, preset) for name, preset in sorted((await self.kept(member)).items())]
        return await self._desk.page(request, "presets", member, title="Presets", rows=rows)

    async def edit(
        self,
        request: Request,
        member: SignedIn,
        name: str,
        values: Mapping[str, str],
        problem: Refused | None = None,
    ) -> Response:
        """name: of the one that there is; "" for a new one."""
        return await self._desk.page(
            request,
            "preset",
            member,
            title=name or "New preset",
            refused=problem,
            values=values,
            name=name,
            sorts=(("", "As the account has it"), *SORTS[1:]),
            providers=sorted(self._catalog.snapshot.providers),
        )

    async def new(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.save(request, "")
        member = await self._desk.site.member(request)
        return await self.edit(request, member, "", {"allow_fallbacks": "true"})

    async def one(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "POST":
            return await self.save(request, name)
        member = await self._desk.site.member(request)
        presets = await self.kept(member)
        if name not in presets:
            raise NotFound("You have no such preset.")
        return await self.edit(request, member, name, _values(name, presets[name]))

    async def save(self, request: Request, before: str) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        presets = await self.kept(member)
        if before and before not in presets:
            raise NotFound("You have no such preset.")
        name = form.fields.get("name", "").strip()
        problem: Refused | None = None
        if not name:
            problem = refused("A preset has a name.", "name")
        else:
            done = await change_preferences(
                self._accounts,
                self._catalog,
                member.account.id,
                lambda fields: _put(fields, before, name, form),
            )
            problem = None if done is None else _at_fields(done, name)
        if problem is not None:
            return await self.edit(request, member, before, form.fields, problem)
        return self._desk.site.go(_PATH, notice="saved")

    async def delete(self, request: Request) -> Response:
        member, _ = await self._desk.site.posted(request)
        check_admin(member)
        name = request.path_params["name"]
        if name not in await self.kept(member):
            raise NotFound("You have no such preset.")

        def without(fields: Fields) -> None:
            presets = dict(fields.get("presets") or {})
            presets.pop(name, None)
            put(fields, "presets", presets or None)

        await change_preferences(self._accounts, self._catalog, member.account.id, without)
        return self._desk.site.go(_PATH, notice="deleted")


def _put(fields: Fields, before: str, name: str, form: Form) -> None:
    """What a preset holds besides what the form shows stays in it."""
    presets = dict(fields.get("presets") or {})
    if name != before and name in presets:
        raise RequestInvalid("There is another preset of this name.", param="name")
    preset = dict(presets.pop(before, None) or {})
    put(preset, "model", form.fields.get("model", "").strip())
    put_list(preset, "models", form.fields.get("models", ""))
    provider = dict(preset.get("provider") or {})
    for one in _LISTS:
        put_list(provider, one, form.fields.get(one, ""))
    for one, usual in _SWITCHES:
        is_on = form.fields.get(one) == "true"
        put(provider, one, None if is_on == usual else is_on)
    put(provider, "sort", form.fields.get("sort", ""))
    is_denied = form.fields.get("data_collection") == "deny"
    put(provider, "data_collection", "deny" if is_denied else None)
    prices = dict(provider.get("max_price") or {})
    for one in _PRICES:
        put(prices, one, form.fields.get(f"max_{one}", "").strip())
    put(provider, "max_price", prices or None)
    put(preset, "provider", provider or None)
    presets[name] = preset
    fields["presets"] = presets


def _values(name: str, preset: Mapping[str, Any]) -> dict[str, str]:
    provider = preset.get("provider") or {}
    sort = provider.get("sort")
    prices = provider.get("max_price") or {}
    return {
        "name": name,
        "model": preset.get("model") or "",
        "models": "\n".join(preset.get("models") or ()),
        **{one: "\n".join(provider.get(one) or ()) for one in _LISTS},
        **{one: "true" if provider.get(one, usual) else "" for one, usual in _SWITCHES},
        "sort": sort if isinstance(sort, str) else "",
        "data_collection": provider.get("data_collection") or "",
        **{f"max_{one}": str(prices.get(one) or "") for one in _PRICES},
    }


def _row(name: str, preset: Mapping[str, Any]) -> _Row:
    models = [preset["model"]] if preset.get("model") else []
    return _Row(
        name=name,
        model=", ".join([*models, *(preset.get("models") or ())]),
        wishes=", ".join(sorted(preset.get("provider") or {})).replace("_", " "),
    )


def _at_fields(problem: Refused, name: str) -> Refused:
    """From a path into the whole ("presets.fast.provider.max_price.prompt") to a field of the form."""
    found: dict[str, str] = {}
    for path, said in problem.problems.items():
        rest = path.removeprefix(f"presets.{name}").lstrip(".")
        if path.startswith("presets.") and not rest:
            rest = "name"
        rest = rest.removeprefix("provider.").replace("max_price.", "max_")
        found[rest or path] = said
    return Refused(found, problem.status)
