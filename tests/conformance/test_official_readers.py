"""A sample of the recorded answers, told to every caller and read by the official client of the dialect.

The clients are a hundred times slower than the plain readers, which read all: they show that the clients'
own accumulators understand what we write, and need not read two thousand answers to do so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.callers import CALLERS, Caller, streamed, whole
from tests.conformance.meaning import Meaning
from tests.conformance.official import OfficialClients
from tests.conformance.recorded import SOURCES, Source
from tests.conformance.sample import sample
from tests.conformance.test_answers import difference, events_of


@pytest.fixture(scope="module")
def official() -> Iterator[OfficialClients]:
    clients = OfficialClients()
    yield clients
    clients.close()


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
