"""The OpenAPI 3.1 document of what this process serves.

    document = build_document(operations, has_sign_in=True)

Bodies and who may ask come from the operations themselves; words, answers and the paths that are no operations
come from `operations.toml` and `schemas.toml`. What is described and not served is left out; a test sees to it
that nothing is served and not described.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from fairlead.web.operations import Operation, Who
from fairlead.web.reference.shapes import REF, Schema, object_of, shape

__all__ = ["API_BASE", "Described", "Group", "build_document", "groups"]

API_BASE: Final = "/api/v1"
_HERE: Final = Path(__file__).parent
_IN_PATH: Final = re.compile(r"\{([a-z_]+)\}")
_NAMED: Final = re.compile(f"{re.escape(REF)}([A-Za-z0-9_]+)")
_FOR_KEYS: Final[list[dict[str, list[str]]]] = [{"key": []}, {"x-api-key": []}]
_SECURITY: Final[Mapping[str, list[dict[str, list[str]]]]] = {
    "anyone": [],
    "key": _FOR_KEYS,
    "account": [*_FOR_KEYS, {"session": []}],
    "manager": [{"managementKey": []}, {"session": []}],
    "session": [{"session": []}],
}
_WHO: Final[Mapping[Who, str]] = {
    Who.ANYONE: "anyone",
    Who.ACCOUNT: "account",
    Who.MANAGER_ELSE_401: "manager",
    Who.MANAGER_ELSE_403: "manager",
    Who.PEOPLE_ELSE_401: "manager",
    Who.PEOPLE_ELSE_403: "manager",
}
_SAID: Final[Mapping[int, str]] = {
    200: "As asked.",
    201: "It was made.",
    410: "Gone.",
    400: "The request is wrong; `param` says where.",
    401: "The key is missing, unknown or revoked.",
    402: "No credit is left.",
    403: "Not with this key.",
    404: "There is no such thing, or it is another account's.",
    409: "Not as things are now.",
    413: "The body is too long.",
    429: "Too often; `Retry-After` says how long to wait.",
    502: "The provider failed.",
    503: "Not now; `Retry-After` says how long to wait.",
    504: "The provider took too long.",
}


@dataclass(frozen=True, slots=True)
class Described:
    """One operation in the table. path: below the API's base, unless its group is at the root.

    who, body: "" where the code says it. fields: what fields of the body are. example: a body. at: what parts
    of the path are in examples; without, they are their own names.
    """

    method: str
    path: str
    title: str
    about: str = ""
    who: str = ""
    body: str = ""
    answer: str = ""
    stream: str = ""
    also: str = ""
    error: str = "Error"
    status: int = 200
    is_deprecated: bool = False
    parameters: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)
    at: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_path(self) -> tuple[str, ...]:
        return tuple(_IN_PATH.findall(self.path))

    @property
    def id(self) -> str:
        """As "get-keys-hash": also its place on its page."""
        words = re.findall(r"[A-Za-z0-9]+", self.path)
        return "-".join((self.method.lower(), *words)).lower()


@dataclass(frozen=True, slots=True)
class Group:
    """Operations on one page. at_root: their paths have no prefix."""

    name: str
    title: str
    about: str
    operations: tuple[Described, ...]
    at_root: bool = False


@cache
def groups() -> tuple[Group, ...]:
    """As the table has them."""
    return tuple(
        Group(
            one["name"],
            one["title"],
            one["about"],
            (
                *(_described(entry) for entry in one.get("operations", ())),
                *(_plain(line) for line in one.get("plain", ())),
            ),
            at_root=one.get("at_root", False),
        )
        for one in _table("operations")["groups"]
    )


def build_document(operations: Iterable[Operation], *, has_sign_in: bool) -> dict[str, Any]:
    """operations: those that are served. has_sign_in: whether `/auth/...` is.

    Its server is relative; whoever sends it says which origin.
    """
    served = {(one.method, one.path): one for one in operations}
    schemas: dict[str, Schema] = {
        name: object_of(fields) for name, fields in _table("schemas").items()
    }
    paths: dict[str, dict[str, Any]] = {}
    tags = []
    for group in groups():
        shown = [
            one
            for one in group.operations
            if _is_served(one, group, served, has_sign_in=has_sign_in)
        ]
        if not shown:
            continue
        tags.append({"name": group.name, "description": group.about, "x-title": group.title})
        for one in shown:
            path = paths.setdefault(one.path, {})
            if group.at_root:
                path["servers"] = [{"url": "/"}]
            operation = served.get((one.method, one.path))
            path[one.method.lower()] = _operation(one, group, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fairlead",
            "version": version("fairlead"),
            "description": "One API in front of every large language model. Also under `/v1`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": API_BASE}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": _used(paths, schemas), "securitySchemes": _schemes()},
    }


def _used(paths: Mapping[str, Any], schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """The shapes that something refers to."""
    found: set[str] = set()
    waiting: list[object] = [paths]
    while waiting:
        names = set(_NAMED.findall(msgspec.json.encode(waiting.pop()).decode())) - found
        found |= names
        waiting += [schemas[name] for name in names]
    return {name: schema for name, schema in schemas.items() if name in found}


def _is_served(
    one: Described,
    group: Group,
    served: Mapping[tuple[str, str], Operation],
    *,
    has_sign_in: bool,
) -> bool:
    if group.at_root:
        return has_sign_in or not one.path.startswith("/auth")
    return bool(one.who) or (one.method, one.path) in served


def _operation(
    one: Described, group: Group, operation: Operation | None, schemas: dict[str, Schema]
) -> dict[str, Any]:
    who = one.who or ("session" if operation is None else _WHO[operation.who])
    shown: dict[str, Any] = {
        "operationId": one.id,
        "tags": [group.name],
        "summary": one.title,
        "security": _SECURITY[who],
        "parameters": _parameters(one),
        "responses": _responses(one, who, operation),
    }
    if one.about:
        shown["description"] = one.about
    if one.is_deprecated:
        shown["deprecated"] = True
    body = _body(one, operation, schemas)
    if body is not None:
        content: dict[str, Any] = {"schema": body}
        if one.example:
            content["example"] = dict(one.example)
        kinds = ["application/json"]
        if group.name == "sign-in":
            kinds.append("application/x-www-form-urlencoded")
        shown["requestBody"] = {"required": True, "content": dict.fromkeys(kinds, content)}
    return shown


def _parameters(one: Described) -> list[dict[str, Any]]:
    table = _table("operations")["parameters"]
    shown = []
    for place, name in (
        *(("path", name) for name in one.in_path),
        *(("query", name) for name in one.parameters),
    ):
        about = table[name]
        shown.append(
            {
                "name": name if place == "path" else about.get("name", name),
                "in": place,
                "required": place == "path" or about.get("required", False),
                "description": about["about"],
                "schema": shape(about["type"]),
            }
        )
    return shown


def _body(one: Described, operation: Operation | None, schemas: dict[str, Schema]) -> Schema | None:
    if one.body:
        return {"$ref": f"{REF}{one.body}"}
    if operation is None or operation.body is None:
        return None if not one.fields else object_of(dict(one.fields))
    prefix = "".join(word.capitalize() for word in one.id.split("-"))
    _, components = msgspec.json.schema_components(
        (operation.body,), ref_template=f"{REF}{prefix}{{name}}"
    )
    own: Schema = components.pop(operation.body.__name__)
    for name, schema in components.items():
        schemas[f"{prefix}{name}"] = schema
    own.pop("title", None)
    for name, about in one.fields.items():
        own["properties"][name]["description"] = about
    return own


def _responses(one: Described, who: str, operation: Operation | None) -> dict[str, Any]:
    content = {_kind(one.answer): {"schema": _answer(one.answer)}}
    if one.stream:
        content["text/event-stream"] = {"schema": {"$ref": f"{REF}{one.stream}"}}
    if one.also:
        content[one.also] = {"schema": {"type": "string"}}
    shown: dict[str, Any] = {
        str(one.status): {"description": _SAID[one.status], "content": content}
    }
    is_read = bool(one.parameters or one.body or one.fields)
    has_body = operation is not None and operation.body is not None
    statuses = set(one.errors)
    if is_read or has_body:
        statuses.add(400)
    if who != "anyone":
        statuses |= {401, 503}
    if operation is not None and operation.who is not Who.ANYONE:
        statuses.add(403)
    if one.in_path or "generation_id" in one.parameters:
        statuses.add(404)
    for status in sorted(statuses - {one.status}):
        error = {"application/json": {"schema": {"$ref": f"{REF}{one.error}"}}}
        shown[str(status)] = {"description": _SAID[status], "content": error}
    return shown


def _kind(answer: str) -> str:
    return answer.removeprefix("file ") if answer.startswith("file ") else "application/json"


def _answer(answer: str) -> Schema:
    form, _, inside = answer.rpartition(" ")
    match form:
        case "file":
            return {"type": "string"}
        case "data":
            return _enveloped(shape(inside))
        case "page":
            schema = _enveloped({"type": "array", "items": shape(inside)})
            schema["properties"]["total_count"] = {"type": "integer"}
            schema["required"].append("total_count")
            return schema
        case _:
            return shape(inside or "object")


def _enveloped(schema: Schema) -> Schema:
    return {"type": "object", "properties": {"data": schema}, "required": ["data"]}


def _schemes() -> dict[str, Any]:
    return {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: `sk-fl-v1-...`"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "managementKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A management key: `sk-fl-mgmt-v1-...`",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "fairlead_session",
            "description": "Somebody who is signed in; what changes something carries `X-CSRF-Token`.",
        },
    }


def _described(entry: Mapping[str, Any]) -> Described:
    method, _, path = entry["call"].partition(" ")
    return Described(
        method=method,
        path=path,
        title=entry["title"],
        about=entry.get("about", ""),
        who=entry.get("who", ""),
        body=entry.get("body", ""),
        answer=entry["answer"],
        stream=entry.get("stream", ""),
        also=entry.get("also", ""),
        error=entry.get("error", "Error"),
        status=entry.get("status", 200),
        is_deprecated=entry.get("deprecated", False),
        parameters=tuple(entry.get("parameters", ())),
        errors=tuple(entry.get("errors", ())),
        fields=entry.get("fields", {}),
        example=entry.get("example", {}),
        at=entry.get("at", {}),
    )


def _plain(line: str) -> Described:
    """Of signing in: call, title, parameters, and the texts that its form has."""
    call, title, parameters, *fields = (part.strip() for part in line.split("|"))
    method, _, path = call.partition(" ")
    named: Sequence[str] = fields[0].split() if fields else ()
    return Described(
        method=method,
        path=path,
        title=title,
        answer="object",
        parameters=tuple(parameters.split()),
        fields={name: f"string?: {name.replace('_', ' ')}" for name in named},
    )


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / f"{name}.toml").read_text("utf-8"))
