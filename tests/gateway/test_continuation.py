"""A stream that breaks after tokens were sent: continued where the caller wants it, told in band where not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from fairlead.core.generation import AttemptKind, Outcome
from fairlead.core.usage import UsageSource
from fairlead.gateway.continuing import SPLICES_MAX
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory, Reader
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream
from fairlead.testing.vtime import run_simulated

CHEAP = an_endpoint("cheap", prompt="0.000001", completion="0.000002")
DEAR = an_endpoint("dear", prompt="0.000003", completion="0.000004")
OPENAI = an_endpoint("openai", prompt="0.000003", completion="0.000004")
PROVIDERS = tuple(
    a_provider(slug, base_url=f"http://{slug}.test/v1") for slug in ("cheap", "dear", "openai")
)
STREAM = (("content-type", "text/event-stream"),)
SAVED: dict[str, object] = {"continue_streams": True}


def stream(words: Sequence[str], **kwargs: object) -> Script:
    steps = [(0.1, event) for event in chat_stream(words)]
    return replace(Script(steps, headers=STREAM), **kwargs)  # type: ignore[arg-type]


def broken(words: Sequence[str], said: int, end: str = "cut") -> Script:
    """Says the first `said` words, and breaks."""
    whole = stream(words)
    # One event opens the answer; each word is one more.
    return replace(whole, steps=whole.steps[: 1 + said], end=end)  # type: ignore[arg-type]


def by_host(**scripts: Script | list[Script]) -> Callable[[UpstreamRequest], Script]:
    def script(request: UpstreamRequest) -> Script:
        found = scripts[request.url.split("/")[2].partition(".")[0]]
        return found if isinstance(found, Script) else found.pop(0)

    return script


def simulated(
    scenario: Callable[[GatewayInMemory, ScriptedUpstream], Awaitable[None]],
    **scripts: Script | list[Script],
) -> None:
    async def main() -> None:
        upstream = ScriptedUpstream(by_host(**scripts))
        endpoints = [one for one in (CHEAP, DEAR, OPENAI) if one.provider in scripts]
        snapshot = a_snapshot(a_model(*endpoints), providers=PROVIDERS)
        gateway = GatewayInMemory(upstream, snapshot)
        await scenario(gateway, upstream)
        assert upstream.open_count == 0, "an upstream exchange was left open"
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"

    run_simulated(main())


def errors_in(answer: Answer) -> list[object]:
    return [event["error"] for event in answer.events() if "error" in event]


WORDS = ("One", " two", " three", " four")


@pytest.mark.parametrize("end", ["cut", "end"])
def test_another_endpoint_goes_on_where_the_first_broke_off(end: str) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert answer.text() == "One two three four"
        assert errors_in(answer) == []
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert {event["id"] for event in answer.events()} == {answer.headers["x-generation-id"]}
        asked = msgspec.json.decode(upstream.requests[1].body)["messages"]
        assert asked[1:] == [{"role": "assistant", "content": "One two"}]
        assert gateway.recorded[0].splices[0].manner == "prefill"

    simulated(scenario, cheap=broken(WORDS, 2, end), dear=stream([" three", " four"]))


def test_a_provider_that_goes_on_with_nothing_is_asked_in_words() -> None:
    """It repeats the last words, as it was asked to, and the caller does not see them twice."""

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert answer.text() == "One two three four"
        asked = msgspec.json.decode(upstream.requests[1].body)["messages"]
        assert [message["role"] for message in asked] == ["user", "assistant", "user"]
        assert gateway.recorded[0].splices[0].manner == "instruction"

    simulated(scenario, cheap=broken(WORDS, 2), openai=stream(["One two", " three", " four"]))


def test_both_legs_are_recorded_and_the_caller_pays_once() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.COMPLETED
        assert generation.provider == "dear"
        first, second = generation.attempts
        assert (first.provider, first.failure) == ("cheap", "cut")
        assert (second.provider, second.kind) == ("dear", AttemptKind.CONTINUATION)
        [splice] = generation.splices
        assert (splice.after, splice.by, splice.manner) == (CHEAP.id, DEAR.id, "prefill")
        assert splice.characters == len("One two")
        # Of the first leg the prompt ("Hello there") and the two words that came; of the second what it says it
        # wrote. The second prompt is not paid.
        assert generation.cost == 2 * 1000 + 2 * 2000 + 2 * 4000
        assert generation.usage.source is UsageSource.ESTIMATED
        [usage] = [event["usage"] for event in answer.events() if event.get("usage")]
        assert usage["prompt_tokens"] == 2
        assert usage["completion_tokens"] == 2 + 2

    simulated(scenario, cheap=broken(WORDS, 2), dear=stream([" three", " four"]))


def test_without_the_wish_the_break_is_told_in_band() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.text() == "One two"
        assert len(errors_in(answer)) == 1
        assert len(upstream.requests) == 1
        assert gateway.recorded[0].outcome is Outcome.FAILED
        assert gateway.recorded[0].cost == 0

    simulated(scenario, cheap=broken(WORDS, 2), dear=stream(WORDS))


def test_an_answer_without_text_so_far_begins_anew() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert answer.text() == "\n\nOne two"
        [generation] = gateway.recorded
        assert generation.splices[0].manner == "restart"
        assert generation.cost == 10 * 3000 + 2 * 4000, "as if the first had not been"
        first, second = upstream.requests
        assert (
            msgspec.json.decode(first.body)["messages"]
            == msgspec.json.decode(second.body)["messages"]
        )

    simulated(scenario, cheap=broken(["\n\n", "lost"], 1), dear=stream(["One", " two"]))


def test_the_same_endpoint_goes_on_where_there_is_no_other() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert answer.text() == "One two three four"
        assert [attempt.provider for attempt in gateway.recorded[0].attempts] == ["cheap", "cheap"]

    simulated(scenario, cheap=[broken(WORDS, 2), stream([" three", " four"])])


def test_an_answer_that_breaks_again_and_again_is_given_up() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert len(errors_in(answer)) == 1
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.FAILED
        assert generation.cost == 0, "an answer that ends in an error is free"
        assert len(generation.splices) == SPLICES_MAX
        assert len(upstream.requests) == 1 + SPLICES_MAX

    simulated(scenario, cheap=broken(WORDS, 2))


def test_a_provider_that_cannot_go_on_is_passed_over() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert len(errors_in(answer)) == 1
        [generation] = gateway.recorded
        assert [a.failure for a in generation.attempts] == ["cut", "server", "cut"]
        assert generation.splices == ()
        assert generation.provider == "cheap"

    refused = Script([(0, b'{"error":{"message":"no"}}')], status=500)
    dead = Script([], headers=STREAM, end="cut")
    simulated(scenario, cheap=[broken(WORDS, 2), dead], dear=refused)


@pytest.mark.parametrize("after_s", [0.25, 0.35, 0.45, 0.6])
def test_a_caller_who_leaves_during_a_continuation_pays_for_what_came(after_s: float) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        await gateway.chat(Reader(leaves_after_s=after_s), stream=True, provider=SAVED)
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.CANCELLED
        assert generation.cost > 0

    simulated(
        scenario,
        cheap=broken(WORDS, 2),
        dear=replace(stream([" three", " four"]), head_after_s=0.2),
    )


def test_a_half_sent_tool_call_is_never_spliced() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        tools = [{"type": "function", "function": {"name": "look"}}]
        answer = await gateway.chat(stream=True, provider=SAVED, tools=tools)
        assert len(errors_in(answer)) == 1
        assert len(upstream.requests) == 1

    simulated(scenario, cheap=tool_stream('{"at":"'), dear=stream(WORDS))


def test_a_tool_call_that_lacks_nothing_but_the_end_is_ended() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        tools = [{"type": "function", "function": {"name": "look"}}]
        answer = await gateway.chat(stream=True, provider=SAVED, tools=tools)
        assert errors_in(answer) == []
        finishes = [
            choice["finish_reason"]
            for event in answer.events()
            for choice in event["choices"]
            if choice.get("finish_reason")
        ]
        assert finishes == ["tool_calls"]
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.COMPLETED
        assert generation.finish_reason == "tool_calls"
        assert generation.splices[0].manner == "finish"
        assert generation.cost > 0
        assert len(upstream.requests) == 1

    simulated(scenario, cheap=tool_stream('{"at":"sea"}'), dear=stream(WORDS))


def tool_stream(arguments: str) -> Script:
    """One tool call whose arguments came so far, and then nothing more."""
    chunk = {
        "id": "x",
        "object": "chat.completion.chunk",
        "choices": [
            {
                "index": 0,
                "delta": {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "look", "arguments": arguments},
                        }
                    ],
                },
            }
        ],
    }
    event = b"data: " + msgspec.json.encode(chunk) + b"\n\n"
    return Script([(0.1, event)], headers=STREAM, end="cut")


def test_an_answer_that_had_nothing_left_to_say_is_ended() -> None:
    """All words had come when the stream broke: who is prefilled with them says nothing more."""

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert answer.text() == "One two three four"
        assert errors_in(answer) == []
        [generation] = gateway.recorded
        assert generation.finish_reason == "stop"
        assert generation.splices[0].manner == "finish"
        assert [attempt.failure for attempt in generation.attempts] == ["cut", None]
        assert generation.provider == "cheap"
        assert generation.cost == 2 * 1000 + 4 * 2000

    simulated(scenario, cheap=broken(WORDS, 4), dear=stream([]))


def test_who_takes_a_begun_answer_for_a_bad_request_does_not_end_it() -> None:
    """The caller's request was good enough for one; the next is asked in words."""

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert answer.text() == "One two three four"
        [generation] = gateway.recorded
        assert generation.splices[0].manner == "instruction"
        assert [a.failure for a in generation.attempts] == ["cut", "bad_request", None]

    refused = Script([(0, b'{"error":{"message":"no begun answers"}}')], status=400)
    simulated(
        scenario,
        cheap=broken(WORDS, 2),
        dear=refused,
        openai=stream(["One two", " three", " four"]),
    )


def test_comments_keep_a_stream_open_while_somebody_is_found_to_go_on() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=SAVED)
        assert answer.text() == "One two three four"
        comments = [at_s for at_s, piece in answer.pieces if piece.startswith(b": ")]
        assert len(comments) >= 5
        assert all(0.3 < at_s < 60.5 for at_s in comments)

    slow = replace(stream([" three", " four"]), head_after_s=60)
    simulated(scenario, cheap=broken(WORDS, 2), dear=slow)


@pytest.mark.parametrize("leaves_after_s", [2.0, 2.25])
def test_leaving_while_a_new_beginning_is_awaited_is_paid_as_what_came(
    leaves_after_s: float,
) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        await gateway.chat(Reader(leaves_after_s=leaves_after_s), stream=True, provider=SAVED)
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.CANCELLED
        # Of white space alone there is nothing to pay; of the new beginning what came of it.
        assert generation.cost == (0 if leaves_after_s < 2.1 else 2 * 3000 + 1 * 4000)

    simulated(
        scenario,
        cheap=broken(["\n\n", "lost"], 1),
        dear=replace(stream(["One", " two", " three"]), head_after_s=1.8),
    )
