"""A stream that breaks at any of its events, in any way: the caller is told exactly what happened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.stage import (
    FIRST,
    SECOND,
    STREAMS,
    WHOLE,
    ask,
    has_content,
    is_whole,
    said_after,
)
from tests.recordings import recording
from tests.recordings_truth import Said
from tests.replay.caller import Caller, Ending, OfficialCaller
from tests.replay.playing import events_of
from tests.replay.replay_server import ReplayServer

BREAKS = {
    "closed": "cut_after_events={}",
    "reset": "cut_after_events={};cut=rst",
    "truncated": "truncate_after_events={}",
    "compressed": "cut_after_events={};gzip",
    "error event": "error_event_after={}",
    "garbage": "garbage_after_events={}",
}
KINDS = [kind for kind in STREAMS if kind != WHOLE]


def expected(kind: str, manner: str, events: int) -> tuple[str, Said]:
    """(how it must end, what it must have said) when the stream breaks after so many events.

    An answer that was complete stays complete, whatever the connection does then. An error or nonsense is
    one even then, unless the stream had said that nothing follows.
    """
    said = said_after(kind, events)
    if said.is_done or (is_whole(said) and manner not in ("error event", "garbage")):
        return "complete", said
    return ("broken" if has_content(said) else "refused"), said


def texts(said: Said) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    return [
        (
            choice.text,
            choice.reasoning,
            [(call.id, call.name, call.arguments) for call in choice.calls],
        )
        for choice in said.choices.values()
    ]


def assert_ending(ending: Ending, kind: str, said: Said) -> None:
    assert ending.kind == kind
    if kind == "refused":
        assert ending.error is not None
        assert ending.error["code"] in (502, 503)
        return
    assert ending.said is not None
    assert texts(ending.said) == texts(said)


def assert_charge(ending: Ending, caller: Caller) -> None:
    """Nothing that failed costs anything; what did not costs what the caller was told."""
    record = caller.generation(ending.id)
    assert record is not None, "what failed is kept, too"
    assert record["total_cost"] == (ending.cost if ending.kind == "complete" else 0)
    assert not record["cancelled"]


@pytest.mark.parametrize("manner", BREAKS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_break_at_any_event_has_a_correct_end(
    kind: str, manner: str, upstream: ReplayServer, caller: Caller, official: OfficialCaller
) -> None:
    ends = set()
    for events in range(len(events_of(recording(STREAMS[kind]))) + 1):
        how, said = expected(kind, manner, events)
        upstream.on(provider=FIRST, answer=STREAMS[kind], fault=BREAKS[manner].format(events))
        ending = caller.ending(ask(FIRST, streamed=True))
        assert_ending(ending, how, said)
        assert_charge(ending, caller)
        first_text = next((choice.text for choice in said.choices.values()), "")
        assert official.ending(ask(FIRST, streamed=True)) == (
            how,
            "" if how == "refused" else first_text,
        )
        ends.add(how)
    assert ends == {"refused", "broken", "complete"}


@pytest.mark.parametrize("manner", BREAKS)
@pytest.mark.parametrize("kind", KINDS)
def test_another_provider_answers_before_the_first_token_and_never_after(
    kind: str,
    manner: str,
    upstream: ReplayServer,
    caller: Caller,
    unasked_models: Iterator[str],
) -> None:
    for events in range(len(events_of(recording(STREAMS[kind]))) + 1):
        how, said = expected(kind, manner, events)
        model = next(unasked_models)
        upstream.forget()
        upstream.on(provider=FIRST, answer=STREAMS[kind], fault=BREAKS[manner].format(events))
        upstream.on(provider=SECOND, answer=STREAMS["text"])
        ending = caller.ending(ask(FIRST, SECOND, streamed=True, model=model))
        asked = [request.provider for request in upstream.received]
        if how == "refused":
            assert asked == [FIRST, SECOND]
            assert_ending(ending, "complete", said_after("text", 1000))
            assert ending.provider == "Together AI"
        else:
            assert asked == [FIRST]
            assert_ending(ending, how, said)
        assert_charge(ending, caller)
        assert all(request.body["model"] == model for request in upstream.received)


def test_an_answer_that_is_not_streamed_and_cut_anywhere_is_refused_or_answered_by_another(
    upstream: ReplayServer, caller: Caller, unasked_models: Iterator[str]
) -> None:
    size = len(recording(STREAMS[WHOLE]).body)
    for cut in range(0, size, size // 20):
        for how in ("fin", "rst"):
            upstream.forget()
            fault = f"cut_after_bytes={cut};cut={how}"
            upstream.on(provider=FIRST, answer=STREAMS[WHOLE], fault=fault)
            upstream.on(provider=SECOND, answer=STREAMS[WHOLE])
            model = next(unasked_models)
            refused = caller.ending(ask(FIRST, streamed=False, model=model))
            assert refused.kind == "refused"
            assert_charge(refused, caller)
            answered = caller.ending(ask(FIRST, SECOND, streamed=False, model=model))
            assert answered.kind == "complete"
            assert answered.provider == "Together AI"
            assert_charge(answered, caller)
            asked = [request.provider for request in upstream.received]
            assert asked == [FIRST, FIRST, SECOND]
