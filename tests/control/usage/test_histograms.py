"""Percentiles of counts in buckets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.usage.histograms import (
    LATENCY_BOUNDS_MS,
    PACE_BOUNDS,
    bucket,
    percentile,
)
from fairlead.store.tables.usage import LATENCY_BUCKETS, PACE_BUCKETS


def counts(values: list[float]) -> list[int]:
    found = [0] * LATENCY_BUCKETS
    for value in values:
        found[bucket(value, LATENCY_BOUNDS_MS)] += 1
    return found


def test_the_tables_have_a_column_for_each_bucket():
    assert len(LATENCY_BOUNDS_MS) + 1 == LATENCY_BUCKETS
    assert len(PACE_BOUNDS) + 1 == PACE_BUCKETS


def test_of_nothing_there_is_no_percentile():
    assert percentile([0] * LATENCY_BUCKETS, LATENCY_BOUNDS_MS, 0.5) is None


@given(
    st.lists(st.floats(50, 25_599), min_size=1),
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_percentile_is_in_the_bucket_of_the_true_one(values: list[float], share: float):
    found = percentile(counts(values), LATENCY_BOUNDS_MS, share)
    assert found is not None
    values.sort()
    rank = max(0, -(-round(share * len(values) * 1000) // 1000) - 1)
    true = values[rank]
    assert true / 1.4143 <= found <= true * 1.4143


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_higher_share_is_never_a_lower_value(values: list[float]):
    spread = counts(values)
    found = [percentile(spread, LATENCY_BOUNDS_MS, share / 20) for share in range(21)]
    assert found == sorted(found)  # type: ignore[type-var]
