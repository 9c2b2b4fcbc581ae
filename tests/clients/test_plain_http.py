"""Callers without a client library: what is written for AI/ML API or OpenRouter, only the host replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from fairlead.cli.opening import accounts_in
from fairlead.control.generations.service import GenerationStore
from fairlead.core.generation import Attribution
from fairlead.core.ids import GenerationId
from fairlead.store.database import open_database
from fairlead.testing.serving import RunningFairlead
from tests.clients.conftest import Prompt

SCHEMAS = Path(__file__).parents[1] / "schemas" / "aimlapi_chat.json"
O_SERIES = ("o1", "o3-mini", "o4-mini")
TIMEOUT_S = 30


@pytest.fixture(scope="session")
def session(fairlead: RunningFairlead):
    with requests.Session() as session:
        yield session


@pytest.fixture
def post(session: requests.Session, fairlead: RunningFairlead) -> Callable[..., requests.Response]:
    """post(path, body, headers): a call with the key in it, as the quick starts write it."""

    def post(path: str, body: object, headers: dict[str, str] | None = None) -> requests.Response:
        return session.post(
            fairlead.url + path,
            headers={
                "Authorization": f"Bearer {fairlead.key}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
            data=json.dumps(body),
            timeout=TIMEOUT_S,
        )

    return post


@pytest.fixture(scope="session")
def check() -> Callable[[object, str], None]:
    """Fails unless the document is one of AI/ML API's answers, or chunks."""
    schemas = json.loads(SCHEMAS.read_text("utf-8"))

    def check(document: object, name: str) -> None:
        assert name in schemas["$defs"]
        validator = Draft202012Validator({**schemas, "$ref": f"#/$defs/{name}"})
        problems = [f"{e.json_path}: {e.message}" for e in validator.iter_errors(document)]
        assert not problems, problems

    return check


def events_of(response: requests.Response) -> list[str]:
    """What stands behind `data: `; comments are skipped, as every reader does."""
    return [
        line.removeprefix("data: ") for line in response.text.split("\n") if line.startswith("data")
    ]


# --- AI/ML API's habit --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", O_SERIES)
def test_aimlapi_answers_have_every_documented_field(post, check, prompt: Prompt, model: str):
    response = post("/v1/chat/completions", {"model": model, "messages": prompt.messages()})
    assert response.status_code == 200
    answer = response.json()
    check(answer, "answer")
    assert answer["model"] == f"openai/{model}"
    assert isinstance(answer["system_fingerprint"], str)
    message = answer["choices"][0]["message"]
    assert message["content"] == prompt()
    assert (message["refusal"], message["annotations"]) == (None, [])
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert {"audio_tokens", "cached_tokens"} <= usage["prompt_tokens_details"].keys()
    assert {
        "accepted_prediction_tokens",
        "audio_tokens",
        "reasoning_tokens",
        "rejected_prediction_tokens",
    } <= usage["completion_tokens_details"].keys()
    spent = answer["meta"]["usage"]
    assert spent["usd_spent"] == usage["cost"]
    assert spent["credits_used"] == pytest.approx(usage["cost"] * 2_000_000)


@pytest.mark.parametrize("model", O_SERIES)
def test_aimlapi_streams_have_every_documented_field(post, check, prompt: Prompt, model: str):
    body = {"model": model, "messages": prompt.messages(), "stream": True}
    response = post("/v1/chat/completions", body)
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, end = events_of(response)
    assert end == "[DONE]"
    read = [json.loads(chunk) for chunk in chunks]
    for chunk in read:
        check(chunk, "chunk")
    deltas = [chunk["choices"][0]["delta"] for chunk in read]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content") or "" for delta in deltas) == prompt()
    usage = read[-1]["usage"]
    assert {"audio_tokens", "cached_tokens"} <= usage["prompt_tokens_details"].keys()
    assert "accepted_prediction_tokens" in usage["completion_tokens_details"]


def test_aimlapi_calls_may_leave_the_version_out_of_the_models_name(post, prompt: Prompt):
    for name in ("o3-mini", "openai/o3-mini", "o3-mini-2025-01-31"):
        response = post("/v1/chat/completions", {"model": name, "messages": prompt.messages()})
        assert response.json()["model"] == "openai/o3-mini", name


def test_a_provider_may_be_named_by_a_string(post, prompt: Prompt):
    body: dict[str, Any] = {"model": "o1", "messages": prompt.messages()}
    for provider in ("auto", "openai"):
        response = post("/v1/chat/completions", {**body, "provider": provider})
        assert response.status_code == 200, response.text
        assert response.json()["provider"] == "OpenAI"
    elsewhere = post("/v1/chat/completions", {**body, "provider": "azure"})
    assert elsewhere.status_code == 404  # the one provider that may serve it has no key here


# --- OpenRouter's quick start -------------------------------------------------------------------------


def recorded(session: requests.Session, fairlead: RunningFairlead, generation: str) -> Any:
    response = session.get(
        f"{fairlead.openrouter_url}/generation",
        params={"id": generation},
        headers={"Authorization": f"Bearer {fairlead.key}"},
        timeout=TIMEOUT_S,
    )
    assert response.status_code == 200, response.text
    return response.json()["data"]


def attribution(fairlead: RunningFairlead, generation: str) -> Attribution:
    """What is recorded and no answer shows."""
    database = open_database(fairlead.data / "fairlead.db")
    try:
        owner = accounts_in(database).ensure_owner().account.id
        store = GenerationStore(database, journals=fairlead.data / "journal")
        found = store.look_up(GenerationId(generation), owner)
    finally:
        database.close()
    assert found is not None
    assert found.attribution is not None
    return found.attribution


@pytest.mark.parametrize("title", ["X-OpenRouter-Title", "X-Title"])
def test_attribution_is_recorded_with_the_generation(
    session, fairlead, post, prompt: Prompt, title: str
):
    response = post(
        "/api/v1/chat/completions",
        {"model": "openai/gpt-4o-mini", "messages": prompt.messages()},
        {"HTTP-Referer": "https://app.example/start", title: "An App"},
    )
    generation = response.json()["id"]
    assert response.headers["x-generation-id"] == generation
    record = recorded(session, fairlead, generation)
    assert attribution(fairlead, generation).title == "An App"
    assert record["http_referer"] == "https://app.example/start"
    assert record["origin"] == "https://app.example/"
    assert record["total_cost"] == pytest.approx(response.json()["usage"]["cost"])


def test_attribution_may_be_left_out(session, fairlead, post, prompt: Prompt):
    body = {"model": "openai/gpt-4o-mini", "messages": prompt.messages()}
    response = post("/api/v1/chat/completions", body)
    assert response.status_code == 200
    assert recorded(session, fairlead, response.json()["id"])["http_referer"] is None


def test_a_model_that_reads_images_gets_them_by_address(post, prompt: Prompt):
    parts = [
        {"type": "text", "text": prompt("What is in this image?")},
        {"type": "image_url", "image_url": {"url": "https://images.example/board.jpg"}},
    ]
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": parts}]}
    response = post("/api/v1/chat/completions", body)
    assert response.json()["choices"][0]["message"]["content"] == prompt("What is in this image?")
