"""Every recorded answer of Google's, against a plain reading of it."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.core.answer import Answer, Choice, collect
from fairlead.core.chat import ChatEvent, FinishReason
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.registry import PROVIDERS
from tests.recordings import Recording, load_native
from tests.recordings_google_truth import SaidChoice, SaidUsage, read

ALL = [
    case
    for name in ("gemini", "vertex")
    for case in load_native(name)
    if ":countTokens" not in case.path
]
BLOCKED = [case for case in ALL if b'"blockReason"' in case.body]
REFUSALS = [case for case in ALL if case.status != 200]
ANSWERS = [case for case in ALL if case.status == 200 and case not in BLOCKED]
STREAMS = [case for case in ANSWERS if case.is_sse]

FINISHES = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "UNEXPECTED_TOOL_CALL": FinishReason.TOOL_CALLS,
}


def by_id(cases: Iterable[Recording]) -> list[object]:
    return [pytest.param(case, id=case.id) for case in cases]


def adapter_for(case: Recording):
    slug = "google-ai-studio" if case.provider == "gemini" else "google-vertex"
    chat = PROVIDERS[slug].chat
    assert chat is not None
    return chat


def events_of(case: Recording, pieces: Iterable[bytes] | None = None) -> list[ChatEvent]:
    decoder = adapter_for(case).decoder(streamed=case.is_sse)
    events: list[ChatEvent] = []
    for piece in [case.body] if pieces is None else pieces:
        events += decoder.feed(piece)
    return events + decoder.finish()


def test_there_is_something_to_read() -> None:
    assert len(ALL) == 472
    assert len(STREAMS) == 72
    assert len(BLOCKED) == 1


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_an_answer_says_what_was_recorded(case: Recording) -> None:
    said = read(case.body, is_sse=case.is_sse)
    answer = collect(events_of(case))
    assert answer.started is not None
    assert answer.started.id == said.id
    assert answer.started.model == said.model
    assert [choice.index for choice in answer.choices] == sorted(said.choices)
    for choice in answer.choices:
        assert_same_choice(choice, said.choices[choice.index])
    assert_same_usage(answer, said.usage, searches=sum(c.searches for c in said.choices.values()))


@pytest.mark.parametrize("case", by_id(STREAMS))
def test_the_objects_of_a_stream_in_one_list_say_the_same(case: Recording) -> None:
    """As a server sends it that does not know `alt=sse`."""
    lines = [line[5:] for line in case.body.splitlines() if line.startswith(b"data:")]
    for streamed in (True, False):
        decoder = adapter_for(case).decoder(streamed=streamed)
        events = decoder.feed(b"[" + b",\r\n".join(lines) + b"]") + decoder.finish()
        assert collect(events) == collect(events_of(case))


@pytest.mark.parametrize("case", by_id(case for case in ANSWERS if not case.is_sse))
def test_a_whole_answer_where_a_stream_was_asked_for_is_understood(case: Recording) -> None:
    decoder = adapter_for(case).decoder(streamed=True)
    assert decoder.feed(case.body) + decoder.finish() == events_of(case)


@pytest.mark.parametrize("case", by_id(BLOCKED))
def test_a_refused_prompt_is_a_failure_of_its_own_kind(case: Recording) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        events_of(case)
    assert caught.value.kind is FailureKind.CONTENT_POLICY
    assert caught.value.provider_code == read(case.body, is_sse=False).blocked
    assert caught.value.message.startswith("The prompt violated")


@pytest.mark.parametrize("case", by_id(REFUSALS))
def test_a_refusal_means_what_it_says(case: Recording) -> None:
    failure = adapter_for(case).failure(case.status, case.headers, case.body)
    meanings = {
        "API key not valid": FailureKind.AUTHENTICATION,
        "is not found for API version": FailureKind.MODEL_NOT_FOUND,
        "JSON mode is not enabled": FailureKind.BAD_REQUEST,
        "response modalities": FailureKind.BAD_REQUEST,
        "temperature value": FailureKind.BAD_REQUEST,
        "Cannot fetch content": FailureKind.BAD_REQUEST,
    }
    (kind,) = {kind for words, kind in meanings.items() if words in case.body.decode()}
    assert failure.kind is kind
    assert failure.status == case.status
    assert failure.provider_code
    is_shown = kind is FailureKind.BAD_REQUEST
    told = json.loads(case.body)["error"]["message"].strip()
    assert (failure.message == told) is is_shown


def assert_same_choice(choice: Choice, said: SaidChoice) -> None:
    assert choice.text == said.text
    assert choice.reasoning == said.thoughts
    assert [(call.name, json.loads(call.arguments)) for call in choice.calls] == [
        (call.name, call.arguments) for call in said.calls
    ]
    for call, truth in zip(choice.calls, said.calls, strict=True):
        assert call.id == truth.id if truth.id else call.id.startswith("call_")
        assert truth.signature == next(
            (item["data"] for item in choice.reasoning_details if item.get("id") == call.id), ""
        )
    assert len({call.id for call in choice.calls}) == len(choice.calls)
    assert [
        item.get("data") or item["signature"]
        for item in choice.reasoning_details
        if "data" in item or "signature" in item
    ] == said.signatures
    assert sum(i["type"] == "reasoning.server_tool_call" for i in choice.reasoning_details) == (
        said.own_tools
    )
    assert [item["index"] for item in choice.reasoning_details] == list(
        range(len(choice.reasoning_details))
    )
    assert choice.images == [
        {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        for kind, data in said.images
    ]
    assert {cited["url_citation"]["url"] for cited in choice.annotations} == said.sources
    tokens = [token for raw in choice.logprobs for token in msgspec.json.decode(raw)["content"]]
    assert [(token["token"], token["logprob"]) for token in tokens] == said.logprobs
    assert choice.native_finish == said.finish
    reason = FINISHES[said.finish]
    assert choice.finish is (
        FinishReason.TOOL_CALLS if said.calls and reason is FinishReason.STOP else reason
    )


def assert_same_usage(answer: Answer, said: SaidUsage | None, *, searches: int) -> None:
    if said is None:
        assert answer.usage is None
        return
    assert answer.usage is not None
    usage = answer.usage.usage
    assert usage.total_tokens == said.total
    assert usage.prompt_tokens == said.prompt + said.tools
    assert usage.cache_read == said.cached
    assert usage.completion_tokens == said.answer + said.thoughts
    assert usage.reasoning == said.thoughts
    assert usage.web_searches == searches


# --- any cut, any damage --------------------------------------------------------------------------------

SHORT_STREAMS = sorted(
    (case for case in STREAMS if len(case.body) < 40_000),
    key=lambda case: (len(case.body), case.id),
)


def outcome(case: Recording, pieces: Iterable[bytes]) -> tuple[object, object]:
    """(events, how it ended)."""
    decoder = adapter_for(case).decoder(streamed=case.is_sse)
    events: list[ChatEvent] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.finish()
    except UpstreamFailure as failure:
        return events, (failure.kind, failure.message)
    return events, None


@given(case=st.sampled_from(SHORT_STREAMS), data=st.data())
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.data_too_large])
def test_any_chunking_gives_the_same_events(case: Recording, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(case.body)), max_size=30).map(sorted))
    edges = [0, *cuts, len(case.body)]
    pieces = [case.body[a:b] for a, b in itertools.pairwise(edges)]
    assert outcome(case, pieces) == outcome(case, [case.body])


@pytest.mark.parametrize("case", by_id(SHORT_STREAMS[::12]))
def test_byte_by_byte_gives_the_same_events(case: Recording) -> None:
    """Also inside a character of several bytes."""
    pieces = [case.body[i : i + 1] for i in range(len(case.body))]
    assert outcome(case, pieces) == outcome(case, [case.body])


@given(case=st.sampled_from(SHORT_STREAMS), data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_cut_is_never_taken_for_an_end(case: Recording, data: st.DataObject) -> None:
    """Cut anywhere before the finish reason: a failure, whatever came before."""
    cut = data.draw(st.integers(0, case.body.find(b'"finishReason"')))
    _, ending = outcome(case, [case.body[:cut]])
    assert ending is not None


@given(case=st.sampled_from([*SHORT_STREAMS, *REFUSALS, *BLOCKED]), data=st.data())
@settings(deadline=None, max_examples=200)
def test_damage_ends_in_events_or_a_failure(case: Recording, data: st.DataObject) -> None:
    body = bytearray(case.body)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    for streamed in (True, False):
        decoder = adapter_for(case).decoder(streamed=streamed)
        with contextlib.suppress(UpstreamFailure):
            collect(decoder.feed(bytes(body)) + decoder.finish())
    assert adapter_for(case).failure(case.status, case.headers, bytes(body)).kind


@given(body=st.binary(max_size=200), slug=st.sampled_from(["google-ai-studio", "google-vertex"]))
@settings(deadline=None)
def test_arbitrary_bytes_end_in_a_failure(body: bytes, slug: str) -> None:
    chat = PROVIDERS[slug].chat
    assert chat is not None
    for streamed in (True, False):
        decoder = chat.decoder(streamed=streamed)
        with pytest.raises(UpstreamFailure):
            decoder.feed(body) + decoder.finish()


def test_truth_and_product_share_nothing() -> None:
    """The truth would prove little if it imported what it judges."""
    import tests.recordings_google_truth as truth

    assert not any("fairlead" in str(getattr(v, "__module__", "")) for v in vars(truth).values())
