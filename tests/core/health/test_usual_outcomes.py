"""Successes of an endpoint that is well are collected, and counted when somebody looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import FailureKind
from fairlead.core.health import EndpointOutcome
from fairlead.core.health.endpoint import EndpointHealth
from fairlead.core.ids import EndpointId

BEGIN_S = 1_767_225_600.0
ENDPOINT = EndpointId("a:acme/one")

_outcomes = st.builds(
    EndpointOutcome,
    failure=st.sampled_from(
        [
            None,
            None,
            None,
            None,
            FailureKind.SERVER,
            FailureKind.RATE_LIMIT,
            FailureKind.BAD_REQUEST,
        ]
    ),
    first_token_s=st.sampled_from([None, 0.25, 1.5]),
    output_tokens=st.integers(0, 3),
    duration_s=st.sampled_from([0.0, 0.5, 20.0]),
    is_abandoned=st.sampled_from([False, False, False, True]),
)
# Mostly forward; a clock may also be set back.
_pauses_s = st.sampled_from([0.0, 0.1, 1.0, 2.9, 7.0, 61.0, -1.0, -400.0])


@given(st.lists(st.tuples(_outcomes, _pauses_s, st.booleans()), min_size=1, max_size=150))
def test_what_is_collected_is_counted_as_it_would_have_been(
    calls: list[tuple[EndpointOutcome, float, bool]],
) -> None:
    collected, counted = EndpointHealth(1), EndpointHealth(1)
    now_s = BEGIN_S
    for outcome, pause_s, looks in calls:
        now_s += pause_s
        for health in (collected, counted):
            health.ended(outcome, now_s)
            if looks:
                health.facts_at(now_s)
        counted.count_usual()
    assert collected.saved(ENDPOINT) == counted.saved(ENDPOINT)
    assert collected.facts_at(now_s) == counted.facts_at(now_s)
    assert collected.figures(now_s) == counted.figures(now_s)


def test_no_more_are_collected_than_are_bounded() -> None:
    health = EndpointHealth(1)
    whole = EndpointOutcome(None, output_tokens=10, duration_s=1.0)
    for number in range(1000):
        health.ended(whole, BEGIN_S)
        if not number:
            health.facts_at(BEGIN_S)
    assert 900 < health.minutes.total(BEGIN_S) < 1000
    health.count_usual()
    assert health.minutes.total(BEGIN_S) == 1000
