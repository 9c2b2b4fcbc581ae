"""Streams that go on: real sockets, a real gateway, the twin behind several providers, cut at every event."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead.testing.twin import RunningTwin, running_twin
from tests.conformance.callers import CALLERS
from tests.conformance.callers import Caller as Dialect
from tests.conformance.meaning import Choice
from tests.conformance.official import OfficialClients
from tests.faults.stage import stage_sections
from tests.replay.caller import Caller
from tests.replay.gateway import Offer, RunningGateway, configuration, running_gateway

DIALECTS = [dialect for dialect in CALLERS if dialect.name != "completions"]
# What the twin says, by the model's name at the gateway. All are small: they are cut at each of their events.
STREAMS = {
    "text": "story!tokens=16;first_ms=0;delay_ms=0",
    "reasoning": "reasoner!reasoning_tokens=6;first_ms=0;delay_ms=0",
    "tools": "tools",
}
LONG = "story!tokens=30;first_ms=0;delay_ms=0"  # to be cut here and there
# Who begins, and who goes on: asked in words, by a prefill, in another format, and back.
PAIRS = {
    "words": ("deepinfra", "together"),
    "prefill": ("together", "groq"),
    "from Messages": ("anthropic", "deepinfra"),
    "to Messages": ("deepinfra", "anthropic"),
    "to Gemini": ("together", "google-ai-studio"),
}
VERSIONS = {"google-ai-studio": "v1beta"}  # of the format, in its addresses; v1 elsewhere
CHAT = next(dialect for dialect in DIALECTS if dialect.name == "chat")


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin() as running:
        yield running


@pytest.fixture(scope="module")
def continuing(
    twin: RunningTwin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    providers = sorted({provider for pair in PAIRS.values() for provider in pair})
    toml = configuration(
        {provider: f"{twin.url}/{VERSIONS.get(provider, 'v1')}" for provider in providers},
        [
            Offer(f"twin/{stream}", provider, behaviour)
            for stream, behaviour in {**STREAMS, "long": LONG}.items()
            for provider in providers
        ],
        stage_sections(),
    )
    with running_gateway(tmp_path_factory.mktemp("continuing"), toml) as running:
        yield running


@pytest.fixture(scope="module")
def official() -> Iterator[OfficialClients]:
    clients = OfficialClients()
    yield clients
    clients.close()


@pytest.fixture
def caller(continuing: RunningGateway) -> Iterator[Caller]:
    with Caller(continuing.fairlead) as one:
        yield one


def script(twin: RunningTwin, *faults: str) -> None:
    """What happens to each of the next calls."""
    for method, body in (("DELETE", None), ("POST", json.dumps({"faults": faults}).encode())):
        request = urllib.request.Request(f"{twin.url}/_twin/faults", body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200


PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def body_of(dialect: Dialect, stream: str, pair: str, *, goes_on: bool = True) -> dict[str, object]:
    question = {"role": "user", "content": "Tell me of the harbour."}
    providers = list(PAIRS[pair])
    body: dict[str, object] = {
        "model": f"twin/{stream}",
        "stream": True,
        "provider": {"order": providers, "only": providers, "continue_streams": goes_on},
        "input" if dialect.name == "responses" else "messages": [question],
    }
    if dialect.name == "messages":
        body["max_tokens"] = 1000
    if stream == "tools":
        function = {"name": "weather", "parameters": PARAMETERS}
        tool: dict[str, Any] = {"type": "function", "function": function}
        if dialect.name == "responses":
            tool = {"type": "function", **function}
        elif dialect.name == "messages":
            tool = {"name": "weather", "input_schema": PARAMETERS}
        body["tools"] = [tool]
    return body


def heard(caller: Caller, dialect: Dialect, body: dict[str, object]) -> bytes | None:
    """The whole stream; None if it ended with an error in band."""
    answer = caller.call(body, f"/api/v1{dialect.path}")
    assert answer.status == 200, answer.body
    last = answer.body.rstrip(b"\n").rpartition(b"\n")[2]
    if last in (b"data: [DONE]", b'data: {"type":"message_stop"}'):
        return answer.body
    assert b'"error"' in last
    return None


def essence(choice: Choice) -> tuple[str, list[tuple[str, object]], str]:
    """What two legs must have in common with one: ids are the provider's, thoughts are thought anew."""
    return choice.text, [(call.name, call.arguments) for call in choice.calls], choice.finish


def events_of(twin: RunningTwin) -> int:
    """How many the last call wrote."""
    return twin.bill().calls[-1].chunks


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("pair", PAIRS)
def test_a_stream_that_is_cut_at_any_event_goes_on_to_the_same_end(
    pair: str,
    stream: str,
    dialect: Dialect,
    twin: RunningTwin,
    caller: Caller,
    official: OfficialClients,
) -> None:
    script(twin)
    body = body_of(dialect, stream, pair)
    unbroken = heard(caller, dialect, body)
    assert unbroken is not None
    expected = essence(dialect.read_stream(unbroken).choices[0])
    ends = set()
    for cut in range(events_of(twin)):
        script(twin, f"cut_after_events={cut}")
        joined = heard(caller, dialect, body)
        ends.add(joined is not None)
        if joined is None:
            assert stream == "tools", (cut, "only half a call may not go on")
            continue
        assert essence(dialect.read_stream(joined).choices[0]) == expected, cut
        assert essence(official.read_stream(dialect, joined).choices[0]) == expected, cut
    assert True in ends


def test_half_a_call_is_never_joined_to_another(twin: RunningTwin, caller: Caller) -> None:
    """Only one provider, which writes its calls in pieces: head, then the name, then the arguments."""
    body = body_of(CHAT, "tools", "words")
    body["provider"] = {"only": ["deepinfra"], "continue_streams": True}
    for cut in (2, 3, 4):
        script(twin, f"cut_after_events={cut}")
        ending = caller.ending(body)
        assert ending.kind == "broken"
        assert ending.said is not None
        assert ending.said.choices[0].calls[0].arguments != "{}"


@pytest.mark.parametrize("stream", STREAMS)
def test_without_the_wish_a_cut_is_an_error_in_band(
    stream: str, twin: RunningTwin, caller: Caller
) -> None:
    for cut in (4, 8):
        script(twin, f"cut_after_events={cut}")
        ending = caller.ending(body_of(CHAT, stream, "words", goes_on=False))
        assert ending.kind == "broken"
        assert ending.error is not None
        assert ending.error["metadata"]["error_type"] == "provider_unavailable"


@pytest.mark.parametrize(
    "way", ["hang_after_events=6", "error_event_after=6", "cut_after_events=6"]
)
def test_it_goes_on_however_the_provider_dies(way: str, twin: RunningTwin, caller: Caller) -> None:
    script(twin)
    body = body_of(CHAT, "long", "words")
    whole = caller.ending(body)
    script(twin, way)
    joined = caller.ending(body)
    assert joined.kind == "complete"
    assert joined.said is not None
    assert whole.said is not None
    assert joined.said.choices[0].text == whole.said.choices[0].text


def test_a_repetition_is_cut(twin: RunningTwin, caller: Caller) -> None:
    script(twin)
    body = body_of(CHAT, "long", "words")
    whole = caller.ending(body)
    for repeated in (0, 12, 40, 400):
        script(twin, "cut_after_events=25", f"repeat={repeated}")
        joined = caller.ending(body)
        assert joined.said is not None
        assert whole.said is not None
        assert joined.said.choices[0].text == whole.said.choices[0].text


def test_it_goes_on_more_than_once(twin: RunningTwin, caller: Caller) -> None:
    script(twin)
    body = body_of(CHAT, "long", "prefill")
    whole = caller.ending(body)
    script(twin, "cut_after_events=9", "cut_after_events=7")
    joined = caller.ending(body)
    assert joined.kind == "complete"
    assert joined.said is not None
    assert whole.said is not None
    assert joined.said.choices[0].text == whole.said.choices[0].text


def test_when_nobody_is_left_it_ends_with_the_error_and_costs_nothing(
    twin: RunningTwin, caller: Caller
) -> None:
    script(twin, *["cut_after_events=6"] * 50)
    ending = caller.ending(body_of(CHAT, "long", "words"))
    assert ending.kind == "broken"
    record = caller.generation(ending.id)
    assert record is not None
    assert record["total_cost"] == 0
    script(twin)


def test_the_caller_pays_once_for_what_it_received(twin: RunningTwin, caller: Caller) -> None:
    """The prompt once and the text once, however many legs there were: about what the uncut answer costs."""
    script(twin)
    body = body_of(CHAT, "long", "words")
    whole = caller.ending(body)
    script(twin, "cut_after_events=15")
    joined = caller.ending(body)
    assert whole.cost is not None
    assert joined.cost is not None
    assert whole.cost * 0.5 < joined.cost < whole.cost * 1.5
    record = caller.generation(joined.id)
    assert record is not None
    assert record["total_cost"] == joined.cost
