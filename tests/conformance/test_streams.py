"""What holds for the streams of every dialect, whatever is told: ends, chunks, typed errors."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    Finished,
    FinishReason,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.usage import Usage
from fairlead.dialects.base import StreamEncoder
from tests.conformance.callers import CALLERS, HEAD, Caller, closing_of
from tests.conformance.endings import Ending, ending_of
from tests.conformance.recorded import SOURCES, Source, adapter_of, answers, is_stream
from tests.recordings import Recording

BROKEN = UpstreamFailure("It broke off.", kind=FailureKind.CUT).problem()
EVERY_CALLER = pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)

# --- whatever is told -----------------------------------------------------------------------------------

WORDS = st.text(max_size=6)
MAYBE = st.none() | WORDS
CHOICES = st.sampled_from([0, 0, 0, 1])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
DETAILS = st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning.text", "reasoning.summary", "reasoning.encrypted", "x"])},
    optional={
        "text": MAYBE,
        "summary": MAYBE,
        "data": MAYBE,
        "signature": MAYBE,
        "id": MAYBE,
        "format": st.sampled_from(["unknown", "anthropic-claude-v1", "openai-responses-v1"]),
        "index": st.integers(0, 2),
        "other": VALUES,
    },
)
URLS = st.sampled_from(["data:image/png;base64,AAAA", "https://example.test/a.png", "", None, 7])
IMAGES = st.lists(
    st.fixed_dictionaries({}, optional={"image_url": st.fixed_dictionaries({"url": URLS}) | VALUES})
    | VALUES,
    max_size=2,
)
NOTES = st.fixed_dictionaries(
    {"type": st.sampled_from(["url_citation", "file", "char_location"])},
    optional={"url_citation": st.fixed_dictionaries({}, optional={"url": MAYBE}) | VALUES},
)
LOGPROBS = st.builds(
    lambda token: msgspec.Raw(msgspec.json.encode({"content": [{"token": token, "logprob": -1}]})),
    WORDS,
)
ARGUMENTS = st.sampled_from(["", "{", "}", "{}", '{"a":', "1}", '"', "\\", '{"a":"}"}', "[", "nul"])
EVENTS: st.SearchStrategy[ChatEvent] = st.one_of(
    st.builds(Started, id=MAYBE, model=MAYBE, service_tier=MAYBE),
    st.builds(TextDelta, WORDS, choice=CHOICES, logprobs=st.none() | LOGPROBS),
    st.builds(
        ReasoningDelta, WORDS, choice=CHOICES, details=st.lists(DETAILS, max_size=2).map(tuple)
    ),
    st.builds(RefusalDelta, WORDS, choice=CHOICES),
    st.builds(
        ToolCallDelta,
        st.integers(0, 2),
        ARGUMENTS,
        id=MAYBE,
        name=MAYBE,
        choice=CHOICES,
        type=st.sampled_from(["function", "custom"]),
    ),
    st.builds(MediaAdded, st.just("images"), IMAGES, choice=CHOICES),
    st.builds(
        MediaAdded,
        st.just("audio"),
        st.fixed_dictionaries({}, optional={"transcript": MAYBE, "data": WORDS, "id": WORDS}),
        choice=CHOICES,
    ),
    st.builds(AnnotationsAdded, st.lists(NOTES, max_size=2).map(tuple), choice=CHOICES),
    st.builds(Finished, st.sampled_from(FinishReason), native=MAYBE, choice=CHOICES),
    st.builds(
        UsageReported, st.builds(Usage, prompt=st.integers(0, 9), completion=st.integers(0, 9))
    ),
)
TOLD = st.lists(EVENTS, max_size=10)
HAS_ERROR_END = {FinishReason.ERROR}


def ends_in_error(events: list[ChatEvent]) -> bool:
    return any(isinstance(event, Finished) and event.reason in HAS_ERROR_END for event in events)


@EVERY_CALLER
@given(events=TOLD)
@settings(max_examples=60, deadline=None)
def test_an_answer_may_stop_after_any_event(caller: Caller, events: list[ChatEvent]) -> None:
    """Closed or broken off after each of its events: the end is proper, and everything is readable."""
    for count in range(len(events) + 1):
        closing = closing_of(events[:count])
        for is_broken in (False, True):
            writer = caller.dialect.stream(HEAD)
            told = writer.feed(events[:count])
            if is_broken:
                told += writer.fail(BROKEN, closing)
                assert ending_of(caller, told) == Ending(False, BROKEN.message)
                continue
            told += writer.close(closing)
            ending = ending_of(caller, told)
            assert ending.is_proper or ends_in_error(events[:count])


def timeless(stream: bytes) -> bytes:
    """Without the counts of `message_start`, which are those known when the first bytes are written."""
    first, gap, rest = stream.partition(b"\n\n")
    if first.startswith(b"event: message_start"):
        first = first.partition(b'"usage"')[0]
    return first + gap + rest


@EVERY_CALLER
@given(events=TOLD)
@settings(max_examples=60, deadline=None)
def test_however_events_come_together_the_same_is_written(
    caller: Caller, events: list[ChatEvent]
) -> None:
    closing = closing_of(events)
    together, alone = caller.dialect.stream(HEAD), caller.dialect.stream(HEAD)
    assert timeless(together.feed(events) + together.close(closing)) == timeless(
        b"".join(alone.feed([event]) for event in events) + alone.close(closing)
    )


@EVERY_CALLER
@given(events=TOLD)
@settings(max_examples=60, deadline=None)
def test_events_in_any_order_make_an_answer_or_a_typed_failure(
    caller: Caller, events: list[ChatEvent]
) -> None:
    closing = closing_of(events)
    with contextlib.suppress(UpstreamFailure):
        assert msgspec.json.decode(caller.dialect.whole(HEAD, events, closing))
    assert BROKEN.message.encode() in caller.dialect.partial(HEAD, events, BROKEN, closing)


# --- recorded streams, cut into chunks anywhere ---------------------------------------------------------


def shortest_streams() -> list[tuple[Source, Recording]]:
    """The shortest few of every source: they have all that a long one has."""
    found = []
    for source in SOURCES:
        streams = [case for case in answers(source) if is_stream(case)]
        streams.sort(key=lambda case: (len(case.body), case.id))
        found += [(source, case) for case in streams[:4]]
    return found


STREAMS = shortest_streams()


def written(caller: Caller, source: Source, case: Recording, cuts: list[int]) -> bytes:
    decoder = adapter_of(source).decoder(streamed=True)
    writer: StreamEncoder = caller.dialect.stream(HEAD)
    edges = [0, *sorted({cut % len(case.body) for cut in cuts}), len(case.body)]
    told = b""
    for start, end in pairwise(edges):
        told += writer.feed(decoder.feed(case.body[start:end]))
    told += writer.feed(decoder.finish())
    return timeless(told + writer.close(closing_of([])))


@EVERY_CALLER
@given(
    index=st.integers(0, len(STREAMS) - 1),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_any_chunking_of_a_recorded_stream_writes_the_same(
    caller: Caller, index: int, cuts: list[int]
) -> None:
    source, case = STREAMS[index]
    assert written(caller, source, case, cuts) == written(caller, source, case, [])


@EVERY_CALLER
@pytest.mark.parametrize("index", range(0, len(STREAMS), 12))
def test_byte_by_byte_writes_the_same(caller: Caller, index: int) -> None:
    source, case = STREAMS[index]
    cuts = list(range(min(len(case.body), 20_000)))
    assert written(caller, source, case, cuts) == written(caller, source, case, [])
