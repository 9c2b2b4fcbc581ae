"""A sample of the recorded answers, told to every caller and read by the official client of the dialect.

The clients are a hundred times slower than the plain readers, which read all: they show that the clients'
own accumulators understand what we write, and need not read two thousand answers to do so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from tests.conformance.callers import CALLERS, Caller, streamed, whole
from tests.conformance.meaning import Choice, Meaning
from tests.conformance.official import OfficialClients
from tests.conformance.recorded import SOURCES, Source, answers
from tests.conformance.test_answers import difference, events_of
from tests.recordings import Recording

ALIKE_MAX = 2  # answers of one source that have the same to say


@pytest.fixture(scope="module")
def official() -> Iterator[OfficialClients]:
    clients = OfficialClients()
    yield clients
    clients.close()


def shape(choice: Choice) -> tuple[object, ...]:
    """What there is in an answer, its words aside."""
    return (
        bool(choice.text),
        bool(choice.reasoning),
        bool(choice.refusal),
        min(len(choice.calls), 2),
        choice.finish,
        bool(choice.spoken),
        bool(choice.images),
        bool(choice.cited),
    )


@cache
def sample(source: Source) -> tuple[Recording, ...]:
    """The first few of every shape."""
    found: dict[tuple[object, ...], list[Recording]] = {}
    for case in answers(source):
        alike = found.setdefault((case.streamed, *map(shape, source.read(case).choices)), [])
        if len(alike) < ALIKE_MAX:
            alike.append(case)
    return tuple(case for cases in found.values() for case in cases)


def test_there_is_a_sample_of_everything() -> None:
    assert all(sample(source) for source in SOURCES)
    assert sum(len(sample(source)) for source in SOURCES) > 250


def has_cut_arguments(meaning: Meaning) -> bool:
    return any(isinstance(call.arguments, str) for call in meaning.choices[0].calls)


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_official_client_reads_what_was_recorded(
    source: Source, caller: Caller, official: OfficialClients
) -> None:
    found = []
    for case in sample(source):
        expected = caller.expected(source.read(case))
        if caller.name == "messages" and has_cut_arguments(expected):
            continue  # the client of Messages guesses at the end of arguments that were cut
        for told in (
            official.read_stream(caller, streamed(caller, events_of(source, case))),
            official.read_whole(caller, whole(caller, events_of(source, case))),
        ):
            found += [f"{case.id}: {wrong}" for wrong in difference(told, expected)]
    assert found == []
