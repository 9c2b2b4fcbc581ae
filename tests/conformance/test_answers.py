"""Every recorded answer, told to every caller, streamed and whole: it says what was recorded.

All cases go through the plain readers; the official clients read a sample (`test_official_readers.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from fairlead.core.chat import ChatEvent
from tests.conformance.callers import CALLERS, LOSSES, Caller, Loss, streamed, whole
from tests.conformance.meaning import Call, Choice, Counts, Meaning
from tests.conformance.recorded import (
    FAILED_INSIDE,
    NOT_COMPARED,
    SOURCES,
    Source,
    adapter_of,
    answers,
    apart,
    is_stream,
)
from tests.conformance.scripted import SCRIPTED, Scripted
from tests.recordings import FOLDER, Recording


def events_of(source: Source, case: Recording) -> list[ChatEvent]:
    decoder = adapter_of(source).decoder(streamed=is_stream(case))
    return decoder.feed(case.body) + decoder.finish()


def difference(told: Meaning, expected: Meaning) -> list[str]:
    """What is not the same, in words. Ids and sources that nobody gave are ours to choose."""
    if len(told.choices) != len(expected.choices):
        return [f"{len(told.choices)} choices instead of {len(expected.choices)}"]
    found: list[str] = []
    for ours, theirs in zip(told.choices, expected.choices, strict=True):
        found += _difference_of_choices(ours, theirs)
    if expected.counts is not None and told.counts != expected.counts:
        found.append(f"{told.counts} instead of {expected.counts}")
    return found


def _difference_of_choices(ours: Choice, theirs: Choice) -> Iterator[str]:
    if len(ours.calls) == len(theirs.calls):
        calls = tuple(
            mine if their.id else replace(mine, id="")
            for mine, their in zip(ours.calls, theirs.calls, strict=True)
        )
        ours = replace(ours, calls=calls)
    if theirs.cited is None:
        ours = replace(ours, cited=None)
    for name in ("text", "reasoning", "refusal", "calls", "finish", "spoken", "images", "cited"):
        mine, their = getattr(ours, name), getattr(theirs, name)
        if mine != their:
            yield f"{name}: {mine!r:.300} instead of {their!r:.300}"


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_answer_says_to_every_caller_what_was_recorded(
    source: Source, caller: Caller
) -> None:
    found = []
    for case in answers(source):
        expected = caller.expected(source.read(case))
        for told in (
            caller.read_stream(streamed(caller, events_of(source, case))),
            caller.read_whole(whole(caller, events_of(source, case))),
        ):
            found += [f"{case.id}: {wrong}" for wrong in difference(told, expected)]
    assert found == []


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
@pytest.mark.parametrize("scripted", SCRIPTED, ids=lambda scripted: scripted.case.id)
def test_what_was_never_recorded_is_told_as_well(scripted: Scripted, caller: Caller) -> None:
    expected = caller.expected(scripted.meaning)
    source, case = scripted.source, scripted.case
    told = caller.read_stream(streamed(caller, events_of(source, case)))
    assert difference(told, expected) == []
    told = caller.read_whole(whole(caller, events_of(source, case)))
    assert difference(told, expected) == []


@cache
def meanings() -> tuple[Meaning, ...]:
    """Of all answers, recorded or not."""
    recorded = (source.read(case) for source in SOURCES for case in answers(source))
    return (*recorded, *(scripted.meaning for scripted in SCRIPTED))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss.caller}-{loss.what}")
def test_every_loss_concerns_some_answer(loss: Loss) -> None:
    caller = next(caller for caller in CALLERS if caller.name == loss.caller)
    for meaning in meanings():
        if loss.concerns(meaning):
            if loss.what != "arguments that are no JSON":
                assert caller.expected(meaning) != meaning
            return
    raise AssertionError("nothing is lost")


# --- nothing is left out without a reason ---------------------------------------------------------------


def test_most_recordings_are_compared() -> None:
    assert sum(len(answers(source)) for source in SOURCES) > 2300
    assert {source.format for source in SOURCES} == {
        "OpenAI chat",
        "Messages",
        "Converse",
        "Cohere chat",
        "generateContent",
        "Responses",
    }


def test_every_file_of_recordings_is_compared_or_has_its_reason() -> None:
    files = {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.jsonl")}
    assert files == {source.file for source in SOURCES} | (files & NOT_COMPARED.keys())


def test_every_reason_keeps_something_out() -> None:
    used = {apart(source, case) for source in SOURCES for case in source.cases()}
    files = {source.file for source in SOURCES}
    unread = {key for key in NOT_COMPARED if (FOLDER / f"{key}.jsonl").exists()}
    assert not unread & files
    assert NOT_COMPARED.keys() - unread == used - {None}
    ids = {case.id for source in SOURCES for case in source.cases()}
    assert ids >= FAILED_INSIDE.keys()


# --- the readers can tell -------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
@pytest.mark.parametrize("name", ["text", "reasoning", "finish", "calls"])
def test_a_difference_is_seen(caller: Caller, name: str) -> None:
    other = {"text": "x", "reasoning": "x", "finish": "length", "calls": (Call("1", "f", {}),)}
    meaning = Meaning((Choice(text="Hello"),), Counts(1, 2, 0, 0))
    changed = replace(meaning.choices[0], **{name: other[name]})
    expected = caller.expected(replace(meaning, choices=(changed,)))
    found = difference(caller.expected(meaning), expected)
    assert bool(found) is not (caller.name == "completions" and name == "calls")
    assert difference(expected, expected) == []
