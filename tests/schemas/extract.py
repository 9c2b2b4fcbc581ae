"""Make `management_api.json` from the published OpenAPI document of the API that we are compatible with.

    python tests/schemas/extract.py openapi.json > tests/schemas/management_api.json

What stays: the operations named below, with their parameters, bodies and answers, and every schema that they
mention. What goes: descriptions, examples, other operations; and the closed lists of providers' names, since
an installation has providers of its own. The document states the MIT licence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OPERATIONS = {
    "/activity": "get",
    "/analytics/meta": "get",
    "/analytics/query": "post",
    "/auth/keys": "post",
    "/auth/keys/code": "post",
    "/benchmarks": "get",
    "/byok": "get post",
    "/byok/{id}": "get patch delete",
    "/classifications/task": "get",
    "/credits": "get",
    "/credits/coinbase": "post",
    "/datasets/app-rankings": "get",
    "/datasets/rankings-daily": "get",
    "/datasets/session-cost": "get",
    "/endpoints/zdr": "get",
    "/generation": "get",
    "/generation/content": "get",
    "/generation/feedback": "post",
    "/key": "get",
    "/keys": "get post",
    "/keys/{hash}": "get patch delete",
    "/models/count": "get",
    "/models/user": "get",
    "/organization/members": "get",
    "/presets": "get",
    "/presets/{slug}": "get",
    "/presets/{slug}/versions": "get",
    "/presets/{slug}/versions/{version}": "get",
    "/providers": "get",
    "/workspaces": "get post",
    "/workspaces/{id}": "get patch delete",
    "/workspaces/{id}/budgets": "get",
    "/workspaces/{id}/budgets/{interval}": "get put delete",
    "/workspaces/{id}/members": "get",
    "/workspaces/{id}/members/add": "post",
    "/workspaces/{id}/members/remove": "post",
}
MANAGEMENT_MARK = "management-api-keys) required"
PROVIDERS_FEW = 20  # a closed list of strings longer than this, that has "openai", is of providers
WORDS_ONLY_FOR_PEOPLE = frozenset({"description", "example", "examples", "summary", "tags"})


def extracted(document: dict[str, Any]) -> dict[str, Any]:
    paths = {
        path: {method: _operation(document["paths"][path][method]) for method in methods.split()}
        for path, methods in OPERATIONS.items()
    }
    return {
        "openapi": document["openapi"],
        "info": {
            "title": "An extract of the OpenRouter API",
            "version": document["info"]["version"],
            "license": document["info"]["license"],
        },
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {"schemas": _mentioned(paths, document["components"]["schemas"])},
    }


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = _plain(
        {
            name: operation[name]
            for name in ("operationId", "parameters", "requestBody", "responses")
            if name in operation
        }
    )
    for response in kept["responses"].values():
        response["description"] = ""  # OpenAPI wants one
    if MANAGEMENT_MARK in operation.get("description", ""):
        kept["x-management"] = True
    return kept


def _plain(node: Any, *, names_fields: bool = False) -> Any:
    """names_fields: the node's own keys are names of fields, so that one may be "description"."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    if _is_closed_list_of_providers(node):
        return {"type": "string"}
    return {
        name: _plain(value, names_fields=name == "properties" and not names_fields)
        for name, value in node.items()
        if names_fields or not (name in WORDS_ONLY_FOR_PEOPLE or name.startswith("x-"))
    }


def _is_closed_list_of_providers(node: dict[str, Any]) -> bool:
    words = node.get("enum", ())
    return len(words) > PROVIDERS_FEW and "openai" in {str(word).lower() for word in words}


def _mentioned(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = [paths]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in found:
                found[name] = _plain(schemas[name])
                waiting.append(found[name])
    return dict(sorted(found.items()))


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for one in node for name in _references(one)}
    if not isinstance(node, dict):
        return set()
    here = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
    return here.union(*(_references(one) for one in node.values()))


def _text(document: dict[str, Any]) -> str:
    """A line for each path and each schema, so that a difference can be read."""
    paths, schemas = document["paths"], document["components"]["schemas"]
    head = {name: document[name] for name in ("openapi", "info", "servers")}
    return (
        json.dumps(head)[:-1]
        + ',\n"paths": {\n'
        + _lines(paths)
        + '},\n"components": {"schemas": {\n'
        + _lines(schemas)
        + "}}}\n"
    )


def _lines(members: dict[str, Any]) -> str:
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in members.items())
    return ",\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(_text(extracted(json.loads(Path(sys.argv[1]).read_text("utf-8")))))
