"""Every recorded answer of every provider, through decoder and dialect, against a plain reading of it."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openrouter.components import ChatResult, ChatStreamChunk

from fairlead.core.answer import Answer, Choice, collect, plain
from fairlead.core.chat import ChatEvent, UsageReported
from fairlead.core.errors import FAILURES, FailureKind, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.compatible import OpenAIFormatChat
from fairlead.providers.openai_encoder import Row
from tests.recordings import Recording, load, names
from tests.recordings_truth import Said, SaidChoice, SaidUsage, read

ADAPTER = OpenAIFormatChat(Row("recorded"))
DIALECT = OpenAIChat()
HEAD = AnswerHead(GenerationId("gen-1"), "author/model", "Somebody", 1_700_000_000)
CHARGE = Charge(NanoUSD(3), NanoUSD(1), NanoUSD(2))

# Not the format: a token per event, no envelope, no end.
FOREIGN = {"writer.completions-oll-9e2932c0ac-0"}
# Errors under status 200, and what they mean.
ERRORS_INSIDE = {
    "groq.chat_completions-reqllm-75c25450f3-0": FailureKind.SERVER,
    "groq.chat_completions-pai-091d4f2452-0": FailureKind.SERVER,
    "openrouter.chat_completions-reqllm-0d221f9fb3-0": FailureKind.SERVER,
    "openrouter.chat_completions-reqllm-5efad8ae06-0": FailureKind.SERVER,
}

ALL = [case for name in names() for case in load(name)]
ANSWERS = [
    case
    for case in ALL
    if case.status == 200 and case.id not in FOREIGN and case.id not in ERRORS_INSIDE
]
REFUSALS = [case for case in ALL if case.status != 200]


def by_id(cases: Iterable[Recording]) -> list[object]:
    return [pytest.param(case, id=case.id) for case in cases]


def events_of(case: Recording, pieces: Iterable[bytes] | None = None) -> list[ChatEvent]:
    decoder = ADAPTER.decoder(streamed=case.is_sse)
    events: list[ChatEvent] = []
    for piece in pieces or [case.body]:
        events += decoder.feed(piece)
    return events + decoder.finish()


def test_there_is_something_to_check() -> None:
    assert len(ANSWERS) > 900
    assert len(REFUSALS) > 100


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_the_answer_is_read_as_it_was_recorded(case: Recording) -> None:
    said = read(case.body, is_sse=case.is_sse)
    answer = collect(events_of(case))
    assert answer.started is not None
    assert [choice.index for choice in answer.choices] == sorted(said.choices)
    for choice in answer.choices:
        assert_same_choice(choice, said.choices[choice.index])
    assert_same_usage(answer, said.usage)


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_the_answer_comes_through_to_a_caller_of_the_same_format(case: Recording) -> None:
    said = read(case.body, is_sse=case.is_sse)
    events = events_of(case)
    usage = next(
        (e.usage for e in reversed(list(plain(events))) if isinstance(e, UsageReported)), Usage()
    )
    closing = Closing(usage, CHARGE)
    if case.is_sse:
        encoder = DIALECT.stream(HEAD)
        written = encoder.feed(events) + encoder.close(closing)
        assert_well_formed_stream(written)
    else:
        written = DIALECT.whole(HEAD, events, closing)
        assert_well_formed_whole(json.loads(written))
    told = read(written, is_sse=case.is_sse)
    assert sorted(told.choices) == sorted(said.choices)
    for index, choice in told.choices.items():
        assert_same_told(choice, said.choices[index])
    assert told.usage is not None
    assert told.usage.total == usage.total_tokens


@pytest.mark.parametrize("name", names())
def test_a_strict_client_accepts_every_answer(name: str) -> None:
    """The official SDK validates each chunk against its schema, and drops what does not fit."""
    for case in (case for case in ANSWERS if case.provider == name):
        closing = Closing(Usage(), CHARGE)
        if case.is_sse:
            encoder = DIALECT.stream(HEAD)
            written = encoder.feed(events_of(case)) + encoder.close(closing)
            for block in written.split(b"\n\n"):
                if block.startswith(b"data: {"):
                    ChatStreamChunk.model_validate_json(block[6:])
        else:
            ChatResult.model_validate_json(DIALECT.whole(HEAD, events_of(case), closing))


@pytest.mark.parametrize("case", by_id(case for case in ANSWERS if case.is_sse))
def test_the_stream_can_be_told_whole(case: Recording) -> None:
    """Events alone are enough to write the answer again, in another shape."""
    said = read(case.body, is_sse=True)
    bare = list(plain(events_of(case)))
    told = read(DIALECT.whole(HEAD, bare, Closing(Usage(), CHARGE)), is_sse=False)
    for index, choice in told.choices.items():
        assert_same_told(choice, said.choices[index])
    encoder = DIALECT.stream(HEAD)
    again = read(encoder.feed(bare) + encoder.close(Closing(Usage(), CHARGE)), is_sse=True)
    for index, choice in again.choices.items():
        assert_same_told(choice, said.choices[index])


@pytest.mark.parametrize("case", by_id(c for c in ALL if c.id in ERRORS_INSIDE))
def test_an_error_under_status_200_is_a_failure(case: Recording) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        events_of(case)
    assert caught.value.kind is ERRORS_INSIDE[case.id]


def test_what_came_before_an_error_is_not_lost() -> None:
    case = next(c for c in ALL if c.id == "groq.chat_completions-pai-091d4f2452-0")
    decoder = ADAPTER.decoder(streamed=True)
    events = decoder.feed(case.body)
    said = read(case.body, is_sse=True)
    assert said.error is not None
    assert [c.reasoning for c in collect(events).choices] == [
        c.reasoning for c in said.choices.values()
    ]
    assert len(events) > 80
    with pytest.raises(UpstreamFailure):
        decoder.finish()


@pytest.mark.parametrize("case", by_id(REFUSALS))
def test_a_refusal_is_understood(case: Recording) -> None:
    failure = ADAPTER.failure(case.status, case.headers, case.body)
    assert failure.kind is expected_kind(case)
    assert failure.status == case.status
    if FAILURES[failure.kind].error_type.value in ("invalid_request", "context_length_exceeded"):
        assert failure.message in case.body.decode().replace("\\\\", "\\").replace('\\"', '"')
    else:
        assert "key" not in failure.message.lower()


def expected_kind(case: Recording) -> FailureKind:
    """By eye: what the recorded words mean."""
    text = case.body.decode()
    meanings = {
        "Incorrect API key": FailureKind.AUTHENTICATION,
        "Access denied": FailureKind.AUTHENTICATION,
        "Authentication Fails": FailureKind.AUTHENTICATION,
        "Invalid API Key": FailureKind.AUTHENTICATION,
        "Invalid API key": FailureKind.AUTHENTICATION,
        "You are not allowed to sample": FailureKind.AUTHENTICATION,
        "model_decommissioned": FailureKind.MODEL_NOT_FOUND,
        "DeploymentNotFound": FailureKind.MODEL_NOT_FOUND,
        "model_not_found": FailureKind.MODEL_NOT_FOUND,
        "not a chat model": FailureKind.MODEL_NOT_FOUND,
        "No endpoints found": FailureKind.MODEL_NOT_FOUND,
        "The model grok-": FailureKind.MODEL_NOT_FOUND,
        "tools is not supported in this model": FailureKind.BAD_REQUEST,
        "exceeded max context length": FailureKind.CONTEXT_LENGTH,
        "total length of all messages is too long": FailureKind.CONTEXT_LENGTH,
        "tool_use_failed": FailureKind.SERVER,
        "invalid_image_format": FailureKind.IMAGE,
        "Rate limit exceeded": FailureKind.RATE_LIMIT,
        "temporarily rate-limited": FailureKind.RATE_LIMIT,
    }
    for words, kind in meanings.items():
        if words in text:
            return kind
    return {400: FailureKind.BAD_REQUEST, 429: FailureKind.RATE_LIMIT}.get(
        case.status, FailureKind.MODEL_NOT_FOUND
    )


# --- any cut, any damage ------------------------------------------------------------------------------

SHORT_STREAMS = [
    case
    for name in names()
    for case in sorted(
        (c for c in load(name) if c.is_sse and c.id not in FOREIGN and len(c.body) < 60_000),
        key=lambda c: (len(c.body), c.id),
    )[-8:]
]


def outcome(case: Recording, pieces: Iterable[bytes]) -> tuple[list[object], object]:
    """(events, how it ended)."""
    decoder = ADAPTER.decoder(streamed=case.is_sse)
    events: list[ChatEvent] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.finish()
    except UpstreamFailure as failure:
        return list(plain(events)), (failure.kind, failure.message)
    return list(plain(events)), None


@given(case=st.sampled_from(SHORT_STREAMS), data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.data_too_large])
def test_any_chunking_gives_the_same_events(case: Recording, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(case.body)), max_size=30).map(sorted))
    edges = [0, *cuts, len(case.body)]
    pieces = [case.body[a:b] for a, b in itertools.pairwise(edges)]
    assert outcome(case, pieces) == outcome(case, [case.body])


@pytest.mark.parametrize("case", by_id(SHORT_STREAMS[::7]))
def test_byte_by_byte_gives_the_same_events(case: Recording) -> None:
    pieces = [case.body[i : i + 1] for i in range(len(case.body))]
    assert outcome(case, pieces) == outcome(case, [case.body])


@given(case=st.sampled_from(SHORT_STREAMS), data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_cut_is_never_taken_for_an_end(case: Recording, data: st.DataObject) -> None:
    """Cut anywhere before the last choice ended: a failure, whatever came before."""
    first_end = min(_finish_marks(case.body), default=case.body.find(b"[DONE]"))
    cut = data.draw(st.integers(0, max(0, first_end)))
    _, ending = outcome(case, [case.body[:cut]])
    assert ending is not None


def _finish_marks(body: bytes) -> list[int]:
    return [
        at for mark in (b'"finish_reason":"', b'"finish_reason": "') if (at := body.find(mark)) >= 0
    ]


@given(case=st.sampled_from(SHORT_STREAMS), data=st.data(), is_sse=st.booleans())
@settings(deadline=None, max_examples=150)
def test_damage_ends_in_events_or_a_failure(
    case: Recording, data: st.DataObject, *, is_sse: bool
) -> None:
    body = bytearray(case.body)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    decoder = ADAPTER.decoder(streamed=is_sse)
    encoder = DIALECT.stream(HEAD)
    with contextlib.suppress(UpstreamFailure):
        encoder.feed(decoder.feed(bytes(body)) + decoder.finish())


# --- comparing ----------------------------------------------------------------------------------------


def assert_same_choice(choice: Choice, said: SaidChoice) -> None:
    assert choice.text == said.text
    assert choice.reasoning == said.reasoning
    assert choice.refusal == said.refusal
    assert [(call.name, call.arguments) for call in choice.calls] == [
        (call.name, call.arguments) for call in said.calls
    ]
    for call, truth in zip(choice.calls, said.calls, strict=True):
        assert call.id == truth.id if truth.id else call.id.startswith("call_")
    assert choice.finish is not None
    if said.finish:
        assert choice.finish.value == said.finish
        assert choice.native_finish
    elif said.calls:
        assert choice.finish.value == "tool_calls"
    else:
        assert choice.finish.value == ("stop" if said.text or said.reasoning else "length")


def assert_same_told(told: SaidChoice, said: SaidChoice) -> None:
    assert told.text == said.text
    assert told.reasoning == said.reasoning
    assert told.refusal == said.refusal
    assert [(c.name, c.arguments) for c in told.calls] == [
        (c.name, c.arguments) for c in said.calls
    ]
    for call, truth in zip(told.calls, said.calls, strict=True):
        assert not truth.id or call.id == truth.id
    assert told.finish in ("stop", "length", "tool_calls", "content_filter")
    assert not said.finish or told.finish == said.finish


def assert_same_usage(answer: Answer, said: SaidUsage | None) -> None:
    if said is None:
        assert answer.usage is None
        return
    assert answer.usage is not None
    usage = answer.usage.usage
    assert usage.total_tokens == said.total
    assert usage.cache_read == min(said.cached, said.prompt)
    gap = said.total - said.prompt - said.completion
    if gap and gap == said.audio:  # audio beside the prompt
        assert (usage.prompt_tokens, usage.completion_tokens) == (
            said.prompt + gap,
            said.completion,
        )
        assert usage.prompt_audio == said.audio
    else:  # whatever is beside the sums was thought
        assert (usage.prompt_tokens, usage.completion_tokens) == (
            said.prompt,
            said.completion + gap,
        )
        # Some count more thought than answer: the total is believed, and no token is in two buckets.
        assert usage.reasoning == min(said.reasoning or gap, said.completion + gap)


def assert_well_formed_stream(written: bytes) -> None:
    """What strict clients insist on, chunk by chunk."""
    assert written.endswith(b"\n\ndata: [DONE]\n\n")
    chunks = [
        json.loads(line[6:]) for line in written.split(b"\n\n") if line.startswith(b"data: {")
    ]
    named: set[tuple[int, int]] = set()
    begun: set[int] = set()
    ended: set[int] = set()
    for chunk in chunks:
        assert chunk["id"] == "gen-1"
        assert chunk["object"] == "chat.completion.chunk"
        assert chunk["provider"] == "Somebody"
        assert chunk["model"] == "author/model"
        assert chunk["choices"]
        for choice in chunk["choices"]:
            delta = choice["delta"]
            index = choice["index"]
            assert index in begun or delta["role"] == "assistant"
            begun.add(index)
            assert isinstance(delta.get("content", ""), str | None)
            assert "reasoning_content" not in delta
            if choice["finish_reason"] is not None:
                assert index not in ended
                assert choice["native_finish_reason"] or choice["finish_reason"]
                ended.add(index)
            for call in delta.get("tool_calls", []):
                if (index, call["index"]) not in named:
                    assert call["id"]
                    assert call["type"] == "function"
                    assert call["function"]["name"]
                    named.add((index, call["index"]))
                else:
                    assert call.keys() == {"index", "function"}
    assert ended == begun
    assert [("usage" in chunk) for chunk in chunks].index(True) == len(chunks) - 1
    assert [choice["delta"]["content"] for choice in chunks[-1]["choices"]] == [""]


def assert_well_formed_whole(answer: dict[str, object]) -> None:
    assert answer["id"] == "gen-1"
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "author/model"
    assert answer["provider"] == "Somebody"
    choices = answer["choices"]
    assert isinstance(choices, list)
    for choice in choices:
        assert choice["finish_reason"]
        assert choice["message"]["role"] == "assistant"
        assert "content" in choice["message"]
        assert "reasoning" in choice["message"]


def test_truth_and_product_share_nothing() -> None:
    """The truth would prove little if it imported what it judges."""
    import tests.recordings_truth as truth

    assert not any("fairlead" in str(getattr(v, "__module__", "")) for v in vars(truth).values())
    assert isinstance(truth.Said(), Said)
