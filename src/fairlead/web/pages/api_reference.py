"""`/openapi.json`, and `/docs/api/...`: the same document for people, one page for each group of operations."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import msgspec
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.errors import NotFound
from fairlead.web.api.shelf import Document, send
from fairlead.web.api.shelf import document as ready
from fairlead.web.operations import Operation
from fairlead.web.pages.docs_rendering import EXAMPLE_ORIGIN, here, highlighted, inline
from fairlead.web.pages.docs_shelf import read_shelf
from fairlead.web.pages.site import Site
from fairlead.web.reference.document import API_BASE, Described, Group, build_document, groups

__all__ = ["api_reference_pages"]

DEPTH_MAX: Final = 3  # of fields inside of fields
KEY: Final = "$FAIRLEAD_API_KEY"
_REF: Final = "#/components/schemas/"
_YAML: Final = "application/yaml"


@dataclass(frozen=True, slots=True)
class FieldRow:
    """depth: how far inside. is_required: always there, or to be sent."""

    name: str
    kind: str
    about: Markup
    is_required: bool
    depth: int = 0


@dataclass(frozen=True, slots=True)
class AnswerRow:
    status: str
    about: Markup


@dataclass(frozen=True, slots=True)
class Example:
    label: str
    code: Markup
    id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation, as it is shown. access: who may ask. examples: programs that call it."""

    described: Described
    path: str
    about: Markup
    access: str
    parameters: tuple[FieldRow, ...]
    body: tuple[FieldRow, ...]
    answer: tuple[FieldRow, ...]
    answers: tuple[AnswerRow, ...]
    examples: tuple[Example, ...]


def api_reference_pages(site: Site) -> list[Route]:
    shelf = read_shelf()
    reference = _Reference(site)

    async def index(request: Request) -> Response:
        document = await reference.document()
        return await site.page(
            request,
            "docs/reference.html",
            await site.visitor(request),
            title="API reference",
            description="Every operation of the API, with its fields, answers and errors.",
            section="docs",
            shelf=shelf,
            current="api",
            groups=_shown_groups(document),
            base_url=f"{site.origin(request)}{API_BASE}",
        )

    async def group(request: Request) -> Response:
        document = await reference.document()
        found = next(
            (one for one in _shown_groups(document) if one.name == request.path_params["group"]),
            None,
        )
        if found is None:
            raise NotFound("The reference has no such page.")
        entries = await run_in_threadpool(reference.entries, found)
        return await site.page(
            request,
            "docs/reference_group.html",
            await site.visitor(request),
            title=f"{found.title} (API)",
            section="docs",
            shelf=shelf,
            current=f"api/{found.name}",
            group=found,
            groups=_shown_groups(document),
            about=inline(found.about),
            entries=entries,
            here=partial(here, origin=site.origin(request)),
        )

    async def as_json(request: Request) -> Response:
        return send(request, await run_in_threadpool(reference.encoded, site.origin(request)))

    async def as_yaml(request: Request) -> Response:
        """What is JSON is YAML, too."""
        encoded = await run_in_threadpool(reference.encoded, site.origin(request))
        return Response(encoded.body, media_type=_YAML)

    return [
        Route("/openapi.json", as_json),
        Route("/openapi.yaml", as_yaml),
        Route("/docs/api", index),
        Route("/docs/api/{group}", group),
    ]


class _Reference:
    """The document, made by the first who asks for it."""

    def __init__(self, site: Site) -> None:
        self._operations: Sequence[Operation] = site.operations
        self._has_sign_in = site.services.auth is not None
        self._document: dict[str, Any] | None = None
        self._entries: dict[str, tuple[Entry, ...]] = {}  # by group; there are some fifteen

    async def document(self) -> dict[str, Any]:
        return await run_in_threadpool(self.made)

    def made(self) -> dict[str, Any]:
        if self._document is None:
            # Two that come at once make it twice; the same comes out.
            self._document = build_document(self._operations, has_sign_in=self._has_sign_in)
        return self._document

    def entries(self, group: Group) -> tuple[Entry, ...]:
        """Colouring takes its time, so each group's are made once."""
        found = self._entries.get(group.name)
        if found is None:
            found = tuple(_entry(one, group, self.made()) for one in group.operations)
            self._entries[group.name] = found
        return found

    def encoded(self, origin: str) -> Document:
        """For programs, which may keep it elsewhere: its server is this one, by its whole address."""
        document = self.made()
        paths = {
            path: {**item, "servers": [{"url": origin}]} if "servers" in item else item
            for path, item in document["paths"].items()
        }
        servers = [{"url": f"{origin}{API_BASE}"}]
        return ready(msgspec.json.encode({**document, "servers": servers, "paths": paths}))


def _shown_groups(document: Mapping[str, Any]) -> list[Group]:
    """Those that have something in the document, and of each what is in it."""
    paths = document["paths"]
    shown = [
        replace(
            group,
            operations=tuple(
                one for one in group.operations if one.method.lower() in paths.get(one.path, {})
            ),
        )
        for group in groups()
    ]
    return [group for group in shown if group.operations]


def _entry(one: Described, group: Group, document: Mapping[str, Any]) -> Entry:
    operation = document["paths"][one.path][one.method.lower()]
    schemas = document["components"]["schemas"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    good = operation["responses"][str(one.status)]["content"]
    base = "" if group.at_root else API_BASE
    return Entry(
        described=one,
        path=f"{base}{one.path}",
        about=inline(one.about),
        access=_access(operation["security"]),
        parameters=tuple(_parameter(row) for row in operation["parameters"]),
        body=tuple(_rows(body.get("schema", {}), schemas)),
        answer=tuple(_rows(good.get("application/json", {}).get("schema", {}), schemas)),
        answers=tuple(
            AnswerRow(status, inline(said["description"]))
            for status, said in operation["responses"].items()
        ),
        examples=() if group.at_root else _examples(one, operation, f"{EXAMPLE_ORIGIN}{base}"),
    )


def _access(security: Sequence[Mapping[str, object]]) -> str:
    names = [name for one in security for name in one]
    if not names:
        return "Needs no key."
    if "managementKey" in names:
        return "With a management key, or signed in."
    if "key" in names:
        return "With an API key." if "session" not in names else "With an API key, or signed in."
    return "For who is signed in."


def _parameter(row: Mapping[str, Any]) -> FieldRow:
    return FieldRow(
        row["name"], _kind(row["schema"]), inline(row["description"]), bool(row["required"])
    )


def _rows(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0) -> list[FieldRow]:
    """The fields of an object, and of the objects in it."""
    schema = _object_in(schema, schemas)
    required = schema.get("required", ())
    rows = []
    for name, kind in schema.get("properties", {}).items():
        about = inline(kind.get("description", ""))
        rows.append(FieldRow(name, _kind(kind), about, name in required, depth))
        if depth + 1 < DEPTH_MAX:
            rows += _rows(kind, schemas, depth + 1)
    return rows


def _object_in(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """What has the fields: behind a name, in a list, or one of several."""
    if "$ref" in schema:
        found: Mapping[str, Any] = schemas[schema["$ref"].removeprefix(_REF)]
        return found
    if "items" in schema and isinstance(schema["items"], Mapping):
        return _object_in(schema["items"], schemas)
    for one in schema.get("anyOf", ()):
        inside = _object_in(one, schemas)
        if "properties" in inside:
            return inside
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    """A type in few words."""
    if "$ref" in schema:
        return "object"
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(one) for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        inside = schema.get("items")
        return f"list of {_kind(inside)}" if isinstance(inside, Mapping) and inside else "list"
    form = schema.get("format")
    return f"{kind} ({form})" if form else str(kind)


def _examples(one: Described, operation: Mapping[str, Any], base_url: str) -> tuple[Example, ...]:
    path = one.path
    for name in one.in_path:
        path = path.replace(f"{{{name}}}", one.at.get(name, name.upper()))
    address = base_url + path
    required = [row for row in operation["parameters"] if row["in"] == "query" and row["required"]]
    if required:
        address += "?" + "&".join(f"{row['name']}={row['name'].upper()}" for row in required)
    needs_key = bool(operation["security"])
    written = (
        ("curl", "sh", _curl(one, address, needs_key=needs_key)),
        ("Python", "python", _python(one, address, needs_key=needs_key)),
    )
    return tuple(
        Example(label, highlighted(code, language), f"{one.id}-{language}")
        for label, language, code in written
    )


def _curl(one: Described, address: str, *, needs_key: bool) -> str:
    parts = [f"curl {shlex.quote(address)}"]
    if one.method not in ("GET", "POST") or (one.method == "POST" and not one.example):
        parts[0] = f"curl -X {one.method} {shlex.quote(address)}"
    if needs_key:
        parts.append(f'-H "Authorization: Bearer {KEY}"')
    if one.example:
        body = json.dumps(one.example, ensure_ascii=False).replace("'", "\\u0027")
        parts += ['-H "Content-Type: application/json"', f"-d '{body}'"]
    return " \\\n  ".join(parts)


def _python(one: Described, address: str, *, needs_key: bool) -> str:
    arguments = [json.dumps(address)]
    if needs_key:
        arguments.append('headers={"Authorization": f"Bearer {os.environ[\'FAIRLEAD_API_KEY\']}"}')
    if one.example:
        arguments.append(f"json={one.example!r}".replace("'", '"'))
    arguments.append("timeout=60")
    head = "import os\n\nimport requests\n" if needs_key else "import requests\n"
    lines = ",\n    ".join(arguments)
    shown = "response.content" if one.answer.startswith("file ") else "response.json()"
    call = f"response = requests.{one.method.lower()}(\n    {lines},\n)"
    return f"{head}\n{call}\nprint(response.status_code, {shown})"
