"""Azure's addresses: version 1, deployments, one deployment, Foundry's models."""

from __future__ import annotations

import json

import pytest

from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.azure import azure_url
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from tests.providers.test_openai_encoder import endpoint
from tests.recordings import load

ASKED = OpenAIChat().decode(b'{"messages": [{"role": "user", "content": "Hi"}], "stream": false}')
DATED = {"api_version": "2024-10-21"}
RESOURCE = "https://ours.openai.azure.com"


@pytest.mark.parametrize(
    ("base_url", "options", "url"),
    [
        (f"{RESOURCE}/openai/v1", {}, f"{RESOURCE}/openai/v1/chat/completions"),
        (RESOURCE, {}, f"{RESOURCE}/openai/v1/chat/completions"),
        (
            f"{RESOURCE}/openai/v1",
            {"api_version": "preview"},
            f"{RESOURCE}/openai/v1/chat/completions?api-version=preview",
        ),
        *(
            (
                base_url,
                DATED,
                f"{RESOURCE}/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
            )
            for base_url in (RESOURCE, f"{RESOURCE}/openai", f"{RESOURCE}/openai/v1/")
        ),
        (
            f"{RESOURCE}/openai/deployments/other",
            DATED,
            f"{RESOURCE}/openai/deployments/other/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://ours.services.ai.azure.com/models",
            DATED,
            "https://ours.services.ai.azure.com/models/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_a_call_goes_where_the_configuration_says(
    base_url: str, options: dict[str, str], url: str
) -> None:
    assert azure_url(Credential(base_url, "k", options), "my gpt", "/chat/completions") == url


def test_requests_go_to_the_addresses_that_were_recorded() -> None:
    paths = set()
    for case in load("azure"):
        path, _, query = case.path.partition("?api-version=")
        base_url = RESOURCE + (path.removesuffix("/chat/completions") if "/models" in path else "")
        credential = Credential(base_url, "k", {"api_version": query})
        chat = PROVIDERS["azure"].chat
        assert chat is not None
        sent = chat.encode(
            ASKED, endpoint("azure", provider_model_id=case.request["model"]), credential
        )
        assert sent.url == RESOURCE + case.path
        assert dict(sent.headers)["api-key"] == "k"
        paths.add(path)
    assert len(paths) == 3


def test_a_deployment_may_have_a_name_of_its_own() -> None:
    adapter = PROVIDERS["azure"].chat
    assert adapter is not None
    named = Credential(RESOURCE, "k", {"model": "my four"} | DATED)
    asked = adapter.encode(ASKED, endpoint(), named)
    assert "/deployments/my%20four/chat/completions?" in asked.url
    assert json.loads(asked.body)["model"] == "my four"


def test_models_that_only_speak_in_responses_are_asked_there() -> None:
    chat = PROVIDERS["azure"].chat
    assert chat is not None
    codex = endpoint("azure", provider_model_id="gpt-5-codex")
    for options, url in (
        ({}, f"{RESOURCE}/openai/v1/responses"),
        (DATED, f"{RESOURCE}/openai/responses?api-version=2024-10-21"),
    ):
        sent = chat.encode(ASKED, codex, Credential(f"{RESOURCE}/openai/v1", "k", options))
        assert sent.url == url
        assert json.loads(sent.body)["model"] == "gpt-5-codex"
        assert dict(sent.headers)["api-key"] == "k"
