"""What is remembered of an answer, for the case that nobody says what it used."""

from __future__ import annotations

import tracemalloc

import pytest

from fairlead.core.chat import ReasoningDelta, TextDelta
from fairlead.core.usage import UsageSource
from fairlead.gateway.settlement import TEXT_KEPT_CHARACTERS_MAX, Tally
from fairlead.testing.builders import a_model, a_request
from fairlead.testing.gateway import WordCounter

PIECE = "word " * 2_000


@pytest.mark.parametrize("kind", [TextDelta, ReasoningDelta])
def test_an_endless_answer_is_estimated_from_its_beginning_and_its_length(
    kind: type[TextDelta | ReasoningDelta],
) -> None:
    tally = Tally()
    pieces = 5 * TEXT_KEPT_CHARACTERS_MAX // len(PIECE)
    tracemalloc.start()
    try:
        for _ in range(pieces):
            assert tally.watch([kind("".join(list(PIECE)))])  # a text of its own each time
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 1.5 * TEXT_KEPT_CHARACTERS_MAX
    used = tally.used(a_request(), a_model(), WordCounter())
    assert used.source is UsageSource.ESTIMATED
    assert used.completion_tokens == pytest.approx(pieces * 2_000, rel=0.001)


def test_what_is_not_endless_is_estimated_from_all_of_it() -> None:
    tally = Tally()
    tally.watch([TextDelta("one two "), ReasoningDelta("three "), TextDelta("four")])
    used = tally.used(a_request(), a_model(), WordCounter())
    assert (used.completion, used.reasoning) == (3, 1)
