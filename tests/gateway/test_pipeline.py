"""The life of a call, end to end in memory: what the caller sees, what is asked, what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from fairlead.core.catalog import DataPolicy, ModelKind, Snapshot
from fairlead.core.chat import ChatEvent
from fairlead.core.generation import Outcome
from fairlead.core.routing.facts import Standing
from fairlead.core.usage import UsageSource
from fairlead.dialects.openai_chat import ChatStream
from fairlead.gateway.server.connection import ServerBounds
from fairlead.gateway.server.listener import end_what_is_left
from fairlead.gateway.services import Timeouts
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory, Reader
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream, chat_whole
from fairlead.testing.vtime import run_simulated

CHEAP = an_endpoint("cheap", prompt="0.000001", completion="0.000002")
DEAR = an_endpoint("dear", prompt="0.000003", completion="0.000004")
PROVIDERS = (
    a_provider("cheap", base_url="http://cheap.test/v1"),
    a_provider("dear", base_url="http://dear.test/v1"),
)
STREAM = (("content-type", "text/event-stream"),)


def catalogue() -> Snapshot:
    return a_snapshot(a_model(CHEAP, DEAR), providers=PROVIDERS)


def whole(text: str = "Hello to you") -> Script:
    return Script([(0.1, chat_whole(text))])


def stream(words: Sequence[str] = ("Hello", " to", " you"), **kwargs: object) -> Script:
    steps = [(0.1, event) for event in chat_stream(words)]
    return replace(Script(steps, headers=STREAM), **kwargs)  # type: ignore[arg-type]


def error(status: int, message: str = "no", **headers: str) -> Script:
    body = msgspec.json.encode({"error": {"message": message, "type": "x", "code": None}})
    return Script([(0, body)], status=status, headers=tuple(headers.items()))


def by_host(**scripts: Script) -> Callable[[UpstreamRequest], Script]:
    return lambda request: scripts[request.url.split("/")[2].partition(".")[0]]


def simulated(
    scenario: Callable[[GatewayInMemory, ScriptedUpstream], Awaitable[None]],
    *,
    script: Callable[[UpstreamRequest], Script],
    **options: object,
) -> None:
    """Run on virtual time; afterwards nothing may be left behind."""

    async def main() -> None:
        upstream = ScriptedUpstream(script)
        gateway = GatewayInMemory(upstream, catalogue(), **options)  # type: ignore[arg-type]
        await scenario(gateway, upstream)
        assert upstream.open_count == 0, "an upstream exchange was left open"
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"
        assert gateway.app.calls_under_way == 0

    run_simulated(main())


def lost(gateway: GatewayInMemory) -> list[str | None]:
    """How the attempts ended of the only call, which failed: kept, and free."""
    [generation] = gateway.recorded
    assert generation.outcome is Outcome.FAILED
    assert generation.cost == 0
    assert generation.usage.source is UsageSource.NONE
    assert generation.error_type is not None
    assert generation.decision is not None
    return [attempt.failure for attempt in generation.attempts]


def test_an_answer_comes_with_usage_cost_and_a_record() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat()
        assert answer.status == 200
        body = answer.json()
        assert answer.text() == "Hello to you"
        assert body["model"] == "acme/one"
        assert body["provider"] == "Cheap"
        assert body["id"] == answer.headers["x-generation-id"]
        assert body["usage"]["prompt_tokens"] == 10
        assert body["usage"]["completion_tokens"] == 3
        # 10 x $0.000001 + 3 x $0.000002
        assert body["usage"]["cost"] == pytest.approx(0.000016, abs=0)
        [generation] = gateway.recorded
        assert generation.id == body["id"]
        assert generation.cost == 16_000
        assert generation.outcome is Outcome.COMPLETED
        assert [a.provider for a in generation.attempts] == ["cheap"]
        [request] = upstream.requests
        assert msgspec.json.decode(request.body)["model"] == "one"
        assert dict(request.headers)["authorization"] == "Bearer upstream-secret"

    simulated(scenario, script=by_host(cheap=whole()))


def test_a_stream_arrives_as_it_is_produced_and_ends_with_usage() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.status == 200
        assert answer.text() == "Hello to you"
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert [e["usage"]["total_tokens"] for e in answer.events() if e.get("usage")] == [13]
        assert len({round(at_s, 3) for at_s, _ in answer.pieces}) >= 3, "pieces came one by one"
        assert gateway.recorded[0].cost == 16_000
        assert gateway.recorded[0].streamed

    simulated(scenario, script=by_host(cheap=stream()))


FAILURES = {
    "refused": Script([], refuses=True),
    "500": error(500),
    "503": error(503),
    "429": error(429),
    "401": error(401),
    "402": error(402),
    "cut before a byte": Script([], end="cut", headers=STREAM),
    "empty stream": Script([(0, b"data: [DONE]\n\n")], headers=STREAM),
    "garbage": Script([(0, b"\x00\xff<html>")], headers=STREAM),
    "role, then cut": replace(stream(), steps=[(0, chat_stream(["x"])[0])], end="cut"),
    "hang": Script([], end="hang", headers=STREAM),
    "slow head": replace(stream(), head_after_s=1000),
}


@pytest.mark.parametrize("failing", FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_before_the_first_token_is_replaced_silently(failing: Script) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.status == 200
        assert answer.text() == "from dear"
        assert {event["provider"] for event in answer.events()} == {"Dear"}
        [generation] = gateway.recorded
        assert [a.provider for a in generation.attempts] == ["cheap", "dear"]
        assert generation.attempts[0].failure is not None
        assert generation.provider == "dear"
        assert len(upstream.requests) == 2

    simulated(scenario, script=by_host(cheap=failing, dear=stream(["from", " dear"])))


def test_a_bad_request_is_not_tried_elsewhere_and_costs_nothing() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat()
        assert answer.status == 400
        assert "too spicy" in answer.json()["error"]["message"]
        assert answer.json()["error"]["code"] == 400
        assert len(upstream.requests) == 1
        assert lost(gateway) == ["bad_request"]

    simulated(scenario, script=by_host(cheap=error(400, "too spicy")))


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (error(429, **{"retry-after": "7"}), 429, "capacity_exhausted"),
        (error(500), 503, "temporarily_unavailable"),
        (error(401), 502, None),
        (Script([], refuses=True), 502, None),
        (Script([], end="hang"), 504, "temporarily_unavailable"),
    ],
)
def test_when_all_fail_the_caller_learns_why(script: Script, status: int, code: str | None) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat()
        assert answer.status == status
        problem = answer.json()["error"]
        assert problem["code"] == status
        assert (problem.get("availability") or {}).get("code") == code
        assert [p["provider"] for p in problem["metadata"]["previous_errors"]] == ["Cheap"]
        assert answer.headers.get("retry-after") == ("7" if status == 429 else None)
        assert len(lost(gateway)) == 2

    simulated(scenario, script=by_host(cheap=script, dear=script))


@pytest.mark.parametrize("end", ["cut", "hang"])
@pytest.mark.parametrize("after", [2, 3, 4])
def test_a_stream_that_breaks_says_so_in_band_and_is_free(end: str, after: int) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.status == 200
        broken = [event for event in answer.events() if "error" in event]
        assert len(broken) == 1
        assert broken[0]["choices"][0]["finish_reason"] == "error"
        assert broken[0]["error"]["code"] in (502, 504)
        assert answer.is_complete
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.FAILED
        assert generation.cost == 0
        assert len(upstream.requests) == 1, "no fallback after the first token"

    steps = [(0.1, event) for event in chat_stream(["a", "b", "c", "d"])[:after]]
    simulated(scenario, script=by_host(cheap=Script(steps, headers=STREAM, end=end)))  # type: ignore[arg-type]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_caller_who_hangs_up_before_anything_came_frees_the_upstream_and_owes_nothing(
    streamed: bool,
) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        await gateway.chat(Reader(leaves_after_s=5), stream=streamed)
        assert asyncio.get_running_loop().time() < 6
        assert upstream.open_count == 0
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.CANCELLED
        assert generation.cost == 0

    simulated(scenario, script=by_host(cheap=Script([], head_after_s=50)))


def test_a_caller_who_hangs_up_in_the_middle_pays_for_what_came() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        await gateway.chat(Reader(leaves_after_s=3.05), stream=True)
        assert asyncio.get_running_loop().time() < 4
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.CANCELLED
        assert generation.usage.source is UsageSource.ESTIMATED
        assert generation.usage.prompt == 2
        assert 1 <= generation.usage.completion_tokens <= 3
        assert generation.cost > 0

    words = [f" w{index}" for index in range(100)]
    steps = [(1.0, event) for event in chat_stream(words)]
    simulated(scenario, script=by_host(cheap=Script(steps, headers=STREAM)))


def test_usage_that_a_provider_does_not_report_is_estimated_and_marked() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.text() == "one two three"
        [generation] = gateway.recorded
        assert generation.usage.source is UsageSource.ESTIMATED
        assert generation.usage.completion == 3
        assert generation.usage.prompt == 2
        assert answer.events()[-1]["usage"]["total_tokens"] == 5

    events = chat_stream(["one", " two", " three"], usage=False)
    simulated(scenario, script=by_host(cheap=Script([(0, e) for e in events], headers=STREAM)))


def test_a_silent_upstream_does_not_silence_the_stream() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        comments = [piece for _, piece in answer.pieces if piece.startswith(b":")]
        assert len(comments) >= 4
        assert answer.text() == "Hello to you"

    slow = replace(stream(), head_after_s=45)
    simulated(scenario, script=by_host(cheap=slow), bounds=ServerBounds(keep_alive_s=10))


def test_a_failure_after_comments_were_sent_still_falls_back_and_then_reports_in_band() -> None:
    async def fallen_back(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.text() == "Hello to you"

    late_failure = replace(error(500), head_after_s=25)
    simulated(fallen_back, script=by_host(cheap=late_failure, dear=stream()))

    async def reported(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.status == 200
        assert answer.events()[-1]["error"]["code"] == 503
        assert answer.is_complete
        assert lost(gateway) == ["server", "server"]

    simulated(reported, script=by_host(cheap=late_failure, dear=late_failure))


@pytest.mark.parametrize("pause_s", [10, 70], ids=["slow", "slower than a provider may be"])
def test_a_slow_reader_slows_his_own_upstream_and_nobody_elses(pause_s: float) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        times: dict[str, float] = {}

        async def timed(name: str, reader: Reader) -> Answer:
            answer = await gateway.chat(reader, stream=True)
            times[name] = asyncio.get_running_loop().time()
            return answer

        async with asyncio.TaskGroup() as tasks:
            slow = tasks.create_task(timed("slow", Reader(pause_s=pause_s)))
            tasks.create_task(timed("quick", Reader()))
        assert times["quick"] < 2
        assert times["slow"] > 4 * pause_s
        assert slow.result().text() == "Hello to you"

    simulated(scenario, script=by_host(cheap=stream()))


def test_a_fault_of_our_own_in_mid_stream_is_told_in_band_and_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller must not wait for more, nor take what came for all of it."""
    feeds = 0
    feed = ChatStream.feed

    def stumbles(stream: ChatStream, events: Sequence[ChatEvent]) -> bytes:
        nonlocal feeds
        feeds += 1
        if feeds == 3:
            raise RuntimeError("a bug")
        return feed(stream, events)

    monkeypatch.setattr(ChatStream, "feed", stumbles)

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.is_complete
        assert answer.text()
        assert answer.events()[-1]["error"]["code"] == 500
        assert b"[DONE]" not in answer.body
        assert b"a bug" not in answer.body
        (record,) = gateway.recorded
        assert (record.outcome, record.cost) == (Outcome.FAILED, 0)

    simulated(scenario, script=by_host(cheap=stream()))


def test_a_whole_answer_that_arrives_slowly_but_steadily_is_let_arrive() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        assert (await gateway.chat()).text() == "Hello to you"

    body = chat_whole("Hello to you")
    slowly = Script([(1.0, body[at : at + 1]) for at in range(len(body))])
    patient = Timeouts(first_token=5, between_tokens=5, total=3600)
    simulated(scenario, script=by_host(cheap=slowly), timeouts=patient)


def test_an_upstream_that_ends_its_answer_but_not_its_message_is_not_waited_for() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert asyncio.get_running_loop().time() < 5
        assert gateway.recorded[0].outcome is Outcome.COMPLETED

    simulated(scenario, script=by_host(cheap=stream(end="hang")))


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_cannot_be_written_is_not_charged(
    streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("fairlead.dialects.openai_chat.OpenAIChat.whole", broken)
    monkeypatch.setattr("fairlead.dialects.openai_chat.ChatStream.close", broken)

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=streamed)
        assert answer.is_complete
        assert answer.status == (200 if streamed else 500)
        assert not any(generation.cost for generation in gateway.recorded)

    simulated(scenario, script=by_host(cheap=stream() if streamed else whole()))


def test_the_whole_call_is_bounded() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert asyncio.get_running_loop().time() == pytest.approx(30, abs=2)
        assert answer.events()[-1]["error"]["code"] == 504
        now_s = gateway.services.clock.now_s()
        standing = gateway.health.at(now_s).facts(CHEAP.id).standing
        assert standing is Standing.GOOD, "it streamed steadily to the end"

    endless = Script([(1.0, chat_stream(["x"])[1])] * 1000, headers=STREAM)
    simulated(scenario, script=by_host(cheap=endless), timeouts=Timeouts(total=30))


def test_an_answer_that_cannot_be_recorded_is_not_given_away() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        gateway.journal.refuses = True
        answer = await gateway.chat()
        assert answer.status == 503
        assert b"Hello" not in answer.body

    simulated(scenario, script=by_host(cheap=whole()))


class TestRefusals:
    @pytest.mark.parametrize(
        ("header", "status", "says"),
        [
            ("Bearer wrong", 401, "not known"),
            ("Bearer ", 401, "No API key"),
            ("Basic abc", 401, "No API key"),
        ],
    )
    def test_a_key_that_is_not_good_is_a_401(self, header: str, status: int, says: str) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            answer = await gateway.call(
                "/api/v1/chat/completions", {}, headers={"authorization": header}
            )
            assert answer.status == status
            assert says in answer.json()["error"]["message"]
            assert upstream.requests == []

        simulated(scenario, script=by_host())

    def test_a_store_that_is_away_is_a_503_and_never_a_401(self) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            gateway.keys.is_away = True
            unknown = {"authorization": "Bearer sk-fl-v1-unknown"}
            answer = await gateway.call("/v1/chat/completions", {}, headers=unknown)
            assert answer.status == 503
            assert (await gateway.chat()).status == 200, "a known key keeps working"

        simulated(scenario, script=by_host(cheap=whole()))

    def test_an_unknown_model_is_a_400_that_names_near_ones(self) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            answer = await gateway.chat(model="acme/onne")
            assert answer.status == 400
            problem = answer.json()["error"]
            assert "acme/one" in problem["message"]
            assert problem["availability"]["code"] == "model_not_found"

        simulated(scenario, script=by_host())

    def test_a_name_as_long_as_a_body_is_not_echoed_whole(self) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            answer = await gateway.chat(model="x" * 100_000)
            assert answer.status == 400
            assert len(answer.body) < 2000

        simulated(scenario, script=by_host())

    def test_a_model_without_a_configured_provider_is_a_404_that_names_the_setting(self) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            answer = await gateway.chat()
            assert answer.status == 404
            assert "CHEAP_API_KEY" in answer.json()["error"]["message"]
            assert answer.json()["error"]["availability"]["code"] == "no_endpoints"

        simulated(scenario, script=by_host(), missing_credentials=frozenset({"cheap", "dear"}))

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":1}', b"\xff\xfe"])
    def test_a_body_that_is_not_the_dialects_is_a_400(self, body: bytes) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            answer = await gateway.call("/api/v1/chat/completions", body)
            assert answer.status == 400
            assert answer.json()["error"]["code"] == 400
            assert gateway.recorded == []

        simulated(scenario, script=by_host())

    def test_a_compressed_body_is_a_400_that_says_so(self) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            gzipped = {"content-encoding": "gzip"}
            answer = await gateway.call("/v1/chat/completions", b"\x1f\x8b", headers=gzipped)
            assert answer.status == 400
            assert "gzip" in answer.json()["error"]["message"]

        simulated(scenario, script=by_host())

    def test_a_body_over_the_limit_is_a_413(self) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            answer = await gateway.chat(messages=[{"role": "user", "content": "x" * 2000}])
            assert answer.status == 413

        simulated(scenario, script=by_host(), body_bytes_max=1000)

    def test_another_method_is_a_405_that_names_the_right_one(self) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            answer = await gateway.call("/api/v1/chat/completions", b"", method="GET")
            assert answer.status == 405
            assert answer.headers["allow"] == "POST"

        simulated(scenario, script=by_host())

    def test_more_calls_at_once_than_the_bound_are_refused(self) -> None:
        async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
            async with asyncio.TaskGroup() as tasks:
                calls = [tasks.create_task(gateway.chat()) for _ in range(5)]
            assert sorted(call.result().status for call in calls) == [200, 200, 200, 503, 503]

        simulated(scenario, script=by_host(cheap=whole()), calls_max=3)


def test_the_callers_list_of_models_is_tried_in_order() -> None:
    second = a_model(an_endpoint("dear", model="acme/two"), slug="acme/two")
    snapshot = a_snapshot(a_model(CHEAP), second, providers=PROVIDERS)

    async def main() -> None:
        upstream = ScriptedUpstream(by_host(cheap=error(400), dear=whole("from two")))
        gateway = GatewayInMemory(upstream, snapshot)
        answer = await gateway.chat(models=["acme/two"])
        assert answer.text() == "from two"
        assert answer.json()["model"] == "acme/two"
        assert gateway.recorded[0].requested_model == "acme/one"

    run_simulated(main())


def test_a_model_that_is_not_configured_does_not_hide_that_another_failed() -> None:
    second = a_model(an_endpoint("dear", model="acme/two"), slug="acme/two")
    snapshot = a_snapshot(a_model(CHEAP), second, providers=PROVIDERS)

    async def main() -> None:
        upstream = ScriptedUpstream(by_host(cheap=error(503)))
        gateway = GatewayInMemory(upstream, snapshot, missing_credentials=frozenset({"dear"}))
        answer = await gateway.chat(models=["acme/two"])
        assert answer.status == 503
        availability = answer.json()["error"]["availability"]
        assert availability["code"] == "temporarily_unavailable"
        assert availability["requested_models"] == ["acme/one", "acme/two"]

    run_simulated(main())


def test_a_model_that_does_not_chat_is_a_400_that_says_where_to_call_it() -> None:
    model = msgspec.structs.replace(a_model(CHEAP), kind=ModelKind.EMBEDDING)

    async def main() -> None:
        upstream = ScriptedUpstream(by_host())
        gateway = GatewayInMemory(upstream, a_snapshot(model, providers=PROVIDERS))
        answer = await gateway.chat()
        assert answer.status == 400
        availability = answer.json()["error"]["availability"]
        assert availability["code"] == "wrong_endpoint"
        assert availability["constraint"]["detail"] == "/embeddings"
        assert availability["docs_url"] == "https://gate.example/docs/errors"
        assert upstream.requests == []

    run_simulated(main())


def test_a_slash_at_the_end_of_the_address_does_not_matter() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        body = {"model": "acme/one", "messages": [{"role": "user", "content": "Hi"}]}
        assert (await gateway.call("/v1/chat/completions/", body)).status == 200

    simulated(scenario, script=by_host(cheap=whole()))


def test_when_every_model_of_a_list_fails_each_failure_is_named() -> None:
    second = a_model(an_endpoint("dear", model="acme/two"), slug="acme/two")
    snapshot = a_snapshot(a_model(CHEAP), second, providers=PROVIDERS)

    async def main() -> None:
        upstream = ScriptedUpstream(by_host(cheap=error(429), dear=error(500)))
        gateway = GatewayInMemory(upstream, snapshot)
        problem = (await gateway.chat(models=["acme/two"])).json()["error"]
        assert problem["code"] == 503
        assert problem["metadata"]["provider_name"] == "Dear"
        assert problem["metadata"]["previous_errors"] == [
            {"provider": "Cheap", "code": "rate_limit_exceeded", "status": 429}
        ]

    run_simulated(main())


@pytest.mark.parametrize("wish", [{"data_collection": "deny"}, {"zdr": True}])
def test_a_private_call_goes_only_where_nothing_is_kept(wish: dict[str, object]) -> None:
    """An unknown policy counts as one that keeps prompts; a known good one is used."""
    private = msgspec.structs.replace(
        PROVIDERS[1], data_policy=DataPolicy(trains_on_prompts=False, retains_prompts=False)
    )

    async def main() -> None:
        upstream = ScriptedUpstream(by_host(cheap=whole("cheap"), dear=whole("dear")))
        for providers, status in (((PROVIDERS[0], private), 200), (PROVIDERS, 404)):
            snapshot = a_snapshot(a_model(CHEAP, DEAR), providers=providers)
            answer = await GatewayInMemory(upstream, snapshot).chat(provider=wish)
            assert answer.status == status
            if status == 200:
                assert answer.text() == "dear"
            else:
                assert answer.json()["error"]["availability"]["code"] == "privacy_restricted"

    run_simulated(main())


def test_attribution_headers_are_recorded_and_not_forwarded() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        await gateway.call(
            "/v1/chat/completions",
            {"model": "acme/one", "messages": [{"role": "user", "content": "Hi"}]},
            headers={"http-referer": "https://app.test", "x-title": "App", "user-agent": "sdk/1"},
        )
        attribution = gateway.recorded[0].attribution
        assert attribution is not None
        assert (attribution.referer, attribution.title) == ("https://app.test", "App")
        assert not {name for name, _ in upstream.requests[0].headers} & {"http-referer", "x-title"}

    simulated(scenario, script=by_host(cheap=whole()))


def test_a_shutdown_in_the_middle_tells_the_caller_and_records_the_call() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(gateway.chat(stream=True))
            await asyncio.sleep(3.5)
            call.cancel()
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.FAILED
        assert generation.cost == 0

    steps = [(1.0, event) for event in chat_stream(["a", "b", "c", "d", "e", "f"])]
    simulated(scenario, script=by_host(cheap=Script(steps, headers=STREAM)))


def test_who_takes_an_answer_so_slowly_that_his_time_passes_does_not_harm_its_provider() -> None:
    """Else a few slow readers could keep everybody from it."""

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(Reader(pause_s=30), stream=True)
        assert answer.events()[-1]["error"]["code"] == 504
        now_s = gateway.services.clock.now_s()
        assert gateway.health.at(now_s).facts(CHEAP.id).standing is Standing.GOOD

    words = stream([f"word {number} " for number in range(20)])
    simulated(scenario, script=by_host(cheap=words), timeouts=Timeouts(total=100))


MOMENTS_S = [moment / 20 for moment in range(80)]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("pause_s", [0.0, 0.7])
def test_whenever_a_caller_leaves_his_call_is_settled_once(streamed: bool, pause_s: float) -> None:
    """While he is waited for, before the first token, between two, paused, while it is recorded, after it."""
    outcomes: list[Outcome] = []

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        gateway.journal.takes_s = 1.0
        for leaves_after_s in MOMENTS_S:
            gateway.recorded.clear()
            asked = len(upstream.requests)
            reader = Reader(pause_s=pause_s, leaves_after_s=leaves_after_s)
            await gateway.chat(reader, stream=streamed)
            assert len(gateway.recorded) == len(upstream.requests) - asked
            assert upstream.open_count == 0
            assert not gateway.connections.tasks
            outcomes.extend(generation.outcome for generation in gateway.recorded)

    script = stream() if streamed else whole()
    simulated(scenario, script=by_host(cheap=replace(script, head_after_s=0.3)))
    assert set(outcomes) == {Outcome.CANCELLED, Outcome.COMPLETED}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("pause_s", [0.0, 0.7])
def test_whenever_a_stopping_server_cuts_a_call_short_it_is_settled_once_and_told(
    streamed: bool, pause_s: float
) -> None:
    statuses: set[int] = set()

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        gateway.journal.takes_s = 1.0
        for stops_after_s in MOMENTS_S:
            gateway.recorded.clear()
            asked = len(upstream.requests)
            line = gateway.chatting(Reader(pause_s=pause_s), stream=streamed)
            await asyncio.sleep(stops_after_s)
            await end_what_is_left(gateway.connections)
            assert len(gateway.recorded) == len(upstream.requests) - asked
            assert line.answer.is_complete or pause_s or not stops_after_s
            statuses.add(line.answer.status)

    script = stream() if streamed else whole()
    simulated(scenario, script=by_host(cheap=replace(script, head_after_s=0.3)))
    assert pause_s or statuses >= {200, 503}


def test_a_stopping_server_lets_the_calls_of_callers_who_left_be_recorded() -> None:
    """Their settling has begun; a second order does not interrupt it."""

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        gateway.journal.takes_s = 1.0
        line = gateway.chatting(stream=True)
        await asyncio.sleep(0.35)
        line.abort()
        await asyncio.sleep(0.1)
        began_s = asyncio.get_running_loop().time()
        await end_what_is_left(gateway.connections)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(0.9)
        assert [generation.outcome for generation in gateway.recorded] == [Outcome.CANCELLED]

    simulated(scenario, script=by_host(cheap=replace(stream(), head_after_s=0.2)))


@pytest.mark.parametrize("takes_s", [0.0, 0.3])
def test_whatever_cannot_be_recorded_the_caller_is_told_and_nothing_is_left(takes_s: float) -> None:
    """A full disk, while callers leave, the server stops, and a stream breaks."""

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        gateway.journal.refuses = True
        await gateway.chat(Reader(leaves_after_s=0.35 + takes_s), stream=True)
        gateway.journal.refuses = False
        gateway.journal.check()  # or the next call would not even begin
        gateway.journal.refuses = True
        line = gateway.chatting(stream=True)
        await asyncio.sleep(0.35 + takes_s)
        await end_what_is_left(gateway.connections)
        assert line.answer.is_complete
        assert line.answer.events()[-1]["error"]["code"] == 503
        assert gateway.recorded == []

    simulated(scenario, script=by_host(cheap=replace(stream(), head_after_s=takes_s)))


def test_no_call_begins_while_none_can_be_recorded() -> None:
    """What it used would be lost, and nobody would pay the provider's bill."""

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        gateway.journal.refuses = True
        first = await gateway.chat(stream=True)  # that there is no space shows only at its end
        assert first.events()[-1]["error"]["code"] == 503
        for _ in range(2):
            answer = await gateway.chat(stream=True)
            assert answer.status == 503
            assert answer.json()["error"]["message"] == "Usage cannot be recorded at the moment."
        assert len(upstream.requests) == 1
        gateway.journal.refuses = False
        assert (await gateway.chat(stream=True)).status == 200
        assert len(gateway.recorded) == 1

    simulated(scenario, script=by_host(cheap=stream()))


# --- requests that one provider cannot be sent, and another can ------------------------------------------

GOOGLE = an_endpoint("google-ai-studio", prompt="0.0000001", completion="0.0000001")
A_FILE_ELSEWHERE: list[dict[str, object]] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Read this"},
            {"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}},
        ],
    }
]


@pytest.mark.parametrize("hedge", [False, {"after_s": 0.01}])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_request_that_cannot_be_put_in_a_providers_terms_goes_to_the_next(
    hedge: object, *, elsewhere: bool
) -> None:
    """And nothing is left that waits for an answer from who was not asked."""
    endpoints = (GOOGLE, CHEAP) if elsewhere else (GOOGLE,)
    models = a_model(*endpoints)
    providers = (*PROVIDERS, a_provider("google-ai-studio", base_url="http://google.test"))

    async def main() -> None:
        upstream = ScriptedUpstream(by_host(cheap=stream(("read",))))
        gateway = GatewayInMemory(upstream, a_snapshot(models, providers=providers))
        for _ in range(4):
            answer = await gateway.chat(
                stream=True, messages=A_FILE_ELSEWHERE, provider={"hedge": hedge, "sort": "price"}
            )
            if elsewhere:
                assert answer.text() == "read"
                assert gateway.recorded[-1].attempts[0].failure == "unsupported"
            else:
                told = answer.json()["error"]
                assert answer.status == 400
                assert told["param"] == "messages[0].content[1].file"
                assert told["metadata"]["provider_name"] == "Google-Ai-Studio"
        await asyncio.sleep(120)
        now_s = gateway.services.clock.now_s()
        assert gateway.health.at(now_s).facts(GOOGLE.id).standing is Standing.GOOD
        assert upstream.open_count == 0

    run_simulated(main())


def test_a_slow_readers_pace_is_not_taken_for_his_providers() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        await gateway.chat(Reader(pause_s=5), stream=True)
        now_s = gateway.services.clock.now_s()
        figures = gateway.health.figures(CHEAP.id, now_s)
        assert figures.latency_30m is not None
        assert figures.throughput_30m is None
        await gateway.chat(stream=True)
        assert gateway.health.figures(CHEAP.id, now_s).throughput_30m is not None

    simulated(scenario, script=by_host(cheap=stream()))


def test_a_stream_is_kept_open_while_a_provider_is_waited_for() -> None:
    """Both ask for two seconds; then the first is asked once more."""
    asked = 0

    def script(request: UpstreamRequest) -> Script:
        nonlocal asked
        asked += 1
        return error(429, **{"retry-after": "2"}) if asked <= 2 else stream(("at", " last"))

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True)
        assert answer.text() == "at last"
        assert answer.body.startswith(b": ")
        assert [one.failure for one in gateway.recorded[0].attempts] == [
            "rate_limit",
            "rate_limit",
            None,
        ]

    simulated(scenario, script=script, bounds=ServerBounds(keep_alive_s=0.5))


def test_a_caller_who_leaves_while_a_provider_is_waited_for_owes_nothing() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        await gateway.chat(Reader(leaves_after_s=1), stream=True)
        [generation] = gateway.recorded
        assert (generation.outcome, generation.cost) == (Outcome.CANCELLED, 0)
        assert generation.usage.source is UsageSource.NONE

    simulated(scenario, script=lambda _: error(429, **{"retry-after": "2"}))


@pytest.mark.parametrize(("leaves_after_s", "words"), [(0.5, 0), (1.5, 1), (3.5, 3)])
def test_usage_that_comes_before_the_answer_is_not_what_a_caller_who_leaves_owes(
    leaves_after_s: float, words: int
) -> None:
    """Anthropic tells the prompt's tokens and one of the answer before there is any."""
    claude = an_endpoint("anthropic", prompt="0.000001", completion="0.000002")
    started = {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 100, "output_tokens": 1},
        },
    }
    block = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    word = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "word "},
    }
    events = [
        b"event: %b\ndata: %b\n\n" % (str(one["type"]).encode(), msgspec.json.encode(one))
        for one in (started, block, word, word, word, word)
    ]
    steps = [(0.0, events[0]), (0.0, events[1]), *((1.0, event) for event in events[2:])]

    async def main() -> None:
        upstream = ScriptedUpstream(lambda _: Script(steps, headers=STREAM, end="hang"))
        provider = a_provider("anthropic", base_url="http://anthropic.test/v1")
        snapshot = a_snapshot(a_model(claude), providers=(provider,))
        gateway = GatewayInMemory(upstream, snapshot)
        await gateway.chat(Reader(leaves_after_s=leaves_after_s), stream=True)
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.CANCELLED
        assert generation.cost == (100 * 1000 + words * 2000 if words else 0)

    run_simulated(main())


def test_a_call_that_failed_and_cannot_be_recorded_is_told_what_failed_it() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        gateway.journal.refuses = True
        answer = await gateway.chat()
        assert answer.status == 400
        assert "too spicy" in answer.json()["error"]["message"]

    simulated(scenario, script=by_host(cheap=error(400, "too spicy")))
