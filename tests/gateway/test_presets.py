"""Calls with a preset, in every dialect, from the caller's bytes to what a provider is asked."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fairlead.core.errors import Overloaded
from fairlead.core.presets import Preset, PresetStatus
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory, PresetsInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_whole
from fairlead.testing.vtime import run_simulated

EVERYTHING = frozenset(
    {"max_tokens", "temperature", "top_p", "seed", "stop", "tools", "tool_choice", "reasoning"}
)
SNAPSHOT = a_snapshot(
    a_model(an_endpoint("here", supported=EVERYTHING)),
    a_model(an_endpoint("here", model="acme/two", supported=EVERYTHING), slug="acme/two"),
    a_model(
        an_endpoint("anthropic", model="anthropic/claude-sonnet-5", supported=EVERYTHING),
        slug="anthropic/claude-sonnet-5",
    ),
    providers=(a_provider("here"), a_provider("anthropic")),
)
CHAT, MESSAGES, RESPONSES = "/api/v1/chat/completions", "/api/v1/messages", "/api/v1/responses"
HELLO = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": HELLO},
    MESSAGES: {"messages": HELLO},
    RESPONSES: {"input": "Hello"},
}
OWN_SYSTEM: dict[str, list[dict[str, Any]]] = {
    CHAT: [
        {"messages": [{"role": "system", "content": "Mine"}, *HELLO]},
        {"messages": [*HELLO, {"role": "developer", "content": "Mine"}]},
    ],
    MESSAGES: [{"system": "Mine"}, {"system": [{"type": "text", "text": "Mine"}]}],
    RESPONSES: [
        {"instructions": "Mine"},
        {"input": [{"role": "developer", "content": "Mine"}, {"role": "user", "content": "Hello"}]},
    ],
}
SCHEMA = {"type": "object", "properties": {}}
every_path = pytest.mark.parametrize("path", BODIES)


def tool(name: str, about: str = "") -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": SCHEMA},
    }


def a_preset(
    status: PresetStatus = PresetStatus.ACTIVE, *, system: str | None = None, **fields: object
) -> Preset:
    kept = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}
    return Preset("id", "a", 1, status, system, kept)


FULL = a_preset(
    system="Be brief.",
    model="acme/one",
    temperature=0.25,
    max_tokens=77,
    seed=5,
    stop=["END"],
    tools=[tool("ours"), tool("both", "the preset's")],
    tool_choice={"type": "function", "function": {"name": "ours"}},
)


def called(
    path: str, kept: Preset | None, /, **fields: object
) -> tuple[Answer, dict[str, Any], GatewayInMemory]:
    """The answer, what the provider was asked ({} if nothing), and the gateway afterwards."""
    sent: list[UpstreamRequest] = []

    def script(request: UpstreamRequest) -> Script:
        sent.append(request)
        return Script([(0.1, chat_whole("Hello"))])

    async def one_call() -> tuple[Answer, GatewayInMemory]:
        presets = PresetsInMemory() if kept is None else PresetsInMemory(a=kept)
        gateway = GatewayInMemory(ScriptedUpstream(script), SNAPSHOT, presets=presets)
        return await gateway.call(path, {**BODIES.get(path, {}), **fields}), gateway

    answer, gateway = run_simulated(one_call())
    return answer, json.loads(sent[0].body or b"{}") if sent else {}, gateway


def asked(path: str, kept: Preset, /, **fields: object) -> dict[str, Any]:
    answer, sent, _ = called(path, kept, **fields)
    assert sent, answer.body
    return sent


@every_path
@pytest.mark.parametrize("fields", [{"model": "@preset/a"}, {"preset": "a"}])
def test_what_the_request_leaves_out_is_the_presets(path: str, fields: dict[str, Any]) -> None:
    sent = asked(path, FULL, **fields)
    assert sent["model"] == "one"
    assert (sent["temperature"], sent["max_tokens"]) == (0.25, 77)
    # Messages has no word for a seed, and Responses none for a stop: a provider gets them all the same.
    assert (sent["seed"], sent["stop"]) == (5, ["END"])
    assert [one["function"]["name"] for one in sent["tools"]] == ["ours", "both"]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "ours"}}
    assert [one["role"] for one in sent["messages"]] == ["system", "user"]
    assert sent["messages"][0]["content"] == "Be brief."
    assert "preset" not in sent


@every_path
def test_what_the_request_says_holds(path: str) -> None:
    limit = "max_output_tokens" if path == RESPONSES else "max_tokens"
    sent = asked(path, FULL, model="acme/two@preset/a", temperature=1, **{limit: 9})
    assert (sent["model"], sent["temperature"], sent["max_tokens"], sent["seed"]) == (
        "two",
        1,
        9,
        5,
    )


@every_path
def test_a_request_with_its_own_instructions_keeps_to_them(path: str) -> None:
    for own in OWN_SYSTEM[path]:
        told = json.dumps(asked(path, FULL, preset="a", **own)["messages"])
        assert "Mine" in told
        assert "brief" not in told


@every_path
def test_tools_are_all_of_both(path: str) -> None:
    mine: dict[str, list[dict[str, Any]]] = {
        CHAT: [tool("mine"), tool("both", "the caller's")],
        MESSAGES: [
            {"name": "mine", "input_schema": SCHEMA},
            {"name": "both", "description": "the caller's", "input_schema": SCHEMA},
        ],
        RESPONSES: [
            {"type": "function", "name": "mine", "parameters": SCHEMA},
            {
                "type": "function",
                "name": "both",
                "description": "the caller's",
                "parameters": SCHEMA,
            },
        ],
    }
    functions = [
        one["function"] for one in asked(path, FULL, preset="a", tools=mine[path])["tools"]
    ]
    assert [one["name"] for one in functions] == ["ours", "both", "mine"]
    assert functions[1]["description"] == "the caller's"


def test_a_request_that_chooses_among_the_presets_tools_is_right_with_it() -> None:
    choice = {"type": "function", "name": "ours"}
    sent = asked(
        RESPONSES, a_preset(tools=[tool("ours")]), model="acme/one@preset/a", tool_choice=choice
    )
    assert sent["tool_choice"]["function"]["name"] == "ours"


def test_a_provider_of_messages_gets_a_preset_in_its_own_words() -> None:
    preset = a_preset(
        system="Be brief.",
        tools=[tool("ours")],
        stop="END",
        seed=5,
        reasoning={"effort": "minimal"},
        parallel_tool_calls=False,
    )
    sent = asked(MESSAGES, preset, model="anthropic/claude-sonnet-5", preset="a", max_tokens=50)
    assert sent["system"] == "Be brief."
    assert sent["tools"] == [{"name": "ours", "description": "", "input_schema": SCHEMA}]
    assert sent["stop_sequences"] == ["END"]
    assert sent["thinking"] == {"type": "adaptive"}
    assert sent["output_config"] == {"effort": "low"}
    assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert sent["messages"] == HELLO
    assert "seed" not in sent


def test_the_newer_name_of_a_limit_and_the_older_one_are_one() -> None:
    sent = asked(CHAT, FULL, preset="a", max_completion_tokens=9)
    assert sent["max_tokens"] == 9
    preset = a_preset(model="acme/one", reasoning={"effort": "high"})
    answer, sent, _ = called(CHAT, preset, preset="a", reasoning_effort="low")
    assert sent, answer.body


@every_path
@pytest.mark.parametrize(
    ("preset", "words"),
    [
        (None, "There is no preset 'a' in this workspace."),
        (a_preset(PresetStatus.DISABLED), "The preset 'a' is disabled."),
        (a_preset(PresetStatus.ARCHIVED), "The preset 'a' is archived."),
    ],
)
def test_one_that_cannot_be_called_is_told_of_in_the_callers_words(
    path: str, preset: Preset | None, words: str
) -> None:
    for streamed in (False, True):
        answer, sent, _ = called(path, preset, model="acme/one@preset/a", stream=streamed)
        assert (answer.status, sent) == (400, {})
        error = answer.json()["error"]
        assert words in error["message"]
        if path == MESSAGES:
            assert (answer.json()["type"], error["type"]) == ("error", "invalid_request_error")
        else:
            assert error["param"] == "preset"


def test_one_that_is_nearly_there_is_named() -> None:
    answer, _, _ = called(CHAT, FULL, model="@preset/aa")
    assert "Did you mean a?" in answer.json()["error"]["message"]


@pytest.mark.parametrize("preset", [5, ["a"], {}])
def test_a_preset_that_is_no_text_is_refused(preset: object) -> None:
    answer, sent, _ = called(CHAT, FULL, model="acme/one", preset=preset)
    assert (answer.status, sent) == (400, {})
    assert answer.json()["error"]["param"] == "preset"


@every_path
def test_a_body_that_is_not_utf_8_is_refused_with_a_preset_as_without(path: str) -> None:
    async def one_call(model: bytes) -> Answer:
        gateway = GatewayInMemory(
            ScriptedUpstream(lambda _: pytest.fail("asked")),
            SNAPSHOT,
            presets=PresetsInMemory(a=FULL),
        )
        turns = b'[{"role": "\xff", "content": "Hello"}]'
        tools = b'[{"type": "function", "name": "\xff", "function": {"name": "\xff"}}]'
        body = b'{"model": "%b", "messages": %b, "input": %b, "tools": %b}'
        return await gateway.call(path, body % (model, turns, turns, tools))

    for model in (b"acme/one", b"@preset/a"):
        answer = run_simulated(one_call(model))
        assert answer.status == 400
        assert "UTF-8" in answer.json()["error"]["message"]


def test_without_a_preset_nobody_is_asked_for_one() -> None:
    for fields in ({}, {"preset": None}):
        answer, _, gateway = called(CHAT, FULL, model="acme/one", **fields)
        assert answer.status == 200
        assert gateway.services.presets is not None
        assert gateway.services.presets.asked == []  # type: ignore[attr-defined] # it is in memory


def test_the_record_says_what_was_asked_for() -> None:
    for fields, requested in (
        ({"preset": "a"}, "@preset/a"),
        ({"model": "acme/two", "preset": "a"}, "acme/two@preset/a"),
        ({"model": "acme/two@preset/a:nitro"}, "acme/two@preset/a:nitro"),
    ):
        (record,) = called(CHAT, FULL, **fields)[2].recorded
        assert (record.requested_model, record.preset) == (requested, "a")


def test_other_questions_know_presets_too() -> None:
    answer, _, _ = called("/api/v1/routing/explain", FULL, model="@preset/a", messages=HELLO)
    assert answer.json()["data"]["requested"] == "@preset/a"
    assert [one["model"] for one in answer.json()["data"]["candidates"]] == ["acme/one"]
    answer, _, _ = called("/api/v1/messages/count_tokens", FULL, model="@preset/a", messages=HELLO)
    assert answer.json()["input_tokens"] > 1  # with the system prompt
    answer, sent, _ = called("/api/v1/completions", FULL, model="@preset/a", prompt="Hello")
    assert (sent["model"], "temperature" in sent) == ("one", False)


def test_a_store_that_is_away_is_told_of() -> None:
    class Away(PresetsInMemory):
        async def find(self, caller: object, slug: str) -> Preset:
            raise Overloaded("Presets cannot be looked up at the moment.")

    async def one_call() -> Answer:
        gateway = GatewayInMemory(
            ScriptedUpstream(lambda _: pytest.fail("asked")), SNAPSHOT, presets=Away()
        )
        return await gateway.call(CHAT, {"messages": HELLO, "model": "@preset/a"})

    assert run_simulated(one_call()).status == 503
