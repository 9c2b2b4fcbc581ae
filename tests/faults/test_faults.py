"""Whatever a provider does, the caller gets an end that his dialect knows, and another provider is tried first.

The breaks of a stream are in test_every_cut.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.stage import FIRST, SECOND, STREAMS, TIMEOUT_S, WHOLE, ask, said_after
from tests.recordings import recording
from tests.recordings_truth import read
from tests.replay.caller import Caller, OfficialCaller, read_ending
from tests.replay.playing import events_of
from tests.replay.replay_server import ReplayServer

ALL_EVENTS = 1000
# Fault: (status for the caller, error type), when nobody else can answer.
REFUSALS = {
    "status=429": (429, "rate_limit_exceeded"),
    "status=429;retry_after=7": (429, "rate_limit_exceeded"),
    "status=500": (503, "provider_overloaded"),
    "status=502;html": (503, "provider_overloaded"),
    "status=503": (503, "provider_overloaded"),
    "status=503;html;retry_after=7": (503, "provider_overloaded"),
    "status=401": (502, "provider_unavailable"),
    "status=403": (502, "provider_unavailable"),
    "status=200;html": (502, "provider_unavailable"),
    "status=302;html": (503, "provider_overloaded"),
    "garbage": (502, "provider_unavailable"),
    "refuse": (502, "provider_unavailable"),
    "refuse;cut=rst": (502, "provider_unavailable"),
    "cut_after_events=0": (502, "provider_unavailable"),
    "truncate_after_events=0": (502, "provider_unavailable"),
    "hang=headers": (504, "timeout"),
    "hang=body": (504, "timeout"),
    "drip_bytes=1;drip_ms=40;drip_headers": (504, "timeout"),
    "delay_headers_ms=5000": (504, "timeout"),
    "delay_first_byte_ms=5000": (504, "timeout"),
}
# What is odd and yet correct.
HARMLESS = (
    "chunking=bytes:1",
    "chunking=bytes:7",
    "chunking=bytes:1000",
    "chunking=whole",
    "drip_bytes=100;drip_ms=2",
    "comments",
    "comments;crlf",
    "crlf",
    "crlf;chunking=bytes:1",
    "gzip",
    "gzip;chunking=bytes:3",
    "gzip;chunking=whole;close",
    "no_content_type",
    "content_type=text/plain",
    "content_type=application/octet-stream;crlf",
    "close",
    "event_delay_ms=20",
    "delay_headers_ms=100;delay_first_byte_ms=100",
)


def answer(streamed: bool) -> str:
    return STREAMS["text"] if streamed else STREAMS[WHOLE]


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("fault", REFUSALS)
def test_a_failing_provider_is_an_error_that_says_what_it_means(
    fault: str,
    streamed: bool,
    upstream: ReplayServer,
    caller: Caller,
    official: OfficialCaller,
) -> None:
    upstream.on(answer=answer(streamed), fault=fault)
    heard = caller.call(ask(FIRST, streamed=streamed))
    ending = read_ending(heard)
    assert ending.kind == "refused"
    assert ending.error is not None
    assert (ending.error["code"], ending.error["metadata"]["error_type"]) == REFUSALS[fault]
    assert ending.error["metadata"]["provider_name"] == "DeepInfra"
    assert heard.headers.get("retry-after") == ("7" if "retry_after" in fault else None)
    record = caller.generation(ending.id)
    assert record is not None, "what was tried is kept"
    assert record["total_cost"] == 0
    assert [tried["provider_name"] for tried in record["provider_responses"]] == ["DeepInfra"]
    assert official.ending(ask(FIRST, streamed=streamed))[0] == "refused"


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("fault", REFUSALS)
def test_another_provider_answers_for_a_failing_one(
    fault: str,
    streamed: bool,
    upstream: ReplayServer,
    caller: Caller,
    unasked_models: Iterator[str],
) -> None:
    upstream.on(answer=answer(streamed))
    upstream.on(provider=FIRST, answer=answer(streamed), fault=fault)
    ending = caller.ending(ask(FIRST, SECOND, streamed=streamed, model=next(unasked_models)))
    assert (ending.kind, ending.provider) == ("complete", "Together AI")
    asked = [request.provider for request in upstream.received]
    # A pooled connection that ends without a byte is tried again, once, on a fresh one.
    assert asked == [FIRST, SECOND] or ("refuse" in fault and asked == [FIRST, FIRST, SECOND])
    record = caller.generation(ending.id)
    assert record is not None
    assert record["total_cost"] == ending.cost
    assert [tried["provider_name"] for tried in record["provider_responses"]] == [
        "DeepInfra",
        "Together AI",
    ]


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("fault", HARMLESS)
def test_odd_manners_change_nothing(
    fault: str,
    streamed: bool,
    upstream: ReplayServer,
    caller: Caller,
    official: OfficialCaller,
) -> None:
    case = recording(answer(streamed))
    upstream.on(answer=case.id, fault=fault)
    truth = read(case.body, is_sse=streamed)
    ending = caller.ending(ask(FIRST, streamed=streamed))
    assert ending.kind == "complete"
    assert ending.said is not None
    assert truth.usage is not None
    assert ending.said.choices == truth.choices
    assert ending.said.usage == truth.usage
    record = caller.generation(ending.id)
    assert record is not None
    assert record["total_cost"] == ending.cost == pytest.approx(truth.usage.total / 1e6, abs=1e-12)
    assert official.ending(ask(FIRST, streamed=streamed)) == ("complete", truth.choices[0].text)


@pytest.mark.parametrize("kind", [kind for kind in STREAMS if kind != WHOLE])
def test_a_stream_that_falls_silent_is_broken_off(
    kind: str,
    upstream: ReplayServer,
    caller: Caller,
    official: OfficialCaller,
    unasked_models: Iterator[str],
) -> None:
    events = len(events_of(recording(STREAMS[kind]))) // 2
    upstream.on(answer=STREAMS[kind], fault=f"hang_after_events={events}")
    ending = caller.ending(ask(FIRST, SECOND, streamed=True, model=next(unasked_models)))
    assert ending.kind == "broken"
    assert ending.error is not None
    assert (ending.error["code"], ending.error["metadata"]["error_type"]) == (504, "timeout")
    assert ending.said is not None
    assert ending.said.choices[0].text == said_after(kind, events).choices[0].text
    asked = [request.provider for request in upstream.received]
    assert asked == [FIRST], "never another provider after the first token"
    record = caller.generation(ending.id)
    assert record is not None
    assert record["total_cost"] == 0
    assert official.ending(ask(FIRST, streamed=True))[0] == "broken"


def test_a_stream_that_hangs_after_its_end_has_ended(
    upstream: ReplayServer, caller: Caller
) -> None:
    events = len(events_of(recording(STREAMS["text"])))
    upstream.on(answer=STREAMS["text"], fault=f"hang_after_events={events}")
    ending = caller.ending(ask(FIRST, streamed=True))
    assert ending.kind == "complete"
    assert ending.said == said_after("text", ALL_EVENTS)


def test_a_slow_but_steady_stream_outlives_the_time_out_between_tokens(
    upstream: ReplayServer, caller: Caller
) -> None:
    """Each silence is shorter than it; all together are longer."""
    events = len(events_of(recording(STREAMS["text"])))
    pause_ms = int(TIMEOUT_S * 1000 / 4)
    assert events * pause_ms / 1000 > 3 * TIMEOUT_S
    upstream.on(answer=STREAMS["text"], fault=f"event_delay_ms={pause_ms}")
    assert caller.ending(ask(FIRST, streamed=True)).kind == "complete"


def test_a_limited_rate_is_told_only_when_every_provider_is_limited(
    upstream: ReplayServer, caller: Caller
) -> None:
    upstream.on(provider=FIRST, answer=STREAMS["text"], fault="status=429;retry_after=30")
    upstream.on(provider=SECOND, answer=STREAMS["text"], fault="status=429;retry_after=9")
    heard = caller.call(ask(FIRST, SECOND, streamed=True))
    assert (heard.status, heard.headers["retry-after"]) == (429, "9")
    error = read_ending(heard).error
    assert error is not None
    assert error["availability"]["code"] == "capacity_exhausted"
