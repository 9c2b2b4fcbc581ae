"""What is remembered of an answer, and what its call costs, however it ended."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import (
    ChatEvent,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    UsageReported,
)
from fairlead.core.generation import Outcome
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import Charge, PriceOverride
from fairlead.core.usage import Usage, UsageSource
from fairlead.gateway.settlement import (
    FREE,
    NO_USAGE,
    TEXT_KEPT_CHARACTERS_MAX,
    Part,
    Tally,
    closing_charge,
)
from fairlead.testing.builders import a_model, a_request, an_endpoint
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


# --- what an ended call costs -------------------------------------------------------------------------

ENDPOINT = an_endpoint("acme", prompt="0.000001", completion="0.000002")
LONG = PriceOverride(
    {"prompt": PicoUSD(2_000_000), "completion": PicoUSD(4_000_000)}, min_prompt_tokens=1
)
SEARCHING = msgspec.structs.replace(
    ENDPOINT,
    prices=msgspec.structs.replace(ENDPOINT.prices, web_search=PicoUSD(10_000_000_000)),
)
DEAR_WHEN_LONG = msgspec.structs.replace(
    ENDPOINT, prices=msgspec.structs.replace(ENDPOINT.prices, overrides=(LONG,))
)


def closed(
    parts: list[Part], outcome: Outcome = Outcome.COMPLETED, *, is_cut: bool = False
) -> tuple[Usage, Charge]:
    found = closing_charge(
        parts,
        outcome,
        request=a_request(),
        model=a_model(ENDPOINT),
        counter=WordCounter(),
        at_s=0.0,
        is_cut=is_cut,
    )
    return found.usage, found.charge


def a_tally(*events: ChatEvent) -> Tally:
    tally = Tally()
    tally.watch(events)
    return tally


def reported(prompt: int, completion: int, **more: int) -> UsageReported:
    return UsageReported(Usage(prompt=prompt, completion=completion, **more))


def test_an_answer_that_ends_with_an_error_for_its_reason_costs_its_searches_alone() -> None:
    end = Finished(FinishReason.ERROR)
    tally = a_tally(TextDelta("some words"), end, reported(100, 2))
    usage, charge = closed([Part(tally, ENDPOINT)])
    assert usage.completion_tokens == 2
    assert charge == FREE
    searched = a_tally(TextDelta("some words"), end, reported(100, 2, web_searches=3))
    assert closed([Part(searched, SEARCHING)])[1].total == 3 * 10_000_000


def test_an_answer_that_is_cut_at_its_hold_costs_what_came_of_it() -> None:
    tally = a_tally(reported(10, 1), TextDelta("word " * 1000), Finished(FinishReason.LENGTH))
    usage, charge = closed([Part(tally, ENDPOINT)], is_cut=True)
    assert usage.completion == 1000
    assert charge.completion > 0


def test_an_answer_of_nothing_is_free() -> None:
    assert closed([Part(a_tally(reported(100, 0)), ENDPOINT)])[1] == FREE


def test_before_a_first_token_nothing_is_used() -> None:
    assert closed([], Outcome.CANCELLED) == (NO_USAGE, FREE)


def test_usage_that_is_reported_before_the_first_token_is_not_that_of_a_cancelled_answer() -> None:
    tally = a_tally(reported(100, 1), TextDelta("one two three four"))
    usage, charge = closed([Part(tally, ENDPOINT)], Outcome.CANCELLED)
    assert (usage.prompt, usage.completion) == (100, 4)
    assert usage.source is UsageSource.ESTIMATED
    assert charge.total == 100 * 1000 + 4 * 2000


def test_usage_that_is_reported_with_every_piece_is_that_of_a_cancelled_answer() -> None:
    tally = a_tally(TextDelta("one two three four"), reported(100, 6))
    usage, _ = closed([Part(tally, ENDPOINT)], Outcome.CANCELLED)
    assert usage == Usage(prompt=100, completion=6)


def test_a_long_prompt_has_its_prices_in_every_part() -> None:
    """Else an answer would become cheaper by breaking."""
    first = Part(a_tally(reported(100, 1), TextDelta("one two")), DEAR_WHEN_LONG, broke=True)
    second = a_tally(TextDelta("three"), Finished(FinishReason.STOP), reported(102, 1))
    _, charge = closed([first, Part(second, DEAR_WHEN_LONG, adds=True)])
    assert charge.total == 100 * 2000 + 3 * 4000


def test_what_a_later_part_thought_unseen_is_ours_to_bear() -> None:
    first = Part(a_tally(ReasoningDelta("hm hm"), TextDelta("one")), ENDPOINT, broke=True)
    second = a_tally(TextDelta("two"), Finished(FinishReason.STOP), reported(9, 1, reasoning=50))
    usage, _ = closed([first, Part(second, ENDPOINT, adds=True)])
    assert (usage.reasoning, usage.completion) == (2, 2)


def test_text_that_the_caller_had_already_is_not_estimated_again() -> None:
    first = Part(a_tally(TextDelta("aa bb ")), ENDPOINT, broke=True)
    again = Part(a_tally(TextDelta("aa bb cc dd ")), ENDPOINT, adds=True, withheld_characters=6)
    assert closed([first, again], Outcome.CANCELLED)[0].completion == 4


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=5),
    st.sampled_from([ENDPOINT, DEAR_WHEN_LONG]),
)
def test_an_answer_costs_the_same_in_however_many_parts_it_comes(
    words: list[int], endpoint: Endpoint
) -> None:
    parts = [
        Part(a_tally(TextDelta("word " * count)), endpoint, adds=place > 0, broke=True)
        for place, count in enumerate(words)
    ]
    whole = Part(a_tally(TextDelta("word " * sum(words))), endpoint, broke=True)
    assert closed(parts)[1] == closed([whole])[1]
    assert closed(parts)[0].completion_tokens == sum(words)
