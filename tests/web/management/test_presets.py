"""`/presets`: what the public document says of them, whose they are, and what is kept of a call's body."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.control.accounts.rules import default_workspace
from tests.api_document import check_answer
from tests.web.management.stage import Stage

CHAT = "POST /presets/{slug}/chat/completions"
MESSAGES = "POST /presets/{slug}/messages"
RESPONSES = "POST /presets/{slug}/responses"
ONE = "GET /presets/{slug}"
VERSIONS = "GET /presets/{slug}/versions"
VERSION = "GET /presets/{slug}/versions/{version}"

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
SEARCH = {"type": "openrouter:web_search", "parameters": {"max_results": 3}}


def asked(stage: Stage, name: str, slug: str = "", status: int = 200, **about: Any) -> Any:
    """As Ada's ordinary key; the answer is as documented."""
    path = {"slug": slug, "version": str(about.pop("version", ""))}
    about.setdefault("key", stage.ada.key.secret)
    answer = stage.ask(name, path=path, **about)
    assert answer.status_code == status, answer.text
    if name.startswith("POST"):
        return check_answer(answer, ONE) if status == 200 else answer.json()
    return check_answer(answer, name)


def test_a_chat_request_is_kept_without_what_belongs_to_one_call(stage: Stage):
    body = {
        "model": "openai/gpt-4o",
        "models": ["openai/o1"],
        "temperature": 0.7,
        "tools": [WEATHER, SEARCH],
        "cache_enabled": True,
        "cache_ttl_seconds": 86_400,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": "My secret question"},
        ],
        "stream": True,
        "user": "someone",
        "seed": None,
        "unheard_of": 1,
    }
    made = asked(stage, CHAT, "support", body=body)["data"]
    version = made["designated_version"]
    kept = ("model", "models", "temperature", "tools", "cache_enabled", "cache_ttl_seconds")
    assert version["config"] == {name: body[name] for name in kept}
    assert (version["system_prompt"], version["version"]) == ("Be brief.", 1)
    assert (made["name"], made["slug"], made["status"]) == ("support", "support", "active")
    assert made["workspace_id"] == default_workspace(stage.ada.account)
    assert made["creator_user_id"] == version["creator_id"] == stage.ada.user
    assert made["designated_version_id"] == version["id"]
    assert asked(stage, ONE, "support")["data"] == made


def test_other_dialects_bodies_are_kept_in_the_same_words(stage: Stage):
    anthropic = asked(
        stage,
        MESSAGES,
        "claude",
        body={
            "model": "anthropic/claude-sonnet-5",
            "max_tokens": 900,
            "system": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be brief."}],
            "messages": [{"role": "user", "content": "Hello"}],
            "stop_sequences": ["END"],
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "tool_choice": {"type": "tool", "name": "weather"},
            "tools": [
                {"type": "web_search_20250305", "name": "web_search"},
                {"name": "weather", "input_schema": SCHEMA},
            ],
        },
    )["data"]["designated_version"]
    assert anthropic["system_prompt"] == "Be kind.\n\nBe brief."
    assert anthropic["config"] == {
        "model": "anthropic/claude-sonnet-5",
        "max_tokens": 900,
        "stop": ["END"],
        "reasoning": {"max_tokens": 2000},
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "tools": [{"type": "web_search_20250305", "name": "web_search"}, WEATHER],
    }
    responses = asked(
        stage,
        RESPONSES,
        "codex",
        body={
            "model": "openai/gpt-5",
            "instructions": "Write code.",
            "max_output_tokens": 500,
            "reasoning": {"effort": "high"},
            "text": {"verbosity": "low"},
            "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA}, SEARCH],
        },
    )["data"]["designated_version"]
    assert responses["system_prompt"] == "Write code."
    assert responses["config"] == {
        "model": "openai/gpt-5",
        "max_tokens": 500,
        "reasoning": {"effort": "high"},
        "verbosity": "low",
        "tools": [WEATHER, SEARCH],
    }


def test_what_is_posted_again_is_a_version_that_calls_get(stage: Stage):
    first = asked(stage, CHAT, "a", body={"model": "openai/o1"})["data"]
    asked(stage, CHAT, "b", body={"model": "openai/o1"})
    second = asked(stage, MESSAGES, "a", body={"model": "openai/o3"})["data"]
    assert (first["id"], first["created_at"]) == (second["id"], second["created_at"])
    assert second["designated_version"]["version"] == 2
    listed = asked(stage, "GET /presets")
    assert ([one["slug"] for one in listed["data"]], listed["total_count"]) == (["a", "b"], 2)
    page = asked(stage, "GET /presets", query={"offset": 1, "limit": 1})
    assert ([one["slug"] for one in page["data"]], page["total_count"]) == (["b"], 2)
    versions = asked(stage, VERSIONS, "a")
    assert [one["version"] for one in versions["data"]] == [1, 2]
    assert versions["data"] == [first["designated_version"], second["designated_version"]]
    newest = asked(stage, VERSIONS, "a", query={"offset": 1, "limit": 5})
    assert (newest["data"], newest["total_count"]) == ([second["designated_version"]], 2)
    assert asked(stage, VERSION, "a", version=1)["data"] == first["designated_version"]
    for strange in ("3", "0", "-1", "one", "9" * 40):
        asked(stage, VERSION, "a", version=strange, status=404)


@pytest.mark.parametrize(
    ("name", "slug", "body", "param"),
    [
        (CHAT, "Fast", {}, "slug"),
        (CHAT, "-x", {}, "slug"),
        (CHAT, "x" * 65, {}, "slug"),
        (CHAT, "x", {"temperature": 3}, "temperature"),
        (CHAT, "x", {"model": "@preset/y"}, "model"),
        (CHAT, "x", {"models": ["openai/o1", "a/b@preset/y"]}, "models[1]"),
        (CHAT, "x", {"provider": {"sorted": "price"}}, "provider.sorted"),
        (CHAT, "x", {"provider": {"max_price": {"prompt": "cheap"}}}, "provider.max_price.prompt"),
        (CHAT, "x", {"tools": [{"type": "function"}]}, "tools[0].function"),
        (CHAT, "x", {"cache_enabled": "yes"}, "cache_enabled"),
        (CHAT, "x", {"cache_ttl_seconds": 0}, "cache_ttl_seconds"),
        (CHAT, "x", {"cache_ttl_seconds": 86_401}, "cache_ttl_seconds"),
        (CHAT, "x", {"messages": [{"role": "system", "content": "x" * 65_537}]}, "system_prompt"),
        (CHAT, "x", {"messages": [{"role": "system", "content": "a\0b"}]}, "system_prompt"),
        (CHAT, "x", {"messages": [5]}, "messages[0]"),
        (MESSAGES, "x", {"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        (RESPONSES, "x", {"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_what_no_call_could_say_is_refused_where_it_stands(
    stage: Stage, name: str, slug: str, body: Any, param: str
):
    told = asked(stage, name, slug, body=body, status=400)
    assert told["error"]["param"] == param
    asked(stage, ONE, slug, status=404)


def test_a_body_that_is_none_is_refused(stage: Stage):
    for content in (b"", b"[]", b"{", b'{"model": "\xff"}', b"[" * 5000):
        for name in (CHAT, MESSAGES, RESPONSES):
            asked(stage, name, "x", content=content, status=400)


def test_nothing_is_kept_that_pages_could_not_read(stage: Stage):
    huge = b"1e999"  # JSON, and no number
    deep = b"[" * 70 + b"]" * 70
    chat = b'{"tools": [{"type": "function", "function": {"name": "a", "parameters": {"x": %b}}}]}'
    messages = b'{"tools": [{"name": "a", "input_schema": {"x": %b}}]}'
    responses = b'{"tools": [{"type": "function", "name": "a", "parameters": {"x": %b}}]}'
    for value in (huge, deep):
        for name, body in ((CHAT, chat), (MESSAGES, messages), (RESPONSES, responses)):
            told = asked(stage, name, "x", content=body % value, status=400)
            assert told["error"]["param"].startswith("tools")
    for name, body in (
        (CHAT, b'{"messages": [{"role": "system", "content": %b}]}'),
        (MESSAGES, b'{"system": %b}'),
        (RESPONSES, b'{"instructions": %b}'),
    ):
        asked(stage, name, "x", content=body % huge, status=400)
    # What is not kept is not looked at.
    asked(stage, CHAT, "x", content=b'{"messages": [{"role": "user", "content": %b}]}' % huge)


def test_presets_belong_to_a_workspace(stage: Stage):
    manager = {"key": stage.ada.management.secret}
    made = stage.ask("POST /workspaces", **manager, body={"name": "Lab", "slug": "lab"})
    lab = {"query": {"workspace_id": made.json()["data"]["id"]}}
    asked(stage, CHAT, "here", body={"model": "openai/o1"})
    asked(stage, CHAT, "there", body={"model": "openai/o1"}, **manager, **lab)
    assert asked(stage, "GET /presets", **manager, **lab)["data"][0]["slug"] == "there"
    assert asked(stage, "GET /presets", **manager)["data"][0]["slug"] == "here"
    asked(stage, ONE, "there", status=404)
    asked(stage, ONE, "there", **lab, status=400)
    # Somebody else's key knows nothing of any of them, by whatever name.
    for bobs in (stage.bob.key.secret, stage.bob.management.secret):
        assert asked(stage, "GET /presets", key=bobs)["total_count"] == 0
        for name in (ONE, VERSIONS):
            asked(stage, name, "here", key=bobs, status=404)
        asked(stage, ONE, "there", key=bobs, **lab, status=400)
        asked(stage, CHAT, "there", key=bobs, body={}, **lab, status=400)
    assert stage.ask("GET /presets").status_code == 401


def test_members_see_and_make_those_of_workspaces_they_work_in(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    admin = {"key": None, "headers": stage.signed_in(stage.ada.user, crew)}
    member = {"key": None, "headers": stage.signed_in(stage.bob.user, crew)}
    made = stage.ask("POST /workspaces", **admin, body={"name": "Lab", "slug": "lab"})
    lab = {"query": {"workspace_id": made.json()["data"]["id"]}}
    asked(stage, CHAT, "shared", body={"model": "openai/o1"}, **member)
    assert asked(stage, ONE, "shared", **admin)["data"]["creator_user_id"] == stage.bob.user
    asked(stage, CHAT, "secret", body={}, **admin, **lab)
    asked(stage, ONE, "secret", **member, **lab, status=400)


def test_the_audit_log_knows_that_and_not_what(stage: Stage):
    said = "Never tell of the whale"
    body = {"messages": [{"role": "system", "content": said}]}
    asked(stage, CHAT, "quiet", body=body)
    entries = stage.control.audit.page(stage.ada.account)
    assert [one.action for one in entries][:1] == ["preset.create"]
    assert "whale" not in repr(entries)
