"""The book of health as the gateway and routing use it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import FailureKind
from fairlead.core.health import EndpointFigures, EndpointOutcome, HealthBook
from fairlead.core.ids import EndpointId
from fairlead.core.routing.facts import UNKNOWN, Facts, Standing
from fairlead.core.tool_calls import ToolVerdict

T = 1_800_000_000.0
A = EndpointId("alpha:model")
B = EndpointId("beta:model")
GOOD = EndpointOutcome(None)
BROKEN = EndpointOutcome(FailureKind.SERVER)


def saw(book: HealthBook, outcome: EndpointOutcome, now_s: float = T, *, times: int = 1) -> None:
    for _ in range(times):
        book.began(A, now_s)
        book.ended(A, outcome, now_s)


def standing(book: HealthBook, now_s: float = T) -> Standing:
    return book.at(now_s).facts(A).standing


def test_nothing_is_known_of_an_endpoint_that_was_never_asked() -> None:
    book = HealthBook()
    book.began(A, T)
    assert book.at(T).facts(A) is UNKNOWN
    assert book.first_token_p95_s(A, T) is None
    assert book.figures(A, T) == EndpointFigures()


# Uptime as documented


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.AUTHENTICATION,  # 401
        FailureKind.OUT_OF_QUOTA,  # 402
        FailureKind.MODEL_NOT_FOUND,  # 404
        FailureKind.SERVER,
        FailureKind.OVERLOADED,
        FailureKind.TIMEOUT,
        FailureKind.UNREACHABLE,
        FailureKind.CUT,  # in the middle of a stream
        FailureKind.GARBAGE,
        FailureKind.EMPTY,
    ],
)
def test_a_failure_of_the_endpoint_counts(kind: FailureKind) -> None:
    book = HealthBook()
    saw(book, GOOD, times=99)
    saw(book, EndpointOutcome(kind))
    assert book.figures(A, T).uptime_5m == 99.0


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.BAD_REQUEST,
        FailureKind.CONTEXT_LENGTH,
        FailureKind.TOO_LARGE,  # 413
        FailureKind.CONTENT_POLICY,
        FailureKind.IMAGE,
        FailureKind.RATE_LIMIT,  # 429
    ],
)
def test_a_failure_of_the_caller_or_a_limit_does_not_count(kind: FailureKind) -> None:
    book = HealthBook()
    saw(book, GOOD, times=100)
    saw(book, EndpointOutcome(kind), times=300)
    figures = book.figures(A, T)
    assert (figures.uptime_5m, figures.uptime_30m, figures.uptime_1d) == (100.0, 100.0, 100.0)
    assert book.at(T).facts(A).requests_30m == 400, "but they are requests all the same"


def test_uptime_needs_a_hundred_requests_that_tell() -> None:
    book = HealthBook()
    saw(book, GOOD, times=99)
    saw(book, EndpointOutcome(FailureKind.RATE_LIMIT), times=50)
    assert book.figures(A, T).uptime_1d is None
    saw(book, GOOD)
    assert book.figures(A, T).uptime_1d == 100.0


def test_a_caller_who_leaves_before_the_first_token_says_nothing() -> None:
    book = HealthBook()
    saw(book, EndpointOutcome(None, is_abandoned=True), times=200)
    assert book.at(T).facts(A) == Facts()
    assert book.figures(A, T).uptime_1d is None


@pytest.mark.parametrize(
    ("successes", "expected"),
    [
        (100, Standing.GOOD),
        (95, Standing.GOOD),
        (94, Standing.DEGRADED),
        (80, Standing.DEGRADED),
        (79, Standing.DOWN),
        (60, Standing.DOWN),
    ],
)
def test_standing_follows_five_minutes_of_uptime(successes: int, expected: Standing) -> None:
    book = HealthBook()
    for number in range(100):  # never three in a row, which would be the breaker's business
        is_outage = number * (100 - successes) % 100 < 100 - successes
        saw(book, BROKEN if is_outage else GOOD, T)
    late_s = T + 60  # the last half minute is quiet
    assert book.figures(A, late_s).uptime_30m == successes
    assert standing(book, late_s) is expected


def test_uptime_forgets_what_is_out_of_its_window() -> None:
    book = HealthBook()
    for number in range(150):
        saw(book, BROKEN if number % 3 == 0 else GOOD, T)
    assert standing(book, T + 60) is Standing.DOWN
    assert standing(book, T + 301) is Standing.GOOD
    assert book.figures(A, T + 301).uptime_5m is None
    assert book.figures(A, T + 1000).uptime_30m is not None
    assert book.figures(A, T + 1801).uptime_30m is None
    assert book.figures(A, T + 80_000).uptime_1d is not None
    assert book.figures(A, T + 86_401).uptime_1d is None


# The last half minute


def test_a_single_failure_of_few_calls_makes_an_endpoint_unstable_for_half_a_minute() -> None:
    book = HealthBook()
    saw(book, GOOD, times=5)
    saw(book, BROKEN)
    assert standing(book, T) is Standing.UNSTABLE
    assert standing(book, T + 26) is Standing.UNSTABLE
    assert standing(book, T + 30) is Standing.GOOD


def test_a_rare_failure_of_a_busy_endpoint_is_no_significant_outage() -> None:
    book = HealthBook()
    saw(book, GOOD, times=38)
    saw(book, BROKEN, times=2)
    assert standing(book) is Standing.GOOD, "two of forty are five percent, not more"
    saw(book, BROKEN)
    assert standing(book) is not Standing.GOOD


# Breaker


def test_a_dead_endpoint_is_down_and_then_probed_by_one_call() -> None:
    book = HealthBook()
    saw(book, BROKEN, times=3)
    assert standing(book) is Standing.DOWN
    assert standing(book, T + 4.9) is Standing.DOWN
    assert book.at(T + 5).facts(A) == Facts(is_probe=True, requests_30m=3)
    assert book.figures(A, T + 5).standing is Standing.DOWN, "until the probe has said otherwise"
    book.began(A, T + 5)
    assert standing(book, T + 5) is Standing.DOWN
    assert standing(book, T + 64) is Standing.DOWN
    assert book.at(T + 65).facts(A).is_probe


def test_a_probe_that_succeeds_makes_an_endpoint_good_at_once() -> None:
    book = HealthBook()
    saw(book, BROKEN, times=3)
    saw(book, GOOD, T + 5)
    assert book.at(T + 5).facts(A) == Facts(requests_30m=4)


def test_calls_that_died_with_an_endpoint_do_not_hold_it_down_after_its_recovery() -> None:
    """A hundred calls were under way; they time out one after the other, some of them long after."""
    book = HealthBook()
    saw(book, EndpointOutcome(FailureKind.TIMEOUT, duration_s=60.0), T, times=110)
    assert standing(book, T) is Standing.DOWN
    saw(book, EndpointOutcome(None, duration_s=1.0), T + 10)
    assert standing(book, T + 10) is Standing.GOOD
    saw(book, EndpointOutcome(FailureKind.TIMEOUT, duration_s=60.0), T + 20, times=110)
    assert standing(book, T + 20) is Standing.GOOD
    uptime = book.figures(A, T + 20).uptime_5m
    assert uptime is not None
    assert uptime < 1.0, "what is published hides nothing"


def test_an_endpoint_that_comes_and_goes_keeps_its_reputation() -> None:
    book = HealthBook()
    now_s = T
    for _ in range(12):
        saw(book, GOOD, now_s, times=10)
        saw(book, BROKEN, now_s, times=4)
        now_s += 10
    saw(book, GOOD, now_s)
    assert standing(book, now_s + 30) is Standing.DOWN


def test_an_endpoint_is_back_in_use_within_a_minute_and_sees_little_until_then() -> None:
    """Ten calls a second want it; routing sends them wherever `facts` say that it is well."""
    book = HealthBook()
    died_s, recovered_s = T + 10, T + 200
    asked: list[float] = []
    for tick in range(3000):
        now_s = T + tick / 10
        if standing(book, now_s) is Standing.DOWN:
            continue
        asked.append(now_s)
        is_dead = died_s <= now_s < recovered_s
        saw(book, BROKEN if is_dead else GOOD, now_s)
    late = [at_s for at_s in asked if died_s + 30 <= at_s < recovered_s]
    assert len(late) <= 0.01 * 10 * (recovered_s - died_s - 30)
    assert next(at_s for at_s in asked if at_s >= recovered_s) < recovered_s + 31
    assert len([at_s for at_s in asked if at_s >= recovered_s + 60]) == 400


def test_the_only_endpoint_is_never_locked_out() -> None:
    """Whatever is known, routing gets facts, and one success restores it."""
    book = HealthBook()
    saw(book, BROKEN, times=500)
    saw(book, GOOD, T + 1)
    assert standing(book, T + 1) is Standing.GOOD


# Rate limits


def test_an_endpoint_that_asked_us_to_wait_is_limited_until_then() -> None:
    book = HealthBook()
    saw(book, EndpointOutcome(FailureKind.RATE_LIMIT, retry_after_s=20.0))
    assert standing(book, T + 19.9) is Standing.LIMITED
    assert standing(book, T + 20) is Standing.GOOD


def test_those_in_trouble_are_those_whose_figures_say_so() -> None:
    book = HealthBook()
    for number, outcome in enumerate((GOOD, BROKEN, EndpointOutcome(FailureKind.RATE_LIMIT))):
        for _ in range(10):
            book.ended(EndpointId(f"endpoint-{number}"), outcome, T)
    found = book.in_trouble(T)
    assert found.keys() == {"endpoint-1", "endpoint-2"}
    assert found == {one: book.figures(one, T).standing for one in found}


def test_a_rate_limited_probe_leaves_the_question_open() -> None:
    book = HealthBook()
    saw(book, BROKEN, times=3)
    saw(book, EndpointOutcome(FailureKind.RATE_LIMIT), T + 6)
    assert book.at(T + 6).facts(A).is_probe


# Speed


def test_latency_and_throughput_are_percentiles_of_what_was_seen() -> None:
    book = HealthBook()
    for number in range(1, 101):
        tenth_s = number / 10
        book.ended(
            A,
            EndpointOutcome(None, first_token_s=tenth_s, output_tokens=100, duration_s=tenth_s),
            T,
        )
    facts = book.at(T).facts(A)
    assert facts.latency_s is not None
    assert facts.throughput is not None
    assert facts.latency_s.p50 == pytest.approx(5.0, rel=0.03)
    assert facts.latency_s.p99 == pytest.approx(9.9, rel=0.03)
    assert facts.throughput.p50 == pytest.approx(20.0, rel=0.03)
    assert facts.throughput.p90 == pytest.approx(100 / 9.0, rel=0.03), "90 % reached it"
    assert book.first_token_p95_s(A, T) == pytest.approx(9.5, rel=0.03)
    assert book.figures(A, T + 1700).latency_30m is not None
    assert book.figures(A, T + 1801).latency_30m is None


def test_the_last_five_minutes_count_and_longer_ago_only_if_nothing_came_since() -> None:
    book = HealthBook()
    book.ended(A, EndpointOutcome(None, first_token_s=1.0, duration_s=1.0), T)
    book.ended(A, EndpointOutcome(None, first_token_s=4.0, duration_s=1.0), T + 400)
    recent, old = book.at(T + 400).facts(A).latency_s, book.at(T + 900).facts(A).latency_s
    assert recent is not None
    assert old is not None
    assert recent.p50 == pytest.approx(4.0, rel=0.03)
    assert old.p50 < 2.0, "both of the last half hour"
    assert book.at(T + 400 + 1801).facts(A).latency_s is None


def test_new_speeds_are_seen_within_seconds() -> None:
    book = HealthBook()
    book.ended(A, EndpointOutcome(None, first_token_s=1.0), T)
    assert book.at(T).facts(A).latency_s is not None
    for _ in range(100):
        book.ended(A, EndpointOutcome(None, first_token_s=9.0), T + 1)
    seen = book.at(T + 10).facts(A).latency_s
    assert seen is not None
    assert seen.p50 == pytest.approx(9.0, rel=0.03)


# Tools


def test_tool_verdicts_are_counted_for_two_hours() -> None:
    book = HealthBook()
    for verdict in ToolVerdict:
        book.ended(A, EndpointOutcome(None, tools=verdict), T)
    facts = book.at(T).facts(A)
    assert (facts.tool_requests_2h, facts.tool_errors_2h) == (4, 3)
    assert book.tool_calls(T) == {A: (4, 3)}
    assert book.at(T + 6_500).facts(A).tool_requests_2h == 4
    assert book.at(T + 7_201).facts(A).tool_requests_2h == 0
    assert book.tool_calls(T + 7_201) == {}


# Bounds


def test_endpoints_are_bounded_and_the_longest_silent_make_room() -> None:
    book = HealthBook(endpoints_max=32)
    for number in range(100):
        book.ended(EndpointId(f"p:{number}"), GOOD, T + number)
        assert len(book) <= 32
    assert book.at(T + 100).facts(EndpointId("p:99")).requests_30m == 1
    assert book.at(T + 100).facts(EndpointId("p:0")) is UNKNOWN


def test_the_view_is_the_same_object_until_something_happens() -> None:
    book = HealthBook()
    saw(book, GOOD)
    first = book.at(T).facts(A)
    assert book.at(T + 3).facts(A) is first
    saw(book, BROKEN, T + 3)
    assert book.at(T + 3).facts(A) is not first


outcomes = st.builds(
    EndpointOutcome,
    failure=st.none() | st.sampled_from(FailureKind),
    retry_after_s=st.none() | st.floats(0, 1e6),
    first_token_s=st.none() | st.floats(0, 1e9),
    output_tokens=st.integers(0, 10**9),
    duration_s=st.floats(0, 1e6),
    tools=st.none() | st.sampled_from(ToolVerdict),
    is_abandoned=st.booleans(),
)
steps_s = st.sampled_from(
    [0.0, 0.5, -0.5, 3.0, -4.0, 31.0, 60.0, -600.0, 3600.0, -90_000.0, 90_000.0]
)


@given(st.lists(st.tuples(outcomes, steps_s), max_size=60))
def test_whatever_happens_and_however_the_clock_moves_the_book_answers_sensibly(
    script: list[tuple[EndpointOutcome, float]],
) -> None:
    book, now_s = HealthBook(), T
    for outcome, step_s in script:
        now_s += step_s
        book.began(A, now_s)
        book.ended(A, outcome, now_s)
        facts = book.at(now_s).facts(A)
        figures = book.figures(A, now_s)
        assert 0 <= facts.tool_errors_2h <= facts.tool_requests_2h
        assert facts.requests_30m <= len(script)
        for shown in (figures.uptime_5m, figures.uptime_30m, figures.uptime_1d):
            assert shown is None or 0 <= shown <= 100
        for speed in (facts.latency_s, figures.latency_30m):
            assert speed is None or 0 < speed.p50 <= speed.p75 <= speed.p90 <= speed.p99
        for speed in (facts.throughput, figures.throughput_30m):
            assert speed is None or speed.p50 >= speed.p75 >= speed.p90 >= speed.p99 > 0
    assert book.at(now_s + 86_401).facts(A) in (Facts(), Facts(is_probe=True)), "all is forgotten"


@given(st.lists(st.tuples(outcomes, steps_s), max_size=60), st.floats(-1e5, 1e5))
def test_an_endpoint_that_answers_again_is_good_within_minutes_whatever_was_before(
    script: list[tuple[EndpointOutcome, float]], jump_s: float
) -> None:
    book, now_s = HealthBook(), T
    for outcome, step_s in script:
        now_s += step_s
        book.began(A, now_s)
        book.ended(A, outcome, now_s)
    now_s += jump_s
    for second in range(0, 320, 5):
        book.began(A, now_s + second)
        book.ended(A, GOOD, now_s + second)
    assert standing(book, now_s + 320) is Standing.GOOD
