"""Errors of every provider, told to every caller: before the first token, and after it."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache

import pytest

from fairlead.core.chat import ChatEvent
from fairlead.core.errors import UpstreamFailure
from tests.conformance.callers import CALLERS, HEAD, Caller, closing_of
from tests.conformance.endings import Ending, ending_of, error_in
from tests.conformance.recorded import SOURCES, Source, adapter_of, answers, is_stream, refusals
from tests.recordings import Recording

EVERY_CALLER = pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
EVERY_SOURCE = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
STREAMS_MAX = (
    40  # of one source, the shortest: what a cut does to them does not depend on their length
)


def read(source: Source, case: Recording, body: bytes) -> tuple[list[ChatEvent], UpstreamFailure]:
    """What came before the failure, and the failure. Raises AssertionError if there is none."""
    decoder = adapter_of(source).decoder(streamed=is_stream(case))
    events: list[ChatEvent] = []
    try:
        events += decoder.feed(body)
        events += decoder.finish()
    except UpstreamFailure as failure:
        return events, failure
    raise AssertionError("no failure")


@EVERY_CALLER
@EVERY_SOURCE
def test_a_refusal_is_told_in_the_callers_own_envelope(source: Source, caller: Caller) -> None:
    for case in refusals(source):
        if case.status == 200:
            _, failure = read(source, case, case.body)
        else:
            failure = adapter_of(source).failure(case.status, case.headers, case.body)
        problem = failure.problem()
        assert 400 <= problem.status < 600
        message, kind = error_in(caller, caller.dialect.problem(problem, HEAD.generation))
        assert message == problem.message, case.id
        assert kind, case.id


STEPS = 64  # of a stream, in which its end is looked for


@cache
def streams(source: Source) -> tuple[Recording, ...]:
    found = [case for case in answers(source) if is_stream(case)]
    return tuple(sorted(found, key=lambda case: (len(case.body), case.id))[:STREAMS_MAX])


def places(source: Source, case: Recording) -> list[int]:
    """Where the answer is cut: nothing there, and three places before it is over."""
    grid = [len(case.body) * step // STEPS for step in range(STEPS + 1)]
    over = bisect_left(grid, True, key=lambda place: _is_whole(source, case.body[:place]))
    before = grid[over - 1]
    return [0, before // 3, before * 2 // 3, before]


def _is_whole(source: Source, body: bytes) -> bool:
    decoder = adapter_of(source).decoder(streamed=True)
    try:
        decoder.feed(body)
        decoder.finish()
    except UpstreamFailure:
        return False
    return True


@EVERY_CALLER
@EVERY_SOURCE
def test_an_answer_that_breaks_off_ends_with_the_error_inside(
    source: Source, caller: Caller
) -> None:
    for case in streams(source):
        for place in places(source, case):
            events, failure = read(source, case, case.body[:place])
            closing = closing_of(events)
            writer = caller.dialect.stream(HEAD)
            told = writer.feed(events) + writer.fail(failure.problem(), closing)
            assert ending_of(caller, told) == Ending(False, failure.message), case.id
            again, _ = read(source, case, case.body[:place])
            partial = caller.dialect.partial(HEAD, again, failure.problem(), closing)
            assert failure.message.encode() in partial


@EVERY_CALLER
def test_what_was_told_before_an_error_inside_a_stream_stays_told(caller: Caller) -> None:
    told_before = 0
    for source in SOURCES:
        for case in refusals(source):
            if case.status == 200 and is_stream(case):
                events, failure = read(source, case, case.body)
                writer = caller.dialect.stream(HEAD)
                told = writer.feed(events)
                told_before += bool(told)
                told += writer.fail(failure.problem(), closing_of(events))
                assert ending_of(caller, told).error == failure.message
    assert told_before >= 2


def test_every_format_has_refusals_and_streams() -> None:
    formats = {source.format for source in SOURCES}
    assert {source.format for source in SOURCES if refusals(source)} == formats
    assert {source.format for source in SOURCES if streams(source)} == formats
