"""What the book of health takes, so that docs/decisions/0018-health.md can say it."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from fairlead.core.health import EndpointOutcome, HealthBook
from fairlead.core.health.sketches import VALUE_MAX, VALUE_MIN
from fairlead.core.ids import EndpointId

T = 1_800_000_000.0
ENDPOINTS = 2
CALLS_A_MINUTE = 100
CATALOGUE = 2_600


def bytes_for_each(spread: tuple[float, float]) -> float:
    """Of endpoints that were busy for half an hour. spread: of their latencies' and rates' logarithm."""
    chance = random.Random(1)
    book = HealthBook()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for minute in range(31):
            for number in range(ENDPOINTS):
                endpoint = EndpointId(f"p:{number}")
                for _ in range(CALLS_A_MINUTE):
                    value = chance.lognormvariate(*spread)
                    outcome = EndpointOutcome(
                        None,
                        first_token_s=min(max(value, VALUE_MIN), VALUE_MAX),
                        output_tokens=1_000,
                        duration_s=min(max(value, 0.01), VALUE_MAX) * 5,
                    )
                    book.ended(endpoint, outcome, T + minute * 60)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / ENDPOINTS


@pytest.mark.parametrize(
    ("spread", "megabytes"),
    [((0.0, 0.7), 75), ((0.0, 4.0), 160)],
    ids=["as endpoints are", "as wildly as values may be"],
)
def test_the_whole_catalogue_busy_at_once_stays_under_a_bound(
    spread: tuple[float, float], megabytes: float
) -> None:
    assert bytes_for_each(spread) * CATALOGUE < megabytes * 1e6
