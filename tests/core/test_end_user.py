"""`user` is never passed on; providers that take an end user are told a digest of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import ChatRequest
from fairlead.core.end_user import end_user, with_end_user
from fairlead.core.ids import AccountId
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from tests.providers.test_openai_encoder import endpoint

ADA = "ada@example.com"
OURS, THEIRS = AccountId("acc-0193e8a1c2d4aa"), AccountId("acc-0193e8a1c2d4bb")
KEY = Credential("https://example.test/v1", "k", {})


def asked(**fields: Any) -> ChatRequest:
    body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
    return OpenAIChat().decode(msgspec.json.encode(body))


def sent(provider: str, request: ChatRequest, model: str = "some-model") -> dict[str, Any]:
    chat = PROVIDERS[provider].chat
    assert chat is not None
    body = chat.encode(request, endpoint(provider, provider_model_id=model), KEY).body
    assert ADA.encode() not in body
    decoded: dict[str, Any] = json.loads(body)
    return decoded


def test_a_user_has_one_digest_in_an_account_and_another_in_any_other() -> None:
    assert end_user(OURS, ADA) == end_user(OURS, ADA)
    assert len({end_user(OURS, ADA), end_user(THEIRS, ADA), end_user(OURS, "bob")}) == 3


@given(st.text(min_size=1, max_size=300))
def test_a_digest_shows_nothing_and_fits_everywhere(user: str) -> None:
    told = end_user(OURS, user)
    assert len(told) == 32
    assert set(told) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("provider", "field"),
    [
        ("openai", "safety_identifier"), ("azure", "user"), ("openrouter", "user"), ("xai", "user"),
        ("groq", "user"), ("fireworks", "user"),
    ],
)  # fmt: skip
def test_a_provider_that_takes_an_end_user_is_told_the_digest(provider: str, field: str) -> None:
    request = with_end_user(asked(user=ADA), OURS)
    assert sent(provider, request)[field] == end_user(OURS, ADA)
    assert field not in sent(provider, with_end_user(asked(), OURS))


def test_claude_is_told_in_its_metadata() -> None:
    request = with_end_user(asked(user=ADA), OURS)
    assert sent("anthropic", request)["metadata"] == {"user_id": end_user(OURS, ADA)}


def test_models_of_the_responses_format_are_told_too() -> None:
    request = with_end_user(asked(user=ADA), OURS)
    assert sent("openai", request, "gpt-5-codex")["safety_identifier"] == end_user(OURS, ADA)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_nobody_is_told_the_user_itself(provider: str) -> None:
    """`sent` looks for it in every body."""
    if PROVIDERS[provider].chat is not None:
        sent(provider, with_end_user(asked(user=ADA), OURS))
        sent(provider, asked(user=ADA))


def test_an_identifier_of_the_callers_own_making_stays() -> None:
    request = with_end_user(asked(user=ADA, safety_identifier="hashed-by-them"), OURS)
    assert sent("openai", request)["safety_identifier"] == "hashed-by-them"
