"""`/settings/routing`: who may serve an account's calls, and in which order they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.types import SignedIn
from fairlead.core.routing.preferences import Sort
from fairlead.web.pages.attempts import Refused
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin
from fairlead.web.pages.settings.preferences import (
    Fields,
    Preferences,
    change_preferences,
    put,
    put_list,
    read_preferences,
)

__all__ = ["SORTS", "routing_pages"]

_PATH = "/settings/routing"
SORTS: Final = (
    ("", "Price, weighed with how reliable they are"),
    (Sort.PRICE.value, "Lowest price"),
    (Sort.THROUGHPUT.value, "Highest throughput"),
    (Sort.LATENCY.value, "Lowest latency"),
    (Sort.EXACTO.value, "Best at calling tools"),
)
_LISTS: Final = (
    "default_provider_order",
    "allowed_providers",
    "ignored_providers",
    "allowed_models",
    "ignored_models",
)
_ON_OFF: Final = ("continue_streams", "hedge")
_ON_OFF_WORDS: Final = (("", "As this installation has it"), ("on", "On"), ("off", "Off"))


def routing_pages(desk: SettingsDesk) -> list[Route]:
    accounts, catalog = desk.site.services.accounts, desk.site.services.catalog
    if accounts is None:
        return []

    async def show(
        request: Request,
        member: SignedIn,
        problem: Refused | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Response:
        found = await read_preferences(accounts, member.account.id)
        return await desk.page(
            request,
            "routing",
            member,
            title="Routing",
            refused=problem,
            values=_values(found) if values is None else values,
            sorts=SORTS,
            on_off=_ON_OFF_WORDS,
            providers=sorted(catalog.snapshot.providers),
        )

    async def routing(request: Request) -> Response:
        return await show(request, await desk.site.member(request))

    async def change(request: Request) -> Response:
        member, form = await desk.site.posted(request)
        check_admin(member)

        def changed(fields: Fields) -> None:
            put(fields, "default_provider_sort", form.fields.get("default_provider_sort", ""))
            put(fields, "default_model", form.fields.get("default_model", "").strip())
            for name in _LISTS:
                put_list(fields, name, form.fields.get(name, ""))
            for name in _ON_OFF:
                put(fields, name, {"on": True, "off": False}.get(form.fields.get(name, "")))

        done = await change_preferences(accounts, catalog, member.account.id, changed)
        if done is not None:
            return await show(request, member, done, form.fields)
        return desk.site.go(_PATH, notice="saved")

    async def serve(request: Request) -> Response:
        return await (change(request) if request.method == "POST" else routing(request))

    return [Route("/settings/routing", serve, methods=["GET", "POST"])]


def _values(found: Preferences) -> dict[str, str]:
    value, fields = found.value, found.fields
    return {
        "default_provider_sort": value.default_provider_sort or "",
        "default_model": value.default_model or "",
        **{name: "\n".join(fields.get(name) or ()) for name in _LISTS},
        **{name: _on_off(fields.get(name)) for name in _ON_OFF},
    }


def _on_off(value: bool | None) -> str:
    """None: nothing is set."""
    if value is None:
        return ""
    return "on" if value else "off"
