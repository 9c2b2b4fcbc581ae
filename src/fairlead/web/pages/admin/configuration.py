"""`/admin/configuration`: the settings in force, where each comes from, and no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, get_args, get_origin

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.settings import Settings
from fairlead.settings.secret import Secret
from fairlead.settings.types import ANNOTATIONS, SECTIONS
from fairlead.web.pages.admin.desk import AdminDesk

__all__ = ["configuration_pages", "sections_of"]

HIDDEN: Final = "set, not shown"
UNSET: Final = "not set"
TABLES_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Setting:
    """source: who gave it, as "FAIRLEAD_SERVER_PORT"; "": it is the default."""

    name: str
    value: str
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class Section:
    """anchor: its id in the page. text: what it is about."""

    name: str
    anchor: str
    text: str
    settings: tuple[Setting, ...]


def configuration_pages(desk: AdminDesk) -> list[Route]:
    async def show(request: Request) -> Response:
        member = await desk.owner(request)
        settings = desk.administration.settings()
        sections = sections_of(settings)
        given = sum(bool(one.source) for section in sections for one in section.settings)
        return await desk.page(
            request, "configuration", member, title="Configuration",
            sections=sections, given=given, tables=model_tables(settings),
        )  # fmt: skip

    return [Route("/admin/configuration", show)]


def sections_of(settings: Settings) -> tuple[Section, ...]:
    """Every setting with its value; of providers and sign-in companies only those that were set. Pure."""
    sections = [
        _section(
            name,
            getattr(settings, name),
            settings.sources,
            {key: _description(annotation) for key, annotation in ANNOTATIONS[name].items()},
        )
        for name in SECTIONS
    ]
    for kind, tables in (("oidc", settings.oidc), ("providers", settings.providers)):
        assert isinstance(tables, Mapping)
        sections += [
            _section(f"{kind}.{name}", table, settings.sources, {})
            for name, table in tables.items()
        ]
    return tuple(sections)


def model_tables(settings: Settings) -> tuple[str, ...]:
    """The `[[models]]` tables, a line each."""
    return tuple(
        ", ".join(f"{name} = {_text(value)}" for name, value in table.items())
        for table in settings.models[:TABLES_SHOWN]
    )


def _section(
    name: str, struct: msgspec.Struct, sources: Mapping[str, str], described: Mapping[str, str]
) -> Section:
    values = {key: getattr(struct, key) for key in struct.__struct_fields__}
    values |= values.pop("options", None) or {}
    text = "" if "." in name else (type(struct).__doc__ or "").partition("\n\n")[0].strip()
    return Section(
        name=name,
        anchor=name.replace(".", "-"),
        text=" ".join(text.replace("`", "").split()),
        settings=tuple(
            Setting(key, _text(value), _source(f"{name}.{key}", sources), described.get(key, ""))
            for key, value in values.items()
        ),
    )


def _source(path: str, sources: Mapping[str, str]) -> str:
    """What is named as itself stands in the file."""
    given = sources.get(path, "")
    return "configuration file" if given == path else given


def _text(value: object) -> str:
    match value:
        case None | "":
            return UNSET
        case Secret():
            return HIDDEN
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "{ " + ", ".join(f"{name} = {_text(one)}" for name, one in value.items()) + " }"
        case tuple() | list() | frozenset():
            return ", ".join(map(_text, value)) or "none"
        case _:
            return str(value)


def _description(annotation: object) -> str:
    if get_origin(annotation) is Annotated:
        for meta in get_args(annotation)[1:]:
            if isinstance(meta, msgspec.Meta) and meta.description:
                return meta.description
    return ""
