"""Answers in two legs, from any provider to any other, for every caller: they read like one.

No sockets: the request of each leg is written by the provider's adapter, answered by the twin, cut at an event,
read by the provider's decoder, and told by the dialect's encoder, as the gateway would do it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import msgspec
import pytest

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatEvent, ChatRequest
from fairlead.core.continuation import (
    NOTHING_LEFT,
    Continue,
    Finish,
    Impossible,
    Restart,
    Transcript,
    continuation,
)
from fairlead.core.errors import UpstreamFailure
from fairlead.core.tool_calls import ToolJudge
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.sandbox.perform import Incoming, Situation, respond
from fairlead.testing.builders import an_endpoint
from tests.conformance.callers import CALLERS, HEAD, Caller, closing_of
from tests.conformance.meaning import Choice
from tests.conformance.official import OfficialClients


@dataclass(frozen=True)
class Upstream:
    """A provider that the twin plays."""

    provider: str
    model: str
    version: str = "v1"

    def endpoint(self, twin_model: str) -> Endpoint:
        made = an_endpoint(self.provider, model=self.model, supported=frozenset())
        return msgspec.structs.replace(made, provider_model_id=twin_model)

    def answer(self, request: ChatRequest, twin_model: str) -> list[bytes]:
        """The events of the stream, as bytes."""
        adapter = PROVIDERS[self.provider].chat
        assert adapter is not None
        credential = Credential(f"https://twin.invalid/{self.version}", "key", {})
        sent = adapter.encode(request, self.endpoint(twin_model), credential)
        url = urlsplit(sent.url)
        made = respond(
            Incoming(sent.method, unquote(url.path), dict(sent.headers), sent.body, url.query),
            Situation(number=0, run="t", created_s=0),
        )
        assert made.status == 200, b"".join(chunk for _, chunk in made.chunks)
        return [chunk for _, chunk in made.chunks]


ASKED = Upstream("deepinfra", "meta/llama")
PREFILLED = Upstream("groq", "meta/llama")
SAID_TO_ECHO = Upstream(
    "mistral", "mistralai/mistral-small"
)  # the twin does not, and that works too
CLAUDE = Upstream("anthropic", "anthropic/claude-haiku-4.5")
NEWER_CLAUDE = Upstream("anthropic", "anthropic/claude-sonnet-4.6")
GEMINI = Upstream("google-ai-studio", "google/gemini-2.5-flash", "v1beta")
PAIRS = (
    (ASKED, ASKED),
    (ASKED, PREFILLED),
    (PREFILLED, SAID_TO_ECHO),
    (CLAUDE, CLAUDE),
    (CLAUDE, ASKED),
    (ASKED, NEWER_CLAUDE),
    (GEMINI, CLAUDE),
    (CLAUDE, GEMINI),
    (GEMINI, ASKED),
)
STREAMS = {"text": "story!tokens=30", "reasoning": "reasoner!reasoning_tokens=6", "tools": "tools"}
TOOL_CALLERS = [caller for caller in CALLERS if caller.name != "completions"]

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def request_of(caller: Caller, stream: str) -> ChatRequest:
    question = {"role": "user", "content": "Tell me of the harbour."}
    body: dict[str, object] = {"model": "m", "stream": True}
    body["input" if caller.name == "responses" else "messages"] = [question]
    function = {"name": "weather", "parameters": PARAMETERS}
    if stream == "tools":
        match caller.name:
            case "chat":
                body["tools"] = [{"type": "function", "function": function}]
            case "responses":
                body["tools"] = [{"type": "function", **function}]
            case _:
                body["tools"] = [{"name": "weather", "input_schema": PARAMETERS}]
    if caller.name == "messages":
        body["max_tokens"] = 1000
    return caller.dialect.decode(json.dumps(body).encode())


def read(upstream: Upstream, chunks: list[bytes]) -> Iterator[list[ChatEvent]]:
    """Events, chunk by chunk. Raises UpstreamFailure where the stream breaks."""
    adapter = PROVIDERS[upstream.provider].chat
    assert adapter is not None
    decoder = adapter.decoder(streamed=True)
    for chunk in chunks:
        yield decoder.feed(chunk)
    yield decoder.finish()


@dataclass
class Told:
    """What a caller got. how: of the resumption; None if the stream never broke."""

    body: bytes
    how: type | None = None


def told(
    caller: Caller, stream: str, first: Upstream, second: Upstream, cut: int | None
) -> Told | None:
    """The stream as the caller gets it when the first leg ends after so many events. None: it cannot go on."""
    request, model = request_of(caller, stream), STREAMS[stream]
    writer, transcript, said = caller.dialect.stream(HEAD), Transcript(), b""
    seen: list[ChatEvent] = []
    how = None
    try:
        for events in read(first, first.answer(request, model)[:cut]):
            seen += events
            transcript.watch(events)
            said += writer.feed(events)
    except UpstreamFailure:
        prefill = PROVIDERS[second.provider].prefill(request, second.endpoint(model))
        found = continuation(transcript, request, prefill, written_tokens=0, judge=ToolJudge())
        how = type(found)
        match found:
            case Impossible():
                return None
            case Finish(events=rest):
                said += writer.feed(rest)
            case Restart() | Continue():
                try:
                    for events in read(second, second.answer(found.request, model)):
                        said += writer.feed(found.splicer.feed(events))
                except UpstreamFailure as failure:
                    if not (isinstance(found, Continue) and found.had_nothing_left(failure)):
                        raise
                    said += writer.feed(NOTHING_LEFT.events)
                said += writer.feed(found.splicer.finish())
    return Told(said + writer.close(closing_of(seen)), how)


def essence(choice: Choice) -> tuple[str, list[tuple[str, object]], str]:
    """What two legs must have in common with one: ids are the provider's, thoughts are thought anew."""
    return choice.text, [(call.name, call.arguments) for call in choice.calls], choice.finish


def name_of(value: object) -> str:
    if isinstance(value, Caller):
        return value.name
    return value.model.partition("/")[2] if isinstance(value, Upstream) else str(value)


@pytest.mark.parametrize("caller", TOOL_CALLERS, ids=name_of)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=name_of)
def test_a_stream_that_breaks_at_any_event_reads_as_if_it_had_not(
    first: Upstream, second: Upstream, stream: str, caller: Caller
) -> None:
    unbroken = told(caller, stream, first, second, None)
    assert unbroken is not None
    expected = essence(caller.read_stream(unbroken.body).choices[0])
    ways: set[type | None] = set()
    for cut in range(len(first.answer(request_of(caller, stream), STREAMS[stream]))):
        made = told(caller, stream, first, second, cut)
        if made is None:
            ways.add(Impossible)
            continue
        assert essence(caller.read_stream(made.body).choices[0]) == expected, cut
        ways.add(made.how)
    whole_calls = first is GEMINI  # which come in one piece, with the end
    if stream != "tools":
        assert ways >= {Restart, Continue}
        assert Impossible not in ways
    else:
        assert ways >= ({Restart} if whole_calls else {Restart, Finish, Impossible})


@pytest.fixture(scope="module")
def official() -> Iterator[OfficialClients]:
    clients = OfficialClients()
    yield clients
    clients.close()


@pytest.mark.parametrize("caller", TOOL_CALLERS, ids=name_of)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    ("first", "second"), [(ASKED, ASKED), (CLAUDE, CLAUDE), (CLAUDE, GEMINI)], ids=name_of
)
def test_the_official_clients_read_what_was_joined(
    first: Upstream,
    second: Upstream,
    stream: str,
    caller: Caller,
    official: OfficialClients,
) -> None:
    unbroken = told(caller, stream, first, second, None)
    assert unbroken is not None
    expected = essence(caller.read_stream(unbroken.body).choices[0])
    for cut in range(0, len(first.answer(request_of(caller, stream), STREAMS[stream])), 3):
        made = told(caller, stream, first, second, cut)
        if made is not None:
            assert essence(official.read_stream(caller, made.body).choices[0]) == expected, cut
