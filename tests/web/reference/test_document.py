"""The API's own document: it is a good one, it has every route and no other, and answers are as it says."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Mount, Route

import fairlead.compose.data_plane
from fairlead.core.chat import ChatBody, ProviderPreferences
from fairlead.web.api.billing import billing_operations
from fairlead.web.operations import Operation, OperationRoute
from fairlead.web.pages.model_list import catalogue_of, listing
from fairlead.web.reference.document import build_document, groups
from fairlead.web.reference.shapes import field, shape
from tests.shipped import SEED
from tests.web.management.stage import Stage

# Pages for people, and what only they are made of; docs/web.md lists them.
NO_API = ("/docs", "/static", "/favicon.ico")


def operations_of(stage: Stage) -> list[Operation]:
    """All there are: payments are not wanted on this stage, so they are added."""
    edge: Any = SimpleNamespace(pretended=True)
    return [
        *billing_operations(edge),
        *_served_by(stage),
    ]


def _served_by(stage: Stage) -> list[Operation]:
    return [
        operation
        for route in routes(stage.app)
        if isinstance(route, OperationRoute)
        for method, operation in route.operations.items()
        if method != "HEAD"
    ]


def routes(app: Any, prefix: str = "") -> Iterator[BaseRoute]:
    for route in app.routes:
        if isinstance(route, Mount):
            inner = route.app
            yield from routes(getattr(inner, "_app", inner), prefix + route.path)
        else:
            yield route


@pytest.fixture
def document(stage: Stage) -> dict[str, Any]:
    return build_document(operations_of(stage), has_sign_in=True)


@pytest.mark.usefixtures("stage")
def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_reference_leads_to_a_shape_and_every_shape_is_used(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    named = set(re.findall(r"#/components/schemas/([A-Za-z_]+)", text))
    assert named == set(document["components"]["schemas"])
    identities = re.findall(r'"operationId": "([^"]+)"', text)
    assert len(identities) == len(set(identities))


def test_every_route_is_in_it_and_nothing_else(stage: Stage, document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
        if method != "servers"
    }  # fmt: skip
    served = {("POST", path) for path in dialects()}
    served |= {(one.method, one.path) for one in operations_of(stage)}
    app: Starlette = stage.app
    api = next(route for route in app.routes if isinstance(route, Mount))
    for route in routes(Starlette(routes=[api])):
        assert isinstance(route, Route)
        path = route.path.replace("{id:path}", "{author}/{slug}")
        methods = route.operations if isinstance(route, OperationRoute) else {"GET"}
        served |= {(method, path) for method in methods if method != "HEAD"}
    at_root = {path for group in groups() if group.at_root for path in _paths(group)}
    for route in app.routes:
        if isinstance(route, Route) and (route.path in at_root or _is_no_page(route)):
            served |= {(one, route.path) for one in route.methods or () if one != "HEAD"}
    assert described - served <= {("POST", "/hooks/stripe"), ("POST", "/auth")}
    assert served - described <= {("POST", "/auth")}  # a form of the consent page


def dialects() -> set[str]:
    """The paths of the data plane, as they are put together."""
    source = ast.parse(inspect.getsource(fairlead.compose.data_plane))
    return {
        key.value
        for table in ast.walk(source)
        if isinstance(table, ast.Dict)
        for key in table.keys
        if isinstance(key, ast.Constant) and str(key.value).startswith("/")
    }


def _paths(group: Any) -> set[str]:
    return {one.path for one in group.operations}


def _is_no_page(route: Route) -> bool:
    return route.path.startswith(
        ("/auth/", "/hooks", "/healthz", "/readyz", "/metrics", "/openapi")
    )


def test_every_operation_says_which_body_it_reads(stage: Stage) -> None:
    for operation in operations_of(stage):
        source = textwrap.dedent(inspect.getsource(operation.handler))
        read = [
            call.args[0].id
            for call in ast.walk(ast.parse(source))
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "body"
            and isinstance(call.args[0], ast.Name)
        ]
        said = [] if operation.body is None else [operation.body.__name__]
        assert read == said, (operation.method, operation.path)


def test_the_fields_of_a_chat_are_those_that_are_read(document: dict[str, Any]) -> None:
    for name, kind in (("ChatRequest", ChatBody), ("ProviderPreferences", ProviderPreferences)):
        described = set(document["components"]["schemas"][name]["properties"])
        assert described == set(kind.__struct_fields__)


def test_the_filters_of_models_are_those_of_the_page(document: dict[str, Any]) -> None:
    """But for those that no model has figures for."""
    told = {one["name"] for one in _operation(document, "GET", "/models")["parameters"]}
    page = listing(catalogue_of(SEED), QueryParams(), now_s=0)
    assert {one.name for one in (*page.choices, *page.groups)} | {"q", "sort"} <= told


def test_examples_fit_their_bodies(document: dict[str, Any]) -> None:
    seen = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "servers" or "requestBody" not in operation:
                continue
            content = operation["requestBody"]["content"]["application/json"]
            if "example" in content:
                seen += 1
                assert problems(document, content["schema"], content["example"]) == [], path
    assert seen > 20


ANSWERED = [
    ("GET /models?limit=5&offset=0", None),
    ("GET /models/count", None),
    ("GET /models/user?limit=2", "key"),
    ("GET /models/openai/o1", None),
    ("GET /model/openai/o1", None),
    ("GET /models/openai/o4-mini/endpoints", "key"),
    ("GET /embeddings/models?limit=2", None),
    ("GET /providers", None),
    ("GET /key", "key"),
    ("GET /keys", "management"),
    ("GET /credits", "management"),
    ("GET /preferences", "key"),
    ("GET /activity", "management"),
    ("GET /analytics/meta", "management"),
    ("GET /datasets/rankings-daily", "key"),
    ("GET /datasets/app-rankings", "key"),
    ("GET /datasets/session-cost", "key"),
    ("GET /benchmarks", "key"),
    ("GET /benchmarks?source=catalogue", "key"),
    ("GET /classifications/task", "key"),
    ("GET /workspaces", "management"),
    ("GET /byok", "management"),
    ("GET /generation?id=gen-unknown", "key"),
    ("GET /keys/nothing", "management"),
    ("GET /credits", "key"),
]


@pytest.mark.parametrize(("call", "kind"), ANSWERED)
def test_answers_are_as_the_document_says(
    stage: Stage, document: dict[str, Any], call: str, kind: str | None
) -> None:
    method, _, url = call.partition(" ")
    key = {None: None, "key": stage.ada.key, "management": stage.ada.management}[kind]
    answer = stage.send(method, f"/api/v1{url}", key=None if key is None else key.secret)
    said = _operation(document, method, url.partition("?")[0])["responses"]
    assert str(answer.status_code) in said
    content = said[str(answer.status_code)]["content"]["application/json"]
    assert problems(document, content["schema"], answer.json()) == []
    assert unknown(document, content["schema"], answer.json(), "$") == []


def test_what_is_made_is_as_the_document_says(stage: Stage, document: dict[str, Any]) -> None:
    generation = stage.settle(stage.ada)
    for call, key, body in (
        ("POST /keys", stage.ada.management, {"name": "new", "limit": 5}),
        ("POST /workspaces", stage.ada.management, {"name": "New", "slug": "new"}),
        ("PUT /workspaces/new/budgets/daily", stage.ada.management, {"limit_usd": 5}),
        ("GET /workspaces/new/budgets", stage.ada.management, None),
        ("GET /workspaces/new/members", stage.ada.management, None),
        ("POST /analytics/query", stage.ada.management, {"metrics": ["request_count"]}),
        ("DELETE /workspaces/new/budgets/daily", stage.ada.management, None),
        ("DELETE /workspaces/new", stage.ada.management, None),
    ):
        method, _, url = call.partition(" ")
        answer = stage.send(method, f"/api/v1{url}", key=key.secret, body=body)
        said = _operation(document, method, url)["responses"][str(answer.status_code)]
        schema = said["content"]["application/json"]["schema"]
        assert problems(document, schema, answer.json()) == [], call
        assert unknown(document, schema, answer.json(), "$") == [], call
    assert generation


def test_types_are_read_as_they_are_written() -> None:
    assert shape("string|null") == {"type": ["string", "null"]}
    assert shape('"a"|"b"') == {"type": "string", "enum": ["a", "b"]}
    assert shape("[Key]") == {"type": "array", "items": {"$ref": "#/components/schemas/Key"}}
    assert shape("{number}") == {"type": "object", "additionalProperties": {"type": "number"}}
    assert field("integer?: how many") == ({"type": "integer", "description": "how many"}, False)
    for wrong in ("strnig", "[string", ""):
        with pytest.raises(ValueError, match="is no type"):
            shape(wrong)
    with pytest.raises(ValueError, match="does not say"):
        field("string")


def _operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    for template, item in document["paths"].items():
        pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in item:
            return dict(item[method.lower()])
    raise AssertionError(f"{method} {path} is not described")


def problems(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    found = _validator(json.dumps({**schema, "components": document["components"]}))
    return [
        f"{'/'.join(map(str, one.instance_path))}: {one.message}"
        for one in found.iter_errors(value)
    ][:5]


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads(schema))


def unknown(document: dict[str, Any], schema: dict[str, Any], value: object, at: str) -> list[str]:
    """The places of fields that the document does not have."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        inside = schema.get("items", {})
        return [one for place in value for one in unknown(document, inside, place, f"{at}[]")][:5]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    found = [f"{at}.{name}" for name in value if name not in known]
    for name in known.keys() & value.keys():
        found += unknown(document, known[name], value[name], f"{at}.{name}")
    return found


def test_the_served_document_names_this_installation(stage: Stage) -> None:
    answer = stage.send("GET", "/openapi.json")
    served = msgspec.json.decode(answer.content)
    assert served["openapi"] == "3.1.0"
    assert served["servers"] == [{"url": "http://fairlead.test/api/v1"}]
    assert served["paths"]["/healthz"]["servers"] == [{"url": "http://fairlead.test"}]
    yaml = stage.send("GET", "/openapi.yaml")
    assert yaml.headers["content-type"].startswith("application/yaml")
    assert msgspec.json.decode(yaml.content) == served
    again = stage.send("GET", "/openapi.json", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
