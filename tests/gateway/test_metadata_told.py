"""A caller who asks how he was routed is told, in his own format; one who does not is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from jsonschema import Draft202012Validator

from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream, chat_whole
from fairlead.testing.vtime import run_simulated

SCHEMAS: Final = Path(__file__).parents[1] / "schemas" / "public_api.json"
SNAPSHOT: Final = a_snapshot(
    a_model(an_endpoint("cheap"), an_endpoint("dear", prompt="0.00001")),
    providers=(
        a_provider("cheap", base_url="http://cheap.test/v1"),
        a_provider("dear", base_url="http://dear.test/v1"),
    ),
)
ASKED: Final = {"x-openrouter-metadata": "Enabled"}
MESSAGES: Final = [{"role": "user", "content": "Hello"}]
BODIES: Final[dict[str, dict[str, Any]]] = {
    "/api/v1/chat/completions": {"messages": MESSAGES},
    "/api/v1/completions": {"prompt": "Hello"},
    "/api/v1/responses": {"input": "Hello"},
    "/api/v1/messages": {"messages": MESSAGES, "max_tokens": 100},
}
STREAM: Final = (("content-type", "text/event-stream"),)

every_path = pytest.mark.parametrize("path", BODIES)


def refusal(status: int) -> Script:
    body = msgspec.json.encode({"error": {"message": "no", "type": "x", "code": None}})
    return Script([(0, body)], status=status)


def the_cheap_one_is_down(request: UpstreamRequest) -> Script:
    if "cheap" in request.url:
        return refusal(503)
    if b'"stream":true' in (request.body or b""):
        return Script([(0.1, event) for event in chat_stream(("Hel", "lo"))], headers=STREAM)
    return Script([(0.1, chat_whole("Hello"))])


def called(
    path: str,
    *,
    headers: dict[str, str],
    script: Callable[[UpstreamRequest], Script] = the_cheap_one_is_down,
    **fields: object,
) -> Answer:
    async def one_call() -> Answer:
        gateway = GatewayInMemory(ScriptedUpstream(script), SNAPSHOT)
        body = {"model": "acme/one", "provider": {"sort": "price"}} | BODIES[path] | fields
        return await gateway.call(path, body, headers=headers)

    return run_simulated(one_call())


def events(answer: Answer) -> list[dict[str, Any]]:
    lines = [line for line in answer.body.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line[6:]) for line in lines]


def told_in(fields: dict[str, Any]) -> dict[str, Any] | None:
    told = fields.get("openrouter_metadata")
    if told is None:
        told = fields.get("response", {}).get("openrouter_metadata")
    return told  # type: ignore[no-any-return] # an object, or nothing


def is_after_a_fallback(told: dict[str, Any] | None) -> None:
    assert told is not None
    schemas = json.loads(SCHEMAS.read_text("utf-8"))
    validator = Draft202012Validator({**schemas, "$ref": "#/$defs/OpenRouterMetadata"})
    assert list(validator.iter_errors(told)) == []
    assert told["summary"] == "available=2, selected=Dear"
    assert told["attempt"] == 2
    assert [(one["provider"], one["status"]) for one in told["attempts"]] == [
        ("Cheap", 503),
        ("Dear", 200),
    ]


@every_path
def test_a_whole_answer_tells_it(path: str) -> None:
    answer = called(path, headers=ASKED)
    assert answer.status == 200, answer.body
    is_after_a_fallback(told_in(json.loads(answer.body)))


@every_path
def test_a_stream_tells_it_in_its_last_event(path: str) -> None:
    *others, last = events(called(path, headers=ASKED, stream=True))
    is_after_a_fallback(told_in(last))
    assert not any(told_in(one) for one in others)


@every_path
def test_an_error_tells_it_with_nothing_selected(path: str) -> None:
    answer = called(path, headers=ASKED, script=lambda _: refusal(503))
    assert answer.status == 503
    told = told_in(json.loads(answer.body))
    assert told is not None
    assert told["attempt"] == 2
    assert not any(one["selected"] for one in told["endpoints"]["available"])


@every_path
def test_a_stream_that_breaks_tells_it_with_its_error(path: str) -> None:
    def breaks(_: UpstreamRequest) -> Script:
        steps = [(0.1, event) for event in chat_stream(("Hel", "lo"))][:2]
        return Script(steps, headers=STREAM, end="cut")

    answer = called(path, headers=ASKED, script=breaks, stream=True)
    told = told_in(events(answer)[-1])
    assert told is not None
    assert not any(one["selected"] for one in told["endpoints"]["available"])


@every_path
def test_what_is_wrong_before_the_routing_has_nothing_to_tell(path: str) -> None:
    answer = called(path, headers=ASKED, model="acme/nothing")
    assert answer.status == 400
    assert told_in(json.loads(answer.body)) is None


@every_path
@pytest.mark.parametrize("headers", [{}, {"x-openrouter-metadata": "disabled"}])
def test_nobody_is_told_unasked(path: str, headers: dict[str, str]) -> None:
    whole = called(path, headers=headers)
    stream = called(path, headers=headers, stream=True)
    error = called(path, headers=headers, script=lambda _: refusal(503))
    assert not any(b"openrouter_metadata" in one.body for one in (whole, stream, error))


def test_of_a_mere_list_of_models_the_first_is_told_as_the_one_asked_for() -> None:
    path = "/api/v1/chat/completions"
    answer = called(path, headers=ASKED, model=None, models=["acme/one"])
    told = told_in(answer.json())
    assert told is not None
    assert told["requested"] == "acme/one"
