"""What each operation of the public API may be asked and may answer, by its published document.

    check_answer(response, "POST /keys")        # status, content type, body; or the error's envelope
    sound_questions("POST /keys")               # Hypothesis: questions that the document allows
    unsound_questions("POST /keys")             # ... and some that it does not

The document is `schemas/management_api.json`, an extract made by `schemas/extract.py`. Two things are ours:
clients younger than the document want further fields (YOUNGER_FIELDS), and a few statuses may be met on any
path (ANYWHERE).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import jsonschema_rs
import schemathesis
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode

DOCUMENT = Path(__file__).parent / "schemas" / "management_api.json"
# No such method; too long a body; too often; a store that is away: on any path.
ANYWHERE = frozenset({405, 413, 429, 503})

_ANY: dict[str, Any] = {}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_FLAG = {"type": "boolean"}
_OF_A_KEY: dict[str, Any] = {"external_user": _TEXT_OR_NULL, "last_used_at": _TEXT_OR_NULL}
_OF_A_CREDENTIAL: dict[str, Any] = {
    "declared_region": _TEXT_OR_NULL,
    "declared_zdr": {"type": ["boolean", "null"]},
    "is_byok_only": _FLAG,
    "is_required": _FLAG,
}
# Wanted by the current official clients in each object under `data`, though the document does not have them.
YOUNGER_FIELDS: dict[str, dict[str, Any]] = {
    "GET /key": {
        "allowed_data_regions": {"type": "array"},
        "budgets": {"type": "array"},
        "effective_budget": _ANY,
        "free_model_daily_requests": {
            "type": "object",
            "properties": {"limit": _COUNT, "used": _COUNT, "remaining": _COUNT},
            "required": ["limit", "used", "remaining"],
        },
        "organization_id": _TEXT_OR_NULL,
        "workspace_id": _TEXT_OR_NULL,
    },
    "GET /keys": _OF_A_KEY,
    "POST /keys": _OF_A_KEY,
    "GET /keys/{hash}": _OF_A_KEY,
    "PATCH /keys/{hash}": _OF_A_KEY,
    "GET /generation": {"workspace_id": _TEXT_OR_NULL},
    "GET /activity": {"cached_tokens": _COUNT},
    "GET /byok": _OF_A_CREDENTIAL,
    "POST /byok": _OF_A_CREDENTIAL,
    "GET /byok/{id}": _OF_A_CREDENTIAL,
    "PATCH /byok/{id}": _OF_A_CREDENTIAL,
    "GET /endpoints/zdr": {
        "native_tools": {"type": "object"},
        "service_tier": _TEXT_OR_NULL,
        "supports_diarization": _FLAG,
        "supports_tool_choice": {
            "type": "object",
            "required": ["auto", "none", "required", "function"],
        },
    },
}


class Answer(Protocol):
    """What we look at of a client's response."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Any: ...  # of str -> str, in any case

    @property
    def content(self) -> bytes: ...


@dataclass(frozen=True)
class Operation:
    """name: as "GET /keys/{hash}". is_management: only management keys (and signed-in people) may.

    document: as OpenAPI writes it.
    """

    name: str
    is_management: bool
    document: dict[str, Any]

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]

    @property
    def statuses(self) -> frozenset[int]:
        return frozenset(int(status) for status in self.document["responses"])

    @property
    def success(self) -> int:
        return min(self.statuses)

    @property
    def has_body(self) -> bool:
        return "requestBody" in self.document

    @property
    def wrong_kind_status(self) -> int:
        """What a good key of the wrong kind gets: 403 where the document has it, else 401."""
        return 403 if 403 in self.statuses else 401

    def schema_of(self, status: int) -> dict[str, Any] | None:
        """Of the body that goes with a status; None: that status is not documented, or has no body."""
        response = self.document["responses"].get(str(status), {})
        content = response.get("content", {}).get("application/json")
        return None if content is None else dict(content["schema"])


@cache
def operations() -> dict[str, Operation]:
    """All operations of the document, by name."""
    return {
        name: Operation(name, bool(document.get("x-management")), document)
        for path, methods in _document()["paths"].items()
        for method, document in methods.items()
        for name in (f"{method.upper()} {path}",)
    }


def check_answer(answer: Answer, name: str) -> Any:
    """Fails unless the operation may answer so. Returns the body, decoded."""
    operation = operations()[name]
    status, said = answer.status_code, answer.content.decode("utf-8", "replace")[:500]
    assert status in operation.statuses | ANYWHERE, f"{name} does not answer {status}: {said}"
    assert answer.headers["content-type"].partition(";")[0] == "application/json", name
    body = json.loads(answer.content)
    if status >= 400:
        _check_envelope(body, status)
    validator = _validator(name, status)
    if validator is not None:
        _check(body, validator, name)
        if status < 300 and name in YOUNGER_FIELDS:
            for one in _objects(body["data"]):
                _check(one, _validator_of_younger(name), f"{name}, younger clients")
    return body


def sound_questions(name: str) -> SearchStrategy[Case[Any]]:
    """Questions that the document allows; an answer may still refuse them, in a way that it has."""
    return _generated(name, GenerationMode.POSITIVE)


def unsound_questions(name: str) -> SearchStrategy[Case[Any]]:
    """Questions that the document does not allow: each has a fault in parameters or body."""
    return _generated(name, GenerationMode.NEGATIVE)


def _generated(name: str, mode: GenerationMode) -> SearchStrategy[Case[Any]]:
    operation = operations()[name]
    strategy: SearchStrategy[Case[Any]] = _asked()[operation.path][operation.method].as_strategy(
        generation_mode=mode
    )
    return strategy


@cache
def _asked() -> Any:
    return schemathesis.openapi.from_dict(_document())


def _check_envelope(body: Any, status: int) -> None:
    error = body["error"]
    assert error["code"] == status, error
    assert isinstance(error["message"], str), error
    assert error["message"].strip(), error


def _check(body: Any, validator: Any, name: str) -> None:
    problems = [f"{one.instance_path}: {one.message}" for one in validator.iter_errors(body)]
    assert not problems, (name, problems[:5])


@cache
def _validator(name: str, status: int) -> Any:
    """Made once: compiling one costs ten times as much as an answer does. None: no body is documented."""
    schema = operations()[name].schema_of(status)
    return None if schema is None else _compiled(schema)


@cache
def _validator_of_younger(name: str) -> Any:
    fields = YOUNGER_FIELDS[name]
    return _compiled({"type": "object", "properties": fields, "required": sorted(fields)})


def _compiled(schema: dict[str, Any]) -> Any:
    whole = {**schema, "components": _document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _objects(data: Any) -> Iterator[Any]:
    if isinstance(data, list):
        yield from data
    else:
        yield data


@cache
def _document() -> dict[str, Any]:
    return dict(json.loads(DOCUMENT.read_text("utf-8")))
