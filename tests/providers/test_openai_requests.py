"""What we send to OpenAI is what its own client could have sent: its published types take every request."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter

from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.testing.builders import an_endpoint
from tests.recordings import Recording, load

CREDENTIAL = Credential("https://example.test/v1", "secret", {})
CASES = [
    case
    for case in load("openai")
    if case.status == 200 and case.path.startswith("/v1/chat/completions") and case.request
]


@cache
def official(*, streamed: bool) -> tuple[TypeAdapter[Any], frozenset[str]]:
    """The published request, and the names of its fields. Built when first needed: it takes seconds."""
    from openai.types.chat import completion_create_params as params

    kind: Any = (
        params.CompletionCreateParamsStreaming
        if streamed
        else params.CompletionCreateParamsNonStreaming
    )
    return TypeAdapter(kind), frozenset(get_type_hints(kind))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_its_types_take_what_we_send(case: Recording) -> None:
    adapter = PROVIDERS["openai"].chat
    assert adapter is not None
    request = OpenAIChat().decode(json.dumps(case.request).encode())
    endpoint = an_endpoint("openai", supported=frozenset())
    fields: dict[str, Any] = json.loads(adapter.encode(request, endpoint, CREDENTIAL).body)
    types, names = official(streamed=case.streamed)
    assert fields.keys() <= names, fields.keys() - names
    read_through(types.validate_python(fields))


def read_through(value: object) -> None:
    """Published types say `Iterable` of messages, whose items are checked only when they are taken."""
    if isinstance(value, dict):
        for inner in value.values():
            read_through(inner)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for inner in value:
            read_through(inner)
