"""Indices: the share of comparisons won, drawn towards the middle where there are few."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog_indices import Index, indices_of, tells
from fairlead.core.catalog_quality import Record
from fairlead.core.ids import ModelId

MODEL = ModelId("acme/one")


def index(won: float, comparisons: int) -> float:
    return indices_of({MODEL: Record(won, comparisons)})[MODEL]


@pytest.mark.parametrize(
    ("won", "comparisons", "expected"),
    [(8, 10, 65.0), (10, 10, 75.0), (0, 10, 25.0), (5, 10, 50.0)],
)
def test_ten_comparisons_more_are_half_won(won: float, comparisons: int, expected: float) -> None:
    assert index(won, comparisons) == expected


def test_what_many_comparisons_say_counts_more() -> None:
    assert 50 < index(2, 2) < index(20, 20) < index(200, 200) < 100
    assert 50 > index(0, 2) > index(0, 20) > index(0, 200) > 0


@given(
    st.integers(1, 10_000).flatmap(
        lambda count: st.tuples(st.integers(0, 2 * count), st.just(count))
    )
)
def test_who_wins_more_of_as_many_is_higher(record: tuple[int, int]) -> None:
    halves, comparisons = record
    assert 0 < index(halves / 2, comparisons) < 100
    if halves:
        assert index(halves / 2, comparisons) > index((halves - 1) / 2, comparisons)


def test_a_model_without_a_record_has_no_index() -> None:
    assert indices_of({}) == {}


@pytest.mark.parametrize(
    ("benchmark", "expected"),
    [
        ("GPQA Diamond", {Index.INTELLIGENCE}),
        ("Aider Polyglot", {Index.INTELLIGENCE, Index.CODING}),
        ("SWE-bench Verified", {Index.INTELLIGENCE, Index.CODING, Index.AGENTIC}),
        ("Terminal-Bench 2.0", {Index.INTELLIGENCE, Index.AGENTIC}),
        ("\N{GREEK SMALL LETTER TAU}3 Banking", {Index.INTELLIGENCE, Index.AGENTIC}),
    ],
)
def test_a_benchmark_tells_of_what_its_name_says(benchmark: str, expected: set[Index]) -> None:
    assert {one for one in Index if tells(benchmark, one)} == expected
