"""The book of health when an endpoint says nothing: found out before its calls time out."""

from __future__ import annotations

import pytest

from fairlead.core.errors import FailureKind
from fairlead.core.health import EndpointOutcome, HealthBook
from fairlead.core.health.silence import PATIENCE_S_MIN, PATIENCE_S_UNKNOWN
from fairlead.core.ids import EndpointId
from fairlead.core.routing.facts import UNKNOWN, Facts, Standing
from fairlead.core.tool_calls import ToolVerdict

T = 1_800_000_000.0
A = EndpointId("alpha:model")
QUICK = EndpointOutcome(None, first_token_s=0.5, duration_s=2.0)


def asked(book: HealthBook, *moments_s: float) -> None:
    for now_s in moments_s:
        book.began(A, now_s)
        book.waits(A, now_s)


def known_as_quick() -> HealthBook:
    book = HealthBook()
    for _ in range(20):
        book.ended(A, QUICK, T - 1)
    return book


def standing(book: HealthBook, now_s: float) -> Standing:
    return book.at(now_s).facts(A).standing


def test_an_endpoint_that_leaves_three_calls_waiting_is_down_and_then_probed() -> None:
    book = known_as_quick()
    asked(book, T, T + 1, T + 2)
    gone_s = T + 2 + PATIENCE_S_MIN
    assert standing(book, gone_s - 0.1) is Standing.GOOD
    assert standing(book, gone_s) is Standing.DOWN
    assert book.at(gone_s + 5).facts(A).is_probe


def test_one_that_answers_some_is_only_slow() -> None:
    book = known_as_quick()
    asked(book, T, T + 1, T + 2, T + 3)
    book.spoke(A, 0.5, T + 2.5)
    assert standing(book, T + 60) is Standing.GOOD


def test_calls_that_nobody_said_are_waiting_are_not_missed() -> None:
    """Whole answers: they are silent by nature."""
    book = known_as_quick()
    for now_s in (T, T + 1, T + 2):
        book.began(A, now_s)
    assert standing(book, T + 200) is Standing.GOOD


def test_callers_who_leave_do_not_make_an_endpoint_silent() -> None:
    book = known_as_quick()
    for number in range(10):
        asked(book, T + number)
        left = EndpointOutcome(None, is_abandoned=True, duration_s=0.25, silent_s=0.25)
        book.ended(A, left, T + number + 0.25)
    assert standing(book, T + 100) is Standing.GOOD


def test_where_no_first_token_was_ever_seen_patience_is_longer() -> None:
    book = HealthBook()
    asked(book, T, T + 1, T + 2)
    assert standing(book, T + 2 + PATIENCE_S_UNKNOWN - 0.1) is Standing.GOOD
    assert standing(book, T + 2 + PATIENCE_S_UNKNOWN) is Standing.DOWN


def test_those_who_hung_fail_later_and_do_not_count_again() -> None:
    book = known_as_quick()
    asked(book, T, T + 1, T + 2)
    assert standing(book, T + 20) is Standing.DOWN
    assert book.at(T + 26).facts(A).is_probe
    asked(book, T + 26)
    book.spoke(A, 0.5, T + 26.5)
    book.ended(A, QUICK, T + 28)
    assert standing(book, T + 28) is Standing.GOOD
    for began_s in (T, T + 1, T + 2):
        book.ended(A, EndpointOutcome(FailureKind.TIMEOUT, duration_s=150.0), began_s + 150)
    assert standing(book, T + 152) is Standing.GOOD


def test_who_is_back_is_not_held_to_what_hung_before() -> None:
    """The probe may be a whole answer, of which no first token is told."""
    book = known_as_quick()
    asked(book, T, T + 1, T + 2)
    assert standing(book, T + 20) is Standing.DOWN
    asked(book, T + 21, T + 22, T + 23)  # nobody else was left
    book.began(A, T + 26)
    book.ended(A, EndpointOutcome(None, duration_s=1.0), T + 27)
    assert standing(book, T + 60) is Standing.GOOD


def test_a_probe_has_succeeded_with_its_first_token() -> None:
    """Its answer may take a minute more, and nobody should be kept away for that."""
    book = HealthBook()
    for _ in range(3):
        book.ended(A, EndpointOutcome(FailureKind.SERVER), T)
    assert standing(book, T) is Standing.DOWN
    asked(book, T + 5)
    assert standing(book, T + 6) is Standing.DOWN
    book.spoke(A, 1.0, T + 6)
    assert standing(book, T + 6) is Standing.GOOD
    book.ended(A, EndpointOutcome(None, first_token_s=1.0, duration_s=60.0), T + 65)
    assert standing(book, T + 65) is Standing.GOOD


def test_a_stream_from_before_an_outage_does_not_end_it() -> None:
    book = HealthBook()
    asked(book, T - 2)
    for _ in range(3):
        book.ended(A, EndpointOutcome(FailureKind.SERVER), T)
    book.spoke(A, 3.0, T + 1)
    assert standing(book, T + 1) is Standing.DOWN


# How slow an endpoint is whose slow calls are let go


@pytest.mark.parametrize(("silent_s", "expected_s"), [(4.0, 4.0), (0.1, 0.5), (None, 0.5)])
def test_a_long_silence_that_was_cut_short_counts_as_one(
    silent_s: float | None, expected_s: float
) -> None:
    book = known_as_quick()
    assert standing(book, T) is Standing.GOOD
    for _ in range(10):
        book.ended(A, EndpointOutcome(None, is_abandoned=True, silent_s=silent_s), T)
    assert book.first_token_p95_s(A, T + 60) == pytest.approx(expected_s, rel=0.03)
    assert book.figures(A, T + 60).uptime_30m is None, "and as nothing else"


# Endpoints that nobody has asked for long


def test_of_an_endpoint_not_heard_of_for_half_an_hour_nothing_is_known() -> None:
    book = known_as_quick()
    assert book.at(T + 1700).facts(A).latency_s is not None
    assert book.at(T + 1900).facts(A) is UNKNOWN
    assert book.first_token_p95_s(A, T + 1900) is None
    book.ended(A, QUICK, T + 2000)
    assert book.at(T + 2000).facts(A).latency_s is not None
    assert book.first_token_p95_s(A, T + 2000) == pytest.approx(0.5, rel=0.03)


def test_but_how_its_tool_calls_were() -> None:
    book = HealthBook()
    book.ended(A, EndpointOutcome(None, tools=ToolVerdict.VALID), T)
    assert book.at(T + 3600).facts(A) == Facts(tool_requests_2h=1)
    assert book.at(T + 7900).facts(A) is UNKNOWN
